"""Reads a saved season, ``prior=``: a Dataset of `xgapfill.season`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xgapfill.blocks.source import Source, source_of
from xgapfill.inputs import axes as cf
from xgapfill.inputs.read import Quantity, extent, grid_of
from xgapfill.lattice.grid import Grid

TERMS, SPREAD, HELD = "season", "anomaly_spread", "confirmed"
CHANNEL, TERM = "channel", "term"
DRIVERS = "drivers"  # attribute with their channels
MEAN, SD = "prior_mean", "prior_sd"
AGAIN = "fit it again with xgapfill.season on a series of this variable, with the same cond= and transform="


class Saved(NamedTuple):
    """A saved season: names of its channels, and for each of these its arrays, terms first, and their addresses."""

    channels: tuple[str, ...]
    arrays: tuple[tuple[Source, Grid], ...]


def read_season(
    prior: Any, given: Sequence[Quantity], units: Mapping[str, tuple[float, float]], drivers: Sequence[str]
) -> Saved | None:
    """Read ``prior=``; None if it is a word.

    Parameters
    ----------
    prior : "auto", None or Dataset
    given : sequence of Quantity
        The target and its predictors.
    units : mapping of channel to (mean, standard deviation)
        The prior that departures are relative to, of channels that have one.
    drivers : sequence of str
        Channels of the drivers, whose part is taken from the target before.

    Raises
    ------
    ValueError
        It is something else, or of another variable, transform, calendar or grid.
    """
    if prior is None or (isinstance(prior, str) and prior == "auto"):
        return None
    if not isinstance(prior, xr.Dataset):
        raise ValueError(f"prior must be 'auto', None or a Dataset of xgapfill.season, found {prior!r:.80}")
    lacking = [name for name in (TERMS, SPREAD, CHANNEL, MEAN, SD) if name not in prior.variables]
    if lacking:
        raise ValueError(
            f"prior= must be a Dataset of xgapfill.season; this one lacks {', '.join(lacking)} and has "
            f"{', '.join(map(str, prior.data_vars)) or 'no variables'}"
        )
    channels = tuple(map(str, prior[CHANNEL].values))
    _check_channels(prior, channels, given, units)
    target, said = given[0], str(prior.attrs.get(f"xgapfill_{DRIVERS}", ""))
    if said != " ".join(drivers):
        raise ValueError(
            f"prior= is the season beside the drivers {said or 'none'}, here they are {' '.join(drivers) or 'none'}: "
            f"{AGAIN}"
        )
    _check_times(prior, target)
    arrays = []
    for number in range(len(channels)):
        for name, count in ((TERMS, prior.sizes[TERM]), (SPREAD, 1)):
            for term in range(count):
                at: dict[Hashable, int] = {CHANNEL: number, TERM: term} if name == TERMS else {CHANNEL: number}
                arrays.append(_part(prior[name], at, target))
    return Saved(channels, tuple(arrays))


def unit_in(prior: Any, channel: str) -> float | None:
    """Standard deviation that a saved season of a channel is relative to; None if ``prior=`` is none of it."""
    if not isinstance(prior, xr.Dataset) or CHANNEL not in prior.coords or SD not in prior:
        return None
    found = np.flatnonzero(prior[CHANNEL].values.astype(str) == channel)
    return float(prior[SD].values[found[0]]) if len(found) else None


def _part(array: xr.DataArray, at: Mapping[Hashable, int], target: Quantity) -> tuple[Source, Grid]:
    """Source of one map of the season, and its addresses; ValueError if it does not cover the target."""
    flat = array.isel(dict.fromkeys(at, 0), drop=True)
    axes = cf.find_axes(flat)
    grid, wanted = grid_of(flat, axes, target.grid), target.grid
    if not grid.same_lattice(wanted):
        raise ValueError(
            f"prior {extent(grid)} is not on the grid of {target.label} {extent(wanted)}; fit it on maps of this grid"
        )
    if (grid.index_rows(wanted.rows) < 0).any() or (grid.index_cols(wanted.cols) < 0).any():
        raise ValueError(
            f"prior {extent(grid)} does not cover {target.label} {extent(wanted)}; fit it on the whole map"
        )
    return source_of(array.variable, (None, axes.lat, axes.lon), at), grid


def _check_channels(
    prior: xr.Dataset, channels: Sequence[str], given: Sequence[Quantity], units: Mapping[str, tuple[float, float]]
) -> None:
    """ValueError for a season of other variables, transforms or predictors."""
    wanted = [channel for each in given for channel in each.variable.channels if channel in units]
    label = ", ".join(each.label for each in given)
    if any(channel not in channels for channel in wanted) or any(channel not in units for channel in channels):
        raise ValueError(
            f"prior= is the season of {', '.join(channels)}; expected {', '.join(wanted)} ({label}): {AGAIN}"
        )
    for channel, *numbers in zip(channels, prior[MEAN].values, prior[SD].values, strict=True):
        if not np.allclose(numbers, units[channel], rtol=1e-6):
            raise ValueError(
                f"prior= is relative to a mean and standard deviation of {channel} of {numbers[0]:g} and "
                f"{numbers[1]:g}, here they are {units[channel][0]:g} and {units[channel][1]:g}: {AGAIN}"
            )


def _check_times(prior: xr.Dataset, target: Quantity) -> None:
    """ValueError for a season of another calendar."""
    grid = target.grid
    said = str(prior.attrs.get("xgapfill_calendar", "")), float(prior.attrs.get("xgapfill_step_days", np.nan))
    if said[0] != grid.calendar or not np.isclose(said[1], grid.step_days, rtol=1e-4):
        here = (
            "no dates" if grid.calendar == "none" else f"the {grid.calendar} calendar, {grid.step_days:g} days a step"
        )
        raise ValueError(
            f"prior= is the season of maps of the {said[0]} calendar, {said[1]:g} days a step; {target.label} has "
            f"{here}: fit it with xgapfill.season on maps like these, or set time_step="
        )
