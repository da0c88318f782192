"""Net and loss of DINCAE: a convolutional autoencoder with inverse-variance input and an error estimate.

Barth et al. (2020), doi:10.5194/gmd-13-1609-2020, and (2022), doi:10.5194/gmd-15-2183-2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xgapfill.nets.standard import NOISE, Batch, OnSeries, Standard, begun, mean_over

FRAMES = 3  # the frame that is filled, the one before and the one after
GAMMA = 10.0  # largest logarithm of the inverse error variance
LEAST_PRECISION = 1e-3
JITTER = 0.05  # standard deviation of the noise added to the input in training
ROUGH_SHARE, ROUGH = 0.2, 1.0  # share of windows with larger errors, and their largest standard deviation


class Dincae(Standard):
    """Encoder and decoder with skips: average pooling on the way down, the nearest value on the way up.

    Parameters
    ----------
    network : the `network` entry of a card
    """

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        widths = [int(width) for width in network["widths"]]
        inputs = 4 + 2 * FRAMES * self.channels
        self.down = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise([inputs, *widths])])
        self.up = nn.ModuleList([nn.Conv2d(a + b, b, 3, padding=1) for a, b in pairwise(widths[::-1])])
        self.leave = nn.Conv2d(widths[0], 2 * len(self.outputs), 3, padding=1)
        begun(self, self.leave)

    def forward(self, values: Tensor, precision: Tensor, place: Tensor, season: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and error variance (n, o, y, x) of the middle one of three frames.

        Parameters
        ----------
        values, precision : (n, 3, c, y, x) anomalies, and their inverse error variance
        place : (n, 2, y, x); season : (n, 2) of the middle frame
        """
        wide = season[:, :, None, None].expand(-1, -1, *place.shape[2:])
        x = torch.cat([(values * precision).flatten(1, 2), precision.flatten(1, 2), place, wide], dim=1)
        x, kept = x.contiguous(memory_format=torch.channels_last), []
        for level, convolve in enumerate(self.down):
            if level:
                kept.append(x)
                x = F.avg_pool2d(x, 2)
            x = F.relu(convolve(x))
        for convolve in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.relu(convolve(torch.cat([x, kept.pop()], dim=1)))
        scaled, log_precision = self.leave(x).float().chunk(2, dim=1)
        variance = 1 / log_precision.clamp_max(GAMMA).exp().clamp_min(LEAST_PRECISION)
        return scaled * variance, variance

    def middle(self, batch: Batch, around: Tensor, around_precision: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and error variance (b, t - 2, o, y, x) of all frames of windows but the first and the last.

        Parameters
        ----------
        batch : values of the frame that is filled
        around, around_precision : (b, t, c, y, x) values of the frames before and after, and their precision
        """
        count = around.shape[1] - 2

        def three(middle: Tensor, others: Tensor) -> Tensor:
            return torch.stack([others[:, :-2], middle[:, 1:-1], others[:, 2:]], dim=2).flatten(0, 1)

        place = batch.place[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
        mean, variance = self(
            three(batch.values, around),
            three(batch.precision, around_precision),
            place,
            batch.season[:, 1:-1].flatten(0, 1),
        )
        return mean.unflatten(0, (-1, count)), variance.unflatten(0, (-1, count))


@dataclass(frozen=True)
class LikelihoodLoss(OnSeries):
    """Negative Gaussian log-likelihood of the middle frames, at shown and hidden pixels."""

    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained."""
        return Dincae(network)

    def score(self, net: Dincae, batch: Batch, truth: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Only the frame that is filled has hidden pixels; those before and after keep all observations."""

        def random(shape: torch.Size | tuple[int, ...], normal: bool = True) -> Tensor:
            draw = torch.randn if normal else torch.rand
            return draw(shape, generator=generator, dtype=torch.float32).to(truth.device)

        one = (len(truth), 1, 1, 1, 1)
        rough = ROUGH * random(one, False) * (random(one, False) < ROUGH_SHARE)
        noisy = truth + (JITTER**2 + rough**2).sqrt() * random(truth.shape)
        known, exact = batch.observed | hidden, NOISE / (NOISE + rough**2)
        shown = Batch(noisy * batch.observed, exact * batch.observed, batch.sea, batch.place, batch.season)
        mean, variance = net.middle(shown, noisy * known, exact * known)
        wanted = known[:, 1:-1, net.outputs]
        loss = variance.log() + (mean - truth[:, 1:-1, net.outputs]) ** 2 / variance
        return mean_over(loss, wanted)


# Feature maps of the encoder: Barth et al. (2020).
DINCAE = LikelihoodLoss("dincae", (16, 30, 58, 110, 209))
