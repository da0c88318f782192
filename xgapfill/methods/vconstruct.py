"""VConstruct: reconstructions of single images by a variational autoencoder, without time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.tiling import Tiling
from xgapfill.methods.published import Draw, Predicted, PublishedNet

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.nets.objective import Objective
    from xgapfill.nets.standard import Batch
    from xgapfill.nets.vconstruct import VConstruct as Net

DRAWS = 4  # of the latents, for the mean and its error: the same for every window and seed


@dataclass(frozen=True)
class VConstruct(PublishedNet):
    """Fill gaps with reconstructions of single images by a variational autoencoder, without time (VConstruct).

    The net is fitted to the series first, ``weights = da.gapfill.fit("vconstruct", minutes=10)``. The encoder gets the
    observed pixels of one image and tells a distribution of latents; each member decodes a draw of them. Frames do not
    know of each other.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    Notes
    -----
    The paper's: a variational autoencoder of single images, no time, several reconstructions by sampling the latents.
    Ours, as no layers, sizes or weights of the loss could be read: windows of 64 x 64 pixels; four convolutions down to
    cells of 8 x 8 pixels with eight latents each, and four up; the mask of observed pixels as an input, zeros for
    missing ones (Collier et al. 2020), the coarse mean over time removed; pixels are hidden under the gaps of other
    dates, and shown and hidden ones enter the likelihood, in which two neighbouring pixels count as one; the decoder
    tells the error of a pixel, which members do not draw: they differ less than the estimate errs. All random numbers
    are functions of the place, so that chunks do not matter.

    References
    ----------
    Ehrler & Ernst (2020), arXiv:2101.10260. Collier, Nazabal & Williams (2020), arXiv:2006.05301.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(0, 6), lat=slice(0, 32), lon=slice(0, 32))
    >>> weights = xgapfill.fit(ds.CHL, "vconstruct", steps=1)  # in practice minutes=10
    >>> filled = xgapfill.vconstruct(ds.CHL, weights=weights, members=2)
    >>> filled.sizes["realization"], int(filled.isnull().sum())
    (2, 0)
    """

    name: ClassVar[str] = "vconstruct"
    model: ClassVar[str] = "vconstruct"
    gives: ClassVar[str] = "members"
    costs: ClassVar[str] = "0.03 and 0.005 per member, and the fit"
    suits: ClassVar[str] = "images have no neighbours in time, or for a comparison with a published net"
    draws: ClassVar[bool] = True

    def objective(self) -> Objective:
        """What its net is trained on."""
        from xgapfill.nets.vconstruct import VCONSTRUCT

        return VCONSTRUCT

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of five frames, side by side in time: each frame is filled alone."""
        return Tiling(ncols, stride=(5, 48, 48))

    def predict(self, net: Net, batch: Batch, draw: Draw, members: int) -> Predicted:  # type: ignore[override]
        """Members, and mean and error from draws of the latents that are the same for every window."""
        import torch

        count = batch.values.shape[1]
        centre, log_variance = net.encode(batch)
        scale = (0.5 * log_variance).exp()
        generator = torch.Generator("cpu").manual_seed(0)
        half = torch.randn((DRAWS // 2, 1, *centre.shape[1:]), generator=generator, device="cpu", dtype=torch.float32)
        images, pixels = zip(
            *(net.decode(centre + scale * z) for z in torch.cat([half, -half]).to(centre)), strict=True
        )
        every = torch.stack(images)
        mean = every.mean(dim=0)
        variance = torch.stack(pixels).exp().mean(dim=0) + ((every - mean) ** 2).mean(dim=0)
        drawn = [net.decode(centre + scale * _cells(draw(m, 0), centre.shape[1]))[0] - mean for m in range(members)]
        mean, spread, *departures = (part.unflatten(0, (-1, count)) for part in (mean, variance.sqrt(), *drawn))
        return Predicted(mean, spread, torch.stack(departures) if departures else None)


def _cells(pixels: Tensor, latents: int) -> Tensor:
    """Standard normal numbers of the cells (b t, latents, cells, cells), from the pixels (b, t, y, x) of each cell."""
    from xgapfill.nets.vconstruct import CELL

    cells = pixels.flatten(0, 1).unflatten(-2, (-1, CELL)).unflatten(-1, (-1, CELL))
    return cells.permute(0, 2, 4, 1, 3).flatten(1, 2)[:, :latents]
