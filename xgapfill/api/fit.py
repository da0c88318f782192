"""The verb `fit`: fits a series method, or the net of a generative method, to a gappy series."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from xgapfill.api.verbs import Predictors, Target
from xgapfill.inputs.axes import westward
from xgapfill.inputs.warn import warn
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.patches import extract
from xgapfill.methods import Method, NetMethod, find
from xgapfill.methods.untrained import Untrained
from xgapfill.nets.device import device_of
from xgapfill.pipeline import fit_series
from xgapfill.weights import Weights

MINUTES = 10.0


def fit(
    da: Target,
    method: str | Method,
    cond: Predictors = None,
    *,
    init: Any = "shipped",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    sea: Any = None,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
    prior: Any = "auto",
    progress: bool | None = None,
    **parameters: Any,
) -> Weights:
    """Fit a method to a gappy series, immediately.

    The fit uses a sample of at most 512 MB, chosen by position, so chunks do not matter. A series method (``dineof``,
    ``som``) is fitted once. The net of a generative method (``repaint`` and ``posterior_mean`` share one) is trained
    for some minutes: observed pixels are withheld under the gaps of other dates, and only these pixels enter the loss.
    Blocks of the series form the validation set: they stop the training when it no longer improves, and calibrate
    the spread. Ctrl-C ends the training early and keeps the best weights so far.

    Parameters
    ----------
    da, cond, sea, size_class, time_step, transform, prior
        As in `repaint`; a net is trained without a prior. A net needs at least 5 frames with gaps.
    method : str or Method
        Name of a method, or an object.
    init : str, path, Weights or None
        Initial weights, as `weights` in `repaint`; by default the shipped weights of the variable. None starts from
        random weights. `init`, `minutes` and `steps` are for nets only.
    minutes : float, optional
        Wall time of the training; 10 if `steps` is not given either. Reading and calibration take additional time.
    steps : int, optional
        Number of training steps, instead of `minutes`; results are then reproducible to the bit on one machine.
    seed : int, optional
        Seed of the training; default 0.
    progress : bool, optional
        Whether to show a progress bar; by default the training of a net shows one on terminals.
    **parameters
        Parameters of a method given by name.

    Returns
    -------
    Weights
        For ``weights=`` of the same method. Their card records the data, the initial weights, the duration, and the
        scores on the validation set before and after. If the training improved nothing, `init` with a warning.

    Raises
    ------
    TypeError
        The method has no fit.
    ValueError
        The data are too few, or the weights do not fit; the message states what is expected.

    References
    ----------
    Withholding observed pixels: Barth et al. (2024), doi:10.5194/os-20-1567-2024.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(0, 8), lat=slice(0, 64), lon=slice(0, 64))
    >>> eofs = xgapfill.fit(ds.CHL, "dineof", modes=2)
    >>> bool(xgapfill.dineof(ds.CHL, weights=eofs).notnull().all())
    True
    """
    made = find(method, **parameters)
    options = FillOptions(sea=sea, size_class=size_class, time_step=time_step, transform=transform, prior=prior)
    more: dict[str, Any] = {"seed": seed, "progress": progress}
    more = {name: value for name, value in more.items() if value is not None}
    if isinstance(made, NetMethod):
        return tune(da, made, cond, options, init=init, minutes=minutes, steps=steps, **more)
    if init != "shipped" or minutes is not None or steps is not None:
        raise TypeError(f"{made.name} has no net to train; leave out init=, minutes= and steps=")
    made = find(method, **parameters, **more) if more else made
    return fit_series(Job.of(da, made, cond, options))


def tune(
    target: Target,
    method: NetMethod,
    cond: Any = None,
    options: FillOptions | None = None,
    *,
    init: Any = "shipped",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Weights:
    """Train the net of a method on the observations of a series; see `fit`.

    Parameters
    ----------
    target, method, cond, options, init, minutes, steps, seed, progress
        As in `fit`, with the method as an object.
    """
    _check(minutes, steps, seed)
    # the net learns from windows as they are; what lies beyond them is taken off when it fills
    job = _job(target, method, cond, replace(options or FillOptions(), prior=None), init)
    quantity = job.target
    if quantity.grid.calendar == "none":
        raise ValueError(
            f"expected a series of maps, since a fit withholds observed pixels under the gaps of other dates; "
            f"{quantity.label} has no times"
        )
    from xgapfill.training.fit import Budget, fit
    from xgapfill.training.gappy import Gappy

    patches = extract(job.kernel, job.sources, job.grids)
    first = job.weights
    budget = Budget(MINUTES if minutes is None and steps is None else minutes, steps, int(seed))
    done = fit(
        Gappy(patches, len(quantity.variable.channels)),
        job.channels,
        _described(job),
        budget,
        method=method,
        init=first,
        name=_name(method, first),
        device=device_of(method),
        progress=progress,
    )
    if not done.better and first is not None:
        warn(
            f"the fit to {quantity.label} did not improve on {first.card.name!r} at pixels of the validation set; "
            "returning these weights unchanged. A longer series or more minutes may help"
        )
    return done.weights


def _check(minutes: float | None, steps: int | None, seed: int) -> None:
    if minutes is not None and steps is not None:
        raise ValueError(f"give minutes= or steps=, not both; found minutes={minutes!r} and steps={steps!r}")
    if minutes is not None and not (
        isinstance(minutes, (int, float)) and not isinstance(minutes, bool) and math.isfinite(minutes) and minutes > 0
    ):
        raise ValueError(f"minutes must be a number above 0, found {minutes!r}")
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ValueError(f"{name} must be a whole number of at least {least}, found {value!r}")


def _job(target: Any, method: NetMethod, cond: Any, options: FillOptions, init: Any) -> Job:
    """The job to fit, with its initial weights if there are any."""
    shipped = isinstance(init, str) and init == "shipped"
    if init is None or (shipped and not method.shipped):
        return Job.of(target, Untrained(method), cond, options)
    return Job.of(target, method, cond, replace(options, weights=None if shipped else init))


def _described(job: Job) -> str:
    quantity = job.target
    t, y, x = quantity.grid.shape
    given = f" given {', '.join(each.label for each in job.predictors)}" if job.predictors else ""
    coordinate = quantity.arrays[0].coords[quantity.axes[0].names["time"]].values
    first, last = (str(stamp)[:10] for stamp in (min(coordinate), max(coordinate)))
    lat = quantity.grid.lat_of(quantity.grid.rows)
    lon = westward(quantity.arrays[0], quantity.axes[0], quantity.grid.lon_of(quantity.grid.cols))
    return (
        f"Observed pixels of {quantity.label}{given}: {t} times from {first} to {last}, {y} x {x} pixels, latitudes "
        f"{lat.min():.4g} to {lat.max():.4g}, longitudes {lon[0]:.4g} to {lon[-1]:.4g}"
    )


def _name(method: NetMethod, init: Weights | None) -> str:
    return f"{method.model}-fit" if init is None else f"{init.card.name.removesuffix('-fit')}-fit"
