"""Cells of a map: squares of pixels at fixed addresses, for what is known of it at large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.grid import Grid

CELL = 8  # pixels along a side

Places = tuple[int, int]


def grid_of_cells(grid: Grid, cell: int = CELL) -> Grid:
    """Return the addresses of the cells that the pixels of a map lie in, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> lat, lon = np.arange(48.875, 45, -0.25), np.arange(-60.875, -51, 0.25)
    >>> cells = grid_of_cells(Grid.of(None, lat, lon))
    >>> cells.rows, cells.cols, cells.ncols, float(cells.lat_of(68))
    ((67, 68, 69), (149, 150, 151, 152, 153, 154), 180, 47.0)
    """
    ncols = -(-grid.ncols // cell)
    rows = np.unique(np.array(grid.rows, np.int64) // cell)
    cols = np.unique(np.array(grid.cols, np.int64) // cell)
    middle = (cell - 1) / 2
    return replace(
        grid,
        rows=tuple(rows.tolist()),
        cols=tuple(cols.tolist()),
        ncols=ncols,
        periodic=cols.size == ncols,
        steps=(grid.steps[0], grid.steps[1] * cell, grid.steps[2] * cell),
        phases=(grid.phases[0], (grid.phases[1] + middle) / cell, (grid.phases[2] + middle) / cell),
        cell=cell,
        pixels=grid.ncols,
    )


def cells_of(places: NDArray[np.int64], axis: int, grid: Grid, cell: int) -> NDArray[np.int64]:
    """Return the cells of pixels along an axis (1: rows, 2: columns, unwrapped) of the `grid` of the pixels."""
    if axis == 1:
        return places // cell
    turn, col = np.divmod(places, grid.ncols)
    return turn * -(-grid.ncols // cell) + col // cell


def places_on(axis: int, places: Places, of: Grid, on: Grid) -> Places:
    """Return the places of the grid `on` that places of the grid `of` need along an axis.

    Pixels need their cells and one more on each side, from which fields are interpolated; cells need their pixels.
    """
    if of.cell == on.cell:
        return places
    if of.cell < on.cell:
        first, last = cells_of(np.array([places[0], places[1] - 1]), axis, of, on.cell).tolist()
        return first - 1, last + 2
    first, stop = places
    return _first_pixel(axis, first, of), _first_pixel(axis, stop, of)


def _first_pixel(axis: int, place: int, cells: Grid) -> int:
    if axis == 1:
        return place * cells.cell
    turn, col = divmod(place, cells.ncols)
    return turn * cells.pixels + col * cells.cell
