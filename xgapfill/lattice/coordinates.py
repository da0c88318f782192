"""From coordinates to lattices: step and phase of an axis, and the lattice index of each value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 0.1  # largest distance of a coordinate from its lattice place, in steps
YEAR_DAYS = 365.2425
# Phases lie in [lowest, lowest + 1). In space the limit avoids the thirds and quarters that products use; in time the
# index of a stamp is the day (or other step) in which it lies, with some tolerance at its beginning.
_LOWEST_PHASE = {"latitude": -0.29, "longitude": -0.29, "time": -TOLERANCE}
# Likely divisors of the number of columns around the globe, the likeliest first.
_DIVISORS = (3600, 1440, 720, 360, 180, 120, 90, 72, 60, 45, 40, 36, 30, 24, 20, 18, 15, 12, 10, 9, 8, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class Times:
    """Time indices (slots) of dates, their calendar, days between them, phase (in steps), days of a year."""

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
        Values are not numbers along one dimension, or not finite.
    """
    array = np.asarray(values)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must have one dimension, found shape {array.shape}; regrid curvilinear grids or swaths to "
            "latitudes and longitudes first, for example with xesmf or pyresample"
        )
    if array.size == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers; found {array.size} values of dtype {array.dtype}")
    array = np.atleast_1d(array).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    return array


def unrolled(lon: Floats) -> Floats:
    """Return longitudes without jumps by 360 degrees, monotonic.

    Raises
    ------
    ValueError
        Longitudes are not monotonic around the globe, or go around more than once.
    """
    if lon.size == 1:
        return lon
    ways = [(sign * np.diff(lon)) % 360 for sign in (1, -1)]
    way, sign = (ways[0], 1) if ways[0].sum() <= ways[1].sum() else (ways[1], -1)
    # Rounding may turn a repeated longitude into a jump of nearly 360 degrees, which the sum reveals.
    if (way > 0).all() and way.sum() < 360:
        return lon[0] + sign * np.concatenate([[0], np.cumsum(way)])
    repeated = lon.size - np.unique(np.round(lon % 360, 6) % 360).size
    if repeated:
        raise ValueError(
            f"longitude has {repeated} repeated values (modulo 360 degrees): keep one of each, for example with "
            f".isel(lon=slice({lon.size - repeated}))"
        )
    raise ValueError("longitudes must be monotonic around the globe; sort them first, with .sortby('lon')")


def step(values: Floats, name: str) -> float:
    """Return the lattice step along an axis of two or more coordinates, with gaps allowed.

    The step is the one that divides 360 most evenly among those that the rounding of the coordinates allows.

    Raises
    ------
    ValueError
        Values are repeated, out of order or not regularly spaced.
    """
    # Coordinates of most products were once stored as float32.
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
        raise ValueError(f"longitude has repeated values: {cols.size} columns, but the globe has {ncols}")
    return cols, phase, ncols


@dataclass(frozen=True)
class Dates:
    """Components of dates, (n,) each.

    Attributes
    ----------
    days : float64, since 1970-01-01 in their own calendar
    year, month, day : int64
    doy : int64, day of the year from 0
    last : bool, whether it is the last day of a month
    year_days : float, days of a year of their calendar
    """

    days: Floats
    year: Ints
    month: Ints
    day: Ints
    doy: Ints
    last: NDArray[np.bool_]
    year_days: float = YEAR_DAYS


@dataclass(frozen=True)
class Step:
    """Prescribed time step: a number of days, or None for months."""

    days: float | None

    def calendar(self, dates: Dates) -> str:
        """Return the calendar of dates with this step: composites of 8 days may restart every year."""
        if self.days is None:
            return "monthly"
        if self.days != 8:
            return "regular"
        single = dates.days.size == 1 and dates.doy[0] % 8 in (0, 3, 4)
        return "8day" if single or (dates.days.size > 1 and _calendar(dates) == "8day") else "regular"


def guess(dates: Dates) -> str:
    """Return the likeliest calendar of a single date without a prescribed step."""
    # Composites are stamped at their beginning or in their middle; any other single date is taken as a day.
    return "8day" if dates.doy[0] % 8 in (0, 4) else "regular"


def times(dates: Dates | None, known: tuple[str, float] | None = None, step: Step | None = None) -> Times:
    """Return the time indices of dates; a single index 0 without dates.

    Parameters
    ----------
    dates : Dates, optional
    known : (str, float), optional
        Calendar and step (days) for a single date.
    step : Step, optional
        Prescribed time step; by default it is inferred from the dates.

    Raises
    ------
    ValueError
        Dates are repeated, out of order, not regularly spaced, or do not match the prescribed step.
    """
    if dates is None:
        days = 8.0 if step is None else YEAR_DAYS / 12 if step.days is None else step.days
        return Times(np.zeros(1, np.int64), "none", days, 0.0, YEAR_DAYS)
    difference = np.diff(dates.days)
    if not ((difference > 0).all() or (difference < 0).all()):
        repeated = dates.days.size - np.unique(dates.days).size
        found = f"{repeated} repeated dates" if repeated else "dates out of order"
        raise ValueError(f"time must be monotonic, found {found}; use .drop_duplicates or .sortby('time')")
    if step is not None:
        calendar = step.calendar(dates)
    else:
        calendar = known[0] if known and dates.days.size == 1 else _calendar(dates)
    made = _slots(dates, calendar, known, step)
    if np.unique(made.slots).size < made.slots.size:
        within = {"8day": "8-day composite", "monthly": "month"}.get(calendar, f"step of {made.step:g} days")
        raise ValueError(f"time has several dates within one {within}: give another time_step=, or aggregate them")
    return made


