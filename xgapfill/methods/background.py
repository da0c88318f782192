"""The background (first guess): regression on predictors and a Gaussian field fitted to the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from xgapfill.gaussian import priors as prior_file
from xgapfill.gaussian.background import first_guess, weighed
from xgapfill.gaussian.priors import Prior
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.nets.device import check_device, computing

if TYPE_CHECKING:
    from xgapfill.weights import Weights


@dataclass(frozen=True)
class Background(Method):
    """Fill gaps with the classical first guess: regression on predictors, then optimal interpolation, without weights.

    Covariances are fitted to the variogram of each space-time tile (window). The equations are solved in the cosine
    basis.

    Parameters
    ----------
    priors : mapping of Prior
        Priors by channel; by default those of the package.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        As in `xgapfill.repaint`.

    References
    ----------
    Optimal interpolation: Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2. Variograms: Cressie (1985),
    doi:10.1007/BF01032109. Cosine basis: Garcia (2010), doi:10.1016/j.csda.2009.09.020. Ridge regression with a prior:
    Hoerl & Kennard (1970), doi:10.1080/00401706.1970.10488634.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.background(ds.CHL)
    >>> int(filled.isnull().sum()), filled.attrs["xgapfill_method"]
    (0, 'background')
    >>> bool(filled.where(ds.CHL.notnull()).equals(ds.CHL))
    True
    """

    priors: Mapping[str, Prior] = field(default_factory=prior_file.shipped, metadata={"internal": True})
    device: str | None = None

    name: ClassVar[str] = "background"
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.01"
    suits: ClassVar[str] = "no weights should be used, or time is short"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel; `members` must be 1."""
        with computing(self) as bring:
            sure, precision = weighed(windows, self.priors)
            guess = first_guess(
                bring(windows.values),
                bring(sure.astype(np.float32)),
                windows.step_days,
                bring(windows.step_km),
                windows.channels,
                windows.targets,
                self.priors,
                None if precision is None else bring(precision),
                None if windows.level is None else bring(windows.level),
            )
            return Filled(guess.mean[None].cpu().numpy(), guess.error.cpu().numpy())
