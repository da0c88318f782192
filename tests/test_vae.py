"""The variational autoencoder: its bound, its weights and its draws against exact Gaussian answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xgapfill.gaussian.spectral import cosine_basis
from xgapfill.lattice.noise import Noise
from xgapfill.methods import Vae as Method
from xgapfill.methods.vae import _cells
from xgapfill.nets.autoencoder import CELL, LATENTS, Vae
from xgapfill.nets.bound import importance_weighted_bound, log_normal, log_ratio, masked_log_likelihood, pick
from xgapfill.nets.scene import Scene
from xgapfill.nets.texture import gaussian_departure
from xgapfill.testing import tiny_weights, windows

PIXELS, HIDDEN_CAUSES, NOISE = 12, 3, 0.3


@pytest.fixture(scope="module")
def linear():
    """X = W z + b + noise with some pixels missing: the model and the exact posterior of z given what was observed."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(PIXELS, HIDDEN_CAUSES, generator=generator, dtype=torch.float64)
    b = torch.randn(PIXELS, generator=generator, dtype=torch.float64)
    x = w @ torch.randn(HIDDEN_CAUSES, generator=generator, dtype=torch.float64) + b
    x = x + NOISE * torch.randn(PIXELS, generator=generator, dtype=torch.float64)
    observed = torch.rand(PIXELS, generator=generator) < 0.6
    wo = w[observed]
    covariance = torch.linalg.inv(torch.eye(HIDDEN_CAUSES, dtype=torch.float64) + wo.T @ wo / NOISE**2)
    mean = covariance @ wo.T @ (x - b)[observed] / NOISE**2
    whole = wo @ wo.T + NOISE**2 * torch.eye(int(observed.sum()), dtype=torch.float64)
    evidence = torch.distributions.MultivariateNormal(b[observed], whole).log_prob(x[observed])
    return w, b, x, observed, mean, covariance, evidence


def bound_of(linear, x, draws, wrong, generator):
    """The bound and the weighted draws of an encoder whose mean and variance are off by `wrong`."""
    w, b, _, observed, mean, covariance, _ = linear
    centre = mean + wrong * covariance.diagonal().sqrt()
    log_variance = (covariance.diagonal() * (1 + wrong)).log()
    normal = torch.randn(draws, HIDDEN_CAUSES, generator=generator, dtype=torch.float64)
    z = centre + (0.5 * log_variance).exp() * normal
    likelihood = masked_log_likelihood(x, observed, z @ w.T + b, torch.full_like(x, 2 * np.log(NOISE))).sum(-1)
    log_weights = likelihood + log_ratio(z, centre, log_variance).sum(-1)
    return importance_weighted_bound(log_weights), z, log_weights


def test_the_bound_lies_below_the_evidence_and_tends_to_it(linear):
    """On a linear-Gaussian model the bound over K draws rises with K from below log p(x_observed) and reaches it."""
    _, _, x, _, _, _, evidence = linear
    generator = torch.Generator().manual_seed(1)
    means = []
    for draws in (1, 4, 16, 64):
        bounds = torch.stack([bound_of(linear, x, draws, 0.7, generator)[0] for _ in range(2000)])
        means.append(float(bounds.mean()))
    assert all(a < b for a, b in zip(means, [*means[1:], float(evidence)], strict=True))
    assert means[0] < float(evidence) - 0.5
    assert abs(float(bound_of(linear, x, 200_000, 0.7, generator)[0] - evidence)) < 0.02


def test_only_what_was_observed_counts(linear):
    """What stands in missing places, NaN or anything, changes neither the likelihood nor its gradient."""
    _, b, x, observed, *_ = linear
    other = torch.where(observed, x, torch.nan)
    values, gradients = [], []
    for field in (x, other):
        mean = b.clone().requires_grad_()
        likelihood = masked_log_likelihood(field, observed, mean, torch.zeros_like(b)).sum()
        likelihood.backward()
        values.append(float(likelihood.detach()))
        gradients.append(mean.grad)
    assert values[0] == values[1]
    assert torch.equal(gradients[0], gradients[1])
    exact = torch.distributions.Normal(b, 1.0).log_prob(x)[observed].sum()
    assert values[0] == pytest.approx(float(exact), rel=1e-12)
    assert torch.allclose(log_normal(x, b, torch.zeros_like(b))[observed].sum(), exact)


def test_weighted_draws_are_those_of_the_posterior(linear):
    """Self-normalised weights, and draws picked by them, give the exact mean of what was not observed."""
    w, b, x, observed, mean, covariance, _ = linear
    generator = torch.Generator().manual_seed(2)
    _, z, log_weights = bound_of(linear, x, 100_000, 0.7, generator)
    exact = (w @ mean + b)[~observed]
    plain = (z @ w.T + b)[:, ~observed]
    weighted = (log_weights.softmax(0)[:, None] * plain).sum(0)
    off = (plain.mean(0) - exact).abs().max()
    assert (weighted - exact).abs().max() < 0.05 * off
    many = z[: 16 * 6000].view(16, 6000, HIDDEN_CAUSES)
    uniform = torch.rand(16, 6000, generator=generator)
    chosen = pick(log_weights[: 16 * 6000].view(16, 6000), uniform)
    picked = many[chosen, torch.arange(6000)]
    assert ((picked @ w.T + b)[:, ~observed].mean(0) - exact).abs().max() < 0.25 * off
    spread = picked.var(0) / covariance.diagonal()
    assert (spread > 0.7).all()
    assert (spread < 1.4).all()


