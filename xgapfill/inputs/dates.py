"""Reads dates of any calendar, and the time step of a map from its metadata."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from xgapfill.inputs.axes import find_axes
from xgapfill.lattice.calendars import YEAR_DAYS, Dates, Step
from xgapfill.lattice.durations import days_of
from xgapfill.lattice.grid import Grid

_YEAR_DAYS = {"360_day": 360.0, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0, "366_day": 366.0}
_MONTH = re.compile(r"(p?1?\s*-?\s*(m|ms|me|months?)|monthly)", re.IGNORECASE)
_WORDS = {"daily": "1D", "day": "1D", "weekly": "7D", "week": "7D", "w": "7D", "p1w": "7D"}
_PARTS = {
    **dict.fromkeys(("dekad", "dekads", "dekadal", "dekadly", "10-daily"), 3),
    **dict.fromkeys(("semimonthly", "semi-monthly", "half-monthly", "sms", "sme", "sm", "bimensal"), 2),
    **dict.fromkeys(("pentads", "pentadal"), 6),
}
_DAY_NUMBER = re.compile(r"(1[89]|2[01])\d\d[01]\d[0-3]\d(\.0)?")  # 20150131
_DAYS = re.compile(r"p?0*(\d+)\s*-?_?\s*(d|days?)", re.IGNORECASE)
# Attributes (ACDD, and those of NASA) for the period of one map, and for the period of all maps of a file together.
_RESOLUTION = ("time_coverage_resolution", "temporal_resolution", "temporal_range")
_DURATION = ("time_coverage_duration",)


def dates_of(time: Any, attrs: Mapping[Any, Any] | None = None) -> Dates:
    """Split dates into their components: datetime64 of any unit or cftime of any calendar, one or several.

    `attrs` are those of their coordinate, for messages.

    Raises
    ------
    ValueError
        The values are not dates, or some are missing.
    """
    values = np.atleast_1d(np.asarray(time))
    if values.ndim > 1 or values.size == 0:
        raise ValueError(f"time must have one dimension and at least one date; it has shape {values.shape}")
    if values.dtype.kind == "M" and np.isnat(values).any():
        raise ValueError(f"time has {np.count_nonzero(np.isnat(values))} missing dates (NaT): drop them first")
    if not (values.dtype.kind == "M" or (values.dtype.kind == "O" and all(hasattr(d, "dayofyr") for d in values))):
        raise ValueError(f"time must be dates (datetime64 or cftime); found {_found(values, attrs)}")
    array = xr.DataArray(values, dims="time")
    calendar = array.dt.calendar
    encoding = {"units": "days since 1970-01-01", "calendar": calendar, "dtype": "float64"}
    days = xr.conventions.encode_cf_variable(xr.Variable("time", array.values, encoding=encoding))
    year, month, day, doy, length = (
        np.asarray(getattr(array.dt, part).values, np.int64)
        for part in ("year", "month", "day", "dayofyear", "days_in_month")
    )
    year_days = _YEAR_DAYS.get(calendar, YEAR_DAYS)
    return Dates(np.asarray(days.values, np.float64), year, month, day, doy - 1, length, year_days)


def _found(values: np.ndarray, attrs: Mapping[Any, Any] | None) -> str:
    """What was found in the place of dates, and what to do."""
    first, units = values[0], str((attrs or {}).get("units", ""))
    where = "ds = ds.assign_coords(time=...)"
    if " since " in units:
        return f"{values.dtype} in units={units!r}, such as {first}. Decode them: ds = xr.decode_cf(ds)"
    if hasattr(first, "to_timestamp"):
        return f"periods such as {first}. Convert them: {where} of ds.indexes['time'].to_timestamp()"
    text = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
    if _DAY_NUMBER.fullmatch(text):
        how = "pd.to_datetime(ds.time.astype(str), format='%Y%m%d')"
        return f"{values.dtype} such as {text}. Convert it: {where} of {how}"
    if values.dtype.kind in "SUTO":
        return f"text such as {text!r}. Convert it: {where} of pd.to_datetime(ds.time.astype(str))"
    return (
        f"{values.dtype} such as {text} with units={units!r}. Set attrs['units'], such as 'days since 1970-01-01', and "
        "decode them: ds = xr.decode_cf(ds)"
    )


def grid_at(time: Any, lat: ArrayLike, lon: ArrayLike, *, like: Grid | None = None, step: Step | None = None) -> Grid:
    """Find the lattice of coordinates given as arrays, see `Grid.of`.

    Examples
    --------
    >>> times = np.array(["2015-01-01", "2015-01-09"], "M8[ns]")
    >>> grid_at(times, [48.875, 48.625], [-60.875, -60.625]).slots
    (92690, 92691)
    """
    return Grid.of(None if time is None else dates_of(time), lat, lon, like=like, step=step)


def step_of(time_step: Any) -> Step | None:
    """Read ``time_step=``; None stays None.

    Raises
    ------
    ValueError
        The value is not a time step.

    Examples
    --------
    >>> step_of("8D"), step_of("MS")
    (Step(days=8.0, parts=1), Step(days=None, parts=1))
    """
    if time_step is None or isinstance(time_step, Step):
        return time_step
    if isinstance(time_step, str):
        text = time_step.strip()
        if _MONTH.fullmatch(text):
            return Step(None)
        if text.lower() in _PARTS:
            return Step(None, _PARTS[text.lower()])
        found = _DAYS.fullmatch(text)
        time_step = f"{found[1]}D" if found else _WORDS.get(text.lower(), text)
    try:
        return Step(days_of(time_step, "time_step"))
    except ValueError as error:
        raise ValueError(f"{error}; 'MS' for months, 'dekad' or 'semimonthly' for parts of months") from None


def said_step(array: xr.DataArray, time: Any) -> Step | None:
    """Time step of an array with a single date, from its attributes or those of its file; None if unknown."""
    for attrs in (array.attrs, *([array.coords[time].attrs] if time in array.coords else [])):
        if (step := _in_attrs(attrs, _RESOLUTION)) is not None:
            return step
    source = array.encoding.get("source")
    if not isinstance(source, str) or not os.path.exists(source):
        return None
    try:
        with xr.open_dataset(source, decode_times=False) as file:
            return step_in(file)
    except (OSError, ValueError):  # the array is in hand; its file is only an additional hint
        return None


def step_beside(ds: xr.Dataset, target: Any) -> Step | None:
    """Time step that a dataset states for the only map of its variable; None for several dates, or if unknown."""
    first = target[0] if isinstance(target, list | tuple) and target else target
    if not isinstance(first, xr.DataArray):
        return None
    name = find_axes(first).names.get("time")
    return step_in(ds) if name is not None and first.coords[name].size == 1 else None


def step_in(ds: xr.Dataset) -> Step | None:
    """Time step of a dataset with a single date, from its attributes or the bounds of its time; None if unknown."""
    if (step := _in_attrs(ds.attrs, _RESOLUTION)) is not None:
        return step
    times = [
        each for each in ds.coords.values() if each.attrs.get("standard_name") == "time" or each.name in ("time", "t")
    ]
    if any(each.size > 1 for each in times):
        return None
    bounds = (_in_bounds(ds.variables, each) for each in times)
    return next((step for step in bounds if step is not None), None) or _in_attrs(ds.attrs, _DURATION)


def _in_attrs(attrs: Mapping[Any, Any], names: tuple[str, ...]) -> Step | None:
    for name in names:
        try:
            if isinstance(attrs.get(name), str) and (step := step_of(attrs[name])) is not None:
                return step
        except ValueError:  # "varying", "instantaneous": not a period
            continue
    return None


def _in_bounds(variables: Any, time: xr.DataArray) -> Step | None:
    """Step from the bounds of a time coordinate; None if it has none."""
    name = time.attrs.get("bounds", time.encoding.get("bounds"))
    if name not in variables or variables[name].size != 2:
        return None
    first, last = np.ravel(variables[name].values)
    if variables[name].dtype.kind not in "MO":
        unit = str(time.attrs.get("units", time.encoding.get("units", ""))).split(" since ")[0].strip()
        found = _days_in(float(last) - float(first), unit)
    else:
        found = float(np.diff(dates_of(np.array([first, last])).days)[0])
    if found is None or not found > 0:
        return None
    return Step(None) if 28 <= found <= 31 else Step(float(np.ceil(found - 0.1)))


def _days_in(length: float, unit: str) -> float | None:
    per_day = {"day": 1.0, "hour": 24.0, "minute": 1440.0, "second": 86400.0}.get(unit.rstrip("s").lower())
    return None if per_day is None else length / per_day
