"""The score sheet: every score of every method, by distance to the nearest seen pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import scores
from .distance import NAMES, distance_class, distance_to_seen
from .scores import LAGS, SpreadScale

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
    "structure_function_observed": "mean squared difference of the same pixels as they were observed",
    "closure": "largest departure from 1 of the sum of the fractions at filled pixels",
    "seconds": "wall time of filling all frames",
    "smoothing": "root mean square of what a fill changes at seen pixels before the observations are put back",
}


@dataclass(frozen=True)
class Reconstruction:
    """What a method made of the n hidden pixels, in the units of the scores.

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
        Degree of smoothing, NaN where it was not looked at.
    """

    mean: NDArray
    spread: NDArray | None = None
    members: NDArray | None = None
    seconds: float = float("nan")
    smoothing: float = float("nan")

    @property
    def drawn(self) -> NDArray:
        """(p, n): the first realisation, or the estimate where there are none."""
        return self.mean if self.members is None else self.members[0]


def score_table(
    truth: NDArray,
    seen: NDArray[np.bool_],
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
    seen, hidden : (t, y, x) bool
        What the methods were shown and where they are scored.
    found : mapping
        Name of a method -> its reconstruction of ``truth[:, hidden]``.
    scales : mapping, optional
        Name of a method -> factors its spread is multiplied with before it is scored.
    labels : sequence of p str
        Names of the variables; not needed for one.

    Returns
    -------
    Dataset
        Dimensions ``filled_by`` (the methods; a dimension called method could not be given to ``.sel``),
        ``distance_class`` (all, <=2, 3-8, >8 pixels), ``lag`` and, for several variables, ``variable``.
    """
    classes = distance_class(distance_to_seen(seen))[hidden]
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
            structure[row, part] = _texture(truth[part], seen, hidden, scaled.drawn[part])
    dims = ("filled_by", "variable")
    result = result.assign({name: ((*dims, "distance_class"), values) for name, values in table.items()})
    result["structure_function"] = ((*dims, "lag"), structure)
    result["structure_function_observed"] = (
        ("variable", "lag"),
        np.stack([_texture(truth[part], seen, hidden, known[part]) for part in range(len(truth))]),
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
    """The scores a reconstruction can have, as functions of where."""
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


def _texture(truth: NDArray, seen: NDArray[np.bool_], hidden: NDArray[np.bool_], filled: NDArray) -> NDArray:
    """Structure function of a (t, y, x) field whose hidden pixels are filled, over pairs with a hidden end."""
    field = np.where(seen, truth, np.nan)
    field[hidden] = filled
    return scores.structure_function(field, hidden)


def _mean(values: NDArray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")
