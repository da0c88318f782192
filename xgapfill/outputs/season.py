"""Turns the layers of a season into a Dataset for ``prior=``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import xarray as xr

from xgapfill.inputs.season import CHANNEL, DRIVERS, HELD, MEAN, SD, SPREAD, TERM, TERMS
from xgapfill.kernel.job import Job
from xgapfill.kernel.seasons import LAYERS
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.outputs.attributes import Provenance, wrap
from xgapfill.prior import season

INNER = 256  # most pixels along a side of a chunk: fills read a few hundred


def label_season(stack: da.Array, job: Job, shared: SharedPrior) -> xr.Dataset:
    """Return the layers of `kernel.seasons`, (layers, 1, y, x), as a Dataset; `shared` has the channels of it."""
    target, channels = job.target, job.channels
    axes, array = target.axes[0], target.arrays[0]
    template = array.isel({dim: 0 for dim in (axes.time, *axes.others) if dim is not None}, drop=True)
    template = template.transpose(axes.lat, axes.lon)
    names, place = [channels[c] for c in shared.season], (axes.lat, axes.lon)
    layers = stack[:, 0].reshape((len(names), LAYERS, *stack.shape[2:]))
    chunks = [_inner(sizes[0]) for sizes in layers.chunks[2:]]
    variables = {
        TERMS: _variable((CHANNEL, TERM, *place), layers[:, : season.TERMS], "mean and harmonics of the year", chunks),
        SPREAD: _variable((CHANNEL, *place), layers[:, season.TERMS], "standard deviation of the anomalies", chunks),
        HELD: _variable(
            (CHANNEL, *place), layers[:, season.TERMS + 1], "share of harmonics that years confirm", chunks
        ),
    }
    variables[TERMS].attrs["comment"] = (
        "departures of the transformed variable from its prior mean and its prior regression on predictors, in prior "
        "standard deviations; harmonics are multiplied by the share that even and odd years confirm for each other"
    )
    waves = [f"{wave}{k}" for k in range(1, season.HARMONICS + 1) for wave in ("cos", "sin")]
    numbers = [shared.channels[c] for c in shared.season]
    coords = dict(wrap(stack[0, 0], template, axes, None).coords) | {
        CHANNEL: (CHANNEL, names, {"long_name": "transformed variable"}),
        TERM: (TERM, ["mean", *waves], {"long_name": "term of the season"}),
        MEAN: (CHANNEL, [each.base for each in numbers], {"long_name": "prior mean", "units": "1"}),
        SD: (CHANNEL, [each.sd for each in numbers], {"long_name": "prior standard deviation", "units": "1"}),
    }
    return xr.Dataset(variables, coords, _made(job).added_to({"Conventions": "CF-1.11"}))


def _variable(dims: tuple[Any, ...], data: da.Array, what: str, chunks: Sequence[int]) -> xr.Variable:
    """A variable in units of 1, in chunks of one map."""
    inner = {"chunks": (*(1 for _ in dims[:-2]), *chunks)}
    return xr.Variable(dims, data, {"long_name": what, "units": "1"}, inner)


def _inner(side: int) -> int:
    """Largest divisor of the side of a block that is at most `INNER`."""
    return max(n for n in range(1, min(side, INNER) + 1) if side % n == 0)


def _made(job: Job) -> Provenance:
    """How the season was made, and what of."""
    target, grid = job.target, job.target.grid
    dates = target.arrays[0].coords[target.axes[0].names["time"]].values
    words = [target.label]
    if job.predictors:
        words.append(f"cond={', '.join(each.label for each in job.predictors)}")
    attrs = {
        "variable": target.variable.name,
        DRIVERS: " ".join(() if job.kernel.drivers is None else job.kernel.drivers.channels),
        "calendar": grid.calendar,
        "step_days": grid.step_days,
        "years": f"{str(min(dates))[:4]}-{str(max(dates))[:4]}",
        "maps": len(grid.slots),
    }
    return Provenance(f"season({', '.join(words)})", attrs)
