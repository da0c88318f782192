"""The simulated ocean: composites of stirred tracers on a seasonal climatology, and size classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xgapfill.simulate.clouds import daily_weights
from xgapfill.simulate.regime import Regime, draw_regime
from xgapfill.simulate.stirring import Box, stirred
from xgapfill.variables import relation
from xgapfill.variables.transforms import ilr_inverse


@dataclass(frozen=True)
class Ocean:
    """Complete fields of a simulated box, composites of `step_days`.

    Attributes
    ----------
    log10_chl : (t, y, x) float32
        log10 of chlorophyll in mg m-3.
    sst : (t, y, x) float32
        Surface temperature, degC.
    psc : (3, t, y, x) float32
        Fractions micro, nano, pico in (0, 1), summing to 1.
    ssh : (t, y, x) float32
        Sea surface height of the geostrophic flow, m.
    u, v : (t, y, x) float32
        Eastward and northward velocity, m s-1.
    lat : (y,) float64
        Degrees north, ascending, 1/24 degree apart.
    lon : (x,) float64
        Degrees east.
    time : (t,) datetime64[ns]
        First day of each composite.
    step_days : int
        Days of a composite; composites of 8 days restart on 1 January.
    """

    log10_chl: NDArray[np.float32]
    sst: NDArray[np.float32]
    psc: NDArray[np.float32]
    ssh: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    time: NDArray[np.datetime64]
    step_days: int


def simulate(
    seed: int,
    frames: int = 40,
    shape: tuple[int, int] = (256, 256),
    latitude: float = 45.0,
    start_day: int = 1,
    step_days: int = 8,
    *,
    longitude: float = -30.0,
    year: int = 2010,
    spin_up: int = 40,
    sensor_noise: float = 0.0,
    regime: Regime | None = None,
) -> Ocean:
    """Simulate an ocean without gaps; the same arguments give the same values.

    Parameters
    ----------
    seed : int
        Fixes the regime (unless given) and every random field.
    frames, shape : int, (int, int)
        Number of composites, and pixels northward and eastward.
    latitude : float
        Latitude of the centre of the box, degrees.
    start_day : int
        Day of the year of the first frame, from 1; the first composite of 8 days is the one that contains it.
    step_days : int
        Days of a composite; 1 gives daily fields.
    longitude : float
        Longitude of the centre of the box, degrees.
    year : int
        Year of the first frame.
    spin_up : int
        Days of stirring before the first frame.
    sensor_noise : float
        Standard deviation of noise added to log10 chlorophyll of each pixel, after the size classes are made.
    regime : Regime, optional
        Parameters of the box; by default they are drawn.

    Returns
    -------
    Ocean

    Raises
    ------
    ValueError
        If the box, the days or the latitude are out of range.

    Examples
    --------
    >>> ocean = simulate(0, frames=2, shape=(32, 32))
    >>> ocean.psc.shape
    (3, 2, 32, 32)
    """
    _check(frames, shape, latitude, step_days)
    rng = np.random.default_rng([seed, 1])
    regime = regime or draw_regime(rng, latitude)
    box = Box.around(latitude, longitude, shape)
    time, days = _calendar(year, start_day, frames, step_days)
    slopes = (regime.chl_north / regime.chl_sd, regime.sst_north / regime.sst_sd, 0.0, 0.0)
    fields = _composites(rng, regime, stirred(rng, regime, box, slopes, spin_up), days)
    chl, sst = _with_climate(rng, regime, box.lat, time, days, fields[:, :2])
    residual = _scattered(rng, regime, fields[:, 2:4].swapaxes(0, 1))
    psc = ilr_inverse(relation.psc_ilr_mean(chl, sst, regime.pigments) + residual)
    if sensor_noise:
        chl += np.float32(sensor_noise) * rng.standard_normal(chl.shape, dtype=np.float32)
    ssh, u, v = fields[:, 4:].swapaxes(0, 1)
    return Ocean(chl, sst, psc, ssh, u, v, box.lat, box.lon, time, step_days)


def size_class_anomalies(
    seed: int,
    frames: int,
    shape: tuple[int, int],
    latitude: float = 45.0,
    *,
    step_days: int = 8,
    spin_up: int = 30,
    regime: Regime | None = None,
) -> NDArray[np.float32]:
    """Return stirred residuals of the two size-class log-ratios, to be added to `relation.psc_ilr_mean` of real CHL.

    Parameters
    ----------
    seed, frames, shape, latitude, step_days, spin_up, regime
        As in `simulate`.

    Returns
    -------
    (2, t, y, x) float32
        Fields with the covariance of in-situ samples, heavy tails, periodic in y and x.

    Raises
    ------
    ValueError
        If the box, the days or the latitude are out of range.

    Examples
    --------
    >>> size_class_anomalies(0, frames=2, shape=(32, 32)).shape
    (2, 2, 32, 32)
    """
    _check(frames, shape, latitude, step_days)
    rng = np.random.default_rng([seed, 2])
    regime = regime or draw_regime(rng, latitude)
    daily = stirred(rng, regime, Box.around(latitude, 0.0, shape), (0.0, 0.0), spin_up)
    fields = _composites(rng, regime, daily, [step_days] * frames)
    return _scattered(rng, regime, fields[:, :2].swapaxes(0, 1))


def _check(frames: int, shape: tuple[int, int], latitude: float, step_days: int) -> None:
    if frames < 1 or step_days < 1 or min(shape) < 16:
        raise ValueError(
            "expected at least 1 frame of at least 1 day and 16 x 16 pixels, "
            f"found {frames} frames of {step_days} days and {shape[0]} x {shape[1]} pixels"
        )
    if abs(latitude) > 80:
        raise ValueError(f"the box must be centred between 80 S and 80 N, found latitude {latitude}")


def _calendar(year: int, start_day: int, frames: int, step_days: int) -> tuple[NDArray[np.datetime64], list[int]]:
    """First days of the composites, and the number of days of each."""
    if step_days != 8:
        begin = np.datetime64(f"{year}-01-01") + (start_day - 1 + step_days * np.arange(frames))
        return begin.astype("datetime64[ns]"), [step_days] * frames
    slots = (start_day - 1) // 8 + np.arange(frames + 1)
    years = (year - 1970 + slots // 46).astype("datetime64[Y]").astype("datetime64[D]")
    first = years + 8 * (slots % 46)
    return first[:-1].astype("datetime64[ns]"), np.diff(first).astype(int).tolist()


def _composites(
    rng: np.random.Generator, regime: Regime, daily: Iterator[NDArray[np.float32]], days: list[int]
) -> NDArray[np.float32]:
    """Means of consecutive groups of days, (t, c, y, x); tracers are averaged over the clear days of each pixel."""
    fields = next(daily)
    weights = daily_weights(rng, fields.shape[1:], regime.daily_gaps)
    means = np.zeros((len(days), *fields.shape), dtype=np.float32)
    for mean, count in zip(means, days, strict=True):
        counted = np.zeros(fields.shape[1:], dtype=np.float32)
        for _ in range(count):
            weight = next(weights)
            mean[:-3] += weight * fields[:-3]
            mean[-3:] += fields[-3:]  # height and velocities are known under clouds, too
            counted += weight
            fields = next(daily)
        mean[:-3] /= counted
        mean[-3:] /= np.float32(count)
    return means


def _with_climate(
    rng: np.random.Generator,
    regime: Regime,
    lat: NDArray[np.float64],
    time: NDArray[np.datetime64],
    days: list[int],
    anomalies: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add the (t, 2, y, x) anomalies of chlorophyll and temperature to their climatology; cold water is greener."""
    begin = (time - time.astype("datetime64[Y]")).astype("timedelta64[D]").astype(float)
    phase = 2 * np.pi * ((begin + np.array(days) / 2) / 365.25)[:, None, None]
    north = (lat - lat.mean())[None, :, None]

    def climate(mean: float, season: float, peak: float, slope: float) -> NDArray[np.float64]:
        return mean + season * np.cos(phase - 2 * np.pi * peak / 365.25) + slope * north

    fresh, warm = anomalies.swapaxes(0, 1) / anomalies.std(axis=(0, 2, 3))[:, None, None, None]
    link = rng.uniform(0.0, 0.6)
    green = np.sqrt(1 - link**2) * fresh - link * warm
    log10_chl = climate(regime.chl_mean, regime.chl_season, regime.chl_peak, regime.chl_north) + regime.chl_sd * green
    degrees = climate(regime.sst_mean, regime.sst_season, regime.sst_peak, regime.sst_north) + regime.sst_sd * warm
    # Sea water freezes at -1.8 degC; a smooth lower limit avoids a cut.
    return log10_chl.astype(np.float32), (np.logaddexp(0, degrees + 1.8) - 1.8).astype(np.float32)


def _scattered(rng: np.random.Generator, regime: Regime, fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give (2, t, y, x) tracers the tails and covariance of in-situ scatter, part of it common to the box."""
    unit = (fields - fields.mean(axis=(1, 2, 3), keepdims=True)) / fields.std(axis=(1, 2, 3), keepdims=True)
    if regime.tail:
        unit = np.sinh(regime.tail * unit)
        unit /= unit.std(axis=(1, 2, 3), keepdims=True)
    common = np.sqrt(regime.box_share) * rng.standard_normal((2, 1, 1, 1))
    unit = np.sqrt(1 - regime.box_share) * unit + common
    return np.einsum("ij,j...->i...", regime.scatter * relation.scatter_factor(), unit).astype(np.float32)
