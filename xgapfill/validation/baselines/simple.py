"""The simplest baselines for a field (t, y, x) with NaN where missing."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

Field = NDArray[np.float32]


def pixel_mean(values: Field) -> Field:
    """Mean over time of each pixel; the overall mean for pixels that were never observed.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.

    Returns
    -------
    (t, y, x) float32
        Observed pixels are unchanged.
    """
    observed = np.isfinite(values)
    count = observed.sum(axis=0)
    total = np.where(observed, values, 0).sum(axis=0, dtype=np.float64)
    everywhere = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), everywhere)
    return np.where(observed, values, mean).astype(np.float32)


def time_interpolation(values: Field) -> Field:
    """Linear in time between the observed dates of a pixel (nearest at the ends), then the nearest pixel in space.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.
    """
    observed = np.isfinite(values)
    steps = np.arange(len(values), dtype=np.float64)[:, None, None]
    before = np.maximum.accumulate(np.where(observed, steps, -1), axis=0).astype(int)
    after = np.minimum.accumulate(np.where(observed, steps, len(values))[::-1], axis=0)[::-1].astype(int)
    ever = observed.any(axis=0)
    before = np.where(before < 0, after, before) % len(values)
    after = np.where(after >= len(values), before, after)
    low, high = (np.take_along_axis(values, place, axis=0) for place in (before, after))
    share = (steps - before) / np.maximum(after - before, 1)
    filled = low + share * (high - low)
    if not ever.any():
        return filled.astype(np.float32)
    rows, cols = scipy.ndimage.distance_transform_edt(~ever, return_distances=False, return_indices=True)
    return np.where(observed, values, filled[:, rows, cols]).astype(np.float32)
