"""Classical gap fillers that the package is held against, written for whole fields in memory.

All take a field (t, y, x) with NaN where nothing was seen and regular steps in time. The tuned ones choose their
parameters on disc-shaped blocks of pixels that are seen, so they are as good as they can be without the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from xgapfill.validation.distance import NAMES, distance_class, distance_to_seen
from xgapfill.validation.masks import disc_blocks

Field = NDArray[np.float32]


# --- simple --------------------------------------------------------------------------------------------------------


def pixel_mean(values: Field) -> Field:
    """Mean over time of each pixel; the mean of everything where a pixel was never seen.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.

    Returns
    -------
    (t, y, x) float32
        Seen pixels as they are.
    """
    seen = np.isfinite(values)
    count = seen.sum(axis=0)
    total = np.where(seen, values, 0).sum(axis=0, dtype=np.float64)
    everywhere = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), everywhere)
    return np.where(seen, values, mean).astype(np.float32)


def time_interpolation(values: Field) -> Field:
    """Linear in time between the dates that saw a pixel (the nearest one at the ends), then the nearest pixel in space.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.
    """
    seen = np.isfinite(values)
    steps = np.arange(len(values), dtype=np.float64)[:, None, None]
    before = np.maximum.accumulate(np.where(seen, steps, -1), axis=0).astype(int)
    after = np.minimum.accumulate(np.where(seen, steps, len(values))[::-1], axis=0)[::-1].astype(int)
    ever = seen.any(axis=0)
    before = np.where(before < 0, after, before) % len(values)
    after = np.where(after >= len(values), before, after)
    low, high = (np.take_along_axis(values, place, axis=0) for place in (before, after))
    share = (steps - before) / np.maximum(after - before, 1)
    filled = low + share * (high - low)
    if not ever.any():
        return filled.astype(np.float32)
    rows, cols = ndimage.distance_transform_edt(~ever, return_distances=False, return_indices=True)
    return np.where(seen, values, filled[:, rows, cols]).astype(np.float32)


# --- 3-D DCT-PLS ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dct:
    """Penalised least squares in the cosine basis.

    Attributes
    ----------
    smoothing : float
        Weight of the squared Laplacian against the misfit.
    time_weight : float
        Weight of the second difference in time against those in space.
    """

    smoothing: float = 0.1
    time_weight: float = 0.1


def dct_pls(values: Field, parameters: Dct, *, iterations: int = 60, tolerance: float = 1e-3) -> Field:
    """The smooth field of Garcia (2010) at every pixel, seen ones included: min |W(z - y)|^2 + s |L z|^2.

    Solved by conjugate gradients on the cosine coefficients, preconditioned by the same operator under an even cover
    of observations; Garcia's fixed-point iteration is the same step without the acceleration.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.
    parameters : Dct
        Smoothing and time weight.
    iterations, tolerance : int, float
        Stops at this many steps, or when the preconditioned residual has shrunk by this factor.

    References
    ----------
    Garcia (2010), doi 10.1016/j.csda.2009.09.020; Wang et al. (2012), doi 10.1016/j.ecolmodel.2012.02.020
    """
    seen = np.isfinite(values).astype(np.float32)
    offset = np.float32(np.nanmean(values))
    anomaly = np.where(seen > 0, values - offset, 0).astype(np.float32)
    penalty = np.float32(parameters.smoothing) * _laplacian(values.shape, parameters.time_weight) ** 2
    scale = 1 / (max(float(seen.mean()), 1e-3) + penalty)

    def operator(coefficients: Field) -> Field:
        return fft.dctn(seen * fft.idctn(coefficients, norm="ortho"), norm="ortho") + penalty * coefficients

    solution = fft.dctn(_nearest(anomaly, seen > 0), norm="ortho") / (1 + penalty)
    residual = fft.dctn(anomaly, norm="ortho") - operator(solution)
    direction = step = scale * residual
    energy = first = float(np.vdot(residual, step))
    for _ in range(iterations):
        if energy <= first * tolerance**2:
            break
        image = operator(direction)
        length = np.float32(energy / float(np.vdot(direction, image)))
        solution = solution + length * direction
        residual = residual - length * image
        step = scale * residual
        energy, before = float(np.vdot(residual, step)), energy
        direction = step + np.float32(energy / before) * direction
    return fft.idctn(solution, norm="ortho") + offset


def _laplacian(shape: tuple[int, ...], time_weight: float) -> Field:
    """Eigenvalues of the weighted second differences in the cosine basis."""
    weights = (time_weight, 1.0, 1.0)
    axes = [w * (2 - 2 * np.cos(np.pi * np.arange(n) / n)) for w, n in zip(weights, shape, strict=True)]
    return (axes[0][:, None, None] + axes[1][:, None] + axes[2]).astype(np.float32)


def _nearest(values: Field, seen: NDArray[np.bool_]) -> Field:
    """Unseen pixels take the nearest seen one of their frame (0 in a frame that saw nothing)."""
    filled = np.zeros_like(values)
    for frame in range(len(values)):
        if seen[frame].any():
            rows, cols = ndimage.distance_transform_edt(~seen[frame], return_distances=False, return_indices=True)
            filled[frame] = values[frame, rows, cols]
    return filled


# --- local space-time kriging --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Covariance:
    """Powered exponential covariance exp(-(h / length)^power) with a nugget, h in pixels of space.

    Attributes
    ----------
    frame : float
        How many pixels of space one step in time is worth.
    length : float
        Decay length in pixels.
    power : float
        Between 0 (rough) and 2 (smooth).
    nugget : float
        Variance of a pixel's own noise, as a share of the variance.
    """

    frame: float = 8.0
    length: float = 60.0
    power: float = 1.0
    nugget: float = 0.02

    def __call__(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance, as a share of the variance, at squared distances."""
        return (1 - self.nugget) * np.exp(-((squared / self.length**2) ** (self.power / 2)))


