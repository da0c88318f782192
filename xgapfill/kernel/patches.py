"""A sample of a gappy series as plain arrays, to train networks on: chosen by address, read lazily."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.kernel.fill import FillKernel
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.tiling import SIZE
from xgapfill.lattice.windows import Patch
from xgapfill.options import OPTIONS

MARGIN = (2, 32, 32)  # halo of empty places around a whole series: windows extend beyond it when it is filled
CELL = (48, 128, 128)  # time steps, rows and columns of the parts of a larger series
LEAST_SEA = 0.1  # smallest share of sea in a part
BLOCK = (16, 128, 128)

Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def extract(
    kernel: FillKernel,
    sources: Sequence[Source],
    grids: Sequence[Grid],
) -> tuple[Patch, ...]:
    """Read a whole series if it fits, else cells of the lattice in the order of a hash of their address.

    The sample does not depend on chunks, on the order of dimensions or on their direction.

    Parameters
    ----------
    kernel : FillKernel
        Encodes values to channels.
    sources, grids
        In the order of the kernel: parts of the target, of its predictors, errors, and the sea mask if there is one.
    """
    layers = len(kernel.channels) + 1
    arrays, around = [], []
    for places in choose_places(grids[0], max(1, OPTIONS["sample_bytes"] // (4 * layers))):
        grid = _placed(grids[0], places)
        arrays.append(
            map_lattice(
                _Look(kernel),
                [_Blank(grid.shape), *sources],
                [grid, *grids],
                layers=layers,
                reach=(0, 0, 0),
                block=BLOCK,
                dtype=np.float32,
            )
        )
        around.append(grid)
    return tuple(_patch(array, grid) for array, grid in zip(dask.compute(*arrays), around, strict=True))


def choose_places(grid: Grid, places: int) -> list[Places]:
    """Time steps, rows and columns of the patches, ascending and without holes, in total at most `places`."""
    axes = [_without_holes(grid.slots, None), _without_holes(grid.rows, None), _without_holes(grid.cols, grid.ncols)]
    margins = (*MARGIN[:2], 0 if axes[2].size + 2 * MARGIN[2] > grid.ncols else MARGIN[2])
    padded = [np.arange(a[0] - more, a[-1] + 1 + more) for a, more in zip(axes, margins, strict=True)]
    if np.prod([axis.size for axis in padded], dtype=float) <= places:
        return [(padded[0], padded[1], padded[2])]
    known = (grid.slots, grid.rows, [col + turn for col in grid.cols for turn in (-grid.ncols, 0, grid.ncols)])
    parts = [_cells(*axis) for axis in zip(axes, known, CELL, SIZE, strict=True)]
    chosen: list[tuple[bytes, Places]] = []
    for slots, rows, cols in product(*parts):
        if seamask.sea(grid.lat_of(rows[::4]), grid.lon_of(cols[::4])).mean() >= LEAST_SEA:
            address = f"{slots[0] // CELL[0]} {rows[0] // CELL[1]} {cols[0] % grid.ncols // CELL[2]}"
            chosen.append((hashlib.blake2b(address.encode(), digest_size=8).digest(), (slots, rows, cols)))
    chosen.sort(key=lambda each: each[0])
    sizes = np.cumsum([np.prod([axis.size for axis in each]) for _, each in chosen])
    return [each for _, each in chosen[: max(1, int(np.searchsorted(sizes, places, side="right")))]]


def _without_holes(places: Sequence[int], ncols: int | None) -> NDArray[np.int64]:
    """All places from the first to the last; around the globe, from the east end of the widest hole."""
    known = np.unique(np.array(places, np.int64))
    if ncols is not None:
        steps = np.diff(np.append(known, known[0] + ncols))
        widest = int(np.argmax(steps))
        if steps[widest] > 1:
            known = np.roll(np.where(np.arange(known.size) <= widest, known + ncols, known), -widest - 1)
            known -= ncols * (known[0] >= ncols)
    return np.arange(known[0], known[-1] + 1)


def _cells(places: NDArray[np.int64], known: Sequence[int], length: int, least: int) -> list[NDArray[np.int64]]:
    """Cut places at multiples of a length, without parts that have no data; a small part joins the one before."""
    cuts = [at for at in range(1, places.size) if places[at] % length == 0]
    parts = np.split(places, cuts)
    joined = [parts[0]]
    for part in parts[1:]:
        if min(joined[-1].size, part.size) < least:
            joined[-1] = np.concatenate([joined[-1], part])
        else:
            joined.append(part)
    if joined[0].size < least:
        return [np.arange(joined[0][0], joined[0][0] + least)]
    return [part for part in joined if np.isin(part, known).any()]


def _placed(grid: Grid, places: Places) -> Grid:
    slots, rows, cols = places
    return replace(
        grid,
        slots=tuple(map(int, slots)),
        rows=tuple(map(int, rows)),
        cols=tuple(int(col) for col in cols % grid.ncols),
        periodic=cols.size == grid.ncols,
    )


def _patch(array: NDArray[np.float32], grid: Grid) -> Patch:
    *values, mask = array
    rows = np.array(grid.rows)
    return Patch(
        values=np.stack(values),
        sea=(mask > 0).any(axis=0) | ~(mask < 0).any(axis=0),
        start=(grid.slots[0], grid.rows[0], grid.cols[0]),
        lat=grid.lat_of(rows).astype(np.float32),
        lon=grid.lon_of(np.array(grid.cols)).astype(np.float32),
        season=grid.season_of(grid.slots),
        step_days=grid.step_days,
        step_km=np.stack(grid.step_km(rows + (SIZE[1] - 1) / 2), axis=-1).astype(np.float32),
    )


@dataclass(frozen=True)
class _Look:
    """Channels of a box, NaN where missing, and a layer of sea (1), land (-1) and unknown (0)."""

    kernel: FillKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        known = self.kernel.encode(self.kernel.layout.named(arrays[1:]), box)
        values = np.where(known.observed, known.values, np.float32(np.nan))
        sea = (known.sea | known.anything).astype(np.float32) - (known.land & ~known.anything)
        return np.concatenate([values, sea[None]])


@dataclass(frozen=True)
class _Blank:
    """A source without observations at all places of a patch, some of which the data may lack."""

    shape: tuple[int, int, int]

    dtype = np.dtype(np.float32)
    chunks = None
    inputs = ()

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return NaN."""
        return np.full((t.size, y.size, x.size), np.nan, np.float32)
