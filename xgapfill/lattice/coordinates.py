"""From coordinates to lattices: the step and the phase of an axis, and the lattice place of each of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 0.1  # of a step: how far a coordinate may be from its lattice place
YEAR_DAYS = 365.2425
# Phases lie in [lowest, lowest + 1). In space the limit keeps away from the thirds and quarters that products use; in
# time the slot of a stamp is the day (or other step) in which it lies, with some tolerance at its beginning.
_LOWEST_PHASE = {"latitude": -0.29, "longitude": -0.29, "time": -TOLERANCE}
# What a product would choose as number of columns around the globe, the likeliest divisor first.
_DIVISORS = (3600, 1440, 720, 360, 180, 120, 90, 72, 60, 45, 40, 36, 30, 24, 20, 18, 15, 12, 10, 9, 8, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class Times:
    """Slots of dates and what a slot is: calendar, days between slots, phase (in steps), days of a year."""

    slots: Ints
    calendar: str
    step: float
    phase: float
    year_days: float


def plain(values: ArrayLike, name: str) -> Floats:
    """Return coordinates as (n,) float64.

    Raises
    ------
    ValueError
        They are not numbers along one dimension, or not finite.
    """
    array = np.asarray(values)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must have one dimension; it has shape {array.shape}. Fields on curvilinear grids or swaths must "
            "be put on a grid of latitudes and longitudes first, for example with xesmf or pyresample"
        )
    if array.size == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers; found {array.size} values of dtype {array.dtype}")
    array = np.atleast_1d(array).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    return array


def unrolled(lon: Floats) -> Floats:
    """Return longitudes without jumps by 360 degrees, growing or falling throughout.

    Raises
    ------
    ValueError
        Longitudes do not go round the globe in one direction, at most once.
    """
    if lon.size == 1:
        return lon
    ways = [(sign * np.diff(lon)) % 360 for sign in (1, -1)]
    way, sign = (ways[0], 1) if ways[0].sum() <= ways[1].sum() else (ways[1], -1)
    # Rounding may turn a repeated longitude into a jump of nearly 360 degrees: the sum tells as well.
    if (way > 0).all() and way.sum() < 360:
        return lon[0] + sign * np.concatenate([[0], np.cumsum(way)])
    repeated = lon.size - np.unique(np.round(lon % 360, 6) % 360).size
    if repeated:
        raise ValueError(
            f"longitude has {repeated} repeated values (modulo 360 degrees): keep one of each, for example with "
            f".isel(lon=slice({lon.size - repeated}))"
        )
    raise ValueError("longitudes must go round the globe in one direction; sort them first, with .sortby('lon')")


def step(values: Floats, name: str) -> float:
    """Return the distance of lattice places along an axis of two or more coordinates, with gaps allowed.

    Of the steps that the coordinates allow within their rounding, that which divides 360 most evenly.

    Raises
    ------
    ValueError
        Values are repeated, out of order or not regularly spaced.
    """
    # Coordinates of most products were float32 once, whatever they are now.
    distance, doubt = _fit(values, name, "degrees", float(np.spacing(np.float32(np.abs(values).max()))))
    return _simple(distance, doubt) or float(f"{distance:.9g}")


def latitudes(lat: Floats, step: float, phase: float | None = None) -> tuple[Ints, float]:
    """Return lattice rows of latitudes and the phase of the lattice (in steps from 90 S)."""
    return _snap((lat + 90) / step, "latitude", step, phase)


def longitudes(lon: Floats, step: float, phase: float | None = None) -> tuple[Ints, float, int]:
    """Return lattice columns in [0, ncols), the phase of the lattice (in steps from 0 E) and ncols."""
    ncols = max(1, round(360 / step))
    cols, phase = _snap(unrolled(lon) * ncols / 360, "longitude", 360 / ncols, phase)
    cols = cols % ncols
    if np.unique(cols).size < cols.size:
        raise ValueError(f"longitude has repeated values: {cols.size} columns, of which the globe has {ncols}")
    return cols, phase, ncols


def times(time: Any, known: tuple[str, float] | None = None) -> Times:
    """Return the slots of dates; a single date belongs to the calendar `known` (name, step), if given.

    Raises
    ------
    ValueError
        Dates are not dates, missing, repeated, out of order or not regularly spaced.
    """
    if time is None:
        return Times(np.zeros(1, np.int64), "none", 8.0, 0.0, YEAR_DAYS)
    dates = np.atleast_1d(np.asarray(time))
    parts = _parts(dates)
    difference = np.diff(parts.days)
    if not ((difference > 0).all() or (difference < 0).all()):
        repeated = dates.size - np.unique(parts.days).size
        found = f"{repeated} repeated dates" if repeated else "dates out of order"
        raise ValueError(f"time must grow or fall throughout; found {found}. Use .drop_duplicates or .sortby('time')")
    calendar = known[0] if known and dates.size == 1 else _calendar(parts)
    if calendar == "8day":
        return Times(parts.year * 46 + np.minimum(parts.doy // 8, 45), "8day", 8.0, 0.0, parts.year_days)
    if calendar == "monthly":
        return Times(parts.year * 12 + parts.month - 1, "monthly", parts.year_days / 12, 0.0, parts.year_days)
    days = _regular_days(parts.days) if dates.size > 1 else known[1] if known else 1.0
    slots, phase = _snap(parts.days / days, "time", days, None)
    return Times(slots, "regular", days, phase, parts.year_days)


def slots_of(time: Any, calendar: str, step: float, phase: float, year_days: float) -> Ints:
    """Return the slot in which each of any dates lies, on a lattice like that of `Times`.

    Raises
    ------
    ValueError
        Dates are not dates, missing, or of another calendar (months of 30 days ...).
    """
    parts = _parts(np.atleast_1d(np.asarray(time)))
    if calendar == "8day":
        return parts.year * 46 + np.minimum(parts.doy // 8, 45)
    if calendar == "monthly":
        return parts.year * 12 + parts.month - 1
    if parts.year_days != year_days:
        raise ValueError(f"dates in years of {parts.year_days} days do not fit maps in years of {year_days} days")
    begin = min(phase, 0.0) if step <= 1 else phase - TOLERANCE
    return np.floor(parts.days / step - begin).astype(np.int64)


@dataclass(frozen=True)
class _Parts:
    """Dates taken apart; day of the year from 0, `last` is the last day of a month."""

    days: Floats
    year: Ints
    month: Ints
    day: Ints
    doy: Ints
    last: NDArray[np.bool_]
    year_days: float


def _parts(dates: NDArray[Any]) -> _Parts:
    if dates.ndim > 1 or dates.size == 0:
        raise ValueError(f"time must have one dimension and at least one date; it has shape {dates.shape}")
    if dates.dtype.kind == "M":
        if np.isnat(dates).any():
            raise ValueError(f"time has {np.count_nonzero(np.isnat(dates))} missing dates (NaT): drop them first")
        day, month, year = (dates.astype(f"M8[{unit}]") for unit in "DMY")
        return _Parts(
            days=(dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D"),
            year=year.astype(np.int64) + 1970,
            month=month.astype(np.int64) % 12 + 1,
            day=(day - month.astype(day.dtype)).astype(np.int64) + 1,
            doy=(day - year.astype(day.dtype)).astype(np.int64),
            last=(day + 1).astype(month.dtype) > month,
            year_days=YEAR_DAYS,
        )
    if dates.dtype.kind == "O" and all(hasattr(date, "dayofyr") for date in dates):
        import cftime

        calendar = dates[0].calendar
        day = np.array([date.day for date in dates])
        lengths = {"360_day": 360.0, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0, "366_day": 366.0}
        return _Parts(
            days=np.asarray(cftime.date2num(dates, "days since 1970-01-01", calendar=calendar), float),
            year=np.array([date.year for date in dates]),
            month=np.array([date.month for date in dates]),
            day=day,
            doy=np.array([date.dayofyr - 1 for date in dates]),
            last=day == np.array([date.daysinmonth for date in dates]),
            year_days=lengths.get(calendar, YEAR_DAYS),
        )
    raise ValueError(
        f"time must be dates (datetime64 or cftime); found dtype {dates.dtype}. Decode it first, with xr.decode_cf(ds)"
    )


def _calendar(parts: _Parts) -> str:
    """Tell which calendar dates keep: 8-day composites that begin anew every year, months, or equal steps."""
    if parts.days.size == 1:
        # Composites are stamped at their beginning or in their middle; any other single date is a day.
        return "8day" if parts.doy[0] % 8 in (0, 4) else "regular"
    months = parts.year * 12 + parts.month
    one_day = np.unique(parts.day).size == 1 or parts.last.all() or bool(((parts.day > 13) & (parts.day < 18)).all())
    if one_day and np.abs(np.diff(parts.days)).min() > 26 and np.unique(parts.month).size > 1:
        return "monthly" if np.unique(months).size == months.size else "regular"
    offset = parts.doy % 8
    # The last composite of a year has 5 or 6 days: its middle comes earlier.
    last = parts.doy >= 45 * 8
    middle = last.any() and set(offset[~last]) <= {3, 4} and set(offset[last]) <= {2, 3}
    kept = offset[~last] if middle else offset
    slots = parts.year * 46 + parts.doy // 8
    return "8day" if np.unique(kept).size <= 1 and np.unique(slots).size == slots.size else "regular"


def _regular_days(days: Floats) -> float:
    # Times of day may vary a little: any step will do with which no date leaves its place.
    distance, doubt = _fit(days, "time", "days", float(np.abs(np.diff(days)).min()) * TOLERANCE / 8)
    for unit in (1.0, 1 / 24, 1 / 1440, 1 / 86400):
        even = round(distance / unit) * unit
        if even > 0 and abs(even - distance) <= doubt:
            return even
    return distance


def _fit(values: Floats, name: str, unit: str, grain: float) -> tuple[float, float]:
    """Return the step of values that were rounded to `grain`, and how far wrong the step may be."""
    difference = np.diff(values)
    if not ((difference > 0).all() or (difference < 0).all()):
        raise ValueError(f"{name} must grow or fall throughout, without repeated values; sort it first, with .sortby")
    gaps = np.abs(difference)
    smallest, usual = gaps.min(), np.median(gaps)
    if smallest < 0.01 * usual:
        raise ValueError(f"{name} has nearly repeated values: steps of {smallest:.6g} and {usual:.6g} {unit}")
    single = np.median(gaps[gaps < 1.5 * smallest])
    places = np.concatenate([[0], np.cumsum(np.round(gaps / single))])
    along = np.abs(values - values[0])
    distance, origin = np.polyfit(places, along, 1)
    miss = np.abs(origin + distance * places - along).max()
    if miss > TOLERANCE * distance:
        other = gaps[np.argmax(np.abs(gaps / smallest - np.round(gaps / smallest)))]
        raise ValueError(
            f"{name} must be regularly spaced (missing values allowed); found steps of {smallest:.6g} and {other:.6g} "
            f"{unit}. Interpolate or aggregate to equal steps first"
        )
    return float(distance), float(4 * max(miss, grain) / places[-1])


def _simple(distance: float, doubt: float) -> float | None:
    """Return the step that divides 360 degrees most evenly among those within `doubt`, None if none divides it."""
    low, high = 360 / (distance + doubt), 360 / max(distance - doubt, 1e-6)
    low, high = low * (1 - 1e-9), high * (1 + 1e-9)
    for divisor in _DIVISORS:
        count = divisor * max(1, round(360 / distance / divisor))
        if low <= count <= high:
            return 360 / count
    return None


def _snap(positions: Floats, name: str, step: float, phase: float | None) -> tuple[Ints, float]:
    """Return lattice places of positions (in steps from the origin) and the phase they share."""
    if phase is None:
        shared = float(np.median(positions - np.round(positions - positions[0])))
        lowest = _LOWEST_PHASE[name]
        phase = (shared - lowest) % 1 + lowest
        # Rounded coordinates of two parts of a product must give one phase to the last bit.
        quarter = round(4 * phase) / 4
        phase = quarter if abs(phase - quarter) < 0.02 else round(phase, 3)
    places = np.round(positions - phase)
    miss = np.abs(positions - phase - places).max()
    if miss > TOLERANCE:
        raise ValueError(
            f"{name} must lie on a lattice of step {step:.6g}; the farthest value is off by {miss:.2f} steps. "
            "Regrid to equal steps (of a divisor of 360 degrees in longitude) first"
        )
    return places.astype(np.int64), float(phase)
