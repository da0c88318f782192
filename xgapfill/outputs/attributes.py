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
from xgapfill.outputs.encoding import attributes_of_values, coordinate_encoding, listed, without_dangling

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
    coords = {key: _coordinate_of_result(template, key, axes) for key in template.coords}
    dims = template.dims
    if members is not None:
        dims = ("realization", *dims)
        attrs = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}
        coords["realization"] = xr.Variable("realization", np.arange(members, dtype=np.int32), attrs)
    return xr.DataArray(data, coords=coords, dims=dims, name=name)


def _coordinate_of_result(template: xr.DataArray, key: Hashable, axes: Axes) -> xr.Variable:
    """A copy of a coordinate with complete CF attributes and an encoding that keeps its values."""
    coordinate = template.coords[key]
    variable = coordinate.variable.copy(deep=False)
    variable.attrs = without_dangling(coordinate.attrs, template.coords)
    variable.encoding = coordinate_encoding(coordinate.variable, key)
    kinds = {axes.names.get(what): what for what in NAMES}
    attrs = {
        "latitude": {"standard_name": "latitude", "units": "degrees_north"},
        "longitude": {"standard_name": "longitude", "units": "degrees_east"},
        "time": {"standard_name": "time"},
    }
    for name, value in attrs.get(kinds.get(key, ""), {}).items():
        variable.attrs.setdefault(name, value)
    return variable


def data_attrs(template: xr.DataArray, usual: Mapping[str, str]) -> dict[Hashable, Any]:
    """Attributes of the input that hold for the result, with `usual` attributes where it has none."""
    kept = attributes_of_values(template)
    return {**{key: value for key, value in usual.items() if not kept.get(key)}, **kept}


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


def interval_attrs(attrs: Mapping[Hashable, Any], name: str, side: str, interval: str) -> dict[Hashable, Any]:
    """Attributes of a bound of the intervals of a variable with `attrs`."""
    result: dict[Hashable, Any] = {"long_name": f"{side} bound of the interval of {attrs.get('long_name') or name}"}
    if "units" in attrs:
        result["units"] = attrs["units"]
    return result | {"comment": f"interval: {interval}; equal to the value where it was observed"}


def status_attrs(attrs: Mapping[Hashable, Any], name: str) -> dict[Hashable, Any]:
    """Attributes of the int8 status of a variable with `attrs`."""
    return {
        "long_name": f"status of {attrs.get('long_name') or name}",
        "standard_name": "status_flag",
        "flag_values": np.arange(len(STATUS), dtype=np.int8),
        "flag_meanings": " ".join(STATUS),
    }


def support_attrs(attrs: Mapping[Hashable, Any], name: str) -> dict[Hashable, Any]:
    """Attributes of the support of a variable with `attrs`."""
    return {
        "long_name": f"share of filled {attrs.get('long_name') or name} that comes from observations",
        "units": "1",
        "comment": "1 - spread^2 / prior spread^2; 1 where the value was observed, 0 where the prior alone speaks",
    }


def with_ancillary(attrs: Mapping[Hashable, Any], names: list[str]) -> dict[Hashable, Any]:
    """Return `attrs` with further ancillary variables."""
    known = listed(attrs.get("ancillary_variables", ""))
    return dict(attrs) | {"ancillary_variables": " ".join([*known, *(name for name in names if name not in known)])}
