"""SmaAt-UNet completion: an attention U-Net from drivers and masked maps of one date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.tiling import Tiling
from xgapfill.methods.parameters import choice, whole
from xgapfill.methods.published import PublishedNet

if TYPE_CHECKING:
    from xgapfill.nets.objective import Objective


@dataclass(frozen=True)
class Smaat(PublishedNet):
    """Fill size classes and chlorophyll from drivers and masked maps of the same date by an attention U-Net (SmaAt).

    The net is fitted to the series first, ``weights = da.gapfill.fit("smaat", cond, minutes=10)``. It gets the maps of
    one date, the target with its gaps and the predictors, and has no time.

    Parameters
    ----------
    widths : tuple of int
        Feature maps of the levels of a fit; ``(64, 128, 256, 512, 1024)`` is the published shape, 4.03 million
        parameters.
    shown : bool
        Whether the pixels that the net is shown enter the loss of a fit as well, as in the system it follows; by
        default only hidden ones.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    Notes
    -----
    The system's: depthwise-separable convolutions with two kernels per map, CBAM attention at each level, five levels,
    bilinear upsampling, batch normalisation, SiLU, drivers and masked maps of one date, missing values 0 after
    standardising, the mean square error of size classes and chlorophyll. Ours: size classes are log-ratios, so that
    they are positive and sum to 1 as by its softmax; masks of observed pixels are inputs as well; only hidden pixels
    are learned from, and blocks of time, not random days, end the training; windows of 64 x 64 pixels that overlap in
    place of a periodic map; the coarse mean over time is removed; four levels of 16 to 128 maps by default.

    References
    ----------
    Trebing, Stanczyk & Mehrkanoon (2021), doi:10.1016/j.patrec.2021.01.036. Woo et al. (2018), arXiv:1807.06521.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean", drivers=True).isel(time=slice(0, 6), lat=slice(0, 32))
    >>> weights = xgapfill.fit(ds.CHL, "smaat", ds.MLD, widths=(8, 16), steps=1)  # in practice minutes=10
    >>> int(xgapfill.smaat(ds.CHL, ds.MLD, weights=weights).isel(time=0).isnull().sum() > 0)
    1
    """

    widths: tuple[int, ...] = (16, 32, 64, 128)
    shown: bool = False

    name: ClassVar[str] = "smaat"
    model: ClassVar[str] = "smaat"
    costs: ClassVar[str] = "0.05, and the fit"
    suits: ClassVar[str] = "a comparison with the system of the study is needed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.widths, (tuple, list)) or not 2 <= len(self.widths) <= 6:
            raise ValueError(f"smaat's widths must be 2 to 6 whole numbers, found {self.widths!r}")
        for width in self.widths:
            whole("smaat's widths", width, 2, 2048)
        choice("smaat's shown", self.shown, (True, False))

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.smaat import SMAAT

        return replace(SMAAT, widths=tuple(self.widths), shown=self.shown)

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of five frames, side by side in time: each frame is filled alone."""
        return Tiling(ncols, stride=(5, 48, 48))
