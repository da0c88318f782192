"""Periodic random fields with a power-law spectrum and temporal correlation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft


def wavenumber(shape: tuple[int, int], step_km: tuple[float, float]) -> NDArray[np.float64]:
    """Radians per km of each coefficient of a real two-dimensional Fourier transform."""
    ky, kx = fft.fftfreq(shape[0], step_km[0]), fft.rfftfreq(shape[1], step_km[1])
    return 2 * np.pi * np.hypot(ky[:, None], kx[None, :])


def variance(spectrum: NDArray, shape: tuple[int, int]) -> float:
    """Variance of white noise of unit variance whose real Fourier transform is multiplied by `spectrum`."""
    twice = np.full(spectrum.shape[1], 2.0)  # a real transform omits the conjugates
    twice[0] = 1
    if shape[1] % 2 == 0:
        twice[-1] = 1
    return float((np.abs(spectrum) ** 2 * twice).sum() / (shape[0] * shape[1]))


def power_law(shape: tuple[int, int], step_km: tuple[float, float], scale: float, power: float) -> NDArray[np.float32]:
    """Spectrum that turns white noise into a field of unit variance.

    Parameters
    ----------
    shape : (int, int)
    step_km : (float, float)
        Size of a pixel northward and eastward; `scale` has the same unit.
    scale : float
        Wavelength beyond which the spectral density is constant.
    power : float
        At shorter wavelengths the density falls as wavenumber to minus this power.

    Returns
    -------
    (y, x // 2 + 1) float32
    """
    spectrum = (1 + (wavenumber(shape, step_km) * scale / (2 * np.pi)) ** 2) ** (-power / 4)
    spectrum[0, 0] = 0
    return (spectrum / np.sqrt(variance(spectrum, shape))).astype(np.float32)


def remembered(
    rng: np.random.Generator, shape: tuple[int, int], spectrum: NDArray, keep: NDArray | float
) -> Iterator[NDArray[np.float32]]:
    """Yield (y, x) fields forever; `keep` is the correlation of each coefficient from one field to the next."""
    for state in remembered_coefficients(rng, shape, spectrum, keep):
        yield fft.irfft2(state, s=shape)


def remembered_coefficients(
    rng: np.random.Generator, shape: tuple[int, int], spectrum: NDArray, keep: NDArray | float
) -> Iterator[NDArray[np.complex64]]:
    """Yield the Fourier coefficients of `remembered`; a complex `keep` also translates the pattern."""
    fresh = (np.sqrt(1 - np.abs(keep) ** 2) * spectrum).astype(np.float32)
    state = spectrum.astype(np.float32) * fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    kept = np.asarray(keep, dtype=np.complex64 if np.iscomplexobj(keep) else np.float32)
    while True:
        yield state
        state = kept * state + fresh * fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
