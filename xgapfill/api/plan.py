"""Estimates the cost of a fill (blocks, windows, time, memory) from a sample of its blocks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.api.signatures import (
    OPTIONS_OF_FILL,
    TARGET,
    bound,
    dressed,
    options_document,
    positional,
    signature_of,
)
from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.graph import compute_block
from xgapfill.kernel import reduce as reducing
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.probe import COUNTS, TIMED, Count, Look, Operation, Time
from xgapfill.kernel.shared_prior import BANDS
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.grid import Box
from xgapfill.methods import find
from xgapfill.methods.base import BATCH
from xgapfill.nets.device import device_of
from xgapfill.pipeline import lay_out

SAMPLE = 32
SHARED = 3  # blocks of an array that many blocks of the result share
LOOK = 4  # the sea mask is sampled at every 4th row and column
FLOOR = 0.02  # least share of sea assumed in a block: the mask may be wrong


@dataclass(frozen=True)
class Plan:
    """Estimate of a fill.

    Attributes
    ----------
    method : str
    blocks, sampled : int
        Tasks of the result, and the number of them in the sample.
    windows, windows_error : float
        Number of space-time tiles (windows) with gaps and sea, and its standard error.
    calls : float
        Forward passes of the network over a batch of windows; 0 for methods without a network. As uncertain as
        `windows`.
    missing_share : float
        Missing share of the sea.
    seconds, seconds_error : float
        Core-seconds on this machine, measured on some batches and while reading the sample, and their standard error.
    memory : float
        Largest number of bytes per worker thread, besides those of the process.
    output_bytes : int
        Size of the result without compression.
    device : str
        ``cpu``, or the torch device that the method would use.
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
        """Wall time on a number of cores, by default those of this machine."""
        return self.seconds / (workers or os.cpu_count() or 1)

    def __str__(self) -> str:
        cores = os.cpu_count() or 1
        lines = [
            f"{self.method} on {self.device}: {self.blocks} blocks, {self.sampled} sampled",
            f"missing: {self.missing_share:.0%} of the sea",
            f"windows to fill: {self.windows:,.0f} +- {self.windows_error:,.0f}; forward passes: {self.calls:,.0f}",
            f"core time: {_duration(self.seconds)} +- {_duration(self.seconds_error)}; "
            f"on the {cores} cores of this machine about {_duration(self.wall_seconds())}",
            f"memory: {self.memory / 1e9:.2f} GB per thread besides the process; "
            f"result {self.output_bytes / 1e9:.3g} GB before compression",
        ]
        return "\n".join(lines)

    __repr__ = __str__


_PLAN = """Estimate the cost of a fill from at most 32 of its blocks and the measured speed of this machine.

The estimate includes what many blocks share: the season, the large scale, and the relation to drivers and to other
sensors. It excludes fits of series methods: pass ``weights=`` from `xgapfill.fit`."""
_OWN = """method : str or Method
    As in `xgapfill.fill`.
cond : DataArray or sequence of DataArrays, optional
    Predictor(s).
exact : bool
    Use all blocks instead of a sample; this reads all data once."""
