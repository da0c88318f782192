"""Kriging against dense algebra, and against one system per pixel."""

from __future__ import annotations

import pickle
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from bench import classical
from bench.classical import clouds, field
from numpy.testing import assert_allclose

from xgapfill.gaussian.kriging import USUAL, Covariance, amplitudes, fit, krige, unconditional
from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import BATCH
from xgapfill.methods.kriging import CORE, MARGIN, SIZE, Kriging
from xgapfill.testing import windows as windows_of

NOISE = Noise(0, 8640)
STEP = (8.0, 4.6, 3.0)
SMALL = Covariance(v1=0.7, v2=0.3, nugget=0.05, l1=12.0, l2=5.0, t1=12.0, t2=6.0, power=1.2)


def windows(
    values: np.ndarray, observed: np.ndarray, channels: tuple[str, ...] = ("log10_chl",), targets: int = 1
) -> Windows:
    """A batch of windows (b, t, c, y, x)."""
    b = len(values)
    starts, step_km = np.arange(3 * b).reshape(b, 3) * 48, np.tile(np.array(STEP[1:], np.float32), (b, 1))
    return windows_of(values, channels, observed, targets=targets, starts=starts, step_days=STEP[0], step_km=step_km)


def dense(shape: tuple[int, int, int], covariance: Covariance) -> np.ndarray:
    """Covariance, without the nugget, of all pairs of pixels."""
    gap = np.indices(shape).reshape(3, -1).T * STEP
    gap = gap[:, None] - gap
    return covariance(gap[..., 1] ** 2 + gap[..., 2] ** 2, gap[..., 0])


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, ...]:
    """All covariances of a small lattice, what is observed of it, and the weights and errors of dense kriging."""
    shape = (3, 6, 7)
    observed = np.random.default_rng(1).random(shape) < 0.3
    among = dense(shape, SMALL)
    total = among + SMALL.nugget * np.eye(len(among))
    known = observed.ravel()
    weights = np.linalg.solve(total[np.ix_(known, known)], among[np.ix_(known, ~known)])
    posterior = total[np.ix_(~known, ~known)] - among[np.ix_(~known, known)] @ weights
    return observed, total, weights, posterior


def test_kriging_is_the_dense_solution(small):
    """With all observed pixels as neighbours, estimates and variances are those of dense algebra, field by field."""
    observed, total, weights, posterior = small
    values = np.random.default_rng(2).normal(size=(2, *observed.shape))
    found = krige(values, observed, ~observed, SMALL, STEP, neighbours=2 * observed.size)
    assert_allclose(found.estimate, values[:, observed] @ weights, atol=1e-7)
    assert_allclose(found.variance, np.diag(posterior), atol=1e-7)
    assert_allclose(found.variance <= total[0, 0], True)


def test_members_have_the_kriging_covariance(small):
    """What conditioning adds to the mean has the covariance of the error: exact, for any field through its factor."""
    observed, total, _, posterior = small
    factor = np.linalg.cholesky(total)
    fields = factor.T.reshape(-1, *observed.shape)
    found = krige(fields, observed, ~observed, SMALL, STEP, neighbours=2 * observed.size)
    error = fields[:, ~observed] - found.estimate
    assert_allclose(error.T @ error, posterior, atol=1e-7)


def test_misfit_is_the_local_variance(small):
    """Values ten times too large give a hundred times the variance, except for the prior of the covariance."""
    observed, total, *_ = small
    values = 10 * (np.linalg.cholesky(total) @ np.random.default_rng(0).normal(size=observed.size)).reshape(
        1, *observed.shape
    )
    misfit = krige(values, observed, ~observed, SMALL, STEP, neighbours=2 * observed.size).misfit
    assert (misfit > 30).all()
    assert (misfit < 100).all()


def test_unconditional_fields_have_the_covariance():
    """The autocovariance of the kernel of the noise is the model up to a quarter of the box."""
    box = (12, 48, 48)
    delta = np.zeros(box, np.float32)
    delta[0, 0, 0] = 1
    kernel = unconditional(delta, amplitudes(box, SMALL, STEP))
    found = np.fft.ifftn(np.abs(np.fft.fftn(kernel)) ** 2).real[:4, :13, :13]
    expected = SMALL.at(tuple(np.arange(n) for n in found.shape), STEP)
    expected[0, 0, 0] += SMALL.nugget
    assert_allclose(found, expected, atol=0.005)


