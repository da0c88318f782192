"""Reads tables of in-situ samples: the meaning of their columns, their errors, their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import axes as cf
from xgapfill.inputs.dates import dates_of
from xgapfill.inputs.errors import check_errors
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.warn import warn
from xgapfill.lattice.observations import MOST, Samples, combined
from xgapfill.variables import Given, Variable, known
from xgapfill.variables.units import units_of

VALUE, ERROR = "value", "error"


@dataclass(frozen=True)
class _Table:
    """Columns of a table with their attributes, the positions of the rows, and the number of rows without position."""

    columns: Mapping[str, NDArray[Any]]
    attrs: Mapping[str, Mapping[str, Any]]
    time: NDArray[Any] | None
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    nowhere: int = 0

    def numbers(self, name: str) -> NDArray[np.float64]:
        """One column as numbers."""
        return _numbers(self.columns[name], name)


def read_samples(given: Any, maps: Sequence[Quantity], channels: Sequence[str]) -> Samples | None:
    """Read in-situ samples and put them on the lattice of the target; None if no sample lies on it.

    Parameters
    ----------
    given : DataFrame or Dataset
        As described in `xgapfill.repaint`.
    maps : sequence of Quantity
        The target, then its predictors.
    channels : sequence of str
        Channels of the method: samples of other channels are not used.

    Raises
    ------
    TypeError
        `given` is not a table.
    ValueError
        Columns are missing or ambiguous, or values or errors are impossible.
    """
    table, grid = _table(given, timed=maps[0].grid.calendar != "none"), maps[0].grid
    found: list[tuple[NDArray, ...]] = []
    whole = np.full(table.lat.size, np.nan, np.float32)
    kind = maps[0].variable.whole
    # the whole comes first: parts in its units are divided by it
    columns = sorted(_columns(table, maps).items(), key=lambda item: kind is None or item[0].channels != kind.channels)
    for variable, names in columns:
        values, observed, variances = _encoded(table, variable, names, whole, maps[0])
        if kind is not None and variable.channels == kind.channels:
            whole = np.where(observed[0], kind().decode_draw(values, Given(values))[0], whole)
        for number, channel in enumerate(variable.channels):
            if channel in channels:
                at = np.flatnonzero(observed[number])
                numbers = np.full(at.size, list(channels).index(channel))
                found.append((at, numbers, values[number, at], variances[number, at]))
    if not found:
        raise ValueError(
            f"{maps[0].label} is filled from {', '.join(channels)}; insitu has a column for none of these channels"
        )
    which, numbers, values, variances = (np.concatenate(part) for part in zip(*found, strict=True))
    places = np.column_stack(grid.places(None if table.time is None else dates_of(table.time), table.lat, table.lon))
    there = grid.index_cols(places[:, 2]) >= 0
    for place, held in zip(places.T, (grid.slots, grid.rows), strict=False):
        there &= (place >= min(held)) & (place <= max(held))
    used = np.unique(which)
    _warn_of_missing(table, used.size)
    if outside := int(np.count_nonzero(~there[used])):
        warn(f"{outside} of {used.size} in-situ samples lie outside the times or the region of {maps[0].label}")
    which, numbers, values, variances = (part[there[which]] for part in (which, numbers, values, variances))
    return combined(numbers, places[which], values, variances, grid.ncols) if which.size else None


def _warn_of_missing(table: _Table, used: int) -> None:
    """Warn of rows of a table that are not used, with the reasons."""
    reasons = {"a date, a latitude or a longitude": table.nowhere, "a value that is used": table.lat.size - used}
    said = [f"{count} without {what}" for what, count in reasons.items() if count]
    if said:
        rows = table.lat.size + table.nowhere
        warn(f"{sum(reasons.values())} of the {rows} rows of insitu are left out: {', '.join(said)}")


def _table(given: Any, timed: bool) -> _Table:
    """A DataFrame, or a Dataset with one or more dimensions of samples, as columns without missing positions."""
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
    nowhere = int(np.count_nonzero(~keep))
    lat, lon = (part[keep] for part in numbers)
    return _Table(held, attrs, None if time is None else time[keep], lat, lon, nowhere)


def _without_classes(ds: xr.Dataset) -> xr.Dataset:
    """Split variables along a labelled dimension of parts into one variable per part."""
    variables = dict(ds.data_vars)
    for name, each in ds.data_vars.items():
        labelled = {dim: found for dim in each.dims if (found := cf.parts_along(each, dim)) is not None}
        for dim, (kind, parts) in labelled.items():
            del variables[name]
            suffix = f"_{ERROR}" if str(name).endswith(ERROR) else ""
            for number, part in enumerate(parts):
                variables[kind.part_names[part] + suffix] = each.isel({dim: number}, drop=True)
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
        f"insitu has no column of {what}; name it {cf.NAMES[what][0]!r}. Its columns: {', '.join(frame.columns)}"
    )


def _numbers(column: NDArray[Any], name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(pd.to_numeric(column), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {name!r} of insitu must be numbers: {error}") from None


def _dates(column: pd.Series) -> NDArray[Any]:
    """Dates or ISO 8601 text as datetime64 without time zone (UTC); dates of other calendars stay unchanged."""
    if any(hasattr(date, "dayofyr") for date in column[:1]):
        return column.to_numpy()
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601").dt.tz_localize(None).to_numpy("M8[ns]")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {column.name!r} of insitu must be dates: {error}") from None


def _columns(table: _Table, maps: Sequence[Quantity]) -> dict[Variable, list[str | None]]:
    """Variables of the table, and the column of each of their parts (None if the part has no column)."""
    target, first = maps[0].variable, maps[0].arrays[0].name
    names = [name for name in table.columns if name != ERROR and not name.endswith(f"_{ERROR}")]
    own = [name for name in (str(first), VALUE) if name in names][:1] if target.parts == 1 else []
    found: dict[Variable, list[str | None]] = {}
    if own:
        found[_in_units(target, own, table, maps, target.alone)] = list(own)
    preferred = [str(array.name) for each in maps for array in each.arrays]
    described = [each.variable for each in maps if type(each.variable) not in known()]
    kinds: list[Variable | type[Variable]] = [*known(), *described]
    for kind in kinds:
        if own and kind in (target, type(target)):
            continue
        parts = _columns_of(kind, [name for name in names if name not in own], table, preferred)
        there = [part for part in parts if part is not None]
        if not there:
            continue
        if not kind.part_names or len(there) > 1:
            found[_in_units(kind, there, table, maps, None)] = parts
        elif kind is type(target) and target.alone is not None and parts[target.alone] is not None:
            found[_in_units(kind, there, table, maps, target.alone)] = [parts[target.alone]]
        elif kind in (target, type(target)):
            raise ValueError(f"expected two or more parts of {kind.name} in insitu; found only {there[0]!r}")
    if not found:
        wanted = first if target.parts == 1 else ", ".join(target.part_names)
        raise ValueError(f"insitu has no column of values; name it {wanted!r}. Its columns: {', '.join(table.columns)}")
    return found


def _columns_of(
    kind: Variable | type[Variable], names: Sequence[str], table: _Table, preferred: Sequence[str]
) -> list[str | None]:
    """The column of each part of a variable; None if the table has no such column."""
    held: list[list[str]] = [[] for _ in range(max(1, len(kind.part_names)))]
    for name in names:
        part = 0 if name.lower() in kind.sample_names else kind.part_of(name, table.attrs.get(name, {}))
        if part is not None:
            held[part].append(name)
    labels = kind.part_names or (kind.name,)
    return [_only(columns, label, preferred) for columns, label in zip(held, labels, strict=True)]


def _only(names: list[str], what: str, preferred: Sequence[str] = ()) -> str | None:
    """The only name, or the name of a map; ValueError if several names remain."""
    chosen = [name for name in names if name in preferred] if len(names) > 1 else names
    if len(chosen) > 1 or (names and not chosen):
        raise ValueError(f"insitu has several columns of {what}: {', '.join(names)}; keep one")
    return chosen[0] if chosen else None


def _in_units(
    kind: Variable | type[Variable],
    names: Sequence[str],
    table: _Table,
    maps: Sequence[Quantity],
    alone: int | None,
) -> Variable:
    """A variable in the units of its columns, else in those of its map, else in its default units."""
    attrs = [table.attrs.get(name, {}) for name in names]
    if isinstance(kind, Variable):
        usual = kind
    else:
        usual = next((each.variable for each in maps if type(each.variable) is kind), kind())
    if any(units_of(each) is not None for each in attrs):
        said = {usual.in_units(each, name) for each, name in zip(attrs, names, strict=True)}
        if len(said) > 1:
            raise ValueError(f"the columns {', '.join(names)} of insitu have different units; convert them to the same")
        usual = said.pop()
    return usual.only(alone)


def _encoded(
    table: _Table, variable: Variable, names: Sequence[str | None], whole: NDArray, target: Quantity
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Channels of columns, a mask where they are known, and the variances of their errors, (c, n) each."""
    missing = np.full(table.lat.size, np.nan)
    raw = np.stack([missing if name is None else table.numbers(name) for name in names])
    label = ", ".join(name for name in names if name)
    invalid = variable.possible(raw)[1]
    if invalid.any():
        raise ValueError(
            f"{np.count_nonzero(invalid)} values of the in-situ {label} are impossible, such as "
            f"{raw[invalid][0]:.4g}; expected: {variable.wanted}"
        )
    encoded = variable.encode(raw, whole)
    general = ERROR if variable.channels == target.variable.channels and ERROR in table.columns else None
    errors = []
    for name, values in zip(names, raw, strict=True):
        column = f"{name}_{ERROR}" if f"{name}_{ERROR}" in table.columns else general
        error = missing
        if column is not None and name is not None:
            units = variable.error_units(table.attrs.get(column, {}), column)
            error = units.absolute(table.numbers(column), values)
            check_errors(error, f"the column {column!r} of insitu")
        errors.append(error)
    error = np.where(np.isnan(errors), variable.usual_error(raw), errors)
    return encoded.values, encoded.observed, np.nan_to_num(variable.error_variance(raw, error), nan=MOST, posinf=MOST)
