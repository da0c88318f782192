"""``.gapfill`` on DataArray and Dataset; every method delegates to the function of the same name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import xarray as xr

from xgapfill.api.calibrate import calibrate
from xgapfill.api.describe import Description, describe, describe_dataset
from xgapfill.api.drivers import drivers
from xgapfill.api.fit import fit
from xgapfill.api.gaps import gaps
from xgapfill.api.plan import plan
from xgapfill.api.recommend import recommend
from xgapfill.api.report import report
from xgapfill.api.season import season
from xgapfill.api.sensors import sensors
from xgapfill.api.signatures import bound, dressed, positional
from xgapfill.api.validate import validate
from xgapfill.api.verbs import VERBS, fill
from xgapfill.api.write import write
from xgapfill.inputs.dates import step_beside
from xgapfill.inputs.sea import find_mask
from xgapfill.outputs.encoding import with_related

SELF = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)


def _brief(function: Callable[..., Any], first: str) -> str:
    """Summary of a docstring, with a reference to the full text."""
    summary = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return f"{summary}\n\nAs `xgapfill.{function.__name__}`{first}."


def _on_object(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function of an xarray object into a method of its accessor."""
    signature = inspect.signature(function)

    def method(self: Any, *given: Any, **keywords: Any) -> Any:
        return function(self._obj, *given, **keywords)

    _, *rest = signature.parameters.values()
    return dressed(method, function.__name__, signature.replace(parameters=[SELF, *rest]), _brief(function, ""))


def _by_name(function: Callable[..., Any], *, fills: bool = False) -> Callable[..., Any]:
    """Turn a function of a target and its predictors into a method of the Dataset accessor, which takes their names."""
    _, *rest = inspect.signature(function).parameters.values()
    signature = inspect.signature(function).replace(parameters=[positional("name"), *rest])

    def method(self: DatasetGapfill, *given: Any, **keywords: Any) -> Any:
        call = bound(signature, function.__name__, given, keywords)
        target = _picked(self._obj, call.pop("name"))
        call |= {word: _picked(self._obj, call[word]) for word in ("cond", "error", "also", "other") if word in call}
        if "sea" in signature.parameters:
            call["sea"] = _sea(self._obj, target, call.get("sea"))
        if call.get("time_step") is None:
            call["time_step"] = step_beside(self._obj, target)
        result = function(target, **call.pop("parameters", {}), **call)
        return _completed(self._obj, result, target) if fills else result

    words = ", with names of variables instead of DataArrays"
    shown = signature.replace(parameters=[SELF, *signature.parameters.values()])
    return dressed(method, function.__name__, shown, _brief(function, words))


@xr.register_dataarray_accessor("gapfill")
class DataArrayGapfill:
    """Gap filling of a DataArray; its repr shows how the data are interpreted."""

    def __init__(self, da: xr.DataArray) -> None:
        self._obj = da

    calibrate = _on_object(calibrate)
    drivers = _on_object(drivers)
    fill = _on_object(fill)
    fit = _on_object(fit)
    gaps = _on_object(gaps)
    plan = _on_object(plan)
    recommend = _on_object(recommend)
    report = _on_object(report)
    sensors = _on_object(sensors)
    season = _on_object(season)
    validate = _on_object(validate)
    write = _on_object(write)

    def describe(self) -> Description:
        """Describe how the data are interpreted: variable, units, times, grid, sea mask, default weights."""
        return describe(self._obj)

    def __repr__(self) -> str:
        return repr(self.describe())

    def _repr_html_(self) -> str:
        return self.describe()._repr_html_()


@xr.register_dataset_accessor("gapfill")
class DatasetGapfill:
    """Gap filling of variables of a Dataset, by name; uses a sea or land mask in the Dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._obj = ds

    calibrate = _by_name(calibrate)
    drivers = _by_name(drivers)
    fill = _by_name(fill, fills=True)
    fit = _by_name(fit)
    gaps = _by_name(gaps)
    plan = _by_name(plan)
    recommend = _by_name(recommend)
    report = _by_name(report)
    sensors = _by_name(sensors)
    season = _by_name(season)
    validate = _by_name(validate)
    write = _on_object(write)

    def describe(self) -> Description:
        """Describe how each variable is interpreted, or why it cannot be filled."""
        return describe_dataset(self._obj)

    def __repr__(self) -> str:
        return repr(self.describe())

    def _repr_html_(self) -> str:
        return self.describe()._repr_html_()


for _name, _verb in VERBS.items():
    setattr(DataArrayGapfill, _name, _on_object(_verb))
    setattr(DatasetGapfill, _name, _by_name(_verb, fills=True))


def _completed(ds: xr.Dataset, result: xr.DataArray | xr.Dataset, target: Any) -> xr.Dataset:
    """Return the result as a Dataset with the attributes and the history of `ds`, its bounds and grid mapping."""
    made: Mapping[Any, Any] = result.attrs
    if isinstance(result, xr.DataArray):
        made = {key: made[key] for key in made if key == "history" or str(key).startswith("xgapfill_")}
        result = result.to_dataset(name=result.name)
    history = [text for text in (made["history"].split("\n")[0], ds.attrs.get("history")) if text]
    result = with_related(result, ds, target if isinstance(target, list) else [target])
    return result.assign_attrs({"Conventions": "CF-1.11", **ds.attrs, **made, "history": "\n".join(history)})


def _picked(ds: xr.Dataset, name: Any) -> Any:
    """Return the variable or variables of the given names; DataArrays and None are returned unchanged."""
    if isinstance(name, (list, tuple)):
        return [_picked(ds, each) for each in name]
    if name is None or isinstance(name, xr.DataArray):
        return name
    if name not in ds:
        raise ValueError(f"the Dataset has no variable {name!r}; it has {', '.join(map(str, ds.data_vars)) or 'none'}")
    return ds[name]


def _sea(ds: xr.Dataset, target: Any, sea: Any) -> Any:
    """Return the mask given by name or as an object, else one found in the Dataset."""
    if isinstance(sea, str):
        return _picked(ds, sea)
    return find_mask(ds, target[0] if isinstance(target, list) else target) if sea is None else sea
