"""Kriging: optimal interpolation from neighbouring observations, with a covariance fitted to each window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from xgapfill.gaussian.background import conditions_first, trend_on, weighed
from xgapfill.gaussian.kriging import (
    PERIODS,
    USELESS,
    Covariance,
    Flags,
    Single,
    Step,
    amplitudes,
    fit,
    krige,
    unconditional,
)
from xgapfill.gaussian.priors import shipped
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.parameters import choice, whole
from xgapfill.methods.shared import pooled_variance
from xgapfill.nets.device import on_device

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

CORE, MARGIN, SIZE = (3, 48, 48), (2, 16, 16), (7, 80, 80)  # interior of windows, their halo, and both


class _Channel(NamedTuple):
    """A channel of one window with its observations inserted: (t, y, x), (t, y, x) and (m, t, y, x)."""

    mean: Single
    spread: Single
    members: Single


@dataclass(frozen=True)
class Kriging(Method):
    """Fill gaps by kriging in space-time neighbourhoods, with a covariance fitted to each space-time tile (window).

    The residuals of a regression on the predictors are kriged, of the transformed variable (log10 of chlorophyll,
    log-ratios of size classes). The variogram has a nugget and two nested structures, in km and days. ``members=``
    gives conditional simulations instead of the mean.

    Parameters
    ----------
    realisations : bool
        Give members instead of the mean; ``members=`` sets it.
    neighbours : int
        Number of observed pixels for the estimate of each block of 4 x 4 pixels, at least 1.

    References
    ----------
    Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2. Conditioning by kriging: Journel (1974),
    doi:10.2113/gsecongeo.69.5.673.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.kriging(ds.CHL).isnull().sum())
    0
    >>> xgapfill.kriging(ds.CHL, members=2).dims
    ('realization', 'time', 'lat', 'lon')
    """

    realisations: bool = field(default=False, metadata={"internal": True})
    neighbours: int = 64

    name: ClassVar[str] = "kriging"
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.05"
    suits: ClassVar[str] = "a covariance model and its error must be reported"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        choice("realisations", self.realisations, (True, False))
        whole("neighbours", self.neighbours, 1)

    @property
    def draws(self) -> bool:
        """Whether it gives members."""
        return self.realisations

    def ensemble(self) -> Kriging:
        """Return the same method with members."""
        return replace(self, realisations=True)

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows with a halo; each pixel is kriged once."""
        return Tiling(ncols, size=SIZE, stride=CORE, margin=MARGIN)

    @on_device()
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel, or `members` realisations; halos have the trend only."""
        count = members if self.realisations else 0
        sure, _ = weighed(windows, shipped())
        batch = [self._window(windows, k, sure[k].swapaxes(0, 1), noise, count) for k in range(len(sure))]
        values = [[c.members if self.realisations else c.mean[None] for c in window] for window in batch]
        spread = [[c.spread for c in window] for window in batch]
        return Filled(np.stack([np.stack(v, axis=2) for v in values], axis=1), np.stack(spread).swapaxes(1, 2))

    def _window(self, windows: Windows, k: int, observed: Flags, noise: Noise, members: int) -> list[_Channel]:
        """All channels of one window, predictors first; `observed` (c, t, y, x) marks observations without error."""
        targets = windows.targets
        core = np.pad(np.ones(CORE, bool), [(n, n) for n in MARGIN])
        here = windows.sea[k] & (core if core.shape == observed[0].shape else np.ones_like(observed[0]))
        done: dict[int, _Channel] = {}
        for c in conditions_first(targets, len(observed)):
            given = {windows.channels[i]: done[i] for i in range(targets, len(observed)) if c < targets}
            # the regression needs predictors at all observed pixels of the target
            asked = here | windows.observed[k, :, :targets].any(axis=1) if c >= targets else here
            done[c] = self._channel(windows, k, c, observed[c], asked & ~observed[c], given, noise, members)
        return [done[c] for c in range(len(observed))]

    def _channel(
        self,
        windows: Windows,
        k: int,
        c: int,
        observed: Flags,
        wanted: Flags,
        given: Mapping[str, _Channel],
        noise: Noise,
        members: int,
    ) -> _Channel:
        """One channel of one window, given the predictors."""
        y, known, channel = windows.values[k, :, c], windows.observed[k, :, c], windows.channels[c]
        prior = shipped()[channel]
        errors = np.zeros_like(y) if windows.variance is None else windows.variance[k, :, c] * ~observed
        north, east = windows.step_km[k].tolist()
        step = windows.step_days, north, east
        level = (
            {}
            if windows.level is None
            else dict(zip(windows.channels, np.moveaxis(windows.level[k], 1, 0), strict=True))
        )
        trend, trend_variance = _regress(
            y, observed, channel, {name: (on.mean + level.get(name, 0), on.spread) for name, on in given.items()}
        )
        departure = (y - trend) * known
        squares = float(np.sum((departure * observed) ** 2, dtype=np.float64))
        variance = pooled_variance(squares, float(observed.sum()), prior.variance)
        covariance = fit(departure * observed, observed, variance, step, prior)
        sill = covariance.v1 + covariance.v2 + covariance.nugget
        known = known & (errors <= USELESS * sill)
        drawn = [sure := np.zeros_like(y)] * members
        if members and wanted.any():
            drawn = _draw(y.shape, windows.starts[k], c, noise, members, covariance, step)
        # the trend of a member is the regression on the predictors of the same member
        of_members = [
            {name: (on.members[m] + level.get(name, 0), sure) for name, on in given.items()} for m in range(members)
        ]
        trends = [_regress(y, observed, channel, conditions)[0] if given else trend for conditions in of_members]
        erring = [simulated + _errors(errors, windows, k, c, noise, m) for m, simulated in enumerate(drawn)]
        fields = np.stack([departure, *erring, *((y - each) * known for each in trends)])
        kriged = krige(fields, known, wanted, covariance, step, self.neighbours, errors)
        mean, spread = trend.copy(), trend_variance + sill
        mean[wanted] += kriged.estimate[0]
        spread[wanted] = trend_variance[wanted] + kriged.variance * kriged.misfit
        mean[observed], spread[observed] = y[observed], 0
        filled = np.empty((members, *y.shape), np.float32)
        for m, (simulated, below) in enumerate(zip(drawn, trends, strict=True)):
            error = np.sqrt(kriged.misfit) * (simulated[wanted] - kriged.estimate[1 + m])
            filled[m] = below + simulated
            filled[m, wanted] = below[wanted] + kriged.estimate[1 + members + m] + error
            filled[m, observed] = y[observed]
        return _Channel(mean, np.sqrt(spread).astype(np.float32), filled)


def _regress(
    y: Single, observed: Flags, channel: str, conditions: Mapping[str, tuple[Single, Single]]
) -> tuple[Single, Single]:
    """Regression on the predictors, shrunk to the prior, and its variance from their errors: (t, y, x) fields."""
    import torch

    def batch(array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]

    given = {name: (batch(mean), batch(error)) for name, (mean, error) in conditions.items()}
    trend, variance = trend_on(batch(y), batch(observed), channel, shipped(), given)
    return trend[0].numpy(), variance[0].numpy()


def _errors(variance: Single, windows: Windows, k: int, c: int, noise: Noise, member: int) -> Single:
    """Simulated observation errors of channel c of a window for a member, (t, y, x)."""
    if not variance.any():
        return np.zeros_like(variance)
    slot, row, col = windows.starts[k].tolist()
    return np.sqrt(variance) * noise(member, len(windows.channels) + c, (slot, row, col), (1, *variance.shape))[0]


def _draw(
    shape: tuple[int, ...], start: NDArray, c: int, noise: Noise, members: int, covariance: Covariance, step: Step
) -> list[Single]:
    """Unconditional realisations of channel c on a window, cut from a box around it."""
    t, y, x = (
        scipy.fft.next_fast_len(more * n, real=True) if n > 1 else 1 for n, more in zip(shape, PERIODS, strict=True)
    )
    before = [(n - m) // 2 for n, m in zip((t, y, x), shape, strict=True)]
    slot, row, col = (int(first) - n for first, n in zip(start, before, strict=True))
    inside = tuple(slice(n, n + m) for n, m in zip(before, shape, strict=True))
    amplitude = amplitudes((t, y, x), covariance, step)
    whites = (noise(m, c, (slot, row, col), (1, t, y, x))[0] for m in range(members))
    return [unconditional(white, amplitude)[inside] for white in whites]
