"""Recommends a method for a series: tries the suitable ones on withheld pixels of it, within a time budget."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill.api.reconstruct import reconstruct, withhold
from xgapfill.api.verbs import Predictors
from xgapfill.inputs.axes import find_axes
from xgapfill.kernel.job import FillOptions
from xgapfill.methods import NetMethod, find
from xgapfill.methods.registry import BUILT_IN
from xgapfill.validation import scores
from xgapfill.validation.case import Withheld
from xgapfill.validation.table import Reconstruction
from xgapfill.validation.verdict import Verdict, mean_of

MOST = 1 << 20  # values that are tried on
SIDE = 192  # pixels of them along each side
USUAL = 0.05  # core-seconds of a window of a method that does not tell
LEAST_COST = 0.01  # core-seconds of a window, below which a method does not tell the pace
FIRST = ("interpolate", "background")  # these are tried in any case
CLOSE = 1.02  # a method as good as this and faster is named beside the best


@dataclass(frozen=True)
class Recommendation:
    """Methods in order of their scores on withheld pixels of a series.

    Attributes
    ----------
    table : DataFrame
        Best first: ``crps``, ``rmse``, its 95 % interval from resampling dates, ``bias``, ``seconds``, and ``note`` for
        those that were not tried.
    why : str
        A sentence.
    call : str
        The call to type, where the target is called by its name.
    """

    table: pd.DataFrame
    why: str
    call: str

    def __repr__(self) -> str:
        return f"{self.table.round(4).to_string(na_rep='-')}\n\n{self.why}\n\n    {self.call}"


def recommend(
    da: xr.DataArray,
    cond: Predictors = None,
    *,
    minutes: float = 5.0,
    members: int | None = None,
    methods: Sequence[str] | None = None,
    masks: Any = None,
    seed: int = 0,
    insitu: Any = None,
    error: Any = None,
    also: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
    prior: Any = "auto",
) -> Recommendation:
    """Recommend a method: those that suit are tried on withheld pixels of this series. Computes.

    A large series is tried on a part of it, where most is observed. The fast methods come first; one that would exceed
    the budget is left out, and the table says so.

    Parameters
    ----------
    da : DataArray
        The target, a series of maps.
    cond, insitu, error, also, sea, size_class, time_step, transform, prior
        As in `repaint`.
    minutes : float
        Time budget.
    members : int, optional
        Try this many members of each method; by default estimates.
    methods : sequence of str, optional
        Names of the methods to try; by default all of the package.
    masks, seed
        Pixels to withhold, as in `validate`.

    Returns
    -------
    Recommendation
        Print it: a ranked table, a sentence why, and the call to type.

    Raises
    ------
    ValueError
        The budget is not positive, or no method could be tried.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> found = xgapfill.recommend(ds.CHL, methods=["interpolate", "climatology", "background"])
    >>> found.call
    'CHL.gapfill.background()'
    """
    if not (isinstance(minutes, (int, float, np.number)) and minutes > 0):
        raise ValueError(f"minutes must be a positive number, found {minutes!r}")
    how = {"size_class": size_class, "time_step": time_step, "transform": transform}
    options = FillOptions(
        seed=seed, insitu=insitu, error=error, also=also, sea=sea, prior=prior, members=members, **how
    )
    part, note = (da, "") if masks is not None else _part_of(da)
    withheld = withhold(part, None, masks, cond, options)
    names = _suitable(members) if methods is None else list(methods)
    budget = 60 * float(minutes)
    tried, left_out = _tried(withheld, names, cond, members, options, budget)
    if not tried:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"no method could be tried. {reasons}")
    return _ranked(withheld, tried, left_out, _call(da, cond, members), note)


def _suitable(members: int | None) -> list[str]:
    """Methods of the package that give what is asked for without a fit before, the fast ones first."""
    ready = [kind for kind in BUILT_IN if not issubclass(kind, NetMethod) or kind.shipped]
    found = [kind.name for kind in ready if members is not None or not find(kind.name).draws]
    return sorted(found, key=lambda name: (name not in FIRST, _cost(name)))


def _cost(name: str) -> float:
    """Core-seconds of a window; a fit counts as a slow method."""
    text = str(find(name).costs)
    number = re.match(r"[\d.]+", text)
    return max(float(number.group()) if number else USUAL, USUAL if "fit" in text else 0)


def _tried(
    withheld: Withheld, names: Sequence[str], cond: Any, members: int | None, options: FillOptions, budget: float
) -> tuple[dict[str, Reconstruction], dict[str, str]]:
    """What the methods made of the withheld pixels, and why others were left out."""
    start, pace = time.perf_counter(), 0.0  # pace: seconds per nominal core-second of a window
    tried: dict[str, Reconstruction] = {}
    left_out: dict[str, str] = {}
    for name in names:
        spent = time.perf_counter() - start
        if tried and name not in FIRST and spent + pace * _cost(name) > budget:
            left_out[name] = f"left out: about {spent + pace * _cost(name):.0f} of {budget:.0f} s"
            continue
        try:
            method = find(name)
            one = replace(options, insitu=None, error=None) if not method.takes_errors else options
            tried[name] = reconstruct(withheld, {name: method}, cond, members or 2, one, False)[name]
        except (ValueError, TypeError) as problem:
            left_out[name] = f"not possible: {str(problem).split('. ')[0].split(';')[0]}"
            continue
        if _cost(name) >= LEAST_COST:  # what is shared by all windows counts less for slow methods
            pace = tried[name].seconds / _cost(name)
    return tried, left_out


def _ranked(
    withheld: Withheld, tried: dict[str, Reconstruction], left_out: dict[str, str], call: str, note: str
) -> Recommendation:
    truth, dates = withheld.truth[:, withheld.hidden], np.nonzero(withheld.hidden)[0]
    rows = {}
    for name, one in tried.items():
        square = _mean_square("", one, truth, dates)
        limits = np.sqrt(np.maximum([square.low, square.high], 0))
        bias = float(np.nanmean(one.mean - truth))
        rows[name] = (_crps(one, truth), np.sqrt(square.value), *limits, bias, one.seconds, "")
    columns = ["crps", "rmse", "rmse_low", "rmse_high", "bias", "seconds", "note"]
    table = pd.DataFrame.from_dict(rows, "index", columns=columns).sort_values("crps", kind="stable")
    for name, reason in left_out.items():
        table.loc[name] = [np.nan] * 6 + [reason]
    table.index.name = "method"
    names = list(tried) if len(tried) == 1 else list(table.index[: len(tried)])
    why = _sentence(table, names, tried, truth, dates)
    return Recommendation(table, " ".join(filter(None, [why, note])), call.format(name=names[0]))


def _sentence(
    table: pd.DataFrame, names: list[str], tried: dict[str, Reconstruction], truth: NDArray, dates: NDArray
) -> str:
    """Why the first method is recommended."""
    best = names[0]
    hidden, count = truth.shape[-1], np.unique(dates).size
    text = f"{best} has the lowest CRPS ({table.crps[best]:.4g}) at {hidden} withheld pixels of {count} dates"
    if len(names) == 1:
        return f"{text}; no other method could be tried."
    second = names[1]
    away = np.nanmean((tried[best].mean - truth) ** 2 - (tried[second].mean - truth) ** 2, axis=0)
    gap = mean_of("", dates, away, 0.0)
    sure = gap.tested and gap.high < 0
    text += f"; its squared error is {'' if sure else 'not '}certainly lower than that of {second}, from date to date."
    close = (name for name in names[1:] if table.crps[name] <= CLOSE * table.crps[best])
    fast = [name for name in close if 3 * table.seconds[name] < table.seconds[best]]
    if fast:
        text += (
            f" {fast[0]} is nearly as good and takes {table.seconds[fast[0]] / table.seconds[best]:.0%} of the time."
        )
    return text


def _mean_square(name: str, one: Reconstruction, truth: NDArray, dates: NDArray) -> Verdict:
    return mean_of(name, dates, np.nanmean(np.asarray(one.mean - truth, np.float64) ** 2, axis=0), 0.0)


def _crps(one: Reconstruction, truth: NDArray) -> float:
    if one.members is not None:
        return float(np.nanmean(scores.crps_ensemble(one.members, truth)))
    spread = np.zeros_like(one.mean) if one.spread is None else one.spread
    return float(np.nanmean(scores.crps_gaussian(one.mean, spread, truth)))


def _call(da: xr.DataArray, cond: Any, members: int | None) -> str:
    """The call to type, with ``{name}`` for the method."""
    words = []
    if cond is not None:
        whole = cond.values() if isinstance(cond, xr.Dataset) else cond
        given = [cond] if isinstance(cond, xr.DataArray) else list(whole)
        names = [str(each.name) for each in given]
        words.append(f"cond={names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}")
    if members is not None:
        words.append(f"members={members}")
    return f"{da.name or 'da'}.gapfill.{{name}}({', '.join(words)})"


def _part_of(da: xr.DataArray) -> tuple[xr.DataArray, str]:
    """A part of a large series, around the pixels that are most observed in its middle frame; and a note."""
    if da.size <= MOST:
        return da, ""
    axes = find_axes(da)
    frames = 1 if axes.time is None else da.sizes[axes.time]
    middle = da if axes.time is None else da.isel({axes.time: frames // 2})
    seen = middle.notnull().any([d for d in middle.dims if d not in (axes.lat, axes.lon)])
    whole = seen.transpose(axes.lat, axes.lon).values
    at = {}
    for dim, other in ((axes.lat, 1), (axes.lon, 0)):
        count = whole.sum(axis=other)
        side = min(SIDE, count.size)
        first = int(np.argmax(np.convolve(count, np.ones(side), "valid")))
        at[dim] = slice(first, first + side)
    part = da.isel(at)
    if axes.time is not None and part.size > MOST:
        keep = max(8, MOST * frames // part.size)
        first = max(0, (frames - keep) // 2)
        part = part.isel({axes.time: slice(first, first + keep)})
    shape = " x ".join(f"{size} {dim}" for dim, size in part.sizes.items())
    return part, f"Tried on a part of the series: {shape}."
