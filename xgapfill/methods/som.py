"""A self-organising map that completes the vector of a pixel, size classes and drivers, from its known part.

The map is Kohonen's, trained in batches; vectors with gaps join the training as the map completes them (ITCOMP-SOM).
The units are then places on the surface along which the vectors lie, each with the spread of the vectors around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from xgapfill.patch import Filled, Noise, Series, Windows
from xgapfill.tiles import Tiling

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

Vectors: TypeAlias = NDArray[np.float64]

WINDOW = 64  # pixels; they are treated one by one, windows only bound the memory
CONTEXT = ("season_cos", "season_sin", "latitude")
# Widths, in distances of units, chosen on three simulated oceans by the error where nothing was shown and the spread:
LAST_RADIUS = 0.3  # of the neighbourhood at the end of the training
SPREAD_RADIUS = 0.4  # of that in which a unit's mean and covariance are taken
TURN_EPOCHS = 3  # each time that vectors with one more gap join
MOST_UNITS = 4096  # distances of all pairs of them, and of vectors to them, are held in memory
FEWEST = 100  # complete vectors, without which there is no map
VECTORS_PER_UNIT = 20
# Mean and covariance of a unit are shrunk as if so many vectors lay around its prototype, as spread as in any unit.
PRIOR_VECTORS = 20.0
NUGGET = 1e-4  # variance of a standardised component that nothing explains
BLOCK = 4096  # vectors at a time in the training
PIXELS = 1024  # and in filling


@dataclass(frozen=True)
class Som:
    """Self-organising map: the unknown part of a pixel's vector from the units nearest to its known part.

    Each pixel is filled for itself from the channels that are known there. Where none is, season and latitude say
    what is usual, or without `context` the mean of all.

    Parameters
    ----------
    rows, cols : int
        Units of the hexagonal map; fewer where there are not 20 complete vectors for each.
    epochs : int
        Passes over the complete vectors while the neighbourhood shrinks.
    context : bool
        Season and latitude belong to the vector.
    linear : bool
        Inside a unit the unknown components follow the known ones by linear regression, from the unit's covariance.
        If False they are independent of each other there, as in the papers.
    vectors : int
        At most so many vectors are used, every k-th.
    progress : bool
        Show a progress bar while it is fitted. Interrupting the fit (Ctrl-C) leaves the map as it is then.

    References
    ----------
    Kohonen (2013), doi:10.1016/j.neunet.2012.09.018: the batch map. Charantonis et al. (2015), Procedia Computer
    Science 51, 2198-2206: ITCOMP-SOM, where vectors join by the number of their gaps and distances are weighted by
    correlations. Jouini et al. (2013), Remote Sensing of Environment: chlorophyll under clouds from a map of
    chlorophyll and drivers. El Hourany et al. (2019), doi:10.1029/2018JC014450: pigments from a map of pigments and
    satellite data. They take the prototype of the best unit; here all units count by their likelihood, which gives
    the spread as well.

    Examples
    --------
    >>> Som(rows=8, cols=6).tiling(8640, (0, 46)).size
    (1, 64, 64)
    """

    rows: int = 15
    cols: int = 10
    epochs: int = 30
    context: bool = True
    linear: bool = True
    vectors: int = 200_000
    progress: bool = False

    name: ClassVar[str] = "som"
    draws: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, least in {"rows": 1, "cols": 1, "epochs": 1, "vectors": FEWEST}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, found {value!r}")
        if self.rows * self.cols > MOST_UNITS:
            raise ValueError(
                f"a map of {self.rows} x {self.cols} units would not fit in memory; take at most {MOST_UNITS} units"
            )
        for name in ("context", "linear", "progress"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, found {getattr(self, name)!r}")

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """None: the map is fitted on the data."""
        return None

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Single frames, side by side."""
        return Tiling(ncols, size=(1, WINDOW, WINDOW), stride=(1, WINDOW, WINDOW))

    def fit(self, series: Series) -> Weights:
        """Train the map on the vectors of the sample.

        Raises
        ------
        ValueError
            When a channel is constant, never seen or never seen together with another, or vectors are too few.
        """
        from xgapfill.weights import Card, Weights

        x, known, components = _sample(series, self.context, self.vectors)
        _check(x, known, series.channels)
        complete = known.all(axis=1)
        low, high = np.where(known, x, np.inf).min(axis=0), np.where(known, x, -np.inf).max(axis=0)
        mean = np.where(known, x, 0).sum(axis=0) / known.sum(axis=0)
        sd = np.sqrt((np.where(known, x - mean, 0) ** 2).sum(axis=0) / known.sum(axis=0))
        x = np.where(known, (x - mean) / sd, 0)
        shape = _shape(self.rows, self.cols, int(complete.sum()))
        prototypes = _train(x, known, shape, self.epochs, self.progress)
        count, centre, covariance = _spread(x[complete], prototypes, _neighbours(shape, SPREAD_RADIUS))
        if not self.linear:
            covariance = covariance * np.eye(len(components))
        scaling = np.stack([mean, sd, low, high])
        arrays = {"scaling": scaling, "count": count, "centre": centre, "covariance": covariance}
        card = Card(
            name="som",
            method=self.name,
            targets=series.channels[: series.targets],
            conditions=series.channels[series.targets :],
            network={"components": components, "rows": shape[0], "cols": shape[1]},
            ranges={name: (low[c], high[c]) for c, name in enumerate(series.channels)},
            trained_on=f"{len(x)} vectors of one data set, {int(complete.sum())} of them complete",
        )
        return Weights(card, {name: array.astype(np.float32) for name, array in arrays.items()})

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and standard deviation of the unknown channels of every pixel; `members` must be 1."""
        import torch

        from xgapfill.methods.base import one_thread

        if weights is None or (weights.card.method, weights.card.channels) != (self.name, windows.channels):
            raise ValueError(
                f"som needs weights that it was fitted to on the channels {', '.join(windows.channels)}, found "
                f"{weights!r}; leave weights= out, or fit with these channels"
            )
        one_thread()
        c = len(windows.channels)
        more = [CONTEXT.index(name) for name in weights.card.network["components"][c:]]
        mean, sd, low, high = weights.arrays["scaling"]
        values = np.where(windows.seen, windows.values, mean[:c, None, None])
        spread = np.where(windows.seen, np.float32(0), sd[:c, None, None])
        for b, seen in enumerate(windows.seen):  # one by one: bits do not depend on the others
            wanted = windows.sea[b] & ~seen[:, : windows.targets].all(axis=1) & seen.any()
            t, row, col = np.nonzero(wanted)
            x, known = _context(windows.season[b, t], windows.lat[b, row])
            known = np.concatenate([seen[t, :, row, col], known[:, more]], axis=1)
            x = np.concatenate([windows.values[b, t, :, row, col], x[:, more]], axis=1)
            x = (np.clip(x, low, high) - mean) / sd
            for pattern in np.unique(known, axis=0):
                gaps = np.flatnonzero(~pattern[:c])
                mixture = _mixture(weights, tuple(pattern.tolist()))
                here = np.flatnonzero((known == pattern).all(axis=1))
                for part in np.array_split(here, -(-len(here) // PIXELS)):
                    with torch.no_grad():
                        found, width = mixture.complete(torch.from_numpy(x[part][:, pattern]))
                    place = b, t[part, None], gaps, row[part, None], col[part, None]
                    values[place] = found.numpy() * sd[gaps] + mean[gaps]
                    spread[place] = width.numpy() * sd[gaps]
        return Filled(values[None], spread)


def _sample(series: Series, context: bool, most: int) -> tuple[Vectors, NDArray[np.bool_], tuple[str, ...]]:
    """Vectors (n, d), where they are known, and the names of their components; context that varies not is left out."""
    some = np.flatnonzero(series.seen.any(axis=0))
    some = some[:: max(1, -(-len(some) // most))]
    t, pixel = np.divmod(some, series.seen.shape[2])
    x, known = series.values[:, t, pixel].T.astype(np.float64), series.seen[:, t, pixel].T
    if not context or not len(some):
        return x, known, series.channels
    more, there = _context(series.season[t], series.lat[pixel])
    kept = np.flatnonzero(np.ptp(more, axis=0) > 1e-3)
    names = (*series.channels, *(CONTEXT[k] for k in kept))
    return np.concatenate([x, more[:, kept]], axis=1), np.concatenate([known, there[:, kept]], axis=1), names


def _context(season: NDArray, lat: NDArray) -> tuple[NDArray, NDArray[np.bool_]]:
    """Components `CONTEXT` of n vectors, (n, 3), and where they are known."""
    dated = (season != 0).any(axis=1)
    return np.column_stack([season, lat]), np.column_stack([dated, dated, np.ones_like(dated)])


def _check(x: Vectors, known: NDArray[np.bool_], channels: tuple[str, ...]) -> None:
    """Refuse what no map can be made of."""
    for c, name in enumerate(channels):
        values = x[known[:, c], c]
        if not len(values):
            raise ValueError(f"som needs channels that are seen somewhere, {name} never is; leave it out")
        if np.ptp(values) <= 1e-6 * max(1.0, np.abs(values).max()):
            raise ValueError(f"som needs channels that vary, {name} is {values[0]:.6g} everywhere; leave it out")
    if x.shape[1] < 2:
        raise ValueError(f"som completes vectors of several components, found only {channels[0]}; give cond=")
    seen = known[:, : len(channels)].astype(np.float64)
    for a, b in np.argwhere(seen.T @ seen == 0):
        raise ValueError(
            f"som learns from pixels where all channels are seen, but {channels[a]} and {channels[b]} never are "
            "together; leave one of them out, or give more times"
        )
    if (complete := int(known.all(axis=1).sum())) < FEWEST:
        raise ValueError(
            f"som needs at least {FEWEST} pixels and times where {', '.join(channels)} are all seen, found {complete}; "
            "give more data or fewer conditions"
        )


def _shape(rows: int, cols: int, vectors: int) -> tuple[int, int]:
    """Rows and columns of a map that so many vectors can fill."""
    scale = min(1.0, (vectors / VECTORS_PER_UNIT / (rows * cols)) ** 0.5)
    return max(1, int(rows * scale)), max(1, int(cols * scale))


def _places(shape: tuple[int, int]) -> Vectors:
    """Where the units of a hexagonal map lie, (u, 2); neighbours are 1 apart."""
    row, col = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.stack([row * np.sqrt(0.75), col + 0.5 * (row % 2)], axis=1)


def _neighbours(shape: tuple[int, int], radius: float) -> Vectors:
    """Gaussian neighbourhood of each pair of units, (u, u)."""
    places = _places(shape)
    return np.exp(-0.5 * ((places[:, None] - places) ** 2).sum(axis=-1) / radius**2)


def _train(
    x: Vectors, known: NDArray[np.bool_], shape: tuple[int, int], epochs: int, progress: bool = False
) -> Vectors:
    """Prototypes (u, d): a map of the complete vectors, in which then those with more and more gaps take part."""
    steps = _steps(x, known, shape, epochs)
    total = epochs + TURN_EPOCHS * len(np.unique((~known).sum(axis=1)[~known.all(axis=1)]))
    found = []
    try:
        for prototypes in tqdm(steps, desc="epochs of the map", total=total, disable=not progress):
            found = [prototypes]
    except KeyboardInterrupt:
        if not found:
            raise
    return found[0]


def _steps(x: Vectors, known: NDArray[np.bool_], shape: tuple[int, int], epochs: int) -> Iterator[Vectors]:
    """Prototypes after each epoch."""
    complete = x[known.all(axis=1)]
    covariance = np.cov(complete.T)
    prototypes = complete.mean(axis=0) + _plane(covariance, shape)
    for radius in np.geomspace(max(LAST_RADIUS, max(shape) / 2), LAST_RADIUS, epochs):
        prototypes = batch_update(complete, best_units(complete, prototypes), prototypes, _neighbours(shape, radius))
        yield prototypes
    neighbours = _neighbours(shape, LAST_RADIUS)
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    likeness = (covariance / sd[:, None] / sd) ** 2
    gaps = (~known).sum(axis=1)
    for most in np.unique(gaps[gaps > 0]):
        part = gaps <= most
        # a known component counts the more, the closer the unknown ones go with it
        weight = known[part] * (1 + ~known[part] @ likeness)
        filled = np.where(known[part], x[part], prototypes[best_units(x[part], prototypes, weight)])
        for _ in range(TURN_EPOCHS):
            prototypes = batch_update(filled, best_units(filled, prototypes), prototypes, neighbours)
            yield prototypes


def _plane(covariance: Vectors, shape: tuple[int, int]) -> Vectors:
    """Units on the plane of the first two principal components, two standard deviations to each side of the mean."""
    variance, axes = np.linalg.eigh(covariance)
    variance, axes = variance[:-3:-1], axes[:, :-3:-1]  # the two largest, the first for the longer side
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # the opposite is an eigenvector as well
    places = _places(shape)[:, [0, 1] if shape[0] >= shape[1] else [1, 0]]
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return 2 * places / np.maximum(places.max(axis=0), 1) * np.sqrt(np.maximum(variance, 0)) @ axes.T


def best_units(x: Vectors, prototypes: Vectors, weight: Vectors | None = None) -> NDArray[np.int64]:
    """Unit nearest to each vector, (n,): the smallest sum of weight (x - m)^2; unknown components weigh 0."""
    best = np.empty(len(x), np.int64)
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        w = np.ones_like(x[block]) if weight is None else weight[block]
        # the sum of weight x^2 is the same for all units
        best[block] = (w @ (prototypes**2).T - 2 * (w * x[block]) @ prototypes.T).argmin(axis=1)
    return best


def batch_update(x: Vectors, best: NDArray[np.int64], prototypes: Vectors, neighbours: Vectors) -> Vectors:
    """One step of the batch map: m_i = sum_j h_ij n_j x_j / sum_j h_ij n_j, with x_j the mean of the n_j vectors of j.

    Parameters
    ----------
    x, best : (n, d) vectors and (n,) the best unit of each
    prototypes : (u, d), what a unit remains that has no vectors near it
    neighbours : (u, u), h

    Examples
    --------
    Two units, 0 the best for the vectors 0 and 1, the other for 4; each lets the other have half of its vectors:

    >>> h = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> batch_update(np.array([[0.0], [1.0], [4.0]]), np.array([0, 0, 1]), np.array([[0.0], [4.0]]), h).ravel()
    array([1.2 , 2.25])
    """
    sums = neighbours @ _sums([np.ones(len(x)), *x.T], best, len(prototypes))
    near = sums[:, :1]
    return np.where(near > 1e-12, sums[:, 1:] / np.maximum(near, 1e-12), prototypes)


def _sums(columns: Sequence[NDArray], best: NDArray[np.int64], units: int) -> Vectors:
    """Sums of columns over the vectors of each unit, (u, columns), one vector after the other."""
    return np.stack([np.bincount(best, column, units) for column in columns], axis=1)


def _spread(x: Vectors, prototypes: Vectors, neighbours: Vectors) -> tuple[Vectors, Vectors, Vectors]:
    """Number (u,), mean (u, d) and covariance (u, d, d) of the complete vectors around each unit."""
    units, d = prototypes.shape
    columns = [np.ones(len(x)), *x.T, *(a * b for a in x.T for b in x.T)]
    sums = neighbours @ _sums(columns, best_units(x, prototypes), units)
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
    """The units as normal distributions, for vectors of which the same k components are known and m are wanted.

    Attributes
    ----------
    white : (k, u k) from a vector to its standardised departures from each unit
    white_centre : (u k) what is subtracted from them
    log_share : (u,) logarithm of the density of a vector without departure
    slope, constant : (k, u m), (u m) regression inside each unit
    variance : (u, m) what the regression leaves
    """

    white: Tensor
    white_centre: Tensor
    log_share: Tensor
    slope: Tensor
    constant: Tensor
    variance: Tensor

    def complete(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (n, m) of the wanted components of vectors with known ones `x` (n, k)."""
        units, wanted = self.variance.shape
        departure = (x @ self.white - self.white_centre).view(len(x), units, x.shape[1])
        share = (self.log_share - 0.5 * (departure**2).sum(-1)).softmax(-1)[:, :, None]
        each = (x @ self.slope + self.constant).view(len(x), units, wanted)
        mean = (share * each).sum(1)
        return mean, (share * (self.variance + (each - mean[:, None]) ** 2)).sum(1).sqrt()


@lru_cache(maxsize=256)
def _mixture(weights: Weights, pattern: tuple[bool, ...]) -> _Mixture:
    """The mixture for vectors known as `pattern` says; weights are equal when their hashes are."""
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
