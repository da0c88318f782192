"""Fit the net of a generative method on a gappy series of the user: from xarray objects to weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xgapfill import inputs
from xgapfill.extract import extract
from xgapfill.fill import Case, kernel_of, read_case
from xgapfill.fitting import SAMPLE_BYTES
from xgapfill.methods import Background
from xgapfill.methods.base import NetMethod
from xgapfill.weights import Weights

MINUTES = 10.0


def tune(
    target: xr.DataArray | Sequence[xr.DataArray],
    method: NetMethod,
    *,
    cond: Any = None,
    size_class: str | None = None,
    init: Any = "shipped",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    sea: Any = None,
    progress: bool | None = None,
    sample_bytes: int = SAMPLE_BYTES,
) -> Weights:
    """Train the net of a method on what was seen of a series; see `xgapfill.fit`.

    Parameters
    ----------
    target, cond, size_class, sea
        As of `xgapfill.fill.fill`.
    method : NetMethod
    init, minutes, steps, seed, progress
        As of `xgapfill.fit`.
    sample_bytes : int
        Size of the sample of the series that is read.
    """
    _check(minutes, steps, seed)
    case = _case(target, method, cond, size_class, init)
    quantity = case.quantity
    if quantity.grid.calendar == "none":
        raise ValueError(
            f"{quantity.label} has no times; a fit hides what was seen under the gaps of other dates, so it needs a "
            "series of maps"
        )
    from xgapfill.training.fit import Budget, fit
    from xgapfill.training.gappy import Gappy

    mask = inputs.read_sea(sea, quantity)
    kernel = kernel_of(case, method, sea=None if mask is None else mask[0])
    sources, grids = [*case.sources], [*case.grids]
    if mask is not None:
        sources, grids = [*sources, mask[1]], [*grids, mask[2]]
    patches = extract(kernel, sources, grids, sample_bytes)
    first = case.weights
    budget = Budget(MINUTES if minutes is None and steps is None else minutes, steps, int(seed))
    done = fit(
        Gappy(patches, len(quantity.family.channels)),
        case.channels,
        _described(case),
        budget,
        model=method.model,
        init=first,
        name=_name(method, first),
        progress=progress,
    )
    if not done.better and first is not None:
        inputs.warn(
            f"the fit to {quantity.label} did not get better than {first.card.name!r} at pixels held out, so these "
            "weights are returned as they were; a longer series or more minutes may help"
        )
    return done.weights


def _check(minutes: float | None, steps: int | None, seed: int) -> None:
    if minutes is not None and steps is not None:
        raise ValueError(f"give minutes= or steps=, not both; found minutes={minutes!r} and steps={steps!r}")
    if minutes is not None and not (
        isinstance(minutes, (int, float)) and not isinstance(minutes, bool) and math.isfinite(minutes) and minutes > 0
    ):
        raise ValueError(f"minutes must be a number above 0, found {minutes!r}")
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ValueError(f"{name} must be a whole number of at least {least}, found {value!r}")


def _case(target: Any, method: NetMethod, cond: Any, size_class: str | None, init: Any) -> Case:
    """What is fitted, with the weights to begin with if there are any."""
    if init is None:  # the background knows which channels there are priors for
        return read_case(target, Background(), cond, None, size_class)
    case = read_case(target, method, cond, None if isinstance(init, str) and init == "shipped" else init, size_class)
    if case.weights is not None and case.weights.card.method != method.model:
        raise ValueError(
            f"init={case.weights.card.name!r} are weights of kind {case.weights.card.method!r}, but {method.name} has "
            f"nets of kind {method.model!r}; give others, or init=None to begin from nothing"
        )
    return case


def _described(case: Case) -> str:
    quantity = case.quantity
    t, y, x = quantity.grid.shape
    given = f" given {', '.join(each.label for each in case.given)}" if case.given else ""
    coordinate = quantity.arrays[0].coords[quantity.axes[0].names["time"]].values
    first, last = (str(stamp)[:10] for stamp in (min(coordinate), max(coordinate)))
    lat, lon = quantity.grid.lat_of(quantity.grid.rows), quantity.grid.lon_of(quantity.grid.cols)
    return (
        f"Seen pixels of {quantity.label}{given}: {t} times from {first} to {last}, {y} x {x} pixels, latitudes "
        f"{lat.min():.4g} to {lat.max():.4g}, longitudes {lon[0]:.4g} to {lon[-1]:.4g}"
    )


def _name(method: NetMethod, init: Weights | None) -> str:
    return f"{method.model}-fit" if init is None else f"{init.card.name.removesuffix('-fit')}-fit"
