"""Sums over Gaussian neighbourhoods in space and time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def kernels(
    shape: tuple[int, ...], scale: tuple[float, float], step_days: float, step_km: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian neighbourhood of (km, days), with weight 1 at its centre: (1 or b, n, n) along t, y and x."""
    km, days = scale
    north, east = (tuple(steps) for steps in (step_km / km).T.tolist())
    t, y, x = shape[1:]
    place = step_km.device
    return _kernel(t, (step_days / days,), place), _kernel(y, north, place), _kernel(x, east, place)


@lru_cache(maxsize=128)  # channels and windows of the same rows share them
def _kernel(n: int, steps: tuple[float, ...], device: torch.device) -> Tensor:
    import torch

    with torch.inference_mode(False):  # a cached matrix may be used with gradients
        place = torch.arange(n, dtype=torch.float32, device=device)
        step = torch.tensor(steps, dtype=torch.float32, device=device)
        return torch.exp(-0.5 * ((place[:, None] - place) * step[:, None, None]) ** 2)


def around(field: Tensor, kernels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Sum of a (b, t, y, x) field over a neighbourhood."""
    import torch

    time, north, east = kernels
    blurred = torch.matmul(torch.matmul(north[:, None], field), east[:, None])
    return torch.matmul(time, blurred.flatten(-2)).unflatten(-1, field.shape[-2:])


def whole(kernels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Sum of a field of ones over a neighbourhood, (b, t, y, x)."""
    time, north, east = (kernel.sum(-1) for kernel in kernels)
    return time[:, :, None, None] * north[:, None, :, None] * east[:, None, None, :]
