"""Lays out what lies beyond windows, lazily: the season of each pixel, sums of cells, and the large scale.

Each is an array of the graph that all blocks share: one task per block of pixels gives the sums of its cells, and the
large scale of many cells is one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask
import numpy as np
from dask.delayed import Delayed
from numpy.typing import NDArray

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.drivers import Drivers, Within, layers_of
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.sample import sample_of
from xgapfill.lattice.cells import first_pixels, grid_of_cells, places_on
from xgapfill.lattice.grid import Box, Grid
from xgapfill.prior import large, season

CELLS = 48  # cells along a side of a block of sums
WIDE = 96  # cells along a side of a block of the large scale
FRAMES = 6
SAMPLE = 4096  # pixels that tell whether seasons help


@dataclass(frozen=True)
class Reader:
    """Reads the channels of a call for the prior, without errors and sea mask; frozen and picklable.

    Attributes
    ----------
    encoder : Encoder
    prior : SharedPrior or None
    drivers : Drivers or None
        Drivers, whose part is taken from the target first.
    """

    encoder: Encoder
    prior: Any
    drivers: Drivers | None = None

    @property
    def grid(self) -> Grid:
        """Lattice of the target."""
        return self.encoder.grid

    @property
    def count(self) -> int:
        """Number of arrays of the variables, the drivers and their relation."""
        return sum(self.layout.parts) + self.layout.drivers

    @property
    def layout(self) -> Layout:
        """Order of the arrays."""
        parts = tuple(each.parts for each in self.encoder.variables)
        return Layout(parts, drivers=0 if self.drivers is None else self.drivers.arrays)

    def departures(self, arrays: Sequence[Any], box: Box) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Departures of the channels on a box from their prior, and where they are observed."""
        given = self.layout.named(arrays[: self.count])
        known = self.encoder(given, box)
        if self.drivers is not None:
            known = known._replace(driven=self.drivers.on(given.drivers, self.grid, box))
        return self.prior.departures(known.anomalies(), known.observed)


@dataclass(frozen=True)
class SeasonOf:
    """Season of the pixels of a block without time: `season.TERMS` and the spread of anomalies for each channel.

    Attributes
    ----------
    reader : Reader
    usual : tuple of float
        Spread of the anomalies of each channel in the map; 0 where the season does not help.
    """

    reader: Reader
    usual: tuple[float, ...] = ()

    def given(self, usual: tuple[float, ...]) -> SeasonOf:
        """Return the kernel with what a sample of the map told."""
        return replace(self, usual=usual)

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, 1, y, x)."""
        grid = self.reader.grid
        slots = min(grid.slots), max(grid.slots) + 1
        whole = replace(box, slots=slots)
        values, observed = self.reader.departures([np.asarray(each) for each in arrays], whole)
        inner = core.within(box)[1:]
        layers = []
        for c, usual in enumerate(self.usual):
            if not usual:
                layers += [*np.zeros((season.TERMS, *box.shape[1:])), np.ones(box.shape[1:])]
                continue
            year = grid.season_of(np.arange(*slots))
            terms, squares, count = season.fit(values[c], observed[c], year, grid.step_days)
            independent = min(1.0, grid.step_days / season.INDEPENDENT_DAYS)
            few = season.SPREAD_COUNT / independent
            spread = np.sqrt((squares + few * usual**2) / (count + few)) / usual
            layers += [*terms, np.clip(spread, *season.SPREADS)]
        return np.stack(layers)[:, None, *inner].astype(np.float32)


@dataclass(frozen=True)
class CellSums:
    """Count and mean anomaly of the cells of a block, for each channel: (2 channels, t, y, x)."""

    reader: Reader
    cells: Grid

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, *core.shape) of cells."""
        reader, prior, grid = self.reader, self.reader.prior, self.reader.grid
        rows, cols = (places_on(axis, part, self.cells, grid) for axis, part in ((1, box.rows), (2, box.cols)))
        fine = Box(box.slots, rows, cols)
        values, observed = reader.departures(arrays, fine)
        if prior.season:
            year = season.basis(grid.season_of(np.arange(*fine.slots)))
            for c in range(len(values)):
                mean, spread = prior.seasonal_on(c, arrays[reader.count :], year)
                values[c] = (values[c] - mean) / spread
        firsts = [first_pixels(np.arange(*part), axis, self.cells) for axis, part in ((1, box.rows), (2, box.cols))]
        count, total = large.cell_sums(values, observed, *(each - each[0] for each in firsts))
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        return np.concatenate([count, mean]).astype(np.float32)


