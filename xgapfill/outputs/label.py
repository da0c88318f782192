"""Turns layers into xarray variables in the form of the input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import axes as cf
from xgapfill.inputs import read as inputs
from xgapfill.kernel.fill import FillKernel
from xgapfill.outputs.attributes import (
    Provenance,
    data_attrs,
    interval_attrs,
    spread_attrs,
    status_attrs,
    support_attrs,
    with_ancillary,
    wrap,
)
from xgapfill.outputs.encoding import kept_encoding


def label(
    stack: dsa.Array, target: inputs.Quantity, kernel: FillKernel, made: Provenance, count: int | None
) -> dict[str, xr.DataArray]:
    """Split the layers into variables with the names, dimensions, coordinates and attributes of the input.

    `count` is the length of the dimension of members; None: there is no such dimension.
    """
    parts, members = target.variable.parts, kernel.members
    variables: dict[str, xr.DataArray] = {}
    for number, (array, axes) in enumerate(zip(target.arrays, target.axes, strict=True)):
        mine = [part for part, place in enumerate(target.places) if place.array == number]
        mine.sort(key=lambda part: target.places[part].index or 0)
        name = name_of_array(array, target)
        attrs = made.added_to(data_attrs(array, target.variable.attrs))

        cut = partial(_arranged, stack, array, axes, target.class_dim)
        layers = [member * parts + part for member in range(members) for part in mine]
        data = wrap(cut(layers, count, array.dtype), array, axes, array.name, count)
        data.encoding = kept_encoding(array)
        variables[name] = data
        if kernel.full:
            first, plain = members * parts, data_attrs(array, target.variable.attrs)
            extra = {f"{name}_spread": (first, array.dtype, spread_attrs(plain, name))}
            first += parts
            if target.variable.logarithmic:
                extra[f"{name}_spread_log10"] = (first, array.dtype, spread_attrs(plain, name, log10=True))
                first += 1
            extra[f"{name}_status"] = (first, np.dtype(np.int8), status_attrs(plain, name))
            extra[f"{name}_support"] = (first + parts, array.dtype, support_attrs(plain, name))
            for key, (at, dtype, described) in extra.items():
                variables[key] = wrap(cut([at + part for part in mine], None, dtype), array, axes, key)
                variables[key].attrs = described
                variables[key].encoding = {k: v for k, v in data.encoding.items() if k == "grid_mapping"}
            attrs = with_ancillary(attrs, list(extra))
        if kernel.interval is not None:
            first, plain = kernel.layers - 2 * parts, data_attrs(array, target.variable.attrs)
            for number_of_side, side in enumerate(("lower", "upper")):
                key, at = f"{name}_{side}", first + number_of_side * parts
                variables[key] = wrap(cut([at + part for part in mine], None, array.dtype), array, axes, key)
                variables[key].attrs = interval_attrs(plain, name, side, made.attrs["interval"])
                variables[key].encoding = kept_encoding(array)
            attrs = with_ancillary(attrs, [f"{name}_lower", f"{name}_upper"])
        data.attrs = attrs
    return variables


def alike(target: inputs.Quantity, kernel: FillKernel) -> bool:
    """Whether there is only one layer, with the dimensions of the input in the same order."""
    return kernel.layers == 1 and target.class_dim is None and target.axes[0].dims == target.arrays[0].dims


def name_of_array(array: xr.DataArray, target: inputs.Quantity) -> str:
    """Name of the input array, or the default name of its variable."""
    return target.variable.name if array.name is None else str(array.name)


def _arranged(
    stack: dsa.Array,
    array: xr.DataArray,
    axes: cf.Axes,
    class_dim: Any,
    picked: list[int],
    count: int | None,
    dtype: Any,
) -> dsa.Array:
    """Layers `picked` of the stack (members x classes), with members first, then the dimensions of the input."""
    if stack.ndim == 3:
        return stack
    letters = {class_dim: "c", axes.time: "t", axes.lat: "y", axes.lon: "x"}
    order = "m" * (count is not None) + "".join(letters[dim] for dim in array.dims)
    dtype = np.dtype(dtype).newbyteorder("=")
    whole = picked == list(range(stack.shape[0]))
    if whole and dtype == stack.dtype and order == ("mtyx" if count is not None else "ctyx"):
        return stack
    members = count or 1
    sizes = {"m": members, "c": len(picked) // members}
    return dsa.blockwise(
        _Arrange(tuple(picked), members, order, dtype),
        order,
        stack,
        "ltyx",
        dtype=dtype,
        concatenate=True,
        new_axes={letter: size for letter, size in sizes.items() if letter in order},
        meta=np.empty((0,) * len(order), dtype),
        token="gapfill-layers",
    )


@dataclass(frozen=True)
class _Arrange:
    """Picks layers of a block (l, t, y, x), splits them into members and classes (m, c, t, y, x), orders the axes."""

    picked: tuple[int, ...]
    members: int
    order: str
    dtype: np.dtype[Any]

    def __call__(self, block: NDArray) -> NDArray:
        layers = block[list(self.picked)]
        parted = layers.reshape(self.members, len(self.picked) // self.members, *block.shape[1:])
        absent = tuple(axis for axis, letter in enumerate("mctyx") if letter not in self.order)
        held = [letter for letter in "mctyx" if letter in self.order]
        return parted.squeeze(absent).transpose([held.index(letter) for letter in self.order]).astype(self.dtype)
