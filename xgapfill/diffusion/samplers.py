"""Samplers: one function an algorithm, in the paper's order; the net is told one thing, denoise(x, sigma) -> x0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xgapfill.diffusion.schedule import Move

Denoise = Callable[[Tensor, float], Tensor]
Draw = Callable[[int], Tensor]  # the k-th standard normal field of the walk


def repaint(denoise: Denoise, known: Tensor, seen: Tensor, walk: Sequence[Move], draw: Draw) -> Tensor:
    """Sample what was not seen, given what was: algorithm 1 of RePaint on a walk given as data.

    Parameters
    ----------
    denoise : posterior mean of the clean field at a noise level
    known : (...) values where `seen`, anything elsewhere
    seen : (...) bool
    walk : moves between noise levels; the first begins at the largest, the last ends at 0
    draw : standard normal fields shaped like `known`, by number

    Returns
    -------
    (...) the sample; `known` where `seen`.

    References
    ----------
    Lugmayr et al. (2022), doi:10.1109/CVPR52688.2022.01117, algorithm 1, in the unscaled variables of Karras et al.
    (2022), arXiv:2206.00364: x_t = x_0 + sigma_t n.
    """
    x = walk[0][0] * draw(0)
    count = 1
    for sigma, to in walk:
        if to > sigma:
            # Diffuse back up (line 9).
            x = x + (to**2 - sigma**2) ** 0.5 * draw(count)
            count += 1
            continue
        # What was seen, at this noise level (lines 4 and 8); the walk's first call sees it too.
        x = torch.where(seen, known + sigma * draw(count), x)
        x0 = denoise(x, sigma)
        # One reverse step towards the clean field (line 6).
        x = x0 + (to / sigma) ** 2 * (x - x0)
        if to > 0:
            x = x + to * (1 - (to / sigma) ** 2) ** 0.5 * draw(count + 1)
        count += 2
    return torch.where(seen, known, x)
