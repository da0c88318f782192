"""What a net may be trained for: how it is made and its loss on a batch of windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xgapfill.diffusion.denoiser import Denoiser, Scene
from xgapfill.diffusion.loss import denoising_loss, sample_sigma
from xgapfill.latent.loss import bound_loss
from xgapfill.latent.net import Vae


@dataclass(frozen=True)
class Objective:
    """A kind of net and what it learns.

    Attributes
    ----------
    method : kind of model, as on the card
    network : the `network` entry of a card -> the net, untrained
    loss : (net, truth, hidden, scene, generator) -> scalar; truth (b, t, c, y, x) standardised residuals where
        `hidden` (bool: hidden and known), anything finite elsewhere; all random numbers come from the generator
    widths : feature maps of the nets that ship, finest first
    """

    method: str
    network: Callable[[Mapping[str, Any]], nn.Module]
    loss: Callable[[Any, Tensor, Tensor, Scene, torch.Generator], Tensor]
    widths: tuple[int, ...]


def _denoising(net: Denoiser, truth: Tensor, hidden: Tensor, scene: Scene, generator: torch.Generator) -> Tensor:
    sigma = sample_sigma(len(truth), generator).to(truth.device)
    noise = torch.randn(truth.shape, generator=generator).to(truth.device)
    return denoising_loss(net, truth, hidden, sigma, noise, scene)


DENOISING = Objective("diffusion", Denoiser.of, _denoising, (32, 64, 96, 128))
VARIATIONAL = Objective("vae", Vae.of, bound_loss, (16, 32, 48, 64))
