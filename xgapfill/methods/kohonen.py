"""Kohonen's map of vectors, trained in batches; vectors with gaps join as the map completes them (ITCOMP-SOM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Vectors: TypeAlias = NDArray[np.float64]

# Widths, in distances of units, chosen on three simulated oceans by the error at withheld values and the spread:
LAST_RADIUS = 0.3  # of the neighbourhood at the end of the training
SPREAD_RADIUS = 0.4  # of the neighbourhood for the mean and covariance of a unit
TURN_EPOCHS = 3  # epochs each time that vectors with one more gap join
VECTORS_PER_UNIT = 20
BLOCK = 4096  # vectors processed at once in the training


def shape_for(rows: int, cols: int, vectors: int) -> tuple[int, int]:
    """Rows and columns of a map, reduced where there are few vectors per unit."""
    scale = min(1.0, (vectors / VECTORS_PER_UNIT / (rows * cols)) ** 0.5)
    return max(1, int(rows * scale)), max(1, int(cols * scale))


def _places(shape: tuple[int, int]) -> Vectors:
    """Positions of the units of a hexagonal map, (u, 2); neighbours are 1 apart."""
    row, col = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.stack([row * np.sqrt(0.75), col + 0.5 * (row % 2)], axis=1)


def neighbourhood(shape: tuple[int, int], radius: float) -> Vectors:
    """Gaussian neighbourhood of each pair of units, (u, u)."""
    places = _places(shape)
    return np.exp(-0.5 * ((places[:, None] - places) ** 2).sum(axis=-1) / radius**2)


def train(x: Vectors, known: NDArray[np.bool_], shape: tuple[int, int], epochs: int, progress: bool = False) -> Vectors:
    """Prototypes (u, d) of a map of the complete vectors; vectors with more and more gaps join afterwards."""
    steps = _steps(x, known, shape, epochs)
    total = epochs + TURN_EPOCHS * len(np.unique((~known).sum(axis=1)[~known.all(axis=1)]))
    found = []
    try:
        for prototypes in tqdm(steps, desc="epochs of the map", total=total, disable=not progress):
            found = [prototypes]
    except KeyboardInterrupt:
        if not found:
            raise
    return found[0]


def _steps(x: Vectors, known: NDArray[np.bool_], shape: tuple[int, int], epochs: int) -> Iterator[Vectors]:
    """Prototypes after each epoch."""
    complete = x[known.all(axis=1)]
    covariance = np.cov(complete.T)
    prototypes = complete.mean(axis=0) + _plane(covariance, shape)
    for radius in np.geomspace(max(LAST_RADIUS, max(shape) / 2), LAST_RADIUS, epochs):
        prototypes = batch_update(complete, best_units(complete, prototypes), prototypes, neighbourhood(shape, radius))
        yield prototypes
    neighbours = neighbourhood(shape, LAST_RADIUS)
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    likeness = (covariance / sd[:, None] / sd) ** 2
    gaps = (~known).sum(axis=1)
    for most in np.unique(gaps[gaps > 0]):
        part = gaps <= most
        # a known component has more weight when the unknown ones are correlated with it
        weight = known[part] * (1 + ~known[part] @ likeness)
        filled = np.where(known[part], x[part], prototypes[best_units(x[part], prototypes, weight)])
        for _ in range(TURN_EPOCHS):
            prototypes = batch_update(filled, best_units(filled, prototypes), prototypes, neighbours)
            yield prototypes


def _plane(covariance: Vectors, shape: tuple[int, int]) -> Vectors:
    """Units on the plane of the first two principal components, two standard deviations to each side of the mean."""
    variance, axes = np.linalg.eigh(covariance)
    variance, axes = variance[:-3:-1], axes[:, :-3:-1]  # the two largest, the first for the longer side
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # fix the arbitrary sign of eigenvectors
    places = _places(shape)[:, [0, 1] if shape[0] >= shape[1] else [1, 0]]
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return 2 * places / np.maximum(places.max(axis=0), 1) * np.sqrt(np.maximum(variance, 0)) @ axes.T


def best_units(x: Vectors, prototypes: Vectors, weight: Vectors | None = None) -> NDArray[np.int64]:
    """Unit nearest to each vector, (n,): the smallest sum of weight (x - m)^2; unknown components have weight 0."""
    best = np.empty(len(x), np.int64)
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        w = np.ones_like(x[block]) if weight is None else weight[block]
        # weight x^2 is left out: it is the same for all units
        best[block] = (w @ (prototypes**2).T - 2 * (w * x[block]) @ prototypes.T).argmin(axis=1)
    return best


def batch_update(x: Vectors, best: NDArray[np.int64], prototypes: Vectors, neighbours: Vectors) -> Vectors:
    """One step of the batch map: m_i = sum_j h_ij n_j x_j / sum_j h_ij n_j, with x_j the mean of the n_j vectors of j.

    Parameters
    ----------
    x, best : (n, d) vectors and (n,) the best unit of each
    prototypes : (u, d), kept by units without vectors near them
    neighbours : (u, u), h

    Examples
    --------
    Two units: the first is best for the vectors 0 and 1, the second for 4; each shares its vectors with weight 0.5:

    >>> h = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> batch_update(np.array([[0.0], [1.0], [4.0]]), np.array([0, 0, 1]), np.array([[0.0], [4.0]]), h).ravel()
    array([1.2 , 2.25])
    """
    sums = neighbours @ sums_by_unit([np.ones(len(x)), *x.T], best, len(prototypes))
    near = sums[:, :1]
    return np.where(near > 1e-12, sums[:, 1:] / np.maximum(near, 1e-12), prototypes)


def sums_by_unit(columns: Sequence[NDArray], best: NDArray[np.int64], units: int) -> Vectors:
    """Sums of columns over the vectors of each unit, (u, columns), one vector after the other."""
    return np.stack([np.bincount(best, column, units) for column in columns], axis=1)
