"""Possible gain on the validation set: from combinations of all methods, and from knowledge that no method has.

Combinations are fitted to the pixels on which they are scored, so they are an upper limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize

import xgapfill
from bench.problems import as_chl, choose_problem, choose_size_classes, residuals_of
from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.methods import Background, find
from xgapfill.validation.scores import crps_gaussian, rmse
from xgapfill.variables import relation
from xgapfill.variables.base import Given
from xgapfill.variables.size_classes import CHANNELS, SizeClasses

BEST = ("background", "posterior_mean", "kriging", "dctpls")  # methods whose differences predict errors
METHODS = (*BEST, "dineof", "climatology", "interpolate")
SCALE = 0.4  # of residuals, to bring them into the range of chlorophyll


class Estimates(NamedTuple):
    """Estimates of methods at n hidden pixels."""

    mean: Mapping[str, NDArray[np.float64]]  # by method, (n,)
    error: Mapping[str, NDArray[np.float64]]
    truth: NDArray[np.float64]
    distance: NDArray[np.integer]  # class of each


def run(folder: Path) -> None:
    """Print errors of the methods, of their best combination, and given the true relation to chlorophyll."""
    for title, found in (("log10 CHL", chlorophyll(folder)), ("fractions given CHL", size_classes(folder))):
        print(f"{f'validation set, {title}':48}{'rmse':>8}{'crps':>8}")
        for name, mean in found.mean.items():
            print(f"{name:48}{rmse(mean, found.truth):8.4f}{_crps(mean - found.truth, found.error[name]):8.4f}")
        print(f"{'best linear combination, in hindsight':48}{rmse(combined(found), 0):8.4f}")
        error = found.mean["posterior_mean"] - found.truth
        name, crps = "posterior mean with its best error, in hindsight", best_crps(found, error)
        print(f"{name:48}{rmse(error, 0):8.4f}{crps:8.4f}")
    print(f"{'background, relation and CHL known everywhere':48}{rmse(relation_known(folder), 0):8.4f}", flush=True)


def chlorophyll(folder: Path) -> Estimates:
    """Estimates of log10 chlorophyll."""
    problem = choose_problem(folder, gaps="transplanted")
    means, errors = {}, {}
    for name in METHODS:
        filled = cast(xr.Dataset, xgapfill.fill(as_chl(problem), find(name), full=True)).compute()
        means[name], errors[name] = np.log10(filled.CHL.values), filled.CHL_spread_log10.values
    distance = distance_class(distance_to_observed(np.isfinite(problem.values)))
    return _estimates(means, errors, np.where(problem.hidden, problem.truth, np.nan), distance)


def size_classes(folder: Path) -> Estimates:
    """Estimates of fractions, of all three classes together."""
    ds = choose_size_classes(folder)
    means, errors = {}, {}
    for name in METHODS:
        filled = cast(xr.Dataset, xgapfill.fill(ds.PSC, find(name), cond=ds.CHL, full=True)).compute()
        filled = filled.transpose(*ds.PSC.dims)
        means[name], errors[name] = filled.PSC.values, filled.PSC_spread.values
    distance = distance_class(distance_to_observed(ds.PSC.notnull().all("psc").values))
    return _estimates(means, errors, ds.truth.values, np.broadcast_to(distance, ds.truth.shape))


def combined(found: Estimates) -> NDArray[np.float64]:
    """Errors of the least-squares linear combination of all methods and a constant."""
    columns = np.column_stack([*found.mean.values(), np.ones_like(found.truth)])
    return columns @ np.linalg.lstsq(columns, found.truth, rcond=None)[0] - found.truth


def best_crps(found: Estimates, error: NDArray[np.float64]) -> float:
    """CRPS of Gaussian estimates with errors `error` and the best standard deviation from all methods.

    Its logarithm is linear in the logarithms of the estimated errors and of the differences of methods, with a constant
    for each class of distance.
    """
    stated = {name: np.log(np.maximum(part, 1e-6)) for name, part in found.error.items()}
    differ = np.log(np.std([found.mean[name] for name in BEST], axis=0) + np.exp(stated["background"]) / 10)
    design = np.column_stack([*stated.values(), differ, *(found.distance == k for k in range(len(NAMES)))])
    start = np.zeros(design.shape[1])
    start[list(stated).index("posterior_mean")] = 1.0  # start from its own error estimate
    return float(minimize(lambda factors: _crps(error, np.exp(design @ factors)), start, method="BFGS").fun)


def relation_known(folder: Path) -> NDArray[np.float64]:
    """Errors of fractions of a background with the true relation to chlorophyll, and chlorophyll everywhere.

    It fills the true residuals of the validation set as if they were chlorophyll.
    """
    problem = choose_problem(folder, gaps="transplanted")
    ds, residuals = choose_size_classes(folder), residuals_of(problem)
    usual = shipped()
    mean, spread = [], []
    for channel, residual in zip(CHANNELS, residuals, strict=True):
        prior = replace(usual[channel], mean=0.0, variance=usual[channel].variance * SCALE**2)
        part = as_chl(problem._replace(values=np.where(problem.hidden, np.nan, SCALE * residual)))
        part = part.where(ds.PSC.notnull().all("psc"))
        method = Background({"log10_chl": prior})
        filled = cast(xr.Dataset, xgapfill.fill(part, method, full=True)).compute()
        mean.append(np.log10(filled.CHL.values) / SCALE)
        spread.append(filled.CHL_spread_log10.values / SCALE)
    hidden = ds.truth.notnull().all("psc").values
    known = relation.psc_ilr_mean(problem.truth) + np.stack(mean)
    truth = ds.truth.values[:, hidden]
    given = Given(np.full(truth.shape, np.nan, np.float32))
    width = np.stack(spread)[:, hidden].astype(np.float32)
    found = SizeClasses().decode_mean(known[:, hidden].astype(np.float32), width, given)[0]
    return (found - truth).ravel()


def _estimates(
    means: Mapping[str, NDArray], errors: Mapping[str, NDArray], truth: NDArray, distance: NDArray[np.integer]
) -> Estimates:
    """Estimates at pixels with a known truth that every method fills."""
    there = np.isfinite(truth)
    for part in (*means.values(), *errors.values()):
        there &= np.isfinite(part)
    mean, error = ({name: part[there].astype(np.float64) for name, part in each.items()} for each in (means, errors))
    return Estimates(mean, error, truth[there].astype(np.float64), distance[there])


def _crps(error: NDArray, spread: NDArray) -> float:
    return float(np.mean(crps_gaussian(error, np.maximum(spread, 1e-6), 0 * error)))
