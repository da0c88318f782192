"""Variables: physical values to channels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xgapfill.variables import Chlorophyll, Given, SizeClasses, Temperature, recognise
from xgapfill.variables.size_classes import CLASSES, class_of
from xgapfill.variables.transforms import close, ilr, ilr_inverse, ilr_moments, log10, lognormal_spread, power10

parts = (
    hnp.arrays(np.float64, (3, 7), elements=st.floats(0, 1)).map(lambda p: p + 1e-6).map(lambda p: p / p.sum(axis=0))
)


def nothing(count, n):
    return Given(np.full((count, n), np.nan, np.float32))


@given(parts)
@settings(deadline=None)
def test_log_ratios_invert(fractions):
    """Closed fractions come back from their log-ratios, in [0, 1] and summing to 1."""
    back = ilr_inverse(ilr(fractions))
    np.testing.assert_allclose(back, close(fractions), atol=1e-12)
    assert ((back > 0) & (back < 1)).all()


def test_log_ratios_are_those_of_the_definition():
    """sqrt(2/3) ln(micro / sqrt(nano pico)) and sqrt(1/2) ln(nano / pico), by hand."""
    found = ilr(np.array([0.5, 0.3, 0.2]))
    np.testing.assert_allclose(found, [np.sqrt(2 / 3) * np.log(0.5 / np.sqrt(0.06)), np.sqrt(1 / 2) * np.log(1.5)])


def test_zeros_are_replaced_before_logarithms():
    """A part of 0 counts as 0.005; the result is finite and the order of the parts kept."""
    found = ilr_inverse(ilr(np.array([1.0, 0.0, 0.0])))
    np.testing.assert_allclose(found, np.array([1, 0.005, 0.005]) / 1.01)


def test_moments_are_those_of_many_draws():
    """Quadrature gives the mean and sd of fractions whose log-ratios are normal, and the means sum to 1."""
    rng = np.random.default_rng(0)
    centre, width = np.array([0.5, -0.3]), np.array([0.8, 0.6])
    draws = ilr_inverse(centre[:, None] + width[:, None] * rng.standard_normal((2, 200_000)))
    mean, spread = ilr_moments(centre[:, None], width[:, None])
    np.testing.assert_allclose(mean[:, 0], draws.mean(axis=1), atol=3e-3)
    np.testing.assert_allclose(spread[:, 0], draws.std(axis=1), atol=3e-3)
    assert abs(mean.sum() - 1) < 1e-12


def test_lognormal_spread_is_that_of_many_draws():
    """The sd of 10**x for normal x."""
    draws = 10 ** np.random.default_rng(0).normal(-0.5, 0.2, 400_000)
    assert lognormal_spread(np.array(-0.5), np.array(0.2)) == pytest.approx(draws.std(), rel=0.01)
    np.testing.assert_allclose(power10(log10(np.array([0.03, 4.0]))), [0.03, 4.0])


@given(hnp.arrays(np.float32, 9, elements=st.floats(-10, 2000, width=32) | st.just(float("nan"))))
@settings(deadline=None)
def test_chlorophyll_counts_impossible_values_as_missing(values):
    """Concentrations in (0, 1000] are observed, missing ones are neither, all others are invalid."""
    found = Chlorophyll().encode(values[None])
    possible = (values > 0) & (values <= 1000)
    assert (found.present[0] == possible).all()
    assert (found.invalid[0] == (~np.isnan(values) & ~possible)).all()
    assert np.isfinite(found.values).all()
    assert (found.values[~found.observed] == 0).all()


@pytest.mark.parametrize("variable", [Chlorophyll(), Chlorophyll(1e6), Temperature(), Temperature(-273.15)])
def test_one_part_inverts(variable):
    """Encoding and decoding give the value back, in the units of the input."""
    values = np.array([[0.05, 1.0, 20.0]], np.float64)
    values = values / variable.factor if isinstance(variable, Chlorophyll) else values - variable.offset
    found = variable.encode(values)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(variable.decode_draw(found.values, nothing(1, 3)), values, rtol=1e-5)
    mean, spread = variable.decode_mean(found.values, np.full((1, 3), 0.1, np.float32), nothing(1, 3))
    np.testing.assert_allclose(mean, values, rtol=1e-5)
    assert (spread > 0).all()


def test_decoding_never_overflows():
    """Channels far out of range still decode to finite numbers."""
    far = np.array([[1e4, -1e4]], np.float32)
    for variable in (Chlorophyll(), SizeClasses()):
        values = np.repeat(far, len(variable.channels), axis=0)
        for part in variable.decode_mean(values, np.abs(values), nothing(variable.parts, 2)):
            assert np.isfinite(part).all()


def test_two_observed_classes_tell_the_third():
    """Two fractions of three are used as if the third was observed, but it is not reported as observed."""
    raw = np.array([[0.5], [np.nan], [0.2]])
    found = SizeClasses().encode(raw)
    np.testing.assert_allclose(found.values, ilr(np.array([[0.5], [0.3], [0.2]])), atol=1e-6)
    assert found.observed.all()
    assert found.present.ravel().tolist() == [True, False, True]


def test_one_observed_class_stays_and_the_others_share_the_rest():
    """One fraction of three is nothing to the method; on output it stays and the others keep their ratio."""
    raw = np.array([[np.nan], [0.6], [np.nan]], np.float32)
    variable = SizeClasses()
    assert not variable.encode(raw).observed.any()
    drawn = np.array([[0.5], [0.3], [0.2]], np.float32)
    found = variable.decode_draw(ilr(drawn), Given(raw))
    np.testing.assert_allclose(found.ravel(), [0.4 * 5 / 7, 0.6, 0.4 * 2 / 7], rtol=1e-5)
    mean, spread = variable.decode_mean(ilr(drawn), np.full((2, 1), 0.5, np.float32), Given(raw))
    assert abs(mean.sum() - 1) < 1e-6
    assert spread[1] == 0
    assert (spread[[0, 2]] > 0).all()


@given(parts, hnp.arrays(bool, (3, 7)))
@settings(deadline=None)
def test_completed_triples_sum_to_one(fractions, observed):
    """Whatever parts of a triple are observed, they come back and all sum to 1."""
    given_parts = np.where(observed, fractions, np.nan).astype(np.float32)
    found = SizeClasses().decode_draw(np.zeros((2, 7), np.float32), Given(given_parts))
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert (found[observed] == given_parts[observed]).all()


def test_class_chlorophyll_sums_to_chlorophyll():
    """Classes in mg m-3 are fractions of their sum where all are observed, and sum to chlorophyll where they are
    filled.
    """
    variable = SizeClasses(concentrations=True)
    raw = np.array([[1.0, np.nan, 0.5], [0.6, np.nan, np.nan], [0.4, np.nan, 0.2]], np.float32)
    chl = np.array([np.nan, 3.0, 1.0], np.float32)
    found = variable.encode(raw, chl)
    np.testing.assert_allclose(found.total, [2.0, np.nan, np.nan])
    np.testing.assert_allclose(ilr_inverse(found.values)[:, 0], [0.5, 0.3, 0.2], atol=1e-6)
    np.testing.assert_allclose(ilr_inverse(found.values)[:, 2], [0.5, 0.3, 0.2], atol=1e-6)
    out = variable.decode_draw(
        found.values, Given(np.where(found.present, raw, np.nan), np.array([2.0, 3, 1], np.float32))
    )
    np.testing.assert_allclose(out.sum(axis=0), [2, 3, 1], rtol=1e-6)


def test_one_class_alone():
    """One class comes back from a triple whose other classes share the rest as is usual at this chlorophyll."""
    fraction = np.array([[0.1, 0.7, 0.3]], np.float32)
    for alone in range(3):
        variable = SizeClasses(alone=alone)
        found = variable.encode(fraction, np.array([0.1, 2.0, np.nan], np.float32))
        triple = ilr_inverse(found.values)
        np.testing.assert_allclose(triple[alone], fraction[0], atol=0.01)
        out = variable.decode_draw(found.values, nothing(1, 3))
        assert out.shape == (1, 3)
        np.testing.assert_allclose(out, fraction, atol=0.01)
    # richer water, larger cells: nano has more of what pico leaves
    poor, rich = (SizeClasses(alone=2).encode(np.float32([[0.2]]), np.float32([c])).values for c in (0.05, 5.0))
    assert ilr_inverse(rich)[0] > ilr_inverse(poor)[0]


@pytest.mark.parametrize(
    ("name", "attrs", "variable"),
    [
        ("CHL", {"units": "milligram m-3"}, Chlorophyll()),
        ("chlor_a", {"units": "mg m^-3"}, Chlorophyll()),
        ("CHL1_mean", {"units": "mg/m3"}, Chlorophyll()),
        ("CHL1_value", {}, Chlorophyll()),
        ("chlorophyll", {"units": "kg m-3"}, Chlorophyll(1e6)),
        ("x", {"standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water", "units": "mg m-3"}, Chlorophyll()),
        ("sst", {"units": "kelvin"}, Temperature(-273.15)),
        ("analysed_sst", {"units": "degree_Celsius"}, Temperature()),
        ("x", {"standard_name": "sea_surface_foundation_temperature", "units": "K"}, Temperature(-273.15)),
        ("MICRO", {"units": "milligram m-3"}, SizeClasses(1.0, True, alone=0)),
        ("f_pico", {"units": "1"}, SizeClasses(alone=2)),
        ("x", {"long_name": "nanophytoplankton fraction", "units": "1"}, SizeClasses(alone=1)),
        (
            "x",
            {"standard_name": "mass_concentration_of_microphytoplankton_expressed_as_chlorophyll_in_sea_water"},
            SizeClasses(1.0, True, alone=0),
        ),
    ],
)
def test_products_are_recognised(name, attrs, variable):
    """Names, standard names and units of CMEMS, OC-CCI, GlobColour, NASA and CF lead to the right variable."""
    assert recognise(name, attrs) == variable


@pytest.mark.parametrize("name", ["CHL1_flags", "CHL1_error", "flags", "microwave_radiance", "CHL_uncertainty"])
def test_strangers_are_not(name):
    """What is no known quantity is an error that lists what is known."""
    with pytest.raises(ValueError, match="known are chlorophyll"):
        recognise(name, {})


@pytest.mark.parametrize("units", ["log10(mg m-3)", "m s-1", "1"])
def test_unreadable_units(units):
    """Units that are no concentration are an error that names them."""
    with pytest.raises(ValueError, match=r"cannot be read|those of a logarithm"):
        recognise("CHL", {"units": units})


def test_unreadable_temperatures():
    """Units that are no temperature are an error."""
    with pytest.raises(ValueError, match="temperature"):
        recognise("SST", {"units": "m"})


def test_percent_is_converted():
    """Size classes in percent are read as fractions, and come back in percent."""
    percent = recognise("MICRO", {"units": "%"})
    assert percent == SizeClasses(0.01, alone=0)
    raw = np.array([[30.0]], np.float32)
    np.testing.assert_allclose(percent.encode(raw).values, SizeClasses(alone=0).encode(raw / 100).values, atol=1e-6)
    np.testing.assert_allclose(percent.decode_draw(percent.encode(raw).values, nothing(1, 1)), raw, rtol=1e-2)


def test_labels():
    """Short and long names in any case mean a class, names of several or of none do not."""
    assert [class_of(text) for text in ("MICRO", "nanoplankton", "Pico-phytoplankton")] == [0, 1, 2]
    assert [class_of(text) for text in ("microwave", "nano and pico", "", "total")] == [None] * 4
    assert CLASSES == ("micro", "nano", "pico")
