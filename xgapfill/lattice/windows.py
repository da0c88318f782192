"""What a method is given and what it returns: plain arrays, no xarray, no dask, no units, no NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# noise(member, draw, start, shape) -> (c, t, y, x) float32 standard normal of the lattice places that begin at
# start = (slot, row, col); shape = (c, t, y, x). A pure function of its arguments and the seed.
Noise = Callable[[int, int, tuple[int, int, int], tuple[int, int, int, int]], NDArray[np.float32]]


@dataclass(frozen=True)
class Windows:
    """A batch of lattice windows in transformed (dimensionless) units; targets first, then conditions.

    Attributes
    ----------
    values : (b, t, c, y, x) float32
        What was observed, 0 where nothing was.
    observed : (b, t, c, y, x) bool
        Where something was observed.
    sea : (b, y, x) bool
        Sea pixels. Places outside the data are sea where unknown does no harm: nothing is observed there.
    channels : tuple of str
        Name of each channel c: ``log10_chl``, ``psc_ilr1``, ``psc_ilr2``, ``sst`` ...
    targets : int
        The first `targets` channels are to be filled, the others are conditions.
    starts : (b, 3) int64
        Lattice address (slot, row, col) of each window's first pixel.
    lat : (b, y) float32
        Latitude of the rows, degrees north.
    lon : (b, x) float32
        Longitude of the columns, degrees east, in [0, 360).
    season : (b, t, 2) float32
        cos and sin of the time of the year, both 0 where time is unknown.
    step_days : float
        Days between neighbouring slots.
    step_km : (b, 2) float32
        Size of a pixel, km, northward and eastward (with cos(latitude) of the window's centre).
    variance : (b, t, c, y, x) float32 or None
        Variance of the error of what was observed beyond the noise that a method takes all observations to have; 0
        where that is all, and where nothing was observed. None: 0 everywhere. What has a variance is to be filled as
        well.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    sea: NDArray[np.bool_]
    channels: tuple[str, ...]
    targets: int
    starts: NDArray[np.int64]
    lat: NDArray[np.float32]
    lon: NDArray[np.float32]
    season: NDArray[np.float32]
    step_days: float
    step_km: NDArray[np.float32]
    variance: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Filled:
    """What a method makes of a batch of windows, in transformed units; conditions are filled as well.

    Attributes
    ----------
    values : (m, b, t, c, y, x) float32
        m members (1 for a mean), all channels, finite everywhere in windows that saw anything.
    spread : (b, t, c, y, x) float32
        One standard deviation of the error of the mean.
    """

    values: NDArray[np.float32]
    spread: NDArray[np.float32]


@dataclass(frozen=True)
class Series:
    """What a method of whole series is fitted on: all times of a sample of pixels, in transformed units.

    Attributes
    ----------
    values : (c, t, n) float32
        What was observed, 0 where nothing was.
    observed : (c, t, n) bool
    channels, targets
        As in `Windows`.
    slots : (t,) int64
        Lattice slots, without holes.
    season : (t, 2) float32
        cos and sin of the time of the year, both 0 where time is unknown.
    step_days : float
    rows, cols : (n,) int64
        Lattice address of each pixel.
    lat : (n,) float32
        Degrees north.
    lon : (n,) float32
        Degrees east, in [0, 360).
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    channels: tuple[str, ...]
    targets: int
    slots: NDArray[np.int64]
    season: NDArray[np.float32]
    step_days: float
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    lat: NDArray[np.float32]
    lon: NDArray[np.float32]


@dataclass(frozen=True)
class Patch:
    """A part of a gappy series, on the lattice without holes.

    Attributes
    ----------
    values : (c, t, y, x) float32, transformed units, NaN where missing
    sea : (y, x) bool
    start : (slot, row, col) of the first pixel
    lat : (y,) float32
    season : (t, 2) float32
    step_days : float
    step_km : (y, 2) float32, size of a pixel in the middle of a window that begins at this row
    """

    values: NDArray[np.float32]
    sea: NDArray[np.bool_]
    start: tuple[int, int, int]
    lat: NDArray[np.float32]
    season: NDArray[np.float32]
    step_days: float
    step_km: NDArray[np.float32]
