"""Drivers: predictors of any kind, whose part of the target is taken from it before windows are cut.

The relation to them is laid out as lazy arrays that all blocks share, so it does not depend on windows or chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.inputs.read import Quantity
from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.encode import Encoder
from xgapfill.lattice.cells import edges_of, fractional, grid_of_cells, pixels_of, with_margin
from xgapfill.lattice.grid import Box, Grid
from xgapfill.prior import drivers as relation
from xgapfill.prior.drivers import CELL, PLACE, SPAN
from xgapfill.variables import Variable

BLOCK = (6, 3, 3)  # frames and places of a block
CELLS = (6, 12, 12)  # frames and cells of a block
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Drivers:
    """What a fill needs of its drivers; their arrays, then those of the relation, follow the others of a kernel.

    Attributes
    ----------
    variables : tuple of Variable
    targets : int
        Channels to be filled.
    """

    variables: tuple[Variable, ...]
    targets: int

    @classmethod
    def of(cls, given: Sequence[Quantity], target: Variable) -> Drivers | None:
        """Return the drivers of a target; None without any."""
        return cls(tuple(each.variable for each in given), len(target.channels)) if given else None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of the drivers."""
        return tuple(channel for each in self.variables for channel in each.channels)

    @property
    def columns(self) -> int:
        """Number of channels of the drivers."""
        return len(self.channels)

    @property
    def raw(self) -> int:
        """Number of arrays of the drivers."""
        return sum(each.parts for each in self.variables)

    @property
    def arrays(self) -> int:
        """Number of arrays: the drivers, slopes of each target, and what each driver is relative to."""
        return self.raw + self.columns * (self.targets + 3)

    def encoded(self, arrays: Sequence[Any]) -> Iterator[tuple[NDArray[np.float32], Bools]]:
        """Each channel of the drivers and where it is known, (t, y, x)."""
        left = iter(arrays)
        for variable in self.variables:
            raw = np.stack([np.asarray(next(left)) for _ in range(variable.parts)])
            found = variable.encode(raw, np.full(raw.shape[1:], np.nan, np.float32))
            yield from zip(found.values, found.observed, strict=True)

    def on(self, arrays: Sequence[Any], grid: Grid, box: Box) -> NDArray[np.float32]:
        """What the drivers tell of each target on a box, (targets, t, y, x); 0 where nothing is known."""
        k, out = self.columns, np.zeros((self.targets, *box.shape), np.float32)
        slopes = arrays[self.raw : self.raw + self.targets * k]
        wide, sd, near = (arrays[self.raw + (self.targets + n) * k :][:k] for n in range(3))
        at_places, at_cells = (Taps.of(*fractional(grid, box, box, cell)) for cell in (PLACE, CELL))
        for number, (values, known) in enumerate(self.encoded(arrays[: self.raw])):
            middle, scale, instead = (at_cells(np.asarray(each[number])) for each in (wide, sd, near))
            departure = np.where(known, values, instead) - middle
            most = np.float32(SPAN) * scale
            departure = np.nan_to_num(np.clip(departure, -most, most), posinf=0, neginf=0)
            for target in range(self.targets):
                slope = np.asarray(slopes[target * k + number])
                if np.nan_to_num(slope).any():
                    out[target] += np.nan_to_num(at_places(slope)) * departure
        return out


