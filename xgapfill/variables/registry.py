"""The list of variables: those of the package and those added by other packages."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from xgapfill.variables.base import Variable
from xgapfill.variables.chlorophyll import Chlorophyll
from xgapfill.variables.generic import by_units, declared, in_catalogue, read_transform, unknown_predictor
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
    """All variables: those of the package, of other packages, and those registered.

    Examples
    --------
    >>> [kind.known_as.partition(" (")[0] for kind in known()][:2]
    ['chlorophyll', 'sea surface temperature']
    """
    return (*VARIABLES, *_entered(), *_registered)


GENERAL = Prior(mean=0.0, variance=1.0, steps=(3.6, 1.1))
"""Prior of a levelled channel, which has mean 0 and variance 1 in each window."""


class Priors(dict[str, Prior]):
    """The prior of each channel; any channel that is not known is levelled and has the general one."""

    def __missing__(self, channel: str) -> Prior:
        return GENERAL


def priors() -> Priors:
    """The prior of each channel of each variable."""
    return Priors({channel: prior for kind in known() for channel, prior in kind.priors.items()})


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
    """Return the variable of which an array of this name and these attributes holds all or a part; None if unknown.

    The standard name counts first, then the name, then everything else.
    """
    for called, said in ((" ", _standard_name(attrs)), (name, {}), (name, attrs)):
        for kind in known():
            if kind.recognises(called, said):
                return kind
    return None


def recognise(
    name: str,
    attrs: Mapping[Any, Any],
    *,
    transform: Any = None,
    label: tuple[type[Variable], int] | None = None,
    predictor: bool = False,
) -> Variable:
    """Find the variable of an array without further dimensions, and read its units.

    In this order: the standard_name, the name, the label of a part, the long_name, the units; or a declared transform.

    Parameters
    ----------
    name, attrs
        Of the array.
    transform : optional
        Transform of a variable, see `xgapfill.variables.generic.declared`.
    label : (type of Variable, int), optional
        Composition and part that a scalar coordinate names, as after ``.sel(size_class="micro")``.
    predictor : bool
        Whether it is a predictor: one that is not recognised is used untransformed.

    Raises
    ------
    ValueError
        The array is not recognised, or its units cannot be read.

    Examples
    --------
    >>> recognise("KD490", {"units": "m-1"}).channels
    ('log10_diffuse_attenuation_coefficient_490',)
    >>> recognise("foo", {"units": "1"}, transform="logit").channels
    ('logit_foo',)
    """
    if transform is not None:
        word, bounds = read_transform(transform)
        kind = kind_of(name, attrs)
        if kind is None or kind.transform != word or bounds is not None:
            return declared(transform, name, attrs)
        return kind.of(attrs, name)
    found = _named(" ", _standard_name(attrs), name, attrs) or _named(name, {}, name, attrs)
    if found is not None and not found.assumed:
        return found
    if label is not None:
        return label[0].of(attrs, name).only(label[1])
    found = _named(" ", attrs, name, attrs) or found or by_units(name, attrs)
    if found is None and predictor:
        return unknown_predictor(name, attrs)
    if found is None:
        *others, last = (each.known_as or f"{each.long_name} ({each.name})" for each in known())
        raise ValueError(
            f"{name!r} is not a known variable; known are {', '.join(others)}, {last} and those of docs/variables.md. "
            "Say how to fill it: transform='log10' (positive), 'logit' (a fraction) or 'linear'; or rename it, set "
            "attrs['standard_name'], or set size_class='micro', 'nano' or 'pico' if it is one size class"
        )
    return found


def _named(word: str, said: Mapping[Any, Any], name: str, attrs: Mapping[Any, Any]) -> Variable | None:
    """The variable that a word and some attributes name: of a class, else of the catalogue; in the units of `attrs`."""
    for kind in known():
        if kind.recognises(word, said):
            part, found = kind.part_of(word, said), kind.of(attrs, name)
            return found.only(part) if kind.part_names and part is not None else found
    return in_catalogue(word, said, name, attrs)


def _standard_name(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: attrs[key] for key in ("standard_name",) if key in attrs}


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
