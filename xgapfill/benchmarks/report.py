"""The score table of a release on the report set, and the targets it is held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from xgapfill.validation.distance import NAMES

LABELS = {
    "pixel_mean": "per-pixel mean",
    "time_interpolation": "time interpolation",
    "global_dct_pls": "DCT-PLS of all, tuned",
    "global_kriging": "kriging of all, tuned",
    "climatology": "climatology",
    "interpolate": "interpolation, then nearest",
    "dctpls": "DCT-PLS in windows",
    "kriging": "kriging in windows",
    "kriging_realisations": "kriging realisations",
    "dineof": "DINEOF",
    "som": "self-organising map",
    "regression": "regression",
    "background": "background",
    "posterior_mean": "posterior mean",
    "repaint": "ensemble",
    "vae": "autoencoder",
}
LAGS = (1, 2, 4, 8)
# Columns that only some tables have: the peak of the process, the degree of smoothing.
MORE = (("memory", "GB", "{:.2f}"), ("smoothing", "smooth", "{:.4f}"))


class Target(NamedTuple):
    """One target, what was found, and whether it is met."""

    wanted: str
    found: str
    met: bool


def table_text(scores: xr.Dataset, title: str) -> str:
    """The scores as text, size classes averaged: squares for RMSE and bias.

    Parameters
    ----------
    scores : Dataset
        From `xgapfill.validation.validate.validate`.
    title : str
        First line.
    """
    pooled = _pooled(scores)
    heads = [*(f"{name} px" for name in NAMES), "MAE", "bias", "CRPS", "sd/RMSE", "cover", "range", "seconds"]
    heads += [head for name, head, _ in MORE if name in pooled]
    lines = [title, f"{'':24}{'RMSE':>8}" + "".join(f"{head:>8}" for head in heads)]
    lines.append(f"{'pixels scored':24}" + "".join(f"{int(count):8d}" for count in scores.pixels))
    for name in pooled.filled_by.values:
        row = pooled.sel(filled_by=name)
        overall = row.sel(distance_class="all")
        numbers = [*row.rmse.values]
        numbers += [
            float(overall[key]) for key in ("mae", "bias", "crps", "spread_over_rmse", "coverage", "coverage_range")
        ]
        cells = "".join(f"{number:8.4f}" if np.isfinite(number) else f"{'-':>8}" for number in numbers)
        more = [form.format(float(overall[name])) for name, _, form in MORE if name in pooled]
        last = "".join(f"{cell.replace('nan', '-'):>8}" for cell in more)
        lines.append(f"{LABELS.get(str(name), str(name)):24}{cells}{float(overall.seconds):8.0f}{last}")
    lines += [
        "",
        "structure function, filled over observed" + "".join(f"{f'{lag} px':>8}" for lag in scores.lag.values),
    ]
    for name in pooled.filled_by.values:
        ratio = pooled.texture.sel(filled_by=name).values
        lines.append(f"{LABELS.get(str(name), str(name)):40}" + "".join(f"{number:8.2f}" for number in ratio))
    return "\n".join(lines)


def targets(scores: xr.Dataset, *, mean: str = "posterior_mean", drawn: str = "repaint") -> list[Target]:
    """Hold a score table to the targets of the package.

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
    """One line a target."""
    return "\n".join(f"{'pass' if each.met else 'MISS'}  {each.wanted}: {each.found}" for each in found)


def _pooled(scores: xr.Dataset) -> xr.Dataset:
    """Scores without the dimension of size classes."""
    ratio = scores.structure_function / scores.structure_function_observed
    scores = scores.assign(texture=ratio)
    if "size_class" not in scores.dims:
        return scores
    pooled = scores.mean("size_class", keep_attrs=True)
    # The biases of fractions add up to 0, so only their size can be averaged.
    return pooled.assign({name: np.sqrt((scores[name] ** 2).mean("size_class")) for name in ("rmse", "bias")})


def _each(values: xr.DataArray) -> Iterator[tuple[str, np.ndarray]]:
    """Values of each size class with its name, or of the only variable."""
    if "size_class" not in values.dims:
        yield "", values.values
        return
    for name in values.size_class.values:
        yield f", {name}", values.sel(size_class=name).values