@dataclass(frozen=True)
class Taps:
    """Linear interpolation of (t, cells, cells) fields to the pixels of a box, along rows, then columns."""

    rows: NDArray[np.intp]
    north: NDArray[np.float32]
    cols: NDArray[np.intp]
    east: NDArray[np.float32]

    @classmethod
    def of(cls, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> Taps:
        """Return the interpolation to fractional rows and columns of cells."""
        row, col = np.floor(rows).astype(np.intp), np.floor(cols).astype(np.intp)
        return cls(row, (rows - row).astype(np.float32)[:, None], col, (cols - col).astype(np.float32))

    def __call__(self, field: NDArray) -> NDArray[np.float32]:
        """Interpolate a field; NaN next to cells that are NaN."""
        field = np.asarray(field, np.float32)
        one = np.float32(1)
        lines = field[:, self.rows] * (one - self.north) + field[:, self.rows + 1] * self.north
        found = lines[:, :, self.cols] * (one - self.east) + lines[:, :, self.cols + 1] * self.east
        return np.asarray(found, np.float32)


@dataclass(frozen=True)
class Moments:
    """Sums of products of targets and drivers for each place of a block, `relation.moments`."""

    encoder: Encoder
    drivers: Drivers
    places: Grid

    @property
    def columns(self) -> int:
        """Regressors: the drivers, then predictors of methods and their squares, as far as they are known."""
        return self.drivers.columns + 2 * (len(self.encoder.channels) - self.drivers.targets)

    @property
    def layers(self) -> int:
        """Number of sums."""
        return self.drivers.targets * relation.FOLDS * relation.sums_of(self.columns)

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float64]:
        """Return (layers, *core.shape) of places."""
        grid, drivers = self.encoder.grid, self.drivers
        fine, edges = pixels_of(box, self.places, grid), edges_of(box, self.places)
        layout = Layout(tuple(each.parts for each in self.encoder.variables))
        count = sum(layout.parts)
        known = self.encoder(layout.named(arrays[:count]), fine)
        beside = known.values[drivers.targets :], known.observed[drivers.targets :]
        pairs = list(drivers.encoded(arrays[count:]))
        x = np.concatenate([[each for each, _ in pairs], beside[0], beside[0] ** 2])
        there = np.concatenate([[each for _, each in pairs], beside[1], beside[1]])
        out = np.zeros((drivers.targets, relation.FOLDS, relation.sums_of(self.columns), *box.shape))
        slots = np.arange(*box.slots)
        for row in range(box.shape[1]):
            for col in range(box.shape[2]):
                cut = (..., slice(*edges[0][row : row + 2]), slice(*edges[1][col : col + 2]))
                if not known.observed[: drivers.targets][cut].any():
                    continue
                place = box.rows[0] + row, (box.cols[0] + col) % self.places.ncols
                parts = [_whole(each[cut]) for each in (known.values, known.observed, x, there)]
                for target in range(drivers.targets):
                    y, seen = parts[0][target], parts[1][target]
                    out[target, ..., row, col] = relation.moments(y, seen, parts[2], parts[3], place, slots)
        return out.reshape(-1, *box.shape)


def _whole(part: NDArray) -> NDArray:
    """A place with all its pixels: the last one around the globe may have fewer."""
    missing = [(0, PLACE - n) for n in part.shape[-2:]]
    return np.pad(part, [(0, 0)] * (part.ndim - 2) + missing) if part.shape[-2:] != (PLACE, PLACE) else part


@dataclass(frozen=True)
class Slopes:
    """Slopes of each target on each driver at the places of a block, given the sums around them."""

    drivers: Drivers

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (targets x drivers, *core.shape)."""
        given = np.stack([np.nan_to_num(np.asarray(each, np.float64)) for each in arrays])
        before, k = tuple(each.start for each in core.within(box)), self.drivers.columns
        out = []
        for part in np.split(given, self.drivers.targets):
            sums = relation.around(part, before, core.shape, (relation.SLOTS, relation.RADIUS, relation.RADIUS))
            flat = np.ascontiguousarray(sums).reshape(relation.FOLDS, -1, int(np.prod(core.shape)))
            found = relation.slopes(relation.Relation.of(flat))[:, :k]
            out.append(found.T.reshape(k, *core.shape))
        return np.concatenate(out).astype(np.float32)


@dataclass(frozen=True)
class CellMeans:
    """Number, mean and variance of each driver in the cells of a block: (3 drivers, t, y, x)."""

    drivers: Drivers
    cells: Grid

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float64]:
        """Return (layers, *core.shape) of cells."""
        n, edges = CELL, edges_of(box, self.cells)
        out = []
        for values, known in self.drivers.encoded(arrays):
            means = np.zeros((3, *box.shape))
            for col in range(box.shape[2]):
                cut = slice(*edges[1][col : col + 2])
                x, there = (
                    _columns(each[..., cut].reshape(box.shape[0], -1, n, cut.stop - cut.start), n)
                    for each in (values, known)
                )
                means[..., col] = relation.cell_means(x, there)
            out.append(means)
        return np.concatenate(out)


def _columns(part: NDArray, n: int) -> NDArray:
    """The pixels of the cells of a column of cells, (t, rows, pixels)."""
    part = np.pad(part, [(0, 0)] * 3 + [(0, n - part.shape[-1])])
    return np.ascontiguousarray(part.reshape(*part.shape[:2], n * n))


@dataclass(frozen=True)
class References:
    """What each driver is relative to, in the cells of a block: `relation.references` of each driver."""

    drivers: Drivers

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (3 drivers, *core.shape), the wide means of all drivers first."""
        given = np.stack([np.nan_to_num(np.asarray(each, np.float64)) for each in arrays])
        before = tuple(each.start for each in core.within(box))
        parts = [relation.references(each, before, core.shape) for each in np.split(given, self.drivers.columns)]
        return np.stack([each[n] for n in range(3) for each in parts]).astype(np.float32)


