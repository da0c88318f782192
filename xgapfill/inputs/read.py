"""Turns xarray objects into sources, addresses and variables; checks them at the call without loading them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xgapfill.blocks.inputs import looking_once
from xgapfill.blocks.source import Source, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.dates import dates_of, said_step, step_of
from xgapfill.inputs.warn import warn
from xgapfill.lattice.calendars import Dates, Step, guess
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.times import times
from xgapfill.variables import SizeClasses, Variable, known, recognise
from xgapfill.variables.composition import AnyComposition, composition_of
from xgapfill.variables.registry import part_named


@dataclass(frozen=True)
class Place:
    """Origin of a part of a variable: number of its array, index along the class dimension (None without one)."""

    array: int
    index: int | None


@dataclass(frozen=True)
class Quantity:
    """The user's arrays of one variable: one array, or the three size classes.

    Attributes
    ----------
    arrays : tuple of DataArray
        The user's arrays; results have their form.
    axes : tuple of Axes
        Of each array.
    class_dim : hashable or None
        Dimension of the size classes.
    variable : Variable
    places : tuple of Place
        Of each part of the variable, in its order.
    sources : tuple of Source
        Of each part of the variable.
    grids : tuple of Grid
        Of each array.
    step : Step or None
        Prescribed time step.
    """

    arrays: tuple[xr.DataArray, ...]
    axes: tuple[cf.Axes, ...]
    class_dim: Hashable | None
    variable: Variable
    places: tuple[Place, ...]
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]
    step: Step | None = None

    @property
    def grid(self) -> Grid:
        """Addresses of the first array."""
        return self.grids[0]

    @property
    def label(self) -> str:
        """Names of the variables, for messages and the history."""
        names = [str(array.name) for array in self.arrays if array.name is not None]
        return names[0] if len(names) == 1 else f"[{', '.join(names)}]" if names else "an unnamed variable"

    @property
    def in_memory(self) -> bool:
        """Whether all values are in memory."""
        return all(array.variable._in_memory and array.chunks is None for array in self.arrays)

    def source_grids(self) -> list[Grid]:
        """Addresses of each source."""
        return [self.grids[place.array] for place in self.places]


def read(
    given: xr.DataArray | Sequence[xr.DataArray],
    size_class: str | None = None,
    like: Grid | None = None,
    time_step: Any = None,
    transform: Any = None,
    predictor: bool = False,
) -> Quantity:
    """Recognise one variable, a variable with a dimension of size classes, or three variables that are size classes.

    Parameters
    ----------
    given : DataArray or sequence of three
    size_class : {"micro", "nano", "pico"}, optional
        Size class of a variable without such a dimension whose name does not identify it.
    like : Grid, optional
        Grid that gives the steps where the coordinates are too few to determine them.
    time_step : number of days, str or timedelta, optional
        Distance between neighbouring maps where the dates do not determine it: ``"1D"``, ``"8D"``, ``"MS"``. A map
        with a single date and no metadata about its period gives a warning.
    transform : optional
        Transform of a variable that is not known, see `xgapfill.variables.generic.declared`.
    predictor : bool
        Whether it is a predictor, which may be unknown.

    Raises
    ------
    TypeError
        An input is not a DataArray of floating dtype.
    ValueError
        Coordinates, classes, names or units cannot be read.
    """
    arrays = tuple(plain(array) for array in ((given,) if isinstance(given, xr.DataArray) else given))
    axes, step = tuple(cf.find_axes(array) for array in arrays), step_of(time_step)
    grids = tuple(grid_of(array, each, like, step) for array, each in zip(arrays, axes, strict=True))
    class_dim: Hashable | None = None
    if len(arrays) == 1:
        variable, order, class_dim = _one(arrays[0], axes[0], size_class, transform, predictor)
        places = [Place(0, index) for index in order] if class_dim is not None else [Place(0, None)]
    else:
        variable, order = _several(arrays, axes)
        check_together(arrays, grids)
        places = [Place(index, None) for index in order]
    sources = []
    with looking_once():
        for place in places:
            at = {} if place.index is None or class_dim is None else {class_dim: place.index}
            sources.append(source_of(arrays[place.array].variable, axes[place.array].dims, at))
    return Quantity(arrays, axes, class_dim, variable, tuple(places), tuple(sources), grids, step)


def plain(array: Any) -> xr.DataArray:
    """Return a DataArray of numpy, dask or a file, with the units of a pint quantity as an attribute.

    Raises
    ------
    TypeError
        The input is not a DataArray, its dtype is not floating, or it is of another array library.
    """
    _check_kind(array)
    found: xr.DataArray = array
    data = found.variable._data
    if hasattr(data, "magnitude") and hasattr(data, "units"):
        return plain(found.copy(data=data.magnitude).assign_attrs(units=str(data.units)))
    if isinstance(data, np.ndarray) or found.chunks is not None or not hasattr(data, "__array_function__"):
        return found
    kind = type(data)
    raise TypeError(
        f"{array.name!r} holds {kind.__module__.partition('.')[0]}.{kind.__name__}, expected numpy, dask or pint; "
        "convert it with .as_numpy()"
    )


def _check_kind(array: Any) -> None:
    if not isinstance(array, xr.DataArray):
        raise TypeError(
            f"expected a DataArray, such as ds.CHL; found {type(array).__name__}. To pass names use ds.gapfill"
        )
    dtype = array.dtype
    if dtype.kind == "f":
        return
    codes = "whole numbers are codes or packed values: decode them (mask_and_scale) or use .astype('float32')"
    advice = {
        "i": codes,
        "u": codes,
        "b": "a mask is not a field",
        "O": "objects are not numbers: convert with .astype('float32')",
    }.get(dtype.kind, "convert with .astype('float32')")
    raise TypeError(f"{array.name!r} must have a floating dtype, found {dtype}; {advice}")


def grid_of(array: xr.DataArray, axes: cf.Axes, like: Grid | None, step: Step | None = None) -> Grid:
    """Addresses of an array; a ValueError names the array."""
    name = axes.names.get("time")
    time = None if name is None else array.coords[name].values
    if time is not None and np.ndim(time) == 0 and axes.time is None and np.asarray(time).dtype.kind not in "MO":
        time = None  # a scalar named t that is no date
    lat, lon = (cf.degrees(array, axes, what) for what in ("latitude", "longitude"))
    try:
        dates = None if time is None else dates_of(time, array.coords[name].attrs)
        if dates is not None and dates.days.size == 1 and like is None and step is None:
            step = said_step(array, name)
            if step is None:
                _warn_of_guess(array, dates)
        if dates is not None and dates.days.size > 1 and like is None and (doubt := times(dates, step=step).doubt):
            warn(f"time of {array.name!r}: {doubt}")
        return Grid.of(dates, lat, lon, like=like, step=step)
    except ValueError as error:
        raise ValueError(f"{array.name!r}: {error}") from None


def _warn_of_guess(array: xr.DataArray, dates: Dates) -> None:
    taken = "an 8-day composite" if guess(dates) == "8day" else "a day"
    date = f"{dates.year[0]}-{dates.month[0]:02d}-{dates.day[0]:02d}"
    words = "time_step='1D' (a day), time_step='8D' (an 8-day composite) or time_step='MS' (a month)"
    warn(
        f"the period of the only map of {array.name!r} is not stated; dated {date}, it is taken for {taken}. "
        f"Set {words}"
    )


def _one(
    array: xr.DataArray, axes: cf.Axes, size_class: str | None, transform: Any, predictor: bool
) -> tuple[Variable, tuple[int, ...], Hashable | None]:
    """Variable of a single array, the index of each part along the dimension of parts, and this dimension."""
    said = _part_said(size_class)
    name = "" if array.name is None else str(array.name)
    if not axes.others:
        if said is not None and transform is None:
            return said[0].of(array.attrs, name).only(said[1]), (), None
        label = cf.part_here(array)
        return recognise(name, array.attrs, transform=transform, label=label, predictor=predictor), (), None
    if transform is not None:
        raise ValueError(
            f"transform={transform!r} is for a variable of one part; {name!r} has the dimensions {array.dims}"
        )
    labelled = {dim: along for dim in axes.others if (along := cf.parts_along(array, dim)) is not None}
    if len(axes.others) > 1 or not labelled:
        dim = next((dim for dim in axes.others if dim not in labelled), axes.others[0])
        parts_here = composition_of(cf.labels_along(array, dim), name, array.attrs) if len(axes.others) == 1 else None
        if parts_here is not None:
            return parts_here, tuple(range(parts_here.parts)), dim
        raise ValueError(_of_another_dimension(array, dim))
    ((dim, (kind, parts)),) = labelled.items()
    labels = [kind.part_names[part] for part in parts]
    if said is not None and (len(parts) > 1 or said != (kind, parts[0])):
        raise ValueError(f"size_class={size_class!r} is for a single class; {name!r} has {labels} along {dim!r}")
    variable = kind.of(array.attrs, name)
    if len(parts) == 1:
        return variable.only(parts[0]), (0,), dim
    if sorted(parts) != list(range(len(kind.part_names))):
        raise ValueError(
            f"expected each of {kind.part_names} once, or one of them, along {dim!r}; {name!r} has {labels}"
        )
    return variable, tuple(parts.index(part) for part in range(len(parts))), dim


def _of_another_dimension(array: xr.DataArray, dim: Hashable) -> str:
    """What is wrong with a dimension besides time, latitude and longitude, and what to do."""
    size, found = (
        array.sizes[dim],
        f"{array.name!r} has the dimension {dim!r} ({array.sizes[dim]}) besides time, latitude and longitude",
    )
    if size == 1:
        return f"{found}; drop it, with .squeeze({dim!r})"
    labels = list(SizeClasses.part_names)
    label = f", or label it: .assign_coords({dim}={labels!r})" if size == len(labels) else ""
    return (
        f"{found}, and no coordinate along it names the size classes {', '.join(labels)}, types of phytoplankton or "
        f"other fractions that sum to 1. Select along it with .isel({dim}=0){label}"
    )


def _several(arrays: tuple[xr.DataArray, ...], axes: tuple[cf.Axes, ...]) -> tuple[Variable, tuple[int, ...]]:
    """Variable of several arrays, and for each of its parts the number of its array."""
    found = []
    for array, each in zip(arrays, axes, strict=True):
        if each.others:
            raise ValueError(
                f"expected only time, lat and lon for arrays of a list; {array.name!r} has the dimensions {array.dims}"
            )
        found.append(part_named(str(array.name), array.attrs) or cf.part_here(array))
    kinds, parts = {each[0] for each in found if each is not None}, [each[1] for each in found if each is not None]
    if not kinds and (made := _composition(arrays)) is not None:
        return made, tuple(range(made.parts))
    wanted = next(iter(kinds)) if len(kinds) == 1 else SizeClasses
    if len(kinds) != 1 or len(parts) < len(arrays) or sorted(parts) != list(range(len(wanted.part_names))):
        raise ValueError(
            f"a list must be the {len(wanted.part_names)} parts {', '.join(wanted.part_names)} of {wanted.name}, "
            f"recognised by their names, or types of phytoplankton, or fractions that sum to 1; found "
            f"{[str(array.name) for array in arrays]}. Fill other variables one by one"
        )
    variables = {wanted.of(array.attrs, str(array.name)) for array in arrays}
    if len(variables) > 1:
        units = {str(array.name): array.attrs.get("units") for array in arrays}
        raise ValueError(f"the parts of {wanted.name} have different units, {units}; convert them to the same")
    return variables.pop(), tuple(parts.index(part) for part in range(len(parts)))


def _composition(arrays: Sequence[xr.DataArray]) -> AnyComposition | None:
    """The composition of several arrays in the same units; None if they are none."""
    made = [composition_of([str(each.name) for each in arrays], "", array.attrs) for array in arrays]
    return made[0] if len(set(made)) == 1 else None


def _part_said(size_class: str | None) -> tuple[type[Variable], int] | None:
    if size_class is None:
        return None
    for kind in known():
        if size_class in kind.part_names:
            return kind, kind.part_names.index(size_class)
    labels = [label for kind in known() for label in kind.part_names]
    raise ValueError(f"size_class must be one of {', '.join(labels)}, found {size_class!r}")


def check_together(arrays: Sequence[xr.DataArray], grids: Sequence[Grid]) -> None:
    """Raise ValueError where the coordinates of arrays differ from those of the first."""
    first = grids[0]
    for array, grid in zip(arrays[1:], grids[1:], strict=True):
        if grid.same_places(first):
            continue
        what = "times"
        if not grid.same_lattice(first) and (grid.ncols, grid.phases[1:]) != (first.ncols, first.phases[1:]):
            what = "grids"
        elif set(grid.rows) != set(first.rows) or set(grid.cols) != set(first.cols):
            what = "latitudes or longitudes"
        raise ValueError(
            f"{arrays[0].name!r} {extent(first)} and {array.name!r} {extent(grid)} have different {what}; align them "
            "first with xr.align, .reindex, .sel or .interp"
        )


def extent(grid: Grid) -> str:
    """Sizes and ranges of the coordinates, for messages; longitudes as degrees W or E, whatever their origin."""
    lat, lon = grid.lat_of([min(grid.rows), max(grid.rows)]), grid.lon_of([grid.cols[0], grid.cols[-1]])
    west, east = (f"{abs(turn):.5g} {'W' if turn < 0 else 'E'}" for turn in (lon + 180) % 360 - 180)
    t, y, x = grid.shape
    return (
        f"({t} times of {grid.calendar} calendar; {y} latitudes {lat[0]:.5g} to {lat[1]:.5g} by {grid.steps[1]:.4g}; "
        f"{x} longitudes {west} to {east} by {grid.steps[2]:.4g})"
    )
