"""Gaussian-Markov interpolation of a window in its cosine basis (Garcia 2010; Wahba 1990)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

CPU = torch.device("cpu")
AXES = (-3, -2, -1)
# Chosen by the error after ten iterations, on windows of the validation set and of the simulated ocean.
POWER = 0.7  # of the preconditioner
TOLD = (0.1, 10.0)  # range of the ratio of field error to observation error in which the power is 1
COARSE, COARSE_ITERATIONS = 4, 12  # side of a pixel of the coarse grid for the start, and its iterations
LEAST_GRID = 8  # smallest number of rows and columns of the coarse grid
SMALL = 1e-3  # share of the nugget in the coarse field, which must have variance to be inverted


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a cached matrix may be used with gradients
def cosine_basis(n: int, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> Tensor:
    """Orthonormal DCT-II matrix, (n, n): rows are wavenumbers, columns places; identical on every device."""
    k = torch.arange(n, dtype=torch.float64, device=CPU)[:, None]
    place = torch.arange(n, dtype=torch.float64, device=CPU)[None, :]
    basis = torch.cos(math.pi * (place + 0.5) * k / n) * math.sqrt(2.0 / n)
    basis[0] /= math.sqrt(2.0)
    return basis.to(device, dtype)


def bases(field: Tensor) -> Iterator[Tensor]:
    """Cosine bases of the last three axes of a field, of its device and dtype."""
    return (cosine_basis(n, field.device, field.dtype) for n in field.shape[-3:])


def to_modes(field: Tensor) -> Tensor:
    """Cosine coefficients of (..., t, y, x) fields, axis by axis as matrix products."""
    t, y, x = bases(field)
    field = torch.matmul(field, x.T)
    field = torch.matmul(y, field)
    return torch.matmul(t, field.flatten(-2)).unflatten(-1, field.shape[-2:])


def to_field(modes: Tensor) -> Tensor:
    """Inverse of `to_modes`."""
    t, y, x = bases(modes)
    modes = torch.matmul(t.T, modes.flatten(-2)).unflatten(-1, modes.shape[-2:])
    modes = torch.matmul(y.T, modes)
    return torch.matmul(modes, x)


def same_everywhere(spectrum: Tensor) -> Tensor:
    """Factor that gives a field with these mode variances the same variance everywhere.

    The variance of cosine modes doubles at the ends of a window, which would be visible in blended windows.
    """
    t, y, x = (basis**2 for basis in bases(spectrum))
    variance = torch.matmul(t.T, spectrum.flatten(-2)).unflatten(-1, spectrum.shape[-2:])
    variance = torch.matmul(torch.matmul(y.T, variance), x)
    return (variance.mean(dim=(-3, -2, -1), keepdim=True) / variance).sqrt()


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _lags_to_modes(n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(n, n): variance of each cosine mode of n places, by lag of a covariance."""
    basis = cosine_basis(n).double()
    columns = [(1 if lag == 0 else 2) * (basis[:, : n - lag] * basis[:, lag:]).sum(1) for lag in range(n)]
    return torch.stack(columns, dim=1).to(device, dtype)


def mode_variances(covariance: Tensor) -> Tensor:
    """Variances of the cosine modes of a stationary field from its covariance at all lags (..., t, y, x).

    Modes of different wavenumbers are assumed independent, which holds except near the edges of the window.
    """
    t, y, x = (_lags_to_modes(n, covariance.device, covariance.dtype) for n in covariance.shape[-3:])
    modes = torch.matmul(torch.matmul(y, covariance), x.T)
    return torch.matmul(t, modes.flatten(-2)).unflatten(-1, covariance.shape[-2:]).clamp_min(0.0)


