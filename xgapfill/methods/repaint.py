"""RePaint: realisations by a schedule of noise levels, with the observations inserted again at every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import NetMethod
from xgapfill.methods.parameters import choice
from xgapfill.nets.device import check_device, computing
from xgapfill.nets.ready import STEPS, address_noise, prepare, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.diffusion.samplers import Draw
    from xgapfill.nets.objective import Objective
    from xgapfill.nets.ready import Prepared
    from xgapfill.weights import Weights
# The "fast" schedule: a member made of residuals is taken for a field with noise of this level, which one function
# evaluation takes off.
FAST = 0.1


@dataclass(frozen=True)
class Repaint(NetMethod):
    """Fill gaps with realisations of a diffusion model: plausible fields with realistic small-scale variability.

    Each member agrees with every observation; members differ only at missing pixels. The network refines the background
    (see `xgapfill.background`), and the schedule inserts the observations again at every noise level. A schedule that
    begins below the largest noise level, as the default one, starts from a member of the posterior mean, made of
    residuals of other dates of the series in pairs of opposite sign, which is taken for a field with noise of that
    level.

    Parameters
    ----------
    schedule : {"fast", "paper"} or sequence of (from, to)
        Noise levels. ``"fast"``: one function evaluation of the network for a member, and one for all. ``"paper"``: the
        schedule of Lugmayr et al. (2022), T=250, jumps of 10, 10 resamplings: 2410 steps, hours for a map. Or pairs of
        noise levels that end at 0.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        Where the network runs; by default the device of `xgapfill.set_options`, else of the environment variable
        XGAPFILL_DEVICE, else CUDA if available. Devices share the noise and differ by rounding.
    precision : {"float32", "bfloat16"}
        Precision of the network's convolutions; bfloat16 is faster on processors that support it.

    References
    ----------
    Lugmayr et al. (2022), RePaint, doi:10.1109/CVPR52688.2022.01117. Karras et al. (2022), arXiv:2206.00364. Start at a
    lower noise level: Chung, Sim & Ye (2022), doi:10.1109/CVPR52688.2022.01209.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.repaint(ds.PSC, ds.CHL, members=2)
    >>> filled.sizes["realization"], int(ds.PSC.isnull().sum()) > 0, int(filled.isnull().sum())
    (2, True, 0)
    >>> def change(member):
    ...     return member.isel(time=-1, drop=True) - member.isel(time=0, drop=True)
    >>> list(xgapfill.repaint(ds.PSC, ds.CHL, members=4, reduce=["mean", {"quantile": [0.05, 0.95]}, change]))
    ['PSC_mean', 'PSC_quantile', 'PSC_change_mean', 'PSC_change_std']
    """

    schedule: str | Sequence[tuple[float, float]] = "fast"
    device: str | None = None
    precision: str = "float32"

    name: ClassVar[str] = "repaint"
    gives: ClassVar[str] = "members"
    costs: ClassVar[str] = "0.23 per member"
    suits: ClassVar[str] = (
        "plausible fields with small-scale variability and joint uncertainty are needed: fronts, sums, trends"
    )
    draws: ClassVar[bool] = True
    model: ClassVar[str] = "diffusion"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)
        choice("precision", self.precision, ("float32", "bfloat16"))
        if not isinstance(self.schedule, str):
            from xgapfill.diffusion.schedule import check_schedule

            object.__setattr__(self, "schedule", tuple(check_schedule(self.schedule)))
        elif self.schedule not in ("fast", "paper"):
            raise ValueError(
                "schedule must be 'fast', 'paper' or a list of steps (from sigma, to sigma) that ends at 0; "
                f"found {self.schedule!r}"
            )

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.losses import DENOISING

        return DENOISING

    @property
    def refines(self) -> bool:
        """Whether it starts from members of the posterior mean, made of residuals of other dates."""
        from xgapfill.nets.scene import SIGMA_MAX

        return self.noise_levels()[0][0] < SIGMA_MAX

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels."""
        return shipped_weights(channels)

    def noise_levels(self) -> list[tuple[float, float]]:
        """Steps of the schedule, (from sigma, to sigma)."""
        from xgapfill.diffusion.schedule import repaint_schedule

        if self.schedule == "fast":
            return [(FAST, 0.0)]
        return repaint_schedule() if self.schedule == "paper" else list(self.schedule)  # type: ignore[arg-type]

    def cheap(self) -> Repaint:
        """The fast schedule: its forward passes cost as much as those of any other."""
        return replace(self, schedule="fast")

    def passes(self, members: int) -> int:
        """Forward passes per batch of windows; all members share the one at the largest noise level."""
        from xgapfill.nets.scene import SIGMA_MAX

        return 1 + members * sum(to < sigma < SIGMA_MAX for sigma, to in self.noise_levels())

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """`members` realisations of every channel, and the error of their mean."""
        import torch

        given = windows.residuals
        with computing(self) as bring:
            prepared = prepare(windows, weights, bring, self.precision)
            mean, spread = prepared.once()
            best = prepared.mean_factor * mean
            drawn = []
            for member in range(members):
                draw = partial(address_noise, noise, windows, member, bring=bring)
                if given is None:
                    departure = prepared.inflation * (self._walked(prepared, mean, draw) - mean)
                    drawn.append(prepared.physical(best + departure).cpu())
                else:
                    start = best + spread * bring(given[member])
                    drawn.append(prepared.physical(self._walked(prepared, mean, draw, start)).cpu())
            return Filled(torch.stack(drawn).numpy(), (spread * prepared.guess.error).cpu().numpy())

    def _walked(self, prepared: Prepared, mean: Tensor, draw: Draw, member: Tensor | None = None) -> Tensor:
        """Walk down the schedule from a member, or from a draw about the mean."""
        from xgapfill.diffusion.samplers import repaint

        levels = self.noise_levels()
        return repaint(
            prepared.denoise(mean),
            prepared.scene.residual,
            prepared.scene.observed,
            levels,
            partial(numbered, draw),
            eta=0.0 if self.refines else 1.0,
            noisy_observed=False,
            start=prepared.start(mean, levels[0][0], draw) if member is None else member,
            noisy_start=member is not None,
        )


def numbered(draw: Draw, number: int) -> Tensor:
    """Noise field of a step of the schedule; these are numbered after the other fields of the member."""
    return draw(STEPS + number)
