"""Calibration of members and of stated spreads: ranks, ranges, spread against error, intervals, joint coverage.

Every statistic has a known value if truth and members are drawn from one law, whatever that law is. Heavy-tailed
ensembles are judged by ranks and ranges, never by normal or t intervals.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from xgapfill.validation.scene import Scene
from xgapfill.validation.verdict import Verdict, by_dates, exponential, mean_of, summed

LEVELS = (0.5, 0.8, 0.9, 0.95)
LEAST_PIXELS = 4  # of a cloud


def ranks(members: NDArray, truth: NDArray, seed: int = 0) -> NDArray[np.int64]:
    """Rank of the truth among m members, 0 to m; ties are broken at random.

    Examples
    --------
    >>> ranks(np.array([[0.0], [1.0], [2.0]]), np.array([1.5])).tolist()
    [2]
    """
    below, same = (members < truth).sum(axis=0), (members == truth).sum(axis=0)
    return np.asarray(below + np.random.default_rng(seed).integers(0, same + 1))


def rank_histogram(scene: Scene) -> NDArray[np.int64]:
    """Number of hidden pixels at which the truth has each rank among the members, (m + 1,).

    References
    ----------
    Hamill (2001), doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> rank_histogram(ocean()).size
    9
    """
    members = _members(scene)
    return np.bincount(ranks(members, scene.known), minlength=len(members) + 1)


def rank_tests(scene: Scene) -> list[Verdict]:
    """Slope and width of the rank histogram: members too low or high, too narrow or wide.

    The statistics are the mean of the rank, 0 to 1, and its mean square departure from the middle over that of a flat
    histogram: above 1 where members are too narrow.

    References
    ----------
    Parts of the departure from a flat histogram: Jolliffe & Primo (2008), doi:10.1175/2007MWR2219.1.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.passed for each in rank_tests(ocean("narrow"))]
    [True, False]
    """
    members = _members(scene)
    return _of_ranks("rank", ranks(members, scene.known), len(members), scene.dates)


def range_test(scene: Scene) -> list[Verdict]:
    """Share of truth between the lowest and the highest of m members: (m - 1) / (m + 1) for any law.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> range_test(ocean())[0].passed, range_test(ocean("narrow"))[0].passed
    (True, False)
    """
    members = _members(scene)
    inside = (scene.known >= members.min(axis=0)) & (scene.known <= members.max(axis=0))
    return [mean_of("range coverage", scene.dates, inside.astype(float), (len(members) - 1) / (len(members) + 1))]


def spread_test(scene: Scene) -> list[Verdict]:
    """Stated spread over the root-mean-square error: 1 where the error is known.

    Members have sqrt((m + 1) / m) times their standard deviation, since their mean is uncertain too. The interval is
    one of the logarithm, which is more nearly normal.

    References
    ----------
    Fortin et al. (2014), doi:10.1175/JHM-D-14-0008.1.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> spread_test(ocean())[0].passed, spread_test(ocean("narrow"))[0].passed
    (True, False)
    """
    sums = summed(scene.dates, _variance(scene), scene.error_of_members**2)
    found = by_dates("spread over error", sums, lambda s: 0.5 * np.log(s[..., 0] / s[..., 1]), 0.0)
    return [exponential(found)]


def spread_skill(scene: Scene, bins: int = 8) -> pd.DataFrame:
    """Root-mean-square error against stated spread, in bins of equal numbers of hidden pixels.

    Returns
    -------
    DataFrame
        Columns ``spread``, ``rmse``, ``values``.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> list(spread_skill(ocean(), bins=4).columns)
    ['spread', 'rmse', 'values']
    """
    variance = _variance(scene)
    parts = np.array_split(np.argsort(variance, kind="stable"), bins)
    rows = [
        (np.sqrt(variance[each].mean()), np.sqrt((scene.error_of_members[each] ** 2).mean()), each.size)
        for each in parts
        if each.size
    ]
    return pd.DataFrame(rows, columns=["spread", "rmse", "values"])


def reliability(scene: Scene) -> list[Verdict]:
    """Share of truth inside intervals that should hold a given share.

    Members: ranges between the k-th lowest and the k-th highest, exact for any law. A mean with a spread: normal
    intervals.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.name for each in reliability(ocean())][:2]
    ['interval 33 %', 'interval 56 %']
    """
    if scene.members is None:
        reach = np.abs(scene.error) / np.maximum(_spread(scene), 1e-12)
        inside = {level: reach <= NormalDist().inv_cdf((1 + level) / 2) for level in LEVELS}
    else:
        count, order = len(scene.members), np.sort(scene.members, axis=0)
        depths = [k for k in range(count // 2) if (count - 1 - 2 * k) / (count + 1) >= 0.3]
        inside = {
            (count - 1 - 2 * k) / (count + 1): (scene.known >= order[k]) & (scene.known <= order[-1 - k])
            for k in reversed(depths)
        }
    return [
        mean_of(f"interval {100 * level:.0f} %", scene.dates, there.astype(float), level)
        for level, there in inside.items()
    ]


def tarp(scene: Scene, seed: int = 0) -> list[Verdict]:
    """Joint coverage of the pixels of a cloud: tests of accuracy with random points (TARP).

    For each cloud (connected hidden pixels of a date) and some reference fields, count the members that are nearer to
    the reference than the truth is. The references depend on the observations: the value of the nearest observed pixel,
    the same shifted by a random amount, and the mean. So members that ignore the observations are found, although each
    of their pixels is calibrated.

    Returns
    -------
    list of Verdict
        Mean rank of the truth, and its mean square departure from the middle over that of a flat histogram.

    References
    ----------
    Lemos et al. (2023), arXiv:2302.03026.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.passed for each in tarp(ocean("mean"))]
    [False, False]
    """
    members, generator = _members(scene), np.random.default_rng(seed)
    near, usual = scene.nearest, float(np.nanstd(scene.truth[scene.observed]))
    label, found, dates = clouds_of(scene.hidden), [], []
    for cloud in np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1]):
        if cloud.size < LEAST_PIXELS or not np.isfinite(near[cloud]).all():
            continue
        shift = usual * generator.normal(size=2)[:, None]
        references = np.concatenate([near[cloud] + [[0.0], *shift], np.full((1, cloud.size), scene.centre)])
        for reference in references:
            away = ((members[:, cloud] - reference) ** 2).sum(axis=1)
            found.append((away < ((scene.known[cloud] - reference) ** 2).sum()).sum())
            dates.append(scene.dates[cloud[0]])
    return _of_ranks("TARP", np.array(found, int), len(members), np.array(dates, int))


def clouds_of(hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the cloud of each hidden pixel: connected pixels of a date."""
    flat = np.zeros((3, 3, 3), bool)
    flat[1] = True
    return np.asarray(scipy.ndimage.label(hidden, flat)[0][hidden] - 1, np.int64)


def _of_ranks(name: str, found: NDArray[np.int64], members: int, dates: NDArray) -> list[Verdict]:
    """Mean and width of ranks, 0 to `members`."""
    share = (found + 0.5) / (members + 1) - 0.5
    flat = ((np.arange(members + 1) + 0.5) / (members + 1) - 0.5).var()
    return [mean_of(f"{name} mean", dates, share + 0.5, 0.5), mean_of(f"{name} width", dates, share**2 / flat, 1.0)]


def _variance(scene: Scene) -> NDArray[np.float64]:
    """Expected square of the error at each hidden pixel."""
    if scene.members is None:
        return np.asarray(_spread(scene), np.float64) ** 2
    count = len(scene.members)
    return np.asarray(scene.members.var(axis=0, ddof=1, dtype=np.float64) * (count + 1) / count)


def _spread(scene: Scene) -> NDArray:
    if scene.spread is None:
        raise ValueError("expected members or a spread, found neither; score a method that states its error")
    return scene.spread


def _members(scene: Scene) -> NDArray:
    if scene.members is None or len(scene.members) < 2:
        raise ValueError("expected at least 2 members, found fewer; score a method that draws, with members=8")
    return scene.members
