"""Observations with errors: in-situ samples, and error variances of satellite observations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = 1e-8, 1e4
"""Bounds of an error variance in transformed units; beyond them only the rounding changes."""


@dataclass(frozen=True, eq=False)
class Samples:
    """In-situ samples at lattice places, one per channel and place, sorted by slot; made by `combined`.

    Attributes
    ----------
    channels : (n,) int16
        Channel of the method that was sampled.
    slots, rows, cols : (n,) int32
        Address; columns in [0, ncols).
    values, variances : (n,) float32
        In transformed units.
    ncols : int
        Columns around the globe.
    """

    channels: NDArray[np.int16]
    slots: NDArray[np.int32]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    values: NDArray[np.float32]
    variances: NDArray[np.float32]
    ncols: int

    def touch(self, start: NDArray[np.int64], size: tuple[int, int, int], channels: int) -> bool:
        """Tell whether a window has a sample of one of the first channels."""
        return bool((self.channels[self._within(start, size)[0]] < channels).any())

    def put(
        self,
        values: NDArray[np.float32],
        observed: NDArray[np.bool_],
        variance: NDArray[np.float32],
        start: NDArray[np.int64],
    ) -> None:
        """Insert samples into a window (t, c, y, x) that begins at `start`, except over more certain observations."""
        t, _, y, x = values.shape
        which, row, col = self._within(start, (t, y, x))
        slot, channel = self.slots[which] - int(start[0]), self.channels[which]
        for around in range(0, x, self.ncols):  # a window may go around the globe more than once
            use = col + around < x
            at = slot[use], channel[use], row[use], col[use] + around
            surer = ~observed[at] | (self.variances[which[use]] < variance[at])
            at = tuple(place[surer] for place in at)
            values[at], variance[at] = self.values[which[use][surer]], self.variances[which[use][surer]]
            observed[at] = True

    def _within(
        self, start: NDArray[np.int64], size: tuple[int, int, int]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the samples inside a window, and their rows and columns in it."""
        slot, row, col = (int(first) for first in start)
        first, last = np.searchsorted(self.slots, [slot, slot + size[0]])
        rows = self.rows[first:last].astype(np.int64) - row
        cols = (self.cols[first:last].astype(np.int64) - col) % self.ncols
        inside = np.flatnonzero((rows >= 0) & (rows < size[1]) & (cols < size[2]))
        return inside + first, rows[inside], cols[inside]

    def __len__(self) -> int:
        return len(self.values)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        arrays = (self.channels, self.slots, self.rows, self.cols, self.values, self.variances)
        content = hashlib.blake2b(b"".join(array.tobytes() for array in arrays), digest_size=16).hexdigest()
        return "xgapfill.Samples", content, self.ncols


def combined(
    channels: NDArray, places: NDArray, values: NDArray[np.float32], variances: NDArray[np.float32], ncols: int
) -> Samples:
    """Combine samples of the same channel and place, weighted by the inverse of their variances.

    Parameters
    ----------
    channels : (n,) int
    places : (n, 3) int
        Slot, row, column.
    values, variances : (n,) float32
        In transformed units.
    ncols : int
        Columns around the globe.

    Examples
    --------
    >>> twice = np.array([[5, 1, 2], [5, 1, 2]])
    >>> one = combined(np.zeros(2, int), twice, np.float32([0, 3]), np.float32([1, 2]), 8640)
    >>> len(one), round(float(one.values[0]), 6), round(float(one.variances[0]), 6)
    (1, 1.0, 0.666667)
    """
    keys = np.column_stack([places, channels]).astype(np.int64).reshape(-1, 4)
    order = np.lexsort((variances, values, *keys.T[::-1]))  # the result does not depend on the order of the table
    keys, values, variances = keys[order], values[order], np.clip(variances[order], LEAST, MOST)
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.ravel()
    weight = np.bincount(which, 1.0 / variances.astype(np.float64), len(unique))
    mean = np.bincount(which, values / variances.astype(np.float64), len(unique)) / weight
    slots, rows, cols, numbers = unique.T
    return Samples(
        channels=numbers.astype(np.int16),
        slots=slots.astype(np.int32),
        rows=rows.astype(np.int32),
        cols=cols.astype(np.int32),
        values=mean.astype(np.float32),
        variances=(1.0 / weight).astype(np.float32),
        ncols=ncols,
    )


def excess(variance: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Error variance in excess of the median of a window, by channel.

    Methods estimate the noise of observations from the field itself, and most of a prescribed error is shared by
    neighbours (calibration, atmosphere, water type), so it is not noise. Only the variance in excess of the median of
    the window is used.

    Parameters
    ----------
    variance : (t, c, y, x) float32
        NaN where unknown, which counts as the median.
    observed : (t, c, y, x) bool

    Returns
    -------
    (t, c, y, x) float32
        At least 0, and 0 where not observed.
    """
    out = np.zeros(observed.shape, np.float32)
    for channel in range(observed.shape[1]):
        here = observed[:, channel] & ~np.isnan(variance[:, channel])
        if here.any():
            known = variance[:, channel][here]
            out[:, channel][here] = np.clip(known - np.median(known), 0, MOST)
    return out
