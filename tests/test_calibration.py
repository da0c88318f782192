"""Calibration finds factors that were put into made-up estimates, and puts them to use as fills do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xgapfill.testing import tiny_weights
from xgapfill.training.calibrate import Factors, Hidden, without_factors

COUNT = 40_000
MEANS, SPREAD, INFLATION = (0.3, 1.2), 0.6, 1.3


@pytest.fixture(scope="module")
def hidden() -> Hidden:
    """Estimates of two channels far from zero that are right once they are scaled by known factors."""
    rng = np.random.default_rng(0)
    channel = np.arange(COUNT) % 2
    background = 5 + rng.normal(size=COUNT)
    departure, spread = rng.normal(size=COUNT), rng.uniform(0.5, 2, COUNT)
    centre = background + np.array(MEANS)[channel] * departure
    truth = centre + SPREAD * spread * rng.normal(size=COUNT)
    members = background + departure + SPREAD / INFLATION * spread * rng.normal(size=(8, COUNT))
    parts = (truth, background, spread, background + departure, spread, members)
    return Hidden(*(part.astype(np.float32) for part in parts), np.zeros(COUNT, np.int8), channel)


def test_factors_are_found(hidden):
    """Each within some per cent, the spread and the inflation on their grid of 5 %."""
    found = Factors.best(hidden)
    assert found.means == pytest.approx(MEANS, abs=0.02)
    assert found.spread == pytest.approx(SPREAD, rel=0.06)
    assert found.inflation == pytest.approx(INFLATION, rel=0.06)


def test_factors_are_put_to_use(hidden):
    """Means depart from the background, members from the mean, by the factors; nothing else changes."""
    found = Factors(MEANS, 2.0, 3.0).on(hidden)
    factor = np.array(MEANS, np.float32)[hidden.channel]
    mean = hidden.background + factor * (hidden.mean - hidden.background)
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.spread, 2 * hidden.spread)
    np.testing.assert_allclose(found.members, mean + 3 * (hidden.members - hidden.mean), atol=1e-5)
    assert found.truth is hidden.truth
    assert found.background is hidden.background


def test_members_are_never_drawn_together(hidden):
    """Members that spread too much keep their textures: no factor below 1."""
    wide = replace(hidden, members=hidden.mean + 3 * (hidden.members - hidden.mean))
    assert Factors.best(wide).inflation == 1.0


def test_factors_come_and_go_on_the_card():
    """They are on the card, predictors with 1, and are taken off it for the next calibration."""
    plain = tiny_weights("psc-chl")
    card = Factors(MEANS, SPREAD, INFLATION).put(plain).card
    assert card.network["mean_factor"] == (*MEANS, 1.0)
    assert (card.network["spread_factor"], card.inflation) == (SPREAD, INFLATION)
    assert without_factors(Factors(MEANS, SPREAD, INFLATION).put(plain)).card == plain.card
