"""Other programs, if installed, as baselines of the score sheet."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.validation.baselines.simple import Field
from xgapfill.validation.baselines.tuned import Baseline, Prediction

MODES = 30  # largest number of modes to try


def pydineof(values: Field, wanted: NDArray[np.bool_], blocks: NDArray[np.bool_]) -> Prediction:
    """DINEOF by the public `pydineof`, its own choice of modes; it takes positive values and their logarithm itself.

    Parameters
    ----------
    values : (t, y, x) float
        log10, NaN where nothing was observed.
    wanted, blocks
        Not used: it fills everything, and chooses on points of its own.
    """
    import pydineof as program

    frames, height, width = values.shape
    field = xr.DataArray(
        np.power(10.0, values.astype(np.float64)),
        dims=("time", "y", "x"),
        coords={
            "time": np.datetime64("2015-01-01", "ns") + np.arange(frames) * np.timedelta64(8, "D"),
            "y": np.arange(height),
            "x": np.arange(width),
        },
    )
    modes = min(MODES, frames - 8)
    with redirect_stdout(StringIO()):
        filled = program.run_2D(field, nev=modes, ncv=modes + 7, seed=0)
    estimate = np.log10(filled.transpose("time", "y", "x").values).astype(np.float32)
    return Prediction(estimate, np.full_like(estimate, np.nan))


PROGRAMS = {"pydineof": pydineof}


def installed() -> dict[str, Baseline]:
    """Baselines that can be imported, by the name of their row."""
    return {name: program for name, program in PROGRAMS.items() if find_spec(name)}
