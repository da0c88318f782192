"""The classical first guess: regression on predictors, then Gaussian-Markov interpolation, within one window.

All parameters are estimated from the observed pixels of the window and shrunk to shipped priors, so the first guess is
lazy, local and the same for any chunking. It is written in torch, so that networks can be trained on its residuals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.nearby import around, kernels, whole
from xgapfill.gaussian.priors import DEPENDENT_PIXELS, Prior
from xgapfill.lattice.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor


ITERATIONS, MORE_ITERATIONS = 10, 10  # of the solver; more in windows that have observations with errors
NEAR = (30.0, 10.0)  # Gaussian neighbourhood (km, days) in which observations and their misfit are counted
WEAK = 40.0  # pseudo-count of pixels: a neighbourhood varies like its window
FEW = 5.0  # pseudo-count of independent samples of the prior variance
LOG_SHARES = (-9.0, 0.2)  # lowest and highest logarithm of the error as a share of the variance
LEAST_NOISE = 0.005  # smallest share of noise in the variance
# Sizes (km) of features, and the speed (km per day) at which they change: their own size within their time scale.
OCTAVES = (3.0, 6.0, 12.0, 24.0, 48.0, 96.0, 192.0)
SPEED = 6.0
FINEST = 4.0  # km: the error model was fitted to pixels of about this size; on finer grids its distances shrink
QUARTER_WAVE = math.pi / 2
# Unresolved modes alias into the others: a small error is this many times larger than from the nugget alone.
ALIASED = 4.0
# Predictors enter the regression as anomalies from the centre of their prior, clipped to the span and then squared.
SPAN = 2.0


@dataclass(frozen=True)
class Guess:
    """The background of a batch of windows, tensors of shape (b, t, c, y, x).

    Attributes
    ----------
    mean : the first guess, noise of the observations removed
    error : one standard deviation of its error, against an observation
    density : log1p of the number of nearby observations
    trend : regression to which the interpolated anomalies are added
    spectrum : variances of the cosine modes of the anomalies, with noise
    usual : approximate standard deviation of the error from the covariance
    """

    mean: Tensor
    error: Tensor
    density: Tensor
    trend: Tensor
    spectrum: Tensor
    usual: Tensor


def first_guess(
    values: Tensor,
    observed: Tensor,
    step_days: float,
    step_km: Tensor,
    channels: tuple[str, ...],
    targets: int,
    priors: Mapping[str, Any],
    precision: Tensor | None = None,
    level: Tensor | None = None,
) -> Guess:
    """Background of every channel: predictors from themselves, targets from the predictors and themselves.

    Parameters
    ----------
    values, observed : (b, t, c, y, x) float32, `observed` as 0 or 1, `values` 0 where missing
    step_days : days between slots
    step_km : (b, 2) northward and eastward pixel size
    channels, targets : as in `Windows`
    priors : channel -> Prior
    precision : (b, t, c, y, x) of observations with errors, see `weighed`; these are not among the observed
    level : (b, t, c, y, x) that was taken from the values, see `Windows`; None: nothing
    """
    import torch

    results: dict[int, tuple[Tensor, ...]] = {}
    near = kernels(values[:, :, 0].shape, NEAR, *in_pixels(step_days, step_km))
    for c, each in guesses(values, observed, step_days, step_km, channels, targets, priors, precision, level):
        of, density = each.covariance, torch.log1p(around(each.covariance.counted, near))
        results[c] = each.mean, each.error, density, each.trend, of.spectrum, of.usual.sqrt()
    order = [results[c] for c in range(len(channels))]
    return Guess(*(torch.stack(part, dim=2) for part in zip(*order, strict=True)))


@dataclass(frozen=True)
class OfChannel:
    """The background of one channel, (b, t, y, x); the equations are solved when its mean or error is asked for.

    Attributes
    ----------
    anomalies, observed : of the values from the trend, and 1 where they are told, 0 elsewhere
    trend, trend_variance : regression to which the interpolated anomalies are added, and its variance
    prior : of the channel
    covariance : of the anomalies
    step_days, step_km, precision : as in `first_guess`
    """

    anomalies: Tensor
    observed: Tensor
    trend: Tensor
    trend_variance: Tensor
    prior: Prior
    covariance: Covariance
    step_days: float
    step_km: Tensor
    precision: Tensor | None

    @cached_property
    def departures(self) -> Departures:
        """The interpolated anomalies."""
        return solved(self.anomalies, self.observed, self.covariance, self.step_days, self.step_km, self.precision)

    @cached_property
    def mean(self) -> Tensor:
        """The background, noise of the observations removed."""
        return self.trend + self.departures.field - self.departures.noise

    @cached_property
    def error(self) -> Tensor:
        """One standard deviation of its error."""
        return (self.departures.error2(self.prior) + self.trend_variance).sqrt()


def guesses(
    values: Tensor,
    observed: Tensor,
    step_days: float,
    step_km: Tensor,
    channels: tuple[str, ...],
    targets: int,
    priors: Mapping[str, Any],
    precision: Tensor | None = None,
    level: Tensor | None = None,
) -> Iterator[tuple[int, OfChannel]]:
    """Yield each channel and its background, predictors first; arguments as in `first_guess`."""
    done: dict[int, OfChannel] = {}
    for c in conditions_first(targets, len(channels)):
        y, w = values[:, :, c], observed[:, :, c]
        conditions = {}
        for i in range(targets, len(channels)) if c < targets else ():
            predictor = as_observed(values[:, :, i], observed[:, :, i], done[i].mean, done[i].error)
            conditions[channels[i]] = on_level(i, level, predictor)
        trend, trend_variance = trend_on(y, w, channels[c], priors, conditions)
        more, prior = None if precision is None else precision[:, :, c], priors[channels[c]]
        covariance = anomaly_covariance(y, w, trend, prior, step_days, step_km, more)
        done[c] = OfChannel(y - trend, w, trend, trend_variance, prior, covariance, step_days, step_km, more)
        yield c, done[c]


def weighed(windows: Windows, priors: Mapping[str, Prior]) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
    """Observations without extra error, and the inverse error variance of the others, (b, t, c, y, x) each.

    An error variance below the prior noise of pixels counts as none.
    """
    observed, variance = windows.observed, windows.variance
    if variance is None:
        return observed, None
    noise = np.array([priors[c].variance * priors[c].covariance[2] for c in windows.channels], np.float32)
    sure = observed & (variance <= noise[:, None, None])
    precision = np.zeros_like(variance)
    np.divide(1, variance, out=precision, where=observed & ~sure)
    return sure, precision


def conditions_first(targets: int, channels: int) -> list[int]:
    """Channels in the order in which they are filled: predictors first, as targets depend on them."""
    return [*range(targets, channels), *range(targets)]


def as_observed(values: Tensor, observed: Tensor, mean: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """A predictor as observed, with its noise, which maps from the same radiances share; else its background."""
    return observed * values + (1 - observed) * mean, (1 - observed) * error


def on_level(channel: int, level: Tensor | None, predictor: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A predictor as a whole, given what was taken from its values."""
    mean, error = predictor
    return (mean if level is None else mean + level[:, :, channel]), error


