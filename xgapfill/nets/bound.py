"""The importance-weighted bound on the evidence of observations, and weights that do not degenerate with size.

The likelihood counts observed pixels only (Collier, Nazabal & Williams 2020, arXiv:2006.05301); the bound over K draws
of the latents and the self-normalised weights are those of MIWAE (Mattei & Frellsen 2019, arXiv:1812.02633).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_TWO_PI = math.log(2 * math.pi)


def log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Logarithm of the normal density, element by element."""
    return -0.5 * (LOG_TWO_PI + log_variance + (x - mean) ** 2 * torch.exp(-log_variance))


def masked_log_likelihood(x: Tensor, observed: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Logarithm of the normal density element by element, 0 where not `observed` (bool)."""
    return torch.where(observed, log_normal(torch.where(observed, x, mean.detach()), mean, log_variance), 0.0)


def log_ratio(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log p(z) - log q(z) element by element: standard normal prior, normal encoder."""
    return 0.5 * (log_variance + (z - mean) ** 2 * torch.exp(-log_variance) - z**2)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """Bound on log p(x_observed) from K draws: log of the mean weight; log_weights (K, ...) -> (...).

    log_weights are log p(x_observed | z) + log p(z) - log q(z) for z drawn from q. The bound becomes tighter with K and
    tends to the evidence (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


def pick(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Index of one of K draws at every place, with its self-normalised weight as probability: (K, ...) -> (...).

    Gumbel's maximum, so that places with similar weights and the same `uniform` (K, ...) numbers pick the same draw.
    """
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    return (log_weights - torch.log(-torch.log(uniform))).argmax(dim=0)
