"""What the prior of all windows is worth: other years, a short series, and wide gaps of a global map."""

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
from xgapfill.lattice.grid import Grid
from xgapfill.validation.masks import transplanted

WIDE = 20  # pixels from anything observed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--methods", nargs="+", default=["background"])
    parser.add_argument("--sets", nargs="+", choices=(*SETS, "global"), default=list(SETS))


def run(folder: Path, methods: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Print RMSE of log10 with and without, and how far windows show in wide gaps."""
    warnings.simplefilter("ignore")
    for name in sets:
        if name == "global":
            for method in methods:
                wide_gaps(folder, method)
            continue
        target, values, hidden = SETS[name](folder)
        print(f"{name}: {hidden.sum()} hidden pixels of {len(values)} maps; RMSE of log10, spread over error")
        for method in methods:
            found = [scored(target, values, hidden, method, prior) for prior in (None, "auto")]
            both = "  ".join(f"{rmse:.4f} ({ratio:.2f}) {seconds:.0f} s" for rmse, ratio, seconds in found)
            print(f"  {method:16s} without, with: {both}   ratio {found[1][0] / found[0][0]:.3f}", flush=True)


def oman(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """Eleven years of months, under the gaps of other months."""
    with xr.open_dataset(folder / "gulf_of_oman_modis_monthly_2015_2025.nc") as ds:
        target = ds.load().CHL
    values = np.log10(target.values)
    return target, values, transplanted(np.isfinite(values))


def single_year(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """The validation set: 8-day composites of one summer."""
    found = problems.choose_problem(folder, gaps="transplanted")
    target = problems.as_chl(found._replace(values=np.asarray(found.truth)))
    return target, np.log10(target.values), np.asarray(found.hidden)


SETS = {"oman": oman, "single-year": single_year}


def scored(
    target: xr.DataArray, values: NDArray, hidden: NDArray, method: str, prior: str | None
) -> tuple[float, float, float]:
    """RMSE, root mean square of spread over error, and core-seconds."""
    begin = time.process_time()
    shown = target.where(~hidden)
    filled = getattr(xgapfill, method)(shown, prior=prior, full=True).compute()
    error = (np.log10(filled.CHL.values) - values)[hidden]
    spread = filled.CHL_spread_log10.values[hidden]
    there = np.isfinite(error)
    rmse = float(np.sqrt(np.mean(error[there] ** 2)))
    return rmse, float(np.sqrt(np.mean(spread[there] ** 2)) / rmse), time.process_time() - begin


def wide_gaps(folder: Path, method: str) -> None:
    """Squared steps across the borders of windows over those elsewhere, in the South Pacific and Southern Ocean."""
    with xr.open_dataset(folder / "global_modis_8day_20150101_0.1deg.nc") as ds:
        part = ds.sortby("lat").sel(lat=slice(-78, 0)).isel(lon=slice(100, 1300)).load()
    sea = part.ocean.values > 0
    away = distance_transform_edt(np.isnan(part.CHL.values[0])) > WIDE
    members = {"members": 1} if method in ("vae", "repaint") else {}
    for prior in (None, "auto"):
        filled = getattr(xgapfill, method)(part.CHL, sea=part.ocean, prior=prior, full=True, **members).compute()
        fields = {"mean": np.log10(filled.CHL.values), "spread": filled.CHL_spread_log10.values}
        missing = int((np.isnan(fields["mean"].reshape(sea.shape)) & sea).sum())
        words = [f"{name} {steps(each.reshape(sea.shape), part, away & sea):.2f}" for name, each in fields.items()]
        print(f"global, {method}, prior={prior}: {missing} pixels of sea missing; {', '.join(words)}", flush=True)


def steps(field: NDArray, part: xr.Dataset, wide: NDArray) -> float:
    """Ratio of squared steps where windows begin or end to those elsewhere, the larger of rows and columns."""
    grid = Grid.of(None, part.lat.values, part.lon.values)
    ratios = []
    for axis, places in ((0, grid.rows), (1, grid.cols)):
        square = np.diff(field, axis=axis) ** 2
        both = np.delete(wide, 0, axis) & np.delete(wide, -1, axis) & np.isfinite(square)
        square = np.where(both, square, np.nan)
        border = np.isin(np.array(places)[1:] % 48, (0, 1, 15, 16, 17, 47))
        at, other = (np.nanmean(np.compress(each, square, axis)) for each in (border, ~border))
        ratios.append(float(at / other))
    return max(ratios)
