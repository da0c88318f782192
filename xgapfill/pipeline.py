"""The straight line, read this first: check, encode, map, decode, label.

- ``repaint(da)``, api.py: words to a method;
- ``fill``, fill.py: xarray objects to sources, weights and one frozen kernel, and the result back to xarray;
- ``map_lattice``, lazy.py: one task a block;
- ``FillKernel``, kernel.py: encode, cut windows, blend, decode, paste;
- ``method.fill``, methods/: the mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dask
import dask.array as dsa
import numpy as np
import xarray as xr
from dask.base import tokenize

from xgapfill.blocks.graph import BLOCK, map_lattice
from xgapfill.blocks.source import Source
from xgapfill.inputs.sea import read_sea
from xgapfill.kernel import reduce as reducing
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.job import Case, kernel_of, read_case, with_observations
from xgapfill.kernel.limits import Limits
from xgapfill.kernel.sample import fit_lazily, fit_now
from xgapfill.kernel.statistics import Statistic
from xgapfill.lattice.grid import Grid
from xgapfill.lattice.sea import SeaFlag
from xgapfill.methods.base import Method, SeriesMethod
from xgapfill.outputs.attributes import Provenance
from xgapfill.outputs.label import alike, label, name_of_array
from xgapfill.outputs.statistics import label_statistics
from xgapfill.weights import Card, Weights

SERIES_BLOCK = (1, 192, 192)  # all times of it, fewer rows and columns where these are so many
SERIES_CELLS = 1 << 23


def fill(
    target: xr.DataArray | Sequence[xr.DataArray],
    method: Method,
    *,
    cond: Any = None,
    insitu: Any = None,
    error: Any = None,
    weights: Any = None,
    members: int = 1,
    seed: int = 0,
    sea: Any = None,
    size_class: str | None = None,
    max_gap: Any = None,
    max_distance: float | None = None,
    full: bool = False,
    reduce: Any = None,
) -> xr.DataArray | xr.Dataset:
    """Fill what is missing of `target` with `method`, lazily.

    Parameters
    ----------
    target : DataArray or sequence of three
        What is filled; three DataArrays are three size classes and give a Dataset.
    method : Method
        An object with ``fill`` and ``default_weights``; its ``name`` stands in the result. One that has ``fit`` and is
        given no weights is fitted on a sample of the target and its conditions first, as part of the lazy result.
    cond, insitu, error, weights, members, seed, sea, size_class, max_gap, max_distance, full, reduce
        As in `xgapfill.repaint`.

    Returns
    -------
    DataArray or Dataset
        Of dask arrays. A Dataset when `full`, when `target` is a sequence, or when `reduce` is not one statistic.

    Raises
    ------
    TypeError, ValueError
        Input that cannot be used; the message says what to do.
    """
    if isinstance(members, bool) or not isinstance(members, (int, np.integer)) or members < 1:
        raise ValueError(f"members must be a whole number of at least 1, found {members!r}")
    if members > 1 and not method.draws:
        raise ValueError(
            f"{method.name} gives one answer; members={members} is for methods that draw, such as repaint()"
        )
    statistics = None if reduce is None else reducing.check(reduce, method, int(members), full)
    case = with_observations(read_case(target, method, cond, weights, size_class), method, insitu, error)
    quantity, fitted = case.quantity, case.weights
    mask = read_sea(sea, quantity)
    kernel = kernel_of(
        case,
        method,
        members=int(members),
        seed=seed,
        full=full,
        sea=None if mask is None else mask[0],
        limits=Limits.of(max_gap, max_distance, quantity.grid),
    )
    fitting = isinstance(method, SeriesMethod) and fitted is None
    lay = partial(lay_out, case, mask=mask, fitted=_fit_with(fit_lazily, case, method) if fitting else None)
    dtype = np.result_type(*(source.dtype.newbyteorder("=") for source in quantity.sources))
    made = _provenance(method, case, int(members), seed, statistics)
    op: Any = kernel if statistics is None else reducing.reduced(kernel, quantity, statistics, len(case.sources), BLOCK)
    with dask.annotate(xgapfill=_said(case, op, mask)):
        if statistics is None:
            stack = lay(kernel, layers=None if alike(quantity, kernel) else kernel.layers, dtype=dtype)
            variables = label(stack, quantity, kernel, made)
        else:
            stack = lay(op, layers=op.layers, dtype=np.float64 if op.series else dtype, block=op.block)
            variables = label_statistics(stack, quantity, op, made)
    if full or not isinstance(target, xr.DataArray) or list(variables) != [name_of_array(target, quantity)]:
        attrs: dict[Hashable, Any] = {"Conventions": "CF-1.11"}
        return xr.Dataset(variables, attrs=made.added_to(attrs))
    (result,) = variables.values()
    return result


def _said(case: Case, op: Any, mask: tuple[SeaFlag, Source, Grid] | None) -> dict[str, Any]:
    """What a layer of the graph says of itself, for those who write it: all that it rests on but times and values, how
    many frames back a new frame reaches, frames in a block, what it reads, and whether blocks share chunks of dask.
    """
    kernel: FillKernel = getattr(op, "kernel", op)
    timeless = replace(kernel, grid=replace(kernel.grid, slots=(0,)), samples=None, checked=(), call="")
    reach = op.reach[0]
    read = [*case.sources, *([] if mask is None else [mask[1]])]
    return {
        "identity": tokenize(timeless, kernel.samples is None, getattr(op, "fields", None)),
        "reach": reach,
        "frames": None if reach is None else BLOCK[0],
        "inputs": tuple(each for source in read for each in source.inputs),
        "shares": any(source.chunks is not None for source in read),
    }


def fit(
    target: xr.DataArray | Sequence[xr.DataArray],
    method: Method,
    *,
    cond: Any = None,
    size_class: str | None = None,
) -> Weights:
    """Fit a method of whole series now, on a sample of at most 512 MB of the target and its conditions.

    Interrupting it (Ctrl-C) leaves what has been found so far, where a method can do that: DINEOF with the best number
    of modes up to then, the self-organising map as it is.

    Parameters
    ----------
    target, method, cond, size_class
        As of `fill`.

    Returns
    -------
    Weights
        For ``weights=`` of the same method, on these or other data of the same times.

    Raises
    ------
    TypeError, ValueError
        Input that cannot be used, or too little of it; the message says what to do.
    """
    if not isinstance(method, SeriesMethod):
        raise TypeError(f"{getattr(method, 'name', method)!r} has no fit(): it needs none, or comes with weights")
    case = read_case(target, method, cond, None, size_class)
    fitted: Weights = _fit_with(fit_now, case, method)
    return fitted


def _fit_with(fitter: Any, case: Case, method: Method) -> Any:
    return fitter(method, kernel_of(case, method), case.sources, case.grids)


def lay_out(
    case: Case,
    kernel: Any,
    *,
    layers: int | None,
    dtype: Any,
    mask: tuple[SeaFlag, Source, Grid] | None = None,
    fitted: Any = None,
    block: tuple[int, int, int] | None = None,
) -> dsa.Array:
    """Apply a kernel to what is filled and its conditions, and to a sea mask if there is one; one task a block."""
    if block is None:
        block = BLOCK if kernel.reach[0] is not None else _series_block(len(case.quantity.grid.slots))
    return map_lattice(
        kernel,
        [*case.sources, *([] if mask is None else [mask[1]])],
        [*case.grids, *([] if mask is None else [mask[2]])],
        layers=layers,
        reach=kernel.reach,
        around=kernel.around,
        block=block,
        dtype=dtype,
        fitted=fitted,
    )


def _series_block(frames: int) -> tuple[int, int, int]:
    """Block of a method that sees whole series, so small that a task holds it and what lies around it."""
    side = max(32, math.isqrt(SERIES_CELLS // frames) // 32 * 32)
    slots, rows, cols = SERIES_BLOCK
    return slots, min(rows, side), min(cols, side)


def _provenance(
    method: Method, case: Case, members: int, seed: int, statistics: Sequence[Statistic] | None
) -> Provenance:
    words = [case.quantity.label]
    if case.given:
        words.append(f"cond={', '.join(each.label for each in case.given)}")
    if case.samples is not None:
        words.append(f"insitu={len(case.samples)} values")
    if case.error is not None:
        words.append("error")
    attrs: dict[str, Any] = {"method": method.name}
    if method.draws:
        words += [f"members={members}", f"seed={seed}"]
        attrs["seed"] = int(seed)
    if statistics is not None:
        words.append(f"reduce=[{', '.join(map(str, statistics))}]")
    comment = ""
    if case.weights is not None:
        card = case.weights.card
        words.append(f"weights={card.name}")
        attrs |= {"weights": card.name, "sha256": case.weights.sha256}
        comment = _simulated_only(card)
    return Provenance(f"{method.name}({', '.join(words)})", attrs, comment)


def _simulated_only(card: Card) -> str:
    only = [channel for channel in card.targets if channel in card.simulated_only]
    if not only:
        return ""
    return f"The weights {card.name!r} saw only simulated fields of this variable, never a measured map."
