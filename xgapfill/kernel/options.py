"""Options of a fill, each documented once: verbs and the command line take them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xgapfill.kernel.calibration import check_level


@dataclass(frozen=True)
class FillOptions:
    """Options of every fill besides its target, method and predictors.

    Parameters
    ----------
    members : int, optional
        Number of realisations, along the new dimension ``realization``. None: no such dimension; the mean if the method
        has one, else a single realisation. The first members do not depend on their number. Methods that draw none
        themselves add residuals of other dates of the series to their estimate, in pairs of opposite sign; series
        of less than two months, or of less than six maps, add filaments of simulated currents.
    seed : int
        Same seed, same members, on one machine, regardless of chunking; and of subsetting, but for residuals.
    weights : str, path or Weights, optional
        Shipped name, path of a safetensors file, URL with its hash, or `xgapfill.weights.Weights`; by default the
        shipped weights for the variable, or a fit on a sample of the data as part of the lazy result.
    insitu : DataFrame or Dataset, optional
        In-situ samples, one per row: time, lat, lon, and values, in the units of the maps. Columns of values have the
        name of the target, ``value``, ``micro``, ``nano`` and ``pico``, or the name of a predictor. Columns ``error``
        or ``<column>_error`` have the standard deviation of the error as an estimate of the pixel mean; without them it
        is 0.2 in log10 of chlorophyll, 0.1 in fractions, 0.4 degC. Estimates are drawn toward samples. A pixel with
        only a sample counts as missing; pixels observed by satellite are returned unchanged.
    error : DataArray or sequence of DataArrays, optional
        Standard deviation of the error of `da`, on its grid, in its units, in percent (as ``CHL_uncertainty``) or of
        log10. Pixels with larger errors than their neighbours get less weight; `da` is returned unchanged.
    also : DataArray or list of DataArrays, optional
        Maps of the same variable from other sensors or products, on the lattice of `da`; they may have other dates and
        cover another part of it. Their offset, scale and error against `da` are estimated around each place and date
        from pixels that both observed. They guide the fill where `da` is missing; `da` itself is returned unchanged.
    sea : DataArray or array of bool, optional
        Sea mask, (latitude, longitude). By default a mask among the coordinates, else the mask of the package (0.1
        degree). A pixel where the target or a predictor is observed is always sea.
    size_class : {"micro", "nano", "pico"}, optional
        Size class of `da`, if neither labels nor names give it.
    time_step : number of days, str or timedelta, optional
        Time between neighbouring maps, if the dates do not give it: ``"1D"``, ``"8D"``, ``"MS"``. A guess comes with a
        warning.
    transform : {"log10", "logit", "linear"} or ("logit", lowest, highest), optional
        How a variable that is not known is filled: positive and varying by factors, between two bounds (by default 0
        and 1), or as it is. Known variables need none.
    max_gap : number of days, str or timedelta, optional
        Longest gap between observed dates that is filled, as in ``interpolate_na``; pixels in longer gaps stay missing
        (status too_little_context).
    max_distance : float, optional
        Largest distance in km to the nearest observed pixel of the same frame; pixels farther away stay missing.
    min_support : float, optional
        Least share, 0 to 1, of an answer that is due to observations, not the prior; other pixels stay missing.
    prior : "auto", Dataset or None
        What is known beyond windows of a few frames and pixels, taken from the values before they are filled and given
        back after. The large scale of the map fills gaps of any width; the season of each pixel is fitted to series of
        three years and more, with up to 134 million values, as part of the lazy result. A Dataset of `xgapfill.season`
        gives the season of any series, also of a longer or larger one than `da`. None: nothing of both.
    full : bool
        Return the spread, the status and the support of each pixel as well.
    interval : float, optional
        Share of values, such as 0.9, that the intervals ``<name>_lower`` to ``<name>_upper`` should hold; for methods
        that give one estimate. Members have quantiles, see `reduce`.
    calibration : Calibration, optional
        Made by `xgapfill.calibrate` with the same method, variable and weights. Without it the intervals are as wide as
        the card of the weights says, or else those of a normal distribution with the stated spread.
    reduce : optional
        Statistics over members instead of the members, which are drawn a few at a time and never stored: ``"mean"``,
        ``"std"``, ``{"quantile": [0.05, 0.95]}``, as the xarray methods of these names over ``realization``; a function
        of one member, for its mean and standard deviation; a pair ``(function, statistic)``; or a list of these. A
        function gets a DataArray like `da` with all times of some pixels, land missing. It must treat each pixel
        independently and return a DataArray of numbers on the same latitudes and longitudes, with any other dimensions:
        a trend, a date by year.
    """

    members: int | None = None
    seed: int = 0
    weights: Any = None
    insitu: Any = None
    error: Any = None
    also: Any = None
    sea: Any = None
    size_class: str | None = None
    time_step: Any = None
    transform: Any = None
    max_gap: Any = None
    max_distance: float | None = None
    min_support: float | None = None
    prior: Any = "auto"
    full: bool = False
    interval: float | None = None
    calibration: Any = None
    reduce: Any = None

    def __post_init__(self) -> None:
        for name, least in (("members", 1), ("seed", 0)):
            value = getattr(self, name)
            if name == "members" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, found {value!r}")
            object.__setattr__(self, name, int(value))
        if self.interval is not None:
            check_level(self.interval)
        elif self.calibration is not None:
            raise ValueError("calibration= is for intervals: give interval= as well, such as interval=0.9")
        if not isinstance(self.full, (bool, np.bool_)):
            raise ValueError(f"full must be True or False, found {self.full!r}")
