"""What another sensor is worth: hidden pixels of MODIS with and without VIIRS, and what a useless sensor costs."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

import xgapfill
from bench import problems
from xgapfill.validation.masks import transplanted
from xgapfill.validation.scores import crps_gaussian

Set = tuple[xr.DataArray, xr.DataArray, NDArray]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--methods", nargs="+", default=["background", "kriging", "posterior_mean"])
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))


def run(folder: Path, methods: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Print RMSE and CRPS of log10 at hidden pixels, without and with the other sensor."""
    warnings.simplefilter("ignore")
    for name in sets:
        target, other, hidden = SETS[name](folder)
        truth = np.log10(target.values)
        seen = np.isfinite(other.values)
        print(f"{name}: {hidden.sum()} hidden pixels, {seen[hidden].mean():.0%} of them seen by the other sensor")
        for method in methods:
            both = [scored(target, truth, hidden, seen, method, also) for also in (None, other)]
            words = "  ".join(
                f"RMSE {each[0]:.4f} (seen {each[1]:.4f}, not {each[2]:.4f}) CRPS {each[3]:.4f} sd/RMSE {each[4]:.2f} "
                f"{each[5]:.0f} s"
                for each in both
            )
            ratios = f"ratio {both[1][0] / both[0][0]:.3f}, CRPS {both[1][3] / both[0][3]:.3f}"
            print(f"  {method:16s} without, with: {words}   {ratios}", flush=True)


def scored(
    target: xr.DataArray, truth: NDArray, hidden: NDArray, seen: NDArray, method: str, also: xr.DataArray | None
) -> tuple[float, ...]:
    """RMSE at all hidden pixels, at those that the other sensor saw and did not, CRPS, spread over error, seconds."""
    begin = time.process_time()
    filled = getattr(xgapfill, method)(target.where(~hidden), also=also, full=True).compute()
    spent = time.process_time() - begin
    mean, spread = (filled[name].values for name in ("CHL", "CHL_spread_log10"))
    error = np.log10(mean) - truth
    there = hidden & np.isfinite(error)

    def rms(values: NDArray) -> float:
        return float(np.sqrt(np.mean(values**2)))

    crps = crps_gaussian(np.log10(mean)[there], spread[there], truth[there]).mean()
    parts = rms(error[there]), rms(error[there & seen]), rms(error[there & ~seen])
    return *parts, float(crps), rms(spread[there]) / parts[0], spent


def gosl(folder: Path) -> Set:
    """Validation set: MODIS under the gaps of other dates, VIIRS as it was."""
    names = (f"pf_gosl_{sensor}_2021_janapr_8day.nc" for sensor in ("modis", "viirs"))
    target, other = (_chl(folder / name) for name in names)
    return target, other, transplanted(np.isfinite(target.values))


def noise(folder: Path) -> Set:
    """The same with a sensor of noise, with the mean, the variance and the gaps of VIIRS."""
    target, other, hidden = gosl(folder)
    values = np.log10(other.values)
    drawn = np.random.default_rng(0).normal(np.nanmean(values), np.nanstd(values), values.shape)
    return target, _like(other, np.where(np.isfinite(values), drawn, np.nan)), hidden


def drift(folder: Path) -> Set:
    """The same with VIIRS that drifts by a factor of 10 in three months."""
    target, other, hidden = gosl(folder)
    line = np.linspace(-0.5, 0.5, other.sizes["time"])[:, None, None]
    return target, _like(other, np.log10(other.values) + line), hidden


def newfoundland(folder: Path) -> Set:
    """Test set, semi-synthetic: MODIS of 2015 plus the differences of VIIRS from MODIS of 2021, gaps of other dates."""
    problem = problems.report_problem(folder)
    target = problems.as_chl(problem._replace(values=problem.truth))
    modis, viirs, _ = gosl(folder)
    difference = np.log10(viirs.values) - np.log10(modis.values)
    frames, height, width = problem.truth.shape
    known = np.isfinite(difference).sum(axis=0)
    sums = np.lib.stride_tricks.sliding_window_view(known, (height, width)).sum(axis=(2, 3))
    y, x = np.unravel_index(sums.argmax(), sums.shape)
    part = difference[np.arange(frames) % len(difference), y : y + height, x : x + width]
    nearest = np.stack([each[tuple(_nearest(each))] for each in part])
    gaps = transplanted(np.isfinite(problem.truth), seed=problems.REPORT_SEED + 1)
    return target, _like(target, np.where(gaps, np.nan, problem.truth + nearest)), problem.hidden


def _nearest(values: NDArray) -> NDArray:
    """Indices of the nearest known value."""
    return distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)


def _chl(path: Path) -> xr.DataArray:
    if not path.exists():
        raise FileNotFoundError(f"{path.name} was not found in {path.parent}; give its folder with --data")
    with xr.open_dataset(path) as ds:
        return ds.load().CHL


def _like(target: xr.DataArray, logarithm: NDArray) -> xr.DataArray:
    return target.copy(data=(10**logarithm).astype(np.float32)).rename("OTHER")


SETS = {"gosl": gosl, "noise": noise, "drift": drift, "newfoundland": newfoundland}
