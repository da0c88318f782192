"""Net and loss of SmaAt-UNet completion: a small attention U-Net from drivers and masked maps of one date.

Trebing, Stanczyk & Mehrkanoon (2021), doi:10.1016/j.patrec.2021.01.036; attention: Woo et al. (2018), arXiv:1807.06521.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xgapfill.nets.standard import Batch, OnSeries, Standard, mean_over

KERNELS = 2  # per input map of a depthwise convolution
REDUCTION = 16  # of the channels in the attention
SPATIAL = 7  # pixels along a side of the attention in space


class Norm(nn.BatchNorm2d):
    """Batch normalisation that does not count batches, so that all of its state is arrays of numbers."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *given: Any) -> None:
        """Load without a count."""
        nn.Module._load_from_state_dict(self, *given)


class Separable(nn.Module):
    """Two depthwise-separable convolutions 3 x 3, each with normalisation and SiLU; the padding repeats the edge."""

    def __init__(self, inputs: int, outputs: int, middle: int | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for number, (a, b) in enumerate(pairwise([inputs, middle or outputs, outputs])):
            deep = nn.Conv2d(a, KERNELS * a, 3, padding=1, groups=a, padding_mode="replicate")
            parts = {"deep": deep, "wide": nn.Conv2d(KERNELS * a, b, 1), "norm": Norm(b), "silu": nn.SiLU()}
            for name, part in parts.items():
                self.layers.add_module(f"{name}{number}", part)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        out: Tensor = self.layers(x)
        return out


class Attention(nn.Module):
    """CBAM: weights of channels from their means and maxima, then weights of pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        small = max(1, channels // REDUCTION)
        self.channel = nn.Sequential(nn.Linear(channels, small), nn.ReLU(), nn.Linear(small, channels))
        self.pixel = nn.Conv2d(2, 1, SPATIAL, padding=SPATIAL // 2, bias=False)
        self.norm = Norm(1)

    def forward(self, x: Tensor) -> Tensor:
        """The maps, weighted."""
        weight = self.channel(x.mean(dim=(2, 3))) + self.channel(x.amax(dim=(2, 3)))
        x = x * weight.sigmoid()[:, :, None, None]
        both = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
        return x * self.norm(self.pixel(both)).sigmoid()


class Smaat(Standard):
    """Encoder and decoder with attention at each level of the encoder, bilinear on the way up.

    Inputs are all channels of one date, where those to be filled are observed, and the sea.

    Parameters
    ----------
    network : the `network` entry of a card
    """

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        widths = [int(width) for width in network["widths"]]
        deep = [*widths[:-1], widths[-1] // 2]  # the upsampled maps of the deepest level join those above
        self.down = nn.ModuleList(
            [Separable(a, b) for a, b in pairwise([self.channels + len(self.outputs) + 1, *deep])]
        )
        self.look_at = nn.ModuleList([Attention(width) for width in deep])
        up, below = [], deep[-1]
        for number, width in enumerate(reversed(widths[:-1])):
            out = width if number == len(widths) - 2 else width // 2
            up.append(Separable(below + width, out, (below + width) // 2))
            below = out
        self.up = nn.ModuleList(up)
        self.leave = nn.Conv2d(widths[0], len(self.outputs), 1)

    def forward(self, batch: Batch) -> Tensor:
        """Anomalies of the filled channels, each frame alone, (b, t, o, y, x)."""
        told = batch.by_frame(batch.values, batch.precision[:, :, self.outputs])
        x, kept = told.contiguous(memory_format=torch.channels_last), []
        for level, (convolve, attend) in enumerate(zip(self.down, self.look_at, strict=True)):
            x = convolve(F.max_pool2d(x, 2) if level else x)
            kept.append(attend(x))
        x = kept.pop()
        for convolve in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = convolve(torch.cat([kept.pop(), x], dim=1))
        return self.leave(x).float().unflatten(0, batch.values.shape[:2])


@dataclass(frozen=True)
class HiddenLoss(OnSeries):
    """Mean square error at pixels that are hidden from the net.

    Attributes
    ----------
    shown : bool
        Whether the pixels that the net is shown count as well, as in the lab's system.
    """

    shown: bool = False

    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained."""
        return Smaat(network).eval()

    def score(self, net: Smaat, batch: Batch, truth: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """All frames of the windows."""
        wanted = ((batch.observed | hidden) if self.shown else hidden)[:, :, net.outputs]
        net.train()
        error = (net(batch) - truth[:, :, net.outputs]) ** 2
        net.eval()
        return mean_over(error, wanted)


SMAAT = HiddenLoss("smaat", (16, 32, 64, 128))
