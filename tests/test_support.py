"""Support: how much of an answer comes from observations; pixels that have too little can stay missing."""

import numpy as np
import pytest
from maps import chl_map, psc_map, same
from numpy.testing import assert_allclose

import xgapfill
from xgapfill.kernel.shared_prior import BANDS, REST
from xgapfill.kernel.support import Support
from xgapfill.variables import priors


@pytest.mark.parametrize("method", ["background", "kriging", "dctpls", "interpolate", "climatology"])
def test_support_is_one_less_the_share_of_the_prior_variance_that_is_left(method):
    """It is 1 where observed, missing where nothing is filled, and follows the stated spread in between."""
    chl = chl_map((4, 20, 70), share=0.6)
    full = xgapfill.fill(chl, method, full=True).compute()
    whole = priors()["log10_chl"].variance * (1 if method in ("interpolate", "climatology") else REST + sum(BANDS))
    expected = np.clip(1 - full.CHL_spread_log10**2 / whole, 0, 1)
    assert_allclose(full.CHL_support, expected, atol=2e-5)
    assert (full.CHL_support.where(chl.notnull(), 1) == 1).all()
    assert (full.CHL_support.isnull() == full.CHL.isnull()).all()


def test_support_falls_with_distance():
    """Far from observations the prior speaks."""
    chl = chl_map((3, 20, 90), share=0.0)
    chl = chl.where(np.arange(90) < 10)
    share = xgapfill.background(chl, full=True).CHL_support.mean(["time", "lat"]).values
    assert (np.diff(share[9:60:8]) < 0).all()
    assert share[80] < share[12] - 0.2


@pytest.mark.parametrize("chunks", [(1, 9, 13), pytest.param((4, 20, 11), marks=pytest.mark.slow)])
def test_pixels_with_too_little_support_stay_missing(chunks):
    """Exactly those: with any chunks, of a mean, of members and of their statistics; their status says why."""
    chl = chl_map((4, 20, 60), share=0.6)
    full = xgapfill.background(chl, full=True).compute()
    least = float(full.CHL_support.where(chl.isnull()).quantile(0.4))
    expected = full.CHL.where((full.CHL_support >= np.float32(least)) | chl.notnull())
    limited = xgapfill.background(chl.chunk(dict(zip(chl.dims, chunks, strict=True))), min_support=least, full=True)
    assert same(limited.CHL, expected)
    assert same(limited.CHL_support, full.CHL_support.where(expected.notnull()))
    assert (limited.CHL_status.where(expected.isnull() & full.CHL.notnull(), 2) == 2).all()
    drawn = xgapfill.kriging(chl, members=2, min_support=0.97)
    mean = xgapfill.kriging(chl, members=2, min_support=0.97, reduce="mean")
    assert drawn.isnull().any()
    assert (drawn.isnull().any("realization") == mean.isnull()).all()


def test_parts_have_the_support_of_the_whole():
    """Size classes are filled together, so a pixel has one support."""
    chl = chl_map((3, 16, 20), share=0.2)
    full = xgapfill.background(psc_map(chl), chl, full=True).compute()
    assert same(full.PSC_support.isel(size_class=0), full.PSC_support.isel(size_class=2))
    assert float(full.PSC_support.min()) < 1


@pytest.mark.parametrize("least", [0, -0.1, 1.5, True, "half"])
def test_a_share_is_asked_for(least):
    """Anything else is refused at the call."""
    with pytest.raises(ValueError, match="min_support must be a share of more than 0 and at most 1, found"):
        xgapfill.background(chl_map((2, 8, 8)), min_support=least)


def test_the_usual_spread_must_be_known():
    """Without it, a share of it cannot be asked for."""

    class Unknown:
        name, channels, levelled, usual_sd = "x", ("x",), True, None

    with pytest.raises(ValueError, match="usual spread of x is not known"):
        Support.of(0.5, False, Unknown(), None)
    assert Support.of(None, False, Unknown(), None) is None