def test_windows_share_their_realisations():
    """Two overlapping windows draw nearly the same field where both are."""
    box = (21, 160, 160)
    amplitude = amplitudes(box, USUAL, STEP)
    first = unconditional(NOISE(0, 0, (0, 0, 0), (1, *box))[0], amplitude)
    second = unconditional(NOISE(0, 0, (0, 0, 48), (1, *box))[0], amplitude)
    difference = first[5, 56:104, 104] - second[5, 56:104, 56]
    assert np.sqrt(np.mean(difference**2)) < 0.4  # 1.4 if they had nothing in common


def test_members_scatter_as_the_spread_says():
    """Members of a filled window have the mean and the spread that are returned without members."""
    shape = (3, 12, 12)
    truth = field(shape, replace(SMALL, v1=0.2, v2=0.1)) - 0.3
    observed = ~clouds(shape, 0.5)
    batch = windows(truth[None, :, None], observed[None, :, None])
    mean = Kriging().fill(batch, None, NOISE, 1)
    drawn = Kriging(realisations=True).fill(batch, None, NOISE, 200)
    members, spread = drawn.values[:, 0, :, 0][:, ~observed], drawn.spread[0, :, 0][~observed]
    assert np.array_equal(drawn.spread, mean.spread)
    assert np.array_equal(drawn.values[:, 0, :, 0][:, observed], np.tile(batch.values[0, :, 0][observed], (200, 1)))
    bias = (members.mean(axis=0) - mean.values[0, 0, :, 0][~observed]) / spread
    assert np.sqrt(np.mean(bias**2)) < 0.12  # 1 / sqrt(200) = 0.07
    assert_allclose(np.sqrt(np.mean((members.std(axis=0) / spread) ** 2)), 1, atol=0.06)
    assert_allclose(members.std(axis=0) / spread, 1, atol=0.25)


def test_the_error_is_what_it_is_said_to_be():
    """On a simulated field, the errors at hidden pixels have the size of the spread."""
    truth, gone = field(SIZE, replace(USUAL, v1=0.16, v2=0.04)) - 0.3, clouds(SIZE, 0.5)
    filled = Kriging().fill(windows(truth[None, :, None], ~gone[None, :, None]), None, NOISE, 1)
    core = tuple(slice(n, n + m) for n, m in zip(MARGIN, CORE, strict=True))
    error = (filled.values[0, 0, :, 0] - truth)[core][gone[core]]
    assert 0.8 < np.sqrt(np.mean((error / filled.spread[0, :, 0][core][gone[core]]) ** 2)) < 1.2
    assert np.sqrt(np.mean(error**2)) < 0.8 * np.std(truth[core][gone[core]])


@pytest.mark.parametrize("realisations", [False, True])
def test_a_window_does_not_depend_on_its_batch(realisations):
    """The same bits whatever fills the rest of the batch, and all of them finite, without anything observed too."""
    method = Kriging(realisations=realisations)
    shape = (BATCH, 3, 3, 20, 20)
    rng = np.random.default_rng(0)
    channels = ("psc_ilr1", "psc_ilr2", "log10_chl")
    first = windows(rng.normal(size=shape), rng.random(shape) < 0.3, channels, 2)
    second = windows(rng.normal(size=shape), np.zeros(shape, bool), channels, 2)
    for name in ("values", "observed", "starts"):
        getattr(second, name)[2] = getattr(first, name)[0]
    alone, among = (method.fill(w, None, NOISE, 2) for w in (first, second))
    assert np.array_equal(alone.values[:, 0], among.values[:, 2])
    assert np.array_equal(alone.spread[0], among.spread[2])
    assert all(np.isfinite(part).all() for w in (alone, among) for part in (w.values, w.spread))
    assert (alone.spread[~first.observed] > 0).all()
    assert alone.values.shape == (2 if realisations else 1, *shape)


