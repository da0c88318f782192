"""Table of all scores of all methods, by distance to the nearest observed pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.validation import scores
from xgapfill.validation.scores import LAGS, SpreadScale

CLASSES = ("all", *NAMES)
SCORES = ("rmse", "mae", "bias", "crps", "spread_over_rmse", "coverage", "coverage_range")

_LONG_NAMES = {
    "pixels": "hidden pixels that are scored",
    "rmse": "root-mean-square error",
    "mae": "mean absolute error",
    "bias": "mean of estimate minus truth",
    "crps": "continuous ranked probability score: fair for members, Gaussian for a mean with a spread",
    "spread_over_rmse": "spread over root-mean-square error; 1 when the error is known",
    "coverage": "share of truth inside the 90 % interval: t interval of members, normal one of a mean with a spread",
    "coverage_range": "share of truth between the lowest and the highest member",
    "structure_function": "mean squared difference of pixels a lag apart, one of them filled; of the first member",
    "structure_function_observed": "mean squared difference of the observations at the same pixels",
    "closure": "largest departure from 1 of the sum of the fractions at filled pixels",
    "seconds": "wall time of filling all frames",
    "smoothing": "root mean square change at observed pixels before the observations are inserted again",
}


@dataclass(frozen=True)
class Reconstruction:
    """Result of a method at the n hidden pixels, in the units of the scores.

    Attributes
    ----------
    mean : (p, n) float
        Estimate of each of p variables.
    spread : (p, n) float or None
        One standard deviation of its error.
    members : (m, p, n) float or None
        Realisations; their mean is `mean`.
    seconds : float
        Wall time.
    smoothing : float
        Degree of smoothing, NaN if not computed.
    filled : DataArray or None
        The whole filled field: the estimate, or the first realisation.
    """

    mean: NDArray
    spread: NDArray | None = None
    members: NDArray | None = None
    seconds: float = float("nan")
    smoothing: float = float("nan")
    filled: xr.DataArray | None = None

    @property
    def drawn(self) -> NDArray:
        """(p, n): the first realisation, or the estimate without realisations."""
        return self.mean if self.members is None else self.members[0]


def score_table(
    truth: NDArray,
    observed: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    found: Mapping[str, Reconstruction],
    *,
    scales: Mapping[str, SpreadScale] | None = None,
    labels: Sequence[str] = (),
) -> xr.Dataset:
    """Score reconstructions of hidden pixels.

    Parameters
    ----------
    truth : (p, t, y, x) float
        p variables, NaN where unknown.
    observed, hidden : (t, y, x) bool
        Observed pixels of the input, and the pixels that are scored.
    found : mapping
        Name of a method -> its reconstruction of ``truth[:, hidden]``.
    scales : mapping, optional
        Name of a method -> factors that multiply its spread before it is scored.
    labels : sequence of p str
        Names of the variables; not needed for one.

    Returns
    -------
    Dataset
        Dimensions ``filled_by`` (the methods; ``method`` would clash with an argument of ``.sel``),
        ``distance_class`` (all, <=2, 3-8, >8 pixels), ``lag`` and, for several variables, ``variable``.
    """
    classes = distance_class(distance_to_observed(observed))[hidden]
    places = [np.ones(classes.shape, bool), *(classes == k for k in range(len(NAMES)))]
    result = xr.Dataset(
        {"pixels": ("distance_class", [int(place.sum()) for place in places])},
        coords={
            "filled_by": list(found),
            "distance_class": list(CLASSES),
            "lag": ("lag", list(LAGS), {"units": "pixels"}),
            "variable": list(labels) or ["target"],
        },
    )
    shape = (len(found), len(truth), len(places))
    table = {name: np.full(shape, np.nan) for name in SCORES}
    structure = np.full((len(found), len(truth), len(LAGS)), np.nan)
    known = truth[:, hidden]
    for row, (name, reconstruction) in enumerate(found.items()):
        scaled = _scaled(reconstruction, (scales or {}).get(name), classes)
        for part in range(len(truth)):
            for score, compute in _scores_of(scaled, part, known[part]).items():
                table[score][row, part] = [compute(place) for place in places]
            structure[row, part] = _texture(truth[part], observed, hidden, scaled.drawn[part])
    dims = ("filled_by", "variable")
    result = result.assign({name: ((*dims, "distance_class"), values) for name, values in table.items()})
    result["structure_function"] = ((*dims, "lag"), structure)
    result["structure_function_observed"] = (
        ("variable", "lag"),
        np.stack([_texture(truth[part], observed, hidden, known[part]) for part in range(len(truth))]),
    )
    result["seconds"] = ("filled_by", [each.seconds for each in found.values()], {"units": "s"})
    result["smoothing"] = ("filled_by", [each.smoothing for each in found.values()])
    for key in result.data_vars:
        result[key].attrs["long_name"] = _LONG_NAMES[str(key)]
    return result if labels else result.squeeze("variable", drop=True)


def _scaled(found: Reconstruction, scale: SpreadScale | None, classes: NDArray) -> Reconstruction:
    if scale is None or found.spread is None:
        return found
    return replace(found, spread=scale.apply(found.spread, classes))


def _scores_of(found: Reconstruction, part: int, truth: NDArray) -> dict[str, Callable[[NDArray[np.bool_]], float]]:
    """Scores of a reconstruction, as functions of `where`."""
    mean = np.asarray(found.mean[part], np.float64)
    table: dict[str, Callable[[NDArray[np.bool_]], float]] = {
        "rmse": lambda where: scores.rmse(mean, truth, where),
        "mae": lambda where: scores.mae(mean, truth, where),
        "bias": lambda where: scores.bias(mean, truth, where),
    }
    if found.members is not None:
        members = np.asarray(found.members[:, part], np.float64)
        points = scores.crps_ensemble(members, truth)
        table |= {
            "spread_over_rmse": lambda where: scores.spread_over_rmse(members[:, where], truth[where]),
            "coverage": lambda where: scores.coverage_t(members[:, where], truth[where]),
            "coverage_range": lambda where: scores.coverage_range(members[:, where], truth[where]),
        }
    elif found.spread is not None:
        spread = np.asarray(found.spread[part], np.float64)
        points = scores.crps_gaussian(mean, spread, truth)
        table |= {
            "spread_over_rmse": lambda where: (
                float(np.sqrt(_mean(spread[where] ** 2))) / scores.rmse(mean, truth, where)
            ),
            "coverage": lambda where: scores.coverage_gaussian(mean, spread, truth, where),
        }
    else:
        points = np.abs(mean - truth)
    return table | {"crps": lambda where: _mean(points[where])}


def _texture(truth: NDArray, observed: NDArray[np.bool_], hidden: NDArray[np.bool_], filled: NDArray) -> NDArray:
    """Structure function of a (t, y, x) field with filled hidden pixels, over pairs with a hidden end."""
    field = np.where(observed, truth, np.nan)
    field[hidden] = filled
    return scores.structure_function(field, hidden)


def _mean(values: NDArray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")


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
    "dincae": "DINCAE",
    "vconstruct": "VConstruct",
}
# Optional columns: peak memory of the process, degree of smoothing.
MORE = (("memory", "GB", "{:.2f}"), ("smoothing", "smooth", "{:.4f}"))


def table_text(scores: xr.Dataset, title: str) -> str:
    """The scores as text, size classes averaged: squares for RMSE and bias.

    Parameters
    ----------
    scores : Dataset
        From `xgapfill.validate`.
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


def _pooled(scores: xr.Dataset) -> xr.Dataset:
    """Scores without the dimension of size classes."""
    ratio = scores.structure_function / scores.structure_function_observed
    scores = scores.assign(texture=ratio)
    if "size_class" not in scores.dims:
        return scores
    pooled = scores.mean("size_class", keep_attrs=True)
    # The biases of fractions sum to 0, so only their magnitude can be averaged.
    return pooled.assign({name: np.sqrt((scores[name] ** 2).mean("size_class")) for name in ("rmse", "bias")})
