"""What calibration found is used: factors of the card, steps of the schedule, errors of predictors, the status."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from maps import chl_map, psc_map

import xgapfill
from xgapfill.diffusion.samplers import repaint
from xgapfill.gaussian.background import trend_on
from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.noise import Noise
from xgapfill.methods import Background, PosteriorMean, Repaint, Vae
from xgapfill.methods.repaint import FAST
from xgapfill.nets.device import computing
from xgapfill.nets.ready import prepare
from xgapfill.testing import tiny_weights, windows
from xgapfill.weights import Weights

NOISE = Noise(3, 8640)
WALK = ((1.0, 0.3), (0.3, 0.0))
CHANNELS = ("psc_ilr1", "psc_ilr2", "log10_chl")


def lively(name: str, inflation: float = 1.0, **network) -> Weights:
    """Small weights whose last layer says something, with factors on their card."""
    tiny = tiny_weights(name)
    last = {key: np.ones_like(array) for key, array in tiny.arrays.items() if key.endswith("leave.0.weight")}
    card = replace(tiny.card, inflation=inflation, network={**tiny.card.network, **network})
    return Weights(card, {**tiny.arrays, **last})


@pytest.fixture(scope="module")
def gappy():
    """Windows of size classes and chlorophyll of which a third is observed."""
    rng = np.random.default_rng(0)
    values = 0.3 * rng.standard_normal((4, 5, 3, 64, 64))
    return windows(values, CHANNELS, rng.random(values.shape) < 0.3)


@pytest.fixture(scope="module")
def means(gappy):
    """The one-pass estimate without factors, the background, and where something is missing."""
    plain = PosteriorMean().fill(gappy, lively("psc-chl"), NOISE, 1)
    guess = Background().fill(gappy, None, NOISE, 1)
    return plain, guess, ~gappy.observed


def test_the_factors_of_the_card_scale_mean_and_spread(gappy, means):
    """Each channel departs from the background by its mean factor; the spread has its own factor."""
    plain, guess, missing = means
    factors = np.array([0.0, 0.4, 1.0], np.float32)
    found = PosteriorMean().fill(gappy, lively("psc-chl", mean_factor=factors.tolist(), spread_factor=0.5), NOISE, 1)
    departure = plain.values - guess.values
    assert np.abs(departure[0, :, :, 0][missing[:, :, 0]]).mean() > 0.05
    expected = guess.values + factors[:, None, None] * departure
    np.testing.assert_allclose(found.values[0][missing], expected[0][missing], atol=2e-5)
    np.testing.assert_allclose(found.spread[missing], 0.5 * plain.spread[missing], rtol=1e-5)


def test_the_inflation_of_the_card_scales_departures_of_members(gappy, means):
    """Members of repaint depart from the one-pass estimate, as calibrated, by this factor."""
    plain, guess, missing = means
    one = Repaint(WALK).fill(gappy, lively("psc-chl"), NOISE, 1)
    factors = [0.5, 0.5, 1.0]
    two = Repaint(WALK).fill(gappy, lively("psc-chl", inflation=2.0, mean_factor=factors), NOISE, 1)
    departure = (one.values - plain.values)[0]
    assert departure[missing].std() > 0.1
    middle = guess.values[0] + np.array(factors, np.float32)[:, None, None] * (plain.values - guess.values)[0]
    np.testing.assert_allclose(two.values[0][missing], (middle + 2 * departure)[missing], atol=1e-4)


def test_repaint_takes_the_noise_off_a_member(gappy, means):
    """The member is the one-pass estimate and its spread times the residual; one denoising of it, by hand."""
    plain, _, missing = means
    residual = np.random.default_rng(1).standard_normal((1, *gappy.values.shape)).astype(np.float32)
    pairs = np.concatenate([residual, -residual])
    weights = lively("psc-chl", inflation=3.0)
    found = Repaint().fill(replace(gappy, residuals=pairs), weights, NOISE, 2)
    with computing(Repaint()) as bring:
        prepared = prepare(gappy, weights, bring, "float32")
        mean, spread = prepared.once()
        for member, drawn in zip(pairs, found.values, strict=True):
            start = torch.where(prepared.scene.observed, prepared.scene.residual, mean + spread * bring(member))
            expected = prepared.physical(prepared.denoise(mean)(start, FAST)).numpy()
            np.testing.assert_allclose(drawn[missing], expected[missing], atol=2e-5)
    assert np.abs(found.values[0] - plain.values[0])[missing].mean() > 0.05


def test_the_factors_of_the_card_scale_an_autoencoder(gappy, means):
    """The same of the autoencoder: spread, mean and departures of its members."""
    _, guess, missing = means
    method, plain = Vae(4), lively("psc-chl-vae")
    mean, member = method.estimate(gappy, plain, NOISE), method.fill(gappy, plain, NOISE, 1)
    factors = [0.0, 0.5, 1.0]
    scaled = lively("psc-chl-vae", inflation=1.5, mean_factor=factors, spread_factor=3.0)
    found, other = method.estimate(gappy, scaled, NOISE), method.fill(gappy, scaled, NOISE, 1)
    middle = guess.values[0] + np.array(factors, np.float32)[:, None, None] * (mean.values - guess.values)[0]
    departure = (member.values - mean.values)[0]
    assert np.abs((mean.values - guess.values)[0, :, :, 0][missing[:, :, 0]]).mean() > 0.01
    assert departure[missing].std() > 0.1
    np.testing.assert_allclose(found.values[0][missing], middle[missing], atol=2e-5)
    np.testing.assert_allclose(other.values[0][missing], (middle + 1.5 * departure)[missing], atol=1e-4)
    np.testing.assert_allclose(found.spread[missing], 3 * mean.spread[missing], rtol=1e-5)
    np.testing.assert_allclose(other.spread[missing], 3 * member.spread[missing], rtol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_steps_of_repaint_are_those_of_the_paper(eta):
    """Moves down and up, with numbers by hand.

    With s' = eta to sqrt(1 - to^2 / sigma^2) of fresh noise and sqrt(to^2 - s'^2) / sigma of the old one, the step of
    DDIM (Song et al. 2021, equations 12 and 16) in unscaled variables; at eta 1 that of DDPM and of RePaint, whose mean
    is (to^2 / sigma^2) x + (1 - to^2 / sigma^2) x0.
    """
    normal = {0: 0.5, 1: -1.0, 2: 2.0, 3: 0.25, 4: -0.75, 5: 1.5, 6: -0.5}
    draw = {number: torch.tensor([value, 9.0], dtype=torch.float64) for number, value in normal.items()}
    known, observed = torch.tensor([7.0, 4.0], dtype=torch.float64), torch.tensor([False, True])
    seen = []

    def denoise(x, sigma):
        seen.append((float(x[0]), float(x[1]), sigma))
        return 0.3 * x + 0.1

    walk = [(10.0, 2.0), (2.0, 3.0), (3.0, 0.0)]
    found = repaint(denoise, known, observed, walk, draw.__getitem__, eta=eta, noisy_observed=False)
    x = 10.0 * normal[0]
    x0, fresh = 0.3 * x + 0.1, eta * 2.0 * np.sqrt(1 - 2.0**2 / 10.0**2)
    x1 = x0 + np.sqrt(2.0**2 - fresh**2) / 10.0 * (x - x0) + fresh * normal[2]
    if eta == 1.0:
        assert np.isclose(x1 - fresh * normal[2], 0.04 * x + 0.96 * x0)
    up = x1 + np.sqrt(3.0**2 - 2.0**2) * normal[3]
    np.testing.assert_allclose(seen, [(5.0, 4.0, 10.0), (up, 4.0, 3.0)], rtol=1e-12)
    assert found.tolist() == pytest.approx([0.3 * up + 0.1, 4.0], rel=1e-12)


def test_what_was_observed_is_noised_as_much_as_the_rest():
    """As in the paper, where asked for: at the level of each step, with noise of its own."""
    draw = [torch.tensor([float(number + 1)]) for number in range(8)]
    seen = []
    walk = [(10.0, 2.0), (2.0, 0.0)]
    repaint(lambda x, s: seen.append(float(x)) or x, torch.tensor([4.0]), torch.tensor([True]), walk, draw.__getitem__)
    assert seen == [4.0 + 10.0 * 2.0, 4.0 + 2.0 * 4.0]


@pytest.mark.parametrize("chl", [-1.7, -0.3, 0.9])
def test_errors_of_predictors_spread_by_the_slope_where_they_are(chl):
    """Where nothing of the target was observed the regression is the prior's, a parabola: so is its slope."""
    prior, error = shipped()["psc_ilr1"], 0.01
    nothing = torch.zeros((1, 1, 4, 4))

    def at(place):
        predictor = torch.full_like(nothing, place)
        given = {"log10_chl": (predictor, torch.full_like(nothing, error))}
        trend, variance = trend_on(nothing, nothing, "psc_ilr1", shipped(), given)
        return float(trend.mean()), float(variance.mean())

    slope = (at(chl + 0.05)[0] - at(chl - 0.05)[0]) / 0.1
    linear = prior.regression["log10_chl"][0]
    assert abs(slope - linear) > 0.3 or chl == -0.3
    assert at(chl)[1] == pytest.approx((slope * error) ** 2, rel=1e-3)


