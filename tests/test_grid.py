"""Addresses: equal places have equal addresses, however the array was cut, flipped, rolled or rounded."""

from __future__ import annotations

import pickle

import cftime
import dask
import numpy as np
import pytest
import xarray as xr
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

from xgapfill.inputs.dates import grid_at
from xgapfill.lattice.grid import Box

LAT = np.arange(48.98, 45, -1 / 24)
LON = -61 + (np.arange(160) + 0.5) / 16


def days(*dates: str) -> np.ndarray:
    return np.array(dates, "M8[ns]")


def composites(*years: int, length: int = 8) -> np.ndarray:
    """First days of composites that begin anew on 1 January."""
    starts = [np.arange(f"{year}-01-01", f"{year + 1}-01-01", length, dtype="M8[D]") for year in years]
    return np.concatenate(starts).astype("M8[ns]")


def globe(ncols: int, origin: float = -180.0) -> tuple[np.ndarray, np.ndarray]:
    """Centres of square cells that fill the globe."""
    step = 360 / ncols
    return -90 + (np.arange(ncols // 2) + 0.5) * step, origin + (np.arange(ncols) + 0.5) * step


def test_box_has_a_shape_and_grows_on_every_side():
    """A grown box has more places on both sides of each axis."""
    box = Box((1, 3), (-2, 5), (8630, 8650))
    assert box.shape == (2, 7, 20)
    assert box.grown((1, 2, 3)) == Box((0, 4), (-4, 7), (8627, 8653))


def test_whole_globe_is_periodic_and_counts_from_south_pole_and_greenwich():
    """Row 0 is the southernmost, col 0 begins at 0 E, and all columns close around the globe."""
    grid = grid_at(None, *globe(720))
    assert (grid.rows, grid.cols[:2], grid.ncols, grid.periodic) == (tuple(range(360)), (360, 361), 720, True)
    assert not grid_at(None, globe(720)[0], globe(720)[1][:-1]).periodic


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("ncols", [360, 1440, 3600, 4320, 8640])
def test_orientation_and_origin_do_not_matter(ncols: int, dtype: str):
    """Flipped latitudes, longitudes from 0 or -180 or rolled, in float32 or float64: the same addresses."""
    lat, lon = (axis.astype(dtype) for axis in globe(ncols))
    east = globe(ncols, 0.0)[1].astype(dtype)
    first = grid_at(None, lat, lon)
    others = [
        grid_at(None, lat[::-1], lon),
        grid_at(None, lat, east),
        grid_at(None, lat, np.roll(lon, 77)),
        grid_at(None, lat, east[::-1]),
    ]
    for other in others:
        assert other.same_places(first)
        assert (other.steps, other.phases, other.periodic) == (first.steps, first.phases, True)
        degrees = [90.0 - 360 / ncols / 2]
        assert first.index_rows(other.rows).tolist() == [first.rows.index(row) for row in other.rows]
        assert other.lat_of([max(other.rows)]) == pytest.approx(degrees)
    assert others[1].cols[0] == 0
    assert others[0].rows == first.rows[::-1]


@given(
    ncols=st.sampled_from([720, 1440, 3600, 4320, 5760, 8640]),
    single=st.booleans(),
    node=st.booleans(),
    north=st.booleans(),
    cut=st.tuples(st.integers(5, 60), st.integers(5, 60), st.floats(0, 1), st.integers(0, 8639)),
    absent=st.sets(st.integers(1, 58), max_size=12),
)
def test_a_subset_keeps_its_addresses(ncols, single, node, north, cut, absent):
    """A part of a product, with rows and columns missing and across the dateline, has the addresses of the whole."""
    height, width, where, col = cut
    lat, lon = globe(ncols)
    if node:
        lat, lon = lat - 180 / ncols, lon - 180 / ncols
    if single:
        lat, lon = lat.astype("f4"), lon.astype("f4")
    lat = lat if north else lat[::-1]
    whole = grid_at(None, lat, lon)
    rows = int(where * (lat.size - height)) + np.arange(height)
    cols = (col + np.arange(width)) % ncols
    # Two neighbours must be left to tell the step.
    rows = rows[[n for n in range(height) if n not in absent or n in (1, 2)]]
    cols = cols[[n for n in range(width) if n not in absent or n in (1, 2)]]
    part = grid_at(None, lat[rows], lon[cols])
    assert part.rows == tuple(whole.rows[row] for row in rows)
    assert part.cols == tuple(whole.cols[col] for col in cols)
    assert (part.ncols, part.steps, part.phases) == (whole.ncols, whole.steps, whole.phases)


def test_rounded_steps_that_differ_between_latitude_and_longitude():
    """Steps of 1/24 and 1/16 degree are found though float32 latitudes wobble by 1e-4 of a step."""
    grid = grid_at(None, LAT.astype("f4").astype("f8"), LON)
    assert grid.ncols == 5760
    assert grid.steps[1] == 360 / 8640
    assert grid.cols[0] == (360 - 61) * 16


def test_latitude_steps_need_not_divide_the_circle():
    """A regional lattice of 0.07 degrees keeps its step in latitude and finds the columns of longitude."""
    grid = grid_at(None, 40 + 0.07 * np.arange(100), 10 + 0.07 * np.arange(50))
    assert grid.steps[1] == 0.07
    assert np.diff(grid.rows).tolist() == [1] * 99
    assert np.diff(grid.cols).tolist() == [1] * 49


def test_both_ends_of_longitudes_from_minus_180_are_neighbours():
    """A region on both sides of the dateline, cut from longitudes of -180 to 180, is one piece of the lattice."""
    lon = globe(720)[1]
    grid = grid_at(None, LAT, np.concatenate([lon[:20], lon[-30:]]))
    assert sorted(grid.cols) == list(range(330, 380))
    assert np.allclose(grid.lon_of(grid.cols), np.concatenate([lon[:20], lon[-30:]]) % 360)


def test_lattice_places_have_indices_or_none():
    """Addresses lead back to indices, -1 where the array has no such place; columns go round the globe."""
    grid = grid_at(days("2015-01-17", "2015-01-01"), LAT, LON)
    assert grid.index_slots(np.arange(grid.slots[1] - 1, grid.slots[1] + 4)).tolist() == [-1, 1, -1, 0, -1]
    assert grid.index_rows([grid.rows[0] + 1, grid.rows[0], grid.rows[-1]]).tolist() == [-1, 0, LAT.size - 1]
    assert grid.index_cols(np.array(grid.cols) - 5760).tolist() == list(range(160))
    assert grid.index_cols([grid.cols[0] - 1]).tolist() == [-1]
    assert np.allclose(grid.lat_of(grid.rows), LAT, atol=0.1 / 24)
    assert grid.lat_of([-1000, 10**6]).tolist() == [-90, 90]


def test_sizes_of_pixels_shrink_poleward():
    """Pixels are 4.63 km by 4.63 cos(latitude) km on a grid of 1/24 degree, and never zero at the poles."""
    grid = grid_at(None, *globe(8640))
    north, east = grid.step_km([grid.rows[2160] - 0.5, grid.index_rows(3600), 4319.5])
    assert np.allclose(north, 4.633, atol=1e-3)
    assert np.allclose(east[:2], [4.633, 4.633 * np.cos(np.deg2rad(60 + 1 / 48))], atol=1e-3)
    assert east[2] > 0


@pytest.mark.parametrize(
    ("time", "calendar", "step", "slots"),
    [
        (composites(2015, 2016)[[0, 1, 45, 46, 91]], "8day", 8, [92690, 92691, 92735, 92736, 92781]),
        (composites(2015)[::-1], "8day", 8, [*range(92735, 92689, -1)]),
        (composites(2015)[:45] + np.timedelta64(4, "D"), "8day", 8, [*range(92690, 92735)]),
        (composites(2015)[43:] + np.array([4, 4, 2], "m8[D]"), "8day", 8, [92733, 92734, 92735]),
        (days("2000-01-01", "2015-01-01"), "8day", 8, [92000, 92690]),
        (composites(2015, length=16)[:3], "8day", 8, [92690, 92692, 92694]),
        (days("2015-01-01"), "8day", 8, [92690]),
        (days("2013-04-03"), "8day", 8, [92609]),
        (days("2015-01-02T13:00"), "regular", 1, [16437]),
        (days("2015-01-01", "2015-02-01", "2015-04-01"), "monthly", 30.436875, [24180, 24181, 24183]),
        (days("2015-01-16T12:00", "2015-02-15", "2015-03-16T12"), "monthly", 30.436875, [24180, 24181, 24182]),
        (days("2015-01-31", "2015-02-28"), "monthly", 30.436875, [24180, 24181]),
        (days("2015-01-01", "2015-01-02", "2015-01-05"), "regular", 1, [16436, 16437, 16440]),
        (days("2015-01-01T12:00", "2015-01-02T12:00"), "regular", 1, [16436, 16437]),
        (days("2015-01-01T18:00", "2015-01-02T18:40"), "regular", 1, [16436, 16437]),
        (days("2014-12-29", "2015-01-06", "2015-01-14"), "regular", 8, [2054, 2055, 2056]),
        (days("2015-01-01", "2015-01-06", "2015-01-11"), "regular", 5, [3287, 3288, 3289]),
        (days("2015-01-01T00", "2015-01-01T03", "2015-01-01T09"), "regular", 0.125, [131488, 131489, 131491]),
        (days("2015-01-01T00:00").astype("M8[s]")[0], "8day", 8, [92690]),
        (None, "none", 8, [0]),
    ],
)
def test_slots_of_calendars(time, calendar, step, slots):
    """Each kind of series has its time steps: 8-day composites, months, equal steps, single frames, no time."""
    grid = grid_at(time, LAT, LON)
    assert (grid.calendar, grid.step_days, list(grid.slots)) == (calendar, pytest.approx(step), slots)


@pytest.mark.parametrize("name", ["noleap", "360_day", "standard"])
def test_cftime_dates(name: str):
    """Dates of climate calendars have time steps and seasons of their own year."""
    dates = [cftime.datetime(2001, 1, 1, calendar=name), cftime.datetime(2001, 1, 9, calendar=name)]
    grid = grid_at(np.array(dates), LAT, LON)
    first = {"360_day": 45}.get(name, 46) * 2001
    assert grid.slots == (first, first + 1)
    months = [cftime.datetime(2001, month, 15, calendar=name) for month in range(1, 13)]
    assert grid_at(np.array(months), LAT, LON).slots == tuple(range(12 * 2001, 12 * 2002))
    daily = grid_at(np.array([dates[0], dates[0].replace(day=2)]), LAT, LON)
    assert np.diff(daily.slots) == 1
    assert daily.year_days == {"noleap": 365, "360_day": 360, "standard": 365.2425}[name]


def test_season_goes_round_the_year():
    """Cosine and sine of the time of the year agree between calendars, and are 0 where time is unknown."""
    daily = grid_at(np.arange("2015-01-01", "2016-01-01", dtype="M8[D]"), LAT, LON)
    weekly = grid_at(composites(2015), LAT, LON)
    monthly = grid_at(np.arange("2015-01", "2016-01", dtype="M8[M]").astype("M8[D]"), LAT, LON)
    season = daily.season_of(daily.slots)
    assert season.dtype == np.float32
    assert season.shape == (365, 2)
    assert np.allclose(np.hypot(*season.T), 1, atol=1e-6)
    assert np.allclose(season[[0, 91]], [[1, 0], [0, 1]], atol=0.02)  # January, then April: a quarter turn forward
    assert np.allclose(weekly.season_of(weekly.slots[:45]), season[4:364:8], atol=0.03)
    assert np.allclose(monthly.season_of(monthly.slots)[6], season[196], atol=0.05)
    assert (grid_at(None, LAT, LON).season_of([0, 5]) == 0).all()


def test_a_single_value_takes_the_lattice_of_another_grid():
    """One date, latitude or longitude does not tell its step; `like` does."""
    whole = grid_at(np.arange("2015-01-01", "2015-02-01", dtype="M8[D]"), LAT, LON)
    part = grid_at(days("2015-01-09"), LAT[3:4], LON[7:8], like=whole)
    assert part.same_lattice(whole)
    assert (part.slots, part.rows, part.cols) == (whole.slots[8:9], whole.rows[3:4], whole.cols[7:8])
    alone = grid_at(days("2015-01-09"), LAT[3:4], LON)
    assert alone.calendar == "8day"
    assert not alone.same_lattice(whole)


def test_same_places_in_any_order_and_same_lattice_elsewhere():
    """Order does not matter to places, extent does not matter to lattices, steps and half-cell shifts do."""
    time = composites(2015)[:4]
    grid = grid_at(time, LAT, LON)
    assert grid.same_places(grid_at(time[::-1], LAT[::-1], LON + 360))
    other = grid_at(time[1:], LAT[5:], LON)
    assert grid.same_lattice(other)
    assert not grid.same_places(other)
    assert grid_at(None, LAT, LON).same_lattice(grid)
    for bad in [
        grid_at(time, LAT + 1 / 48, LON),
        grid_at(time, LAT, LON + 1 / 32),
        grid_at(time, LAT, LON[::2]),
        grid_at(time, LAT[::2], LON),
        grid_at(days("2015-01-01", "2015-01-02"), LAT, LON),
        grid_at(days("2014-12-29", "2015-01-06", "2015-01-14"), LAT, LON),
    ]:
        assert not grid.same_lattice(bad)
    noon = grid_at(days("2015-01-01T12", "2015-01-02T12"), LAT, LON)
    assert noon.same_places(grid_at(days("2015-01-01", "2015-01-02"), LAT, LON))


@pytest.mark.parametrize(
    ("time", "lat", "lon", "message"),
    [
        (None, np.zeros((3, 4)), LON, r"latitude must have one dimension, found shape \(3, 4\)"),
        (None, LAT, np.array(["a", "b"]), "longitude must be numbers"),
        (None, LAT, LON[:0], "found 0 values"),
        (None, np.array([1.0, np.nan, 3.0]), LON, "latitude has 1 values that are not finite"),
        (None, np.array([1.0, 2.0, 1.5]), LON, "latitude must be monotonic"),
        (None, np.array([1.0, 1.0, 2.0]), LON, "without repeated values"),
        (None, np.array([1.0, 2.0, 2.001, 3.0, 4.0]), LON, "nearly repeated values: steps of 0.001 and"),
        (None, np.array([0.0, 1.0, 2.0, 3.4, 4.4, 5.4]), LON, "found steps of 1 and 1.4 degrees"),
        (None, np.rad2deg(np.arcsin(np.linspace(-0.9, 0.9, 50))), LON, "must be regularly spaced"),
        (None, LAT, np.array([0.0, 1.0, 3.0, 2.0]), "monotonic around the globe; sort them first"),
        (None, LAT, np.arange(0, 361, 1.0), "1 repeated values"),
        (None, LAT, 0.13 * np.arange(2700), "must lie on a lattice of step 0.13"),
        (None, LAT[:1], LON[:1], "do not give the step"),
        (days("2015-01-01", "2015-01-01"), LAT, LON, "1 repeated dates"),
        (days("2015-01-01", "2015-01-09", "2015-01-02"), LAT, LON, "dates out of order"),
        (days("2015-01-01", "NaT"), LAT, LON, "1 missing dates"),
        (days("2015-01-01T00", "2015-01-01T05", "2015-01-01T12"), LAT, LON, "or give time_step='1D'"),
        (np.array([1.0, 2.0]), LAT, LON, "time must be dates"),
        (days("2015-01-01", "2015-01-02").reshape(1, 2), LAT, LON, "time must have one dimension"),
    ],
)
def test_coordinates_that_are_no_lattice_are_refused(time, lat, lon, message):
    """Coordinates that cannot be addressed raise an error that names what was found."""
    with pytest.raises(ValueError, match=message):
        grid_at(time, lat, lon)


def test_a_grid_is_small_immutable_hashable_and_has_a_stable_token():
    """A grid of the whole archive travels in less than a kilobyte, and comes back equal with the same token."""
    grid = grid_at(composites(*range(1998, 2021)), *globe(8640))
    grid.index_cols([0])
    packed = pickle.dumps(grid)
    back = pickle.loads(packed)
    assert len(packed) < 1000
    assert back == grid
    assert hash(back) == hash(grid)
    holes = grid_at(None, np.delete(LAT, [3, 9, 10]), LON[::-1])
    assert pickle.loads(pickle.dumps(holes)) == holes
    with dask.config.set({"tokenize.ensure-deterministic": True}):
        assert tokenize(back) == tokenize(grid) != tokenize(grid_at(None, *globe(8640)))
    with pytest.raises(AttributeError):
        grid.ncols = 3


@pytest.mark.shared
def test_real_files_snap_to_their_lattice(shared_data):
    """Every real file has places within a thousandth of a degree of its coordinates; one lacks a row."""
    expected = {
        "baja_modis_8day_20130330_chl.nc": (8640, "8day", False),
        "global_modis_8day_20150101_0.1deg.nc": (3600, "8day", True),
        "globcolour_8day_19980125_labrador.nc": (1440, "none", False),
        "ne_pacific_modis_2020_8day.nc": (5760, "8day", False),
        "ne_pacific_modis_2020_daily.nc": (5760, "regular", False),
        "ne_pacific_seawifs_2009_8day.nc": (5760, "8day", False),
        "newfoundland_modis_2015_8day.nc": (5760, "8day", False),
        "newfoundland_modis_2015_daily.nc": (5760, "regular", False),
    }
    for name, found in expected.items():
        with xr.open_dataset(shared_data / name) as data:
            grid = grid_at(data.time.values if "time" in data.coords else None, data.lat.values, data.lon.values)
            assert (grid.ncols, grid.calendar, grid.periodic) == found, name
            assert np.allclose(grid.lat_of(grid.rows), data.lat, atol=1e-3)
            assert np.allclose((grid.lon_of(grid.cols) - data.lon + 180) % 360, 180, atol=1e-3)
        if name.startswith("ne_pacific"):
            assert len(grid.rows) == 335
            assert max(grid.rows) - min(grid.rows) == 335
            assert grid.index_rows(grid.rows[0] - 1) == -1
