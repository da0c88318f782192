"""What the background believes of a channel before it has looked at a window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Prior:
    """Beliefs about one channel, in its transformed units; fitted by ``python -m xgapfill.training background``.

    Attributes
    ----------
    mean, variance : float
        Of the channel where nothing is known of the window.
    structures : tuple of (share, length_km, time_days, power)
        Covariance of the departures, see `spectral.prior_spectrum`; shares sum to 1.
    noise : float
        Variance of an observation's noise as a share of the variance, in a window of usual roughness.
    roughness : float
        Power of the window's roughness (half the mean square difference of neighbours, as a share of the variance)
        that the noise follows.
    error : tuple of float
        log of the error's variance relative to the window's: constant, log1p of the density of observations at each
        of `background.SCALES`, log of the local misfit.
    regression : mapping of condition -> (slope, curvature)
        Prior dependence on each condition, taken about `centres`.
    """

    mean: float
    variance: float
    structures: tuple[tuple[float, float, float, float], ...]
    noise: float
    roughness: float
    error: tuple[float, ...]
    regression: Mapping[str, tuple[float, float]]


def to_mapping(priors: Mapping[str, Prior]) -> dict[str, Any]:
    """Plain mappings for a card or a JSON file."""
    return {name: asdict(prior) for name, prior in priors.items()}


def from_mapping(mapping: Mapping[str, Any]) -> dict[str, Prior]:
    """Inverse of `to_mapping`."""

    def prior(entry: Mapping[str, Any]) -> Prior:
        structures: Sequence[Sequence[float]] = entry["structures"]
        return Prior(
            mean=float(entry["mean"]),
            variance=float(entry["variance"]),
            structures=tuple((float(s[0]), float(s[1]), float(s[2]), float(s[3])) for s in structures),
            noise=float(entry["noise"]),
            roughness=float(entry["roughness"]),
            error=tuple(float(a) for a in entry["error"]),
            regression={name: (float(b[0]), float(b[1])) for name, b in entry["regression"].items()},
        )

    return {name: prior(entry) for name, entry in mapping.items()}


@cache
def shipped() -> dict[str, Prior]:
    """The priors that come with the package, by channel."""
    text = resources.files("xgapfill.methods").joinpath("priors.json").read_text()
    return from_mapping(json.loads(text))
