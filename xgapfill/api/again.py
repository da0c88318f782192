"""What needs the whole filled field: fill it again under other gaps, compare it with a sensor that was not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.api.reconstruct import fill_withheld, own_options
from xgapfill.inputs import read as inputs
from xgapfill.inputs.also import read_also
from xgapfill.kernel.options import FillOptions
from xgapfill.methods import Method, find
from xgapfill.validation.case import Withheld, cube
from xgapfill.validation.consistency import consistency
from xgapfill.validation.sensors import transfer
from xgapfill.validation.table import Reconstruction
from xgapfill.validation.tested import scenes
from xgapfill.validation.verdict import Verdict

More = dict[str, list[list[Verdict]]]  # label -> verdicts of each part


def consistencies(
    withheld: Withheld,
    methods: Mapping[str, Any],
    found: Mapping[str, Reconstruction],
    cond: Any,
    members: int,
    options: FillOptions,
) -> More:
    """Hide the filled fields under the gaps of dates half a series away, fill them again, and compare.

    Judged are only pixels that were missing the first time. The second fill has another seed. Whole-field baselines are
    left out.
    """
    gaps = np.roll(~withheld.observed, max(1, len(withheld.observed) // 2), axis=0)
    more: More = {}
    for label, one in found.items():
        each = methods[label]
        if one.filled is None or len(gaps) < 2:
            continue
        method: Method = find(each)
        how = options.size_class, options.time_step, options.transform
        again = Withheld.of(one.filled, None, gaps, options.seed, *how)
        own = own_options(again, method, cond, replace(options, seed=options.seed + 1))
        second = fill_withheld(again, method, cond, members, own)
        kept = ~withheld.observed[again.hidden]
        hidden = again.hidden & ~withheld.observed
        second = replace(
            second,
            mean=second.mean[:, kept],
            spread=None if second.spread is None else second.spread[:, kept],
            members=None if second.members is None else second.members[..., kept],
        )
        parts = scenes(replace(again, hidden=hidden), second)
        more[label] = [consistency(scene.filled) for scene in parts]
    return more


def transfers(withheld: Withheld, found: Mapping[str, Reconstruction], other: Any, options: FillOptions) -> More:
    """Compare fills with another sensor that they did not use, where the target is missing."""
    quantity = withheld.quantity
    maps = [_on_target(each, quantity) for each in read_also(other, quantity, options.size_class, options.transform)]
    seen = np.nanmean(np.stack(maps), axis=0) if len(maps) > 1 else maps[0]
    more: More = {}
    for label, one in found.items():
        if one.filled is None:
            continue
        filled = quantity.variable.score(cube(one.filled, quantity))
        filled = np.where(withheld.hidden | withheld.observed, np.nan, filled)
        target = np.where(withheld.observed, withheld.truth, np.nan)
        more[label] = [transfer(*part) for part in zip(target, filled, seen, strict=True)]
    return more


def _on_target(other: inputs.Quantity, target: inputs.Quantity) -> NDArray[np.float64]:
    """Values of another map in the units of scores, (p, t, y, x) on the lattice of the target; NaN elsewhere."""
    values = np.asarray(other.variable.score(cube(_loaded(other), other)), np.float64)
    grid, own = other.grid, target.grid
    places = grid.index_slots(own.slots), grid.index_rows(own.rows), grid.index_cols(own.cols)
    out = np.stack([part[np.ix_(*places)] for part in values])
    inside = np.ix_(*(each >= 0 for each in places))
    return np.where(inside[0] & inside[1] & inside[2], out, np.nan)


def _loaded(quantity: inputs.Quantity) -> xr.DataArray:
    return quantity.arrays[0].compute()
