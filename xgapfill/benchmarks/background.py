"""The background against the best classical fillers, on the choose set.

RMSE of log10 CHL at hidden pixels by distance to the nearest seen one. The target is 1.05 x the better of tuned 3-D
DCT-PLS and local kriging.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from xgapfill.validation.distance import NAMES, distance_class, distance_to_seen
from xgapfill.validation.opponents import Field, tuned_dct_pls, tuned_kriging

from .problems import Problem, choose_problem

TARGET = 1.05


def run(folder: Path, gaps: str = "discs") -> dict[str, float]:
    """Print the table and return the overall RMSE of each row."""
    problem = choose_problem(folder, gaps=gaps)
    classes = distance_class(distance_to_seen(np.isfinite(problem.values)))
    sizes = [int(np.count_nonzero(problem.hidden & (classes == k))) for k in range(len(NAMES))]
    print(f"NE Pacific from 2020-06-09, 8-day MODIS CHL, {gaps} hidden, RMSE of log10 CHL")
    print(f"{'':24}{'all':>9}" + "".join(f"{name + ' px':>9}" for name in NAMES) + f"{'seconds':>9}")
    print(f"{'hidden pixels':24}{sum(sizes):9d}" + "".join(f"{size:9d}" for size in sizes))
    rows: dict[str, Callable[[], Field]] = {
        "DCT-PLS, tuned": lambda: tuned_dct_pls(problem.values).values,
        "kriging, 60 neighbours": lambda: tuned_kriging(problem.values, problem.hidden).values,
        "background": lambda: background(problem),
    }
    overall = {}
    for name, fill in rows.items():
        start = time.perf_counter()
        error = fill() - problem.truth
        seconds = time.perf_counter() - start
        overall[name] = rmse(error[problem.hidden])
        by_class = [rmse(error[problem.hidden & (classes == k)]) for k in range(len(NAMES))]
        print(f"{name:24}{overall[name]:9.4f}" + "".join(f"{value:9.4f}" for value in by_class) + f"{seconds:9.1f}")
    *opponents, ours = overall.values()
    ratio = ours / min(opponents)
    print(f"background / better opponent: {ratio:.3f} (target <= {TARGET}: {'met' if ratio <= TARGET else 'missed'})")
    return overall


def background(problem: Problem) -> Field:
    """The package's background at every pixel, as log10 CHL."""
    import xgapfill

    filled = xgapfill.background(as_chl(problem), sea=xr.DataArray(problem.sea, dims=("lat", "lon")))
    return np.log10(filled.transpose("time", "lat", "lon").values)


def as_chl(problem: Problem) -> xr.DataArray:
    """The problem as the CHL a user would bring, mg m-3."""
    return xr.DataArray(
        np.power(np.float32(10), problem.values),
        dims=("time", "lat", "lon"),
        coords={"time": problem.time, "lat": problem.lat, "lon": problem.lon},
        name="CHL",
        attrs={"units": "mg m-3", "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water"},
    )


def rmse(error: np.ndarray) -> float:
    """Root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64)))) if error.size else float("nan")
