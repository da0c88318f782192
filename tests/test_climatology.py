"""Climatologies by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH
from xgapfill.methods.climatology import Climatology, Year, climatology
from xgapfill.testing import windows as windows_of

NOISE = Noise(0, 8640)
PSC = ("psc_ilr1", "psc_ilr2", "log10_chl")
MONTH = 365.2425 / 12


def windows(values: np.ndarray, channels: tuple[str, ...] = ("log10_chl",), dated: bool = True) -> Windows:
    """One monthly window (t, c, y, x) that begins in January, NaN where missing, and empty ones."""
    whole = np.full((BATCH, *values.shape), np.nan)
    whole[0] = values
    angle = 2 * np.pi * (np.arange(len(values)) + 0.5) / 12
    season = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * dated
    season = np.broadcast_to(season, (BATCH, len(values), 2)).astype(np.float32)
    return windows_of(whole, channels, season=season, step_days=MONTH)


def yearly(years: int, seed: int = 0, side: int = 6) -> np.ndarray:
    """A seasonal cycle with weather, (t, 1, y, x)."""
    rng = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * (np.arange(12 * years) + 0.5) / 12)
    return cycle[:, None, None, None] + 0.3 * rng.normal(size=(12 * years, 1, side, side))


def test_mean_of_all_times():
    """Each pixel takes the mean of its observations; one without any takes that of its neighbour."""
    values = yearly(1)
    values[np.random.default_rng(1).random(values.shape) < 0.5] = np.nan
    values[:, 0, 0, 0] = np.nan
    values[0, 0, 0, 1] = 5.0
    filled = Climatology().fill(windows(values), None, NOISE, 1)
    expected = np.nanmean(values[:, 0, 1:], axis=0)
    found, spread = filled.values[0, 0, :, 0], filled.spread[0, 0, 0]
    np.testing.assert_allclose(found[:, 1:], np.broadcast_to(expected, (12, 5, 6)), rtol=1e-5, atol=1e-6)
    assert np.isin(found[0, 0, 0], [found[0, 0, 1], found[0, 1, 0]])
    assert spread[0, 0] >= min(spread[0, 1], spread[1, 0])


def test_mean_of_the_time_of_the_year():
    """With three years, a month is the mean of itself (twice) and its neighbours, around the end of the year too."""
    values = yearly(3)
    filled = Climatology().fill(windows(values), None, NOISE, 1)
    months = values[:, 0].reshape(3, 12, 6, 6).mean(axis=0)
    expected = (np.roll(months, 1, axis=0) + 2 * months + np.roll(months, -1, axis=0)) / 4
    np.testing.assert_allclose(filled.values[0, 0, :, 0], np.tile(expected, (3, 1, 1)), atol=1e-6)


def test_auto_wants_two_years():
    """The time of the year matters from two years on, or when it is asked for; without dates never."""
    short, long = windows(yearly(2)[:23]), windows(yearly(2))
    spread = [Climatology().fill(w, None, NOISE, 1).values[0, 0, :, 0].std(axis=0).mean() for w in (short, long)]
    assert spread[0] < 1e-6
    assert spread[1] > 0.5
    assert Climatology("year").fill(short, None, NOISE, 1).values[0, 0, :, 0].std(axis=0).mean() > 0.5
    assert Climatology("all").fill(long, None, NOISE, 1).values[0, 0, :, 0].std(axis=0).mean() < 1e-6
    undated = windows(yearly(2), dated=False)
    assert Climatology().fill(undated, None, NOISE, 1).values[0, 0, :, 0].std(axis=0).mean() < 1e-6
    with pytest.raises(ValueError, match="expected data with dates"):
        Climatology("year").fill(undated, None, NOISE, 1)


def test_a_season_never_observed_takes_that_of_the_window():
    """A pixel without observations in winter takes its mean and the winter anomaly of the others."""
    values = yearly(4)
    dark = np.arange(48) % 12 < 5
    values[dark, 0, 2, 2] = np.nan
    filled = Climatology().fill(windows(values), None, NOISE, 1)
    february = filled.values[0, 0, 1, 0]
    others = np.delete(february.ravel(), 14)
    level = np.nanmean(values[:, 0, 2, 2]) - np.delete(values[:, 0].mean(axis=0).ravel(), 14).mean()
    assert february[2, 2] == pytest.approx(others.mean() + level, abs=0.06)
    assert filled.spread[0, 1, 0, 2, 2] >= filled.spread[0, 8, 0, 2, 2]


def test_spread_is_the_error_of_an_missing_date():
    """The spread is what a new date departs by, also where few dates were observed."""
    for years in (2, 6):
        values = yearly(years, side=24)
        new = yearly(1, seed=9, side=24)
        filled = Climatology().fill(windows(values), None, NOISE, 1)
        error = np.sqrt(np.mean((filled.values[0, 0, :12] - new) ** 2))
        assert error / filled.spread[0].mean() == pytest.approx(1, abs=0.05)


def test_leaving_one_out_is_exact():
    """The shortcut for residuals of a mean that leaves the observation out gives what leaving it out gives."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(5, 1, 1)).astype(np.float32)
    _, spread = climatology(values, np.ones(values.shape, bool), Year(np.zeros(5, np.int64), 1), prior=0.5)
    left = sum(float(values[i, 0, 0] - np.delete(values, i).mean()) ** 2 for i in range(5))
    usual = (left / 100 + 5 * 0.5) / (5 / 100 + 5)
    np.testing.assert_allclose(spread[0, 0, 0] ** 2, (left + 5 * usual) / (5 + 5), rtol=1e-5)


def test_a_single_observation():
    """One observed pixel fills its window, with the prior's spread."""
    values = np.full((3, 1, 4, 4), np.nan)
    values[1, 0, 2, 2] = -1.5
    filled = Climatology().fill(windows(values), None, NOISE, 1)
    np.testing.assert_allclose(filled.values[0, 0], -1.5)
    np.testing.assert_allclose(filled.spread[0], 0.2**0.5, rtol=0.01)


def test_bits_do_not_depend_on_the_neighbours_in_the_batch():
    """A window gives the same bits whatever fills the rest of the batch, and wherever in it it stands."""
    rng = np.random.default_rng(4)
    gaps = [np.where(rng.random((24, 3, 8, 8)) < 0.3, rng.normal(size=(24, 3, 8, 8)), np.nan) for _ in range(2)]
    gaps[0][:, 1] = np.nan  # goes through the regression
    alone, mixed = (windows(field, PSC) for field in gaps)
    mixed.values[3], mixed.observed[3] = alone.values[0], alone.observed[0]
    first, second = (Climatology().fill(w, None, NOISE, 1) for w in (alone, mixed))
    assert np.array_equal(first.values[0, 0], second.values[0, 3])
    assert np.array_equal(first.spread[0], second.spread[3])


def test_windows_hold_the_whole_series():
    """One window covers all times; no pixel is in two."""
    tiling = Climatology().tiling(8640, (3, 50))
    assert tiling.series == (3, 50)
    assert tiling.size == tiling.stride == (47, 64, 64)
    assert (tiling.weight == 1).all()


def test_wrong_parameters_are_refused():
    """Messages say what was expected."""
    with pytest.raises(ValueError, match="by must be 'auto'"):
        Climatology("month")


def test_is_picklable():
    """Tasks carry the method."""
    assert pickle.loads(pickle.dumps(Climatology("year"))) == Climatology("year")