def test_texture_is_an_exact_draw_of_the_gaussian_field():
    """Draws minus their conditional mean have the covariance that dense algebra gives, stationary at the ends too."""
    shape = (2, 8, 8)
    generator = torch.Generator().manual_seed(3)
    waves = torch.stack(torch.meshgrid(*(torch.arange(n) / n for n in shape), indexing="ij")).square().sum(0)
    spectrum = ((1 + 30 * waves) ** -2 + 0.05)[None, :, None]
    observed = torch.rand((1, 2, 1, 8, 8), generator=generator) < 0.3
    usual = 0.5 + torch.rand((1, 2, 1, 8, 8), generator=generator)
    scene = _scene(observed, usual, spectrum)
    basis = np.kron(cosine_basis(2).numpy(), np.kron(cosine_basis(8).numpy(), cosine_basis(8).numpy())).astype(float)
    prior = basis.T @ np.diag(spectrum.flatten().numpy().astype(float)) @ basis
    level = np.sqrt(np.diag(prior).mean() / np.diag(prior))
    prior = level[:, None] * prior * level
    at, gaps = (np.flatnonzero(part.flatten().numpy()) for part in (observed, ~observed))
    exact = prior[np.ix_(gaps, gaps)] - prior[np.ix_(gaps, at)] @ np.linalg.solve(
        prior[np.ix_(at, at)], prior[np.ix_(at, gaps)]
    )
    many = 4000
    whole = Scene(**{name: part.expand(many, *part.shape[1:]) for name, part in vars(scene).items()})
    field = torch.randn((many, 2, 1, 8, 8), generator=generator)
    drawn = (gaussian_departure(whole, field) * usual).flatten(1).numpy().astype(float)
    assert np.abs(drawn[:, at]).max() < 1e-4
    found = np.cov(drawn[:, gaps].T)
    assert np.abs(found - exact).max() < 6 * np.diag(exact).max() / np.sqrt(many)
    assert np.diag(found).mean() == pytest.approx(np.diag(exact).mean(), rel=0.02)


def test_latents_have_addresses():
    """Windows that share cells of the lattice share the random numbers of these cells, and of no other."""
    two = windows(np.zeros((4, 5, 1, 64, 64)), starts=np.array([[0, 0, 0], [3, 48, 0], [0, 48, 48], [0, 0, 8]]))
    cells = _cells(Noise(0, 8640), two, 1, 2)
    assert cells.shape == (4, 5, CELL**2, 8, 8)
    assert torch.equal(cells[0, 3:, :, 6:, :], cells[1, :2, :, :2, :])
    assert torch.equal(cells[0, :, :, 6:, 6:], cells[2, :, :, :2, :2])
    assert torch.equal(cells[0, :, :, :, 1:], cells[3, :, :, :, :-1])
    assert abs(float(cells.std()) - 1) < 0.01
    assert not torch.equal(cells, _cells(Noise(0, 8640), two, 2, 2))


def test_latents_are_local():
    """What is observed moves the draws around it, not those of the other side of the window when nothing else
    differs.
    """
    net = Vae.of({"frames": 1, "channels": 1, "widths": (8, 16)})
    ones = torch.ones((1, 1, 1, 64, 64))
    scene = _scene(torch.rand(ones.shape, generator=torch.Generator().manual_seed(1)) < 0.5, ones, ones)
    prior = net.prior(scene)
    z = torch.randn((2, 1, 1, LATENTS, 8, 8), generator=torch.Generator().manual_seed(0))
    other = z.clone()
    other[..., 0, 0] += 1.0
    moved = (net.decode(z, prior, scene)[0] - net.decode(other, prior, scene)[0]).abs().amax((0, 1, 2, 3))
    assert moved[:8, :8].max() > 0
    assert moved[48:, 48:].max() < 0.05 * moved[:8, :8].max()


def _scene(observed, usual, spectrum) -> Scene:
    b, t, c, y, x = observed.shape
    zeros = torch.zeros(observed.shape)
    maps, sea, numbers = torch.zeros((b, t, c, 3, y, x)), torch.ones((b, 1, y, x)), torch.zeros((b, 7))
    return Scene(zeros, observed, ~observed, maps, sea, numbers, zeros, usual, spectrum)


@pytest.mark.parametrize("proposals", [0, 17, True, 2.5])
def test_proposals_that_are_none(proposals):
    """Their number is a whole number from 1 to 16."""
    with pytest.raises(ValueError, match="from 1 to 16"):
        Method(proposals)


def test_weights_of_another_kind_are_refused():
    """A diffusion net is no autoencoder, and the message says so."""
    blank = windows(np.zeros((4, 5, 1, 64, 64)))
    with pytest.raises(ValueError, match="needs weights of kind 'vae'"):
        Method().fill(blank, tiny_weights("chl"), Noise(0, 8640), 1)
