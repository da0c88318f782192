"""Reads how much satellite maps err: ``error=``, an array like the map."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.blocks.source import Source, in_file_order, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.read import Quantity, check_kind, check_together, grid_of
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.observations import ErrorUnits
from xgapfill.variables import CLASSES, Chlorophyll, Family, SizeClasses, Temperature, class_alone, mg_m3
from xgapfill.variables.size_classes import PERCENT_UNITS, is_fraction


@dataclass(frozen=True)
class ErrorField:
    """Errors of what is filled: their units, and one source a part of its family with the addresses of its pixels."""

    units: ErrorUnits
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]


def read_error(given: xr.DataArray | Sequence[xr.DataArray], target: Quantity) -> ErrorField:
    """Read the error of the target: one array like it, or three where it is three; nothing is loaded.

    Raises
    ------
    TypeError
        Not DataArrays of floating numbers.
    ValueError
        Other places than those of the target, units that cannot be read, negative values (of arrays in memory).
    """
    arrays = (given,) if isinstance(given, xr.DataArray) else tuple(given)
    if len(arrays) != len(target.arrays):
        raise ValueError(f"error= must be like {target.label}: {len(target.arrays)} arrays, found {len(arrays)}")
    sources, grids, units = [], [], set()
    for part in range(target.family.parts):
        array = _array_of(arrays, part)
        check_kind(array)
        axes = cf.find_axes(array)
        grid = grid_of(array, axes, target.grid)
        check_together((target.arrays[0], array), (target.grid, grid))
        if array.variable._in_memory and array.chunks is None:
            check_errors(array.values, f"error= ({array.name!r})")
        variable = in_file_order(array.variable)
        for dim in axes.others:
            variable = variable.isel({dim: _index(array, dim, part, target)})
        sources.append(source_of(variable, tuple(None if dim is None else str(dim) for dim in axes.dims)))  # type: ignore[arg-type]
        grids.append(grid)
        units.add(error_units(array.attrs, str(array.name), target.family))
    if len(units) > 1:
        raise ValueError("the arrays of error= have different units; convert them to the same")
    return ErrorField(units.pop(), tuple(sources), tuple(grids))


def _array_of(arrays: Sequence[xr.DataArray], part: int) -> xr.DataArray:
    """The array of a part: the only one, or that of its size class."""
    if len(arrays) == 1:
        return arrays[0]
    found = [class_alone(str(array.name), array.attrs) for array in arrays]
    if part not in found:
        raise ValueError(
            f"none of the arrays of error= is named after {CLASSES[part]}: {[str(a.name) for a in arrays]}"
        )
    return arrays[found.index(part)]


def _index(array: xr.DataArray, dim: Hashable, part: int, target: Quantity) -> int:
    """Where along a dimension of size classes the error of a part of the target stands."""
    classes = cf.classes_along(array, dim)
    alone = target.family.alone if isinstance(target.family, SizeClasses) else None
    wanted = part if alone is None else alone
    if classes is None or wanted not in classes:
        raise ValueError(f"error= has the dimension {dim!r}, which does not name the size classes of {target.label}")
    return classes.index(wanted)


def error_units(attrs: Mapping[Any, Any], name: str, family: Family) -> ErrorUnits:
    """What the numbers of an error are, by its units; without units those of the values.

    Raises
    ------
    ValueError
        Units that cannot be those of an error of this quantity.
    """
    units = attrs.get("units")
    plain = units.strip().lower() if isinstance(units, str) else ""
    if plain and plain in PERCENT_UNITS:
        if isinstance(family, Temperature):
            raise ValueError(f"{name!r} is in percent, which says nothing of a temperature; give degC or K")
        return ErrorUnits("percent")
    logarithm = "log10" in f"{name} {attrs.get('long_name', '')}".lower()
    if isinstance(family, Chlorophyll):
        if logarithm:
            return ErrorUnits("log10")
        return ErrorUnits("same", mg_m3(plain) / family.factor if plain else 1.0)
    if isinstance(family, SizeClasses) and plain:
        fraction = is_fraction(plain, None)
        if fraction != (family.factor is None):
            raise ValueError(f"{name!r} is in {units!r}, but the values are {family.wanted}; convert one of them")
        return ErrorUnits("same", 1.0 if family.factor is None else mg_m3(plain) / family.factor)
    return ErrorUnits("same")


def check_errors(error: NDArray, what: str) -> None:
    """ValueError when a standard deviation is negative or infinite; missing ones may be."""
    with np.errstate(invalid="ignore"):
        wrong = (error < 0) | np.isinf(error)
    if wrong.any():
        raise ValueError(
            f"{what} has {np.count_nonzero(wrong)} negative or infinite values; standard deviations are wanted"
        )
