"""Size classes from chlorophyll: golden values of the published relations, and the fitted one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch  # noqa: F401

from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH
from xgapfill.methods.regression import PUBLISHED, Regression, brewin2015_fractions, hirata2011_fractions, published_ilr
from xgapfill.testing import windows as windows_of
from xgapfill.variables.relation import SCATTER, brewin_fractions
from xgapfill.variables.transforms import ilr_inverse

NOISE = Noise(0, 8640)
PSC = ("psc_ilr1", "psc_ilr2", "log10_chl")
CHL = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
# micro, nano, pico at each of them
HIRATA = """.0103 .2449 .7448 .0419 .4879 .4702 .1400 .5181 .3418
            .4160 .3393 .2447 .7594 .1432 .0973 .9913 .2184 -.2097"""
BREWIN10 = """.1119 .2299 .6583 .1377 .3343 .5280 .2061 .4836 .3103
              .3943 .4988 .1069 .6751 .2892 .0357 .8943 .0950 .0107"""
BREWIN15 = """.0770 .1925 .7305 .1151 .2875 .5974 .2129 .4222 .3649
              .4572 .4131 .1297 .7499 .2067 .0433 .9230 .0640 .0130"""


def windows(values: np.ndarray, channels: tuple[str, ...] = PSC, targets: int = 2) -> Windows:
    """Windows (b, t, c, y, x), NaN where missing."""
    return windows_of(values, channels, targets=targets)


def gappy(seed: int, channels: int = 3, share: float = 0.5, side: int = 32) -> np.ndarray:
    """Random windows of which a share is observed."""
    rng = np.random.default_rng(seed)
    shape = (BATCH, 4, channels, side, side)
    return np.where(rng.random(shape) < share, 0.4 * rng.normal(size=shape), np.nan)


@pytest.mark.parametrize(
    ("fractions", "golden"),
    [(hirata2011_fractions, HIRATA), (brewin_fractions, BREWIN10), (brewin2015_fractions, BREWIN15)],
)
def test_golden_values(fractions, golden):
    """The published relations give the published fractions."""
    expected = np.array(golden.split(), float).reshape(-1, 3).T
    np.testing.assert_allclose(fractions(np.array(CHL)), expected, atol=6e-5)


@pytest.mark.parametrize("relation", PUBLISHED)
def test_log_ratios_are_those_of_possible_fractions(relation):
    """At any chlorophyll the log-ratios are finite; inside the range they are those of the relation."""
    parts = ilr_inverse(published_ilr(relation, np.linspace(-5, 4, 50)))
    assert np.isfinite(parts).all()
    np.testing.assert_allclose(parts.sum(axis=0), 1, atol=1e-6)
    inside = np.array([0.3, 1.0])
    np.testing.assert_allclose(
        ilr_inverse(published_ilr(relation, np.log10(inside))), PUBLISHED[relation][0](inside), atol=1e-4
    )


def test_hirata_is_held_at_its_range():
    """Beyond the range of validity the nearest end stands in."""
    far, near = (published_ilr("hirata2011", np.log10([chl])) for chl in ((0.001, 50.0), (0.015, 4.8)))
    np.testing.assert_allclose(far, near, atol=1e-5)


def test_published_needs_no_size_classes():
    """With chlorophyll alone a published relation is what it is, with the scatter of in-situ samples as spread."""
    batch = gappy(0)
    batch[:, :, :2] = np.nan
    batch[:, :, 2] = -0.5
    filled = Regression("brewin2015").fill(windows(batch), None, NOISE, 1)
    expected = published_ilr("brewin2015", np.array(-0.5))
    for c in range(2):
        np.testing.assert_allclose(filled.values[0, :, :, c], expected[c], atol=1e-5)
        np.testing.assert_allclose(filled.spread[:, :, c], SCATTER[c], rtol=1e-5)


def test_spread_holds_the_error_of_chlorophyll():
    """Far from any chlorophyll its doubt adds to the scatter of the relation."""
    batch = gappy(1, side=64)
    batch[:, :, :2] = np.nan
    batch[..., 20:] = np.nan
    spread = Regression("brewin2010").fill(windows(batch), None, NOISE, 1).spread
    assert spread[:, :, 0, :, 60].mean() > 1.05 * spread[:, :, 0, :, :20].mean()


def test_fitted_finds_a_relation_of_the_window():
    """What is a line in chlorophyll is found again, up to the prior, and what is left is the spread."""
    rng = np.random.default_rng(2)
    chl = 0.4 * rng.normal(size=(BATCH, 5, 64, 64)) - 0.3
    lines = np.stack([-0.5 + 0.8 * chl, -0.5 - 0.8 * chl], axis=2)
    targets = np.where(rng.random(lines.shape) < 0.9, lines + 0.3 * rng.normal(size=lines.shape), np.nan)
    filled = Regression().fill(windows(np.concatenate([targets, chl[:, :, None]], axis=2)), None, NOISE, 1)
    error = filled.values[0, :, :, :2] - lines
    assert np.sqrt(np.mean(error**2)) < 0.15  # the prior alone is off by about 0.5
    np.testing.assert_allclose(filled.spread[:, :, :2], 0.35, atol=0.05)


def test_chlorophyll_alone_takes_the_mean_of_its_window():
    """Without predictors there is nothing but a mean, and the spread about it."""
    filled = Regression().fill(windows(gappy(3, 1, side=64) + 0.7, ("log10_chl",), 1), None, NOISE, 1)
    np.testing.assert_allclose(filled.values, 0.7, atol=0.05)
    np.testing.assert_allclose(filled.spread, 0.4, atol=0.05)


@pytest.mark.parametrize("relation", ["fitted", *PUBLISHED])
def test_bits_do_not_depend_on_the_neighbours_in_the_batch(relation):
    """A window gives the same bits whatever fills the rest of the batch, and all are finite, empty ones too."""
    first, second = gappy(4), gappy(5)
    second[1] = np.nan
    second[2] = first[0]
    alone, among = (Regression(relation).fill(windows(batch), None, NOISE, 1) for batch in (first, second))
    assert np.array_equal(alone.values[0, 0], among.values[0, 2])
    assert np.array_equal(alone.spread[0], among.spread[2])
    assert np.isfinite(among.values).all()
    assert np.isfinite(among.spread).all()
    assert (among.spread[~windows(second).observed] > 0).all()


def test_wrong_calls_are_refused():
    """Messages say what was expected, found, and what to do."""
    with pytest.raises(ValueError, match="relation must be 'fitted', 'brewin2010'"):
        Regression("uitz2006")
    with pytest.raises(ValueError, match="needs chlorophyll"):
        Regression().check(("psc_ilr1", "psc_ilr2", "sst"))
    with pytest.raises(ValueError, match="use relation='fitted'"):
        Regression("brewin2010").check(("log10_chl",))
    Regression("brewin2010").check(PSC)


def test_is_picklable():
    """Tasks carry the method."""
    assert pickle.loads(pickle.dumps(Regression("hirata2011"))) == Regression("hirata2011")
