"""A call, read and checked once: fill, plan, validate and fit share the same `Job`, so they cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import dask.array as da
from dask.base import tokenize

from xgapfill.blocks.source import Source
from xgapfill.blocks.streams import Constant
from xgapfill.inputs import read as inputs
from xgapfill.inputs.also import read_also
from xgapfill.inputs.conditions import conditions
from xgapfill.inputs.errors import read_error
from xgapfill.inputs.insitu import read_samples
from xgapfill.inputs.sea import read_sea
from xgapfill.inputs.settle import settled
from xgapfill.inputs.values import check_values
from xgapfill.kernel.beyond import lay_out_prior, prior_of
from xgapfill.kernel.choice import by_class, check_taken, choose, divided, interval_of, ranges
from xgapfill.kernel.donors import Donors, Laid, of_prior
from xgapfill.kernel.drivers import Drivers, lay_out_drivers, layers_of
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.ever import ever_observed
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.limits import Limits
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.pairs import lay_out_sensors, sensors_of
from xgapfill.kernel.reader import Reader
from xgapfill.kernel.reduce import Reduced, reduced
from xgapfill.kernel.statistics import Statistic, read
from xgapfill.kernel.support import Support
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.noise import Noise
from xgapfill.methods.base import Method, SeriesMethod
from xgapfill.nets.device import placed
from xgapfill.options import OPTIONS
from xgapfill.prior import large, sensors
from xgapfill.prior.drivers import REACH as DRIVER_REACH
from xgapfill.weights import Weights, handle

_NOTHING: Laid = (), ()


@dataclass(frozen=True)
class Job:
    """Target, predictors, method and options of a call; nothing has been computed.

    Attributes
    ----------
    target : Quantity
    predictors : tuple of Quantity
        All variables of ``cond=``.
    drivers : tuple of Quantity
        Those of them that the method does not use itself.
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
    drivers: tuple[inputs.Quantity, ...]
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
        quantity, given, others = _read(target, cond, method, options)
        statistics = None if options.reduce is None else _statistics(options)
        predictors, driven = divided(method, quantity, given)
        looked_at = tuple(check_values(each) for each in (quantity, *predictors, *driven))
        weights, channels = choose(method, options.weights, quantity, predictors)
        slots = min(quantity.grid.slots), max(quantity.grid.slots) + 1
        if _is_unfitted(method, weights):
            method.check_times(slots[1] - slots[0])
        error = None if options.error is None else read_error(options.error, quantity)
        mask = read_sea(options.sea, quantity)
        variables = (quantity, *predictors)
        own, every = _arrays_of(variables), tuple(each.variable for each in variables)
        ever = None if mask is not None else ever_observed(every, *own)
        grid, encoder = quantity.grid, Encoder.plain(quantity.grid, every, channels)
        drivers = Drivers.of(driven, quantity.variable)
        shared, saved = prior_of(options.prior, method, (quantity, *predictors), channels, drivers)
        also = sensors_of(others, quantity)
        reader = Reader(encoder, shared, drivers, also)
        beside = _laid_out(reader, own, _arrays_of(driven), _arrays_of(others), saved)
        donors = _donors(method, options, grid)
        lent = _NOTHING if donors is None else donors.laid_out(own, *of_prior(shared, beside))
        draws = method.draws or donors is not None
        errors = ((), ()) if error is None else (error.sources, error.grids)
        last = (ever or ()) if mask is None else mask[1:]
        sources = [*own[0], *errors[0], *beside[0], *lent[0], *last[:1]]
        grids = [*own[1], *errors[1], *beside[1], *lent[1], *last[1:]]
        kernel = FillKernel(
            grid=grid,
            variables=every,
            channels=channels,
            method=method,
            weights=None if weights is None else handle(weights),
            noise=Noise(options.seed, grid.ncols, paired=donors is not None),
            members=options.members or 1,
            full=bool(options.full),
            interval=interval_of(options.interval, options.calibration, method, draws, weights, channels, grid),
            sea=None if mask is None else mask[0],
            ranges=ranges(channels, weights),
            checked=looked_at,
            label=quantity.label,
            tiling=method.tiling(grid.ncols, slots),
            drivers=drivers,
            also=also,
            prior=shared,
            donors=donors,
            limits=Limits.of(options.max_gap, options.max_distance, grid),
            support=Support.of(options.min_support, options.full, quantity.variable, shared),
            samples=None if options.insitu is None else read_samples(options.insitu, (quantity, *given), channels),
            error=None if error is None else error.units,
            call=tokenize(sources, method.name, options.seed),
            ever=ever is not None,
        )
        check_taken(method, weights, kernel.taken)
        op = kernel if statistics is None else reduced(kernel, quantity, statistics, len(sources))
        read_in = tuple(sources), tuple(grids)
        return cls(quantity, given, tuple(driven), method, weights, options, kernel, *read_in, statistics, op)

    @property
    def frames_of_halo(self) -> int | None:
        """Frames before the end that a new frame changes; None: all of them."""
        own, prior = self.op.reach[0], self.kernel.prior
        if own is None or self.kernel.donors is not None or (prior is not None and prior.season and not prior.saved):
            return None
        more, days = 0 if self.kernel.drivers is None else DRIVER_REACH[0], self.kernel.grid.step_days
        more += 0 if self.kernel.also is None else sensors.reach(days)[0]
        return own + more + (0 if prior is None else large.reach(days)[0])

    def alone(self, *, ever: bool = False) -> tuple[Job, list[da.Array]]:
        """Return the job without what reads far more than a block, and the arrays that its blocks would share.

        What was `ever` observed is left out; constants stand for the shared arrays of drivers, of other sensors and of
        the prior, and each date for its donors. The shared arrays depend on the variables alone.
        """
        kernel, layout = self.kernel, self.kernel.layout
        variables, first = layout.place("variables"), layout.place("prior").start
        own = self.sources[variables], self.grids[variables]
        stays = self.kernel.sea is not None or (self.kernel.ever and ever)
        shared: list[da.Array] = []

        def passed(array: da.Array) -> list[Source]:
            shared.append(array)
            return [Constant(array.shape[1:], array.dtype, 0.5)] * array.shape[0]

        of_saved = 0 if kernel.prior is None or not kernel.prior.saved else kernel.prior.seasonal
        saved = list(zip(self.sources, self.grids, strict=True))[first : first + of_saved]
        encoder = Encoder.plain(kernel.grid, kernel.variables, kernel.channels)
        reader = Reader(encoder, kernel.prior, kernel.drivers, kernel.also)
        beside = _laid_out(reader, own, self._of_drivers, self._of_sensors, saved, passed)
        lent = _NOTHING
        if kernel.donors is not None:
            lent = kernel.donors.laid_out(own, *of_prior(kernel.prior, beside), shifted=False)
        before, mask = slice(layout.place("drivers").start), layout.place("sea") if stays else slice(0)
        sources = (*self.sources[before], *beside[0], *lent[0], *self.sources[mask])
        grids = (*self.grids[before], *beside[1], *lent[1], *self.grids[mask])
        kernel = replace(kernel, ever=kernel.ever and ever)
        op = replace(self.op, kernel=kernel) if isinstance(self.op, Reduced) else kernel
        return replace(self, kernel=kernel, op=op, sources=sources, grids=grids), shared

    @property
    def arrays_of_drivers(self) -> Laid:
        """Sources and addresses of the variables of the kernel, then of the drivers."""
        return self._with_variables(self._of_drivers)

    @property
    def arrays_of_sensors(self) -> Laid:
        """Sources and addresses of the variables of the kernel, then of other sensors."""
        return self._with_variables(self._of_sensors)

    @property
    def _of_drivers(self) -> Laid:
        """Sources and addresses of the drivers, without those of their relation to the target."""
        drivers = self.kernel.drivers
        return self._first_of("drivers", 0 if drivers is None else drivers.raw)

    @property
    def _of_sensors(self) -> Laid:
        """Sources and addresses of other sensors, without those of their comparison with the target."""
        also = self.kernel.also
        return self._first_of("also", 0 if also is None else also.parts)

    def _first_of(self, kind: str, count: int) -> Laid:
        first = self.kernel.layout.place(kind).start
        return self.sources[first : first + count], self.grids[first : first + count]

    def _with_variables(self, others: Laid) -> Laid:
        """Arrays of the variables, and some of the others."""
        own = self.kernel.layout.place("variables")
        return [*self.sources[own], *others[0]], [*self.grids[own], *others[1]]

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


