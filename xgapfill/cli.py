"""The command line: ``xgapfill fill IN --var PSC --cond CHL --method repaint --members 8 --out OUT.zarr``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill._version import package_version

EPILOG = """\
examples:
  xgapfill fill psc_chl.zarr --var PSC --cond CHL --method repaint --members 8 --out filled.zarr
  xgapfill fill chl.nc --var CHL --method background --region 40 50 -60 -40 --time 2015-01-01 2015-12-31 --out out.nc
  xgapfill fill chl.zarr --var CHL --method repaint --members 64 --reduce mean std 0.05 0.95 --workers 8 --out s.zarr
  xgapfill fill chl.zarr --var CHL --method background --region -25 -10 170 -170 --out fiji.zarr
  xgapfill fill chl.zarr --var CHL --method background --out filled.zarr --append
  xgapfill fit season chl.zarr --var CHL --out season.zarr
  xgapfill fill chl.zarr --var CHL --method background --prior season.zarr --out filled.zarr
  xgapfill fill modis.nc --var CHL --also viirs.nc:CHL --method background --out merged.nc
  xgapfill validate chl.nc --var CHL --method background dctpls kriging
  xgapfill report chl.nc --var CHL --out report.html
To resume an interrupted run, repeat the command. URLs such as s3://... read their credentials from the environment.
"""
CLOSED = 141  # exit status after a broken pipe: 128 + SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 on success, 2 on bad input, 130 if interrupted."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except (ValueError, TypeError, OSError) as error:
        print(f"xgapfill: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("xgapfill: interrupted; written blocks stay, repeat the command to resume", file=sys.stderr)
        return 130


def _say(found: Any) -> None:
    """Print; exit quietly on a broken pipe (``| head``)."""
    try:
        print(found, flush=True)
    except BrokenPipeError:
        # Python flushes again at exit, which would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xgapfill",
        description="Fill the gaps in satellite maps of the ocean.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {package_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    maps = _maps_parser()
    shared = _input_parser(maps)
    computed = argparse.ArgumentParser(add_help=False)
    computed.add_argument(
        "--workers", type=int, help="number of processes with one thread each (default: one thread per core)"
    )
    computed.add_argument("--scheduler", metavar="ADDRESS", help="address of a running dask cluster")
    drawn = argparse.ArgumentParser(add_help=False)
    drawn.add_argument("--seed", type=int, default=0)

    filled = _filled_parser()
    fill = commands.add_parser("fill", parents=[shared, filled, drawn, computed], help="fill a variable and write it")
    fill.add_argument("--out", required=True, help="zarr store or URL; a name ending in .nc is written as netCDF")
    fill.add_argument(
        "--restart", action="store_true", help="start from scratch instead of resuming an interrupted run"
    )
    fill.add_argument("--append", action="store_true", help="extend the store by the new times at the end of IN")
    fill.set_defaults(run=_fill)

    fits = commands.add_parser("fit", help="fit the season of each pixel").add_subparsers(required=True, metavar="WHAT")
    season = fits.add_parser("season", parents=[maps, computed], help="season of each pixel, for fill --prior")
    season.add_argument("--out", required=True, help="zarr store or URL")
    season.add_argument("--restart", action="store_true", help="start from scratch instead of resuming")
    season.set_defaults(run=_season)

    plan = commands.add_parser("plan", parents=[shared, filled], help="estimate time and memory of a fill")
    plan.add_argument("--exact", action="store_true", help="use all blocks, not a sample of 32")
    plan.set_defaults(run=_plan)

    report = commands.add_parser("report", parents=[shared, drawn, computed], help="write a report on a fill as HTML")
    _report_parser(report)

    validate = commands.add_parser(
        "validate", parents=[shared, drawn, computed], help="score methods on withheld pixels"
    )
    validate.add_argument("--method", nargs="+", default=["background", "posterior_mean"], help="(%(default)s)")
    validate.add_argument("--tests", nargs="+", help="tests of each fill, by default the quick ones")
    validate.add_argument("--out", help="write the scores as netCDF")
    validate.set_defaults(run=_validate)

    methods = commands.add_parser("methods", help="list the methods")
    methods.set_defaults(run=_methods)
    return parser


def _report_parser(report: argparse.ArgumentParser) -> None:
    """Arguments of `report`."""
    report.add_argument("--method", default="background", help="(%(default)s)")
    report.add_argument("--matchups", help="table of in-situ samples that the fill does not use, CSV with a header")
    report.add_argument("--out", default="report.html", help="(%(default)s)")
    report.set_defaults(run=_report)


def _filled_parser() -> argparse.ArgumentParser:
    """Arguments of what a fill returns."""
    filled = argparse.ArgumentParser(add_help=False)
    filled.add_argument("--method", default="repaint", help="(%(default)s)")
    filled.add_argument("--full", action="store_true", help="write spread, status and support of pixels as well")
    filled.add_argument("--interval", type=float, help="write bounds that should hold this share of values, as 0.9")
    filled.add_argument(
        "--reduce",
        nargs="+",
        metavar="STATISTIC",
        help="write statistics instead of members: mean, std, or a number from 0 to 1 for a quantile",
    )
    filled.add_argument("--max-gap", type=float, help="days; pixels in longer gaps stay missing")
    filled.add_argument("--min-support", type=float, help="0 to 1; pixels that owe less to observations stay missing")
    filled.add_argument("--max-distance", type=float, help="km; pixels farther from observed pixels stay missing")
    return filled


def _maps_parser() -> argparse.ArgumentParser:
    """Arguments that say which maps are read, and as what."""
    maps = argparse.ArgumentParser(add_help=False)
    maps.add_argument("input", help="zarr store or netCDF file, or an fsspec URL of a store")
    maps.add_argument("--var", required=True, nargs="+", help="variable to be filled, or the three size classes")
    maps.add_argument("--cond", nargs="*", default=[], help="predictors of the variable")
    maps.add_argument("--transform", choices=("log10", "logit", "linear"), help="of a variable that is not known")
    maps.add_argument("--size-class", choices=("micro", "nano", "pico"), help="of a variable that does not name it")
    maps.add_argument("--time-step", help="time between maps if the dates do not give it: 1D, 8D, MS")
    maps.add_argument(
        "--region",
        type=float,
        nargs=4,
        metavar=("SOUTH", "NORTH", "WEST", "EAST"),
        help="degrees, from WEST eastward to EAST (170 -170 crosses the dateline), edges included",
    )
    maps.add_argument(
        "--time",
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="dates such as 2015-03-10, 2015-03 or 2015; all of LAST is included",
    )
    return maps


def _input_parser(maps: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Arguments of all commands that fill maps."""
    shared = argparse.ArgumentParser(add_help=False, parents=[maps])
    shared.add_argument("--members", type=int, help="number of members; without it a single map without that dimension")
    shared.add_argument("--insitu", help="table of in-situ samples, CSV with a header")
    shared.add_argument("--error", nargs="+", help="variable with the error of the target, or three")
    shared.add_argument(
        "--also",
        nargs="+",
        metavar="FILE:VARIABLE",
        help="the same variable from other sensors, on the same grid; without a file, a variable of IN",
    )
    shared.add_argument("--weights", help="shipped name, path or URL with its sha256")
    shared.add_argument("--prior", metavar="STORE", help="store of `fit season`, or auto (the default) or none")
    shared.add_argument("--device", help="auto, cpu, cuda or cuda:<number>, for methods that use torch")
    return shared


