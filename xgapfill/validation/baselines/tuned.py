"""Classical baselines with tuned parameters and an error estimate.

All take a whole field (t, y, x) in memory, NaN where missing, with regular time steps. Parameters are tuned on held-out
observations, in gaps like those to be filled, without the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.validation.baselines.dct import Dct, dct_pls
from xgapfill.validation.baselines.kriging import Covariance, kriging
from xgapfill.validation.baselines.simple import Field, pixel_mean, time_interpolation
from xgapfill.validation.masks import disc_blocks, transplanted
from xgapfill.validation.scores import rmse

Parameters = TypeVar("Parameters", Dct, Covariance)


@dataclass(frozen=True)
class Prediction:
    """A filled field and its error estimate.

    Attributes
    ----------
    values, spread : (t, y, x) float32
        Estimate and standard deviation of its error; NaN at pixels that were not requested.
    chosen : object
        Tuned parameters, None for a baseline without parameters.
    """

    values: Field
    spread: Field
    chosen: Dct | Covariance | None = None


# values, wanted, blocks -> Prediction
Baseline = Callable[[Field, NDArray[np.bool_], NDArray[np.bool_]], Prediction]


def held_out_like_gaps(observed: NDArray[np.bool_], *, seed: int = 1) -> NDArray[np.bool_]:
    """Observed pixels to tune parameters on: the gaps of other dates, or disc-shaped blocks if no date is suitable.

    Parameters
    ----------
    observed : (t, y, x) bool
        Observed pixels of the input.
    """
    blocks = transplanted(observed, seed=seed)
    without = observed.any(axis=(1, 2)) & ~blocks.any(axis=(1, 2))
    blocks[without] = disc_blocks(observed, seed=seed)[without]
    return blocks


def tuned_dct_pls(values: Field, *, blocks: NDArray[np.bool_] | None = None, evaluations: int = 24) -> Prediction:
    """3-D DCT-PLS with the smoothing and time weight of lowest RMSE on held-out blocks of observed pixels.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.
    blocks : (t, y, x) bool, optional
        Observed pixels to hold out during tuning; by default disc-shaped blocks of 4-12 pixels radius.
    evaluations : int
        Largest number of pairs of parameters to try.

    Returns
    -------
    Prediction
        The spread is the RMSE on the blocks, by distance to the nearest observed pixel.
    """
    blocks = _blocks(values, blocks)
    shown = np.where(blocks, np.float32(np.nan), values)

    def score(parameters: Dct) -> float:
        return rmse(dct_pls(shown, parameters, iterations=40, tolerance=1e-2), values, blocks)

    steps = {"smoothing": 4.0, "time_weight": 3.0}
    chosen = _descend(score, Dct(1.0, 0.02), steps, evaluations)
    spread = _spread_by_distance(dct_pls(shown, chosen), values, blocks)
    return Prediction(dct_pls(values, chosen), spread, chosen)


def tuned_kriging(
    values: Field,
    wanted: NDArray[np.bool_],
    *,
    blocks: NDArray[np.bool_] | None = None,
    evaluations: int = 40,
    sample: int = 3000,
    neighbours: int = 60,
) -> Prediction:
    """Local space-time kriging with the covariance of lowest RMSE on held-out blocks of observed pixels.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.
    wanted : (t, y, x) bool
        Pixels to estimate.
    blocks : (t, y, x) bool, optional
        Observed pixels to hold out during tuning; by default disc-shaped blocks of 4-12 pixels radius.
    evaluations, sample : int
        Largest number of covariances to try, and of held-out pixels for each.

    Returns
    -------
    Prediction
        The spread is the kriging error, scaled to the error on the blocks.
    """
    blocks = _blocks(values, blocks)
    shown = np.where(blocks, np.float32(np.nan), values)
    places = np.flatnonzero(blocks)
    some = np.zeros(blocks.shape, bool)
    some.flat[np.random.default_rng(0).permutation(places)[:sample]] = True

    def score(parameters: Covariance) -> float:
        return rmse(kriging(shown, some, parameters, neighbours=neighbours)[0], values, some)

    steps = {"frame": 1.5, "length": 3.0, "power": 1.3, "nugget": 3.0}
    chosen = _descend(score, Covariance(8.0, 40.0, 0.8, 0.02), steps, evaluations)
    estimate, spread = kriging(shown, some, chosen, neighbours=neighbours)
    smallest = np.float32(1e-6)
    factor = rmse(estimate / np.maximum(spread, smallest), values / np.maximum(spread, smallest), some)
    estimate, spread = kriging(values, wanted, chosen, neighbours=neighbours)
    return Prediction(estimate, np.maximum(spread, smallest) * np.float32(factor), chosen)


def on_conditions(baseline: Baseline, conditions: Sequence[Field]) -> Baseline:
    """The baseline applied to the residuals of a quadratic regression on filled predictors.

    Parameters
    ----------
    baseline : callable
        One of `BASELINES`.
    conditions : sequence of (t, y, x) float
        Predictors, NaN where missing; these gaps are filled by DCT-PLS first.
    """
    complete = [_complete(each) for each in conditions]
    columns = [np.ones_like(complete[0]), *complete, *(each**2 for each in complete)]

    def conditioned(values: Field, wanted: NDArray[np.bool_], blocks: NDArray[np.bool_]) -> Prediction:
        observed = np.isfinite(values)
        design = np.stack([column[observed] for column in columns], axis=-1).astype(np.float64)
        slopes = np.linalg.lstsq(design, values[observed].astype(np.float64), rcond=None)[0]
        trend = sum(np.float32(slope) * column for slope, column in zip(slopes, columns, strict=True))
        left = baseline(values - trend, wanted, blocks)
        return replace(left, values=left.values + trend)

    return conditioned


def _complete(condition: Field) -> Field:
    observed = np.isfinite(condition)
    return (
        condition if observed.all() else np.where(observed, condition, tuned_dct_pls(condition, evaluations=12).values)
    )


def _simple(fill: Callable[[Field], Field]) -> Baseline:
    """A baseline without parameters; its spread is the RMSE on the blocks, by distance."""

    def predict(values: Field, wanted: NDArray[np.bool_], blocks: NDArray[np.bool_]) -> Prediction:
        shown = np.where(blocks, np.float32(np.nan), values)
        return Prediction(fill(values), _spread_by_distance(fill(shown), values, blocks))

    return predict


BASELINES: Mapping[str, Baseline] = {
    "pixel_mean": _simple(pixel_mean),
    "time_interpolation": _simple(time_interpolation),
    "global_dct_pls": lambda values, wanted, blocks: tuned_dct_pls(values, blocks=blocks),
    "global_kriging": lambda values, wanted, blocks: tuned_kriging(values, wanted, blocks=blocks),
}


def _blocks(values: Field, blocks: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    observed = np.isfinite(values)
    return disc_blocks(observed, share=0.15, radius=(4, 12), seed=1) if blocks is None else blocks & observed


def _spread_by_distance(estimate: Field, values: Field, blocks: NDArray[np.bool_]) -> Field:
    """RMSE on the blocks in each class of distance, mapped to the classes of the field with all observations."""
    observed = np.isfinite(values)
    classes = distance_class(distance_to_observed(observed & ~blocks))
    overall = rmse(estimate, values, blocks)
    by_class = [rmse(estimate, values, blocks & (classes == k)) for k in range(len(NAMES))]
    table = np.array([value if np.isfinite(value) else overall for value in by_class], np.float32)
    return table[distance_class(distance_to_observed(observed))]


def _descend(
    score: Callable[[Parameters], float], start: Parameters, steps: dict[str, float], evaluations: int
) -> Parameters:
    """Pattern search in the logarithm: each parameter times and over its step; steps shrink without improvement."""
    best, lowest = start, score(start)
    tried = {start}
    while len(tried) < evaluations and max(steps.values()) > 1.2:
        before = lowest
        for name, factor in _moves(steps):
            candidate = replace(best, **{name: factor * getattr(best, name)})
            if candidate in tried or not _admissible(candidate) or len(tried) >= evaluations:
                continue
            tried.add(candidate)
            found = score(candidate)
            if found < lowest:
                best, lowest = candidate, found
        if lowest >= before:
            steps = {name: step**0.5 for name, step in steps.items()}
    return best


def _moves(steps: dict[str, float]) -> Iterator[tuple[str, float]]:
    for name, step in steps.items():
        yield name, step
        yield name, 1 / step


def _admissible(parameters: Dct | Covariance) -> bool:
    return isinstance(parameters, Dct) or (parameters.power <= 2 and 1e-4 <= parameters.nugget < 0.9)
