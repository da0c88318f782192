"""The season of each pixel: harmonics of the year, shrunk to its neighbours and to a constant, over a whole series.

Harmonic regression with a ridge that grows with the harmonic (a periodic Gaussian process of few frequencies), on sums
over the pixels around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xgapfill.prior.exact import bells, rounded

HARMONICS = 2
TERMS = 1 + 2 * HARMONICS
RIDGE = (0.5, 2.0, 2.0, 4.0, 4.0)  # pseudo-counts of independent maps
INDEPENDENT_DAYS = 30.0  # maps closer in time count as less than one
POOL = 1.0  # radius in pixels over which sums are pooled
POOL_SPREAD = 2.0
CUT = 3.0
HALO = int(CUT * POOL_SPREAD)
SPREADS = (1 / 3, 3.0)  # smallest and largest standard deviation of a pixel over that of the map
SPREAD_COUNT = 2.0  # pseudo-count of maps for it
LEAST_SPREAD = 1e-3  # of the anomalies of a map, in prior standard deviations
LEAST_YEARS = 3


def basis(season: NDArray[np.float32]) -> NDArray[np.float64]:
    """Constant and harmonics, (t, TERMS), given cos and sin of the time of the year (t, 2)."""
    turn = season[:, 0].astype(np.float64) + 1j * season[:, 1]
    terms = [np.ones(len(season))]
    for k in range(1, HARMONICS + 1):
        terms += [(turn**k).real, (turn**k).imag]
    return rounded(np.stack(terms, axis=1))


def fit(
    values: NDArray[np.float64], observed: NDArray[np.bool_], season: NDArray[np.float32], step_days: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Harmonics of (t, y, x) departures from the prior.

    Returns
    -------
    terms : (TERMS, y, x)
    squares, count : (y, x)
        Sum of the squared anomalies and their number, both pooled.
    """
    terms, known = basis(season), observed.astype(np.float64)
    data = np.where(observed, rounded(values), 0.0)
    pairs = rounded(np.einsum("tk,tl->tkl", terms, terms))
    normal = pooled(np.einsum("tkl,tyx->klyx", pairs, known, optimize=True), POOL)
    right = pooled(rounded(np.einsum("tk,tyx->kyx", terms, data, optimize=True)), POOL)
    ridge = np.diag(np.array(RIDGE) * max(1.0, INDEPENDENT_DAYS / step_days))
    left = np.moveaxis(normal, (0, 1), (2, 3)) + ridge
    found = np.moveaxis(np.linalg.solve(left, np.moveaxis(right, 0, 2)[..., None])[..., 0], 2, 0)
    found = rounded(found)
    squares = np.where(observed, rounded((values - at(found, terms)) ** 2), 0.0).sum(axis=0)
    return found, pooled(squares, POOL_SPREAD), pooled(known.sum(axis=0), POOL_SPREAD)


def at(terms: NDArray, year: NDArray) -> NDArray:
    """Season of (TERMS, y, x) harmonics at the times of a `basis` (t, TERMS): (t, y, x), term by term."""
    total = terms[0] * year[:, 0, None, None]
    for k in range(1, len(terms)):
        total = total + terms[k] * year[:, k, None, None]
    return np.asarray(total)


def pooled(sums: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Weighted sums over the pixels around, with weights that sum to about 1."""
    rows, cols = (np.arange(n, dtype=np.float64) for n in sums.shape[-2:])
    share = 1 / (2 * np.pi * radius**2)
    north, east = bells(rows, rows, radius, CUT), bells(cols, cols, radius, CUT)
    out = rounded(np.einsum("zy,...yx->...zx", north, rounded(sums), optimize=True))
    return np.asarray(np.einsum("wx,...zx->...zw", east, out, optimize=True) * share)


def helps(
    values: NDArray,
    observed: NDArray[np.bool_],
    season: NDArray[np.float32],
    years: NDArray[np.int64],
    step_days: float,
) -> tuple[bool, float]:
    """Whether the season of some years tells more of other years than their mean does, and the spread of anomalies.

    Parameters
    ----------
    values, observed : (t, n), departures from the prior
    season : (t, 2)
    years : (t,)
    step_days : float
    """
    terms = basis(season)
    ridge = np.array(RIDGE) * max(1.0, INDEPENDENT_DAYS / step_days)
    errors = np.zeros(2)
    count = 0
    for odd in (0, 1):
        train, test = years % 2 == odd, years % 2 != odd
        for number, kept in enumerate((slice(0, TERMS), slice(0, 1))):
            b = terms[:, kept]
            known = observed[train].astype(np.float64)
            normal = np.einsum("tk,tl,tn->nkl", b[train], b[train], known) + np.diag(ridge[kept])
            right = np.einsum("tk,tn->nk", b[train], np.where(observed[train], values[train], 0.0))
            found = np.linalg.solve(normal, right[..., None])[..., 0]
            miss = np.where(observed[test], values[test] - b[test] @ found.T, 0.0)
            errors[number] += float((miss**2).sum())
        count += int(observed[test].sum())
    return bool(errors[0] < errors[1]), float(np.sqrt(max(errors[0], 1e-6) / max(count, 1)))
