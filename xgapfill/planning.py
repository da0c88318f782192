"""What a fill will cost before it is computed: blocks, windows, time and memory, from a sample of its blocks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill import seamask
from xgapfill.chunked import Chunked
from xgapfill.fill import Case, kernel_of, lay_out, read_case, with_observations
from xgapfill.grid import Box
from xgapfill.inputs import read_sea
from xgapfill.kernel import FillKernel
from xgapfill.lazy import compute_block
from xgapfill.limits import Limits
from xgapfill.methods import Repaint, find
from xgapfill.methods.base import BATCH, Method, SeriesMethod, batches, passes
from xgapfill.methods.devices import device_of

SAMPLE = 32
LOOK = 4  # every so many pixels are looked at to see where the sea is
FLOOR = 0.02  # of a block without sea: the mask may be wrong there
COUNTS = ("batches", "windows", "gaps", "sea")
TIMED = ("batch", "decoding")
TIMED_BATCHES = 3


@dataclass(frozen=True)
class Plan:
    """Estimate of a fill.

    Attributes
    ----------
    method : str
    blocks, sampled : int
        Tasks of the result, and how many of them were looked at.
    windows, windows_error : float
        Windows with gaps and sea that the method is called for, and the standard error of that number.
    calls : float
        Network passes over a batch of windows; 0 for methods without a network. As uncertain as `windows`.
    missing_share : float
        Of the sea.
    seconds, seconds_error : float
        Core-seconds on this machine, as measured on some batches and in reading the sample.
    memory : float
        Bytes a worker thread needs at most, beside those of the process.
    output_bytes : int
        Of the result, not compressed.
    device : str
        What computes: ``cpu``, or the device of torch that the method would use.
    """

    method: str
    blocks: int
    sampled: int
    windows: float
    windows_error: float
    calls: float
    missing_share: float
    seconds: float
    seconds_error: float
    memory: float
    output_bytes: int
    device: str = "cpu"

    def wall_seconds(self, workers: int | None = None) -> float:
        """Wall time with so many cores, by default those of this machine."""
        return self.seconds / (workers or os.cpu_count() or 1)

    def __str__(self) -> str:
        cores = os.cpu_count() or 1
        lines = [
            f"{self.method} on {self.device}: {self.blocks} blocks, {self.sampled} looked at",
            f"missing: {self.missing_share:.0%} of the sea",
            f"windows to fill: {self.windows:,.0f} +- {self.windows_error:,.0f}; network passes: {self.calls:,.0f}",
            f"core time: {_duration(self.seconds)} +- {_duration(self.seconds_error)}; "
            f"on the {cores} cores of this machine about {_duration(self.wall_seconds())}",
            f"memory: {self.memory / 1e9:.2f} GB a thread beside the process; "
            f"result {self.output_bytes / 1e9:.3g} GB before compression",
        ]
        return "\n".join(lines)

    __repr__ = __str__


def plan(
    da: xr.DataArray | Sequence[xr.DataArray],
    method: str | Method = "repaint",
    cond: Any = None,
    *,
    members: int = 1,
    seed: int = 0,
    weights: Any = None,
    insitu: Any = None,
    error: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    max_gap: Any = None,
    max_distance: float | None = None,
    full: bool = False,
    exact: bool = False,
    **parameters: Any,
) -> Plan:
    """Estimate what a fill costs, from at most 32 of its blocks and the measured speed of this machine.

    Parameters
    ----------
    da, cond, members, seed, weights, insitu, error, sea, size_class, max_gap, max_distance, full
        As in `xgapfill.repaint`. Windows that have nothing to fill within the limits are not counted.
    method : str or Method
        As in `xgapfill.fill_with`.
    exact : bool
        Look at all blocks: reads everything once.
    **parameters
        Of a method given by name.

    Returns
    -------
    Plan
        Prints itself. Fits of series methods are not part of it.

    Raises
    ------
    TypeError, ValueError
        As the fill itself.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> estimate = xgapfill.plan(ds.CHL, "background")
    >>> estimate.blocks, round(estimate.windows)
    (1, 8)
    """
    chosen = find(method, **parameters)
    case = with_observations(read_case(da, chosen, cond, weights, size_class), chosen, insitu, error)
    if isinstance(chosen, SeriesMethod) and case.weights is None:
        raise ValueError(f"{chosen.name} is fitted first: plan it with weights= from xgapfill.fit")
    mask = read_sea(sea, case.quantity)
    kernel = kernel_of(
        case,
        chosen,
        members=members,
        seed=seed,
        full=full,
        sea=None if mask is None else mask[0],
        limits=Limits.of(max_gap, max_distance, case.quantity.grid),
    )
    counted = lay_out(case, _Count(kernel), layers=len(COUNTS), dtype=np.float64, mask=mask)
    numbers, shares = _sample(counted, case, None if exact else SAMPLE)
    looked = [_computed(counted, number) for number in numbers]
    sums = np.stack([values for values, _ in looked])
    batch, decoding = 0.0, 0.0
    if sums[:, 0].any():
        most = int(np.argmax(sums[:, 0]))
        timed = lay_out(case, _Time(kernel), layers=len(TIMED), dtype=np.float64, mask=mask)
        batch, decoding = _computed(timed, numbers[most])[0]
        decoding /= max(sums[most, 2], 1)
    seconds = np.array([spent for _, spent in looked]) + batch * sums[:, 0] + decoding * sums[:, 2]
    total, error = _total(np.column_stack([sums, seconds]), shares, counted.npartitions)
    return Plan(
        method=chosen.name,
        blocks=counted.npartitions,
        sampled=len(set(numbers)),
        windows=float(total[1]),
        windows_error=float(error[1]),
        calls=float(total[0]) * passes(chosen, members),
        missing_share=float(total[2] / total[3]) if total[3] else 0.0,
        seconds=float(total[4]),
        seconds_error=float(error[4]),
        memory=_memory(case, kernel, counted),
        output_bytes=int(np.prod(case.quantity.grid.shape)) * kernel.layers * 4,
        device=device_of(chosen),
    )


@dataclass(frozen=True)
class Look:
    """Gets the blocks that a kernel gets, to do something else with them."""

    kernel: FillKernel

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """As of the kernel."""
        return self.kernel.reach

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """As of the kernel."""
        return self.kernel.around(axis, places)


class _Count(Look):
    """Sums of a block are `COUNTS`."""

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float64]:
        known = self.kernel.encode(arrays, box)
        found = list(batches(self.kernel.needed(known, box, core, self.kernel.near(known, box, core))))
        inside = core.within(box)
        sea = (known.sea | known.anything)[inside]
        gaps = sea & ~np.asarray(known.observed.all(axis=0))[inside]
        return _layers((len(found), sum(len(starts) for starts, _ in found), gaps.sum(), sea.sum()), core)


class _Time(Look):
    """Sums of a block are `TIMED`, core-seconds: of a batch of windows, and of decoding the block.

    Passes of a network cost the same whatever the walk, so that a long one is judged by a short one.
    """

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float64]:
        kernel, method, factor = self.kernel, self.kernel.method, 1.0
        if passes(method, 1):
            short = replace(method, schedule="fast") if isinstance(method, Repaint) else method
            factor = passes(method, kernel.members) / passes(short, 1)
            kernel = replace(kernel, method=short, members=1)
        clock = time.process_time if device_of(method) == "cpu" else time.perf_counter
        known = kernel.encode(arrays, box)
        found = sum(1 for _ in batches(kernel.needed(known, box, core, kernel.near(known, box, core))))
        times = []
        for count in (1, 1, min(TIMED_BATCHES, found)):  # the first one warms up
            start = clock()
            blend = kernel.blend(known, box, core, count)
            times.append(clock() - start)
        batch = (times[2] - times[1]) / (TIMED_BATCHES - 1) if found >= TIMED_BATCHES else times[1]
        start = clock()
        kernel.decode(known.within(core.within(box)), kernel.raw(arrays, box, core), blend)
        decoding = (clock() - start) * self.kernel.members / kernel.members
        return _layers((batch * factor, decoding), core)


def _layers(values: Sequence[float], core: Box) -> NDArray[np.float64]:
    """Layers of a core that sum to these values."""
    out = np.zeros((len(values), *core.shape))
    out[:, 0, 0, 0] = values
    return out


def _computed(lazy: Any, number: int) -> tuple[NDArray[np.float64], float]:
    """Sums of a block, and the core-seconds it took."""
    start = time.process_time()
    block = compute_block(lazy, [int(n) for n in np.unravel_index(number, lazy.numblocks)])
    return block.sum(axis=(1, 2, 3)), time.process_time() - start


def _sample(counted: Any, case: Case, most: int | None) -> tuple[list[int], NDArray[np.float64] | None]:
    """Return numbers of blocks to look at, and the share of the sea that each one has.

    More than `most` blocks are drawn in proportion to the sea that the mask of the package says they have, one from
    each of `most` stretches of equal sea in the order of the blocks. No shares when all blocks are looked at.
    """
    if most is None or counted.npartitions <= most:
        return list(range(counted.npartitions)), None
    grid = case.quantity.grid
    sea = seamask.sea(grid.lat_of(np.array(grid.rows)[::LOOK]), grid.lon_of(np.array(grid.cols)[::LOOK])).astype(float)
    for axis, sizes in enumerate(counted.chunks[2:]):
        edges = -(-np.cumsum([0, *sizes[:-1]]) // LOOK)  # rounded up: the first pixel of a block that is looked at
        sea = np.add.reduceat(sea, np.minimum(edges, sea.shape[axis] - 1), axis=axis)
    floor = FLOOR * np.prod([sizes[0] for sizes in counted.chunks[2:]]) / LOOK**2
    shares = (np.array(counted.chunks[1])[:, None] * (sea + floor).ravel()).ravel()
    shares /= shares.sum()
    drawn = (np.arange(most) + np.random.default_rng(0).random(most)) / most
    numbers = np.minimum(np.searchsorted(np.cumsum(shares), drawn, side="right"), shares.size - 1)
    return [int(number) for number in numbers], shares[numbers]


def _total(
    sums: NDArray[np.float64], shares: NDArray[np.float64] | None, blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over all blocks from a sample of them, and its standard error.

    Hansen & Hurwitz (1943), doi:10.1214/aoms/1177731356. The error is that of independent draws: too large, if
    anything, for one draw a stretch.
    """
    if shares is None:
        return sums.sum(axis=0), np.zeros(sums.shape[1])
    each = sums / shares[:, None]
    return each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each)) * math.sqrt(1 - len(each) / blocks)


