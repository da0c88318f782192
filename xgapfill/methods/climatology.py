"""The mean of a pixel over the whole series or by time of the year."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.parameters import choice
from xgapfill.methods.shared import FEW, by_channel, pooled_variance

if TYPE_CHECKING:
    from xgapfill.weights import Weights

SIDE = 64
YEAR_DAYS = 365.2425
# Weights of a time step of the year and its two neighbours.
SMOOTH = (1.0, 2.0, 1.0)

Field = NDArray[np.float32]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Climatology(Method):
    """Fill gaps with the mean of each pixel over time, by time of the year where the series spans two years.

    Means are taken of the transformed variable (log10 of chlorophyll: a geometric mean), separately for each channel.
    By time of the year, a time step and its two neighbours have weights 2 : 1 : 1. A pixel without observations at that
    time of the year takes its mean over all times plus the mean anomaly of its tile. A pixel without any observation
    takes the climatology of the nearest observed pixel. Whole series are read, 64 x 64 pixels at a time. The spread is
    the standard deviation about a leave-one-out climatology, pooled with that of the tile where observations are few.

    Parameters
    ----------
    by : {"auto", "year", "all"}
        "year": by time of the year. "all": over all times. "auto": by time of the year if the series spans at least two
        years.

    Raises
    ------
    ValueError
        Any other value of `by`.

    References
    ----------
    Leave-one-out errors: Allen (1974), doi:10.1080/00401706.1974.10489157.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.climatology(ds.CHL).isnull().sum())
    0
    """

    by: str = "auto"

    name: ClassVar[str] = "climatology"
    takes_prior: ClassVar[bool] = False
    needs: ClassVar[str] = "series"
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.0001"
    suits: ClassVar[str] = "there are no observations for a long time around the gap"

    def __post_init__(self) -> None:
        choice("by", self.by, ("auto", "year", "all"))

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of 64 x 64 pixels and all times; they do not overlap."""
        return Tiling(ncols, size=(1, SIDE, SIDE), stride=(1, SIDE, SIDE), series=slots)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Climatology of every channel and the spread about it; `members` must be 1."""
        return by_channel(windows, partial(self._channel, windows))

    def _channel(self, windows: Windows, b: int, c: int) -> tuple[Field, Field]:
        """Estimate and spread of one channel that was observed in the window, (t, y, x) each."""
        year = self._year(windows.season[b], windows.step_days)
        prior = shipped()[windows.channels[c]].variance
        return climatology(windows.values[b, :, c], windows.observed[b, :, c], year, prior)

    def _year(self, season: Field, step_days: float) -> Year:
        """Time step of the year of each time; 0 throughout when the time of the year is not used."""
        dated, steps = bool(season.any()), max(1, round(YEAR_DAYS / step_days))
        if self.by == "year" and not dated:
            raise ValueError("expected data with dates for by='year', found data without dates; use by='all'")
        if not dated or self.by == "all" or (self.by == "auto" and len(season) < 2 * steps):
            return Year(np.zeros(len(season), np.int64), 1)
        length = min(steps, 366)  # the hour of the day is not used
        share = np.arctan2(season[:, 1], season[:, 0], dtype=np.float64) / (2 * np.pi) % 1.0
        return Year(np.minimum((share * length).astype(np.int64), length - 1), length)


class Year(NamedTuple):
    """Time step of the year of each time, and time steps per year: 1 when the time of the year is not used."""

    slots: Ints
    length: int


def climatology(values: Field, observed: Bools, year: Year, prior: float) -> tuple[Field, Field]:
    """Climatology of a window and the spread about it.

    Parameters
    ----------
    values, observed : (t, y, x)
        At least one pixel must be observed.
    year : Year
    prior : float
        Prior variance.

    Returns
    -------
    (t, y, x) float32, twice
    """
    total, squares, weight = sums = np.zeros((3, year.length, *observed.shape[1:]))
    for slot, value, there in zip(year.slots, values, observed, strict=True):
        shown = np.where(there, value, 0)
        total[slot] += shown
        squares[slot] += shown * shown.astype(np.float64)
        weight[slot] += there
    count = weight.sum(axis=0)
    overall = total.sum(axis=0) / np.maximum(count, 1)
    total, near = _with_neighbours(total), _with_neighbours(weight)
    departure = (total - near * overall).sum(axis=(1, 2)) / np.maximum(near.sum(axis=(1, 2)), 1)
    coarse = overall + departure[:, None, None]
    coarse_error = _left_out(sums, coarse, np.broadcast_to(1 / np.maximum(count, 1), coarse.shape))
    fine = np.where(near > 0, total / np.maximum(near, 1), coarse)
    own = _with_neighbours(np.eye(year.length, 1))[0, 0]  # weight of an observation in its own mean
    fine_error = _left_out(sums, fine, own / np.maximum(near, 1))
    usual, usual_coarse = (pooled_variance(sum_.sum(), n.sum(), prior) for sum_, n in (fine_error, coarse_error))
    variance = (fine_error[0] + FEW * usual) / (fine_error[1] + FEW)
    variance = np.where(near > 0, variance, np.maximum(variance, usual_coarse))
    ever = count > 0
    rows, cols = scipy.ndimage.distance_transform_edt(~ever, return_distances=False, return_indices=True)
    # a pixel never observed may differ from its neighbour as much as any two pixels of the window
    number, middle = count.sum(), sums[0].sum() / count.sum()
    anywhere = pooled_variance(max(sums[1].sum() - number * middle**2, 0), number, prior)
    variance = np.where(ever, variance, np.maximum(variance[:, rows, cols], anywhere))
    mean, spread = fine[:, rows, cols].astype(np.float32), np.sqrt(variance).astype(np.float32)
    return mean[year.slots], spread[year.slots]


def _with_neighbours(field: Floats) -> Floats:
    """Weighted sum over each time step of the year and its neighbours, periodic over the year."""
    return sum(
        (share * np.roll(field, shift, axis=0) for share, shift in zip(SMOOTH, (1, 0, -1), strict=True)),
        np.zeros_like(field),
    )


def _left_out(sums: Floats, mean: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Sum of squared leave-one-out errors of means (s, y, x), and the number of errors.

    An observation with weight h in the mean has a residual 1 / (1 - h) times as large when it is left out (Allen 1974).
    `sums` (3, s, y, x) has the sum, the sum of squares and the number of observations per time step and pixel.
    """
    total, squares, number = sums
    usable = (number > 0) & (share < 1)
    residual = np.maximum(squares - 2 * mean * total + number * mean**2, 0)
    found = np.where(usable, residual, 0) / np.where(usable, 1 - share, 1) ** 2
    return found.sum(axis=0), np.where(usable, number, 0).sum(axis=0)