def kriging(
    values: Field, wanted: NDArray[np.bool_], parameters: Covariance, *, neighbours: int = 60, batch: int = 512
) -> tuple[Field, Field]:
    """Ordinary kriging of each wanted pixel from its nearest seen ones in scaled space-time.

    The local mean is unknown and so is the local variance, which is estimated from the same neighbours.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.
    wanted : (t, y, x) bool
        Pixels to estimate; the others come back as NaN.
    parameters : Covariance
        What `values` vary like.

    Returns
    -------
    estimate, spread : (t, y, x) float32
        Value and standard deviation of the error of a new observation there.
    """
    scale = np.array([parameters.frame, 1.0, 1.0])
    seen = np.isfinite(values)
    places = np.argwhere(seen) * scale
    observed = values[seen].astype(np.float64)
    targets = np.argwhere(wanted) * scale
    count = min(neighbours, len(places))
    if count == 0:
        raise ValueError("kriging needs at least one seen pixel")
    estimate = np.full(values.shape, np.nan, np.float32)
    spread = np.full(values.shape, np.nan, np.float32)
    tree = cKDTree(places)
    results = np.empty((2, len(targets)), np.float32)
    for start in range(0, len(targets), batch):
        part = slice(start, start + batch)
        near = tree.query(targets[part], k=count)[1].reshape(-1, count)
        results[:, part] = _ordinary(targets[part], places[near], observed[near], parameters)
    estimate[wanted], spread[wanted] = results
    return estimate, spread


