"""Penalised least squares against its normal equations and against the whole-field version."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.distance import nearest_in_windows
from xgapfill.lattice.noise import Noise
from xgapfill.methods.base import BATCH
from xgapfill.methods.dctpls import SMOOTHING, TIME_WEIGHT, DctPls, penalised
from xgapfill.methods.shared import blocks
from xgapfill.testing import windows
from xgapfill.validation.baselines.dct import Dct, dct_pls

NOISE = Noise(0, 8640)
PSC = ("psc_ilr1", "psc_ilr2", "log10_chl")


def noisy(seed: int, channels: int = 1, share: float = 0.4, side: int = 64) -> np.ndarray:
    """Random windows of which a share is observed."""
    rng = np.random.default_rng(seed)
    shape = (BATCH, 5, channels, side, side)
    return np.where(rng.random(shape) < share, rng.normal(size=shape), np.nan)


def fields(values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What a method makes of the first channel: values with 0 where missing, and 1 where observed."""
    data = windows(values)
    values, observed = (torch.from_numpy(a[:, :, 0].astype(np.float32)) for a in (data.values, data.observed))
    return values, observed


def smooth(scale: float = 1.0) -> np.ndarray:
    """A smooth field that moves, (5, 64, 64)."""
    slots, rows, cols = np.mgrid[:5, :64, :64]
    return (0.4 * scale * np.sin((rows + slots) / 12) * np.cos((cols - slots) / 15)).astype(np.float32)


def second_difference(n: int) -> np.ndarray:
    """Second differences with mirrored ends."""
    matrix = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    matrix[0, 0] = matrix[-1, -1] = -1
    return matrix


@pytest.mark.parametrize(("s", "time_weight"), [(0.1, 1.0), (3.0, 0.05)])
def test_solves_the_normal_equations(s, time_weight):
    """The field is the solution of (W + s L'L) z = W y, as a dense solver finds it."""
    rng = np.random.default_rng(0)
    shape = (3, 5, 6)
    y, observed = rng.normal(size=shape), rng.random(shape) < 0.5
    eyes = [np.eye(n) for n in shape]
    parts = [[second_difference(n) if i == k else eyes[k] for k, n in enumerate(shape)] for i in range(3)]
    laplacian = sum(
        weight * np.kron(np.kron(a, b), c) for weight, (a, b, c) in zip((time_weight, 1, 1), parts, strict=True)
    )
    exact = np.linalg.solve(
        np.diag(observed.ravel().astype(float)) + s * laplacian.T @ laplacian, (observed * y).ravel()
    )
    tensors = [torch.tensor(a[None], dtype=torch.float32) for a in (np.where(observed, y, 0), observed)]
    pair = [torch.tensor([a], dtype=torch.float64) for a in (s, time_weight)]
    found = penalised(*tensors, *pair, torch.zeros(1, *shape), 200)
    np.testing.assert_allclose(found.numpy().ravel(), exact, atol=2e-4)


@pytest.mark.parametrize("slot", [1.0, 7.07, 0.5])
def test_the_nearest_observed_pixel_is_that_of_a_distance_transform(slot):
    """Distances equal those of the general transform, and the value is one that was observed at that distance."""
    rng = np.random.default_rng(4)
    observed = rng.random((4, 5, 20, 33)) < np.array([0.3, 0.01, 0.0, 0.002])[:, None, None, None]
    observed[0, 2] = False
    values = np.arange(observed.size, dtype=np.float32).reshape(observed.shape)
    distance, value = nearest_in_windows(values, observed, np.full(4, slot))
    assert np.isinf(distance[2]).all()
    assert (value[2] == 0).all()
    for b in (0, 1, 3):
        np.testing.assert_allclose(distance[b], distance_transform_edt(~observed[b], sampling=(slot, 1, 1)), rtol=1e-5)
        source = np.array(np.unravel_index(value[b].astype(int), observed.shape))
        assert observed[tuple(source)].all()
        away = (source[1:] - np.indices(observed[b].shape)) * np.array([slot, 1, 1])[:, None, None, None]
        np.testing.assert_allclose(np.sqrt((away**2).sum(0)), distance[b], rtol=1e-5)


