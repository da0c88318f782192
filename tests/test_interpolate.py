"""Linear interpolation in time and the nearest value in space and time, against xarray and by hand."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH
from xgapfill.methods.interpolate import Interpolate, linear_in_time, nearest
from xgapfill.methods.shared import blocks, error_factor
from xgapfill.testing import windows as windows_of

NOISE = Noise(0, 8640)
PSC = ("psc_ilr1", "psc_ilr2", "log10_chl")


def windows(values: np.ndarray, channels: tuple[str, ...] = ("log10_chl",)) -> Windows:
    """One window (t, c, y, x), NaN where missing, and empty ones."""
    whole = np.full((BATCH, *values.shape), np.nan)
    whole[0] = values
    return windows_of(whole, channels, step_km=np.full((BATCH, 2), 5, np.float32))


def random_gaps(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers of which a third is observed."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.33, rng.normal(size=shape), np.nan).astype(np.float32)


def limited(values: np.ndarray, max_gap: int) -> np.ndarray:
    """Values (t, y, x) as interpolate_na(max_gap=) has them; xarray does it itself only where bottleneck is."""
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": np.arange(len(values))})
    filled = array.interpolate_na("time").values
    for y, x in np.ndindex(values.shape[1:]):
        dates = np.flatnonzero(np.isfinite(values[:, y, x]))
        for before, after in pairwise(dates):
            if after - before > max_gap:
                filled[before + 1 : after, y, x] = np.nan
    return filled


@pytest.mark.parametrize("max_gap", [0, 2, 5, 30])
def test_linear_part_is_that_of_xarray(max_gap):
    """Where interpolate_na of xarray fills with the same max_gap, and only there, values are linear in time."""
    values = random_gaps(0, (12, 9, 8))
    expected = limited(values, max_gap)
    found, there = linear_in_time(np.nan_to_num(values), np.isfinite(values), max_gap)
    assert np.array_equal(there, np.isfinite(expected))
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-5, atol=1e-6)


def test_max_gap_is_that_of_xarray():
    """The longest gap means what it means to xarray."""
    pytest.importorskip("bottleneck", reason="interpolate_na(max_gap=) needs it")
    values = random_gaps(1, (12, 9, 8))
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": np.arange(12)})
    np.testing.assert_array_equal(array.interpolate_na("time", max_gap=4).values, limited(values, 4))


def test_fill_equals_xarray_where_that_fills():
    """The method's estimate is the linear one wherever xarray has one, and finite everywhere else."""
    values = random_gaps(2, (14, 1, 20, 20))
    filled = Interpolate(max_steps=4).fill(windows(values), None, NOISE, 1)
    expected = limited(values[:, 0], 4)
    there = np.isfinite(expected)
    assert 0.4 < there.mean() < 0.8
    np.testing.assert_allclose(filled.values[0, 0, :, 0][there], expected[there], rtol=1e-5, atol=1e-6)
    assert np.isfinite(filled.values).all()
    assert (filled.spread > 0).all()


def test_nearest_by_hand():
    """Days and km are weighed against each other: a day as far as frame_km."""
    values = np.full((2, 1, 1, 8), np.nan, np.float32)
    values[0, 0, 0, 0], values[1, 0, 0, 7] = 1.0, 2.0
    near_in_time = Interpolate(max_steps=0, frame_km=1.0).fill(windows(values), None, NOISE, 1).values[0, 0, :, 0, 0]
    assert np.array_equal(near_in_time, [[1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2, 2]])
    near_in_space = Interpolate(max_steps=0, frame_km=10.0).fill(windows(values), None, NOISE, 1).values[0, 0, :, 0, 0]
    assert np.array_equal(near_in_space, np.repeat([[1.0], [2.0]], 8, axis=1))


