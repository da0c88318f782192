"""The prior of a channel: its statistics before any observation is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e12
QUANTILES = (0.05, 0.5, 0.95)
NORMAL_RANGE = 3.29
"""Distance between the outer quantiles of a normal distribution, in standard deviations."""
# For each field: whether it must be positive, and its number of values.
_PARTS = (
    ("mean", False, 1),
    ("variance", True, 1),
    ("covariance", True, 8),
    ("belief", True, 8),
    ("steps", False, 2),
    ("error", False, 4),
)


def median_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median of some values, and their standard deviation from quantiles, so that single outliers do not count."""
    low, middle, high = (float(value) for value in np.quantile(values, QUANTILES))
    return middle, (high - low) / NORMAL_RANGE


@dataclass(frozen=True)
class Prior:
    """Prior of one channel, in its transformed units; the defaults suit any map.

    The priors of this package's variables were fitted by ``python -m xgapfill.training --priors``.

    Attributes
    ----------
    mean, variance : float
        Of the channel in a space-time tile (window) without observations.
    covariance : tuple of float
        Prior `covariance.PARAMETERS` of anomalies of variance 1, in km and days.
    belief : tuple of float
        Prior standard deviation: that of the logarithm of each covariance parameter between windows.
    steps : (float, float)
        Smallest prior time scales of both structures, in time steps: means over longer times vary more slowly.
    error : tuple of float
        Model of the logarithm of the error variance as a fraction of the anomaly variance: a constant, then the
        factors of the logarithms of its prior fraction, of the misfit around, and of the nugget's fraction.
    regression : mapping of predictor -> (slope, curvature)
        Prior dependence on each predictor, about its `centre`.
    centre : float
        Centre of the channel where it is a predictor of others.

    Raises
    ------
    ValueError
        A field has a wrong number of values, or values that are missing, absurd or not positive.
    """

    mean: float
    variance: float
    covariance: tuple[float, ...] = (0.8, 0.2, 0.01, 300.0, 22.0, 25.0, 7.0, 1.15)
    belief: tuple[float, ...] = (0.45, 0.45, 1.5, 0.35, 0.35, 0.5, 0.5, 0.15)
    steps: tuple[float, ...] = (3.1, 0.87)
    error: tuple[float, ...] = (-1.213, 1.29, 1.056, -0.3562)
    regression: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    centre: float = 0.0

    def __post_init__(self) -> None:
        for name, positive, length in (*_PARTS, ("centre", False, 1)):
            values = np.ravel(getattr(self, name))
            if len(values) != length or not (np.abs(values) <= LARGEST).all() or (positive and not (values > 0).all()):
                wanted = f"{length} {'positive ' if positive else ''}numbers up to {LARGEST:g}"
                raise ValueError(f"{name} of a prior must be {wanted}, found {getattr(self, name)}")
        for name, slopes in self.regression.items():
            if len(slopes) != 2 or not (np.abs(slopes) <= LARGEST).all():
                raise ValueError(f"regression on {name} in a prior must be two numbers, found {slopes}")
