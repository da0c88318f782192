"""Variants of the background, all scored on the validation set, to measure the value of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import numpy as np
import xarray as xr

import xgapfill
from bench.problems import as_chl, choose_problem, choose_size_classes
from xgapfill.gaussian import background as module
from xgapfill.gaussian import covariance as variogram
from xgapfill.gaussian import spectral
from xgapfill.gaussian.priors import Prior, shipped
from xgapfill.lattice.tiling import Tiling
from xgapfill.methods import Background
from xgapfill.validation.scores import crps_gaussian

Priors = Callable[[Prior], Prior]
HOMES = (module, variogram, spectral)  # of the constants


class Variant(NamedTuple):
    """Differences from the shipped version: constants of the background, its variograms or solver, or the priors."""

    name: str
    constants: Mapping[str, Any] = {}
    priors: Priors = lambda prior: prior
    windows: tuple[tuple[int, int, int], ...] = ()  # size, stride and optionally halo


@dataclass(frozen=True)
class Windowed(Background):
    """The background in windows of another size, stride and halo."""

    windows: tuple[tuple[int, int, int], ...] = ()

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Layout of the windows."""
        size, stride, margin = (*self.windows, (0, 0, 0))[:3]
        return Tiling(ncols, size, stride, margin)


def _belief(factor: float) -> Priors:
    return lambda prior: replace(prior, belief=tuple(factor * b for b in prior.belief))


def _covariance(**changes: float) -> Priors:
    names = variogram.PARAMETERS
    return lambda prior: replace(
        prior, covariance=tuple(changes.get(n, v) for n, v in zip(names, prior.covariance, strict=True))
    )


VARIANTS = (
    Variant("as shipped"),
    Variant("5 iterations of the solver", {"ITERATIONS": 5}),
    Variant("8 iterations", {"ITERATIONS": 8}),
    Variant("24 iterations", {"ITERATIONS": 24}),
    Variant("no start from a coarse grid", {"LEAST_GRID": 1000}),
    Variant("8 iterations on the coarse grid", {"COARSE_ITERATIONS": 8}),
    Variant("preconditioner to the full power", {"POWER": 1.0}),
    Variant("prior covariance everywhere, no fit", priors=_belief(0.01)),
    Variant("prior sd of the fit halved", priors=_belief(0.5)),
    Variant("prior sd of the fit doubled", priors=_belief(2.0)),
    Variant("hardly any nugget by force", {"LEAST_NOISE": 0.0005}),
    Variant("a nugget of 0.03 at least", {"LEAST_NOISE": 0.03}),
    Variant("small structure half as large", priors=_covariance(l2=11.0)),
    Variant("small structure twice as large", priors=_covariance(l2=44.0)),
    Variant("small structure lives half as long", priors=_covariance(t2=3.5)),
    Variant("small structure lives twice as long", priors=_covariance(t2=14.0)),
    Variant("smoother structures", priors=_covariance(power=1.5)),
    Variant("variograms of near lags only", {"LAG_ERROR": 1.0}),
    Variant("pairs of variograms in every row", {"ROWS": 1}),
    Variant("pairs in every fourth row", {"ROWS": 4}),
    Variant("windows of 9 frames, the middle 3 count", windows=((9, 64, 64), (3, 48, 48), (3, 0, 0))),
    Variant("windows of 9 frames, 7 apart", windows=((9, 64, 64), (7, 48, 48))),
    Variant("windows of 96 pixels", windows=((5, 96, 96), (3, 48, 48))),
    Variant("windows of 128 pixels", windows=((5, 128, 128), (3, 64, 64))),
    Variant("windows of 128 pixels, 112 apart", windows=((5, 128, 128), (3, 112, 112))),
    Variant("windows 32 pixels apart", windows=((5, 64, 64), (3, 32, 32))),
    Variant("windows 56 pixels apart", windows=((5, 64, 64), (3, 56, 56))),
    Variant("windows 2 frames apart", windows=((5, 64, 64), (2, 48, 48))),
    Variant("windows 4 frames apart", windows=((5, 64, 64), (4, 48, 48))),
    Variant("error: the prior one alone", priors=lambda p: replace(p, error=(0.0, 1.0, 0.0, 0.0))),
    Variant("error: without the local misfit", priors=lambda p: replace(p, error=(*p.error[:2], 0.0, p.error[3]))),
)


def run(folder: Path) -> None:
    """Print RMSE, Gaussian CRPS and coverage of every variant: CHL in log10, size classes as fractions."""
    problem = choose_problem(folder, gaps="transplanted")
    classes = choose_size_classes(folder)
    print(f"{'':40}{'log10 CHL':^24}{'size classes':^24}")
    print(f"{'':40}" + 2 * f"{'rmse':>8}{'crps':>8}{'covers':>8}")
    for variant in VARIANTS:
        priors = {name: variant.priors(prior) for name, prior in shipped().items()}
        method: Background = Windowed(priors, windows=variant.windows) if variant.windows else Background(priors)
        with ExitStack() as changed:
            for name, value in variant.constants.items():
                home = next(home for home in HOMES if hasattr(home, name))
                changed.enter_context(patch.object(home, name, value))
            chl = cast(xr.Dataset, xgapfill.fill(as_chl(problem), method, full=True)).compute()
            psc = cast(xr.Dataset, xgapfill.fill(classes.PSC, method, cond=classes.CHL, full=True)).compute()
        error = (np.log10(chl.CHL.values) - problem.truth)[problem.hidden]
        scores = _scores(error, chl.CHL_spread_log10.values[problem.hidden])
        truth = classes.truth.transpose(*psc.PSC.dims).values
        hidden = np.isnan(classes.PSC.transpose(*psc.PSC.dims).values) & ~np.isnan(truth)
        scores += _scores((psc.PSC.values - truth)[hidden], psc.PSC_spread.values[hidden])
        print(f"{variant.name:40}" + "".join(f"{value:8.4f}" for value in scores), flush=True)


def _scores(error: np.ndarray, spread: np.ndarray) -> list[float]:
    width = np.maximum(spread, 1e-6)
    crps = float(np.mean(crps_gaussian(0 * error, width, error)))
    return [float(np.sqrt(np.mean(error**2))), crps, float(np.mean(np.abs(error) < 1.645 * width))]
