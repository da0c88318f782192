"""``.gapfill`` on DataArray and Dataset: words, no arithmetic; every method delegates to the function of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import xarray as xr

from xgapfill import api
from xgapfill.inputs import find_mask

P = ParamSpec("P")
R = TypeVar("R")


def _like(
    function: Callable[Concatenate[Any, P], R],
) -> Callable[[Callable[..., Any]], Callable[Concatenate[Any, P], R]]:
    """Carry signature and docstring of a function over to the accessor method that calls it."""

    def carry(method: Callable[..., Any]) -> Callable[Concatenate[Any, P], R]:
        return wraps(function)(method)

    return carry


@xr.register_dataarray_accessor("gapfill")
class DataArrayGapfill:
    """Gap filling of a DataArray."""

    def __init__(self, da: xr.DataArray) -> None:
        self._da = da

    @_like(api.repaint)
    def repaint(self, cond: Any = None, **options: Any) -> xr.DataArray | xr.Dataset:
        """See `xgapfill.repaint`."""
        return api.repaint(self._da, cond, **options)

    @_like(api.posterior_mean)
    def posterior_mean(self, cond: Any = None, **options: Any) -> xr.DataArray | xr.Dataset:
        """See `xgapfill.posterior_mean`."""
        return api.posterior_mean(self._da, cond, **options)

    @_like(api.background)
    def background(self, cond: Any = None, **options: Any) -> xr.DataArray | xr.Dataset:
        """See `xgapfill.background`."""
        return api.background(self._da, cond, **options)

    @_like(api.gaps)
    def gaps(self, sea: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.gaps`."""
        return api.gaps(self._da, sea, **options)

    def validate(self, methods: Any = ("background", "posterior_mean", "repaint"), **options: Any) -> xr.Dataset:
        """Score methods on pixels that were seen and are hidden from them; see `xgapfill.validation.validate`."""
        from xgapfill.validation.validate import validate

        return validate(self._da, methods, **options)


@xr.register_dataset_accessor("gapfill")
class DatasetGapfill:
    """Gap filling of variables of a Dataset, by name; a mask of sea or land in the Dataset is used."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @_like(api.repaint)
    def repaint(self, name: Any, cond: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.repaint`."""
        return _by_name(api.repaint, self._ds, name, cond, options)

    @_like(api.posterior_mean)
    def posterior_mean(self, name: Any, cond: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.posterior_mean`."""
        return _by_name(api.posterior_mean, self._ds, name, cond, options)

    @_like(api.background)
    def background(self, name: Any, cond: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.background`."""
        return _by_name(api.background, self._ds, name, cond, options)

    @_like(api.gaps)
    def gaps(self, name: Any, sea: Any = None, **options: Any) -> xr.Dataset:
        """See `xgapfill.gaps`."""
        target = _picked(self._ds, name)
        return api.gaps(target, _sea(self._ds, target, sea), **options)

    def validate(
        self, name: str, methods: Any = ("background", "posterior_mean", "repaint"), cond: Any = None, **options: Any
    ) -> xr.Dataset:
        """Score methods on pixels that were seen and are hidden from them; see `xgapfill.validation.validate`."""
        target = _picked(self._ds, name)
        options["sea"] = _sea(self._ds, target, options.get("sea"))
        return target.gapfill.validate(methods, cond=_picked(self._ds, cond), **options)


def _by_name(
    function: Callable[..., Any], ds: xr.Dataset, name: Any, cond: Any, options: Mapping[str, Any]
) -> xr.Dataset:
    """Call a function with variables instead of names; a Dataset of what it fills, with the attributes of `ds`."""
    target = _picked(ds, name)
    sea = _sea(ds, target, options.get("sea"))
    result = function(target, _picked(ds, cond), **{**options, "sea": sea})
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


def _sea(ds: xr.Dataset, target: Any, sea: Any) -> Any:
    """The mask that was asked for, by name or as it is, else one found in the Dataset."""
    if isinstance(sea, str):
        return _picked(ds, sea)
    return find_mask(ds, target[0] if isinstance(target, list) else target) if sea is None else sea
