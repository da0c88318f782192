"""Priors of the background for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from xgapfill.variables import Prior, priors

__all__ = ["DEPENDENT_PIXELS", "Prior", "from_mapping", "shipped", "to_mapping"]

# Neighbouring pixels are correlated: this number of pixels counts as one independent sample in means and regressions.
DEPENDENT_PIXELS = 100.0


def to_mapping(priors: Mapping[str, Prior]) -> dict[str, Any]:
    """Plain mappings for a card or a JSON file."""
    return {name: asdict(prior) for name, prior in priors.items()}


def from_mapping(mapping: Mapping[str, Any]) -> dict[str, Prior]:
    """Inverse of `to_mapping`; the default of a centre is that of the variable."""
    known = shipped()

    def prior(channel: str, entry: Mapping[str, Any]) -> Prior:
        try:
            return Prior(
                mean=float(entry["mean"]),
                variance=float(entry["variance"]),
                covariance=tuple(float(a) for a in entry["covariance"]),
                belief=tuple(float(a) for a in entry["belief"]),
                steps=tuple(float(a) for a in entry.get("steps", (0.0, 0.0))),  # older cards were trained without
                error=tuple(float(a) for a in entry["error"]),
                regression={name: (float(b[0]), float(b[1])) for name, b in entry["regression"].items()},
                centre=float(entry.get("centre", known[channel].centre if channel in known else 0.0)),
            )
        except KeyError as error:
            raise ValueError(f"{channel}: the background lacks {error}") from error
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"{channel}: {error}") from error

    return {name: prior(name, entry) for name, entry in mapping.items()}


def shipped() -> dict[str, Prior]:
    """The priors of all variables, by channel."""
    return priors()
