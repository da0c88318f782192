"""Kriging: optimal interpolation from the pixels seen around, with a covariance fitted to each window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.methods.background import conditions_first, trend_on, usual_covariance, weighed
from xgapfill.methods.base import one_thread
from xgapfill.methods.priors import Prior, shipped
from xgapfill.methods.windowed import no_weights, pooled_variance
from xgapfill.patch import Filled, Noise, Windows
from xgapfill.tiles import Tiling

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

Single = NDArray[np.float32]
Double = NDArray[np.float64]
Flags = NDArray[np.bool_]
Step = tuple[float, float, float]  # size of a pixel: days, km northward, km eastward

CORE, MARGIN, SIZE = (3, 48, 48), (2, 16, 16), (7, 80, 80)  # of windows: a core and its margins
# The wanted pixels among so many rows and columns share their neighbours and one factorisation.
BLOCK = 4
# Half of the neighbours are the nearest pixels; the others stand for cells of so many rows and columns, the nearest
# ones. So few pixels see as far as four times as many of the nearest, which crowd at the edge of the gap.
CELL = 4
AT_ONCE = 64  # blocks, so that their systems stay in the cache
USELESS = 10.0  # what errs with so many times the variance of the field would take the place of a better neighbour
LOCAL_BELIEF = 20.0  # pixels' worth of belief that a block varies as much as its window
PERIODS = (3, 2, 2)  # of the box that realisations are drawn on, in windows


@dataclass(frozen=True)
class Covariance:
    """Two nested powered-exponential structures and a nugget.

    C(h, d) = v1 exp(-((h / l1)^2 + (d / t1)^2)^(power / 2)) + the same of v2, l2 and t2; + nugget where h = d = 0.
    Lengths l1, l2 are in km, times t1, t2 in days; power is between 0 (rough) and 2 (smooth).
    """

    v1: float
    v2: float
    nugget: float
    l1: float
    l2: float
    t1: float
    t2: float
    power: float

    def __call__(self, km2: Double, days: Double) -> Double:
        """Covariance, without the nugget, at squared distances and differences of time."""
        import torch

        from xgapfill.methods.variogram import structures

        return structures(astuple(self), torch.from_numpy(km2), torch.from_numpy(days**2)).numpy()

    def at(self, lags: tuple[NDArray, ...], step: Step) -> Double:
        """Covariance, without the nugget, at all lags of (t,) frames, (y,) rows and (x,) columns: (t, y, x)."""
        (t, later), (y, up), (x, right) = (np.unique(np.abs(lag), return_inverse=True) for lag in lags)
        km2 = (y[:, None] * step[1]) ** 2 + (x * step[2]) ** 2
        return self(km2, t[:, None, None] * step[0])[np.ix_(later, up, right)]


# What a variance of 1 of log10 chlorophyll is made of where a window does not tell, chosen on the choose set.
USUAL = Covariance(*shipped()["log10_chl"].covariance)


def fit(values: Single, seen: Flags, variance: float, step: Step, prior: Prior | None = None) -> Covariance:
    """Covariance fitted to the variogram of departures (t, y, x), 0 where not seen, shrunk to that of `prior`.

    See `variogram.fit`. `variance` is theirs, as far as it is known; the prior is chlorophyll's if none is given.
    """
    import torch

    from xgapfill.methods import variogram

    field, there = (torch.from_numpy(np.asarray(part, np.float32))[None] for part in (values, seen))
    known = usual_covariance(prior or shipped()["log10_chl"], torch.tensor([variance], dtype=torch.float64))
    found = variogram.fit(field, there, *known, step[0], torch.tensor([step[1:]], dtype=torch.float32))
    return Covariance(*found[0].exp().tolist())


class Kriged(NamedTuple):
    """What kriging says of n wanted pixels."""

    estimate: Double  # (f, n), one row a field
    variance: Double  # (n,), of the error against a new observation there, noise and all
    misfit: Double  # (n,), how many times more the first field varies around there than the covariance says


def krige(
    values: NDArray,
    seen: Flags,
    wanted: Flags,
    covariance: Covariance,
    step: Step,
    neighbours: int = 64,
    errors: Single | None = None,
) -> Kriged:
    """Simple kriging of departures from a known trend, from the neighbours of each block of pixels.

    Blocks of `BLOCK` x `BLOCK` pixels of a frame share their neighbours, so that one Cholesky factor gives all of
    them and all fields; covariances come from a table by lag. Journel & Huijbregts (1978), Mining Geostatistics;
    as objective analysis: Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2.

    Parameters
    ----------
    values : (f, t, y, x) float, one or more fields of mean 0, seen at the same pixels
    seen, wanted : (t, y, x) bool, pixels known and pixels to estimate; these come back in C order
    covariance : what all fields vary like
    step : days, km northward and km eastward of a pixel
    neighbours : seen pixels that a block is estimated from
    errors : (t, y, x), variance by which values err beside the nugget

    Examples
    --------
    >>> values = np.zeros((1, 1, 1, 3))
    >>> values[..., 0] = 1.0
    >>> near = krige(values, values[0] > 0, values[0] == 0, USUAL, (8.0, 4.6, 4.6))
    >>> near.estimate.round(2).tolist(), near.variance.round(2).tolist()
    ([[0.95, 0.92]], [0.09, 0.16])
    """
    import torch

    table = covariance.at(tuple(np.arange(1 - n, n) for n in seen.shape), step)
    middle = table.size // 2
    sill = float(table.flat[middle]) + covariance.nugget
    places, targets = np.argwhere(seen), np.argwhere(wanted)
    out = Kriged(np.zeros((len(values), len(targets))), np.full(len(targets), sill), np.ones(len(targets)))
    if not len(places) or not len(targets):
        return out
    groups, centres = _blocks(targets, seen.shape)
    scale = np.array([_frame(table), 1.0, step[2] / step[1]])
    near, use = _neighbours(places, centres, scale, neighbours)
    span = np.array([table.shape[1] * table.shape[2], table.shape[2], 1])  # differences of places @ span find lags
    known, asked, table = places @ span, targets @ span, table.ravel()
    observed = values[:, seen].T.astype(np.float64)
    doubt = np.zeros(len(places)) if errors is None else errors[seen].astype(np.float64)
    diagonal = np.arange(near.shape[1])
    for start in range(0, len(groups), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        at, group, keep = known[near[part]], groups[part], use[part]
        matrix = table[at[:, :, None] - at[:, None, :] + middle]
        # what is not used is all noise
        matrix[:, diagonal, diagonal] = np.where(keep, sill + doubt[near[part]], 1e9 * sill)
        toward = table[at[:, :, None] - asked[group][:, None, :] + middle]
        right = np.concatenate([toward, observed[near[part]]], axis=-1) * keep[..., None]
        lower = torch.linalg.cholesky(torch.from_numpy(matrix))
        solved = torch.linalg.solve_triangular(lower, torch.from_numpy(right), upper=False)
        r, z = solved.tensor_split([group.shape[1]], dim=-1)
        out.estimate[:, group] = torch.matmul(z.transpose(1, 2), r).transpose(0, 1).numpy()
        out.variance[group] = np.maximum(sill - (r * r).sum(dim=1).numpy(), 1e-6 * sill)
        squares = (z[..., :1] ** 2).sum(dim=1).numpy()
        out.misfit[group] = (squares + LOCAL_BELIEF) / (keep.sum(axis=1, keepdims=True) + LOCAL_BELIEF)
    return out


def _frame(table: Double) -> float:
    """How many rows away a pixel tells as little as one a frame away."""
    t, y, x = (n // 2 for n in table.shape)
    along = table[t, y:, x]
    return float(np.interp(-table[t + 1, y, x], -along, np.arange(len(along)))) if t > 0 else 1.0


def _blocks(targets: NDArray, shape: tuple[int, ...]) -> tuple[NDArray, Double]:
    """Group targets (n, 3) by block: their numbers (b, m), the last repeated to fill up, and their centres (b, 3)."""
    key = np.ravel_multi_index(tuple((targets // [1, BLOCK, BLOCK]).T), shape)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    count = np.diff(first, append=len(key))[:, None]
    members = order[first[:, None] + np.minimum(np.arange(count.max()), count - 1)]
    return members, np.add.reduceat(targets[order], first, axis=0) / count


def _neighbours(places: NDArray, centres: Double, scale: Double, count: int) -> tuple[NDArray, Flags]:
    """Numbers (b, k) of the places (n, 3) to estimate around the centres (b, 3) from, and which of them to use."""
    from scipy.spatial import cKDTree

    def nearest(numbers: NDArray, k: int) -> NDArray:
        tree = cKDTree(places[numbers] * scale)
        return numbers[tree.query(centres * scale, k=range(1, min(k, len(numbers)) + 1))[1]]

    near = nearest(np.arange(len(places)), count - count // 2)
    if count > 1:
        cells = places // [1, CELL, CELL]
        off = ((places[:, 1:] % CELL - (CELL - 1) / 2) ** 2).sum(axis=1)
        order = np.lexsort((off, *cells.T))
        central = np.diff(cells[order], axis=0, prepend=-1).any(axis=1)
        near = np.concatenate([near, nearest(order[central], count // 2)], axis=1)
    near.sort(axis=1)
    return near, np.diff(near, axis=1, prepend=-1) != 0  # a pixel that came twice is used once


def amplitudes(box: tuple[int, ...], covariance: Covariance, step: Step) -> Single:
    """Root of the spectrum, nugget and all, of a periodic box (t, y, x), in the layout of a real Fourier transform.

    Circulant embedding, Dietrich & Newsam (1997), doi:10.1137/S1064827592240555. Lags beyond a quarter of the box are
    shortened little by little, so that none grows when it meets its image half a box away: without a kink there, next
    to nothing of the spectrum is negative and has to be cut, and near lags keep their covariance.
    """
    from scipy import fft

    def lags(n: int) -> Double:
        lag = np.minimum(np.arange(n), n - np.arange(n)).astype(np.float64)
        return lag - np.maximum(lag - n / 4, 0) ** 2 / (n / 2)

    table = covariance.at(tuple(lags(n) for n in box), step)
    table[0, 0, 0] += covariance.nugget
    spectrum = np.maximum(fft.rfftn(table).real, 0)
    spectrum *= table[0, 0, 0] / fft.irfftn(spectrum, s=box)[0, 0, 0]
    return np.sqrt(spectrum).astype(np.float32)


def unconditional(white: Single, amplitude: Single) -> Single:
    """Gaussian field of the covariance of `amplitudes`, from standard normal noise on its box (t, y, x): blurred by a
    symmetric kernel, so that overlapping boxes of one noise have nearly the same field.
    """
    from scipy import fft

    return fft.irfftn(fft.rfftn(white) * amplitude, s=white.shape)


class _Channel(NamedTuple):
    """A channel of one window with what was seen pasted in: (t, y, x), (t, y, x) and (m, t, y, x)."""

    mean: Single
    spread: Single
    members: Single


@dataclass(frozen=True)
class Kriging:
    """Optimal interpolation in space-time neighbourhoods, on what a regression on the conditions leaves.

    Done on the transformed variable (log10 of chlorophyll, log-ratios of size classes). Nugget and two nested
    structures, in km and days, are fitted to the variogram of each window.

    Parameters
    ----------
    realisations : bool
        Return members, realisations of what would have been observed, instead of the mean.
    neighbours : int
        Seen pixels that each block of 4 x 4 pixels is estimated from: from 1, or a ValueError is raised.

    References
    ----------
    Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2; realisations by conditioning by kriging: Journel (1974),
    doi:10.2113/gsecongeo.69.5.673.

    Examples
    --------
    >>> Kriging(realisations=True).draws
    True
    """

    realisations: bool = False
    neighbours: int = 64

    name: ClassVar[str] = "kriging"
    takes_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.realisations, bool):
            raise ValueError(f"realisations must be True (members) or False (mean), found {self.realisations!r}.")
        if isinstance(self.neighbours, bool) or not isinstance(self.neighbours, int) or self.neighbours < 1:
            raise ValueError(f"neighbours must be a whole number from 1, found {self.neighbours!r}; 30 to 100 do well.")

    @property
    def draws(self) -> bool:
        """Whether it gives members."""
        return self.realisations

    def drawing(self) -> Kriging:
        """Return the same method with members."""
        return replace(self, realisations=True)

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """It needs none: ValueError when it has no priors for a channel."""
        no_weights(self.name, channels)
        return None

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows with margins: each pixel is kriged once."""
        return Tiling(ncols, size=SIZE, stride=CORE, margin=MARGIN)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel, or `members` realisations; margins are given the trend."""
        import torch

        one_thread()
        with torch.no_grad():
            count = members if self.realisations else 0
            sure, _ = weighed(windows, shipped())
            batch = [self._window(windows, k, sure[k].swapaxes(0, 1), noise, count) for k in range(len(sure))]
        values = [[c.members if self.realisations else c.mean[None] for c in window] for window in batch]
        spread = [[c.spread for c in window] for window in batch]
        return Filled(np.stack([np.stack(v, axis=2) for v in values], axis=1), np.stack(spread).swapaxes(1, 2))

    def _window(self, windows: Windows, k: int, seen: Flags, noise: Noise, members: int) -> list[_Channel]:
        """All channels of one window, of which `seen` (c, t, y, x) is sure: conditions first, the targets on them."""
        targets = windows.targets
        core = np.pad(np.ones(CORE, bool), [(n, n) for n in MARGIN])
        here = windows.sea[k] & (core if core.shape == seen[0].shape else np.ones_like(seen[0]))
        done: dict[int, _Channel] = {}
        for c in conditions_first(targets, len(seen)):
            given = {windows.channels[i]: done[i] for i in range(targets, len(seen)) if c < targets}
            # the regression looks at conditions wherever a target was seen
            asked = here | windows.seen[k, :, :targets].any(axis=1) if c >= targets else here
            done[c] = self._channel(windows, k, c, seen[c], asked & ~seen[c], given, noise, members)
        return [done[c] for c in range(len(seen))]

    def _channel(
        self,
        windows: Windows,
        k: int,
        c: int,
        seen: Flags,
        wanted: Flags,
        given: Mapping[str, _Channel],
        noise: Noise,
        members: int,
    ) -> _Channel:
        """One channel of one window, given the conditions."""
        y, known, prior = windows.values[k, :, c], windows.seen[k, :, c], shipped()[windows.channels[c]]
        errors = np.zeros_like(y) if windows.variance is None else windows.variance[k, :, c] * ~seen
        north, east = windows.step_km[k].tolist()
        step = windows.step_days, north, east
        trend, trend_variance = _regress(y, seen, prior, {name: (on.mean, on.spread) for name, on in given.items()})
        departure = (y - trend) * known
        squares = float(np.sum((departure * seen) ** 2, dtype=np.float64))
        variance = pooled_variance(squares, float(seen.sum()), prior.variance)
        covariance = fit(departure * seen, seen, variance, step, prior)
        sill = covariance.v1 + covariance.v2 + covariance.nugget
        known = known & (errors <= USELESS * sill)
        drawn = [sure := np.zeros_like(y)] * members
        if members and wanted.any():
            drawn = _draw(y.shape, windows.starts[k], c, noise, members, covariance, step)
        # a member stands on the regression on the conditions of the same member
        of_members = [{name: (on.members[m], sure) for name, on in given.items()} for m in range(members)]
        trends = [_regress(y, seen, prior, conditions)[0] if given else trend for conditions in of_members]
        erring = [simulated + _errors(errors, windows, k, c, noise, m) for m, simulated in enumerate(drawn)]
        fields = np.stack([departure, *erring, *((y - each) * known for each in trends)])
        kriged = krige(fields, known, wanted, covariance, step, self.neighbours, errors)
        mean, spread = trend.copy(), trend_variance + sill
        mean[wanted] += kriged.estimate[0]
        spread[wanted] = trend_variance[wanted] + kriged.variance * kriged.misfit
        mean[seen], spread[seen] = y[seen], 0
        filled = np.empty((members, *y.shape), np.float32)
        for m, (simulated, below) in enumerate(zip(drawn, trends, strict=True)):
            error = np.sqrt(kriged.misfit) * (simulated[wanted] - kriged.estimate[1 + m])
            filled[m] = below + simulated
            filled[m, wanted] = below[wanted] + kriged.estimate[1 + members + m] + error
            filled[m, seen] = y[seen]
        return _Channel(mean, np.sqrt(spread).astype(np.float32), filled)


def _regress(
    y: Single, seen: Flags, prior: Prior, conditions: Mapping[str, tuple[Single, Single]]
) -> tuple[Single, Single]:
    """Regression on the conditions, shrunk to the prior, and its variance through their errors: (t, y, x) fields."""
    import torch

    def batch(array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]

    given = {name: (batch(mean), batch(error)) for name, (mean, error) in conditions.items()}
    trend, variance = trend_on(batch(y), batch(seen), prior, given)
    return trend[0].numpy(), variance[0].numpy()


def _errors(variance: Single, windows: Windows, k: int, c: int, noise: Noise, member: int) -> Single:
    """Errors of channel c of a window drawn for a member, (t, y, x)."""
    if not variance.any():
        return np.zeros_like(variance)
    slot, row, col = windows.starts[k].tolist()
    return np.sqrt(variance) * noise(member, len(windows.channels) + c, (slot, row, col), (1, *variance.shape))[0]


def _draw(
    shape: tuple[int, ...], start: NDArray, c: int, noise: Noise, members: int, covariance: Covariance, step: Step
) -> list[Single]:
    """Unconditional realisations of channel c on a window, cut from a box around it."""
    from scipy import fft

    t, y, x = (fft.next_fast_len(more * n, real=True) if n > 1 else 1 for n, more in zip(shape, PERIODS, strict=True))
    before = [(n - m) // 2 for n, m in zip((t, y, x), shape, strict=True)]
    slot, row, col = (int(first) - n for first, n in zip(start, before, strict=True))
    inside = tuple(slice(n, n + m) for n, m in zip(before, shape, strict=True))
    amplitude = amplitudes((t, y, x), covariance, step)
    whites = (noise(m, c, (slot, row, col), (1, t, y, x))[0] for m in range(members))
    return [unconditional(white, amplitude)[inside] for white in whites]
