"""Variational autoencoder of the residuals of the background: latents per cell of the lattice and frame.

Given the latents, the standardised residual of a pixel is normal. A U-Net gives its prior mean and variance from the
window's background, gaps and season; the latents change the mean, in units of the standard deviation, and the logarithm
of the variance. The encoder infers them from the observed residuals and their mask. The decoder works at a quarter of
the resolution, so that many draws cost little more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xgapfill.nets.denoiser import NUMBERS
from xgapfill.nets.scene import Scene
from xgapfill.nets.unet import Block, UNet

CELL = 8  # pixels along a side of a cell that has its own latents
LATENTS = 4  # per cell and frame
MAPS = 4  # error, background, density of observations, observed mask: by frame and channel
LOG_VARIANCES = (-6.0, 4.0)
LATENT_LOG_VARIANCES = (-8.0, 2.0)


class Prior(NamedTuple):
    """Prior of a window without its residuals, (b, t, c, y, x) each: mean and log variance of the residuals, and log
    variance of the Gaussian field's draws (see `nets.texture`).
    """

    mean: Tensor
    log_variance: Tensor
    texture: Tensor


class Vae(nn.Module):
    """Encoder, prior of the residuals and decoder.

    Parameters
    ----------
    frames, channels : size of the window's first axes
    widths : feature maps of the U-Net, finest first; those of encoder and decoder follow from them
    """

    def __init__(self, frames: int, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.frames, self.channels = frames, channels
        fields, latents, numbers = frames * channels, frames * LATENTS, NUMBERS - 1
        self.context = UNet(MAPS * fields + 1, 3 * fields, numbers, widths, blocks=1)
        self.encoder = _Encoder((MAPS + 3) * fields + 1, 2 * latents, numbers, widths)
        self.decoder = _Decoder(latents + MAPS * fields + 1, 2 * fields, numbers, widths[-1])

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> Vae:
        """From the `network` entry of a card."""
        return cls(int(network["frames"]), int(network["channels"]), tuple(int(w) for w in network["widths"]))

    def prior(self, scene: Scene) -> Prior:
        """Prior of a window, without its residuals."""
        maps = _maps(scene).contiguous(memory_format=torch.channels_last)
        out = self.context(maps, scene.numbers).float().unflatten(1, (self.frames, 3, self.channels))
        mean, log_variance, texture = out.unbind(2)
        return Prior(mean, log_variance.clamp(*LOG_VARIANCES), texture.clamp(*LOG_VARIANCES))

    def encode(self, residual: Tensor, shown: Tensor, scene: Scene) -> tuple[Tensor, Tensor]:
        """Mean and log variance (b, t, LATENTS, y / CELL, x / CELL) of the latents given the residuals.

        Parameters
        ----------
        residual : (b, t, c, y, x) any finite number where not shown
        shown : (b, t, c, y, x) bool, residuals that the encoder gets
        """
        told = torch.where(shown, residual, 0.0)
        told = torch.stack([told, told.abs(), shown.float()], dim=3)
        maps = torch.cat([told.flatten(1, 3), _maps(scene)], dim=1).contiguous(memory_format=torch.channels_last)
        out = self.encoder(maps, scene.numbers).float().unflatten(1, (self.frames, 2, LATENTS))
        return out[:, :, 0], out[:, :, 1].clamp(*LATENT_LOG_VARIANCES)

    def decode(self, z: Tensor, prior: Prior, scene: Scene) -> tuple[Tensor, Tensor]:
        """Mean and log variance (k, b, t, c, y, x) of the residuals given latents (k, b, t, LATENTS, y / CELL, ...)."""
        coarse = F.avg_pool2d(_maps(scene), CELL)
        draws = len(z)
        inputs = torch.cat([z.flatten(2, 3), coarse.expand(draws, *coarse.shape)], dim=2)
        numbers = scene.numbers.expand(draws, *scene.numbers.shape)
        out = self.decoder(inputs.flatten(0, 1), numbers.flatten(0, 1)).float()
        out = F.interpolate(out, size=prior.mean.shape[-2:], mode="bilinear", align_corners=False)
        out = out.unflatten(0, (draws, -1)).unflatten(2, (self.frames, 2, self.channels))
        mean = prior.mean + (0.5 * prior.log_variance).exp() * out[:, :, :, 0]
        return mean, (prior.log_variance + out[:, :, :, 1]).clamp(*LOG_VARIANCES)


class _Encoder(nn.Module):
    """Maps to a grid of cells."""

    def __init__(self, inputs: int, outputs: int, numbers: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        width = (*widths, *widths[-1:] * 3)[:4]
        embedding = 2 * width[0]
        self.embed = nn.Sequential(nn.Linear(numbers, embedding), nn.SiLU())
        self.enter = nn.Conv2d(inputs, width[0], 3, padding=1)
        self.blocks = nn.ModuleList([Block(a, b, embedding) for a, b in pairwise(width)])
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(width[-1], outputs, 3, padding=1))

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        embedding, x = self.embed(numbers), self.enter(maps)
        for block in self.blocks:
            x = block(F.avg_pool2d(F.silu(x), 2), embedding)
        out: Tensor = self.leave(x)
        return out


class _Decoder(nn.Module):
    """A grid of cells to maps of twice its resolution."""

    def __init__(self, inputs: int, outputs: int, numbers: int, width: int) -> None:
        super().__init__()
        embedding = width
        self.embed = nn.Sequential(nn.Linear(numbers, embedding), nn.SiLU())
        self.enter = nn.Conv2d(inputs, width, 3, padding=1)
        self.coarse, self.fine = Block(width, width, embedding), Block(width, width // 2, embedding)
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(width // 2, outputs, 3, padding=1))

    def forward(self, cells: Tensor, numbers: Tensor) -> Tensor:
        embedding = self.embed(numbers)
        x = self.coarse(self.enter(cells), embedding)
        out: Tensor = self.leave(self.fine(F.interpolate(x, scale_factor=2.0, mode="nearest"), embedding))
        return out


def _maps(scene: Scene) -> Tensor:
    """Input of all parts: (b, MAPS t c + 1, y, x)."""
    maps = torch.cat([scene.maps, scene.observed[:, :, :, None].float()], dim=3)
    return torch.cat([maps.flatten(1, 3), scene.sea], dim=1)
