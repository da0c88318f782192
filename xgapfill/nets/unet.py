"""A small U-Net over the pixels of a window; frames and channels are stacked as feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Residual block: two convolutions, the second one's input scaled and shifted by the embedding."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_groups(inputs), inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(_groups(outputs), outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(b, inputs, y, x) and (b, embedding) to (b, outputs, y, x)."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class UNet(nn.Module):
    """Feature maps and a vector of global numbers to feature maps of the same size.

    Parameters
    ----------
    inputs, outputs : feature maps in and out
    numbers : length of the global vector (noise level, season, latitude ...)
    widths : feature maps at each resolution, finest first
    blocks : residual blocks at each resolution on the way down (one on the way up)
    """

    def __init__(self, inputs: int, outputs: int, numbers: int, widths: Sequence[int], blocks: int = 2) -> None:
        super().__init__()
        embedding = 4 * widths[0]
        self.embed = nn.Sequential(nn.Linear(numbers, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())
        self.enter = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        below = widths[0]
        for width in widths:
            self.down.append(
                nn.ModuleList([Block(below if k == 0 else width, width, embedding) for k in range(blocks)])
            )
            below = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(Block(below + width, width, embedding))
            below = width
        last = nn.Conv2d(below, outputs, 3, padding=1)
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.leave = nn.Sequential(nn.GroupNorm(_groups(below), below), nn.SiLU(), last)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """(b, inputs, y, x) and (b, numbers) to (b, outputs, y, x); y and x multiples of 2^(resolutions - 1)."""
        embedding = self.embed(numbers)
        x = self.enter(maps)
        kept = []
        for level, blocks in enumerate(self.down):
            if level:
                kept.append(x)
                x = F.avg_pool2d(x, 2)
            for block in cast(nn.ModuleList, blocks):
                x = block(x, embedding)
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, kept.pop()], dim=1), embedding)
        return self.leave(x)


def _groups(channels: int) -> int:
    """Largest number of equal groups of at least 8 channels, at most 8."""
    return next(g for g in (8, 4, 2, 1) if (channels % g == 0 and channels // g >= 8) or g == 1)
