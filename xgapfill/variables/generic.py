"""Variables without a class of their own: described by the catalogue, by their units, or by ``transform=``.

Nothing is known about their level and scale, so their channels are levelled: in each space-time tile (window) they are
centred and scaled by the observations there (see `xgapfill.kernel.level`), and one general prior suits them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xgapfill.variables.base import Variable
from xgapfill.variables.catalogue import LINEAR, LOG10, LOGIT, TRANSFORMS, USUAL_SD, Fact, facts_of, transform_of_units
from xgapfill.variables.kinds import Bounded, Plain, Positive, Ranged, read_units
from xgapfill.variables.units import is_dimensionless, units_of

_SAMPLE_SD = {LOG10: 0.2, LOGIT: 0.1, LINEAR: 0.0}


@dataclass(frozen=True)
class Described(Ranged):
    """Fields of a variable that is described by its array, not by a class; attributes as in `Variable`."""

    name: str = ""
    channels: tuple[str, ...] = ()
    long_name: str = ""
    usual_units: str = ""
    lowest: float = -np.inf
    highest: float = np.inf
    usual_sd: float | None = None
    sample_sd: float = 0.0
    assumed: str = ""

    levelled = True
    priors = {}  # noqa: RUF012  (the general prior)

    def part_of(self, name: str, attrs: Mapping[Any, Any]) -> int | None:  # type: ignore[override]
        """0 for an array of the same name or of the same variable, else None."""
        if name.lower() == self.name.lower():
            return 0
        found = in_catalogue(name, {}, name, attrs)
        return 0 if found is not None and found.channels == self.channels else None

    def in_units(self, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the same variable in the units of other attributes."""
        units = units_of(attrs)
        if units is None:
            return self
        factor, offset = read_units(units, self, name)
        changed = {"factor": factor} | ({"offset": offset} if isinstance(self, Plain) else {})
        return replace(self, **changed)  # type: ignore[arg-type]


@dataclass(frozen=True)
class AnyPositive(Described, Positive):
    """A positive variable, filled as log10."""


@dataclass(frozen=True)
class AnyBounded(Described, Bounded):
    """A variable between bounds, filled as a logit."""


@dataclass(frozen=True)
class AnyPlain(Described, Plain):
    """Any other variable, filled untransformed."""

    scale: float = 1.0


_KINDS: Mapping[str, type[Described]] = {LOG10: AnyPositive, LOGIT: AnyBounded, LINEAR: AnyPlain}


def in_catalogue(word: str, said: Mapping[Any, Any], name: str, attrs: Mapping[Any, Any]) -> Variable | None:
    """The variable that the catalogue has under a word or a standard name of `said`, for an array; None if none."""
    units = {key: attrs[key] for key in ("units",) if key in attrs}
    fact, key = next(facts_of(word, {**said, **units}), (None, ""))
    return None if fact is None else _made(fact, key, name, attrs)


def by_units(name: str, attrs: Mapping[Any, Any]) -> Variable | None:
    """A variable whose units say how to fill it, with a note of what was assumed; None if they do not."""
    units = units_of(attrs)
    found = None if units is None else transform_of_units(units)
    if found is None:
        return None
    transform, what = found
    assumed = (
        f"it is not a known variable; {units!r} are units of {what}, so transform={transform!r} is assumed (others: "
        f"{', '.join(repr(each) for each in TRANSFORMS if each != transform)})"
    )
    return _made(Fact("", transform, "", assumed=assumed), _slug(name), name, attrs)


def declared(transform: Any, name: str, attrs: Mapping[Any, Any]) -> Variable:
    """The variable with a declared transform; ValueError for an unknown one.

    Parameters
    ----------
    transform : {"log10", "logit", "linear"} or ("logit", lowest, highest)
        Bounds are in the units of the values; by default 0 and 1, or 0 and 100 percent.
    name, attrs
        Of the array.
    """
    word, bounds = read_transform(transform)
    for fact, key in facts_of(name, attrs):
        if fact.transform == word and bounds is None:
            return _made(replace(fact, assumed=""), key, name, attrs)
    units = units_of(attrs)
    if word == LOGIT and bounds is None:
        if units is not None and not is_dimensionless(units):
            raise ValueError(
                f"transform='logit' needs bounds for {name!r} in {units!r}: transform=('logit', lowest, highest)"
            )
        return _made(Fact("", word, "", units="1"), _slug(name), name, attrs)
    return _made(Fact("", word, "", bounds=bounds or (0.0, 1.0)), _slug(name), name, attrs)


def unknown_predictor(name: str, attrs: Mapping[Any, Any]) -> Variable:
    """A predictor that nothing is known about: regressions on it have a linear and a quadratic term."""
    fact = Fact("", LINEAR, "", assumed="it is not a known variable; as a predictor it is used untransformed")
    return _made(fact, _slug(name), name, attrs)


def read_transform(transform: Any) -> tuple[str, tuple[float, float] | None]:
    """Word and bounds of ``transform=``; ValueError for anything else."""
    word, *bounds = transform if isinstance(transform, (tuple, list)) and len(transform) else (transform,)
    try:
        ends = [float(bound) for bound in bounds]
    except (TypeError, ValueError):
        ends = []
    right = not bounds or (word == LOGIT and len(ends) == 2 and np.isfinite(ends).all() and ends[0] < ends[1])
    if not isinstance(word, str) or word not in TRANSFORMS or not right:
        words = ", ".join(map(repr, TRANSFORMS))
        raise ValueError(f"transform must be {words} or ('logit', lowest, highest), found {transform!r}")
    return word, (ends[0], ends[1]) if bounds else None


def _made(fact: Fact, key: str, name: str, attrs: Mapping[Any, Any]) -> Variable:
    """The variable of a fact in the units of the attributes."""
    units = units_of(attrs)
    usual = fact.units or units or ""
    stem = "_".join(part for part in (_slug(fact.long_name), key) if part)
    # kept units are part of what a channel is: weights fitted in other units do not fit
    channel = f"{fact.transform}_{stem}" + ("" if fact.units or units is None else f" ({units})")
    low, high = {LOG10: (1e-30, 1e30), LINEAR: (-1e30, 1e30), LOGIT: fact.bounds}[fact.transform]
    more = {"scale": fact.scale} if fact.transform == LINEAR else {}
    made = _KINDS[fact.transform](
        name=name or stem,
        channels=(channel,),
        long_name=fact.long_name,
        usual_units=usual,
        lowest=low,
        highest=high,
        usual_sd=USUAL_SD[fact.transform] if fact.usual_sd is None else fact.usual_sd,
        sample_sd=_SAMPLE_SD[fact.transform] if fact.sample_sd is None else fact.sample_sd,
        assumed=fact.assumed,
        **more,
    )
    return made.in_units(attrs, name)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")
