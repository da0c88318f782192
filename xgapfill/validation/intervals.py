"""Conformal intervals: the error over the stated spread at withheld pixels tells how wide intervals must be.

The unit is the date: pixels of a date are alike, and some dates are filled worse than their spread says. So a date has
a factor of its own, from its withheld pixels, as far as they tell, and from those of all dates. It is judged on clouds
that it was not learned from.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ALIKE = 20.0  # withheld pixels of a date that count as one: neighbours miss together
USUAL = 20.0  # weight of the usual factor in that of a date, as a number of such pixels
LEAST = 0.1  # of the usual factor: a date without any error still has an interval
SIDE = 5  # pixels of the square in which a pixel is called calm or active


def coverage_table(
    error: NDArray[np.floating],
    spread: NDArray[np.floating],
    dates: NDArray[np.integer],
    clouds: NDArray[np.integer],
    groups: dict[str, NDArray[np.bool_]],
    level: float,
) -> pd.DataFrame:
    """Coverage and width of intervals whose factor was learned on other clouds, and of normal ones.

    The clouds of a date are parted at random in two halves: each is judged by what the other and all other dates tell.

    Parameters
    ----------
    error, spread : (n,) estimate minus truth, and the stated standard deviation
    dates, clouds : (n,) number of the date, and of the cloud
    groups : name -> (n,) bool
        Rows of the table, besides all pixels and the date that is covered worst.
    level : float

    Returns
    -------
    DataFrame
        Columns ``coverage``, ``width``, ``normal_coverage``, ``normal_width``, ``values``.

    References
    ----------
    Leave-one-date-out: Barber et al. (2021), doi:10.1214/20-AOS1965.
    """
    ratio = np.abs(error) / np.maximum(spread, 1e-12)
    every = np.unique(dates)
    factor = np.empty(ratio.shape)
    half = np.random.default_rng(0).random(int(clouds.max()) + 1)[clouds] < 0.5
    for date in every:
        here = dates == date
        others = float(np.quantile(ratio[~here], level, method="higher")) if every.size > 1 else np.nan
        for judged, told in ((here & half, here & ~half), (here & ~half, here & half)):
            factor[judged] = factor_of_date(ratio[told], others, level)
    normal = NormalDist().inv_cdf((1 + level) / 2)
    inside, by_normal = ratio <= factor, ratio <= normal
    by_date = [inside[dates == date].mean() for date in every]
    groups = {"all": np.ones(ratio.shape, bool), "worst date": dates == every[int(np.argmin(by_date))]} | groups
    rows = {
        name: {
            "coverage": inside[there].mean(),
            "width": 2 * (factor * spread)[there].mean(),
            "normal_coverage": by_normal[there].mean(),
            "normal_width": 2 * normal * spread[there].mean(),
            "values": int(there.sum()),
        }
        for name, there in groups.items()
        if there.any()
    }
    return pd.DataFrame(rows).T.astype({"values": int})


def factor_of_date(ratio: NDArray[np.floating], usual: float, level: float) -> float:
    """Number of spreads that hold a share of the errors of a date, given some of its ratios and the usual number.

    A weighted mean of the logarithms of what its ratios say and of the usual number.

    Examples
    --------
    >>> factor_of_date(np.zeros(0), 1.5, 0.9)
    1.5
    >>> factor_of_date(np.full(400, 3.0), 1.5, 0.9) > 2.1
    True
    """
    weight = ratio.size / ALIKE
    if not weight or not usual > 0:
        return usual
    own = max(float(np.quantile(ratio, level)), LEAST * usual)
    return float(np.exp((weight * np.log(own) + USUAL * np.log(usual)) / (weight + USUAL)))


def activity(truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard deviation of the known values in a square around each pixel of (t, y, x) maps; NaN without any."""
    import scipy.ndimage

    known = np.isfinite(truth)
    size = (1, SIDE, SIDE)
    share = scipy.ndimage.uniform_filter(known.astype(float), size, mode="constant")
    values = np.where(known, truth - np.nanmean(truth), 0.0)
    first, second = (scipy.ndimage.uniform_filter(values**power, size, mode="constant") for power in (1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = second / share - (first / share) ** 2
    return np.sqrt(np.maximum(variance, 0))
