"""Reads coordinates and class labels, writes CF attributes: what xarray objects say about themselves."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cf_xarray  # noqa: F401  (registers .cf)
import numpy as np
import xarray as xr

from xgapfill.families import class_of
from xgapfill.seamask import SeaFlag

# Names tried, in lower case, where the attributes say nothing.
NAMES = {
    "latitude": ("lat", "latitude", "lats", "nav_lat"),
    "longitude": ("lon", "longitude", "lons", "long", "nav_lon"),
    "time": ("time", "t", "date", "dates", "datetime"),
}
# Storage of another array than the result: how it was cut and packed.
_STALE = (
    "chunks", "chunksizes", "preferred_chunks", "shards", "contiguous", "original_shape", "source", "scale_factor",
    "add_offset", "szip", "zstd", "bzip2", "blosc", "shuffle", "fletcher32", "complevel", "zlib", "compressor",
    "compressors", "filters", "serializer",
)  # fmt: skip
LAND_NAMES = ("land", "land_mask", "landmask", "lsm")
STATUS = ("observed", "filled", "too_little_context", "outside_training_range", "invalid_input", "land")
"""Meanings of the values 0, 1, ... of a status."""


@dataclass(frozen=True)
class Axes:
    """Dimensions and coordinates of an array.

    Attributes
    ----------
    time : str or None
        Dimension of time; None where there is none (the array may still have one date).
    lat, lon : str
        Dimensions of latitude and longitude.
    names : mapping
        Names of the coordinates ``time``, ``latitude``, ``longitude``.
    others : tuple of str
        Dimensions beside these, in order.
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
        Where latitude or longitude is missing or two-dimensional; the message lists the candidates.
    """
    names = {what: name for what in NAMES if (name := _coordinate(da, what)) is not None}
    for what in ("latitude", "longitude"):
        if what not in names:
            raise ValueError(_no_axis(da, what))
        if da.coords[names[what]].ndim != 1:
            raise ValueError(
                f"{what} {names[what]!r} of {da.name!r} has the dimensions {da.coords[names[what]].dims}; one "
                "with equal steps is wanted. Put curvilinear grids or swaths on such a grid first, as with xesmf"
            )
    lat, lon = (da.coords[names[what]].dims[0] for what in ("latitude", "longitude"))
    if lat == lon:
        raise ValueError(f"latitude and longitude of {da.name!r} share the dimension {lat!r}: a track is no map")
    times = da.coords[names["time"]].dims if "time" in names else ()
    time = next((dim for dim in da.dims if dim in times), None)
    bare = next((dim for dim in da.dims if str(dim).lower() == "time" and dim not in times), None)
    if bare is not None:
        raise ValueError(
            f"the dimension {bare!r} of {da.name!r} has no dates; give it a coordinate with .assign_coords"
        )
    others = tuple(dim for dim in da.dims if dim not in (time, lat, lon))
    return Axes(time, lat, lon, names, others)


def _coordinate(da: xr.DataArray, what: str) -> Hashable | None:
    """Name of the coordinate that is latitude, longitude or time; one-dimensional ones come first."""
    found = [name for name in da.cf.coordinates.get(what, []) if name in da.coords]
    if not found:
        found = [name for name in da.coords if str(name).lower() in NAMES[what]]
    if not found and what == "time":
        found = [name for name, each in da.coords.items() if each.dtype.kind == "M" and each.ndim < 2]
    # the date of every pixel is no axis, and neither is a latitude that was selected
    found = [name for name in found if da.coords[name].ndim > 0 or what == "time"]
    found = [name for name in found if da.coords[name].ndim < 2 or what != "time"]
    found.sort(key=lambda name: (da.coords[name].ndim != 1, name not in da.dims))
    return found[0] if found else None


def _no_axis(da: xr.DataArray, what: str) -> str:
    listed = [f"{name} {tuple(map(str, each.dims))}" for name, each in da.coords.items()]
    bare = [str(dim) for dim in da.dims if dim not in da.coords]
    return (
        f"{da.name!r} has no {what} that can be recognised. Its coordinates: {', '.join(listed) or 'none'}; dimensions "
        f"without coordinates: {', '.join(bare) or 'none'}. Rename the right one to {NAMES[what][0]!r}, or set its "
        f"attrs['standard_name'] = {what!r}"
    )


def classes_along(da: xr.DataArray, dim: Hashable) -> tuple[int, ...] | None:
    """Index (micro 0, nano 1, pico 2) of the size class at each place of a dimension, None where labels say nothing."""
    for coordinate in da.coords.values():
        if coordinate.dims == (dim,):
            found = [class_of(text) for text in _labels(coordinate)]
            if found and None not in found:
                return tuple(found)  # type: ignore[arg-type]
    return None


def class_here(da: xr.DataArray) -> int | None:
    """Index of the size class that a coordinate without dimension names, as after ``.sel(psc="micro")``."""
    found = {class_of(text) for each in da.coords.values() if each.ndim == 0 for text in _labels(each)}
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


def package_version() -> str:
    """Version of the installed package."""
    try:
        return version("xgapfill")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"


@dataclass(frozen=True)
class Provenance:
    """How a result was made, for its attributes.

    Attributes
    ----------
    call : str
        The call in one line, for ``history``.
    attrs : mapping
        What goes into the attributes ``xgapfill_...``.
    comment : str
        What users must know about the weights; empty if nothing.
    """

    call: str
    attrs: Mapping[str, Any]
    comment: str = ""

    def added_to(self, attrs: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `attrs` with the provenance; the newest line of the history comes first."""
        result = dict(attrs)
        line = f"{_stamp()}{self.call} - xgapfill {package_version()}"
        result["history"] = "\n".join(text for text in (line, str(attrs.get("history", ""))) if text)
        if self.comment:
            result["comment"] = " ".join(text for text in (str(attrs.get("comment", "")), self.comment) if text)
        return result | {"xgapfill_version": package_version()} | {f"xgapfill_{k}": v for k, v in self.attrs.items()}