def test_one_pixel_is_enough():
    """All pixels of a window with one observed pixel in a corner are finite, near the prior and as uncertain."""
    observed = np.zeros((1, SIZE[0], 1, *SIZE[1:]), bool)
    observed[0, 0, 0, 0, 0] = True
    filled = Kriging().fill(windows(np.full(observed.shape, -0.3), observed), None, NOISE, 1)
    prior = shipped()["log10_chl"]
    assert_allclose(filled.values, prior.mean, atol=0.01)
    assert_allclose(filled.spread[~observed], prior.variance**0.5, rtol=0.15)


def test_land_does_not_matter():
    """The same bits in the sea whether the rest is land or missing sea."""
    observed = ~clouds((1, 20, 20), 0.5)[None, :, None]
    observed[..., 12:] = False
    batch = windows(np.random.default_rng(0).normal(size=observed.shape), observed)
    land = replace(batch, sea=batch.sea & (np.arange(20) < 12))
    whole, part = (Kriging().fill(w, None, NOISE, 1) for w in (batch, land))
    assert np.array_equal(whole.values[..., :12], part.values[..., :12])


def test_conditions_are_regressed_on_first():
    """A target that follows its predictor is found again in gaps where only the predictor is observed."""
    chl = field((3, 48, 48), replace(USUAL, v1=0.2, v2=0.05))
    target = -0.9 + 1.5 * (chl + 0.3) + 0.2 * field((3, 48, 48), USUAL, draw=1)
    values = np.stack([target, chl], axis=1)[None]
    observed = np.ones(values.shape, bool)
    observed[:, :, 0] = ~clouds((3, 48, 48), 0.6)
    observed[:, :, 1, :8, :8] = False
    hidden = ~observed[0, :, 0]

    def error(part: np.ndarray, channels: tuple[str, ...]) -> float:
        filled = Kriging().fill(windows(values[:, :, part], observed[:, :, part], channels), None, NOISE, 1)
        return float(np.sqrt(np.mean((filled.values[0, 0, :, 0] - target)[hidden] ** 2)))

    alone, given = error(np.array([0]), ("psc_ilr1",)), error(np.array([0, 1]), ("psc_ilr1", "log10_chl"))
    assert given < 0.5 * alone


def test_fit_follows_the_window():
    """The variogram of a noisy, short-ranged field is found at near lags; without pixels it stays the prior one."""
    own = Covariance(v1=0.4, v2=0.4, nugget=0.2, l1=40.0, l2=10.0, t1=15.0, t2=5.0, power=1.0)
    values = field(SIZE, own)
    found = fit(values, np.ones(SIZE, bool), 1.0, STEP)
    lags = tuple(np.arange(n) for n in (3, 9, 9))
    expected, usual, fitted = (c.nugget + c.v1 + c.v2 - c.at(lags, STEP) for c in (own, USUAL, found))
    assert np.abs(fitted - expected).mean() < 0.2 * np.abs(usual - expected).mean()
    assert found.nugget > 3 * USUAL.nugget
    nothing = fit(0 * values, np.zeros(SIZE, bool), 2.0, STEP)
    assert_allclose(astuple(nothing), np.array(astuple(USUAL)) * [2, 2, 2, 1, 1, 1, 1, 1])


def test_windows_have_margins():
    """Each pixel belongs to the inner part of one window, which has the margin around it as context."""
    tiling = Kriging().tiling(8640, (0, 10))
    assert tiling.size == tuple(c + 2 * m for c, m in zip(CORE, MARGIN, strict=True)) == SIZE
    assert tiling.stride == CORE
    assert tiling.margin == MARGIN


def test_bad_parameters_are_refused():
    """Parameters are checked at once, and methods can be pickled."""
    with pytest.raises(ValueError, match="whole number"):
        Kriging(neighbours=0)
    with pytest.raises(ValueError, match="True"):
        Kriging(realisations=3)
    assert pickle.loads(pickle.dumps(Kriging(True, 30))) == Kriging(True, 30)
    assert (Kriging().draws, Kriging(realisations=True).draws) == (False, True)


def test_shared_neighbours_lose_nothing():
    """Blocks that share their neighbours are as good as one system per pixel, to a per cent, in far less time."""
    torch.set_num_threads(1)
    found = classical.kriging()
    assert found["krige"].rmse < 1.01 * found["batched"].rmse
    assert found["one by one"].seconds > 5 * found["krige"].seconds
    assert found["batched, table"].seconds > 1.5 * found["krige"].seconds
