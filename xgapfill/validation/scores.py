"""Scores of estimates, of Gaussian error estimates and of ensembles, as numpy functions.

Members are on the first axis. Places where the truth, the estimate or any member is NaN are excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

LAGS = (1, 2, 4, 8, 16)
LEVEL = 0.9


def error(estimate: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> NDArray[np.float64]:
    """Estimate minus truth at the selected places, flat and without NaN.

    Parameters
    ----------
    estimate, truth : arrays of one shape
        In the same unit.
    where : bool array, optional
        Places to include; by default all.
    """
    difference = np.asarray(estimate, np.float64) - np.asarray(truth, np.float64)
    if where is not None:
        difference = difference[np.broadcast_to(np.asarray(where, bool), difference.shape)]
    return difference[np.isfinite(difference)]


def rmse(estimate: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> float:
    """Root-mean-square error; NaN without any place.

    Examples
    --------
    >>> rmse([1.0, 2.0, float("nan")], [1.0, 4.0, 0.0])
    1.4142135623730951
    """
    return float(np.sqrt(_mean(error(estimate, truth, where) ** 2)))


def mae(estimate: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> float:
    """Mean absolute error; NaN without any place."""
    return _mean(np.abs(error(estimate, truth, where)))


def bias(estimate: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> float:
    """Mean of estimate minus truth; NaN without any place."""
    return _mean(error(estimate, truth, where))


def crps_ensemble(members: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Fair continuous ranked probability score of each place: unbiased for any number of members.

    mean |x_i - y| - sum_ij |x_i - x_j| / (2 m (m - 1))

    Parameters
    ----------
    members : (m, ...) float
        At least two.
    truth : (...) float
        Observations.

    Returns
    -------
    (...) float64
        In the units of the truth, NaN where anything is NaN. The score of a single place may be negative, the mean is
        not.

    References
    ----------
    Ferro (2014), doi 10.1002/qj.2270

    Examples
    --------
    >>> crps_ensemble([[0.0], [2.0]], [1.0])
    array([0.])
    """
    members, truth = _ensemble(members, truth)
    count = len(members)
    ordered = np.sort(members, axis=0)
    # For sorted members sum_ij |x_i - x_j| = 2 sum_i (2 i - m - 1) x_i: m log m instead of m squared.
    rank = 2 * np.arange(1, count + 1) - count - 1
    pairs = 2 * np.tensordot(rank, ordered, axes=1)
    return np.mean(np.abs(members - truth), axis=0) - pairs / (2 * count * (count - 1))


