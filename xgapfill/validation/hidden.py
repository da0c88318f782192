"""Errors at hidden pixels: by distance, in calm and active surroundings, by season; use of what was observed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xgapfill.lattice.distance import NAMES
from xgapfill.validation.means import mean_errors, regional_units
from xgapfill.validation.scene import Scene
from xgapfill.validation.verdict import Verdict, by_dates, mean_of, share, summed

SEASONS = ("Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov")


def groups(scene: Scene) -> dict[str, NDArray[np.bool_]]:
    """Groups of hidden pixels: all, by distance to the nearest observed pixel, calm and active, by season.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> list(groups(ocean()))[:4]
    ['all', '<=2 px', '3-8 px', '>8 px']
    """
    found = {"all": np.ones(scene.error.shape, bool)}
    found |= {f"{name} px": scene.distance == number for number, name in enumerate(NAMES)}
    if np.isfinite(scene.active).any():
        low, high = np.nanquantile(scene.active, [1 / 3, 2 / 3])
        found |= {"calm": scene.active <= low, "active": scene.active > high}
    if scene.months is not None:
        season = ((np.asarray(scene.months) + 1) % 12 // 3)[scene.dates]
        found |= {name: season == number for number, name in enumerate(SEASONS)}
    return {name: there for name, there in found.items() if there.any()}


def errors_by_group(scene: Scene) -> pd.DataFrame:
    """Root-mean-square error and bias of groups of hidden pixels, of means, and of the worst date, with 95 % intervals.

    Returns
    -------
    DataFrame
        Columns ``rmse``, ``rmse_low``, ``rmse_high``, ``bias``, ``bias_low``, ``bias_high``, ``values``, ``dates``.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> table = errors_by_group(ocean())
    >>> bool(table.rmse["worst date"] > table.rmse["all"])
    True
    """
    rows = {}
    for name, there in groups(scene).items():
        rows[name] = _row(scene.dates[there], scene.error[there])
    units, parts = regional_units(scene)
    labels, errors, _ = mean_errors(scene, units)
    rows["regional means"] = _row(labels // parts, errors)
    if scene.months is not None:
        months = np.broadcast_to(np.asarray(scene.months)[:, None, None], scene.truth.shape)
        labels, errors, _ = mean_errors(scene, months)
        rows["monthly means"] = _row(labels, errors)
    every = np.unique(scene.dates)
    if every.size:
        worst = max(every, key=lambda date: (scene.error[scene.dates == date] ** 2).mean())
        error = scene.error[scene.dates == worst]
        rows["worst date"] = (np.sqrt((error**2).mean()), np.nan, np.nan, error.mean(), np.nan, np.nan, error.size, 1)
    columns = ["rmse", "rmse_low", "rmse_high", "bias", "bias_low", "bias_high", "values", "dates"]
    return pd.DataFrame.from_dict(rows, "index", columns=columns)


def _row(dates: NDArray, error: NDArray) -> tuple[float, ...]:
    """Row of the table, given errors and the dates they are of."""
    mean = mean_of("bias", dates, error, 0.0)
    sums = summed(dates, error**2, np.ones(error.size))
    square = by_dates("rmse", sums, lambda s: np.sqrt(share(s)), 0.0)
    low = max(square.low, 0.0) if square.tested else np.nan
    return square.value, low, square.high, mean.value, mean.low, mean.high, error.size, mean.dates


def bias(scene: Scene) -> list[Verdict]:
    """Whether the mean error is 0, of all hidden pixels and of each group.

    The pixels of a date are alike, so dates are resampled; of 20 rows one fails by chance. Calm and active pixels are
    left out: they are known only from the truth.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> bias(ocean())[0].passed, bias(ocean("long gaps"))[0].passed
    (True, False)
    """
    found = []
    for name, there in groups(scene).items():
        if name not in ("calm", "active"):
            title = "bias" if name == "all" else f"bias {name}"
            found.append(mean_of(title, scene.dates[there], scene.error[there], 0.0))
    return found


def unused(scene: Scene) -> list[Verdict]:
    """Whether the error depends on what was observed nearby: then the fill does not use it all, or too much of it.

    The statistic is the slope of the error on the departure of the nearest observed pixel of the frame from the mean:
    -1 for a fill that copies the mean of a smooth field, 0 for the best estimate, positive for one that follows
    its neighbours too closely.

    References
    ----------
    Tests of whether forecasts use all information: Mincer & Zarnowitz (1969), in Economic Forecasts and Expectations.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> unused(ocean())[0].passed, unused(ocean("mean"))[0].passed
    (True, False)
    """
    near = scene.nearest - scene.centre
    good = np.isfinite(near)
    near, error, dates = near[good], scene.error[good], scene.dates[good]
    return [by_dates("unused observations", summed(dates, error * near, near**2), share, 0.0)]


def better_than_mean(scene: Scene) -> list[Verdict]:
    """Whether the mean-square error is below that of the mean of all that was observed.

    The statistic is the share of that error which is left. It fails unless its whole interval lies below 1: a
    requirement rather than a law that holds by chance in 95 % of cases.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> better_than_mean(ocean())[0].passed, better_than_mean(ocean("mean"))[0].passed
    (True, False)
    """
    plain = (scene.known - scene.centre) ** 2
    found = by_dates("error over that of mean", summed(scene.dates, scene.error**2, plain), share, 0.0)
    reached = np.nan if not found.tested else 0.0 if found.high < 1 else found.low
    return [Verdict(found.name, found.value, 0.0, reached, found.high, found.dates)]
