"""A simulated ocean whose truth is known: stirred chlorophyll, temperature and size classes, and clouds over them.

A periodic box is stirred by a random streamfunction (power-law spectrum, memory that shrinks with scale). Tracers are
carried semi-Lagrangian with cubic splines in steps of a day, relaxed to patchy sources, mixed a little, and averaged
to composites. Everything is numpy; a seed fixes every value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, stats

from xgapfill.families import relation
from xgapfill.families.transforms import ilr_inverse

PIXEL_DEGREES = 1 / 24
KM_PER_DEGREE = 111.2
SECONDS_PER_DAY = 86400.0
GRAVITY = 9.81


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
        Length of a composite; those of 8 days restart on 1 January.
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


@dataclass(frozen=True)
class Regime:
    """What varies from one simulated ocean to the next. Lengths in km, times in days, speeds in m s-1.

    Attributes
    ----------
    speed, eddy_km, flow_slope, eddy_days, drift : float
        Root mean square speed, scale of the energetic eddies, power of the streamfunction's spectral density, memory
        of those eddies, westward drift of the pattern.
    patch_km, patch_slope, patch_days, fixed_share, relax_days, mixing : float
        Scale, spectral power and memory of the sources; the share of them that never moves; how fast tracers follow
        them; diffusivity in m2 s-1.
    chl_mean, chl_sd, chl_season, chl_peak, chl_north : float
        log10 chlorophyll: mean, standard deviation of the anomalies, seasonal amplitude, day of the bloom, change per
        degree northward.
    sst_mean, sst_sd, sst_season, sst_peak, sst_north : float
        The same for temperature in degC.
    share_fixed_class : float
        Share of the variance of the size-class residuals that is the same everywhere in the box.
    tail : float
        Heaviness of the tails of the size-class residuals, 0 for a normal distribution.
    """

    speed: float
    eddy_km: float
    flow_slope: float
    eddy_days: float
    drift: float
    patch_km: float
    patch_slope: float
    patch_days: float
    fixed_share: float
    relax_days: float
    mixing: float
    chl_mean: float
    chl_sd: float
    chl_season: float
    chl_peak: float
    chl_north: float
    sst_mean: float
    sst_sd: float
    sst_season: float
    sst_peak: float
    sst_north: float
    share_fixed_class: float
    tail: float


def draw_regime(rng: np.random.Generator, latitude: float) -> Regime:
    """Draw the parameters of a box centred at a latitude (degrees north)."""
    spread, north = np.deg2rad(latitude), np.sign(latitude) or 1.0
    middle = np.exp(-(((abs(latitude) - 42) / 16) ** 2))
    summer = 230.0 if north > 0 else 48.0
    return Regime(
        speed=rng.uniform(0.08, 0.35),
        eddy_km=rng.uniform(120, 350),
        flow_slope=rng.uniform(4.5, 6.0),
        eddy_days=rng.uniform(15, 45),
        drift=rng.uniform(0.0, 0.04) * np.cos(spread) ** 2,
        patch_km=np.exp(rng.uniform(np.log(60), np.log(500))),
        patch_slope=rng.uniform(2.6, 4.0),
        patch_days=rng.uniform(8, 40),
        fixed_share=rng.uniform(0.0, 0.6),
        relax_days=rng.uniform(5, 25),
        mixing=rng.uniform(10, 60),
        chl_mean=rng.uniform(-1.2, 0.7),
        chl_sd=np.exp(rng.uniform(np.log(0.1), np.log(0.4))),
        chl_season=rng.uniform(0.05, 0.15) + 0.25 * middle * rng.uniform(),
        chl_peak=summer - rng.uniform(60, 150),
        chl_north=north * rng.uniform(-0.02, 0.06),
        sst_mean=28 * np.cos(spread) ** 2 + rng.normal(0, 1.5),
        sst_sd=rng.uniform(0.4, 1.5),
        sst_season=1 + 4 * middle * rng.uniform(0.6, 1.2),
        sst_peak=summer + rng.normal(0, 8),
        sst_north=-28 * np.sin(2 * spread) * np.pi / 180 * rng.uniform(0.6, 2.0),
        share_fixed_class=rng.uniform(0.1, 0.4),
        tail=rng.uniform(0.0, 0.35),
    )


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
    """Simulate an ocean whose every value is known; the same arguments give the same values.

    Parameters
    ----------
    seed : int
        Fixes the regime (unless given) and every random field.
    frames, shape : int, (int, int)
        Number of composites, and pixels northward and eastward.
    latitude, longitude : float
        Centre of the box, degrees.
    start_day, year : int
        Day of the year of the first frame, from 1; composites of 8 days begin at the slot that contains it.
    step_days : int
        Days of a composite.
    spin_up : int
        Days of stirring before the first frame.
    sensor_noise : float
        Standard deviation of noise added to log10 chlorophyll of each pixel, after the size classes are made.
    regime : Regime, optional
        Parameters of the box in place of drawn ones.

    Returns
    -------
    Ocean

    Raises
    ------
    ValueError
        If the box, the days or the latitude make no sense.

    Examples
    --------
    >>> ocean = simulate(0, frames=2, shape=(32, 32))
    >>> ocean.psc.shape
    (3, 2, 32, 32)
    """
    _check_box(frames, shape, latitude, step_days)
    rng = np.random.default_rng([seed, 1])
    regime = regime or draw_regime(rng, latitude)
    box = _Box.around(latitude, longitude, shape)
    time, days = _calendar(year, start_day, frames, step_days)
    daily = _stirred(rng, regime, box, spin_up, [1, 1, 1, 1], flow=True)
    fields = _composites(daily, days)
    chl, sst = _with_climate(rng, regime, box, time, days, fields[:, 0], fields[:, 1])
    residual = _scattered(rng, regime, fields[:, 2:4].swapaxes(0, 1))
    psc = ilr_inverse(relation.psc_ilr_mean(chl, sst) + residual)
    if sensor_noise:
        chl = chl + sensor_noise * rng.standard_normal(chl.shape, dtype=np.float32)
    ssh, u, v = fields[:, 4:].swapaxes(0, 1)
    return Ocean(chl.astype(np.float32), sst, psc, ssh, u, v, box.lat, box.lon, time, step_days)


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

    Arguments as for `simulate`.

    Returns
    -------
    (2, t, y, x) float32
        Covariance as fitted to in-situ samples, heavy tails, periodic in y and x.
    """
    _check_box(frames, shape, latitude, step_days)
    rng = np.random.default_rng([seed, 2])
    regime = regime or draw_regime(rng, latitude)
    box = _Box.around(latitude, 0.0, shape)
    daily = _stirred(rng, regime, box, spin_up, [1, 1], flow=False)
    return _scattered(rng, regime, _composites(daily, [step_days] * frames).swapaxes(0, 1))


