"""The season of each pixel: mean and harmonics of the year, shrunk to its neighbours, from sums over a whole series.

Harmonic regression with a ridge that grows with the harmonic (a periodic Gaussian process of few frequencies), on sums
over the pixels around. Even and odd years are summed apart: harmonics count as much as those of some years tell of
others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.prior.exact import bells, rounded

HARMONICS = 2
TERMS = 1 + 2 * HARMONICS
WAVES = 1 + 4 * HARMONICS  # products of two terms are waves of up to twice as many harmonics
RIDGE = (0.5, 2.0, 2.0, 4.0, 4.0)  # pseudo-counts of independent maps
INDEPENDENT_DAYS = 30.0  # maps closer in time count as less than one
WIDE, CLOSE = (8.0, 2.0), (1.0, 3.0)  # radius of pixels over which sums are pooled, and radii from which on none counts
RIDGES = 0.05, 2.0  # ridge of the pixels around, and of a pixel about them, in ridges
BESIDE = (2.0, 2.0)  # of the share that is confirmed, and of the spread
HALO = 15 + 2 + 3 + 3
USUAL = 0.5  # standard deviation of the anomalies of a pixel, in prior standard deviations
SPREADS = (0.2, 5.0)  # smallest and largest one over that
SPREAD_COUNT = 2.0  # pseudo-count of maps for it
DOUBT = 0.25  # pseudo-count of squared harmonics that agree, in maps and prior variances
LEAST_YEARS = 3
BYTES = 2 * (4 * WAVES + 8 * TERMS) + 8  # of the sums of a pixel


def waves(season: NDArray[np.float32], harmonics: int = 2 * HARMONICS) -> NDArray[np.float64]:
    """1, and cosine and sine of each harmonic, (t, 1 + 2 harmonics); `season` has those of the time of the year."""
    turn = season[:, 0].astype(np.float64) + 1j * season[:, 1]
    terms = [np.ones(len(season))]
    for k in range(1, harmonics + 1):
        terms += [(turn**k).real, (turn**k).imag]
    return rounded(np.stack(terms, axis=1))


def basis(season: NDArray[np.float32]) -> NDArray[np.float64]:
    """Constant and harmonics of the season, (t, TERMS)."""
    return waves(season, HARMONICS)


class Sums:
    """Sums over the observations of each pixel, added up map by map; even and odd years apart.

    Attributes
    ----------
    count : (2, WAVES, y, x) float32, of the waves
    total : (2, TERMS, y, x), of the departures from the prior times the first waves
    squares : (y, x), of the departures
    """

    def __init__(self, count: NDArray[np.float32], total: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        self.count, self.total, self.squares = count, total, squares

    @classmethod
    def zero(cls, rows: int, cols: int) -> Sums:
        """Return sums of nothing."""
        count = np.zeros((2, WAVES, rows, cols), np.float32)
        return cls(count, np.zeros((2, TERMS, rows, cols)), np.zeros((rows, cols)))

    def add(self, odd: int, wave: NDArray[np.float64], values: NDArray, observed: NDArray[np.bool_]) -> None:
        """Add a map of an even or odd year, (y, x), with its `waves`, (WAVES,)."""
        known, data = observed.astype(np.float32), np.where(observed, rounded(values), 0.0)
        for k, factor in enumerate(wave.tolist()):
            self.count[odd, k] += np.float32(factor) * known
        for k, factor in enumerate(wave[:TERMS].tolist()):
            self.total[odd, k] += factor * data
        self.squares += data**2

    def part(self, rows: slice, cols: slice) -> Sums:
        """Return the sums of some pixels."""
        return Sums(self.count[..., rows, cols], self.total[..., rows, cols], self.squares[rows, cols])


class Season(NamedTuple):
    """Season of each pixel, in prior standard deviations.

    Attributes
    ----------
    terms : (TERMS, y, x), mean and harmonics
    spread : (y, x), standard deviation of the anomalies
    held : (y, x), share of the fitted harmonics that other years confirm, which is in `terms`
    """

    terms: NDArray[np.float64]
    spread: NDArray[np.float64]
    held: NDArray[np.float64]


def fit(sums: Sums, step_days: float, anchored: bool = True) -> Season:
    """Fit the season of each pixel to sums, drawn to that of the pixels around, which is drawn to 0.

    Not `anchored`, the prior mean is unknown: the mean of the pixels around is not drawn to 0, and it is left to the
    large scale, which knows the level of pixels that are never observed.
    """
    times = max(1.0, INDEPENDENT_DAYS / step_days)
    ridge = np.array(RIDGE) * times
    told = np.zeros((2, *sums.squares.shape))
    for odd in (0, 1):
        of_others, _ = _terms(sums.count[1 - odd], sums.total[1 - odd], ridge, anchored)
        told += _told(of_others, _matrix(sums.count[odd]), sums.total[odd])
    agree, size = pooled(told, *BESIDE)
    count, right = sums.count.sum(axis=0, dtype=np.float64), sums.total.sum(axis=0)
    normal = _matrix(count)
    terms, level = _terms(count, right, ridge, anchored)
    held = np.clip((agree + DOUBT * times) / (size + DOUBT * times), 0, 1)
    terms[1:] *= held
    terms = rounded(terms)
    gone = 2 * _dot(terms, right) - _square(terms, normal)
    squares, independent = pooled(np.stack([np.maximum(sums.squares - gone, 0), normal[0, 0]]), *BESIDE)
    few = SPREAD_COUNT * times
    terms[0] -= 0 if anchored else level
    return Season(terms, np.sqrt((squares + few * USUAL**2) / (independent + few)), held)


def _terms(
    count: NDArray, right: NDArray[np.float64], ridge: NDArray[np.float64], anchored: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and harmonics of pixels, given the sums of waves and of values, and the mean of the pixels around."""
    around = RIDGES[0] * ridge
    around[0] *= 1.0 if anchored else 1e-9
    wide = rounded(_solved(_matrix(pooled(count, *WIDE)), pooled(right, *WIDE), around))
    left = right - np.stack([_dot(row, wide) for row in _matrix(count)])
    own = _solved(_matrix(pooled(count, *CLOSE)), pooled(left, *CLOSE), RIDGES[1] * ridge)
    return wide + own, wide[0]


