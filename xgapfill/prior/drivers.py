"""The relation of a map to its drivers: slopes within clusters of pixels, judged by folds, drawn to zero if useless.

A cluster is a square of pixels of one frame. Means of clusters are taken out (fixed effects), so that what varies over
larger distances, which chance makes similar in any two smooth fields, does not count. The errors of the slopes come
from leaving out folds of clusters (delete-group jackknife: Busing, Meijer & Leeden 1999,
doi:10.1023/A:1008800423698), and a driver whose slope is within its error is dropped (nonnegative garrote: Breiman
1995, doi:10.1080/00401706.1995.10484371).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

CLUSTER = 32  # pixels along a side of a cluster, within which a relation is sought
CELL = 32  # pixels along a side of a cell: what drivers are relative to is smooth over cells
PLACE = 128  # pixels along a side of a place: slopes change from place to place
DEPENDENT = 200.0  # pixels that count as one independent pixel at most
FOLDS = 12
FOLD_SLOTS = 6  # frames after which the folds of places change
RADIUS, SLOTS = 2.0, 3.0  # Gaussian neighbourhood of a place, in places and frames, whose clusters tell its slopes
CUT = 2.0  # radii from which on weights are zero
RIDGE = 0.03  # share of the variance of a driver that is added to it
FEW = 0.5  # pseudo-count of independent pixels of slopes of zero
LEAST_FOLDS = 3
CRITICAL = 4.0  # squared ratio of slope and error up to which a single driver is dropped
OUTLYING = 4.0  # mean absolute departures beyond which values are clipped
WIDE, NEAR = 3.0, (3.0, 1.0)  # cells: what a driver is relative to, and what its gaps are filled from
SPAN = 4.0  # standard deviations to which departures of drivers are clipped
REACH = (int(np.ceil(CUT * SLOTS)) - 1, *2 * (int(np.ceil(CUT * RADIUS)) - 1,))  # frames and places
REACH_WIDE = (REACH[0], *2 * (int(np.ceil(CUT * WIDE)) - 1,))  # frames and cells


def sums_of(columns: int) -> int:
    """Number of sums of a fold for the slopes on `columns` drivers: pixels, and products of these and the target."""
    return 1 + (columns + 1) * (columns + 2) // 2


def moments(
    y: NDArray, seen: NDArray[np.bool_], x: NDArray, known: NDArray[np.bool_], place: tuple[int, int], slots: NDArray
) -> Doubles:
    """Sums of products of departures from the means of clusters, for each fold: (FOLDS, sums_of(k), t).

    Parameters
    ----------
    y, seen : (t, PLACE, PLACE), the target and where it is observed
    x, known : (k, t, PLACE, PLACE), the drivers
    place : row and column of the place
    slots : (t,)
    """
    k, t = len(x), len(y)
    columns = clusters(np.concatenate([x, y[None]]).astype(np.float64))
    there = clusters(np.concatenate([known & seen, seen[None]]))
    count = there.sum(axis=-1, keepdims=True)
    departure = np.where(there, columns, 0)
    departure = np.where(there, departure - departure.sum(axis=-1, keepdims=True) / np.maximum(count, 1), 0)
    most = OUTLYING * np.abs(departure).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    departure = np.clip(departure, -most, most)
    by_cluster = np.ascontiguousarray(np.moveaxis(departure, 0, -2))  # (t, rows, cols, k + 1, pixels)
    products = by_cluster @ by_cluster.swapaxes(-1, -2)
    upper = np.triu_indices(k + 1)
    parts = np.concatenate([count[-1], products[..., upper[0], upper[1]]], axis=-1)
    out = np.zeros((FOLDS, sums_of(k), t))
    n = PLACE // CLUSTER
    for row in range(n):
        for col in range(n):
            fold = row + place[0] * n + 3 * (col + place[1] * n) + 5 * (slots // FOLD_SLOTS)
            for number, each in enumerate(fold % FOLDS):
                out[each, :, number] += parts[number, row, col]
    return out


def clusters(field: NDArray) -> NDArray:
    """The pixels of each cluster of a place: (..., PLACE, PLACE) to (..., rows, cols, pixels)."""
    n = PLACE // CLUSTER
    parts = field.reshape(*field.shape[:-2], n, CLUSTER, n, CLUSTER).swapaxes(-3, -2)
    return parts.reshape(*parts.shape[:-2], CLUSTER * CLUSTER)


class Relation(NamedTuple):
    """Sums of n places as matrices, folds first: (FOLDS, n, ...).

    Attributes
    ----------
    pixels : number of pixels
    xx, xy, yy : products of drivers, of drivers and target, of the target
    """

    pixels: Doubles
    xx: Doubles
    xy: Doubles
    yy: Doubles

    @classmethod
    def of(cls, sums: Doubles) -> Relation:
        """Return the matrices of (FOLDS, sums, n)."""
        q = int(((8 * (sums.shape[1] - 1) + 1) ** 0.5 - 1) / 2)
        square = np.zeros((len(sums), sums.shape[2], q, q))
        row, col = np.triu_indices(q)
        square[:, :, row, col] = square[:, :, col, row] = np.moveaxis(sums[:, 1:], 1, 2)
        return cls(sums[:, 0], square[:, :, :-1, :-1], square[:, :, :-1, -1], square[:, :, -1, -1])

    def total(self) -> Relation:
        """Sums over the folds, of one fold; added one by one, so that bits do not depend on n."""
        return Relation(*(_added(part)[None] for part in self))

    def without(self, fold: int) -> Relation:
        """Sums over all other folds."""
        return Relation(*(_added(np.delete(part, fold, axis=0))[None] for part in self))

    def only(self, columns: NDArray) -> Relation:
        """The same for some of the drivers."""
        return self._replace(xx=self.xx[:, :, columns][..., columns], xy=self.xy[:, :, columns])


def _added(parts: Doubles) -> Doubles:
    total = np.zeros_like(parts[0])
    for part in parts:
        total = total + part
    return total


def slopes(relation: Relation) -> Doubles:
    """Slopes on the drivers, (n, k): regressed with a ridge, and drawn to zero by their errors."""
    whole = relation.total()
    k = whole.xx.shape[-1]
    variance = np.einsum("fnkk->fnk", whole.xx)[0]
    scale = np.sqrt(np.where(variance > 0, variance, 1))
    size = np.sqrt(np.where(whole.yy[0] > 0, whole.yy[0], 1))
    independent = whole.pixels[0] / DEPENDENT
    ridge = RIDGE + FEW / np.maximum(independent, 1e-6)

    def correlations(part: Relation) -> tuple[Doubles, Doubles]:
        return part.xx[0] / (scale[:, :, None] * scale[:, None]), part.xy[0] / (scale * size[:, None])

    def solved(part: Relation) -> Doubles:
        left, right = correlations(part)
        return np.linalg.solve(left + ridge[:, None, None] * np.eye(k), right[..., None])[..., 0]

    found = solved(whole)
    left, right = correlations(whole)
    fitted = _added(np.moveaxis(found * (2 * right - (left @ found[..., None])[..., 0]), 1, 0))
    rest = np.clip(1 - fitted, 1e-9, 1)
    inverse = np.linalg.inv(left + ridge[:, None, None] * np.eye(k))
    naive = (rest / np.maximum(independent, 1e-6))[:, None] * np.einsum("nkk->nk", inverse)
    error = np.maximum(naive, _jackknife(relation, found, solved))
    critical = CRITICAL + 2 * np.log(k)  # the largest of many ratios is large by chance (Foster & George 1994)
    gain = np.clip(1 - critical * error / np.maximum(found**2, 1e-30), 0, 1)
    return np.asarray(gain * found * size[:, None] / scale)


def _jackknife(relation: Relation, found: Doubles, solved) -> Doubles:  # type: ignore[no-untyped-def]
    """Error variance of slopes by leaving out folds of unequal size; 0 where there are too few folds."""
    count = relation.pixels
    share = count / np.maximum(_added(count), 1)
    used = count > 0
    folds = _added(used.astype(np.float64))[:, None]
    others = [solved(relation.without(fold)) for fold in range(len(count))]
    with np.errstate(divide="ignore", invalid="ignore"):
        pseudo = [
            np.where(used[f, :, None], (found - (1 - share[f, :, None]) * others[f]) / share[f, :, None], 0)
            for f in range(len(count))
        ]
        middle = _added(np.stack([part * share[f, :, None] for f, part in enumerate(pseudo)]))
        parts = [
            np.where(used[f, :, None], (part - middle) ** 2 / (1 / share[f, :, None] - 1), 0)
            for f, part in enumerate(pseudo)
        ]
        variance = _added(np.stack(parts)) / folds
    return np.where(folds >= LEAST_FOLDS, variance, 0)


def explained(relation: Relation, columns: NDArray[np.intp]) -> float:
    """Share of the variance of the target within clusters that some drivers explain in folds they were not related in.

    `relation` has one place.
    """
    if not columns.size:
        return 0.0
    part, left = relation.only(columns), 0.0
    for fold in np.flatnonzero(relation.pixels[:, 0] > 0):
        rest = Relation(*(np.delete(each, fold, axis=0) for each in part))
        slope = slopes(rest)[0]
        left += float(part.yy[fold, 0] - 2 * slope @ part.xy[fold, 0] + slope @ part.xx[fold, 0] @ slope)
    total = float(relation.yy.sum())
    return 1 - left / total if total > 0 else 0.0


def around(fields: Doubles, before: tuple[int, ...], shape: tuple[int, ...], radii: tuple[float, ...]) -> Doubles:
    """Gaussian sums of (k, t, y, x) fields at the `shape` that begins at `before`, 0 beyond the fields.

    Terms are added in the order of their distance along each axis, so bits do not depend on the size of the fields.
    """
    for axis, (first, size, radius) in enumerate(zip(before, shape, radii, strict=True), 1):
        halo = int(np.ceil(CUT * radius)) - 1
        weights = np.exp(-0.5 * (np.arange(-halo, halo + 1) / radius) ** 2)
        low, high = first - halo, first + size + halo
        pads = [(0, 0)] * fields.ndim
        pads[axis] = max(0, -low), max(0, high - fields.shape[axis])
        padded = np.moveaxis(np.pad(fields, pads), axis, 0)[max(0, low) :]
        total = np.zeros((size, *padded.shape[1:]))
        for number, weight in enumerate(weights):
            total = total + weight * padded[number : number + size]
        fields = np.moveaxis(total, 0, axis)
    return fields


def cell_means(x: NDArray, known: NDArray[np.bool_]) -> Doubles:
    """Number of known values, their mean and mean square departure from it, (3, ...), over the last axis."""
    count = known.sum(axis=-1)
    least = np.maximum(count, 1)
    mean = np.where(known, x, 0).sum(axis=-1, dtype=np.float64) / least
    departure = np.where(known, x - mean[..., None], 0)
    return np.stack([count.astype(np.float64), mean, (departure**2).sum(axis=-1, dtype=np.float64) / least])


def references(means: Doubles, before: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Doubles, Doubles, Doubles]:
    """What a driver is relative to, its standard deviation about it, and what its gaps are filled from.

    Given `cell_means` (3, t, y, x) of a box; (t, y, x) each, NaN without any value within reach.
    """
    count, mean, square = means
    weight = count / (count + CELL)
    fields = np.stack([weight, weight * mean, weight * (square + mean**2)])
    total, first, second = around(fields, before, shape, (SLOTS, WIDE, WIDE))
    with np.errstate(invalid="ignore", divide="ignore"):
        wide = first / total
        sd = np.sqrt(np.maximum(second / total - wide**2, 0))
    near = wide
    for radius in NEAR[1:]:
        total, first, _ = around(fields, before, shape, (min(SLOTS, radius), radius, radius))
        near = (first + near) / (total + 1)
    return wide, sd, near
