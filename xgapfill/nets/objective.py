"""What a kind of net is trained on: how windows become its input, and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xgapfill.gaussian.background import first_guess
from xgapfill.gaussian.priors import Prior
from xgapfill.lattice.tiling import SIZE
from xgapfill.lattice.windows import Windows
from xgapfill.nets.ready import Bring, usual
from xgapfill.nets.scene import CLIP, Scene, scene


@dataclass(frozen=True)
class Levels:
    """Means over time of a series, on a coarse grid: they fit windows at any place.

    Attributes
    ----------
    extent : (latitude of the first row, step of latitude, longitude of the first column, step of longitude), degrees
    maps : (c, rows, columns) float32 anomalies from the mean of each channel, in its standard deviations
    """

    extent: tuple[float, float, float, float]
    maps: NDArray[np.float32]


@dataclass(frozen=True)
class Objective(ABC):
    """A kind of net: what it is built from, how windows become its input, and its loss.

    The trainer keeps the tensors of each window, flips them, and stacks them to batches.

    Attributes
    ----------
    method : str
        Kind of model, as on the card.
    widths : tuple of int
        Feature maps of the net, finest first.
    flat : frozenset of str
        Names of tensors that are no maps: they are not flipped.
    half : mapping of name -> dtype
        Tensors that are kept in half precision.
    from_background : bool
        Whether the net starts from the background of `xgapfill.background`, so that its mean may be drawn toward it.
    batch, fresh : int
        Windows per step of a fit, and number of them that are new: small where few steps are made.
    mixed : bool
        Whether the net is trained in bfloat16 on an accelerator; processors without it are many times slower then.
    levelled : bool
        Whether it gets the `Levels` of the series.
    """

    method: str
    widths: tuple[int, ...]

    flat: ClassVar[frozenset[str]]
    half: ClassVar[Mapping[str, torch.dtype]]
    from_background: ClassVar[bool] = False
    batch: ClassVar[int] = 8
    fresh: ClassVar[int] = 2
    mixed: ClassVar[bool] = True
    levelled: ClassVar[bool] = False

    @abstractmethod
    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained, from the `network` entry of a card."""

    def shape(
        self, targets: tuple[str, ...], conditions: tuple[str, ...], widths: tuple[int, ...], levels: Levels | None
    ) -> dict[str, Any]:
        """The `network` entry of a card for these channels: numbers and lists of numbers."""
        return {"frames": SIZE[0], "channels": len(targets + conditions), "widths": list(widths)}

    def start(self, net: nn.Module, levels: Levels | None) -> None:  # noqa: B027  (most have nothing to do)
        """Set what the net knows before it is trained."""

    @abstractmethod
    def prepare(
        self, net: Any, windows: Windows, values: NDArray, hidden: NDArray, priors: Mapping[str, Prior], bring: Bring
    ) -> dict[str, Tensor]:
        """Tensors (b, ...) of some windows.

        Parameters
        ----------
        net : the net
        windows : its input, without the hidden pixels
        values : (b, t, c, y, x) the same with the hidden pixels
        hidden : (b, t, c, y, x) bool, hidden and known
        priors : mean and variance of each channel, and more
        bring : moves an array to the device
        """

    @abstractmethod
    def loss(self, net: Any, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The loss, a number; random numbers come from the generator, and those of dropout from torch's own."""


@dataclass(frozen=True)
class OnBackground(Objective):
    """Nets of the standardised residuals of the background.

    Attributes
    ----------
    make : the `network` entry of a card -> the net
    score : (net, truth, hidden, scene, generator) -> scalar; truth (b, t, c, y, x) standardised residuals where
        `hidden` (bool), anything finite elsewhere
    """

    make: Callable[[Mapping[str, Any]], nn.Module]
    score: Callable[[Any, Tensor, Tensor, Scene, torch.Generator], Tensor]

    flat = frozenset({"numbers", "spectrum"})
    half: ClassVar[Mapping[str, torch.dtype]] = {"maps": torch.float16, "spectrum": torch.bfloat16}
    from_background = True

    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained."""
        return self.make(network)

    @torch.no_grad()
    def prepare(
        self, net: Any, windows: Windows, values: NDArray, hidden: NDArray, priors: Mapping[str, Prior], bring: Bring
    ) -> dict[str, Tensor]:
        """The fields of `Scene`, ``truth`` and ``hidden``; only hidden pixels are active."""
        shown, observed, active, km = (bring(a) for a in (windows.values, windows.observed, hidden, windows.step_km))
        days, channels = windows.step_days, windows.channels
        guess = first_guess(shown, observed.float(), days, km, channels, windows.targets, dict(priors))
        whole = scene(
            shown,
            observed,
            active,
            bring(windows.sea),
            guess,
            bring(windows.lat),
            bring(windows.season),
            torch.full((len(shown),), days, device=shown.device),
            km,
            *(part.to(shown.device) for part in usual(channels, priors)),
        )
        truth = torch.where(active, (bring(values) - guess.mean) / guess.error, 0.0).clamp(-CLIP, CLIP)
        return {part.name: getattr(whole, part.name) for part in fields(Scene)} | {"truth": truth, "hidden": active}

    def loss(self, net: Any, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The loss of the residuals."""
        made = Scene(**{part.name: batch[part.name] for part in fields(Scene)})
        return self.score(net, batch["truth"], batch["hidden"], made, generator)
