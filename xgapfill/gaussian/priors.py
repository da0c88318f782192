"""What the background believes of a channel before it has looked at a window."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

# Neighbouring pixels tell the same: so many count as one independent sample in means and regressions.
DEPENDENT_PIXELS = 100.0


@dataclass(frozen=True)
class Prior:
    """Beliefs about one channel, in its transformed units; fitted by ``python -m xgapfill.training background``.

    Attributes
    ----------
    mean, variance : float
        Of the channel where nothing is known of the window.
    covariance : tuple of float
        Usual `variogram.PARAMETERS` of departures of variance 1, km and days.
    belief : tuple of float
        Standard deviation of the logarithm of each between windows.
    error : tuple of float
        log of the error's variance as a share of the departures': constant, and what multiplies the logarithms of its
        usual share, of the misfit around, and of the nugget's share.
    regression : mapping of condition -> (slope, curvature)
        Prior dependence on each condition, taken about `centres`.
    """

    mean: float
    variance: float
    covariance: tuple[float, ...]
    belief: tuple[float, ...]
    error: tuple[float, ...]
    regression: Mapping[str, tuple[float, float]]


def to_mapping(priors: Mapping[str, Prior]) -> dict[str, Any]:
    """Plain mappings for a card or a JSON file."""
    return {name: asdict(prior) for name, prior in priors.items()}


def from_mapping(mapping: Mapping[str, Any]) -> dict[str, Prior]:
    """Inverse of `to_mapping`."""

    def prior(entry: Mapping[str, Any]) -> Prior:
        return Prior(
            mean=float(entry["mean"]),
            variance=float(entry["variance"]),
            covariance=tuple(float(a) for a in entry["covariance"]),
            belief=tuple(float(a) for a in entry["belief"]),
            error=tuple(float(a) for a in entry["error"]),
            regression={name: (float(b[0]), float(b[1])) for name, b in entry["regression"].items()},
        )

    return {name: prior(entry) for name, entry in mapping.items()}


@cache
def shipped() -> dict[str, Prior]:
    """The priors that come with the package, by channel."""
    text = resources.files("xgapfill.gaussian").joinpath("priors.json").read_text()
    return from_mapping(json.loads(text))
