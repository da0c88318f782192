"""Kinds of networks: what they are trained on, and the methods that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method, NetMethod
from xgapfill.methods.posterior_mean import PosteriorMean
from xgapfill.methods.repaint import Repaint
from xgapfill.methods.vae import Vae
from xgapfill.nets.objective import Objective
from xgapfill.weights import Weights

# estimate(windows, weights, noise) -> Filled of one member
Estimate = Callable[[Windows, Weights, Noise], Filled]


@dataclass(frozen=True)
class Model:
    """A kind of network: its objective, the function that gives its mean, and the method that draws members about it.

    `members` is None for a method that draws none: they are made of its estimate and its spread.
    """

    objective: Objective
    estimate: Estimate
    members: Method | None

    @classmethod
    def of(cls, method: NetMethod) -> Model:
        """The kind of a method that is alone in using its net."""
        return cls(method.objective(), method.estimate, method if method.draws else None)


def _posterior_mean(windows: Windows, weights: Weights, noise: Noise) -> Filled:
    """Mean about which the members of a diffusion network are drawn."""
    return PosteriorMean().fill(windows, weights, noise, 1)


# By the method on the card of weights: kinds with shipped weights. Others follow from their method, by `Model.of`.
MODELS: Mapping[str, Model] = {
    "diffusion": Model(Repaint().objective(), _posterior_mean, Repaint()),
    "vae": Model.of(Vae()),
}