def _donors(method: Method, options: FillOptions, grid: Grid) -> Donors | None:
    """Other dates that members are made of; None without members, or when the method draws them itself."""
    if method.refines or (options.members is not None and not method.draws):
        return Donors.of(grid, options.members or 1, options.seed)
    return None


def _statistics(options: FillOptions) -> tuple[Statistic, ...]:
    """Read ``reduce=`` and check it against the other options."""
    found = read(options.reduce)
    if options.members is None or options.members < 2:
        raise ValueError(f"reduce= needs members of at least 2, found members={options.members}")
    if options.full:
        raise ValueError("full= describes pixels of members; with reduce= ask for 'mean' and 'std', or leave full out")
    return found


def _read(
    target: Any, cond: Any, method: Method, options: FillOptions
) -> tuple[inputs.Quantity, tuple[inputs.Quantity, ...], tuple[inputs.Quantity, ...]]:
    """The target as what it is filled as, all variables of ``cond=``, and maps of other sensors, checked."""
    quantity = inputs.read(target, options.size_class, None, options.time_step, options.transform)
    given = conditions(cond, quantity)
    quantity = settled(quantity, given, by_class(method, options.weights), options.prior)
    others = read_also(options.also, quantity, options.size_class, options.transform)
    for each in others:
        check_values(each)
    return quantity, given, others


def _arrays_of(variables: Sequence[inputs.Quantity]) -> tuple[list[Source], list[Grid]]:
    """Source and addresses of each array of some variables."""
    return [source for each in variables for source in each.sources], [
        grid for each in variables for grid in each.source_grids()
    ]


def _laid_out(
    reader: Reader,
    own: Laid,
    of_drivers: Laid,
    of_sensors: Laid,
    saved: Sequence[tuple[Source, Grid]],
    passed: Callable[[da.Array], list[Source]] = layers_of,
) -> Laid:
    """The arrays of drivers, of other sensors and of the prior, and their grids, given those of the variables."""
    sources, grids = list(own[0]), list(own[1])

    def add(laid: Laid) -> None:
        sources.extend(laid[0])
        grids.extend(laid[1])

    if reader.drivers is not None:
        add(of_drivers)
        add(lay_out_drivers(reader.encoder, reader.drivers, sources, grids, passed))
    if reader.sensors is not None:
        add(of_sensors)
        both = [*own[0], *of_sensors[0]], [*own[1], *of_sensors[1]]
        add(lay_out_sensors(reader.encoder, reader.sensors, *both, passed))
    if reader.prior is not None:
        add(lay_out_prior(reader, sources, grids, saved, OPTIONS["series_block"][1], passed))
    count = len(own[0])
    return sources[count:], grids[count:]
