"""The skill of the shipped weights on the tutorial ocean: numbers that a change of code must not move."""

from __future__ import annotations

import numpy as np
import pytest

import xgapfill
from xgapfill.validation.scores import crps_ensemble, crps_gaussian, rmse

# Five frames of pixels that lie in one window of rows and columns: with those around in time one batch of windows.
PART = {"time": slice(6, 11), "lat": slice(32, 64), "lon": slice(56, 88)}
MEMBERS = 4
DIMS = ("size_class", "time", "lat", "lon")
# RMSE and CRPS at hidden pixels, of log10 chlorophyll and of the fractions; the fair CRPS of the members, that of a
# normal distribution of the one estimate.
GOLDEN = {
    ("posterior_mean", "CHL"): (0.0255, 0.0140),
    ("repaint", "CHL"): (0.0254, 0.0121),
    ("vae", "CHL"): (0.0276, 0.0139),
    ("posterior_mean", "PSC"): (0.0544, 0.0271),
    ("repaint", "PSC"): (0.0541, 0.0235),
    ("vae", "PSC"): (0.0595, 0.0264),
}


@pytest.fixture(scope="module")
def ocean():
    """A small part of the tutorial ocean, and where its truth is hidden."""
    return xgapfill.tutorial.open_dataset("ocean").isel(PART)


@pytest.mark.parametrize("method", ["posterior_mean", "repaint", "vae"])
@pytest.mark.parametrize("variable", ["CHL", "PSC"])
def test_skill_on_the_tutorial_ocean(ocean, method, variable):
    """RMSE of the estimate, or of the members' mean, and CRPS."""
    draws = {} if method == "posterior_mean" else {"members": MEMBERS}
    cond = ocean.CHL if variable == "PSC" else None
    found = getattr(ocean[variable].gapfill, method)(cond=cond, full=True, **draws).compute()
    truth, given = ocean[f"{variable}_truth"], ocean[variable]
    members, spread = found[variable], found[f"{variable}_spread"]
    if variable == "CHL":
        truth, members, spread = np.log10(truth), np.log10(members), found.CHL_spread_log10
    dims = [dim for dim in DIMS if dim in truth.dims]
    truth, spread, given = (each.transpose(*dims).values for each in (truth, spread, given))
    hidden = np.isnan(given) & np.isfinite(truth)
    values = members.transpose(..., *dims).values.reshape(-1, *truth.shape)[:, hidden]
    error = rmse(values.mean(axis=0), truth[hidden])
    one = crps_gaussian(values[0], spread[hidden], truth[hidden])
    crps = float((crps_ensemble(values, truth[hidden]) if draws else one).mean())
    assert (error, crps) == pytest.approx(GOLDEN[method, variable], abs=1.5e-4)
