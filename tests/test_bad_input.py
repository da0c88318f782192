"""Input that cannot be used is an error that says what was expected, what was found and what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map

import xgapfill
from xgapfill.methods import PosteriorMean
from xgapfill.testing import tiny_weights
from xgapfill.weights import Weights

CHL = chl_map((3, 8, 10))
PSC = psc_map(CHL)
MICRO, NANO, PICO = (PSC.sel(size_class=name, drop=True).rename(name.upper()) for name in ("micro", "nano", "pico"))


def refused(message, da, cond=None, error=ValueError, verb="background", **options):
    """The call must fail at once, with this message."""
    with warnings.catch_warnings(action="ignore"), pytest.raises(error, match=message):
        getattr(da.gapfill, verb)(cond, **options)


def test_no_latitude_or_longitude():
    """Without latitude and longitude the candidates are listed."""
    refused("no latitude.*without coordinates: row. Rename", CHL.rename(lat="row").drop_vars("row"))
    refused("no longitude", CHL.rename(lon="column").drop_vars("column"))


def test_two_dimensional_coordinates():
    """Swaths and curvilinear grids are to be put on a grid first."""
    lat, lon = xr.broadcast(CHL.lat, CHL.lon)
    swath = CHL.rename(lat="y", lon="x").drop_vars(["y", "x"])
    refused("xesmf", swath.assign_coords(lat=(("y", "x"), (lat + lon / 99).values), lon=(("y", "x"), lon.values)))


def test_irregular_steps():
    """Steps that are no multiples of one step are named; in space and in time."""
    lat = CHL.lat.values.copy()
    lat[4:] += 0.4 / 24
    refused("regularly spaced", CHL.assign_coords(lat=lat))
    hours = np.array(["2015-03-06T00", "2015-03-06T05", "2015-03-06T12"], "M8[ns]")
    refused("time_step='1D'", CHL.assign_coords(time=hours))
    refused("repeated", CHL.assign_coords(time=CHL.time.values[[0, 0, 1]]))


def test_undecoded_time():
    """Numbers are no dates, and a time dimension without coordinate has none."""
    refused("decode", CHL.assign_coords(time=[0, 8, 16]), error=ValueError)
    refused("no dates", CHL.drop_vars("time"))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (CHL.assign_coords(lon=CHL.lon + 0.02), "different grids"),
        (CHL.isel(lat=slice(1, None)), "different latitudes"),
        (CHL.assign_coords(time=CHL.time + np.timedelta64(8, "D")), "different times"),
        (CHL.isel(time=slice(0, 2)), "different times; align them first with .*reindex"),
        (CHL.coarsen(lat=2, lon=2).mean(), "different grids"),
    ],
)
def test_target_and_condition_on_different_places(other, message):
    """PSC and CHL on other grids, parts of a grid or times are distinguished and both described."""
    refused(rf"'PSC' .*'CHL' .*{message}", PSC, other.rename("CHL").assign_attrs(units="mg m-3"))


def test_units():
    """Unreadable units, and values that cannot be in the units they name are refused."""
    refused("'furlong' cannot be read as the units of chlorophyll", CHL.assign_attrs(units="furlong"))
    refused("sums to 0.01", PSC.assign_attrs(units="%"), CHL)
    refused("impossible.*percent or mg m-3 need attrs", (100 * PSC).assign_attrs(units="1"), CHL)
    refused("impossible.*logarithms", np.log10(CHL).assign_attrs(units="mg m-3"))
    refused("no units", (CHL * 1e-6).drop_attrs().rename("CHL"))
    refused("sums to", (0.1 * PSC).assign_attrs(units="1"), CHL)
    kelvin = CHL.copy(data=np.full(CHL.shape, 290.0)).rename("sst").drop_attrs()
    refused("kelvin", kelvin)
    assert kelvin.assign_attrs(units="K").gapfill.background().name == "sst"


@pytest.mark.parametrize("dtype", [int, "uint8", object, bool, complex])
def test_dtypes(dtype):
    """Integer class codes, objects, masks and complex numbers are a TypeError."""
    refused("floating dtype", CHL.fillna(1).astype(dtype).rename("PSC"), error=TypeError)
    refused("floating dtype", PSC, CHL.fillna(1).astype(dtype), error=TypeError)


def test_what_is_no_array():
    """Names and numpy arrays are no DataArrays."""
    with pytest.raises(TypeError, match="expected a DataArray"):
        xgapfill.background(CHL.values)
    with pytest.raises(TypeError, match="expected a DataArray"):
        xgapfill.background(PSC, "CHL")


def test_unknown_quantities():
    """A variable that is no known quantity, and one given twice."""
    refused("known are chlorophyll.*transform=", CHL.rename("strange").drop_attrs())
    refused("given twice", CHL, CHL.copy())


def test_classes():
    """Unlabelled, missing, doubled and superfluous classes."""
    refused("names the size classes", PSC.drop_vars("size_class"), CHL)
    refused("expected each of", PSC.isel(size_class=[0, 1]), CHL)
    refused("expected each of", PSC.assign_coords(size_class=["micro", "micro", "pico"]), CHL)
    refused("for a single class", PSC, CHL, size_class="micro")
    refused("must be one of", MICRO, CHL, size_class="large")
    refused(r"has \['micro'\] along", PSC.isel(size_class=[0]), CHL, size_class="nano")
    refused("besides time, latitude and longitude", CHL.expand_dims(depth=2))
    with pytest.raises(ValueError, match="the 3 parts micro, nano, pico"):
        xgapfill.background([MICRO, NANO], CHL)
    with pytest.raises(ValueError, match="the 3 parts micro, nano, pico"):
        xgapfill.background([MICRO, NANO, NANO], CHL)
    with pytest.raises(ValueError, match="different latitudes"):
        xgapfill.background([MICRO, NANO, PICO.isel(lat=slice(3))], CHL)


@pytest.mark.parametrize("members", [0, -1, 1.5, True, "two"])
def test_members(members):
    """Members are at least one, and whole."""
    refused("members must be", CHL, verb="repaint", members=members, weights=tiny_weights("chl"))


@pytest.mark.parametrize(
    ("verb", "target", "cond", "options", "message"),
    [
        ("dineof", CHL, None, {"modes": 3}, "fewer than the 3 times of the series, found modes=3; use 1 to 2"),
        ("dineof", CHL.isel(time=slice(0, 2)), None, {}, "at least 3 well observed pixels and frames.*give more data"),
        ("dineof", CHL.where(CHL.isnull(), 0.5), None, {}, "log10_chl has no EOFs: mean -0.[23].*standard deviation"),
        ("som", PSC.isel(lat=slice(0, 3)), CHL.isel(lat=slice(0, 3)), {}, "at least 100 pixels.*give more data"),
        ("som", PSC, CHL.where(CHL.isnull(), 0.5), {}, "log10_chl is -0.[23].* everywhere; leave it out"),
    ],
)
def test_series_that_nothing_can_be_learned_from(verb, target, cond, options, message):
    """Too few frames or pixels, constants and more modes than frames: said when the fit is computed, or at once."""
    with pytest.raises(ValueError, match=message):
        getattr(target.gapfill, verb)(cond, **options).compute()
    with pytest.raises(ValueError, match=message):
        target.gapfill.fit(verb, cond=cond, **options)


@pytest.mark.parametrize("verb", ["climatology", "interpolate", "dctpls", "kriging", "background"])
def test_a_constant_field_stays_constant(verb):
    """What is the same wherever it was observed is filled with about that, and the error is finite and positive."""
    level = xr.full_like(CHL, 0.3).where(CHL.notnull())
    result = getattr(level.gapfill, verb)(full=True).compute()
    np.testing.assert_allclose(result.CHL, 0.3, rtol=0.25)
    assert (result.CHL_spread.values[level.isnull().values] > 0).all()
    assert np.isfinite(result.CHL_spread).all()


def test_seeds_and_schedules():
    """A seed is a whole number of at least 0; a schedule is known or a schedule down to 0."""
    refused("seed", CHL, verb="repaint", seed=-1, weights=tiny_weights("chl"))
    refused("schedule", CHL, verb="repaint", schedule="slow", weights=tiny_weights("chl"))
    refused("schedule", CHL, verb="repaint", schedule=[(1.0, 0.5)], weights=tiny_weights("chl"))


def test_weights_that_do_not_fit(tmp_path):
    """Weights of other targets, an unknown predictor, corrupted and foreign files."""
    refused("fill log10_chl, not psc_ilr1", PSC, CHL, verb="posterior_mean", weights=tiny_weights("chl"))
    sst = CHL.copy(data=np.full(CHL.shape, 15.0)).rename("SST").drop_attrs()
    refused("have no predictor sst", PSC, [CHL, sst], verb="posterior_mean", weights=tiny_weights("psc-chl"))
    refused("have no predictor sst", CHL, sst, verb="posterior_mean", weights=tiny_weights("chl"))
    refused("no weights named", CHL, verb="posterior_mean", weights="best")
    refused("no shipped weights fill sst", sst, verb="posterior_mean")
    file = Weights(tiny_weights("chl").card, tiny_weights("chl").arrays).save(tmp_path / "mine")
    CHL.gapfill.posterior_mean(weights=file)
    file.write_bytes(file.read_bytes()[:-8])
    refused("damaged", CHL, verb="posterior_mean", weights=file)
    foreign = tmp_path / "net.pt"
    foreign.write_bytes(b"pickle")
    refused("no pickles", CHL, verb="posterior_mean", weights=foreign)
    refused("weights must be", CHL, verb="posterior_mean", weights=3, error=TypeError)


@pytest.mark.parametrize("method", ["kriging", "climatology", "background"])
def test_weights_that_nobody_asked_for(method):
    """A method that needs no weights refuses them."""
    with pytest.raises(ValueError, match=f"{method} needs no weights.*leave weights= out"):
        CHL.gapfill.fill(method, weights=tiny_weights("chl"))


def test_sea():
    """A mask of another shape, grid or kind."""
    refused("shape", CHL, sea=np.ones((3, 3), bool))
    refused("boolean or integer", CHL, sea=np.ones((8, 10)), error=TypeError)
    mask = xr.DataArray(np.ones((8, 10), bool), {"lat": CHL.lat + 0.02, "lon": CHL.lon}, ("lat", "lon"))
    refused("not on the grid", CHL, sea=mask)
    refused("expected latitude and longitude", CHL, sea=mask.assign_coords(lat=CHL.lat).expand_dims(depth=2))


def test_impossible_values_in_memory_are_missing(recwarn):
    """Negative chlorophyll and fractions outside [0, 1] are filled, reported, and warned of once, at the call."""
    chl = CHL.copy(deep=True)
    chl[0, 2, 2], chl[1, 3, 3] = -1.0, np.inf
    result = chl.gapfill.background(full=True)
    assert [str(each.message)[:19] for each in recwarn.list] == ["2 impossible values"]
    assert recwarn.list[0].filename == __file__
    result = result.compute()
    assert len(recwarn) == 1
    assert float(result.CHL_status[0, 2, 2]) == float(result.CHL_status[1, 3, 3]) == 4
    assert 0 < result.CHL[0, 2, 2] < 1000
    psc = PSC.fillna(1 / 3)
    psc[0, 1, 2, 2] = 1.5
    result = psc.gapfill.background(CHL, full=True).compute()
    assert result.PSC_status.isel(size_class=0)[1, 2, 2] == 4
    assert result.PSC_status.isel(size_class=1)[1, 2, 2] == 0
    np.testing.assert_allclose(result.PSC.sum("size_class")[1, 2, 2], 1, atol=1e-5)


def test_impossible_values_of_lazy_input_are_missing(recwarn):
    """What is only read in tasks is warned of once from there, and filled all the same."""
    chl = CHL.copy(deep=True)
    chl[:, 2, 2] = -1.0
    lazy = chl.chunk(time=1).gapfill.background(full=True)
    assert len(recwarn) == 0
    result = lazy.compute()
    assert [each.category for each in recwarn.list] == [UserWarning]
    assert "impossible values in the input of CHL" in str(recwarn.list[0].message)
    assert (result.CHL_status[:, 2, 2] == 4).all()
    with warnings.catch_warnings(action="ignore"):
        assert chl.gapfill.background(full=True).equals(result)


def test_impossible_values_of_a_condition_are_missing(recwarn):
    """A negative chlorophyll counts as missing where size classes are filled."""
    chl = CHL.fillna(0.3).copy()
    chl[:, 2, 2] = -1.0
    result = PSC.where(False).gapfill.background(chl, full=True).compute()
    assert len(recwarn) == 1
    assert result.PSC.notnull().all()
    assert (result.PSC_status[:, :, 2, 2] == 4).all()


def test_no_condition_is_warned_of_once(recwarn):
    """Where weights have a predictor, leaving it out gives one warning; elsewhere none."""
    PSC.gapfill.posterior_mean(weights=tiny_weights("psc-chl")).compute()
    assert len(recwarn) == 1
    assert "without cond=" in str(recwarn.list[0].message)
    PSC.gapfill.background().compute()
    CHL.gapfill.posterior_mean(weights=tiny_weights("chl")).compute()
    fill_it = xgapfill.fill
    fill_it(PSC, PosteriorMean(), cond=CHL, weights=tiny_weights("psc-chl")).compute()
    assert len(recwarn) == 1


@pytest.mark.parametrize(
    ("verb", "option"), [("kriging", "weights"), ("background", "smoothing"), ("interpolate", "insitu")]
)
def test_options_that_a_verb_does_not_take(verb, option):
    """Refused with those that it takes, not passed on and forgotten."""
    with pytest.raises(TypeError, match=rf"has no parameter '{option}'.*; its parameters are da, cond, "):
        getattr(CHL.gapfill, verb)(**{option: 1})
