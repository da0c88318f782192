"""Kriging from the nearest observations, and unconditional draws of a Gaussian field."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from xgapfill.gaussian.background import usual_covariance
from xgapfill.gaussian.priors import Prior

Single = NDArray[np.float32]
Double = NDArray[np.float64]
Flags = NDArray[np.bool_]
Step = tuple[float, float, float]  # size of a pixel: days, km northward, km eastward
# Rows and columns of a block of target pixels, which share their neighbours and one factorisation.
BLOCK = 4
# Half of the neighbours are the nearest pixels; the others represent the nearest cells of this many rows and columns.
# So few pixels extend as far as four times as many nearest ones, which crowd at the edge of the gap.
CELL = 4
AT_ONCE = 64  # blocks solved at once, so that their systems stay in the cache
USELESS = 10.0  # largest error variance of a neighbour, in variances of the field
LOCAL_BELIEF = 20.0  # pseudo-count of pixels: a block varies like its window
PERIODS = (3, 2, 2)  # size of the box for realisations, in windows


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

        from xgapfill.gaussian.covariance import structures

        return structures(astuple(self), torch.from_numpy(km2), torch.from_numpy(days**2)).numpy()

    def at(self, lags: tuple[NDArray, ...], step: Step) -> Double:
        """Covariance, without the nugget, at all lags of (t,) frames, (y,) rows and (x,) columns: (t, y, x)."""
        (t, later), (y, up), (x, right) = (np.unique(np.abs(lag), return_inverse=True) for lag in lags)
        km2 = (y[:, None] * step[1]) ** 2 + (x * step[2]) ** 2
        return self(km2, t[:, None, None] * step[0])[np.ix_(later, up, right)]


# Prior covariance of unit variance, chosen on the validation set.
_ANY = Prior(mean=0.0, variance=1.0)
USUAL = Covariance(*_ANY.covariance)


def fit(values: Single, observed: Flags, variance: float, step: Step, prior: Prior | None = None) -> Covariance:
    """Covariance fitted to the variogram of anomalies (t, y, x), 0 where missing, shrunk to that of `prior`.

    See `covariance.fit`. `variance` is the estimated variance of the anomalies; without `prior`, a general one is used.
    """
    import torch

    from xgapfill.gaussian import covariance as variogram

    field, there = (torch.from_numpy(np.asarray(part, np.float32))[None] for part in (values, observed))
    known = usual_covariance(prior or _ANY, torch.tensor([variance], dtype=torch.float64), step[0])
    found = variogram.fit(field, there, *known, step[0], torch.tensor([step[1:]], dtype=torch.float32))
    return Covariance(*found[0].exp().tolist())


class Kriged(NamedTuple):
    """Result of kriging at n target pixels."""

    estimate: Double  # (f, n), one row per field
    variance: Double  # (n,), of the error against a new observation, including its noise
    misfit: Double  # (n,), ratio of the local variance of the first field to that of the covariance


def krige(
    values: NDArray,
    observed: Flags,
    wanted: Flags,
    covariance: Covariance,
    step: Step,
    neighbours: int = 64,
    errors: Single | None = None,
) -> Kriged:
    """Simple kriging of anomalies from a known trend, from the neighbours of each block of pixels.

    Blocks of `BLOCK` x `BLOCK` pixels of a frame share their neighbours, so that one Cholesky factor serves all their
    pixels and all fields; covariances come from a table by lag. Journel & Huijbregts (1978), Mining Geostatistics;
    as objective analysis: Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2.

    Parameters
    ----------
    values : (f, t, y, x) float, one or more fields of mean 0, observed at the same pixels
    observed, wanted : (t, y, x) bool, known pixels and pixels to estimate; estimates are in C order
    covariance : of all fields
    step : days, km northward and km eastward of a pixel
    neighbours : number of observed pixels for the estimate of a block
    errors : (t, y, x), error variance of values in addition to the nugget

    Examples
    --------
    >>> values = np.zeros((1, 1, 1, 3))
    >>> values[..., 0] = 1.0
    >>> near = krige(values, values[0] > 0, values[0] == 0, USUAL, (8.0, 4.6, 4.6))
    >>> near.estimate.round(2).tolist(), near.variance.round(2).tolist()
    ([[0.95, 0.92]], [0.09, 0.16])
    """
    import torch

    table = covariance.at(tuple(np.arange(1 - n, n) for n in observed.shape), step)
    middle = table.size // 2
    sill = float(table.flat[middle]) + covariance.nugget
    places, targets = np.argwhere(observed), np.argwhere(wanted)
    out = Kriged(np.zeros((len(values), len(targets))), np.full(len(targets), sill), np.ones(len(targets)))
    if not len(places) or not len(targets):
        return out
    groups, centres = _blocks(targets, observed.shape)
    scale = np.array([_frame(table), 1.0, step[2] / step[1]])
    near, use = _neighbours(places, centres, scale, neighbours)
    span = np.array([table.shape[1] * table.shape[2], table.shape[2], 1])  # differences of places @ span find lags
    known, asked, table = places @ span, targets @ span, table.ravel()
    data = values[:, observed].T.astype(np.float64)
    doubt = np.zeros(len(places)) if errors is None else errors[observed].astype(np.float64)
    diagonal = np.arange(near.shape[1])
    for start in range(0, len(groups), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        at, group, keep = known[near[part]], groups[part], use[part]
        matrix = table[at[:, :, None] - at[:, None, :] + middle]
        # neighbours that are not used become pure noise
        matrix[:, diagonal, diagonal] = np.where(keep, sill + doubt[near[part]], 1e9 * sill)
        toward = table[at[:, :, None] - asked[group][:, None, :] + middle]
        right = np.concatenate([toward, data[near[part]]], axis=-1) * keep[..., None]
        lower = torch.linalg.cholesky(torch.from_numpy(matrix))
        solved = torch.linalg.solve_triangular(lower, torch.from_numpy(right), upper=False)
        r, z = solved.tensor_split([group.shape[1]], dim=-1)
        out.estimate[:, group] = torch.matmul(z.transpose(1, 2), r).transpose(0, 1).numpy()
        out.variance[group] = np.maximum(sill - (r * r).sum(dim=1).numpy(), 1e-6 * sill)
        squares = (z[..., :1] ** 2).sum(dim=1).numpy()
        out.misfit[group] = (squares + LOCAL_BELIEF) / (keep.sum(axis=1, keepdims=True) + LOCAL_BELIEF)
    return out


def _frame(table: Double) -> float:
    """Distance in rows at which the covariance equals that one frame away."""
    t, y, x = (n // 2 for n in table.shape)
    along = table[t, y:, x]
    return float(np.interp(-table[t + 1, y, x], -along, np.arange(len(along)))) if t > 0 else 1.0


def _blocks(targets: NDArray, shape: tuple[int, ...]) -> tuple[NDArray, Double]:
    """Group targets (n, 3) by block: indices (b, m), padded with the last one, and centres (b, 3)."""
    key = np.ravel_multi_index(tuple((targets // [1, BLOCK, BLOCK]).T), shape)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    count = np.diff(first, append=len(key))[:, None]
    members = order[first[:, None] + np.minimum(np.arange(count.max()), count - 1)]
    return members, np.add.reduceat(targets[order], first, axis=0) / count


def _neighbours(places: NDArray, centres: Double, scale: Double, count: int) -> tuple[NDArray, Flags]:
    """Indices (b, k) of the neighbours of the centres (b, 3) among places (n, 3), and which of them to use."""

    def nearest(numbers: NDArray, k: int) -> NDArray:
        tree = scipy.spatial.cKDTree(places[numbers] * scale)
        return numbers[tree.query(centres * scale, k=range(1, min(k, len(numbers)) + 1))[1]]

    near = nearest(np.arange(len(places)), count - count // 2)
    if count > 1:
        cells = places // [1, CELL, CELL]
        off = ((places[:, 1:] % CELL - (CELL - 1) / 2) ** 2).sum(axis=1)
        order = np.lexsort((off, *cells.T))
        central = np.diff(cells[order], axis=0, prepend=-1).any(axis=1)
        near = np.concatenate([near, nearest(order[central], count // 2)], axis=1)
    near.sort(axis=1)
    return near, np.diff(near, axis=1, prepend=-1) != 0  # use duplicates once


def amplitudes(box: tuple[int, ...], covariance: Covariance, step: Step) -> Single:
    """Root of the spectrum, with nugget, of a periodic box (t, y, x), in the layout of a real Fourier transform.

    Circulant embedding, Dietrich & Newsam (1997), doi:10.1137/S1064827592240555. Lags beyond a quarter of the box are
    gradually shortened, so that the covariance has no kink half a box away. Hence almost none of the spectrum is
    negative and has to be cut, and short lags keep their covariance.
    """

    def lags(n: int) -> Double:
        lag = np.minimum(np.arange(n), n - np.arange(n)).astype(np.float64)
        return lag - np.maximum(lag - n / 4, 0) ** 2 / (n / 2)

    table = covariance.at(tuple(lags(n) for n in box), step)
    table[0, 0, 0] += covariance.nugget
    spectrum = np.maximum(scipy.fft.rfftn(table).real, 0)
    twice = spectrum[..., 1 : (box[2] + 1) // 2].sum()  # of waves whose mirror images are left out
    spectrum *= table[0, 0, 0] * table.size / (spectrum.sum() + twice)
    return np.sqrt(spectrum).astype(np.float32)


def unconditional(white: Single, amplitude: Single) -> Single:
    """Gaussian field with the covariance of `amplitudes` from standard normal noise on its box (t, y, x).

    The noise is blurred by a symmetric kernel, so that overlapping boxes of the same noise have nearly the same field.
    """
    return scipy.fft.irfftn(scipy.fft.rfftn(white) * amplitude, s=white.shape)
