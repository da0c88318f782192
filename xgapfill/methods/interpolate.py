"""The common baseline: linear in time over short gaps, then the nearest observation, within one window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy
from numpy.typing import NDArray

from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.parameters import number
from xgapfill.methods.shared import blocks, by_channel, error_factor, pooled_variance

if TYPE_CHECKING:
    from xgapfill.weights import Weights

Field = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Interior of a window, time steps and pixels, and the halo of pixels around it.
INNER = (6, 96, 96)
AROUND = 16
# Prior squared error as a share of the window's variance, before held-out blocks correct it: linear in time; of the
# nearest value next to it, far away (two independent values), and the e-folding distance in km. Found on 8-day
# chlorophyll of the NE Pacific from June 2020.
LINEAR_ERROR = 0.5
NEAREST_ERROR = (0.01, 2.0, 90.0)


@dataclass(frozen=True)
class Interpolate(Method):
    """Fill gaps linearly in time, and the rest with the nearest value in space and time: the common baseline.

    The transformed variable (log10 of chlorophyll, log-ratios of size classes) is interpolated, separately for each
    channel. A target without observations in a space-time tile (window) follows from the predictors by regression. The
    spread grows with the distance to observations, at a rate estimated on held-out blocks.

    Parameters
    ----------
    max_steps : int
        Longest gap that is bridged linearly, in time steps between the observed dates on either side; 0: none. Longer
        gaps take the nearest value, unlike with ``max_gap=``, which leaves pixels missing.
    frame_km : float
        Distance in km that counts as much as one day in the search for the nearest value.

    Raises
    ------
    ValueError
        A negative or fractional `max_steps`, or `frame_km` that is not positive.

    References
    ----------
    Exact distances: Maurer et al. (2003), doi:10.1109/TPAMI.2003.1177156.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.interpolate(ds.CHL, max_steps=3).isnull().sum())
    0
    """

    max_steps: int = 5
    frame_km: float = 4.0

    name: ClassVar[str] = "interpolate"
    takes_prior: ClassVar[bool] = False
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.013"
    suits: ClassVar[str] = "a comparison with the common baseline is needed"

    def __post_init__(self) -> None:
        if isinstance(self.max_steps, bool) or not isinstance(self.max_steps, (int, np.integer)) or self.max_steps < 0:
            raise ValueError(f"max_steps must be a whole number of time steps, 0 or more; found {self.max_steps!r}")
        number("frame_km", self.frame_km, 1e-6, 1e6, "km per day")

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows with a halo of `max_steps` time steps and 16 pixels."""
        margin = (max(int(self.max_steps), 1), AROUND, AROUND)
        size = tuple(inner + 2 * more for inner, more in zip(INNER, margin, strict=True))
        return Tiling(ncols, size=(size[0], size[1], size[2]), stride=INNER, margin=margin)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Estimate and error of every channel; `members` must be 1."""
        return by_channel(windows, partial(self._channel, windows))

    def _channel(self, windows: Windows, b: int, c: int) -> tuple[Field, Field]:
        """Estimate and spread of one channel that was observed in the window, (t, y, x) each."""
        values, observed = windows.values[b, :, c], windows.observed[b, :, c]
        north, east = (float(km) for km in windows.step_km[b])
        sampling = (self.frame_km * windows.step_days, north, east)
        filled, linear, distance = self._filled(values, observed, sampling)
        known_values = values[observed].astype(np.float64)
        squares = np.square(known_values - known_values.mean()).sum()
        variance = pooled_variance(squares, known_values.size, shipped()[windows.channels[c]].variance)
        expected = variance * _expected(linear, distance)
        hidden = blocks(observed.shape) & observed
        shown = observed & ~hidden
        if shown.any():
            guess, by_line, far = self._filled(values, shown, sampling)
            square, usual = (guess - values) ** 2, variance * _expected(by_line, far)
            for kind in (True, False):
                tried = hidden & (by_line == kind)
                expected[linear == kind] *= error_factor(square[tried], usual[tried])
        return filled, np.sqrt(expected).astype(np.float32)

    def _filled(
        self, values: Field, observed: Bools, sampling: tuple[float, float, float]
    ) -> tuple[Field, Bools, NDArray[np.float64]]:
        """Estimate, where it is linear in time, and the distance to the nearest observation."""
        linear, ends = linear_in_time(values, observed, int(self.max_steps))
        distance, near = nearest(values, observed, sampling)
        return np.where(ends, linear, near), ends & ~observed, distance


def linear_in_time(values: Field, observed: Bools, max_gap: int) -> tuple[Field, Bools]:
    """Linear interpolation between the observed dates of a pixel, where these are at most `max_gap` steps apart.

    Parameters
    ----------
    values, observed : (t, y, x)
    max_gap : int
        Steps between the dates on either side of a gap.

    Returns
    -------
    values : (t, y, x) float32
    there : (t, y, x) bool
        Where values are observed or interpolated; elsewhere they are meaningless.
    """
    times = len(values)
    steps = np.arange(times)[:, None, None]
    before = np.maximum.accumulate(np.where(observed, steps, -1), axis=0)
    after = np.minimum.accumulate(np.where(observed, steps, times)[::-1], axis=0)[::-1]
    there = (before >= 0) & (after < times) & (after - before <= max_gap) | observed
    before, after = np.where(there, before, 0), np.where(there, after, 0)
    low, high = (np.take_along_axis(values, place, axis=0) for place in (before, after))
    share = ((steps - before) / np.maximum(after - before, 1)).astype(np.float32)
    return low + share * (high - low), there


def nearest(values: Field, observed: Bools, sampling: tuple[float, float, float]) -> tuple[NDArray[np.float64], Field]:
    """Distance to the nearest observed pixel and its value; `sampling` is the size of a pixel, (t, y, x)."""
    distance, places = scipy.ndimage.distance_transform_edt(~observed, sampling=sampling, return_indices=True)
    return distance, values[tuple(places)]


def _expected(linear: Bools, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prior squared error as a share of the variance."""
    at_once, far, km = NEAREST_ERROR
    return np.where(linear, LINEAR_ERROR, far - (far - at_once) * np.exp(-distance / km))
