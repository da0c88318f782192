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


@lru_cache(maxsize=32)
def _lags_to_modes(n: int) -> Tensor:
    """(n, n) float32: variance of each cosine mode of n places, by lag of a covariance."""
    basis = cosine_basis(n).double()
    columns = [(1 if lag == 0 else 2) * (basis[:, : n - lag] * basis[:, lag:]).sum(1) for lag in range(n)]
    return torch.stack(columns, dim=1).float()


def mode_variances(covariance: Tensor) -> Tensor:
    """Variances of the cosine modes of a stationary field, of its covariance at all lags (..., t, y, x).

    Modes of different wavenumbers are taken as independent, which they are but near the edges of the window.
    """
    t, y, x = (_lags_to_modes(n).to(covariance.device) for n in covariance.shape[-3:])
    modes = torch.matmul(torch.matmul(y, covariance), x.T)
    return torch.matmul(t, modes.flatten(-2)).unflatten(-1, covariance.shape[-2:]).clamp_min(0.0)


def complete(values: Tensor, precision: Tensor, held: Tensor, spectrum: Tensor, iterations: int) -> Tensor:
    """Conditional mean of a Gaussian field, known exactly at some places and with errors at others.

    Preconditioned conjugate gradients (Hestenes & Stiefel 1952) for the places f that are not held,
    (Q_ff + P) x_f = P y_f - Q_fh y_h, Q being the inverse of the field's covariance: a product with cosine transforms.
    The inverse without the mask preconditions, so that only the edges of the gaps are left to the iteration. The number
    of iterations is fixed, and one step length goes to a field: its bits do not depend on its neighbours in the batch.

    Parameters
    ----------
    values : (..., t, y, x) float32
    precision : (..., t, y, x) one over the variance of each value's error, 0 where nothing is known
    held : (..., t, y, x) bool, where the values are the field itself
    spectrum : (..., t, y, x) variances of the field's cosine modes, nugget and all: positive

    Returns
    -------
    (..., t, y, x) float32, `values` where held.
    """
    axes = (-3, -2, -1)
    free = (~held).to(values.dtype)
    known = torch.where(held, values, 0.0)
    precision = precision * free
    share = free.mean(dim=axes, keepdim=True).clamp_min(1e-6)
    usual = 1.0 / (1.0 / spectrum + precision.mean(dim=axes, keepdim=True) / share)

    def inverse(field: Tensor) -> Tensor:
        return to_field(to_modes(field) / spectrum)

    x = torch.zeros_like(values)
    residual = precision * values - free * inverse(known)
    z = free * to_field(usual * to_modes(residual))
    direction = z
    rho = (residual * z).sum(dim=axes, keepdim=True)
    for _ in range(iterations):
        image = free * inverse(direction) + precision * direction
        step = rho / (direction * image).sum(dim=axes, keepdim=True).clamp_min(1e-30)
        x = x + step * direction
        residual = residual - step * image
        z = free * to_field(usual * to_modes(residual))
        fresh = (residual * z).sum(dim=axes, keepdim=True)
        direction = z + fresh / rho.clamp_min(1e-30) * direction
        rho = fresh
    return known + x
