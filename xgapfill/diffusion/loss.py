"""What a net is trained on: artificially hidden pixels whose value is known."""

from __future__ import annotations

import torch
from torch import Tensor

from xgapfill.diffusion.denoiser import SIGMA_MAX, Denoiser, Scene

P_MEAN, P_STD = -0.6, 1.3  # log-normal noise levels in training
BLIND_SHARE = 0.4  # of the windows shown without any noisy field: the one-pass estimate
FRAME_WEIGHTS = (0.5, 1.0, 1.0, 1.0, 0.5)  # the blend gives the outer frames little weight
LOG_VARIANCE_WEIGHT = 0.2


def sample_sigma(count: int, generator: torch.Generator) -> Tensor:
    """(count,) noise levels."""
    sigma = (P_MEAN + P_STD * torch.randn(count, generator=generator)).exp()
    blind = torch.rand(count, generator=generator) < BLIND_SHARE
    return torch.where(blind, SIGMA_MAX, sigma.clamp_max(0.99 * SIGMA_MAX))


def denoising_loss(net: Denoiser, truth: Tensor, hidden: Tensor, sigma: Tensor, noise: Tensor, scene: Scene) -> Tensor:
    """Weighted squared error at hidden pixels, and the likelihood of its size where the net was shown no field.

    Parameters
    ----------
    truth : (b, t, c, y, x) standardised residuals where `hidden`, else anything finite
    hidden : (b, t, c, y, x) bool, hidden and known
    sigma : (b,); noise : (b, t, c, y, x) standard normal

    References
    ----------
    Loss weights: Karras et al. (2022), arXiv:2206.00364, table 1. Hidden pixels only: Barth et al. (2024),
    doi:10.5194/os-20-1567-2024.
    """
    level = sigma.view(-1, 1, 1, 1, 1)
    mean, log_variance = net(truth + level * noise, sigma, scene)
    weight = torch.tensor(FRAME_WEIGHTS, device=truth.device).view(1, -1, 1, 1, 1) * hidden
    weight = weight / weight.sum().clamp_min(1.0)
    error2 = (mean - truth) ** 2
    loss = (weight * error2 * (level**2 + 1.0) / level**2).sum()
    blind = (level >= SIGMA_MAX) * weight
    likelihood = 0.5 * (log_variance + error2.detach() * torch.exp(-log_variance))
    return loss + LOG_VARIANCE_WEIGHT * (blind * likelihood).sum()
