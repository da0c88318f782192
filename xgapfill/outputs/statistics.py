"""Turns layers of statistics into variables with names, dimensions, coordinates and attributes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs.read import Quantity
from xgapfill.kernel.reduce import Field, Reduced
from xgapfill.kernel.statistics import Statistic, name_of
from xgapfill.outputs.attributes import Provenance, data_attrs, wrap
from xgapfill.outputs.encoding import kept_encoding
from xgapfill.outputs.label import name_of_array


def label_statistics(stack: dsa.Array, target: Quantity, op: Reduced, made: Provenance) -> dict[str, xr.DataArray]:
    """Split the layers of statistics into variables with names, dimensions, coordinates and attributes."""
    variables: dict[str, xr.DataArray] = {}
    sizes, start = iter(op.sizes), 0
    plain = len(op.fields) == len(target.arrays) and len(op.fields[0].statistics) == 1 and not op.series
    for field in op.fields:
        array = target.arrays[field.array]
        base = name_of_array(array, target)
        if field.function is not None:
            base = f"{base}_{name_of(field.function.function)}"
        for statistic in field.statistics:
            stop = start + next(sizes)
            data = _picked(stack, target, op, field, statistic, (start, stop))
            name = base if plain else _unused(f"{base}_{statistic.kind}", variables)
            variables[name] = _described(data, statistic, field, op, target, made)
            if not plain:
                variables[name] = variables[name].rename(name)
            start = stop
    return variables


def _unused(name: str, taken: dict[str, Any]) -> str:
    return next(
        each for number in range(1, 10**6) if (each := name if number == 1 else f"{name}_{number}") not in taken
    )


def _picked(
    stack: dsa.Array, target: Quantity, op: Reduced, field: Field, statistic: Statistic, places: tuple[int, int]
) -> tuple[tuple[Hashable, ...], dsa.Array]:
    """Dimensions and values of a statistic."""
    array, axes = target.arrays[field.array], target.axes[field.array]
    extra: dict[Hashable, int] = {} if not statistic.quantiles or statistic.scalar else {"quantile": statistic.layers}
    dims = [*extra, *(array.dims if field.function is None else field.function.example.dims)]
    if field.function is not None:
        extra |= field.function.extra
        dtype = field.function.example.dtype
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
    else:
        extra |= {} if target.class_dim is None else {target.class_dim: len(field.parts)}
        if op.series and axes.time is not None:
            extra[axes.time] = array.sizes[axes.time]
        dtype = array.dtype.newbyteorder("=")
    maps = [axes.lat, axes.lon] if op.series or axes.time is None else [axes.time, axes.lat, axes.lon]
    held = [*extra, *maps]
    letters = {dim: chr(ord("A") + number) for number, dim in enumerate(extra)}
    letters |= dict(zip(maps, "yx" if len(maps) == 2 else "tyx", strict=True))
    order = tuple(held.index(dim) for dim in dims)
    pick = _Pick(places, op.series, tuple(extra.values()), len(maps), order, dtype)
    out = "".join(letters[dim] for dim in dims)
    data = dsa.blockwise(
        pick,
        out,
        stack,
        "ltyx",
        dtype=dtype,
        concatenate=True,
        new_axes={letters[dim]: size for dim, size in extra.items()},
        meta=np.empty((0,) * len(out), dtype),
        token="gapfill-layers",
    )
    return tuple(dims), data


@dataclass(frozen=True)
class _Pick:
    """Picks a statistic from a block (l, t, y, x), splits its layers into dimensions, orders the axes."""

    places: tuple[int, int]
    series: bool
    extra: tuple[int, ...]
    maps: int
    order: tuple[int, ...]
    dtype: np.dtype[Any]

    def __call__(self, block: NDArray) -> NDArray:
        if self.series:
            block = block.reshape(-1, *block.shape[2:])
        picked = block[slice(*self.places)]
        picked = picked.reshape(*self.extra, *picked.shape[picked.ndim - self.maps :])
        return np.ascontiguousarray(picked.transpose(self.order), self.dtype)


def _described(
    picked: tuple[tuple[Hashable, ...], dsa.Array],
    statistic: Statistic,
    field: Field,
    op: Reduced,
    target: Quantity,
    made: Provenance,
) -> xr.DataArray:
    dims, data = picked
    array, axes = target.arrays[field.array], target.axes[field.array]
    known = data_attrs(array, target.variable.attrs)
    coords = {key: each.variable for key, each in wrap(array.data, array, axes, None).coords.items()}
    what, attrs = str(array.attrs.get("long_name") or array.name), known
    if field.function is not None:
        example = field.function.example
        here = {axes.lat, axes.lon}
        coords = {key: each for key, each in coords.items() if set(each.dims) <= here & set(dims)}
        coords |= {key: each.variable for key, each in example.coords.items() if not here & set(each.dims)}
        what = f"{name_of(field.function.function)} of {what}"
        attrs = {key: value for key, value in example.attrs.items() if array.attrs.get(key) != value}
    word = {"mean": "mean", "std": "standard deviation", "quantile": "quantile"}[statistic.kind]
    attrs = {**attrs, "long_name": f"{word} of {what} over {op.kernel.members} members"}
    if statistic.kind != "quantile":
        method = {"mean": "mean", "std": "standard_deviation"}[statistic.kind]
        attrs["cell_methods"] = f"{known.get('cell_methods', '')} realization: {method}".strip()
    else:
        values = statistic.quantiles[0] if statistic.scalar else list(statistic.quantiles)
        coords["quantile"] = xr.Variable(() if statistic.scalar else "quantile", values, {"units": "1"})
    result = xr.DataArray(data, coords, dims, array.name, made.added_to(attrs))
    result.encoding = kept_encoding(array) if field.function is None else {}
    if field.function is not None and axes.time in dims and result.sizes[axes.time] == array.sizes[axes.time]:
        back = np.argsort(np.argsort(target.grids[field.array].slots))  # functions receive times in ascending order
        if (np.diff(back) < 0).any():
            result = result.isel({axes.time: back})
    return result
