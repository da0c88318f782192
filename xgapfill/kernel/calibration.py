"""Factors of intervals: how many spreads of a method hold a share of the errors, on each date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from xgapfill.lattice.grid import Grid

if TYPE_CHECKING:
    import pandas as pd

LEAST_DATES = 20  # below, the worst date of a calibration says little about the worst to come


@dataclass(frozen=True)
class Interval:
    """Spreads on each side of an estimate that its interval has.

    Attributes
    ----------
    factor : float
    own : tuple of (slot, ratio)
        Dates whose intervals are wider or narrower, times the factor.

    Examples
    --------
    >>> interval = Interval(2.0, ((7, 1.5),))
    >>> interval.at(7), interval.at(8)
    (3.0, 2.0)
    """

    factor: float
    own: tuple[tuple[int, float], ...] = ()

    def at(self, slot: int) -> float:
        """Return the number of spreads on a date."""
        return self.factor * dict(self.own).get(slot, 1.0)


@dataclass(frozen=True)
class Calibration:
    """Errors of a method over its spread, at withheld pixels of a series; made by `xgapfill.calibrate`.

    Attributes
    ----------
    method : str
        Name of the method.
    target : str
        What was filled, in the units of scores: ``log10 of CHL``.
    channels : tuple of str
        Channels of the method, targets first.
    weights : str
        SHA-256 of its weights; empty without.
    dates, pixels : int
        Number of dates and of values.
    ratios : tuple of float
        Evenly spaced quantiles of |error| / spread, from 0 to 1.
    table : pandas.DataFrame
        Coverage and mean width of intervals: calibrated on clouds other than those they are judged on, and those of a
        normal distribution.
    grid : Grid or None
        Addresses of the series.
    own : tuple of (slot, ratio)
        Width of the intervals of each date with withheld pixels, as a ratio to that of all dates.

    Examples
    --------
    >>> import pandas as pd
    >>> calibration = Calibration("background", "CHL", ("log10_chl",), "", 30, 101, (0.0, 1.0, 2.0), pd.DataFrame())
    >>> round(calibration.factor(0.5), 2)
    1.01
    """

    method: str
    target: str
    channels: tuple[str, ...]
    weights: str
    dates: int
    pixels: int
    ratios: tuple[float, ...]
    table: pd.DataFrame
    grid: Grid | None = None
    own: tuple[tuple[int, float], ...] = ()

    def interval(self, level: float, grid: Grid) -> Interval:
        """Return how wide intervals are: dates of the calibrated series have a factor of their own, also in a part."""
        return Interval(self.factor(level), self.own if self.grid and self.grid.covers(grid) else ())

    def factor(self, level: float) -> float:
        """Return the number of spreads on each side of an estimate that hold this share of the errors.

        The share is ``(1 - a) (1 + 1 / n)`` of n values, as in split conformal prediction (Lei et al. 2018,
        doi:10.1080/01621459.2017.1307116).
        """
        check_level(level)
        share = min(1.0, level * (1 + 1 / self.pixels))
        return float(np.interp(share, np.linspace(0, 1, len(self.ratios)), self.ratios))

    def __repr__(self) -> str:
        title = f"intervals of {self.method}, {self.target}: {self.pixels} values of {self.dates} dates"
        return f"<xgapfill.Calibration> {title}\n{self.table.round(3).to_string()}"

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Calibration", self.method, self.channels, self.weights, self.ratios, self.grid, self.own


def check_level(level: float) -> None:
    """ValueError unless a level is a number between 0 and 1."""
    number = isinstance(level, (int, float, np.integer, np.floating)) and not isinstance(level, bool)
    if not (number and 0 < level < 1):
        raise ValueError(f"interval must be the share of values that it should hold, between 0 and 1; found {level!r}")


def card_factor(level: float, intervals: Mapping[str, Sequence[float]]) -> float:
    """Return the number of spreads on each side that held this share of the data that weights were calibrated on.

    `intervals` are those of their card; between its levels, the ratio to a normal distribution is interpolated.
    """
    levels = list(intervals["levels"])
    ratios = [factor / normal_factor(each) for each, factor in zip(levels, intervals["factors"], strict=True)]
    return float(np.interp(level, levels, ratios)) * normal_factor(level)


def normal_factor(level: float) -> float:
    """Return the number of standard deviations on each side that hold this share of a normal distribution."""
    check_level(level)
    return NormalDist().inv_cdf((1 + float(level)) / 2)
