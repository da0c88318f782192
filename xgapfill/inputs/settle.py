"""Settles what the target is, where that depends on its predictors or on the method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.peek import spots
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.season import unit_in
from xgapfill.inputs.values import ENOUGH
from xgapfill.inputs.warn import warn
from xgapfill.variables import Given, SizeClasses
from xgapfill.variables.composition import Composition
from xgapfill.variables.generic import AnyPlain, declared
from xgapfill.variables.prior import median_and_spread
from xgapfill.variables.size_classes import CLASSES, CLASSLESS, nearest_class

LEAST = 50  # values that a comparison with the whole needs
NEAR = 0.05  # largest deviation of a ratio from 1 that needs no warning
FAR = 10.0  # a ratio beyond this, or below its inverse, is an error of units
LEAST_SPREAD = 1e-6  # share of the largest value below which values are all the same


def settled(target: Quantity, given: Sequence[Quantity], by_class: bool, prior: Any = None) -> Quantity:
    """Return the target as the variable that it is filled as.

    - One part of a whole in the units of the whole, without the whole: a positive variable of its own.
    - All parts in the units of the whole, and the whole: with the ratio of their sum to the whole.
    - A fraction without a size class, where weights need the class: the class whose usual relation to chlorophyll is
      nearest.
    - A variable whose usual spread nobody knows: with that of a few values, to half an order of magnitude.

    Parameters
    ----------
    target : Quantity
    given : sequence of Quantity
        Predictors.
    by_class : bool
        Whether weights of size classes fill the target.
    prior : Any
        ``prior=`` of the call: a season of the target says the spread that it is relative to.

    Raises
    ------
    ValueError
        The sum of the parts is far from the whole, or no class can be told.
    """
    variable = target.variable
    kind = SizeClasses.whole if variable.channels == CLASSLESS else variable.whole
    whole = next((each for each in given if kind is not None and each.variable.channels == kind.channels), None)
    if variable.channels == CLASSLESS and by_class:
        return replace(target, variable=_with_class(target, whole))
    if isinstance(variable, AnyPlain) and variable.usual_sd is None:
        spread = unit_in(prior, variable.channels[0]) or _order_of_spread(target)
        return replace(target, variable=replace(variable, usual_sd=spread))
    if not variable.needs_whole:
        return target
    if whole is not None and variable.alone is None:
        return replace(target, variable=_with_ratio(target, whole))
    if whole is None and variable.alone is not None:
        array = target.arrays[0]
        return replace(target, variable=declared("log10", str(array.name), array.attrs))
    return target


def _order_of_spread(target: Quantity) -> float | None:
    """Standard deviation of a few values to half an order of magnitude; None where they cannot be read."""
    found = [np.empty(0)]
    for spot in spots(target.sources, target.source_grids(), math.inf):  # not to depend on the speed of reading
        encoded = target.variable.encode(spot)
        found.append(encoded.values[encoded.observed].astype(np.float64))
        if sum(map(len, found)) >= ENOUGH:
            break
    values = np.concatenate(found)
    if len(values) < LEAST:
        return None
    _, spread = median_and_spread(values)
    if spread <= LEAST_SPREAD * np.abs(values).max():
        return None
    return float(f"{10 ** (round(2 * math.log10(spread)) / 2):.3g}")


def _with_ratio(target: Quantity, whole: Quantity) -> Composition:
    """The variable with the ratio of the sum of its parts to the whole, from a few small reads."""
    variable = target.variable
    assert isinstance(variable, Composition)
    parts, chl = _beside(target, whole)
    known = variable.possible(parts)[0].all(axis=0) & (chl > 0)
    if np.count_nonzero(known) < LEAST:
        warn(f"too few values to compare the sum of {target.label} with {whole.label}: they are assumed to be the same")
        return variable
    ratio = float(np.median(parts[:, known].sum(axis=0) * variable.factor / chl[known]))
    if not 1 / FAR < ratio < FAR:
        raise ValueError(
            f"{target.label} sum to {ratio:.3g} times {whole.label}; check the units of both, or leave cond= out"
        )
    if abs(ratio - 1) <= NEAR:
        return variable
    warn(
        f"{target.label} sum to {ratio:.3g} times {whole.label} where both are observed; filled classes keep this "
        "ratio. Leave cond= out to fill them from their own sum"
    )
    return replace(variable, ratio=float(f"{ratio:.4g}"))


def _with_class(target: Quantity, whole: Quantity | None) -> SizeClasses:
    """The size class that a fraction is assumed to be of."""
    ways = (
        "set size_class='micro', 'nano' or 'pico', or use background() or kriging(), which fill it as a fraction, or "
        "weights of xgapfill.fit(da, 'repaint', init=None)"
    )
    if whole is None:
        raise ValueError(
            f"{target.label} names no size class, which the weights of size classes need; without chlorophyll it "
            f"cannot be told: give cond=, or {ways}"
        )
    (fraction,), chl = _beside(target, whole)
    fraction = fraction * target.variable.factor  # type: ignore[attr-defined]
    known = (fraction >= 0) & (fraction <= 1) & (chl > 0)
    if np.count_nonzero(known) < LEAST:
        raise ValueError(
            f"{target.label} names no size class, which the weights of size classes need, and too few values were read "
            f"beside {whole.label} to tell it: {ways}"
        )
    found = nearest_class(fraction[known], chl[known])
    warn(
        f"{target.label} names no size class; its relation to {whole.label} is nearest to that of {CLASSES[found]!r}, "
        f"which is assumed. size_class='micro', 'nano' or 'pico' says which one it is"
    )
    array = target.arrays[0]
    return SizeClasses.of(array.attrs, str(array.name)).only(found)


def _beside(target: Quantity, whole: Quantity) -> tuple[NDArray, NDArray]:
    """Parts (p, n) and the whole (n,) in its default units at the same places, from a few small reads."""
    sources, grids = (*target.sources, *whole.sources), [*target.source_grids(), *whole.source_grids()]
    found = [np.empty((len(sources), 0), np.float32)]
    for spot in spots(sources, grids, math.inf):  # what is found must not depend on the speed of reading
        found.append(spot.reshape(len(spot), -1))
        if sum(np.count_nonzero(~np.isnan(each).any(axis=0)) for each in found) >= ENOUGH:
            break
    if len(found) == 1:
        raise ValueError(
            f"{target.label} cannot be compared with {whole.label}: a few values would take a long computation or "
            "large chunks. Write both to a file first, use smaller chunks, or leave cond= out"
        )
    *parts, last = np.concatenate(found, axis=1)
    encoded = whole.variable.encode(last[None])
    values = type(whole.variable)().decode_draw(encoded.values, Given(last[None]))[0]
    return np.stack(parts), np.where(encoded.observed[0], values, np.nan)
