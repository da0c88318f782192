"""What is believed of a channel before any of its values were seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

LARGEST = 1e12
# Fields: whether they are positive, and how many numbers they are.
_PARTS = (("mean", False, 1), ("variance", True, 1), ("covariance", True, 8), ("belief", True, 8), ("error", False, 4))


@dataclass(frozen=True)
class Prior:
    """Beliefs about one channel, in its transformed units; the defaults suit any map.

    Those of the variables of this package were fitted by ``python -m xgapfill.training --priors``.

    Attributes
    ----------
    mean, variance : float
        Of the channel where nothing is known of the window.
    covariance : tuple of float
        Usual `covariance.PARAMETERS` of departures of variance 1, km and days.
    belief : tuple of float
        Standard deviation of the logarithm of each between windows.
    error : tuple of float
        log of the error's variance as a share of the departures': constant, and what multiplies the logarithms of its
        usual share, of the misfit around, and of the nugget's share.
    regression : mapping of condition -> (slope, curvature)
        Prior dependence on each condition, taken about its `centre`.
    centre : float
        About which the channel enters the regression of others.

    Raises
    ------
    ValueError
        When a field has another number of numbers, or some that are missing, absurd or not positive.
    """

    mean: float
    variance: float
    covariance: tuple[float, ...] = (0.8, 0.2, 0.01, 300.0, 22.0, 25.0, 7.0, 1.15)
    belief: tuple[float, ...] = (0.45, 0.45, 1.5, 0.35, 0.35, 0.5, 0.5, 0.15)
    error: tuple[float, ...] = (-1.213, 1.29, 1.056, -0.3562)
    regression: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    centre: float = 0.0

    def __post_init__(self) -> None:
        for name, positive, length in (*_PARTS, ("centre", False, 1)):
            values = np.ravel(getattr(self, name))
            if len(values) != length or not (np.abs(values) <= LARGEST).all() or (positive and not (values > 0).all()):
                wanted = f"{length} {'positive ' if positive else ''}numbers up to {LARGEST:g}"
                raise ValueError(f"{name} of the background must be {wanted}, found {getattr(self, name)}")
        for name, slopes in self.regression.items():
            if len(slopes) != 2 or not (np.abs(slopes) <= LARGEST).all():
                raise ValueError(f"regression of the background on {name} must be two numbers, found {slopes}")
