"""A random geostrophic flow that stirs tracers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from xgapfill.simulate.fields import power_law, remembered, remembered_coefficients, variance, wavenumber
from xgapfill.simulate.regime import Regime

PIXEL_DEGREES = 1 / 24
KM_PER_DEGREE = 111.2
SECONDS_PER_DAY = 86400.0
GRAVITY = 9.81
EARTH_TURN = 7.2921e-5


@dataclass(frozen=True)
class Box:
    """Grid of a simulated ocean, with pixels of 1/24 degree.

    Attributes
    ----------
    lat, lon : (y,), (x,) float64
        Centres of the pixels, degrees.
    step_km : (float, float)
        Size of a pixel northward and eastward, constant in the box.
    coriolis : float
        Coriolis parameter, s-1.
    """

    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    step_km: tuple[float, float]
    coriolis: float

    @classmethod
    def around(cls, latitude: float, longitude: float, shape: tuple[int, int]) -> Box:
        """Return the box of (y, x) pixels around a place."""
        lat, lon = _centres(latitude, shape[0]), _centres(longitude, shape[1])
        north = KM_PER_DEGREE * PIXEL_DEGREES
        # Geostrophy fails at the equator, so the Coriolis parameter is at least that of 8 degrees.
        turning = 2 * EARTH_TURN * np.sin(np.deg2rad(max(abs(latitude), 8.0))) * (np.sign(latitude) or 1.0)
        return cls(lat, lon, (north, north * float(np.cos(np.deg2rad(latitude)))), float(turning))

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels northward and eastward."""
        return self.lat.size, self.lon.size


def stirred(
    rng: np.random.Generator, regime: Regime, box: Box, slopes: Sequence[float], spin_up: int
) -> Iterator[NDArray[np.float32]]:
    """Yield daily fields: tracers of about unit variance, then height (m), eastward and northward velocity (m s-1).

    Parameters
    ----------
    rng : numpy.random.Generator
    regime : Regime
    box : Box
    slopes : sequence of float
        Northward gradient per degree of the climatology of each tracer, in its unit.
    spin_up : int
        Days before the first field.

    Yields
    ------
    (len(slopes) + 3, y, x) float32
    """
    shape = box.shape
    sources = [_sources(rng, regime, box) for _ in slopes]
    # One Fourier transform diffuses values and gives the coefficients of interpolating splines.
    mix = np.exp(-regime.mixing * SECONDS_PER_DAY * (wavenumber(shape, box.step_km) / 1e3) ** 2)
    prepare = (mix / _spline_response(shape)).astype(np.float32)
    pull = np.float32(1 - np.exp(-1 / regime.relax_days))
    places = np.indices(shape, dtype=np.float32)
    values = np.stack([next(source) for source in sources])
    for day, (height, u, v) in enumerate(_flow(rng, regime, box)):
        if day >= spin_up:
            yield np.concatenate([values, [height, u, v]])
        moved = _moved(u, v, box, places)
        departure = places - moved
        splines = fft.irfft2(fft.rfft2(values) * prepare, s=shape)
        for index, source in enumerate(sources):
            carried = ndimage.map_coordinates(splines[index], departure, order=3, mode="grid-wrap", prefilter=False)
            carried -= np.float32(slopes[index] * PIXEL_DEGREES) * moved[0]
            values[index] = carried + pull * (next(source) - carried)


def _centres(middle: float, pixels: int) -> NDArray[np.float64]:
    first = round(middle / PIXEL_DEGREES) - pixels // 2
    return (first + 0.5 + np.arange(pixels, dtype=np.float64)) * PIXEL_DEGREES


def _sources(rng: np.random.Generator, regime: Regime, box: Box) -> Iterator[NDArray[np.float32]]:
    """Sources to which tracers relax: some are constant, like banks and fronts, the others vary."""
    spectrum = power_law(box.shape, box.step_km, regime.patch_km, regime.patch_slope)
    scaled = np.maximum(wavenumber(box.shape, box.step_km) * regime.patch_km / (2 * np.pi), 1)
    keep = np.exp(-1 / np.maximum(regime.patch_days * scaled**-0.7, 1))
    moving = remembered(rng, box.shape, spectrum, keep)
    fixed = np.float32(np.sqrt(regime.fixed_share)) * next(remembered(rng, box.shape, spectrum, 0.0))
    share = np.float32(np.sqrt(1 - regime.fixed_share))
    for patch in moving:
        yield fixed + share * patch


def _flow(rng: np.random.Generator, regime: Regime, box: Box) -> Iterator[NDArray[np.float32]]:
    """Daily (3, y, x) height and velocities of a westward drifting streamfunction; small scales decorrelate first."""
    wave = wavenumber(box.shape, box.step_km)
    spectrum = power_law(box.shape, box.step_km, regime.eddy_km, regime.flow_slope)
    spectrum *= regime.speed / np.sqrt(variance(spectrum * wave / 1e3, box.shape))
    scaled = np.maximum(wave * regime.eddy_km / (2 * np.pi), 1)
    days = np.maximum(regime.eddy_days * scaled ** (-2 / 3), 1.0)
    ky = 2 * np.pi * fft.fftfreq(box.shape[0], box.step_km[0] * 1e3)[:, None]
    kx = 2 * np.pi * fft.rfftfreq(box.shape[1], box.step_km[1] * 1e3)[None, :]
    drift = np.exp(1j * kx * regime.drift * SECONDS_PER_DAY)
    if box.shape[1] % 2 == 0:
        drift[:, -1] = 1  # the Nyquist wave has no direction
    factors = np.stack(np.broadcast_arrays(box.coriolis / GRAVITY, -1j * ky, 1j * kx)).astype(np.complex64)
    for state in remembered_coefficients(rng, box.shape, spectrum, np.exp(-1 / days) * drift):
        yield fft.irfft2(factors * state, s=box.shape)


def _moved(
    u: NDArray[np.float32], v: NDArray[np.float32], box: Box, places: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Daily displacement in rows and columns of the water that arrives at each pixel, with the velocity halfway."""
    day = np.stack([v / np.float32(box.step_km[0] * 1e3), u / np.float32(box.step_km[1] * 1e3)])
    day *= np.float32(SECONDS_PER_DAY)
    halfway = places - day / 2
    return np.stack([ndimage.map_coordinates(part, halfway, order=1, mode="grid-wrap") for part in day])


def _spline_response(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Transform of the cubic B-spline sampled on the lattice: dividing by it gives interpolating coefficients."""
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    return (2 + np.cos(2 * np.pi * ky)) * (2 + np.cos(2 * np.pi * kx)) / 9
