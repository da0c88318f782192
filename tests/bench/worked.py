"""A worked case: what the tests say of fills of Newfoundland 2015, and of another sensor."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

import xgapfill
from xgapfill.validation import proxy, verdict_text
from xgapfill.validation.insitu import pairs
from xgapfill.validation.masks import blocks_of_space, blocks_of_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("background", "kriging", "interpolate")
MEMBERS = 16
ALL = ("bias", "unused", "better", "ranks", "range", "spread", "intervals", "tarp", "texture", "seams", "regional")
ALL += ("monthly", "tell_apart", "consistency")
SHOWN = ("all", ">8 px", "calm", "active", "Mar-May", "worst date", "regional means", "monthly means")
DPI = 80


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--figures", type=Path, help="folder of the figures of the page")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])


def main(given: argparse.Namespace) -> None:
    """Run the command."""
    run(given.data, tuple(given.parts), given.figures)


def run(folder: Path, parts: tuple[str, ...], figures: Path | None = None) -> None:
    """Print the tables, and write the figures if a folder is given."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with xr.open_dataset(folder / "newfoundland_modis_2015_8day.nc") as ds:
        chl = ds.CHL.load()
    for part in parts:
        PARTS[part](chl, folder)
    if figures is not None:
        _figures(chl, figures)


def _tests(chl: xr.DataArray, _: Path) -> None:
    """All tests of three methods, and of members."""
    start = time.perf_counter()
    scores = chl.gapfill.validate(METHODS, tests=ALL)
    print(f"all tests of three methods: {time.perf_counter() - start:.0f} s\n\n{verdict_text(scores)}")
    _groups(scores)


def _members(chl: xr.DataArray, _: Path) -> None:
    """All tests of members."""
    scores = chl.gapfill.validate(["background"], members=MEMBERS, drawn=True, tests=[*ALL[:-1]])
    print(f"\n{MEMBERS} members of the background, in pairs\n\n{verdict_text(scores)}")


def _blocks(chl: xr.DataArray, _: Path) -> None:
    """Whole months and whole squares withheld."""
    seen = np.isfinite(chl.values)
    print("\nRMSE of log10 CHL where whole blocks are withheld (95 % interval from resampling dates)")
    print(f"{'':24}" + "".join(f"{name:>22}" for name in METHODS))
    masks = {"clouds of other dates": None, "months": blocks_of_time(seen, length=4)}
    masks["squares of 32 pixels"] = blocks_of_space(seen, side=32)
    for name, mask in masks.items():
        found = chl.gapfill.validate(METHODS, masks=mask, tests=[])
        cells = []
        for method in METHODS:
            cells.append(_cell(found.sel(filled_by=method, group="all")))
        print(f"{name:24}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def _proxy(chl: xr.DataArray, _: Path) -> None:
    """The same gaps on the simulated ocean, whose truth is known."""
    field = xgapfill.tutorial.open_dataset("ocean").CHL_truth
    target = chl.isel(time=slice(10, 34), lon=slice(0, 128))
    made = proxy(target, field.transpose("time", "lat", "lon"))
    found = xgapfill.validate(made.target, METHODS, truth=made.truth, tests=["bias", "better", "spread", "texture"])
    ratio = ", ".join(f"{each:g}" for each in made.attrs["variogram_ratio"])
    print(f"\nthe gaps of 24 dates on the simulated ocean; variogram over the target's, 1 to 16 pixels: {ratio}")
    print(verdict_text(found))


def _sensor(_: xr.DataArray, folder: Path) -> None:
    """MODIS is filled, VIIRS is only compared."""
    maps = []
    for name in ("modis", "viirs"):
        with xr.open_dataset(folder / f"pf_gosl_{name}_2021_janapr_8day.nc") as ds:
            maps.append(ds.CHL.isel(lat=slice(60, 220), lon=slice(100, 300)).load())
    found = maps[0].gapfill.validate(METHODS, other=maps[1], tests=[])
    print(f"\nMODIS filled, VIIRS where MODIS is missing\n{verdict_text(found)}")


def _groups(scores: xr.Dataset) -> None:
    print(f"\n{'RMSE of log10 CHL':20}" + "".join(f"{name:>24}" for name in scores.filled_by.values))
    for group in SHOWN:
        one = scores.sel(group=group)
        cells = [_cell(one.sel(filled_by=name)) for name in scores.filled_by.values]
        print(f"{group:20}" + "".join(f"{cell:>24}" for cell in cells))


def _cell(one: xr.Dataset) -> str:
    """RMSE of a group with its interval."""
    text = f"{float(one.group_rmse):.3f}"
    low, high = float(one.group_rmse_low), float(one.group_rmse_high)
    return text if np.isnan(low) else f"{text} ({low:.3f}-{high:.3f})"


def _figures(chl: xr.DataArray, folder: Path) -> None:
    """The pictures of the page."""
    part = chl.isel(time=slice(8, 28))
    filled = xgapfill.background(part, full=True).compute()
    scores = chl.gapfill.validate(METHODS)
    pictures = {
        "panels": xgapfill.plot.panels(part, filled),
        "gaps": xgapfill.plot.gaps(chl),
        "reliability": xgapfill.plot.reliability(scores),
        "spectrum": xgapfill.plot.spectrum(scores),
        "matchups": _match_ups(),
    }
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.png", dpi=DPI)
        print(folder / f"{name}.png")


def _match_ups() -> Figure:
    """Samples of the simulated ocean with an error of 0.15 in log10, beside the map and its fill."""
    ds = xgapfill.tutorial.open_dataset("ocean")
    samples = ds.CHL_truth.rename("CHL").to_series().dropna().sample(300, random_state=0).reset_index()
    samples["CHL"] *= 10 ** (0.15 * np.random.default_rng(0).normal(size=len(samples)))
    filled = xgapfill.background(ds.CHL).compute()
    return xgapfill.plot.matchups(pairs(filled, samples, ds.CHL), "log10 CHL")


PARTS = {"tests": _tests, "members": _members, "blocks": _blocks, "proxy": _proxy, "sensor": _sensor}
