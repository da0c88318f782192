"""A window of a file of the shape of the archive: graph, tasks, reads, time and memory, without and with dask input."""

from __future__ import annotations

import pickle
import tempfile
import time
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
import zarr
from zarr.storage import LocalStore

import xgapfill  # noqa: F401  (registers .gapfill)
from bench.machine import describe, peak_memory
from bench.virtual import SHAPE, coordinates
from xgapfill.lattice.tiling import Tiling
from xgapfill.options import OPTIONS
from xgapfill.simulate import clouds, simulate
from xgapfill.stores.run import NEIGHBOURS

CHUNKS = (1, 270, 270)  # as in the files of OC-CCI
DASK_CHUNKS = (8, 270, 270)  # of dask input: smaller ones take more tasks, larger ones more memory
BOX = 256
# Simulated values surround the window, farther than any block of it reads; the rest has no chunks.
AROUND = (slice(488, 512), slice(1024, 2048), slice(2848, 3872))
WINDOW = {"time": slice(501, 502), "lat": slice(1486, 1586), "lon": slice(3340, 3380)}
TARGETS = {
    "tasks a block": {"files": 1.1, "dask": 4.0},
    "seconds to build": 2.0,
    "MB of graph": 10.0,
    "seconds to cull": 0.5,
    "MB over imports": 300.0,
    "values asked for a block": 3.0,
}


class CountingStore(LocalStore):
    """A folder that counts the values in the chunks read from it."""

    values = 0

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Return the bytes of a key, and count the values of a chunk."""
        if "/c/" in key:
            CountingStore.values += int(np.prod(CHUNKS))
        return await super().get(key, *args, **kwargs)


def run() -> None:
    """Print the costs of opening the archive, building the fill and computing a 100 x 40 window of one frame."""
    print(describe())
    print(f"archive of {SHAPE} pixels, CHL and PSC given CHL, chunks of {CHUNKS}; targets in brackets")
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "archive.zarr")
        make_archive(Path(store))
        for kind, name in product(("files", "dask"), ("CHL", "PSC")):
            # a separate process, so that its peak memory is that of this window
            with get_context("spawn").Pool(1) as pool:
                found = pool.apply(measure, (store, kind, name))
            print(f"{name} from {kind}")
            for what, value in found.items():
                target = TARGETS.get(what)
                target = target[kind] if isinstance(target, dict) else target
                print(f"  {what:26}{value:10.3g}" + ("" if target is None else f"  [{target:g}]"))


def measure(store: str, kind: str, name: str) -> dict[str, float]:
    """Costs of a lazy fill of the archive, by name.

    Parameters
    ----------
    store : str
        From `make_archive`.
    kind : "files" or "dask"
        Opened without dask, or in chunks of `DASK_CHUNKS`, all classes in one.
    name : "PSC" or "CHL"
        Target; size classes are filled given chlorophyll.
    """
    import torch  # noqa: F401  (part of the imports)

    opened = xr.open_zarr(CountingStore(store, read_only=True), chunks=None, consolidated=False)
    if kind == "dask":
        opened = opened.chunk({**dict(zip(WINDOW, DASK_CHUNKS, strict=True)), "size_class": 3})
    start = time.perf_counter()
    filled = opened[name].gapfill.background(cond=opened.CHL if name == "PSC" else None)
    built = time.perf_counter() - start
    tasks = len(filled.data.__dask_graph__())
    found = {"blocks": float(filled.data.npartitions), "tasks a block": tasks / filled.data.npartitions}
    found |= {"seconds to build": built, "MB of graph": len(pickle.dumps(filled.data.dask)) / 1e6}
    before = peak_memory()
    start = time.perf_counter()
    (window,) = dask.optimize(filled.isel(WINDOW))
    found["seconds to cull"] = time.perf_counter() - start
    CountingStore.values = 0
    start = time.perf_counter()
    window = window.compute()
    found |= {"seconds to compute": time.perf_counter() - start, "MB over imports": peak_memory() - before}
    found |= reads(filled, 4 if name == "PSC" else 1)
    if kind == "dask":
        found["of chunks read by write"] = shared_reads(filled)
    found["share filled"] = float(window.notnull().mean())
    return found


def reads(filled: xr.DataArray, variables: int) -> dict[str, float]:
    """Values that the blocks of the window requested and received, as multiples of their size."""
    asked = made = 1.0
    for axis, (dim, part) in enumerate(WINDOW.items()):
        length = filled.chunksizes[dim][0]
        first = part.start // length * length
        low, high = Tiling(SHAPE[2]).around(axis, (first, first + length))
        asked *= (high - low) / length
        made *= length * ((part.stop - 1) // length - part.start // length + 1)
    return {"values asked for a block": asked, "of chunks read a block": CountingStore.values / (variables * made)}


def shared_reads(filled: xr.DataArray) -> float:
    """Values of the chunks for blocks that `write` computes together, as a multiple of their size."""
    time, beside = NEIGHBOURS
    name, lead = filled.data.name, (0,) * (filled.ndim - 3)
    places = product(range(40, 40 + time), range(4, 4 + beside), range(10, 10 + beside))
    layer = filled.data.dask.layers[name]
    needed = set().union(*layer.cull({(name, *lead, *place) for place in places}, ())[1].values())
    of_one = [key for key in needed if len(key) == 4]  # chunks of chlorophyll; those of PSC are as many
    return len(of_one) * float(np.prod(DASK_CHUNKS)) / (time * beside**2 * float(np.prod(OPTIONS["block"])))


def make_archive(store: Path) -> None:
    """Make a zarr store with the shape of the archive and simulated PSC and CHL around the window."""
    coords = {"size_class": ["micro", "nano", "pico"], **coordinates(SHAPE)}
    xr.Dataset(coords=coords).to_zarr(store, consolidated=False)
    frames = AROUND[0].stop - AROUND[0].start
    ocean = simulate(1, frames=frames, shape=(BOX, BOX), latitude=27.0)
    gaps = np.tile(clouds(1, frames, (BOX, BOX), 0.6), (1, 4, 4))
    few = np.tile(clouds(2, frames, (BOX, BOX), 0.1), (1, 4, 4))
    psc = np.where(gaps, np.nan, np.tile(ocean.psc, (1, 1, 4, 4)))
    chl = np.where(few, np.nan, np.tile(np.float32(10) ** ocean.log10_chl, (1, 4, 4)))
    group = zarr.open_group(store, mode="a")
    names = ("time", "lat", "lon")
    for name, dims, values, units in (("PSC", ("size_class", *names), psc, "1"), ("CHL", names, chl, "mg m-3")):
        more = (1,) * (len(dims) - 3)
        array = group.create_array(
            name,
            shape=(*values.shape[:-3], *SHAPE),
            chunks=(*more, *CHUNKS),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=dims,
        )
        array.attrs["units"] = units
        array[(..., *AROUND)] = values
