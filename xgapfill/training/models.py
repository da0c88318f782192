"""Kinds of networks: their losses and the methods that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.posterior_mean import PosteriorMean
from xgapfill.methods.repaint import Repaint
from xgapfill.methods.vae import Vae
from xgapfill.nets.losses import DENOISING, VARIATIONAL, Objective
from xgapfill.weights import Weights

# estimate(windows, weights, noise) -> Filled of one member
Estimate = Callable[[Windows, Weights, Noise], Filled]


@dataclass(frozen=True)
class Model:
    """A kind of network: its loss, the function that gives its mean, and the method that draws members about it."""

    objective: Objective
    estimate: Estimate
    members: Method


def _posterior_mean(windows: Windows, weights: Weights, noise: Noise) -> Filled:
    """Mean about which the members of a diffusion network are drawn."""
    return PosteriorMean().fill(windows, weights, noise, 1)


# By the method on the card of weights.
MODELS: Mapping[str, Model] = {
    "diffusion": Model(DENOISING, _posterior_mean, Repaint()),
    "vae": Model(VARIATIONAL, Vae().estimate, Vae()),
}
