"""Covariance of a window from pairs of its observed pixels: two nested structures and a nugget, shrunk to a prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xgapfill.gaussian.priors import DEPENDENT_PIXELS

# Lags of the variogram, (frames, rows, cols): short ones, which determine the weights of the neighbours.
PLACES = [(0, 0), *((n, 0) for n in (1, 2, 3, 4, 6, 8, 12)), *((0, n) for n in (1, 2, 3, 4, 6, 8, 12))]
PLACES += [(n, sign * n) for n in (1, 2, 4, 8) for sign in (1, -1)]
LAGS = [(frames, *place) for frames in (0, 1, 2) for place in PLACES if (frames, *place) != (0, 0, 0)]
ROWS = 2
LAG_ERROR = 0.2  # smallest error of the log variogram for any number of pairs: no model is exact
LEAST = 1e-3  # share of the variance that is added to variograms before taking logarithms
FARTHEST = 4.0  # largest departure of a parameter from the prior, in prior standard deviations
SMOOTHEST = 1.9  # largest power of the structures: at 2 the covariance is too smooth to invert
STEPS = 8
PARAMETERS = ("v1", "v2", "nugget", "l1", "l2", "t1", "t2", "power")


def variogram(values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Half the mean square difference of pairs of observed pixels at each of `LAGS`, and the number of pairs.

    Pairs begin in every `ROWS`-th row and count for those of the rows between, which differ little.

    Parameters
    ----------
    values : (b, t, y, x) float32, 0 where not observed
    observed : (b, t, y, x) float32, 0 or 1

    Returns
    -------
    (b, lags) float64 each; 0 without pairs.
    """
    shape = values.shape[1:]
    gamma, pairs = [], []
    for lag in LAGS:
        if any(abs(step) >= n for step, n in zip(lag, shape, strict=True)):
            nothing = torch.zeros(len(values), dtype=torch.float64, device=values.device)
            gamma.append(nothing)
            pairs.append(nothing)
            continue
        a, b = (
            tuple(
                slice(max(s * step, 0), n + min(s * step, 0), every)
                for step, n, every in zip(lag, shape, (1, ROWS, 1), strict=True)
            )
            for s in (-1, 1)
        )
        both = observed[:, *a] * observed[:, *b]
        squares = ((values[:, *a] - values[:, *b]) ** 2 * both).sum((1, 2, 3)).double()
        count = both.sum((1, 2, 3)).double()
        gamma.append(0.5 * squares / count.clamp_min(1.0))
        pairs.append(ROWS * count)
    return torch.stack(gamma, dim=1), torch.stack(pairs, dim=1)


