"""Reads the predictors of a target: any number of variables of any kind, on its lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from xgapfill.inputs.read import Quantity, extent, read
from xgapfill.inputs.warn import warn
from xgapfill.lattice.grid import Grid


def conditions(given: Any, target: Quantity) -> tuple[Quantity, ...]:
    """Read the predictors of the target: a DataArray, several, a Dataset, or none.

    A predictor has all pixels of the target, and all its dates or none; it may have more.

    Raises
    ------
    TypeError, ValueError
        One cannot be read, lies on another lattice, lacks pixels or dates of the target, or is given twice.
    """
    if given is None:
        return ()
    if isinstance(given, xr.Dataset):
        given = list(given.data_vars.values())
    listed = (given,) if isinstance(given, xr.DataArray) else tuple(given)
    found = tuple(read(each, like=target.grid, time_step=target.step, predictor=True) for each in listed)
    for each in found:
        for array, grid in zip(each.arrays, each.grids, strict=True):
            _check(target, array, grid)
    named = [(target, tokenize(target.sources)), *((each, tokenize(each.sources)) for each in found)]
    for number, (_, token) in enumerate(named):
        if token in [other for _, other in named[:number]]:
            twice = [one.label for one, other in named if other == token]
            raise ValueError(f"{' and '.join(twice)}: the same quantity is given twice; leave one of them out")
    return found


def check_channels(variables: Sequence[Quantity]) -> None:
    """ValueError where a method would get the same channel twice."""
    channels = [channel for each in variables for channel in each.variable.channels]
    if len(set(channels)) < len(channels):
        labels = ", ".join(each.label for each in variables)
        raise ValueError(f"{labels}: the same quantity is given twice; leave one of them out")


def _check(target: Quantity, array: xr.DataArray, grid: Grid) -> None:
    """Raise ValueError where a predictor lacks pixels or dates of the target."""
    first, own = target.grid, f"{target.arrays[0].name!r} {extent(target.grid)}"
    name, goal = array.name, target.arrays[0].name
    both = f"{own} and {name!r} {extent(grid)} have different"
    if (grid.ncols, grid.phases[1:]) != (first.ncols, first.phases[1:]) and not replace(
        grid, calendar="none"
    ).same_lattice(replace(first, calendar="none")):
        raise ValueError(
            f"{both} grids; put the predictor on the grid of the target first: "
            f"{name} = {name}.interp_like({goal}), or with xesmf"
        )
    if not (set(grid.rows) >= set(first.rows) and set(grid.cols) >= set(first.cols)):
        raise ValueError(
            f"{both} latitudes or longitudes; align them first with .sel, or {name} = {name}.reindex_like({goal}, "
            "method='nearest', tolerance=0.001), which fills what is not there"
        )
    if grid.calendar == "none":
        return
    missing = np.setdiff1d(first.slots, grid.slots) if grid.same_lattice(first) else np.array(first.slots)
    if missing.size:
        raise ValueError(
            f"{both} times; align them first with {name} = {name}.reindex(time={goal}.time, method='nearest', "
            f"tolerance='1D'), which leaves other dates missing, or with {name}.interp(time={goal}.time): "
            f"{missing.size} of {len(first.slots)} dates of {goal!r} have no {name!r}"
        )


def warn_of_useless(drivers: Sequence[Quantity]) -> None:
    """Warn of drivers in memory that are constant or have no values, and so are not used."""
    for each in drivers:
        if not each.in_memory:
            continue
        for array in each.arrays:
            low, high = (
                float(part(np.where(np.isfinite(array.values), array.values, bad)))
                for part, bad in ((np.min, np.inf), (np.max, -np.inf))
            )
            if low > high:
                warn(f"{each.label} has no values, so it is not used as a predictor; leave it out of cond=")
            elif low == high:
                warn(f"{each.label} is {low:.6g} everywhere, so it is not used as a predictor; leave it out of cond=")