_REST = """**parameters
    Parameters of a method given by name.

Returns
-------
Plan
    Prints itself.

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


def _planning() -> Callable[..., Plan]:
    first = [positional("da"), positional("method", "repaint"), positional("cond", None)]
    signature = signature_of(first, {**OPTIONS_OF_FILL, "exact": False}, more=True)
    signature = signature.replace(return_annotation="Plan")

    def plan(*given: Any, **keywords: Any) -> Plan:
        call = bound(signature, "plan", given, keywords)
        da, method, cond, exact, parameters = (
            call.pop(name) for name in ("da", "method", "cond", "exact", "parameters")
        )
        return estimate(Job.of(da, find(method, **parameters), cond, FillOptions(**call)), None if exact else SAMPLE)

    document = options_document(_PLAN, f"{TARGET}\n{_OWN}", OPTIONS_OF_FILL)
    return dressed(plan, "plan", signature, f"{document}\n{_REST}")


plan = _planning()


def estimate(job: Job, most: int | None) -> Plan:
    """Estimate the cost of a job from at most `most` of its blocks."""
    if job.needs_fit:
        raise ValueError(f"{job.method.name} must be fitted first; pass weights= from xgapfill.fit")
    job, shared = job.alone(ever=most is None)  # each block of a sample would read its whole series
    op = job.op
    counted = lay_out(job, Count(op), layers=len(COUNTS), dtype=np.float64)
    numbers, shares = _sample(counted, job, most)
    looked = [_computed(counted, number) for number in numbers]
    sums = np.stack([values for values, _ in looked])
    found, _, gaps, _, _, again = sums.T
    busiest, batch, decoding, beyond = int(np.argmax(found)), 0.0, 0.0, 0.0
    if found[busiest]:
        timed = lay_out(job, Time(op), layers=len(TIMED), dtype=np.float64)
        batch, decoding, beyond = _computed(timed, numbers[busiest])[0]
    by_gaps = (decoding + beyond) / max(gaps[busiest], 1)
    seconds = np.array([spent for _, spent in looked]) + batch * found + by_gaps * gaps + again
    before, unsure = np.sum([_of_shared(array) for array in shared] or [(0.0, 0.0)], axis=0)
    both = _total(np.column_stack([sums, seconds]), shares, counted.npartitions)
    total, doubt = (dict(zip((*COUNTS, "seconds"), part.tolist(), strict=True)) for part in both)
    return Plan(
        method=job.method.name,
        blocks=counted.npartitions,
        sampled=len(set(numbers)),
        windows=total["windows"],
        windows_error=doubt["windows"],
        calls=total["passes"],
        missing_share=total["gaps"] / total["sea"] if total["sea"] else 0.0,
        seconds=total["seconds"] + before,
        seconds_error=math.hypot(doubt["seconds"], unsure),
        memory=_memory(job, counted),
        output_bytes=_output(op),
        device=device_of(job.method),
    )


def _computed(lazy: Any, number: int) -> tuple[NDArray[np.float64], float]:
    """Sums of a block, and the core-seconds spent on it."""
    start = time.process_time()
    block = compute_block(lazy, [int(n) for n in np.unravel_index(number, lazy.numblocks)])
    return block.sum(axis=(1, 2, 3)), time.process_time() - start


def _of_shared(array: Any) -> tuple[float, float]:
    """Core-seconds of an array that blocks share, from some of its blocks, and their standard error."""
    count = array.npartitions
    numbers = np.unique(np.linspace(0, count - 1, min(count, SHARED) + 2).astype(int)[1:-1])
    spent = np.array([_computed(array, number)[1] for number in numbers])
    error = spent.std(ddof=1) / math.sqrt(len(spent)) if 1 < len(spent) < count else 0.0
    return count * float(spent.mean()), count * float(error)


def _sample(counted: Any, job: Job, most: int | None) -> tuple[list[int], NDArray[np.float64] | None]:
    """Return the numbers of the sampled blocks, and the share of the sea in each.

    If there are more than `most` blocks, `most` are drawn in proportion to their sea area in the mask of the package:
    one from each of `most` strata of equal sea area in the order of the blocks. Otherwise all are used, without shares.
    """
    if most is None or counted.npartitions <= most:
        return list(range(counted.npartitions)), None
    grid = job.target.grid
    sea = seamask.sea(grid.lat_of(np.array(grid.rows)[::LOOK]), grid.lon_of(np.array(grid.cols)[::LOOK])).astype(float)
    for axis, sizes in enumerate(counted.chunks[2:]):
        edges = -(-np.cumsum([0, *sizes[:-1]]) // LOOK)  # rounded up: the first sampled pixel of a block
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

    Hansen & Hurwitz (1943), doi:10.1214/aoms/1177731356. The error is that of independent draws; for one draw per
    stratum it is an upper estimate.
    """
    if shares is None:
        return sums.sum(axis=0), np.zeros(sums.shape[1])
    each = sums / shares[:, None]
    return each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each)) * math.sqrt(1 - len(each) / blocks)


def _memory(job: Job, counted: Any) -> float:
    """Bytes of the largest block: values read, encoded and blended, a batch of windows, and chunks of dask input."""
    op, look = job.op, Look(job.op)
    kernel = look.kernel
    block = np.array([max(sizes) for sizes in counted.chunks[1:]])
    ranges = [op.around(axis, (0, int(length))) for axis, length in enumerate(block)]
    around = np.array([high - low for low, high in ranges])
    if op.reach[0] is None:
        around[0] = block[0]
    core = Box((0, int(block[0])), (0, int(block[1])), (0, int(block[2])))
    members, parts = max(look.drawn(core, 4)), kernel.variables[0].parts
    beside = 0 if kernel.prior is None else len(kernel.channels)  # levels, and draws of each width of the large scale
    of_pixels = len(job.sources) - kernel.layout.prior - _of_cells(kernel)
    read = np.prod(around) * 4 * of_pixels  # freed before windows are filled
    variances = 0 if kernel.error is None else kernel.targets
    if isinstance(op, reducing.Reduced) and op.series and kernel.reach[0] is not None:
        around[0] = min(around[0], reducing.SLAB + 2 * kernel.reach[0])  # filled one slab at a time
    known = np.prod(around) * (5 * len(kernel.channels) + 4 * variances + 2 * parts + 3 + 5 * beside)
    layers = kernel.layers if isinstance(op, FillKernel) else op.layers + members * parts + _gathered(op)
    held = np.prod(block) * 4 * (layers * 2 + members * len(kernel.channels) + 2 * len(BANDS) * beside)
    window = np.prod(kernel.tiling.size) * BATCH * len(kernel.channels) * 4 * (60 + 2 * members)
    return float(known + max(read, held + window) + _chunks(job, counted))


def _of_cells(kernel: FillKernel) -> int:
    """Arrays of the relation to drivers and to other sensors, which have few values."""
    drivers = 0 if kernel.drivers is None else kernel.drivers.arrays - kernel.drivers.raw
    return drivers + (0 if kernel.also is None else kernel.also.fields)


def _gathered(op: reducing.Reduced) -> int:
    """Layers (or an equivalent number of bytes) kept for statistics: all members for quantiles, else sums."""
    kinds = {each.kind for field in op.fields if field.function is None for each in field.statistics}
    parts = op.kernel.variables[0].parts
    return parts * (op.kernel.members * ("quantile" in kinds) + 6 * bool(kinds - {"quantile"}))


def _output(op: Operation) -> int:
    """Bytes of the result, as float32."""
    if isinstance(op, FillKernel):
        return op.layers * math.prod(op.grid.shape) * 4
    maps = 1 if op.series else len(op.kernel.grid.slots)
    return sum(op.sizes) * maps * math.prod(op.kernel.grid.shape[1:]) * 4


def _chunks(job: Job, counted: Any) -> float:
    """Bytes of the chunks of dask input needed by a block in the middle."""
    arrays = {source.array.name: source.array for source in job.sources if isinstance(source, Chunked)}
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
