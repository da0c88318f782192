"""Training losses, at artificially hidden pixels whose value is known."""

from __future__ import annotations

import torch
from torch import Tensor

from xgapfill.nets.autoencoder import Vae
from xgapfill.nets.bound import importance_weighted_bound, log_normal, log_ratio, masked_log_likelihood
from xgapfill.nets.denoiser import Denoiser
from xgapfill.nets.objective import OnBackground
from xgapfill.nets.scene import SIGMA_MAX, Scene
from xgapfill.nets.texture import gaussian_departure

P_MEAN, P_STD = -0.6, 1.3  # log-normal noise levels in training
BLIND_SHARE = 0.4  # share of windows without a noisy field, for the posterior mean
FRAME_WEIGHTS = (0.5, 1.0, 1.0, 1.0, 0.5)  # outer frames have little weight in blending
LOG_VARIANCE_WEIGHT = 0.2


def sample_sigma(count: int, generator: torch.Generator) -> Tensor:
    """(count,) noise levels."""
    sigma = (P_MEAN + P_STD * torch.randn(count, generator=generator, dtype=torch.float32)).exp()
    blind = torch.rand(count, generator=generator, dtype=torch.float32) < BLIND_SHARE
    return torch.where(blind, SIGMA_MAX, sigma.clamp_max(0.99 * SIGMA_MAX))


def denoising_loss(net: Denoiser, truth: Tensor, hidden: Tensor, sigma: Tensor, noise: Tensor, scene: Scene) -> Tensor:
    """Weighted squared error at hidden pixels, and its likelihood in windows without a noisy field.

    Parameters
    ----------
    truth : (b, t, c, y, x) standardised residuals where `hidden`, else any finite number
    hidden : (b, t, c, y, x) bool, hidden and known
    sigma : (b,); noise : (b, t, c, y, x) standard normal

    References
    ----------
    Loss weights: Karras et al. (2022), arXiv:2206.00364, table 1. Hidden pixels only: Barth et al. (2024),
    doi:10.5194/os-20-1567-2024.
    """
    level = sigma.view(-1, 1, 1, 1, 1)
    mean, log_variance = net(truth + level * noise, sigma, scene)
    weight = torch.tensor(FRAME_WEIGHTS, dtype=truth.dtype, device=truth.device).view(1, -1, 1, 1, 1) * hidden
    weight = weight / weight.sum().clamp_min(1.0)
    error2 = (mean - truth) ** 2
    loss = (weight * error2 * (level**2 + 1.0) / level**2).sum()
    blind = (level >= SIGMA_MAX) * weight
    likelihood = 0.5 * (log_variance + error2.detach() * torch.exp(-log_variance))
    return loss + LOG_VARIANCE_WEIGHT * (blind * likelihood).sum()


DRAWS = 4  # of the bound
# Neighbouring pixels are correlated: this number counts as one in the likelihood (a composite likelihood with adjusted
# magnitude, Ribatet, Cooley & Davison 2012, doi:10.5705/ss.2009.248), else the latents would copy the observations.
DEPENDENT_PIXELS = 8.0
ALL_SHOWN = 0.5  # share of windows whose encoder and likelihood include the hidden pixels
TEXTURES = 1  # windows per batch with a Gaussian draw


def bound_loss(net: Vae, truth: Tensor, hidden: Tensor, scene: Scene, generator: torch.Generator) -> Tensor:
    """Negative importance-weighted bound on the known residuals, per pixel, and the size of the Gaussian draws.

    Parameters
    ----------
    truth : (b, t, c, y, x) standardised residuals where `hidden`, any finite number elsewhere
    hidden : (b, t, c, y, x) bool, hidden and known
    generator : of all random numbers
    """

    def normal(shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32).to(truth.device)

    residual = torch.where(hidden, truth, scene.residual)
    whole = (torch.rand(len(truth), generator=generator, dtype=torch.float32) < ALL_SHOWN).to(truth.device)
    shown = scene.observed | (hidden & whole.view(-1, 1, 1, 1, 1))
    prior = net.prior(scene)
    centre, log_variance = net.encode(residual, shown, scene)
    z = centre + (0.5 * log_variance).exp() * normal((DRAWS, *centre.shape))
    mean, pixel_log_variance = net.decode(z, prior, scene)
    likelihood = masked_log_likelihood(residual, shown, mean, pixel_log_variance).flatten(2).sum(-1) / DEPENDENT_PIXELS
    bound = importance_weighted_bound(likelihood + log_ratio(z, centre, log_variance).flatten(2).sum(-1))
    count = shown.flatten(1).sum(-1) / DEPENDENT_PIXELS
    few = slice(0, TEXTURES)
    part = scene.of(torch.arange(len(truth), device=truth.device) < TEXTURES)
    drawn = gaussian_departure(part, normal(part.residual.shape))
    missing = ~part.observed
    size = torch.where(missing, -log_normal(drawn, torch.zeros_like(drawn), prior.texture[few]), 0.0)
    return -(bound / count.clamp_min(1.0)).mean() + size.sum() / missing.sum().clamp_min(1)


def _denoising(net: Denoiser, truth: Tensor, hidden: Tensor, scene: Scene, generator: torch.Generator) -> Tensor:
    sigma = sample_sigma(len(truth), generator).to(truth.device)
    noise = torch.randn(truth.shape, generator=generator, dtype=torch.float32).to(truth.device)
    return denoising_loss(net, truth, hidden, sigma, noise, scene)


DENOISING = OnBackground("diffusion", (32, 64, 96, 128), Denoiser.of, _denoising)
VARIATIONAL = OnBackground("vae", (16, 32, 48, 64), Vae.of, bound_loss)
