"""Costs of filling: shares of the processor, a global frame, workers, memory, scaling; measure on an idle machine.

Blocks are those of the archive, of a simulated ocean tiled to its shape. A global frame is what a block of frames takes
in all blocks around the globe, divided by their number: measured on some blocks and multiplied.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
import xarray as xr

import xgapfill
from bench import arithmetic
from bench.machine import describe, memory, peak_memory
from bench.virtual import SHAPE, tiles, virtual_ocean
from xgapfill.blocks.graph import compute_block
from xgapfill.lattice.grid import Box
from xgapfill.lattice.tiling import Tiling
from xgapfill.options import OPTIONS

Block = tuple[int, int, int]
USUAL, LARGE = OPTIONS["block"], (24, 480, 480)
# methods, members, block and number of blocks; targets for a global frame on 2 cores, in minutes
FRAMES: tuple[tuple[str, int | None, Block, int, float | None], ...] = (
    ("background", None, USUAL, 3, 1.5),
    ("background", None, LARGE, 1, 1.5),
    ("posterior_mean", None, USUAL, 3, 8.0),
    ("posterior_mean", 8, USUAL, 1, 27.0),  # 20 days for the archive
    ("repaint", 1, USUAL, 1, None),
)
CORES = (2, 16)
IN_A_ROW, SMALL = 200, (3, 48, 48)
_given: dict[str, Any] = {}  # tiles, in the processes of a pool
FIRST = (480, 960, 2400)  # where the first block that is computed begins: far from the edges


def run() -> None:
    """Print everything."""
    print(describe())
    arithmetic.run()
    speedup, both = workers()
    print(f"2 workers (processes): {speedup:.2f} x one [1.8]; peak memory of both {both / 1000:.2f} GB [4]")
    print(f"a global frame of PSC given CHL, divided by {speedup:.2f} for 2 cores, with blocks of")
    for shape in (USUAL, LARGE):
        print(f"  {shape}, {frames_of(shape) * shape[0]:.0f} around the globe for {shape[0]} frames: ", end="")
        print(f"{frames_of(shape):.3g} x the core-seconds per block, {repeated(shape):.2f} x the windows of the map")
    shared = alone(cost, "background", "PSC", 1, USUAL, None, "auto")[0] - alone(cost, "background", "PSC", 1)[0]
    shared /= USUAL[0]
    print(f"and {shared:.1f} core-seconds a frame for the large scale of the whole map")
    for method, members, shape, count, most in FRAMES:
        seconds, peak = alone(cost, method, "PSC", count, shape, members)
        factor = frames_of(shape)
        minutes = (seconds * factor + shared) / 60 / speedup
        target = "" if most is None else f" [{most:g}]"
        named = method if members is None else f"{method}, {members} members"
        named += "" if shape == USUAL else ", larger blocks"
        print(
            f"  {named:28}{seconds:7.1f} s per block, {minutes:6.1f} minutes per frame{target}; {peak:.0f} MB",
            flush=True,
        )
        for cores in CORES:
            days = (seconds * factor + shared) * SHAPE[0] / 86400 / (cores * speedup / 2)
            print(f"  {'':28}the archive of {SHAPE[0]} frames: {days:.1f} days on {cores} cores")
    print("1, 2, 4, 8 x the area, background of CHL: seconds per block, one thread")
    print("  " + ", ".join(f"{count} blocks: {seconds:.2f}" for count, seconds in alone(scaling)))
    print("plan, core-seconds estimated and taken")
    for name, said, error, taken in alone(planned):
        print(f"  {name:28}{said:7.1f} +- {error:.1f}, {taken:7.1f}: {said / taken:.2f} [0.7 to 1.3]")
    first, last = alone(steady)
    print(f"{IN_A_ROW} blocks in a row: {first:.0f} MB after a quarter, {last:.0f} MB at most after that", end="")
    print(f": {last / first - 1:+.1%} [5%]")


def alone(function: Callable[..., Any], *given: Any) -> Any:
    """Call in a separate process with one torch thread per thread."""
    with _pool(1) as pool:
        return pool.apply(function, given)


def _pool(count: int) -> Any:
    return get_context("spawn").Pool(count, initializer=_take, initargs=(_tiles(),))


def _take(tiles: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    _given.update(tiles)


@cache
def _tiles() -> dict[str, Any]:
    return _given or tiles()


@cache
def ocean() -> xr.Dataset:
    """The virtual ocean, made once per process."""
    return virtual_ocean(_tiles())


def lazy(method: str, name: str, members: int | None = None, prior: str | None = None) -> Any:
    """Lazy fill of PSC given CHL, or of CHL, as a dask array; without what all blocks share, unless `prior` says so."""
    ds = ocean()
    cond = ds.CHL if name == "PSC" else None
    return ds[name].gapfill.fill(method, cond=cond, sea=ds.sea, members=members, prior=prior).data


def frames_of(shape: Block) -> float:
    """Blocks around the globe over the frames of a block."""
    return -(-SHAPE[1] // shape[1]) * -(-SHAPE[2] // shape[2]) / shape[0]


def repeated(shape: Block) -> float:
    """Windows of a block, over those that begin in it: the others are computed by its neighbours as well."""
    tiling = Tiling(SHAPE[2])
    box = Box(*((first, first + length) for first, length in zip(FIRST, shape, strict=True)))
    return float(len(tiling.touching(box)) / np.prod(np.divide(shape, tiling.stride)))


def compute(array: Any, numbers: range, shape: Block = USUAL) -> float:
    """Compute some blocks one by one in one thread; core-seconds per block."""
    start = time.process_time()
    for number in numbers:
        t, y, x = (first // length for first, length in zip(FIRST, shape, strict=True))
        compute_block(array, (0,) * (array.ndim - 3) + (t, y, x + number))
    return (time.process_time() - start) / len(numbers)


def warm(method: str, name: str) -> None:
    """Load what a method needs, on a few windows."""
    t, y, x = FIRST
    ds = ocean().isel(time=slice(t, t + 2), lat=slice(y, y + 32), lon=slice(x, x + 32))
    ds[name].gapfill.fill(method, cond=ds.CHL if name == "PSC" else None, sea=ds.sea).compute(scheduler="synchronous")


def cost(
    method: str, name: str, count: int, shape: Block = USUAL, members: int | None = None, prior: str | None = None
) -> tuple[float, float]:
    """Core-seconds per block, and the peak memory of the process in MB."""
    warm(method, name)
    with xgapfill.set_options(block=shape):
        return compute(lazy(method, name, members, prior), range(count), shape), peak_memory()


def workers() -> tuple[float, float]:
    """Ratio of blocks per second of two processes to one, and the sum of their peak memory in MB."""
    rates = []
    for count in (1, 2):
        with _pool(count) as pool:
            pool.map(_warmed, range(count), chunksize=1)
            found = pool.map(_worked, range(count), chunksize=1)
            rates.append(sum(rate for rate, _ in found))
    return rates[1] / rates[0], sum(peak for _, peak in found)


def _warmed(number: int) -> None:
    warm("posterior_mean", "PSC")
    time.sleep(1)  # so that the other process takes the other task


def _worked(number: int) -> tuple[float, float]:
    """Blocks per second of wall time, and the peak memory in MB."""
    array = lazy("posterior_mean", "PSC")
    start = time.perf_counter()
    compute(array, range(2))
    return 2 / (time.perf_counter() - start), peak_memory()


def scaling() -> list[tuple[int, float]]:
    """Core-seconds per block for growing areas."""
    warm("background", "CHL")
    array = lazy("background", "CHL")
    return [(count, compute(array, range(count))) for count in (1, 2, 4, 8)]


def planned() -> list[tuple[str, float, float, float]]:
    """Core-seconds that a plan estimates for part of the map, their standard error, and those measured."""
    t, y, x = FIRST
    found = []
    for method, name, frames in (("background", "PSC", 6), ("posterior_mean", "PSC", 6), ("repaint", "CHL", 3)):
        ds = ocean().isel(time=slice(t, t + frames), lat=slice(y, y + 240), lon=slice(x, x + 240))
        options = {"cond": ds.CHL if name == "PSC" else None, "sea": ds.sea}
        said = ds[name].gapfill.plan(method, **options)
        start = time.process_time()
        ds[name].gapfill.fill(method, **options).compute(scheduler="synchronous")
        found.append((f"{method} of {name}", said.seconds, said.seconds_error, time.process_time() - start))
    return found


def steady() -> tuple[float, float]:
    """Memory in MB after a quarter of many small blocks, and its maximum after any of the others."""
    with xgapfill.set_options(block=SMALL):
        array = lazy("posterior_mean", "CHL")
    held = []
    for number in range(IN_A_ROW):
        compute_block(array, (100, 20, number % array.numblocks[2]))
        held.append(memory())
    quarter = IN_A_ROW // 4
    return held[quarter], float(np.max(held[quarter:]))
