"""Finds sea and land masks among variables, reads them, and checks them against the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xgapfill.blocks.source import Source, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.dates import grid_at
from xgapfill.inputs.read import Quantity, _extent
from xgapfill.inputs.warn import warn
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.sea import SeaFlag

LAND_NAMES = ("land", "land_mask", "landmask", "lsm")


def sea_flag(mask: xr.DataArray) -> SeaFlag:
    """Encoding of sea in a mask: by CF flag meanings, else true is sea (or land, if the mask is named so).

    Raises
    ------
    ValueError
        The flag meanings name neither land nor sea.
    """
    words = str(mask.attrs.get("flag_meanings", "")).lower().split()
    if not words:
        return SeaFlag(land=str(mask.name).lower() in LAND_NAMES, mask=None, value=1)
    for wanted in (("land",), ("sea", "water", "ocean")):
        at = next((number for number, word in enumerate(words) if word in wanted), None)
        if at is None:
            continue
        bits, values = mask.attrs.get("flag_masks"), mask.attrs.get("flag_values")
        bit = None if bits is None else int(np.ravel(bits)[at])
        value = bit if values is None and bit is not None else at if values is None else int(np.ravel(values)[at])
        return SeaFlag(mask=bit, value=value, land=wanted == ("land",))
    raise ValueError(f"expected a flag for land, sea, water or ocean in {mask.name!r}; its flags are {words}")


SEA_NAMES = ("sea", "ocean", "water", "sea_mask", "ocean_mask", "water_mask", "mask")


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
        values, shape = np.asarray(sea), (array.sizes[axes.lat], array.sizes[axes.lon])
        if values.shape != shape:
            raise ValueError(f"sea has the shape {values.shape}; (latitude, longitude) of {target.label} is {shape}")
        coords = {axes.names[what]: array.coords[axes.names[what]] for what in ("latitude", "longitude")}
        sea = xr.DataArray(values, coords, (axes.lat, axes.lon), name="sea")
    if sea.dtype.kind not in "biu" and not sea.attrs.get("flag_meanings"):
        raise TypeError(f"sea must be boolean or integer, found {sea.dtype}; use .astype(bool)")
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
            f"sea {_extent(grid)} is not on the grid of {target.label} {_extent(target.grid)}; interpolate it"
        )
    _check_cover(grid, target)
    return sea_flag(sea), source_of(sea.variable, found.dims), grid


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
                f"sea {_extent(mask)} has none of the {what} of {target.label} {_extent(grid)}; give a mask of its "
                "region"
            )
    if lacking := [f"{int((~there).sum())} of {there.size} {what}" for what, there in known.items() if not there.all()]:
        warn(f"sea= lacks {', '.join(lacking)} of {target.label}: pixels outside the mask count as sea")


def find_mask(variables: Any, array: xr.DataArray) -> xr.DataArray | None:
    """Find a sea or land mask on the map of `array`, by CF flag meanings or by name; None if there is none."""
    axes = cf.find_axes(array)
    for name, each in variables.items():
        words = set(str(each.attrs.get("flag_meanings", "")).lower().split())
        if not {axes.lat, axes.lon} <= set(each.dims) <= {axes.time, axes.lat, axes.lon}:
            continue
        if words & {"land", "sea", "water", "ocean"} and each.dtype.kind in "biuf":
            return each
        if not words and each.ndim == 2 and each.dtype.kind in "biu" and str(name).lower() in SEA_NAMES + LAND_NAMES:
            return each
    return None
