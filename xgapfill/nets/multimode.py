"""Net and loss of the multi-mode CNN: modes with a convolutional net each, and a gate that shares pixels among them.

Roussillon et al. (2023), doi:10.3389/fmars.2023.1077623.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from xgapfill.nets.objective import Levels
from xgapfill.nets.standard import Batch, OnSeries, Standard, mean_over

WIDTHS = (16, 32, 64, 128)
DROPOUT = 0.35  # after each hidden layer of a mode


class MultiMode(Standard):
    """Modes and their gate; inputs are the predictors and the sea mask of one frame, never the target.

    Parameters
    ----------
    network : the `network` entry of a card; `modes` is the number of modes, 1 for a single net without a gate
    """

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__(network)
        widths = [int(width) for width in network["widths"]]
        self.first, modes = self.channels - int(network["targets"]) + 1, int(network["modes"])
        first = self.first
        self.modes = nn.ModuleList([_mode([first, *widths], len(self.outputs)) for _ in range(modes)])
        self.gate = _gate([first, *widths[:2], modes]) if modes > 1 else None

    def inputs(self, batch: Batch) -> Tensor:
        """Predictors and sea, (b t, inputs, y, x)."""
        return batch.by_frame(batch.values[:, :, self.channels - self.first + 1 :])

    def shares(self, x: Tensor) -> Tensor:
        """Share of each mode at each pixel, (n, modes, y, x); they sum to 1."""
        if self.gate is None:
            return x.new_ones((len(x), 1, *x.shape[2:]))
        return self.gate(x).float().softmax(dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """Response (b, t, o, y, x)."""
        x = self.inputs(batch)
        shares = self.shares(x)
        total = torch.zeros((), device=x.device)
        for k, mode in enumerate(self.modes):
            total = total + shares[:, k, None] * mode(x).float()
        return total.unflatten(0, batch.values.shape[:2])


def _mode(widths: list[int], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, 3, padding=1))


def _gate(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class ResponseLoss(OnSeries):
    """Mean square error of one frame of a window at observed pixels, shown or hidden: the net sees none of them.

    Attributes
    ----------
    modes : int
        Number of modes.
    """

    modes: int = 8

    def shape(
        self, targets: tuple[str, ...], conditions: tuple[str, ...], widths: tuple[int, ...], levels: Levels | None
    ) -> dict[str, Any]:
        """The `network` entry of a card."""
        more = {"modes": self.modes, "targets": len(targets), "outputs": list(range(len(targets)))}
        return super().shape(targets, conditions, widths, levels) | more

    def start(self, net: nn.Module, levels: Levels | None) -> None:
        """The paper takes no mean over time from the target."""

    def network(self, network: Mapping[str, Any]) -> nn.Module:
        """The net, untrained."""
        return MultiMode(network).eval()

    def score(self, net: MultiMode, batch: Batch, truth: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Frames without any predictor teach nothing."""
        frame = int(torch.randint(batch.values.shape[1], (1,), generator=generator))
        one = Batch(
            batch.values[:, frame : frame + 1],
            batch.precision[:, frame : frame + 1],
            batch.sea,
            batch.place,
            batch.season[:, frame : frame + 1],
        )
        observed = batch.observed[:, frame : frame + 1]
        told = observed[:, :, len(net.outputs) :].flatten(1).any(dim=1).view(-1, 1, 1, 1, 1)
        wanted = (observed | hidden[:, frame : frame + 1])[:, :, net.outputs] & (told | (net.first == 1))
        net.train()
        error = (net(one) - truth[:, frame : frame + 1, net.outputs]) ** 2
        net.eval()
        return mean_over(error, wanted)


MULTIMODE = ResponseLoss("multimode", WIDTHS)
