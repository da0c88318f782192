"""Space-time tiles (windows) of a block: which are needed, and how they are cut out of its box and padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.encode import BoxChannels, undriven
from xgapfill.kernel.limits import Limits
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.observations import Samples, excess
from xgapfill.lattice.tiling import Tiling, inside, overlap
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH


@dataclass(frozen=True)
class Cutter:
    """Cuts windows out of boxes.

    Attributes
    ----------
    grid : Grid
        Lattice of the target.
    channels : tuple of str
        Channels of the method, targets first.
    targets : int
        Number of channels to be filled.
    tiling : Tiling
        Layout of the windows of the method.
    limits : Limits or None
        Limits beyond which pixels stay missing.
    samples : Samples or None
        In-situ samples.
    own : bool
        Whether windows need an observation of the target itself: predictors alone do not tell its level.
    others : bool
        Whether pixels of other sensors count as uncertain observations.
    """

    grid: Grid
    channels: tuple[str, ...]
    targets: int
    tiling: Tiling
    limits: Limits | None = None
    samples: Samples | None = None
    own: bool = False
    others: bool = False

    def near(self, known: BoxChannels, box: Box, core: Box) -> NDArray[np.bool_]:
        """Pixels of the core that are close enough to an observation to be filled."""
        if self.limits is None:
            return np.ones(core.shape, bool)
        return self.limits.within(np.asarray(known.present.all(axis=0)), self.grid, box, core)

    def needed(
        self, known: BoxChannels, box: Box, core: Box, near: NDArray[np.bool_], seen: bool = True
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Windows with an observation and a missing sea pixel of the core, each with its sea mask.

        Not `seen`: windows without an observation, of which the prior knows something.
        """
        gaps = np.asarray(~known.present.all(axis=0))[core.within(box)] & near
        tiling = self.tiling
        for start in tiling.touching(core):
            window = inside(start, tiling.size, box)
            if self._seen(known, window, start) != seen:
                continue
            if not seen and not known.prior.known[window].any():
                continue
            # a mask that changes with time may lack some frames: a pixel that is sea in any frame is sea
            some = known.sea[window] | known.anything[window]
            sea = np.asarray(some.any(axis=0) | ~known.land[window].any(axis=0))
            at, part = overlap(start, tiling.size, core)
            if (gaps[at] & sea[part[1:]] & (tiling.weight[part] > 0)).any():
                yield start, sea

    def _seen(self, known: BoxChannels, window: tuple[slice, ...], start: NDArray[np.int64]) -> bool:
        """Whether a window has an observation or a sample that its gaps can be filled from."""
        if self.own:
            observed = bool(known.observed[: self.targets, *window].any())
            most = self.targets
        else:
            observed, most = bool(known.anything[window].any()), len(self.channels)
        observed = observed or (self.others and known.also is not None and known.also.within(window).any())
        return observed or (self.samples is not None and self.samples.touch(start, self.tiling.size, most))

    def cut(self, known: BoxChannels, box: Box, starts: Sequence[NDArray], seas: Sequence[NDArray]) -> Windows:
        """Cut windows out of a box and pad them to BATCH with empty ones, as bits depend on the size of a batch."""
        slots, rows, cols = self.tiling.size
        values = np.zeros((BATCH, slots, len(self.channels), rows, cols), np.float32)
        observed, sea = np.zeros(values.shape, bool), np.zeros((BATCH, rows, cols), bool)
        others = known.also if self.others else None
        uncertain = self.samples is not None or known.variance is not None or others is not None
        variance = np.zeros(values.shape, np.float32) if uncertain else None
        padded = np.stack([*starts, *[starts[0]] * (BATCH - len(starts))]).astype(np.int64)
        for number, start in enumerate(starts):
            window = inside(start, self.tiling.size, box)
            values[number] = np.moveaxis(known.values[:, *window], 0, 1)
            observed[number] = np.moveaxis(known.observed[:, *window], 0, 1)
            sea[number] = seas[number]
            if variance is not None and known.variance is not None:
                targets = slice(0, self.targets)
                own = np.moveaxis(known.variance[:, *window], 0, 1)
                variance[number, :, targets] = excess(own, observed[number, :, targets])
            if variance is not None and others is not None:
                others.within(window).put(values[number], observed[number], variance[number])
            if variance is not None and self.samples is not None:
                self.samples.put(values[number], observed[number], variance[number], start)
        if known.driven is not None:
            for number, start in enumerate(starts):
                driven = known.driven[:, *inside(start, self.tiling.size, box)]
                swapped = np.swapaxes(values[number], 0, 1), np.swapaxes(observed[number], 0, 1)
                values[number] = np.swapaxes(undriven(*swapped, driven), 0, 1)
        level = None
        if known.prior is not None:
            level = np.zeros_like(values)
            for number, start in enumerate(starts):
                window = inside(start, self.tiling.size, box)
                level[number] = np.moveaxis(known.prior.level[:, *window], 0, 1)
                scale = np.moveaxis(known.prior.scale[:, :, *window[1:]], 0, 1)
                values[number] = known.prior.anomalies(values[number], observed[number], level[number], scale)
                if variance is not None:
                    variance[number] /= scale**2
        grid = self.grid
        return Windows(
            values=values,
            observed=observed,
            sea=sea,
            channels=self.channels,
            targets=self.targets,
            starts=padded,
            lat=np.stack([grid.lat_of(row + np.arange(rows)) for row in padded[:, 1]]).astype(np.float32),
            lon=np.stack([grid.lon_of(col + np.arange(cols)) for col in padded[:, 2]]).astype(np.float32),
            season=np.stack([grid.season_of(slot + np.arange(slots)) for slot in padded[:, 0]]),
            step_days=grid.step_days,
            step_km=np.stack(grid.step_km(padded[:, 1] + (rows - 1) / 2), axis=-1).astype(np.float32),
            variance=variance,
            level=level,
        )