def _slots(dates: Dates, calendar: str, known: tuple[str, float] | None, step: Step | None) -> Times:
    if calendar == "8day":
        return Times(dates.year * 46 + np.minimum(dates.doy // 8, 45), "8day", 8.0, 0.0, dates.year_days)
    if calendar == "monthly":
        return Times(dates.year * 12 + dates.month - 1, "monthly", dates.year_days / 12, 0.0, dates.year_days)
    return _regular(dates, known, step)


def _regular(dates: Dates, known: tuple[str, float] | None, step: Step | None) -> Times:
    """Time indices with equal steps: the prescribed step, else that of the dates."""
    stamps = dates.days
    if step is not None and step.days is not None:
        days = step.days
        stamps = (
            np.floor(stamps) if days % 1 == 0 else stamps
        )  # with steps of whole days, the hour of an overpass is ignored
    else:
        days = _regular_days(stamps) if stamps.size > 1 else known[1] if known else 1.0
    slots, phase = _snap(stamps / days, "time", days, None)
    return Times(slots, "regular", days, phase, dates.year_days)


def slots_of(dates: Dates, calendar: str, step: float, phase: float, year_days: float) -> Ints:
    """Return the time index of each of any dates, on the lattice of `Times`.

    Raises
    ------
    ValueError
        Dates have another calendar (months of 30 days ...).
    """
    if calendar == "8day":
        return dates.year * 46 + np.minimum(dates.doy // 8, 45)
    if calendar == "monthly":
        return dates.year * 12 + dates.month - 1
    if dates.year_days != year_days:
        raise ValueError(f"dates in years of {dates.year_days} days do not fit maps in years of {year_days} days")
    begin = min(phase, 0.0) if step <= 1 else phase - TOLERANCE
    return np.floor(dates.days / step - begin).astype(np.int64)


def _calendar(dates: Dates) -> str:
    """Infer the calendar of dates: 8-day composites that restart every year, months, or equal steps."""
    if dates.days.size == 1:
        return guess(dates)
    months = dates.year * 12 + dates.month
    one_day = np.unique(dates.day).size == 1 or dates.last.all() or bool(((dates.day > 13) & (dates.day < 18)).all())
    if one_day and np.abs(np.diff(dates.days)).min() > 26 and np.unique(dates.month).size > 1:
        return "monthly" if np.unique(months).size == months.size else "regular"
    offset = dates.doy % 8
    # The last composite of a year has 5 or 6 days, so its middle is earlier.
    last = dates.doy >= 45 * 8
    middle = last.any() and set(offset[~last]) <= {3, 4} and set(offset[last]) <= {2, 3}
    kept = offset[~last] if middle else offset
    slots = dates.year * 46 + dates.doy // 8
    return "8day" if np.unique(kept).size <= 1 and np.unique(slots).size == slots.size else "regular"


def _regular_days(days: Floats) -> float:
    # Times of day may vary a little: any step is accepted that keeps every date on its lattice place.
    distance, doubt = _fit(days, "time", "days", float(np.abs(np.diff(days)).min()) * TOLERANCE / 8)
    for unit in (1.0, 1 / 24, 1 / 1440, 1 / 86400):
        even = round(distance / unit) * unit
        if even > 0 and abs(even - distance) <= doubt:
            return even
    return distance


def _fit(values: Floats, name: str, unit: str, grain: float) -> tuple[float, float]:
    """Return the step of values that were rounded to `grain`, and the uncertainty of the step."""
    difference = np.diff(values)
    if not ((difference > 0).all() or (difference < 0).all()):
        raise ValueError(f"{name} must be monotonic without repeated values; sort it first, with .sortby")
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
            f"{name} must be regularly spaced (missing values allowed), found steps of {smallest:.6g} and {other:.6g} "
            f"{unit}; interpolate or aggregate to equal steps first"
        )
    return float(distance), float(4 * max(miss, grain) / places[-1])


def _simple(distance: float, doubt: float) -> float | None:
    """Return the step within `doubt` that divides 360 degrees most evenly, None if none divides it."""
    low, high = 360 / (distance + doubt), 360 / max(distance - doubt, 1e-6)
    low, high = low * (1 - 1e-9), high * (1 + 1e-9)
    for divisor in _DIVISORS:
        count = divisor * max(1, round(360 / distance / divisor))
        if low <= count <= high:
            return 360 / count
    return None


def _snap(positions: Floats, name: str, step: float, phase: float | None) -> tuple[Ints, float]:
    """Return lattice indices of positions (in steps from the origin) and their common phase."""
    if phase is None:
        shared = float(np.median(positions - np.round(positions - positions[0])))
        lowest = _LOWEST_PHASE[name]
        phase = (shared - lowest) % 1 + lowest
        # Rounded coordinates of two parts of a product must give the same phase to the last bit.
        quarter = round(4 * phase) / 4
        phase = quarter if abs(phase - quarter) < 0.02 else round(phase, 3)
    places = np.round(positions - phase)
    miss = np.abs(positions - phase - places).max()
    if miss > TOLERANCE:
        raise ValueError(
            f"{name} must lie on a lattice of step {step:.6g}, found a value off by {miss:.2f} steps; regrid to equal "
            "steps (a divisor of 360 degrees in longitude) first"
        )
    return places.astype(np.int64), float(phase)
