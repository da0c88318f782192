"""Other sensors against the target: offset, scale and error around each place and date, from pixels that both saw.

Means of pairs in cells are nested from wide to narrow, as those of the large scale (`prior.large`). For the error, each
cell is compared with the means around it without its own pairs. Target and sensor are taken for the same field with
noise of their own, so that only what they share counts: a sensor that does not vary with the target tells nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.prior import large
from xgapfill.prior.exact import VALUES, rounded
from xgapfill.prior.large import CUT, HALF, SHRINK, WIDEST, Places

RADII = (16.0, 8.0, 3.0, 1.0)  # cells northward, wide to narrow
DAYS = (32.0, 16.0, 4.0, 2.0)
SLOTS = 2.0  # largest radius in time, in slots
MOMENT_RADIUS, MOMENT_DAYS = 8.0, 24.0  # over which variances are pooled
FEW = 8.0  # cells: weight of the widest variances
LEAST_PAIRS = 300  # around a place; with fewer a sensor is not used there
LEAST_SHARED = 0.01  # share of the variance
SCALES = (1 / 3, 3.0)
SQUARES = 2.0**16  # numbers per unit of variances
TOGETHER = 75.0  # pixels that share the error that a cell has in common
MOST_TOGETHER = 1000.0
PAIRS, FIELDS = 6, 5  # arrays of a channel: of `cell_pairs`, of `Compared`


class Compared(NamedTuple):
    """A sensor against the target in cells: the means of both, the scale of the sensor, and the variance of its error.

    ``target + (value - sensor) / scale`` estimates the target, with that variance; NaN where there are too few pairs.
    As neighbours share errors, the mean of many pixels is only as sure as if each had `together` times the variance.
    """

    target: NDArray[np.float64]
    sensor: NDArray[np.float64]
    scale: NDArray[np.float64]
    variance: NDArray[np.float64]
    together: NDArray[np.float64]


def reach(step_days: float) -> tuple[int, int, int]:
    """Slots, rows and columns of cells around a cell on which its comparison depends."""
    return tuple(2 * each for each in _half(step_days))  # type: ignore[return-value]


def _half(step_days: float) -> tuple[int, int, int]:
    """Reach of the means of pairs, and that of the moments of cells, which compare with these means."""
    slots = int(np.ceil(CUT * max(_slots(DAYS, step_days)))) - 1
    return slots, int(CUT * RADII[0]), int(CUT * RADII[0] * WIDEST)


def cell_pairs(
    target: NDArray, sensor: NDArray, both: NDArray[np.bool_], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Pairs of (..., y, x) values in each cell: number, means of both, variance, covariance, variance.

    Returns (PAIRS, ..., cells, cells); `rows` and `cols` are the first pixels of the cells.
    """

    def summed(part: NDArray) -> NDArray[np.float64]:
        return np.add.reduceat(np.add.reduceat(part, rows, axis=-2), cols, axis=-1)

    first, second = (np.where(both, rounded(each, VALUES), 0.0) for each in (target, sensor))
    count = summed(both.astype(np.float64))
    products = [(first, first), (first, second), (second, second)]
    means, squares = [summed(first), summed(second)], [summed(a * b) for a, b in products]
    some = np.maximum(count, 1)
    means = [each / some for each in means]
    left = [square / some - a * b for square, a, b in zip(squares, *_products(means), strict=True)]
    return np.stack([count, *means, np.maximum(left[0], 0), left[1], np.maximum(left[2], 0)])


def _products(means: list[NDArray]) -> tuple[list[NDArray], list[NDArray]]:
    first, second = means
    return [first, first, second], [first, second, second]


def compare(pairs: NDArray[np.float64], of: Places, at: Places, step_days: float) -> Compared:
    """Compare a sensor with the target in the cells `at`, given (PAIRS, t, y, x) of the cells `of` around them."""
    half = _half(step_days)
    near, chosen = _grown(of, at, half)  # the cells whose moments count
    found, beside, steps, left = _means(pairs[:3], of, near, chosen, step_days)
    inner = _grown(near, at, (0, 0, 0))[1]
    count, target, sensor, of_target, of_both, of_sensor = pairs[(slice(None), *chosen)]
    known = np.isfinite(beside[0])
    first, second = np.where(known, target - beside[0], 0), np.where(known, sensor - beside[1], 0)
    moments = [of_target + first**2, of_both + first * second, of_sensor + second**2, (second - first) ** 2]
    weight = np.where(known, rounded(count / (count + HALF)), 0)
    pooled = np.array([_pooled(weight * each, near, at, step_days) for each in (1.0, *moments)])
    scale, variance, together = _shared(pooled[:, 0], pooled[:, 1])
    for (square, told), part in zip(steps, left, strict=True):  # what no pairs nearby tell of the narrower means
        moved, some = (_pooled(weight * each, near, at, step_days)[1] for each in (told * square, told))
        narrower = np.divide(moved, some, out=np.zeros_like(moved), where=some > 0)
        variance = variance + part[inner] * narrower
    pairs_near = large.around(rounded(count[None]), near, at, RADII[0], _slots(DAYS, step_days)[0])[0]
    variance = np.where(pairs_near >= LEAST_PAIRS, variance, np.nan)
    return Compared(found[0][inner], found[1][inner], scale, variance, together)


