"""The classical first guess: regression on the conditions, then Gaussian-Markov interpolation, inside one window.

Everything it needs it takes from the window's own seen pixels, shrunk to priors that ship with the package: it is
lazy, local and the same for any chunking. Torch only, so that nets can be trained on what it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xgapfill.methods import priors as prior_file
from xgapfill.methods.priors import Prior
from xgapfill.patch import Filled, Noise, Windows

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

ITERATIONS = 40
# Gaussian neighbourhoods (km, days) in which observations are counted.
SCALES = ((6.0, 4.0), (20.0, 10.0), (80.0, 30.0))
# Neighbouring pixels tell the same: so many count as one independent sample in means and regressions.
DEPENDENT_PIXELS = 100.0
# Conditions enter the regression about these values; beyond the span they are clipped before being squared.
CENTRES: Mapping[str, float] = {"log10_chl": -0.3, "sst": 0.0}
SPAN = 2.0
USUAL_ROUGHNESS = 0.1


@dataclass(frozen=True)
class Guess:
    """The background of a batch of windows, tensors of shape (b, t, c, y, x) except `density`.

    Attributes
    ----------
    mean : the first guess
    error : one standard deviation of its error
    density : (b, t, c, s, y, x) log1p of the number of observations around, at each of `SCALES`
    trend : what the interpolation adds its departures to
    spectrum : variances of the departures' cosine modes
    noise : (b, 1, c, 1, 1) variance of the observations' noise
    """

    mean: Tensor
    error: Tensor
    density: Tensor
    trend: Tensor
    spectrum: Tensor
    noise: Tensor


def first_guess(
    values: Tensor,
    seen: Tensor,
    step_days: float,
    step_km: Tensor,
    channels: tuple[str, ...],
    targets: int,
    priors: Mapping[str, Any],
) -> Guess:
    """Background of every channel: conditions from themselves, targets from the conditions and themselves.

    Parameters
    ----------
    values, seen : (b, t, c, y, x) float32, `seen` as 0 or 1, `values` 0 where not seen
    step_days : days between slots
    step_km : (b, 2) northward and eastward pixel size
    channels, targets : as in `Windows`
    priors : channel -> Prior
    """
    import torch

    results: dict[int, tuple[Tensor, ...]] = {}
    known = [(channels[c], c) for c in range(targets, len(channels))]
    for c in conditions_first(targets, len(channels)):
        prior: Prior = priors[channels[c]]
        y, w = values[:, :, c], seen[:, :, c]
        conditions = (
            {n: as_observed(values[:, :, i], seen[:, :, i], *results[i][:2]) for n, i in known} if c < targets else {}
        )
        trend, trend_variance = trend_on(y, w, prior, conditions)
        mean, error, *rest = _interpolate(y, w, trend, prior, step_days, step_km)
        results[c] = mean, (error**2 + trend_variance).sqrt(), *rest
    order = [results[c] for c in range(len(channels))]
    return Guess(*(torch.stack(part, dim=2) for part in zip(*order, strict=True)))


def conditions_first(targets: int, channels: int) -> list[int]:
    """Channels in the order in which they are filled: targets may rest on conditions."""
    return [*range(targets, channels), *range(targets)]


def as_observed(values: Tensor, seen: Tensor, mean: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """A condition as it was observed, noise and all: maps made from the same light share it; else its background."""
    return seen * values + (1 - seen) * mean, (1 - seen) * error


def trend_on(
    y: Tensor, w: Tensor, prior: Prior, conditions: Mapping[str, tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Ridge regression on a constant and the conditions, shrunk to the prior; and its variance
    through the conditions' errors. Two (b, t, y, x) fields.
    """
    import torch

    columns, prior_beta, prior_sd = [torch.ones_like(y)], [torch.as_tensor(prior.mean)], [prior.variance**0.5]
    for name, (mean, _) in conditions.items():
        slope, curvature = prior.regression.get(name, (0.0, 0.0))
        departure = (mean - CENTRES.get(name, 0.0)).clamp(-SPAN, SPAN)
        columns += [departure, departure**2]
        prior_beta += [torch.as_tensor(slope), torch.as_tensor(curvature)]
        prior_sd += [0.5 * prior.variance**0.5, 0.2 * prior.variance**0.5]
    design = torch.stack(columns, dim=1).flatten(2)
    beta0 = torch.stack(prior_beta).to(y)
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


