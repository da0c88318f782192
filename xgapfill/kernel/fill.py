"""The kernel of one block: encode, cut space-time tiles (windows), fill them with the method, blend, decode."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.block import OnBox
from xgapfill.blocks.progress import tracked
from xgapfill.kernel.arrays import BoxArrays, Layout
from xgapfill.kernel.calibration import Interval
from xgapfill.kernel.decode import Blend, Decoder
from xgapfill.kernel.donors import Donors, OtherDate, pairs_of
from xgapfill.kernel.drivers import Drivers
from xgapfill.kernel.encode import BoxChannels, Encoder
from xgapfill.kernel.level import Level, levelled
from xgapfill.kernel.limits import Limits
from xgapfill.kernel.sensors import Sensors, draw_toward
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.kernel.support import Support
from xgapfill.kernel.windows import Cutter
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.observations import Samples
from xgapfill.lattice.sea import SeaFlag
from xgapfill.lattice.tiling import Tiling, overlap
from xgapfill.lattice.windows import Filled, Windows
from xgapfill.methods.base import Method, batches, checked
from xgapfill.variables import ErrorUnits, Variable
from xgapfill.variables.base import invalid_message
from xgapfill.weights import Handle, Weights, handle

_warned: set[str] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class FillKernel:
    """Fills the interior (core) of a lattice box; frozen, picklable, with the same bits for any division into cores.

    Attributes
    ----------
    grid : Grid
        Lattice of the target.
    variables : tuple of Variable
        The target, then each predictor of the method.
    channels : tuple of str
        Channels of the method, targets first.
    method, weights, noise, members
        The method and its arguments.
    full : bool
        Whether spread and status are returned as well.
    sea : SeaFlag or None
        Meaning of the values of the sea mask; None: the mask of the package is used.
    ranges : tuple of (lowest, highest)
        Range of each channel in the training of the weights; infinite if unknown.
    checked : tuple of bool
        Variables whose values were checked before, with a warning if any are impossible.
    label : str
        Name of the target, for messages.
    tiling : Tiling
        Layout of the windows of the method.
    limits : Limits or None
        Limits beyond which pixels stay missing.
    samples : Samples or None
        In-situ samples.
    error : ErrorUnits or None
        Units of the errors of the target; None: no errors are given.
    drivers : Drivers or None
        Predictors whose part of the target is taken from it before windows are cut.
    also : Sensors or None
        Other sensors.
    prior : SharedPrior or None
        The prior that all windows share.
    support : Support or None
        What the support of a pixel is, and how much it needs; None: it is not asked for.
    donors : Donors or None
        Makes the members of a method that gives an estimate and its spread.
    interval : Interval or None
        Spreads on each side of an estimate that its interval has; None: no intervals.
    call : str
        Token of the call, to warn of impossible values once per call.
    ever : bool
        Whether a map of the pixels that were ever observed, which count as sea, is in place of a sea mask.
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
    drivers: Drivers | None = None
    also: Sensors | None = None
    prior: SharedPrior | None = None
    support: Support | None = None
    donors: Donors | None = None
    interval: Interval | None = None
    call: str = ""
    ever: bool = False

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """Halo of a pixel: times, rows and columns around it that it depends on; None: all times."""
        limits = (0, 0, 0) if self.limits is None else self.limits.reach(self.grid)
        donors = (0, 0, 0) if self.donors is None else self.donors.tiling.reach
        slots, rows, cols = (max(each) for each in zip(self.tiling.reach, limits, donors, strict=True))
        return None if self.tiling.series is not None else slots, rows, cols

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Return the range of places that cores on a range of places depend on, by windows and limits."""
        low, high = self.tiling.around(axis, places)
        more = 0 if self.limits is None else self.limits.reach(self.grid)[axis]
        wide = places if self.donors is None else self.donors.tiling.around(axis, places)
        return min(low, places[0] - more, wide[0]), max(high, places[1] + more, wide[1])

    def given(self, fitted: Weights) -> FillKernel:
        """Return the kernel with weights that were fitted on the series to be filled."""
        return replace(self, weights=handle(fitted))

    @property
    def taken(self) -> str:
        """What is taken from the values before the method gets them, in words."""
        found = [] if self.drivers is None else [f"what {', '.join(self.drivers.channels)} tell"]
        if self.prior is not None:
            found += ["large scale", *(["season"] if self.prior.season else [])]
        return ", ".join(found)

    @property
    def targets(self) -> int:
        """Number of channels to be filled."""
        return len(self.variables[0].channels)

    @property
    def layout(self) -> Layout:
        """Order of the arrays that the kernel is called with."""
        parts = tuple(each.parts for each in self.variables)
        drivers, also, prior = (0 if each is None else each.arrays for each in (self.drivers, self.also, self.prior))
        each = sum(parts) + (0 if self.prior is None else len(self.channels))
        donors = 0 if self.donors is None else self.donors.real * each
        return Layout(parts, self.error is not None, self.sea is not None or self.ever, drivers, also, prior, donors)

    @property
    def draws(self) -> bool:
        """Whether the result has members."""
        return self.method.draws or self.donors is not None

    @property
    def estimates(self) -> int:
        """Number of results of the method for a window: members, or one estimate."""
        return self.members if self.method.draws else 1

    @property
    def cutter(self) -> Cutter:
        """Cuts windows out of boxes."""
        own = self.variables[0].levelled
        return Cutter(
            self.grid,
            self.channels,
            self.targets,
            self.tiling,
            self.limits,
            self.samples,
            own,
            self.method.takes_errors,
        )

    @property
    def decode(self) -> Decoder:
        """Turns blends into physical layers."""
        return Decoder(self.variables[0], self.draws, self.members, self.full, self.ranges, self.interval)

    @property
    def layers(self) -> int:
        """Layers of the result."""
        return self.decode.layers

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        """Return (layers, *core.shape) given (t, y, x) arrays in the order of `layout`; the list is emptied."""
        given = self.layout.named(arrays)
        known, raw = self.encode(given, box), self.raw(given, box, core)
        donors = self.donors_on(given, box)
        del given
        arrays.clear()  # frees their memory before the windows are filled
        blend = self.blend(known, box, core, donors)
        return self.decode(known.within(core.within(box)), raw, blend, core.slots[0])

    def encode(self, arrays: BoxArrays, box: Box) -> BoxChannels:
        """Turn physical values into channels, with what drivers, other sensors and the prior know of the box."""
        encoder = Encoder(self.grid, self.variables, self.channels, self.sea, self.error, self._warn)
        known = encoder(arrays, box)
        if self.drivers is not None:
            known = known._replace(driven=self.drivers.on(arrays.drivers, self.grid, box))
        if self.also is not None:
            seen = self.also.on(arrays.also, self.grid, box)
            water = np.isfinite(seen.values).any(axis=0)
            known = known._replace(also=seen, sea=known.sea | water, land=known.land & ~water)
        return known if self.prior is None else known._replace(prior=self.prior.on(arrays.prior, self.grid, box))

    def donors_on(self, arrays: BoxArrays, box: Box) -> dict[int, OtherDate | None]:
        """Other dates that members are made of, if any, by the number of the pair; None: filaments."""
        if self.donors is None:
            return {}
        encoder = Encoder.plain(self.grid, self.variables, self.channels)
        pairs = pairs_of(self._numbers)
        return self.donors.on(arrays.donors, arrays.prior, encoder, self.prior, box, pairs)

    @property
    def _numbers(self) -> Sequence[int]:
        """Numbers of the members."""
        return self.noise.members or range(self.members)

    def raw(self, arrays: BoxArrays, box: Box, core: Box) -> list[Any]:
        """Parts of the target in the core, unchanged, (t, y, x) each; copies, except of chunks in memory."""
        parts: Sequence[Any] = arrays.variables[0]
        return [part.within(core) if isinstance(part, OnBox) else part[core.within(box)].copy() for part in parts]

    def blend(
        self,
        known: BoxChannels,
        box: Box,
        core: Box,
        others: Mapping[int, OtherDate | None],
        most: int | None = None,
    ) -> Blend:
        """Fill the windows that have missing pixels in the core, at most `most` batches of them, and sum them.

        Members of an estimate are made of `others`, other dates.
        """
        cutter, kept = self.cutter, self.kept_channels
        blend = Blend(
            np.zeros((self.estimates, len(kept), *core.shape), np.float32),
            np.zeros((len(kept), *core.shape), np.float32),
            np.zeros(core.shape, np.float32),
        )
        weights, near = None, cutter.near(known, box, core)
        needed = list(cutter.needed(known, box, core, near))
        for starts, seas in tracked(islice(batches(needed), most), len(needed)):
            if weights is None and self.weights is not None:
                weights = self.weights.open()
            windows = cutter.cut(known, box, starts, seas)
            if self.donors is not None and self.method.refines:
                found = self.donors.on_windows(others, windows, box, starts, self.noise, self._numbers)
                windows = replace(windows, residuals=found)
            filled = self._filled(windows, weights, len(starts))
            self._add(filled, starts, seas, core, blend)
        if self.prior is not None:
            for starts, seas in batches(cutter.needed(known, box, core, near, seen=False)):
                empty = self.prior.empty(cutter.cut(known, box, starts, seas), self.estimates, self._noise)
                self._add(empty, starts, seas, core, blend, known.prior.known[core.within(box)])
        if self.donors is not None and not self.method.refines:
            blend = self._with_residuals(blend, others, known, box, core, near)
        if self.prior is not None:
            self.prior.give_back(blend, self.kept_channels, known.prior, self.grid, box, core, self._draws)
        if known.driven is not None:
            blend.members[:, : self.targets] += known.driven[(slice(None), *core.within(box))] * blend.weight
        if self.also is not None:
            inner = core.within(box)
            free = ~known.observed[(slice(0, self.targets), *inner)]
            draw_toward(blend, known.also.within(inner), free, core, self._draws)
        blend.weight[~near] = 0
        return blend if self.support is None else self._supported(blend, known, core.within(box))

    def _supported(self, blend: Blend, known: BoxChannels, inside: tuple[slice, ...]) -> Blend:
        """Add the support of each pixel; pixels that have too little are not filled."""
        assert self.support is not None
        scale = None if self.prior is None else known.prior.scale[:, :, *inside[1:]]
        share = self.support.share(blend.spread, blend.weight, scale)
        if self.support.least is not None:
            blend.weight[share < np.float32(self.support.least)] = 0
        return blend._replace(support=share)

    def _with_residuals(
        self,
        blend: Blend,
        others: Mapping[int, OtherDate | None],
        known: BoxChannels,
        box: Box,
        core: Box,
        near: NDArray[np.bool_],
    ) -> Blend:
        """Members of an estimate: its residuals of other dates are added to it, as many spreads as they were there."""
        assert self.donors is not None
        found = self.donors.residuals(
            others,
            self.cutter,
            known,
            levelled(self.variables),
            self.noise,
            self._numbers,
            box,
            core,
            near,
            self.kept_channels,
        )
        return blend._replace(members=blend.members + blend.spread * found)

    @property
    def _noise(self) -> Noise | None:
        """Noise that the results of windows draw from the prior with; None: they are estimates."""
        return self.noise if self.method.draws else None

    @property
    def _draws(self) -> Noise | None:
        """Noise that members draw from the prior with; None: there are no members."""
        return self.noise if self.draws else None

    def _add(
        self,
        filled: Filled,
        starts: Sequence[NDArray],
        seas: Sequence[NDArray],
        core: Box,
        blend: Blend,
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add the windows of a batch to the sums, at the pixels of the core `where`."""
        tiling, kept = self.tiling, self.kept_channels
        for number, (start, sea) in enumerate(zip(starts, seas, strict=True)):
            at, part = overlap(start, tiling.size, core)
            weight = tiling.weight[part] * sea[part[1:]] * (1 if where is None else where[at])
            values = filled.values[:, number][:, part[0], :, part[1], part[2]][:, :, kept]
            spread = filled.spread[number][part[0], :, part[1], part[2]][:, kept]
            blend.members[:, :, *at] += np.moveaxis(values, 2, 1) * weight
            blend.spread[:, *at] += np.moveaxis(spread, 1, 0) * weight
            blend.weight[at] += weight

    def _filled(self, windows: Windows, weights: Weights | None, used: int) -> Filled:
        """The result of the method for a batch of windows, of which the first `used` count."""
        usual = levelled(self.variables) if weights is None else {}
        if not usual:
            filled = self.method.fill(windows, weights, self.noise, self.estimates)
            filled = checked(filled, self.method, windows, self.estimates, used)
        else:
            level = Level.of(windows, usual)
            filled = self.method.fill(level.put_on(windows), None, self.noise, self.estimates)
            filled = level.taken_off(checked(filled, self.method, windows, self.estimates, used))
        return filled if self.prior is None else self.prior.damped(filled, windows, self._noise)

    @property
    def kept_channels(self) -> list[int]:
        """Channels that decoding needs: the targets, and their whole if they are not fractions."""
        target = self.variables[0]
        whole = [self.channels.index(target.whole.channels[0])] if target.needs_whole and target.whole else []
        return [*range(self.targets), *whole]

    def _warn(self, variable: Variable) -> None:
        """Warn of impossible values that were not checked before, once per process: a map has thousands of blocks."""
        key = f"{self.call} {variable}"
        if self.checked[self.variables.index(variable)]:
            return
        with _lock:
            if key in _warned:
                return
            _warned.add(key)
        warnings.warn(invalid_message(self.label, variable, None), UserWarning, stacklevel=2)
