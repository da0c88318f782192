"""Gain from training on the series to be filled: the fitted posterior mean against kriging and DCT-PLS.

The fit gets the same input as the methods, without the hidden pixels.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xgapfill
from bench.scores import TITLES, problem
from xgapfill.api.validate import validate
from xgapfill.validation.table import table_text
from xgapfill.weights import Weights

TARGET = 0.92
BEFORE, AFTER = "weights before", "fitted weights"
PEERS = ("global_dct_pls", "global_kriging", "dctpls", "kriging")


def run(
    folder: Path,
    name: str = "choose-chl",
    *,
    minutes: float | None = None,
    steps: int | None = None,
    method: str = "repaint",
    init: str = "shipped",
    members: int = 0,
    out: Path | None = None,
) -> xr.Dataset:
    """Fit on a set, print and return the scores of the baselines, of the initial weights and of the fitted ones.

    Parameters
    ----------
    folder : folder of the real data
    name : one of the sets of `scores.problem`
    minutes, steps : as of `xgapfill.fit`
    method : whose net is fitted
    init : first weights, as of `xgapfill.fit`
    members : of the ensemble, which is scored if there are any
    out : where the fitted weights are kept, if anywhere
    """
    given = problem(name, folder, method)
    target, options = given["target"], given["options"]
    shown = target
    if "masks" in options:
        shown = target.where(~xr.DataArray(options["masks"], dims=("time", "lat", "lon")))
    start = time.perf_counter()
    budget: dict[str, Any] = {"minutes": minutes, "steps": steps}
    weights: Weights = xgapfill.fit(shown, method, options.get("cond"), init=init, progress=True, **budget)
    print(f"fit: {time.perf_counter() - start:.0f} s, {weights.card.network.get('steps')} steps; {weights!r}")
    if out is not None:
        print(weights.save(out))
    one = "posterior_mean" if method == "repaint" else method
    tables = [
        validate(target, PEERS, **options),
        validate(target, {BEFORE: one}, weights=None if init == "shipped" else init, **options),
        validate(target, {AFTER: one}, weights=weights, **options),
    ]
    if members:
        tables.append(validate(target, {"fitted, ensemble": method}, weights=weights, members=members, **options))
    scores = xr.concat(tables, "filled_by", data_vars="minimal")
    print(table_text(scores, TITLES[name]))
    rmse = scores.rmse.sel(distance_class="all")
    if "size_class" in rmse.dims:
        rmse = np.sqrt((rmse**2).mean("size_class"))
    best = float(rmse.sel(filled_by=list(PEERS)).min())
    for row in (BEFORE, AFTER):
        ratio = float(rmse.sel(filled_by=row)) / best
        print(f"{row} / better of kriging and DCT-PLS: {ratio:.3f} (target of the fit <= {TARGET})")
    return scores
