"""The arguments of all commands."""

from __future__ import annotations

import argparse

from xgapfill._version import package_version
from xgapfill.cli import commands as run

INPUT = "zarr store or netCDF file, or an fsspec URL of a store"
FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}  # what shells call names of files
EPILOG = """\
examples:
  xgapfill info chl.nc
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
Tab completes commands and files after:  eval "$(xgapfill completion bash)"

exit status:
  0 done, 1 unexpected failure, 2 bad input, 130 interrupted, 141 the reader of the output went away
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    whole = argparse.ArgumentParser(
        prog="xgapfill",
        description="Fill the gaps in satellite maps of the ocean.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {package_version()}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    debug, maps, filled = _debug_parser(), _maps_parser(), _filled_parser()
    computed, drawn = _computed_parser(), _drawn_parser()
    shared = _input_parser(maps)

    info = commands.add_parser("info", parents=[debug], help="show how the variables of a file are understood")
    info.add_argument("input", help=INPUT).complete = FILES  # type: ignore[attr-defined]
    info.add_argument("--var", nargs="+", help="variables, by default all")
    info.set_defaults(run=run.info)

    plan = commands.add_parser("plan", parents=[debug, shared, filled], help="estimate time and memory of a fill")
    plan.add_argument("--exact", action="store_true", help="use all blocks, not a sample of 32")
    plan.set_defaults(run=run.plan)

    parents = [debug, shared, filled, drawn, computed]
    fill = commands.add_parser("fill", parents=parents, help="fill a variable and write it")
    fill.add_argument("--out", required=True, help="zarr store or URL; a name ending in .nc is written as netCDF")
    fill.add_argument("--restart", action="store_true", help="start again instead of resuming an interrupted run")
    fill.add_argument("--append", action="store_true", help="extend the store by the new times at the end of IN")
    fill.set_defaults(run=run.fill)

    fits = commands.add_parser("fit", help="fit the season of each pixel").add_subparsers(required=True, metavar="WHAT")
    season = fits.add_parser("season", parents=[debug, maps, computed], help="season of each pixel, for fill --prior")
    season.add_argument("--out", required=True, help="zarr store or URL")
    season.add_argument("--restart", action="store_true", help="start again instead of resuming")
    season.set_defaults(run=run.season)

    parents = [debug, shared, drawn, computed]
    validate = commands.add_parser("validate", parents=parents, help="score methods on withheld pixels")
    validate.add_argument("--method", nargs="+", default=["background", "posterior_mean"], help="(%(default)s)")
    validate.add_argument("--tests", nargs="+", help="tests of each fill, by default the quick ones")
    validate.add_argument("--out", help="write the scores as netCDF")
    validate.set_defaults(run=run.validate)

    report = commands.add_parser("report", parents=parents, help="write a report on a fill as HTML")
    report.add_argument("--method", default="background", help="(%(default)s)")
    report.add_argument("--matchups", help="table of in-situ samples that the fill does not use, CSV with a header")
    report.add_argument("--out", default="report.html", help="(%(default)s)")
    report.set_defaults(run=run.report)

    methods = commands.add_parser("methods", parents=[debug], help="list the methods")
    methods.set_defaults(run=run.methods)

    completion = commands.add_parser("completion", parents=[debug], help="print the script that completes commands")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    completion.set_defaults(run=run.completion)
    return whole


def _debug_parser() -> argparse.ArgumentParser:
    """Argument of all commands."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show where an error arose")
    return debug


def _computed_parser() -> argparse.ArgumentParser:
    """Arguments of commands that compute in parallel."""
    computed = argparse.ArgumentParser(add_help=False)
    computed.add_argument("--workers", type=int, help="processes with one thread each (default: one thread per core)")
    computed.add_argument("--scheduler", metavar="ADDRESS", help="address of a running dask cluster")
    return computed


def _drawn_parser() -> argparse.ArgumentParser:
    """Argument of commands that draw members or gaps."""
    drawn = argparse.ArgumentParser(add_help=False)
    drawn.add_argument("--seed", type=int, default=0, help="of members and gaps (%(default)s)")
    return drawn


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
    maps.add_argument("input", help=INPUT).complete = FILES  # type: ignore[attr-defined]
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
