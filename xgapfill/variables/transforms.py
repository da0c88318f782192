"""Transforms physical values to dimensionless ones and back: pure numpy, elementwise, no missing values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, reduce
from itertools import product
from operator import add

import numpy as np
from numpy.typing import NDArray

SMALLEST_PART = 0.005
"""Smaller parts of a composition are raised to this, since the logarithm of zero is undefined (multiplicative
replacement)."""

LN10 = float(np.log(10.0))


@cache
def balances(parts: int) -> NDArray[np.float64]:
    """Rows of isometric log-ratios, (parts - 1, parts): each compares a part with all that follow.

    Orthonormal, and orthogonal to (1, 1, ...).

    Examples
    --------
    >>> balances(2).round(3).tolist()
    [[0.707, -0.707]]
    """
    rows = np.zeros((parts - 1, parts))
    for k in range(parts - 1):
        others = parts - 1 - k
        rows[k, k], rows[k, k + 1 :] = np.sqrt(others / (others + 1)), -np.sqrt(1 / (others * (others + 1)))
    return rows


def log10(values: NDArray) -> NDArray:
    """Base-10 logarithm of positive values, in the dtype of `values`."""
    return np.log10(values)


def power10(values: NDArray) -> NDArray:
    """Inverse of `log10`, in the dtype of `values`."""
    return np.exp(values * values.dtype.type(LN10))


def close(parts: NDArray, smallest: float = SMALLEST_PART) -> NDArray:
    """Parts raised to at least `smallest`, then divided by their sum.

    Parameters
    ----------
    parts : (p, ...) float
        Non-negative parts of a composition, fractions that sum to about 1.
    smallest : float
        Multiplicative replacement of smaller parts, DOI 10.1023/A:1023866030544.

    Returns
    -------
    (p, ...) float
        Sums to 1 along the first axis.
    """
    raised = np.maximum(parts, parts.dtype.type(smallest))
    return raised / raised.sum(axis=0)


def ilr(parts: NDArray) -> NDArray:
    """Isometric log-ratios of a composition, DOI 10.1023/A:1023818214614.

    Parameters
    ----------
    parts : (p, ...) float
        Fractions; parts below 0.005 count as 0.005, then all are divided by their sum.

    Returns
    -------
    (p - 1, ...) float
        Of micro, nano, pico: sqrt(2/3) ln(micro / sqrt(nano pico)) and sqrt(1/2) ln(nano / pico). In the dtype of
        `parts`.
    """
    logs = np.log(close(parts))
    rows = balances(len(logs)).astype(parts.dtype)
    return np.stack([reduce(add, (row[n] * logs[n] for n in range(k, len(logs)))) for k, row in enumerate(rows)])


def ilr_inverse(values: NDArray) -> NDArray:
    """Fractions of isometric log-ratios.

    Parameters
    ----------
    values : (p - 1, ...) float
        As from `ilr`; any finite value is allowed.

    Returns
    -------
    (p, ...) float
        In (0, 1), sum 1 within rounding, in the dtype of `values`.
    """
    rows = balances(len(values) + 1).astype(values.dtype)
    logs = np.stack(
        [reduce(add, (row[n] * each for row, each in zip(rows, values, strict=True))) for n in range(rows.shape[1])]
    )
    parts = np.exp(logs - logs.max(axis=0))
    return parts / parts.sum(axis=0)


def ilr_moments(mean: NDArray, spread: NDArray, nodes: int = 5) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of fractions with normal log-ratios (the inverse of a mean is not the mean).

    Quadrature for independent log-ratios: Gauss-Hermite with `nodes` points each for up to two, else of third degree
    with two points each.

    Parameters
    ----------
    mean, spread : (p - 1, ...) float
        Mean and standard deviation of the log-ratios.
    nodes : int
        Points per axis.

    Returns
    -------
    mean, spread : (p, ...) float
        Of the fractions; the means sum to 1 within rounding.
    """
    dtype = mean.dtype.type
    first = np.zeros((len(mean) + 1, *mean.shape[1:]), mean.dtype)
    second = np.zeros_like(first)
    for place, share in _nodes(len(mean), nodes):
        values = [m + dtype(at) * s for at, m, s in zip(place, mean, spread, strict=True)]
        parts = ilr_inverse(np.stack(values))
        first += dtype(share) * parts
        second += dtype(share) * parts * parts
    return first / first.sum(axis=0), np.sqrt(np.maximum(second - first * first, 0))


def _nodes(axes: int, nodes: int) -> Iterator[tuple[tuple[float, ...], float]]:
    """Points and weights of a quadrature for independent standard normal variables."""
    if axes > 2:
        for axis, sign in product(range(axes), (-1, 1)):
            yield tuple(sign * axes**0.5 * (axis == other) for other in range(axes)), 1 / (2 * axes)
        return
    places, shares = np.polynomial.hermite_e.hermegauss(nodes)
    shares = shares / shares.sum()
    for numbers in product(range(nodes), repeat=axes):
        yield tuple(places[n] for n in numbers), float(np.prod([shares[n] for n in numbers]))


def logit(shares: NDArray) -> NDArray:
    """Logit of shares in [0, 1], which are moved away from 0 and 1 by `SMALLEST_PART`, in the dtype of `shares`."""
    one, edge = shares.dtype.type(1), shares.dtype.type(SMALLEST_PART)
    inner = edge + shares * (one - 2 * edge)
    return np.log(inner / (one - inner))


def logit_inverse(values: NDArray) -> NDArray:
    """Inverse of `logit`, in [0, 1] for any finite value, in the dtype of `values`."""
    one, edge = values.dtype.type(1), values.dtype.type(SMALLEST_PART)
    inner = one / (one + np.exp(np.clip(-values, -60, 60)))
    return np.clip((inner - edge) / (one - 2 * edge), 0, one)


def logit_slope(shares: NDArray) -> NDArray:
    """Derivative of `logit` with respect to the share."""
    inner = SMALLEST_PART + shares * (1 - 2 * SMALLEST_PART)
    return (1 - 2 * SMALLEST_PART) / (inner * (1 - inner))


def logit_moments(mean: NDArray, spread: NDArray, nodes: int = 7) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of shares with normal logits, by Gauss-Hermite quadrature with `nodes` points."""
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    shares = [logit_inverse(mean + mean.dtype.type(place) * spread) for place in places]
    portions = (weights / weights.sum()).astype(mean.dtype)
    middle = sum((portion * share for portion, share in zip(portions, shares, strict=True)), np.zeros_like(mean))
    squares = (portion * (share - middle) ** 2 for portion, share in zip(portions, shares, strict=True))
    return middle, np.sqrt(sum(squares, np.zeros_like(mean)))


def lognormal_spread(mean: NDArray, spread: NDArray) -> NDArray:
    """Standard deviation of 10**x for normal x of this `mean` and `spread`, in the units of 10**mean."""
    width = spread * spread.dtype.type(LN10)
    return power10(mean) * np.exp(width * width / 2) * np.sqrt(np.expm1(width * width))
