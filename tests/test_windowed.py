"""What classical methods of windows share."""

from __future__ import annotations

import numpy as np
import pytest

from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.noise import Noise
from xgapfill.methods.base import BATCH
from xgapfill.methods.climatology import Climatology
from xgapfill.methods.interpolate import Interpolate
from xgapfill.testing import windows


@pytest.mark.parametrize("method", [Climatology(), Interpolate()])
def test_a_target_that_was_never_observed_follows_the_condition(method):
    """Where only chlorophyll is observed, size classes are what the prior regression makes of it."""
    values = np.full((BATCH, 4, 3, 8, 8), np.nan)
    values[0, :, 2] = 0.2
    prior = shipped()["psc_ilr1"]
    slope, curvature = prior.regression["log10_chl"]
    expected = prior.mean + slope * 0.5 + curvature * 0.25  # about a log10 of -0.3
    filled = method.fill(windows(values, ("psc_ilr1", "psc_ilr2", "log10_chl")), None, Noise(0, 8640), 1)
    np.testing.assert_allclose(filled.values[0, 0, :, 0], expected, atol=0.02)
    assert np.isfinite(filled.values).all()
    assert (filled.spread > 0).all()