def fit(values: Tensor, observed: Tensor, usual: Tensor, belief: Tensor, step_days: float, step_km: Tensor) -> Tensor:
    """Covariance fitted to the variogram of the observations, shrunk to the prior.

    Least squares of the logarithm, which is Cressie's (1985, doi:10.1007/BF01032109) weighting by the inverse square
    of the variogram, with his number of pairs counted in `DEPENDENT_PIXELS` and limited by `LAG_ERROR`; solved by a
    fixed number of steps of Levenberg (1944) and Marquardt (1963, doi:10.1137/0111030).

    Parameters
    ----------
    values, observed : (b, t, y, x), anomalies from the trend, 0 where missing
    usual : (b, 8) float64 logarithms of the prior `PARAMETERS`, in units of the values, km and days
    belief : (8,) float64 prior standard deviations of these logarithms between windows
    step_days : days between frames
    step_km : (b, 2) northward and eastward pixel size

    Returns
    -------
    (b, 8) float64 logarithms of the parameters.
    """
    gamma, pairs = variogram(values, observed)
    lags = torch.tensor(LAGS, dtype=torch.float64, device=values.device)
    km2 = ((lags[:, 1:] * step_km[:, None].double()) ** 2).sum(-1)
    days2 = ((lags[:, 0] * step_days) ** 2).expand_as(km2)
    # halved, as neighbouring lags are strongly correlated
    weight = 0.5 / (LAG_ERROR**2 + 2 * DEPENDENT_PIXELS / pairs.clamp_min(1e-6)).sqrt()
    least = LEAST * usual[:, :3].exp().sum(1, keepdim=True)
    wanted = (gamma + least).log()
    lowest, highest = usual - FARTHEST * belief, usual + FARTHEST * belief
    highest[:, 7].clamp_(max=math.log(SMOOTHEST))

    def misfit(p: Tensor) -> tuple[Tensor, Tensor]:
        expected, slopes = _model(p, km2, days2)
        error = torch.cat([weight * ((expected + least).log() - wanted), (p - usual) / belief], dim=1)
        slopes = (weight / (expected + least))[..., None] * slopes
        return error, torch.cat([slopes, torch.diag(1 / belief).expand(len(p), -1, -1)], dim=1)

    p, damping = usual.clamp(lowest, highest), torch.full_like(usual[:, :1], 1e-2)
    error, slopes = misfit(p)
    for _ in range(STEPS):
        normal = slopes.transpose(1, 2) @ slopes
        right = (slopes.transpose(1, 2) @ error[..., None])[..., 0]
        normal = normal + torch.diag_embed(damping * normal.diagonal(dim1=1, dim2=2))
        tried = (p - torch.linalg.solve(normal, right)).clamp(lowest, highest)
        new_error, new_slopes = misfit(tried)
        better = ((new_error**2).sum(1) < (error**2).sum(1))[:, None]
        p, error = torch.where(better, tried, p), torch.where(better, new_error, error)
        slopes = torch.where(better[..., None], new_slopes, slopes)
        damping = torch.where(better, 0.3 * damping, 5.0 * damping).clamp(1e-6, 1e3)
    return p


def _model(p: Tensor, km2: Tensor, days2: Tensor) -> tuple[Tensor, Tensor]:
    """Variogram (b, n) of parameters (b, 8), and its derivatives (b, n, 8) with respect to their logarithms."""
    v1, v2, nugget, l1, l2, t1, t2, power = p.exp().unsqueeze(-1).unbind(1)
    half = power / 2
    total, by_power = nugget.expand_as(km2), torch.zeros_like(km2)
    columns: dict[int, Tensor] = {}
    for k, (v, length, time) in enumerate(((v1, l1, t1), (v2, l2, t2))):
        space, days = km2 / length**2, days2 / time**2
        q = space + days
        root = q**half
        fall = v * (-root).exp()
        total = total + v - fall
        steep = -2 * fall * half * root / q
        columns |= {k: v - fall, 3 + k: steep * space, 5 + k: steep * days}
        by_power = by_power + fall * root * q.log() * half
    columns |= {2: nugget.expand_as(km2), 7: by_power}
    return total, torch.stack([columns[k] for k in range(8)], dim=-1)


def covariance(p: Tensor, shape: tuple[int, int, int], step_days: float, step_km: Tensor) -> Tensor:
    """Covariance without the nugget at all lags (b, t, y, x) of a window, for parameters (b, 8); float32."""
    frames, rows, cols = (torch.arange(n, dtype=torch.float32, device=p.device) for n in shape)
    km2 = (rows[:, None] * step_km[:, 0, None, None]) ** 2 + (cols * step_km[:, 1, None, None]) ** 2
    days2 = ((frames * step_days) ** 2)[:, None, None]
    return structures(p.exp().float()[:, :, None, None, None].unbind(1), km2[:, None], days2)


def structures(parameters: Sequence[Any], km2: Tensor, days2: Tensor) -> Tensor:
    """Covariance without the nugget of `PARAMETERS` at squared distances and differences of time."""
    v1, v2, _, l1, l2, t1, t2, power = parameters
    first, second = (-((km2 / length**2 + days2 / time**2) ** (power / 2)) for length, time in ((l1, t1), (l2, t2)))
    return v1 * first.exp() + v2 * second.exp()
