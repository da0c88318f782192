"""The relation of size classes to chlorophyll and temperature."""

from __future__ import annotations

import numpy as np
import pytest

from xgapfill.simulate import size_class_anomalies
from xgapfill.variables import relation
from xgapfill.variables.transforms import ilr_inverse

SIZE_FRACTIONATED, HPLC = "size_fractionated_psc_samples.csv", "hplc_dpa_psc.csv"
DECADES = (0.01, 0.1, 1.0)


def _by_decade(chl, parts):
    """Mean and standard deviation of (3, n) fractions in each decade of chlorophyll, (decade, class)."""
    groups = [parts[:, (chl >= low) & (chl < 10 * low)] for low in DECADES]
    return np.array([group.mean(axis=1) for group in groups]), np.array([group.std(axis=1) for group in groups])


def _with_residuals(samples, **kind):
    """Chlorophyll and simulated fractions of samples, each with residuals from many simulated boxes."""
    boxes = [size_class_anomalies(seed, 2, (32, 32), spin_up=10)[:, :, ::4, ::4] for seed in range(40)]
    residuals = np.concatenate([box.reshape(2, -1) for box in boxes], axis=1)
    times = residuals.shape[1] // samples["tchl"].size
    residuals = np.random.default_rng(0).permutation(residuals, axis=1)[:, : times * samples["tchl"].size]
    chl = np.tile(samples["tchl"], times)
    sst = np.tile(samples["temp"], times) if "temp" in samples else None
    return chl, ilr_inverse(relation.psc_ilr_mean(np.log10(chl), sst, **kind) + residuals)


@pytest.mark.parametrize(
    ("chl", "fractions"),
    [(0.03, (0.1119, 0.2299, 0.6583)), (0.3, (0.2061, 0.4836, 0.3103)), (10.0, (0.8943, 0.0950, 0.0107))],
)
def test_brewin_table(chl, fractions):
    """The three-component model gives the published fractions, which sum to 1."""
    np.testing.assert_allclose(relation.brewin_fractions(np.array(chl)), fractions, atol=1e-4)
    assert relation.brewin_fractions(np.array(chl)).sum() == pytest.approx(1)


def test_fractions_are_a_composition():
    """Mean fractions lie in (0, 1), sum to 1 and are finite for any chlorophyll and temperature, possible or not."""
    log10_chl, sst = np.meshgrid(np.linspace(-6, 4, 41), np.linspace(-50, 90, 15))
    for pigments in (0.0, 0.5, 1.0):
        parts = relation.psc_mean(log10_chl, sst, pigments)
        assert parts.dtype == np.float32
        assert ((parts > 0) & (parts < 1)).all()
        np.testing.assert_allclose(parts.sum(axis=0), 1, atol=1e-6)


def test_more_chlorophyll_means_larger_cells():
    """Micro grows and pico shrinks with chlorophyll, at any temperature."""
    log10_chl = np.linspace(-2, 1.5, 71)
    for sst in (0.0, 15.0, 30.0):
        micro, _, pico = relation.psc_mean(log10_chl, np.full(71, sst))
        assert (np.diff(micro) > -1e-6).all()
        assert (np.diff(pico) < 1e-6).all()


def test_warm_water_means_smaller_cells():
    """At 0.2 mg m-3 the share of pico grows with temperature, as in the samples."""
    pico = relation.psc_mean(np.full(3, np.log10(0.2)), np.array([2.0, 15.0, 28.0]))[2]
    assert (np.diff(pico) > 0).all()
    assert pico[2] - pico[0] > 0.2


def test_unknown_stays_unknown():
    """Chlorophyll that is NaN gives fractions that are NaN, and no others are touched."""
    parts = relation.psc_mean(np.array([np.nan, 0.0]))
    assert np.isnan(parts[:, 0]).all()
    assert np.isfinite(parts[:, 1]).all()


def test_scalars_do():
    """A single number gives the same as an array of it."""
    np.testing.assert_array_equal(
        relation.psc_mean(-0.5, 12.0, 1.0), relation.psc_mean(np.array([-0.5]), 12.0, 1.0)[:, 0]
    )


def test_scatter_factor():
    """The factor squared is the covariance of standard deviations and correlation."""
    factor = relation.scatter_factor()
    covariance = factor @ factor.T
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), relation.SCATTER)
    assert covariance[0, 1] / relation.SCATTER.prod() == pytest.approx(relation.SCATTER_CORRELATION)


def test_fit_finds_what_made_the_samples():
    """Samples made with the constants of the package give these constants back."""
    rng = np.random.default_rng(0)
    chl, sst = 10 ** rng.uniform(-1.2, 1, 20000), rng.uniform(0, 30, 20000)
    noise = 0.3 * relation.scatter_factor() @ rng.standard_normal((2, chl.size))
    parts = ilr_inverse(relation.psc_ilr_mean(np.log10(chl), sst) + noise)
    fitted = relation.fit({"tchl": chl, "temp": sst, "parts": parts})
    np.testing.assert_allclose(fitted["COEFFICIENTS"], relation.COEFFICIENTS, atol=0.06)
    np.testing.assert_allclose(fitted["SCATTER"], 0.3 * relation.SCATTER, rtol=0.05)


def test_command_without_a_folder(capsys):
    """The command says how it is used when it is not told where the tables are."""
    assert relation.main([]) == 2
    assert "DATA_FOLDER" in capsys.readouterr().err


@pytest.mark.shared
def test_constants_are_those_of_the_table(shared_data, capsys):
    """The fit to the in-situ tables gives the constants of the package, and the command prints them."""
    fitted = relation.fit(relation.read_samples(shared_data / SIZE_FRACTIONATED))
    for name, value in fitted.items():
        np.testing.assert_allclose(value, getattr(relation, name), atol=1e-4)
    pigments = relation.fit_pigments(relation.read_samples(shared_data / HPLC))
    np.testing.assert_allclose(pigments, relation.PIGMENTS, atol=1e-4)
    assert relation.main([str(shared_data)]) == 0
    assert "COEFFICIENTS" in capsys.readouterr().out


@pytest.mark.shared
def test_simulated_scatter_is_that_of_the_samples(shared_data):
    """Relation plus simulated residuals have the mean and scatter of the fractions by decade of chlorophyll to 0.05."""
    samples = relation.read_samples(shared_data / SIZE_FRACTIONATED)
    simulated, measured = _by_decade(*_with_residuals(samples)), _by_decade(samples["tchl"], samples["parts"])
    np.testing.assert_allclose(simulated[0], measured[0], atol=0.05)
    np.testing.assert_allclose(simulated[1], measured[1], atol=0.05)


@pytest.mark.shared
def test_pigments_agree_with_their_table(shared_data):
    """With pigments=1 the mean fractions by decade are those of the HPLC table to 0.07, whatever the method did."""
    samples = relation.read_samples(shared_data / HPLC)
    simulated = _by_decade(*_with_residuals(samples, pigments=1.0))
    np.testing.assert_allclose(simulated[0], _by_decade(samples["tchl"], samples["parts"])[0], atol=0.07)
