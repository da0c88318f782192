"""Where gaps are."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map, raise_if_dask_computes

import xgapfill
from xgapfill.lattice.distance import EARTH_RADIUS, kilometres_to, pixels_to


def test_shares_and_distances_by_hand():
    """One observed pixel: the share of all others is missing, and they are as far as the great circle says."""
    da = chl_map((2, 6, 8), share=0.0)
    da = da.where((da.lat == da.lat[2]) & (da.lon == da.lon[5]) & (da.time == da.time[0]))
    found = da.gapfill.gaps()
    assert all(dask.is_dask_collection(each) for each in found.data_vars.values())
    found = found.compute()
    np.testing.assert_allclose(found.missing_share, [47 / 48, 1], rtol=1e-6)
    frame = found.isel(time=0)
    assert float(frame.distance[2, 5]) == 0
    assert float(frame.distance[4, 5]) == pytest.approx(EARTH_RADIUS * np.deg2rad(2 / 24), rel=1e-4)
    east = EARTH_RADIUS * np.deg2rad(3 / 24) * np.cos(np.deg2rad(da.lat.values[2]))
    assert float(frame.distance[2, 2]) == pytest.approx(east, rel=1e-4)
    assert float(frame.distance_pixels[4, 2]) == pytest.approx(np.hypot(2, 3))
    assert found.isel(time=1).distance.isnull().all()


def test_nearest_of_many():
    """Looking at edges alone finds the same distance as looking at all pixels."""
    rng = np.random.default_rng(0)
    lat, lon = 60 + np.arange(20) / 4, np.arange(30) / 4
    observed = rng.random((20, 30)) < 0.5
    observed[5:15, 5:20] = True
    observed[8:10, 8:10] = False
    y, x = np.deg2rad(lat)[:, None] + 0 * lon, np.deg2rad(lon) + 0 * lat[:, None]
    cosine = np.sin(y)[..., None] * np.sin(y[observed]) + np.cos(y)[..., None] * np.cos(y[observed]) * np.cos(
        x[..., None] - x[observed]
    )
    expected = EARTH_RADIUS * np.arccos(np.clip(cosine, -1, 1)).min(axis=-1)
    np.testing.assert_allclose(kilometres_to(observed, lat, lon), np.where(observed, 0, expected), atol=0.2)


def test_far_distances_follow_the_globe():
    """A quarter of the equator from a pixel is a quarter of the circumference, not a chord."""
    found = kilometres_to(np.array([[True, False, False]]), np.array([0.0]), np.array([0.0, 90.0, 180.0]))
    np.testing.assert_allclose(found, EARTH_RADIUS * np.pi * np.array([[0, 0.5, 1]]), rtol=1e-6)


def test_distances_go_across_the_dateline():
    """A map that closes around the globe has neighbours at its edges."""
    observed = np.zeros((3, 36), bool)
    observed[1, 0] = True
    assert pixels_to(observed, periodic=True)[1, 35] == 1
    assert pixels_to(observed)[1, 35] == 35
    lon = -180 + 10 * (np.arange(36) + 0.5)
    da = xr.DataArray(
        np.where(observed, 1.0, np.nan),
        {"lat": [-40.0, -30.0, -20.0], "lon": lon},
        ("lat", "lon"),
        "CHL",
        {"units": "mg m-3"},
    )
    found = xgapfill.gaps(da, sea=np.ones((3, 36), bool)).compute()
    assert found.missing_share.dims == ()
    assert float(found.distance_pixels[1, 35]) == 1
    assert float(found.distance[1, 35]) == pytest.approx(float(found.distance[1, 1]), rel=1e-5)


def test_land_is_no_gap():
    """Land is neither missing nor has it a distance; observed pixels are sea."""
    da = chl_map((2, 8, 10), share=0.0).copy()
    sea = xr.ones_like(da[0], bool).drop_vars("time")
    sea[:, :5] = False
    da[:, :, 4:7] = np.nan
    da[:, :, 0:3] = np.nan
    found = da.gapfill.gaps(sea=sea).compute()
    np.testing.assert_allclose(found.missing_share, 16 / 48, rtol=1e-6)
    assert found.distance.isel(lon=[0, 1, 2, 4]).isnull().all()
    assert (found.distance.isel(lon=3) == 0).all()


def test_classes_and_datasets():
    """A pixel of size classes is observed where all are; the Dataset accessor takes names and uses its mask."""
    chl = chl_map((2, 6, 8))
    psc = psc_map(chl).copy()
    psc[1, 0, 0, 0] = np.nan
    ds = xr.merge([chl, psc])
    with raise_if_dask_computes():
        found = ds.chunk(time=1).gapfill.gaps("PSC")
    assert found.distance.dims == ("time", "lat", "lon")
    missing = psc.isnull().any("size_class")
    np.testing.assert_allclose(found.missing_share, missing.mean(("lat", "lon")), rtol=1e-6)
    ds["mask"] = (("lat", "lon"), np.zeros((6, 8), bool))
    np.testing.assert_allclose(ds.gapfill.gaps("PSC").missing_share, 0)


def test_shares_are_found_by_blocks():
    """Distances look at whole frames; the share that is missing comes from the blocks of a fill."""
    found = chl_map((3, 20, 24)).gapfill.gaps()
    names = {key[0] for key in found.missing_share.data.__dask_graph__() if isinstance(key, tuple)}
    assert found.distance.data.name not in names
    assert len(found.missing_share.data.__dask_graph__()) <= 6  # array and kernel are nodes of their own
