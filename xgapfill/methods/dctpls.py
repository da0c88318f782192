"""Penalised least squares by cosine transforms in space and time, within one window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from xgapfill.gaussian.background import conditions_first, trend_on
from xgapfill.gaussian.priors import DEPENDENT_PIXELS, shipped
from xgapfill.lattice.distance import nearest_in_windows
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.methods.parameters import number
from xgapfill.methods.shared import FEW, blocks, error_factor, known
from xgapfill.nets.device import on_device

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.weights import Weights

# Iterations of the final solution, of each trial, and of the smoother start when smoothing is prescribed. They suffice
# except in wide gaps, where the remaining error is small.
ITERATIONS = 12
TRIAL_ITERATIONS = 6
SMOOTH_ITERATIONS = 3
EVEN = 0.3  # share of the observed fraction in the preconditioner: wide gaps converge faster than with 1
# Default pair, and the multiples of it that are tried. These and the constants below were chosen on 8-day chlorophyll
# of the NE Pacific from June 2020.
SMOOTHING = 0.5
TIME_WEIGHT = 0.02
SMOOTHINGS = (64.0, 8.0, 1.0, 0.125)
TIME_WEIGHTS = (5.0, 0.2)
# Prior standard deviation of the natural logarithm of either, about the default.
USUAL_FACTOR = 2.3
LEAST, LARGEST = 1e-6, 1e6  # limits of single precision
# Squared error as a share of the variance: next to an observation, far away, and the e-folding distance in pixels.
ERROR = (0.05, 1.0, 18.0)


@dataclass(frozen=True)
class DctPls(Method):
    """Fill gaps by penalised least squares in the cosine basis, in space and time.

    The smooth z minimises ``sum over observed pixels of (y - z)^2 + smoothing * sum of (L z)^2``, where L is the sum of
    the second differences along rows, columns and, times `time_weight`, time steps. A regression on the predictors is
    subtracted first. The spread grows with the distance to observations, at a rate estimated on held-out blocks.

    Parameters
    ----------
    smoothing : float, optional
        Weight of the squared Laplacian, in pixels^4, against the misfit. By default it is chosen per space-time tile
        on held-out blocks of observations, and stays near 0.5 where these are few.
    time_weight : float, optional
        Weight of the second difference over time steps, against those over pixels. By default it is chosen in the same
        way, near 0.02.

    Raises
    ------
    ValueError
        Weights below 1e-6 or above 1e6.

    References
    ----------
    Garcia (2010), doi:10.1016/j.csda.2009.09.020. Gaps: Wang et al. (2012), doi:10.1016/j.ecolmodel.2012.02.020.
    Conjugate gradients in place of the fixed-point iteration: Hestenes & Stiefel (1952), doi:10.6028/jres.049.044.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.dctpls(ds.CHL, smoothing=0.1, time_weight=0.1).isnull().sum())
    0
    """

    smoothing: float | None = None
    time_weight: float | None = None

    name: ClassVar[str] = "dctpls"
    predictors: ClassVar[str] = "regression"
    costs: ClassVar[str] = "0.016"
    suits: ClassVar[str] = "a smooth map without a covariance model is needed"

    def __post_init__(self) -> None:
        for name in ("smoothing", "time_weight"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), LEAST, LARGEST)

    @on_device()
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Estimate and error of every channel; `members` must be 1."""
        import torch

        values, observed = torch.from_numpy(windows.values), torch.from_numpy(windows.observed.astype(np.float32))
        mean, error = torch.zeros_like(values), torch.zeros_like(values)
        for c in conditions_first(windows.targets, len(windows.channels)):
            y, w = values[:, :, c], observed[:, :, c]
            prior = shipped()[windows.channels[c]]
            trend, trend_variance = trend_on(
                y, w, windows.channels[c], shipped(), known(windows, c, values, observed, mean, error)
            )
            left, variance = self._smoothed((y - trend) * w, w, prior.variance)
            mean[:, :, c], error[:, :, c] = trend + left, (variance + trend_variance).sqrt()
        return Filled(mean[None].numpy(), error.numpy())

    def _smoothed(self, y: Tensor, w: Tensor, prior: float) -> tuple[Tensor, Tensor]:
        """Smooth field through anomalies and its error variance, (b, t, y, x)."""
        import torch

        axes = (1, 2, 3)
        shown = w * torch.from_numpy(~blocks(tuple(w.shape[1:])))
        smoothing, time_weight, trial, tried_distance = self._chosen(y, shown, w - shown)
        distance, missed = _nearest(y - trial, w, time_weight)
        start = trial + missed * (-distance / ERROR[2]).exp()  # starts near the held-out observations
        field = penalised(y, w, smoothing, time_weight, start, ITERATIONS)
        independent = w.sum(axes, keepdim=True) / DEPENDENT_PIXELS
        variance = ((y**2).sum(axes, keepdim=True) / DEPENDENT_PIXELS + FEW * prior) / (independent + FEW)
        error = variance * _growth(distance)
        tried = variance * _growth(tried_distance)
        for b in range(len(y)):
            held = (w - shown)[b] > 0
            error[b] *= error_factor(((y - trial) ** 2)[b][held].numpy(), tried[b][held].numpy())
        return field, error

    def _chosen(self, y: Tensor, shown: Tensor, held: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Smoothing and time weight of each window, (b,), their field without held-out blocks, and its `_nearest`.

        The smoothing is searched first, from the smoothest on, each trial starting from the field of the one before;
        then the time weight. The criterion is the sum of held-out error (as a Gaussian log-likelihood) and distance
        from the default.
        """
        import torch

        usual = torch.tensor([self.smoothing or SMOOTHING, self.time_weight or TIME_WEIGHT], dtype=torch.float64)
        start = usual[:, None].repeat(1, len(y))
        independent = held.sum((1, 2, 3)) / DEPENDENT_PIXELS
        distance, field = _nearest(y, shown, start[1])
        if self.smoothing is not None:  # like the search, start smoother: wide gaps converge in fewer iterations
            smoother = (SMOOTHINGS[0] * start[0]).clamp_max(LARGEST)
            field = penalised(y, shown, smoother, start[1], field, SMOOTH_ITERATIONS)
        best = field
        chosen, lowest = start, torch.full_like(independent, torch.inf)
        trials = (SMOOTHINGS if self.smoothing is None else (1.0,), TIME_WEIGHTS if self.time_weight is None else ())
        for axis, factors in enumerate(trials):
            base = chosen
            for factor in factors:
                pair = base.clone()
                pair[axis] *= factor
                field = penalised(y, shown, pair[0], pair[1], field, TRIAL_ITERATIONS)
                misfit = (held * (y - field) ** 2).sum((1, 2, 3)) + 1e-6
                unusual = ((pair / start).log() ** 2).sum(0) / USUAL_FACTOR**2
                score = (independent * misfit.log() + unusual).float()
                better = score < lowest
                lowest = torch.where(better, score, lowest)
                chosen = torch.where(better, pair, chosen)
                best = torch.where(better[:, None, None, None], field, best)
        if not torch.equal(chosen[1], start[1]):
            distance = _nearest(y, shown, chosen[1])[0]
        return chosen[0], chosen[1], best, distance


def penalised(
    values: Tensor, observed: Tensor, smoothing: Tensor, time_weight: Tensor, start: Tensor, iterations: int
) -> Tensor:
    """Solution of (W + s L^2) z = W y, by preconditioned conjugate gradients on its cosine coefficients.

    Parameters
    ----------
    values, observed : (b, t, y, x) float32
        y, and the diagonal of W, 0 or 1.
    smoothing, time_weight : (b,)
        s, and the weight of the second difference in time inside L.
    start : (b, t, y, x) float32
        First guess of z.
    iterations : int
        A fixed number, with one step length per field: bits of a field do not depend on its neighbours in the batch.

    Returns
    -------
    (b, t, y, x) float32
    """
    from xgapfill.gaussian.spectral import to_field, to_modes

    axes = (1, 2, 3)
    penalty = _penalty(values, smoothing, time_weight)
    # preconditioner: the operator for evenly spread observations
    scale = 1.0 / (EVEN * observed.mean(axes, keepdim=True).clamp_min(1e-3) + penalty)
    z = to_modes(start)
    residual = to_modes(observed * (values - start)) - penalty * z
    step = direction = scale * residual
    energy = (residual * step).sum(axes, keepdim=True)
    for _ in range(iterations):
        image = to_modes(observed * to_field(direction)).addcmul_(penalty, direction)
        length = energy / (direction * image).sum(axes, keepdim=True).clamp_min(1e-30)
        z.addcmul_(length, direction)
        residual.addcmul_(-length, image)
        step = scale * residual
        before, energy = energy, (residual * step).sum(axes, keepdim=True)
        direction = step.addcmul_(energy / before.clamp_min(1e-30), direction)
    return to_field(z)


def _penalty(values: Tensor, smoothing: Tensor, time_weight: Tensor) -> Tensor:
    """Eigenvalues of s L^2 in the cosine basis, (b, t, y, x)."""
    import torch

    t, y, x = (2.0 - 2.0 * torch.cos(torch.arange(n, dtype=torch.float64) * (math.pi / n)) for n in values.shape[1:])
    laplacian = time_weight[:, None, None, None] * t[:, None, None] + y[:, None] + x
    return (smoothing[:, None, None, None] * laplacian**2).to(values.dtype)


def _nearest(values: Tensor, observed: Tensor, time_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Distance in pixels to the nearest observed pixel and its value; infinity and 0 when none is observed."""
    import torch

    # length of a time step in pixels, from the time weight
    distance, value = nearest_in_windows(values.numpy(), observed.numpy() > 0, time_weight.numpy() ** -0.5)
    return torch.from_numpy(distance), torch.from_numpy(value)


def _growth(distance: Tensor) -> Tensor:
    at_once, far, pixels = ERROR
    return far - (far - at_once) * (-distance / pixels).exp()
