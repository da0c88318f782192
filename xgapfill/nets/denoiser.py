"""A network as posterior mean: its inputs and its preconditioning.

The preconditioning is that of Karras et al. (2022), arXiv:2206.00364, with one change: their share of the noisy field
(c_skip x, the posterior mean of white data) is replaced by the posterior mean of the background's Gaussian field. The
network learns the remainder; an untrained network draws exact samples of that field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xgapfill.nets.scene import SIGMA_MAX, SIGMA_MIN, Scene, gaussian_mean
from xgapfill.nets.unet import UNet

MAPS_PER_CHANNEL = 6
NUMBERS = 8


class Denoiser(nn.Module):
    """Posterior mean and log variance of a window's standardised residuals at a noise level.

    Parameters
    ----------
    frames, channels : size of the window's first axes
    widths : feature maps of the U-Net, finest first
    """

    def __init__(self, frames: int, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.frames, self.channels = frames, channels
        fields = frames * channels
        self.net = UNet(fields * MAPS_PER_CHANNEL + 1, 2 * fields, NUMBERS, widths)

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> Denoiser:
        """From the `network` entry of a card."""
        return cls(int(network["frames"]), int(network["channels"]), tuple(int(w) for w in network["widths"]))

    def forward(self, x: Tensor, sigma: Tensor, scene: Scene) -> tuple[Tensor, Tensor]:
        """Denoise (b, t, c, y, x) noisy residuals at the levels `sigma` (b,); observations stay unchanged.

        Returns
        -------
        mean, log_variance : (b, t, c, y, x) mean, and log variance of its error
        """
        sigma = sigma.clamp(SIGMA_MIN, SIGMA_MAX).view(-1, 1, 1, 1, 1)
        blind = sigma >= SIGMA_MAX
        base = torch.zeros_like(x)
        told = ~blind.flatten()
        if told.all():
            base = gaussian_mean(x, sigma, scene)
        elif told.any():
            base[told] = gaussian_mean(x[told], sigma.flatten()[told], scene.of(told))
        level = (sigma / SIGMA_MIN).log() / math.log(SIGMA_MAX / SIGMA_MIN)
        x = torch.where(blind | ~scene.active, 0.0, x)
        c_skip = 1.0 / (sigma**2 + 1.0)
        c_out = sigma * c_skip.sqrt()
        shown = torch.where(scene.observed, scene.residual, c_skip.sqrt() * x)
        levels = torch.where(scene.observed, 0.0, torch.where(scene.active, level, 1.0))
        maps = torch.cat([torch.stack([shown, levels, base], dim=3), scene.maps], dim=3).flatten(1, 3)
        numbers = torch.cat([level.view(-1, 1), scene.numbers], dim=1)
        maps = torch.cat([maps, scene.sea], dim=1).contiguous(memory_format=torch.channels_last)
        out = self.net(maps, numbers).float().unflatten(1, (self.frames, 2, self.channels))
        mean = base + c_out * out[:, :, 0]
        return torch.where(scene.observed, scene.residual, mean), out[:, :, 1].clamp(-6.0, 4.0)
