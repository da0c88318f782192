"""A driver method far from observations and a local one near them: what the first leaves is filled by the second."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.priors import DEPENDENT_PIXELS, shipped
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.background import Background
from xgapfill.methods.base import Method, SeriesMethod
from xgapfill.methods.response import Response

if TYPE_CHECKING:
    from xgapfill.weights import Weights

FRAMES = 11  # of a window
ALIKE = 400.0  # pixels that count as one in the relation to predictors within a window
SLOPE = 0.3  # prior standard deviation of its slopes
SPAN = 3.0  # standard deviations to which predictors are clipped
FEW = 5.0  # independent pixels of a window that weigh as much as the calibrated error of the far method


@dataclass(frozen=True)
class Cascade(SeriesMethod):
    """Fill gaps with a driver method far from observations and with the background of what it leaves near them.

    The far method estimates all pixels from the drivers alone: it is not shown the target. Its errors at observed
    pixels are then interpolated by the near method and added, as in regression kriging. The weights of both follow from
    the covariance of these errors in the window: near observations the errors are known, and far from them the estimate
    is that of the far method with its calibrated error.

    Parameters
    ----------
    far : Method
        A method of whole series that fills from predictors: `Response` (regression on drivers, season and latitude) or
        `Som`. It is fitted first; ``weights=`` of an earlier fit are those of the cascade.
    near : Method
        A local method without weights: `Background`, `Kriging`, `DctPls`.

    References
    ----------
    Regression kriging: Hengl et al. (2007), doi:10.1016/j.cageo.2007.05.001.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean", drivers=True).isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.cascade(ds.CHL, [ds.SST_L4, ds.MLD]).isel(time=8)
    >>> int(filled.isnull().sum())
    0
    """

    far: SeriesMethod = field(default_factory=Response)
    near: Method = field(default_factory=Background)

    name: ClassVar[str] = "cascade"
    takes_prior: ClassVar[bool] = False
    takes_errors: ClassVar[bool] = True
    predictors: ClassVar[str] = "those of the far method"
    costs: ClassVar[str] = "0.01, and the fit"
    suits: ClassVar[str] = "gaps last long or are wide, and there are drivers"

    def __post_init__(self) -> None:
        if not isinstance(self.far, SeriesMethod):
            raise TypeError(
                f"cascade's far must be a method that is fitted to series, such as Response(), found {self.far!r}"
            )
        if not isinstance(self.near, Method) or self.near.takes_weights or self.near.draws:
            raise TypeError(
                f"cascade's near must be a local method without weights or members, such as Background(), found "
                f"{self.near!r}"
            )

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself."""
        return self.far.uses(channel)

    def check(self, channels: tuple[str, ...]) -> None:
        """Raise ValueError when the far method cannot fill these channels."""
        self.far.check(channels)

    def check_times(self, times: int) -> None:
        """ValueError when the far method cannot be fitted to a series of that many times."""
        self.far.check_times(times)

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of many frames, so that some are observed beside a long gap."""
        return Tiling(ncols, size=(FRAMES, 64, 64), stride=(FRAMES // 2, 48, 48))

    def fit(self, series: Series) -> Weights:
        """Fit the far method."""
        fitted = self.far.fit(series)
        return type(fitted)(replace(fitted.card, method=self.name), fitted.arrays)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Estimate and error of every channel; `members` must be 1."""
        n = windows.targets
        far = self._far(windows, weights, noise)
        values, spread = far.values[0].copy(), far.spread.copy()
        observed = windows.observed[:, :, :n]
        values[:, :, :n] += _local(windows, values)
        left = np.where(observed, windows.values[:, :, :n] - values[:, :, :n], np.float32(0))
        scale = _rms(left, observed, spread[:, :, :n], windows.sea)
        priors = [shipped()[name] for name in windows.channels[:n]]
        mean = np.array([prior.mean for prior in priors], np.float32)[:, None, None]
        sd = np.array([prior.variance**0.5 for prior in priors], np.float32)[:, None, None]
        unit = scale / sd
        rest = replace(
            windows,
            values=np.where(observed, mean + left / unit, np.float32(0)),
            observed=observed,
            channels=windows.channels[:n],
            variance=None if windows.variance is None else windows.variance[:, :, :n] / unit**2,
        )
        near = self.near.fill(rest, None, noise, 1)
        values[:, :, :n] += (near.values[0] - mean) * unit
        spread[:, :, :n] = _errors(near.spread * unit, scale, spread[:, :, :n])
        return Filled(values[None], spread)

    def _far(self, windows: Windows, weights: Weights | None, noise: Noise) -> Filled:
        """The far method, which is not shown the target."""
        if weights is not None and weights.card.method == self.name:
            weights = type(weights)(replace(weights.card, method=self.far.name), weights.arrays)
        values, observed = windows.values.copy(), windows.observed.copy()
        values[:, :, : windows.targets], observed[:, :, : windows.targets] = 0, False
        return self.far.fill(replace(windows, values=values, observed=observed, variance=None), weights, noise, 1)


