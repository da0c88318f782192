"""Members: skill, texture and cost of realisations, beside the estimates that they are made around."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import xgapfill
from bench import problems
from xgapfill.methods import Repaint
from xgapfill.validation.scores import coverage_range, crps_ensemble
from xgapfill.validation.tell import tell_apart
from xgapfill.validation.texture import structure

METHODS = ("kriging", "background", "posterior_mean", "dctpls", "repaint")
SETS = ("choose-chl", "choose-maps", "report-chl", "report-psc")
MEMBERS = 8
PLACES = ("time", "lat", "lon")
ORDERS, LAGS = (0.5, 1.0, 2.0), (1, 2, 4, 8)

LEGEND = f"""{MEMBERS} members. CRPS: as they are, and fair (pairs are not independent: one of each pair in brackets).
RMSE: of their mean, and of the estimate, if the method has one. range: truths within all members, ideally 0.778, 0.8
for pairs of opposite departures (one of each pair: 0.6).
S: mean of |difference| ** q over that of the truth, at lags 1, 2, 4, 8. area: a classifier tells patches of a member
from observed ones (0.5: it cannot), in brackets patches of the estimate. Core-seconds."""


class Case(NamedTuple):
    """A series with hidden pixels: input, truth in the units of scores, what is hidden, and dates that are scored."""

    target: xr.DataArray
    truth: xr.DataArray
    hidden: xr.DataArray
    dates: NDArray[np.int64]
    options: Mapping[str, Any]
    alone: bool = False  # each date is filled without the others


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help='and noise levels, "repaint 0.6 0.2"')
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["choose-chl"])
    parser.add_argument("--every", type=int, default=1, help="score every so many dates")


def run(folder: Path, methods: tuple[str, ...], sets: tuple[str, ...], every: int) -> None:
    """Print a table for each set."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(LEGEND)
    for name in sets:
        case = case_of(name, folder, every)
        print(f"\n{name}: {int(case.hidden.isel(time=case.dates).sum())} hidden pixels of {len(case.dates)} dates")
        for method in methods:
            _row(method, case)


def case_of(name: str, folder: Path, every: int) -> Case:
    """A set: that of choices is the NE Pacific, with the whole series as its source of residuals, or map by map."""
    if name == "report-psc":
        with xr.open_dataset(folder / "newfoundland_psc_2015_8day.nc") as data:
            ds = data.load().set_coords("mask")
        hidden = (ds.truth.notnull() & ds.PSC.isnull()).all([d for d in ds.truth.dims if d not in PLACES])
        dates = np.arange(0, ds.sizes["time"], every)
        return Case(ds.PSC, ds.truth, hidden, dates, {"cond": ds.CHL})
    if name == "report-chl":
        found = problems.report_problem(folder)
        dates = np.arange(0, len(found.truth), every)
    else:
        whole = problems.read_log10_chl(folder / "ne_pacific_modis_2020_8day.nc")
        late = whole.time.values >= np.datetime64(problems.CHOOSE_FROM)
        hidden = np.zeros(whole.shape, bool)
        hidden[late] = problems.frozen("ne_pacific_2020_transplanted")
        places = (whole[axis].values for axis in ("lat", "lon", "time"))
        shown = np.where(hidden, np.float32(np.nan), whole.values)
        found = problems.Problem(shown, whole.values, hidden, *places, whole.sea.values)
        dates = np.flatnonzero(late)[::every]
    target = problems.as_chl(found)
    return Case(target, target.copy(data=found.truth), target.copy(data=found.hidden), dates, {}, name == "choose-maps")


def _row(method: str, case: Case) -> None:
    start = time.process_time()
    drawn = _filled(method, case, members=MEMBERS)
    seconds = time.process_time() - start
    draws = method.startswith(("repaint", "vae"))
    estimate = drawn.mean("realization") if draws else _filled(method, case)
    truth, hidden = case.truth.isel(time=case.dates), case.hidden.isel(time=case.dates)
    order = [*(d for d in truth.dims if d not in PLACES), *PLACES]
    drawn, estimate, truth = (each.transpose(..., *order) for each in (drawn, estimate, truth))
    there = np.broadcast_to(hidden.transpose(*PLACES).values, truth.shape)
    there = there & np.isfinite(truth.values) & np.isfinite(drawn.values).all(0) & np.isfinite(estimate.values)
    members, alone, right = drawn.values[:, there], estimate.values[there], truth.values[there]
    mean, best = (float(np.sqrt(np.mean((each - right) ** 2))) for each in (members.mean(0), alone))
    one = members[::2]
    print(
        f"{method:15s} CRPS {_crps(members, right):.4f} fair {_fair(members, right):.4f} ({_fair(one, right):.4f}) "
        f"RMSE {mean:.4f} estimate {best:.4f} range {coverage_range(members, right):.3f} "
        f"({coverage_range(one, right):.3f}) {seconds:.0f} s"
    )
    shape = -1, *truth.shape[-2:]
    real, where = truth.values.reshape(shape), there.reshape(shape)
    made = np.where(there, drawn.values[0], truth.values).reshape(shape)
    sums, of_truth = (structure(np.where(where, each, np.nan), where, ORDERS, LAGS)[0].sum(0) for each in (made, real))
    words = "; ".join(
        f"q {q:g} " + " ".join(f"{ratio:.2f}" for ratio in row) for q, row in zip(ORDERS, sums / of_truth, strict=True)
    )
    smooth = np.where(there, estimate.values, truth.values).reshape(shape)
    areas = [tell_apart(real, each, where).found.value for each in (made, smooth)]
    print(f"{'':15s} S {words}; area {areas[0]:.3f} ({areas[1]:.3f})", flush=True)


def _filled(method: str, case: Case, **options: Any) -> xr.DataArray:
    """Result on the scored dates, log10 of chlorophyll; noise levels may follow the name of repaint."""
    made: str | Repaint = method
    if method.startswith("repaint "):
        levels = [*(float(level) for level in method.split()[1:]), 0.0]
        made = Repaint(schedule=list(pairwise(levels)))
    if case.alone:
        maps = (case.target.isel(time=[date]) for date in case.dates)
        filled = xr.concat([xgapfill.fill(each, made, time_step="8D", **options) for each in maps], "time")
    else:
        filled = xgapfill.fill(case.target, made, **case.options, **options).isel(time=case.dates)
    found: xr.DataArray = filled.load(scheduler="synchronous")
    return np.log10(found) if case.target.name == "CHL" else found


def _crps(members: NDArray, truth: NDArray) -> float:
    """CRPS of the members as a distribution."""
    count = len(members)
    pairs = np.abs(members[:, None] - members[None]).sum((0, 1)) / count**2
    return float(np.mean(np.abs(members - truth).mean(0) - pairs / 2))


def _fair(members: NDArray, truth: NDArray) -> float:
    """CRPS expected of infinitely many members like these, if they are independent."""
    return float(np.mean(crps_ensemble(members, truth)))
