"""Pixels too far from what was observed stay missing, for any method."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill import gaps
from xgapfill.inputs.dates import grid_at
from xgapfill.kernel.limits import POLAR, Limits
from xgapfill.lattice.distance import kilometres_to
from xgapfill.lattice.grid import Box


def runs(observed):
    """Time steps between the observed dates around each pixel of (t, y, x), by looking: the first and last date at the
    ends.
    """
    out = np.zeros(observed.shape)
    for t, y, x in np.argwhere(~observed):
        before = [s for s in range(t) if observed[s, y, x]]
        after = [s for s in range(t + 1, len(observed)) if observed[s, y, x]]
        if not before and not after:
            out[t, y, x] = np.inf
        else:
            out[t, y, x] = (after[0] if after else len(observed) - 1) - (before[-1] if before else 0)
    return out


@pytest.mark.parametrize("chunks", [None, {"time": 2, "lat": 5}])
def test_max_gap_is_the_time_between_the_observed_dates_around(chunks):
    """Filled where the gap is no longer than asked for, missing elsewhere with the status that says so."""
    chl = chl_map((8, 12, 14))
    given = chl if chunks is None else chl.chunk(chunks)
    result = xgapfill.background(given, max_gap=24, full=True).compute()
    observed = chl.notnull().values
    wanted = runs(observed) * 8 <= 24
    assert (result.CHL.notnull().values == (wanted | observed)).all()
    assert (result.CHL_status.values[~wanted & ~observed] == 2).all()
    assert same(result.CHL, xgapfill.background(chl, max_gap=np.timedelta64(24, "D")))


def test_max_distance_is_kilometres_in_the_frame():
    """Filled no farther from an observed pixel of the frame than asked for, as `gaps` measures it."""
    psc = psc_map(chl_map((3, 20, 24)))
    result = xgapfill.background(psc, max_distance=8.0).compute()
    near = (gaps(psc).distance <= 8.0).broadcast_like(psc).transpose(*psc.dims)
    assert 0 < near.mean() < 1
    assert (result.notnull() == near).all()
    both = xgapfill.background(psc, max_distance=8.0, max_gap=17).compute()
    assert (both.notnull() <= result.notnull()).all()


def test_limits_cross_the_dateline():
    """On a map that closes, the nearest observed pixel may be on the other side."""
    lon = -179.5 + np.arange(360)
    values = np.full((2, 4, 360), np.nan, np.float32)
    values[:, :, 359] = 0.3
    chl = xr.DataArray(
        values,
        dims=("time", "lat", "lon"),
        coords={"time": np.array(["2010-01-01", "2010-01-09"], "M8[ns]"), "lat": 0.5 + np.arange(4.0), "lon": lon},
        name="CHL",
        attrs={"units": "mg m-3"},
    )
    found = xgapfill.background(chl, max_distance=250, sea=np.ones((4, 360), bool)).compute()
    there = np.flatnonzero(found.notnull().all(["time", "lat"]).values)
    assert there.tolist() == [0, 1, 357, 358, 359]


@pytest.mark.parametrize("km", [30.0, 120.0, 700.0])
def test_distance_is_that_of_the_great_circle(km):
    """Up to the latitude beyond which fewer columns count, what is near is what a search through all pixels finds."""
    lat, lon = 79.125 + 0.25 * np.arange(43), -179.875 + 0.25 * np.arange(1440)
    grid = grid_at(None, lat, lon)
    observed = np.random.default_rng(0).random((43, 1440)) < 0.002
    box = Box((0, 1), (grid.rows[0], grid.rows[-1] + 1), (0, 1440))
    limits = Limits(max_distance=km)
    around = box.grown((0, *limits.reach(grid)[1:]))
    columns = np.arange(*around.cols) % 1440
    known = np.zeros(around.shape, bool)
    known[0, around.shape[1] // 2 - 21 : around.shape[1] // 2 + 22] = np.roll(observed, 720, axis=1)[:, columns]
    found = np.roll(limits.within(known, grid, around, box)[0], 720, axis=1)
    expected = kilometres_to(observed, lat, lon) <= km
    inside = lat < POLAR
    assert (found[inside] == expected[inside]).all()
    assert not (found & ~expected).any()
    assert found[~inside].any()


def test_a_map_to_the_pole_reads_no_whole_parallels():
    """Close to the pole no more columns are looked at than at 85 degrees."""
    grid = grid_at(None, 89.979 - np.arange(1000) / 24, np.arange(8640) / 24)
    assert Limits(max_distance=50.0).reach(grid)[2] < 140
    chl = chl_map((2, 24, 40), lat=88.9)
    chl = chl.where(chl.lat < 89.2)
    limited = {"max_distance": 20.0, "sea": np.ones((24, 40), bool)}
    expected = xgapfill.background(chl, **limited).compute()
    assert 0 < expected.notnull().mean() < 1
    assert same(xgapfill.background(chl.chunk(lat=7, lon=9), **limited), expected)


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"max_gap": 0}, "positive number of days"), ({"max_distance": float("nan")}, "km"), ({"max_gap": True}, "days")],
)
def test_limits_that_make_no_sense(limits, words):
    """Refused at the call."""
    with pytest.raises(ValueError, match=words):
        xgapfill.background(chl_map((2, 4, 4)), **limits)
    with pytest.raises(ValueError, match="several times"):
        xgapfill.background(chl_map((1, 4, 4)).isel(time=0, drop=True), max_gap=10)


def test_no_limits_are_none():
    """A call without limits carries none."""
    assert Limits.of(None, None, None) is None
