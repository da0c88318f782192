"""Tests of the tests: which one catches which planted defect, and how often each raises a false alarm.

The ocean is made up and its law known; see `xgapfill.validation.planted`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
import pandas as pd

from xgapfill.validation.consistency import consistency
from xgapfill.validation.insitu import difference
from xgapfill.validation.planted import DEFECTS, ocean, other_sensor, refilled, samples
from xgapfill.validation.sensors import transfer
from xgapfill.validation.verdict import Verdict
from xgapfill.validation.verdicts import TESTS, verdicts

# Rows that claim to catch a defect.
CLAIMS = {
    "long gaps": ("bias >8 px",),
    "narrow": ("rank width", "range coverage", "spread over error", "TARP mean"),
    "smooth": ("texture S_1", "exponent zeta(1)", "tell apart"),
    "seams": ("seam at borders", "seam along a line", "texture S_1"),
    "sensor": ("sensor offset", "match-up difference", "bias", "regional mean bias", "monthly mean bias"),
    "mean": ("unused observations", "TARP mean", "TARP width", "error over that of mean", "refill: texture S_1"),
}
REQUIREMENTS = ("error over that of mean",)  # no law says how often these hold


def found(defect: str = "", seed: int = 0, tests: tuple[str, ...] = tuple(TESTS)) -> list[Verdict]:
    """All verdicts on an ocean with at most one defect."""
    scene = ocean(defect, seed)
    target = np.where(scene.observed, scene.truth, np.nan)
    # an offset of sensors is taken off by a good fill, so it is the same at both kinds of pixels
    beside = transfer(target, scene.made(scene.mean), other_sensor(scene, seed))[:1]
    ships = difference(samples(scene, seed))
    return [*verdicts(scene, tests), *consistency(refilled(scene, defect, seed)), *beside, ships]


def alarms(defect: str, seeds: int) -> dict[str, float]:
    """Percentage of oceans in which each test fails."""
    failed = defaultdict(list)
    for seed in range(seeds):
        for one in found(defect, seed):
            if one.tested:
                failed[one.name].append(not one.passed)
    return {name: 100 * float(np.mean(each)) for name, each in failed.items()}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--seeds", type=int, default=400, help="fills from the truth's own law")
    parser.add_argument("--planted", type=int, default=40, help="fills with each defect")


def main(given: argparse.Namespace) -> None:
    """Run the command."""
    run(given.seeds, given.planted)


def run(seeds: int = 400, planted: int = 40) -> pd.DataFrame:
    """Print the table."""
    columns = {"none": alarms("", seeds)} | {defect: alarms(defect, planted) for defect in DEFECTS}
    table = pd.DataFrame(columns)
    print(f"percentage of oceans in which a test fails: {seeds} filled from the truth's own law, {planted} each with")
    print("; ".join(f"{name}: {text}" for name, text in DEFECTS.items()))
    print("* marks what a test claims to catch")
    print(f"{'':26}" + "".join(f"{name:>11}" for name in table.columns))
    for name, row in table.iterrows():
        marks = ["*" if name in CLAIMS.get(column, ()) else " " for column in table.columns]
        print(f"{name:26}" + "".join(f"{share:10.1f}{mark}" for share, mark in zip(row, marks, strict=True)))
    return table
