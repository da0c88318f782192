"""DINCAE: a convolutional autoencoder with inverse-variance input and an error estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.tiling import Tiling
from xgapfill.methods.published import Draw, Predicted, PublishedNet

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.nets.dincae import Dincae as Net
    from xgapfill.nets.objective import Objective
    from xgapfill.nets.standard import Batch


@dataclass(frozen=True)
class Dincae(PublishedNet):
    """Fill gaps with a convolutional autoencoder that weighs observations by their errors and gives its own (DINCAE).

    The net is fitted to the series first, ``weights = da.gapfill.fit("dincae", cond, minutes=10)``. It gets a frame,
    the one before and the one after, each as anomalies over their error variance and the inverse of the variance, 0
    where missing, with latitude, longitude and season. Predictors are further variables of the same kind.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    Notes
    -----
    As in the papers: the inputs, the filters of the encoder (16, 30, 58, 110, 209), average pooling, upsampling by the
    nearest value, skips, the limits on the estimated error, the likelihood of all observed pixels of the frame under
    additional gaps of another date, noise of 0.05 on the input, the mean over time removed. Different here: windows of
    64 x 64 pixels that overlap, not the whole domain; a coarse mean over time, which fits other places; no dense
    layers, as in 2022, and no refinement step; noise in standard deviations of the variable; some windows are trained
    with larger errors, so that ``error=`` is understood; optimiser, schedule and early stop are those of all nets of
    this package, and the spread is scaled on held-out blocks.

    References
    ----------
    Barth et al. (2020), doi:10.5194/gmd-13-1609-2020; Barth et al. (2022), doi:10.5194/gmd-15-2183-2022.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(0, 6), lat=slice(0, 32), lon=slice(0, 32))
    >>> weights = xgapfill.fit(ds.CHL, "dincae", steps=1)  # in practice minutes=10
    >>> int(xgapfill.dincae(ds.CHL, weights=weights).isnull().sum())
    0
    """

    name: ClassVar[str] = "dincae"
    model: ClassVar[str] = "dincae"
    costs: ClassVar[str] = "0.02, and the fit"
    suits: ClassVar[str] = "a comparison with a published net is needed"
    takes_errors: ClassVar[bool] = True

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.dincae import DINCAE

        return DINCAE

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of five frames, of which the three in the middle count."""
        return Tiling(ncols, margin=(1, 0, 0))

    def predict(self, net: Net, batch: Batch, draw: Draw, members: int) -> Predicted:  # type: ignore[override]
        """Mean and error of the middle frames; the outer ones, which do not count, have those of their neighbours."""
        import torch

        mean, variance = net.middle(batch, batch.values, batch.precision)

        def padded(part: Tensor) -> Tensor:
            return torch.cat([part[:, :1], part, part[:, -1:]], dim=1)

        return Predicted(padded(mean), padded(variance.sqrt()))
