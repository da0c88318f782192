"""A verdict of a test, with an interval from resampling dates: pixels of a date are alike, so a date is the unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

LEAST = 3  # dates without which nothing is said
LEAST_ALIKE = 8  # dates without which nothing is known of how alike neighbours are
SIGNIFICANT = 1.645  # standard deviations of a correlation
MOST_ALIKE = 0.8  # largest correlation of neighbouring dates that is allowed for


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    Attributes
    ----------
    name : str
    value : float
        The statistic.
    expected : float
        Its value if nothing is wrong.
    low, high : float
        Interval of the statistic; NaN where there are too few dates.
    dates : int
        Number of dates with values.

    Examples
    --------
    >>> Verdict("bias", 0.02, 0.0, -0.01, 0.05, 30).passed
    True
    """

    name: str
    value: float
    expected: float
    low: float
    high: float
    dates: int

    @property
    def tested(self) -> bool:
        """Whether there were enough dates."""
        return bool(np.isfinite(self.low) and not np.isnan(self.high))

    @property
    def passed(self) -> bool:
        """Whether the interval holds the expected value; also without an interval."""
        return not self.tested or bool(self.low <= self.expected <= self.high)

    def __str__(self) -> str:
        word = "not tested" if not self.tested else "passed" if self.passed else "FAILED"
        span = f"[{self.low:.3g}, {self.high:.3g}]"
        return f"{self.name:24}{self.value:9.3g} {span:20} expected {self.expected:.3g}: {word}, {self.dates} dates"


def summed(dates: ArrayLike, *values: ArrayLike) -> NDArray[np.float64]:
    """Sum of each of k arrays by date, (d, k), for dates in ascending order.

    Parameters
    ----------
    dates : (n,) int
        Label of the unit of each value: the date, or the month where neighbouring dates are alike.
    *values : (n,) float
        NaN counts as 0.

    Examples
    --------
    >>> summed([0, 0, 2], [1.0, 2.0, 5.0], [1, 1, 1])
    array([[3., 2.],
           [5., 1.]])
    """
    names, place = np.unique(np.asarray(dates), return_inverse=True)
    count = len(names)
    columns = [np.bincount(place, np.nan_to_num(np.asarray(each, np.float64)), count) for each in values]
    return np.stack(columns, axis=1) if count else np.zeros((0, len(values)))


def by_dates(
    name: str,
    sums: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64] | float],
    expected: float,
    *,
    weight: NDArray[np.float64] | None = None,
    level: float = 0.95,
) -> Verdict:
    """Judge a statistic of sums over dates by leaving out one date after the other.

    Parameters
    ----------
    name : str
    sums : (d, k) float
        Sums by date, as of `summed`, in the order of time: where neighbouring dates are significantly alike, the
        interval becomes wider.
    statistic : callable
        Value of the statistic, given (..., k) sums.
    expected : float
        Its value if nothing is wrong.
    weight : (d,) float, optional
        How much a date counts, by default its last sum. The t distribution has as many degrees of freedom as there
        are dates of equal weight, less one.
    level : float
        Of the interval.

    Returns
    -------
    Verdict

    References
    ----------
    Jackknife: Tukey (1958), doi:10.1214/aoms/1177706647. Dates that are alike: Bayley & Hammersley (1946),
    doi:10.2307/2983560; bias of their correlation: Kendall (1954), doi:10.1093/biomet/41.3-4.403.

    Examples
    --------
    >>> sums = summed(np.repeat(np.arange(9), 4), np.tile([1.0, -1.0, 2.0, -2.0], 9), np.ones(36))
    >>> found = by_dates("mean", sums, lambda s: s[..., 0] / s[..., 1], 0.0)
    >>> found.value, found.passed
    (0.0, True)
    """
    count = len(sums)
    if not count:
        return Verdict(name, np.nan, expected, np.nan, np.nan, 0)
    weight = sums[:, -1] if weight is None else np.asarray(weight, np.float64)
    total = sums.sum(axis=0)
    with np.errstate(all="ignore"):
        value = float(statistic(total))
        left = np.asarray(statistic(total - sums), np.float64)
        alike = weight.sum() ** 2 / max((weight**2).sum(), 1e-300)
    if count < LEAST or alike < 2 or not np.isfinite(left).all():
        return Verdict(name, value, expected, np.nan, np.nan, count)
    away = left - left.mean()
    error = np.sqrt((count - 1) / count * (away**2).sum() * _together(away))
    reach = float(scipy.special.stdtrit(alike - 1, (1 + level) / 2) * error)
    return Verdict(name, value, expected, value - reach, value + reach, count)


def _together(away: NDArray[np.float64]) -> float:
    """Factor of the variance where neighbouring dates are alike: (1 + r) / (1 - r) with the correlation r at lag 1.

    It is 1 unless r is significantly above 0. The estimate of r is corrected for its bias in short series.
    """
    count, whole = away.size, (away**2).sum()
    if count < LEAST_ALIKE or whole == 0:
        return 1.0
    r = float((away[1:] * away[:-1]).sum() / whole)
    if r <= SIGNIFICANT / np.sqrt(count):
        return 1.0
    r = min(r + (1 + 3 * r) / count, MOST_ALIKE)
    return (1 + r) / (1 - r)


def mean_of(name: str, dates: ArrayLike, values: NDArray[np.floating], expected: float, level: float = 0.95) -> Verdict:
    """Judge the mean of values; NaN values are left out."""
    known = np.isfinite(values)
    sums = summed(np.asarray(dates)[known], values[known], np.ones(int(known.sum())))
    return by_dates(name, sums, share, expected, level=level)


def share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """First sum over the last."""
    return np.asarray(sums[..., 0] / sums[..., -1])


def exponential(found: Verdict) -> Verdict:
    """A verdict on a logarithm as one on the ratio."""
    value, low, high, expected = (float(np.exp(x)) for x in (found.value, found.low, found.high, found.expected))
    return Verdict(found.name, value, expected, low, high, found.dates)