def _local(windows: Windows, estimate: NDArray[np.float32]) -> NDArray[np.float32]:
    """What predictors tell besides within a window, about the means of its frames, (b, t, targets, y, x)."""
    n = windows.targets
    out = np.zeros_like(windows.values[:, :, :n])
    if n == len(windows.channels):
        return out
    for b in np.flatnonzero(windows.observed[:, :, :n].any(axis=(1, 2, 3, 4))).tolist():
        z = _departures(windows.values[b, :, n:], windows.observed[b, :, n:])
        for c in range(n):
            seen = windows.observed[b, :, c]
            y = np.where(seen, windows.values[b, :, c] - estimate[b, :, c], 0).astype(np.float64)
            count = np.maximum(seen.sum(axis=(1, 2), keepdims=True), 1)
            y = np.where(seen, y - y.sum(axis=(1, 2), keepdims=True) / count, 0).ravel()
            x = np.where(seen, z - np.where(seen, z, 0).sum(axis=(2, 3), keepdims=True) / count, 0).reshape(len(z), -1)
            normal = x @ x.T / ALIKE + np.eye(len(z)) / SLOPE**2
            slopes = np.linalg.solve(normal, x @ y / ALIKE)
            out[b, :, c] = np.einsum("k,ktyx->tyx", slopes, z)
    return out


def _departures(values: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Predictors (t, k, y, x) about the means of frames, scaled and clipped, (k, t, y, x); 0 where they are missing."""
    axes = (2, 3)
    mean = np.where(known, values, 0).sum(axes, dtype=np.float64) / np.maximum(known.sum(axes), 1)
    z = np.where(known, values - mean[:, :, None, None], 0)
    sd = np.sqrt((z**2).sum((0, 2, 3)) / np.maximum(known.sum((0, 2, 3)), 1))[:, None, None]
    return np.moveaxis(np.clip(z / np.where(sd > 0, sd, np.inf), -SPAN, SPAN), 1, 0)


def _errors(near: NDArray, scale: NDArray, far: NDArray) -> NDArray[np.float32]:
    """Errors of both: those of the near method, and where these are as large as what it fills, those of the far one."""
    free = np.clip((near / scale) ** 2, 0, 1)
    return np.sqrt(near**2 + free * np.maximum(far**2 - scale**2, 0)).astype(np.float32)


def _rms(left: NDArray, observed: NDArray[np.bool_], error: NDArray, sea: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Root mean square errors of the far method in each window, drawn to its calibrated ones, (b, 1, c, 1, 1)."""
    water = np.broadcast_to(sea[:, None, None], error.shape)
    axes = (1, 3, 4)
    usual = np.where(water, error.astype(np.float64) ** 2, 0).sum(axes) / np.maximum(water.sum(axes), 1)
    count = observed.sum(axes) / DEPENDENT_PIXELS
    squares = (left.astype(np.float64) ** 2).sum(axes) / DEPENDENT_PIXELS
    found = (squares + FEW * usual) / (count + FEW)
    return np.sqrt(np.maximum(found, 1e-12)).astype(np.float32)[:, None, :, None, None]
