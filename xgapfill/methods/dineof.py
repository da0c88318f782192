"""DINEOF as a method: fitted on a sample of pixels, then applied pixel by pixel, with a field of error.

`eofs.dineof` is the method of the papers on a matrix. `Dineof` fills any pixel. It keeps the temporal EOFs and the
covariance of their amplitudes over pixels, and interpolates optimally with it: a pixel with many observations gets
least squares on the EOFs, a pixel with few stays near the mean of all pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.base import SeriesMethod
from xgapfill.methods.eofs import clouds, dineof, standard, time_filter
from xgapfill.methods.parameters import choice, number, whole
from xgapfill.weights import Card, Weights

MATRIX = 1 << 25  # largest number of elements of the matrix that is expanded in EOFs
PIXELS = 256  # pixels solved at once
SAMPLE, TRIAL = 4096, 1024  # largest number of pixels for the covariance of amplitudes and for the number of modes
ROUNDS = 10  # of expectation-maximisation
MEMORY = 4e9  # largest memory of a fit besides its sample, bytes


@dataclass(frozen=True)
class Dineof(SeriesMethod):
    """Fill gaps from empirical orthogonal functions of the incomplete series (DINEOF), with a field of error.

    What predictors tell is taken off first; those with a shipped relation, as chlorophyll for size classes, are
    expanded together with the target. The expansion uses the transformed variables (log10 of chlorophyll,
    log-ratios of size classes), each divided by its standard deviation. EOFs are fitted to a sample of the series;
    every pixel is then filled from its own observations. The spread is the error of this estimate, scaled to the misfit
    under artificial clouds.

    Parameters
    ----------
    modes : int, optional
        Number of EOFs; by default the one with the smallest error under artificial clouds.
    max_modes : int
        Largest number of EOFs to try.
    tolerance : float
        Relative change below which an expansion has converged.
    alpha : float
        Strength of the temporal filter, in squared time steps, at most 0.5; 0: none.
    numit : int
        Repetitions of the temporal filter.
    min_observed : float
        Frames and pixels with a smaller share of observations are left out of the expansion.
    seed : int
        Seed of the artificial clouds.
    progress : bool
        Show a progress bar during the fit.

    Raises
    ------
    ValueError
        Parameters out of range. During the fit: fewer than three well observed frames or pixels, more modes than these
        allow, a channel that is constant or never observed, EOFs that do not fit in memory.

    References
    ----------
    Beckers & Rixen (2003), doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2. Artificial clouds: Alvera-Azcarate et
    al. (2005), doi:10.1016/j.ocemod.2004.08.001. Several variables: id. (2007), doi:10.1029/2006JC003660. Filter: id.
    (2009), doi:10.5194/os-5-475-2009. Error: Beckers, Barth & Alvera-Azcarate (2006), doi:10.5194/os-2-183-2006.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.dineof(ds.CHL, modes=3).isel(time=0)
    >>> int(filled.isnull().sum())
    0
    """

    modes: int | None = None
    max_modes: int = 50
    tolerance: float = 1e-3
    alpha: float = 0.01
    numit: int = 3
    min_observed: float = 0.02
    seed: int = 0
    progress: bool = False

    name: ClassVar[str] = "dineof"
    predictors: ClassVar[str] = "regression; chlorophyll of size classes is expanded together with them"
    costs: ClassVar[str] = "0.0004, and the fit"
    suits: ClassVar[str] = "the series is long and its patterns recur"

    def __post_init__(self) -> None:
        for name, least in {"modes": 1, "max_modes": 1, "numit": 0, "seed": 0}.items():
            if name != "modes" or self.modes is not None:
                whole(f"dineof's {name}", getattr(self, name), least)
        for name, low, high in (("tolerance", 1e-12, 1), ("alpha", 0, 0.5), ("min_observed", 0, 1)):
            number(f"dineof's {name}", getattr(self, name), low, high)
        choice("dineof's progress", self.progress, (True, False))

    def check_times(self, times: int) -> None:
        """ValueError when there are too few times for the number of modes."""
        if self.modes is not None and self.modes >= times:
            raise ValueError(
                f"dineof's modes must be fewer than the {times} times of the series, found modes={self.modes}; use 1 "
                f"to {times - 1}, or leave it out to have the number chosen"
            )

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Windows of 32 x 32 pixels and all times; they do not overlap, because pixels are filled independently."""
        return Tiling(ncols, size=(1, 32, 32), stride=(1, 32, 32), series=slots)

    def fit(self, series: Series) -> Weights:
        """Return the temporal EOFs and the covariance of their amplitudes; ValueError when there are no EOFs."""
        names, targets, slots, observed = series.channels, series.targets, series.slots, series.observed
        _check_memory(len(names), len(slots), self.modes or min(self.max_modes, len(slots) - 1))
        levels = [standard(v[s], name) for v, s, name in zip(series.values, observed, names, strict=True)]
        centre, scale = np.array(levels, np.float32).T
        hidden = np.zeros_like(observed)
        hidden[:targets] = observed[:targets] & clouds(
            np.any(observed[:targets], axis=0), series.rows, series.cols, self.seed
        )
        parts: list[NDArray] = [series.values, observed, hidden]
        channel, pixel = np.nonzero(observed.sum(axis=1) >= max(self.min_observed * len(slots), 1))
        every = slice(None, None, 1 + channel.size * len(slots) // MATRIX)
        channel, pixel = channel[every], pixel[every]
        # only what is used is standardised: the sample is large
        matrix, there, apart = (part[channel, :, pixel] for part in parts)
        matrix = np.where(there, (matrix - centre[channel, None]) / scale[channel, None], 0)
        frames = there.sum(axis=0) >= max(self.min_observed * len(there), 1)
        trial, trials = _sample(parts, hidden, TRIAL, centre, scale), []
        some, pixels = _sample(parts[:2], observed, SAMPLE, centre, scale), observed.shape[2]
        del parts, hidden

        def design(temporal: NDArray) -> NDArray:  # a constant and the modes at all time steps
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
        prior = _variation(modes, *some)
        inflation = min(trials or [_judge(modes, *trial)], key=lambda each: each[0])[1]
        arrays = {"design": modes, "centre": centre, "scale": scale, "inflation": inflation}
        network = {"slots": slots.tolist(), "errors": list(found.errors)}
        data = f"{pixels} pixels of {len(slots)} frames"
        card = Card(self.name, self.name, names[:targets], names[targets:], network, trained_on=data)
        return Weights(card, {key: part.astype(np.float32) for key, part in (arrays | prior._asdict()).items()})

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel, pixel by pixel; ValueError for weights of other channels or times."""
        if weights is None or windows.channels != weights.card.channels:
            raise ValueError(f"dineof fills the channels it was fitted on; fit it on {windows.channels} first")
        slots, arrays = np.asarray(weights.card.network["slots"]), weights.arrays
        prior = _Prior(*(arrays[name].astype(np.float64) for name in _Prior._fields))
        centre, scale = (arrays[name].astype(np.float64) for name in ("centre", "scale"))
        t, c, height, width = windows.values.shape[1:]
        out = np.empty((2, *windows.values.shape), np.float32)
        for i, frames in enumerate(windows.starts[:, :1] + np.arange(t)):
            y, w = (part[i].reshape(t, c, -1).transpose(2, 0, 1) for part in (windows.values, windows.observed))
            if not np.isin(frames[w.any(axis=(0, 2))], slots).all():
                raise ValueError(
                    f"dineof was fitted on time steps {slots[0]} to {slots[-1]}, found {frames[0]} to {frames[-1]}; "
                    "leave weights= out to fit it on these data"
                )
            design = np.stack([np.interp(frames, slots, mode) for mode in arrays["design"].T], axis=1)
            known = w.any(axis=(1, 2))  # pixels without observations all have the same estimate: compute it once
            some = np.append(np.flatnonzero(known), np.argmin(known))
            mean, error = _estimate(design, prior, (y[some] - centre) / scale, w[some])
            for part, result in zip(out, (mean * scale + centre, error * scale * arrays["inflation"]), strict=True):
                every = result[np.where(known, np.cumsum(known) - 1, -1)]
                part[i] = every.transpose(1, 2, 0).reshape(t, c, height, width)
        return Filled(out[:1], out[1])


def _check_memory(channels: int, frames: int, modes: int) -> None:
    """Raise ValueError when the covariances of times or of amplitudes do not fit in memory."""
    times, amplitudes = 3 * 8 * frames**2, 3 * 8 * PIXELS * channels**2 * (1 + modes) ** 2
    if times > MEMORY:
        raise ValueError(f"EOFs of {frames} frames need {times / 1e9:.0f} GB; fill fewer times, or means over several")
    if amplitudes > MEMORY:
        most = int((MEMORY / (3 * 8 * PIXELS)) ** 0.5 / channels) - 1
        raise ValueError(
            f"{modes} modes of {channels} channels need {amplitudes / 1e9:.0f} GB; use modes= or max_modes= of at most "
            f"{most}, or fewer predictors"
        )


class _Prior(NamedTuple):
    """Distribution of amplitudes over pixels: p = 1 + k for each of c channels, of a constant and the modes."""

    mean: NDArray  # (c, p)
    covariance: NDArray  # (c p, c p)
    noise: NDArray  # (c, c) covariance of the residuals of the channels


def _sample(
    parts: list[NDArray], wanted: NDArray[np.bool_], most: int, centre: NDArray, scale: NDArray
) -> list[NDArray]:
    """Return the parts (c, t, n) at up to `most` of the pixels with anything in `wanted`, evenly, as (n, t, c).

    The first two parts are the values, which are returned in standard deviations and 0 where missing, and where they
    are observed.
    """
    pixels = np.flatnonzero(wanted.any(axis=(0, 1)))
    pixels = pixels[np.linspace(0, len(pixels) - 1, min(most, len(pixels))).astype(int)]
    values, observed, *others = (part[:, :, pixels].transpose(2, 1, 0) for part in parts)
    return [np.where(observed, (values - centre) / scale, 0), observed, *others]


def _given(noise: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the conditional distribution of the noise for each of the 2^c sets of observed channels.

    The inverse covariance of the observed channels and the regression of the others on them, (2^c, c, c), and the
    remaining variance of all channels, (2^c, c).
    """
    c = len(noise)
    inverse, gain, rest = np.zeros((2**c, c, c)), np.zeros((2**c, c, c)), np.tile(np.diag(noise), (2**c, 1))
    for code in range(1, 2**c):
        observed = (code >> np.arange(c) & 1).astype(bool)
        inverse[code][np.ix_(observed, observed)] = np.linalg.inv(noise[np.ix_(observed, observed)])
        gain[code][~observed] = (noise @ inverse[code])[~observed]
        rest[code] -= (gain[code] * noise).sum(axis=1)
    return inverse, gain, rest


def _posterior(design: NDArray, prior: _Prior, y: NDArray, w: NDArray) -> Iterator[tuple[NDArray, ...]]:
    """Optimal interpolation in the space of the amplitudes, `PIXELS` pixels at once.

    Yield the amplitudes (n, c p), their error covariance (n, c p, c p), their series (n, t, c), the residuals of the
    observations (n, t, c), the error covariance of the series (n, t, c, c), and the set of observed channels (n, t).
    """
    (t, p), c = design.shape, y.shape[2]
    pairs = (design[:, :, None] * design[:, None, :]).reshape(t, p * p)
    precision, inverse = np.linalg.inv(prior.covariance), _given(prior.noise)[0]
    for first in range(0, len(y), PIXELS):
        observed, values = w[first : first + PIXELS], y[first : first + PIXELS].astype(np.float64)
        n, code = len(observed), observed @ (1 << np.arange(c))
        weight = inverse[code]
        normal = (weight.transpose(0, 2, 3, 1).reshape(-1, t) @ pairs).reshape(n, c, c, p, p)
        error = np.linalg.inv(precision + normal.swapaxes(2, 3).reshape(n, c * p, c * p))
        departure = np.where(observed, values - design @ prior.mean.T, 0)
        right = (weight @ departure[..., None])[..., 0].swapaxes(1, 2) @ design
        amplitudes = prior.mean.ravel() + (error @ right.reshape(n, -1, 1))[..., 0]
        series = (amplitudes.reshape(n, c, p) @ design.T).swapaxes(1, 2)
        blocks = error.reshape(n, c, p, c, p).swapaxes(2, 3).reshape(-1, p * p)
        covariance = (blocks @ pairs.T).reshape(n, c, c, t).transpose(0, 3, 1, 2)
        yield amplitudes, error, series, np.where(observed, values - series, 0), covariance, code


def _estimate(design: NDArray, prior: _Prior, y: NDArray, w: NDArray) -> tuple[NDArray, NDArray]:
    """Return mean and error of pixels given their observations, (n, t, c) each."""
    _, gain, rest = _given(prior.noise)
    means, errors = [], []
    for _, _, series, left, covariance, code in _posterior(design, prior, y, w):
        means.append(series + (gain[code] @ left[..., None])[..., 0])
        share = np.eye(y.shape[2]) - gain[code]
        errors.append(np.sqrt(((share @ covariance) * share).sum(axis=-1).clip(0) + rest[code]))
    return np.concatenate(means), np.concatenate(errors)


def _variation(design: NDArray, y: NDArray, w: NDArray) -> _Prior:
    """Return the maximum-likelihood prior of the pixels' data, by expectation-maximisation."""
    n, c, q = len(y), y.shape[2], y.shape[2] * design.shape[1]
    prior = _Prior(np.zeros((c, design.shape[1])), np.eye(q), 0.1 * np.eye(c))
    pairs = np.einsum("nti,ntj->ij", w.astype(np.float64), w.astype(np.float64)).clip(1)
    for _ in range(ROUNDS):
        first, second, noise = np.zeros(q), np.zeros((q, q)), np.zeros((c, c))
        for amplitudes, error, _, left, covariance, code in _posterior(design, prior, y, w):
            first += amplitudes.sum(axis=0)
            second += amplitudes.T @ amplitudes + error.sum(axis=0)
            observed = (code[..., None] >> np.arange(c) & 1).astype(np.float64)
            noise += left.reshape(-1, c).T @ left.reshape(-1, c) + np.einsum(
                "nti,ntij,ntj->ij", observed, covariance, observed
            )
        spread = second / n - np.outer(first / n, first / n)
        spread = (n * spread + q * np.diag(np.diag(spread))) / (
            n + q
        )  # shrunk: n pixels cannot resolve all covariances
        variances, axes = np.linalg.eigh(
            noise / pairs
        )  # may be negative, as pairs differ in their number of observations
        prior = _Prior((first / n).reshape(c, -1), spread, axes * variances.clip(1e-4) @ axes.T)
    return prior


def _judge(design: NDArray, y: NDArray, w: NDArray, hidden: NDArray) -> tuple[float, NDArray]:
    """Return the error at hidden values and the inflation of the estimated error per channel, (c,), at least 1."""
    shown = w & ~hidden
    mean, error = _estimate(design, _variation(design, y, shown), y, shown)
    off, count = np.where(hidden, y - mean, 0), hidden.sum(axis=(0, 1))
    ratio = np.sqrt(((off / error) ** 2).sum(axis=(0, 1)) / count.clip(1))
    return float(np.sqrt((off**2).sum() / count.sum())), np.where(count < 30, 1.0, ratio).clip(1)
