"""Input of the nets of published systems: values standardised by the statistics of the series, place and season.

A net of this kind is fitted to one series and knows its statistics: mean and variance of each channel are on the card
of its weights, the coarse mean over time of the filled channels (`Levels`) is an array among its parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xgapfill.gaussian.priors import Prior
from xgapfill.lattice.windows import Windows
from xgapfill.nets.objective import Levels, Objective
from xgapfill.nets.ready import Bring, usual
from xgapfill.variables import known

NOISE = 0.1  # error variance of every observation, of the variance of its channel: a precision of 1
OUTSIDE = 1.5  # place beyond the series, in halves of its extent
LARGEST = 10.0  # standardised values beyond are errors of the observations


@dataclass(frozen=True)
class Batch:
    """Input of a net for some windows; anomalies are standardised.

    Attributes
    ----------
    values : (b, t, c, y, x) anomalies where observed, else 0
    precision : (b, t, c, y, x) inverse error variance times `NOISE`: 1 for an exact observation, 0 where missing
    sea : (b, 1, y, x)
    place : (b, 2, y, x) latitude and longitude, -1 to 1 over the series
    season : (b, t, 2) cos and sin of the time of the year
    """

    values: Tensor
    precision: Tensor
    sea: Tensor
    place: Tensor
    season: Tensor

    @property
    def observed(self) -> Tensor:
        """Where values are observed, (b, t, c, y, x) bool."""
        return self.precision > 0

    def by_frame(self, *maps: Tensor) -> Tensor:
        """Maps (b, t, k, y, x) of each frame, then the sea, (b t, maps, y, x)."""
        sea = self.sea[:, None].expand(-1, self.values.shape[1], -1, -1, -1)
        return torch.cat([*maps, sea], dim=2).flatten(0, 1)


def mean_over(misfit: Tensor, wanted: Tensor) -> Tensor:
    """Mean of a misfit where it is wanted, 0 where it is wanted nowhere."""
    return (misfit * wanted).sum() / wanted.sum().clamp_min(1)


def outputs_of(targets: tuple[str, ...], conditions: tuple[str, ...]) -> tuple[int, ...]:
    """Channels that are filled: the targets, and the whole of which they are shares if it is a predictor."""
    wholes = {v.whole.channels for v in known() if v.whole is not None and v.channels == targets}
    more = [k for k, name in enumerate(conditions, len(targets)) if (name,) in wholes]
    return (*range(len(targets)), *more)


class Standard(nn.Module):
    """A net that gets a `Batch`; `level` is the coarse mean over time of the channels that it fills, its `outputs`."""

    level: Tensor

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        self.channels = int(network["channels"])
        self.outputs = [int(c) for c in network["outputs"]]
        self.extent = [float(number) for number in network["extent"]]
        self.register_buffer("level", torch.zeros(len(self.outputs), *(int(n) for n in network["level"])))

    def look(self, windows: Windows, priors: Mapping[str, Prior], bring: Bring) -> Batch:
        """Input for some windows."""
        observed, variance = bring(windows.observed), usual(windows.channels, priors)[1] ** 2
        values = self.standardised(windows.values, windows, priors, bring)
        precision = observed.float()
        if windows.variance is not None:
            own = bring(windows.variance) / variance.to(observed.device).view(-1, 1, 1)
            precision = precision * NOISE / (NOISE + own)
        return Batch(
            torch.where(precision > 0, values, 0.0),
            precision,
            bring(windows.sea)[:, None].float(),
            self.place(bring(windows.lat), bring(windows.lon)),
            bring(windows.season),
        )

    def standardised(
        self, values: NDArray[np.float32], windows: Windows, priors: Mapping[str, Prior], bring: Bring
    ) -> Tensor:
        """Anomalies of (b, t, c, y, x) values from their mean, and from the level where they are filled."""
        centre, scale = (part.view(-1, 1, 1) for part in usual(windows.channels, priors))
        anomalies = (bring(values) - bring(centre.numpy())) / bring(scale.numpy())
        anomalies[:, :, self.outputs] -= self.around(bring(windows.lat), bring(windows.lon))[:, None]
        return anomalies.clamp(-LARGEST, LARGEST)

    def place(self, lat: Tensor, lon: Tensor) -> Tensor:
        """Latitude and longitude (b, 2, y, x) of windows, -1 to 1 over the series."""
        y, x = (self._nodes(lat, lon)[k] / max((self.level.shape[k + 1] - 1) / 2, 1e-6) - 1 for k in (0, 1))
        size = len(lat), lat.shape[1], lon.shape[1]
        both = torch.stack([y[:, :, None].expand(size), x[:, None].expand(size)], dim=1)
        return both.clamp(-OUTSIDE, OUTSIDE)

    def around(self, lat: Tensor, lon: Tensor) -> Tensor:
        """Level (b, outputs, y, x) of windows, linear between the nodes, and that of the nearest node outside."""
        y, x = (
            nodes.clamp(0, n - 1) * (2 / max(n - 1, 1)) - 1
            for nodes, n in zip(self._nodes(lat, lon), self.level.shape[1:], strict=True)
        )
        size = len(lat), lat.shape[1], lon.shape[1]
        at = torch.stack([x[:, None].expand(size), y[:, :, None].expand(size)], dim=-1)
        return F.grid_sample(self.level.expand(len(lat), *self.level.shape), at, align_corners=True)

    def _nodes(self, lat: Tensor, lon: Tensor) -> tuple[Tensor, Tensor]:
        """Places among the nodes of the level: of rows (b, y) and of columns (b, x)."""
        south, north_step, west, east_step = self.extent
        half = (self.level.shape[2] - 1) / 2 * east_step
        middle = west + half
        east = (lon - middle + 180) % 360 - 180 + half
        return (lat - south) / north_step, east / east_step


def begun(net: nn.Module, last: nn.Conv2d) -> None:
    """Set parameters so that signals keep their size through the net (He et al. 2015, arXiv:1502.01852).

    The last convolution begins with zeros: the net says the level of the series before it has learned anything.
    """
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]
    nn.init.zeros_(last.weight)


@dataclass(frozen=True)
class OnSeries(Objective):
    """Nets that get a `Batch` of their own series: a subclass says which net and what its loss is."""

    flat = frozenset({"season"})
    half: ClassVar[Mapping[str, torch.dtype]] = {"values": torch.float16}
    batch, fresh = 2, 1
    mixed = False
    levelled = True

    def shape(
        self, targets: tuple[str, ...], conditions: tuple[str, ...], widths: tuple[int, ...], levels: Levels | None
    ) -> dict[str, Any]:
        """The `network` entry of a card: also the filled channels, and the grid of the level."""
        nodes = [2, 2] if levels is None else list(levels.maps.shape[1:])
        extent = [-90.0, 180.0, 0.0, 360.0] if levels is None else list(levels.extent)
        more = {"outputs": list(outputs_of(targets, conditions)), "level": nodes, "extent": extent}
        return super().shape(targets, conditions, widths, levels) | more

    def start(self, net: nn.Module, levels: Levels | None) -> None:
        """Tell the net the mean over time of its series."""
        if levels is not None and isinstance(net, Standard):
            net.level.copy_(torch.from_numpy(levels.maps[net.outputs]))

    @torch.no_grad()
    def prepare(
        self, net: Any, windows: Windows, values: NDArray, hidden: NDArray, priors: Mapping[str, Prior], bring: Bring
    ) -> dict[str, Tensor]:
        """The fields of `Batch`, with the hidden values too, and where they are ``hidden``."""
        batch, unknown = net.look(windows, priors, bring), bring(hidden)
        every = torch.where(batch.observed | unknown, net.standardised(values, windows, priors, bring), 0.0)
        parts = {part.name: getattr(batch, part.name) for part in fields(Batch)}
        return parts | {"precision": batch.observed, "values": every, "hidden": unknown}

    def loss(self, net: Any, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The loss of the values."""
        observed = batch["precision"]
        made = Batch(batch["values"] * observed, observed.float(), *(batch[n] for n in ("sea", "place", "season")))
        return self.score(net, made, batch["values"], batch["hidden"], generator)

    @abstractmethod
    def score(self, net: Any, batch: Batch, truth: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """The loss.

        Parameters
        ----------
        net : the net
        batch : its input, in which hidden values are missing
        truth : (b, t, c, y, x) anomalies where observed or hidden, 0 elsewhere
        hidden : (b, t, c, y, x) bool, hidden and known
        generator : of all random numbers
        """
