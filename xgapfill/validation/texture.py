"""Texture: how a filled field varies from pixel to pixel beside the truth, and seams where it begins.

Chlorophyll is multifractal, and differences of low order tell a Gaussian field from a real one where squares do not.
Pairs of pixels are the same for the fill and for the truth, so their ratio is 1 for a fill drawn from the truth's law.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xgapfill.validation.scene import Scene
from xgapfill.validation.verdict import Verdict, by_dates, exponential

ORDERS = (0.5, 1.0, 2.0, 3.0)
LAGS = (1, 2, 4, 8)
MEMBERS = 4  # members that are looked at
LEAST_PAIRS = 3  # of neighbours across a line and date, on average


def structure(
    field: ArrayLike,
    where: ArrayLike | None = None,
    orders: Sequence[float] = ORDERS,
    lags: Sequence[int] = LAGS,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of ``|x(p + lag) - x(p)| ** order`` along rows and columns of each frame, and numbers of pairs.

    Parameters
    ----------
    field : (t, y, x) float
        NaN where unknown; such pairs are left out.
    where : (t, y, x) bool, optional
        Pairs with either end here are included.
    orders, lags : sequences

    Returns
    -------
    sums : (t, orders, lags) float
    pairs : (t, lags) int

    References
    ----------
    de Montera et al. (2011), doi:10.5194/os-7-219-2011; Renosh et al. (2015), doi:10.1371/journal.pone.0126975.

    Examples
    --------
    >>> sums, pairs = structure(np.arange(8.0).reshape(1, 1, 8), orders=(1, 2), lags=(1, 2))
    >>> (sums / pairs[:, None])[0].tolist()
    [[1.0, 2.0], [1.0, 4.0]]
    """
    field = np.asarray(field, np.float64)
    counted = np.ones(field.shape, bool) if where is None else np.asarray(where, bool)
    sums, pairs = np.zeros((len(field), len(orders), len(lags))), np.zeros((len(field), len(lags)), np.int64)
    for place, lag in enumerate(lags):
        for axis in (1, 2):
            size = field.shape[axis]
            if lag >= size:
                continue
            ends = np.arange(lag, size), np.arange(size - lag)
            ahead, behind = (np.take(field, each, axis) for each in ends)
            jump = np.abs(ahead - behind)
            used = np.isfinite(jump) & np.logical_or(*(np.take(counted, each, axis) for each in ends))
            pairs[:, place] += used.sum(axis=(1, 2))
            jump = np.where(used, jump, 0.0)
            for row, order in enumerate(orders):
                sums[:, row, place] += np.where(used, jump**order, 0.0).sum(axis=(1, 2))
    return sums, pairs


def exponents(field: ArrayLike, where: ArrayLike | None = None) -> NDArray[np.float64]:
    """Scaling exponents: slopes of log S_q against log lag, for the orders .5, 1, 2 and 3.

    References
    ----------
    de Montera et al. (2011), doi:10.5194/os-7-219-2011.

    Examples
    --------
    >>> exponents(np.arange(16.0).reshape(1, 1, 16)).round(3).tolist()
    [0.5, 1.0, 2.0, 3.0]
    """
    sums, pairs = structure(field, where)
    with np.errstate(all="ignore"):
        return _slope(np.log(sums.sum(axis=0) / pairs.sum(axis=0)))


def texture(scene: Scene) -> list[Verdict]:
    """S_q of pairs with a filled end over that of the truth at the same pairs, and the difference of exponents.

    Ratios are at a lag of 1 pixel; below 1 the fill is too smooth. The intervals are those of logarithms.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> texture(ocean())[1].passed, texture(ocean("smooth"))[1].passed
    (True, False)
    """
    real, pairs = structure(scene.real, scene.hidden)
    chosen = scene.drawn[:MEMBERS]
    made = np.mean([structure(scene.made(each), scene.hidden)[0] for each in chosen], axis=0)
    used = pairs[:, 0] > 0
    both = np.stack([made, real], axis=1)[used]
    sums, weight = both.reshape(len(both), -1), pairs[used, 0].astype(float)
    shape = both.shape[1:]

    def ratio(row: int, s: NDArray) -> NDArray[np.float64]:
        parts = s.reshape(*s.shape[:-1], *shape)[..., row, :]
        return np.asarray(np.log(parts[..., 0, :] / parts[..., 1, :]))

    def first(row: int, s: NDArray) -> NDArray[np.float64]:
        return ratio(row, s)[..., 0]

    def slope(row: int, s: NDArray) -> NDArray[np.float64]:
        return _slope(ratio(row, s))

    found = []
    for row, order in enumerate(ORDERS):
        one = by_dates(f"texture S_{order:g}", sums, partial(first, row), 0.0, weight=weight)
        found.append(exponential(one))
    for row in (1, 2):
        name = f"exponent zeta({ORDERS[row]:g})"
        found.append(by_dates(name, sums, partial(slope, row), 0.0, weight=weight))
    return found


def seams(scene: Scene) -> list[Verdict]:
    """Jumps where filled pixels meet observed ones, and across single lines, over those of the truth.

    Windows and chunks leave seams along lines: all lines between rows and between columns are looked at, and the worst
    is judged with an interval that is wide enough for their number.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.passed for each in seams(ocean())]
    [True, True]
    """
    chosen = scene.drawn[:MEMBERS]
    fields = [scene.real, *(scene.made(each) for each in chosen)]
    border, lines = np.zeros((len(scene.real), 3)), []
    for axis in (1, 2):
        first, second = (np.take(scene.hidden, np.arange(*ends), axis) for ends in _ends(scene.real.shape[axis]))
        jumps = [np.abs(np.diff(field, axis=axis)) for field in fields]
        known = np.isfinite(jumps[0])
        real = np.where(known, jumps[0], 0.0)
        made = np.where(known, np.mean(jumps[1:], axis=0), 0.0)
        one, some, rest = (first != second) & known, (first | second) & known, 3 - axis
        border += np.stack([(part * one).sum(axis=(1, 2)) for part in (made, real, np.ones_like(real))], axis=-1)
        lines.append(np.stack([(part * some).sum(axis=rest) for part in (made, real, np.ones_like(real))], axis=-1))
    joined = np.concatenate(lines, axis=1)
    return [exponential(by_dates("seam at borders", border[border[:, 2] > 0], _ratio, 0.0)), _worst(joined)]


def _worst(lines: NDArray[np.float64]) -> Verdict:
    """The line with the most significant jumps; `lines` is (t, lines, 3): filled, truth, pairs."""
    name = "seam along a line"
    several = lines[..., 2].mean(axis=0) >= LEAST_PAIRS
    lines = lines[:, several]
    count, worst, most = lines.shape[1], Verdict(name, np.nan, 1.0, np.nan, np.nan, 0), -np.inf
    for k in range(count):
        used = lines[:, k, 2] > 0
        one = by_dates(name, lines[used, k], _ratio, 0.0, level=1 - 0.05 / count)
        away = abs(one.value) / max((one.high - one.low) / 2, 1e-12) if one.tested else -np.inf
        if away > most:
            worst, most = exponential(one), away
    return worst


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(sums[..., 0] / sums[..., 1]))


def _slope(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope of values along the last axis, one for each of `LAGS`, against the logarithm of the lag."""
    x = np.log(LAGS)
    x = x - x.mean()
    known = np.isfinite(logs)
    return np.asarray((np.where(known, logs, 0.0) * x).sum(axis=-1) / (x**2).sum())


def _ends(size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (1, size), (0, size - 1)
