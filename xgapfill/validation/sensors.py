"""Sensor transfer: the fill at pixels that only another sensor saw, beside the difference of both sensors elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from xgapfill.validation.verdict import Verdict, by_dates, exponential, share


def transfer(target: ArrayLike, filled: ArrayLike, other: ArrayLike) -> list[Verdict]:
    """Compare a fill with another sensor where the target is missing.

    The other sensor must not have been used for the fill.

    Parameters
    ----------
    target, filled, other : (t, y, x) float
        In the units of scores (log10 of chlorophyll). NaN where the target is missing, where nothing was filled, where
        the other sensor did not see.

    Returns
    -------
    list of Verdict
        ``sensor offset``: mean of filled minus other where only the other saw, less target minus other at the nearest
        pixel of the frame where both saw, since offsets of sensors change from place to place; 0 if nothing is wrong.
        ``sensor error``: standard deviation of filled minus other over that of target minus other: 1 for a fill as
        good as a measurement. It tells how good the fill is and is not judged: its expected value is its own.

    References
    ----------
    Withholding one satellite: observing-system experiments of OceanBench, Johnson et al. (2023), arXiv:2309.15599.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean, other_sensor
    >>> scene = ocean("sensor")
    >>> target = np.where(scene.observed, scene.truth, np.nan)
    >>> transfer(target, scene.made(scene.mean), other_sensor(scene))[0].passed
    False
    """
    target, filled, other = (np.asarray(each, np.float64) for each in (target, filled, other))
    if not target.shape == filled.shape == other.shape or target.ndim != 3:
        raise ValueError(
            f"expected three (t, y, x) arrays of one shape, found {target.shape}, {filled.shape} and {other.shape}"
        )
    only, both = np.where(np.isnan(target), filled, np.nan) - other, target - other
    sums = np.concatenate([_sums(only - _nearest(both)), _sums(only), _sums(both)], axis=1)
    sums = sums[(sums[:, 2] > 0) & (sums[:, 8] > 0)]
    offset = by_dates("sensor offset", sums[:, [0, 2]], share, 0.0)
    error = exponential(by_dates("sensor error", sums[:, 3:], _ratio, 0.0))
    return [offset, replace(error, expected=error.value)]


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the ratio of two standard deviations, given sum, sum of squares and number of each."""
    first, second = (sums[..., k + 1] / sums[..., k + 2] - (sums[..., k] / sums[..., k + 2]) ** 2 for k in (0, 3))
    return np.asarray(0.5 * np.log(first / second))


def _nearest(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Value of the nearest known pixel of each frame; NaN in frames without any."""
    found = np.full(difference.shape, np.nan)
    for frame, values in enumerate(difference):
        known = np.isfinite(values)
        if known.any():
            place = scipy.ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            found[frame] = values[tuple(place)]
    return found


def _sums(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum, sum of squares and number of the known values of each frame, (t, 3)."""
    known = np.isfinite(difference)
    values = np.where(known, difference, 0.0)
    return np.stack([values.sum((1, 2)), (values**2).sum((1, 2)), known.sum((1, 2))], axis=1)
