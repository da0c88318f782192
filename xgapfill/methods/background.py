"""The background: regression on predictors and a Gaussian field fitted to the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from xgapfill.gaussian import priors as prior_file
from xgapfill.gaussian.background import first_guess, weighed
from xgapfill.gaussian.priors import Prior
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.nets.device import check_device, computing

if TYPE_CHECKING:
    from xgapfill.weights import Weights


@dataclass(frozen=True)
class Background:
    """Regression on the conditions and Gaussian-Markov interpolation of the rest: the classical first guess.

    Source: optimal interpolation, Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2, with covariances fitted
    to variograms, Cressie (1985), doi:10.1007/BF01032109, in the cosine basis of Garcia (2010),
    doi:10.1016/j.csda.2009.09.020; ridge regression with a prior, Hoerl & Kennard (1970),
    doi:10.1080/00401706.1970.10488634.

    Parameters
    ----------
    priors : mapping of Prior
        By channel; those of the package.
    device : "auto", "cpu", "cuda" or "cuda:<number>"
        None: what `xgapfill.set_options` says, else XGAPFILL_DEVICE, else as "auto".
    """

    priors: Mapping[str, Prior] = field(default_factory=prior_file.shipped)
    device: str | None = None

    name: ClassVar[str] = "background"
    draws: ClassVar[bool] = False
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_device(self.device)

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """It needs none: ValueError when it has no priors for a channel."""
        unknown = [c for c in channels if c not in self.priors]
        if unknown:
            raise ValueError(f"background has priors for {sorted(self.priors)}, not for {unknown}.")
        return None

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
            )
            return Filled(guess.mean[None].cpu().numpy(), guess.error.cpu().numpy())
