"""Reads the coordinates of xarray objects and the labels of their parts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xgapfill.variables import Variable
from xgapfill.variables.registry import part_labelled

# Names (in lower case) that are tried where attributes do not identify a coordinate.
NAMES = {
    "latitude": ("lat", "latitude", "lats", "nav_lat"),
    "longitude": ("lon", "longitude", "lons", "long", "nav_lon"),
    "time": ("time", "t", "date", "dates", "datetime"),
}


@dataclass(frozen=True)
class Axes:
    """Dimensions and coordinates of an array.

    Attributes
    ----------
    time : str or None
        Dimension of time. None if the array has no such dimension; it may still have one date.
    lat, lon : str
        Dimensions of latitude and longitude.
    names : mapping
        Names of the coordinates ``time``, ``latitude``, ``longitude``.
    others : tuple of str
        All other dimensions, in order.
    """

    time: Hashable | None
    lat: Hashable
    lon: Hashable
    names: Mapping[str, Hashable]
    others: tuple[Hashable, ...]

    @property
    def dims(self) -> tuple[Hashable | None, Hashable, Hashable]:
        """Dimensions in the order time, latitude, longitude."""
        return self.time, self.lat, self.lon


def find_axes(da: xr.DataArray) -> Axes:
    """Find time, latitude and longitude: by CF attributes, then by common names.

    Raises
    ------
    ValueError
        Latitude or longitude is missing or two-dimensional; the message lists the candidates.
    """
    names = {what: name for what in NAMES if (name := _coordinate(da, what)) is not None}
    for what in ("latitude", "longitude"):
        if what not in names:
            raise ValueError(_no_axis(da, what))
        if da.coords[names[what]].ndim != 1:
            raise ValueError(
                f"expected one dimension with equal steps for {what}; {names[what]!r} of {da.name!r} has the "
                f"dimensions {da.coords[names[what]].dims}. Regrid curvilinear grids or swaths first, e.g. with xesmf"
            )
    lat, lon = (da.coords[names[what]].dims[0] for what in ("latitude", "longitude"))
    if lat == lon:
        raise ValueError(f"expected a map; latitude and longitude of {da.name!r} share the dimension {lat!r} (a track)")
    times = da.coords[names["time"]].dims if "time" in names else ()
    time = next((dim for dim in da.dims if dim in times), None)
    bare = next((dim for dim in da.dims if str(dim).lower() == "time" and dim not in times), None)
    if bare is not None:
        raise ValueError(f"the dimension {bare!r} of {da.name!r} has no dates; add a coordinate with .assign_coords")
    others = tuple(dim for dim in da.dims if dim not in (time, lat, lon))
    return Axes(time, lat, lon, names, others)


def _coordinate(da: xr.DataArray, what: str) -> Hashable | None:
    """Name of the latitude, longitude or time coordinate; one-dimensional coordinates come first."""
    found = [name for name in da.cf.coordinates.get(what, []) if name in da.coords]
    if not found:
        found = [name for name in da.coords if str(name).lower() in NAMES[what]]
    if not found and what == "time":
        found = [name for name, each in da.coords.items() if each.dtype.kind == "M" and each.ndim < 2]
    # neither the date of every pixel nor a scalar latitude left by a selection is an axis
    found = [name for name in found if da.coords[name].ndim > 0 or what == "time"]
    found = [name for name in found if da.coords[name].ndim < 2 or what != "time"]
    found.sort(key=lambda name: (da.coords[name].ndim != 1, name not in da.dims))
    return found[0] if found else None


def _no_axis(da: xr.DataArray, what: str) -> str:
    listed = [f"{name} {tuple(map(str, each.dims))}" for name, each in da.coords.items()]
    bare = [str(dim) for dim in da.dims if dim not in da.coords]
    return (
        f"{da.name!r} has no {what} that can be recognised. Its coordinates: {', '.join(listed) or 'none'}; dimensions "
        f"without coordinates: {', '.join(bare) or 'none'}. Rename the {what} to {NAMES[what][0]!r}, or set its "
        f"attrs['standard_name'] = {what!r}"
    )


def parts_along(da: xr.DataArray, dim: Hashable) -> tuple[type[Variable], tuple[int, ...]] | None:
    """Composition (such as the size classes) and part index at each position of a dimension; None if not labelled."""
    for coordinate in da.coords.values():
        if coordinate.dims == (dim,):
            found = [part_labelled(text) for text in _labels(coordinate)]
            kinds = {each[0] for each in found if each is not None}
            if len(kinds) == 1 and None not in found:
                return kinds.pop(), tuple(each[1] for each in found if each is not None)
    return None


def part_here(da: xr.DataArray) -> tuple[type[Variable], int] | None:
    """Composition and part named by a scalar coordinate, as after ``.sel(size_class="micro")``."""
    found = {part_labelled(text) for each in da.coords.values() if each.ndim == 0 for text in _labels(each)}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _labels(coordinate: xr.DataArray) -> list[str]:
    meanings, values = coordinate.attrs.get("flag_meanings"), coordinate.attrs.get("flag_values")
    if isinstance(meanings, str):
        words = meanings.split()
        values = np.arange(len(words)) if values is None else np.ravel(values)
        table = dict(zip([str(value) for value in values], words, strict=False))
        return [table.get(str(value), "") for value in np.ravel(coordinate.values)]
    if coordinate.dtype.kind not in "SUTO":
        return []
    texts = np.ravel(coordinate.values)
    return [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in texts]
