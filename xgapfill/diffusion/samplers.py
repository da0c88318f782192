"""Samplers, one function per algorithm, in the paper's order; the network is a function denoise(x, sigma) -> x0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from xgapfill.diffusion.schedule import Move

Denoise = Callable[[Tensor, float], Tensor]
Draw = Callable[[int], Tensor]  # the k-th standard normal field of the schedule


def repaint(
    denoise: Denoise,
    known: Tensor,
    observed: Tensor,
    schedule: Sequence[Move],
    draw: Draw,
    *,
    eta: float = 1.0,
    noisy_observed: bool = True,
    start: Tensor | float = 0.0,
    noisy_start: bool = False,
) -> Tensor:
    """Sample missing values given the observations: algorithm 1 of RePaint for any schedule.

    Parameters
    ----------
    denoise : posterior mean of the clean field at a noise level
    known : (...) values where `observed`, any number elsewhere
    observed : (...) bool
    schedule : steps between noise levels; the first begins at the largest, the last ends at 0
    draw : standard normal fields shaped like `known`, by number
    eta : 1 for the paper's random reverse steps, 0 for deterministic ones (DDIM, Song et al. 2021, arXiv:2010.02502)
    noisy_observed : True inserts observations with the noise of the step, as in the paper; False inserts them without
        noise, for a network that gets the noise level as a map
    start : clean field to which the noise of the first level is added; at the largest levels it has no effect, and a
        draw of a simpler model makes these unnecessary (Chung, Sim & Ye 2022, doi:10.1109/CVPR52688.2022.01209)
    noisy_start : True takes `start` as it is, for a field that is as rough as one with the noise of the first level

    Returns
    -------
    (...) the sample; `known` where `observed`.

    References
    ----------
    Lugmayr et al. (2022), doi:10.1109/CVPR52688.2022.01117, algorithm 1, in the unscaled variables of Karras et al.
    (2022), arXiv:2206.00364: x_t = x_0 + sigma_t n.
    """
    x = start if noisy_start else start + schedule[0][0] * draw(0)
    count = 1
    for sigma, to in schedule:
        if to > sigma:
            # Diffuse back up (line 9).
            x = x + (to**2 - sigma**2) ** 0.5 * draw(count)
            count += 1
            continue
        # Insert observations at this noise level (lines 4 and 8), before the first function evaluation as well.
        x = torch.where(observed, known + sigma * draw(count) if noisy_observed else known, x)
        x0 = denoise(x, sigma)
        # One reverse step towards the clean field (line 6).
        random = eta * to * (1 - (to / sigma) ** 2) ** 0.5
        x = x0 + (to**2 - random**2) ** 0.5 / sigma * (x - x0)
        if random > 0:
            x = x + random * draw(count + 1)
        count += 2
    return torch.where(observed, known, x)


def heun(denoise: Denoise, known: Tensor, observed: Tensor, sigmas: Sequence[float], draw: Draw) -> Tensor:
    """Sample by Heun's second order method: two function evaluations per level, one for the last.

    Parameters
    ----------
    denoise, known, observed : as in `repaint`
    sigmas : noise levels, descending, without the 0 at the end
    draw : as in `repaint`

    References
    ----------
    Karras et al. (2022), arXiv:2206.00364, algorithm 1.
    """
    x = torch.where(observed, known, sigmas[0] * draw(0))
    for sigma, to in pairwise(sigmas):
        slope = (x - denoise(x, sigma)) / sigma
        guess = x + (to - sigma) * slope
        x = x + (to - sigma) * 0.5 * (slope + (guess - denoise(guess, to)) / to)
        x = torch.where(observed, known, x)
    return torch.where(observed, known, denoise(x, sigmas[-1]))


def dpm_solver(denoise: Denoise, known: Tensor, observed: Tensor, sigmas: Sequence[float], draw: Draw) -> Tensor:
    """Sample by DPM-Solver++(2M): second order from two successive levels, one function evaluation per level.

    Parameters
    ----------
    denoise, known, observed, sigmas, draw : as in `heun`

    References
    ----------
    Lu et al. (2022), arXiv:2211.01095, algorithm 2, with alpha = 1: lambda = -log sigma.
    """
    x = torch.where(observed, known, sigmas[0] * draw(0))
    before, last_step = None, 0.0
    for sigma, to in pairwise(sigmas):
        answer, step = denoise(x, sigma), math.log(sigma / to)
        direction = answer
        if before is not None:
            half_ratio = 0.5 * step / last_step
            direction = (1 + half_ratio) * answer - half_ratio * before
        x = torch.where(observed, known, to / sigma * x - math.expm1(-step) * direction)
        before, last_step = answer, step
    return torch.where(observed, known, denoise(x, sigmas[-1]))
