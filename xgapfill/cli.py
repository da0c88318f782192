"""``xgapfill fill IN --var PSC --cond CHL --method repaint --members 8 --out OUT.zarr``: the verbs for a batch job."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import xarray as xr

EPILOG = """\
examples:
  xgapfill fill psc_chl.zarr --var PSC --cond CHL --method repaint --members 8 --out filled.zarr
  xgapfill fill chl.nc --var CHL --method background --region 40 50 -60 -40 --time 2015-01-01 2015-12-31 --out out.nc
  xgapfill fill chl.zarr --var CHL --method repaint --members 64 --reduce mean std 0.05 0.95 --workers 8 --out s.zarr
  xgapfill fill chl.zarr --var CHL --method background --out filled.zarr --append
  xgapfill validate chl.nc --var CHL --method background dctpls kriging
A run that was interrupted goes on where it stopped when the same command is given again. URLs such as s3://... take
what they need from the environment.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it is done, 2 when it cannot be."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except (ValueError, TypeError, OSError) as error:
        print(f"xgapfill: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("xgapfill: interrupted; what is written stays, the same command goes on from there", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xgapfill",
        description="Fill the gaps in satellite maps of the ocean.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("input", help="zarr store or netCDF file, or an fsspec URL of a store")
    shared.add_argument("--var", required=True, nargs="+", help="variable to be filled, or the three size classes")
    shared.add_argument("--cond", nargs="*", default=[], help="variables it is filled given")
    shared.add_argument("--members", type=int, default=1)
    shared.add_argument("--insitu", help="table of samples taken in the water, CSV with a header")
    shared.add_argument("--error", nargs="+", help="variable of the error of what is filled, or three")
    shared.add_argument("--weights", help="shipped name, path or URL with its sha256")
    shared.add_argument("--region", type=float, nargs=4, metavar=("SOUTH", "NORTH", "WEST", "EAST"))
    shared.add_argument("--time", nargs=2, metavar=("FIRST", "LAST"))
    shared.add_argument("--device", help="auto, cpu, cuda or cuda:<number>, for methods that rest on torch")
    computed = argparse.ArgumentParser(add_help=False)
    computed.add_argument("--seed", type=int, default=0)
    computed.add_argument("--workers", type=int, help="processes of one thread each (without: threads, one a core)")
    computed.add_argument("--scheduler", metavar="ADDRESS", help="of a dask cluster that is there already")

    filled = argparse.ArgumentParser(add_help=False)
    filled.add_argument("--method", default="repaint", help="(%(default)s)")
    filled.add_argument("--full", action="store_true", help="write the spread and the status of pixels as well")
    filled.add_argument(
        "--reduce",
        nargs="+",
        metavar="STATISTIC",
        help="write statistics over members in place of them: mean, std, or a number from 0 to 1 for a quantile",
    )
    filled.add_argument("--max-gap", type=float, help="days; pixels in longer gaps stay missing")
    filled.add_argument("--max-distance", type=float, help="km; pixels farther from what was observed stay missing")

    fill = commands.add_parser("fill", parents=[shared, filled, computed], help="fill a variable and write it")
    fill.add_argument("--out", required=True, help="zarr store or URL; a name that ends in .nc is written as netCDF")
    fill.add_argument("--restart", action="store_true", help="start again where an interrupted run could be resumed")
    fill.add_argument("--append", action="store_true", help="make the store longer if IN has become longer at its end")
    fill.set_defaults(run=_fill)

    plan = commands.add_parser("plan", parents=[shared, filled], help="estimate time and memory of a fill")
    plan.add_argument("--exact", action="store_true", help="look at all blocks, not at 32 of them")
    plan.set_defaults(run=_plan)

    validate = commands.add_parser(
        "validate", parents=[shared, computed], help="score methods on pixels hidden from them"
    )
    validate.add_argument("--method", nargs="+", default=["background", "posterior_mean"], help="(%(default)s)")
    validate.add_argument("--out", help="write the scores as netCDF")
    validate.set_defaults(run=_validate)

    methods = commands.add_parser("methods", help="list the methods")
    methods.set_defaults(run=_methods)
    return parser


def _fill(given: argparse.Namespace) -> int:
    from xgapfill import write

    ds = _opened(given)
    options = {**_options(given), "seed": given.seed}
    filled = ds.gapfill(_names(given), given.method, cond=given.cond or None, **options)
    with _workers(given):
        written = write(filled, given.out, resume=not given.restart, append=given.append)
    print(written)
    return 0


def _plan(given: argparse.Namespace) -> int:
    ds = _opened(given)
    print(ds.gapfill.plan(_names(given), given.method, given.cond or None, exact=given.exact, **_options(given)))
    return 0


def _validate(given: argparse.Namespace) -> int:
    ds = _opened(given)
    if given.device:
        raise ValueError("validate takes no --device: set the environment variable XGAPFILL_DEVICE")
    if len(given.var) > 1:
        raise ValueError("validate scores one variable; give size classes as a variable with a dimension of classes")
    with _workers(given):
        scores = ds.gapfill.validate(
            given.var[0],
            given.method,
            cond=given.cond or None,
            members=max(given.members, 2),
            seed=given.seed,
            weights=given.weights,
            **_observations(given),
        )
    from xgapfill.validation.table import table_text

    print(table_text(scores, f"{given.input}: {scores.attrs['scored']} where observed pixels were hidden"))
    if given.out:
        scores.to_netcdf(given.out)
    return 0


def _methods(given: argparse.Namespace) -> int:
    import xgapfill

    print(xgapfill.methods())
    return 0


def _options(given: argparse.Namespace) -> dict[str, Any]:
    """Options of a fill, as the verbs and `plan` take them."""
    options = {name: getattr(given, name) for name in ("members", "weights", "full", "max_gap", "max_distance")}
    if given.device:
        options["device"] = given.device
    if given.reduce:
        options["reduce"] = _statistics(given.reduce)
    return options | _observations(given)


def _observations(given: argparse.Namespace) -> dict[str, Any]:
    """What is known of samples and errors, as the verbs take it."""
    found: dict[str, Any] = {}
    if given.error:
        found["error"] = given.error[0] if len(given.error) == 1 else given.error
    if given.insitu:
        found["insitu"] = pd.read_csv(given.insitu)
    return found


def _names(given: argparse.Namespace) -> Any:
    return given.var[0] if len(given.var) == 1 else given.var


def _opened(given: argparse.Namespace) -> xr.Dataset:
    """The input, lazily and without dask, cut to region and time."""
    import xgapfill  # noqa: F401  (registers .gapfill)
    from xgapfill.inputs.axes import find_axes

    netcdf = given.input.endswith((".nc", ".nc4", ".h5"))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # metadata that are not consolidated
        ds = xr.open_dataset(given.input) if netcdf else xr.open_zarr(given.input, chunks=None)
    for name in (*given.var, *given.cond):
        if name not in ds:
            raise ValueError(f"{given.input} has no variable {name!r}; it has {', '.join(map(str, ds.data_vars))}")
    axes = find_axes(ds[given.var[0]])
    if given.time is not None:
        ds = ds.sel({axes.time: slice(*given.time)})
    if given.region is not None:
        south, north, west, east = given.region
        lat, lon = ds[axes.lat], ds[axes.lon]
        if not (south < north and west < east):
            raise ValueError(f"--region is SOUTH NORTH WEST EAST, found {given.region}")
        inside = (lon - west) % 360 <= east - west
        ds = ds.isel({axes.lat: ((lat >= south) & (lat <= north)).values, axes.lon: inside.values})
    if 0 in ds.sizes.values():
        raise ValueError(f"nothing is left of {given.input} in the region and time asked for")
    return ds


def _statistics(words: Sequence[str]) -> list[Any]:
    """``mean std 0.05 0.95`` as ``reduce=`` wants it."""
    named = [word for word in words if not word[0].isdigit() and word[0] != "."]
    quantiles = [float(word) for word in words if word not in named]
    return [*named, *([{"quantile": quantiles}] if quantiles else [])]


@contextmanager
def _workers(given: argparse.Namespace) -> Iterator[None]:
    """Make a cluster on this machine, or use one, if that was asked for."""
    if given.workers is None and given.scheduler is None:
        yield
        return
    if given.workers is not None and given.scheduler is not None:
        raise ValueError("--workers makes a cluster on this machine, --scheduler uses another one: give one of them")
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("--workers and --scheduler need a package: pip install distributed") from None
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
