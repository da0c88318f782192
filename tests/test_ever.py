"""Water outside the built-in mask: what was observed at any date is sea at all dates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from maps import FIVE_CHUNKINGS, Quick, chl_map, chunked, raise_if_dask_computes, same

import xgapfill
from xgapfill import fill, set_options
from xgapfill.inputs import read as inputs
from xgapfill.kernel.ever import ever_observed
from xgapfill.lattice import sea as seamask

LAND = 5


def lake(frames=14, height=20, width=32):
    """A lake that the built-in mask does not have, beside land; each part of it is observed at a few dates only."""
    chl = chl_map((frames, height, width), share=0, lat=47.2, lon=-88.5)
    t, y, x = np.ogrid[:frames, :height, :width]
    water = (y > 3) & (x < 26)
    observed = water & ((t == 0) & (x < 13) | (t == frames - 1) & (x >= 10))
    return chl.where(observed), np.broadcast_to(water, chl.shape)


@pytest.mark.parametrize(
    "chunks", [None, FIVE_CHUNKINGS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in FIVE_CHUNKINGS[1:])]
)
def test_a_lake_is_sea_at_all_dates(chunks):
    """The status has land in the same places at all dates, for any chunks, blocks and order; nothing is computed."""
    chl, water = lake()
    with set_options(block=(4, 8, 20)), raise_if_dask_computes():
        given = chl if chunks is None else chunked(chl, chunks)
        result = fill(given, Quick(), full=True)
        turned = fill(given[::-1, ::-1].transpose("lon", "time", "lat"), Quick(), full=True)
    status = result.CHL_status.values
    np.testing.assert_array_equal(status == LAND, ~water)
    assert same(fill(chl, Quick(), full=True).CHL.values, result.CHL.values)
    np.testing.assert_array_equal(turned.CHL_status.transpose(*chl.dims).values[::-1, ::-1], status)


def test_files_and_predictors(tmp_path):
    """What a predictor has counts too; files give the same, and shares of gaps count the whole lake."""
    chl, water = lake()
    sst = xr.where(np.isnan(chl), np.nan, 12.0).roll(time=3).rename("SST").assign_attrs(units="degC")
    sst = sst.isel(lat=slice(None, None, -1)).assign_coords(lat=chl.lat.values[::-1]).sortby("lat")
    ds = xr.Dataset({"CHL": chl, "SST": sst})
    ds.to_netcdf(tmp_path / "lake.nc")
    with xr.open_dataset(tmp_path / "lake.nc") as opened:
        land = opened.gapfill.fill("CHL", Quick(), cond="SST", full=True).CHL_status.values == LAND
        both = (chl.notnull() | sst.notnull()).any("time").values
        np.testing.assert_array_equal(land, np.broadcast_to(~both, chl.shape))
        shares = opened.CHL.gapfill.gaps().missing_share.values
    missing = np.isnan(chl.values) & water
    np.testing.assert_allclose(shares, missing.sum((1, 2)) / water.sum((1, 2)), rtol=1e-6)


def test_the_open_ocean_is_not_read_again():
    """Without land in the built-in mask there is no map; on a coast, blocks at sea are not read for it."""
    sea = inputs.read(chl_map((3, 8, 8)))
    assert ever_observed([sea.variable], sea.sources, sea.source_grids()) is None
    read = []

    def counted(block):
        read.append(block.shape)
        return block

    chl = chl_map((3, 48, 48), lat=47.2, lon=-53.5)
    lazy = chl.copy(data=chl.chunk(lat=12, lon=12).data.map_blocks(counted, meta=chl.values[:0, :0, :0]))
    coast = inputs.read(lazy)
    with set_options(block=(3, 12, 12)):
        source, grid = ever_observed([coast.variable], coast.sources, coast.source_grids())
    read.clear()
    ever = source.array.compute(scheduler="synchronous")
    land = ~seamask.sea(chl.lat, chl.lon).reshape(4, 12, 4, 12).all(axis=(1, 3))
    assert 0 < land.sum() < land.size
    assert len(read) == land.sum()
    inside = np.repeat(np.repeat(land, 12, 0), 12, 1)
    np.testing.assert_array_equal(ever == 1, chl.notnull().any("time").values & inside)
    assert (grid.calendar, grid.shape) == ("none", (1, 48, 48))


def test_chunks_of_all_dates_are_not_held():
    """The fill and the map read the chunks of dask input separately, so that neither holds them for the other."""
    chl, _ = lake()
    result = fill(chunked(chl, {"time": 1, "lat": -1, "lon": -1}), Quick())
    graph = dict(result.__dask_graph__())
    assert sum(str(key[0]).startswith("ever-") for key in graph if isinstance(key, tuple)) == chl.sizes["time"]


def test_a_written_series_may_begin_with_one_map(tmp_path):
    """A store of the first date is extended, although a single map has no other dates to look at."""
    chl, water = lake()
    for frames in (1, 14):
        lazy = fill(chl.isel(time=slice(frames)), Quick(), full=True, time_step="8D")
        written = xgapfill.write(lazy, tmp_path / "out.zarr", append=True, progress=False)
    assert written.sizes["time"] == 14
    np.testing.assert_array_equal(written.CHL_status.values[-1] == LAND, ~water[-1])
