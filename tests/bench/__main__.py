"""``python tests/bench background --data FOLDER``: benchmarks of the package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a folder, or imported by tests

from bench import (
    also,
    archive,
    background,
    blended,
    calls,
    classical,
    driven,
    drivers,
    fit,
    headroom,
    intervals,
    members,
    nets,
    prior,
    problems,
    realism,
    scores,
    speed,
    stations,
    systems,
    trust,
    variables,
    variants,
    windows,
    worked,
)
from xgapfill.validation.masks import freeze

Run = Callable[[argparse.Namespace], Any]


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark and print its table."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except FileNotFoundError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    """Every benchmark is a command that sets `run`."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], Any], text: str, data: bool = True
    ) -> argparse.ArgumentParser:
        one = names.add_parser(name, help=text)
        one.set_defaults(run=run)
        if data:
            one.add_argument("--data", type=Path, required=True, help="folder of the real data")
        return one

    one = add(
        "background", lambda g: background.run(g.data, g.gaps), "the background against tuned DCT-PLS and kriging"
    )
    one.add_argument("--gaps", choices=("discs", "transplanted"), default="discs", help="kind of gaps")
    add("size-classes", lambda g: background.run_size_classes(g.data), "the same for size classes given chlorophyll")
    scores.arguments(add("scores", _scores, "the score sheet: all methods, all sets", data=False))
    tuned = add("fit", _fit, "gain from training on the series itself")
    tuned.add_argument("--set", choices=[name for name in scores.SETS if not name.startswith("ocean")], required=True)
    tuned.add_argument("--minutes", type=float, help="of training (10)")
    tuned.add_argument("--steps", type=int, help="of training, instead of minutes")
    tuned.add_argument("--method", choices=("repaint", "vae"), default="repaint")
    tuned.add_argument("--init", default="shipped", help="initial weights, name or path")
    tuned.add_argument("--members", type=int, default=0, help="of the fitted ensemble; by default only its mean")
    tuned.add_argument("--out", type=Path, help="save the fitted weights there")
    add("masks", lambda g: keep_masks(g.data), "draw the stored masks again, from their seeds")
    add("realism", lambda g: realism.run(g.data), "can a classifier distinguish filled maps from observed ones")
    add("variants", lambda g: variants.run(g.data), "variants of the background, all scored on the validation set")
    add("variables", lambda g: variables.run(g.data), "variables that are not tuned: cost and skill")
    prior.arguments(add("prior", _prior, "season and large scale: other years, one year, wide gaps of a global map"))
    drivers.arguments(add("drivers", _drivers, "useless drivers, the simulated ocean's, and a real trial", data=False))
    driven.arguments(add("driven", driven.run, "cascade, modes and SmaAt-UNet: methods with drivers", data=False))
    also.arguments(add("also", _also, "another sensor: MODIS with VIIRS, with noise, with a drift"))
    members.arguments(add("members", _members, "members: skill, texture and cost beside their estimates"))
    systems.arguments(add("systems", systems.run, "the systems of the study, fitted, beside the methods", data=False))
    add("intervals", lambda g: intervals.run(g.data), "coverage of intervals on dates they were not learned from")
    worked.arguments(add("worked", worked.main, "all tests on Newfoundland 2015, another sensor, a proxy"))
    trust.arguments(add("trust", trust.main, "which test catches which planted defect", data=False))
    add("headroom", lambda g: headroom.run(g.data), "possible gain: combinations in hindsight, oracles")
    whole = add("blended", lambda g: blended.run(g.data, g.weights), "spread and error of members on maps")
    whole.add_argument("weights", help="shipped name or path")
    trained = add("nets", _nets, "variants of the network and its training, all scored on the validation set: an hour")
    trained.add_argument("--weights", choices=("chl", "psc-chl"), default="chl", help="weights to train")
    trained.add_argument("--cache", type=Path, default=Path("training"), help="simulated oceans")
    trained.add_argument("--steps", type=int, default=2000, help="of each training")
    some = add("calls", _calls, "CRPS of ways to draw members against function evaluations")
    some.add_argument("--weights", default="chl", help="shipped name or path")
    some.add_argument("--cache", type=Path, default=Path("training"), help="simulated oceans")
    some.add_argument("--batches", type=int, default=6)
    some.add_argument("--members", type=int, default=8)
    some.add_argument("--figure", type=Path, help="file of the figure")
    some.add_argument("--paper", action="store_true", help="RePaint's own schedules as well: hours")
    add("classical", lambda g: classical.run(), "classical methods against other implementations", data=False)
    add("windows", lambda g: windows.run(), "core-seconds per window of each method", data=False)
    add("speed", lambda g: speed.run(), "shares of the processor, a frame, workers, memory, scaling", data=False)
    add("archive", lambda g: archive.run(), "1068 x 4320 x 8640 pixels: tasks, reads, time, memory", data=False)
    add("stations", lambda g: stations.run(), "gain from in-situ samples, on the simulated ocean", data=False)
    return parser


def _scores(given: argparse.Namespace) -> None:
    rows = None if given.rows is None else tuple(given.rows)
    scores.run(given.data, tuple(given.sets), rows, None if given.prior == "none" else given.prior)


def _fit(given: argparse.Namespace) -> None:
    options = {"method": given.method, "init": given.init, "members": given.members, "out": given.out}
    fit.run(given.data, given.set, minutes=given.minutes, steps=given.steps, **options)


def _prior(given: argparse.Namespace) -> None:
    prior.run(given.data, tuple(given.methods), tuple(given.sets))


def _members(given: argparse.Namespace) -> None:
    members.run(given.data, tuple(given.methods), tuple(given.sets), given.every)


def _drivers(given: argparse.Namespace) -> None:
    drivers.run(given.data, tuple(given.methods), tuple(given.sets))


def _also(given: argparse.Namespace) -> None:
    also.run(given.data, tuple(given.methods), tuple(given.sets))


def _nets(given: argparse.Namespace) -> None:
    nets.run(given.data, given.cache, given.weights, given.steps)


def _calls(given: argparse.Namespace) -> None:
    calls.run(given.data, given.cache, given.weights, given.batches, given.members, given.figure, given.paper)


def keep_masks(folder: Path) -> None:
    """Write the masks beside this file and print the number of hidden pixels."""
    drawn = problems.draw_masks(folder)
    problems.MASKS.mkdir(exist_ok=True)
    for name, hidden in drawn.items():
        freeze(problems.MASKS / f"{name}.npz", hidden)
        print(f"{name}: {hidden.sum()} pixels hidden in {hidden.any(axis=(1, 2)).sum()} of {len(hidden)} frames")


if __name__ == "__main__":
    sys.exit(main())
