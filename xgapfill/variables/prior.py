"""What is believed of a channel before any of its values were seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """

    mean: float
    variance: float
    covariance: tuple[float, ...] = (0.8, 0.2, 0.01, 300.0, 22.0, 25.0, 7.0, 1.15)
    belief: tuple[float, ...] = (0.45, 0.45, 1.5, 0.35, 0.35, 0.5, 0.5, 0.15)
    error: tuple[float, ...] = (-1.213, 1.29, 1.056, -0.3562)
    regression: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    centre: float = 0.0
