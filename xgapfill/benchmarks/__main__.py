"""``python -m xgapfill.benchmarks background --data FOLDER``: what the package is held against, on real data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import background


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.benchmarks", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    one = benchmarks.add_parser("background", help="the background against tuned DCT-PLS and 60-neighbour kriging")
    one.add_argument("--data", type=Path, required=True, help="folder that holds ne_pacific_modis_2020_8day.nc")
    one.add_argument("--gaps", choices=("discs", "transplanted"), default="discs", help="what is hidden")
    given = parser.parse_args(arguments)
    try:
        background.run(given.data, given.gaps)
    except FileNotFoundError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
