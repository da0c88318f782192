"""The prior that all windows share: what it takes from values before windows are cut, and gives back after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.priors import DEPENDENT_PIXELS
from xgapfill.kernel.decode import Blend
from xgapfill.lattice.cells import CELL, around_the_globe, cells_around, fractional
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Filled, Windows
from xgapfill.prior import large, season
from xgapfill.prior.exact import bells, rounded
from xgapfill.variables import Prior, Variable, priors

NEAR = (37.0, 1.5)  # Gaussian neighbourhood (km, slots) in which a window tells of a pixel
NEAR_PIXELS = (8.0, 16.0)  # and its limits: a window must hold it
CLOSE = (2.0, 5.0)  # pixels, and how many observations one counts as that close
ENOUGH = 1.0  # observations there with which it tells most of what it can
BANDS = (0.45, 0.2, 0.16, 0.13, 0.13)  # variance of each width of the large scale, in prior variances
REST = 0.22  # variance that the large scale does not resolve, in prior variances
GRAINS = ((1.5, 0.3), (4.0, 1.0), (9.0, 1.5))  # radii (pixels, slots) of draws of that variance
GRAIN_SHARES = (0.2, 0.35, 0.45)  # of that variance
COARSER = 12.0  # cells: wider draws are made of cells of cells
LITTLE = 0.02  # share of a variance that is not drawn
FEW = 5.0  # pseudo-count of independent samples of the variance of a window
DRAW = 1000  # numbers of noise fields of the prior start here
SPAN = 2.0  # as in the regression of the background


class Channel(NamedTuple):
    """What a channel is relative to.

    Attributes
    ----------
    base, sd : float
        Prior mean and standard deviation; `sd` 0: the prior does not change the channel.
    levelled : bool
        Whether its prior mean is unknown: the widest mean is then not drawn toward it.
    slopes : tuple of (channel, slope, curvature, centre)
        Prior regression on each predictor.
    """

    base: float
    sd: float
    levelled: bool
    slopes: tuple[tuple[int, float, float, float], ...] = ()


class OnBox(NamedTuple):
    """The prior on a box.

    Attributes
    ----------
    level : (c, t, y, x) float32, what is taken from values, 0 where nothing is known
    scale : (c, 1, y, x) float32, by which anomalies are divided
    known : (t, y, x) bool, where something is known of a channel, and of all whose prior mean is unknown
    left : (c, widths, t, cells, cells) float32, share of the variance of each width left open
    base : (c,) float32, prior means
    """

    level: NDArray[np.float32]
    scale: NDArray[np.float32]
    known: NDArray[np.bool_]
    left: NDArray[np.float32]
    base: NDArray[np.float32]

    def anomalies(
        self, values: NDArray[np.float32], observed: NDArray[np.bool_], level: NDArray[np.float32], scale: NDArray
    ) -> NDArray[np.float32]:
        """Take the prior from the (t, c, y, x) values of a window, 0 where not observed."""
        base = self.base[:, None, None]
        return np.where(observed, base + (values - base - level) / scale, np.float32(0)).astype(np.float32)


@dataclass(frozen=True)
class SharedPrior:
    """Season and large scale of each channel; its arrays follow the others of a kernel.

    Attributes
    ----------
    channels : tuple of Channel
        Targets first.
    targets : int
        Number of channels to be filled.
    season : tuple of int
        Channels with a season; its arrays come first: `season.TERMS` and the spread of anomalies, without time.
    saved : str
        Token of the season if it is a saved one, else empty.
    local : bool
        Whether the method knows no more than its windows, so that what they say must die out far from observations.
    """

    channels: tuple[Channel, ...]
    targets: int
    season: tuple[int, ...] = ()
    local: bool = True
    saved: str = ""

    @classmethod
    def of(cls, variables: Sequence[Variable], channels: Sequence[str], local: bool) -> SharedPrior | None:
        """Return the prior of these channels, targets first; None if it can change none of them."""
        shipped, targets = priors(), len(variables[0].channels)
        usual = {name: each.usual_sd for each in variables if each.levelled for name in each.channels}
        given = [name for each in variables[1:] for name in each.channels]
        found = []
        for number, name in enumerate(channels):
            prior: Prior = shipped[name]
            if name in usual:
                found.append(Channel(0.0, float(usual[name] or 0.0), True))
                continue
            slopes = []
            for other in range(targets, len(channels)):
                if number < targets and channels[other] in given and channels[other] in prior.regression:
                    slope, curvature = prior.regression[channels[other]]
                    slopes.append((other, slope, curvature, shipped[channels[other]].centre))
            found.append(Channel(prior.mean, prior.variance**0.5, False, tuple(slopes)))
        return cls(tuple(found), targets, (), local) if any(each.sd for each in found) else None

    @property
    def usable(self) -> tuple[int, ...]:
        """Channels that it may change."""
        return tuple(number for number, each in enumerate(self.channels) if each.sd)

    @property
    def seasonal(self) -> int:
        """Number of arrays of the season."""
        return len(self.season) * (season.TERMS + 1)

    @property
    def arrays(self) -> int:
        """Number of arrays."""
        return self.seasonal + len(self.channels) * (1 + len(large.RADII))

    @property
    def alone(self) -> bool:
        """Whether there are no predictors; anomalies are scaled only then."""
        return len(self.channels) == self.targets

    def departures(
        self, values: NDArray[np.float32], observed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Departures of (c, ...) channels from their prior mean and regression, in prior standard deviations."""
        out, known = np.zeros(values.shape), observed.copy()
        for number, each in enumerate(self.channels):
            if not each.sd:
                known[number] = False
                continue
            for other, *_ in each.slopes:
                known[number] &= observed[other]
            expected = each.base + self.regression(each, values)
            np.divide(values[number] - expected, each.sd, out=out[number], where=known[number])
        return out, known

    def regression(self, channel: Channel, values: NDArray) -> NDArray:
        """Prior regression of a channel on (c, ...) values of the predictors."""
        total = np.zeros(values.shape[1:], np.float32)
        for other, slope, curvature, centre in channel.slopes:
            away = np.clip(values[other] - np.float32(centre), -SPAN, SPAN)
            total = total + np.float32(slope) * away + np.float32(curvature) * away**2
        return np.asarray(total)

    def seasonal_on(self, c: int, arrays: Sequence[Any], year: NDArray) -> tuple[NDArray, NDArray]:
        """Season (t, y, x) of a channel and spread of its anomalies (1, y, x), in prior standard deviations."""
        n = season.TERMS + 1
        first = self.season.index(c) * n
        part = [np.nan_to_num(np.asarray(each[:1]))[0] for each in arrays[first : first + n]]
        spread = np.where(part[-1] > 0, np.clip(part[-1] / season.USUAL, *season.SPREADS), 1)[None]
        scaled = self.alone and not self.channels[c].levelled  # anomalies of these have their level, which has no scale
        return season.at(np.stack(part[:-1]), year), spread if scaled else np.ones_like(spread)

    def on(self, arrays: Sequence[Any], grid: Grid, box: Box) -> OnBox:
        """Return the prior on a box, given its arrays there."""
        layers = np.stack([np.asarray(each) for each in arrays[self.seasonal :]])
        cells = layers.reshape(len(self.channels), 1 + len(large.RADII), *layers.shape[1:])
        return self.level_on(arrays, cells, grid, box, np.arange(*box.slots))

    def level_on(self, seasons: Sequence[Any], cells: NDArray, grid: Grid, box: Box, slots: NDArray[np.int64]) -> OnBox:
        """Return the prior at the times of `slots` on a box, given its season there and its large scale on cells."""
        at = fractional(grid, box, box)
        level = np.zeros((len(self.channels), *box.shape), np.float32)
        scale = np.ones((len(self.channels), 1, *box.shape[1:]), np.float32)
        any_known, all_needed = np.zeros(box.shape, bool), np.ones(box.shape, bool)
        for c, each in enumerate(self.channels):
            if not each.sd:
                continue
            level[c] = large.at_pixels(cells[c, 0], *at)
            there = np.isfinite(level[c])
            any_known |= there
            if each.levelled:
                all_needed &= there
            level[c][~there] = 0
            if c in self.season:
                mean, spread = self.seasonal_on(c, seasons, season.basis(grid.season_of(slots)))
                scale[c] = spread
                level[c] *= scale[c]
                level[c] += mean.astype(np.float32)
            level[c] *= np.float32(each.sd)
        return OnBox(level, scale, any_known & all_needed, cells[:, 1:], self.base)

    @property
    def base(self) -> NDArray[np.float32]:
        """Prior mean of each channel."""
        return np.array([each.base for each in self.channels], np.float32)

    def empty(self, windows: Windows, members: int, noise: Noise | None) -> Filled:
        """Windows without observations."""
        values = np.zeros((members, *windows.values.shape), np.float32) + self.base[:, None, None]
        return replace(self, local=True).damped(Filled(values, np.zeros_like(values[0])), windows, noise)

    def damped(self, filled: Filled, windows: Windows, noise: Noise | None) -> Filled:
        """Draw what windows say toward the prior, away from their observations; members draw there with `noise`."""
        if not self.local:
            return filled
        near = self._near(windows)
        values, spread = filled.values.copy(), filled.spread.copy()
        targets = windows.targets
        order = [*range(targets, len(self.channels)), *range(targets)]
        level = np.float32(0) if windows.level is None else windows.level
        for c in order:
            each = self.channels[c]
            if not each.sd:
                continue
            share, rest = near[:, :, c], np.float32(each.sd * REST**0.5)
            away = _more_than(1 - share**2, LITTLE)
            missing = windows.sea[:, None] & ~windows.observed[:, :, c]
            blind = np.asarray(((away > 0) & missing).any((1, 2, 3)))
            for m in range(len(values)):
                whole = [np.moveaxis(part, 2, 0) for part in (filled.values[m] + level, values[m] + level)]
                before, after = (np.float32(each.base) + self.regression(each, part) for part in whole)
                values[m, :, :, c] = after + (filled.values[m, :, :, c] - before) * share
                if noise is not None and blind.any():
                    values[m, :, :, c] += np.sqrt(away) * rest * self._grain(noise, m, c, windows, blind)
            own = np.minimum(filled.spread[:, :, c] ** 2, self._variance(windows, c, rest**2))
            spread[:, :, c] = np.sqrt(share**2 * own + (1 - share**2) * rest**2)
        return Filled(values, spread)

    def _variance(self, windows: Windows, c: int, rest: np.float32) -> NDArray[np.float32]:
        """Variance of the anomalies of each window, (b, 1, 1, 1), near what is left by the prior where they are few."""
        away = np.where(windows.observed[:, :, c], windows.values[:, :, c] - self.base[c], np.float32(0))
        squares = np.square(away, dtype=np.float64).sum((1, 2, 3), keepdims=True) / DEPENDENT_PIXELS
        independent = windows.observed[:, :, c].sum((1, 2, 3), keepdims=True) / DEPENDENT_PIXELS
        return ((squares + FEW * rest) / (independent + FEW)).astype(np.float32)

    def _near(self, windows: Windows) -> NDArray[np.float32]:
        """Share of what windows say that holds at each pixel, (b, t, c, y, x)."""
        km, slots = NEAR
        pixels = float(np.clip(km / windows.step_km[0, 0], *NEAR_PIXELS))  # rows are as far apart in all windows
        t, y, x = (
            _bell(n, radius)
            for n, radius in zip(np.take(windows.values.shape, (1, 3, 4)), (slots, pixels, pixels), strict=True)
        )
        seen = windows.observed.astype(np.float32)
        if windows.variance is not None:  # uncertain observations count less
            rest = np.array([max(each.sd**2 * REST, 1e-12) for each in self.channels], np.float32)
            seen /= 1 + windows.variance / rest[:, None, None]
        close, many = CLOSE
        beside = _bell(len(y), close) @ seen @ _bell(len(x), close)
        seen = np.einsum("st,btcyx->bscyx", t, y @ seen @ x) + np.float32(many) * beside
        return (1 - np.exp(-seen / np.float32(ENOUGH))).astype(np.float32)

    def _grain(
        self, noise: Noise, member: int, channel: int, windows: Windows, wanted: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Small-scale draw of unit variance in each wanted window, (b, t, y, x); 0 in the others."""
        b, t, _, y, x = windows.values.shape
        out = np.zeros((b, t, y, x), np.float32)
        for number, ((pixels, slots), part) in enumerate(zip(GRAINS, GRAIN_SHARES, strict=True)):
            north, east, time = (_unit(_bell(n, radius)) for n, radius in ((y, pixels), (x, pixels), (t, slots)))
            for k in np.flatnonzero(wanted):
                slot, row, col = windows.starts[k].tolist()
                white = noise(member, DRAW + 10 * number + channel, (slot, row, col), (1, t, y, x))[0]
                out[k] += np.float32(part**0.5) * np.einsum("st,tyx->syx", time, north @ white @ east.T)
        return out

    def give_back(
        self,
        blend: Blend,
        kept: Sequence[int],
        prior: OnBox,
        grid: Grid,
        box: Box,
        core: Box,
        noise: Noise | None,
    ) -> None:
        """Add the prior to the sums of a core, in place; members draw from it with `noise`."""
        members, spread, weight = blend[:3]
        at = fractional(grid, core, box)
        times = slice(core.slots[0] - box.slots[0], core.slots[1] - box.slots[0])
        inner = core.within(box)
        for k, c in enumerate(kept):
            each, level, scale = self.channels[c], prior.level[(c, *inner)], prior.scale[(c, slice(None), *inner[1:])]
            base = np.float32(each.base)
            if not each.sd:
                continue
            left = np.nan_to_num(large.at_pixels(prior.left[c][:, times], *at), nan=1.0)
            bands = [np.float32(band) * part for band, part in zip(BANDS, left, strict=True)]
            with np.errstate(invalid="ignore", divide="ignore"):
                own = np.where(weight > 0, spread[k] / weight, 0)
            rest = np.float32(each.sd**2 * REST)
            share = _more_than(np.minimum(1, own**2 / rest), LITTLE)
            bands = [_more_than(band, LITTLE * REST) * share for band in bands]
            spread[k] = np.sqrt(own**2 + np.float32(each.sd**2) * sum(bands)) * scale * weight
            drawn = [number for number, band in enumerate(bands) if ((band > 0) & (weight > 0)).any()]
            for m in range(len(members)):
                members[m, k] = (members[m, k] - base * weight) * scale + (base + level) * weight
                if noise is None:
                    continue
                for number in drawn:
                    wide = _wide(noise, m, c, number, grid, core)
                    members[m, k] += np.float32(each.sd) * np.sqrt(bands[number]) * wide * scale * weight


def _wide(noise: Noise, member: int, channel: int, number: int, grid: Grid, core: Box) -> NDArray[np.float32]:
    """Draw of unit variance of a width of the large scale on the pixels of a core; wide ones from coarser cells."""
    cell = CELL if large.RADII[number] < COARSER else CELL**2
    radius, slots = large.RADII[number] * CELL / cell, large.slots_of(grid.step_days)[number]
    rows, cols = (cells_around(axis, part, grid, cell) for axis, part in ((1, core.rows), (2, core.cols)))
    halo, before = int(np.ceil(large.CUT * radius)), int(np.ceil(large.CUT * slots))
    start = core.slots[0] - before, rows[0] - halo, cols[0] - halo
    shape = 1, core.shape[0] + 2 * before, rows[1] - rows[0] + 2 * halo, cols[1] - cols[0] + 2 * halo
    of_cells = replace(noise, ncols=around_the_globe(grid, cell))
    out = rounded(of_cells(member, DRAW + 100 * (1 + number) + channel, start, shape)[0])
    axes = zip(shape[1:], (before, halo, halo), (slots, radius, radius), strict=True)
    for axis, (n, margin, width) in enumerate(axes):
        places = np.arange(n, dtype=float)
        bell = bells(places[margin : n - margin], places, width, large.CUT)
        out = rounded(np.moveaxis(np.tensordot(bell, out, (1, axis)), 0, axis))
        out = rounded(out / np.sqrt((bell[0] ** 2).sum()))
    return large.at_pixels(out.astype(np.float32), *fractional(grid, core, core, cell))


def _more_than(share: NDArray, little: float) -> NDArray[np.float32]:
    """Leave out what is hardly there, so that it need not be drawn."""
    return np.maximum((share - np.float32(little)) / np.float32(1 - little), 0).astype(np.float32)


def _bell(n: int, radius: float) -> NDArray[np.float32]:
    places = np.arange(n)
    return np.exp(-0.5 * ((places[:, None] - places) / radius) ** 2).astype(np.float32)


def _unit(bell: NDArray[np.float32]) -> NDArray[np.float32]:
    return bell / np.sqrt((bell**2).sum(axis=1, keepdims=True))