def trend_on(
    y: Tensor,
    w: Tensor,
    channel: str,
    priors: Mapping[str, Prior],
    conditions: Mapping[str, tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:
    """Ridge regression of a channel on a constant and the predictors, shrunk to its prior, and its variance from the
    errors of the predictors. Two (b, t, y, x) fields.
    """
    import torch

    prior = priors[channel]
    columns, prior_beta, prior_sd = [torch.ones_like(y)], [prior.mean], [prior.variance**0.5]
    for name, (mean, _) in conditions.items():
        slope, curvature = prior.regression.get(name, (0.0, 0.0))
        departure = (mean - priors[name].centre).clamp(-SPAN, SPAN)
        columns += [departure, departure**2]
        prior_beta += [slope, curvature]
        prior_sd += [0.5 * prior.variance**0.5, 0.2 * prior.variance**0.5]
    design = torch.stack(columns, dim=1).flatten(2)
    beta0 = torch.tensor(prior_beta, dtype=y.dtype, device=y.device)
    precision = prior.variance / torch.tensor(prior_sd, dtype=y.dtype, device=y.device) ** 2
    left = design * (w.flatten(1) / DEPENDENT_PIXELS)[:, None]
    normal = left @ design.transpose(1, 2) + torch.diag(precision)
    right = (left * y.flatten(1)[:, None]).sum(-1) + precision * beta0
    beta = _solve_small(normal, right)
    trend = (beta[:, :, None] * design).sum(1).unflatten(-1, y.shape[1:])
    variance = torch.zeros_like(y)
    for k, (_, error) in enumerate(conditions.values()):
        slope_here = beta[:, 2 * k + 1, None] + 2.0 * beta[:, 2 * k + 2, None] * design[:, 2 * k + 1]
        variance = variance + (slope_here.unflatten(-1, y.shape[1:]) * error) ** 2
    return trend, variance


def _solve_small(a: Tensor, b: Tensor) -> Tensor:
    """Solve (n, k, k) positive definite systems for (n, k); elementwise, so that bits do not depend on the batch."""
    k = a.shape[-1]
    rows = [[a[:, i, j] for j in range(k)] + [b[:, i]] for i in range(k)]
    for i in range(k):
        for j in range(i + 1, k):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [rows[j][n] - factor * rows[i][n] if n >= i else rows[j][n] for n in range(k + 1)]
    import torch

    out: list[Tensor] = [b[:, 0]] * k
    for i in reversed(range(k)):
        known = sum((rows[i][n] * out[n] for n in range(i + 1, k)), torch.zeros_like(b[:, 0]))
        out[i] = (rows[i][k] - known) / rows[i][i]
    return torch.stack(out, dim=1)


class Covariance(NamedTuple):
    """Covariance of the anomalies of one channel from its trend; (b, t, y, x) unless stated otherwise.

    Attributes
    ----------
    spectrum : variances of their cosine modes, with noise
    variance, nugget : (b, 1, 1, 1), of the anomalies and of their noise
    usual : approximate error variance at every pixel
    counted : 1 where observed, less for observations with errors: the share of the nugget in their error
    """

    spectrum: Tensor
    variance: Tensor
    nugget: Tensor
    usual: Tensor
    counted: Tensor


class Departures(NamedTuple):
    """Interpolated anomalies of one channel from its trend; (b, t, y, x) unless stated otherwise.

    Attributes
    ----------
    field : the interpolated anomalies, equal to the observations where observed
    noise : estimated noise of the observations, 0 where missing
    covariance : of the anomalies
    misfit : ratio of the squared misfit of nearby observations to the usual error variance
    """

    field: Tensor
    noise: Tensor
    covariance: Covariance
    misfit: Tensor

    def features(self) -> Tensor:
        """Predictors of the log error variance, as a share of the variance of anomalies: (3, b, t, y, x)."""
        import torch

        _, variance, nugget, usual, _ = self.covariance
        shares = (usual / variance, self.misfit, nugget / variance)
        return torch.stack([share.log().expand_as(self.field) for share in shares])

    def error2(self, prior: Prior) -> Tensor:
        """Variance of the error."""
        variance = self.covariance.variance
        shares = sum((a * part for a, part in zip(prior.error[1:], self.features(), strict=True)), variance * 0)
        return variance * (prior.error[0] + shares).clamp(*LOG_SHARES).exp()


def anomaly_covariance(
    y: Tensor,
    w: Tensor,
    trend: Tensor,
    prior: Prior,
    step_days: float,
    step_km: Tensor,
    precision: Tensor | None = None,
) -> Covariance:
    """Covariance of the anomalies of (b, t, y, x) values from their trend."""
    from xgapfill.gaussian import covariance as variogram
    from xgapfill.gaussian.spectral import mode_variances

    departure = (y - trend) * w
    variance = departures_variance(departure, w, prior)
    fitted = variogram.fit(departure, w, *usual_covariance(prior, variance, step_days), step_days, step_km)
    variance, nugget = (v.view(-1, 1, 1, 1) for v in (variance, fitted[:, 2].exp().float() + LEAST_NOISE * variance))
    smooth = mode_variances(variogram.covariance(fitted, (y.shape[1], y.shape[2], y.shape[3]), step_days, step_km))
    counted = w if precision is None else w + nugget * precision / (1.0 + nugget * precision)
    return Covariance(
        smooth + nugget, variance, nugget, usual_error(counted, smooth, nugget, step_days, step_km), counted
    )


def solved(
    anomalies: Tensor,
    w: Tensor,
    covariance: Covariance,
    step_days: float,
    step_km: Tensor,
    precision: Tensor | None = None,
) -> Departures:
    """Interpolate (b, t, y, x) anomalies with a covariance; with a precision, observations have errors."""
    import torch

    from xgapfill.gaussian.spectral import complete, to_field, to_modes

    spectrum, _, nugget, usual, _ = covariance
    more = 0 if precision is None else MORE_ITERATIONS
    precision = torch.zeros_like(w) if precision is None else precision
    field = complete(anomalies, precision, w > 0, spectrum, usual, ITERATIONS, more)
    # Weight of an observed pixel in the solution: its misfit to the other observations over its variance.
    weight = w * to_field(to_modes(field) / spectrum)
    some = WEAK / nugget
    near = kernels(w.shape, NEAR, *in_pixels(step_days, step_km))
    found, expected = (around(part, near) + some for part in (weight**2, w / usual))
    return Departures(field, nugget * weight, covariance, found / expected)


def departures_variance(departure: Tensor, w: Tensor, prior: Prior) -> Tensor:
    """Variance (b,) of anomalies, shrunk to the prior."""
    axes = (1, 2, 3)
    squares, independent = ((part.sum(axes)) / DEPENDENT_PIXELS for part in (departure**2, w))
    return (squares + FEW * prior.variance) / (independent + FEW)


def usual_covariance(prior: Prior, variance: Tensor, step_days: float) -> tuple[Tensor, Tensor]:
    """Logarithms of the prior covariance of anomalies with variances (b,), (b, 8), and their prior deviations."""
    import torch

    scales = (max(days, steps * step_days) for days, steps in zip(prior.covariance[5:7], prior.steps, strict=True))
    covariance = (*prior.covariance[:5], *scales, *prior.covariance[7:])
    usual = torch.tensor(covariance, dtype=torch.float64, device=variance.device).log().repeat(len(variance), 1)
    usual[:, :3] += variance.double().log()[:, None]
    return usual, torch.tensor(prior.belief, dtype=torch.float64, device=variance.device)


def usual_error(w: Tensor, smooth: Tensor, nugget: Tensor, step_days: float, step_km: Tensor) -> Tensor:
    """Approximate error variance at every pixel of a Gaussian field.

    With a random share f of observed pixels, a mode of variance S has the error variance S / (1 + f S / nugget). Modes
    are grouped in octaves of their size, and f is the observed share in a neighbourhood of that size.
    """
    import torch

    t, y, x = w.shape[1:]
    step_days, step_km = in_pixels(step_days, step_km)
    slots, rows, cols = (torch.arange(n, dtype=torch.float32, device=w.device) * (math.pi / n) for n in (t, y, x))
    north, east, time = rows / step_km[:, :1], cols / step_km[:, 1:], slots / step_days / SPEED
    wave2 = north[:, None, :, None] ** 2 + east[:, None, None, :] ** 2 + time[:, None, None] ** 2
    octave = (QUARTER_WAVE / wave2.sqrt().clamp_min(1e-9) / OCTAVES[0]).log2().round().clamp(0, len(OCTAVES) - 1)
    sums = smooth.new_zeros(len(smooth), len(OCTAVES))
    octave = octave.long().flatten(1)
    totals = sums.scatter_add(1, octave, smooth.flatten(1))
    squares = sums.scatter_add(1, octave, smooth.flatten(1) ** 2)
    typical = squares / totals.clamp_min(1e-12)
    error = torch.zeros_like(w)
    for k, size in enumerate(OCTAVES):
        near = kernels(w.shape, (size, size / SPEED), step_days, step_km)
        share = around(w, near) / whole(near)
        part, ratio = (v.view(-1, 1, 1, 1) for v in (totals[:, k] / (t * y * x), typical[:, k]))
        error = error + part / (1 + ratio / nugget * share)
    all_of_it = smooth.mean((1, 2, 3), keepdim=True)
    return nugget + ALIASED * error / (1 + (ALIASED - 1) * error / all_of_it)


def in_pixels(step_days: Any, step_km: Tensor) -> tuple[Any, Tensor]:
    """Steps for the error model and for nets: on grids finer than `FINEST`, as if pixels had that size."""
    share = min(1.0, float(step_km[0, 0]) / FINEST)
    return step_days / share, step_km / share
