"""How far from what was seen a pixel may be and still be filled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xgapfill.distances import kilometres_to
from xgapfill.grid import Box, Grid


@dataclass(frozen=True)
class Limits:
    """Pixels beyond stay missing.

    Attributes
    ----------
    max_gap : float or None
        Days between the dates around a gap at which the pixel was seen, as in `xarray.DataArray.interpolate_na`; at
        either end of the data, days between the seen date and the end.
    max_distance : float or None
        Kilometres to the nearest seen pixel of the same frame.

    Raises
    ------
    ValueError
        When a limit is not positive, or there is no time that `max_gap` could be measured in.
    """

    max_gap: float | None = None
    max_distance: float | None = None

    @classmethod
    def of(cls, max_gap: float | np.timedelta64 | None, max_distance: float | None, grid: Grid) -> Limits | None:
        """Limits of a call, None where there are none."""
        if isinstance(max_gap, np.timedelta64):
            max_gap = float(max_gap / np.timedelta64(1, "s")) / 86400
        for name, limit, unit in (("max_gap", max_gap, "days"), ("max_distance", max_distance, "km")):
            if limit is not None and (isinstance(limit, bool) or not limit > 0 or not math.isfinite(limit)):
                raise ValueError(f"{name} must be a positive number of {unit}, found {limit!r}; None sets no limit")
        if max_gap is not None and len(grid.slots) < 2:
            raise ValueError("max_gap needs several times; a single map has none. Use max_distance, or leave it out")
        return None if max_gap is None and max_distance is None else cls(max_gap, max_distance)

    def reach(self, grid: Grid) -> tuple[int, int, int]:
        """Slots, rows and columns around a pixel that decide whether it is filled."""
        slots = rows = cols = 0
        if self.max_gap is not None:
            slots = math.ceil(self.max_gap / grid.step_days)
        if self.max_distance is not None:
            north, east = grid.step_km(np.array([min(grid.rows), max(grid.rows)]))
            rows = math.ceil(self.max_distance / float(north.min()))
            cols = min(math.ceil(self.max_distance / float(east.min())), grid.ncols // 2)
        return slots, rows, cols

    def within(self, seen: NDArray[np.bool_], grid: Grid, box: Box, core: Box) -> NDArray[np.bool_]:
        """Where in `core` a pixel may be filled, given what was seen (t, y, x) in `box`."""
        inside = core.within(box)
        allowed = np.ones(core.shape, bool)
        if self.max_gap is not None:
            allowed &= _gap_slots(seen[:, *inside[1:]], grid, box)[inside[0]] * grid.step_days <= self.max_gap
        if self.max_distance is not None:
            lat, lon = grid.lat_of(np.arange(*box.rows)), grid.lon_of(np.arange(*box.cols))
            for frame, there in zip(seen[inside[0]], allowed, strict=True):
                near = kilometres_to(frame, lat, lon) <= self.max_distance if frame.any() else frame
                there &= near[inside[1:]]
        return allowed


def _gap_slots(seen: NDArray[np.bool_], grid: Grid, box: Box) -> NDArray[np.float64]:
    """Slots between the seen dates around each pixel of (t, y, x), infinite where the box does not hold both."""
    first, last = min(grid.slots), max(grid.slots)
    slots = np.arange(*box.slots, dtype=np.float64)[:, None, None]
    before = np.maximum.accumulate(np.where(seen, slots, -np.inf), axis=0)
    after = np.minimum.accumulate(np.where(seen, slots, np.inf)[::-1], axis=0)[::-1]
    ever = np.isfinite(before) | np.isfinite(after)
    before = np.where(np.isinf(before) & (box.slots[0] <= first) & ever, first, before)
    after = np.where(np.isinf(after) & (box.slots[1] > last) & ever, last, after)
    return after - before
