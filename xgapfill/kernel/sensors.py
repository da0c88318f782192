"""Other sensors of a call: what they say of the target on a box, and how a fill is drawn toward it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.decode import Blend
from xgapfill.lattice.cells import fractional
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.observations import MOST
from xgapfill.prior import large, sensors
from xgapfill.prior.exact import bells, rounded
from xgapfill.variables import Variable

DRAW = 5000  # numbers of noise fields of errors of sensors start here
GRAIN = (3.0, 0.5)  # radii (pixels, slots) of the part of an error that neighbours share
GRAIN_SHARE = 0.5  # of its variance
CUT = 2.5

_warned: set[str] = set()
_lock = threading.Lock()


class Unit(NamedTuple):
    """Zero and unit of a channel, in which sensors are compared."""

    base: float
    sd: float


class Seen(NamedTuple):
    """What other sensors say of the target on a box, (targets, t, y, x): values, NaN where nothing, and variances.

    In windows, which average over many pixels, they count with the variance `shared`, as neighbours share errors.
    """

    values: NDArray[np.float32]
    variance: NDArray[np.float32]
    shared: NDArray[np.float32]

    def within(self, part: tuple[slice, ...]) -> Seen:
        """Return a part of the box: views."""
        return Seen(*(each[(slice(None), *part)] for each in self))

    def any(self) -> bool:
        """Whether they say anything that counts in windows."""
        return bool((self.shared < MOST).any())

    def put(self, values: NDArray[np.float32], observed: NDArray[np.bool_], variance: NDArray[np.float32]) -> None:
        """Insert them into a window (t, c, y, x), targets first, where nothing is observed."""
        for c, (said, error) in enumerate(zip(self.values, self.shared, strict=True)):
            use = ~observed[:, c] & np.isfinite(said) & (error < MOST)
            values[:, c][use], variance[:, c][use] = said[use], error[use]
            observed[:, c] |= use


@dataclass(frozen=True)
class Sensors:
    """Maps of the target from other sensors. Their arrays follow each other: parts of each, then fields of cells.

    Attributes
    ----------
    variables : tuple of Variable
        One for each sensor.
    labels : tuple of str
    units : tuple of Unit
        Of each channel of the target.
    target : str
        Label of the target.
    call : str
        Token of the call, to warn once per call.
    """

    variables: tuple[Variable, ...]
    labels: tuple[str, ...]
    units: tuple[Unit, ...]
    target: str
    call: str = ""

    @property
    def parts(self) -> int:
        """Number of arrays of the sensors' own."""
        return sum(each.parts for each in self.variables)

    @property
    def fields(self) -> int:
        """Number of arrays of cells: `prior.sensors.Compared` of each channel of each sensor."""
        return len(self.variables) * len(self.units) * sensors.FIELDS

    @property
    def arrays(self) -> int:
        """Number of arrays."""
        return self.parts + self.fields

    def encoded(self, arrays: Sequence[Any]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Yield the channels (c, t, y, x) of each sensor in `units`, and where they are known."""
        at = 0
        for variable in self.variables:
            found = variable.encode(np.stack([np.asarray(each) for each in arrays[at : at + variable.parts]]))
            at += variable.parts
            yield self.in_units(found.values), found.observed

    def in_units(self, values: NDArray) -> NDArray[np.float64]:
        """Channels (c, ...) of the target in `units`."""
        base, sd = np.reshape(np.array(self.units), (len(self.units), 2, *[1] * (values.ndim - 1))).swapaxes(0, 1)
        return np.asarray((values[: len(self.units)] - base) / sd)

    def said(
        self, arrays: Sequence[Any], placed: Callable[[NDArray[np.float32]], NDArray]
    ) -> tuple[NDArray[np.float64], ...]:
        """Estimate of the channels from all sensors, in `units`, NaN where there is none, and both error variances.

        `placed` brings (k, t, cells, cells) fields of cells to the pixels.
        """
        layers = np.stack([np.asarray(each, np.float32) for each in arrays[self.parts :]])
        fields = layers.reshape(len(self.variables), len(self.units), sensors.FIELDS, *layers.shape[1:])
        total: Any = 0.0
        weight: Any = 0.0
        weight_together: Any = 0.0
        for number, (values, there) in enumerate(self.encoded(arrays)):
            target, sensor, scale, variance, together = np.moveaxis(placed(fields[number]).astype(np.float64), 1, 0)
            estimate = target + (values - sensor) / scale
            usable = there & np.isfinite(estimate) & (variance < MOST)
            if not usable.any() and there.any() and not np.isfinite(variance[there]).any():
                self._warn(number)
            each = np.divide(1.0, variance, out=np.zeros_like(variance), where=usable)
            total = total + each * np.where(usable, estimate, 0)
            weight = weight + each
            weight_together = weight_together + each / np.where(usable, together, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / weight, 1 / weight, 1 / weight_together

    def on(self, arrays: Sequence[Any], grid: Grid, box: Box) -> Seen:
        """Return what the sensors say on a box, in the units of the channels."""
        at = fractional(grid, box, box)
        return self.of_channels(self.said(arrays, lambda fields: large.at_pixels(fields, *at)))

    def of_channels(self, said: tuple[NDArray[np.float64], ...]) -> Seen:
        """Return estimates (c, t, y, x) and their error variances in the units of the channels."""
        base, sd = np.array(self.units).T[:, :, None, None, None]
        variances = ((sd**2 * each).astype(np.float32) for each in said[1:])
        return Seen((base + sd * said[0]).astype(np.float32), *variances)

    def _warn(self, number: int) -> None:
        """Warn once per call that a sensor has too few pixels in common with the target."""
        key = f"{self.call} {self.labels[number]}"
        with _lock:
            if key in _warned:
                return
            _warned.add(key)
        warnings.warn(
            f"also= ({self.labels[number]}) is not used where it has fewer than {sensors.LEAST_PAIRS} pixels in common "
            f"with {self.target} within some hundred pixels and a few dates: its offset is not known there",
            UserWarning,
            stacklevel=2,
        )


def draw_toward(blend: Blend, seen: Seen, free: NDArray[np.bool_], core: Box, noise: Noise | None) -> None:
    """Draw the sums of a core toward what other sensors say, in place, by the inverse of both error variances.

    Errors of a sensor are shared by neighbours, as those of the fill are. So each pixel is drawn toward its own value
    alone: means over many pixels of a sensor would look surer than they are. Windows used them with the variance
    `shared`, for the pixels beside.

    Parameters
    ----------
    blend : Blend
        Targets first.
    seen : Seen
        On the core.
    free : (targets, t, y, x) bool
        Where the channels are not observed; observed ones stay.
    core : Box
    noise : Noise or None
        Members draw the error with it.
    """
    members, spread, weight = blend[:3]
    alone = (weight == 0) & (free & np.isfinite(seen.values)).all(axis=0) & (len(seen.values) == spread.shape[0])
    weight[alone] = 1
    for c, (values, variance) in enumerate(zip(seen.values, seen.variance, strict=True)):
        use = free[c] & np.isfinite(values) & (weight > 0)
        if not use.any():
            continue
        own = np.where(alone, np.inf, np.square(spread[c] / np.where(weight > 0, weight, 1)))[use]
        error, by, said = variance[use], weight[use], values[use]
        share = np.where(np.isinf(own), 1, own / np.where(np.isinf(own), 1, own + error)).astype(np.float32)
        for m in range(len(members)):
            draw = said
            if noise is not None:
                draw = said + np.sqrt(error) * _error(noise, m, c, core)[use]
            members[m, c][use] += share * (draw * by - members[m, c][use])
        spread[c][use] = np.sqrt(share * error) * by


def _error(noise: Noise, member: int, channel: int, core: Box) -> NDArray[np.float32]:
    """Error of a sensor in a member, of unit variance: partly of each pixel, partly shared by neighbours."""
    start = core.slots[0], core.rows[0], core.cols[0]
    own = noise(member, DRAW + 2 * channel, start, (1, *core.shape))[0]
    slots, pixels = (int(np.ceil(CUT * radius)) for radius in reversed(GRAIN))
    halo = slots, pixels, pixels
    shape = [n + 2 * more for n, more in zip(core.shape, halo, strict=True)]
    begin = tuple(first - more for first, more in zip(start, halo, strict=True))
    out = rounded(noise(member, DRAW + 2 * channel + 1, begin, (1, *shape))[0])  # type: ignore[arg-type]
    for axis, (n, more, radius) in enumerate(zip(shape, halo, (GRAIN[1], GRAIN[0], GRAIN[0]), strict=True)):
        places = np.arange(n, dtype=float)
        bell = bells(places[more : n - more], places, radius, CUT)
        out = rounded(np.moveaxis(np.tensordot(bell, out, (1, axis)), 0, axis))
        out = rounded(out / np.sqrt((bell[0] ** 2).sum()))
    return (GRAIN_SHARE**0.5 * out + (1 - GRAIN_SHARE) ** 0.5 * own).astype(np.float32)
