"""A simulated global ocean of monthly means on a coarse grid, in which chlorophyll responds to its drivers by region.

Forcings are a climatology by latitude and season, an oscillation of the tropical Pacific and random weather. log10
chlorophyll is a blend of the responses of seven regimes, plus anomalies that no driver explains. Where a regime holds
follows from the drivers themselves (light, mixed layer, temperature, wind along the coast, depth), smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from xgapfill.lattice import sea as seamask
from xgapfill.simulate.fields import power_law, remembered
from xgapfill.simulate.forcing import BLOCKED, clear_sky, day_of_year

STEP = 3.0  # degrees
NORTH = 72.0  # latitudes of the edges
KM = 111.2
EARTH_TURN = 7.2921e-5
GRAVITY = 9.81
UNEXPLAINED = 0.09  # standard deviation of log10 chlorophyll that no driver explains

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Monthly:
    """Complete fields, (t, y, x) float32 unless said otherwise.

    Attributes
    ----------
    log10_chl : log10 of chlorophyll in mg m-3
    sst : degC
    sla : m
    wind_east, wind_north, current_east, current_north : m s-1
    shortwave : W m-2
    depth : (y, x), m, 0 on land
    sea : (y, x) bool
    regime : (t, y, x) int8, number of the regime of the largest share, in the order of `REGIMES`
    lat, lon : (y,), (x,) float64
    time : (t,) datetime64[ns], first days of the months
    """

    log10_chl: NDArray[np.float32]
    sst: NDArray[np.float32]
    sla: NDArray[np.float32]
    wind_east: NDArray[np.float32]
    wind_north: NDArray[np.float32]
    current_east: NDArray[np.float32]
    current_north: NDArray[np.float32]
    shortwave: NDArray[np.float32]
    depth: NDArray[np.float32]
    sea: NDArray[np.bool_]
    regime: NDArray[np.int8]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    time: NDArray[np.datetime64]


REGIMES = ("light", "bloom", "iron", "gyre", "equator", "upwelling", "shelf")


def simulate_months(seed: int, months: int = 120, year: int = 2006) -> Monthly:
    """Simulate monthly means of a global ocean without gaps; the same arguments give the same values.

    The regimes, and what raises their chlorophyll (relative to its climatology in the regime):

    - light: dark or deeply mixed, high latitudes in winter: more light, less wind;
    - bloom: bright and cool: light up to a point, colder water, nutrients of past wind;
    - iron: cold under strong westerly wind, far from coasts: shallower water, warmer water, less wind;
    - gyre: warm and far from coasts: colder water, lower sea level, more wind, less light;
    - equator: low sea level, easterly wind;
    - upwelling: near a coast with wind toward the equator: more of this wind, colder water;
    - shelf: shallow: less depth, wind from any side.

    Parameters
    ----------
    seed : int
    months : int
    year : int
        Year of the first month, January.

    Returns
    -------
    Monthly

    Examples
    --------
    >>> months = simulate_months(0, months=2)
    >>> months.log10_chl.shape, len(REGIMES)
    ((2, 48, 120), 7)
    """
    rng = np.random.default_rng([seed, 6])
    place = Place.of(rng, months, year)
    forcings = _forcings(rng, place)
    shares = _shares(place, forcings)
    chl = np.einsum("k...,k...->...", shares, _responses(place, forcings))
    chl += UNEXPLAINED * _random(rng, place, 1500, 3.5, 0.5)
    whole = {**forcings, "log10_chl": chl, "depth": place.depth}
    float32 = {name: np.asarray(field, np.float32) for name, field in whole.items() if name in _NAMES}
    regime = shares.argmax(axis=0).astype(np.int8)
    return Monthly(**float32, sea=place.sea, regime=regime, lat=place.lat, lon=place.lon, time=place.time)


_NAMES = {each.name for each in fields(Monthly)}


@dataclass(frozen=True)
class Place:
    """Grid and calendar.

    Attributes
    ----------
    lat, lon, time : coordinates
    sea : (y, x) bool
    depth : (y, x), m
    coast : (y, x), km to the nearest land
    east : (y, x), -1 to 1: near a coast in the east, or in the west
    north : (1, y, 1), degrees
    year : (t, 1, 1), phase of the year, 0 on 1 January
    """

    lat: Field
    lon: Field
    time: NDArray[np.datetime64]
    sea: NDArray[np.bool_]
    depth: Field
    coast: Field
    east: Field
    north: Field
    year: Field

    @classmethod
    def of(cls, rng: np.random.Generator, months: int, year: int) -> Place:
        """Return the grid and calendar of some months."""
        lat = np.arange(-NORTH, NORTH, STEP) + STEP / 2
        lon = np.arange(-180.0, 180.0, STEP) + STEP / 2
        sea = seamask.sea(lat, lon)
        thrice = np.tile(sea, (1, 3))
        coast, (_, cols) = ndimage.distance_transform_edt(thrice, return_indices=True)
        middle = slice(lon.size, 2 * lon.size)
        toward = (cols - np.arange(thrice.shape[1]))[:, middle]
        coast = coast[:, middle] * STEP * KM
        width, ridges = _relief(rng, sea.shape)
        depth = np.where(sea, np.maximum(120 + 4200 * -np.expm1(-(coast - STEP * KM) / width) + ridges, 120), 0)
        time = (np.datetime64(f"{year}-01") + np.arange(months)).astype("datetime64[ns]")
        phase = 2 * np.pi * day_of_year(time, 15.0)[:, None, None] / 365.25
        east = np.sign(toward) * np.exp(-((coast / 700) ** 2))
        return cls(lat, lon, time, sea, depth, coast, east, lat[None, :, None], phase)


def _relief(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Field, Field]:
    """Width of the slope of the continents, km, and height of the ridges, m."""
    spectrum = power_law((shape[0] + 16, shape[1]), (STEP * KM, STEP * KM * 0.75), 4000, 3.0)
    fixed = remembered(rng, (shape[0] + 16, shape[1]), spectrum, 0.0)
    slope, ridges = (next(fixed)[: shape[0]].astype(np.float64) for _ in range(2))
    return 450 * np.exp(0.7 * slope), -900 * np.maximum(ridges, 0)


def _random(rng: np.random.Generator, place: Place, km: float, slope: float, keep: float) -> Field:
    """Random fields (t, y, x) of unit variance, periodic eastward, that remember the month before."""
    rows, cols = place.sea.shape
    step_km = STEP * KM, STEP * KM * 0.75
    fields_of = remembered(rng, (rows + 16, cols), power_law((rows + 16, cols), step_km, km, slope), keep)
    return np.stack([each[:rows] for each in islice(fields_of, len(place.time))]).astype(np.float64)


def _forcings(rng: np.random.Generator, place: Place) -> dict[str, Field]:
    """Drivers by name: climatology, oscillation of the tropical Pacific, weather."""
    north, hemisphere = place.north, np.sign(place.north)
    winter = np.cos(place.year - 2 * np.pi * 45 / 365.25) * hemisphere  # 1 at its end
    tropics = np.exp(-((north / 9) ** 2))
    pacific = tropics * np.exp(-((((place.lon - 40) % 360 - 180) / 50) ** 2))[None, None] * place.sea
    nino = _oscillation(rng, len(place.time))
    away = np.abs(north)

    wind_east = -6.5 * np.exp(-(((away - 14) / 10) ** 2)) + (7.5 + 2 * winter) * np.exp(-(((away - 48) / 12) ** 2))
    wind_east = wind_east + 2.5 * nino * pacific + 1.8 * _random(rng, place, 3000, 4.0, 0.25)
    along = np.exp(-(((away - 27) / 12) ** 2)) * np.maximum(place.east, 0)  # toward the equator, off western coasts
    wind_north = -hemisphere * (1.5 * np.exp(-(((away - 15) / 10) ** 2)) + (5 - 1.5 * winter) * along)
    wind_north = wind_north + 1.8 * _random(rng, place, 3000, 4.0, 0.25)

    cold_tongue = tropics * np.clip(0.5 - place.east / 2 + (place.lon > -120), 0, 1)
    sst = 29 * np.cos(np.deg2rad(north)) ** 1.7 - 2.5 - 2.5 * cold_tongue * (1 - 0.8 * nino * (pacific > 0.3))
    sst = sst - (1 + 4.5 * np.exp(-(((away - 42) / 15) ** 2))) * winter - 3.0 * along
    sst = sst + 1.6 * nino * pacific + 0.9 * _random(rng, place, 2500, 3.5, 0.8)
    sst = np.logaddexp(0, sst + 1.8) - 1.8  # sea water freezes at -1.8 degC, and the tropics do not boil
    sst = 31 - np.logaddexp(0, 31 - sst)

    eddies = 0.055 * _random(rng, place, 1200, 3.5, 0.6)
    gyres = 0.25 * np.exp(-(((away - 27) / 10) ** 2)) - 0.15 * np.exp(-(((away - 55) / 9) ** 2))
    sla = eddies + 0.04 * -winter * np.exp(-(((away - 35) / 15) ** 2)) + 0.10 * nino * pacific
    current_east, current_north = _currents(place, sla + gyres, wind_east, wind_north)

    cover = special.expit(0.3 + 0.7 * np.exp(-(((north - 6) / 6) ** 2)) + 0.5 * np.tanh((away - 45) / 8) - 0.9 * along)
    cover = np.clip(cover + 0.12 * _random(rng, place, 2500, 4.0, 0.2), 0, 1)
    shortwave = clear_sky(north, place.year / (2 * np.pi) * 365.25) * (1 - BLOCKED * cover)
    return {
        "sst": sst,
        "sla": sla,
        "wind_east": wind_east,
        "wind_north": wind_north,
        "current_east": current_east,
        "current_north": current_north,
        "shortwave": shortwave,
    }


def _oscillation(rng: np.random.Generator, months: int) -> Field:
    """An index of mean 0 and variance 1 with a period of about four years, (t, 1, 1)."""
    state, found = np.zeros(2), []
    for _ in range(months + 60):
        turn = 2 * np.pi / 46
        rotation = 0.97 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        state = rotation @ state + 0.25 * rng.standard_normal(2)
        found.append(state[0])
    index = np.array(found[60:])
    return np.asarray(index / 0.73)[:, None, None]


def _currents(place: Place, height: Field, wind_east: Field, wind_north: Field) -> tuple[Field, Field]:
    """Geostrophic flow of a sea level plus a drift to the right of the wind, or to the left in the south."""
    turning = 2 * EARTH_TURN * np.sin(np.deg2rad(np.maximum(np.abs(place.north), 8))) * np.sign(place.north)
    metres = STEP * KM * 1e3
    height = np.where(place.sea, height, np.nan)
    rise_north = np.nan_to_num(np.gradient(height, axis=1)) / metres
    turned = np.concatenate([height[..., -1:], height, height[..., :1]], axis=2)
    rise_east = np.nan_to_num(np.gradient(turned, axis=2)[..., 1:-1]) / (metres * np.cos(np.deg2rad(place.north)))
    drift = 0.012 * np.sign(place.north)
    east = -GRAVITY / turning * rise_north + 0.01 * wind_east + drift * wind_north
    north = GRAVITY / turning * rise_east + 0.01 * wind_north - drift * wind_east
    return np.clip(east, -1.5, 1.5), np.clip(north, -1.5, 1.5)


def _shares(place: Place, forcings: dict[str, Field]) -> Field:
    """Shares of the regimes, (k, t, y, x), which sum to 1: where each one holds follows from the drivers."""
    light, sst, westerly = forcings["shortwave"], forcings["sst"], forcings["wind_east"]
    toward_equator = -np.sign(place.north) * forcings["wind_north"]
    near = np.exp(-((place.coast / 700) ** 2))
    shape = sst.shape
    scores = (
        (85 - light) / 18,
        np.minimum((light - 85) / 18, (19 - sst) / 2.0),
        np.minimum(np.minimum((light - 85) / 18, (12 - sst) / 2.0), (westerly - 5.5) / 1.2) + 2 * (0.5 - near),
        (sst - 19) / 2.0 + 0.5,
        6 * np.exp(-((place.north / 6) ** 2)) - 0.5 + 0 * sst,
        np.minimum(9 * (near - 0.35), 1.5 * (toward_equator - 1.5)) + 1.0,
        (1100 - place.depth) / 250 + 0 * sst,
    )
    return np.asarray(special.softmax(np.stack([np.broadcast_to(each, shape) for each in scores]) * 1.5, axis=0))


def _responses(place: Place, forcings: dict[str, Field]) -> Field:
    """log10 chlorophyll of each regime, (k, t, y, x)."""
    sst, sla, light = (forcings[name] for name in ("sst", "sla", "shortwave"))
    east, north = forcings["wind_east"], forcings["wind_north"]
    speed = np.hypot(east, north)
    toward_equator = -np.sign(place.north) * north
    grown = np.tanh(light / 90)
    return np.stack(
        [
            -1.0 + 1.1 * grown - 0.05 * (speed - 7) + 0.02 * (sst - 6),
            -0.45 + 0.35 * np.tanh((light - 90) / 60) - 0.05 * (sst - 10) + 0.05 * (speed - 7),
            -0.8 + 0.06 * (sst - 6) - 0.06 * (speed - 9) - 0.00022 * (place.depth - 3500),
            -1.0 - 0.085 * (sst - 24) - 2.2 * sla + 0.03 * (speed - 6) - 0.0018 * (light - 200),
            -0.75 - 3.5 * sla - 0.05 * (east + 4),
            -0.35 + 0.11 * (toward_equator - 4) - 0.07 * (sst - 20) - 0.5 * sla,
            0.25 - 0.0006 * (place.depth - 400) + 0.04 * (speed - 6) + 0.02 * (sst - 18),
        ]
    )
