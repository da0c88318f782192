"""The straight line, read this first: check, encode, map, decode, label.

- ``xgapfill.repaint(da)``, api/verbs.py: a call becomes a method with its parameters;
- ``Job.of``, kernel/job.py: xarray objects become sources, weights and one frozen kernel;
- ``map_lattice``, blocks/graph.py: one task per block;
- ``FillKernel``, kernel/fill.py: encode, cut space-time tiles (windows), blend, decode;
- ``method.fill``, methods/: the mathematics;
- ``label``, outputs/label.py: layers become variables with the coordinates and attributes of the input.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr
from dask.base import tokenize

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.notes import LayerNotes
from xgapfill.kernel.choice import calibrated_card
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.reduce import Reduced
from xgapfill.kernel.sample import fit_lazily, fit_now
from xgapfill.methods.base import Method
from xgapfill.options import OPTIONS
from xgapfill.outputs.attributes import Provenance
from xgapfill.outputs.label import alike, label, name_of_array
from xgapfill.outputs.statistics import label_statistics
from xgapfill.weights import Card, Weights

SERIES_CELLS = 1 << 23  # approximate number of values of whole series per task


def fill(
    target: xr.DataArray | Sequence[xr.DataArray],
    method: Method,
    cond: Any = None,
    options: FillOptions | None = None,
) -> xr.DataArray | xr.Dataset:
    """Fill missing pixels of `target` with `method`, lazily.

    Parameters
    ----------
    target : DataArray or sequence of three
        Three DataArrays are three size classes and give a Dataset.
    method : Method
        A method with ``fit`` and without weights is first fitted on a sample of the target and its predictors, as part
        of the lazy result.
    cond : DataArray or sequence of DataArrays, optional
        Predictors.
    options : FillOptions, optional

    Returns
    -------
    DataArray or Dataset
        Made of dask arrays. A Dataset when ``full``, when `target` is a sequence, or when ``reduce`` is not one
        statistic.

    Raises
    ------
    TypeError, ValueError
        Invalid input; the message explains what to do.
    """
    job = Job.of(target, method, cond, options)
    quantity, op = job.target, job.op
    fitted = fit_lazily(job.method, job.kernel, job.sources, job.grids) if job.needs_fit else None
    dtype = np.result_type(*(source.dtype.newbyteorder("=") for source in quantity.sources))
    made = _provenance(job)
    with _notes(job, op).annotate():
        if isinstance(op, Reduced):
            stack = lay_out(job, op, layers=op.layers, dtype=np.float64 if op.series else dtype, fitted=fitted)
            variables = label_statistics(stack, quantity, op, made)
        else:
            flat = alike(quantity, op) and job.options.members is None
            stack = lay_out(job, op, layers=None if flat else op.layers, dtype=dtype, fitted=fitted)
            variables = label(stack, quantity, op, made, job.options.members)
    single = isinstance(target, xr.DataArray) and list(variables) == [name_of_array(target, quantity)]
    if job.options.full or not single:
        attrs: dict[Hashable, Any] = {"Conventions": "CF-1.11"}
        return xr.Dataset(variables, attrs=made.added_to(attrs))
    (result,) = variables.values()
    return result


def fit_series(job: Job) -> Weights:
    """Fit the method of a job on whole series now; see `xgapfill.fit`."""
    return fit_now(job.method, job.kernel, job.sources, job.grids)


def lay_out(job: Job, op: Any, *, layers: int | None, dtype: Any, fitted: Any = None) -> dsa.Array:
    """Apply an operation to all blocks of a job, one task per block."""
    if isinstance(job.op, Reduced):
        block = job.op.block
    elif op.reach[0] is None:
        block = _series_block(len(job.target.grid.slots))
    else:
        block = OPTIONS["block"]
    return map_lattice(
        op,
        list(job.sources),
        list(job.grids),
        layers=layers,
        reach=op.reach,
        around=op.around,
        block=block,
        dtype=dtype,
        fitted=fitted,
    )


def _notes(job: Job, op: FillKernel | Reduced) -> LayerNotes:
    """Notes on the result, for `xgapfill.write`."""
    kernel = job.kernel
    also = None if kernel.also is None else replace(kernel.also, call="")
    no_time = replace(kernel.grid, slots=(0,))
    timeless = replace(kernel, grid=no_time, also=also, samples=None, checked=(), call="", ever=False)
    fields = op.fields if isinstance(op, Reduced) else None
    return LayerNotes(
        identity=tokenize(timeless, kernel.samples is None, fields),
        halo=job.frames_of_halo,
        frames=None if op.reach[0] is None else OPTIONS["block"][0],
        shares=any(source.chunks is not None for source in job.sources[: len(job.sources) - kernel.ever]),
    )


def _provenance(job: Job) -> Provenance:
    words, options, method = [job.target.label], job.options, job.method
    if job.predictors:
        words.append(f"cond={', '.join(each.label for each in job.predictors)}")
    if job.kernel.samples is not None:
        words.append(f"insitu={len(job.kernel.samples)} values")
    if job.kernel.error is not None:
        words.append("error")
    attrs: dict[str, Any] = {"method": method.name}
    if job.kernel.also is not None:
        words.append(f"also={', '.join(job.kernel.also.labels)}")
        attrs["also"] = ", ".join(job.kernel.also.labels)
    if job.kernel.draws:
        words += [f"members={job.kernel.members}", f"seed={options.seed}"]
        attrs["seed"] = options.seed
    if method.takes_prior and not isinstance(options.prior, str):
        words.append("prior=None" if options.prior is None else "prior=season")
    if job.kernel.prior is not None:
        attrs["prior"] = "large scale" + _season_in_words(job)
    if job.drivers:
        attrs["drivers"] = ", ".join(each.label for each in job.drivers)
    if options.interval is not None:
        words.append(f"interval={options.interval:g}")
        attrs["interval"] = _interval_in_words(job)
    if job.statistics is not None:
        words.append(f"reduce=[{', '.join(map(str, job.statistics))}]")
    comment = ""
    if job.weights is not None:
        card = job.weights.card
        words.append(f"weights={card.name}")
        attrs |= {"weights": card.name, "sha256": job.weights.sha256}
        comment = _simulated_only(card)
    return Provenance(f"{method.name}({', '.join(words)})", attrs, comment)


def _season_in_words(job: Job) -> str:
    """What is known of the season."""
    prior = job.kernel.prior
    if prior is None or not prior.season:
        return ""
    return f", season of {job.options.prior.attrs.get('xgapfill_years', 'other years')}" if prior.saved else ", season"


def _interval_in_words(job: Job) -> str:
    level, given, interval = float(job.options.interval or 0), job.options.calibration, job.kernel.interval
    assert interval is not None
    ratios = [ratio for _, ratio in interval.own]
    own = f", times {min(ratios):.2g} to {max(ratios):.2g} by date" if ratios else ""
    card = calibrated_card(job.method, job.weights)
    how = "normal" if card is None else f"calibrated with the weights {card.name}"
    if given is not None:
        how = f"calibrated on {given.pixels} values of {given.dates} dates"
    return f"{100 * level:g} %, {interval.factor:.3g} spreads on each side{own}, {how}"


def _simulated_only(card: Card) -> str:
    if not any(channel in card.simulated_only for channel in card.targets):
        return ""
    return f"The weights {card.name!r} were trained on simulated fields of this variable only, never on observed maps."


def _series_block(frames: int) -> tuple[int, int, int]:
    """Block size of a task that reads whole series, small enough for it to hold them and their halo."""
    side = max(32, math.isqrt(SERIES_CELLS // frames) // 32 * 32)
    slots, rows, cols = OPTIONS["series_block"]
    return slots, min(rows, side), min(cols, side)
