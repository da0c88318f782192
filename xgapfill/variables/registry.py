"""The list of variables: those of the package and those added by other packages."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from xgapfill.variables.base import Variable
from xgapfill.variables.chlorophyll import Chlorophyll
from xgapfill.variables.prior import Prior
from xgapfill.variables.size_classes import SizeClasses
from xgapfill.variables.temperature import Temperature

GROUP = "xgapfill.variables"
VARIABLES: tuple[type[Variable], ...] = (Chlorophyll, Temperature, SizeClasses)
_registered: list[type[Variable]] = []


def register(kind: type[Variable]) -> type[Variable]:
    """Add a variable to those that are recognised in this session; usable as a decorator.

    A package adds its own by the entry-point group ``xgapfill.variables`` (name = "module:class") instead.

    Parameters
    ----------
    kind : type of Variable
        A frozen dataclass that extends `Variable`. It replaces a registered variable with the same channels.

    Returns
    -------
    type of Variable
        The class itself.

    Raises
    ------
    TypeError
        `kind` is not a subclass of `Variable`, or lacks name, channels or priors.
    ValueError
        Its channels belong to a variable of the package.

    Examples
    --------
    >>> import re
    >>> from dataclasses import dataclass
    >>> from xgapfill.variables import Positive, Prior, recognise, register
    >>> @register
    ... @dataclass(frozen=True)
    ... class Turbidity(Positive):
    ...     name = "TUR"
    ...     channels = ("log10_tur",)
    ...     priors = {"log10_tur": Prior(mean=0.3, variance=0.3)}
    ...     names = re.compile("tur(bidity)?")
    ...     usual_units = "FNU"
    >>> recognise("turbidity", {"units": "FNU"}).name
    'TUR'
    """
    _check(kind)
    for other in (*VARIABLES, *_entered()):
        if other is not kind and set(other.channels) & set(kind.channels):
            raise ValueError(f"{kind.__name__} has channels of {other.__name__}, {other.channels}; rename its channels")
    _registered[:] = [other for other in _registered if not set(other.channels) & set(kind.channels)]
    if kind not in known():
        _registered.append(kind)
    return kind


def known() -> tuple[type[Variable], ...]:
    """All variables: those of the package, of other packages, and those registered."""
    return (*VARIABLES, *_entered(), *_registered)


def priors() -> dict[str, Prior]:
    """The prior of each channel of each variable."""
    return {channel: prior for kind in known() for channel, prior in kind.priors.items()}


def filling(weights: str) -> type[Variable]:
    """Return the variable that shipped weights of this name fill; ValueError if there is none."""
    for kind in known():
        if kind.weights == weights:
            return kind
    raise ValueError(f"no variable has shipped weights {weights!r}")


def part_labelled(label: str) -> tuple[type[Variable], int] | None:
    """Return the variable and the part that a label, such as ``micro``, names; None if it names none."""
    return part_named(label, {})


def part_named(name: str, attrs: Mapping[Any, Any]) -> tuple[type[Variable], int] | None:
    """Return the composition and its part that an array of this name and these attributes holds; None if none."""
    for kind in known():
        if kind.part_names and (part := kind.part_of(name, attrs)) is not None:
            return kind, part
    return None


def kind_of(name: str, attrs: Mapping[Any, Any]) -> type[Variable] | None:
    """Return the variable of which an array of this name and these attributes holds all or a part; None if unknown."""
    return next((kind for kind in known() if kind.recognises(name, attrs)), None)


def recognise(name: str, attrs: Mapping[Any, Any]) -> Variable:
    """Find the variable of an array without further dimensions by its standard_name and name, and read its units.

    Raises
    ------
    ValueError
        The array is not a known variable, or its units cannot be read.
    """
    kind = kind_of(name, attrs)
    if kind is None:
        *others, last = (each.known_as or f"{each.long_name} ({each.name})" for each in known())
        raise ValueError(
            f"{name!r} is not a known variable; known are {', '.join(others)} and {last}. Rename it, set "
            "attrs['standard_name'], set size_class='micro', 'nano' or 'pico' if it is one size class, or add it with "
            "xgapfill.variables.register"
        )
    part = kind.part_of(name, attrs)
    found = kind.of(attrs, name)
    return found.only(part) if kind.part_names and part is not None else found


@cache
def _entered() -> tuple[type[Variable], ...]:
    """Variables of other packages; a broken one must not break the others."""
    found = []
    for point in entry_points(group=GROUP):
        try:
            kind = point.load()
            _check(kind)
        except Exception as error:
            warnings.warn(f"the variable {point.name!r} of {point.value} cannot be used: {error}", stacklevel=2)
        else:
            found.append(kind)
    return tuple(found)


def _check(kind: Any) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Variable)):
        raise TypeError(f"expected a subclass of xgapfill.variables.Variable; found {kind!r}")
    for attribute in ("name", "channels", "priors"):
        if not getattr(kind, attribute, None):
            raise TypeError(f"{kind.__name__} needs the class attribute {attribute!r}")
    if without := [channel for channel in kind.channels if channel not in kind.priors]:
        raise TypeError(f"{kind.__name__}.priors lacks the channels {without}")
