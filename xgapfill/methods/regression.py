"""Size classes from chlorophyll: a regression on the observations of a window, or a published relation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.background import first_guess, trend_on
from xgapfill.gaussian.priors import DEPENDENT_PIXELS, shipped
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.parameters import choice
from xgapfill.methods.shared import FEW, known
from xgapfill.nets.device import on_device
from xgapfill.variables.relation import SCATTER, brewin_fractions
from xgapfill.variables.transforms import ilr, power10

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

CHL = "log10_chl"
SIZE_CLASSES = ("psc_ilr1", "psc_ilr2")
FITTED = "fitted"
# mg m-3; outside, the published fits leave [0, 1], so chlorophyll is clipped to this range.
HIRATA_RANGE = (0.015, 4.8)
# Chlorophyll of the other relations is clipped to where single-precision differences still have three digits.
BREWIN_RANGE = (1e-3, 1e3)


def brewin2015_fractions(chl: NDArray) -> NDArray[np.floating]:
    """Return the (3, ...) fractions micro, nano, pico of Brewin et al. (2015) at a chlorophyll in mg m-3.

    References
    ----------
    doi:10.1016/j.rse.2015.07.004

    Examples
    --------
    >>> brewin2015_fractions(np.array(1.0)).round(3)
    array([0.457, 0.413, 0.13 ])
    """
    chl = np.asarray(chl)
    small = -0.77 * np.expm1(-(0.94 / 0.77) * chl)
    pico = -0.13 * np.expm1(-(0.80 / 0.13) * chl)
    return np.stack([chl - small, small - pico, pico]) / chl


def hirata2011_fractions(chl: NDArray) -> NDArray[np.floating]:
    """Return the (3, ...) fractions micro, nano, pico of Hirata et al. (2011) at a chlorophyll in mg m-3.

    Fractions are not clipped: below 0.015 and above 4.8 mg m-3 some leave [0, 1].

    References
    ----------
    doi:10.5194/bg-8-311-2011, table 2.

    Examples
    --------
    >>> hirata2011_fractions(np.array(1.0)).round(3)
    array([0.416, 0.339, 0.245])
    """
    x = np.log10(chl)
    micro = 1 / (0.9117 + np.exp(-2.7330 * x + 0.4003))
    pico = -1 / (0.1529 + np.exp(1.0306 * x - 1.5576)) - 1.8597 * x + 2.9954
    return np.stack([micro, 1 - micro - pico, pico])


# Fractions as a function of chlorophyll, and the range of chlorophyll in which they are used.
PUBLISHED: Mapping[str, tuple[Callable[[NDArray], NDArray], tuple[float, float]]] = {
    "brewin2010": (brewin_fractions, BREWIN_RANGE),
    "brewin2015": (brewin2015_fractions, BREWIN_RANGE),
    "hirata2011": (hirata2011_fractions, HIRATA_RANGE),
}


def published_ilr(relation: str, log10_chl: NDArray) -> NDArray[np.float32]:
    """Log-ratios (psc_ilr1, psc_ilr2) of a published relation.

    Parameters
    ----------
    relation : "brewin2010", "brewin2015" or "hirata2011"
    log10_chl : (...) float
        log10 of chlorophyll in mg m-3.

    Returns
    -------
    (2, ...) float32
        Log-ratios of the fractions, clipped to [0, 1] and divided by their sum.
    """
    fractions, (low, high) = PUBLISHED[relation]
    parts = np.clip(fractions(np.clip(power10(np.asarray(log10_chl, np.float64)), low, high)), 0, 1)
    return ilr(parts / parts.sum(axis=0)).astype(np.float32)


@dataclass(frozen=True)
class Regression(Method):
    """Fill size classes from chlorophyll (and other predictors) at the same place and time.

    The spread is the root mean square of the residuals at the observed pixels of a space-time tile (window). Where
    chlorophyll is missing, its background is used, and its error is added to the spread. Chlorophyll as the target
    takes the mean of its tile.

    Parameters
    ----------
    relation : {"fitted", "brewin2010", "brewin2015", "hirata2011"}
        Ridge regression on the observations of the tile, shrunk to the prior of `xgapfill.background`, or a published
        relation, without a fit.

    Raises
    ------
    ValueError
        Any other value of `relation`; predictors without chlorophyll.

    References
    ----------
    Ridge regression: Hoerl & Kennard (1970), doi:10.1080/00401706.1970.10488634. Published relations:
    Brewin et al. (2010), doi:10.1016/j.ecolmodel.2010.02.014; Brewin et al. (2015), doi:10.1016/j.rse.2015.07.004;
    Hirata et al. (2011), doi:10.5194/bg-8-311-2011.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.regression(ds.PSC, ds.CHL, relation="brewin2015").isnull().sum())
    0
    """

    relation: str = FITTED

    name: ClassVar[str] = "regression"
    takes_prior: ClassVar[bool] = False
    needs: ClassVar[str] = "predictors"
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.0001"
    suits: ClassVar[str] = "a comparison with the literature is needed"

    def __post_init__(self) -> None:
        choice("relation", self.relation, (FITTED, *PUBLISHED))

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself."""
        return channel == CHL

    def check(self, channels: tuple[str, ...]) -> None:
        """Raise ValueError without chlorophyll, or when a published relation would fill anything but size classes."""
        if CHL not in channels:
            raise ValueError(f"regression needs chlorophyll, found only {list(channels)}; give it with cond=")
        if self.relation != FITTED and channels[:2] != SIZE_CLASSES:
            raise ValueError(
                f"relation={self.relation!r} gives size classes from chlorophyll, found {list(channels)} to fill; "
                f"use relation={FITTED!r}"
            )

    @on_device()
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Estimate and error of every channel; `members` must be 1."""
        import torch

        targets = windows.targets
        values, observed = torch.from_numpy(windows.values), torch.from_numpy(windows.observed.astype(np.float32))
        mean, error = torch.zeros_like(values), torch.ones_like(values)
        if targets < len(windows.channels):
            mean[:, :, targets:], error[:, :, targets:] = self._conditions(windows, values, observed)
        for c in range(targets):
            conditions = known(windows, c, values, observed, mean, error)
            y, w = values[:, :, c], observed[:, :, c]
            if self.relation == FITTED:
                estimate, variance = trend_on(y, w, windows.channels[c], shipped(), conditions)
            else:
                estimate, variance = self._published(c, *conditions[CHL])
            left = _left(y - estimate, w, _usual_variance(windows.channels[c]))
            mean[:, :, c], error[:, :, c] = estimate, (left + variance).sqrt()
        return Filled(mean[None].numpy(), error.numpy())

    def _conditions(self, windows: Windows, values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Background of the predictors and its error."""
        import torch

        first = windows.targets
        step_km = torch.from_numpy(windows.step_km)
        rest = windows.channels[first:]
        guess = first_guess(
            values[:, :, first:], observed[:, :, first:], windows.step_days, step_km, rest, 0, shipped()
        )
        return guess.mean, guess.error

    def _published(self, c: int, log10_chl: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """One log-ratio as a function of chlorophyll, and its variance from the error of chlorophyll."""
        import torch

        places = (log10_chl, log10_chl - error, log10_chl + error)
        at, below, above = (torch.from_numpy(published_ilr(self.relation, place.numpy())[c]) for place in places)
        return at, (0.5 * (above - below)) ** 2


def _left(residual: Tensor, observed: Tensor, usual: float) -> Tensor:
    """Mean square residual of a relation at observed pixels, shrunk to the prior variance; (b, 1, 1, 1)."""
    axes = (1, 2, 3)
    independent = observed.sum(axes, keepdim=True) / DEPENDENT_PIXELS
    squares = (observed * residual**2).sum(axes, keepdim=True) / DEPENDENT_PIXELS
    return (squares + FEW * usual) / (independent + FEW)


def _usual_variance(channel: str) -> float:
    """Scatter of in-situ samples about their relation to chlorophyll; without one the variance of the channel."""
    return float(SCATTER[SIZE_CLASSES.index(channel)] ** 2) if channel in SIZE_CLASSES else shipped()[channel].variance
