"""The large scale of a map: local means of its cells, nested from wide to narrow.

The mean of each width is drawn toward that of the next wider one where observations are few, as in empirical Bayes
estimates of nested groups, with Gaussian weights as in successive corrections (Barnes 1964,
doi:10.1175/1520-0450(1964)003<0396:ATFMON>2.0.CO;2). It depends on distances alone, never on windows, so it fills the
widest gaps without a trace of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xgapfill.prior.exact import VALUES, bells, rounded

RADII = (32.0, 20.0, 12.0, 6.0, 3.0)  # cells northward, wide to narrow
DAYS = (24.0, 24.0, 16.0, 12.0, 8.0)
CUT = 2.0  # radii from which on weights are zero
SLOTS = 3.0  # largest radius in time, in slots
WIDEST = 1.5  # most columns per row of distance: a radius is shorter near the poles
SHRINK = 1.0  # pseudo-count of cells: weight of the next wider mean
OPEN = 10.0  # the same for what they leave open of anomalies from a season: neighbours tell much of the same
HALF = 4.0  # observed pixels with which a cell has half its weight


def reach(step_days: float) -> tuple[int, int, int]:
    """Slots, rows and columns of cells around a cell on which its large scale depends."""
    slots = max(slots_of(step_days))
    return int(np.ceil(CUT * slots)) - 1, int(CUT * RADII[0]), int(CUT * RADII[0] * WIDEST)


def slots_of(step_days: float) -> list[float]:
    """Radius of each width in time, in slots."""
    return [min(SLOTS, max(days / step_days, 0.1)) for days in DAYS]


@dataclass(frozen=True)
class Places:
    """Slots, rows and columns of cells, and the pixels' eastward over northward size at each row."""

    slots: NDArray[np.float64]
    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    aspect: NDArray[np.float64]


def nested_means(
    count: NDArray[np.float64],
    mean: NDArray[np.float64],
    of: Places,
    at: Places,
    step_days: float,
    anchored: Sequence[bool],
    doubt: float = SHRINK,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Large scale of the cells `at`, given those `of` a box around them.

    Parameters
    ----------
    count, mean : (c, t, y, x)
        Observed pixels of each cell, and the mean of their departures from the prior, in prior standard deviations.
    of, at : Places
        Of `mean`, and of the result.
    step_days : float
    anchored : sequence of bool
        For each channel, whether the widest mean is drawn toward 0, as its prior mean is known; else it is NaN without
        observations.
    doubt : float
        Pseudo-count of cells for the share of variance that is left open.

    Returns
    -------
    field : (c, t, y, x)
    open : (c, radii, t, y, x)
        For each radius, the share of its variance that observations leave open: 1 without any.
    """
    weight = rounded(count / (count + HALF))
    shape = at.slots.size, at.rows.size, at.cols.size
    field = np.where(np.reshape(anchored, (-1, 1, 1, 1)), 0.0, np.nan) + np.zeros(shape)
    left = np.empty((len(count), len(RADII), *shape))
    both = np.concatenate([weight, rounded(weight * mean)])
    for number, (radius, slots) in enumerate(zip(RADII, slots_of(step_days), strict=True)):
        total, summed = np.split(around(both, of, at, radius, slots), 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            alone = summed / total  # NaN without observations
        field = np.where(np.isnan(field), alone, (summed + SHRINK * field) / (total + SHRINK))
        left[:, number] = doubt / (total + doubt)
    return field, left


def around(fields: NDArray[np.float64], of: Places, at: Places, radius: float, slots: float) -> NDArray[np.float64]:
    """Sums of (k, t, y, x) fields over a Gaussian neighbourhood of the cells `at`."""
    wide = np.minimum(1 / np.maximum(of.aspect, 1e-6), WIDEST) * radius
    east = np.stack([bells(at.cols, of.cols, each, CUT) for each in wide])  # (y, x', x)
    out = rounded(np.einsum("yzx,ktyx->ktyz", east, fields, optimize=True))
    out = rounded(np.einsum("zy,ktyx->ktzx", bells(at.rows, of.rows, radius, CUT), out, optimize=True))
    return rounded(np.einsum("st,ktyx->ksyx", bells(at.slots, of.slots, slots, CUT), out, optimize=True))


def cell_sums(
    values: NDArray, observed: NDArray[np.bool_], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Number of observed pixels in each cell, and the sum of their values, (..., cells, cells).

    `rows` and `cols` are the first pixels of the cells along each axis; values are rounded, so that sums are exact.
    """
    out = []
    for part in (observed.astype(np.float64), np.where(observed, rounded(values, VALUES), 0.0)):
        out.append(np.add.reduceat(np.add.reduceat(part, rows, axis=-2), cols, axis=-1))
    return out[0], out[1]


def at_pixels(field: NDArray[np.float32], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate (..., cells, cells) linearly to pixels at fractional cells; cells that are NaN do not count."""
    known = np.isfinite(field)
    total, weight = np.float32(0), np.float32(0)
    filled = np.where(known, field, np.float32(0))
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = np.floor(rows).astype(int) + dy, np.floor(cols).astype(int) + dx
            part = (1 - np.abs(rows - y))[:, None] * (1 - np.abs(cols - x))
            there = known[..., y, :][..., x] * part.astype(np.float32)
            total = total + there * filled[..., y, :][..., x]
            weight = weight + there
    with np.errstate(invalid="ignore"):
        return np.asarray(total / weight, np.float32)