@dataclass(frozen=True)
class Within:
    """Halo of sums of cells, no farther than the cells of the map: there is nothing beyond."""

    cells: Grid
    reach: tuple[int, int, int]

    def __call__(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Return the range of places that cores on a range of places depend on."""
        more = self.reach[axis]
        low, high = places[0] - more, places[1] + more
        there = (self.cells.slots, self.cells.rows, self.cells.cols)[axis]
        first, last = min(there), max(there)
        if axis == 2 and (self.cells.periodic or last - first + 1 != len(set(there))):  # or across the first column
            return low, high
        return max(low, min(first, places[0])), min(high, max(last + 1, places[1]))


def lay_out_moments(
    encoder: Encoder, drivers: Drivers, sources: Sequence[Source], grids: Sequence[Grid]
) -> tuple[da.Array, Grid]:
    """Return the lazy sums of products of targets and drivers, `Moments`, and the grid of their places."""
    places = grid_of_cells(encoder.grid, PLACE)
    moments = Moments(encoder, drivers, places)
    sums = map_lattice(
        moments,
        sources,
        grids,
        layers=moments.layers,
        reach=(0, 0, 0),
        block=BLOCK,
        dtype=np.float64,
        grid=places,
        beside=True,
    )
    return sums, places


def layers_of(array: da.Array) -> list[Source]:
    """Each layer of a lazy array as a source."""
    return [Chunked(array, (1, 2, 3), ((0, layer),), token=array.name) for layer in range(array.shape[0])]


def lay_out_drivers(
    encoder: Encoder,
    drivers: Drivers,
    sources: Sequence[Source],
    grids: Sequence[Grid],
    passed: Callable[[da.Array], list[Source]] = layers_of,
) -> tuple[list[Source], list[Grid]]:
    """Return the arrays of the relation and their grids, given those of the variables and of the drivers.

    `passed` gives the layers of an array that the next ones get.
    """
    cells = grid_of_cells(encoder.grid, CELL)
    sums, places = lay_out_moments(encoder, drivers, sources, grids)
    margin = with_margin(places)
    slopes = map_lattice(
        Slopes(drivers),
        passed(sums),
        [places] * sums.shape[0],
        layers=drivers.targets * drivers.columns,
        reach=relation.REACH,
        around=Within(places, relation.REACH),
        block=BLOCK,
        dtype=np.float32,
        grid=margin,
        beside=True,
    )
    first = len(sources) - drivers.raw
    means = map_lattice(
        CellMeans(drivers, cells),
        sources[first:],
        grids[first:],
        layers=3 * drivers.columns,
        reach=(0, 0, 0),
        block=CELLS,
        dtype=np.float64,
        grid=cells,
        beside=True,
    )
    margin_of_cells = with_margin(cells)
    references = map_lattice(
        References(drivers),
        passed(means),
        [cells] * means.shape[0],
        layers=3 * drivers.columns,
        reach=relation.REACH_WIDE,
        around=Within(cells, relation.REACH_WIDE),
        block=CELLS,
        dtype=np.float32,
        grid=margin_of_cells,
        beside=True,
    )
    of_places, of_cells = passed(slopes), passed(references)
    return [*of_places, *of_cells], [margin] * len(of_places) + [margin_of_cells] * len(of_cells)
