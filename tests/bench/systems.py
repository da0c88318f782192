"""The study's systems beside the methods of the package: each net is fitted to the series it fills, within one budget.

Every method gets the whole series without the hidden pixels, and is scored at them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import xgapfill
from bench.driven import DRIVERS
from bench.members import case_of
from xgapfill.methods.published import PublishedNet
from xgapfill.methods.registry import BUILT_IN
from xgapfill.validation.scores import crps_ensemble, crps_gaussian
from xgapfill.weights import Weights

MINUTES, MEMBERS = 10.0, 8
BESIDE = ("background", "kriging", "dctpls", "dineof", "posterior_mean", "repaint", "vae")
NETS = tuple(kind.name for kind in BUILT_IN if issubclass(kind, PublishedNet))
DRIVEN = ("response", "cascade", "multimode", "smaat")  # they need drivers, which satellites' own series have not
SHIPPED = ("posterior_mean", "repaint", "vae")  # their weights take no drivers
DRAWN = ("repaint", "vae", "vconstruct")  # they give members, whose mean is scored
ALL = (*BESIDE, *NETS, "response", "cascade")
# Smaller than published, so that a budget of minutes on a processor is thousands of steps.
SHAPES: Mapping[str, Mapping[str, object]] = {"multimode": {"widths": (4, 8, 16, 32)}}
REAL: Mapping[str, str] = {"ne-pacific": "choose-chl", "newfoundland": "report-chl"}
# What the published DINCAE had on a comparable set after 51 epochs, and the paper of VConstruct: ratios aimed at.
TARGETS = {"dincae": ("kriging", {"RMSE": 1.43, "CRPS": 1.5}), "vconstruct": ("dineof", {"RMSE": 1.0})}


class Case(NamedTuple):
    """A series with gaps, log10 of what they hide, the pixels that are scored, and drivers."""

    target: xr.DataArray
    truth: NDArray[np.floating]
    at: NDArray[np.bool_]
    drivers: list[xr.DataArray]


class Score(NamedTuple):
    """Of log10 at hidden pixels; `honest` is the spread over the error."""

    RMSE: float
    CRPS: float
    r2: float
    honest: float
    seconds: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--data", type=Path, help="folder of the real data; by default only the simulated ocean")
    parser.add_argument("--sets", nargs="+", choices=(*REAL, "ocean"), default=[*REAL, "ocean"])
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="wall clock of each fit")
    parser.add_argument("--steps", type=int, help="of each fit, instead of minutes")
    parser.add_argument("--save", type=Path, help="folder of the fitted weights; those that are there are used again")


def run(given: argparse.Namespace) -> dict[str, dict[str, Score]]:
    """Print the scores of all, and the ratios that are aimed at."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {}
    for name in given.sets:
        if name in REAL and given.data is None:
            print(f"\n{name}: left out, it needs --data")
            continue
        case = ocean() if name == "ocean" else series(REAL[name], given.data)
        print(f"\n{name}: {case.at.sum()} hidden pixels of {case.target.sizes['time']} dates")
        print("RMSE, CRPS, r2 of log10, spread / error, core-seconds of the fill")
        found[name] = {
            each: scored(each, case, name, given) for each in given.methods if case.drivers or each not in DRIVEN
        }
        ratios(found[name])
    return found


def series(name: str, folder: Path) -> Case:
    """A real series: the hidden pixels lie under the gaps of other dates."""
    case = case_of(name, folder, 1)
    return Case(case.target, case.truth.values, case.hidden.values, [])


def ocean() -> Case:
    """The ocean of the tutorial with eight drivers, whose truth is known where nothing was observed."""
    ds = xgapfill.tutorial.open_dataset("ocean", drivers=True)
    truth = np.log10(ds.CHL_truth.values)
    return Case(ds.CHL, truth, np.isfinite(truth) & ds.CHL.isnull().values, [ds[name] for name in DRIVERS])


def scored(method: str, case: Case, name: str, given: argparse.Namespace) -> Score:
    """Scores of one method, printed."""
    weights = _weights(method, case, name, given) if method in NETS else None
    draws = method in DRAWN
    begin = time.process_time()
    options = {"weights": weights, "members": MEMBERS if draws else None, "full": not draws}
    drivers = None if method in SHIPPED else case.drivers or None
    filled = xgapfill.fill(case.target, method, drivers, **options).compute()
    seconds = time.process_time() - begin
    right = case.truth[case.at]
    if draws:
        members = np.log10(filled.transpose("realization", "time", "lat", "lon").values[:, case.at])
        best, spread = members.mean(0), members.std(0, ddof=1)
        crps = crps_ensemble(members[::2], right)  # one of each pair, as both have the same residual
    else:
        best, spread = np.log10(filled.CHL.values[case.at]), filled.CHL_spread_log10.values[case.at]
        crps = crps_gaussian(best, spread, right)
    miss = float(np.sqrt(np.mean((best - right) ** 2)))
    honest = float(np.sqrt(np.mean(spread**2))) / miss
    score = Score(miss, float(np.mean(crps)), 1 - miss**2 / float(right.var()), honest, seconds)
    print(
        f"  {method:14s} {score.RMSE:.4f}  {score.CRPS:.4f}  {score.r2:.3f}  {score.honest:.2f}  {seconds:.0f} s",
        flush=True,
    )
    return score


def ratios(scores: Mapping[str, Score]) -> None:
    """Print the ratios that are aimed at."""
    for name, (beside, wanted) in TARGETS.items():
        if name in scores and beside in scores:
            for score, most in wanted.items():
                ratio = getattr(scores[name], score) / getattr(scores[beside], score)
                print(f"  {score} of {name} / {beside}: {ratio:.3f} (wanted: <= {most:g})")


def _weights(method: str, case: Case, name: str, given: argparse.Namespace) -> Weights:
    """Weights of a method fitted to the series, or those that were kept."""
    file = None if given.save is None else given.save / f"{method}-{name}.safetensors"
    if file is not None and file.exists():
        weights = xgapfill.weights.load(file)
    else:
        budget: dict[str, float] = {"steps": given.steps} if given.steps else {"minutes": given.minutes}
        weights = xgapfill.fit(case.target, method, case.drivers or None, **budget, **SHAPES.get(method, {}))
        if file is not None:
            weights.save(file)
    network, numbers = weights.card.network, sum(array.size for array in weights.arrays.values())
    print(
        f"  {method}: {numbers} numbers, {network['steps']} steps, fitted in {network['minutes']} minutes", flush=True
    )
    return weights
