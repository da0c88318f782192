"""From physical values on a box of the lattice to the channels of a method, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.arrays import BoxArrays
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.observations import MOST
from xgapfill.lattice.sea import SeaFlag
from xgapfill.variables import ErrorUnits, Given, Variable


class BoxChannels(NamedTuple):
    """Channels and masks of a box.

    Attributes
    ----------
    values, observed : (c, t, y, x) channels in the order of the method
    present, invalid : (p, t, y, x) bool, where parts of the target are returned unchanged, where they are impossible
    doubtful : (t, y, x) bool, where a predictor is impossible
    anything : (t, y, x) bool, where the target or a predictor is observed
    sea, land : (t, y, x) bool, from the mask; both False where the mask is missing
    whole : (t, y, x) float32 or None, the whole that the parts are shares of, NaN where missing; None if not needed
    variance : (targets, t, y, x) float32 or None, error variance of the target's channels, NaN where unknown
    driven : (targets, t, y, x) float32 or None, what the drivers tell of the target's channels; None without drivers
    also : `sensors.Seen` or None, what other sensors say of the target
    prior : `shared_prior.OnBox` or None; parts of a box have neither of these
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    anything: NDArray[np.bool_]
    sea: NDArray[np.bool_]
    land: NDArray[np.bool_]
    whole: NDArray[np.float32] | None
    variance: NDArray[np.float32] | None
    driven: NDArray[np.float32] | None = None
    also: Any = None
    prior: Any = None

    def within(self, part: tuple[slice, ...]) -> BoxChannels:
        """Return a part of the box: views."""
        cut: tuple[Any, ...] = (..., *part)
        return BoxChannels(*(None if each is None else each[cut] for each in self[:-2]))  # type: ignore[arg-type]

    def anomalies(self) -> NDArray[np.float32]:
        """Return the values (c, t, y, x) without what the drivers tell and the prior knows, 0 where not observed."""
        values = self.values
        if self.driven is not None:
            values = undriven(values, self.observed, self.driven)
        if self.prior is None:
            return values
        swapped = [np.swapaxes(part, 0, 1) for part in (values, self.observed, self.prior.level, self.prior.scale)]
        return np.swapaxes(self.prior.anomalies(*swapped), 0, 1)


