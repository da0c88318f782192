"""Schedules of noise levels: lists of steps (from sigma, to sigma); a step down is one function evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Move = tuple[float, float]


def repaint_times(steps: int, jump_length: int, jump_samples: int) -> list[int]:
    """Diffusion times of RePaint, from `steps` - 1 down to -1 with its jumps back up.

    Parameters
    ----------
    steps : number of diffusion times
    jump_length : length of a jump back up
    jump_samples : number of descents through each stretch of `jump_length`

    References
    ----------
    Lugmayr et al. (2022), doi:10.1109/CVPR52688.2022.01117, algorithm 1 and appendix.
    """
    jumps = dict.fromkeys(range(0, steps - jump_length, jump_length), jump_samples - 1)
    times = []
    time = steps
    while time >= 1:
        time -= 1
        times.append(time)
        if jumps.get(time, 0) > 0:
            jumps[time] -= 1
            for _ in range(jump_length):
                time += 1
                times.append(time)
    return [*times, -1]


def linear_sigmas(steps: int, full: int = 1000) -> list[float]:
    """Noise levels of a linear variance schedule (Ho et al. 2020, arXiv:2006.11239) thinned to `steps` times.

    sigma = sqrt((1 - abar) / abar): the same process with the signal left unscaled (Karras et al. 2022, table 1).
    """
    beta = np.linspace(1e-4, 0.02, full) * (1000 / full)
    abar = np.cumprod(1.0 - beta)
    kept = abar[np.linspace(0, full - 1, steps).round().astype(int)]
    return [float(s) for s in np.sqrt((1.0 - kept) / kept)]


def repaint_schedule(steps: int = 250, jump_length: int = 10, jump_samples: int = 10) -> list[Move]:
    """The schedule of RePaint as steps between noise levels; the defaults are the paper's: 2,410 down, 2,160 up."""
    sigmas = [*linear_sigmas(steps), 0.0]  # time -1 is the last entry
    times = repaint_times(steps, jump_length, jump_samples)
    return [(sigmas[a], sigmas[b]) for a, b in pairwise(times)]


def karras_schedule(calls: int, sigma_max: float, sigma_min: float, rho: float = 5.0) -> list[Move]:
    """Monotonic schedule of `calls` steps, levels as in Karras et al. (2022), arXiv:2206.00364, equation 5."""
    ramp = np.linspace(0.0, 1.0, calls)
    levels = (sigma_max ** (1 / rho) + ramp * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))) ** rho
    sigmas = [*(float(s) for s in levels), 0.0]
    return list(pairwise(sigmas))


def check_schedule(schedule: Sequence[Move]) -> list[Move]:
    """The schedule as plain floats; ValueError unless each step begins at the end of the one before and the last at 0.

    TypeError when it is not a sequence of pairs of numbers.
    """
    try:
        moves = [(float(a), float(b)) for a, b in schedule]
    except (TypeError, ValueError) as error:
        raise TypeError(
            "schedule must be 'fast', 'paper' or a list of steps (from noise level, to noise level) that ends at 0, "
            f"such as [(20.0, 1.0), (1.0, 0.0)]; found {schedule!r}"
        ) from error
    if not moves:
        raise ValueError("schedule has no steps; give a list of (from sigma, to sigma) pairs that ends at 0")
    for k, (a, b) in enumerate(moves):
        if not (np.isfinite(a) and np.isfinite(b)) or a < 0 or b < 0 or a == b:
            raise ValueError(f"schedule: step {k} is ({a}, {b}); both must be finite, not negative and different")
        if k and moves[k - 1][1] != a:
            raise ValueError(f"schedule: step {k} begins at {a}, but the step before it ended at {moves[k - 1][1]}")
    if moves[0][1] > moves[0][0] or moves[-1][1] != 0.0:
        raise ValueError(f"schedule: the first step must go down and the last end at 0, found {moves[0]}, {moves[-1]}")
    return moves