def clouds(
    seed: int,
    frames: int,
    shape: tuple[int, int],
    share: float = 0.6,
    *,
    memory: float = 0.3,
    swaths: float = 0.15,
) -> NDArray[np.bool_]:
    """Return moving gaps as clouds and swath edges leave them.

    Parameters
    ----------
    seed : int
    frames, shape : int, (int, int)
    share : float
        Expected missing share; single frames vary between about 20 and 98 %.
    memory : float
        Correlation of the cloud fields of neighbouring frames.
    swaths : float
        Share of the frames with a straight edge or stripe of an orbit.

    Returns
    -------
    (t, y, x) bool
        True where missing.
    """
    if not 0 < share < 1:
        raise ValueError(f"share of missing pixels must lie between 0 and 1, got {share}")
    rng = np.random.default_rng([seed, 3])
    cover = _covers(rng, frames, share)
    large = _power_law(shape, (1.0, 1.0), 80 + 120 * rng.uniform(), rng.uniform(2.8, 3.4))
    fine = _power_law(shape, (1.0, 1.0), 12.0, rng.uniform(2.4, 3.0))
    weight, ragged = rng.uniform(0.25, 0.5), rng.uniform(0.02, 0.12)
    big, small = _remembered(rng, shape, large, memory), _remembered(rng, shape, fine, 0.0)
    missing = np.empty((frames, *shape), dtype=bool)
    for index in range(frames):
        depth = next(big) + weight * next(small) + ragged * rng.standard_normal(shape, dtype=np.float32)
        if rng.uniform() < swaths:
            depth += _swath(rng, shape)
        missing[index] = depth > np.quantile(depth, 1 - cover[index])
    return missing


