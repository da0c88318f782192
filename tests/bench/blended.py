"""Is the spread of members on maps equal to their error? Blending lowers it where the draws of two windows differ."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from bench.scores import MEMBERS, TITLES, problem
from xgapfill.api.validate import validate
from xgapfill.training.models import MODELS
from xgapfill.validation.table import table_text
from xgapfill.weights import load


def run(folder: Path, name: str) -> float:
    """Score the ensemble on maps of the validation set; return the inflation that makes its spread equal its error.

    Parameters
    ----------
    folder : folder of the real data
    name : of weights, shipped name or path
    """
    weights = load(name)
    method = MODELS[weights.card.method].members.name
    which = "choose-psc" if "psc_ilr1" in weights.card.targets else "choose-chl"
    given = problem(which, folder, method)
    table: xr.Dataset = validate(given["target"], {name: method}, weights=weights, members=MEMBERS, **given["options"])
    print(table_text(table, TITLES[which]))
    ratio = table.spread_over_rmse.sel(distance_class="all")
    found = weights.card.inflation / float(ratio.mean())
    print(f"inflation on the card {weights.card.inflation:.3f}; spread equals error at about {found:.3f}")
    return found
