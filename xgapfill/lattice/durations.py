"""Durations as users give them: numbers of days, text, timedeltas of any library."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np


def days_of(span: Any, name: str) -> float:
    """Return a span in days.

    Parameters
    ----------
    span : number, str or timedelta
        A number of days, text as ``"16D"``, ``"12h"`` or ISO 8601 ``"P8D"``, or a timedelta of numpy (of any unit up to
        weeks), pandas or the standard library.
    name : str
        Name of the parameter, for messages.

    Raises
    ------
    ValueError
        The span is none of these, not finite or not positive.

    Examples
    --------
    >>> days_of("16D", "max_gap"), days_of(np.timedelta64(36, "h"), "max_gap")
    (16.0, 1.5)
    """
    days = _days(span)
    if days is None or not math.isfinite(days) or not days > 0:
        raise ValueError(
            f"{name} must be a positive number of days, text such as '16D', or a timedelta; found {span!r}"
        )
    return days


def _days(span: Any) -> float | None:
    if isinstance(span, bool | np.bool_):
        return None
    if not isinstance(span, str | np.timedelta64 | datetime.timedelta):  # pandas' is one of the last
        return float(span) if isinstance(span, int | float | np.integer | np.floating) else None
    import pandas as pd

    text = f"1{span}" if isinstance(span, str) and span[:1].isalpha() and span[:1] != "P" else span
    try:
        found = pd.Timedelta(text)
    except (ValueError, TypeError, OverflowError):  # months have no length
        return None
    return float(found / pd.Timedelta(days=1))  # NaN of NaT
