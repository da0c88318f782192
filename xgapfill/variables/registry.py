"""Which variables there are: those of the package and those that other packages add."""

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
    """Add a variable to those that are recognised, for this session; usable as a decorator.

    A package adds its own by the entry-point group ``xgapfill.variables`` (name = "module:class") instead.

    Parameters
    ----------
    kind : type of Variable
        A frozen dataclass that follows `Variable`. One with the channels of a registered one takes its place.

    Returns
    -------
    type of Variable
        As given.

    Raises
    ------
    TypeError
        No class of this kind, or one without name, channels or priors.
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
            raise ValueError(f"{kind.__name__} has channels of {other.__name__}, {other.channels}: give it its own")
    _registered[:] = [other for other in _registered if not set(other.channels) & set(kind.channels)]
    if kind not in known():
        _registered.append(kind)
    return kind


def known() -> tuple[type[Variable], ...]:
    """All variables: those of the package, of packages that add some, and those registered."""
    return (*VARIABLES, *_entered(), *_registered)


def priors() -> dict[str, Prior]:
    """What is believed of each channel of each variable."""
    return {channel: prior for kind in known() for channel, prior in kind.priors.items()}


def filling(weights: str) -> type[Variable]:
    """Return the variable that shipped weights of this name fill; ValueError when there is none."""
    for kind in known():
        if kind.weights == weights:
            return kind
    raise ValueError(f"no variable has shipped weights {weights!r}")


def part_labelled(label: str) -> tuple[type[Variable], int] | None:
    """Return the variable and the part that a label, as ``micro``, speaks of; None where it speaks of none."""
    return part_named(label, {})


def part_named(name: str, attrs: Mapping[Any, Any]) -> tuple[type[Variable], int] | None:
    """Return the composition and the part of it that an array of this name and these attributes holds."""
    for kind in known():
        if kind.part_names and (part := kind.part_of(name, attrs)) is not None:
            return kind, part
    return None


def kind_of(name: str, attrs: Mapping[Any, Any]) -> type[Variable] | None:
    """Return the variable that an array of this name and these attributes holds, or a part of; None if unknown."""
    return next((kind for kind in known() if kind.recognises(name, attrs)), None)


def recognise(name: str, attrs: Mapping[Any, Any]) -> Variable:
    """Find the variable of an array without further dimensions by its standard_name and name, and read its units.

    Raises
    ------
    ValueError
        When it is no known variable, or its units cannot be read.
    """
    kind = kind_of(name, attrs)
    if kind is None:
        *others, last = (each.known_as or f"{each.long_name} ({each.name})" for each in known())
        raise ValueError(
            f"{name!r} is no variable that is known here: known are {', '.join(others)} and {last}. Rename it, set "
            "attrs['standard_name'], say size_class='micro', 'nano' or 'pico' if it is one size class, or add it by "
            "xgapfill.variables.register"
        )
    part = kind.part_of(name, attrs)
    found = kind.of(attrs, name)
    return found.only(part) if kind.part_names and part is not None else found


@cache
def _entered() -> tuple[type[Variable], ...]:
    """Variables of other packages; one that cannot be loaded must not take the others down."""
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
        raise TypeError(f"a subclass of xgapfill.variables.Variable is wanted; found {kind!r}")
    for attribute in ("name", "channels", "priors"):
        if not getattr(kind, attribute, None):
            raise TypeError(f"{kind.__name__} needs the class attribute {attribute!r}")
    if without := [channel for channel in kind.channels if channel not in kind.priors]:
        raise TypeError(f"{kind.__name__}.priors lacks the channels {without}")
