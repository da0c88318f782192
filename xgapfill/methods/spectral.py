"""Gaussian-Markov interpolation of a fixed window in its cosine basis (Garcia 2010; Wahba 1990)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=32)
def cosine_basis(n: int) -> Tensor:
    """Orthonormal DCT-II matrix, (n, n) float32: rows are wavenumbers, columns places."""
    k = torch.arange(n, dtype=torch.float64)[:, None]
    place = torch.arange(n, dtype=torch.float64)[None, :]
    basis = torch.cos(math.pi * (place + 0.5) * k / n) * math.sqrt(2.0 / n)
    basis[0] /= math.sqrt(2.0)
    return basis.float()


def to_modes(field: Tensor) -> Tensor:
    """Cosine coefficients of (..., t, y, x) fields, axis by axis as matrix products."""
    t, y, x = (cosine_basis(n).to(field.device) for n in field.shape[-3:])
    field = torch.matmul(field, x.T)
    field = torch.matmul(y, field)
    return torch.matmul(t, field.flatten(-2)).unflatten(-1, field.shape[-2:])


def to_field(modes: Tensor) -> Tensor:
    """Inverse of `to_modes`."""
    t, y, x = (cosine_basis(n).to(modes.device) for n in modes.shape[-3:])
    modes = torch.matmul(t.T, modes.flatten(-2)).unflatten(-1, modes.shape[-2:])
    modes = torch.matmul(y.T, modes)
    return torch.matmul(modes, x)


def prior_spectrum(
    shape: tuple[int, int, int],
    step_days: float,
    step_km: Tensor,
    structures: tuple[tuple[float, float, float, float], ...],
) -> Tensor:
    """Variance of every cosine mode under a sum of Matern-like structures.

    Parameters
    ----------
    shape : (t, y, x)
    step_days : float
    step_km : (b, 2) northward and eastward pixel size
    structures : tuple of (share, length_km, time_days, power)
        Each contributes `share` of the variance, with spectrum (1 + (length k)^2 + (time w)^2)^-power.

    Returns
    -------
    (b, t, y, x) float32, scaled so that the field's mean variance is the sum of the shares.
    """
    t, y, x = shape
    omega = torch.arange(t, dtype=torch.float32, device=step_km.device) * (math.pi / (t * step_days))
    north = torch.arange(y, dtype=torch.float32, device=step_km.device) * (math.pi / y) / step_km[:, :1]
    east = torch.arange(x, dtype=torch.float32, device=step_km.device) * (math.pi / x) / step_km[:, 1:]
    wave2 = north[:, None, :, None] ** 2 + east[:, None, None, :] ** 2
    total = torch.zeros(1, device=step_km.device)
    for share, length, time, power in structures:
        spectrum = (1.0 + length**2 * wave2 + (time * omega[None, :, None, None]) ** 2) ** -power
        total = total + spectrum * (share * t * y * x / spectrum.sum(dim=(1, 2, 3), keepdim=True))
    return total


def solve(values: Tensor, weight: Tensor, spectrum: Tensor, iterations: int) -> Tensor:
    """Conditional mean of a Gaussian field with the given mode variances, seen with noise.

    Preconditioned conjugate gradients (Hestenes & Stiefel 1952) on
    (I + S^1/2 B W B' S^1/2) u = S^1/2 B W y, field = B' S^1/2 u.
    A fixed number of iterations, one step length a field: its bits do not depend on its neighbours in the batch.

    Parameters
    ----------
    values : (..., t, y, x) float32
    weight : (..., t, y, x) W, one over the variance of each value's noise, 0 where nothing is seen
    spectrum : (..., t, y, x) S, variances of the cosine modes B

    Returns
    -------
    (..., t, y, x) float32
    """
    axes = (-3, -2, -1)
    root = spectrum.sqrt()
    scale = 1.0 / (1.0 + spectrum * weight.mean(dim=axes, keepdim=True))
    u = torch.zeros_like(values)
    residual = root * to_modes(weight * values)
    z = scale * residual
    direction = z
    rho = (residual * z).sum(dim=axes, keepdim=True)
    for _ in range(iterations):
        image = direction + root * to_modes(weight * to_field(root * direction))
        step = rho / (direction * image).sum(dim=axes, keepdim=True).clamp_min(1e-30)
        u = u + step * direction
        residual = residual - step * image
        z = scale * residual
        fresh = (residual * z).sum(dim=axes, keepdim=True)
        direction = z + fresh / rho.clamp_min(1e-30) * direction
        rho = fresh
    return to_field(root * u)
