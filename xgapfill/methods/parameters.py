"""Checks of the parameters of methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Raise ValueError unless the value is a whole number in the range."""
    integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not integer or int(value) < least or (most is not None and int(value) > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {span}, found {value!r}")


def number(name: str, value: Any, low: float, high: float, unit: str = "") -> None:
    """Raise ValueError unless the value is a number in the range."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not low <= value <= high or not math.isfinite(value):
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}{unit and ' ' + unit}, found {value!r}")


def choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise ValueError unless the value is one of those allowed."""
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise ValueError(f"{name} must be {_either(allowed)}, found {value!r}")


def _either(allowed: Sequence[Any]) -> str:
    names = [repr(one) for one in allowed]
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
