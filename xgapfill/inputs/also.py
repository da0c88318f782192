"""Reads ``also=``: maps of the same variable from other sensors or products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from xgapfill.inputs.read import Quantity, read
from xgapfill.lattice.grid import Grid


def read_also(given: Any, target: Quantity, size_class: str | None, transform: Any) -> tuple[Quantity, ...]:
    """Read maps of the target from other sensors: one, several or none; nothing is loaded.

    They may cover other dates and another part of the lattice of the target.

    Raises
    ------
    TypeError
        One is not a DataArray of floating dtype.
    ValueError
        One is another variable, lies on another lattice, or has no place in common with the target.
    """
    if given is None:
        return ()
    return tuple(_one(each, target, size_class, transform) for each in _listed(given, target))


def _listed(given: Any, target: Quantity) -> list[tuple[xr.DataArray, ...]]:
    """The arrays of each sensor: one, or as many as the target has."""
    wanted = f"also= must be a DataArray like {target.label}, or a list of them, one per sensor"
    if isinstance(given, str):
        raise TypeError(f"{wanted}; found the name {given!r}: to pass names use ds.gapfill")
    several = len(target.arrays) > 1
    sensors: list[Any] = [given] if isinstance(given, xr.DataArray) else list(given) if _is_list(given) else [given]
    if several and sensors and all(isinstance(each, xr.DataArray) for each in sensors):
        sensors = [sensors]
    found = []
    for each in sensors:
        arrays = tuple(each) if _is_list(each) else (each,)
        for array in arrays:
            if not isinstance(array, xr.DataArray):
                raise TypeError(f"{wanted}; found {type(array).__name__}")
        if len(arrays) not in (1, len(target.arrays)):
            raise ValueError(f"{wanted}; found {len(arrays)} arrays of one sensor")
        found.append(arrays)
    if not found:
        raise ValueError(f"{wanted}; found an empty list")
    return found


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def _one(arrays: tuple[xr.DataArray, ...], target: Quantity, size_class: str | None, transform: Any) -> Quantity:
    """One sensor; an array that is not called as the target is recognised by its name."""
    name = arrays[0].name
    if len(arrays) == 1 and len(target.arrays) == 1:
        arrays = (arrays[0].rename(target.arrays[0].name),)
    label = f"also= ({name!r})"
    try:
        found = read(arrays, size_class, target.grid, target.step, transform)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None
    if len(arrays) == 1:
        found = _named(found, name)
    if found.variable.channels != target.variable.channels:
        raise ValueError(
            f"{label} is {found.variable.known_as or found.variable.name}, expected maps of {target.label}, which is "
            f"filled as {', '.join(target.variable.channels)}. Other variables are predictors: cond="
        )
    if found.variable.needs_whole:
        raise ValueError(f"{label} and {target.label} are not fractions; divide both by chlorophyll to use also=")
    for grid in found.grids:
        _check_lattice(label, grid, target)
    return found


def _named(found: Quantity, name: Any) -> Quantity:
    return Quantity(
        (found.arrays[0].rename(name),),
        found.axes,
        found.class_dim,
        found.variable,
        found.places,
        found.sources,
        found.grids,
        found.step,
    )


def _check_lattice(label: str, grid: Grid, target: Quantity) -> None:
    """ValueError where the places of a sensor are not those of the target, with the line to type."""
    own, da = target.grid, target.label if target.label.isidentifier() else "da"
    same_space = grid.same_lattice(own) or (
        grid.ncols == own.ncols and all(abs(a - b) < 1e-3 for a, b in zip(grid.phases[1:], own.phases[1:], strict=True))
    )
    if not grid.same_lattice(own):
        if same_space:
            raise ValueError(
                f"{label} has steps of {grid.steps[0]:g} days ({grid.calendar} calendar), {target.label} of "
                f"{own.steps[0]:g} days ({own.calendar} calendar). Bring it to the same dates first:\n"
                f"    other = other.resample(time='8D').mean()    # or '1D', 'MS'\n"
                f"    other = other.reindex(time={da}.time, method='nearest', tolerance='1D')"
            )
        raise ValueError(
            f"{label} lies on another grid (steps {grid.steps[1]:.5g} x {grid.steps[2]:.5g} degrees) than "
            f"{target.label} ({own.steps[1]:.5g} x {own.steps[2]:.5g} degrees). Bring it to the same grid first:\n"
            f"    other = other.interp_like({da})    # bilinear\n"
            f"    other = xesmf.Regridder(other, {da}, 'conservative')(other, skipna=True)    # from a finer grid"
        )
    for axis, words in (("slots", "dates"), ("rows", "latitudes"), ("cols", "longitudes")):
        mine, theirs = set(getattr(own, axis)), set(getattr(grid, axis))
        if axis == "slots" and "none" in (grid.calendar, own.calendar):
            continue
        if not mine & theirs:
            raise ValueError(f"{label} and {target.label} have no {words} in common; select the same part of both")
