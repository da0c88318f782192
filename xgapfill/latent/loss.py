"""What the variational autoencoder is trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from xgapfill.diffusion.denoiser import Scene
from xgapfill.latent.bound import importance_weighted_bound, log_normal, log_ratio, masked_log_likelihood
from xgapfill.latent.net import Vae
from xgapfill.latent.texture import gaussian_departure

DRAWS = 4  # of the bound
# Neighbouring pixels tell the same: so many count as one in the likelihood (a composite likelihood with its magnitude
# adjusted, Ribatet, Cooley & Davison 2012, doi:10.5705/ss.2009.248), else the latents would copy what they are shown.
DEPENDENT_PIXELS = 8.0
ALL_SHOWN = 0.5  # share of the windows whose encoder is shown, and that are scored on, the hidden pixels as well
TEXTURES = 1  # windows of a batch whose Gaussian draw is learned from


def bound_loss(net: Vae, truth: Tensor, hidden: Tensor, scene: Scene, generator: torch.Generator) -> Tensor:
    """Negative importance-weighted bound on the known residuals, by pixel, and the size of the Gaussian draws.

    Parameters
    ----------
    truth : (b, t, c, y, x) standardised residuals where `hidden`, anything finite elsewhere
    hidden : (b, t, c, y, x) bool, hidden and known
    generator : of all random numbers
    """

    def normal(shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator).to(truth.device)

    residual = torch.where(hidden, truth, scene.residual)
    whole = (torch.rand(len(truth), generator=generator) < ALL_SHOWN).to(truth.device)
    shown = scene.seen | (hidden & whole.view(-1, 1, 1, 1, 1))
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
    unseen = ~part.seen
    size = torch.where(unseen, -log_normal(drawn, torch.zeros_like(drawn), prior.texture[few]), 0.0)
    return -(bound / count.clamp_min(1.0)).mean() + size.sum() / unseen.sum().clamp_min(1)
