"""Match-ups: samples in the water beside the map, at observed pixels and at filled ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import read as inputs
from xgapfill.inputs.insitu import read_samples
from xgapfill.validation.case import cube
from xgapfill.validation.verdict import Verdict, by_dates, mean_of, share, summed
from xgapfill.variables import Given

LEAST = 3  # match-ups of which statistics are made
STATISTICS = ("n", "bias", "bias_low", "bias_high", "rmse", "mdad", "slope", "r")


def pairs(
    filled: xr.DataArray, table: pd.DataFrame, observed: xr.DataArray, *, window: tuple[int, int] = (3, 1)
) -> pd.DataFrame:
    """Pair samples with the map around them: the median of a window, in log10 where the variable is filled so.

    Parameters
    ----------
    filled : DataArray
        The filled map, without members. The samples must not have been used for the fill.
    table : DataFrame
        Samples, one per row: ``time``, ``lat``, ``lon`` and the value, in a column with the name of the variable or
        ``value``.
    observed : DataArray
        The map before it was filled.
    window : (int, int)
        Pixels along each side, and time steps; odd numbers.

    Returns
    -------
    DataFrame
        Columns ``sample``, ``map``, ``where`` (observed or filled: at the pixel of the sample) and ``date``.

    References
    ----------
    3 x 3 pixels: Bailey & Werdell (2006), doi:10.1016/j.rse.2006.01.015.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 24), lon=slice(0, 24))
    >>> table = pd.DataFrame(
    ...     {"time": ds.time[[3, 5]].values, "lat": ds.lat[[9, 20]], "lon": ds.lon[[7, 12]], "CHL": [0.3, 0.4]}
    ... )
    >>> list(pairs(xgapfill.background(ds.CHL), table, ds.CHL).columns)
    ['sample', 'map', 'where', 'date']
    """
    if any(not isinstance(n, int) or n < 1 or n % 2 == 0 for n in window):
        raise ValueError(f"window must be odd numbers of pixels and of time steps, such as (3, 1); found {window}")
    quantity = inputs.read(observed, None, None, None, None)
    samples = read_samples(table, (quantity,), list(quantity.variable.channels))
    if quantity.variable.parts > 1:
        raise ValueError("expected one variable, found size classes; select one of them")
    columns = ["sample", "map", "where", "date"]
    if samples is None:
        return pd.DataFrame(columns=columns)
    values, before = _cube(filled, quantity), _cube(observed, quantity)
    grid, (side, steps) = quantity.grid, window
    at = zip(grid.index_slots(samples.slots), grid.index_rows(samples.rows), grid.index_cols(samples.cols), strict=True)
    nothing = Given(np.full((1, len(samples.values)), np.nan, np.float32))
    measured = quantity.variable.score(quantity.variable.decode_draw(samples.values[None], nothing))[0]
    rows = []
    for (slot, row, col), value in zip(at, measured, strict=True):
        if min(slot, row, col) < 0:
            continue
        around = tuple(slice(max(k - n // 2, 0), k + n // 2 + 1) for k, n in ((slot, steps), (row, side), (col, side)))
        seen = bool(np.isfinite(before[slot, row, col]))
        part = before[around] if seen else values[around]
        if np.isfinite(values[slot, row, col]):
            rows.append((float(value), float(np.nanmedian(part)), "observed" if seen else "filled", int(slot)))
    return pd.DataFrame(rows, columns=columns)


def matchups(
    filled: xr.DataArray, table: pd.DataFrame, observed: xr.DataArray, *, window: tuple[int, int] = (3, 1)
) -> pd.DataFrame:
    """Statistics of match-ups at observed pixels, at filled pixels, and their difference.

    The error at observed pixels is that of sensor, algorithm and sample; a fill can hardly be better. So the difference
    tells what filling costs.

    Parameters
    ----------
    filled, table, observed, window
        As in `pairs`.

    Returns
    -------
    DataFrame
        Rows ``observed``, ``filled``, ``difference``; columns ``n``, ``bias`` (map minus sample) with 95 % limits from
        resampling dates, ``rmse``, ``mdad`` (median absolute difference), ``slope`` (reduced major axis) and ``r``,
        in log10 where the variable is filled so; statistics of fewer than 3 match-ups are NaN.

    References
    ----------
    Statistics of ocean colour: Seegers et al. (2018), doi:10.1364/OE.26.007404.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 24), lon=slice(0, 24))
    >>> truth = ds.CHL_truth.rename("CHL").to_series().dropna().sample(90, random_state=0).reset_index()
    >>> found = matchups(xgapfill.background(ds.CHL), truth, ds.CHL, window=(1, 1))
    >>> bool(found.rmse["filled"] > found.rmse["observed"])
    True
    """
    both = pairs(filled, table, observed, window=window)
    rows = {where: _statistics(both[both["where"] == where]) for where in ("observed", "filled")}
    first, second = (dict(zip(STATISTICS, rows[where], strict=True)) for where in ("observed", "filled"))
    rows["difference"] = [second[name] - first[name] for name in STATISTICS]
    found = pd.DataFrame.from_dict(rows, "index", columns=list(STATISTICS))
    found.loc["difference", "n"] = np.nan
    limits = difference(both)
    found.loc["difference", ["bias_low", "bias_high"]] = limits.low, limits.high
    return found


def difference(both: pd.DataFrame) -> Verdict:
    """Bias of a map at filled pixels less that at observed ones: 0 if filling costs nothing on average.

    Parameters
    ----------
    both : DataFrame
        From `pairs`.

    Returns
    -------
    Verdict
        With an interval from resampling dates.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean, samples
    >>> difference(samples(ocean("sensor"))).passed, difference(samples(ocean())).passed
    (False, True)
    """
    away, made = (both["map"] - both["sample"]).to_numpy(float), (both["where"] == "filled").to_numpy()
    sums = summed(both["date"].to_numpy(int), away * made, made, away * ~made, ~made)
    weight = sums[:, 1] + sums[:, 3]
    return by_dates("match-up difference", sums, lambda s: share(s[..., :2]) - share(s[..., 2:]), 0.0, weight=weight)


def reduced_major_axis(x: NDArray, y: NDArray) -> float:
    """Slope of the reduced major axis: both variables have errors.

    References
    ----------
    Ricker (1973), doi:10.1139/f73-072.

    Examples
    --------
    >>> reduced_major_axis(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0]))
    2.0
    """
    return float(np.sign(np.corrcoef(x, y)[0, 1]) * y.std() / x.std())


def _statistics(part: pd.DataFrame) -> Sequence[float]:
    x, y = part["sample"].to_numpy(float), part["map"].to_numpy(float)
    if x.size < LEAST or x.std() == 0 or y.std() == 0:
        return [float(x.size), *[np.nan] * (len(STATISTICS) - 1)]
    away = y - x
    mean = mean_of("bias", part["date"].to_numpy(int), away, 0.0)
    limits = (mean.value, mean.low, mean.high)
    r = float(np.corrcoef(x, y)[0, 1])
    return [x.size, *limits, np.sqrt((away**2).mean()), np.median(np.abs(away)), reduced_major_axis(x, y), r]


def _cube(array: xr.DataArray, quantity: inputs.Quantity) -> NDArray[np.float64]:
    """(t, y, x) values in the units of scores."""
    return np.asarray(quantity.variable.score(cube(array.compute(), quantity))[0], np.float64)
