"""Targets of a release for the score table of the test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from xgapfill.lattice.distance import NAMES
from xgapfill.validation.table import _pooled

LAGS = (1, 2, 4, 8)


class Target(NamedTuple):
    """A target, the value found, and whether the target is met."""

    wanted: str
    found: str
    met: bool


def targets(scores: xr.Dataset, *, mean: str = "posterior_mean", drawn: str = "repaint") -> list[Target]:
    """Compare a score table with the targets of the package.

    Parameters
    ----------
    scores : Dataset
        With the rows ``background`` (its spread rescaled on other data), `mean` and `drawn`.
    mean, drawn : str
        Labels of the posterior mean and of the ensemble.
    """
    pooled = _pooled(scores)
    result = []
    for name in NAMES:
        ours, guess = (float(pooled.rmse.sel(filled_by=row, distance_class=name)) for row in (mean, "background"))
        met = ours <= guess
        result.append(Target(f"posterior mean RMSE <= background's, {name} px", f"{ours:.4f} against {guess:.4f}", met))
    crps = pooled.crps.sel(distance_class="all")
    ratio = float(crps.sel(filled_by=drawn)) / float(crps.sel(filled_by="background"))
    result.append(Target("ensemble's fair CRPS <= 0.9 x background's", f"{ratio:.3f} x", ratio <= 0.9))
    for label, values in _each(scores.coverage.sel(filled_by=drawn, distance_class="all")):
        covered = float(values)
        result.append(
            Target(f"t interval of the ensemble covers 0.85 to 0.95{label}", f"{covered:.3f}", 0.85 <= covered <= 0.95)
        )
    texture = scores.structure_function / scores.structure_function_observed
    for label, values in _each(texture.sel(filled_by=drawn, lag=list(LAGS))):
        close = bool((abs(values - 1) <= 0.2).all())
        shown = ", ".join(f"{value:.2f}" for value in np.ravel(values))
        result.append(Target(f"structure function of a realisation within 20 % at {LAGS} px{label}", shown, close))
    if "closure" in scores:
        worst = float(scores.closure.max())
        result.append(Target("filled fractions sum to 1 within 1e-5", f"{worst:.1e}", worst <= 1e-5))
    return result


def targets_text(found: Sequence[Target]) -> str:
    """One line per target."""
    return "\n".join(f"{'pass' if each.met else 'MISS'}  {each.wanted}: {each.found}" for each in found)


def _each(values: xr.DataArray) -> Iterator[tuple[str, np.ndarray]]:
    """Values of each size class with its name, or of the only variable."""
    if "size_class" not in values.dims:
        yield "", values.values
        return
    for name in values.size_class.values:
        yield f", {name}", values.sel(size_class=name).values
