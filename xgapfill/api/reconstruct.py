"""Fills a field with withheld observations by several methods; shared by `validate`, `calibrate` and `recommend`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs.conditions import conditions
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.probe import Look
from xgapfill.lattice.grid import Box
from xgapfill.methods import Method, find
from xgapfill.methods.base import SeriesMethod
from xgapfill.pipeline import fill, fit_series, lay_out
from xgapfill.validation.baselines.tuned import BASELINES, Baseline, held_out_like_gaps, on_conditions
from xgapfill.validation.case import Withheld, cube
from xgapfill.validation.scores import degree_of_smoothing
from xgapfill.validation.table import Reconstruction
from xgapfill.variables import Given
from xgapfill.weights import Weights


class _Unpasted(Look):
    """A kernel that does not insert observations into the result."""

    def given(self, fitted: Weights) -> _Unpasted:
        """Return the kernel with weights fitted to the series."""
        return _Unpasted(self.kernel.given(fitted))

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        given = self.kernel.layout.named(arrays)
        known = self.kernel.encode(given, box)
        blend = self.kernel.blend(known, box, core, self.kernel.donors_on(given, box))
        inside = known.within(core.within(box))
        nothing = inside._replace(present=np.zeros_like(inside.present))
        return self.kernel.decode(nothing, self.kernel.raw(given, box, core), blend)


def unpasted(target: xr.DataArray, method: Method, cond: Any, options: FillOptions) -> NDArray:
    """Fill without inserting observations; one member for ensemble methods. This computes.

    Returns
    -------
    (p, t, y, x) float
        Physical values, NaN where no window was filled (windows without gaps are skipped). Parts are in the order of
        the variable, the other axes in that of the target.
    """
    job = Job.of(target, method, cond, options)
    stack = lay_out(job, _Unpasted(job.kernel), layers=job.kernel.layers, dtype=np.float32)
    return np.asarray(stack.compute())


Methods = Sequence[str | Method] | Mapping[str, str | Method | Baseline]
# These use only the pixel itself; the others fill the residual of a regression on the predictors.
WITHOUT_CONDITIONS = ("pixel_mean", "time_interpolation")


def withhold(da: xr.DataArray, truth: Any, masks: Any, cond: Any, options: FillOptions) -> Withheld:
    """The case to score: pixels are withheld, and samples of them are not used."""
    how = options.size_class, options.time_step, options.transform
    withheld = Withheld.of(da, truth, masks, options.seed, *how)
    return withheld if options.insitu is None else withheld.without(options.insitu, cond)


def reconstruct(
    withheld: Withheld, methods: Methods, cond: Any, members: int, options: FillOptions, smoothing: bool
) -> dict[str, Reconstruction]:
    """What each method makes of the withheld pixels, by label."""
    named = by_label(methods)
    _check_observations(named, options)
    found = {}
    for label, each in named.items():
        start = time.perf_counter()
        whole = BASELINES.get(each) if isinstance(each, str) else each if callable(each) else None
        if whole is None:
            method = _method(cast(Method, each))
            own = own_options(withheld, method, cond, options)
            one = replace(fill_withheld(withheld, method, cond, members, own), seconds=time.perf_counter() - start)
            if smoothing:
                plain = unpasted(_named(withheld.shown), method, cond, replace(own, members=None))[:, withheld.observed]
                one = replace(one, smoothing=_smoothing(withheld, withheld.quantity.variable.score(plain)))
        else:
            one = _fill_whole(withheld, whole, None if each in WITHOUT_CONDITIONS else cond)
            one = replace(one, seconds=time.perf_counter() - start)
        found[label] = one
    return found


def by_label(methods: Methods) -> Mapping[str, Any]:
    """Methods by their label; ValueError when two have the same."""
    named = methods if isinstance(methods, Mapping) else {_label(each): each for each in methods}
    if len(named) < len(methods):
        raise ValueError("two methods have the same name; pass a mapping of label to method")
    return named


def own_options(withheld: Withheld, method: Method, cond: Any, options: FillOptions) -> FillOptions:
    """Options that a method takes: weights for networks, fitted weights for series methods."""
    if not method.takes_errors:
        options = replace(options, insitu=None, error=None)
    if isinstance(method, SeriesMethod):
        unfitted = replace(options, weights=None)
        return replace(options, weights=fit_series(Job.of(_named(withheld.shown), method, cond, unfitted)))
    return options if method.takes_weights else replace(options, weights=None)


def _check_observations(named: Mapping[str, Any], options: FillOptions) -> None:
    """ValueError for samples or errors that no method takes."""
    given = [f"{name}=" for name in ("insitu", "error") if getattr(options, name) is not None]
    methods = [
        _method(each)
        for each in named.values()
        if not (callable(each) or (isinstance(each, str) and each in BASELINES))
    ]
    if given and not any(method.takes_errors for method in methods):
        raise ValueError(f"none of {', '.join(named)} takes {' or '.join(given)}; leave it out or add 'background'")


def _smoothing(withheld: Withheld, plain: NDArray) -> float:
    """Degree of smoothing, given (p, n) estimates of the observed pixels."""
    return degree_of_smoothing(plain, withheld.truth[:, withheld.observed])


def fill_withheld(withheld: Withheld, method: Method, cond: Any, members: int, options: FillOptions) -> Reconstruction:
    """Fill with a method of the package, through the public pipeline.

    Members are drawn if the method draws them itself, or if the options ask for them. Those that are made of an
    estimate come in pairs of opposite sign, so only one of each pair is kept: these are exchangeable with the truth.
    """
    variable, target = withheld.quantity.variable, _named(withheld.shown)
    if method.draws or options.members is not None:
        paired = method.refines or not (method.draws or method.ensemble().draws)
        drawn = cast(xr.DataArray, fill(target, method, cond, replace(options, members=members))).load()  # all at once
        each = [drawn.isel(realization=member) for member in range(members)]
        filled = np.stack([variable.score(cube(one, withheld.quantity))[:, withheld.hidden] for one in each])
        alike = filled[::2] if paired and members > 3 else filled
        return Reconstruction(filled.mean(axis=0), None, alike if members > 1 else None, filled=each[0])
    result = cast(xr.Dataset, fill(target, method, cond, replace(options, full=True)))
    spread_name = f"{target.name}_spread_log10" if variable.logarithmic else f"{target.name}_spread"
    result = result[[target.name, spread_name]].load()
    mean, spread = (cube(each, withheld.quantity)[:, withheld.hidden] for each in result.data_vars.values())
    return Reconstruction(variable.score(mean), spread, filled=result[target.name])


def _fill_whole(withheld: Withheld, baseline: Baseline, cond: Any) -> Reconstruction:
    """Fill whole fields with a baseline, channel by channel."""
    variable = withheld.quantity.variable
    if variable.needs_whole:
        raise ValueError("whole-field baselines expect fractions, found concentrations; divide by chlorophyll first")
    encoded = variable.encode(cube(withheld.shown, withheld.quantity))
    blocks = held_out_like_gaps(np.all(encoded.observed, axis=0, keepdims=True)[0])
    if cond is not None:
        baseline = on_conditions(baseline, _conditions(withheld, cond))
    filled = [
        baseline(np.where(observed, values, np.float32(np.nan)), withheld.hidden, blocks)
        for values, observed in zip(encoded.values, encoded.observed, strict=True)
    ]

    def decoded(places: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
        mean = np.stack([each.values[places] for each in filled])
        spread = np.stack([each.spread[places] for each in filled])
        if variable.logarithmic:
            return mean, spread
        unknown = np.full((variable.parts, mean.shape[1]), np.nan, np.float32)
        return variable.decode_mean(mean, spread, Given(unknown))

    return Reconstruction(*decoded(withheld.hidden), smoothing=_smoothing(withheld, decoded(withheld.observed)[0]))


def _conditions(withheld: Withheld, cond: Any) -> list[NDArray[np.float32]]:
    """Channels of the predictors at the addresses of the target, NaN where missing."""
    channels = []
    for given in conditions(cond, withheld.quantity):
        encoded = given.variable.encode(cube(given.arrays[0].compute(), given))
        slots = withheld.quantity.grid.slots
        places = np.ix_(
            np.zeros(len(slots), int) if given.grid.calendar == "none" else given.grid.index_slots(slots),
            given.grid.index_rows(withheld.quantity.grid.rows),
            given.grid.index_cols(withheld.quantity.grid.cols),
        )
        for values, observed in zip(encoded.values, encoded.observed, strict=True):
            channels.append(np.where(observed, values, np.float32(np.nan))[places])
    return channels


def _method(given: str | Method) -> Method:
    try:
        return find(given)
    except ValueError as error:
        raise ValueError(f"{error}, and the whole-field baselines {', '.join(BASELINES)}") from None


def _label(given: str | Method) -> str:
    return given if isinstance(given, str) else given.name


def _named(target: xr.DataArray) -> xr.DataArray:
    return target.rename("target" if target.name is None else str(target.name))