def _stamp() -> str:
    # No clock: the same call must give the same file. Builds that want a date say which one.
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return f"[{datetime.fromtimestamp(int(epoch), UTC):%Y-%m-%dT%H:%M:%SZ}] " if epoch else ""


def wrap(data: Any, template: xr.DataArray, axes: Axes, name: Hashable | None, members: int = 1) -> xr.DataArray:
    """Return `data` with the dimensions and coordinates of `template`, members first where there are several."""
    coords = {key: _coordinate_of_result(each, key, axes) for key, each in template.coords.items()}
    dims = template.dims
    if members > 1:
        dims = ("realization", *dims)
        attrs = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}
        coords["realization"] = xr.Variable("realization", np.arange(members, dtype=np.int32), attrs)
    return xr.DataArray(data, coords=coords, dims=dims, name=name)


def _coordinate_of_result(coordinate: xr.DataArray, key: Hashable, axes: Axes) -> xr.Variable:
    """A copy of a coordinate with its CF attributes complete and the encoding of its old chunks gone."""
    variable = coordinate.variable.copy(deep=False)
    variable.attrs = dict(coordinate.attrs)
    variable.encoding = {k: v for k, v in coordinate.encoding.items() if k not in _STALE}
    kinds = {axes.names.get(what): what for what in NAMES}
    attrs = {
        "latitude": {"standard_name": "latitude", "units": "degrees_north"},
        "longitude": {"standard_name": "longitude", "units": "degrees_east"},
        "time": {"standard_name": "time"},
    }
    for name, value in attrs.get(kinds.get(key, ""), {}).items():
        variable.attrs.setdefault(name, value)
    return variable


def kept_encoding(template: xr.DataArray) -> dict[Hashable, Any]:
    """Encoding that still fits the result: floating dtype, fill value and grid mapping; no chunks, no packing."""
    encoding: dict[Hashable, Any] = {}
    dtype = template.encoding.get("dtype")
    if dtype is not None and np.dtype(dtype).kind == "f":
        encoding["dtype"] = np.dtype(dtype)
        if "_FillValue" in template.encoding:
            encoding["_FillValue"] = template.encoding["_FillValue"]
    if "grid_mapping" in template.encoding:
        encoding["grid_mapping"] = template.encoding["grid_mapping"]
    return encoding


def data_attrs(template: xr.DataArray, usual: Mapping[str, str]) -> dict[Hashable, Any]:
    """Attributes of the input, with `usual` ones where it has none."""
    return {**{key: value for key, value in usual.items() if not template.attrs.get(key)}, **template.attrs}


def spread_attrs(attrs: Mapping[Hashable, Any], name: str, *, log10: bool = False) -> dict[Hashable, Any]:
    """Attributes of the standard deviation of the error of a variable with `attrs`."""
    what = attrs.get("long_name") or name
    result: dict[Hashable, Any] = {
        "long_name": f"standard deviation of the error of {'log10 of ' * log10}filled {what}"
    }
    if log10:
        return result | {"units": "1", "comment": "0 where the value was observed"}
    if attrs.get("standard_name"):
        result["standard_name"] = f"{attrs['standard_name']} standard_error"
    if "units" in attrs:
        result["units"] = attrs["units"]
    return result | {"comment": "0 where the value was observed"}


def status_attrs(attrs: Mapping[Hashable, Any], name: str) -> dict[Hashable, Any]:
    """Attributes of the int8 status of a variable with `attrs`."""
    return {
        "long_name": f"status of {attrs.get('long_name') or name}",
        "standard_name": "status_flag",
        "flag_values": np.arange(len(STATUS), dtype=np.int8),
        "flag_meanings": " ".join(STATUS),
    }


def with_ancillary(attrs: Mapping[Hashable, Any], names: list[str]) -> dict[Hashable, Any]:
    """Return `attrs` that name further ancillary variables."""
    known = str(attrs.get("ancillary_variables", "")).split()
    return dict(attrs) | {"ancillary_variables": " ".join([*known, *(name for name in names if name not in known)])}


def sea_flag(mask: xr.DataArray) -> SeaFlag:
    """How a mask says where sea is: by CF flag meanings, else true is sea (land, where its name says so).

    Raises
    ------
    ValueError
        Where its flag meanings have neither land nor sea.
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
    raise ValueError(f"the flags {words} of {mask.name!r} have neither land nor sea")
