"""Fill real chlorophyll off Newfoundland and size classes on it, and print scores: ``python examples/real_chl.py``.

The data are not part of the repository; ``--data`` names their folder. Chlorophyll of 2015 gets the gaps of other dates
in addition to its own; the size classes are semi-synthetic (real chlorophyll and gaps, simulated classes)
because no map of real ones is public. Error estimates of methods without members are rescaled by distance on the
validation set, the NE Pacific in 2020. Nothing is chosen on the test set, Newfoundland.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import xarray as xr
from bench import problems, report

import xgapfill
from xgapfill.api.validate import fit_scales

SIMPLE = ("pixel_mean", "time_interpolation")
OURS = ("background", "posterior_mean", "repaint")
FILES = ("newfoundland_modis_2015_8day.nc", "newfoundland_psc_2015_8day.nc", "ne_pacific_modis_2020_8day.nc")


def main() -> int:
    """Score chlorophyll, then size classes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data (%(default)s)")
    parser.add_argument("--members", type=int, default=8, help="size of the ensemble (%(default)s)")
    parser.add_argument("--chl-weights", help="path of weights other than the shipped ones")
    parser.add_argument("--psc-weights", help="path of weights other than the shipped ones")
    parser.add_argument("--only", choices=("chl", "psc"), help="score one of the two")
    given = parser.parse_args()
    absent = [name for name in FILES if not (given.data / name).exists()]
    if absent:
        print(f"{given.data} lacks {', '.join(absent)}. Give their folder: --data FOLDER", file=sys.stderr)
        return 2
    xgapfill.set_options(progress=True)  # in log files, too
    if given.only != "psc":
        chlorophyll(given.data, given.members, given.chl_weights)
    if given.only != "chl":
        size_classes(given.data, given.members, given.psc_weights)
    return 0


def chlorophyll(folder: Path, members: int, weights: str | None) -> xr.Dataset:
    """Score chlorophyll, in log10, at hidden observed pixels."""
    print("chlorophyll: error estimates are rescaled on the NE Pacific, then all methods are scored ...", flush=True)
    rows = (*SIMPLE, "global_dct_pls", "global_kriging", *OURS)
    choose = problems.choose_problem(folder, gaps="transplanted")
    observed = problems.as_chl(choose._replace(values=choose.truth))
    scales = fit_scales(observed, rows[:-1], masks=choose.hidden, weights=weights)

    problem = problems.report_problem(folder)
    chl = problems.as_chl(problem._replace(values=problem.truth))
    scores = chl.gapfill.validate(rows, masks=problem.hidden, members=members, weights=weights, scales=scales)
    show(scores, f"log10 CHL, Newfoundland 2015, 8-day MODIS, gaps of other dates; {members} members")
    return scores


def size_classes(folder: Path, members: int, weights: str | None) -> xr.Dataset:
    """Score the fractions where their simulated truth is known, given chlorophyll."""
    print("size classes: the same ...", flush=True)
    rows = (*SIMPLE, "global_dct_pls", *OURS)
    choose = problems.choose_size_classes(folder)
    scales = fit_scales(choose.PSC, rows[:-1], cond=choose.CHL, truth=choose.truth, weights=weights)

    with xr.open_dataset(folder / "newfoundland_psc_2015_8day.nc") as ds:
        ds = ds.load().set_coords("mask")
    scores = ds.PSC.gapfill.validate(rows, cond=ds.CHL, truth=ds.truth, members=members, weights=weights, scales=scales)
    show(scores, f"fractions given CHL, Newfoundland 2015, semi-synthetic classes; {members} members, mean of classes")
    return scores


def show(scores: xr.Dataset, title: str) -> None:
    """Print the table and the targets."""
    print(report.table_text(scores, title))
    print()
    print(report.targets_text(report.targets(scores)))
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
