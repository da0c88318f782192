"""Nets of published systems beside kriging and DINEOF: each is fitted to the series it fills, within the same budget.

The series is the NE Pacific 2020 without the hidden pixels of its validation set. Every row gets all of its frames, and
is scored at the hidden pixels from June on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
import xarray as xr

import xgapfill
from bench.members import case_of
from xgapfill.api.validate import validate
from xgapfill.methods.published import PublishedNet
from xgapfill.methods.registry import BUILT_IN
from xgapfill.validation.table import table_text
from xgapfill.weights import Weights

BESIDE = ("kriging", "dineof")
SYSTEMS = tuple(kind.name for kind in BUILT_IN if issubclass(kind, PublishedNet))
MINUTES = 10.0
# What the published DINCAE had on a comparable set after 51 epochs, as ratios to kriging.
TARGETS = {"dincae": ("kriging", {"rmse": 1.43, "crps": 1.5}), "vconstruct": ("dineof", {"rmse": 1.0})}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--methods", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="wall clock of each fit")
    parser.add_argument("--steps", type=int, help="of each fit, instead of minutes")
    parser.add_argument("--save", type=Path, help="folder of the fitted weights; those that are there are used again")


def run(given: argparse.Namespace) -> xr.Dataset:
    """Print the scores of all, and the ratios that are aimed at."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    case = case_of("choose-chl", given.data, 1)
    whole = case.target.copy(data=np.power(np.float32(10), case.truth.values))
    fitted = {name: _weights(name, case.target, given) for name in given.methods}
    tables = [
        validate(whole, {name: name}, masks=case.hidden.values, weights=fitted.get(name), tests=())
        for name in (*given.methods, *BESIDE)
    ]
    scores = xr.concat(tables, "filled_by", data_vars="minimal")
    print(table_text(scores, "validation set within its series: log10 CHL, NE Pacific 2020, 8-day MODIS"))
    every = scores.sel(distance_class="all")
    for name in given.methods:
        beside, wanted = TARGETS.get(name, ("kriging", {}))
        for score, most in (wanted or {"rmse": float("nan")}).items():
            ratio = float(every[score].sel(filled_by=name) / every[score].sel(filled_by=beside))
            print(f"{score} of {name} / {beside}: {ratio:.3f} (wanted: <= {most:g})")
    return scores


def _weights(name: str, series: xr.DataArray, given: argparse.Namespace) -> Weights:
    """Weights of a method fitted to the series, or those that were kept."""
    file = None if given.save is None else given.save / f"{name}-systems.safetensors"
    if file is not None and file.exists():
        weights = xgapfill.weights.load(file)
    else:
        budget = {"steps": given.steps} if given.steps else {"minutes": given.minutes}
        weights = xgapfill.fit(series, name, **budget)
        if file is not None:
            weights.save(file)
    network, numbers = weights.card.network, sum(array.size for array in weights.arrays.values())
    print(f"{name}: {numbers} numbers, {network['steps']} steps, fitted in {network['minutes']} minutes", flush=True)
    return weights