@pytest.mark.parametrize(
    ("span", "status"), [((-6.0, 6.0), 1), ((0.8, 6.0), 3), ((-6.0, -1.6), 3), ((-6.0, -1.2), 3), ((0.4, 6.0), 3)]
)
def test_fills_beyond_the_range_of_training_are_flagged(span, status):
    """Below the lowest value of the training as well as above the highest."""
    tiny = tiny_weights("chl")
    weights = Weights(replace(tiny.card, ranges={"log10_chl": span}), tiny.arrays)
    chl = chl_map((1, 10, 12), lat=40.75)
    found = xgapfill.fill(chl, "posterior_mean", weights=weights, full=True).compute()
    filled = chl.isnull().values
    assert -1.2 < np.log10(found.CHL.values[filled]).min() < np.log10(found.CHL.values[filled]).max() < 0.4
    assert (found.CHL_status.values[filled] == status).all()
    assert (found.CHL_status.values[~filled] == 0).all()


def test_predictors_beyond_the_range_of_training_are_flagged():
    """Where an observed predictor is outside the range, so is what was filled with it, on either side."""
    chl = chl_map((1, 10, 12), lat=40.75, share=0.0)
    psc, tiny = psc_map(chl), tiny_weights("psc-chl")
    middle = float(np.log10(chl).median())
    for span in ((middle, 6.0), (-6.0, middle)):
        weights = Weights(replace(tiny.card, ranges={**tiny.card.ranges, "log10_chl": span}), tiny.arrays)
        found = xgapfill.fill(psc, "posterior_mean", cond=chl, weights=weights, full=True).compute()
        status = found.PSC_status.isel(size_class=0) if "size_class" in found.PSC_status.dims else found.PSC_status
        outside = ((np.log10(chl) < span[0]) | (np.log10(chl) > span[1])) & chl.notnull()
        filled = psc.isnull().all("size_class")
        assert (outside & filled).any()
        assert (status.where(outside & filled, 3) == 3).all()
        assert (status.where(~outside & filled & chl.notnull(), 1) == 1).all()
