"""The response of a variable to its drivers: a regression on them, on season and latitude, fitted to a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.base import SeriesMethod
from xgapfill.methods.parameters import choice, whole
from xgapfill.weights import Card, Weights

SPAN = 3.0  # standard deviations to which predictors are clipped
RIDGES = (0.001, 0.01, 0.1)  # shares of the variance of a term that are added to it, the last one for flat responses
WORTH = 0.9  # share of the mean square error to which squares and products must lower it
BLOCKS = 5  # of times, one withheld after the other
FEWEST = 3  # times
GAPS = ((0.0, 2.0), (1.0, 8.0))  # radii (slots, pixels) from which gaps of predictors are filled
SURE = 0.05  # observations within a radius that weigh as much as the mean of the series
PIXELS = 1 << 14  # pixels at once

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Response(SeriesMethod):
    """Fill gaps from predictors alone, by a regression on them, on the season and on latitude, fitted to the series.

    Neighbours of a gap are not used, so it is the same estimate near and far from observations: for wide or long gaps,
    and as the first part of `xgapfill.cascade`. The terms are the predictors, centred and scaled; if that lowers the
    error, their squares and products as well. They and the ridge are chosen by leaving out fifths of the times, in
    blocks, and the spread is the error there. Gaps of predictors are filled with their means around.

    Parameters
    ----------
    terms : {"auto", "linear", "quadratic"}
        Terms of the regression; "auto": those with the smaller error.
    vectors : int
        Largest number of pixels and times to fit to.

    Raises
    ------
    ValueError
        Parameters out of range. During the fit: fewer than three times with observations.

    References
    ----------
    Ridge regression: Hoerl & Kennard (1970), doi:10.1080/00401706.1970.10488634. Blocks of times as tests: Roberts et
    al. (2017), doi:10.1111/ecog.02881. Regression on drivers as a filler: Stock et al. (2020), doi:10.3390/rs12203313.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean", drivers=True).isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.response(ds.CHL, [ds.SST_L4, ds.MLD]).isnull().sum())
    0
    """

    terms: str = "auto"
    vectors: int = 200_000

    name: ClassVar[str] = "response"
    takes_prior: ClassVar[bool] = False
    predictors: ClassVar[str] = "regression on whole series"
    costs: ClassVar[str] = "0.003, and the fit"
    suits: ClassVar[str] = "nothing is near, and drivers set the level"

    def __post_init__(self) -> None:
        choice("response's terms", self.terms, ("auto", "linear", "quadratic"))
        whole("response's vectors", self.vectors, 100)

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself: all are terms of the regression."""
        return True

    def check_times(self, times: int) -> None:
        """ValueError with fewer than three times."""
        if times < FEWEST:
            raise ValueError(f"response needs at least {FEWEST} times to learn from, found {times}")

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Single frames, side by side."""
        return Tiling(ncols, size=(1, 64, 64), stride=(1, 64, 64))

    def fit(self, series: Series) -> Weights:
        """Regression of each target; ValueError when there are too few times with observations."""
        targets, (t, pixel) = series.targets, _some(series, self.vectors)
        values = series.values[:, t, pixel].astype(np.float64)
        known = series.observed[:, t, pixel]
        predictors = np.concatenate([values[targets:], series.lat[None, pixel]])
        there = np.concatenate([known[targets:], np.ones((1, t.size), bool)])
        scaling = _scaling(predictors, there)
        z = _standard(np.where(there, predictors, scaling[0][:, None]), scaling)
        x = np.concatenate([z, series.season[t].T])
        found = [self._fitted(values[c], known[c], x, t, series.channels[c]) for c in range(targets)]
        card = Card(
            name=self.name,
            method=self.name,
            targets=series.channels[:targets],
            conditions=series.channels[targets:],
            network={"quadratic": [each[1] for each in found]},
            trained_on=f"{t.size} pixels of {np.unique(t).size} times of one data set",
        )
        arrays = {"scaling": scaling, "error": np.array([each[2] for each in found])}
        arrays |= {f"slopes{c}": each[0] for c, each in enumerate(found)}
        return Weights(card, {name: np.asarray(array, np.float64) for name, array in arrays.items()})

    def _fitted(
        self, y: Doubles, known: NDArray[np.bool_], x: Doubles, t: NDArray, name: str
    ) -> tuple[Doubles, bool, float]:
        """Slopes, whether they are quadratic, and the error at withheld times."""
        y, x, t = y[known], x[:, known], t[known]
        times = np.unique(t)
        if times.size < FEWEST:
            raise ValueError(f"response needs at least {FEWEST} times with observations of {name}, found {times.size}")
        fold = np.searchsorted(times, t) * min(BLOCKS, times.size) // times.size
        allowed = {"auto": (False, True), "linear": (False,), "quadratic": (True,)}[self.terms]
        best: tuple[Doubles, bool, float] | None = None
        for quadratic in allowed:
            sums = [_sums(x[:, fold == k], y[fold == k], quadratic) for k in range(fold.max() + 1)]
            whole_sums = [np.sum(np.stack(part), axis=0) for part in zip(*sums, strict=True)]
            for ridge in RIDGES:
                error = sum(
                    _misfit(part, _slopes([w - p for w, p in zip(whole_sums, part, strict=True)], ridge))
                    for part in sums
                )
                if best is None or error < best[2] * (WORTH if quadratic > best[1] else 1):
                    best = _slopes(whole_sums, ridge), quadratic, error
        assert best is not None
        return best[0], best[1], float(np.sqrt(best[2] / y.size))

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """The response at every pixel and its error; `members` must be 1."""
        if weights is None or (weights.card.method, weights.card.channels) != (self.name, windows.channels):
            raise ValueError(
                f"response needs weights fitted with {', '.join(windows.channels)}, found {weights!r}; leave weights= "
                "out, or fit with these channels"
            )
        values = np.where(windows.observed, windows.values, np.float32(0))
        spread = np.ones_like(values)
        scaling, error = weights.arrays["scaling"], weights.arrays["error"]
        for b in np.flatnonzero(windows.observed.any(axis=(1, 2, 3, 4)) | windows.sea.any(axis=(1, 2))).tolist():
            x = _predictors(windows, b, scaling)
            for c in range(windows.targets):
                slopes, quadratic = weights.arrays[f"slopes{c}"], weights.card.network["quadratic"][c]
                flat = x.reshape(len(x), -1)
                parts = [slopes @ _terms(flat[:, n : n + PIXELS], quadratic) for n in range(0, flat.shape[1], PIXELS)]
                values[b, :, c] = np.concatenate(parts).reshape(x.shape[1:])
                spread[b, :, c] = error[c]
        return Filled(values[None], spread)


def _some(series: Series, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Times and pixels where a target is observed, at most about `most` of them, evenly spread."""
    some = np.flatnonzero(series.observed[: series.targets].any(axis=0))
    some = some[:: max(1, -(-some.size // most))]
    t, pixel = np.divmod(some, series.observed.shape[2])
    return t, pixel


def _scaling(predictors: Doubles, known: NDArray[np.bool_]) -> Doubles:
    """Mean and standard deviation of each predictor, (2, k); constant ones count nothing."""
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, predictors, 0).sum(axis=1) / count
    sd = np.sqrt((np.where(known, predictors - mean[:, None], 0) ** 2).sum(axis=1) / count)
    return np.stack([mean, np.where(sd > 1e-6 * np.maximum(np.abs(mean), 1e-6), sd, np.inf)])


def _standard(predictors: Doubles, scaling: Doubles) -> Doubles:
    """Predictors (k, ...) centred, scaled and clipped."""
    mean, sd = (each.reshape(-1, *[1] * (predictors.ndim - 1)) for each in scaling)
    return np.clip((predictors - mean) / sd, -SPAN, SPAN)


def _predictors(windows: Windows, b: int, scaling: Doubles) -> Doubles:
    """Predictors of a window, then the season, (k, t, y, x); gaps of predictors are filled with their means around."""
    first = windows.targets
    given = np.moveaxis(windows.values[b, :, first:], 1, 0).astype(np.float64)
    known = np.moveaxis(windows.observed[b, :, first:], 1, 0)
    shape = windows.values.shape[1], *windows.values.shape[3:]
    north = np.broadcast_to(windows.lat[b].astype(np.float64)[:, None], shape)
    z = _standard(np.concatenate([given, north[None]]), scaling)
    for k in np.flatnonzero((~known & windows.sea[b]).any(axis=(1, 2, 3))):
        filled, there = np.zeros(shape), known[k]
        for slots, pixels in reversed(GAPS):
            radius = slots, pixels, pixels
            count = scipy.ndimage.gaussian_filter(there.astype(np.float64), radius, mode="constant")
            total = scipy.ndimage.gaussian_filter(np.where(there, z[k], 0), radius, mode="constant")
            filled = (total + SURE * filled) / (count + SURE)
        z[k] = np.where(there, z[k], filled)
    season = [np.broadcast_to(each[:, None, None], shape) for each in windows.season[b].T.astype(np.float64)]
    return np.concatenate([z, season])


def _terms(x: Doubles, quadratic: bool) -> Doubles:
    """A constant, the predictors, and their squares and products, (terms, n)."""
    parts: list[Doubles] = [np.ones((1, x.shape[1])), x]
    if quadratic:
        parts += [x[k] * x[k:] for k in range(len(x))]
    return np.concatenate(parts)


def _sums(x: Doubles, y: Doubles, quadratic: bool) -> list[Doubles]:
    """Sums of products of terms and target."""
    count = 1 + len(x) + (len(x) * (len(x) + 1) // 2 if quadratic else 0)
    square, right, rest = np.zeros((count, count)), np.zeros(count), np.zeros(2)
    for n in range(0, y.size, PIXELS):
        terms, part = _terms(x[:, n : n + PIXELS], quadratic), y[n : n + PIXELS]
        square += terms @ terms.T
        right += terms @ part
        rest += np.array([part @ part, part.size])
    return [square, right, rest]


def _slopes(sums: list[Doubles], ridge: float) -> Doubles:
    """Ridge regression; the constant is free."""
    square, right, (_, count) = sums
    free = np.ones(len(right))
    free[0] = 1e-9
    scale = np.diag(square) + 1e-6 * count
    return np.asarray(np.linalg.solve(square + np.diag(ridge * free * scale), right))


def _misfit(sums: list[Doubles], slopes: Doubles) -> float:
    """Sum of squares of what the slopes leave."""
    square, right, (total, _) = sums
    return float(max(total - 2 * slopes @ right + slopes @ square @ slopes, 0))