def at(terms: NDArray, year: NDArray) -> NDArray:
    """Season of (TERMS, y, x) terms at the times of a `basis` (t, TERMS): (t, y, x), term by term."""
    total = terms[0] * year[:, 0, None, None]
    for k in range(1, len(terms)):
        total = total + terms[k] * year[:, k, None, None]
    return np.asarray(total)


def pooled(sums: NDArray, radius: float, cut: float) -> NDArray[np.float64]:
    """Weighted sums over the pixels around, with weights that sum to about 1."""
    halo = int(np.ceil(cut * radius)) - 1  # farther pixels have no weight
    weights = bells(np.zeros(1), np.arange(-halo, halo + 1.0), radius, cut)[0].tolist()
    out = rounded(sums)
    for axis in (-2, -1):
        n, more = out.shape[axis], [(0, 0)] * out.ndim
        more[axis] = (halo, halo)
        wide, total = np.moveaxis(np.pad(out, more), axis, 0), np.zeros(())
        for k, weight in enumerate(weights):
            total = total + weight * wide[k : k + n]
        out = rounded(np.moveaxis(total, 0, axis))
    return np.asarray(out / (2 * np.pi * radius**2))


def _solved(normal: NDArray[np.float64], right: NDArray[np.float64], ridge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (TERMS, y, x) of a ridge regression at each pixel."""
    left = np.moveaxis(normal, (0, 1), (2, 3)) + np.diag(ridge)
    found = np.linalg.solve(left, np.moveaxis(right, 0, 2)[..., None])[..., 0]
    return np.asarray(np.moveaxis(found, 2, 0), np.float64)


def _told(terms: NDArray[np.float64], normal: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over observations of other years: of predicted harmonics times anomalies from the mean, and squared."""
    waves = terms[1:]
    return np.stack([_dot(waves, right[1:] - normal[1:, 0] * terms[0]), _square(waves, normal[1:, 1:])])


def _dot(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scalar product of (k, y, x) vectors, term by term: its bits do not depend on the number of pixels."""
    total = np.zeros(first.shape[1:])
    for a, b in zip(first, second, strict=True):
        total += a * b
    return total


def _square(terms: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quadratic form of (k, y, x) vectors with (k, k, y, x) matrices."""
    return _dot(terms, np.stack([_dot(row, terms) for row in matrix]))


def _matrix(count: NDArray) -> NDArray[np.float64]:
    """Sums of the products of two terms, (TERMS, TERMS, y, x), given those of the waves (WAVES, y, x)."""
    count = np.asarray(count, np.float64)
    cosine, sine = [count[0], *count[1::2]], [np.zeros_like(count[0]), *count[2::2]]
    out = np.empty((TERMS, TERMS, *count.shape[1:]))
    for k in range(TERMS):
        for n in range(k + 1):
            a, b = (k + 1) // 2, (n + 1) // 2  # harmonics, b is not larger
            sine_k, sine_n = (each > 0 and each % 2 == 0 for each in (k, n))
            if sine_k == sine_n:
                found = cosine[a - b] + (-1 if sine_k else 1) * cosine[a + b]
            else:
                found = sine[a + b] + (1 if sine_k else -1) * sine[a - b]
            out[k, n] = out[n, k] = found / 2
    return out
