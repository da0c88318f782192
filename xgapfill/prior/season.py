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
POOL = 1.0  # radius in pixels over which sums are pooled
POOL_SPREAD = 2.0
CUT = 3.0
HALO = 2 * 2 + 2 * 5  # pixels with a weight around: of level, terms, share that is confirmed, spread
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

    def less(self, level: NDArray[np.float64] | float) -> Sums:
        """Return the sums of departures from a level, (y, x) or a number."""
        total = self.total - self.count[:, :TERMS] * level
        squares = self.squares - level * (self.total[:, 0] + total[:, 0]).sum(axis=0)
        return Sums(self.count, total, squares)

    def rows(self, first: int, stop: int) -> Sums:
        """Return the sums of some rows."""
        part = (..., slice(first, stop), slice(None))
        return Sums(self.count[part], self.total[part], self.squares[part])


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
    """Fit the season of each pixel to sums.

    Not `anchored`, the prior mean is unknown: the mean of a pixel is drawn to that of the pixels around, and what they
    share is left to the large scale, which knows the level of pixels that are never observed.
    """
    times = max(1.0, INDEPENDENT_DAYS / step_days)
    ridge = np.array(RIDGE) * times
    level = 0.0 if anchored else _level(sums)
    sums = sums.less(level)
    normal, right = pooled(sums.count, POOL), pooled(sums.total, POOL)
    terms = _solved(_matrix(normal.sum(axis=0)), right.sum(axis=0), ridge)
    told = np.zeros((2, *sums.squares.shape))
    for odd in (0, 1):
        of_others = _solved(_matrix(normal[1 - odd]), right[1 - odd], ridge)
        told += _told(of_others, _matrix(sums.count[odd]), sums.total[odd])
    agree, size = pooled(told, POOL_SPREAD)
    held = np.clip((agree + DOUBT * times) / (size + DOUBT * times), 0, 1)
    terms[1:] *= held
    terms = rounded(terms)
    normal, right = _matrix(sums.count.sum(axis=0)), sums.total.sum(axis=0)
    gone = 2 * _dot(terms, right) - _square(terms, normal)
    squares, count = pooled(np.maximum(sums.squares - gone, 0), POOL_SPREAD), pooled(normal[0, 0], POOL_SPREAD)
    few = SPREAD_COUNT * times
    return Season(terms, np.sqrt((squares + few * USUAL**2) / (count + few)), held)


def _level(sums: Sums) -> NDArray[np.float64]:
    """Mean of the pixels around, 0 where none is observed."""
    count, total = (pooled(part[:, 0].sum(axis=0), POOL) for part in (sums.count, sums.total))
    return rounded(np.divide(total, count, out=np.zeros_like(total), where=count > 0))


def at(terms: NDArray, year: NDArray) -> NDArray:
    """Season of (TERMS, y, x) terms at the times of a `basis` (t, TERMS): (t, y, x), term by term."""
    total = terms[0] * year[:, 0, None, None]
    for k in range(1, len(terms)):
        total = total + terms[k] * year[:, k, None, None]
    return np.asarray(total)


def pooled(sums: NDArray, radius: float) -> NDArray[np.float64]:
    """Weighted sums over the pixels around, with weights that sum to about 1."""
    halo = int(np.ceil(CUT * radius)) - 1  # farther pixels have no weight
    weights = bells(np.zeros(1), np.arange(-halo, halo + 1.0), radius, CUT)[0].tolist()
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
    count = count.astype(np.float64)
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
