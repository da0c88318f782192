"""Errors of regional and monthly means, which is what most users publish.

Errors of pixels are alike, so the error of a mean does not follow from theirs. It follows from the means of members.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xgapfill.validation.scene import Scene
from xgapfill.validation.verdict import Verdict, by_dates, exponential, mean_of, summed

REGIONS = (2, 2)  # parts of the map along latitude and longitude


def regional(scene: Scene, regions: tuple[int, int] = REGIONS) -> list[Verdict]:
    """Whether the means of regions on each date have no bias and are as far off as their members say.

    Parameters
    ----------
    scene : Scene
    regions : (int, int)
        Parts of the map along latitude and along longitude.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.passed for each in regional(ocean())]
    [True, True]
    """
    units, parts = regional_units(scene, regions)
    return _judged("regional mean", scene, units, lambda unit: unit // parts)


def regional_units(scene: Scene, regions: tuple[int, int] = REGIONS) -> tuple[NDArray[np.int64], int]:
    """Number of the region and date of each pixel, (t, y, x), and the number of regions.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> units, parts = regional_units(ocean())
    >>> int(units.max()) + 1, parts
    (96, 4)
    """
    t, y, x = scene.truth.shape
    rows, cols = (np.arange(n) * parts // n for n, parts in ((y, regions[0]), (x, regions[1])))
    count = regions[0] * regions[1]
    return np.arange(t)[:, None, None] * count + rows[:, None] * regions[1] + cols, count


def monthly(scene: Scene) -> list[Verdict]:
    """Whether the monthly means of the map have no bias and are as far off as their members say.

    Months are resampled, not dates. Without months of the dates, there is no verdict.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.dates for each in monthly(ocean())]
    [12, 12]
    """
    if scene.months is None:
        return []
    units = np.broadcast_to(np.asarray(scene.months)[:, None, None], scene.truth.shape)
    return _judged("monthly mean", scene, units, lambda unit: unit)


def mean_errors(scene: Scene, units: NDArray) -> tuple[NDArray, NDArray[np.float64], NDArray[np.float64] | None]:
    """Errors of the means of units: their labels, (u,) errors of the estimate, and (m, u) errors of members.

    Parameters
    ----------
    scene : Scene
    units : (t, y, x) int
        Label of the unit of each pixel. Its mean is that of all observed and hidden pixels.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> scene = ocean()
    >>> labels, errors, members = mean_errors(scene, np.zeros(scene.truth.shape, int))
    >>> errors.shape, members.shape
    ((1,), (8, 1))
    """
    own, every = units[scene.hidden], units[np.isfinite(scene.real)]
    labels, place = np.unique(own, return_inverse=True)
    count = np.bincount(np.searchsorted(labels, every[np.isin(every, labels)]), minlength=labels.size)
    errors = np.bincount(place, scene.error, labels.size) / count
    if scene.members is None:
        return labels, errors, None
    away = [np.bincount(place, each - scene.known, labels.size) / count for each in scene.members]
    return labels, errors, np.array(away)


def _judged(name: str, scene: Scene, units: NDArray, date_of: Callable[[NDArray], NDArray]) -> list[Verdict]:
    labels, errors, members = mean_errors(scene, units)
    dates = date_of(labels)
    found = [mean_of(f"{name} bias", dates, errors, 0.0)]
    if members is not None and len(members) > 1:
        m = len(members)
        sums = summed(dates, members.var(axis=0, ddof=1) * (m + 1) / m, members.mean(axis=0) ** 2)
        one = by_dates(f"{name} spread/error", sums, lambda s: 0.5 * np.log(s[..., 0] / s[..., 1]), 0.0)
        found.append(exponential(one))
    return found