def _fill(given: argparse.Namespace) -> int:
    from xgapfill import write

    ds = _opened(given)
    options = {**_options(given), "seed": given.seed}
    filled = ds.gapfill.fill(_names(given), given.method, cond=given.cond or None, **options)
    with _workers(given):
        written = write(filled, given.out, resume=not given.restart, append=given.append)
    _say(written)
    return 0


def _season(given: argparse.Namespace) -> int:
    from xgapfill import write

    found = _opened(given).gapfill.season(_names(given), given.cond or None, **_how(given))
    with _workers(given):
        written = write(found, given.out, resume=not given.restart)
    _say(written)
    return 0


def _plan(given: argparse.Namespace) -> int:
    ds = _opened(given)
    _say(ds.gapfill.plan(_names(given), given.method, given.cond or None, exact=given.exact, **_options(given)))
    return 0


def _report(given: argparse.Namespace) -> int:
    ds = _opened(given)
    if given.device:
        raise ValueError("report takes no --device; set the environment variable XGAPFILL_DEVICE")
    if len(given.var) > 1:
        raise ValueError("report shows one variable; pass size classes as a variable with a dimension of classes")
    table = None if given.matchups is None else pd.read_csv(given.matchups)
    how = {"out": given.out, "members": given.members, "seed": given.seed, "weights": given.weights}
    cond = given.cond or None
    with _workers(given):
        _say(ds.gapfill.report(given.var[0], given.method, cond, matchups=table, **how, **_given(given)))
    return 0


def _validate(given: argparse.Namespace) -> int:
    ds = _opened(given)
    if given.device:
        raise ValueError("validate takes no --device; set the environment variable XGAPFILL_DEVICE")
    if len(given.var) > 1:
        raise ValueError("validate scores one variable; pass size classes as a variable with a dimension of classes")
    with _workers(given):
        scores = ds.gapfill.validate(
            given.var[0],
            given.method,
            cond=given.cond or None,
            **({} if given.members is None else {"members": given.members}),
            seed=given.seed,
            weights=given.weights,
            **({} if given.tests is None else {"tests": given.tests}),
            **_given(given),
        )
    from xgapfill.validation.table import table_text
    from xgapfill.validation.tested import verdict_text

    _say(table_text(scores, f"{given.input}: {scores.attrs['scored']} at withheld pixels"))
    _say(f"\n{verdict_text(scores)}")
    if given.out:
        scores.to_netcdf(given.out)
    return 0


