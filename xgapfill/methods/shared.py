"""Shared parts of classical methods: regression on predictors and errors from held-out blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.background import as_observed, conditions_first, on_level, trend_on
from xgapfill.gaussian.priors import DEPENDENT_PIXELS, shipped
from xgapfill.lattice.windows import Filled, Windows
from xgapfill.nets.device import on_device

if TYPE_CHECKING:
    from torch import Tensor

Field = NDArray[np.float32]
Bools = NDArray[np.bool_]
# Pseudo-count: weight of the prior, in independent samples, in a window's estimate of its variance and errors.
FEW = 5.0


def blocks(shape: tuple[int, ...], side: int = 12) -> Bools:
    """Pixels to hold out: a fifth of all, in square blocks a knight's move apart, elsewhere in the next frame."""
    frame, row, col = (np.arange(n) for n in shape)
    knight = col[None, None, :] // side + 2 * (row[None, :, None] // side) + frame[:, None, None]
    return np.asarray(knight % 5 == 0)


def pooled_variance(squares: float, number: float, prior: float) -> float:
    """Mean of `number` squares with this sum, shrunk to the prior variance where they are few."""
    return float((squares / DEPENDENT_PIXELS + FEW * prior) / (number / DEPENDENT_PIXELS + FEW))


def error_factor(square: NDArray, expected: NDArray) -> float:
    """Ratio of the squared errors to the expected ones, shrunk to 1 where they are few."""
    ratio = float(np.divide(square, expected, dtype=np.float64).sum()) / DEPENDENT_PIXELS
    return (ratio + FEW) / (square.size / DEPENDENT_PIXELS + FEW)


def by_channel(windows: Windows, fill: Callable[[int, int], tuple[Field, Field]]) -> Filled:
    """Fill each channel that a window observed by ``fill(window, channel)``, which gives estimate and spread.

    Channels without observations in a window are filled from the predictors by `regression`.
    """
    values, spread = np.zeros_like(windows.values), np.ones_like(windows.values)
    for c in conditions_first(windows.targets, len(windows.channels)):
        trend = None
        for b in np.flatnonzero(windows.observed.any(axis=(1, 2, 3, 4))).tolist():  # the others are padding
            if windows.observed[b, :, c].any():
                values[b, :, c], spread[b, :, c] = fill(b, c)
                continue
            if trend is None:
                trend = regression(windows, c, values, spread)
            values[b, :, c], spread[b, :, c] = trend[0][b], trend[1][b]
    return Filled(values[None], spread)


@on_device()
def regression(windows: Windows, c: int, values: Field, spread: Field) -> tuple[Field, Field]:
    """Regression of a channel on the filled predictors: estimate and spread, (b, t, y, x)."""
    import torch

    prior = shipped()[windows.channels[c]]
    tensors = [torch.from_numpy(a) for a in (windows.values, windows.observed.astype(np.float32), values, spread)]
    trend, variance = trend_on(
        tensors[0][:, :, c], tensors[1][:, :, c], windows.channels[c], shipped(), known(windows, c, *tensors)
    )
    return trend.numpy(), (variance + prior.variance).sqrt().numpy()


def known(
    windows: Windows, c: int, values: Tensor, observed: Tensor, filled: Tensor, spread: Tensor
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Predictors of a channel: observed values where there are any, else filled values with their error."""
    conditions = range(windows.targets, len(windows.channels)) if c < windows.targets else range(0)
    parts = (values, observed, filled, spread)
    level = None if windows.level is None else values.new_tensor(windows.level)
    return {
        windows.channels[i]: on_level(i, level, as_observed(*(part[:, :, i] for part in parts))) for i in conditions
    }