def _memory(case: Case, kernel: FillKernel, counted: Any) -> float:
    """Arrays of the largest block: what is read, encoded and blended, a batch of windows, and chunks of dask input."""
    block = np.array([max(sizes) for sizes in counted.chunks[1:]])
    ranges = [kernel.around(axis, (0, int(length))) for axis, length in enumerate(block)]
    around = np.array([high - low for low, high in ranges])
    if kernel.reach[0] is None:
        around[0] = block[0]
    read = np.prod(around) * 4 * len(case.sources)  # gone when windows are filled
    variances = 0 if case.error is None else kernel.targets
    known = np.prod(around) * (5 * len(kernel.channels) + 4 * variances + 2 * case.quantity.family.parts + 3)
    held = np.prod(block) * 4 * (kernel.layers * 2 + kernel.members * len(kernel.channels))
    window = np.prod(kernel.tiling.size) * BATCH * len(kernel.channels) * 4 * (60 + 2 * kernel.members)
    return float(known + max(read, held + window) + _chunks(case, counted))


def _chunks(case: Case, counted: Any) -> float:
    """Bytes of the chunks of dask input that a block in the middle needs."""
    arrays = {source.array.name: source.array for source in case.sources if isinstance(source, Chunked)}
    if not arrays:
        return 0.0
    middle = (counted.name, 0, *(n // 2 for n in counted.numblocks[1:]))
    keys = [key for key in counted.dask[middle].dependencies if key[0] in arrays]
    return float(sum(arrays[key[0]].dtype.itemsize * _length(arrays[key[0]], key[1:]) for key in keys))


def _length(array: Any, place: Sequence[int]) -> int:
    return int(np.prod([sizes[number] for sizes, number in zip(array.chunks, place, strict=True)]))


def _duration(seconds: float) -> str:
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"
