"""Limits of filling: how far from an observation a pixel may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.distance import EARTH_RADIUS
from xgapfill.lattice.durations import days_of
from xgapfill.lattice.grid import Box, Grid

# Degrees of latitude beyond which the halo of `max_distance` has no more columns than there: close to the pole all
# columns of the globe are near each other, and blocks of any map that includes it would read whole parallels.
POLAR = 85.0


@dataclass(frozen=True)
class Limits:
    """Limits beyond which pixels stay missing.

    Attributes
    ----------
    max_gap : float or None
        Days between the observed dates around a gap, as in `xarray.DataArray.interpolate_na`; at either end of the
        data, days between the observed date and the end.
    max_distance : float or None
        Kilometres to the nearest observed pixel of the same frame; beyond `POLAR` degrees of latitude only as many
        columns are searched as lie within it at that latitude.

    Raises
    ------
    ValueError
        When a limit is not positive, or `max_gap` is given without a time axis.
    """

    max_gap: float | None = None
    max_distance: float | None = None

    @classmethod
    def of(cls, max_gap: Any, max_distance: float | None, grid: Grid) -> Limits | None:
        """Limits of a call, None without any; `max_gap` as a number of days, text as "16D", or a timedelta."""
        if max_gap is not None:
            max_gap = days_of(max_gap, "max_gap")
        if max_distance is not None:
            number = isinstance(max_distance, int | float | np.number) and not isinstance(max_distance, bool)
            if not (number and max_distance > 0 and math.isfinite(max_distance)):
                raise ValueError(
                    f"max_distance must be a positive number of km, found {max_distance!r}; None sets no limit"
                )
        if max_gap is not None and len(grid.slots) < 2:
            raise ValueError("max_gap needs several times, found a single map; use max_distance, or leave it out")
        return None if max_gap is None and max_distance is None else cls(max_gap, max_distance)

    def reach(self, grid: Grid) -> tuple[int, int, int]:
        """Halo of a pixel: time steps, rows and columns around it that decide whether it is filled."""
        slots = rows = cols = 0
        if self.max_gap is not None:
            slots = math.ceil(self.max_gap / grid.step_days)
        if self.max_distance is not None:
            angle = self.max_distance / EARTH_RADIUS
            rows = math.ceil(angle / math.radians(grid.steps[1]))
            latitude = min(float(np.abs(grid.lat_of([min(grid.rows), max(grid.rows)])).max()), POLAR)
            tangent = math.sin(angle) / math.cos(math.radians(latitude))
            cols = grid.ncols // 2
            if angle < math.pi / 2 and tangent < 1:
                cols = min(math.ceil(math.degrees(math.asin(tangent)) / grid.steps[2]), cols)
        return slots, rows, cols

    def within(self, observed: NDArray[np.bool_], grid: Grid, box: Box, core: Box) -> NDArray[np.bool_]:
        """Where in `core` a pixel may be filled, given the observed pixels (t, y, x) of `box`."""
        inside = core.within(box)
        allowed = np.ones(core.shape, bool)
        if self.max_gap is not None:
            allowed &= _gap_slots(observed[:, *inside[1:]], grid, box)[inside[0]] * grid.step_days <= self.max_gap
        if self.max_distance is not None:
            reach = self.reach(grid)[1:]
            around = core.grown((0, *reach)).within(box)
            for frame, there in zip(observed[around], allowed, strict=True):
                there &= _near(frame, self.max_distance, reach, grid, core)
        return allowed


def _near(observed: NDArray[np.bool_], km: float, reach: tuple[int, int], grid: Grid, core: Box) -> NDArray[np.bool_]:
    """Where in a frame (y, x) of `core` an observed pixel lies within `km`; `observed` has a halo of `reach`.

    For each distance in rows, the great circle (haversine) gives the number of columns to either side, for any box.
    """
    (up, aside), (_, height, width) = reach, core.shape
    count = np.zeros((observed.shape[0], observed.shape[1] + 1), np.int32)
    np.cumsum(observed, axis=1, out=count[:, 1:])
    cols = np.arange(width) + aside
    lat = np.deg2rad(grid.lat_of(np.arange(core.rows[0] - up, core.rows[1] + up)))
    near = np.zeros((height, width), bool)
    for away in range(2 * up + 1):
        here, there = lat[up : up + height], lat[away : away + height]
        left_over = math.sin(km / EARTH_RADIUS / 2) ** 2 - np.sin((here - there) / 2) ** 2
        share = np.clip(left_over / np.maximum(np.cos(here) * np.cos(there), 1e-12), 0, 1)
        degrees = 2 * np.rad2deg(np.arcsin(np.sqrt(share)))
        half = np.minimum((degrees / grid.steps[2]).astype(np.int64), aside)[:, None]
        line = count[away : away + height]
        found = np.take_along_axis(line, cols + half + 1, axis=1) > np.take_along_axis(line, cols - half, axis=1)
        near |= found & (left_over >= 0)[:, None]
    return near


def _gap_slots(observed: NDArray[np.bool_], grid: Grid, box: Box) -> NDArray[np.float64]:
    """Time steps between the observed dates around each pixel of (t, y, x), infinite if the box lacks one of them."""
    first, last = min(grid.slots), max(grid.slots)
    slots = np.arange(*box.slots, dtype=np.float64)[:, None, None]
    before = np.maximum.accumulate(np.where(observed, slots, -np.inf), axis=0)
    after = np.minimum.accumulate(np.where(observed, slots, np.inf)[::-1], axis=0)[::-1]
    ever = np.isfinite(before) | np.isfinite(after)
    before = np.where(np.isinf(before) & (box.slots[0] <= first) & ever, first, before)
    after = np.where(np.isinf(after) & (box.slots[1] > last) & ever, last, after)
    return after - before
