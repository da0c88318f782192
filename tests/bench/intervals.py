"""Intervals on the test set: coverage of calibrated and of normal ones, on clouds they were not learned from."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

import xgapfill
from bench.scores import problem
from xgapfill.kernel.calibration import card_factor

METHODS = ("background", "kriging", "dctpls", "posterior_mean")
SETS = ("report-chl", "report-psc")
MAPS = ("time", "lat", "lon")


def run(folder: Path, sets: tuple[str, ...] = SETS, methods: tuple[str, ...] = METHODS) -> None:
    """Print the table of each method; nothing is chosen here."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(
        "intervals that should hold 90 % of withheld values: calibrated on other dates and on other clouds of the date,"
    )
    print("and those of a normal distribution with the stated spread; widths in log10 of CHL, in fractions")
    for name in sets:
        for method in methods:
            given = problem(name, folder, method)
            options, target = given["options"], given["target"]
            truth = options.pop("truth", None)
            if truth is not None:  # the test set of size classes has its truth in a variable of its own
                options["masks"] = (truth.notnull() & target.isnull()).all([d for d in truth.dims if d not in MAPS])
                target = target.fillna(truth)
            found = xgapfill.calibrate(target, method, **options)
            print(f"\n{name}\n{found!r}", flush=True)
            if method == "posterior_mean":
                card = xgapfill.weights.load("psc-chl" if name == "report-psc" else "chl").card
                held = np.mean(np.array(found.ratios) <= card_factor(0.9, card.intervals))
                print(f"those of the card hold {held:.3f}", flush=True)
