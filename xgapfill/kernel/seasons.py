"""Fits the season of each pixel, lazily: a task per block of pixels reads the whole series, a few maps at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.blocks.streams import on_demand, stored_chunks
from xgapfill.kernel.reader import Reader
from xgapfill.lattice.grid import Box, Grid
from xgapfill.prior import season

LAYERS = season.TERMS + 2  # terms, spread, and the share of harmonics that other years confirm
FITTED = 384  # rows and columns that are fitted at once
FRAMES = 64  # maps of a small block that are read at once
SUMS = 2**30  # bytes of the sums of a block
SLAB = 2**27  # bytes of the maps of a block that are read at once
INNER = 240  # pixels along a side that blocks are multiples of


@dataclass(frozen=True)
class SeasonOf:
    """Season of the pixels of a block without time: `LAYERS` of each channel that has a season.

    Attributes
    ----------
    reader : Reader
    frames : int
        Maps that are read at once.
    """

    reader: Reader
    frames: int

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, 1, y, x)."""
        sums = {c: season.Sums.zero(*box.shape[1:]) for c in self.reader.prior.season}
        for slots in self.slabs():
            self.add(sums, arrays, box, slots)
        out = np.empty((LAYERS * len(sums), 1, *core.shape[1:]), np.float32)
        for number, (c, each) in enumerate(sums.items()):
            anchored = not self.reader.prior.channels[c].levelled
            for rows, cols in product(*(_tiles(part) for part in core.within(box)[1:])):
                found = season.fit(each.part(rows[0], cols[0]), self.reader.grid.step_days, anchored)
                stack = np.concatenate([found.terms, found.spread[None], found.held[None]])
                layers = slice(number * LAYERS, (number + 1) * LAYERS)
                out[layers, 0, rows[2], cols[2]] = stack[:, rows[1], cols[1]]
        return out

    def slabs(self) -> Iterator[NDArray[np.int64]]:
        """Slots of the series in time, a few neighbours at a time."""
        slots = np.unique(np.array(self.reader.grid.slots, np.int64))
        for part in np.split(slots, np.flatnonzero(np.diff(slots) > 1) + 1):
            at = (part - slots[0]) // self.frames
            yield from np.split(part, np.flatnonzero(np.diff(at)) + 1)

    def add(self, sums: dict[int, season.Sums], arrays: list[Any], box: Box, slots: NDArray[np.int64]) -> None:
        """Add some maps to the sums of each channel."""
        grid = self.reader.grid
        low = slots[0] - min(grid.slots)
        parts = [_maps(each, low, slots.size) for each in arrays]
        years = grid.years_of(slots)
        for t, wave in enumerate(season.waves(grid.season_of(slots))):
            here = replace(box, slots=(int(slots[t]), int(slots[t]) + 1))
            values, observed = self.reader.departures(self.reader.read([part[t : t + 1] for part in parts], here))
            for c, each in sums.items():
                each.add(int(years[t] % 2), wave, values[c, 0], observed[c, 0])


def _maps(array: Any, first: int, count: int) -> NDArray:
    """Consecutive maps of an array; one without time counts for all times."""
    if array.shape[0] == 1:
        return np.broadcast_to(np.asarray(array[:1]), (count, *array.shape[1:]))
    return np.asarray(array[first : first + count])


def _tiles(part: slice) -> list[tuple[slice, slice, slice]]:
    """Tiles of a part of an axis: with their halo, inside that, and inside the part."""
    tiles = []
    for start in range(part.start, part.stop, FITTED):
        stop, first = min(start + FITTED, part.stop), max(0, start - season.HALO)
        within = slice(start - part.start, stop - part.start)
        tiles.append((slice(first, stop + season.HALO), slice(start - first, stop - first), within))
    return tiles


def years(grid: Grid) -> int:
    """Number of years in which a series has maps; 0 without times."""
    return 0 if grid.calendar == "none" else int(np.unique(grid.years_of(grid.slots)).size)


def lay_out_season(
    reader: Reader, sources: Sequence[Source], grids: Sequence[Grid], side: int | None = None
) -> da.Array:
    """Return the season of each pixel, (layers, 1, y, x), lazily.

    Parameters
    ----------
    reader : Reader
    sources, grids : sequence
        Arrays of the variables.
    side : int, optional
        Rows and columns of a block. By default blocks are so large that a chunk of a map is read by few of them, and
        chunks of dask are computed by the tasks that add them up.
    """
    timeless = replace(reader.grid, slots=(0,), calendar="none")
    if side is not None:
        block, frames = (side, side), FRAMES
    else:
        block, frames = large_blocks(reader, sources[0])
        sources = [on_demand(each) for each in sources]
    return map_lattice(
        SeasonOf(reader, frames),
        sources,
        grids,
        layers=LAYERS * len(reader.prior.season),
        reach=(0, season.HALO, season.HALO),
        block=(1, *block),
        dtype=np.float32,
        grid=timeless,
        beside=side is not None,
        by_parts=True,
    )


def large_blocks(reader: Reader, source: Source) -> tuple[tuple[int, int], int]:
    """Rows and columns of blocks, and maps that are read at once, given the chunks of a source.

    Blocks are as wide as a chunk, so that each chunk is read by few of them, as long as sums and maps fit into memory.
    """
    frames, height, width = source.shape
    slots, rows, cols = stored_chunks(source) or (1, INNER, INNER)
    slots = min(slots, frames)
    pixels = min(SUMS // (season.BYTES * len(reader.prior.season)), SLAB // (4 * slots * reader.count))
    cols = min(width, max(cols, math.isqrt(pixels)))
    cols = min(_multiple(cols), max(INNER, pixels // INNER // INNER * INNER))
    rows = _multiple(max(1, pixels // cols // INNER) * INNER)
    most = max(1, SLAB // (4 * rows * cols * reader.count))
    return (min(height, rows), min(width, cols)), max(slots, most // slots * slots)


def _multiple(pixels: int) -> int:
    return -(-pixels // INNER) * INNER
