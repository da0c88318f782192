"""A window of a file of the shape of the archive: graph, tasks, time and memory."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

import xgapfill  # noqa: F401  (registers .gapfill)
from xgapfill.simulate import clouds, simulate

SHAPE = (1068, 4320, 8640)
BOX = 256
# Simulated values lie around the window, wider than any block that touches it can read; the rest has no chunks.
AROUND = (slice(492, 512), slice(1024, 2048), slice(2848, 3872))
WINDOW = {"time": slice(501, 502), "lat": slice(1486, 1586), "lon": slice(3310, 3410)}


def run() -> None:
    """Print what it takes to open the archive, build the fill and compute a 100 x 100 window of one frame."""
    with tempfile.TemporaryDirectory() as folder:
        opened = make_archive(Path(folder) / "archive.zarr")
        start = time.perf_counter()
        filled = opened.PSC.gapfill.repaint(cond=opened.CHL)
        tasks = len(filled.data.__dask_graph__())
        print(f"graph: {time.perf_counter() - start:.2f} s, {tasks} tasks for {filled.data.npartitions} blocks")
        start = time.perf_counter()
        window = filled.isel(WINDOW).compute()
        seconds = time.perf_counter() - start
        share = float(window.notnull().mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"window {dict(window.sizes)}: {seconds:.1f} s, {share:.0%} filled; peak memory of the process {peak:.2f} GB")


def make_archive(store: Path) -> xr.Dataset:
    """A zarr store of the shape of the archive with simulated PSC and CHL around the window, opened without dask."""
    years = np.arange("1998", "2022", dtype="M8[Y]").astype("M8[D]")
    dates = np.concatenate([year + 8 * np.arange(46) for year in years]).astype("M8[ns]")[: SHAPE[0]]
    coords = {
        "time": dates,
        "size_class": ["micro", "nano", "pico"],
        "lat": 90 - (np.arange(SHAPE[1]) + 0.5) / 24,
        "lon": -180 + (np.arange(SHAPE[2]) + 0.5) / 24,
    }
    xr.Dataset(coords=coords).to_zarr(store, consolidated=False)
    frames = AROUND[0].stop - AROUND[0].start
    ocean = simulate(1, frames=frames, shape=(BOX, BOX), latitude=27.0)
    gaps = np.tile(clouds(1, frames, (BOX, BOX), 0.6), (1, 4, 4))
    few = np.tile(clouds(2, frames, (BOX, BOX), 0.1), (1, 4, 4))
    psc = np.where(gaps, np.nan, np.tile(ocean.psc, (1, 1, 4, 4)))
    chl = np.where(few, np.nan, np.tile(np.float32(10) ** ocean.log10_chl, (1, 4, 4)))
    group = zarr.open_group(store, mode="a")
    names = ("time", "lat", "lon")
    for name, dims, shape, values, units in (
        ("PSC", ("size_class", *names), (3, *SHAPE), psc, "1"),
        ("CHL", names, SHAPE, chl, "mg m-3"),
    ):
        chunks = (*shape[:-3], 1, 256, 256)
        array = group.create_array(
            name, shape=shape, chunks=chunks, dtype="float32", fill_value=np.nan, dimension_names=dims
        )
        array.attrs["units"] = units
        array[(..., *AROUND)] = values
    return xr.open_zarr(store, chunks=None, consolidated=False)
