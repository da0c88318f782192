"""``python -m xgapfill.benchmarks background --data FOLDER``: what the package is held against, on real data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from xgapfill.validation.masks import freeze

from . import archive, background, fit, problems, scores, speed, stations


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.benchmarks", description=__doc__)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True, help="folder of the real data")
    names = parser.add_subparsers(dest="name", required=True)
    one = names.add_parser("background", parents=[data], help="the background against DCT-PLS and kriging, both tuned")
    one.add_argument("--gaps", choices=("discs", "transplanted"), default="discs", help="what is hidden")
    names.add_parser("size-classes", parents=[data], help="the same for semi-synthetic size classes given chlorophyll")
    sheet = names.add_parser("scores", help="the score sheet: all methods, all sets")
    sheet.add_argument("--data", type=Path, help="folder of the real data; without it the simulated ocean alone")
    sheet.add_argument("--sets", nargs="+", choices=scores.SETS, default=list(scores.SETS))
    sheet.add_argument("--rows", nargs="+", help="some methods")
    tuned = names.add_parser("fit", parents=[data], help="what training on the series itself gains")
    tuned.add_argument("--set", choices=[name for name in scores.SETS if not name.startswith("ocean")], required=True)
    tuned.add_argument("--minutes", type=float, help="of training (10)")
    tuned.add_argument("--steps", type=int, help="of training, instead")
    tuned.add_argument("--method", choices=("repaint", "vae"), default="repaint")
    tuned.add_argument("--members", type=int, default=0, help="of the fitted ensemble; without it only its mean")
    tuned.add_argument("--out", type=Path, help="keep the fitted weights there")
    names.add_parser("masks", parents=[data], help="draw the masks kept with the package again, from their seeds")
    names.add_parser("speed", help="core-seconds a window of each method")
    names.add_parser("archive", help="a window of 1068 x 4320 x 8640 pixels: graph, tasks, reads, time, memory")
    names.add_parser("stations", help="what samples taken in the water add, on the simulated ocean")
    given = parser.parse_args(arguments)
    try:
        if given.name == "background":
            background.run(given.data, given.gaps)
        elif given.name == "size-classes":
            background.run_size_classes(given.data)
        elif given.name == "scores":
            scores.run(given.data, tuple(given.sets), None if given.rows is None else tuple(given.rows))
        elif given.name == "fit":
            options = {"method": given.method, "members": given.members, "out": given.out}
            fit.run(given.data, given.set, minutes=given.minutes, steps=given.steps, **options)
        elif given.name == "masks":
            keep_masks(given.data)
        elif given.name == "archive":
            archive.run()
        elif given.name == "stations":
            stations.run()
        else:
            speed.run()
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
