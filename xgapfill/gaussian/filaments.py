"""Texture of stirred tracers by address: what members have where no other date tells how a field looks.

A draw with a covariance has the right size and smoothness, but neither filaments nor fronts. A tracer that was stirred
by eddies has them, in any sea and for any variable that currents carry. The file holds a few maps of tracers in a box
that is periodic in space; `python -m xgapfill.training.filaments` simulates them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FILE = Path(__file__).parent / "filaments.npz"
LIMIT = 4.0  # standard deviations: largest value in the file
STEP_DAYS = 8.0  # days between the maps of the file


@lru_cache(maxsize=1)
def _stored() -> tuple[NDArray[np.float32], float]:
    """Maps of tracers (c, t, y, x) of unit variance, on a circle in time, and the correlation of one with the next."""
    with np.load(FILE) as stored:
        maps = stored["tracers"].astype(np.float32) * np.float32(LIMIT / 127)
    maps = np.concatenate([maps, maps[:, -2:0:-1]], axis=1)  # a circle in time
    return maps, float(np.mean(maps * np.roll(maps, 1, axis=1)) / np.mean(maps**2))


def filaments(
    seed: int, number: int, starts: Iterable[NDArray[np.int64]], shape: tuple[int, int, int, int], step_days: float
) -> NDArray[np.float32]:
    """Return fields of about unit variance on windows of the lattice: the same values for the same place and time.

    Parameters
    ----------
    seed, number : int
        Choose the place in the file, its orientation and its sign.
    starts : iterable of (slot, row, col)
        First place of each window.
    shape : (t, c, y, x)
        Of a window.
    step_days : float
        Days between slots.

    Returns
    -------
    (b, t, c, y, x) float32

    Examples
    --------
    >>> whole = filaments(0, 0, [np.array([3, 10, 20])], (2, 1, 30, 40), 8.0)
    >>> part = filaments(0, 0, [np.array([4, 15, 22])], (1, 1, 5, 6), 8.0)
    >>> bool((whole[:, 1:, :, 5:10, 2:8] == part).all())
    True
    """
    maps, correlation = _stored()
    tracers, period, side = maps.shape[:3]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    first, when, *corner = rng.integers((tracers, period, side, side))
    mirrored, turned, negative = rng.integers(2, size=3)
    t, c, y, x = shape
    chosen = maps[(first + np.arange(c)) % tracers]
    fields = []
    for start in starts:
        rows, cols = (
            (int(at) + shift + np.arange(n)) % side for at, shift, n in zip(start[1:], corner, (y, x), strict=True)
        )
        rows = -rows % side if mirrored else rows
        place = np.ix_(*(cols, rows) if turned else (rows, cols))
        steps, rest = np.divmod((int(start[0]) + np.arange(t)) * step_days / STEP_DAYS + when, 1)
        frames = []
        for step, share in zip(steps.astype(int), rest, strict=True):
            frame = chosen[:, step % period][:, *place]
            if share > 0:  # between two maps of the file: their mean has less variance
                size = np.sqrt((1 - share) ** 2 + share**2 + 2 * share * (1 - share) * correlation)
                frame = ((1 - share) * frame + share * chosen[:, (step + 1) % period][:, *place]) / size
            frames.append(frame.swapaxes(1, 2) if turned else frame)
        fields.append(np.stack(frames))
    return (-1 if negative else 1) * np.stack(fields).astype(np.float32)


@lru_cache(maxsize=16)
def power(shape: tuple[int, int, int], step_days: float) -> NDArray[np.float32]:
    """Mean square of the cosine modes of `filaments` on windows of this shape (t, y, x)."""
    starts = [np.array([slot, 0, 0]) for slot in range(8)]
    fields = np.concatenate(
        [filaments(0, number, starts, (shape[0], 1, *shape[1:]), step_days) for number in range(32)]
    )
    modes = fft.dctn(fields[:, :, 0], axes=(1, 2, 3), norm="ortho")
    return np.square(modes).mean(axis=0)
