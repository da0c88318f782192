"""A made-up ocean whose law is known, filled by that law itself or with one planted defect: tests are tested on it.

The truth is a Gaussian field with exponential covariance, and its fill is drawn from its exact law given the observed
pixels, so that truth and members cannot be told apart. A defect is then planted in the fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from xgapfill.validation.scene import Scene

DATES, SIDE, SCALE, LENGTH = 24, 32, 0.3, 6.0
DEFECTS = {
    "long gaps": "bias in long gaps",
    "narrow": "members too narrow",
    "smooth": "members too smooth",
    "seams": "seams between windows",
    "sensor": "a shifted sensor",
    "mean": "copies the mean",
}
DEEP, OFFSET = 6.0, 0.3  # bias in long gaps: distance in pixels, size
NARROW = 0.7
BLUR = 1.2  # pixels
STEP = 0.25  # standard deviation of the level of a window
SHIFT = 0.2  # of the other sensor
NOISE = 0.05  # of the other sensor
SAMPLES, ERROR = 40, 0.1  # samples of a date, and their error


@dataclass(frozen=True)
class Law:
    """The exact law of the hidden pixels of a date given its observed ones; arrays of flat pixels."""

    hidden: NDArray[np.intp]
    observed: NDArray[np.intp]
    weights: NDArray[np.float64]
    root: NDArray[np.float64]
    blurred: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation of each hidden pixel."""
        return np.sqrt((self.root**2).sum(axis=1))


@lru_cache(maxsize=1)
def laws() -> tuple[NDArray[np.bool_], NDArray[np.float64], tuple[Law, ...]]:
    """Hidden pixels (t, y, x), the root of the covariance of a frame, and the law of each date; made once."""
    generator = np.random.default_rng(20)
    y, x = (part.ravel() for part in np.mgrid[:SIDE, :SIDE])
    covariance = SCALE**2 * np.exp(-np.hypot(y[:, None] - y, x[:, None] - x) / LENGTH)
    hidden, found = np.zeros((DATES, SIDE, SIDE), bool), []
    for frame in hidden:
        for radius in (generator.uniform(8, 12), generator.uniform(2, 5)):
            row, col = generator.uniform(0, SIDE, 2)
            frame |= ((y - row) ** 2 + (x - col) ** 2 <= radius**2).reshape(SIDE, SIDE)
        h, o = np.flatnonzero(frame), np.flatnonzero(~frame)
        weights = np.linalg.solve(covariance[np.ix_(o, o)], covariance[np.ix_(o, h)]).T
        left = covariance[np.ix_(h, h)] - weights @ covariance[np.ix_(o, h)]
        root = np.linalg.cholesky(left + 1e-10 * np.eye(h.size))
        near = np.exp(-0.5 * ((y[h, None] - y[h]) ** 2 + (x[h, None] - x[h]) ** 2) / BLUR**2)
        smooth = near @ root
        smooth *= np.sqrt((root**2).sum(axis=1) / (smooth**2).sum(axis=1))[:, None]
        found.append(Law(h, o, weights, root, smooth))
    return hidden, np.linalg.cholesky(covariance + 1e-12 * np.eye(SIDE**2)), tuple(found)


def ocean(defect: str = "", seed: int = 0, members: int = 8) -> Scene:
    """A filled ocean with at most one planted defect.

    Parameters
    ----------
    defect : str
        One of `DEFECTS`; empty: the fill is drawn from the truth's own law.
    seed : int
    members : int
        0: an estimate with its spread.

    Returns
    -------
    Scene

    Examples
    --------
    >>> ocean("smooth", members=4).members.shape[0]
    4
    """
    if defect and defect not in DEFECTS:
        raise ValueError(f"defect must be one of {', '.join(DEFECTS)}, found {defect!r}")
    hidden, root, every = laws()
    generator = np.random.default_rng(seed)
    truth = (generator.normal(size=(DATES, SIDE**2)) @ root.T).reshape(DATES, SIDE, SIDE)
    seen = seen_by_other(seed)
    means, spreads, drawn = [], [], []
    for date, law in enumerate(every):
        flat, other = truth[date].ravel(), np.random.default_rng([seed, date])
        mean, spread = law.weights @ flat[law.observed], law.spread
        noise = generator.normal(size=(members, law.hidden.size))
        away = noise @ (law.blurred if defect == "smooth" else law.root).T
        if defect == "mean":
            mean, spread = np.zeros_like(mean), np.full_like(spread, SCALE)
            away = generator.normal(size=(members, SIDE**2)) @ root[law.hidden].T
        elif defect == "narrow":
            spread, away = NARROW * spread, NARROW * away
        else:
            mean = mean + _added(defect, hidden[date], seen[date], other)
        means.append(mean)
        spreads.append(spread)
        drawn.append(mean + away)
    months = np.arange(DATES) // 2
    if not members:
        return Scene(truth, ~hidden, hidden, np.concatenate(means), np.concatenate(spreads), None, months)
    each = np.concatenate(drawn, axis=1)
    return Scene(truth, ~hidden, hidden, each.mean(axis=0), None, each, months)


