"""Cells of a map: squares of pixels at fixed addresses, for what is known of it at large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xgapfill.lattice.grid import Box, Grid

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
    ncols = around_the_globe(grid, cell)
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


def around_the_globe(grid: Grid, cell: int = CELL) -> int:
    """Return the number of columns of cells around the globe; the last one may be narrower."""
    return -(-grid.ncols // cell)


def with_margin(cells: Grid) -> Grid:
    """Return the cells and those next to them, so that fields of them are interpolated up to the edge of the map."""
    rows, cols = (np.array(each, np.int64) for each in (cells.rows, cells.cols))
    rows = np.unique([rows - 1, rows, rows + 1])
    cols = np.unique(np.array([cols - 1, cols, cols + 1]) % cells.ncols)
    return replace(cells, rows=tuple(rows.tolist()), cols=tuple(cols.tolist()), periodic=cols.size == cells.ncols)


def cells_of(places: ArrayLike, axis: int, grid: Grid, cell: int = CELL) -> NDArray[np.int64]:
    """Return the cells of pixels along an axis (1: rows, 2: columns, unwrapped) of the `grid` of the pixels."""
    places = np.asarray(places, np.int64)
    if axis == 1:
        return places // cell
    turn, col = np.divmod(places, grid.ncols)
    return turn * around_the_globe(grid, cell) + col // cell


def first_pixels(places: ArrayLike, axis: int, cells: Grid) -> NDArray[np.int64]:
    """Return the first pixels of cells along an axis (1: rows, 2: columns, unwrapped) of the grid of the `cells`."""
    places = np.asarray(places, np.int64)
    if axis == 1:
        return places * cells.cell
    turn, col = np.divmod(places, cells.ncols)
    return turn * cells.pixels + col * cells.cell


def places_on(axis: int, places: Places, of: Grid, on: Grid) -> Places:
    """Return the places of the grid `on` that places of the grid `of` need along an axis.

    Pixels need their cells and one more on each side, from which fields are interpolated; cells need their pixels, and
    of other cells what their pixels need.
    """
    if of.cell == on.cell:
        return places
    if of.cell > 1:
        first, stop = first_pixels(places, axis, of).tolist()
        if on.cell == 1:
            return first, stop
        return cells_around(axis, (first, stop), replace(of, ncols=of.pixels), on.cell)
    return cells_around(axis, places, of, on.cell)


def pixels_of(box: Box, cells: Grid, grid: Grid) -> Box:
    """Return the box of the `grid` of pixels that a box of `cells` covers."""
    rows, cols = (places_on(axis, part, cells, grid) for axis, part in ((1, box.rows), (2, box.cols)))
    return Box(box.slots, rows, cols)


def edges_of(box: Box, cells: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the cells of a box begin among its rows and columns of pixels, and where the last ones end."""
    rows, cols = (
        first_pixels(np.arange(part[0], part[1] + 1), axis, cells) for axis, part in ((1, box.rows), (2, box.cols))
    )
    return rows - rows[0], cols - cols[0]


def cells_around(axis: int, places: Places, grid: Grid, cell: int = CELL) -> Places:
    """Return the range of the cells of pixels along an axis and one more on each side."""
    first, last = cells_of((places[0], places[1] - 1), axis, grid, cell).tolist()
    return first - 1, last + 2


def fractional(grid: Grid, box: Box, of: Box, cell: int = CELL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows and columns of a box as fractional indices of an array on the cells around the box `of`."""
    middle = (cell - 1) / 2
    rows = (np.arange(*box.rows) - middle) / cell
    turn, col = np.divmod(np.arange(*box.cols), grid.ncols)
    cols = turn * around_the_globe(grid, cell) + (col - middle) / cell
    first_row, _ = cells_around(1, of.rows, grid, cell)
    first_col, _ = cells_around(2, of.cols, grid, cell)
    return rows - first_row, cols - first_col
