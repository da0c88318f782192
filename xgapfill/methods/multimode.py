"""The multi-mode CNN: several responses to drivers, and a gate that tells where each of them holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian import priors as prior_file
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Windows
from xgapfill.methods.parameters import whole
from xgapfill.methods.published import PublishedNet
from xgapfill.nets.device import computing
from xgapfill.nets.ready import net_of, of_kind

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.nets.objective import Objective
    from xgapfill.weights import Weights

REACH = 8  # pixels around a pixel on which it depends: more than those of five convolutions


@dataclass(frozen=True)
class MultiMode(PublishedNet):
    """Fill gaps from drivers alone, by convolutional modes and a gate that shares pixels among them (multi-mode CNN).

    The net is fitted to the series first, ``weights = da.gapfill.fit("multimode", cond, minutes=10)``. Each mode is a
    response of the target to the drivers around a pixel; the gate tells from the drivers which modes hold there, and
    the result is their weighted sum. The target is never an input, so nothing is interpolated: estimates near
    observations are no better than far from them. `xgapfill.gates` maps the shares of the modes.

    Parameters
    ----------
    modes : int
        Number of modes of a fit; 1 is a single net of the widths, without a gate.
    widths : tuple of int
        Feature maps of a mode, of a fit.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    Notes
    -----
    The paper's: eight modes of five convolutions 3 x 3 (16, 32, 64, 128 and 1 maps, ReLU, dropout of 0.35) and a gate
    of three (16, 32, 8, softmax); 803,920 parameters with its nine inputs, sea-surface temperature, sea level, wind,
    current, short-wave radiation, land mask and depth; the mean square error of the standardised logarithm at observed
    pixels. Ours: windows of 64 x 64 pixels, and a batch, optimiser, schedule and early stop like all nets of this
    package; the spread is the error on blocks of the series that were held out, one number for all pixels.

    References
    ----------
    Roussillon et al. (2023), doi:10.3389/fmars.2023.1077623.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("monthly").isel(time=slice(0, 6), lat=slice(8, 32), lon=slice(0, 32))
    >>> weights = xgapfill.fit(ds.CHL, "multimode", [ds.SST, ds.SLA], widths=(8, 16), steps=1)  # minutes=10
    >>> int(xgapfill.multimode(ds.CHL, [ds.SST, ds.SLA], weights=weights).isel(time=0).isnull().sum() > 0)
    1
    """

    modes: int = 8
    widths: tuple[int, ...] = (16, 32, 64, 128)

    name: ClassVar[str] = "multimode"
    model: ClassVar[str] = "multimode"
    predictors: ClassVar[str] = "all that is known of a pixel"
    costs: ClassVar[str] = "0.5, and the fit"
    suits: ClassVar[str] = "drivers set the level, by a response that differs between regions"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("multimode's modes", self.modes, 1, 64)
        if not self.widths or len(self.widths) < 2:
            raise ValueError(f"multimode's widths must be at least two whole numbers, found {self.widths!r}")
        for width in self.widths:
            whole("multimode's widths", width, 1, 1024)

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.multimode import MULTIMODE

        return replace(MULTIMODE, modes=self.modes, widths=tuple(self.widths))

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Single frames with a halo of the pixels that convolutions reach."""
        inner = 64 - 2 * REACH
        return Tiling(ncols, size=(1, 64, 64), stride=(1, inner, inner), margin=(0, REACH, REACH))

    def shares(self, windows: Windows, weights: Weights) -> NDArray[np.float32]:
        """Shares of the modes (b, t, modes, y, x)."""
        given = of_kind(weights, self.model)
        priors = prior_file.from_mapping(given.card.background)
        with computing(self) as bring:
            net = net_of(given, self.objective().network, str(bring(windows.values[:0]).device))
            shares: Tensor = net.shares(net.inputs(net.look(windows, priors, bring)))
            return shares.unflatten(0, windows.values.shape[:2]).cpu().numpy()