def _ordinary(
    targets: NDArray[np.float64], places: NDArray[np.float64], observed: NDArray[np.float64], covariance: Covariance
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate and error deviation at targets (n, 3) from observed (n, k) at places (n, k, 3)."""
    count = observed.shape[1]
    square = np.sum(places**2, axis=-1)
    between = square[:, :, None] + square[:, None, :] - 2 * places @ places.swapaxes(1, 2)
    matrix = covariance(np.maximum(between, 0))
    matrix[:, np.arange(count), np.arange(count)] = 1.0
    toward = covariance(np.sum((places - targets[:, None]) ** 2, axis=-1))
    ones = np.ones_like(observed)
    solved = np.linalg.solve(matrix, np.stack([observed, ones, toward], axis=-1))
    by_observed, by_ones, weights = np.moveaxis(solved, -1, 0)
    total = by_ones.sum(axis=1)
    mean = by_observed.sum(axis=1) / total
    anomaly = observed - mean[:, None]
    estimate = mean + np.sum(weights * anomaly, axis=1)
    sill = np.sum(anomaly * (by_observed - mean[:, None] * by_ones), axis=1) / max(count - 1, 1)
    share = 1 - np.sum(weights * toward, axis=1) + (1 - weights.sum(axis=1)) ** 2 / total
    return estimate, np.sqrt(np.maximum(sill * share, 0))


# --- choosing the parameters ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """A filled field and what its error is thought to be.

    Attributes
    ----------
    values, spread : (t, y, x) float32
        Estimate and standard deviation of its error. NaN where nothing was asked for.
    chosen : object
        The parameters that were chosen.
    """

    values: Field
    spread: Field
    chosen: Dct | Covariance


def tuned_dct_pls(values: Field, *, blocks: NDArray[np.bool_] | None = None, evaluations: int = 24) -> Prediction:
    """3-D DCT-PLS whose smoothing and time weight give the lowest RMSE on held-out blocks of seen pixels.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.
    blocks : (t, y, x) bool, optional
        Seen pixels to hold out while choosing; disc-shaped blocks of 4-12 pixels radius when not given.
    evaluations : int
        How many pairs of parameters are tried at most.

    Returns
    -------
    Prediction
        The spread is the RMSE on the blocks, by distance to the nearest seen pixel.
    """
    blocks = _held_out(values) if blocks is None else blocks & np.isfinite(values)
    shown = np.where(blocks, np.float32(np.nan), values)

    def score(parameters: Dct) -> float:
        return _rmse(dct_pls(shown, parameters, iterations=40, tolerance=1e-2) - values, blocks)

    chosen = _descend(score, Dct(1.0, 0.02), {"smoothing": 4.0, "time_weight": 3.0}, evaluations)
    classes = distance_class(distance_to_seen(np.isfinite(shown)))
    error = dct_pls(shown, chosen) - values
    overall = _rmse(error, blocks)
    by_class = [_rmse(error, blocks & (classes == k)) for k in range(len(NAMES))]
    by_class = [value if np.isfinite(value) else overall for value in by_class]
    spread = np.asarray(by_class, np.float32)[distance_class(distance_to_seen(np.isfinite(values)))]
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
    """Local space-time kriging whose covariance gives the lowest RMSE on held-out blocks of seen pixels.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where nothing was seen.
    wanted : (t, y, x) bool
        Pixels to estimate.
    blocks : (t, y, x) bool, optional
        Seen pixels to hold out while choosing; disc-shaped blocks of 4-12 pixels radius when not given.
    evaluations, sample : int
        Covariances tried at most, and how many held-out pixels each is tried on.

    Returns
    -------
    Prediction
        The spread is kriging's own, times the factor that makes it right on the blocks.
    """
    blocks = _held_out(values) if blocks is None else blocks & np.isfinite(values)
    shown = np.where(blocks, np.float32(np.nan), values)
    places = np.flatnonzero(blocks)
    some = np.zeros(blocks.shape, bool)
    picked = np.random.default_rng(0).permutation(len(places))[:sample]
    some.flat[places[picked]] = True

    def score(parameters: Covariance) -> float:
        return _rmse(kriging(shown, some, parameters, neighbours=neighbours)[0] - values, some)

    steps = {"frame": 1.5, "length": 3.0, "power": 1.3, "nugget": 3.0}
    chosen = _descend(score, Covariance(8.0, 40.0, 0.8, 0.02), steps, evaluations)
    estimate, spread = kriging(shown, some, chosen, neighbours=neighbours)
    factor = _rmse((estimate - values) / np.maximum(spread, 1e-6), some)
    estimate, spread = kriging(values, wanted, chosen, neighbours=neighbours)
    return Prediction(estimate, np.maximum(spread, 1e-6) * np.float32(factor), chosen)


Parameters = TypeVar("Parameters", Dct, Covariance)


def _descend(
    score: Callable[[Parameters], float], start: Parameters, steps: dict[str, float], evaluations: int
) -> Parameters:
    """Pattern search in the logarithm: each parameter times and over its step; steps shrink when nothing is gained."""
    best, lowest = start, score(start)
    tried = {start}
    while len(tried) < evaluations and max(steps.values()) > 1.2:
        before = lowest
        for name, other in _neighbours(steps):
            candidate = replace(best, **{name: other * getattr(best, name)})
            if candidate in tried or not _admissible(candidate) or len(tried) >= evaluations:
                continue
            tried.add(candidate)
            found = score(candidate)
            if found < lowest:
                best, lowest = candidate, found
        if lowest >= before:
            steps = {name: step**0.5 for name, step in steps.items()}
    return best


def _neighbours(steps: dict[str, float]) -> Iterable[tuple[str, float]]:
    for name, step in steps.items():
        yield name, step
        yield name, 1 / step


def _admissible(parameters: Dct | Covariance) -> bool:
    return isinstance(parameters, Dct) or (parameters.power <= 2 and 1e-4 <= parameters.nugget < 0.9)


def _held_out(values: Field) -> NDArray[np.bool_]:
    return disc_blocks(np.isfinite(values), share=0.15, radius=(4, 12), seed=1)


def _rmse(error: Field, where: NDArray[np.bool_]) -> float:
    chosen = error[where].astype(np.float64)
    return float(np.sqrt(np.mean(chosen**2))) if chosen.size else float("nan")
