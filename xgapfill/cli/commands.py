"""What each command does: reads the input, calls a verb of the library, prints what it returns."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import xarray as xr

from xgapfill.cli.opened import named, opened, read

CLOSED = 141  # exit status after a broken pipe: 128 + SIGPIPE


def fill(given: argparse.Namespace) -> int:
    """Fill a variable and write it."""
    ds = opened(given)
    options = {**_options(given), "seed": given.seed}
    filled = ds.gapfill.fill(_names(given), given.method, cond=given.cond or None, **options)
    return _write(filled, given, append=given.append)


def season(given: argparse.Namespace) -> int:
    """Fit the season of each pixel and write it."""
    found = opened(given).gapfill.season(_names(given), given.cond or None, **_how(given))
    return _write(found, given)


def plan(given: argparse.Namespace) -> int:
    """Print what a fill would cost."""
    ds = opened(given)
    _say(ds.gapfill.plan(_names(given), given.method, given.cond or None, exact=given.exact, **_options(given)))
    return 0


def report(given: argparse.Namespace) -> int:
    """Write a report as HTML."""
    ds, name = opened(given), _one_variable(given, "report", "shows")
    table = None if given.matchups is None else pd.read_csv(given.matchups)
    how = {"out": given.out, "members": given.members, "seed": given.seed, "weights": given.weights}
    cond = given.cond or None
    with _workers(given):
        _say(ds.gapfill.report(name, given.method, cond, matchups=table, **how, **_given(given)))
    return 0


def validate(given: argparse.Namespace) -> int:
    """Print scores of methods at withheld pixels."""
    ds, name = opened(given), _one_variable(given, "validate", "scores")
    with _workers(given):
        scores = ds.gapfill.validate(
            name,
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


def methods(given: argparse.Namespace) -> int:
    """Print the methods."""
    import xgapfill

    _say(xgapfill.list_methods().drop(columns=["suits", "summary"]).to_string())
    return 0


def info(given: argparse.Namespace) -> int:
    """Print how the variables of a file are understood; 2 if a variable that is named cannot be filled."""
    from xgapfill.api.describe import describe

    ds = read(given.input)
    found = [describe(ds[name]) for name in named(ds, given.var or ds.data_vars, given.input)]
    _say("\n".join(map(repr, found)) or f"{given.input} has no variables")
    return 2 if given.var and any("not filled" in each.rows for each in found) else 0


def completion(given: argparse.Namespace) -> int:
    """Print the script that completes commands in a shell."""
    try:
        import shtab
    except ImportError:
        raise ValueError("completion needs shtab; run pip install shtab") from None
    from xgapfill.cli.parser import parser

    _say(shtab.complete(parser(), given.shell))
    return 0


def _write(lazy: xr.DataArray | xr.Dataset, given: argparse.Namespace, **how: Any) -> int:
    """Write a result where the command says, and print it."""
    from xgapfill import write

    with _workers(given):
        written = write(lazy, given.out, resume=not given.restart, **how)
    _say(written)
    return 0


def _one_variable(given: argparse.Namespace, command: str, does: str) -> str:
    """Name of the variable of a command that takes one, and no device."""
    if given.device:
        raise ValueError(f"{command} takes no --device; set the environment variable XGAPFILL_DEVICE")
    if len(given.var) > 1:
        raise ValueError(f"{command} {does} one variable; pass size classes as a variable with a dimension of classes")
    return str(given.var[0])


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
        found["prior"] = words[given.prior] if given.prior in words else read(given.prior)
    if given.also:
        found["also"] = [_other(text) for text in given.also]
    return found


def _other(text: str) -> str | xr.DataArray:
    """A variable of another file, or the name of a variable of the input."""
    path, _, name = text.rpartition(":")
    if not path:
        return text
    ds = read(path)
    if name not in ds:
        raise ValueError(f"--also {text}: {path} has no variable {name!r}; it has {', '.join(map(str, ds.data_vars))}")
    return ds[name]


def _names(given: argparse.Namespace) -> Any:
    return given.var[0] if len(given.var) == 1 else given.var


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


def _say(found: Any) -> None:
    """Print; exit quietly on a broken pipe (``| head``)."""
    try:
        print(found, flush=True)
    except BrokenPipeError:
        # Python flushes again at exit, which would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED) from None
