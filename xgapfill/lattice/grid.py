"""Addresses of pixels: (slot, row, col) on the lattice of their product, where a slot is a time index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xgapfill.lattice import coordinates as snapping
from xgapfill.lattice.calendars import YEAR_DAYS, Dates, Step, season_in, year_in
from xgapfill.lattice.times import slots_of, times

KM_PER_DEGREE = 6371.0088 * np.pi / 180
TOLERANCE = snapping.TOLERANCE


@dataclass(frozen=True)
class Box:
    """A part of the lattice: half-open ranges of time indices (slots), rows and columns.

    Columns may be negative or beyond the last column of the globe (unwrapped), so that a box across the dateline is one
    range. Take them modulo the number of columns to use them as addresses.
    """

    slots: tuple[int, int]
    rows: tuple[int, int]
    cols: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slots, rows and columns."""
        (t0, t1), (y0, y1), (x0, x1) = self.slots, self.rows, self.cols
        return t1 - t0, y1 - y0, x1 - x0

    @property
    def lows(self) -> tuple[int, int, int]:
        """First slot, row and column."""
        return self.slots[0], self.rows[0], self.cols[0]

    def within(self, box: Box) -> tuple[slice, slice, slice]:
        """Return its slices in an array of a larger box."""
        t, y, x = (slice(a - b, a - b + n) for a, b, n in zip(self.lows, box.lows, self.shape, strict=True))
        return t, y, x

    def grown(self, reach: tuple[int, int, int]) -> Box:
        """Return the box with a halo of `reach` (slots, rows, cols) on every side."""
        ranges = zip((self.slots, self.rows, self.cols), reach, strict=True)
        return Box(*((start - more, stop + more) for (start, stop), more in ranges))