@dataclass(frozen=True)
class LargeScale:
    """Large scale of the cells of a block: the field, and for each width the share left open, for each channel."""

    grid: Grid  # of the cells
    anchored: tuple[bool, ...]  # whether the prior mean of each channel is known
    season: bool

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, *core.shape) of cells."""
        of, at = self._places(box), self._places(core)
        given = np.stack([np.nan_to_num(np.asarray(each, np.float64)) for each in arrays])
        count, mean = given.reshape(2, -1, *given.shape[1:])
        field, left = large.nested_means(count, mean, of, at, self.grid.step_days, self.anchored)
        if not self.season:
            field[left[:, 0] >= 1] = np.nan  # nothing observed anywhere near
        layers = np.concatenate([field[:, None], left], axis=1)
        return layers.reshape(-1, *field.shape[1:]).astype(np.float32)

    def _places(self, box: Box) -> large.Places:
        slots, rows, cols = (np.arange(*part, dtype=np.float64) for part in (box.slots, box.rows, box.cols))
        north, east = self.grid.step_km(rows)
        return large.Places(slots, rows, cols, np.asarray(east / north))


def lay_out_prior(
    reader: Reader, sources: Sequence[Source], grids: Sequence[Grid], block: tuple[int, int, int]
) -> tuple[list[Source], list[Grid]]:
    """Return the arrays of the prior and their grids, given those of the variables.

    `block` is the size of a block that reads whole series.
    """
    grid = reader.grid
    sources, grids = list(sources), list(grids)
    added: list[Source] = []
    their: list[Grid] = []
    if reader.prior.season:
        timeless = replace(grid, slots=(0,), calendar="none")
        halo = (0, season.HALO, season.HALO)
        array = map_lattice(
            SeasonOf(reader),
            sources,
            grids,
            layers=reader.prior.seasonal,
            reach=halo,
            block=(1, *block[1:]),
            dtype=np.float32,
            fitted=_whether_seasons_help(reader, sources, grids),
            grid=timeless,
            beside=True,
        )
        added += layers_of(array)
        their += [timeless] * len(added)
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
        LargeScale(cells, anchored, reader.prior.season),
        layers_of(sums),
        [cells] * sums.shape[0],
        layers=len(anchored) * (1 + len(large.RADII)),
        reach=large.reach(grid.step_days),
        around=Within(cells, large.reach(grid.step_days)),
        block=(FRAMES, WIDE, WIDE),
        dtype=np.float32,
        beside=True,
    )
    return [*added, *layers_of(wide)], [*their, *[cells] * wide.shape[0]]


@dataclass(frozen=True)
class Departures:
    """Departures of the channels of a sample from their prior, NaN where missing."""

    reader: Reader

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float64]:
        """Return (channels, *core.shape)."""
        values, observed = self.reader.departures(arrays, box)
        return np.where(observed, values, np.nan)[(slice(None), *core.within(box))]


@dataclass(frozen=True)
class Usual:
    """Spread of the anomalies of each channel of a sample; 0 where the season of some years is no help for others."""

    grid: Grid  # of the sample

    def __call__(self, sample: NDArray[np.float64]) -> tuple[float, ...]:
        """Return one number for each channel of (c, t, y, x)."""
        grid = self.grid
        slots = np.array(grid.slots, np.int64)
        years = np.floor(slots * grid.step_days / grid.year_days).astype(np.int64)
        found = []
        for values in sample.reshape(*sample.shape[:2], -1):
            use, spread = season.helps(values, np.isfinite(values), grid.season_of(slots), years, grid.step_days)
            found.append(max(spread, season.LEAST_SPREAD) if use else 0.0)
        return tuple(found)


def _whether_seasons_help(reader: Reader, sources: Sequence[Source], grids: Sequence[Grid]) -> Delayed:
    """Spread of the anomalies of each channel in a sample of the map, lazily; 0 where the season does not help."""
    parts, places = sample_of(sources, grids, SAMPLE)
    sample = map_lattice(
        Departures(reader),
        parts,
        places,
        layers=len(reader.prior.channels),
        reach=(None, 0, 0),
        block=(1, WIDE, WIDE),
        dtype=np.float64,
        beside=True,
    )
    return dask.delayed(Usual(places[0]), pure=True)(sample)
