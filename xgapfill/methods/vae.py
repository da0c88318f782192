"""Realisations of a variational autoencoder: latents weighted by their likelihood, and small-scale variability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import NetMethod
from xgapfill.methods.parameters import whole
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import Bring, address_noise, look, mean_factor, net_of, of_kind, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.gaussian.background import Guess
    from xgapfill.nets.autoencoder import Prior
    from xgapfill.nets.autoencoder import Vae as Net
    from xgapfill.nets.objective import Objective
    from xgapfill.nets.scene import Scene
    from xgapfill.weights import Weights

FIELD, PROPOSALS, CHOICE, ERRORS = range(4)  # numbers of the noise fields of a member
MOST = 16  # proposals per noise field


@dataclass(frozen=True)
class Vae(NetMethod):
    """Fill gaps with realisations of a variational autoencoder: few forward passes, members at little cost.

    The encoder gets the observations minus the background, and their mask. Each cell of 8 x 8 pixels of a frame has its
    own latents and takes one of its proposals with the self-normalised importance weight as probability. The weight is
    the likelihood of the observations in that cell, with 8 neighbouring pixels counted as one; weights of a whole
    space-time tile would single out one proposal. The remaining variability is a conditional simulation of a Gaussian
    field, so members have variability at all scales.

    The latents of the shipped weights have collapsed: the network learned how large the draws of the Gaussian field
    must be, and nothing else. Their members are those of a Gaussian field about the background, at the cost of a pass.

    Parameters
    ----------
    proposals : int
        Number of proposals of the latents per cell and member, 1 to 16.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    References
    ----------
    Collier, Nazabal & Williams (2020), arXiv:2006.05301. Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.vae(ds.PSC, ds.CHL, members=2)
    >>> filled.sizes["realization"], int(filled.isnull().sum())
    (2, 0)
    """

    proposals: int = MOST
    device: str | None = None

    name: ClassVar[str] = "vae"
    gives: ClassVar[str] = "members"
    costs: ClassVar[str] = "0.07 per member"
    suits: ClassVar[str] = "many members are needed at little cost"
    draws: ClassVar[bool] = True
    anchored: ClassVar[bool] = True
    model: ClassVar[str] = "vae"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)
        whole("proposals", self.proposals, 1, MOST)

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.losses import VARIATIONAL

        return VARIATIONAL

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels."""
        return shipped_weights(channels, "-vae")

    def passes(self, members: int) -> int:
        """Forward passes per batch of windows: encoder and prior, and the decoder for every member."""
        return 1 + members

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """`members` realisations of every channel, and the error of their mean."""
        import torch

        with computing(self) as bring:
            case = _prepare(windows, weights, noise, bring)
            mean, spread = case.expected()
            drawn = []
            for member in range(members):
                proposed = case.proposed(case.normal(member, self.proposals))
                drawn.append(case.physical(mean, case.realised(proposed, member) - mean))
            return Filled(torch.stack(drawn).cpu().numpy(), case.error_of_mean(spread))

    def estimate(self, windows: Windows, weights: Weights | None, noise: Noise) -> Filled:
        """Mean about which members are drawn, with the spread of `fill`; neither depends on the noise."""
        import torch

        with computing(self) as bring:
            case = _prepare(windows, weights, noise, bring)
            mean, spread = case.expected()
            best = case.physical(mean, torch.zeros_like(mean))
            return Filled(best[None].cpu().numpy(), case.error_of_mean(spread))


class _Proposed(NamedTuple):
    """K draws of the latents (k, b, t, latents, cells, cells), decoded: mean and log variance of the residuals
    (k, b, t, c, y, x), and the logarithm of the importance weight of each cell (k, b, t, cells, cells).
    """

    latents: Tensor
    mean: Tensor
    log_variance: Tensor
    log_weights: Tensor

    def expected(self) -> tuple[Tensor, Tensor]:
        """Weighted mean of all proposals and the standard deviation about it, (b, t, c, y, x) each."""
        from torch.nn.functional import interpolate

        size = self.mean.shape[-2:]
        cells = self.log_weights.softmax(dim=0)
        smooth = interpolate(cells.flatten(0, 1), size=size, mode="bilinear", align_corners=False)
        weights = smooth.unflatten(0, cells.shape[:2])[:, :, :, None]
        mean = (weights * self.mean).sum(dim=0)
        variance = (weights * (self.log_variance.exp() + (self.mean - mean) ** 2)).sum(dim=0)
        return mean, variance.sqrt()


