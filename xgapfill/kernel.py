"""What happens to one block: encode, cut windows, let the method fill them, blend, decode, paste, say the status."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill import seamask
from xgapfill.families.base import Encoded, Family, Given
from xgapfill.grid import Box, Grid
from xgapfill.limits import Limits
from xgapfill.methods.base import BATCH, Method, batches
from xgapfill.noise import Noise
from xgapfill.observations import MOST, ErrorUnits, Samples, excess
from xgapfill.patch import Windows
from xgapfill.seamask import SeaFlag
from xgapfill.tiles import Tiling, inside, overlap
from xgapfill.weights import Handle, Weights, handle

CHL = "log10_chl"
OBSERVED, FILLED, TOO_LITTLE, OUTSIDE, INVALID, LAND = range(6)
_warned: set[str] = set()
_lock = threading.Lock()


class Seen(NamedTuple):
    """Everything known on a box.

    Attributes
    ----------
    raw : (p, t, y, x) float, values of the target as they came
    target : what became of them
    values, seen : (c, t, y, x) channels in the order of the method
    invalid : (t, y, x) bool, where a condition was impossible
    anything : (t, y, x) bool, where the target or a condition was observed
    sea, land : (t, y, x) bool, what the mask says; neither where it does not know
    chl : (t, y, x) float32, chlorophyll mg m-3, NaN where unseen
    variance : (targets, t, y, x) float32 or None, of the errors of the target's channels, NaN where not known
    """

    raw: NDArray
    target: Encoded
    values: NDArray[np.float32]
    seen: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    anything: NDArray[np.bool_]
    sea: NDArray[np.bool_]
    land: NDArray[np.bool_]
    chl: NDArray[np.float32]
    variance: NDArray[np.float32] | None

    def within(self, part: tuple[slice, ...]) -> Seen:
        """Return a part of the box."""
        cut: tuple[Any, ...] = (..., *part)
        return Seen(
            raw=self.raw[cut],
            target=self.target.within(part),
            values=self.values[cut],
            seen=self.seen[cut],
            invalid=self.invalid[cut],
            anything=self.anything[cut],
            sea=self.sea[cut],
            land=self.land[cut],
            chl=self.chl[cut],
            variance=None if self.variance is None else self.variance[cut],
        )


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
    families : tuple of Family
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
        Which families had their values looked at before (so that impossible ones were warned of).
    label : str
        What is filled, for messages.
    tiling : Tiling
        Where the windows of the method lie.
    limits : Limits or None
        Beyond which pixels stay missing.
    samples : Samples or None
        What was observed in the water.
    error : ErrorUnits or None
        How arrays between those of the families and the mask, one a part of the target, say how much it errs.
    call : str
        Names the call: of one call, impossible values are warned of once.
    """

    grid: Grid
    families: tuple[Family, ...]
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
        return len(self.families[0].channels)

    @property
    def layers(self) -> int:
        """Layers of the result: members x parts; if full, the spread and the status of each part, log10 spread."""
        parts = self.families[0].parts
        extra = 2 * parts + (self.families[0].channels == (CHL,)) if self.full else 0
        return self.members * parts + extra

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        """Return (layers, *core.shape) given (t, y, x) arrays: parts of families, errors of the target's, sea mask."""
        known = self.encode(arrays, box)
        blend = self.blend(known, box, core)
        return self.decode(known.within(core.within(box)), blend)

    def encode(self, arrays: list[NDArray], box: Box) -> Seen:
        """Turn physical values into channels."""
        parts, raws = list(arrays), []
        for family in self.families:
            raws.append(np.stack([parts.pop(0) for _ in range(family.parts)]))
        variance = None
        if self.error is not None:
            error = np.stack([parts.pop(0) for _ in range(self.families[0].parts)])
            known = np.where(self.families[0].possible(raws[0])[0], raws[0], np.nan)
            variance = np.minimum(self.families[0].error_variance(known, self.error.absolute(error, known)), MOST)
        chl = np.full(box.shape, np.nan, np.float32)
        for family, raw in zip(self.families[1:], raws[1:], strict=True):
            if family.channels == (CHL,):
                plain = family.encode(raw)
                chl = np.where(plain.seen[0], np.float32(10) ** plain.values[0], chl)
        encoded = [family.encode(raw, chl) for family, raw in zip(self.families, raws, strict=True)]
        for family, each, checked in zip(self.families, encoded, self.checked, strict=True):
            if not checked and each.invalid.any():
                _warn_once(f"{self.call} {family}", invalid_message(self.label, family, None))
        values = np.zeros((len(self.channels), *box.shape), np.float32)
        seen = np.zeros(values.shape, bool)
        for family, each in zip(self.families, encoded, strict=True):
            for channel, value, there in zip(family.channels, each.values, each.seen, strict=True):
                values[self.channels.index(channel)], seen[self.channels.index(channel)] = value, there
        total = encoded[0].total
        if total is not None:  # classes that are all seen say what chlorophyll is
            at = self.channels.index(CHL)
            adds = ~seen[at] & ~np.isnan(total)
            values[at] = np.where(adds, np.log10(np.where(adds, total, 1)), values[at])
            seen[at] |= adds
            chl = np.where(adds, total, chl)
        invalid = np.zeros(box.shape, bool)
        anything = np.asarray(seen.any(axis=0))
        for each in encoded:
            anything |= each.observed.any(axis=0)
        for each in encoded[1:]:
            invalid |= each.invalid.any(axis=0)
        if self.sea is not None:
            land = self.sea.is_land(parts[0])
            sea = ~np.isnan(parts[0]) & ~land
        else:
            lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
            sea = np.broadcast_to(seamask.sea(lat, lon), box.shape)
            land = ~sea
        return Seen(raws[0], encoded[0], values, seen, invalid, anything, sea, land, chl, variance)

    def blend(self, known: Seen, box: Box, core: Box, most: int | None = None) -> Blend:
        """Fill the windows that touch the core and have something to do there, at most so many batches; sum them."""
        tiling = self.tiling
        kept = self.kept_channels
        blend = Blend(
            np.zeros((self.members, len(kept), *core.shape), np.float32),
            np.zeros((len(kept), *core.shape), np.float32),
            np.zeros(core.shape, np.float32),
        )
        weights, near = None, self.near(known, box, core)
        for starts, seas in islice(batches(self.needed(known, box, core, near)), most):
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

    def near(self, known: Seen, box: Box, core: Box) -> NDArray[np.bool_]:
        """Pixels of the core that are near enough to what was seen to be filled."""
        if self.limits is None:
            return np.ones(core.shape, bool)
        return self.limits.within(np.asarray(known.target.observed.all(axis=0)), self.grid, box, core)

    @property
    def kept_channels(self) -> list[int]:
        """Channels that decoding needs: the targets, and chlorophyll where they are concentrations."""
        chl = [self.channels.index(CHL)] if self.families[0].needs_chl else []
        return [*range(self.targets), *chl]

    def needed(
        self, known: Seen, box: Box, core: Box, near: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Windows that saw anything and have a missing sea pixel to be filled in the core, with their sea."""
        gaps = np.asarray(~known.target.observed.all(axis=0))[core.within(box)] & near
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
        self, known: Seen, box: Box, starts: list[NDArray], seas: list[NDArray], size: tuple[int, int, int]
    ) -> Windows:
        """Cut windows out of the box and pad them to BATCH with empty ones: bits depend on the size of a batch."""
        slots, rows, cols = size
        values = np.zeros((BATCH, slots, len(self.channels), rows, cols), np.float32)
        seen, sea = np.zeros(values.shape, bool), np.zeros((BATCH, rows, cols), bool)
        variance = None if self.samples is None and self.error is None else np.zeros(values.shape, np.float32)
        padded = np.stack([*starts, *[starts[0]] * (BATCH - len(starts))]).astype(np.int64)
        for number, start in enumerate(starts):
            window = inside(start, size, box)
            values[number] = np.moveaxis(known.values[:, *window], 0, 1)
            seen[number] = np.moveaxis(known.seen[:, *window], 0, 1)
            sea[number] = seas[number]
            if variance is not None and known.variance is not None:
                targets = slice(0, self.targets)
                own = np.moveaxis(known.variance[:, *window], 0, 1)
                variance[number, :, targets] = excess(own, seen[number, :, targets])
            if variance is not None and self.samples is not None:
                self.samples.put(values[number], seen[number], variance[number], start)
        grid = self.grid
        return Windows(
            values=values,
            seen=seen,
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

    def decode(self, known: Seen, blend: Blend) -> NDArray:
        """Turn blended channels into physical layers, and put what was observed over them."""
        family, observed = self.families[0], known.target.observed
        here = np.flatnonzero((blend.weight > 0) & ~observed.all(axis=0))
        weight = _at(blend.weight, here)
        members, spread = _at(blend.members, here) / weight, _at(blend.spread, here) / weight
        mean = members.mean(axis=0) if self.members > 1 else members[0]
        given = self._given(known, here)
        layers = []
        if self.method.draws:
            for member in members:
                layers.append(family.decode_draw(member[: self.targets], self._with_chl(given, member, None)))
        targets = slice(0, self.targets)
        if self.full or not self.method.draws:
            values, width = family.decode_mean(mean[targets], spread[targets], self._with_chl(given, mean, spread))
            if not self.method.draws:
                layers.append(values)
        out = [self._paste(parts, here, known.raw, observed) for parts in layers]
        if self.full:
            zero = np.zeros((), known.raw.dtype)
            out.append(self._paste(width, here, zero, observed))
            if family.channels == (CHL,):
                out.append(self._paste(spread[:1], here, zero, observed))
            out.append(self._status(known, blend.weight, mean[targets], here).astype(known.raw.dtype))
        return np.concatenate(out)

    def _given(self, known: Seen, here: NDArray) -> Given:
        parts = np.where(known.target.observed, known.raw, np.nan).astype(np.float32)
        return Given(_at(parts, here), _at(known.chl, here) if self.families[0].needs_chl else None)

    def _with_chl(self, given: Given, member: NDArray, spread: NDArray | None) -> Given:
        """Chlorophyll where it was seen, else as it was filled."""
        if given.chl is None:
            return given
        unseen = np.isnan(given.chl)
        from xgapfill.families.chlorophyll import Chlorophyll

        plain = Chlorophyll()
        if spread is None:
            return Given(given.parts, np.where(unseen, plain.decode_draw(member[-1], given), given.chl))
        filled, width = plain.decode_mean(member[-1], spread[-1], given)
        return Given(given.parts, np.where(unseen, filled, given.chl), np.where(unseen, width, np.float32(0)))

    def _paste(self, parts: NDArray, here: NDArray, raw: NDArray, observed: NDArray) -> NDArray:
        """Layers of physical values: filled ones, missing ones, and over them what was observed, bit for bit."""
        layers = np.full((parts.shape[0], observed[0].size), np.nan, raw.dtype)
        layers[:, here] = parts
        return np.where(observed, raw, layers.reshape(parts.shape[0], *observed.shape[1:]))

    def _status(self, known: Seen, weight: NDArray, mean: NDArray, here: NDArray) -> NDArray[np.int8]:
        status = np.where(known.land, LAND, TOO_LITTLE).astype(np.int8).ravel()
        low, high = (np.array(side, np.float32)[:, None] for side in zip(*self.ranges, strict=True))
        values = _at(known.values, here)
        values[: self.targets] = mean
        there = _at(known.seen, here)
        there[: self.targets] = True
        beyond = (there & ((values < low) | (values > high))).any(axis=0)
        status[here] = np.where(beyond, OUTSIDE, FILLED)
        filled = np.where(known.invalid & (weight > 0), np.int8(INVALID), status.reshape(weight.shape))
        filled = np.where(known.target.invalid, np.int8(INVALID), filled)
        return np.where(known.target.observed, np.int8(OBSERVED), filled)


def invalid_message(name: str, family: Family, count: int | None) -> str:
    """What is said of impossible values."""
    number = "impossible values" if count is None else f"{count} impossible values"
    return f"{number} in the input of {name} count as missing (status invalid_input); wanted: {family.wanted}"


def _warn_once(key: str, message: str) -> None:
    """Warn once a process: a map has thousands of blocks."""
    with _lock:
        if key in _warned:
            return
        _warned.add(key)
    warnings.warn(message, UserWarning, stacklevel=2)


def _at(array: NDArray, here: NDArray) -> NDArray:
    """Values of (..., t, y, x) at flat places, (..., n), contiguous."""
    return np.ascontiguousarray(array.reshape(*array.shape[:-3], -1)[..., here])