def _interpolate(
    y: Tensor, w: Tensor, trend: Tensor, prior: Prior, step_days: float, step_km: Tensor
) -> tuple[Tensor, ...]:
    """The parts of a `Guess` of one channel: departures from the trend, their error and what these rest on."""
    import torch

    from xgapfill.methods.spectral import prior_spectrum, solve

    departure = (y - trend) * w
    axes = (1, 2, 3)
    independent = w.sum(axes, keepdim=True) / DEPENDENT_PIXELS
    squares = (departure**2).sum(axes, keepdim=True) / DEPENDENT_PIXELS
    variance = (squares + 5.0 * prior.variance) / (independent + 5.0)
    noise = prior.noise * (_roughness(departure, w, variance) / USUAL_ROUGHNESS) ** prior.roughness
    spectrum = prior_spectrum((y.shape[1], y.shape[2], y.shape[3]), step_days, step_km, prior.structures) * variance
    departures = solve(departure, w / (noise * variance), spectrum, ITERATIONS)
    counts = [_around(w, scale, step_days, step_km) for scale in SCALES]
    misfit = _around(w * (departure - departures) ** 2, SCALES[-1], step_days, step_km)
    weak = 50.0
    local = (misfit + weak * noise * variance) / (counts[-1] + weak) / variance
    density = torch.stack([torch.log1p(count) for count in counts], dim=2)
    log_variance = prior.error[0] + prior.error[-1] * local.clamp_min(1e-4).log()
    for s in range(len(SCALES)):
        log_variance = log_variance + prior.error[1 + s] * density[:, :, s]
    error = (variance * log_variance.clamp(-7.0, 2.0).exp()).sqrt()
    return trend + departures, error, density, trend, spectrum, noise * variance


def _roughness(departure: Tensor, w: Tensor, variance: Tensor) -> Tensor:
    """Half the mean square difference of neighbouring seen pixels as a share of the variance, shrunk to the usual."""
    few = 200.0
    squares = few * USUAL_ROUGHNESS * variance
    pairs = few + 0.0 * variance
    for axis in (2, 3):
        n = w.shape[axis] - 1
        both = w.narrow(axis, 0, n) * w.narrow(axis, 1, n)
        difference = departure.narrow(axis, 1, n) - departure.narrow(axis, 0, n)
        squares = squares + 0.5 * (both * difference**2).sum((1, 2, 3), keepdim=True)
        pairs = pairs + both.sum((1, 2, 3), keepdim=True)
    return squares / pairs / variance


def _around(field: Tensor, scale: tuple[float, float], step_days: float, step_km: Tensor) -> Tensor:
    """Sum of a (b, t, y, x) field over a Gaussian neighbourhood of (km, days), weight 1 in its centre."""
    import torch

    km, days = scale

    def kernel(n: int, step: Tensor) -> Tensor:
        place = torch.arange(n, dtype=torch.float32, device=field.device)
        return torch.exp(-0.5 * ((place[:, None] - place[None, :]) * step / km) ** 2)

    north = kernel(field.shape[2], step_km[:, 0, None, None])[:, None]
    east = kernel(field.shape[3], step_km[:, 1, None, None])[:, None]
    slots = torch.arange(field.shape[1], dtype=torch.float32, device=field.device)
    time = torch.exp(-0.5 * ((slots[:, None] - slots[None, :]) * (step_days / days)) ** 2)
    blurred = torch.matmul(torch.matmul(north, field), east)
    return torch.matmul(time, blurred.flatten(-2)).unflatten(-1, field.shape[-2:])


@dataclass(frozen=True)
class Background:
    """Regression on the conditions and Gaussian-Markov interpolation of the rest: the classical first guess.

    Source: penalised least squares by cosine transforms, Garcia (2010), doi:10.1016/j.csda.2009.09.020, with the
    spectrum of a Matern-like covariance in place of the biharmonic one and conjugate gradients in place of the
    fixed-point iteration; ridge regression with a prior, Hoerl & Kennard (1970), doi:10.1080/00401706.1970.10488634.
    """

    priors: Mapping[str, Prior] = field(default_factory=prior_file.shipped)

    name: ClassVar[str] = "background"
    draws: ClassVar[bool] = False

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """It needs none: ValueError when it has no priors for a channel."""
        unknown = [c for c in channels if c not in self.priors]
        if unknown:
            raise ValueError(f"background has priors for {sorted(self.priors)}, not for {unknown}.")
        return None

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Mean and error of every channel; `members` must be 1."""
        import torch

        from xgapfill.methods.base import one_thread

        one_thread()
        with torch.no_grad():
            guess = first_guess(
                torch.from_numpy(windows.values),
                torch.from_numpy(windows.seen.astype(np.float32)),
                windows.step_days,
                torch.from_numpy(windows.step_km),
                windows.channels,
                windows.targets,
                self.priors,
            )
        return Filled(guess.mean[None].numpy(), guess.error.numpy())
