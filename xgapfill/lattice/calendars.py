"""Calendars: the numbered periods of time that maps stand for, found from dates or prescribed.

A calendar is named in a `Grid`: ``"none"`` (no time); ``"regular"`` (equal steps since 1970-01-01); ``"8day"``,
``"5day"`` ... (composites of so many days that begin anew on 1 January); ``"monthly"``, ``"semimonthly"``, ``"dekads"``
and ``"pentads"`` (parts of a month: the last one ends with the month).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

YEAR_DAYS = 365.2425
PARTS = {"monthly": 1, "semimonthly": 2, "dekads": 3, "pentads": 6}
"""Parts of a month in which calendars count."""
_RESTARTING = re.compile(r"(\d+)day")


@dataclass(frozen=True)
class Dates:
    """Components of dates, (n,) each.

    Attributes
    ----------
    days : float64, since 1970-01-01 in their own calendar
    year, month, day : int64
    doy : int64, day of the year from 0
    month_days : int64, days of the month
    year_days : float, mean number of days of a year of their calendar
    """

    days: Floats
    year: Ints
    month: Ints
    day: Ints
    doy: Ints
    month_days: Ints
    year_days: float = YEAR_DAYS

    @property
    def last(self) -> NDArray[np.bool_]:
        """Whether each is the last day of a month."""
        return np.asarray(self.day == self.month_days)

    @property
    def whole(self) -> Ints | None:
        """Whole days since 1970-01-01, one for each date whatever its hour; None where dates share a day."""
        floors = np.floor(self.days)
        if np.unique(floors).size < floors.size:
            # Stamps of a few minutes before and after midnight: a day ends in the longest stretch without stamps.
            hours = np.sort(self.days % 1)
            empty = np.diff(np.append(hours, hours[0] + 1))
            floors = np.floor(self.days - (hours[empty.argmax()] + empty.max() / 2) % 1)
        return floors.astype(np.int64) if np.unique(floors).size == floors.size else None


@dataclass(frozen=True)
class Step:
    """Prescribed time step.

    Attributes
    ----------
    days : float or None
        Number of days; None for months and their parts.
    parts : int
        Parts of a month: 1, 2, 3 or 6.
    """

    days: float | None
    parts: int = 1

    def calendar(self, dates: Dates) -> str:
        """Return the calendar of dates with this step: composites may begin anew every year or every month."""
        if self.days is None:
            return next(name for name, parts in PARTS.items() if parts == self.parts)
        days = round(self.days)
        if dates.days.size == 1:
            return "8day" if self.days == 8 and dates.doy[0] % 8 in (0, 3, 4) else "regular"
        if self.days != days or days < 2:
            return "regular"
        if days == 8 and restarts(dates, 8):
            return "8day"
        whole = dates.whole
        if whole is not None and not (np.diff(whole) % days).any():
            return "regular"
        if restarts(dates, days):
            return f"{days}day"
        near = {"pentads": (5, 6), "dekads": (10, 11), "semimonthly": (14, 15, 16)}
        return next((name for name, of in near.items() if days in of and in_parts(dates, PARTS[name])), "regular")


def guess(dates: Dates) -> str:
    """Return the likeliest calendar of a single date without a prescribed step."""
    # Composites are stamped at their beginning or in their middle; any other single date is taken as a day.
    return "8day" if dates.doy[0] % 8 in (0, 4) else "regular"


def calendar_of(dates: Dates) -> str:
    """Infer the calendar of dates: composites that begin anew every year, months and their parts, or equal steps."""
    if dates.days.size == 1:
        return guess(dates)
    order = np.argsort(dates.days)
    gaps = np.diff(dates.days[order])
    months = dates.year * 12 + dates.month
    one_day = np.unique(dates.day).size == 1 or dates.last.all() or bool(((dates.day > 13) & (dates.day < 18)).all())
    if one_day and gaps.min() > 26 and np.unique(dates.month).size > 1:
        return "monthly" if np.unique(months).size == months.size else "regular"
    if gaps.min() < 1.5:  # composites have neighbours of one day only at the end of a year
        return _restarting(dates, gaps) if np.median(gaps) > 3 else "regular"
    if restarts(dates, 8) and not (gaps.size > 3 and restarts(dates, 16)):
        return "8day"
    for name, parts in PARTS.items():
        by_fives = parts == 6 and not (np.round(gaps) % 5).any()  # equal steps, all in one month
        if parts > 1 and not by_fives and in_parts(dates, parts):
            return name
    return _restarting(dates, gaps)


def _restarting(dates: Dates, gaps: Floats) -> str:
    """Name composites of a number of days that begin anew every year; ``"regular"`` if no number fits, or all do."""
    steps = np.round(gaps).astype(np.int64)
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[counts.argmax()])
    common = int(np.gcd.reduce(steps))
    if common >= max(2, usual // 2):
        fresh = common not in (2, 3, 7) and gaps.size > 3 and not (dates.doy % common).any()
        return f"{common}day" if fresh else "regular"
    fitting = [days for days in range(usual, 3, -1) if usual % days == 0 and restarts(dates, days)]
    return f"{fitting[0]}day" if fitting and gaps.size > 2 else "regular"


def restarts(dates: Dates, days: int) -> bool:
    """Whether dates are the first, middle or last days of composites that begin anew every year.

    Without the last composite of a year, which is shorter, any other day of theirs will do.
    """
    index, offset = np.divmod(dates.doy, days)
    size = np.minimum(days, _year_length(dates) - index * days)
    return _one_place(offset, size, days) and np.unique(slots_in(f"{days}day", dates)).size == index.size


def in_parts(dates: Dates, parts: int) -> bool:
    """Whether dates are the first, middle or last days of parts of months, several different parts."""
    days = 30 // parts
    index = np.minimum((dates.day - 1) // days, parts - 1)
    offset, size = dates.day - 1 - index * days, np.where(index < parts - 1, days, dates.month_days - index * days)
    first_or_last = bool((offset == 0).all() or (offset == size - 1).all())
    if index.size < (3 if first_or_last else 4) or np.unique(index).size < 2 or not _one_place(offset, size, days):
        return False
    name = next(name for name, of in PARTS.items() if of == parts)
    return np.unique(slots_in(name, dates)).size == index.size


def _one_place(offset: Ints, size: Ints, days: int) -> bool:
    """Whether stamps lie at the same place of their composites of `size` days: first, middle, last."""
    middle = (offset == (size - 1) // 2) | (offset == size // 2)
    same = bool((offset == offset[0]).all()) and bool((size == days).all() or offset[0] < size.min())
    return same or bool((offset == size - 1).all() or (days > 2 and middle.all()))


def slots_in(calendar: str, dates: Dates) -> Ints:
    """Return the number of the period of each date, in a calendar that begins anew every year or month."""
    if calendar in PARTS:
        parts = PARTS[calendar]
        return (dates.year * 12 + dates.month - 1) * parts + np.minimum((dates.day - 1) // (30 // parts), parts - 1)
    days = days_of_composites(calendar)
    assert days is not None
    return _before(dates.year, days, dates.year_days) + dates.doy // days


def days_of_composites(calendar: str) -> int | None:
    """Return the days of composites that begin anew every year; None for other calendars."""
    found = _RESTARTING.fullmatch(calendar)
    return int(found[1]) if found else None


def step_of_calendar(calendar: str, year_days: float) -> float:
    """Return the days between neighbouring periods of a calendar that begins anew every year or month."""
    return year_days / 12 / PARTS[calendar] if calendar in PARTS else float(days_of_composites(calendar) or 1)


def season_in(calendar: str, slots: ArrayLike, step: float, year_days: float) -> Floats:
    """Return the time in the middle of periods, in years since the beginning of any year."""
    return _years_and_parts(calendar, slots, step, year_days)[1]


def year_in(calendar: str, slots: ArrayLike, step: float, year_days: float) -> Ints:
    """Return the number of the year of periods, counted from any year."""
    year, part = _years_and_parts(calendar, slots, step, year_days)
    return year + np.floor(part).astype(np.int64)


def _years_and_parts(calendar: str, slots: ArrayLike, step: float, year_days: float) -> tuple[Ints, Floats]:
    """Year of periods, and the time of their middle since its beginning, in years."""
    numbers = np.asarray(slots, float)
    if calendar in PARTS:
        count = 12 * PARTS[calendar]
        return (numbers // count).astype(np.int64), np.asarray((numbers % count + 0.5) / count, np.float64)
    days = days_of_composites(calendar)
    if days is None:
        return np.zeros(numbers.shape, np.int64), np.asarray((numbers + 0.5) * (step / year_days), np.float64)
    longest = math.ceil((366 if year_days == YEAR_DAYS else year_days) / days)
    low, high = int(numbers.min() // longest), int(numbers.max() // (longest - 1) + 1)
    first = _before(np.arange(low, high + 1), days, year_days)
    year = np.searchsorted(first, numbers, side="right") - 1
    return low + year, np.asarray(((numbers - first[year]) * days + days / 2) / year_days, np.float64)


def _before(year: Ints, days: int, year_days: float) -> Ints:
    """Number of composites before a year, since the year 0."""
    if year_days != YEAR_DAYS:
        return year * math.ceil(year_days / days)
    common, leap = math.ceil(365 / days), math.ceil(366 / days)
    leaps = (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400 + 1
    return year * common + leaps * (leap - common)


def _year_length(dates: Dates) -> Ints:
    """Days in the year of each date."""
    if dates.year_days != YEAR_DAYS:
        return np.full(dates.year.shape, int(dates.year_days))
    year = dates.year
    return 365 + ((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))).astype(np.int64)
