"""Transforms physical values to dimensionless ones and back: pure numpy, elementwise, no missing values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_PART = 0.005
"""Smaller parts of a composition are raised to this, since the logarithm of zero is undefined (multiplicative
replacement)."""

LN10 = float(np.log(10.0))

# Rows are the two balances, columns micro, nano, pico; orthonormal, and orthogonal to (1, 1, 1).
BALANCES = np.array(
    [
        [np.sqrt(2 / 3), -np.sqrt(1 / 6), -np.sqrt(1 / 6)],
        [0.0, np.sqrt(1 / 2), -np.sqrt(1 / 2)],
    ]
)


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
    """Isometric log-ratios of three size classes, DOI 10.1023/A:1023818214614.

    Parameters
    ----------
    parts : (3, ...) float
        Fractions micro, nano, pico; parts below 0.005 count as 0.005, then all are divided by their sum.

    Returns
    -------
    (2, ...) float
        sqrt(2/3) ln(micro / sqrt(nano pico)) and sqrt(1/2) ln(nano / pico), in the dtype of `parts`.
    """
    micro, nano, pico = np.log(close(parts))
    first, second = BALANCES.astype(parts.dtype)
    return np.stack([first[0] * micro + first[1] * nano + first[2] * pico, second[1] * nano + second[2] * pico])


def ilr_inverse(balances: NDArray) -> NDArray:
    """Fractions micro, nano, pico of two isometric log-ratios.

    Parameters
    ----------
    balances : (2, ...) float
        As from `ilr`; any finite value is allowed.

    Returns
    -------
    (3, ...) float
        In (0, 1), sum 1 within rounding, in the dtype of `balances`.
    """
    matrix = BALANCES.astype(balances.dtype)
    logs = np.stack([matrix[0, part] * balances[0] + matrix[1, part] * balances[1] for part in range(3)])
    parts = np.exp(logs - logs.max(axis=0))
    return parts / parts.sum(axis=0)


def ilr_moments(mean: NDArray, spread: NDArray, nodes: int = 5) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of fractions with normal log-ratios (the inverse of a mean is not the mean).

    Gauss-Hermite quadrature, `nodes` x `nodes` points, independent log-ratios.

    Parameters
    ----------
    mean, spread : (2, ...) float
        Mean and standard deviation of the log-ratios.
    nodes : int
        Points per axis.

    Returns
    -------
    mean, spread : (3, ...) float
        Of the fractions; the means sum to 1 within rounding.
    """
    places, shares = np.polynomial.hermite_e.hermegauss(nodes)
    shares = shares / shares.sum()
    dtype = mean.dtype.type
    first = np.zeros((3, *mean.shape[1:]), mean.dtype)
    second = np.zeros_like(first)
    for place1, share1 in zip(places, shares, strict=True):
        for place2, share2 in zip(places, shares, strict=True):
            parts = ilr_inverse(np.stack([mean[0] + dtype(place1) * spread[0], mean[1] + dtype(place2) * spread[1]]))
            first += dtype(share1 * share2) * parts
            second += dtype(share1 * share2) * parts * parts
    return first / first.sum(axis=0), np.sqrt(np.maximum(second - first * first, 0))


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
