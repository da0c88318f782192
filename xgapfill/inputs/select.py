"""Indices of a region and of a time span, by the coordinates of a map of any layout."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from xgapfill.inputs.axes import find_axes

ROUNDING = 1e-5  # degrees, since coordinates are often float32
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])(T\d\d(:\d\d(:\d\d)?)?)?)?)?")


def in_region(da: xr.DataArray, south: float, north: float, west: float, east: float) -> dict[Hashable, Any]:
    """Indices along the dimensions of a map that lie in a region, in the direction of the map."""
    width = east - west + 360 * (east < west)
    if not (-90 <= south < north <= 90 and 0 < width < np.inf):
        raise ValueError(
            f"--region must be SOUTH NORTH WEST EAST in degrees with -90 <= SOUTH < NORTH <= 90 and WEST unequal EAST; "
            f"found {south:g} {north:g} {west:g} {east:g}"
        )
    axes = find_axes(da)
    lat, lon = (da.coords[axes.names[what]].astype(float) for what in ("latitude", "longitude"))
    eastward = (lon - west + ROUNDING) % 360
    inside = (lat >= south - ROUNDING) & (lat <= north + ROUNDING) & (eastward <= width + 2 * ROUNDING)
    if not inside.any():
        raise ValueError(
            f"--region {south:g} {north:g} {west:g} {east:g} has no pixel of {da.name!r}, which extends from "
            f"{float(lat.min()):g} to {float(lat.max()):g} degrees north and from {float(lon.min()):g} to "
            f"{float(lon.max()):g} degrees east"
        )
    rows = np.flatnonzero(inside.any(axes.lon).values)
    cols = np.flatnonzero(inside.any(axes.lat).values)
    if cols.size < da.sizes[axes.lon]:
        # The map may begin inside the region: join its two parts, in the direction of the map.
        along = (eastward if eastward.ndim == 1 else eastward.isel({axes.lat: rows[0]})).values[cols]
        order = np.argsort(along)
        cols = cols[order if 2 * (np.diff(along) > 0).sum() >= along.size - 1 else order[::-1]]
    return {axes.lat: rows, axes.lon: cols}


def in_time(da: xr.DataArray, first: str, last: str) -> dict[Hashable, Any]:
    """Indices along time from one date to another; a date may be a year or a month."""
    first, last = (text.replace(" ", "T") for text in (first, last))
    for text in (first, last):
        if not _DATE.fullmatch(text):
            raise ValueError(f"--time expects dates such as 2015-03-10, 2015-03 or 2015T12:00, found {text!r}")
    both = min(len(first), len(last))
    if first[:both] > last[:both]:
        raise ValueError(f"--time expects FIRST LAST; found {first} after {last}")
    axes = find_axes(da)
    if "time" not in axes.names:
        raise ValueError(f"{da.name!r} has no time; leave --time out")
    dates = da.coords[axes.names["time"]]
    try:
        stamps = np.atleast_1d(dates.dt.strftime("%Y-%m-%dT%H:%M:%S").values).astype(str)
    except (AttributeError, TypeError):
        raise ValueError(
            f"expected dates in {dates.name!r} of {da.name!r}, found dtype {dates.dtype}; leave --time out"
        ) from None
    # ISO dates sort as text in any calendar; compare only as many characters as were given.
    inside = (stamps.astype(f"U{len(first)}") >= first) & (stamps.astype(f"U{len(last)}") <= last)
    if not inside.any():
        raise ValueError(f"--time {first} {last} has no date of {da.name!r}, which has {min(stamps)} to {max(stamps)}")
    return {} if axes.time is None else {axes.time: np.flatnonzero(inside)}
