"""Chooses the weights of a call, which predictors its method uses itself, and how wide its intervals are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xgapfill.inputs.conditions import check_channels, warn_of_useless
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.warn import warn
from xgapfill.kernel.calibration import Calibration, Interval, card_factor, normal_factor
from xgapfill.lattice.grid import Grid
from xgapfill.methods.base import Method, NetMethod, SeriesMethod
from xgapfill.nets.ready import check_network
from xgapfill.variables import SizeClasses, priors
from xgapfill.weights import Card, Weights, load


def by_class(method: Method, weights: Any) -> bool:
    """Whether weights of size classes would fill a fraction: those of users, else the shipped ones."""
    if not isinstance(method, NetMethod):
        return False
    return weights is None or load(weights).card.targets == SizeClasses.channels


def choose(
    method: Method, weights: Any, target: Quantity, given: Sequence[Quantity]
) -> tuple[Weights | None, tuple[str, ...]]:
    """Weights, if the method needs any, and the channels it works on: targets, then predictors."""
    targets, whole = target.variable.channels, target.variable.whole
    conditions = tuple(channel for each in given for channel in each.variable.channels)
    if target.variable.needs_whole and whole is not None and whole.channels[0] not in conditions:
        conditions = (*conditions, *whole.channels)  # the sum of the parts
    channels = (*targets, *conditions)
    method.check(channels)
    if weights is not None and not method.takes_weights:
        raise ValueError(f"{method.name} needs no weights, found weights={weights!r}; leave weights= out")
    chosen = method.default_weights(channels) if weights is None else weights
    if chosen is None:
        return None, channels
    fitted = load(chosen)
    if weights is not None:
        _check_weights(method, fitted)
    card = fitted.card
    if card.targets != targets:
        raise ValueError(
            f"the weights {card.name!r} fill {', '.join(card.targets)}, not {', '.join(targets)} ({target.label}); "
            "leave weights= out for the default ones, or use background()"
        )
    if unknown := [channel for channel in conditions if channel not in card.conditions]:
        raise ValueError(
            f"the weights {card.name!r} have no predictor {', '.join(unknown)}; they have "
            f"{', '.join(card.conditions) or 'no predictors'}. Leave it out of cond=, or use background(), kriging(), "
            "dctpls() or dineof(), which take any number of predictors of any kind"
        )
    if card.conditions and not given:
        warn(
            f"{target.label} is filled without cond=; the weights {card.name!r} were trained with "
            f"{', '.join(card.conditions)} and are better with it"
        )
    return fitted, card.channels


def divided(method: Method, target: Quantity, given: Sequence[Quantity]) -> tuple[list[Quantity], list[Quantity]]:
    """Predictors that the method uses itself or that have a shipped relation to the target, and all others.

    A warning names those of the others that tell nothing.
    """
    shipped = priors()
    known = {name for channel in target.variable.channels for name in shipped[channel].regression}
    whole = () if target.variable.whole is None else target.variable.whole.channels

    def own(each: Quantity) -> bool:
        return any(name in known or name in whole or method.uses(name) for name in each.variable.channels)

    predictors, others = [each for each in given if own(each)], [each for each in given if not own(each)]
    check_channels((target, *predictors))
    warn_of_useless(others)
    return predictors, others


def _check_weights(method: Method, weights: Weights) -> None:
    """Raise ValueError when weights of users are of another method or do not fit its network."""
    if isinstance(method, NetMethod):
        check_network(weights, method.model, method.objective().network)
    elif isinstance(method, SeriesMethod) and weights.card.method != method.name:
        raise ValueError(
            f"{method.name} needs weights of its own fit, found {weights!r}; leave weights= out to fit it to these data"
        )


def check_taken(method: Method, weights: Weights | None, taken: str) -> None:
    """ValueError where weights of a series were fitted to other anomalies than those to be filled."""
    if weights is None or not isinstance(method, SeriesMethod) or weights.card.taken == taken:
        return
    raise ValueError(
        f"{weights!r} were fitted to values without {weights.card.taken or 'anything taken from them'}, here "
        f"{taken or 'nothing'} is taken; fit and fill with the same cond= and prior=. For a part of a series, give "
        "both the season of the whole, prior=xgapfill.season(series)"
    )


def ranges(channels: Sequence[str], weights: Weights | None) -> tuple[tuple[float, float], ...]:
    """Range of each channel in the training of the weights; infinite if unknown."""
    known = {} if weights is None else weights.card.ranges
    return tuple((float(low), float(high)) for low, high in (known.get(c, (-np.inf, np.inf)) for c in channels))


def calibrated_card(method: Method, weights: Weights | None) -> Card | None:
    """Card of weights whose network gives the estimate and was calibrated with it; None without."""
    if weights is None or not isinstance(method, NetMethod) or not weights.card.intervals:
        return None
    return weights.card


def interval_of(
    level: float | None,
    given: Any,
    method: Method,
    draws: bool,
    weights: Weights | None,
    channels: tuple[str, ...],
    grid: Grid,
) -> Interval | None:
    """Spreads on each side of an estimate that its interval has; ValueError if the calibration is of another fill."""
    if level is None:
        return None
    if draws:
        raise ValueError(
            f"interval= is for one estimate and its spread; {method.name} gives members here: use their quantiles, "
            "members=20, reduce=[{'quantile': [0.05, 0.95]}]"
        )
    if given is None:
        known = calibrated_card(method, weights)
        return Interval(normal_factor(level) if known is None else card_factor(level, known.intervals))
    if not isinstance(given, Calibration):
        raise TypeError(f"calibration must come from xgapfill.calibrate, found {type(given).__name__}")
    own = weights.sha256 if weights is not None and isinstance(method, NetMethod) else ""
    for what, calibrated, found in (
        ("method", given.method, method.name),
        ("channels", given.channels, channels),
        ("weights", given.weights, own),
    ):
        if calibrated != found:
            raise ValueError(
                f"the calibration is of another fill: its {what} {calibrated!r}, here {found!r}; calibrate this one, "
                "xgapfill.calibrate(da, method, cond)"
            )
    return given.interval(level, grid)
