"""The background against exact answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from xgapfill import tutorial
from xgapfill.gaussian import covariance as variogram
from xgapfill.gaussian.background import ITERATIONS, usual_covariance, usual_error
from xgapfill.gaussian.priors import Prior, from_mapping, shipped, to_mapping
from xgapfill.gaussian.spectral import complete, cosine_basis, mode_variances, to_field, to_modes
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Windows
from xgapfill.methods import BATCH, Background
from xgapfill.testing import windows as windows_of

NOISE = Noise(0, 8640)


def windows(seed: int = 0, channels: tuple[str, ...] = ("log10_chl",), share: float = 0.4) -> Windows:
    """Random windows of which a share is observed."""
    rng = np.random.default_rng(seed)
    shape = (BATCH, 5, len(channels), 64, 64)
    observed = rng.random(shape) < share
    return windows_of(rng.normal(size=shape), channels, observed)


def test_cosine_basis_is_orthonormal():
    """Modes of modes are the field again."""
    basis = cosine_basis(16).double()
    assert torch.allclose(basis @ basis.T, torch.eye(16, dtype=torch.float64), atol=1e-6)
    field = torch.randn(2, 5, 8, 16)
    assert torch.allclose(to_field(to_modes(field)), field, atol=1e-5)


def test_spectrum_holds_the_variance():
    """The mean variance of the field is the covariance at no lag."""
    covariance = torch.rand(2, 5, 16, 16)
    assert np.allclose(_raw(covariance).mean(dim=(1, 2, 3)), covariance[:, 0, 0, 0], atol=1e-4)


def _raw(covariance):
    """Mode variances of a covariance that is large enough at no lag for none to be negative."""
    covariance[:, 0, 0, 0] += 1000.0
    return mode_variances(covariance)


@pytest.mark.parametrize("erroneous", [False, True])
def test_complete_is_the_conditional_mean(erroneous):
    """Some values are the field, others have errors, the rest is unknown: the mean is the dense one."""
    shape = (3, 8, 8)
    rng = np.random.default_rng(0)
    usual = torch.tensor([[0.6, 0.3, 0.0, 40.0, 12.0, 20.0, 8.0, 1.2]]).double().log()
    spectrum = mode_variances(variogram.covariance(usual, shape, 8.0, torch.tensor([[4.6, 4.0]]))) + 0.02
    t, y, x = (cosine_basis(n).double().numpy() for n in shape)
    basis = np.einsum("at,by,cx->abctyx", t, y, x).reshape(192, 192)
    covariance = basis.T @ (spectrum[0].double().numpy().reshape(-1, 1) * basis)
    held = rng.random(192) < 0.3
    noisy = (rng.random(192) < 0.3) & ~held if erroneous else np.zeros(192, bool)
    values = np.linalg.cholesky(covariance) @ rng.standard_normal(192)
    variance = np.where(noisy, 0.3, 0.0)
    there = held | noisy
    inner = covariance[np.ix_(there, there)] + np.diag(variance[there])
    exact = covariance[:, there] @ np.linalg.solve(inner, values[there])
    shown, precision = np.where(there, values, 9.0), np.where(noisy, 1 / 0.3, 0.0)
    parts = (torch.tensor(part.reshape(1, *shape), dtype=torch.float32) for part in (shown, precision))
    found = complete(*parts, torch.tensor(held.reshape(1, *shape)), spectrum, 0.3 + 0 * spectrum, iterations=60)
    assert np.abs(found.numpy().ravel() - exact).max() < 2e-3


def test_few_iterations_are_enough():
    """From the start on a coarse grid, as many iterations as the background makes come within 2 % of the dense mean."""
    shape = (2, 32, 32)
    rng = np.random.default_rng(0)
    p = torch.tensor([[0.8, 0.2, 0.0, 100.0, 20.0, 25.0, 7.0, 1.15]]).double().log()
    step_km = torch.tensor([[4.6, 4.6]])
    smooth, nugget = mode_variances(variogram.covariance(p, shape, 8.0, step_km)), torch.full((1, 1, 1, 1), 0.01)
    spectrum = smooth + nugget
    basis = to_field(torch.eye(2048).unflatten(-1, shape)).flatten(1).double().numpy()
    covariance = basis.T @ (spectrum.flatten().double().numpy()[:, None] * basis)
    field = to_field(spectrum.sqrt() * torch.tensor(rng.standard_normal((1, *shape)), dtype=torch.float32))
    held = ndimage.gaussian_filter(rng.standard_normal((1, *shape)), (0, 0, 3, 3)) > 0.02
    known = held.ravel()
    exact = covariance[:, known] @ np.linalg.solve(covariance[np.ix_(known, known)], field.numpy().ravel()[known])
    usual = usual_error(torch.tensor(held, dtype=torch.float32), smooth, nugget, 8.0, step_km)
    found = complete(field, 0 * field, torch.tensor(held), spectrum, usual, ITERATIONS).numpy().ravel()
    assert np.sqrt(np.mean((found - exact)[~known] ** 2)) < 0.02 * field.std()


def testusual_error_is_about_that_of_kriging():
    """The cheap variance of the error is near the exact one of the same covariance, near and far from data."""
    shape = (3, 16, 16)
    p = torch.tensor([[0.7, 0.3, 0.01, 60.0, 15.0, 25.0, 8.0, 1.2]]).double().log()
    step_km = torch.tensor([[4.6, 4.6]])
    smooth = mode_variances(variogram.covariance(p, shape, 8.0, step_km))
    nugget = torch.full((1, 1, 1, 1), 0.01)
    basis = to_field(torch.eye(768).unflatten(-1, shape)).flatten(1).double().numpy()
    covariance = basis.T @ ((smooth + nugget)[0].double().numpy().reshape(-1, 1) * basis)
    rough = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), (0, 2, 2))
    observed = rough > np.quantile(rough, 0.6)
    w = torch.tensor(observed[None], dtype=torch.float32)
    known = observed.ravel()
    gain = np.linalg.solve(covariance[np.ix_(known, known)], covariance[known])
    exact = (np.diag(covariance) - (covariance[known] * gain).sum(0)).reshape(shape)[~observed]
    found = usual_error(w, smooth, nugget, 8.0, step_km)[0].numpy()[~observed]
    assert np.corrcoef(np.log(found), np.log(exact))[0, 1] > 0.85
    assert 0.5 < np.exp(np.mean(np.log(found / exact))) < 2.0


def test_bits_do_not_depend_on_the_neighbours_in_the_batch():
    """A window gives the same bits whatever fills the rest of the batch, and wherever in it it stands."""
    first, second = windows(0), windows(1)
    mixed = Windows(**{**vars(second), "values": second.values.copy(), "observed": second.observed.copy()})
    mixed.values[2], mixed.observed[2] = first.values[0], first.observed[0]
    alone, among = (Background().fill(w, None, NOISE, 1) for w in (first, mixed))
    assert np.array_equal(alone.values[0, 0], among.values[0, 2])
    assert np.array_equal(alone.spread[0], among.spread[2])


def test_nothing_observed_gives_the_prior():
    """Without any observation the mean is the prior's and the spread is about the prior's."""
    filled = Background().fill(windows(share=0.0), None, NOISE, 1)
    prior = shipped()["log10_chl"]
    assert np.allclose(filled.values, prior.mean, atol=1e-5)
    assert 0.5 < filled.spread.mean() / prior.variance**0.5 < 2.0


def test_a_condition_alone_gives_the_prior_regression():
    """Where only the predictor is observed, the target follows it as the prior says."""
    channels = ("psc_ilr1", "psc_ilr2", "log10_chl")
    w = windows(channels=channels, share=1.0)
    chl = np.full_like(w.values[:, :, 2], 0.2)
    observed = np.zeros_like(w.observed)
    observed[:, :, 2] = True
    values = np.where(observed, 0.0, 0.0).astype(np.float32)
    values[:, :, 2] = chl
    filled = Background().fill(Windows(**{**vars(w), "values": values, "observed": observed}), None, NOISE, 1)
    prior = shipped()["psc_ilr1"]
    slope, curvature = prior.regression["log10_chl"]
    expected = prior.mean + slope * 0.5 + curvature * 0.25
    assert np.allclose(filled.values[0, :, 2, 0, 20:44, 20:44], expected, atol=0.02)


def test_a_smooth_field_is_found_again():
    """A smooth field with half of its pixels hidden comes back, and the error grows away from observations."""
    rows, cols = np.mgrid[:64, :64]
    field = (0.4 * np.sin(rows / 12) * np.cos(cols / 15)).astype(np.float32)
    w = windows()
    values = np.broadcast_to(field, w.values.shape).copy()
    observed = np.broadcast_to(cols < 32, w.observed.shape).copy()
    filled = Background().fill(
        Windows(**{**vars(w), "values": values * observed, "observed": observed}), None, NOISE, 1
    )
    error = np.abs(filled.values[0] - values)
    assert error[..., :32].max() < 0.05
    spread = filled.spread.mean(axis=(0, 1, 2, 3))
    assert spread[20] < spread[36] < spread[60]


def test_priors_survive_the_card():
    """Priors become plain mappings and back."""
    priors = shipped()
    assert from_mapping(to_mapping(priors)) == priors
    assert all(isinstance(prior, Prior) for prior in priors.values())


def test_means_over_longer_times_vary_more_slowly():
    """Prior time scales are at least some time steps: those of months are longer than those of weeks."""
    prior = Prior(mean=0.0, variance=1.0)
    scales = {step: usual_covariance(prior, torch.ones(1), step)[0].exp()[0, 5:7].tolist() for step in (1.0, 8.0, 30.0)}
    assert scales[1.0] == scales[8.0] == pytest.approx(prior.covariance[5:7])
    assert scales[30.0] == pytest.approx([30 * steps for steps in prior.steps])


def test_the_error_on_a_fine_grid_is_honest():
    """Pixels of 0.5 km and steps of a day, with the patterns of coarser ones: the spread is near the error."""
    ds = tutorial.open_dataset("ocean").isel(time=slice(4, 14), lat=slice(0, 64), lon=slice(0, 64))
    gaps = ds.PSC.isel(size_class=0, drop=True).isnull().values  # larger ones than those of CHL
    start = np.datetime64("2020-05-01", "ns")
    fine = {
        "lat": 45 + np.arange(64) / 200,
        "lon": -20 + np.arange(64) / 200,
        "time": start + np.arange(10) * np.timedelta64(1, "D"),
    }
    chl = ds.CHL_truth.where(~gaps).assign_coords(fine).assign_attrs(ds.CHL.attrs).rename("CHL")
    found = chl.gapfill.background(full=True, sea=np.ones((64, 64), bool)).compute()
    error = np.log10(found.CHL.values / ds.CHL_truth.values)[gaps & ds.CHL_truth.notnull().values]
    spread = found.CHL_spread_log10.values[gaps & ds.CHL_truth.notnull().values]
    assert 0.5 < np.sqrt(np.mean(spread**2) / np.mean(error**2)) < 1.6
