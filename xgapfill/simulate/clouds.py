"""Gaps like those of clouds and swath edges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xgapfill.simulate.fields import power_law, remembered

PIXELS = (1.0, 1.0)
"""Size of a pixel: the scales of clouds are in pixels, not in km."""
CONCENTRATION = 4.0
"""Concentration of the beta distribution of the missing share: 4 gives about 20 to 95 % around 60 %."""


def clouds(
    seed: int,
    frames: int,
    shape: tuple[int, int],
    share: float = 0.6,
    *,
    memory: float = 0.3,
    swaths: float = 0.15,
) -> NDArray[np.bool_]:
    """Return moving gaps of composites, with edge density and persistence of real 8-day CHL.

    Parameters
    ----------
    seed : int
        Fixes every value.
    frames, shape : int, (int, int)
        Number of frames, pixels northward and eastward.
    share : float
        Expected missing share; for 60 % single frames vary between about 20 and 98 %.
    memory : float
        Correlation of the cloud fields of neighbouring frames.
    swaths : float
        Share of the frames with a straight edge or stripe of an orbit.

    Returns
    -------
    (t, y, x) bool
        True where missing.

    Raises
    ------
    ValueError
        If a share or `memory` is out of range.

    Examples
    --------
    >>> round(float(clouds(0, 50, (64, 64), share=0.6).mean()), 1)
    0.6
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, found {share}")
    if not (0 <= memory < 1 and 0 <= swaths <= 1):
        raise ValueError(f"memory must be in [0, 1) and swaths in [0, 1], found {memory} and {swaths}")
    rng = np.random.default_rng([seed, 3])
    cover = _covers(rng, frames, share)
    large = power_law(shape, PIXELS, 80 + 120 * rng.uniform(), rng.uniform(2.8, 3.4))
    fine = power_law(shape, PIXELS, 12.0, rng.uniform(2.4, 3.0))
    weight, ragged = np.float32(rng.uniform(0.25, 0.5)), np.float32(rng.uniform(0.02, 0.12))
    big, small = remembered(rng, shape, large, memory), remembered(rng, shape, fine, 0.0)
    missing = np.empty((frames, *shape), dtype=bool)
    for index in range(frames):
        depth = next(big) + weight * next(small) + ragged * rng.standard_normal(shape, dtype=np.float32)
        if rng.uniform() < swaths:
            depth += _swath(rng, shape)
        missing[index] = depth > np.quantile(depth, 1 - cover[index])
    return missing


def daily_weights(rng: np.random.Generator, shape: tuple[int, int], share: float) -> Iterator[NDArray[np.float32]]:
    """Yield daily weights of pixels in a composite: 1 where observed, almost 0 where cloudy.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
    share : float
        Mean share of cloudy pixels, in [0, 1).

    Yields
    ------
    (y, x) float32
        Positive everywhere, so that a composite of cloudy days only is their mean.
    """
    spectrum = power_law(shape, PIXELS, 100.0, 3.0)
    for depth in remembered(rng, shape, spectrum, 0.3):
        threshold = stats.norm.ppf(1 - share) * np.sqrt(1.5) + np.sqrt(0.5) * rng.standard_normal() if share else np.inf
        yield np.where(depth > threshold, np.float32(1e-3), np.float32(1))


def _covers(rng: np.random.Generator, frames: int, share: float) -> NDArray[np.float64]:
    """Missing share of each frame: evenly spaced quantiles of a wide distribution with mean `share`."""
    places = (rng.permutation(frames) + rng.uniform(size=frames)) / frames
    return np.clip(stats.beta.ppf(places, share * CONCENTRATION, (1 - share) * CONCENTRATION), 0.01, 0.99)


def _swath(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A field larger than any cloud inside a tilted stripe, like the gap between two orbits or the end of one."""
    rows, cols = np.indices(shape, dtype=np.float32)
    tilt = np.deg2rad(rng.uniform(8, 20)) * rng.choice([-1, 1])
    across = (cols - shape[1] * rng.uniform()) * np.cos(tilt) + (rows - shape[0] * rng.uniform()) * np.sin(tilt)
    return np.where(np.abs(across) < rng.uniform(5, 60), np.float32(8), np.float32(0))
