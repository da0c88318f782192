"""The posterior mean: one pass of the net that shows it no noisy field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.parameters import choice
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import prepare, shipped_weights

if TYPE_CHECKING:
    from xgapfill.weights import Weights


@dataclass(frozen=True)
class PosteriorMean:
    """One pass of the net at the largest noise level: the mean of all fields that fit what was observed, and its error.

    Source: denoiser as posterior mean, Karras et al. (2022), arXiv:2206.00364.

    Parameters
    ----------
    device : "auto", "cpu", "cuda" or "cuda:<number>"
        None: what `xgapfill.set_options` says, else XGAPFILL_DEVICE, else as "auto".
    precision : "float32" or "bfloat16"
        Of the network's convolutions; bfloat16 is faster on processors that have it.
    """

    device: str | None = None
    precision: str = "float32"

    name: ClassVar[str] = "posterior_mean"
    draws: ClassVar[bool] = False
    model: ClassVar[str] = "diffusion"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)
        choice("precision", self.precision, ("float32", "bfloat16"))

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels."""
        return shipped_weights(channels)

    def passes(self, members: int) -> int:
        """Passes of the network over a batch of windows."""
        return 1

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel."""
        with computing(self) as bring:
            prepared = prepare(windows, weights, bring, self.precision)
            mean, spread = prepared.once()
            best = prepared.physical(prepared.mean_factor * mean)
            return Filled(best[None].cpu().numpy(), (spread * prepared.guess.error).cpu().numpy())
