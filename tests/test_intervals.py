"""Intervals of estimates: their bounds, their calibration, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map

import xgapfill
from xgapfill.kernel.calibration import Calibration
from xgapfill.testing import tiny_weights
from xgapfill.validation.intervals import activity, coverage_table
from xgapfill.weights import Weights

LEVEL = 0.9


@pytest.fixture(scope="module")
def ocean():
    return xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 40), lon=slice(0, 40)).load()


@pytest.fixture(scope="module")
def calibration(ocean):
    return xgapfill.calibrate(ocean.CHL, "interpolate", prior=None)


def spreads_away(found, missing):
    """Distance of the upper bound in spreads of log10, at missing pixels."""
    away = np.log10(found.CHL_upper / found.CHL) / found.CHL_spread_log10
    return away.values[missing.values & found.CHL.notnull().values]


def test_a_normal_interval_is_that_of_the_spread(ocean):
    """Without a calibration the bounds are 1.645 spreads away: of log10 for chlorophyll."""
    found = xgapfill.background(ocean.CHL.isel(time=slice(8, 10)), interval=LEVEL, full=True).load()
    missing = ocean.CHL.isel(time=slice(8, 10)).isnull()
    assert np.allclose(spreads_away(found, missing), 1.6449, rtol=1e-3)
    assert found.CHL_lower.where(~missing).equals(found.CHL.where(~missing))
    assert found.CHL_upper.where(~missing).equals(found.CHL.where(~missing))
    assert "CHL_lower" in found.CHL.attrs["ancillary_variables"]
    assert "normal" in found.attrs["xgapfill_interval"]
    assert found.CHL_upper.attrs["units"] == ocean.CHL.attrs["units"]


def test_the_card_of_weights_tells_how_wide(ocean):
    """Estimates of a network have the factor of its card; between its levels it follows a normal distribution."""
    weights = tiny_weights("chl")
    card = replace(weights.card, intervals={"levels": (0.5, 0.9), "factors": (0.6745, 2 * 1.6449)})
    chl = ocean.CHL.isel(time=slice(8, 10))
    found = {
        level: xgapfill.posterior_mean(chl, weights=Weights(card, weights.arrays), interval=level, full=True).load()
        for level in (0.5, 0.9, 0.95)
    }
    assert "calibrated with the weights tiny-chl" in found[0.9].attrs["xgapfill_interval"]
    for level, factor in ((0.5, 0.6745), (0.9, 2 * 1.6449), (0.95, 2 * 1.96)):
        assert np.allclose(spreads_away(found[level], chl.isnull()), factor, rtol=1e-3)
    plain = xgapfill.posterior_mean(chl, weights=weights, interval=0.9)
    assert "normal" in plain.attrs["xgapfill_interval"]


def test_bounds_of_fractions_are_fractions(ocean):
    """Bounds stay within 0 and 1 (0 and 100 %), whatever the spread."""
    part = ocean.isel(time=slice(8, 9))
    for factor, units in ((1, "1"), (100, "percent")):
        psc = (part.PSC * factor).assign_attrs(units=units)
        found = xgapfill.background(psc, part.CHL, interval=0.9999).load()
        assert list(found) == ["PSC", "PSC_lower", "PSC_upper"]
        assert float(found.PSC_lower.min()) >= 0
        assert float(found.PSC_upper.max()) <= factor
        assert bool(((found.PSC_lower <= found.PSC) & (found.PSC_upper >= found.PSC)).all())


def test_a_calibration_holds_on_dates_it_has_not_seen(ocean, calibration):
    """Spreads that are too small or too large are corrected; the bounds of the fill use the factor."""
    table = calibration.table
    assert abs(table.coverage["all"] - LEVEL) < 0.03
    assert table.coverage["worst date"] <= table.coverage["all"]
    assert {"<=2", "calm", "active"} <= set(table.index)
    filled = xgapfill.interpolate(ocean.CHL, interval=LEVEL, calibration=calibration, prior=None, full=True)
    assert f"{calibration.dates} dates" in filled.attrs["xgapfill_interval"]
    frame = filled.isel(time=8).load()
    away = spreads_away(frame, ocean.CHL.isel(time=8).isnull())
    own = dict(calibration.own)[calibration.grid.slots[8]]
    assert 0.3 < own < 3
    assert np.allclose(away, own * calibration.factor(LEVEL), rtol=1e-3)
    assert "interpolate" in repr(calibration)


def test_intervals_do_not_depend_on_chunks(ocean):
    """The same bits for any chunking."""
    chl = ocean.CHL.isel(time=slice(8, 11))
    whole = xgapfill.background(chl, interval=LEVEL).load()
    assert xgapfill.background(chl.chunk(time=1, lat=17, lon=23), interval=LEVEL).load().identical(whole)


def test_coverage_is_that_of_exchangeable_dates():
    """With normal errors and a spread half of theirs, intervals cover their share; normal ones do not."""
    draw = np.random.default_rng(0)
    dates = np.repeat(np.arange(40), 250)
    error = draw.normal(size=dates.size)
    clouds = np.arange(dates.size) // 25
    table = coverage_table(error, np.full(dates.size, 0.5), dates, clouds, {"first": dates < 20}, LEVEL)
    assert abs(table.coverage["all"] - LEVEL) < 0.01
    assert table.normal_coverage["all"] < 0.65
    assert np.isclose(table.width["all"], 2 * 1.645, rtol=0.03)
    assert table.loc["first", "values"] == 20 * 250


def test_a_date_that_is_filled_worse_has_wider_intervals():
    """A tenth of the dates miss twice as much: their own clouds tell, so that they are covered better."""
    draw = np.random.default_rng(0)
    dates = np.repeat(np.arange(40), 1000)
    clouds = np.arange(dates.size) // 25
    worse = dates % 10 == 0
    error = draw.normal(size=dates.size) * np.where(worse, 2.0, 1.0)
    table = coverage_table(error, np.ones(dates.size), dates, clouds, {"worse": worse}, LEVEL)
    assert table.coverage["worse"] > 0.75 > 0.65 > table.normal_coverage["worse"]
    assert table.coverage["worst date"] > 0.7
    assert abs(table.coverage["all"] - LEVEL) < 0.02


def test_dates_without_withheld_pixels_have_the_common_factor(calibration):
    """Another series has the same factor on all of its dates; a part of the calibrated one has its own."""
    (slot, ratio), grid = calibration.own[0], calibration.grid
    others = replace(grid, calendar="regular"), replace(grid, rows=tuple(row + 40 for row in grid.rows))
    known, part = (calibration.interval(LEVEL, each) for each in (grid, replace(grid, rows=grid.rows[:9])))
    assert known == part
    assert np.isclose(known.at(slot), ratio * calibration.factor(LEVEL))
    for other in others:
        assert known.at(10**6) == calibration.interval(LEVEL, other).at(slot) == calibration.factor(LEVEL)


def test_a_calibrated_fill_does_not_depend_on_chunks(ocean, calibration):
    """Factors of dates belong to dates: the same bits for any chunks and for time in reverse."""
    whole = xgapfill.interpolate(ocean.CHL, interval=LEVEL, calibration=calibration, prior=None).load()
    for chl in (ocean.CHL.chunk(time=5, lat=17, lon=23), ocean.CHL.isel(time=slice(None, None, -1))):
        found = xgapfill.interpolate(chl, interval=LEVEL, calibration=calibration, prior=None).load()
        assert found.sortby("time").identical(whole)


def test_calm_pixels_vary_little_around():
    """Activity is the standard deviation of what is known in a square."""
    maps = np.zeros((1, 9, 9))
    maps[0, :, 6:] = np.nan
    maps[0, 2, 2] = 25.0
    found = activity(maps)
    assert np.isclose(found[0, 2, 2], np.std([25.0, *[0.0] * 24]))
    assert found[0, 8, 0] < 1e-6


@pytest.mark.parametrize("level", [0, 1, 1.5, True, "0.9"])
def test_levels_are_shares(level):
    """Anything but a share is refused at the call."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        xgapfill.background(chl_map(), interval=level)


