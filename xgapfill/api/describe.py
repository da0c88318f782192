"""Describes how data are interpreted (variable, units, times, grid, sea mask, weights) without computing anything."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xgapfill.inputs import read as inputs
from xgapfill.inputs.axes import find_axes, westward
from xgapfill.inputs.sea import find_mask
from xgapfill.lattice.calendars import PARTS
from xgapfill.lattice.grid import Grid
from xgapfill.methods.repaint import Repaint


@dataclass(frozen=True)
class Description:
    """Rows of a table, displayed as text and as HTML.

    Attributes
    ----------
    title : str
    rows : mapping of str to str
    """

    title: str
    rows: Mapping[str, str]

    def __repr__(self) -> str:
        width = max((len(name) for name in self.rows), default=0)
        return "\n".join([self.title, *(f"    {name:{width}}  {text}" for name, text in self.rows.items())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td style='text-align:left'>{html.escape(text)}"
            "</td></tr>"
            for name, text in self.rows.items()
        )
        return f"<div><b>{html.escape(self.title)}</b><table>{rows}</table></div>"


def describe(da: xr.DataArray) -> Description:
    """Describe how a DataArray is interpreted, or why it cannot be filled.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> describe(ds.CHL).rows["variable"]
    'CHL, chlorophyll in mg m-3, filled as log10_chl'
    """
    title = f"<xgapfill: {'an unnamed variable' if da.name is None else da.name}>"
    try:
        quantity = inputs.read(da)
    except (TypeError, ValueError) as error:
        return Description(title, {"not filled": str(error)})
    variable = quantity.variable
    units = quantity.arrays[0].attrs.get("units", "no units")
    words = variable.known_as.partition(" (")[0] or variable.long_name or "an unknown variable"
    assumed = f"; {variable.assumed}" if variable.assumed else ""
    rows = {
        "variable": f"{quantity.label}, {words} in {units}, filled as {', '.join(variable.channels)}{assumed}",
        "times": _times(da, quantity.grid),
        "grid": _grid(da, quantity.grid),
        "sea": _sea(da),
        "weights": _weights(variable.channels),
        "values": _values(da),
    }
    return Description(title, rows)


def describe_dataset(ds: xr.Dataset) -> Description:
    """Describe how each variable of a Dataset is interpreted."""
    rows = {}
    parts = {name: set(da.attrs.get("ancillary_variables", "").split()) - {name} for name, da in ds.data_vars.items()}
    owners = {part: name for name in parts for part in parts[name]}
    for name, da in ds.data_vars.items():
        found = describe(da).rows
        why = f"it goes with {owners[name]}" if name in owners else found.get("not filled")
        rows[str(name)] = found["variable"] if name not in owners and "variable" in found else f"not filled: {why}"
    return Description("<xgapfill: Dataset>", rows)


def _times(da: xr.DataArray, grid: Grid) -> str:
    if grid.calendar == "none":
        return "a single map without time"
    stamps = np.ravel(da.coords[find_axes(da).names["time"]].values)
    days = f"{grid.step_days:g} day{'' if grid.step_days == 1 else 's'}"
    steps = "" if grid.calendar in PARTS else f", steps of {days}"  # parts of months differ in length
    return f"{stamps.size} from {str(min(stamps))[:10]} to {str(max(stamps))[:10]}, {grid.calendar} calendar{steps}"


def _grid(da: xr.DataArray, grid: Grid) -> str:
    lat = grid.lat_of(np.array([min(grid.rows), max(grid.rows)]))
    lon = westward(da, find_axes(da), grid.lon_of(np.array(grid.cols)[[0, -1]]))
    north, east = (float(step) for step in grid.step_km(np.mean(grid.rows)))
    return (
        f"{len(grid.rows)} latitudes {lat[0]:.4g} to {lat[1]:.4g} by {grid.steps[1]:.4g}, {len(grid.cols)} longitudes "
        f"{lon[0]:.4g} to {lon[1]:.4g} by {grid.steps[2]:.4g} degrees; pixels of {north:.3g} x {east:.3g} km"
    )


def _sea(da: xr.DataArray) -> str:
    mask = find_mask(da.coords, da)
    return "mask of the package, 0.1 degree" if mask is None else f"coordinate {mask.name!r}"


def _weights(channels: tuple[str, ...]) -> str:
    try:
        return f"{Repaint().default_weights(channels)!r} for repaint and posterior_mean"
    except ValueError:
        return "no shipped weights for this variable; background and the classical methods need none"


def _values(da: xr.DataArray) -> str:
    where = "dask" if da.chunks is not None else "memory" if da.variable._in_memory else "a file, lazily"
    return f"{dict(da.sizes)}, {da.dtype}, {da.nbytes / 1e6:.4g} MB in {where}"
