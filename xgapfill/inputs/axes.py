"""Reads the coordinates of xarray objects and the labels of their parts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.variables import Variable
from xgapfill.variables.registry import part_labelled

# Names (in lower case) that are tried where attributes do not identify a coordinate.
NAMES = {
    "latitude": ("lat", "latitude", "lats", "nav_lat"),
    "longitude": ("lon", "longitude", "lons", "long", "nav_lon"),
    "time": ("time", "t", "date", "dates", "datetime"),
}
# Of rasters (GeoTIFF by rioxarray), whose coordinates have no attributes, with a geographic grid mapping.
RASTER_NAMES = {"latitude": "y", "longitude": "x"}
WHOLE = 2**22  # values of a map of latitudes that are all compared; of a larger one, some lines
STRAIGHT = 0.05  # largest change of a latitude along a parallel, in steps


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
        Latitude or longitude is missing or changes along two dimensions; the message lists the candidates.
    """
    said = da.cf.coordinates
    names = {what: name for what in NAMES if (name := _coordinate(da, what, said)) is not None}
    for what in ("latitude", "longitude"):
        if what not in names:
            raise ValueError(_no_axis(da, what))
    lat, lon = (_along(da, names[what], what)[0] for what in ("latitude", "longitude"))
    if lat == lon:
        raise ValueError(f"expected a map; latitude and longitude of {da.name!r} share the dimension {lat!r} (a track)")
    times = da.coords[names["time"]].dims if "time" in names else ()
    time = next((dim for dim in da.dims if dim in times), None)
    bare = next((dim for dim in da.dims if str(dim).lower() == "time" and dim not in times), None)
    if bare is not None:
        raise ValueError(f"the dimension {bare!r} of {da.name!r} has no dates; add a coordinate with .assign_coords")
    others = tuple(dim for dim in da.dims if dim not in (time, lat, lon))
    return Axes(time, lat, lon, names, others)


def degrees(da: xr.DataArray, axes: Axes, what: str) -> NDArray[Any]:
    """Values of the latitude or longitude along its dimension, also where the coordinate is a map of them."""
    return _along(da, axes.names[what], what)[1]


def westward(da: xr.DataArray, axes: Axes, lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitudes from -180 to 180 if those of the array are so, else as they are."""
    return (lon + 180) % 360 - 180 if (degrees(da, axes, "longitude") < 0).any() else lon


def _along(da: xr.DataArray, name: Hashable, what: str) -> tuple[Hashable, NDArray[Any]]:
    """Dimension along which a latitude or longitude changes, and its values there.

    Raises
    ------
    ValueError
        It changes along two dimensions, or the name contradicts the attributes.
    """
    coordinate = da.coords[name]
    other = "longitude" if what == "latitude" else "latitude"
    if str(name).lower() in NAMES[other]:
        raise ValueError(
            f"{name!r} of {da.name!r} is a {other} by its name and a {what} by its attributes "
            f"({dict(coordinate.attrs)}): latitude and longitude may be exchanged. Rename it, or correct its attributes"
        )
    if coordinate.ndim == 1:
        return coordinate.dims[0], coordinate.values
    values = coordinate.variable
    if values.size > WHOLE:  # the rows, columns and dates that tell most
        chosen = {dim: np.unique(np.linspace(0, size - 1, 32).astype(int)) for dim, size in values.sizes.items()}
        long = max(values.dims, key=lambda dim: _change(values, dim))
        values = values.isel({dim: index for dim, index in chosen.items() if dim != long})
    values = values.astype(float).load() if values.dtype.kind in "fiu" else values
    changes = {dim: (_change(values, dim), -size) for dim, size in values.sizes.items()}
    dim = max(changes, key=lambda each: changes[each])
    line = values.isel({each: 0 for each in values.dims if each != dim}).values
    first = values.isel({each: slice(1) for each in values.dims if each != dim}).values
    spread, steps = np.abs(values.values - first).max(), np.abs(np.diff(line))
    if not spread <= STRAIGHT * steps.min(initial=1):  # False of NaN
        raise ValueError(
            f"expected one dimension with equal steps for {what}; {name!r} of {da.name!r} changes along the dimensions "
            f"{coordinate.dims}. Regrid curvilinear grids or swaths first, e.g. with xesmf"
        )
    return dim, line


def _change(values: xr.Variable, dim: Hashable) -> float:
    """Largest change from the first to the last place along a dimension, on a few lines."""
    ends = values.isel({each: [0, -1] for each in values.dims}).astype(float)
    return float(np.abs(np.diff(ends.values, axis=ends.dims.index(dim))).max(initial=0))


def _coordinate(da: xr.DataArray, what: str, said: Mapping[str, Sequence[Hashable]]) -> Hashable | None:
    """Name of the latitude, longitude or time coordinate; one-dimensional coordinates come first.

    `said` are the names of coordinates that attributes identify.
    """
    others = {name for other, names in said.items() if other != what for name in names}
    mine = [name for name in said.get(what, []) if name in da.coords]
    named = [name for name in da.coords if str(name).lower() in NAMES[what] and name not in others]
    if not (mine or named) and RASTER_NAMES.get(what) in da.coords and _geographic(da):
        named = [RASTER_NAMES[what]]
    found = list(dict.fromkeys([*mine, *named]))
    if not found and what == "time":
        found = [name for name, each in da.coords.items() if each.dtype.kind == "M" and each.ndim < 2]
    # neither the date of every pixel nor a scalar latitude left by a selection is an axis
    found = [name for name in found if da.coords[name].ndim > 0 or what == "time"]
    found = [name for name in found if da.coords[name].ndim < 2 or what != "time"]
    found.sort(key=lambda name: (da.coords[name].ndim != 1, name not in da.dims, name not in mine))
    return found[0] if found else None


def _geographic(da: xr.DataArray) -> bool:
    """Whether a grid mapping among the coordinates says that x and y are longitude and latitude."""
    return any(each.attrs.get("grid_mapping_name") == "latitude_longitude" for each in da.coords.values())


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


def labels_along(da: xr.DataArray, dim: Hashable) -> list[str]:
    """Text that labels the positions of a dimension; empty if none does."""
    for coordinate in da.coords.values():
        if coordinate.dims == (dim,) and all(found := _labels(coordinate)):
            return found
    return []


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
