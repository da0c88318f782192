"""Weighted sums whose bits do not depend on their order: numbers are rounded so that float64 adds them exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

VALUES, WEIGHTS = 2.0**14, 2.0**12  # numbers per unit


def rounded(values: ArrayLike, per_unit: float = VALUES) -> NDArray[np.float64]:
    """Round to multiples of ``1 / per_unit``, float64.

    Sums of products of rounded values and rounded weights up to ``2**27`` are exact, hence independent of their order
    and of the size of the arrays.

    Examples
    --------
    >>> float(rounded(0.1))
    0.0999755859375
    """
    return np.rint(np.asarray(values, np.float64) * per_unit) / per_unit


def bells(
    outputs: NDArray[np.float64], inputs: NDArray[np.float64], radius: ArrayLike, cut: float
) -> NDArray[np.float64]:
    """Weights of a Gaussian of this radius, zero from `cut` radii on, rounded: (..., outputs, inputs).

    `radius` is a number, or one for each input along its last axis.
    """
    distance = np.abs(outputs[:, None] - inputs) / np.asarray(radius, np.float64)
    return np.where(distance < cut, rounded(np.exp(-0.5 * distance**2), WEIGHTS), 0.0)