def test_a_calibration_of_another_fill_is_refused(calibration):
    """Another method, other channels, no interval, members."""
    chl = chl_map()
    with pytest.raises(ValueError, match="its method 'interpolate', here 'background'"):
        xgapfill.background(chl, interval=LEVEL, calibration=calibration)
    with pytest.raises(ValueError, match="channels"):
        xgapfill.interpolate(psc_map(chl), interval=LEVEL, calibration=calibration)
    with pytest.raises(ValueError, match="give interval="):
        xgapfill.interpolate(chl, calibration=calibration)
    with pytest.raises(TypeError, match=r"xgapfill\.calibrate"):
        xgapfill.interpolate(chl, interval=LEVEL, calibration=1.7)
    with pytest.raises(ValueError, match="quantiles"):
        xgapfill.kriging(chl, members=2, interval=LEVEL)
    with pytest.raises(ValueError, match="quantiles"):
        xgapfill.calibrate(chl, "repaint")
    with pytest.raises(TypeError, match="interval"):
        xgapfill.repaint(chl, interval=LEVEL)


def test_few_dates_are_warned_of(ocean):
    """A short series calibrates with a warning; a single map does not."""
    with pytest.warns(UserWarning, match="below 20"):
        xgapfill.calibrate(ocean.CHL.isel(time=slice(0, 4)), "interpolate", prior=None)
    with pytest.raises(ValueError, match=r"hidden|two dates"):
        xgapfill.calibrate(ocean.CHL.isel(time=slice(0, 1)), "interpolate", prior=None)


def test_the_factor_interpolates_between_quantiles():
    """The share is raised by 1 / n, as in split conformal prediction."""
    import pandas as pd

    calibration = Calibration("m", "x", ("c",), "", 30, 9, tuple(np.linspace(0, 4, 5)), pd.DataFrame())
    assert np.isclose(calibration.factor(0.9), 4.0)
    assert np.isclose(calibration.factor(0.45), 2.0)


def test_results_with_intervals_are_written_and_read(ocean, tmp_path):
    """All bounds survive a store."""
    filled = xgapfill.background(ocean.CHL.isel(time=slice(8, 9)), interval=LEVEL)
    xgapfill.write(filled, tmp_path / "filled.zarr")
    again = xr.open_zarr(tmp_path / "filled.zarr")
    assert np.array_equal(again.CHL_upper.values, filled.CHL_upper.values, equal_nan=True)
