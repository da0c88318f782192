"""A self-organising map that completes the vector of a pixel, target and predictors, from its known components.

The map is Kohonen's, trained in batches; vectors with gaps join the training as the map completes them (ITCOMP-SOM).
Each unit then has the mean and covariance of the vectors around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.base import SeriesMethod
from xgapfill.methods.kohonen import SPREAD_RADIUS, Vectors, best_units, neighbourhood, shape_for, sums_by_unit, train
from xgapfill.methods.parameters import choice, whole
from xgapfill.nets.device import on_device

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

WINDOW = 64  # pixels; they are filled independently, so windows only limit the memory
CONTEXT = ("season_cos", "season_sin", "latitude", "longitude")
MOST_UNITS = 4096  # distances of all pairs of units, and of vectors to units, are held in memory
FEWEST = 100  # smallest number of complete vectors for a map
# Pseudo-count of the prior, prototype and pooled covariance, to which mean and covariance of a unit are shrunk.
PRIOR_VECTORS = 20.0
NUGGET = 1e-4  # unexplained variance of a standardised component
PIXELS = 1024  # pixels filled at once


@dataclass(frozen=True)
class Som(SeriesMethod):
    """Fill gaps from a self-organising map, by the units nearest to the known components of a pixel's vector.

    Each pixel is filled independently, from the target and predictors observed there and, with `context`, from its
    position and season.

    Parameters
    ----------
    rows, cols : int
        Units of the hexagonal map; fewer if there are less than 20 complete vectors per unit. The defaults, and the
        context, were chosen on four simulated oceans: more units have slightly smaller errors and take longer.
    epochs : int
        Passes over the complete vectors while the neighbourhood shrinks.
    context : bool
        Add season, latitude and longitude to the vector.
    linear : bool
        Within a unit, the missing components follow from the known ones by linear regression, from the unit's
        covariance. If False, components are independent within a unit, as in the papers.
    vectors : int
        Largest number of vectors for the fit; of more, every k-th is used.
    progress : bool
        Show a progress bar during the fit. An interrupt (Ctrl-C) keeps the map found so far.

    Raises
    ------
    ValueError
        Parameters out of range, more units than fit in memory. During the fit: too few vectors, a channel that is
        constant or never observed.

    References
    ----------
    Kohonen (2013), doi:10.1016/j.neunet.2012.09.018: the batch map. Charantonis et al. (2015), Procedia Computer
    Science 51, 2198-2206: ITCOMP-SOM, where vectors join by the number of their gaps and distances are weighted by
    correlations. Jouini et al. (2013), Remote Sensing of Environment: chlorophyll under clouds from a map of
    chlorophyll and predictors. El Hourany et al. (2019), doi:10.1029/2018JC014450: pigments from a map of pigments and
    satellite data. These papers use the prototype of the best unit; here all units are weighted by their likelihood,
    which also gives the spread.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 48), lon=slice(0, 48))
    >>> int(xgapfill.som(ds.PSC, [ds.CHL, ds.SST], rows=6, cols=4).isnull().sum())
    0
    """

    rows: int = 20
    cols: int = 15
    epochs: int = 30
    context: bool = True
    linear: bool = True
    vectors: int = 200_000
    progress: bool = False

    name: ClassVar[str] = "som"
    predictors: ClassVar[str] = "components of the map"
    costs: ClassVar[str] = "0.006, and the fit"
    suits: ClassVar[str] = "the predictors at the pixel itself carry most of the information"

    def __post_init__(self) -> None:
        for name, least in {"rows": 1, "cols": 1, "epochs": 1, "vectors": FEWEST}.items():
            whole(name, getattr(self, name), least)
        if self.rows * self.cols > MOST_UNITS:
            raise ValueError(
                f"a map of {self.rows} x {self.cols} units does not fit in memory; use at most {MOST_UNITS} units"
            )
        for name in ("context", "linear", "progress"):
            choice(name, getattr(self, name), (True, False))

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself: all are components of the vectors."""
        return True

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Single frames, side by side."""
        return Tiling(ncols, size=(1, WINDOW, WINDOW), stride=(1, WINDOW, WINDOW))

    def fit(self, series: Series) -> Weights:
        """Train the map on the vectors of the sample.

        Raises
        ------
        ValueError
            When a channel is constant, never observed or never observed together with another, or with too few vectors.
        """
        from xgapfill.weights import Card, Weights

        meridian = _meridian(series.lon)
        x, known, components = _sample(series, self.context, meridian, self.vectors)
        _check(x, known, series.channels)
        complete = known.all(axis=1)
        low, high = np.where(known, x, np.inf).min(axis=0), np.where(known, x, -np.inf).max(axis=0)
        mean = np.where(known, x, 0).sum(axis=0) / known.sum(axis=0)
        sd = np.sqrt((np.where(known, x - mean, 0) ** 2).sum(axis=0) / known.sum(axis=0))
        x = np.where(known, (x - mean) / sd, 0)
        shape = shape_for(self.rows, self.cols, int(complete.sum()))
        prototypes = train(x, known, shape, self.epochs, self.progress)
        count, centre, covariance = _spread(x[complete], prototypes, neighbourhood(shape, SPREAD_RADIUS))
        if not self.linear:
            covariance = covariance * np.eye(len(components))
        scaling = np.stack([mean, sd, low, high])
        arrays = {"scaling": scaling, "count": count, "centre": centre, "covariance": covariance}
        card = Card(
            name="som",
            method=self.name,
            targets=series.channels[: series.targets],
            conditions=series.channels[series.targets :],
            network={"components": components, "rows": shape[0], "cols": shape[1], "meridian": meridian},
            ranges={name: (low[c], high[c]) for c, name in enumerate(series.channels)},
            trained_on=f"{len(x)} vectors of one data set, {int(complete.sum())} of them complete",
        )
        return Weights(card, {name: array.astype(np.float32) for name, array in arrays.items()})

    @on_device()
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and standard deviation of the missing channels of every pixel; `members` must be 1."""
        import torch

        if weights is None or (weights.card.method, weights.card.channels) != (self.name, windows.channels):
            raise ValueError(
                f"som needs weights fitted on the channels {', '.join(windows.channels)}, found {weights!r}; leave "
                "weights= out, or fit with these channels"
            )
        c, network = len(windows.channels), weights.card.network
        more = [CONTEXT.index(name) for name in network["components"][c:]]
        mean, sd, low, high = weights.arrays["scaling"]
        values = np.where(windows.observed, windows.values, mean[:c, None, None])
        spread = np.where(windows.observed, np.float32(0), sd[:c, None, None])
        for b, observed in enumerate(windows.observed):  # one by one: bits do not depend on the others
            wanted = windows.sea[b] & ~observed[:, : windows.targets].all(axis=1) & observed.any()
            t, row, col = np.nonzero(wanted)
            x, known = _context(windows.season[b, t], windows.lat[b, row], windows.lon[b, col], network["meridian"])
            known = np.concatenate([observed[t, :, row, col], known[:, more]], axis=1)
            x = np.concatenate([windows.values[b, t, :, row, col], x[:, more]], axis=1)
            x = (np.clip(x, low, high) - mean) / sd
            for pattern in np.unique(known, axis=0):
                gaps = np.flatnonzero(~pattern[:c])
                mixture = _mixture(weights, tuple(pattern.tolist()))
                here = np.flatnonzero((known == pattern).all(axis=1))
                for part in np.array_split(here, -(-len(here) // PIXELS)):
                    found, width = mixture.complete(torch.from_numpy(x[part][:, pattern]))
                    place = b, t[part, None], gaps, row[part, None], col[part, None]
                    values[place] = found.numpy() * sd[gaps] + mean[gaps]
                    spread[place] = width.numpy() * sd[gaps]
        return Filled(values[None], spread)


def _sample(
    series: Series, context: bool, meridian: float, most: int
) -> tuple[Vectors, NDArray[np.bool_], tuple[str, ...]]:
    """Vectors (n, d), where they are known, and the names of their components; constant context is left out."""
    some = np.flatnonzero(series.observed.any(axis=0))
    some = some[:: max(1, -(-len(some) // most))]
    t, pixel = np.divmod(some, series.observed.shape[2])
    x, known = series.values[:, t, pixel].T.astype(np.float64), series.observed[:, t, pixel].T
    if not context or not len(some):
        return x, known, series.channels
    more, there = _context(series.season[t], series.lat[pixel], series.lon[pixel], meridian)
    kept = np.flatnonzero(np.ptp(more, axis=0) > 1e-3)
    names = (*series.channels, *(CONTEXT[k] for k in kept))
    return np.concatenate([x, more[:, kept]], axis=1), np.concatenate([known, there[:, kept]], axis=1), names


def _meridian(lon: NDArray) -> float:
    """Origin of longitudes, degrees east: the middle of the widest range of longitudes without data."""
    if not len(lon):
        return 0.0
    east = np.unique(lon)
    widths = np.diff(east, append=east[0] + 360)
    widest = widths.argmax()
    return float((east[widest] + widths[widest] / 2) % 360)


def _context(season: NDArray, lat: NDArray, lon: NDArray, meridian: float) -> tuple[NDArray, NDArray[np.bool_]]:
    """Components `CONTEXT` of n vectors, (n, 4), and where they are known."""
    dated = (season != 0).any(axis=1)
    placed = np.ones_like(dated)
    return np.column_stack([season, lat, (lon - meridian) % 360]), np.column_stack([dated, dated, placed, placed])


def _check(x: Vectors, known: NDArray[np.bool_], channels: tuple[str, ...]) -> None:
    """Refuse what no map can be made of."""
    for c, name in enumerate(channels):
        values = x[known[:, c], c]
        if not len(values):
            raise ValueError(f"som needs observations of every channel, {name} has none; leave it out")
        if np.ptp(values) <= 1e-4 * max(1.0, np.abs(values).max()):
            raise ValueError(f"som needs channels that vary, {name} is {values[0]:.6g} everywhere; leave it out")
    if x.shape[1] < 2:
        raise ValueError(f"som needs vectors of several components, found only {channels[0]}; give cond=")
    observed = known[:, : len(channels)].astype(np.float64)
    for a, b in np.argwhere(observed.T @ observed == 0):
        raise ValueError(
            f"som is fitted to pixels where all channels are observed, but {channels[a]} and {channels[b]} are never "
            "observed together; leave one of them out, or give more times"
        )
    if (complete := int(known.all(axis=1).sum())) < FEWEST:
        raise ValueError(
            f"som needs at least {FEWEST} pixels and times where {', '.join(channels)} are all observed, "
            f"found {complete}; give more data or fewer predictors"
        )


def _spread(x: Vectors, prototypes: Vectors, neighbours: Vectors) -> tuple[Vectors, Vectors, Vectors]:
    """Number (u,), mean (u, d) and covariance (u, d, d) of the complete vectors around each unit."""
    units, d = prototypes.shape
    columns = [np.ones(len(x)), *x.T, *(a * b for a in x.T for b in x.T)]
    sums = neighbours @ sums_by_unit(columns, best_units(x, prototypes), units)
    count, total, products = sums[:, 0], sums[:, 1 : d + 1], sums[:, d + 1 :].reshape(units, d, d)
    centre = (total + PRIOR_VECTORS * prototypes) / (count + PRIOR_VECTORS)[:, None]
    cross = total[:, :, None] * centre[:, None, :]
    square = count[:, None, None] * centre[:, :, None] * centre[:, None, :]
    scatter = products - cross - cross.swapaxes(1, 2) + square
    usual = scatter.sum(axis=0) / count.sum()
    covariance = (scatter + PRIOR_VECTORS * usual) / (count + PRIOR_VECTORS)[:, None, None]
    return count, centre, covariance + NUGGET * np.eye(d)


@dataclass(frozen=True)
class _Mixture:
    """The units as normal distributions, for vectors with the same k known and m missing components.

    Attributes
    ----------
    white : (k, u k) from a vector to its standardised anomalies from each unit
    white_centre : (u k) subtracted from these
    log_share : (u,) log density at the centre of each unit
    slope, constant : (k, u m), (u m) regression within each unit
    variance : (u, m) residual variance of the regression
    """

    white: Tensor
    white_centre: Tensor
    log_share: Tensor
    slope: Tensor
    constant: Tensor
    variance: Tensor

    def complete(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (n, m) of the missing components of vectors with known ones `x` (n, k)."""
        units, wanted = self.variance.shape
        departure = (x @ self.white - self.white_centre).view(len(x), units, x.shape[1])
        share = (self.log_share - 0.5 * (departure**2).sum(-1)).softmax(-1)[:, :, None]
        each = (x @ self.slope + self.constant).view(len(x), units, wanted)
        mean = (share * each).sum(1)
        return mean, (share * (self.variance + (each - mean[:, None]) ** 2)).sum(1).sqrt()


@lru_cache(maxsize=256)
def _mixture(weights: Weights, pattern: tuple[bool, ...]) -> _Mixture:
    """The mixture for vectors whose known components are `pattern`; cached, as weights compare by their hashes."""
    import torch

    count, centre, covariance = (weights.arrays[name].astype(np.float64) for name in ("count", "centre", "covariance"))
    known = np.flatnonzero(pattern)
    gaps = np.flatnonzero(~np.array(pattern[: len(weights.card.channels)]))
    units, k, m = len(count), len(known), len(gaps)
    outer = covariance[:, gaps[:, None], known]
    white = np.linalg.inv(np.linalg.cholesky(covariance[:, known[:, None], known]))
    slope = outer @ white.swapaxes(1, 2) @ white  # (u, m, k)
    left = np.einsum("umm->um", covariance[:, gaps[:, None], gaps]) - (slope * outer).sum(axis=2)
    parts = (
        white.transpose(2, 0, 1).reshape(k, units * k),
        (white @ centre[:, known, None]).reshape(units * k),
        np.log(count + 1) + np.log(np.einsum("ukk->uk", white)).sum(axis=1),
        slope.transpose(2, 0, 1).reshape(k, units * m),
        (centre[:, gaps] - (slope @ centre[:, known, None])[:, :, 0]).reshape(units * m),
        np.maximum(left, NUGGET),
    )
    return _Mixture(*(torch.from_numpy(part.astype(np.float32)) for part in parts))