def crps_gaussian(mean: ArrayLike, spread: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Continuous ranked probability score of a normal distribution at each place.

    Parameters
    ----------
    mean, spread, truth : arrays of one shape
        Spread is a standard deviation; 0 gives the absolute error.

    References
    ----------
    Gneiting et al. (2005), doi 10.1175/MWR2904.1
    """
    mean, spread, truth = (np.asarray(part, np.float64) for part in (mean, spread, truth))
    distance = np.abs(truth - mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = distance / spread
        score = spread * (
            z * (2 * scipy.special.ndtr(z) - 1) + np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) - 1 / np.sqrt(np.pi)
        )
    return np.where(spread > 0, score, np.where(spread == 0, distance, np.nan))


def spread_over_rmse(members: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> float:
    """Ensemble spread over the RMSE of its mean; 1 when members and truth are exchangeable.

    The spread is sqrt((m + 1) / m x mean variance), because the mean of m members is itself uncertain.

    References
    ----------
    Fortin et al. (2014), doi 10.1175/JHM-D-14-0008.1
    """
    members, truth = _ensemble(members, truth)
    count = len(members)
    variance = np.where(np.isfinite(truth), members.var(axis=0, ddof=1), np.nan)
    expected = _mean(_chosen(variance, where)) * (count + 1) / count
    return float(np.sqrt(expected)) / rmse(members.mean(axis=0), truth, where)


def coverage_t(members: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None, *, level: float = LEVEL) -> float:
    """Share of truth inside mean +- t(level, m - 1) s sqrt(1 + 1/m): `level` for exchangeable normal members.

    Quantiles of few members are unsuitable: the 5 to 95 % range of 8 perfect members covers 72 %.
    """
    members, truth = _ensemble(members, truth)
    count = len(members)
    reach = scipy.special.stdtrit(count - 1, (1 + level) / 2) * np.sqrt(1 + 1 / count) * members.std(axis=0, ddof=1)
    return _share(np.abs(truth - members.mean(axis=0)), reach, where)


def coverage_gaussian(
    mean: ArrayLike, spread: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None, *, level: float = LEVEL
) -> float:
    """Share of truth inside the central `level` interval of a normal distribution."""
    distance = np.abs(np.asarray(truth, np.float64) - np.asarray(mean, np.float64))
    return _share(distance, scipy.special.ndtri((1 + level) / 2) * np.asarray(spread, np.float64), where)


def coverage_range(members: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> float:
    """Share of truth between the lowest and the highest member: (m - 1) / (m + 1) for exchangeable members."""
    members, truth = _ensemble(members, truth)
    low, high = members.min(axis=0), members.max(axis=0)
    return _share(np.abs(truth - (low + high) / 2), (high - low) / 2, where)


def structure_function(
    field: ArrayLike, where: ArrayLike | None = None, *, lags: Sequence[int] = LAGS
) -> NDArray[np.float64]:
    """Mean squared difference of pixels that are a lag apart along a row or a column.

    Compared between a filled field and the truth, over the same `where`, it measures small-scale variability by size.

    Parameters
    ----------
    field : (..., y, x) float
        NaN where unknown.
    where : (..., y, x) bool, optional
        Pairs with either end here are included, and so is the seam between observed and filled pixels.
    lags : sequence of int
        In pixels.

    Returns
    -------
    (lags,) float64
        In the squared unit of the field, NaN for a lag without pairs.

    Examples
    --------
    >>> import numpy as np
    >>> structure_function(np.tile(np.arange(8.0), (8, 1)), lags=(1, 2))
    array([0.5, 2. ])
    """
    field = np.asarray(field, np.float64)
    counted = np.ones(field.shape, bool) if where is None else np.broadcast_to(np.asarray(where, bool), field.shape)
    result = np.full(len(lags), np.nan)
    for place, lag in enumerate(lags):
        squares = []
        for axis in (-2, -1):
            ahead, behind = _shifted(field, lag, axis)
            either = np.logical_or(*_shifted(counted, lag, axis))
            squares.append(((ahead - behind)[either]) ** 2)
        values = np.concatenate(squares)
        result[place] = _mean(values[np.isfinite(values)])
    return result


def degree_of_smoothing(reconstruction: ArrayLike, observed: ArrayLike) -> float:
    """RMS of the change at observed pixels before the observations are inserted again.

    References
    ----------
    doi 10.5194/gmd-19-1619-2026
    """
    return rmse(reconstruction, observed)


@dataclass(frozen=True)
class SpreadScale:
    """Factors, one per distance class, that optimise a Gaussian error estimate.

    They are fitted on one set and applied on another, for a fair comparison of classical methods with an ensemble.
    """

    factors: tuple[float, ...]

    @classmethod
    def fit(
        cls, mean: ArrayLike, spread: ArrayLike, truth: ArrayLike, classes: ArrayLike, count: int = 3
    ) -> SpreadScale:
        """Factors with the lowest mean Gaussian CRPS in each class; an empty class gets the factor of all places.

        Parameters
        ----------
        mean, spread, truth : float arrays of one shape
            Places where any is NaN are excluded.
        classes : int array of the same shape
            Class 0 ... count - 1 of each place.
        """
        mean, spread, truth = (np.asarray(part, np.float64) for part in (mean, spread, truth))
        known = np.isfinite(mean) & np.isfinite(spread) & np.isfinite(truth) & (spread > 0)
        if not known.any():
            raise ValueError("factors need places with a mean, a positive spread and a truth, found none")
        classes = np.asarray(classes)
        everywhere = _best_factor(mean[known], spread[known], truth[known])
        factors = []
        for k in range(count):
            here = known & (classes == k)
            factors.append(_best_factor(mean[here], spread[here], truth[here]) if here.any() else everywhere)
        return cls(tuple(factors))

    def apply(self, spread: ArrayLike, classes: ArrayLike) -> NDArray[np.float64]:
        """The spread times the factor of each place's class."""
        return np.asarray(spread, np.float64) * np.asarray(self.factors)[np.asarray(classes)]


def _best_factor(mean: NDArray[np.float64], spread: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    def score(logarithm: float) -> float:
        return _mean(crps_gaussian(mean, np.exp(logarithm) * spread, truth))

    return float(np.exp(scipy.optimize.minimize_scalar(score, bounds=(-4, 4), method="bounded").x))


def _ensemble(members: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Members and truth as float64; the truth is NaN wherever any member is."""
    members = np.asarray(members, np.float64)
    truth = np.asarray(truth, np.float64)
    if members.shape[1:] != truth.shape:
        raise ValueError(f"members must be (m, {', '.join(map(str, truth.shape))}), found shape {members.shape}")
    if len(members) < 2:
        raise ValueError(f"scores of an ensemble need at least 2 members, found {len(members)}")
    return members, np.where(np.isfinite(members).all(axis=0), truth, np.nan)


def _chosen(values: NDArray[np.float64], where: ArrayLike | None) -> NDArray[np.float64]:
    if where is not None:
        values = values[np.broadcast_to(np.asarray(where, bool), values.shape)]
    return values[np.isfinite(values)]


def _share(distance: NDArray[np.float64], reach: NDArray[np.float64], where: ArrayLike | None) -> float:
    """Share of places whose distance is at most `reach`, without NaN."""
    margin = _chosen(np.asarray(reach - distance, np.float64), where)
    return _mean((margin >= 0).astype(np.float64))


def _shifted(values: NDArray, lag: int, axis: int) -> tuple[NDArray, NDArray]:
    """Both ends of every pair that is `lag` apart along an axis."""
    size = values.shape[axis]
    lag = min(lag, size)
    ends = np.arange(lag, size), np.arange(size - lag)
    return np.take(values, ends[0], axis=axis), np.take(values, ends[1], axis=axis)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
