"""What a fill will cost before it is computed: blocks, windows, time and memory, from a sample of its blocks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.fill import Case, kernel_of, lay_out, read_case
from xgapfill.grid import Box
from xgapfill.inputs import read_sea
from xgapfill.kernel import FillKernel
from xgapfill.methods import find
from xgapfill.methods.base import BATCH, Method, SeriesMethod, batches

SAMPLE = 32
COUNTS = ("batches", "windows", "gaps", "sea", "seconds")


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
        Network passes over a batch of windows; 0 for methods without a network.
    missing_share : float
        Of the sea.
    seconds, seconds_error : float
        Core-seconds on this machine, as measured on one batch and in reading the sample.
    memory : float
        Bytes a worker thread needs at most, beside those of the process.
    output_bytes : int
        Of the result, not compressed.
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

    def wall_seconds(self, workers: int | None = None) -> float:
        """Wall time with so many cores, by default those of this machine."""
        return self.seconds / (workers or os.cpu_count() or 1)

    def __str__(self) -> str:
        cores = os.cpu_count() or 1
        lines = [
            f"{self.method}: {self.blocks} blocks, {self.sampled} looked at",
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
    weights: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    full: bool = False,
    exact: bool = False,
    **parameters: Any,
) -> Plan:
    """Estimate what a fill costs, from at most 32 of its blocks and the measured speed of this machine.

    Parameters
    ----------
    da, cond, members, weights, sea, size_class, full
        As in `xgapfill.repaint`.
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
    case = read_case(da, chosen, cond, weights, size_class)
    if isinstance(chosen, SeriesMethod) and case.weights is None:
        raise ValueError(f"{chosen.name} is fitted first: plan it with weights= from xgapfill.fit")
    mask = read_sea(sea, case.quantity)
    kernel = kernel_of(case, chosen, members=members, full=full, sea=None if mask is None else mask[0])
    counted = _counted(case, _Count(kernel), mask)
    numbers = np.arange(counted.npartitions)
    if not exact and numbers.size > SAMPLE:
        numbers = np.sort(np.random.default_rng(0).choice(numbers, SAMPLE, replace=False))
    places = np.stack(np.unravel_index(numbers, counted.numblocks), axis=-1)
    sums = np.stack([_sums(counted, place) for place in places])
    a_batch = 0.0
    if sums[:, 0].any():
        timed = _counted(case, _Count(kernel, timed=True), mask)
        a_batch = float(_sums(timed, places[np.argmax(sums[:, 0])])[COUNTS.index("seconds")])
    total, error = _total(sums, counted.npartitions)
    seconds = sums[:, 4] + a_batch * sums[:, 0]
    spent, spent_error = _total(seconds[:, None], counted.npartitions)
    return Plan(
        method=chosen.name,
        blocks=counted.npartitions,
        sampled=numbers.size,
        windows=float(total[1]),
        windows_error=float(error[1]),
        calls=float(total[0]) * _calls(chosen, members),
        missing_share=float(total[2] / total[3]) if total[3] else 0.0,
        seconds=float(spent[0]),
        seconds_error=float(spent_error[0]),
        memory=_memory(case, kernel, counted),
        output_bytes=int(np.prod(case.quantity.grid.shape)) * kernel.layers * 4,
    )


@dataclass(frozen=True)
class _Count:
    """Reads and encodes a block as a fill does; sums of a block are `COUNTS`. With `timed` it fills one batch."""

    kernel: FillKernel
    timed: bool = False

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """As of the kernel."""
        return self.kernel.reach

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """As of the kernel."""
        return self.kernel.around(axis, places)

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float64]:
        start = time.perf_counter()
        known = self.kernel.encode(arrays, box)
        found = list(batches(self.kernel.needed(known, box, core, self.kernel.near(known, box, core))))
        seconds = time.perf_counter() - start
        if self.timed and found:
            weights = None if self.kernel.weights is None else self.kernel.weights.open()
            windows = self.kernel.windows(known, box, *found[0], self.kernel.tiling.size)
            for _ in range(2):  # the first call warms up
                start = time.perf_counter()
                self.kernel.method.fill(windows, weights, self.kernel.noise, self.kernel.members)
                seconds = time.perf_counter() - start
        inside = core.within(box)
        sea = (known.sea | known.anything)[inside]
        gaps = sea & ~np.asarray(known.target.observed.all(axis=0))[inside]
        out = np.zeros((len(COUNTS), *core.shape))
        out[:, 0, 0, 0] = len(found), sum(len(starts) for starts, _ in found), gaps.sum(), sea.sum(), seconds
        return out


def _sums(counted: Any, place: NDArray[np.int64]) -> NDArray[np.float64]:
    block = counted.blocks[tuple(int(number) for number in place)]
    return np.asarray(block.compute(scheduler="synchronous").sum(axis=(1, 2, 3)))


def _counted(case: Case, count: _Count, mask: Any) -> Any:
    return lay_out(case, count, layers=len(COUNTS), dtype=np.float64, mask=mask)


def _total(sums: NDArray[np.float64], blocks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over all blocks from a sample of them, and its standard error."""
    count = len(sums)
    if count == blocks:
        return sums.sum(axis=0), np.zeros(sums.shape[1])
    spread = sums.std(axis=0, ddof=1) / math.sqrt(count) * math.sqrt(1 - count / blocks)
    return sums.mean(axis=0) * blocks, spread * blocks


def _calls(method: Method, members: int) -> int:
    """Network passes a batch."""
    if method.name == "posterior_mean":
        return 1
    walk = getattr(method, "walk", None)
    return 0 if walk is None else 1 + members * (sum(to < sigma for sigma, to in walk()) - 1)


def _memory(case: Case, kernel: FillKernel, counted: Any) -> float:
    """Arrays of the largest block: what is read, encoded and blended, and a batch of windows."""
    block = np.array([max(sizes) for sizes in counted.chunks[1:]])
    slots, rows, cols = kernel.reach
    around = block + 2 * np.array([0 if slots is None else slots, rows, cols])
    known = np.prod(around) * (4 * len(case.sources) + 6 * len(kernel.channels) + 8)
    held = np.prod(block) * 4 * (kernel.layers * 2 + kernel.members * len(kernel.channels))
    window = np.prod(kernel.tiling.size) * BATCH * len(kernel.channels) * 4
    return float(known + held + window * (60 + 2 * kernel.members))


def _duration(seconds: float) -> str:
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"