def complete(
    values: Tensor,
    precision: Tensor,
    held: Tensor,
    spectrum: Tensor,
    usual: Tensor,
    iterations: int,
    more: int = 0,
) -> Tensor:
    """Conditional mean of a Gaussian field, known exactly at some places (held) and with errors at others.

    Conjugate gradients for the free places f, (Q_ff + P) x_f = P y_f - Q_fh y_h, where Q is the inverse covariance of
    the field, a product with cosine transforms. They start from the solution on a coarser grid. The preconditioner is a
    power of the operator without the mask between powers of the approximate error, so that both the interior and the
    edges of wide gaps converge in few iterations.

    Parameters
    ----------
    values : (..., t, y, x) float32
    precision : (..., t, y, x) inverse error variance of each value, 0 where missing
    held : (..., t, y, x) bool, where the values are exact
    spectrum : (..., t, y, x) variances of the field's cosine modes, with nugget: positive
    usual : (..., t, y, x) approximate error variance given the exact values only
    iterations : on the finest grid
    more : additional iterations for fields with values with errors

    Returns
    -------
    (..., t, y, x) float32, `values` where held.
    """
    free = (~held).to(values.dtype)
    known = torch.where(held, values, 0.0)
    precision = precision * free
    share = free.mean(dim=AXES, keepdim=True).clamp_min(1e-6)
    # Where observations with errors carry about as much information as the edges of gaps, the operator without the mask
    # is closest to the full one; with small errors, the information varies too much from place to place.
    told = (precision * usual).mean(dim=AXES, keepdim=True) / share
    told = (told > TOLD[0]) & (told < TOLD[1])
    power = torch.where(told, 1.0, POWER).to(spectrum.dtype)
    inverse = 1.0 / spectrum
    powered = _to_power(inverse + precision.mean(dim=AXES, keepdim=True) / share, -power)
    scale = free * torch.where(told, 1.0, _to_power(1.0 / usual + precision, -POWER))

    def operator(field: Tensor) -> Tensor:
        image: Tensor = to_field(to_modes(field).mul_(inverse)).mul_(free)
        return image.addcmul_(precision, field)

    def preconditioner(residual: Tensor) -> Tensor:
        z: Tensor = to_field(to_modes(scale * residual).mul_(powered)).mul_(scale)
        return z

    x = free * _coarse(values, precision, held, spectrum)
    residual = precision * (values - x) - free * to_field(to_modes(known + x) / spectrum)
    limit = iterations + more * (precision > 0).flatten(-3).any(-1)[..., None, None, None]
    return known + _descend(x, residual, operator, preconditioner, limit)


def _to_power(base: Tensor, power: Tensor | float) -> Tensor:
    """A positive tensor to a power, in half the time of `pow`."""
    return (base.log() * power).exp()


def _coarse(values: Tensor, precision: Tensor, held: Tensor, spectrum: Tensor) -> Tensor:
    """Approximate conditional mean of the field without its nugget, from means over n x n pixels; else zeros.

    The error variance of a mean is that of the nugget, of unresolved modes and of its values, over their number.
    """
    n, shape = COARSE, values.shape
    if any(length % n or length // n < LEAST_GRID for length in shape[-2:]):
        return torch.zeros_like(values)
    nugget = spectrum.amin(dim=AXES, keepdim=True)
    counted = torch.where(held, 1.0, nugget * precision / (1.0 + nugget * precision))
    low = spectrum[..., : shape[-2] // n, : shape[-1] // n]
    smooth = (low - (1 - SMALL) * nugget) / n**2
    missed = spectrum.mean(dim=AXES, keepdim=True) - low.mean(dim=AXES, keepdim=True) / n**2
    weight = _mean_of_squares(counted, n)
    mean = _mean_of_squares(counted * values, n) / weight.clamp_min(1e-12)
    exactness = weight * n**2 / (nugget + missed)

    def operator(field: Tensor) -> Tensor:
        return to_field(to_modes(field) / smooth) + exactness * field

    def preconditioner(residual: Tensor) -> Tensor:
        return to_field(smooth * to_modes(residual))

    limit = torch.tensor(COARSE_ITERATIONS, device=mean.device)
    x = _descend(torch.zeros_like(mean), exactness * mean, operator, preconditioner, limit)
    modes = values.new_zeros(shape)
    modes[..., : x.shape[-2], : x.shape[-1]] = n * to_modes(x)
    return to_field(modes)


def _mean_of_squares(field: Tensor, n: int) -> Tensor:
    """Means over n x n pixels of (..., y, x)."""
    return field.unflatten(-1, (-1, n)).mean(-1).unflatten(-2, (-1, n)).mean(-2)


def _descend(
    x: Tensor,
    residual: Tensor,
    operator: Callable[[Tensor], Tensor],
    preconditioner: Callable[[Tensor], Tensor],
    limit: Tensor,
) -> Tensor:
    """Preconditioned conjugate gradients (Hestenes & Stiefel 1952) from a start and its residual, which are changed.

    Each field has its own limit of iterations and its own step length, so its bits do not depend on its neighbours in
    the batch.
    """
    iterations = int(limit.max())
    direction = z = preconditioner(residual)
    rho = (residual * z).sum(dim=AXES, keepdim=True)
    for iteration in range(iterations):
        image = operator(direction)
        step = rho / (direction * image).sum(dim=AXES, keepdim=True).clamp_min(1e-30)
        x.addcmul_(torch.where(limit > iteration, step, 0.0), direction)
        if iteration == iterations - 1:
            break
        residual.addcmul_(step, image, value=-1.0)
        z = preconditioner(residual)
        fresh = (residual * z).sum(dim=AXES, keepdim=True)
        direction = direction.mul_(fresh / rho.clamp_min(1e-30)).add_(z)
        rho = fresh
    return x
