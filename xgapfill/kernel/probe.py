"""Kernels that count and time the work of a fill on the same blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.encode import BoxChannels
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.reduce import Reduced
from xgapfill.lattice.grid import Box
from xgapfill.methods.base import batches
from xgapfill.nets.device import device_of

COUNTS = ("batches", "windows", "gaps", "sea", "passes", "encoding again")
TIMED = ("batch", "decoding", "beyond")
TIMED_BATCHES = 3
Operation = FillKernel | Reduced


@dataclass(frozen=True)
class Look:
    """A kernel with the blocks of a fill or a reduction, for other operations on them."""

    op: Operation

    @property
    def kernel(self) -> FillKernel:
        """The kernel that fills."""
        return self.op if isinstance(self.op, FillKernel) else self.op.kernel

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """Halo of the operation."""
        return self.op.reach

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Places that the operation depends on."""
        return self.op.around(axis, places)

    def parts(self, arrays: list[NDArray], box: Box, core: Box) -> Iterator[tuple[list[NDArray], Box, Box]]:
        """Parts of a block that are filled at once."""
        if isinstance(self.op, FillKernel):
            yield arrays, box, core
        else:
            yield from self.op.slabs(arrays, box, core)

    def drawn(self, core: Box, itemsize: int) -> list[int]:
        """Numbers of members that are drawn at once."""
        if isinstance(self.op, FillKernel):
            return [self.op.members]
        return [len(beside) + len(wanted) for beside, wanted in self.op.together(core, itemsize)]

    def batches(self, known: BoxChannels, box: Box, core: Box) -> list[tuple[Any, Any]]:
        """Batches of windows with missing pixels."""
        cutter = self.kernel.cutter
        return list(batches(cutter.needed(known, box, core, cutter.near(known, box, core))))


class Count(Look):
    """Counts of a block, `COUNTS`."""

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float64]:
        """Return layers of the core that sum to the counts."""
        drawn = self.drawn(core, arrays[0].itemsize)
        each = sum(self.kernel.method.passes(members) for members in drawn)
        sums = np.zeros(len(COUNTS))
        for part, around, inner in self.parts(arrays, box, core):
            start = time.process_time()
            known = self.kernel.encode(self.kernel.layout.named(part), around)
            again = (time.process_time() - start) * (len(drawn) - 1)
            found = self.batches(known, around, inner)
            inside = inner.within(around)
            sea = (known.sea | known.anything)[inside]
            gaps = sea & ~np.asarray(known.present.all(axis=0))[inside]
            windows = sum(len(starts) for starts, _ in found)
            sums += [len(found), windows, gaps.sum(), sea.sum(), len(found) * each, again]
        return _layers(sums, core)


class Time(Look):
    """Core-seconds of a block, `TIMED`: of a batch of windows, of decoding the block, of what lies beyond windows.

    Forward passes cost the same in every schedule, so a long schedule is timed by a short one.
    """

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float64]:
        """Return layers of the core that sum to the times."""
        kernel, method = self.kernel, self.kernel.method
        drawn = self.drawn(core, arrays[0].itemsize)
        if method.passes(1):
            short = method.cheap()
            factor = sum(method.passes(members) for members in drawn) / short.passes(1)
            kernel = replace(kernel, method=short, members=1)
        else:
            kernel, factor = replace(kernel, members=drawn[0]), len(drawn)
        clock = time.process_time if device_of(method) == "cpu" else time.perf_counter
        found, number, times = -1, 0, []
        for each in self.parts(arrays, box, core):
            number += 1
            observed = kernel.encode(kernel.layout.named(each[0]), each[1])
            count = len(self.batches(observed, *each[1:]))
            if count > found:
                found, known, (part, around, inner) = count, observed, each
        others = kernel.donors_on(kernel.layout.named(part), around)
        for count in (1, 1, min(TIMED_BATCHES, found)):  # the first one warms up
            start = clock()
            blend = kernel.blend(known, around, inner, others, count)
            times.append(clock() - start)
        batch = (times[2] - times[1]) / (TIMED_BATCHES - 1) if found >= TIMED_BATCHES else times[1]
        nothing = kernel.prior is None and kernel.donors is None
        beyond = 0.0 if nothing else max(times[1] - batch, 0.0) * number * sum(drawn) / kernel.members
        start = clock()
        kernel.decode(known.within(inner.within(around)), kernel.raw(kernel.layout.named(part), around, inner), blend)
        decoding = (clock() - start) * number * sum(drawn) / kernel.members
        return _layers((batch * factor, decoding, beyond), core)


def _layers(values: Sequence[float] | NDArray[np.float64], core: Box) -> NDArray[np.float64]:
    """Layers of a core that sum to these values."""
    out = np.zeros((len(values), *core.shape))
    out[:, 0, 0, 0] = values
    return out
