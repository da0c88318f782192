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
        parts = of_years(target, hidden)
        counts = ", ".join(f"{part}: {each.sum()}" for part, each in parts.items())
        print(f"{name}: hidden pixels of {len(values)} maps, {counts}; RMSE of log10 (spread over error)")
        for method in methods:
            start = time.process_time()
            found = [scored(target, values, hidden, parts, method, prior) for prior in (None, "auto")]
            words = [
                f"{part}: without {without[0]:.4f} ({without[1]:.2f}), with {with_it[0]:.4f} ({with_it[1]:.2f}), "
                f"ratio {with_it[0] / without[0]:.3f}"
                for part, without, with_it in zip(parts, *found, strict=True)
            ]
            print(f"  {method:14s} {'; '.join(words)}; {time.process_time() - start:.0f} s", flush=True)


def of_years(target: xr.DataArray, hidden: NDArray) -> dict[str, NDArray]:
    """Hidden pixels of the years in which parameters are chosen, and of later ones, which are only reported."""
    late = target.time.dt.year.values >= REPORT_FROM
    parts = {"choose": hidden & ~late[:, None, None], "report": hidden & late[:, None, None]}
    return {name: each for name, each in parts.items() if each.any()}


def oman(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """Eleven years of months, under the gaps of other months."""
    target, values = _months(folder)
    return target, values, transplanted(np.isfinite(values))


def oman_wide(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """The same; one month in six is under the gaps of months that are mostly missing, as most missing pixels are."""
    target, values = _months(folder)
    hidden = transplanted(np.isfinite(values), most=0.99, least=0.6, seed=2)
    hidden[np.arange(len(values)) % 6 != 2] = False
    return target, values, hidden


def _months(folder: Path) -> tuple[xr.DataArray, NDArray]:
    with xr.open_dataset(folder / "gulf_of_oman_modis_monthly_2015_2025.nc") as ds:
        target = ds.load().CHL
    return target, np.log10(target.values)


def single_year(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """The validation set: 8-day composites of one summer."""
    found = problems.choose_problem(folder, gaps="transplanted")
    target = problems.as_chl(found._replace(values=np.asarray(found.truth)))
    return target, np.log10(target.values), np.asarray(found.hidden)


def newfoundland(folder: Path) -> tuple[xr.DataArray, NDArray, NDArray]:
    """The test set: 8-day composites of one year."""
    found = problems.report_problem(folder)
    target = problems.as_chl(found._replace(values=np.asarray(found.truth)))
    return target, np.log10(target.values), np.asarray(found.hidden)


SETS = {"oman": oman, "oman-wide": oman_wide, "single-year": single_year, "newfoundland": newfoundland}
REPORT_FROM = 2021


def scored(
    target: xr.DataArray, values: NDArray, hidden: NDArray, parts: dict[str, NDArray], method: str, prior: str | None
) -> list[tuple[float, float]]:
    """RMSE, and root mean square of spread over error, of each part of the hidden pixels."""
    filled = getattr(xgapfill, method)(target.where(~hidden), prior=prior, full=True).compute()
    error, spread = np.log10(filled.CHL.values) - values, filled.CHL_spread_log10.values
    found = []
    for part in parts.values():
        there = part & np.isfinite(error)
        rmse, size = (float(np.sqrt(np.mean(each[there] ** 2))) for each in (error, spread))
        found.append((rmse, size / rmse))
    return found


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