@dataclass(frozen=True)
class _Box:
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    step_km: tuple[float, float]
    coriolis: float

    @classmethod
    def around(cls, latitude: float, longitude: float, shape: tuple[int, int]) -> _Box:
        first = [round(c / PIXEL_DEGREES) - n // 2 for c, n in zip((latitude, longitude), shape, strict=True)]
        lat, lon = ((f + 0.5 + np.arange(n)) * PIXEL_DEGREES for f, n in zip(first, shape, strict=True))
        north = KM_PER_DEGREE * PIXEL_DEGREES
        # Geostrophy fails at the equator: heights there are those of 8 degrees.
        turning = 2 * 7.2921e-5 * np.sin(np.deg2rad(max(abs(latitude), 8.0))) * (np.sign(latitude) or 1.0)
        return cls(lat, lon, (north, north * float(np.cos(np.deg2rad(latitude)))), float(turning))

    @property
    def shape(self) -> tuple[int, int]:
        return self.lat.size, self.lon.size


def _check_box(frames: int, shape: tuple[int, int], latitude: float, step_days: int) -> None:
    if frames < 1 or step_days < 1 or min(shape) < 16:
        raise ValueError(
            f"want at least 1 frame of at least 1 day and 16 x 16 pixels, got {frames} frames of {step_days} days, {shape}"
        )
    if abs(latitude) > 80:
        raise ValueError(f"the box must be centred between 80 S and 80 N, got latitude {latitude}")


def _calendar(year: int, start_day: int, frames: int, step_days: int) -> tuple[NDArray[np.datetime64], list[int]]:
    """First days of the composites, and the number of days of each."""
    if step_days != 8:
        first = np.datetime64(f"{year}-01-01") + (start_day - 1)
        return (first + step_days * np.arange(frames)).astype("datetime64[ns]"), [step_days] * frames
    slots = (start_day - 1) // 8 + np.arange(frames + 1)
    years = (year - 1970 + slots // 46).astype("datetime64[Y]").astype("datetime64[D]")
    first = years + 8 * (slots % 46)
    return first[:-1].astype("datetime64[ns]"), np.diff(first).astype(int).tolist()


def _wavenumber(shape: tuple[int, int], step_km: tuple[float, float]) -> NDArray[np.float64]:
    """Radians per km of each coefficient of a real two-dimensional Fourier transform."""
    ky, kx = fft.fftfreq(shape[0], step_km[0]), fft.rfftfreq(shape[1], step_km[1])
    return 2 * np.pi * np.hypot(ky[:, None], kx[None, :])


def _power_law(shape: tuple[int, int], step_km: tuple[float, float], scale: float, power: float) -> NDArray[np.float32]:
    """Factor that turns transformed white noise into a unit-variance field, density ~ (1 + (k scale / 2 pi)^2)^(-power / 2)."""
    size = (1 + (_wavenumber(shape, step_km) * scale / (2 * np.pi)) ** 2) ** (-power / 4)
    size[0, 0] = 0
    column = np.full(size.shape[1], 2.0)
    column[0] = 1
    if shape[1] % 2 == 0:
        column[-1] = 1
    variance = (size**2 * column).sum() / (shape[0] * shape[1])
    return (size / np.sqrt(variance)).astype(np.float32)


def _remembered(
    rng: np.random.Generator, shape: tuple[int, int], size: NDArray[np.float32], keep: NDArray[np.float32] | float
) -> Iterator[NDArray[np.float32]]:
    """Random fields of spectral factor `size`; each coefficient keeps the fraction `keep` of itself per step."""
    for state in _remembered_coefficients(rng, shape, size, keep):
        yield fft.irfft2(state, s=shape)


def _remembered_coefficients(
    rng: np.random.Generator,
    shape: tuple[int, int],
    size: NDArray[np.float32],
    keep: NDArray[np.float32] | NDArray[np.complex64] | float,
) -> Iterator[NDArray[np.complex64]]:
    fresh = np.sqrt(1 - np.abs(keep) ** 2) * size
    state = size * fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    while True:
        yield state
        state = keep * state + fresh * fft.rfft2(rng.standard_normal(shape, dtype=np.float32))


def _flow(rng: np.random.Generator, regime: Regime, box: _Box) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """Daily sea surface height (m), eastward and northward velocity (m s-1) of a drifting, forgetful streamfunction."""
    wave = _wavenumber(box.shape, box.step_km)
    size = _power_law(box.shape, box.step_km, regime.eddy_km, regime.flow_slope)
    scaled = np.maximum(wave * regime.eddy_km / (2 * np.pi), 1)
    days = np.maximum(regime.eddy_days * scaled ** (-2 / 3), 1.0)
    ky = 2 * np.pi * fft.fftfreq(box.shape[0], box.step_km[0] * 1e3)[:, None]
    kx = 2 * np.pi * fft.rfftfreq(box.shape[1], box.step_km[1] * 1e3)[None, :]
    turn = np.exp(1j * kx * regime.drift * SECONDS_PER_DAY)
    if box.shape[1] % 2 == 0:
        turn[:, -1] = 1
    keep = (np.exp(-1 / days) * turn).astype(np.complex64)
    # Power of the velocity per power of the streamfunction, so that the speed comes out as asked.
    column = np.full(size.shape[1], 2.0)
    column[0] = 1
    speed = np.sqrt(((size * wave / 1e3) ** 2 * column).sum() / (box.shape[0] * box.shape[1]))
    factor = regime.speed / speed
    for state in _remembered_coefficients(rng, box.shape, (size * factor).astype(np.float32), keep):
        fields = np.stack([box.coriolis / GRAVITY * state, -1j * ky * state, 1j * kx * state])
        yield tuple(fft.irfft2(fields, s=box.shape).astype(np.float32))


def _stirred(
    rng: np.random.Generator, regime: Regime, box: _Box, spin_up: int, tracers: list[int], *, flow: bool
) -> Iterator[NDArray[np.float32]]:
    """Daily (c, y, x) tracers of about unit variance, followed by height and velocities where `flow` is wanted."""
    shape = box.shape
    size = _power_law(shape, box.step_km, regime.patch_km, regime.patch_slope)
    days = np.maximum(regime.patch_days * np.maximum(_wavenumber(shape, box.step_km) * regime.patch_km / 6.28, 1) ** -0.7, 1)
    sources = [_remembered(rng, shape, size, np.exp(-1 / days).astype(np.float32)) for _ in tracers]
    still = np.float32(np.sqrt(regime.fixed_share))
    fixed = [still * next(_remembered(rng, shape, size, 0.0)) for _ in tracers]
    moving = np.float32(np.sqrt(1 - regime.fixed_share))
    mix = np.exp(-regime.mixing * SECONDS_PER_DAY * (_wavenumber(shape, box.step_km) / 1e3) ** 2)
    spline = (mix / _spline_response(shape)).astype(np.float32)
    pull = np.float32(1 - np.exp(-1 / regime.relax_days))
    rows, cols = np.indices(shape, dtype=np.float32)
    values = np.stack([next(source) + patch for source, patch in zip(sources, fixed, strict=True)])
    for day, (height, u, v) in enumerate(_flow(rng, regime, box)):
        if day >= spin_up:
            yield np.concatenate([values, [height, u, v]]) if flow else values
        north, east = _departure(u, v, box)
        places = np.stack([rows - north, cols - east])
        coefficients = fft.irfft2(fft.rfft2(values) * spline, s=shape).astype(np.float32)
        for index, source in enumerate(sources):
            carried = ndimage.map_coordinates(coefficients[index], places, order=3, mode="grid-wrap", prefilter=False)
            values[index] = carried + pull * (fixed[index] + moving * next(source) - carried)


def _spline_response(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Transform of the cubic B-spline sampled on the lattice: dividing by it gives interpolating coefficients."""
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    return (2 + np.cos(2 * np.pi * ky)) * (2 + np.cos(2 * np.pi * kx)) / 9


def _departure(u: NDArray[np.float32], v: NDArray[np.float32], box: _Box) -> tuple[NDArray, NDArray]:
    """Rows and columns that water moved in a day, with the velocity halfway (second order)."""
    north = v * np.float32(SECONDS_PER_DAY / (box.step_km[0] * 1e3))
    east = u * np.float32(SECONDS_PER_DAY / (box.step_km[1] * 1e3))
    rows, cols = np.indices(box.shape, dtype=np.float32)
    halfway = np.stack([rows - north / 2, cols - east / 2])
    return tuple(ndimage.map_coordinates(f, halfway, order=1, mode="grid-wrap") for f in (north, east))


def _composites(daily: Iterator[NDArray[np.float32]], days: list[int]) -> NDArray[np.float32]:
    """Mean fields of consecutive groups of days, (t, c, y, x)."""
    return np.stack([sum(next(daily) for _ in range(count)) / np.float32(count) for count in days])


def _with_climate(
    rng: np.random.Generator,
    regime: Regime,
    box: _Box,
    time: NDArray[np.datetime64],
    days: list[int],
    chl: NDArray[np.float32],
    sst: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put the anomalies on their seasonal, meridional climatology; cold water is greener."""
    begin = (time - time.astype("datetime64[Y]")).astype("timedelta64[D]").astype(float)
    phase = 2 * np.pi * (begin + np.array(days) / 2) / 365.25
    north = (box.lat - box.lat.mean())[None, :, None]

    def climate(mean: float, season: float, peak: float, slope: float) -> NDArray:
        return mean + season * np.cos(phase - 2 * np.pi * peak / 365.25)[:, None, None] + slope * north

    link = rng.uniform(0.0, 0.6)
    cold = sst / sst.std()
    green = np.sqrt(1 - link**2) * chl / chl.std() - link * cold
    log10_chl = climate(regime.chl_mean, regime.chl_season, regime.chl_peak, regime.chl_north) + regime.chl_sd * green
    degrees = climate(regime.sst_mean, regime.sst_season, regime.sst_peak, regime.sst_north) + regime.sst_sd * cold
    # Sea water freezes at -1.8 degC: a smooth floor instead of a cut.
    return log10_chl.astype(np.float32), (np.logaddexp(0, degrees + 1.8) - 1.8).astype(np.float32)


def _scattered(rng: np.random.Generator, regime: Regime, fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give (2, t, y, x) tracers the tails and the covariance of in-situ scatter, part of it common to the box."""
    unit = (fields - fields.mean(axis=(1, 2, 3), keepdims=True)) / fields.std(axis=(1, 2, 3), keepdims=True)
    if regime.tail:
        unit = np.sinh(regime.tail * unit)
        unit /= unit.std(axis=(1, 2, 3), keepdims=True)
    common = np.sqrt(regime.share_fixed_class) * rng.standard_normal((2, 1, 1, 1))
    unit = np.sqrt(1 - regime.share_fixed_class) * unit + common
    return np.einsum("ij,j...->i...", relation.scatter_factor(), unit).astype(np.float32)


def _covers(rng: np.random.Generator, frames: int, share: float) -> NDArray[np.float64]:
    """Missing share of each frame: spread evenly over the quantiles of a wide distribution of mean `share`."""
    places = (rng.permutation(frames) + rng.uniform(size=frames)) / frames
    concentration = 4.0
    return np.clip(stats.beta.ppf(places, share * concentration, (1 - share) * concentration), 0.01, 0.99)


def _swath(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Something larger than any cloud inside a tilted stripe, as the gap between two orbits or the end of one."""
    rows, cols = np.indices(shape, dtype=np.float32)
    tilt = np.deg2rad(rng.uniform(8, 20)) * rng.choice([-1, 1])
    across = (cols - shape[1] * rng.uniform()) * np.cos(tilt) + (rows - shape[0] * rng.uniform()) * np.sin(tilt)
    return np.where(np.abs(across) < rng.uniform(5, 60), np.float32(8), np.float32(0))
