"""Reads ``error=``: standard errors of satellite maps, an array like the map."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.blocks.peek import spots
from xgapfill.blocks.source import Source, in_file_order, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.read import Quantity, check_together, grid_of, plain
from xgapfill.lattice.grid import Grid
from xgapfill.variables import ErrorUnits


@dataclass(frozen=True)
class ErrorField:
    """Errors of the target: their units, and one source per part of its variable with the addresses of its pixels."""

    units: ErrorUnits
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]


def read_error(given: xr.DataArray | Sequence[xr.DataArray], target: Quantity) -> ErrorField:
    """Read the error of the target: one array like it, or three if the target is three; nothing is loaded.

    Raises
    ------
    TypeError
        The error is not a DataArray of floating dtype.
    ValueError
        The coordinates differ from those of the target, the units cannot be read, or values are negative (of arrays
        in memory all are checked, of others a few).
    """
    arrays = (given,) if isinstance(given, xr.DataArray) else _listed(given, target)
    if len(arrays) != len(target.arrays):
        raise ValueError(
            f"error= must be like {target.label}: expected {len(target.arrays)} arrays, found {len(arrays)}"
        )
    sources, grids, units = [], [], set()
    for part in range(target.variable.parts):
        array = plain(_array_of(arrays, part, target))
        axes = cf.find_axes(array)
        grid = grid_of(array, axes, target.grid, target.step)
        check_together((target.arrays[0], array), (target.grid, grid))
        variable = in_file_order(array.variable)
        for dim in axes.others:
            variable = variable.isel({dim: _index(array, dim, part, target)})
        sources.append(source_of(variable, tuple(None if dim is None else str(dim) for dim in axes.dims)))  # type: ignore[arg-type]
        grids.append(grid)
        held = array.variable._in_memory and array.chunks is None
        for values in [array.values] if held else spots(sources[-1:], grids[-1:]):
            check_errors(values, f"error= ({array.name!r})")
        units.add(target.variable.error_units(array.attrs, str(array.name)))
    if len(units) > 1:
        raise ValueError("the arrays of error= have different units; convert them to the same")
    return ErrorField(units.pop(), tuple(sources), tuple(grids))


def _listed(given: Any, target: Quantity) -> tuple[xr.DataArray, ...]:
    """Several arrays; TypeError for anything else."""
    wanted = f"error= must be a DataArray like {target.label}, such as ds.{target.label}_uncertainty"
    if isinstance(given, str):
        raise TypeError(f"{wanted}; found the name {given!r}: to pass names use ds.gapfill")
    if isinstance(given, int | float | np.number):
        raise TypeError(
            f"{wanted}; found {given!r}: an error shared by all pixels changes nothing, only differences between "
            "pixels count"
        )
    arrays = tuple(given) if isinstance(given, Sequence) else (given,)
    for array in arrays:
        if not isinstance(array, xr.DataArray):
            raise TypeError(f"{wanted}; found {type(array).__name__}")
    return arrays


def _array_of(arrays: Sequence[xr.DataArray], part: int, target: Quantity) -> xr.DataArray:
    """The array of a part: the only one, or the one named after it."""
    if len(arrays) == 1:
        return arrays[0]
    found = [target.variable.part_of(str(array.name), array.attrs) for array in arrays]
    if part not in found:
        wanted, names = target.variable.part_names[part], [str(array.name) for array in arrays]
        raise ValueError(f"none of the arrays of error= is named after {wanted}: {names}")
    return arrays[found.index(part)]


def _index(array: xr.DataArray, dim: Hashable, part: int, target: Quantity) -> int:
    """Index of the error of a part of the target along a dimension of parts."""
    along, labels, names = cf.parts_along(array, dim), cf.labels_along(array, dim), target.variable.part_names
    if along is None and names and names[part] in labels:
        return labels.index(names[part])
    wanted = part if target.variable.alone is None else target.variable.alone
    if along is None or along[0] is not type(target.variable) or wanted not in along[1]:
        raise ValueError(f"error= has the dimension {dim!r}, which does not name the parts of {target.label}")
    return along[1].index(wanted)


def check_errors(error: NDArray, what: str) -> None:
    """ValueError where a standard deviation is negative or infinite; missing ones are allowed."""
    with np.errstate(invalid="ignore"):
        wrong = (error < 0) | np.isinf(error)
    if wrong.any():
        raise ValueError(
            f"expected standard deviations; {what} has {np.count_nonzero(wrong)} negative or infinite values"
        )
