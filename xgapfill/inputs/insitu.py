"""Reads tables of samples taken in the water: which columns are what, how much they err, where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import axes as cf
from xgapfill.inputs.errors import check_errors, error_units
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.warn import warn
from xgapfill.lattice.observations import MOST, Samples, combined
from xgapfill.variables import (
    CLASSES,
    Chlorophyll,
    Family,
    SizeClasses,
    Temperature,
    class_alone,
    recognise,
    size_classes,
)
from xgapfill.variables.chlorophyll import is_chlorophyll
from xgapfill.variables.temperature import is_temperature

VALUE, ERROR = "value", "error"
_PIGMENT_NAMES = ("tchl", "tchla", "tchl_a", "total_chl_a")


@dataclass(frozen=True)
class _Table:
    """Columns of a table, the attributes of each, and where the places stand."""

    columns: Mapping[str, NDArray[Any]]
    attrs: Mapping[str, Mapping[str, Any]]
    time: NDArray[Any] | None
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """One column as numbers."""
        return _numbers(self.columns[name], name)


def read_samples(given: Any, maps: Sequence[Quantity], channels: Sequence[str]) -> Samples | None:
    """Read samples taken in the water and put them on the lattice of what is filled; None where none lies on it.

    Parameters
    ----------
    given : DataFrame or Dataset
        As described in `xgapfill.repaint`.
    maps : sequence of Quantity
        What is filled, then its conditions.
    channels : sequence of str
        Channels of the method: samples of others are not used.

    Raises
    ------
    TypeError
        `given` is no table.
    ValueError
        Columns are missing or ambiguous, values or errors impossible.
    """
    table, grid = _table(given, timed=maps[0].grid.calendar != "none"), maps[0].grid
    known: list[tuple[NDArray, ...]] = []
    chl = np.full(table.lat.size, np.nan, np.float32)
    # chlorophyll first: classes in mg m-3 are shares of it
    for family, names in sorted(_columns(table, maps).items(), key=lambda item: isinstance(item[0], SizeClasses)):
        values, observed, variances = _encoded(table, family, names, chl, maps[0])
        if isinstance(family, Chlorophyll):
            chl = np.where(observed[0], np.float32(10) ** values[0], chl)
        for number, channel in enumerate(family.channels):
            if channel in channels:
                at = np.flatnonzero(observed[number])
                numbers = np.full(at.size, list(channels).index(channel))
                known.append((at, numbers, values[number, at], variances[number, at]))
    if not known:
        raise ValueError(f"insitu has none of {', '.join(channels)}, which {maps[0].label} is filled from")
    which, numbers, values, variances = (np.concatenate(part) for part in zip(*known, strict=True))
    places = np.column_stack(grid.places(table.time, table.lat, table.lon))
    there = grid.index_cols(places[:, 2]) >= 0
    for place, held in zip(places.T, (grid.slots, grid.rows), strict=False):
        there &= (place >= min(held)) & (place <= max(held))
    used = np.unique(which)
    if outside := int(np.count_nonzero(~there[used])):
        warn(f"{outside} of {used.size} in-situ samples lie outside of the times or the region of {maps[0].label}")
    which, numbers, values, variances = (part[there[which]] for part in (which, numbers, values, variances))
    return combined(numbers, places[which], values, variances, grid.ncols) if which.size else None


def _table(given: Any, timed: bool) -> _Table:
    """A DataFrame, or a Dataset with one or more dimensions of samples, as columns without missing places."""
    attrs: dict[str, Mapping[str, Any]] = {}
    if isinstance(given, xr.Dataset):
        given = _without_classes(given)
        attrs = {str(name): dict(each.attrs) for name, each in given.variables.items()}
        given = given.to_dataframe()
    elif not isinstance(given, pd.DataFrame):
        raise TypeError(f"insitu must be a pandas DataFrame or an xarray Dataset, found {type(given).__name__}")
    frame = given.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    places = {what: _place(frame, attrs, what) for what in cf.NAMES if timed or what != "time"}
    numbers = [_numbers(frame[places[what]].to_numpy(), what) for what in ("latitude", "longitude")]
    keep = np.isfinite(numbers).all(axis=0)
    time = _dates(frame[places["time"]]) if timed else None
    if time is not None:
        keep &= ~pd.isna(time)
    if (np.abs(numbers[0][keep]) > 90).any():
        raise ValueError(f"insitu has latitudes beyond 90 degrees in its column {places['latitude']!r}")
    held = {name: frame[name].to_numpy()[keep] for name in frame.columns if name not in places.values()}
    return _Table(held, attrs, None if time is None else time[keep], numbers[0][keep], numbers[1][keep])


def _without_classes(ds: xr.Dataset) -> xr.Dataset:
    """Variables along a labelled dimension of size classes become one variable a class."""
    variables = dict(ds.data_vars)
    for name, each in ds.data_vars.items():
        labelled = {dim: found for dim in each.dims if (found := cf.classes_along(each, dim)) is not None}
        for dim, classes in labelled.items():
            del variables[name]
            suffix = f"_{ERROR}" if str(name).endswith(ERROR) else ""
            for number, index in enumerate(classes):
                variables[CLASSES[index] + suffix] = each.isel({dim: number}, drop=True)
    return xr.Dataset(variables)


def _place(frame: pd.DataFrame, attrs: Mapping[str, Mapping[str, Any]], what: str) -> str:
    """Name of the column of times, latitudes or longitudes."""
    for name in frame.columns:
        if attrs.get(name, {}).get("standard_name") == what:
            return str(name)
    for name in frame.columns:
        if name.lower() in cf.NAMES[what]:
            return str(name)
    raise ValueError(
        f"insitu has no column of {what}: call it {cf.NAMES[what][0]!r}. Its columns: {', '.join(frame.columns)}"
    )


def _numbers(column: NDArray[Any], name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(pd.to_numeric(column), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {name!r} of insitu must be numbers: {error}") from None


def _dates(column: pd.Series) -> NDArray[Any]:
    """Dates or ISO 8601 text as datetime64 without time zone (UTC); dates of other calendars as they are."""
    if any(hasattr(date, "dayofyr") for date in column[:1]):
        return column.to_numpy()
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601").dt.tz_localize(None).to_numpy("M8[ns]")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {column.name!r} of insitu must be dates: {error}") from None


def _columns(table: _Table, maps: Sequence[Quantity]) -> dict[Family, list[str | None]]:
    """Quantities that the table holds, and the column of each of their parts (None: it has none)."""
    target, first = maps[0].family, maps[0].arrays[0].name
    names = [name for name in table.columns if name != ERROR and not name.endswith(f"_{ERROR}")]
    own = [name for name in (str(first), VALUE) if name in names][:1] if target.parts == 1 else []
    rest = [name for name in names if name not in own]
    found: dict[Family, list[str | None]] = {}
    if own:
        found[_family(own, table, maps, target)] = list(own)
    classes = {part: [n for n in rest if class_alone(n, table.attrs.get(n, {})) == part] for part in range(3)}
    parts = [_only(classes[part], CLASSES[part]) for part in range(3)]
    if not (own and isinstance(target, SizeClasses)) and any(parts):
        alone = target.alone if isinstance(target, SizeClasses) else None
        if alone is not None and parts[alone] and sum(part is not None for part in parts) == 1:
            found[_family([parts[alone]], table, maps, target)] = [parts[alone]]
        elif sum(part is not None for part in parts) > 1:
            found[_family([part for part in parts if part], table, maps, SizeClasses())] = parts
        elif isinstance(target, SizeClasses):
            raise ValueError(f"insitu has one size class, {', '.join(filter(None, parts))!r}; two or three are wanted")
    plain = (
        (Chlorophyll(), [n for n in rest if is_chlorophyll(n, table.attrs.get(n, {})) or n.lower() in _PIGMENT_NAMES]),
        (Temperature(), [n for n in rest if is_temperature(n, table.attrs.get(n, {}))]),
    )
    for usual, columns in plain:
        if columns and not (own and usual.channels == target.channels):
            name = _only(columns, usual.channels[0], [str(array.name) for each in maps for array in each.arrays])
            found[_family([name], table, maps, usual)] = [name]
    if not found:
        wanted = first if target.parts == 1 else ", ".join(CLASSES)
        raise ValueError(f"insitu has no column of values: call it {wanted!r}. Its columns: {', '.join(table.columns)}")
    return found


def _only(names: list[str], what: str, preferred: Sequence[str] = ()) -> str | None:
    """The only name, or that of a map; ValueError where there are several."""
    chosen = [name for name in names if name in preferred] if len(names) > 1 else names
    if len(chosen) > 1 or (names and not chosen):
        raise ValueError(f"insitu has several columns of {what}: {', '.join(names)}; leave one")
    return chosen[0] if chosen else None


def _family(names: Sequence[str | None], table: _Table, maps: Sequence[Quantity], usual: Family) -> Family:
    """What columns hold: as their units say, else as the maps of the same quantity, else as usual."""
    attrs = [table.attrs.get(str(name), {}) for name in names]
    alone = usual.alone if isinstance(usual, SizeClasses) else None
    if any(isinstance(each.get("units"), str) for each in attrs):
        if isinstance(usual, SizeClasses):
            return replace(size_classes(attrs), alone=alone)
        name = {Chlorophyll: "CHL", Temperature: "SST"}[type(usual)]
        return recognise(name, {"units": attrs[0]["units"]})
    for each in maps:
        if each.family.channels == usual.channels:
            return replace(each.family, alone=alone) if isinstance(each.family, SizeClasses) else each.family
    return usual


def _encoded(
    table: _Table, family: Family, names: Sequence[str | None], chl: NDArray, target: Quantity
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Channels of columns, where they are known, and the variances of their errors, (c, n) each."""
    missing = np.full(table.lat.size, np.nan)
    raw = np.stack([missing if name is None else table.numbers(name) for name in names])
    label = ", ".join(name for name in names if name)
    invalid = family.possible(raw)[1]
    if invalid.any():
        raise ValueError(
            f"{np.count_nonzero(invalid)} values of the in-situ {label} are impossible, as {raw[invalid][0]:.4g}; "
            f"wanted: {family.wanted}"
        )
    encoded = family.encode(raw, chl)
    general = ERROR if family.channels == target.family.channels and ERROR in table.columns else None
    errors = []
    for name, values in zip(names, raw, strict=True):
        column = f"{name}_{ERROR}" if f"{name}_{ERROR}" in table.columns else general
        error = missing
        if column is not None and name is not None:
            error = error_units(table.attrs.get(column, {}), column, family).absolute(table.numbers(column), values)
            check_errors(error, f"the column {column!r} of insitu")
        errors.append(error)
    error = np.where(np.isnan(errors), family.usual_error(raw), errors)
    return encoded.values, encoded.observed, np.nan_to_num(family.error_variance(raw, error), nan=MOST, posinf=MOST)
