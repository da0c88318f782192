"""Checks a sample of values at the call: whether they can be the variable in these units."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.peek import spots
from xgapfill.inputs.read import Quantity
from xgapfill.inputs.warn import warn
from xgapfill.variables.base import invalid_message
from xgapfill.variables.units import units_of

ENOUGH = 2000  # values in a sample


def check_values(given: Quantity) -> bool:
    """Check a sample of values, or all values of arrays in memory; return whether all were checked.

    Raises
    ------
    ValueError
        Most values of the sample are impossible, or they contradict the stated units.
    """
    variable = given.variable
    if variable.assumed:
        warn(f"{given.label}: {variable.assumed}")
    sample = _sample(given)
    if not sample[~np.isnan(sample)].size and _needs_units(given):
        raise ValueError(
            f"{given.label} has no units, and no value was found by a few small reads that could confirm them; set "
            f"attrs['units'], such as {variable.attrs.get('units', '1')!r}"
        )
    there, impossible = int(np.count_nonzero(~np.isnan(sample))), int(np.count_nonzero(variable.possible(sample)[1]))
    if impossible > there / 2:
        raise ValueError(
            f"most values of {given.label} ({impossible} of {there} checked) are impossible, such as "
            f"{sample[variable.possible(sample)[1]][0]:.6g}; expected: {variable.wanted}. "
            f"{_remedy(sample[variable.possible(sample)[1]], given)}"
        )
    try:
        variable.check(sample, given.arrays[0].attrs)
    except ValueError as error:
        raise ValueError(f"{given.label} {error}") from None
    if not given.in_memory:
        return False
    if impossible := sum(int(np.count_nonzero(variable.possible(frame)[1])) for frame in _frames(given)):
        warn(invalid_message(given.label, variable, impossible))
    return True


def _sample(given: Quantity) -> NDArray[Any]:
    """Values (p, n) of the parts at a few spots, read until enough values are present or no spots are left."""
    found = [np.empty((given.variable.parts, 0), np.float32)]
    count = 0
    for spot in spots(given.sources, given.source_grids()):
        found.append(spot.reshape(len(spot), -1))
        count += int(np.count_nonzero(~np.isnan(spot)))
        if count >= ENOUGH * len(spot):
            break
    if not count and given.in_memory:
        found += [frame.reshape(len(frame), -1) for frame in islice(filter(_some, _frames(given)), 1)]
    return np.concatenate(found, axis=1)


def _remedy(impossible: NDArray[Any], given: Quantity) -> str:
    """What to do about impossible values: one that is repeated is a fill value that was not decoded."""
    found, counts = np.unique(impossible, return_counts=True)
    if counts.max() > max(1, impossible.size / 2):
        fill = f"{found[counts.argmax()]:.9g}"
        return (
            f"{fill} looks like a fill value that was not decoded: set attrs['_FillValue'] = {fill} and use "
            f"xr.decode_cf(ds), or leave it out with .where({given.label} != {fill})"
        )
    units = given.arrays[0].attrs.get("units")
    return f"Set attrs['units'] ({units!r} now) to the units of the values, or convert them"


def _some(frame: NDArray[Any]) -> bool:
    return not np.isnan(frame).all()


def _needs_units(given: Quantity) -> bool:
    """Whether values that cannot be looked at must have units: those in memory can, and some variables need none."""
    variable = given.variable
    if given.in_memory or (variable.levelled and variable.transform != "logit"):
        return False
    return all(units_of(array.attrs) is None for array in given.arrays)


def _frames(given: Quantity) -> Iterator[NDArray[Any]]:
    shape = given.sources[0].shape
    places = [np.arange(size) for size in shape[1:]]
    for frame in range(shape[0]):
        yield np.stack([source.read(np.array([frame]), *places)[0] for source in given.sources])
