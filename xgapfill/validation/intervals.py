"""Conformal intervals: the error over the stated spread at withheld pixels tells how wide intervals must be.

The unit is the date: pixels of a date are alike, so coverage is judged on dates that the factor was not learned from.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIDE = 5  # pixels of the square in which a pixel is called calm or active


def coverage_table(
    error: NDArray[np.floating],
    spread: NDArray[np.floating],
    dates: NDArray[np.integer],
    groups: dict[str, NDArray[np.bool_]],
    level: float,
) -> pd.DataFrame:
    """Coverage and width of intervals whose factor was learned on the other dates, and of normal ones.

    Parameters
    ----------
    error, spread : (n,) estimate minus truth, and the stated standard deviation
    dates : (n,) number of the date
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
    for date in every:
        here = dates == date
        factor[here] = np.quantile(ratio[~here], level, method="higher") if every.size > 1 else np.nan
    normal = NormalDist().inv_cdf((1 + level) / 2)
    inside, usual = ratio <= factor, ratio <= normal
    by_date = [inside[dates == date].mean() for date in every]
    groups = {"all": np.ones(ratio.shape, bool), "worst date": dates == every[int(np.argmin(by_date))]} | groups
    rows = {
        name: {
            "coverage": inside[there].mean(),
            "width": 2 * (factor * spread)[there].mean(),
            "normal_coverage": usual[there].mean(),
            "normal_width": 2 * normal * spread[there].mean(),
            "values": int(there.sum()),
        }
        for name, there in groups.items()
        if there.any()
    }
    return pd.DataFrame(rows).T.astype({"values": int})


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
