"""Finds sea and land masks among variables, reads them, and checks them against the grid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.blocks.peek import spots
from xgapfill.blocks.source import Source, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.dates import grid_at
from xgapfill.inputs.flags import may_be_mask, sea_flag
from xgapfill.inputs.read import Quantity, extent
from xgapfill.inputs.warn import warn
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.sea import SeaFlag


def read_sea(sea: Any, target: Quantity) -> tuple[SeaFlag, Source, Grid] | None:
    """Read a sea mask: the meaning of its values, their source, their addresses.

    Parameters
    ----------
    sea : DataArray, array or None
        True or 1 at sea: a DataArray with latitude and longitude, an array in the order of the target's
        latitudes and longitudes, or CF flags with a meaning ``land``, ``sea`` or ``water``, with or without time.
        None: a coordinate of the target that is such a mask, if there is one.
    target : Quantity
    """
    axes, array = target.axes[0], target.arrays[0]
    if sea is None:
        sea = find_mask(array.coords, array)
    if sea is None:
        return None
    if not isinstance(sea, xr.DataArray):
        values = sea if hasattr(sea, "dask") else np.asarray(sea)
        shape = (array.sizes[axes.lat], array.sizes[axes.lon])
        if values.shape != shape:
            raise ValueError(f"sea has the shape {values.shape}; (latitude, longitude) of {target.label} is {shape}")
        sea = xr.DataArray(values, dims=(axes.lat, axes.lon), name="sea")
    if sea.dtype.kind not in "biu" and "flag_meanings" not in sea.attrs:
        raise TypeError(f"sea must be boolean or integer, found {sea.dtype}; use .astype(bool)")
    flag = sea_flag(sea)
    sea = _located(sea, array, axes)
    found = cf.find_axes(sea)
    if found.others:
        raise ValueError(
            f"sea has the dimensions {sea.dims}; expected latitude and longitude, and time if the mask changes"
        )
    lat, lon = (cf.degrees(sea, found, what) for what in ("latitude", "longitude"))
    time = None if found.time is None else sea.coords[found.names["time"]].values
    grid = grid_at(time, lat, lon, like=target.grid, step=target.step)
    if not grid.same_lattice(target.grid):
        raise ValueError(
            f"sea {extent(grid)} is not on the grid of {target.label} {extent(target.grid)}; interpolate it"
        )
    _check_cover(grid, target)
    source = source_of(sea.variable, found.dims)
    if "flag_meanings" not in sea.attrs:
        _check_values(sea.name, spots([source], [grid]))
    return flag, source, grid


def _check_values(name: Any, values: Iterable[NDArray[Any]]) -> None:
    """ValueError where a mask without flags has other values than 0 and 1."""
    found = sorted({int(each) for part in values for each in np.unique(part)} - {0, 1})
    if found:
        raise ValueError(
            f"expected 0 and 1 in {name!r}, which has no flag_meanings; found {found}. Set "
            "its attrs['flag_values'] and attrs['flag_meanings'], or give sea= a boolean mask, True at sea"
        )


def _located(sea: xr.DataArray, array: xr.DataArray, axes: cf.Axes) -> xr.DataArray:
    """Give a mask on the dimensions of the target the coordinates of the target, where it has none."""
    shared = {axes.lat: array.sizes[axes.lat], axes.lon: array.sizes[axes.lon]}
    if any(sea.sizes.get(dim) != size for dim, size in shared.items()):
        return sea
    names = [axes.names[what] for what in ("latitude", "longitude")]
    bare = [name for name in names if not {axes.lat, axes.lon} & {dim for c in sea.coords.values() for dim in c.dims}]
    return sea.assign_coords({name: array.coords[name] for name in bare})


def _check_cover(mask: Grid, target: Quantity) -> None:
    """ValueError where a mask lies elsewhere; a warning where it covers only part of the map."""
    grid = target.grid
    known = {
        "latitudes": mask.index_rows(grid.rows) >= 0,
        "longitudes": mask.index_cols(grid.cols) >= 0,
        "times": mask.index_slots(grid.slots) >= 0 if mask.calendar != "none" else np.ones(1, bool),
    }
    for what, there in known.items():
        if not there.any():
            raise ValueError(
                f"sea {extent(mask)} has none of the {what} of {target.label} {extent(grid)}; give a mask of its region"
            )
    if lacking := [f"{int((~there).sum())} of {there.size} {what}" for what, there in known.items() if not there.all()]:
        warn(f"sea= lacks {', '.join(lacking)} of {target.label}: pixels outside the mask count as sea")


def find_mask(variables: Any, array: xr.DataArray) -> xr.DataArray | None:
    """Find a sea or land mask on the map of `array`, by CF flag meanings or by name; None if there is none.

    A mask that cannot be read is left out, with a warning.
    """
    axes = cf.find_axes(array)
    for each in variables.values():
        if not {axes.lat, axes.lon} <= set(each.dims) <= {axes.time, axes.lat, axes.lon} or not may_be_mask(each):
            continue
        try:
            sea_flag(each)
            if "flag_meanings" not in each.attrs and each.chunks is None:
                few = {dim: slice(None, None, max(1, size // 64)) for dim, size in each.sizes.items()}
                _check_values(each.name, [each.isel(few).values])
        except ValueError as error:
            warn(f"a mask beside {array.name!r} is not used: {error}")
        else:
            return each
    return None
