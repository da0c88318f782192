"""What happens to one block: encode, cut windows, let the method fill them, blend, decode, paste, say the status."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.block import OnBox
from xgapfill.blocks.progress import tracked
from xgapfill.kernel.encode import BoxChannels, Encoder
from xgapfill.kernel.limits import Limits
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.observations import Samples, excess
from xgapfill.lattice.sea import SeaFlag
from xgapfill.lattice.tiling import Tiling, inside, overlap
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH, Method, batches
from xgapfill.variables import ErrorUnits, Given, Variable
from xgapfill.variables.base import invalid_message
from xgapfill.weights import Handle, Weights, handle

OBSERVED, FILLED, TOO_LITTLE, OUTSIDE, INVALID, LAND = range(6)
_warned: set[str] = set()
_lock = threading.Lock()


class Blend(NamedTuple):
    """Windows blended on a core: members (m, k, t, y, x), spread (k, t, y, x), weight (t, y, x); not yet divided."""

    members: NDArray[np.float32]
    spread: NDArray[np.float32]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class FillKernel:
    """Fills the core of a lattice box; frozen and picklable, the same bits however the lattice is cut into cores.

    Attributes
    ----------
    grid : Grid
        Lattice of the target.
    variables : tuple of Variable
        Of the target, then of each condition.
    channels : tuple of str
        Channels of the method, targets first.
    method, weights, noise, members
        What fills, with what, how often.
    full : bool
        Whether spread and status are returned as well.
    sea : SeaFlag or None
        How the last array says what is sea; None: there is no such array and the mask of the package is used.
    ranges : tuple of (lowest, highest)
        Range of each channel in the training of the weights; infinite where there is none.
    checked : tuple of bool
        Which variables had their values looked at before (so that impossible ones were warned of).
    label : str
        What is filled, for messages.
    tiling : Tiling
        Where the windows of the method lie.
    limits : Limits or None
        Beyond which pixels stay missing.
    samples : Samples or None
        What was observed in the water.
    error : ErrorUnits or None
        How arrays between those of the variables and the mask, one a part of the target, say how much it errs.
    call : str
        Names the call: of one call, impossible values are warned of once.
    """

    grid: Grid
    variables: tuple[Variable, ...]
    channels: tuple[str, ...]
    method: Method
    weights: Handle | None
    noise: Noise
    members: int
    full: bool
    sea: SeaFlag | None
    ranges: tuple[tuple[float, float], ...]
    checked: tuple[bool, ...]
    label: str
    tiling: Tiling
    limits: Limits | None = None
    samples: Samples | None = None
    error: ErrorUnits | None = None
    call: str = ""

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """Slots, rows and columns around a pixel that it depends on; None slots: all of them."""
        limits = (0, 0, 0) if self.limits is None else self.limits.reach(self.grid)
        slots, rows, cols = (max(pair) for pair in zip(self.tiling.reach, limits, strict=True))
        return None if self.tiling.series is not None else slots, rows, cols

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Return what cores on a range of places may depend on: their windows, and what limits look at."""
        low, high = self.tiling.around(axis, places)
        more = 0 if self.limits is None else self.limits.reach(self.grid)[axis]
        return min(low, places[0] - more), max(high, places[1] + more)

    def given(self, fitted: Weights) -> FillKernel:
        """Return the kernel with weights that were fitted on the series that is filled."""
        return replace(self, weights=handle(fitted))

    @property
    def targets(self) -> int:
        """Number of channels to be filled."""
        return len(self.variables[0].channels)

    @property
    def layers(self) -> int:
        """Layers of the result: members x parts; if full, the spread and the status of each part, log10 spread."""
        parts = self.variables[0].parts
        extra = 2 * parts + self.variables[0].logarithmic if self.full else 0
        return self.members * parts + extra

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        """Return (layers, *core.shape) given (t, y, x) arrays: parts of variables, errors of the target's, sea mask.

        The list of arrays is emptied.
        """
        known, raw = self.encode(arrays, box), self.raw(arrays, box, core)
        arrays.clear()  # what they hold is free to go before the windows are filled
        blend = self.blend(known, box, core)
        return self.decode(known.within(core.within(box)), raw, blend)

    def encode(self, arrays: Sequence[NDArray], box: Box) -> BoxChannels:
        """Turn physical values into channels."""
        return Encoder(self.grid, self.variables, self.channels, self.sea, self.error, self._warn)(arrays, box)

    def raw(self, arrays: Sequence[NDArray], box: Box, core: Box) -> list[Any]:
        """Parts of the target in the core as they came, (t, y, x) each: copies, but of chunks that are at hand."""
        parts: Sequence[Any] = arrays[: self.variables[0].parts]
        return [part.within(core) if isinstance(part, OnBox) else part[core.within(box)].copy() for part in parts]

    def blend(self, known: BoxChannels, box: Box, core: Box, most: int | None = None) -> Blend:
        """Fill the windows that touch the core and have something to do there, at most so many batches; sum them."""
        tiling = self.tiling
        kept = self.kept_channels
        blend = Blend(
            np.zeros((self.members, len(kept), *core.shape), np.float32),
            np.zeros((len(kept), *core.shape), np.float32),
            np.zeros(core.shape, np.float32),
        )
        weights, near = None, self.near(known, box, core)
        needed = list(self.needed(known, box, core, near))
        for starts, seas in tracked(islice(batches(needed), most), len(needed)):
            if weights is None and self.weights is not None:
                weights = self.weights.open()
            windows = self.windows(known, box, starts, seas, tiling.size)
            filled = self.method.fill(windows, weights, self.noise, self.members)
            for number, (start, sea) in enumerate(zip(starts, seas, strict=True)):
                at, part = overlap(start, tiling.size, core)
                weight = tiling.weight[part] * sea[part[1:]]
                values = filled.values[:, number][:, part[0], :, part[1], part[2]][:, :, kept]
                spread = filled.spread[number][part[0], :, part[1], part[2]][:, kept]
                blend.members[:, :, *at] += np.moveaxis(values, 2, 1) * weight
                blend.spread[:, *at] += np.moveaxis(spread, 1, 0) * weight
                blend.weight[at] += weight
        blend.weight[~near] = 0
        return blend

    def near(self, known: BoxChannels, box: Box, core: Box) -> NDArray[np.bool_]:
        """Pixels of the core that are near enough to what was observed to be filled."""
        if self.limits is None:
            return np.ones(core.shape, bool)
        return self.limits.within(np.asarray(known.present.all(axis=0)), self.grid, box, core)

    @property
    def kept_channels(self) -> list[int]:
        """Channels that decoding needs: the targets, and what they are shares of where they are no fractions."""
        target = self.variables[0]
        whole = [self.channels.index(target.whole.channels[0])] if target.needs_whole and target.whole else []
        return [*range(self.targets), *whole]

    def needed(
        self, known: BoxChannels, box: Box, core: Box, near: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Windows that saw anything and have a missing sea pixel to be filled in the core, with their sea."""
        gaps = np.asarray(~known.present.all(axis=0))[core.within(box)] & near
        tiling = self.tiling
        for start in tiling.touching(core):
            window = inside(start, tiling.size, box)
            if not known.anything[window].any() and not (self.samples and self.samples.touch(start, tiling.size)):
                continue
            # a mask that changes with time may not know some frames: what was sea in any other is sea
            some = known.sea[window] | known.anything[window]
            sea = np.asarray(some.any(axis=0) | ~known.land[window].any(axis=0))
            at, part = overlap(start, tiling.size, core)
            if (gaps[at] & sea[part[1:]] & (tiling.weight[part] > 0)).any():
                yield start, sea

    def windows(
        self, known: BoxChannels, box: Box, starts: list[NDArray], seas: list[NDArray], size: tuple[int, int, int]
    ) -> Windows:
        """Cut windows out of the box and pad them to BATCH with empty ones: bits depend on the size of a batch."""
        slots, rows, cols = size
        values = np.zeros((BATCH, slots, len(self.channels), rows, cols), np.float32)
        observed, sea = np.zeros(values.shape, bool), np.zeros((BATCH, rows, cols), bool)
        variance = None if self.samples is None and self.error is None else np.zeros(values.shape, np.float32)
        padded = np.stack([*starts, *[starts[0]] * (BATCH - len(starts))]).astype(np.int64)
        for number, start in enumerate(starts):
            window = inside(start, size, box)
            values[number] = np.moveaxis(known.values[:, *window], 0, 1)
            observed[number] = np.moveaxis(known.observed[:, *window], 0, 1)
            sea[number] = seas[number]
            if variance is not None and known.variance is not None:
                targets = slice(0, self.targets)
                own = np.moveaxis(known.variance[:, *window], 0, 1)
                variance[number, :, targets] = excess(own, observed[number, :, targets])
            if variance is not None and self.samples is not None:
                self.samples.put(values[number], observed[number], variance[number], start)
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
        )

    def decode(self, known: BoxChannels, raw: Sequence[NDArray], blend: Blend) -> NDArray:
        """Turn blended channels into physical layers, and put what was observed over them; frame by frame."""
        out = np.empty((self.layers, *blend.weight.shape), np.result_type(*(part.dtype for part in raw)))
        for slot in range(blend.weight.shape[0]):
            frame = (..., slice(slot, slot + 1), slice(None), slice(None))
            given = np.stack([part[frame[1:]] for part in raw])
            out[frame] = self._frame(known.within(frame[1:]), given, Blend(*(part[frame] for part in blend)))
        return out

    def _frame(self, known: BoxChannels, raw: NDArray, blend: Blend) -> NDArray:
        """Layers of a frame."""
        variable, present = self.variables[0], known.present
        here = np.flatnonzero((blend.weight > 0) & ~present.all(axis=0))
        weight = _at(blend.weight, here)
        members, spread = _at(blend.members, here) / weight, _at(blend.spread, here) / weight
        mean = _mean(members)
        given = self._given(known, raw, here)
        layers = []
        if self.method.draws:
            for member in members:
                layers.append(variable.decode_draw(member[: self.targets], self._with_whole(given, member, None)))
        targets = slice(0, self.targets)
        if self.full or not self.method.draws:
            values, width = variable.decode_mean(mean[targets], spread[targets], self._with_whole(given, mean, spread))
            if not self.method.draws:
                layers.append(values)
        out = [_paste(parts, here, raw, present) for parts in layers]
        if self.full:
            zero = np.zeros((), raw.dtype)
            out.append(_paste(width, here, zero, present))
            if variable.logarithmic:
                out.append(_paste(spread[:1], here, zero, present))
            out.append(self._status(known, blend.weight, mean[targets], here).astype(raw.dtype))
        return np.concatenate(out)

    def _given(self, known: BoxChannels, raw: NDArray, here: NDArray) -> Given:
        parts = np.where(known.present, raw, np.nan).astype(np.float32)
        return Given(_at(parts, here), None if known.whole is None else _at(known.whole, here))

    def _with_whole(self, given: Given, member: NDArray, spread: NDArray | None) -> Given:
        """What the parts are shares of where it was observed, else as it was filled."""
        kind = self.variables[0].whole
        if given.whole is None or kind is None:
            return given
        missing, nothing = np.isnan(given.whole), Given(given.parts)
        if spread is None:
            (filled,) = kind().decode_draw(member[-1:], nothing)
            return Given(given.parts, np.where(missing, filled, given.whole))
        (filled,), (width,) = kind().decode_mean(member[-1:], spread[-1:], nothing)
        return Given(given.parts, np.where(missing, filled, given.whole), np.where(missing, width, np.float32(0)))

    def _status(self, known: BoxChannels, weight: NDArray, mean: NDArray, here: NDArray) -> NDArray[np.int8]:
        status = np.where(known.land, LAND, TOO_LITTLE).astype(np.int8).ravel()
        low, high = (np.array(side, np.float32)[:, None] for side in zip(*self.ranges, strict=True))
        values = _at(known.values, here)
        values[: self.targets] = mean
        there = _at(known.observed, here)
        there[: self.targets] = True
        beyond = (there & ((values < low) | (values > high))).any(axis=0)
        status[here] = np.where(beyond, OUTSIDE, FILLED)
        filled = np.where(known.doubtful & (weight > 0), np.int8(INVALID), status.reshape(weight.shape))
        filled = np.where(known.invalid, np.int8(INVALID), filled)
        return np.where(known.present, np.int8(OBSERVED), filled)

    def _warn(self, variable: Variable) -> None:
        """Warn of impossible values, once a process (a map has thousands of blocks), unless they were looked at."""
        key = f"{self.call} {variable}"
        if self.checked[self.variables.index(variable)]:
            return
        with _lock:
            if key in _warned:
                return
            _warned.add(key)
        warnings.warn(invalid_message(self.label, variable, None), UserWarning, stacklevel=2)


def _mean(members: NDArray) -> NDArray:
    """Mean of (m, c, n) members, summed one after the other: numpy's order depends on n."""
    total = members[0].copy()
    for member in members[1:]:
        total += member
    return total / total.dtype.type(len(members)) if len(members) > 1 else total


def _paste(parts: NDArray, here: NDArray, raw: NDArray, present: NDArray) -> NDArray:
    """Layers of physical values: filled ones, missing ones, and over them what was observed, bit for bit."""
    layers = np.full((parts.shape[0], present[0].size), np.nan, raw.dtype)
    layers[:, here] = parts
    return np.where(present, raw, layers.reshape(parts.shape[0], *present.shape[1:]))


def _at(array: NDArray, here: NDArray) -> NDArray:
    """Values of (..., t, y, x) at flat places, (..., n), contiguous."""
    return np.ascontiguousarray(array.reshape(*array.shape[:-3], -1)[..., here])