def _methods(given: argparse.Namespace) -> int:
    import xgapfill

    _say(xgapfill.list_methods().drop(columns=["suits", "summary"]).to_string())
    return 0


def _options(given: argparse.Namespace) -> dict[str, Any]:
    """Options of a fill, for the verbs and `plan`."""
    words = ("members", "weights", "full", "max_gap", "max_distance", "min_support", "interval")
    options = {name: getattr(given, name) for name in words}
    if given.device:
        options["device"] = given.device
    if given.reduce:
        options["reduce"] = _statistics(given.reduce)
    return options | _given(given)


def _how(given: argparse.Namespace) -> dict[str, Any]:
    """How the variable is read, for the verbs."""
    words = ("transform", "size_class", "time_step")
    return {word: getattr(given, word) for word in words if getattr(given, word) is not None}


def _given(given: argparse.Namespace) -> dict[str, Any]:
    """How the variable is read, in-situ samples, errors and the prior, for the verbs."""
    found = _how(given)
    if given.error:
        found["error"] = given.error[0] if len(given.error) == 1 else given.error
    if given.insitu:
        found["insitu"] = pd.read_csv(given.insitu)
    if given.prior is not None:
        words = {"auto": "auto", "none": None}
        found["prior"] = words[given.prior] if given.prior in words else _read(given.prior)
    if given.also:
        found["also"] = [_other(text) for text in given.also]
    return found


def _other(text: str) -> str | xr.DataArray:
    """A variable of another file, or the name of a variable of the input."""
    path, _, name = text.rpartition(":")
    if not path:
        return text
    ds = _read(path)
    if name not in ds:
        raise ValueError(f"--also {text}: {path} has no variable {name!r}; it has {', '.join(map(str, ds.data_vars))}")
    return ds[name]


def _names(given: argparse.Namespace) -> Any:
    return given.var[0] if len(given.var) == 1 else given.var


def _opened(given: argparse.Namespace) -> xr.Dataset:
    """Open the input lazily, without dask, and select region and time."""
    import xgapfill  # noqa: F401  (registers .gapfill)
    from xgapfill.inputs.select import in_region, in_time

    ds = _read(given.input)
    also = (each for each in getattr(given, "also", None) or () if ":" not in each)
    names = (*given.var, *given.cond, *(getattr(given, "error", None) or ()), *also)
    for name in names:
        if name not in ds:
            raise ValueError(f"{given.input} has no variable {name!r}; it has {', '.join(map(str, ds.data_vars))}")
    places: dict[Hashable, NDArray[np.intp]] = {}
    for name in names:
        if given.region is not None:
            places |= in_region(ds[name], *given.region)
        if given.time is not None:
            places |= in_time(ds[name], *given.time)
    return ds.isel({dim: _as_slice(index) for dim, index in places.items()})


def _read(path: str) -> xr.Dataset:
    """Open a file or a store lazily, without dask."""
    netcdf = path.endswith((".nc", ".nc4", ".h5"))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # metadata that are not consolidated
        return xr.open_dataset(path) if netcdf else xr.open_zarr(path, chunks=None)


def _as_slice(index: NDArray[np.intp]) -> Any:
    """Return consecutive indices as a slice, which reads faster."""
    return slice(index[0], index[-1] + 1) if (np.diff(index) == 1).all() else index


def _statistics(words: Sequence[str]) -> list[Any]:
    """Turn ``mean std 0.05 0.95`` into the form of ``reduce=``."""
    named = [word for word in words if not word[0].isdigit() and word[0] != "."]
    quantiles = [float(word) for word in words if word not in named]
    return [*named, *([{"quantile": quantiles}] if quantiles else [])]


@contextmanager
def _workers(given: argparse.Namespace) -> Iterator[None]:
    """Start a cluster on this machine for --workers, or connect to one for --scheduler."""
    if given.workers is None and given.scheduler is None:
        yield
        return
    if given.workers is not None and given.scheduler is not None:
        raise ValueError("--workers starts a cluster on this machine, --scheduler uses another one; give one of them")
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("--workers and --scheduler need distributed; run pip install distributed") from None
    if given.scheduler is not None:
        with Client(given.scheduler):
            yield
        return
    if given.workers < 1:
        raise ValueError(f"--workers must be at least 1, found {given.workers}")
    quiet = {"dashboard_address": ":0", "silence_logs": logging.ERROR}
    with LocalCluster(n_workers=given.workers, threads_per_worker=1, **quiet) as cluster, Client(cluster):
        yield


if __name__ == "__main__":
    sys.exit(main())
