"""The posterior mean: one forward pass of the network without a noisy field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import NetMethod
from xgapfill.methods.parameters import choice
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import prepare, shipped_weights

if TYPE_CHECKING:
    from xgapfill.nets.objective import Objective
    from xgapfill.weights import Weights


@dataclass(frozen=True)
class PosteriorMean(NetMethod):
    """Fill gaps with the posterior mean: one forward pass of a network, the best single map.

    The mean is smoother than a real field. For chlorophyll it is the back-transformed mean of log10, which is a median.
    Fractions have the means of their back-transformed distributions, which sum to 1.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.
    precision : {"float32", "bfloat16"}
        As in `xgapfill.repaint`.

    References
    ----------
    The denoiser at the largest noise level is the posterior mean: Karras et al. (2022), arXiv:2206.00364.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> result = xgapfill.posterior_mean(ds.PSC, ds.CHL, full=True)
    >>> list(result)
    ['PSC', 'PSC_spread', 'PSC_status', 'PSC_support']
    >>> bool(abs(result.PSC.sum("size_class") - 1).max() < 1e-5)
    True
    """

    device: str | None = None
    precision: str = "float32"

    name: ClassVar[str] = "posterior_mean"
    costs: ClassVar[str] = "0.034"
    suits: ClassVar[str] = "one best map is needed"
    model: ClassVar[str] = "diffusion"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)
        choice("precision", self.precision, ("float32", "bfloat16"))

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.losses import DENOISING

        return DENOISING

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels."""
        return shipped_weights(channels)

    def passes(self, members: int) -> int:
        """Forward passes of the network per batch of windows."""
        return 1

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel."""
        with computing(self) as bring:
            prepared = prepare(windows, weights, bring, self.precision)
            mean, spread = prepared.once()
            best = prepared.physical(prepared.mean_factor * mean)
            return Filled(best[None].cpu().numpy(), (spread * prepared.guess.error).cpu().numpy())
