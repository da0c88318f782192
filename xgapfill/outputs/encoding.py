"""Encodings of results, and their attributes that depend on the file of the input: packing, ranges, named variables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

# Encodings that a coordinate keeps: its values are those of the input. Chunks and compression depend on the file.
_OF_VALUES = ("dtype", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
_OF_DATES = ("units", "calendar")
_CHECKED = 2**20  # values; a larger coordinate is written without packing instead of being tested
# Attributes that name other variables; a mapping of names: "area: cell_area".
_NAMING = ("ancillary_variables", "bounds", "climatology", "grid_mapping", "coordinates", "geometry")
_NAMING_BY_KEY = ("cell_measures", "formula_terms")
NAMING = (*_NAMING, *_NAMING_BY_KEY)
_RANGES = ("valid_min", "valid_max", "valid_range")
# Attributes of the file or of the values of the input, wrong for the result.
_OF_INPUT = ("actual_range", "_ChunkSizes", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")


def coordinate_encoding(variable: xr.Variable, name: Hashable) -> dict[Hashable, Any]:
    """Encoding with which a coordinate is written: that of the input, packing included, where it keeps the values.

    Coordinates along their own dimension have no missing values, so CF allows them no fill value.
    """
    kept: dict[Hashable, Any] = {
        key: variable.encoding[key] for key in (*_OF_VALUES, *_OF_DATES) if key in variable.encoding
    }
    if variable._in_memory:  # else the values are those of the file, which fit its encoding
        dates: dict[Hashable, Any] = {key: kept[key] for key in _OF_DATES if key in kept}
        trials = [dates] if variable.size > _CHECKED else [kept, dates]
        kept = next((each for each in trials if each and _fits(variable, each)), {})
    if variable.dims == (name,) and not _is_packed(kept) and variable.dtype.kind in "fmMO":
        kept = {key: each for key, each in kept.items() if key != "missing_value"} | {"_FillValue": None}
    return kept


def _fits(variable: xr.Variable, encoding: Mapping[Hashable, Any]) -> bool:
    """Whether a variable that is written with an encoding reads as before."""
    trial = xr.Variable(variable.dims, variable.values, variable.attrs, dict(encoding))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            written = xr.conventions.encode_cf_variable(trial)
            read = xr.conventions.decode_cf_variable("coordinate", written, use_cftime=variable.dtype.kind == "O")
            return bool(np.array_equal(read.values, variable.values, equal_nan=variable.dtype.kind in "fmM"))
        except Exception:  # encoders raise errors of all kinds
            return False


def kept_encoding(template: xr.DataArray) -> dict[Hashable, Any]:
    """Encoding that fits the result: floating dtype and fill value; no chunks, no packing."""
    given = template.encoding
    encoding: dict[Hashable, Any] = {}
    if not _is_packed(given) and given.get("dtype") is not None:
        dtype = np.dtype(given["dtype"])
        if dtype.kind == "f" and dtype.itemsize >= template.dtype.itemsize:
            encoding["dtype"] = dtype
            if "_FillValue" in given:
                encoding["_FillValue"] = given["_FillValue"]
    named = given.get("grid_mapping")
    if named is not None and names_in("grid_mapping", named) <= set(map(str, template.coords)):
        encoding["grid_mapping"] = named
    return encoding


def attributes_of_values(array: xr.DataArray) -> dict[Hashable, Any]:
    """Attributes of an array that hold for values without packing, whatever variables lie beside them.

    A valid range counts packed values where the input is packed, or where it is of whole numbers and the input was
    packed once: readers would mask most of the result.
    """
    attrs = {key: value for key, value in array.attrs.items() if key not in _OF_INPUT}
    unpacked = np.dtype(array.encoding.get("dtype") or "O").kind == "f" and not _is_packed(array.encoding)
    for key in _RANGES:
        if key not in attrs:
            continue
        limits = np.asarray(attrs[key])
        if limits.dtype.kind not in "fiu" or not (unpacked or (limits.dtype.kind == "f" and not array.encoding)):
            del attrs[key]
        else:
            typed = limits.astype(array.dtype.newbyteorder("="))
            attrs[key] = typed if typed.ndim else typed[()]
    return without_dangling(attrs, array.coords)


def without_dangling(attrs: Mapping[Hashable, Any], present: Collection[Hashable]) -> dict[Hashable, Any]:
    """Attributes without those that name variables which are not written beside them."""
    known = {str(name) for name in present}
    kept = dict(attrs)
    for key in NAMING:
        if key not in kept:
            continue
        if key in ("ancillary_variables", "coordinates"):
            names = [name for name in listed(kept.pop(key)) if name in known]
            if names:
                kept[key] = " ".join(names)
        elif not (names_in(key, kept[key]) or {""}) <= known:
            del kept[key]
    return kept


def with_related(result: xr.Dataset, ds: xr.Dataset, targets: Sequence[xr.DataArray]) -> xr.Dataset:
    """Add to a result the bounds and the grid mapping that `ds` has beside its targets, and the attributes for them."""
    for source in (each for target in targets for each in (target, *target.coords.values())):
        if source.name not in result.variables:
            continue
        for key in ("bounds", "climatology", "grid_mapping"):
            value = source.attrs.get(key, source.encoding.get(key))
            names = set() if value is None else names_in(key, value)
            if not names or not all(name in ds.variables and _goes_with(ds[name], source) for name in names):
                continue
            copies = {name: ds.variables[name].copy(deep=False) for name in names if name not in result.variables}
            for name, copy in copies.items():
                copy.encoding = coordinate_encoding(copy, name)
            result = result.assign_coords(copies)
            result[source.name].attrs.pop(key, None)
            result[source.name].encoding[key] = value
    return result


def _goes_with(variable: xr.DataArray, source: xr.DataArray) -> bool:
    """Whether a variable is a grid mapping, or the bounds of a coordinate: one more dimension, of edges."""
    return variable.ndim == 0 or variable.dims[:-1] == source.dims


def names_in(key: str, value: Any) -> set[str]:
    """Names of the variables that an attribute names."""
    words = listed(value)
    if key in _NAMING_BY_KEY:
        return {word for word in words if not word.endswith(":")}
    return {word.rstrip(":") for word in words}


def listed(value: Any) -> list[str]:
    """Names in an attribute: text, or a sequence of texts; an empty one has none."""
    texts = [value] if isinstance(value, str) else [str(each) for each in np.ravel(value)]
    return [word for text in texts for word in re.split(r"[\s,]+", text.strip("[]() \t\n")) if word]


def _is_packed(encoding: Mapping[Any, Any]) -> bool:
    dtype = encoding.get("dtype")
    whole = dtype is not None and np.dtype(dtype).kind in "iu"
    return whole or any(encoding.get(key) is not None for key in ("scale_factor", "add_offset"))