def other_sensor(scene: Scene, seed: int = 0) -> NDArray[np.float64]:
    """What another sensor saw of a scene, (t, y, x): truth, an offset and noise; NaN where it did not see.

    Examples
    --------
    >>> other_sensor(ocean()).shape
    (24, 32, 32)
    """
    noise = NOISE * np.random.default_rng([seed, 7]).normal(size=scene.truth.shape)
    return np.where(seen_by_other(seed), scene.truth + SHIFT + noise, np.nan)


def samples(scene: Scene, seed: int = 0) -> pd.DataFrame:
    """Samples in the water beside a scene, at observed pixels and at hidden ones, as from `insitu.pairs`.

    Examples
    --------
    >>> list(samples(ocean()).columns)
    ['sample', 'map', 'where', 'date']
    """
    generator = np.random.default_rng([seed, 10])
    date = np.repeat(np.arange(DATES), SAMPLES)
    at = date, *generator.integers(0, SIDE, (2, date.size))
    sample = scene.truth[at] + ERROR * generator.normal(size=date.size)
    where = np.where(scene.hidden[at], "filled", "observed")
    return pd.DataFrame({"sample": sample, "map": scene.made(scene.mean)[at], "where": where, "date": date})


def seen_by_other(seed: int) -> NDArray[np.bool_]:
    """Where another sensor saw, (t, y, x): half of each frame."""
    first = np.random.default_rng([seed, 8]).integers(0, SIDE, DATES)
    return np.broadcast_to(((np.arange(SIDE) - first[:, None]) % SIDE < SIDE // 2)[:, None], (DATES, SIDE, SIDE))


def refilled(scene: Scene, defect: str = "", seed: int = 0) -> Scene:
    """The first member of a scene taken for the truth: hidden under the gaps of the next date, and filled again.

    Only pixels that were missing the first time are judged. The second fill has the same defect.

    Examples
    --------
    >>> again = refilled(ocean())
    >>> bool(again.hidden.sum() < ocean().hidden.sum())
    True
    """
    hidden, root, every = laws()
    first, generator = scene.made(scene.drawn[0]), np.random.default_rng([seed, 9])
    values = np.full((len(scene.drawn), *hidden.shape), np.nan)
    for date in range(DATES):
        law = every[(date + 1) % DATES]
        mean = law.weights @ first[date].ravel()[law.observed]
        noise = generator.normal(size=(len(values), law.hidden.size))
        away = noise @ (law.blurred if defect == "smooth" else law.root).T
        if defect == "mean":
            mean, away = 0 * mean, generator.normal(size=(len(values), SIDE**2)) @ root[law.hidden].T
        elif defect == "narrow":
            away = NARROW * away
        else:
            gap, other = hidden[(date + 1) % DATES], np.random.default_rng([seed, date, 1])
            mean = mean + _added(defect, gap, seen_by_other(seed)[date], other)
        values[:, date].reshape(len(values), -1)[:, law.hidden] = mean + away
    gap = np.roll(hidden, -1, axis=0)
    both = gap & hidden
    members = values[:, both]
    return Scene(first, ~gap, both, members.mean(axis=0), None, members, scene.months)


def _added(
    defect: str, hidden: NDArray[np.bool_], seen: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float64]:
    """What a defect adds to the fill of a date."""
    field = np.zeros(hidden.shape)
    if defect == "long gaps":
        field[scipy.ndimage.distance_transform_edt(hidden) > DEEP] = OFFSET
    elif defect == "sensor":
        field[seen] = SHIFT
    elif defect == "seams":
        field += np.kron(STEP * generator.normal(size=(2, 2)), np.ones((SIDE // 2, SIDE // 2)))
    return field[hidden]
