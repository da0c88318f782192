"""Lays out what lies beyond windows, lazily: the season of each pixel, sums of cells, and the large scale.

Each is an array of the graph that all blocks share: one task per block of pixels gives the sums of its cells, and the
large scale of many cells is one task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.season import read_season
from xgapfill.kernel.drivers import Drivers, Within, layers_of
from xgapfill.kernel.encode import BoxChannels
from xgapfill.kernel.reader import Reader
from xgapfill.kernel.seasons import LAYERS, lay_out_season, years
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.lattice.cells import edges_of, grid_of_cells, pixels_of
from xgapfill.lattice.grid import Box, Grid
from xgapfill.methods.base import Method
from xgapfill.prior import large, season

CELLS = 48  # cells along a side of a block of sums
WIDE = 96  # cells along a side of a block of the large scale
FRAMES = 6
OF_CELLS = 0.15  # variance of cells about the means around them, in prior variances
MOST = 1e3  # largest error variance of other sensors, in prior variances
SEASON_CELLS = 1 << 27  # largest number of values of which the season is fitted as part of a result


@dataclass(frozen=True)
class CellSums:
    """Count and mean anomaly of the cells of a block, for each channel: (2 channels, t, y, x)."""

    reader: Reader
    cells: Grid

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, *core.shape) of cells."""
        reader, prior = self.reader, self.reader.prior
        fine, edges = pixels_of(box, self.cells, reader.grid), edges_of(box, self.cells)
        known = reader.read(arrays, fine)
        values, observed = reader.departures(known)
        count, total = large.cell_sums(self._anomalies(values, arrays, fine), observed, *(each[:-1] for each in edges))
        if reader.sensors is not None:
            more, summed = self._of_others(known, arrays, fine, edges)
            count[: prior.targets] += more
            total[: prior.targets] += summed
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        return np.concatenate([count, mean]).astype(np.float32)

    def _of_others(
        self,
        known: BoxChannels,
        arrays: Sequence[Any],
        fine: Box,
        edges: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Number of pixels that other sensors alone saw, as far as they are worth it, and sums of anomalies."""
        (rows, cols), sizes = (each[:-1] for each in edges), [np.diff(each) for each in edges]

        def placed(fields: NDArray) -> NDArray:
            return np.repeat(np.repeat(fields, sizes[0], axis=-2), sizes[1], axis=-1)

        said, variance = self.reader.departures_of_others(known, arrays, placed)
        there = np.isfinite(variance)
        count, total = large.cell_sums(self._anomalies(said, arrays, fine), there, rows, cols)
        _, errors = large.cell_sums(np.minimum(variance, MOST), there, rows, cols)
        worth = 1 / (1 + errors / (large.HALF * OF_CELLS))  # pixels of a cell share their error: many are as one
        return count * worth, total * worth

    def _anomalies(self, values: NDArray[np.float64], arrays: Sequence[Any], box: Box) -> NDArray[np.float64]:
        """Departures (c, t, y, x) without their season."""
        reader, prior = self.reader, self.reader.prior
        if not prior.season:
            return values
        first = reader.count + (0 if reader.sensors is None else reader.sensors.arrays)
        year = season.basis(reader.grid.season_of(np.arange(*box.slots)))
        found = values.copy()
        for c in prior.season:
            if c < len(values):
                mean, spread = prior.seasonal_on(c, arrays[first:], year)
                found[c] = (values[c] - mean) / spread
        return found


@dataclass(frozen=True)
class LargeScale:
    """Large scale of the cells of a block: the field, and for each width the share left open, for each channel."""

    grid: Grid  # of the cells
    anchored: tuple[bool, ...]  # whether the prior mean of each channel is known
    season: bool

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, *core.shape) of cells."""
        of, at = places_of(self.grid, box), places_of(self.grid, core)
        given = np.stack([np.nan_to_num(np.asarray(each, np.float64)) for each in arrays])
        count, mean = given.reshape(2, -1, *given.shape[1:])
        doubt = large.OPEN if self.season else large.SHRINK
        field, left = large.nested_means(count, mean, of, at, self.grid.step_days, self.anchored, doubt)
        if not self.season:
            field[left[:, 0] >= 1] = np.nan  # nothing observed anywhere near
        layers = np.concatenate([field[:, None], left], axis=1)
        return layers.reshape(-1, *field.shape[1:]).astype(np.float32)


def places_of(grid: Grid, box: Box) -> large.Places:
    """Places of a box of the grid of cells."""
    slots, rows, cols = (np.arange(*part, dtype=np.float64) for part in (box.slots, box.rows, box.cols))
    north, east = grid.step_km(rows)
    return large.Places(slots, rows, cols, np.asarray(east / north))


def prior_of(
    asked: Any, method: Method, given: Sequence[Quantity], channels: tuple[str, ...], drivers: Drivers | None
) -> tuple[SharedPrior | None, tuple[tuple[Source, Grid], ...]]:
    """The prior of all windows that ``prior=`` asks for, None without one, and the arrays of a saved season."""
    shared = SharedPrior.of([each.variable for each in given], channels, method.local)
    units = {} if shared is None else {channels[c]: shared.channels[c][:2] for c in shared.usable}
    saved, grid = read_season(asked, given, units, () if drivers is None else drivers.channels), given[0].grid
    if asked is None or shared is None or not method.takes_prior:
        return None, ()
    if saved is not None:
        season_of = tuple(channels.index(channel) for channel in saved.channels)
        return replace(shared, season=season_of, saved=tokenize(saved)), saved.arrays
    if years(grid) < season.LEAST_YEARS or math.prod(grid.shape) * len(channels) > SEASON_CELLS:
        return shared, ()
    return replace(shared, season=shared.usable), ()


def lay_out_prior(
    reader: Reader,
    sources: Sequence[Source],
    grids: Sequence[Grid],
    saved: Sequence[tuple[Source, Grid]],
    side: int,
    passed: Callable[[da.Array], list[Source]] = layers_of,
) -> tuple[list[Source], list[Grid]]:
    """Return the arrays of the prior and their grids.

    Parameters
    ----------
    reader : Reader
    sources, grids : sequence
        Of the arrays of the variables, of drivers and of other sensors.
    saved : sequence of (source, grid)
        Arrays of a saved season; none if it is fitted here.
    side : int
        Rows and columns of a block that reads whole series.
    passed : callable
        Layers of an array that the next ones get.
    """
    grid = reader.grid
    sources, grids = list(sources), list(grids)
    added, their = [each for each, _ in saved], [each for _, each in saved]
    if reader.prior.season and not saved:
        found = passed(lay_out_season(reader, sources[: reader.count], grids[: reader.count], side))
        added = [each for layer, each in enumerate(found) if layer % LAYERS <= season.TERMS]
        their = [replace(grid, slots=(0,), calendar="none")] * len(added)
    cells = grid_of_cells(grid)
    sums = map_lattice(
        CellSums(reader, cells),
        [*sources, *added],
        [*grids, *their],
        layers=2 * len(reader.prior.channels),
        reach=(0, 0, 0),
        block=(FRAMES, CELLS, CELLS),
        dtype=np.float32,
        grid=cells,
        beside=True,
    )
    anchored = tuple(not each.levelled for each in reader.prior.channels)
    wide = map_lattice(
        LargeScale(cells, anchored, bool(reader.prior.season)),
        passed(sums),
        [cells] * sums.shape[0],
        layers=len(anchored) * (1 + len(large.RADII)),
        reach=large.reach(grid.step_days),
        around=Within(cells, large.reach(grid.step_days)),
        block=(FRAMES, WIDE, WIDE),
        dtype=np.float32,
        beside=True,
    )
    return [*added, *passed(wide)], [*their, *[cells] * wide.shape[0]]
