"""From blended channels to physical layers: values, spread and status, with the observations inserted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.calibration import Interval
from xgapfill.kernel.encode import BoxChannels
from xgapfill.variables import Given, Variable

MOST_DECADES = 3.0  # largest spread of an interval of a logarithm
OBSERVED, FILLED, TOO_LITTLE, OUTSIDE, INVALID, LAND = range(6)


class Blend(NamedTuple):
    """Weighted sums of windows on the interior of a block: members (m, k, t, y, x), spread (k, t, y, x), weight.

    Support is that of each pixel, (t, y, x), if it is asked for.
    """

    members: NDArray[np.float32]
    spread: NDArray[np.float32]
    weight: NDArray[np.float32]
    support: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Decoder:
    """Decodes blends, pixel by pixel; frozen.

    Attributes
    ----------
    variable : Variable
        The target.
    draws : bool
        Whether the blend holds members; else it holds a mean.
    members : int
        Number of members.
    full : bool
        Whether spread and status are returned as well.
    interval : Interval or None
        Spreads on each side of an estimate that its interval has; None: no intervals.
    ranges : tuple of (lowest, highest)
        Range of each channel in the training of the weights; infinite if unknown.
    """

    variable: Variable
    draws: bool
    members: int
    full: bool
    ranges: tuple[tuple[float, float], ...]
    interval: Interval | None = None

    @property
    def targets(self) -> int:
        """Number of channels to be filled."""
        return len(self.variable.channels)

    @property
    def layers(self) -> int:
        """Layers: members x parts; if full, spread, status and support of each part, log10 spread; interval bounds."""
        parts = self.variable.parts
        more = 3 * parts + self.variable.logarithmic if self.full else 0
        return self.members * parts + more + (0 if self.interval is None else 2 * parts)

    def __call__(self, known: BoxChannels, raw: Sequence[NDArray], blend: Blend, first: int = 0) -> NDArray:
        """Return (layers, t, y, x), given the channels and raw parts of the target on the interior, from a slot on."""
        out = np.empty((self.layers, *blend.weight.shape), np.result_type(*(part.dtype for part in raw)))
        for slot in range(blend.weight.shape[0]):
            frame = (..., slice(slot, slot + 1), slice(None), slice(None))
            given = np.stack([part[frame[1:]] for part in raw])
            share = None if blend.support is None else blend.support[frame]
            one = Blend(blend.members[frame], blend.spread[frame], blend.weight[frame], share)
            out[frame] = self._frame(known.within(frame[1:]), given, one, first + slot)
        return out

    def _frame(self, known: BoxChannels, raw: NDArray, blend: Blend, slot: int) -> NDArray:
        """Layers of a frame."""
        present = known.present
        here = np.flatnonzero((blend.weight > 0) & ~present.all(axis=0))
        weight = _at(blend.weight, here)
        members, spread = _at(blend.members, here) / weight, _at(blend.spread, here) / weight
        mean = _mean(members)
        given = self._given(known, raw, here)
        layers = []
        if self.draws:
            for member in members:
                layers.append(self.variable.decode_draw(member[: self.targets], self._with_whole(given, member, None)))
        targets = slice(0, self.targets)
        if self.full or not self.draws:
            whole = self._with_whole(given, mean, spread)
            values, width = self.variable.decode_mean(mean[targets], spread[targets], whole)
            if not self.draws:
                layers.append(values)
        out = [_paste(parts, here, raw, present) for parts in layers]
        if self.full:
            zero = np.zeros((), raw.dtype)
            out.append(_paste(width, here, zero, present))
            if self.variable.logarithmic:
                out.append(_paste(spread[:1], here, zero, present))
            out.append(self._status(known, blend.weight, mean[targets], here).astype(raw.dtype))
            assert blend.support is not None
            share = np.broadcast_to(_at(blend.support, here), (len(raw), here.size))
            out.append(_paste(share, here, np.ones((), raw.dtype), present))
        if self.interval is not None:
            sides = self._interval(np.float32(self.interval.at(slot)), values, width, spread)
            out += [_paste(side, here, raw, present) for side in sides]
        return np.concatenate(out)

    def _given(self, known: BoxChannels, raw: NDArray, here: NDArray) -> Given:
        parts = np.where(known.present, raw, np.nan).astype(np.float32)
        return Given(_at(parts, here), None if known.whole is None else _at(known.whole, here))

    def _with_whole(self, given: Given, member: NDArray, spread: NDArray | None) -> Given:
        """Add the whole that the parts are shares of: observed where possible, else filled."""
        kind = self.variable.whole
        if given.whole is None or kind is None:
            return given
        missing, nothing = np.isnan(given.whole), Given(given.parts)
        if spread is None:
            (filled,) = kind().decode_draw(member[-1:], nothing)
            return Given(given.parts, np.where(missing, filled, given.whole))
        (filled,), (width,) = kind().decode_mean(member[-1:], spread[-1:], nothing)
        return Given(given.parts, np.where(missing, filled, given.whole), np.where(missing, width, np.float32(0)))

    def _interval(
        self, factor: np.float32, values: NDArray, width: NDArray, spread: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Lower and upper bounds of the intervals of estimates, within the bounds of the variable."""
        if self.variable.logarithmic:
            times = np.float32(10) ** (factor * np.minimum(spread[:1], np.float32(MOST_DECADES)))
            return values / times, values * times
        more = factor * width
        low, high = (np.float32(bound) for bound in self.variable.bounds)
        return np.clip(values - more, low, high), np.clip(values + more, low, high)

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


def _mean(members: NDArray) -> NDArray:
    """Mean of (m, c, n) members, summed one by one because numpy's order of summation depends on n."""
    total = members[0].copy()
    for member in members[1:]:
        total += member
    return total / total.dtype.type(len(members)) if len(members) > 1 else total


def _paste(parts: NDArray, here: NDArray, raw: NDArray, present: NDArray) -> NDArray:
    """Layers of physical values: filled or missing, with the observations inserted bit for bit."""
    layers = np.full((parts.shape[0], present[0].size), np.nan, raw.dtype)
    layers[:, here] = parts
    return np.where(present, raw, layers.reshape(parts.shape[0], *present.shape[1:]))


def _at(array: NDArray, here: NDArray) -> NDArray:
    """Values of (..., t, y, x) at flat indices, (..., n), contiguous."""
    return np.ascontiguousarray(array.reshape(*array.shape[:-3], -1)[..., here])
