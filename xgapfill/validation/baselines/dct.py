"""Penalised least squares by cosine transforms, in space and time (3-D DCT-PLS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Dct:
    """Penalised least squares in the cosine basis.

    Attributes
    ----------
    smoothing : float
        Weight of the squared Laplacian against the misfit.
    time_weight : float
        Weight of the second difference in time against those in space.
    """

    smoothing: float = 0.1
    time_weight: float = 0.1


def dct_pls(values: Field, parameters: Dct, *, iterations: int = 60, tolerance: float = 1e-3) -> Field:
    """The smooth field of Garcia (2010) at every pixel, observed ones included: min |W(z - y)|^2 + s |L z|^2.

    Solved by conjugate gradients on the cosine coefficients, preconditioned by the operator for evenly spread
    observations; Garcia's fixed-point iteration is the same step without the acceleration.

    Parameters
    ----------
    values : (t, y, x) float
        NaN where missing.
    parameters : Dct
        Smoothing and time weight.
    iterations, tolerance : int, float
        Stops at this many steps, or when the preconditioned residual has shrunk by this factor.

    References
    ----------
    Garcia (2010), doi 10.1016/j.csda.2009.09.020; Wang et al. (2012), doi 10.1016/j.ecolmodel.2012.02.020
    """
    observed = np.isfinite(values).astype(np.float32)
    offset = np.float32(np.nanmean(values))
    anomaly = np.where(observed > 0, values - offset, 0).astype(np.float32)
    penalty = np.float32(parameters.smoothing) * _laplacian(values.shape, parameters.time_weight) ** 2
    scale = 1 / (max(float(observed.mean()), 1e-3) + penalty)

    def operator(coefficients: Field) -> Field:
        return fft.dctn(observed * fft.idctn(coefficients, norm="ortho"), norm="ortho") + penalty * coefficients

    solution = fft.dctn(_nearest(anomaly, observed > 0), norm="ortho") / (1 + penalty)
    residual = fft.dctn(anomaly, norm="ortho") - operator(solution)
    direction = step = scale * residual
    energy = first = float(np.vdot(residual, step))
    for _ in range(iterations):
        if energy <= first * tolerance**2:
            break
        image = operator(direction)
        length = np.float32(energy / float(np.vdot(direction, image)))
        solution = solution + length * direction
        residual = residual - length * image
        step = scale * residual
        energy, before = float(np.vdot(residual, step)), energy
        direction = step + np.float32(energy / before) * direction
    return fft.idctn(solution, norm="ortho") + offset


def _laplacian(shape: tuple[int, ...], time_weight: float) -> Field:
    """Eigenvalues of the weighted second differences in the cosine basis."""
    weights = (time_weight, 1.0, 1.0)
    axes = [w * (2 - 2 * np.cos(np.pi * np.arange(n) / n)) for w, n in zip(weights, shape, strict=True)]
    return (axes[0][:, None, None] + axes[1][:, None] + axes[2]).astype(np.float32)


def _nearest(values: Field, observed: NDArray[np.bool_]) -> Field:
    """Missing pixels take the nearest observed value of their frame, 0 in a frame without observations."""
    filled = np.zeros_like(values)
    for frame in range(len(values)):
        if observed[frame].any():
            rows, cols = scipy.ndimage.distance_transform_edt(
                ~observed[frame], return_distances=False, return_indices=True
            )
            filled[frame] = values[frame, rows, cols]
    return filled
