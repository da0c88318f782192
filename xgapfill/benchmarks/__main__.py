"""``python -m xgapfill.benchmarks background --data FOLDER``: what the package is held against, on real data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xgapfill.validation.masks import freeze

from . import background, problems


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.benchmarks", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    one = benchmarks.add_parser("background", help="the background against tuned DCT-PLS and 60-neighbour kriging")
    one.add_argument("--data", type=Path, required=True, help="folder that holds ne_pacific_modis_2020_8day.nc")
    one.add_argument("--gaps", choices=("discs", "transplanted"), default="discs", help="what is hidden")
    two = benchmarks.add_parser("masks", help="draw the masks that are kept with the package again, from their seeds")
    two.add_argument("--data", type=Path, required=True, help="folder that holds the files of both sets")
    given = parser.parse_args(arguments)
    try:
        if given.benchmark == "background":
            background.run(given.data, given.gaps)
        else:
            keep_masks(given.data)
    except FileNotFoundError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def keep_masks(folder: Path) -> None:
    """Write the masks beside this file and say how much each hides."""
    drawn = problems.draw_masks(folder)
    problems.MASKS.mkdir(exist_ok=True)
    for name, hidden in drawn.items():
        freeze(problems.MASKS / f"{name}.npz", hidden)
        print(f"{name}: {hidden.sum()} pixels hidden in {hidden.any(axis=(1, 2)).sum()} of {len(hidden)} frames")


if __name__ == "__main__":
    sys.exit(main())
