"""EOFs of incomplete data (DINEOF), fitted on a sample of pixels, then asked pixel by pixel with a field of error.

`dineof` is the method of the papers on a matrix. `Dineof` fills any pixel: it keeps the temporal EOFs and how their
amplitudes vary from pixel to pixel, and interpolates optimally with the covariance that follows: many observations of a
pixel give least squares on the EOFs, few stay near the mean of all pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from xgapfill.patch import Filled, Noise, Series, Windows
from xgapfill.tiles import Tiling
from xgapfill.weights import Card, Weights

MATRIX, CELLS = 1 << 25, 1 << 20  # elements of the matrix whose EOFs are sought, at most, and handled at once
PIXELS = 256  # pixels solved at once
SAMPLE, TRIAL = 4096, 1024  # pixels that tell how amplitudes vary, and those that judge a number of modes, at most
ROUNDS, RISES = 10, 3  # of expectation-maximisation; of the cross-validation error in succession, to end the search
RADII = (2.0, 10.0)  # of artificial clouds, pixels


class Expansion(NamedTuple):
    """Truncated EOF expansion of an incomplete matrix: mean + spatial @ temporal.T."""

    mean: float
    spatial: NDArray  # (m, k) times the singular values
    temporal: NDArray  # (n, k) orthonormal
    errors: tuple[float, ...]  # of 1, 2, ... modes in cross-validation; none where their number was given


def dineof(
    matrix: NDArray,
    seen: NDArray[np.bool_],
    modes: int | None = None,
    *,
    hidden: NDArray[np.bool_] | None = None,
    judge: Callable[[NDArray], float] | None = None,
    max_modes: int = 50,
    tolerance: float = 1e-3,
    iterations: int = 300,
    smoother: NDArray | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Expansion:
    """Expand an incomplete matrix in EOFs, their number by cross-validation.

    Source: Beckers & Rixen (2003), doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2.
    Missing anomalies start as 0 and are replaced by the leading EOFs until they settle, with one mode more each time.
    The number of modes that best predicts the values kept out is then iterated with these values back in. EOFs come
    from the n x n temporal covariance: one pass over the matrix an iteration.

    Parameters
    ----------
    matrix, seen : (m, n) float32 or float64, (m, n) bool
        Pixels by frames and where something was observed; any finite numbers elsewhere.
    modes : int, optional
        Number of modes; by default it is searched for, up to `max_modes` or three successive rises of the error.
    hidden : (m, n) bool, optional
        Values kept out of the search; by default random ones (`seed`), ``floor(min(0.01 m n + 40, 0.03 m n))``.
    judge : callable, optional
        Gives the error of temporal EOFs (n, k), in place of the root mean square error at the hidden values.
    tolerance, iterations : float, int
        Missing values have settled when they change by less, root mean square, in standard deviations of the seen;
        or after so many iterations.
    smoother : (n, n) ndarray, optional
        Filter of the temporal covariance, `time_filter`.
    progress : bool
        Show a progress bar. Interrupting the search (Ctrl-C) goes on with the best number of modes so far.

    Raises
    ------
    ValueError
        When nothing or only a constant was seen, or when the matrix is too small for the modes.

    Examples
    --------
    >>> truth = np.outer(np.sin(np.arange(40)), np.cos(np.arange(20)))
    >>> seen = np.random.default_rng(0).random(truth.shape) < 0.6
    >>> found = dineof(np.where(seen, truth, 0), seen, modes=2, tolerance=1e-6)
    >>> bool(np.abs(found.mean + found.spatial @ found.temporal.T - truth).max() < 0.01)
    True
    """
    if (most := min(matrix.shape) - 1) < 2:
        raise ValueError(f"EOFs need 3 well seen pixels and frames or more, found {matrix.shape}: give more data.")
    if modes is not None and not 1 <= modes <= most:
        raise ValueError(f"{matrix.shape[0]} pixels, {matrix.shape[1]} frames: {modes} modes; take from 1 to {most}.")
    mean, sd = _standard(matrix[seen], "the matrix")
    apart = np.zeros_like(seen)
    if modes is None and hidden is None:
        rng = np.random.default_rng(seed)
        apart.flat[rng.choice(np.flatnonzero(seen), _kept_out(seen), replace=False)] = True
    elif modes is None and hidden is not None:
        apart = seen & hidden
    anomalies = np.where(seen, matrix - mean, 0).astype(np.result_type(matrix, np.float32))
    filled, shown = np.where(apart, 0, anomalies), seen & ~apart
    if modes is None and not (apart.any() and shown.any()):
        raise ValueError("hidden must keep some of the seen values out, and leave some.")
    limits = smoother, tolerance * sd, iterations
    errors: list[float] = []
    best: list[tuple[NDArray, NDArray]] = []
    try:
        for k in tqdm(range(1, (modes or min(max_modes, most)) + 1), desc="EOF modes", disable=not progress):
            found = _settle(filled, shown, k, *limits)
            if modes is None:
                misfit = float(np.mean((filled[apart] - anomalies[apart]) ** 2)) ** 0.5
                errors.append(judge(found[1]) if judge else misfit)
            if modes is not None or errors[-1] == min(errors):
                best = [found]
            if len(errors) > RISES and (np.diff(errors[-RISES - 1 :]) > 0).all():
                break
    except KeyboardInterrupt:
        if not best:
            raise
    spatial, temporal = best[0]
    if modes is None:
        filled = np.where(seen, anomalies, spatial @ temporal.T)
        spatial, temporal = _settle(filled, seen, temporal.shape[1], *limits)
    return Expansion(mean, spatial, temporal, tuple(errors))


def _standard(values: NDArray, name: str) -> tuple[float, float]:
    """Return mean and standard deviation; ValueError where there are no EOFs of such values."""
    if not values.size:
        raise ValueError(f"EOFs need data, but nothing of {name} is seen: leave it out or check its times and mask.")
    mean, sd = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if not sd > 1e-6 * abs(mean):
        raise ValueError(f"{name} has no EOFs: mean {mean:g}, standard deviation {sd:g}; check it or leave it out.")
    return mean, sd


def _settle(
    filled: NDArray, shown: NDArray[np.bool_], k: int, smoother: NDArray | None, tolerance: float, iterations: int
) -> tuple[NDArray, NDArray]:
    """Replace what is not shown by the first k modes until it settles, in place; return these, (m, k) and (n, k)."""
    from scipy.linalg import eigh

    (m, n), gaps = filled.shape, ~shown
    blocks = [slice(first, first + 1 + CELLS // n) for first in range(0, m, 1 + CELLS // n)]  # always in this order
    spatial = np.empty((m, k), filled.dtype)
    covariance = sum((filled[rows].T @ filled[rows] for rows in blocks), np.zeros((n, n)))
    for _ in range(iterations):
        smooth = covariance if smoother is None else smoother @ covariance @ smoother.T
        temporal = eigh(smooth, subset_by_index=(n - k, n - 1))[1][:, ::-1].astype(filled.dtype)
        squares, covariance = 0.0, np.zeros((n, n))
        for rows in blocks:
            block = filled[rows]
            spatial[rows] = block @ temporal
            change = spatial[rows] @ temporal.T - block
            change *= gaps[rows]
            block += change
            squares += float(np.vdot(change, change))
            covariance += block.T @ block
        if squares < tolerance**2 * max(1, int(np.count_nonzero(gaps))):
            break
    return spatial, temporal


def _kept_out(seen: NDArray[np.bool_]) -> int:
    """Return how many values are kept out: as in the original, but never more than a fifth of what was seen."""
    return max(1, min(int(min(0.01 * seen.size + 40, 0.03 * seen.size)), int(seen.sum()) // 5))


def clouds(seen: NDArray[np.bool_], rows: NDArray, cols: NDArray, seed: int = 0) -> NDArray[np.bool_]:
    """Return what is seen (t, n) under random clouds over pixels at `rows`, `cols`; as much as `dineof` keeps out."""
    rng = np.random.default_rng(seed)
    hidden = np.zeros(seen.shape, bool)
    left, frames = _kept_out(seen), np.flatnonzero(seen.any(axis=1))
    while left > 0:
        frame = rng.choice(frames)
        centre = rng.choice(np.flatnonzero(seen[frame]))
        distance = np.hypot(rows - rows[centre], cols - cols[centre])
        under = np.flatnonzero(seen[frame] & ~hidden[frame] & (distance <= rng.uniform(*RADII)))
        under = under[np.argsort(distance[under], kind="stable")][:left]
        hidden[frame, under] = True
        left -= len(under)
    return hidden


def time_filter(slots: NDArray, alpha: float = 0.01, numit: int = 3) -> NDArray[np.float64]:
    """Return the matrix that diffuses a series `numit` times; it smooths over 2 pi sqrt(alpha numit) slots."""
    step = np.diff(slots).astype(np.float64)
    width = np.concatenate([step[:1], (step[1:] + step[:-1]) / 2, step[-1:]])
    flux = np.pad(np.diff(np.eye(len(slots)), axis=0) / step[:, None], ((1, 1), (0, 0)))
    return np.linalg.matrix_power(np.eye(len(slots)) + alpha * np.diff(flux, axis=0) / width[:, None], numit)


@dataclass(frozen=True)
class Dineof:
    """EOFs of incomplete data with a field of error; all channels in one expansion, so that each helps the others.

    Source: Alvera-Azcarate et al. (2005), doi:10.1016/j.ocemod.2004.08.001; several variables: id. (2007),
    doi:10.1029/2006JC003660; filter: id. (2009), doi:10.5194/os-5-475-2009; error: Beckers, Barth & Alvera-Azcarate
    (2006), doi:10.5194/os-2-183-2006.

    Parameters
    ----------
    modes : int, optional
        Number of EOFs; by default the one that fills best under artificial clouds.
    max_modes, tolerance, seed, progress
        As in `dineof`.
    alpha, numit : float, int
        Strength (in squared steps of time, at most 0.5) and repetitions of the temporal filter; 0: none.
    min_seen : float
        Frames and pixels of which a smaller share was seen are left out of the expansion.
    """

    modes: int | None = None
    max_modes: int = 50
    tolerance: float = 1e-3
    alpha: float = 0.01
    numit: int = 3
    min_seen: float = 0.02
    seed: int = 0
    progress: bool = False

    name: ClassVar[str] = "dineof"
    draws: ClassVar[bool] = False

    def __post_init__(self) -> None:
        least = {"modes": 1, "max_modes": 1, "tolerance": 1e-12, "alpha": 0, "numit": 0, "min_seen": 0}
        most = {"tolerance": 1, "alpha": 0.5, "min_seen": 1}
        for name, low in least.items():
            value, high = getattr(self, name), most.get(name, np.inf)
            if value is not None and not low <= value <= high:
                raise ValueError(f"dineof's {name} must be from {low} to {high}, found {value!r}.")

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """None: it is fitted on the data themselves."""
        return None

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of 64 x 64 pixels and all times that do not overlap: pixels do not know each other."""
        return Tiling(ncols, size=(1, 64, 64), stride=(1, 64, 64), series=slots)

    def fit(self, series: Series) -> Weights:
        """Return the temporal EOFs and how their amplitudes vary; ValueError when a channel or the sample has none."""
        names, targets, slots, seen = series.channels, series.targets, series.slots, series.seen
        standard = [_standard(v[s], name) for v, s, name in zip(series.values, seen, names, strict=True)]
        centre, scale = np.array(standard, np.float32).T
        values = np.where(seen, (series.values - centre[:, None, None]) / scale[:, None, None], np.float32(0))
        hidden = np.zeros_like(seen)
        hidden[:targets] = seen[:targets] & clouds(np.any(seen[:targets], axis=0), series.rows, series.cols, self.seed)
        parts: list[NDArray] = [values, seen, hidden]
        channel, pixel = np.nonzero(seen.sum(axis=1) >= max(self.min_seen * len(slots), 1))
        every = slice(None, None, 1 + channel.size * len(slots) // MATRIX)
        matrix, there, apart = (part[channel[every], :, pixel[every]] for part in parts)
        frames = there.sum(axis=0) >= max(self.min_seen * len(there), 1)
        trial, trials = _sample(parts, hidden, TRIAL), []

        def design(temporal: NDArray) -> NDArray:  # what amplitudes are of: a constant and the modes at all slots
            modes = [np.interp(slots, slots[frames], mode) * len(slots) ** 0.5 for mode in temporal.T]
            return np.stack([np.ones(len(slots)), *modes], axis=1)

        def judge(temporal: NDArray) -> float:
            trials.append(_judge(design(temporal), *trial))
            return trials[-1][0]

        found = dineof(
            matrix[:, frames],
            there[:, frames],
            self.modes,
            hidden=apart[:, frames],
            judge=judge,
            max_modes=self.max_modes,
            tolerance=self.tolerance,
            smoother=time_filter(slots[frames], self.alpha, self.numit) if frames.sum() > 2 else None,
            progress=self.progress,
        )
        modes = design(found.temporal)
        prior = _variation(modes, *_sample(parts[:2], seen, SAMPLE))
        inflation = min(trials or [_judge(modes, *trial)], key=lambda each: each[0])[1]
        arrays = {"design": modes, "centre": centre, "scale": scale, "inflation": inflation}
        network = {"slots": slots.tolist(), "errors": list(found.errors)}
        data = f"{values.shape[2]} pixels of {len(slots)} frames"
        card = Card(self.name, self.name, names[:targets], names[targets:], network, trained_on=data)
        return Weights(card, {key: part.astype(np.float32) for key, part in (arrays | prior._asdict()).items()})

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel, pixel by pixel; ValueError for weights of other channels or times."""
        if weights is None or windows.channels != weights.card.channels:
            raise ValueError(f"dineof fills the channels it was fitted on: fit it on {windows.channels} first.")
        slots, arrays = np.asarray(weights.card.network["slots"]), weights.arrays
        prior = _Prior(*(arrays[name].astype(np.float64) for name in _Prior._fields))
        centre, scale = (arrays[name].astype(np.float64) for name in ("centre", "scale"))
        t, c, height, width = windows.values.shape[1:]
        out = np.empty((2, *windows.values.shape), np.float32)
        for i, frames in enumerate(windows.starts[:, :1] + np.arange(t)):
            y, w = (part[i].reshape(t, c, -1).transpose(2, 0, 1) for part in (windows.values, windows.seen))
            if not np.isin(frames[w.any(axis=(0, 2))], slots).all():
                fitted = f"{slots[0]} to {slots[-1]}, is to fill {frames[0]} to {frames[-1]} and knows no others"
                raise ValueError(f"dineof was fitted on slots {fitted}: leave weights= out to fit it on these data.")
            design = np.stack([np.interp(frames, slots, mode) for mode in arrays["design"].T], axis=1)
            known = w.any(axis=(1, 2))  # pixels that were never seen are all alike: one is enough
            some = np.append(np.flatnonzero(known), np.argmin(known))
            mean, error = _estimate(design, prior, (y[some] - centre) / scale, w[some])
            for part, result in zip(out, (mean * scale + centre, error * scale * arrays["inflation"]), strict=True):
                every = result[np.where(known, np.cumsum(known) - 1, -1)]
                part[i] = every.transpose(1, 2, 0).reshape(t, c, height, width)
        return Filled(out[:1], out[1])


class _Prior(NamedTuple):
    """How amplitudes vary from pixel to pixel; c channels have p = 1 + k of them each (of a constant and the modes)."""

    mean: NDArray  # (c, p)
    covariance: NDArray  # (c p, c p)
    noise: NDArray  # (c, c) covariance of the channels in what no mode explains


def _sample(parts: list[NDArray], wanted: NDArray[np.bool_], most: int) -> list[NDArray]:
    """Return the parts (c, t, n) at up to so many pixels that have anything wanted, evenly chosen, as (n, t, c)."""
    pixels = np.flatnonzero(wanted.any(axis=(0, 1)))
    pixels = pixels[np.linspace(0, len(pixels) - 1, min(most, len(pixels))).astype(int)]
    return [part[:, :, pixels].transpose(2, 1, 0) for part in parts]


def _given(noise: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return what each of the 2^c sets of seen channels tells by the noise they share.

    Their inverse covariance, the regression of the others on them, (2^c, c, c), the variance left in all, (2^c, c).
    """
    c = len(noise)
    inverse, gain, rest = np.zeros((2**c, c, c)), np.zeros((2**c, c, c)), np.tile(np.diag(noise), (2**c, 1))
    for code in range(1, 2**c):
        seen = (code >> np.arange(c) & 1).astype(bool)
        inverse[code][np.ix_(seen, seen)] = np.linalg.inv(noise[np.ix_(seen, seen)])
        gain[code][~seen] = (noise @ inverse[code])[~seen]
        rest[code] -= (gain[code] * noise).sum(axis=1)
    return inverse, gain, rest


def _posterior(design: NDArray, prior: _Prior, y: NDArray, w: NDArray) -> Iterator[tuple[NDArray, ...]]:
    """Optimal interpolation in the space of the amplitudes, some pixels at once.

    Yield the amplitudes (n, c p), their error covariance (n, c p, c p), their series (n, t, c), what these leave of
    what was seen (n, t, c), the error covariance of the series (n, t, c, c), and the set of seen channels (n, t).
    """
    (t, p), c = design.shape, y.shape[2]
    pairs = (design[:, :, None] * design[:, None, :]).reshape(t, p * p)
    precision, inverse = np.linalg.inv(prior.covariance), _given(prior.noise)[0]
    for first in range(0, len(y), PIXELS):
        seen, values = w[first : first + PIXELS], y[first : first + PIXELS].astype(np.float64)
        n, code = len(seen), seen @ (1 << np.arange(c))
        weight = inverse[code]
        normal = (weight.transpose(0, 2, 3, 1).reshape(-1, t) @ pairs).reshape(n, c, c, p, p)
        error = np.linalg.inv(precision + normal.swapaxes(2, 3).reshape(n, c * p, c * p))
        departure = np.where(seen, values - design @ prior.mean.T, 0)
        right = (weight @ departure[..., None])[..., 0].swapaxes(1, 2) @ design
        amplitudes = prior.mean.ravel() + (error @ right.reshape(n, -1, 1))[..., 0]
        series = (amplitudes.reshape(n, c, p) @ design.T).swapaxes(1, 2)
        blocks = error.reshape(n, c, p, c, p).swapaxes(2, 3).reshape(-1, p * p)
        covariance = (blocks @ pairs.T).reshape(n, c, c, t).transpose(0, 3, 1, 2)
        yield amplitudes, error, series, np.where(seen, values - series, 0), covariance, code


def _estimate(design: NDArray, prior: _Prior, y: NDArray, w: NDArray) -> tuple[NDArray, NDArray]:
    """Return mean and error of pixels given what was seen of them, (n, t, c) each."""
    _, gain, rest = _given(prior.noise)
    means, errors = [], []
    for _, _, series, left, covariance, code in _posterior(design, prior, y, w):
        means.append(series + (gain[code] @ left[..., None])[..., 0])
        share = np.eye(y.shape[2]) - gain[code]
        errors.append(np.sqrt(((share @ covariance) * share).sum(axis=-1).clip(0) + rest[code]))
    return np.concatenate(means), np.concatenate(errors)


def _variation(design: NDArray, y: NDArray, w: NDArray) -> _Prior:
    """Return the prior under which the pixels' data are most likely, by some rounds of expectation-maximisation."""
    n, c, q = len(y), y.shape[2], y.shape[2] * design.shape[1]
    prior = _Prior(np.zeros((c, design.shape[1])), np.eye(q), 0.1 * np.eye(c))
    pairs = np.einsum("nti,ntj->ij", w.astype(np.float64), w.astype(np.float64)).clip(1)
    for _ in range(ROUNDS):
        first, second, noise = np.zeros(q), np.zeros((q, q)), np.zeros((c, c))
        for amplitudes, error, _, left, covariance, code in _posterior(design, prior, y, w):
            first += amplitudes.sum(axis=0)
            second += amplitudes.T @ amplitudes + error.sum(axis=0)
            seen = (code[..., None] >> np.arange(c) & 1).astype(np.float64)
            noise += left.reshape(-1, c).T @ left.reshape(-1, c) + np.einsum("nti,ntij,ntj->ij", seen, covariance, seen)
        spread = second / n - np.outer(first / n, first / n)
        spread = (n * spread + q * np.diag(np.diag(spread))) / (n + q)  # so many pixels cannot tell more
        variances, axes = np.linalg.eigh(noise / pairs)  # of pairs that may never be seen together: not always positive
        prior = _Prior((first / n).reshape(c, -1), spread, axes * variances.clip(1e-4) @ axes.T)
    return prior


def _judge(design: NDArray, y: NDArray, w: NDArray, hidden: NDArray) -> tuple[float, NDArray]:
    """Return the error at hidden values and the factor its own estimates lack in each channel, (c,), at least 1."""
    shown = w & ~hidden
    mean, error = _estimate(design, _variation(design, y, shown), y, shown)
    off, count = np.where(hidden, y - mean, 0), hidden.sum(axis=(0, 1))
    ratio = np.sqrt(((off / error) ** 2).sum(axis=(0, 1)) / count.clip(1))
    return float(np.sqrt((off**2).sum() / count.sum())), np.where(count < 30, 1.0, ratio).clip(1)
