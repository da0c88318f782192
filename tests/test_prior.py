"""The prior of all windows: season and large scale, exact sums, no trace of windows in wide gaps."""

import warnings

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map

import xgapfill
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.cells import CELL, cells_of, grid_of_cells, places_on
from xgapfill.lattice.grid import Grid
from xgapfill.methods import Background
from xgapfill.prior import large
from xgapfill.prior.exact import rounded

RNG = np.random.default_rng(0)
LAT, LON = np.arange(40.0, 46.0, 1 / 24), np.arange(-4.0, 4.0, 1 / 24)


def test_cells_of_pixels_and_pixels_of_cells_agree_across_the_first_column():
    """Every pixel of a range of cells lies in one of them, also where columns begin again and the last cell is cut."""
    grid = Grid.of(None, LAT, LON)
    grid = type(grid)(**{**vars(grid), "ncols": 8637, "cols": tuple(np.arange(-96, 96) % 8637)})
    cells = grid_of_cells(grid)
    for first, stop in ((-3, 4), (0, 1), (-1, 0), (1078, 1083)):
        low, high = places_on(2, (first, stop), cells, grid)
        found = cells_of(np.arange(low, high), 2, grid, CELL)
        assert found[0] == first
        assert found[-1] == stop - 1
        assert (np.diff(found) >= 0).all()
        assert places_on(2, (low, high), grid, cells) == (first - 1, stop + 1)


def places(slots, rows, cols):
    return large.Places(
        *(np.arange(*axis, dtype=float) for axis in (slots, rows, cols)), np.cos(np.deg2rad(np.arange(*rows)))
    )


def nested_means(count, mean, of, at, step_days, anchored=True):
    """The large scale of one channel."""
    field, left = large.nested_means(count[None], mean[None], of, at, step_days, [anchored])
    return field[0], left[0]


def test_the_large_scale_of_a_part_has_the_bits_of_the_whole():
    """Sums are exact, so they do not depend on the box, as long as it holds the reach."""
    t, y, _x = large.reach(8.0)
    shape = (2 * t + 2, 2 * y + 20, 60)
    count = RNG.integers(0, 64, shape).astype(float) * (RNG.random(shape) < 0.3)
    mean = RNG.normal(size=shape)
    axes = [(0, n) for n in shape]
    whole, left = nested_means(count, mean, places(*axes), places(*axes), 8.0)
    box = (slice(0, shape[0]), slice(5, shape[1] - 5), slice(0, 60))
    of = places((0, shape[0]), (5, shape[1] - 5), (0, 60))
    at = places((t, t + 1), (y + 5, y + 8), (20, 30))
    part, part_left = nested_means(count[box], mean[box], of, at, 8.0)
    assert (part == whole[t : t + 1, y + 5 : y + 8, 20:30]).all()
    assert (part_left == left[:, t : t + 1, y + 5 : y + 8, 20:30]).all()


def test_the_large_scale_is_the_mean_where_all_is_observed_and_the_prior_where_nothing_is():
    shape = (1, 30, 300)
    count = np.full(shape, 64.0)
    count[..., 150:] = 0
    axes = [(0, n) for n in shape]
    field, left = nested_means(count, np.ones(shape), places(*axes), places(*axes), 8.0)
    assert field[0, 15, 10] == pytest.approx(1, abs=0.02)
    assert np.abs(field[0, 15, -10:]).max() < 1e-3
    assert (left[0, 0, 15, -10:] > 0.999).all()
    assert (np.diff(field[0, 15, 140:]) <= 1e-9).all()  # falls to the prior without a step
    assert np.abs(np.diff(field[0, 15])).max() < 0.2
    unknown, _ = nested_means(0 * count, np.ones(shape), places(*axes), places(*axes), 8.0, anchored=False)
    assert np.isnan(unknown).all()


def test_fields_of_cells_are_interpolated_linearly():
    y, x = np.meshgrid(np.arange(5.0), np.arange(6.0), indexing="ij")
    at = np.linspace(0.1, 3.9, 17), np.linspace(0.3, 4.8, 11)
    field = (2 * y - x)[None].astype(np.float32)
    assert np.allclose(large.at_pixels(field, *at), 2 * at[0][:, None] - at[1], atol=1e-5)
    field[0, 0] = np.nan  # a cell that is not there does not count
    assert np.isfinite(large.at_pixels(field, *at)).all()


def test_rounded_numbers_add_exactly():
    values = rounded(RNG.normal(size=1000))
    assert values.sum() == values[::-1].sum() == values.reshape(10, 100).sum(axis=0).sum()


def coast_to_coast(shape=(1, 40, 380)):
    """A map observed at both ends, with a wide gap over many windows."""
    full = chl_map(shape, lat=40.0, lon=-40.0)
    cols = np.arange(shape[2])
    return full.where(xr.DataArray((cols < 80) | (cols > 300), dims="lon"))


@pytest.mark.parametrize("method", ["background", "dctpls"])
def test_wide_gaps_show_no_windows(method):
    """Half a window to the east, where the windows of the map lie elsewhere, a wide gap is filled with the same."""
    target = coast_to_coast()
    moved = target.assign_coords(lon=target.lon + 24 / 24)  # three cells
    away = slice(120, 260)

    def filled(each, **options):
        sea = np.ones(target.shape[1:], bool)
        return np.log10(getattr(xgapfill, method)(each, sea=sea, **options).isel(time=0, lon=away).values)

    assert np.abs(filled(target) - filled(moved)).max() < 1e-3
    assert np.isnan(filled(target, prior=None)).any()  # windows that see nothing


def test_a_prior_must_be_known():
    with pytest.raises(
        ValueError, match=r"prior must be 'auto', None or a Dataset of xgapfill\.season, found 'season'"
    ):
        xgapfill.background(chl_map((1, 8, 8)), prior="season")


def test_anomalies_are_scaled_only_without_predictors_in_windows():
    """A predictor enters regressions as a whole, so what is taken from it must come back by addition alone."""
    chl = chl_map((1, 8, 8))
    swell = (2 * chl).rename("swell").assign_attrs(units="m", standard_name="")
    for target, cond, alone in ((chl, None, True), (chl, swell, True), (psc_map(chl), chl, False)):
        options = FillOptions(time_step="8D")
        with warnings.catch_warnings(action="ignore"):
            job = Job.of(target, Background(), cond, options)
        assert job.kernel.prior.alone is alone
