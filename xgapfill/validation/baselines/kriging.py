"""Local space-time kriging from the nearest observed pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Covariance:
    """Powered exponential covariance exp(-(h / length)^power) with a nugget, h in pixels of space.

    Attributes
    ----------
    frame : float
        Length of a time step in pixels of space.
    length : float
        Decay length in pixels.
    power : float
        Between 0 (rough) and 2 (smooth).
    nugget : float
        Noise variance of a pixel, as a share of the variance.
    """

    frame: float = 8.0
    length: float = 60.0
    power: float = 1.0
    nugget: float = 0.02

    def __call__(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance, as a share of the variance, at squared distances."""
        return (1 - self.nugget) * np.exp(-((squared / self.length**2) ** (self.power / 2)))


def kriging(
    values: Field, wanted: NDArray[np.bool_], parameters: Covariance, *, neighbours: int = 60, batch: int = 512
) -> tuple[Field, Field]:
    """Ordinary kriging of each target pixel from its nearest observed pixels in scaled space-time.

    The local mean and the local variance are estimated from the same neighbours.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.
    wanted : (t, y, x) bool
        Pixels to estimate; the others are returned as NaN.
    parameters : Covariance
        Covariance of `values`.

    Returns
    -------
    estimate, spread : (t, y, x) float32
        Value and standard deviation of the error of a new observation there.
    """
    scale = np.array([parameters.frame, 1.0, 1.0])
    observed = np.isfinite(values)
    places = np.argwhere(observed) * scale
    data = values[observed].astype(np.float64)
    targets = np.argwhere(wanted) * scale
    count = min(neighbours, len(places))
    if count == 0:
        raise ValueError("kriging needs at least one observed pixel")
    estimate = np.full(values.shape, np.nan, np.float32)
    spread = np.full(values.shape, np.nan, np.float32)
    tree = scipy.spatial.cKDTree(places)
    results = np.empty((2, len(targets)), np.float32)
    for start in range(0, len(targets), batch):
        part = slice(start, start + batch)
        near = tree.query(targets[part], k=count)[1].reshape(-1, count)
        results[:, part] = _ordinary(targets[part], places[near], data[near], parameters)
    estimate[wanted], spread[wanted] = results
    return estimate, spread


def _ordinary(
    targets: NDArray[np.float64], places: NDArray[np.float64], data: NDArray[np.float64], covariance: Covariance
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate and error deviation at targets (n, 3) from observed (n, k) at places (n, k, 3)."""
    count = data.shape[1]
    square = np.sum(places**2, axis=-1)
    between = square[:, :, None] + square[:, None, :] - 2 * places @ places.swapaxes(1, 2)
    matrix = covariance(np.maximum(between, 0))
    matrix[:, np.arange(count), np.arange(count)] = 1.0
    toward = covariance(np.sum((places - targets[:, None]) ** 2, axis=-1))
    ones = np.ones_like(data)
    solved = np.linalg.solve(matrix, np.stack([data, ones, toward], axis=-1))
    by_observed, by_ones, weights = np.moveaxis(solved, -1, 0)
    total = by_ones.sum(axis=1)
    mean = by_observed.sum(axis=1) / total
    anomaly = data - mean[:, None]
    estimate = mean + np.sum(weights * anomaly, axis=1)
    sill = np.sum(anomaly * (by_observed - mean[:, None] * by_ones), axis=1) / max(count - 1, 1)
    share = 1 - np.sum(weights * toward, axis=1) + (1 - weights.sum(axis=1)) ** 2 / total
    return estimate, np.sqrt(np.maximum(sill * share, 0))
