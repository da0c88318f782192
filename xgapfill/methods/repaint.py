"""RePaint: realisations by a schedule of noise levels in which observations are put back at every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.parameters import choice
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import WALK, address_noise, prepare, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.diffusion.samplers import Draw
    from xgapfill.weights import Weights
# Of the "fast" walk: few calls, for more do not lower the CRPS on the choose set, and textures as observed there.
FAST_CALLS = 4
FAST_SIGMA_MAX, FAST_SIGMA_MIN = 1.0, 0.1
FAST_ETA = 0.0


@dataclass(frozen=True)
class Repaint:
    """Realisations: a walk over noise levels in which what was observed is put back at every level.

    A walk that does not begin at the largest noise level begins at a draw of the Gaussian field behind the background,
    given what was observed, to which the noise of its first level is added.

    Parameters
    ----------
    schedule : "fast", "paper" or a sequence of moves (from sigma, to sigma) that ends at 0
    device, precision
        As of `PosteriorMean`.

    References
    ----------
    Lugmayr et al. (2022), doi:10.1109/CVPR52688.2022.01117; the start, Chung, Sim & Ye (2022),
    doi:10.1109/CVPR52688.2022.01209.
    """

    schedule: str | Sequence[tuple[float, float]] = "fast"
    device: str | None = None
    precision: str = "float32"

    name: ClassVar[str] = "repaint"
    draws: ClassVar[bool] = True
    model: ClassVar[str] = "diffusion"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)
        choice("precision", self.precision, ("float32", "bfloat16"))
        if not isinstance(self.schedule, str):
            from xgapfill.diffusion.schedule import check_walk

            object.__setattr__(self, "schedule", tuple(check_walk(self.schedule)))
        elif self.schedule not in ("fast", "paper"):
            raise ValueError(
                "schedule must be 'fast', 'paper' or a list of moves (from sigma, to sigma) that ends at 0; "
                f"found {self.schedule!r}"
            )

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels."""
        return shipped_weights(channels)

    def walk(self) -> list[tuple[float, float]]:
        """The moves as data."""
        from xgapfill.diffusion.schedule import karras_walk, repaint_walk

        if self.schedule == "fast":
            return karras_walk(FAST_CALLS, FAST_SIGMA_MAX, FAST_SIGMA_MIN)
        return repaint_walk() if self.schedule == "paper" else list(self.schedule)  # type: ignore[arg-type]

    def passes(self, members: int) -> int:
        """Passes of the network over a batch of windows: moves down from the largest noise level share the first."""
        from xgapfill.nets.scene import SIGMA_MAX

        return 1 + members * sum(to < sigma < SIGMA_MAX for sigma, to in self.walk())

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """`members` realisations of every channel, and the error of their mean."""
        import torch

        from xgapfill.diffusion.samplers import repaint

        walk = self.walk()
        with computing(self) as bring:
            prepared = prepare(windows, weights, bring, self.precision)
            mean, spread = prepared.once()
            drawn = []
            for member in range(members):
                draw = partial(address_noise, noise, windows, member, bring=bring)
                field = repaint(
                    prepared.denoise(mean),
                    prepared.scene.residual,
                    prepared.scene.observed,
                    walk,
                    partial(numbered, draw),
                    eta=FAST_ETA if self.schedule == "fast" else 1.0,
                    noisy_observed=False,
                    start=prepared.start(mean, walk[0][0], draw),
                )
                departure = prepared.inflation * (field - mean)
                drawn.append(prepared.physical(prepared.mean_factor * mean + departure).cpu())
            return Filled(torch.stack(drawn).numpy(), (spread * prepared.guess.error).cpu().numpy())


def numbered(draw: Draw, number: int) -> Tensor:
    """The fields of noise of a walk: those after the others of the member."""
    return draw(WALK + number)
