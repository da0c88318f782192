"""Arguments and results of a method: plain arrays, no xarray, no dask, no units, no NaN."""

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
    """A batch of space-time tiles (windows) in transformed (dimensionless) units; targets first, then predictors.

    Attributes
    ----------
    values : (b, t, c, y, x) float32
        Observations, 0 where missing.
    observed : (b, t, c, y, x) bool
        Where values are observed.
    sea : (b, y, x) bool
        Sea pixels. Places outside the data may count as sea, as nothing is observed there.
    channels : tuple of str
        Name of each channel c: ``log10_chl``, ``psc_ilr1``, ``psc_ilr2``, ``sst`` ...
    targets : int
        Number of channels to be filled, which are first; the others are predictors.
    starts : (b, 3) int64
        Lattice address (slot, row, col) of each window's first pixel.
    lat : (b, y) float32
        Latitude of the rows, degrees north.
    lon : (b, x) float32
        Longitude of the columns, degrees east, in [0, 360).
    season : (b, t, 2) float32
        cos and sin of the time of the year, both 0 if time is unknown.
    step_days : float
        Days between neighbouring slots.
    step_km : (b, 2) float32
        Size of a pixel, km, northward and eastward (with cos(latitude) of the window's centre).
    variance : (b, t, c, y, x) float32 or None
        Error variance of observations in excess of the noise that a method assumes for all of them; 0 without excess
        and where missing. None: 0 everywhere. Observations with a variance are filled as well.
    level : (b, t, c, y, x) float32 or None
        What the prior of all windows has taken from the values; predictors enter regressions with it. None: nothing.
    residuals : (m, b, t, c, y, x) float32 or None
        What the background misses of other dates under the gaps of the windows, over its stated error, for m members;
        None unless the method makes its members of them.

    Examples
    --------
    >>> from xgapfill import testing
    >>> batch = testing.windows(np.zeros((1, 5, 1, 64, 64)))
    >>> batch.values.shape, batch.targets
    ((1, 5, 1, 64, 64), 1)
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
    level: NDArray[np.float32] | None = None
    residuals: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Filled:
    """Result of a method for a batch of windows, in transformed units; predictors are filled as well.

    Attributes
    ----------
    values : (m, b, t, c, y, x) float32
        m members (1 for a mean), all channels, finite everywhere in windows with observations.
    spread : (b, t, c, y, x) float32
        One standard deviation of the error of the mean.

    Examples
    --------
    >>> one = np.zeros((1, 5, 1, 64, 64), np.float32)  # b, t, c, y, x
    >>> Filled(values=one[None], spread=one + 0.1).values.shape
    (1, 1, 5, 1, 64, 64)
    """

    values: NDArray[np.float32]
    spread: NDArray[np.float32]


@dataclass(frozen=True)
class Series:
    """Data that a method of whole series is fitted on: all times of a sample of pixels, in transformed units.

    Attributes
    ----------
    values : (c, t, n) float32
        Observations, 0 where missing.
    observed : (c, t, n) bool
    channels, targets
        As in `Windows`.
    slots : (t,) int64
        Lattice slots, without holes.
    season : (t, 2) float32
        cos and sin of the time of the year, both 0 if time is unknown.
    step_days : float
    rows, cols : (n,) int64
        Lattice address of each pixel.
    lat : (n,) float32
        Degrees north.
    lon : (n,) float32
        Degrees east, in [0, 360).

    Examples
    --------
    >>> values, time = np.zeros((1, 48, 3), np.float32), 2 * np.pi * np.arange(48) / 46
    >>> series = Series(
    ...     values=values,
    ...     observed=values == 0,
    ...     channels=("log10_chl",),
    ...     targets=1,
    ...     slots=np.arange(48),
    ...     season=np.stack([np.cos(time), np.sin(time)], axis=1).astype(np.float32),
    ...     step_days=8.0,
    ...     rows=np.arange(3),
    ...     cols=np.arange(3),
    ...     lat=np.full(3, 45, np.float32),
    ...     lon=np.full(3, 330, np.float32),
    ... )
    >>> int(series.observed.sum())
    144
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
    lon : (x,) float32, in [0, 360)
    season : (t, 2) float32
    step_days : float
    step_km : (y, 2) float32, size of a pixel in the middle of a window that begins at this row
    """

    values: NDArray[np.float32]
    sea: NDArray[np.bool_]
    start: tuple[int, int, int]
    lat: NDArray[np.float32]
    lon: NDArray[np.float32]
    season: NDArray[np.float32]
    step_days: float
    step_km: NDArray[np.float32]
