"""A call, read and checked once: fill, plan, validate and fit share the same `Job`, so they cannot disagree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from dask.base import tokenize

from xgapfill.blocks.source import Source
from xgapfill.inputs import read as inputs
from xgapfill.inputs.errors import read_error
from xgapfill.inputs.insitu import read_samples
from xgapfill.inputs.sea import read_sea
from xgapfill.inputs.settle import settled
from xgapfill.inputs.values import check_values
from xgapfill.inputs.warn import warn
from xgapfill.kernel.beyond import Reader, lay_out_prior
from xgapfill.kernel.ever import ever_observed
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.limits import Limits
from xgapfill.kernel.reduce import Reduced, reduced
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.kernel.statistics import Statistic, read
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.noise import Noise
from xgapfill.methods.base import Method, NetMethod, SeriesMethod
from xgapfill.nets.device import placed
from xgapfill.nets.ready import check_network
from xgapfill.options import OPTIONS
from xgapfill.prior.large import reach
from xgapfill.prior.season import LEAST_YEARS
from xgapfill.variables import SizeClasses
from xgapfill.weights import Weights, handle, load

SEASON_CELLS = 1 << 27  # largest number of values of which the seasons are fitted as part of a result
SERIES_CELLS = 1 << 23  # approximate number of values of whole series per task


@dataclass(frozen=True)
class FillOptions:
    """Options of every fill besides its target, method and predictors.

    Parameters
    ----------
    members : int, optional
        Number of realisations, along the new dimension ``realization``. None: no such dimension; the mean if the method
        has one, else a single realisation. The first members do not depend on their number.
    seed : int
        Same seed, same members, on one machine, regardless of subsetting or chunking.
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
    prior : "auto" or None
        What is known beyond windows of a few frames and pixels, taken from the values before they are filled and given
        back after. The large scale of the map fills gaps of any width; the season of each pixel is used in series of
        three years and more, with up to 134 million values, if some years tell of others. None: nothing of both.
    full : bool
        Return the spread and the status of each pixel as well.
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
    sea: Any = None
    size_class: str | None = None
    time_step: Any = None
    transform: Any = None
    max_gap: Any = None
    max_distance: float | None = None
    prior: Any = "auto"
    full: bool = False
    reduce: Any = None

    def __post_init__(self) -> None:
        for name, least in (("members", 1), ("seed", 0)):
            value = getattr(self, name)
            if name == "members" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, found {value!r}")
            object.__setattr__(self, name, int(value))
        if not isinstance(self.full, (bool, np.bool_)):
            raise ValueError(f"full must be True or False, found {self.full!r}")


