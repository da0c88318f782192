"""What a call fills, with what: read and checked once, used by every verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dask.base import tokenize

from xgapfill.blocks.source import Source
from xgapfill.inputs import read as inputs
from xgapfill.inputs.errors import ErrorField, read_error
from xgapfill.inputs.insitu import read_samples
from xgapfill.inputs.values import check_values
from xgapfill.inputs.warn import warn
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.limits import Limits
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.observations import Samples
from xgapfill.lattice.sea import SeaFlag
from xgapfill.methods.base import Method, NetMethod, SeriesMethod, takes_weights, tiling_of
from xgapfill.nets.device import placed
from xgapfill.nets.ready import check_network
from xgapfill.weights import Weights, handle, load


@dataclass(frozen=True)
class Case:
    """What is filled, given what, and with which weights and channels; what is known of errors beside."""

    quantity: inputs.Quantity
    given: tuple[inputs.Quantity, ...]
    checked: tuple[bool, ...]
    weights: Weights | None
    channels: tuple[str, ...]
    samples: Samples | None = None
    error: ErrorField | None = None

    @property
    def sources(self) -> list[Source]:
        """One a part of each variable, and of the errors of the first."""
        errors = () if self.error is None else self.error.sources
        return [*(source for each in (self.quantity, *self.given) for source in each.sources), *errors]

    @property
    def grids(self) -> list[Grid]:
        """Addresses of each source."""
        errors = () if self.error is None else self.error.grids
        return [*(grid for each in (self.quantity, *self.given) for grid in each.source_grids()), *errors]


def read_case(target: Any, method: Method, cond: Any, weights: Any, size_class: str | None) -> Case:
    """Check and recognise what is filled and what it is filled given; nothing is computed."""
    quantity = inputs.read(target, size_class)
    given = inputs.conditions(cond, quantity)
    checked = tuple(check_values(each) for each in (quantity, *given))
    return Case(quantity, given, checked, *_choose(method, weights, quantity, given))


def with_observations(case: Case, method: Method, insitu: Any, error: Any) -> Case:
    """Add samples taken in the water and errors of the target, for methods that can use them; nothing is computed."""
    for name, given in (("insitu", insitu), ("error", error)):
        if given is not None and not getattr(method, "takes_errors", False):
            raise ValueError(
                f"{method.name} makes nothing of {name}=: to it, all observations are the same. Leave it out, or use "
                "background(), kriging(), posterior_mean(), repaint() or vae()"
            )
    samples = None if insitu is None else read_samples(insitu, (case.quantity, *case.given), case.channels)
    return replace(case, samples=samples, error=None if error is None else read_error(error, case.quantity))


def kernel_of(
    case: Case,
    method: Method,
    *,
    members: int = 1,
    seed: int = 0,
    full: bool = False,
    sea: SeaFlag | None = None,
    limits: Limits | None = None,
) -> FillKernel:
    """Everything that happens to a block, as one frozen value."""
    grid = case.quantity.grid
    return FillKernel(
        grid=grid,
        variables=tuple(each.variable for each in (case.quantity, *case.given)),
        channels=case.channels,
        method=placed(method),
        weights=None if case.weights is None else handle(case.weights),
        noise=Noise(seed, grid.ncols),
        members=members,
        full=full,
        sea=sea,
        ranges=_ranges(case.channels, case.weights),
        checked=case.checked,
        label=case.quantity.label,
        tiling=tiling_of(method, grid.ncols, (min(grid.slots), max(grid.slots) + 1)),
        limits=limits,
        samples=case.samples,
        error=None if case.error is None else case.error.units,
        call=tokenize(case.sources, method.name, seed),
    )


def _choose(
    method: Method, weights: Any, target: inputs.Quantity, given: Sequence[inputs.Quantity]
) -> tuple[Weights | None, tuple[str, ...]]:
    """Weights, if the method needs any, and the channels it works on: targets, then conditions."""
    targets = target.variable.channels
    conditions = tuple(channel for each in given for channel in each.variable.channels)
    whole = target.variable.whole
    if target.variable.needs_whole and whole is not None and whole.channels[0] not in conditions:
        if target.variable.alone is not None:
            raise ValueError(
                f"{target.label} is one part of a whole, in its units: its share is known only with cond=, the "
                f"{whole.long_name or whole.name}"
            )
        conditions = (*conditions, *whole.channels)  # what the parts add up to
    if weights is not None and not takes_weights(method, (*targets, *conditions)):
        raise ValueError(f"{method.name} needs no weights, found weights={weights!r}; leave weights= out")
    chosen = method.default_weights((*targets, *conditions)) if weights is None else weights
    if chosen is None:
        return None, (*targets, *conditions)
    fitted = load(chosen)
    if weights is not None:
        _check_weights(method, fitted)
    card = fitted.card
    if card.targets != targets:
        raise ValueError(
            f"the weights {card.name!r} fill {', '.join(card.targets)}, not {', '.join(targets)} ({target.label}); "
            "leave weights= out, and the method finds its own, or use background()"
        )
    if unknown := [channel for channel in conditions if channel not in card.conditions]:
        raise ValueError(
            f"the weights {card.name!r} do not know {', '.join(unknown)}; they know "
            f"{', '.join(card.conditions) or 'no conditions'}. Leave it out of cond=, or use background()"
        )
    if card.conditions and not given:
        warn(
            f"{target.label} is filled without cond=; the weights {card.name!r} know {', '.join(card.conditions)}, "
            "with which they are better"
        )
    return fitted, card.channels


def _check_weights(method: Method, weights: Weights) -> None:
    """Refuse weights of users that are not of the method's kind, or that its network cannot be built from."""
    if isinstance(method, NetMethod):
        check_network(weights, method.model)
    elif isinstance(method, SeriesMethod) and weights.card.method != method.name:
        raise ValueError(
            f"{method.name} takes weights that it was fitted to, found {weights!r}; leave weights= out, and it is "
            "fitted to these data"
        )


def _ranges(channels: Sequence[str], weights: Weights | None) -> tuple[tuple[float, float], ...]:
    known = {} if weights is None else weights.card.ranges
    return tuple((float(low), float(high)) for low, high in (known.get(c, (-np.inf, np.inf)) for c in channels))
