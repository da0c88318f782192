"""The score sheet: each method in its own process, on the validation set, the test set and the simulated ocean."""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xgapfill
from bench import peers, problems
from bench.machine import peak_memory
from xgapfill.api.validate import fit_scales, validate
from xgapfill.methods.kriging import Kriging
from xgapfill.validation.scores import SpreadScale
from xgapfill.validation.table import table_text

SIMPLE = ("pixel_mean", "time_interpolation")
WHOLE = ("global_dct_pls", "global_kriging")
CLASSICAL = ("climatology", "interpolate", "dctpls", "kriging", "kriging_realisations", "dineof", "som")
OURS = ("background", "posterior_mean", "repaint", "vae")
OBJECTS = {"kriging_realisations": Kriging(realisations=True)}
DRAWN = ("repaint", "vae", "kriging_realisations")  # spread comes from members, so it is not rescaled
SETS = ("choose-chl", "report-chl", "choose-psc", "report-psc", "ocean-chl", "ocean-psc")
TITLES = {
    "choose-chl": "validation set: log10 CHL, NE Pacific from 2020-06-09, 8-day MODIS, gaps of other dates",
    "report-chl": "test set: log10 CHL, Newfoundland 2015, 8-day MODIS, gaps of other dates",
    "choose-psc": "validation set: fractions given CHL, NE Pacific from 2020-06-09, semi-synthetic classes",
    "report-psc": "test set: fractions given CHL, Newfoundland 2015, semi-synthetic classes",
    "ocean-chl": "simulated ocean: log10 CHL under clouds that hide a tenth",
    "ocean-psc": "simulated ocean: fractions given CHL and SST where a method takes it",
}
MEMBERS = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--data", type=Path, help="folder of the real data; by default only the simulated ocean")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rows", nargs="+", help="methods, by default all")
    parser.add_argument("--prior", choices=("auto", "none"), default="auto", help="that all windows share")


def run(
    folder: Path | None, sets: tuple[str, ...] = SETS, rows: tuple[str, ...] | None = None, prior: str | None = "auto"
) -> None:
    """Print a table per set, with the prior that windows share or None.

    Error estimates are rescaled by distance on the validation set of the same variable.
    """
    print(
        f"xgapfill {version('xgapfill')}, torch {version('torch')}, {platform.machine()}, one core per row, {today()}"
    )
    print(f"{MEMBERS} members; seconds: wall time of filling; GB: peak of the process; smooth: degree of smoothing\n")
    scales: dict[str, dict[str, SpreadScale]] = {"chl": {}, "psc": {}}
    for name in sets:
        if folder is None and not name.startswith("ocean"):
            continue
        wanted = rows_of(name) if rows is None else rows
        tables = []
        for row in wanted:
            scaled = scales[name[-3:]]
            found = alone(score, name, row, folder, {} if name.startswith("choose") else scaled, prior)
            if isinstance(found, str):
                print(f"{row}: {found}")
                continue
            table, fitted = found
            tables.append(table)
            if name.startswith("choose"):
                scaled |= fitted
        if tables:
            print(table_text(xr.concat(tables, "filled_by", data_vars="minimal"), TITLES[name]), end="\n\n", flush=True)


def today() -> str:
    """Date of the run, ISO 8601."""
    return time.strftime("%Y-%m-%d")


def rows_of(name: str) -> tuple[str, ...]:
    """Rows of a set: all methods that can fill it."""
    given_chl = () if name.endswith("chl") else ("regression",)
    others = tuple(peers.installed()) if name.endswith("chl") else ()
    return (*SIMPLE, *WHOLE, *others, *given_chl, *CLASSICAL, *OURS)


def alone(function: Any, *arguments: Any) -> Any:
    """Result of a function run in a fresh process, or its error message."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except Exception as error:  # a row that fails must not break the table
            return f"{type(error).__name__}: {error}"


def score(
    name: str, row: str, folder: Path | None, scales: Mapping[str, SpreadScale], prior: str | None = "auto"
) -> tuple[xr.Dataset, dict[str, SpreadScale]]:
    """Scores of one method on one set; on a validation set, also the factors for its spread."""
    warnings.simplefilter("ignore")
    if row in peers.PROGRAMS and row not in peers.installed():
        raise ModuleNotFoundError(f"{row} is not installed: pip install {row}")
    given = problem(name, folder, row)
    given["options"]["prior"] = prior
    methods: Any = {row: peers.installed().get(row) or OBJECTS.get(row, row)}
    table = validate(given["target"], methods, members=MEMBERS, scales=scales, smoothing=True, **given["options"])
    table["memory"] = ("filled_by", [peak_memory() / 1024])
    fitted = {}
    if name.startswith("choose") and row not in (*DRAWN, *peers.installed()):
        fitted = fit_scales(given["target"], methods, **given["options"])
    return table, fitted


def problem(name: str, folder: Path | None, row: str) -> dict[str, Any]:
    """Target and options of `validate` for a set."""
    if name.startswith("ocean"):
        ocean = xgapfill.tutorial.open_dataset("ocean").load()
        if name == "ocean-chl":
            return {"target": ocean.CHL, "options": {"truth": ocean.CHL_truth.where(ocean.CHL.isnull())}}
        conditions = [ocean.CHL, ocean.SST] if row in ("som", "regression", "background") else [ocean.CHL]
        truth = ocean.PSC_truth.where(ocean.PSC.isnull())
        return {"target": ocean.PSC, "options": {"cond": conditions, "truth": truth}}
    if folder is None:
        raise FileNotFoundError(f"the set {name} needs the folder of the real data; give it with --data")
    if name == "choose-psc":
        ds = problems.choose_size_classes(folder)
        return {"target": ds.PSC, "options": {"cond": ds.CHL, "truth": ds.truth}}
    if name == "report-psc":
        with xr.open_dataset(folder / "newfoundland_psc_2015_8day.nc") as ds:
            ds = ds.load().set_coords("mask")
        return {"target": ds.PSC, "options": {"cond": ds.CHL, "truth": ds.truth}}
    choose = name == "choose-chl"
    found = problems.choose_problem(folder, gaps="transplanted") if choose else problems.report_problem(folder)
    target = problems.as_chl(found._replace(values=np.asarray(found.truth)))
    return {"target": target, "options": {"masks": found.hidden}}