def undriven(
    values: NDArray[np.float32], observed: NDArray[np.bool_], driven: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Take what drivers tell from the observed values (c, ...) of the first channels, the targets."""
    out, targets = values.copy(), len(driven)
    out[:targets] = np.where(observed[:targets], values[:targets] - driven, values[:targets])
    return out


def _quiet(variable: Variable) -> None:
    """Do not warn of impossible values: the fill itself does."""


@dataclass(frozen=True)
class Encoder:
    """Encodes boxes, pixel by pixel; frozen.

    Attributes
    ----------
    grid : Grid
        Lattice of the target.
    variables : tuple of Variable
        The target, then each predictor.
    channels : tuple of str
        Channels in the order of the method.
    sea : SeaFlag or None
        Meaning of the values of the sea mask; None: the mask of the package is used.
    error : ErrorUnits or None
        Units of the errors of the target.
    warn : callable
        Called with a variable that has impossible values.
    """

    grid: Grid
    variables: tuple[Variable, ...]
    channels: tuple[str, ...]
    sea: SeaFlag | None
    error: ErrorUnits | None
    warn: Callable[[Variable], None]

    @classmethod
    def plain(cls, grid: Grid, variables: tuple[Variable, ...], channels: tuple[str, ...]) -> Encoder:
        """Return an encoder without a sea mask and errors, which does not warn: the fill itself does."""
        return cls(grid, variables, channels, None, None, _quiet)

    def __call__(self, arrays: BoxArrays, box: Box) -> BoxChannels:
        """Encode the arrays of a box."""
        shape = box.shape
        if self.sea is not None:
            sea, land = np.zeros(shape, bool), np.zeros(shape, bool)
        else:
            lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
            sea = np.broadcast_to(seamask.sea(lat, lon), shape)
            land = np.broadcast_to(~sea[:1], shape)
            if arrays.sea is not None:
                sea, land = sea.copy(), land.copy()
        return self.channels_of(arrays, sea, land)

    def channels_of(self, arrays: BoxArrays, sea: NDArray[np.bool_], land: NDArray[np.bool_]) -> BoxChannels:
        """Encode the arrays of a box, given where the mask of the package has sea and land."""
        target, shape = self.variables[0], sea.shape
        parts = target.parts
        known = BoxChannels(
            values=np.zeros((len(self.channels), *shape), np.float32),
            observed=np.zeros((len(self.channels), *shape), bool),
            present=np.zeros((parts, *shape), bool),
            invalid=np.zeros((parts, *shape), bool),
            doubtful=np.zeros(shape, bool),
            anything=np.zeros(shape, bool),
            sea=sea,
            land=land,
            whole=np.zeros(shape, np.float32) if target.needs_whole else None,
            variance=None if self.error is None else np.zeros((len(target.channels), *shape), np.float32),
        )
        for slot in range(shape[0]):
            self._frame(arrays.frame(slot), known.within((slice(slot, slot + 1), slice(None), slice(None))))
        return known

    def _frame(self, arrays: BoxArrays, known: BoxChannels) -> None:
        """Encode a frame into the views of `known`."""
        raws = [np.stack(parts) for parts in arrays.variables]
        if known.variance is not None:
            known.variance[...] = self._variance(raws[0], np.stack(arrays.errors))
        whole = self._whole(raws, known.anything.shape)
        encoded = [variable.encode(raw, whole) for variable, raw in zip(self.variables, raws, strict=True)]
        for variable, each in zip(self.variables, encoded, strict=True):
            if each.invalid.any():
                self.warn(variable)
            for channel, value, there in zip(variable.channels, each.values, each.observed, strict=True):
                at = self.channels.index(channel)
                known.values[at], known.observed[at] = value, there
            known.anything[...] |= each.present.any(axis=0)
        total = encoded[0].total
        if total is not None:  # where all parts are observed, their sum is the whole
            whole = self._add(total, whole, known)
        known.present[...] = encoded[0].present
        if encoded[0].invalid.any():  # rare: zeros that are never written take no memory
            known.invalid[...] = encoded[0].invalid
        known.anything[...] |= known.observed.any(axis=0)
        for each in encoded[1:]:
            if each.invalid.any():
                known.doubtful[...] |= each.invalid.any(axis=0)
        if known.whole is not None:
            known.whole[...] = whole
        if self.sea is not None:
            known.land[...] = self.sea.is_land(arrays.sea)
            known.sea[...] = ~np.isnan(arrays.sea) & ~known.land
        elif arrays.sea is not None:
            ever = np.asarray(arrays.sea) == 1
            known.sea[...] |= ever
            known.land[...] &= ~ever

    def _variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Error variances of the channels of the target, given those of its parts."""
        assert self.error is not None
        target = self.variables[0]
        possible = np.where(target.possible(raw)[0], raw, np.nan)
        return np.minimum(target.error_variance(possible, self.error.absolute(error, possible)), np.float32(MOST))

    def _whole(self, raws: Sequence[NDArray], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The whole that the parts of the target are shares of, if it is an observed predictor, in canonical units."""
        whole = np.full(shape, np.nan, np.float32)
        kind = self.variables[0].whole
        for variable, raw in zip(self.variables[1:], raws[1:], strict=True):
            if kind is not None and variable.channels == kind.channels:
                plain = variable.encode(raw)
                whole = np.where(plain.observed[0], kind().decode_draw(plain.values, Given(raw))[0], whole)
        return whole

    def _add(self, total: NDArray[np.float32], whole: NDArray[np.float32], known: BoxChannels) -> NDArray[np.float32]:
        """Insert the sum of the parts where the whole is not observed; return the completed whole."""
        kind = self.variables[0].whole
        assert kind is not None
        at = self.channels.index(kind.channels[0])
        adds = ~known.observed[at] & ~np.isnan(total)
        sums = kind().encode(np.where(adds, total, np.float32(np.nan))[None])
        known.values[at] = np.where(adds, sums.values[0], known.values[at])
        known.observed[at] |= adds
        return np.where(adds, total, whole)
