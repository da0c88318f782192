"""``.gapfill`` on DataArray and Dataset: words, no arithmetic; every method delegates to the function of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import xarray as xr

from xgapfill.api import classical
from xgapfill.api import fit as tuning
from xgapfill.api import gaps as describing
from xgapfill.api import generative as api
from xgapfill.api import plan as planning
from xgapfill.inputs.sea import find_mask
from xgapfill.weights import Weights

P = ParamSpec("P")
R = TypeVar("R")


def _on_array(function: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[DataArrayGapfill, P], R]:
    """Make a function of a DataArray a method of its accessor."""

    @wraps(function)
    def method(self: DataArrayGapfill, *arguments: P.args, **options: P.kwargs) -> R:
        return function(self._da, *arguments, **options)

    return method


def _by_name(function: Callable[..., Any]) -> Callable[..., xr.Dataset]:
    """Make a function of a target and its conditions a method of the Dataset accessor, which takes their names."""

    @wraps(function)
    def method(self: DatasetGapfill, name: Any, cond: Any = None, **options: Any) -> xr.Dataset:
        return _filled(function, self._ds, name, cond, options)

    return method


@xr.register_dataarray_accessor("gapfill")
class DataArrayGapfill:
    """Gap filling of a DataArray; called with a method, by name or as an object, it fills with that."""

    def __init__(self, da: xr.DataArray) -> None:
        self._da = da

    __call__ = _on_array(api.fill_with)
    repaint = _on_array(api.repaint)
    posterior_mean = _on_array(api.posterior_mean)
    vae = _on_array(api.vae)
    background = _on_array(api.background)
    climatology = _on_array(classical.climatology)
    interpolate = _on_array(classical.interpolate)
    dctpls = _on_array(classical.dctpls)
    kriging = _on_array(classical.kriging)
    dineof = _on_array(classical.dineof)
    regression = _on_array(classical.regression)
    som = _on_array(classical.som)
    fit = _on_array(tuning.fit)
    gaps = _on_array(describing.gaps)
    plan = _on_array(planning.plan)

    def validate(self, methods: Any = ("background", "posterior_mean", "repaint"), **options: Any) -> xr.Dataset:
        """Score methods on pixels that were observed and are hidden from them; see `xgapfill.validate`."""
        from xgapfill.api.validate import validate

        return validate(self._da, methods, **options)


@xr.register_dataset_accessor("gapfill")
class DatasetGapfill:
    """Gap filling of variables of a Dataset, by name; a mask of sea or land in the Dataset is used."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    repaint = _by_name(api.repaint)
    posterior_mean = _by_name(api.posterior_mean)
    vae = _by_name(api.vae)
    background = _by_name(api.background)
    climatology = _by_name(classical.climatology)
    interpolate = _by_name(classical.interpolate)
    dctpls = _by_name(classical.dctpls)
    kriging = _by_name(classical.kriging)
    dineof = _by_name(classical.dineof)
    regression = _by_name(classical.regression)
    som = _by_name(classical.som)

    def __call__(self, name: Any, method: Any, cond: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.fill_with`."""
        return _filled(partial(api.fill_with, method=method), self._ds, name, cond, options)

    def fit(self, name: Any, method: Any, cond: Any = None, **options: Any) -> Weights:
        """See `xgapfill.fit`."""
        target = _picked(self._ds, name)
        options["sea"] = _sea(self._ds, target, options.get("sea"))
        return tuning.fit(target, method, _picked(self._ds, cond), **options)

    @wraps(planning.plan)
    def plan(self, name: Any, method: Any = "repaint", cond: Any = None, **options: Any) -> planning.Plan:
        """See `xgapfill.plan`."""
        target = _picked(self._ds, name)
        options["sea"] = _sea(self._ds, target, options.get("sea"))
        return planning.plan(target, method, _picked(self._ds, cond), **_with_error(self._ds, options))

    @wraps(describing.gaps)
    def gaps(self, name: Any, sea: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.gaps`."""
        target = _picked(self._ds, name)
        return describing.gaps(target, _sea(self._ds, target, sea), **options)

    def validate(
        self, name: str, methods: Any = ("background", "posterior_mean", "repaint"), cond: Any = None, **options: Any
    ) -> xr.Dataset:
        """Score methods on pixels that were observed and are hidden from them; see `xgapfill.validate`."""
        target = _picked(self._ds, name)
        options["sea"] = _sea(self._ds, target, options.get("sea"))
        return target.gapfill.validate(methods, cond=_picked(self._ds, cond), **_with_error(self._ds, options))


def _filled(
    function: Callable[..., Any], ds: xr.Dataset, name: Any, cond: Any, options: Mapping[str, Any]
) -> xr.Dataset:
    """Call a function with variables instead of names; a Dataset of what it fills, with the attributes of `ds`."""
    target = _picked(ds, name)
    sea = _sea(ds, target, options.get("sea"))
    result = function(target, cond=_picked(ds, cond), **{**_with_error(ds, options), "sea": sea})
    made = result.attrs
    if isinstance(result, xr.DataArray):
        result = result.to_dataset(name=name)
        made = {key: made[key] for key in made if key == "history" or str(key).startswith("xgapfill_")}
    history = [text for text in (made["history"].split("\n")[0], ds.attrs.get("history")) if text]
    return result.assign_attrs({"Conventions": "CF-1.11", **ds.attrs, **made, "history": "\n".join(history)})


def _picked(ds: xr.Dataset, name: Any) -> Any:
    """The variable of this name, or those of these names; what is no name stays as it is."""
    if isinstance(name, (list, tuple)):
        return [_picked(ds, each) for each in name]
    if name is None or isinstance(name, xr.DataArray):
        return name
    if name not in ds:
        raise ValueError(f"the Dataset has no variable {name!r}; it has {', '.join(map(str, ds.data_vars)) or 'none'}")
    return ds[name]


def _with_error(ds: xr.Dataset, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the error of what is filled as variables instead of names."""
    return {**options, "error": _picked(ds, options["error"])} if "error" in options else dict(options)


def _sea(ds: xr.Dataset, target: Any, sea: Any) -> Any:
    """The mask that was asked for, by name or as it is, else one found in the Dataset."""
    if isinstance(sea, str):
        return _picked(ds, sea)
    return find_mask(ds, target[0] if isinstance(target, list) else target) if sea is None else sea
