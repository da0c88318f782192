"""Calibrate intervals: withhold observed pixels, fill them, and compare errors with the stated spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.api.reconstruct import fill_withheld, own_options, withhold
from xgapfill.api.verbs import Predictors
from xgapfill.inputs.warn import warn
from xgapfill.kernel.calibration import LEAST_DATES, Calibration, check_level
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.methods import Method, NetMethod, find
from xgapfill.validation.calibration import clouds_of
from xgapfill.validation.case import Withheld
from xgapfill.validation.intervals import activity, coverage_table, factor_of_date

QUANTILES = 2001


def calibrate(
    da: xr.DataArray,
    method: str | Method = "background",
    cond: Predictors = None,
    *,
    level: float = 0.9,
    masks: Any = None,
    seed: int = 0,
    weights: Any = None,
    error: Any = None,
    also: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
    prior: Any = "auto",
    **parameters: Any,
) -> Calibration:
    """Calibrate the intervals of a method on a series: observed pixels are withheld and filled. Computes.

    Withheld are pixels under the gaps of other dates, so their distances are those of a real fill. The ratio of the
    error to the stated spread tells how many spreads an interval must be wide (conformal prediction), on each date.

    Parameters
    ----------
    da : DataArray
        The target, a series of maps.
    method : str or Method
        A method that gives one estimate and its spread. Members have quantiles of their own, see ``reduce=``.
    cond, weights, error, also, sea, size_class, time_step, transform, prior
        As in `repaint`.
    level : float
        Share of values that the intervals in the table should hold, and at which dates are compared;
        `Calibration.factor` gives the factor of any other.
    masks, seed
        Pixels to withhold, as in `validate`.
    **parameters
        Parameters of a method given by name.

    Returns
    -------
    Calibration
        For ``calibration=`` of the same method and variable. Dates of the series have a factor of their own, as far as
        their withheld pixels tell. Its table has the coverage by distance, of calm and active pixels, and of the worst
        date, each judged on clouds that its factor was not learned from.

    Raises
    ------
    TypeError, ValueError
        As `validate`; the method gives members; fewer than two dates have withheld pixels.

    References
    ----------
    Split conformal prediction: Lei et al. (2018), doi:10.1080/01621459.2017.1307116.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> calibration = xgapfill.calibrate(ds.CHL, "background", prior=None)
    >>> filled = xgapfill.background(ds.CHL, interval=0.9, calibration=calibration, prior=None)
    >>> list(filled)
    ['CHL', 'CHL_lower', 'CHL_upper']
    """
    check_level(level)
    made = find(method, **parameters)
    if made.draws:
        raise ValueError(
            f"{made.name} gives members; their quantiles are intervals: reduce=[{{'quantile': [0.05, 0.95]}}]. "
            "Calibrate a method that gives one estimate, such as background() or posterior_mean()"
        )
    options = FillOptions(
        seed=seed,
        weights=weights,
        error=error,
        also=also,
        sea=sea,
        size_class=size_class,
        time_step=time_step,
        transform=transform,
        prior=prior,
    )
    withheld = withhold(da, None, masks, cond, options)
    own = own_options(withheld, made, cond, options)
    found = fill_withheld(withheld, made, cond, 1, own)
    assert found.spread is not None
    job, variable = Job.of(withheld.shown, made, cond, own), withheld.quantity.variable
    missed = found.mean - withheld.truth[:, withheld.hidden]
    usable = np.isfinite(missed) & (found.spread > 0)
    errors, spreads, dates = missed[usable], found.spread[usable], _dates(withheld, usable)
    ratios, grid = np.abs(errors) / spreads, job.kernel.grid
    of_all, clouds = float(np.quantile(ratios, level)), clouds_of(withheld.hidden)
    widths = {number: factor_of_date(ratios[dates == number], of_all, level) / of_all for number in np.unique(dates)}
    return Calibration(
        method=made.name,
        target=f"{'log10 of ' if variable.logarithmic else ''}{withheld.quantity.label}",
        channels=job.channels,
        weights=job.weights.sha256 if job.weights is not None and isinstance(made, NetMethod) else "",
        dates=np.unique(dates).size,
        pixels=errors.size,
        ratios=tuple(np.quantile(ratios, np.linspace(0, 1, QUANTILES)).tolist()),
        table=coverage_table(errors, spreads, dates, _spread_out(clouds, usable), _groups(withheld, usable), level),
        grid=grid,
        own=tuple((grid.slots[number], ratio) for number, ratio in widths.items()),
    )


def _dates(withheld: Withheld, usable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the date of each usable value; ValueError if there are hardly any, a warning if they are few."""
    dates = _spread_out(np.nonzero(withheld.hidden)[0], usable)
    count = np.unique(dates).size
    if count < 2:
        raise ValueError(f"expected withheld pixels on at least two dates, found {count}; give a longer series")
    if count < LEAST_DATES:
        warn(
            f"calibrated on {count} dates: the coverage of the worst date to come is uncertain below {LEAST_DATES}; "
            "give a longer series"
        )
    return dates


def _spread_out(of_pixels: NDArray[Any], usable: NDArray[np.bool_]) -> NDArray[Any]:
    """What holds for withheld pixels, for each usable value there."""
    return np.broadcast_to(of_pixels, usable.shape)[usable]


def _groups(withheld: Withheld, usable: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Withheld values by distance to the nearest observed pixel, and in calm and active surroundings."""
    far = distance_class(distance_to_observed(withheld.observed))[withheld.hidden]
    active = np.nanmean([activity(part)[withheld.hidden] for part in withheld.truth], axis=0)
    low, high = np.nanquantile(active, [1 / 3, 2 / 3])
    groups = {name: far == number for number, name in enumerate(NAMES)} | {
        "calm": active <= low,
        "active": active > high,
    }
    return {name: _spread_out(there, usable) for name, there in groups.items()}
