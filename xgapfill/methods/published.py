"""Nets of published systems: fitted to the user's own series, with the same trainer, training sample and verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from xgapfill.gaussian import priors as prior_file
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import NetMethod
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import address_noise, net_of, of_kind, usual

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.nets.standard import Batch, Standard
    from xgapfill.weights import Weights

# draw(member, number) -> (b, t, y, x) standard normal numbers of the pixels, by their address
Draw = Callable[[int, int], "Tensor"]


class Predicted(NamedTuple):
    """Standardised anomalies of the filled channels; o of them.

    Attributes
    ----------
    mean, spread : (b, t, o, y, x)
    departures : (m, b, t, o, y, x) or None
        Of members from the mean; None for a method that draws none.
    """

    mean: Tensor
    spread: Tensor
    departures: Tensor | None = None


@dataclass(frozen=True)
class PublishedNet(NetMethod):
    """Base of methods that are nets of published systems: one file, and a net in `xgapfill.nets`.

    They have no shipped weights, and no prior beyond their windows, as published.
    """

    device: str | None = None

    takes_prior: ClassVar[bool] = False
    shipped: ClassVar[bool] = False
    needs: ClassVar[str] = "weights from a fit to the series"
    predictors: ClassVar[str] = "channels of the net"

    def __post_init__(self) -> None:
        check_device(self.device)

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """There are none: ValueError that shows what to type."""
        raise ValueError(
            f"{self.name} has no shipped weights: its net is fitted to your own series. Type\n"
            f"    weights = da.gapfill.fit({self.name!r}, cond, minutes=10)\n"
            f"    filled = da.gapfill.{self.name}(cond, weights=weights)\n"
            "with the same predictors in both, or none"
        )

    def passes(self, members: int) -> int:
        """Forward passes per batch of windows."""
        return 1 + members if self.draws else 1

    def predict(self, net: Standard, batch: Batch, draw: Draw, members: int) -> Predicted:
        """What the net says of a batch of windows; by default its mean alone, with an error that the fit scales.

        Parameters
        ----------
        net, batch
        draw : random numbers of members, by address
        members : number of members; 0 for the mean alone
        """
        import torch

        mean = net(batch)
        return Predicted(mean, torch.ones_like(mean))

    def estimate(self, windows: Windows, weights: Weights | None, noise: Noise) -> Filled:
        """Mean about which members are drawn, with the spread of `fill`."""
        return self.fill(windows, weights, noise, 0)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Filled channels from the net; other predictors as observed, with the mean of the series elsewhere."""
        given = of_kind(weights, self.model)
        priors = prior_file.from_mapping(given.card.background)
        with computing(self) as bring:
            name = str(bring(windows.values[:0]).device)
            net: Standard = net_of(given, self.objective().network, name)
            batch = net.look(windows, priors, bring)
            found = self.predict(net, batch, partial(_pixels, noise, windows, bring), members)
            level = net.around(bring(windows.lat), bring(windows.lon))[:, None]
            anomalies = (level + found.mean)[None]
            if found.departures is not None:
                anomalies = anomalies + given.card.inflation * found.departures
            values, spread = anomalies.cpu().numpy(), found.spread.cpu().numpy()
        centre, scale = (part.numpy()[:, None, None] for part in usual(windows.channels, priors))
        out = np.broadcast_to(
            np.where(windows.observed, windows.values, centre), (len(values), *windows.values.shape)
        ).copy()
        error = np.broadcast_to(scale, windows.values.shape).copy()
        out[:, :, :, net.outputs] = values * scale[net.outputs] + centre[net.outputs]
        factor = np.float32(given.card.network.get("spread_factor", 1.0))
        error[:, :, net.outputs] = factor * spread * scale[net.outputs]
        return Filled(out.astype(np.float32), error.astype(np.float32))


def _pixels(noise: Noise, windows: Windows, bring: Callable[..., Tensor], member: int, number: int) -> Tensor:
    return address_noise(noise, windows, member, number, channels=1, bring=bring)[:, :, 0]
