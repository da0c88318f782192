"""Forcings of a simulated ocean: short-wave radiation, wind stress and mixed layer, consistent with its fields.

`simulate` draws chlorophyll first; the forcings are then drawn given chlorophyll and temperature. The two together are
distributed as if chlorophyll had been drawn given the forcings, and no value of the ocean changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from xgapfill.simulate.fields import power_law, remembered
from xgapfill.simulate.ocean import Ocean
from xgapfill.simulate.stirring import KM_PER_DEGREE, PIXEL_DEGREES

SOLAR = 1361.0  # W m-2
TRANSMISSION = 0.75  # of a clear sky
BLOCKED = 0.62  # of the radiation by a full cover of clouds (Reed 1977)
WEATHER_KM, WEATHER_SLOPE = 900.0, 4.0  # wind and clouds: wavelength beyond which the spectrum is flat, and its power
MIXING_KM = 25.0  # radius of the patches that mixing makes
KEEP_DAYS = 6.0  # memory of the weather
SHARED = 0.6  # correlation of mixing with the smooth part of the anomalies of chlorophyll
BY_WIND = 0.7  # correlation of the logarithm of wind stress with mixing
COLD = 0.35  # correlation of mixing with cold water


@dataclass(frozen=True)
class Forcing:
    """Complete forcings of an ocean, (t, y, x) float32.

    Attributes
    ----------
    shortwave : W m-2, downward at the surface, daily mean
    stress_east, stress_north : N m-2, of the wind on the sea
    mixed_layer : m
    """

    shortwave: NDArray[np.float32]
    stress_east: NDArray[np.float32]
    stress_north: NDArray[np.float32]
    mixed_layer: NDArray[np.float32]


def forcing(ocean: Ocean, seed: int) -> Forcing:
    """Draw the forcings of an ocean; the same arguments give the same values.

    Mixing brings nutrients. It is correlated by 0.6 with the anomalies of log10 chlorophyll from their seasonal and
    northward mean, smoothed over 25 km, and by -0.35 with what these leave of the anomalies of temperature; it tells
    nothing of finer chlorophyll. It deepens the mixed layer, which is deepest in late winter, and the logarithm of wind
    stress is correlated by 0.7 with it; the direction of the wind is that of the weather. Short-wave radiation is that
    of a clear sky at this latitude and day under clouds: it has the season, and tells nothing of anomalies. Currents
    and sea level stir chlorophyll, but are hardly correlated with it.

    Parameters
    ----------
    ocean : Ocean
    seed : int

    Returns
    -------
    Forcing

    Examples
    --------
    >>> from xgapfill.simulate import simulate
    >>> found = forcing(simulate(0, frames=3, shape=(32, 32)), 0)
    >>> bool((found.mixed_layer > 5).all()), found.shortwave.shape
    (True, (3, 32, 32))
    """
    rng = np.random.default_rng([seed, 5])
    year = day_of_year(ocean.time, ocean.step_days / 2)[:, None, None]
    winter = np.cos(2 * np.pi * (year - 50) / 365.25) * (np.sign(ocean.lat.mean()) or 1)
    keep = np.exp(-ocean.step_days / KEEP_DAYS)
    clouds, east, north = (_weather(rng, ocean, WEATHER_KM, keep) for _ in range(3))
    fresh = _unit(_weather(rng, ocean, 8 * MIXING_KM, keep))

    green, warm = (_smooth(_anomalies(field, ocean), ocean) for field in (ocean.log10_chl, ocean.sst))
    told = SHARED * green - COLD * _without(warm, green)
    mixing = told + np.sqrt(1 - SHARED**2 - COLD**2) * fresh
    log_stress = np.log(0.09 + 0.04 * winter) + 0.4 * (BY_WIND * mixing + np.sqrt(1 - BY_WIND**2) * clouds)
    toward = np.arctan2(0.8 * north, 1.0 + 0.8 * east)  # westerlies on average
    stress = np.exp(log_stress)
    mixed = np.exp(np.log(55.0) + 0.7 * winter + 0.25 * mixing)
    cover = 1 / (1 + np.exp(-(0.4 + 0.4 * winter + 0.9 * clouds)))
    sky = clear_sky(ocean.lat[None, :, None], year) * (1 - BLOCKED * cover)
    parts = (sky, stress * np.cos(toward), stress * np.sin(toward), np.maximum(mixed, 8.0))
    return Forcing(*(np.asarray(part, np.float32) for part in parts))


def clear_sky(lat: ArrayLike, day: ArrayLike) -> NDArray[np.float64]:
    """Daily mean short-wave radiation (W m-2) of a clear sky at a latitude (degrees) and day of the year.

    Examples
    --------
    >>> clear_sky([0.0, 80.0], 355).round()
    array([298.,   0.])
    """
    angle, tilt = np.deg2rad(lat), -np.deg2rad(23.44) * np.cos(2 * np.pi * (np.asarray(day) + 10) / 365.25)
    half = np.arccos(np.clip(-np.tan(angle) * np.tan(tilt), -1, 1))  # half the length of the day
    high = half * np.sin(angle) * np.sin(tilt) + np.cos(angle) * np.cos(tilt) * np.sin(half)
    return np.asarray(SOLAR * TRANSMISSION / np.pi * np.maximum(high, 0))


def day_of_year(time: NDArray[np.datetime64], more: float = 0.0) -> NDArray[np.float64]:
    """Days since the first of January, and some more."""
    begin = time.astype("datetime64[Y]")
    return (time.astype("datetime64[D]") - begin.astype("datetime64[D]")).astype(float) + more


def _weather(rng: np.random.Generator, ocean: Ocean, km: float, keep: float) -> NDArray[np.float32]:
    """Random fields (t, y, x), wide as weather is, that remember the frame before."""
    north = KM_PER_DEGREE * PIXEL_DEGREES
    step_km = north, north * float(np.cos(np.deg2rad(ocean.lat.mean())))
    shape = ocean.lat.size, ocean.lon.size
    fields = remembered(rng, shape, power_law(shape, step_km, km, WEATHER_SLOPE), keep)
    return np.stack(list(islice(fields, len(ocean.time))))


def _anomalies(field: NDArray, ocean: Ocean) -> NDArray[np.float64]:
    """Departures from the mean of each row and frame: those of the season and of latitude."""
    field = np.asarray(field, np.float64)
    return field - field.mean(axis=(1, 2), keepdims=True) - field.mean(axis=(0, 2), keepdims=True) + field.mean()


def _smooth(field: NDArray[np.float64], ocean: Ocean) -> NDArray[np.float64]:
    """Smoothed in space, and scaled to variance 1; the box is periodic."""
    radius = MIXING_KM / (KM_PER_DEGREE * PIXEL_DEGREES)
    return _unit(ndimage.gaussian_filter(field, (0, radius, radius), mode="wrap"))


def _without(field: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a field of variance 1 that another one does not explain, scaled to variance 1."""
    return _unit(field - (field * other).mean() * other)


def _unit(field: NDArray) -> NDArray[np.float64]:
    """Mean 0 and variance 1."""
    field = np.asarray(field, np.float64)
    return np.asarray((field - field.mean()) / field.std())