def _means(
    pairs: NDArray[np.float64], of: Places, at: Places, chosen: tuple[slice, ...], step_days: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[NDArray, NDArray]], list[NDArray]]:
    """Nested means (2, t, y, x) of target and sensor in cells, and those without the own pairs of the cell.

    Also, for each width but the widest: the squared change of the offset with it and how far pairs tell it, and the
    share that pairs leave open.
    """
    count, target, sensor = pairs
    weight = rounded(count / (count + HALF))
    both = np.stack([weight, rounded(weight * target), rounded(weight * sensor)])
    own = both[(slice(None), *chosen)]
    found = beside = np.full(own[1:].shape, np.nan)
    steps, left = [], []
    for radius, slots in zip(RADII, _slots(DAYS, step_days), strict=True):
        total = large.around(both, of, at, radius, slots)
        before = beside
        found, beside = _drawn(found, total), _drawn(beside, total - own)
        moved = np.nan_to_num((beside[1] - beside[0]) - (before[1] - before[0]))
        steps.append((moved**2, 1 - SHRINK / (total[0] - own[0] + SHRINK)))
        left.append(SHRINK / (total[0] + SHRINK))
    return found, beside, steps[1:], left[1:]


def _pooled(part: NDArray[np.float64], of: Places, at: Places, step_days: float) -> NDArray[np.float64]:
    """Sums of a part (t, y, x) near the cells `at`, and farther around: (2, t, y, x)."""
    radii = zip((MOMENT_RADIUS, RADII[0]), _slots((MOMENT_DAYS, DAYS[0]), step_days), strict=True)
    given = rounded(part[None], SQUARES)
    return np.stack([large.around(given, of, at, radius, slots)[0] for radius, slots in radii])


def _grown(of: Places, at: Places, halo: tuple[int, int, int]) -> tuple[Places, tuple[slice, ...]]:
    """Part of the places `of` with a halo around `at`, and its indices."""
    chosen = []
    axes = (of.slots, at.slots), (of.rows, at.rows), (of.cols, at.cols)
    for (outer, inner), more in zip(axes, halo, strict=True):
        first, last = int(inner[0] - outer[0]) - more, int(inner[-1] - outer[0]) + more
        chosen.append(slice(max(0, first), min(outer.size, last + 1)))
    t, y, x = chosen
    return Places(of.slots[t], of.rows[y], of.cols[x], of.aspect[y]), (t, y, x)


def _drawn(wider: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (2, t, y, x) of weighted sums (3, t, y, x), drawn to wider ones; NaN without any."""
    alone = np.divide(total[1:], total[0], out=np.full_like(wider, np.nan), where=total[0] > 0)
    return np.where(np.isnan(wider), alone, (total[1:] + SHRINK * wider) / (total[0] + SHRINK))


def _shared(near: NDArray[np.float64], wide: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Scale of the sensor, its error variance, and how far pixels share it, given weights and moments of anomalies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        of_target, of_both, of_sensor, of_cells = (near[1:] + FEW * wide[1:] / wide[0]) / (near[0] + FEW)
        varies = of_target * of_sensor > 0
        correlation2 = np.where(varies, np.maximum(of_both, 0) ** 2 / (of_target * of_sensor), 0)
        shared = np.clip(correlation2 - 1 / (near[0] + FEW), LEAST_SHARED, 1 - LEAST_SHARED)
        scale = np.sqrt((near[0] * of_sensor + FEW * of_target) / (near[0] * of_target + FEW * of_target))
        alone = of_target + of_sensor - 2 * of_both - of_cells  # of the difference within cells
        together = 1 + np.minimum(TOGETHER * of_cells / np.maximum(alone, 1e-9), MOST_TOGETHER)
        return np.clip(scale, *SCALES), of_target * (1 - shared) / shared, together


def _slots(days: tuple[float, ...], step_days: float) -> list[float]:
    return [min(SLOTS, max(each / step_days, 0.1)) for each in days]
