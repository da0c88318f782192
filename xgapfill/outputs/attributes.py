"""CF attributes of results: provenance, spread, status."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import cf_xarray  # noqa: F401  (registers .cf)
import numpy as np
import xarray as xr

from xgapfill._version import package_version
from xgapfill.inputs.axes import NAMES, Axes

# Encoding of the input that does not apply to the result: chunks, compression, packing.
_STALE = (
    "chunks", "chunksizes", "preferred_chunks", "shards", "contiguous", "original_shape", "source", "scale_factor",
    "add_offset", "szip", "zstd", "bzip2", "blosc", "shuffle", "fletcher32", "complevel", "zlib", "compressor",
    "compressors", "filters", "serializer",
)  # fmt: skip
STATUS = ("observed", "filled", "too_little_context", "outside_training_range", "invalid_input", "land")
"""Meanings of the values 0, 1, ... of a status."""


@dataclass(frozen=True)
class Provenance:
    """How a result was made, for its attributes.

    Attributes
    ----------
    call : str
        The call in one line, for ``history``.
    attrs : mapping
        Values of the attributes ``xgapfill_...``.
    comment : str
        Caveats about the weights; may be empty.
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
    # No clock: the same call must give the same file. SOURCE_DATE_EPOCH sets a date.
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return f"[{datetime.fromtimestamp(int(epoch), UTC):%Y-%m-%dT%H:%M:%SZ}] " if epoch else ""


def wrap(
    data: Any, template: xr.DataArray, axes: Axes, name: Hashable | None, members: int | None = None
) -> xr.DataArray:
    """Return `data` with the dimensions and coordinates of `template`; members, if any, are the first dimension."""
    coords = {key: _coordinate_of_result(each, key, axes) for key, each in template.coords.items()}
    dims = template.dims
    if members is not None:
        dims = ("realization", *dims)
        attrs = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}
        coords["realization"] = xr.Variable("realization", np.arange(members, dtype=np.int32), attrs)
    return xr.DataArray(data, coords=coords, dims=dims, name=name)


def _coordinate_of_result(coordinate: xr.DataArray, key: Hashable, axes: Axes) -> xr.Variable:
    """A copy of a coordinate with complete CF attributes and without the encoding of its chunks."""
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
    """Attributes of the input, with `usual` attributes where it has none."""
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
    """Return `attrs` with further ancillary variables."""
    known = str(attrs.get("ancillary_variables", "")).split()
    return dict(attrs) | {"ancillary_variables": " ".join([*known, *(name for name in names if name not in known)])}