@dataclass(frozen=True)
class Job:
    """Target, predictors, method and options of a call; nothing has been computed.

    Attributes
    ----------
    target : Quantity
    predictors : tuple of Quantity
    method : Method
    weights : Weights or None
    options : FillOptions
    kernel : FillKernel
        Fills a block.
    sources, grids : tuple of Source, of Grid
        Source and addresses of each array of the kernel.
    statistics : tuple of Statistic or None
        Statistics that are returned instead of the members.
    op : FillKernel or Reduced
        Operation of a task on a block: fill it, or reduce its members.
    """

    target: inputs.Quantity
    predictors: tuple[inputs.Quantity, ...]
    method: Method
    weights: Weights | None
    options: FillOptions
    kernel: FillKernel
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]
    statistics: tuple[Statistic, ...] | None
    op: FillKernel | Reduced

    @classmethod
    def of(cls, target: Any, method: Method, cond: Any = None, options: FillOptions | None = None) -> Job:
        """Read and check a call.

        Raises
        ------
        TypeError, ValueError
            Invalid input; the message explains what to do.
        """
        options = FillOptions() if options is None else options
        method = _configured(method, options)
        quantity = inputs.read(target, options.size_class, None, options.time_step, options.transform)
        given = inputs.conditions(cond, quantity)
        quantity = settled(quantity, given, _by_class(method, options.weights))
        statistics = None if options.reduce is None else _statistics(options, method)
        looked_at = tuple(check_values(each) for each in (quantity, *given))
        weights, channels = _choose(method, options.weights, quantity, given)
        if _is_unfitted(method, weights):
            method.check_times(max(quantity.grid.slots) + 1 - min(quantity.grid.slots))
        error = None if options.error is None else read_error(options.error, quantity)
        mask = read_sea(options.sea, quantity)
        sources = [source for each in (quantity, *given) for source in each.sources]
        grids = [grid for each in (quantity, *given) for grid in each.source_grids()]
        every = tuple(each.variable for each in (quantity, *given))
        ever = None if mask is not None else ever_observed(every, sources, grids)
        if error is not None:
            sources, grids = [*sources, *error.sources], [*grids, *error.grids]
        grid = quantity.grid
        shared = _prior(options, method, (quantity, *given), channels)
        if shared is not None:
            count = sum(each.parts for each in every)
            reader = Reader.of(grid, every, channels, shared)
            added = lay_out_prior(reader, sources[:count], grids[:count], series_block(len(grid.slots)))
            sources, grids = [*sources, *added[0]], [*grids, *added[1]]
        if mask is not None:
            sources, grids = [*sources, mask[1]], [*grids, mask[2]]
        if ever is not None:
            sources, grids = [*sources, ever[0]], [*grids, ever[1]]
        kernel = FillKernel(
            grid=grid,
            variables=every,
            channels=channels,
            method=method,
            weights=None if weights is None else handle(weights),
            noise=Noise(options.seed, grid.ncols),
            members=options.members or 1,
            full=bool(options.full),
            sea=None if mask is None else mask[0],
            ranges=_ranges(channels, weights),
            checked=looked_at,
            label=quantity.label,
            tiling=method.tiling(grid.ncols, (min(grid.slots), max(grid.slots) + 1)),
            prior=shared,
            limits=Limits.of(options.max_gap, options.max_distance, grid),
            samples=None if options.insitu is None else read_samples(options.insitu, (quantity, *given), channels),
            error=None if error is None else error.units,
            call=tokenize(sources, method.name, options.seed),
            ever=ever is not None,
        )
        op: FillKernel | Reduced = kernel
        if statistics is not None:
            op = reduced(kernel, quantity, statistics, len(sources))
        return cls(quantity, given, method, weights, options, kernel, tuple(sources), tuple(grids), statistics, op)

    @property
    def frames_of_halo(self) -> int | None:
        """Frames before the end that a new frame changes; None: all of them."""
        own, prior = self.op.reach[0], self.kernel.prior
        if own is None or prior is None:
            return own
        return None if prior.season else own + reach(self.kernel.grid.step_days)[0]

    def alone(self, *, ever: bool = False) -> Job:
        """Return the job without what reads far more than a block: the shared prior, and what was `ever` observed."""
        count, layout = len(self.sources), self.kernel.layout
        first, last = count - layout.sea - layout.prior, count - layout.sea
        stays = self.kernel.sea is not None or (self.kernel.ever and ever)
        kept = [n for n in range(count) if n < first or (n >= last and stays)]
        kernel = replace(self.kernel, ever=self.kernel.ever and ever, prior=None)
        op = replace(self.op, kernel=kernel) if isinstance(self.op, Reduced) else kernel
        sources, grids = tuple(self.sources[n] for n in kept), tuple(self.grids[n] for n in kept)
        return replace(self, kernel=kernel, op=op, sources=sources, grids=grids)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the method, targets first."""
        return self.kernel.channels

    @property
    def needs_fit(self) -> bool:
        """Whether the method has to be fitted on a sample of the data first."""
        return _is_unfitted(self.method, self.weights)


def _is_unfitted(method: Method, weights: Weights | None) -> TypeGuard[SeriesMethod]:
    """Whether a method has to be fitted on the data first."""
    return isinstance(method, SeriesMethod) and weights is None


def _configured(method: Method, options: FillOptions) -> Method:
    """The method that supports the options, on the device of the session; ValueError when there is none."""
    if options.members is not None:
        method = method.ensemble()
    for name, given in (("insitu", options.insitu), ("error", options.error)):
        if given is not None and not method.takes_errors:
            raise ValueError(
                f"{method.name} ignores observation errors, so {name}= is not supported. Leave it out, or use "
                "background(), kriging(), posterior_mean(), repaint() or vae()"
            )
    placed_method: Method = placed(method)
    return placed_method


def _statistics(options: FillOptions, method: Method) -> tuple[Statistic, ...]:
    """Read ``reduce=`` and check it against the other options."""
    found = read(options.reduce)
    if not method.draws:
        raise ValueError(
            f"reduce= is for ensemble methods, such as repaint(members=8); {method.name} gives one estimate"
        )
    if options.members is None or options.members < 2:
        raise ValueError(f"reduce= needs members of at least 2, found members={options.members}")
    if options.full:
        raise ValueError("full= describes pixels of members; with reduce= ask for 'mean' and 'std', or leave full out")
    return found


def _by_class(method: Method, weights: Any) -> bool:
    """Whether weights of size classes would fill a fraction: those of users, else the shipped ones."""
    if not isinstance(method, NetMethod):
        return False
    return weights is None or load(weights).card.targets == SizeClasses.channels


def _choose(
    method: Method, weights: Any, target: inputs.Quantity, given: Sequence[inputs.Quantity]
) -> tuple[Weights | None, tuple[str, ...]]:
    """Weights, if the method needs any, and the channels it works on: targets, then predictors."""
    targets, whole = target.variable.channels, target.variable.whole
    conditions = tuple(channel for each in given for channel in each.variable.channels)
    if target.variable.needs_whole and whole is not None and whole.channels[0] not in conditions:
        conditions = (*conditions, *whole.channels)  # the sum of the parts
    channels = (*targets, *conditions)
    method.check(channels)
    if weights is not None and not method.takes_weights:
        raise ValueError(f"{method.name} needs no weights, found weights={weights!r}; leave weights= out")
    chosen = method.default_weights(channels) if weights is None else weights
    if chosen is None:
        return None, channels
    fitted = load(chosen)
    if weights is not None:
        _check_weights(method, fitted)
    card = fitted.card
    if card.targets != targets:
        raise ValueError(
            f"the weights {card.name!r} fill {', '.join(card.targets)}, not {', '.join(targets)} ({target.label}); "
            "leave weights= out for the default ones, or use background()"
        )
    if unknown := [channel for channel in conditions if channel not in card.conditions]:
        raise ValueError(
            f"the weights {card.name!r} have no predictor {', '.join(unknown)}; they have "
            f"{', '.join(card.conditions) or 'no predictors'}. Leave it out of cond=, or use background()"
        )
    if card.conditions and not given:
        warn(
            f"{target.label} is filled without cond=; the weights {card.name!r} were trained with "
            f"{', '.join(card.conditions)} and are better with it"
        )
    return fitted, card.channels


def _check_weights(method: Method, weights: Weights) -> None:
    """Raise ValueError when weights of users are of another method or do not fit its network."""
    if isinstance(method, NetMethod):
        check_network(weights, method.model)
    elif isinstance(method, SeriesMethod) and weights.card.method != method.name:
        raise ValueError(
            f"{method.name} needs weights of its own fit, found {weights!r}; leave weights= out to fit it to these data"
        )


def _prior(
    options: FillOptions, method: Method, given: Sequence[inputs.Quantity], channels: tuple[str, ...]
) -> SharedPrior | None:
    """The prior of all windows that the options ask for; None without one."""
    if not (options.prior is None or (isinstance(options.prior, str) and options.prior == "auto")):
        raise ValueError(f"prior must be 'auto' or None, found {options.prior!r}")
    if options.prior is None or not method.takes_prior:
        return None
    grid = given[0].grid
    years = len({int(slot * grid.step_days // grid.year_days) for slot in grid.slots})
    small = math.prod(grid.shape) * len(channels) <= SEASON_CELLS
    seasonal = grid.calendar != "none" and years >= LEAST_YEARS and small
    return SharedPrior.of([each.variable for each in given], channels, seasonal, method.local)


def series_block(frames: int) -> tuple[int, int, int]:
    """Block size of a task that reads whole series, small enough for it to hold them and their halo."""
    side = max(32, math.isqrt(SERIES_CELLS // frames) // 32 * 32)
    slots, rows, cols = OPTIONS["series_block"]
    return slots, min(rows, side), min(cols, side)


def _ranges(channels: Sequence[str], weights: Weights | None) -> tuple[tuple[float, float], ...]:
    known = {} if weights is None else weights.card.ranges
    return tuple((float(low), float(high)) for low, high in (known.get(c, (-np.inf, np.inf)) for c in channels))
