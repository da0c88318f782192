"""Net and loss of VConstruct: a variational autoencoder of single images, without time.

Ehrler & Ernst (2020), arXiv:2101.10260. Latents are those of cells of 8 x 8 pixels, so that neighbouring windows, which
share the random numbers of a cell, draw the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xgapfill.nets.standard import Batch, OnSeries, Standard, begun

HALVINGS = 3
CELL = 2**HALVINGS  # pixels along a side of a cell
LATENTS = 8  # per cell
LOG_VARIANCES = (-8.0, 4.0)
FIRST_LOG_VARIANCE = -3.0  # of the latents before the training
DEPENDENT_PIXELS = 2.0  # neighbouring pixels are correlated: this number counts as one in the likelihood


class VConstruct(Standard):
    """Encoder and decoder of images.

    Parameters
    ----------
    network : the `network` entry of a card
    """

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        widths = ([int(width) for width in network["widths"]] * (HALVINGS + 1))[: HALVINGS + 1]
        sizes = [2 * self.channels + 1, *widths]
        self.down = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes)])
        self.latent = nn.Conv2d(widths[-1], 2 * LATENTS, 3, padding=1)
        self.enter = nn.Conv2d(LATENTS, widths[-1], 3, padding=1)
        self.up = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths[::-1])])
        self.leave = nn.Conv2d(widths[0], 2 * len(self.outputs), 3, padding=1)
        begun(self, self.leave)
        with torch.no_grad():  # latents with much noise would teach the decoder to ignore them
            self.latent.weight[LATENTS:] = 0
            self.latent.bias[LATENTS:] = FIRST_LOG_VARIANCE  # type: ignore[index]

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents (b t, LATENTS, y / CELL, x / CELL), each frame alone."""
        x = batch.by_frame(batch.values, batch.precision).contiguous(memory_format=torch.channels_last)
        for level, convolve in enumerate(self.down):
            x = F.silu(convolve(F.avg_pool2d(x, 2) if level else x))
        mean, log_variance = self.latent(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (n, o, y, x) of images given latents (n, LATENTS, y / CELL, x / CELL)."""
        x = F.silu(self.enter(z))
        for convolve in self.up:
            x = F.silu(convolve(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)))
        mean, log_variance = self.leave(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)


@dataclass(frozen=True)
class BoundLoss(OnSeries):
    """Negative evidence lower bound of the known pixels of every frame; the encoder gets those that are shown."""

    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained."""
        return VConstruct(network)

    def score(self, net: VConstruct, batch: Batch, truth: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Loss per known pixel."""
        mean, log_variance = net.encode(batch)
        normal = torch.randn(mean.shape, generator=generator, dtype=torch.float32).to(mean.device)
        image, pixels = net.decode(mean + (0.5 * log_variance).exp() * normal)
        wanted = (batch.observed | hidden)[:, :, net.outputs].flatten(0, 1)
        error = (image - truth[:, :, net.outputs].flatten(0, 1)) ** 2
        misfit = 0.5 * ((pixels + error * (-pixels).exp()) * wanted).sum() / DEPENDENT_PIXELS
        some = wanted.flatten(1).any(dim=1).view(-1, 1, 1, 1)  # frames without a known pixel teach nothing
        divergence = 0.5 * ((mean**2 + log_variance.exp() - 1 - log_variance) * some).sum()
        return (misfit + divergence) * DEPENDENT_PIXELS / wanted.sum().clamp_min(1)


VCONSTRUCT = BoundLoss("vconstruct", (16, 32, 64, 64))