@dataclass(frozen=True)
class _Prepared:
    """A prepared batch of windows: network, background, prior, output of the encoder, and calibration."""

    net: Net
    guess: Guess
    scene: Scene
    prior: Prior
    encoded: tuple[Tensor, Tensor]
    fields: Callable[[int, int], Tensor]
    cells: Callable[[int, int], Tensor]
    mean_factor: Tensor
    spread_factor: float
    inflation: float

    def expected(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the residuals, from latents that are the same for every window and seed."""
        import torch

        generator = torch.Generator("cpu").manual_seed(0)
        shape = MOST // 2, 1, *self.encoded[0].shape[1:]
        half = torch.randn(shape, generator=generator, device="cpu", dtype=torch.float32)
        half = half.to(self.encoded[0].device)
        return self.proposed(torch.cat([half, -half])).expected()

    def normal(self, member: int, count: int) -> Tensor:
        """Standard normal numbers for `count` proposals of the latents of a member."""
        from xgapfill.nets.autoencoder import LATENTS

        return self.cells(member, PROPOSALS)[:, :, : count * LATENTS].unflatten(2, (count, LATENTS)).movedim(2, 0)

    def proposed(self, normal: Tensor) -> _Proposed:
        """Draws of the latents from the encoder, weighted by the likelihood of the observations in their cell.

        Weights of whole windows, of thousands of pixels, would single out one proposal.
        """
        from torch.nn.functional import avg_pool2d

        from xgapfill.nets.autoencoder import CELL
        from xgapfill.nets.bound import log_ratio, masked_log_likelihood
        from xgapfill.nets.losses import DEPENDENT_PIXELS

        centre, log_variance = self.encoded
        z = centre + (0.5 * log_variance).exp() * normal
        mean, pixels = self.net.decode(z, self.prior, self.scene)
        likelihood = masked_log_likelihood(self.scene.residual, self.scene.observed, mean, pixels).sum(dim=3)
        by_cell = avg_pool2d(likelihood.flatten(0, 1), CELL).unflatten(0, likelihood.shape[:2])
        weights = CELL**2 / DEPENDENT_PIXELS * by_cell + log_ratio(z, centre, log_variance).sum(dim=3)
        return _Proposed(z, mean, pixels, weights)

    def realised(self, proposed: _Proposed, member: int) -> Tensor:
        """Residuals of a member: latents chosen cell by cell and decoded, plus small-scale variability."""
        import torch

        from xgapfill.nets.bound import pick
        from xgapfill.nets.texture import gaussian_departure

        count = len(proposed.latents)
        uniform = torch.special.ndtr(self.cells(member, CHOICE)[:, :, :count].movedim(2, 0))
        chosen = pick(proposed.log_weights, uniform)[None, :, :, None]
        z = proposed.latents.gather(0, chosen.expand(1, *proposed.latents.shape[1:]))
        mean, log_variance = self.net.decode(z, self.prior, self.scene)
        texture = gaussian_departure(self.scene, self.fields(member, FIELD), self.fields(member, ERRORS))
        return mean[0] + (0.5 * (log_variance[0] - self.prior.texture)).exp() * texture

    def physical(self, mean: Tensor, departure: Tensor) -> Tensor:
        """Residuals in transformed units, with calibration."""
        residual = self.mean_factor * mean + self.inflation * departure
        return self.guess.mean + self.guess.error * residual

    def error_of_mean(self, spread: Tensor) -> NDArray[np.float32]:
        """Standard deviation of the error in transformed units, with calibration."""
        return (self.spread_factor * spread * self.guess.error).cpu().numpy()


def _prepare(windows: Windows, weights: Weights | None, noise: Noise, bring: Bring) -> _Prepared:
    """Background, scene, and one forward pass of prior and encoder."""
    from xgapfill.nets.autoencoder import Vae as Net

    given = of_kind(weights, "vae")
    guess, made = look(windows, given, bring)
    net: Net = net_of(given, Net.of, str(made.residual.device))
    return _Prepared(
        net,
        guess,
        made,
        net.prior(made),
        net.encode(made.residual, made.observed, made),
        partial(address_noise, noise, windows, bring=bring),
        partial(_cells, noise, windows, bring=bring),
        mean_factor(given),
        float(given.card.network.get("spread_factor", 1.0)),
        given.card.inflation,
    )


def _cells(noise: Noise, windows: Windows, member: int, draw: int, bring: Bring | None = None) -> Tensor:
    """Standard normal numbers of the cells, (b, t, CELL^2, cells, cells), from the pixels of each cell."""
    from xgapfill.nets.autoencoder import CELL

    field = address_noise(noise, windows, member, draw, channels=1, bring=bring)[:, :, 0]
    cells = field.unflatten(-2, (-1, CELL)).unflatten(-1, (-1, CELL))
    return cells.permute(0, 1, 3, 5, 2, 4).flatten(2, 3)