def test_equals_the_whole_field_version():
    """Where the window is the whole field, both versions agree."""
    values = np.where(np.random.default_rng(1).random((5, 64, 64)) < 0.4, smooth(), np.nan)
    expected = dct_pls(values.astype(np.float32), Dct(0.5, 0.1), iterations=300, tolerance=1e-6)
    batch = np.full((BATCH, 5, 1, 64, 64), np.nan)
    batch[0, :, 0] = values
    found = DctPls(smoothing=0.5, time_weight=0.1).fill(windows(batch), None, NOISE, 1)
    np.testing.assert_allclose(found.values[0, 0, :, 0], expected, atol=2e-3)


def test_the_search_finds_how_smooth_a_field_is():
    """Noise is smoothed more than a smooth field; what is given is not searched."""
    rng = np.random.default_rng(2)
    batch = noisy(2)
    batch[0, :, 0] = np.where(rng.random((5, 64, 64)) < 0.6, smooth(2.0), np.nan)
    y, w = fields(batch)
    held = w * torch.from_numpy(blocks((5, 64, 64)))
    smoothing, *_ = DctPls()._chosen(y, w - held, held)
    assert smoothing[0] < smoothing[1]
    smoothing, time_weight, *_ = DctPls(smoothing=3.0, time_weight=0.5)._chosen(y, w - held, held)
    assert (smoothing == 3).all()
    assert (time_weight == 0.5).all()


def test_little_observed_keeps_to_the_usual():
    """Some twenty pixels do not choose."""
    y, w = fields(noisy(3, share=0.001))
    held = w * torch.from_numpy(blocks((5, 64, 64)))
    assert held.sum() > 0
    smoothing, time_weight, *_ = DctPls()._chosen(y, w - held, held)
    assert (smoothing == SMOOTHING).all()
    assert (time_weight == TIME_WEIGHT).all()


def test_a_smooth_field_is_found_again():
    """A smooth field with half of its pixels hidden comes back, and the error grows away from observations."""
    values = np.broadcast_to(smooth()[:, None], (BATCH, 5, 1, 64, 64))
    shown = np.where(np.arange(64) < 32, values, np.nan)
    filled = DctPls().fill(windows(shown), None, NOISE, 1)
    error = np.abs(filled.values[0] - values)
    assert error[..., :32].max() < 0.05
    spread = filled.spread.mean(axis=(0, 1, 2, 3))
    assert spread[20] < spread[36] < spread[60]


def test_a_condition_alone_gives_the_prior_regression():
    """Where only chlorophyll is observed, size classes are what the prior regression makes of it."""
    batch = np.full((BATCH, 5, 3, 32, 32), np.nan)
    batch[0, :, 2] = 0.2
    prior = shipped()["psc_ilr1"]
    slope, curvature = prior.regression["log10_chl"]
    expected = prior.mean + slope * 0.5 + curvature * 0.25  # about a log10 of -0.3
    filled = DctPls().fill(windows(batch, PSC), None, NOISE, 1)
    np.testing.assert_allclose(filled.values[0, 0, :, 0], expected, atol=0.02)
    assert np.isfinite(filled.values).all()  # the empty windows as well
    assert (filled.spread > 0).all()
    assert np.isfinite(filled.spread).all()


def test_bits_do_not_depend_on_the_neighbours_in_the_batch():
    """A window gives the same bits whatever fills the rest of the batch, and wherever in it it stands."""
    first, second = noisy(0, 3, side=32), noisy(1, 3, side=32)
    second[2] = first[0]
    alone, among = (DctPls().fill(windows(batch, PSC), None, NOISE, 1) for batch in (first, second))
    assert np.array_equal(alone.values[0, 0], among.values[0, 2])
    assert np.array_equal(alone.spread[0], among.spread[2])


def test_wrong_parameters_are_refused():
    """Messages say what was expected."""
    for name in ("smoothing", "time_weight"):
        for value in (0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"{name} must be a number from 1e-06 to 1e+06".replace("+", ".")):
                DctPls(**{name: value})


def test_is_picklable():
    """Tasks carry the method."""
    assert pickle.loads(pickle.dumps(DctPls(1.0))) == DctPls(1.0)
