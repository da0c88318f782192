"""Means over time of a gappy series, on a coarse grid of latitude and longitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from xgapfill.gaussian.priors import Prior
from xgapfill.lattice.windows import Patch
from xgapfill.nets.objective import Levels
from xgapfill.training.gappy import Gappy

STEP = 4  # pixels of a node of the grid; more where a series is larger
NODES = 128  # largest number of nodes along an axis
SCALES = (32.0, 16.0, 8.0, 4.0, 2.0, 1.0)  # nodes: widths of the means, each drawn toward the wider one
FEW = 8.0  # observations per node that count as much as the wider mean


def levels_of(series: Gappy, priors: Sequence[Prior]) -> Levels:
    """Mean over time of every channel, as anomalies from its prior mean in prior standard deviations.

    Parameters
    ----------
    series : whose held-out blocks count as missing
    priors : of its channels
    """
    first = float(series.patches[0].lon[0])
    east = [_unrolled(patch, first) for patch in series.patches]
    rows = _axis(np.concatenate([patch.lat for patch in series.patches]), series.patches[0].lat)
    cols = _axis(np.concatenate(east), east[0])
    shape = (len(priors), rows[2], cols[2])
    total, count = np.zeros(shape), np.zeros(shape)
    mean, scale = np.array([(prior.mean, prior.variance**0.5) for prior in priors]).T[..., None, None]
    for patch, known, lon in zip(series.patches, series.known, east, strict=True):
        at = (_nodes(patch.lat, rows)[:, None] * cols[2] + _nodes(lon, cols)).ravel()
        there = known.sum(axis=1)
        anomalies = (np.where(known, patch.values, np.float32(0)).sum(axis=1, dtype=float) - there * mean) / scale
        for c in range(len(priors)):
            total[c] += np.bincount(at, anomalies[c].ravel(), total[c].size).reshape(shape[1:])
            count[c] += np.bincount(at, there[c].ravel(), count[c].size).reshape(shape[1:])
    maps = np.zeros(shape)
    for width in SCALES:
        near = [ndimage.gaussian_filter(part, (0, width, width)) for part in (total, count)]
        maps = (near[0] + FEW * maps) / (near[1] + FEW)
    return Levels((*rows[:2], (first + cols[0]) % 360, cols[1]), maps.astype(np.float32))


def _unrolled(patch: Patch, first: float) -> NDArray[np.float64]:
    """Degrees east of a longitude, without a jump inside a patch."""
    begin = (float(patch.lon[0]) - first + 180) % 360 - 180
    return begin + (patch.lon.astype(float) - float(patch.lon[0])) % 360


def _axis(places: NDArray, one: NDArray) -> tuple[float, float, int]:
    """First node, step and number of nodes of an axis."""
    low, high = float(places.min()), float(places.max())
    pixel = abs(float(one[1] - one[0]))
    step = max(STEP * pixel, (high - low) / (NODES - 1))
    return low, step, round((high - low) / step) + 1


def _nodes(places: NDArray, axis: tuple[float, float, int]) -> NDArray[np.intp]:
    return np.clip(np.rint((places - axis[0]) / axis[1]), 0, axis[2] - 1).astype(np.intp)
