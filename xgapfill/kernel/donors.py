"""Members made of real residuals: other dates of the series under the gaps of a date, and what is missed of them.

A method that gives an estimate and its spread gets members by what the background misses of other dates, the donors,
under the same gaps (`gaussian.residuals`): estimate + spread * residual. Members come in pairs with opposite
residuals, so that the mean of an even number of them is the estimate. Each pair has a donor some steps after each date,
along the series closed to a circle, so that a donor depends on the date alone. A pair without one has filaments
(`gaussian.filaments`) in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.source import Source
from xgapfill.gaussian.background import weighed
from xgapfill.gaussian.filaments import filaments
from xgapfill.gaussian.priors import shipped
from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.encode import BoxChannels, Encoder
from xgapfill.kernel.level import Level
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.kernel.windows import Cutter
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.tiling import Tiling, inside, overlap
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import batches
from xgapfill.nets.device import on_device
from xgapfill.prior import large

FIELD = 9000  # number of the noise field that completes donors
APART = 32.0  # days between a date and its donor, and at least GUARD steps
GUARD = 3
ALONE = 0.9  # factor of residuals of filaments alone: the range of members of single maps then holds its share

Laid = tuple[Sequence[Source], Sequence[Grid]]
"""Arrays and their grids."""


class OtherDate(NamedTuple):
    """A donor on a box: anomalies from its prior and where they were observed, and its prior, (c, t, y, x) each."""

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    level: NDArray[np.float32] | None


@dataclass(frozen=True)
class Donors:
    """The donor of each pair of members: the date some steps later.

    Attributes
    ----------
    first, length : int
        First slot of the series, and its number of slots.
    shifts : tuple of int
        Steps from a date to the donor of each pair; 0: filaments.
    tiling : Tiling
        Windows of the residuals.
    """

    first: int
    length: int
    shifts: tuple[int, ...]
    tiling: Tiling

    @classmethod
    def of(cls, grid: Grid, members: int, seed: int) -> Donors:
        """Choose the donors of a series."""
        first = min(grid.slots)
        length = max(grid.slots) + 1 - first
        apart = max(GUARD, int(np.ceil(APART / grid.step_days)))
        far = np.arange(apart, length - apart + 1) if grid.calendar != "none" else np.zeros(0, int)
        order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(FIELD,))).permutation(far)
        pairs = -(-members // 2)
        shifts = [*order.tolist(), *[0] * pairs][:pairs]
        return cls(first, length, tuple(shifts), Tiling(grid.ncols))

    @property
    def real(self) -> int:
        """Number of pairs whose donor is a date."""
        return sum(shift > 0 for shift in self.shifts)

    def slots(self, slots: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
        """Return the slots some steps later on the circle."""
        return (slots - self.first + shift) % self.length + self.first

    def relabelled(self, grid: Grid, shift: int) -> Grid:
        """Return a grid whose slots are those of the dates `shift` steps before."""
        if grid.calendar == "none":
            return grid
        return replace(grid, slots=tuple(self.slots(np.array(grid.slots, np.int64), -shift).tolist()))

    def laid_out(self, own: Laid, of_prior: Laid, seasonal: int, *, shifted: bool = True) -> Laid:
        """Return the arrays of all donors and their grids.

        Parameters
        ----------
        own, of_prior : (sources, grids)
            Arrays of the variables, and of the prior, of which the first `seasonal` are its season.
        seasonal : int
        shifted : bool
            False: each date itself is in place of its donors, which does not change what they cost.
        """
        levels = slice(seasonal, None, 1 + len(large.RADII))
        sources, grids = [*own[0], *of_prior[0][levels]], [*own[1], *of_prior[1][levels]]
        shifts = [shift if shifted else 0 for shift in self.shifts if shift]
        return sources * len(shifts), [self.relabelled(grid, shift) for shift in shifts for grid in grids]

    def on(
        self,
        arrays: Sequence[Any],
        seasons: Sequence[Any],
        encoder: Encoder,
        prior: SharedPrior | None,
        box: Box,
        pairs: Iterable[int],
    ) -> dict[int, OtherDate | None]:
        """Read the donors of some pairs on a box, given the arrays of all there and those of the prior of the box."""
        layout = Layout(tuple(each.parts for each in encoder.variables))
        count, nowhere = sum(layout.parts), np.broadcast_to(np.False_, box.shape)
        each = len(arrays) // max(self.real, 1)
        found: dict[int, OtherDate | None] = {}
        for pair in pairs:
            if pair >= self.real:
                found[pair] = None
                continue
            given = arrays[pair * each : (pair + 1) * each]
            known = encoder.channels_of(layout.named(given[:count]), nowhere, nowhere)
            if prior is None:
                found[pair] = OtherDate(known.values, known.observed, None)
                continue
            cells = np.stack([np.asarray(part) for part in given[count:]])[:, None]
            slots = self.slots(np.arange(*box.slots), self.shifts[pair])
            on = prior.level_on(seasons, cells, encoder.grid, box, slots)
            found[pair] = OtherDate(known._replace(prior=on).anomalies(), known.observed, on.level)
        return found

    def residuals(
        self,
        donors: Mapping[int, OtherDate | None],
        cutter: Cutter,
        known: BoxChannels,
        usual: Mapping[str, float | None],
        noise: Noise,
        members: Sequence[int],
        box: Box,
        core: Box,
        near: NDArray[np.bool_],
        wanted: Sequence[int],
    ) -> NDArray[np.float32]:
        """Residual of each member, of the channels that are wanted, on the core, (m, c, t, y, x); 0 if not missing."""
        cutter, size = replace(cutter, tiling=self.tiling), self.tiling.size
        pairs = pairs_of(members)
        total = np.zeros((len(pairs), len(wanted), *core.shape), np.float32)
        weights = np.zeros(core.shape, np.float32)
        seen = (True,) if known.prior is None else (True, False)
        needed = (window for each in seen for window in cutter.needed(known, box, core, near, each))
        for starts, seas in batches(needed):
            windows = cutter.cut(known, box, starts, seas)
            found = _of_pairs(donors, windows, box, starts, usual, noise, pairs, wanted)[:, :, :, list(wanted)]
            for number, (start, sea) in enumerate(zip(starts, seas, strict=True)):
                at, part = overlap(start, size, core)
                weight = self.tiling.weight[part] * sea[part[1:]]
                total[:, :, *at] += np.moveaxis(found[:, number][:, part[0], :, part[1], part[2]], 2, 1) * weight
                weights[at] += weight
        np.divide(total, weights, out=total, where=weights > 0)
        return _signed(total, pairs, members)

    def on_windows(
        self,
        donors: Mapping[int, OtherDate | None],
        windows: Windows,
        box: Box,
        starts: Sequence[NDArray],
        noise: Noise,
        members: Sequence[int],
    ) -> NDArray[np.float32]:
        """Residual of each member on a batch of windows, (m, b, t, c, y, x)."""
        pairs = pairs_of(members)
        return _signed(_of_pairs(donors, windows, box, starts, {}, noise, pairs), pairs, members)


def pairs_of(members: Iterable[int]) -> list[int]:
    """Numbers of the pairs of some members."""
    return sorted({member // 2 for member in members})


def of_prior(prior: SharedPrior | None, laid: Laid) -> tuple[Laid, int]:
    """Return the arrays of a prior, which are the last, and how many of them are its season."""
    if prior is None:
        return ((), ()), 0
    sources, grids = laid
    return (sources[len(sources) - prior.arrays :], grids[len(grids) - prior.arrays :]), prior.seasonal


def _signed(found: NDArray[np.float32], pairs: Sequence[int], members: Sequence[int]) -> NDArray[np.float32]:
    """Residuals of members, given those of pairs."""
    return np.stack([found[pairs.index(m // 2)] * np.float32(1 - 2 * (m % 2)) for m in members])


def _of_pairs(
    donors: Mapping[int, OtherDate | None],
    windows: Windows,
    box: Box,
    starts: Sequence[NDArray],
    usual: Mapping[str, float | None],
    noise: Noise,
    pairs: Sequence[int],
    wanted: Sequence[int] | None = None,
) -> NDArray[np.float32]:
    """Residuals of pairs of members on a batch of windows, (pairs, b, t, c, y, x)."""
    if usual:
        windows = Level.of(windows, usual).put_on(windows)
    given = [donors[pair] for pair in pairs]
    cut = [None if each is None else _cut(each, windows, box, starts, usual) for each in given]
    return _residuals(windows, cut, [_filaments(noise, pair, windows) for pair in pairs], wanted)


def _cut(donor: OtherDate, windows: Windows, box: Box, starts: Sequence[NDArray], usual: Any) -> Windows:
    """A donor on the places of a batch of windows."""
    shape = windows.values.shape[1], *windows.values.shape[3:]
    parts: list[NDArray[Any]] = []
    for each in donor:
        part = np.zeros(windows.values.shape, np.float32 if each is None else each.dtype)
        for number, start in enumerate(starts):
            if each is not None:
                part[number] = np.moveaxis(each[:, *inside(start, shape, box)], 0, 1)
        parts.append(part)
    level = None if donor.level is None else parts[2]
    cut = replace(windows, values=parts[0], observed=parts[1], variance=None, level=level)
    return Level.of(cut, usual).put_on(cut) if usual else cut


def _filaments(noise: Noise, pair: int, windows: Windows) -> NDArray[np.float32]:
    """What completes the donor of a pair of members, (b, t, c, y, x)."""
    _, t, c, y, x = windows.values.shape
    return filaments(noise.seed, pair, windows.starts, (t, c, y, x), windows.step_days)


@on_device()
def _residuals(
    windows: Windows,
    donors: Sequence[Windows | None],
    drawn: Sequence[NDArray[np.float32]],
    wanted: Sequence[int] | None,
) -> NDArray[np.float32]:
    """Residuals of the donors under the gaps of the windows, (m, b, t, c, y, x); of filaments in place of None."""
    import torch

    from xgapfill.gaussian.residuals import Donor, residuals

    given = []
    for each, fields in zip(donors, drawn, strict=True):
        empty = np.zeros_like(windows.values)
        values, observed = (empty, empty) if each is None else (each.values, each.observed.astype(np.float32))
        level = None if each is None or each.level is None else torch.from_numpy(each.level)
        given.append(Donor(torch.from_numpy(values), torch.from_numpy(observed), level, torch.from_numpy(fields)))
    sure, precision = weighed(windows, shipped())
    found = residuals(
        torch.from_numpy(windows.values),
        torch.from_numpy(sure.astype(np.float32)),
        given,
        windows.step_days,
        torch.from_numpy(windows.step_km),
        windows.channels,
        windows.targets,
        shipped(),
        None if precision is None else torch.from_numpy(precision),
        None if windows.level is None else torch.from_numpy(windows.level),
        wanted,
    )
    sizes = [ALONE if each is None else 1.0 for each in donors]
    return torch.stack([size * each for size, each in zip(sizes, found, strict=True)]).numpy()