@dataclass(frozen=True)
class Grid:
    """Addresses of the pixels of one array of any orientation and origin.

    Rows increase northward and columns eastward. Equal places have equal addresses in every array of one product, so
    functions of the address do not depend on how the array was subset, flipped, rolled or chunked.

    Attributes
    ----------
    slots, rows, cols : tuple of int
        Address of each index along time, latitude and longitude of the array; columns in [0, ncols).
    ncols : int
        Columns around the globe.
    periodic : bool
        Whether the array has all columns of the globe.
    calendar : str
        Meaning of slots, see `xgapfill.lattice.calendars`: ``"8day"`` ..., ``"monthly"`` ..., ``"regular"`` (equal
        steps since 1970-01-01) or ``"none"`` (no time).
    steps : tuple of float
        Distance of neighbouring slots (days), rows and columns (degrees).
    phases : tuple of float
        Offset of the coordinates in units of the steps: slot, row or col 0 lies at ``phase * step`` after the origin
        (1970-01-01, 90 S, 0 E); 0.5 when coordinates are the centres of cells that fill the globe.
    year_days : float
        Days in a year of the calendar of the data.
    cell : int
        Side of a place in pixels of the product: 1 for a map, more for a grid of cells, see `lattice.cells`.
    pixels : int
        Pixels of the product around the globe if places are cells, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> lat, lon = np.arange(48.875, 45, -0.25), np.arange(-60.875, -51, 0.25)
    >>> grid = Grid.of(None, lat, lon)
    >>> grid.slots, grid.rows[:2], grid.cols[:2], grid.ncols
    ((0,), (555, 554), (1196, 1197), 1440)
    """

    slots: tuple[int, ...]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    ncols: int
    periodic: bool
    calendar: str
    steps: tuple[float, float, float]
    phases: tuple[float, float, float]
    year_days: float = YEAR_DAYS
    cell: int = 1
    pixels: int = 0

    @classmethod
    def of(
        cls,
        dates: Dates | None,
        lat: ArrayLike,
        lon: ArrayLike,
        *,
        like: Grid | None = None,
        step: Step | None = None,
    ) -> Grid:
        """Find the lattice of the coordinates of an array and the address of each of their values.

        Parameters
        ----------
        dates : Dates, optional
            One date or several, ascending or descending; `xgapfill.inputs.dates.grid_at` accepts dates of any kind.
        lat, lon : (y,), (x,) degrees
            Either orientation; longitudes of any origin, rolled or not. A single value takes the step of the other.
        like : Grid, optional
            Source of the step for a single date, latitude or longitude.
        step : Step, optional
            Prescribed time step.

        Raises
        ------
        ValueError
            Coordinates are not one-dimensional, not finite, repeated, out of order or not regularly spaced.
        """
        lat, lon = snapping.plain(lat, "latitude"), snapping.plain(lon, "longitude")
        snapping.check_degrees(lat, lon)
        row_step, col_step = _steps(lat, lon, like)
        rows, row_phase = snapping.latitudes(lat, row_step, like.phases[1] if like and lat.size == 1 else None)
        cols, col_phase, ncols = snapping.longitudes(lon, col_step, like.phases[2] if like and lon.size == 1 else None)
        known = (like.calendar, like.steps[0]) if like and like.calendar != "none" else None
        found = times(dates, known, step)
        return cls(
            slots=_ints(found.slots),
            rows=_ints(rows),
            cols=_ints(cols),
            ncols=ncols,
            periodic=cols.size == ncols,
            calendar=found.calendar,
            steps=(found.step, row_step, 360 / ncols),
            phases=(found.phase, row_phase, col_phase),
            year_days=found.year_days,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes of the array."""
        return len(self.slots), len(self.rows), len(self.cols)

    @property
    def step_days(self) -> float:
        """Days between neighbouring slots."""
        return self.steps[0]

    def lat_of(self, rows: ArrayLike) -> NDArray[np.float64]:
        """Return the latitude (degrees north) of any lattice rows, at most 90."""
        return np.clip(-90 + (np.asarray(rows, float) + self.phases[1]) * self.steps[1], -90, 90)

    def lon_of(self, cols: ArrayLike) -> NDArray[np.float64]:
        """Return the longitude (degrees east, in [0, 360)) of lattice columns."""
        return (np.asarray(cols, float) % self.ncols + self.phases[2]) * self.steps[2] % 360

    def places(
        self, dates: Dates | None, lat: ArrayLike, lon: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the slot, row and column of the pixel that contains each of n points, in the array or not.

        A slot begins at the stamp of its frame; with steps of at most a day it is the day (hour ...) of the stamp.

        Parameters
        ----------
        dates : Dates of n points, or None if the array has no time
        lat, lon : (n,) degrees

        Raises
        ------
        ValueError
            Dates have another calendar.
        """
        slots = np.zeros(np.size(lat), np.int64)
        if self.calendar != "none" and dates is not None:
            slots = slots_of(dates, self.calendar, self.steps[0], self.phases[0], self.year_days)
        rows = np.rint((np.asarray(lat, float) + 90) / self.steps[1] - self.phases[1])
        cols = np.rint(np.asarray(lon, float) / self.steps[2] - self.phases[2])
        return slots, rows.astype(np.int64), cols.astype(np.int64) % self.ncols

    def step_km(self, rows_centre: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the northward and eastward size of a pixel at (fractional) rows, km.

        The eastward size is at least the one half a step from the pole.
        """
        polar = 90 - self.steps[1] / 2
        lat = np.clip(self.lat_of(rows_centre), -polar, polar)
        north = np.full(lat.shape, self.steps[1] * KM_PER_DEGREE)
        return north, self.steps[2] * KM_PER_DEGREE * np.cos(np.deg2rad(lat))

    def season_of(self, slots: ArrayLike) -> NDArray[np.float32]:
        """Return cos and sin of the time of the year in the middle of slots, (n, 2); zeros if time is unknown."""
        slots = np.asarray(slots, float).ravel()
        if self.calendar == "none":
            return np.zeros((slots.size, 2), np.float32)
        year = season_in(self.calendar, slots, self.step_days, self.year_days)
        return np.stack([np.cos(2 * np.pi * year), np.sin(2 * np.pi * year)], axis=-1).astype(np.float32)

    def years_of(self, slots: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the year of slots, counted from any year; zeros if time is unknown."""
        slots = np.asarray(slots, float).ravel()
        if self.calendar == "none":
            return np.zeros(slots.size, np.int64)
        return year_in(self.calendar, slots, self.step_days, self.year_days)

    def same_lattice(self, other: Grid) -> bool:
        """Tell whether equal addresses are equal places; an array without time fits any calendar."""
        space = (
            self.ncols == other.ncols
            and bool(np.isclose(self.steps[1], other.steps[1], rtol=1e-4))
            and np.allclose(self.phases[1:], other.phases[1:], rtol=0, atol=2 * TOLERANCE)
        )
        if not space or "none" in (self.calendar, other.calendar):
            return space
        if self.calendar != other.calendar or not np.isclose(self.steps[0], other.steps[0], rtol=1e-4):
            return False
        # The hour in the stamps of daily frames is ignored.
        return self.steps[0] <= 1 or abs(self.phases[0] - other.phases[0]) <= 2 * TOLERANCE

    def covers(self, other: Grid) -> bool:
        """Tell whether an array of the same lattice has no rows and columns but those of this one, at any time."""
        return self.same_lattice(other) and set(other.rows) <= set(self.rows) and set(other.cols) <= set(self.cols)

    def same_places(self, other: Grid) -> bool:
        """Tell whether both arrays have the same places, in any order."""
        return (
            self.same_lattice(other)
            and set(self.slots) == set(other.slots)
            and set(self.rows) == set(other.rows)
            and set(self.cols) == set(other.cols)
        )

    def index_slots(self, slots: ArrayLike) -> NDArray[np.intp]:
        """Return the index along time of each slot, -1 for slots outside the array."""
        return _find(self._tables[0], np.asarray(slots, np.int64))

    def index_rows(self, rows: ArrayLike) -> NDArray[np.intp]:
        """Return the index along latitude of each row, -1 for rows outside the array."""
        return _find(self._tables[1], np.asarray(rows, np.int64))

    def index_cols(self, cols: ArrayLike) -> NDArray[np.intp]:
        """Return the index along longitude of each column (modulo ncols), -1 for columns outside the array."""
        return _find(self._tables[2], np.asarray(cols, np.int64) % self.ncols)

    @cached_property
    def _tables(self) -> list[tuple[NDArray[np.int64], NDArray[np.intp]]]:
        """Sorted addresses of each axis and their indices."""
        axes = [np.array(axis, np.int64) for axis in (self.slots, self.rows, self.cols)]
        orders = [np.argsort(axis, kind="stable") for axis in axes]
        return [(axis[order], order) for axis, order in zip(axes, orders, strict=True)]

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return "xgapfill.Grid", *self.__reduce__()[1]

    def __reduce__(self) -> tuple[Any, ...]:
        # Every task carries the grid: pickle a few ranges instead of ten thousand integers, and no lookup tables.
        values = [getattr(self, field.name) for field in fields(self)]
        return _unpacked, (*(_ranges(axis) for axis in values[:3]), *values[3:])


def _steps(lat: NDArray[np.float64], lon: NDArray[np.float64], like: Grid | None) -> tuple[float, float]:
    row_step = snapping.step(lat, "latitude") if lat.size > 1 else like.steps[1] if like else None
    col_step = snapping.step(snapping.unrolled(lon), "longitude") if lon.size > 1 else like.steps[2] if like else None
    if row_step is None and col_step is None:
        raise ValueError(
            f"one latitude and one longitude do not give the step of the grid, found lat={lat}, lon={lon}; keep at "
            "least two of either, for example with .isel(lat=slice(i, i + 2))"
        )
    row_step, col_step = row_step or col_step, col_step or row_step
    return float(row_step), float(col_step)  # type: ignore[arg-type]


def _find(table: tuple[NDArray[np.int64], NDArray[np.intp]], places: NDArray[np.int64]) -> NDArray[np.intp]:
    known, order = table
    at = np.minimum(np.searchsorted(known, places), known.size - 1)
    return np.where(known[at] == places, order[at], -1)


def _ints(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _ranges(places: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """Write places as ranges (start, stop, step) of step 1 or -1."""
    array = np.array(places, np.int64)
    difference = np.diff(array)
    breaks = [0, *(np.flatnonzero(np.abs(difference) != 1) + 1), array.size]
    turns = [at + 1 for at in np.flatnonzero(difference[1:] * difference[:-1] == -1)]
    breaks = sorted({*breaks, *(at + 1 for at in turns)})
    ranges = []
    for first, last in zip(breaks[:-1], np.array(breaks[1:]) - 1, strict=True):
        step = -1 if array[last] < array[first] else 1
        ranges.append((int(array[first]), int(array[last]) + step, step))
    return tuple(ranges)


def _unpacked(*values: Any) -> Grid:
    slots, rows, cols = (tuple(chain.from_iterable(range(*part) for part in axis)) for axis in values[:3])
    return Grid(slots, rows, cols, *values[3:])