def test_nearest_is_the_nearest():
    """Distances and values are those of a search through all observed pixels."""
    rng = np.random.default_rng(2)
    shape, sampling = (3, 6, 7), (11.0, 4.0, 3.0)
    values, observed = rng.normal(size=shape).astype(np.float32), rng.random(shape) < 0.15
    distance, value = nearest(values, observed, sampling)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1) * np.array(sampling)
    every = np.linalg.norm(places[..., None, :] - places[observed], axis=-1)
    np.testing.assert_allclose(distance, every.min(axis=-1))
    tied = np.isclose(every, every.min(axis=-1, keepdims=True))
    assert (tied & (values[observed] == value[..., None])).any(axis=-1).all()


def test_spread_grows_away_from_what_was_observed():
    """Far from the data the error is larger, and about as large as it is found to be."""
    rng = np.random.default_rng(3)
    waves = np.hypot(*np.meshgrid(np.fft.rfftfreq(96), np.fft.fftfreq(96)))
    rough = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(6, 96, 96))) * np.exp(-8 * waves))
    truth = (0.5 * rough / rough.std()).astype(np.float32)[:, None]
    values = np.where(np.arange(96) % 32 < 16, truth, np.nan)
    filled = Interpolate().fill(windows(values), None, NOISE, 1)
    hidden = np.isnan(values)
    assert filled.spread[0, ..., 24].mean() > 1.2 * filled.spread[0, ..., 16].mean()
    ratio = np.sqrt(np.mean(((filled.values[0, 0] - truth) / filled.spread[0])[hidden] ** 2))
    assert 0.6 < ratio < 1.6


def test_bits_do_not_depend_on_the_neighbours_in_the_batch():
    """A window gives the same bits whatever fills the rest of the batch, and wherever in it it stands."""
    fields = [random_gaps(seed, (5, 3, 16, 16)) for seed in (4, 5)]
    fields[0][:, 0] = np.nan  # goes through the regression
    alone, mixed = (windows(field, PSC) for field in fields)
    mixed.values[2], mixed.observed[2] = alone.values[0], alone.observed[0]
    first, second = (Interpolate().fill(w, None, NOISE, 1) for w in (alone, mixed))
    assert np.array_equal(first.values[0, 0], second.values[0, 2])
    assert np.array_equal(first.spread[0], second.spread[2])


def test_windows_leave_no_holes_and_see_far_enough():
    """The time margin holds the longest gap; a pixel counts in one window only."""
    for max_gap in (0, 1, 5, 9):
        tiling = Interpolate(max_steps=max_gap).tiling(8640, (0, 46))
        assert tiling.margin[0] >= max(max_gap, 1)
        assert all(s == n - 2 * m for s, n, m in zip(tiling.stride, tiling.size, tiling.margin, strict=True))


def test_blocks_hide_a_fifth():
    """Held-out blocks hide a fifth of the pixels of each frame, in squares that the next frame shows."""
    held = blocks((5, 60, 60))
    np.testing.assert_allclose(held.mean(axis=(1, 2)), 0.2)
    assert not (held[1:] & held[:-1]).any()


def test_error_factor():
    """Many errors twice as large as expected say so, few of them change little."""
    assert error_factor(np.full(10**6, 2.0), np.ones(10**6)) == pytest.approx(2, abs=0.01)
    assert error_factor(np.full(10, 2.0), np.ones(10)) == pytest.approx(1, abs=0.03)
    assert error_factor(np.zeros(0), np.zeros(0)) == 1


def test_wrong_parameters_are_refused():
    """Messages say what was expected."""
    with pytest.raises(ValueError, match="max_steps must be a whole number"):
        Interpolate(max_steps=-1)
    with pytest.raises(ValueError, match="max_steps must be a whole number"):
        Interpolate(max_steps=2.5)
    with pytest.raises(ValueError, match="frame_km must be a number"):
        Interpolate(frame_km=0)


def test_is_picklable():
    """Tasks carry the method."""
    assert pickle.loads(pickle.dumps(Interpolate(3))) == Interpolate(3)
