"""From dates to time indices (slots): which calendar, which step, and the index of each date."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xgapfill.lattice.calendars import (
    PARTS,
    YEAR_DAYS,
    Dates,
    Floats,
    Ints,
    Step,
    calendar_of,
    slots_in,
    step_of_calendar,
)
from xgapfill.lattice.coordinates import TOLERANCE, fit_step, snap

# How much less likely a step that is no multiple of the usual one has to be than chance (natural logarithm).
_ODD = {True: math.log(30), False: math.log(10)}  # of a usual step below four days, of a longer one
_SPARSE = 4  # a series with so many time steps per date is worth a warning


@dataclass(frozen=True)
class Times:
    """Time indices (slots) of dates, their calendar, days between them, phase (in steps), days of a year.

    `doubt` says what is unclear about them, for a warning; empty if nothing is.
    """

    slots: Ints
    calendar: str
    step: float
    phase: float
    year_days: float
    doubt: str = ""


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
        days = 8.0 if step is None else YEAR_DAYS / 12 / step.parts if step.days is None else step.days
        return Times(np.zeros(1, np.int64), "none", days, 0.0, YEAR_DAYS)
    difference = np.diff(dates.days)
    if not ((difference > 0).all() or (difference < 0).all()):
        repeated = dates.days.size - np.unique(dates.days).size
        found = f"{repeated} repeated dates" if repeated else "dates out of order"
        raise ValueError(f"time must be monotonic, found {found}; use .drop_duplicates or .sortby('time')")
    if step is not None:
        calendar = step.calendar(dates)
    else:
        calendar = known[0] if known and dates.days.size == 1 else calendar_of(dates)
    if calendar == "regular":
        made = _regular(dates, known, step)
    else:
        days = step_of_calendar(calendar, dates.year_days)
        made = Times(slots_in(calendar, dates), calendar, days, 0.0, dates.year_days)
    if np.unique(made.slots).size < made.slots.size:
        within = "month" if calendar == "monthly" else f"period of {made.step:.3g} days ({calendar} calendar)"
        raise ValueError(f"time has several dates within one {within}: give another time_step=, or aggregate them")
    return made


def slots_of(dates: Dates, calendar: str, step: float, phase: float, year_days: float) -> Ints:
    """Return the time index of each of any dates, on the lattice of `Times`.

    Raises
    ------
    ValueError
        Dates have another calendar (months of 30 days ...).
    """
    if dates.year_days != year_days and calendar not in PARTS:
        raise ValueError(f"dates in years of {dates.year_days} days do not fit maps in years of {year_days} days")
    if calendar != "regular":
        return slots_in(calendar, dates)
    begin = min(phase, 0.0) if step <= 1 else phase - TOLERANCE
    return np.floor(dates.days / step - begin).astype(np.int64)


def _regular(dates: Dates, known: tuple[str, float] | None, step: Step | None) -> Times:
    """Time indices with equal steps: the prescribed step, else that of the dates."""
    if dates.days.size == 1 or (step is not None and step.days is not None and step.days % 1):
        days = step.days if step is not None and step.days is not None else known[1] if known else 1.0
        # with steps of whole days, the hour of an overpass is ignored
        stamps = np.floor(dates.days) if step is not None and days % 1 == 0 else dates.days
        return _even(dates, stamps, days)
    whole = dates.whole
    if step is not None and step.days is not None:
        if whole is None:
            raise ValueError(
                f"time has several dates within one day, but the time step is {step.days:g} days: give another "
                "time_step=, or aggregate them"
            )
        return _prescribed(dates, whole, round(step.days))
    exact, error = None, None
    try:
        exact = _step_of(dates.days)
    except ValueError as found:
        error = found
    if whole is None:
        if exact is None:
            raise ValueError(f"{error}, or give time_step='1D' for one map per day") from None
        return _even(dates, dates.days, exact)
    gaps = np.abs(np.diff(whole))
    usual = _usual(gaps)
    few = usual is not None and np.count_nonzero(gaps % usual) <= gaps.size / 4
    if usual is not None and (exact is None or exact < 0.75 * usual or few):
        return _in_order(dates, whole, usual)
    if exact is not None:
        return _even(dates, dates.days, exact, _sparse(gaps, exact))
    days = float(np.gcd.reduce(gaps))
    return _even(dates, whole.astype(float), days, _sparse(gaps, days))


def _even(dates: Dates, stamps: Floats, days: float, doubt: str = "") -> Times:
    slots, phase = snap(stamps / days, "time", days, None)
    return Times(slots, "regular", days, phase, dates.year_days, doubt)


def _prescribed(dates: Dates, whole: Ints, days: int) -> Times:
    """Time indices with a prescribed step of whole days; a few odd steps are allowed."""
    odd = np.diff(whole) % days != 0
    if 2 * np.count_nonzero(odd) > odd.size:
        return _even(dates, whole.astype(float), float(days))  # an error with the numbers
    return _in_order(dates, whole, days) if odd.any() else _even(dates, whole.astype(float), float(days))


def _usual(gaps: Ints) -> int | None:
    """Usual step of a series with a few odd ones; None if there are none, or if chance explains the others."""
    values, counts = np.unique(gaps, return_counts=True)
    usual = int(values[counts.argmax()])
    odd = np.count_nonzero(gaps % usual)
    evidence = (gaps.size - odd - 1) * math.log(usual / np.gcd.reduce(gaps))
    return usual if odd and evidence > odd * _ODD[usual < 4] else None


def _in_order(dates: Dates, whole: Ints, days: int) -> Times:
    """Time indices in steps of the usual length, where an odd step counts as the nearest number of them."""
    gaps = np.diff(whole)
    places = np.sign(gaps) * np.maximum(1, np.round(np.abs(gaps) / days)).astype(np.int64)
    odd = np.flatnonzero(gaps % days)
    first = whole[0] // days
    doubt = (
        f"{odd.size} of {gaps.size} steps are no multiples of the usual {days} days, such as the "
        f"{abs(gaps[odd[0]])} days after date {odd[0] + 1}; each counts as the nearest number of steps. Set time_step= "
        "if the maps are of another period"
    )
    slots = first + np.concatenate([[0], np.cumsum(places)])
    return Times(slots, "regular", float(days), float(whole[0] / days - first), dates.year_days, doubt)


def _sparse(gaps: Ints, days: float) -> str:
    """What is unclear about a series of which most dates are absent."""
    steps = gaps / days
    if steps.mean() < _SPARSE or np.ptp(gaps) == 0:
        return ""
    return (
        f"steps are between {gaps.min()} and {gaps.max()} days; the maps are taken for those of {days:g} days, and "
        f"{1 - 1 / steps.mean():.0%} of their dates are absent. Set time_step= to the period of a map, such as "
        f"time_step='{np.median(gaps):.0f}D', or aggregate the maps"
    )


def _step_of(days: Floats) -> float:
    # Times of day may vary a little: any step is accepted that keeps every date on its lattice place.
    distance, doubt = fit_step(days, "time", "days", float(np.abs(np.diff(days)).min()) * TOLERANCE / 8)
    for unit in (1.0, 1 / 24, 1 / 1440, 1 / 86400):
        even = round(distance / unit) * unit
        if even > 0 and abs(even - distance) <= doubt:
            return even
    return distance
