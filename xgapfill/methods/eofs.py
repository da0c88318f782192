"""EOFs of incomplete data: the method of the DINEOF papers for a matrix of pixels by frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

CELLS = 1 << 20  # elements of the matrix that are processed at once
MORE = 10  # directions iterated in addition to the modes, so that the modes converge
RISES = 3  # successive rises of the cross-validation error that end the search
RADII = (2.0, 10.0)  # of artificial clouds, pixels


class Expansion(NamedTuple):
    """Truncated EOF expansion of an incomplete matrix: mean + spatial @ temporal.T."""

    mean: float
    spatial: NDArray  # (m, k) times the singular values
    temporal: NDArray  # (n, k) orthonormal
    errors: tuple[float, ...]  # cross-validation errors of 1, 2, ... modes; empty when the number was prescribed


def dineof(
    matrix: NDArray,
    observed: NDArray[np.bool_],
    modes: int | None = None,
    *,
    hidden: NDArray[np.bool_] | None = None,
    judge: Callable[[NDArray], float] | None = None,
    max_modes: int = 50,
    tolerance: float = 1e-3,
    iterations: int = 300,
    smoother: NDArray | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Expansion:
    """Expand an incomplete matrix in EOFs; cross-validation chooses the number of modes.

    Source: Beckers & Rixen (2003), doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2.
    Missing anomalies start as 0 and are replaced by the leading EOFs until they converge, with one mode more each time.
    The expansion with the number of modes that best predicts the withheld values is then iterated on all observations.
    The leading EOFs follow from subspace iteration, one pass over the matrix per iteration: Halko, Martinsson & Tropp
    (2011), doi:10.1137/090771806, section 5.5, with the subspace of the previous iteration instead of a random one.

    Parameters
    ----------
    matrix, observed : (m, n) float32 or float64, (m, n) bool
        Pixels by frames, and where they are observed; any finite numbers elsewhere.
    modes : int, optional
        Number of modes; by default it is searched for, up to `max_modes` or three successive rises of the error.
    hidden : (m, n) bool, optional
        Values withheld from the search; by default random ones (`seed`), ``floor(min(0.01 m n + 40, 0.03 m n))``.
    judge : callable, optional
        Gives the error of temporal EOFs (n, k), instead of the root mean square error at the hidden values.
    tolerance, iterations : float, int
        Missing values have converged when their root mean square change, in standard deviations of the observations, is
        below the tolerance; or after this number of iterations.
    smoother : (n, n) ndarray, optional
        Filter of the temporal covariance, `time_filter`.
    progress : bool
        Show a progress bar. After an interrupt (Ctrl-C) the best number of modes so far is used.

    Raises
    ------
    ValueError
        When there are no observations, when they are constant, or when the matrix is too small for the modes.

    Examples
    --------
    >>> truth = np.outer(np.sin(np.arange(40)), np.cos(np.arange(20)))
    >>> observed = np.random.default_rng(0).random(truth.shape) < 0.6
    >>> found = dineof(np.where(observed, truth, 0), observed, modes=2, tolerance=1e-6)
    >>> bool(np.abs(found.mean + found.spatial @ found.temporal.T - truth).max() < 0.01)
    True
    """
    if (most := min(matrix.shape) - 1) < 2:
        raise ValueError(
            "EOFs need at least 3 well observed pixels and frames, found "
            f"{matrix.shape[0]} pixels and {matrix.shape[1]} frames; give more data"
        )
    if modes is not None and not 1 <= modes <= most:
        raise ValueError(
            f"{matrix.shape[1]} frames of {matrix.shape[0]} pixels do not have {modes} modes; use 1 to {most}"
        )
    mean, sd = standard(matrix[observed], "the matrix")
    apart = np.zeros_like(observed)
    if modes is None and hidden is None:
        rng = np.random.default_rng(seed)
        apart.flat[rng.choice(np.flatnonzero(observed), kept_out(observed), replace=False)] = True
    elif modes is None and hidden is not None:
        apart = observed & hidden
    anomalies = np.where(observed, matrix - mean, 0).astype(np.result_type(matrix, np.float32), copy=False)
    filled, shown = np.where(apart, 0, anomalies), observed & ~apart
    if modes is None and not (apart.any() and shown.any()):
        raise ValueError("hidden must withhold some observed values and keep others")
    limits = smoother, tolerance * sd, iterations
    errors: list[float] = []
    best: list[Modes] = []
    start = _directions(filled, smoother)
    basis = start[:, :MORE]
    try:
        for k in tqdm(range(1, (modes or min(max_modes, most)) + 1), desc="EOF modes", disable=not progress):
            basis = np.concatenate([basis, start[:, basis.shape[1] : k + MORE]], axis=1)
            found = _settle(filled, shown, k, basis, *limits)
            basis = found.basis
            if modes is None:
                misfit = float(np.mean((filled[apart] - anomalies[apart]) ** 2)) ** 0.5
                errors.append(judge(found.temporal) if judge else misfit)
            if modes is not None or errors[-1] == min(errors):
                best = [found]
            if len(errors) > RISES and (np.diff(errors[-RISES - 1 :]) > 0).all():
                break
    except KeyboardInterrupt:
        if not best:
            raise
    found = best[0]
    if modes is None:
        filled = np.where(observed, anomalies, found.spatial @ found.temporal.T)
        found = _settle(filled, observed, found.temporal.shape[1], found.basis, *limits)
    spatial, temporal, _ = found
    return Expansion(mean, spatial, temporal, tuple(errors))


def standard(values: NDArray, name: str) -> tuple[float, float]:
    """Return mean and standard deviation; ValueError when the values have no EOFs."""
    if not values.size:
        raise ValueError(f"EOFs need data, but {name} is never observed; leave it out or check its times and mask")
    parts = np.array_split(values, max(1, values.size // CELLS))  # so that no copy in float64 is large
    mean = sum(float(part.sum(dtype=np.float64)) for part in parts) / values.size
    sd = (sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in parts) / values.size) ** 0.5
    if not sd > 3e-5 * abs(mean):
        raise ValueError(f"{name} has no EOFs: mean {mean:g}, standard deviation {sd:g}; check it or leave it out")
    return mean, sd


class Modes(NamedTuple):
    """Leading EOFs of a filled matrix (m, n), and the iterated subspace."""

    spatial: NDArray  # (m, k) times the singular values
    temporal: NDArray  # (n, k) orthonormal
    basis: NDArray  # (n, k + MORE) orthonormal, temporal EOFs first


def _blocks(matrix: NDArray) -> list[slice]:
    """Rows that are processed at once, always in this order."""
    rows = 1 + CELLS // matrix.shape[1]
    return [slice(first, first + rows) for first in range(0, len(matrix), rows)]


def _directions(matrix: NDArray, smoother: NDArray | None) -> NDArray:
    """All eigenvectors (n, n) of the temporal covariance, the leading first."""
    n = matrix.shape[1]
    covariance = sum((matrix[rows].T @ matrix[rows] for rows in _blocks(matrix)), np.zeros((n, n)))
    covariance = covariance if smoother is None else smoother @ covariance @ smoother.T
    return np.linalg.eigh(covariance)[1][:, ::-1].astype(matrix.dtype)


def _leading(turned: NDArray, image: NDArray, smoother: NDArray | None) -> NDArray:
    """Leading eigenvectors of S C S' from the image C S' B of a basis B, given S' B: Nystrom's approximation.

    Exact where the basis spans everything.
    """
    gram = turned.T @ image
    sizes, axes = np.linalg.eigh((gram + gram.T) / 2)
    image = image if smoother is None else smoother @ image
    root = axes / np.sqrt(np.maximum(sizes, np.finfo(turned.dtype).eps * max(sizes[-1], 1e-30)))
    return np.linalg.svd(image @ root, full_matrices=False)[0].astype(turned.dtype)


def _settle(
    filled: NDArray,
    shown: NDArray[np.bool_],
    k: int,
    basis: NDArray,
    smoother: NDArray | None,
    tolerance: float,
    iterations: int,
) -> Modes:
    """Replace values that are not shown by the first k modes until they converge, in place."""
    gaps, blocks, spatial = ~shown, _blocks(filled), np.empty((len(filled), k), filled.dtype)

    def turn(basis: NDArray) -> NDArray:
        return basis if smoother is None else (smoother.T @ basis).astype(basis.dtype)

    turned, zero = turn(basis), np.zeros(basis.shape)
    image = sum((filled[rows].T @ (filled[rows] @ turned) for rows in blocks), zero)
    for _ in range(iterations):
        basis = _leading(turned, image, smoother)
        temporal, turned, image = basis[:, :k], turn(basis), np.zeros(basis.shape)
        squares = 0.0
        for rows in blocks:
            block = filled[rows]
            spatial[rows] = block @ temporal
            change = spatial[rows] @ temporal.T - block
            change *= gaps[rows]
            block += change
            squares += float(np.vdot(change, change))
            image += block.T @ (block @ turned)
        if squares < tolerance**2 * max(1, int(np.count_nonzero(gaps))):
            break
    return Modes(spatial, temporal, basis)


def kept_out(observed: NDArray[np.bool_]) -> int:
    """Return the number of withheld values: as in the original, but at most a fifth of the observations."""
    return max(1, min(int(min(0.01 * observed.size + 40, 0.03 * observed.size)), int(observed.sum()) // 5))


def clouds(observed: NDArray[np.bool_], rows: NDArray, cols: NDArray, seed: int = 0) -> NDArray[np.bool_]:
    """Return observed pixels (t, n) under random clouds, with pixels at `rows`, `cols`; `kept_out` of them."""
    rng = np.random.default_rng(seed)
    hidden = np.zeros(observed.shape, bool)
    left, frames = kept_out(observed), np.flatnonzero(observed.any(axis=1))
    while left > 0:
        frame = rng.choice(frames)
        centre = rng.choice(np.flatnonzero(observed[frame]))
        distance = np.hypot(rows - rows[centre], cols - cols[centre])
        under = np.flatnonzero(observed[frame] & ~hidden[frame] & (distance <= rng.uniform(*RADII)))
        under = under[np.argsort(distance[under], kind="stable")][:left]
        hidden[frame, under] = True
        left -= len(under)
    return hidden


def time_filter(slots: NDArray, alpha: float = 0.01, numit: int = 3) -> NDArray[np.float64]:
    """Return the matrix that diffuses a series `numit` times; it smooths over 2 pi sqrt(alpha numit) time steps."""
    step = np.diff(slots).astype(np.float64)
    width = np.concatenate([step[:1], (step[1:] + step[:-1]) / 2, step[-1:]])
    flux = np.pad(np.diff(np.eye(len(slots)), axis=0) / step[:, None], ((1, 1), (0, 0)))
    return np.linalg.matrix_power(np.eye(len(slots)) + alpha * np.diff(flux, axis=0) / width[:, None], numit)
