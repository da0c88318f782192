"""The background against the best classical baselines, on the validation set.

RMSE of log10 CHL at hidden pixels by distance to the nearest observed one. The target is 1.05 x the better of tuned 3-D
DCT-PLS and local kriging.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

import xgapfill
from bench.problems import Problem, as_chl, choose_problem, choose_size_classes
from bench.windows import seconds_a_window
from xgapfill.api.validate import validate
from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.methods import Background
from xgapfill.validation.baselines.tuned import Field, held_out_like_gaps, tuned_dct_pls, tuned_kriging
from xgapfill.validation.scores import rmse
from xgapfill.validation.table import table_text

TARGET = 1.05
SECONDS = 0.02


def run(folder: Path, gaps: str = "discs") -> dict[str, float]:
    """Print the table and return the overall RMSE of each row."""
    problem = choose_problem(folder, gaps=gaps)
    classes = distance_class(distance_to_observed(np.isfinite(problem.values)))
    sizes = [int(np.count_nonzero(problem.hidden & (classes == k))) for k in range(len(NAMES))]
    print(f"NE Pacific from 2020-06-09, 8-day MODIS CHL, {gaps} hidden, RMSE of log10 CHL")
    print(f"{'':24}{'all':>9}" + "".join(f"{name + ' px':>9}" for name in NAMES) + f"{'seconds':>9}")
    print(f"{'hidden pixels':24}{sum(sizes):9d}" + "".join(f"{size:9d}" for size in sizes))
    # Parameters are tuned on gaps of the same kind.
    blocks = held_out_like_gaps(np.isfinite(problem.values)) if gaps == "transplanted" else None
    rows: dict[str, Callable[[], Field]] = {
        "DCT-PLS, tuned": lambda: tuned_dct_pls(problem.values, blocks=blocks).values,
        "kriging, 60 neighbours": lambda: tuned_kriging(problem.values, problem.hidden, blocks=blocks).values,
        "background": lambda: background(problem),
    }
    overall = {}
    for name, fill in rows.items():
        start = time.perf_counter()
        error = fill() - problem.truth
        seconds = time.perf_counter() - start
        overall[name] = rmse(error, 0, problem.hidden)
        by_class = [rmse(error, 0, problem.hidden & (classes == k)) for k in range(len(NAMES))]
        print(f"{name:24}{overall[name]:9.4f}" + "".join(f"{value:9.4f}" for value in by_class) + f"{seconds:9.1f}")
    *baselines, ours = overall.values()
    ratio = ours / min(baselines)
    print(f"background / better baseline: {ratio:.3f} (target <= {TARGET}: {'met' if ratio <= TARGET else 'missed'})")
    print(
        f"background: {seconds_a_window(Background()):.4f} core-seconds per window of 5 x 64 x 64 (target <= {SECONDS})"
    )
    return overall


def run_size_classes(folder: Path) -> xr.Dataset:
    """Print and return the scores of semi-synthetic size classes given chlorophyll, on the validation set."""
    classes = choose_size_classes(folder)
    rows = ("global_dct_pls", "global_kriging", "background")
    scores = validate(classes.PSC, rows, cond=classes.CHL, truth=classes.truth)
    print(table_text(scores, "NE Pacific from 2020-06-09, semi-synthetic fractions given CHL, mean of classes"))
    *baselines, ours = np.sqrt((scores.rmse.sel(distance_class="all") ** 2).mean("size_class")).values
    ratio = ours / min(baselines)
    print(f"background / better baseline: {ratio:.3f} (target <= {TARGET}: {'met' if ratio <= TARGET else 'missed'})")
    return scores


def background(problem: Problem) -> Field:
    """The package's background at every pixel, as log10 CHL."""
    filled = cast(xr.DataArray, xgapfill.background(as_chl(problem)))
    return np.log10(filled.values)
