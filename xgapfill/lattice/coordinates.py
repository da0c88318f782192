"""From coordinates to lattices: step and phase of an axis, and the lattice index of each value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 0.1  # largest distance of a coordinate from its lattice place, in steps
# Phases lie in [lowest, lowest + 1). In space the limit avoids the thirds and quarters that products use; in time the
# index of a stamp is the day (or other step) in which it lies, with some tolerance at its beginning.
_LOWEST_PHASE = {"latitude": -0.29, "longitude": -0.29, "time": -TOLERANCE}
# Likely divisors of the number of columns around the globe, the likeliest first.
_DIVISORS = (3600, 1440, 720, 360, 180, 120, 90, 72, 60, 45, 40, 36, 30, 24, 20, 18, 15, 12, 10, 9, 8, 6, 5, 4, 3, 2, 1)


def plain(values: ArrayLike, name: str) -> Floats:
    """Return coordinates as (n,) float64.

    Raises
    ------
    ValueError
        Values are not numbers along one dimension, or not finite.
    """
    array = np.asarray(values)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must have one dimension, found shape {array.shape}; regrid curvilinear grids or swaths to "
            "latitudes and longitudes first, for example with xesmf or pyresample"
        )
    if array.size == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers; found {array.size} values of dtype {array.dtype}")
    array = np.atleast_1d(array).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    return array


def check_degrees(lat: Floats, lon: Floats) -> None:
    """ValueError unless latitudes lie between the poles and longitudes within a few turns of the globe."""
    low, high = float(lat.min()), float(lat.max())
    reach = 90 + 0.51 * (float(np.abs(np.diff(lat)).max()) if lat.size > 1 else 0)
    if -reach <= low and high <= reach and np.abs(lon).max() <= 720:
        return
    found = f"found latitudes {low:g} to {high:g} and longitudes {lon.min():g} to {lon.max():g}"
    if np.abs(lon).max() <= 90 and max(-low, high) <= 360:
        remedy = "they look exchanged: rename one to the other, with .rename(lat='lon', lon='lat')"
    else:
        remedy = "convert projected coordinates, or those in radians or metres, to degrees first"
    raise ValueError(f"latitude must lie between -90 and 90 degrees, longitude between -180 and 360; {found}: {remedy}")


def unrolled(lon: Floats) -> Floats:
    """Return longitudes without jumps by 360 degrees, monotonic.

    Raises
    ------
    ValueError
        Longitudes are not monotonic around the globe, or go around more than once.
    """
    if lon.size == 1:
        return lon
    ways = [(sign * np.diff(lon)) % 360 for sign in (1, -1)]
    way, sign = (ways[0], 1) if ways[0].sum() <= ways[1].sum() else (ways[1], -1)
    # Rounding may turn a repeated longitude into a jump of nearly 360 degrees, which the sum reveals.
    if (way > 0).all() and way.sum() < 360:
        return lon[0] + sign * np.concatenate([[0], np.cumsum(way)])
    repeated = lon.size - np.unique(np.round(lon % 360, 6) % 360).size
    if repeated:
        raise ValueError(
            f"longitude has {repeated} repeated values (modulo 360 degrees): keep one of each, for example with "
            f".isel(lon=slice({lon.size - repeated}))"
        )
    raise ValueError("longitudes must be monotonic around the globe; sort them first, with .sortby('lon')")


def step(values: Floats, name: str) -> float:
    """Return the lattice step along an axis of two or more coordinates, with gaps allowed.

    The step is the one that divides 360 most evenly among those that the rounding of the coordinates allows.

    Raises
    ------
    ValueError
        Values are repeated, out of order or not regularly spaced.
    """
    # Coordinates of most products were once stored as float32.
    distance, doubt = fit_step(values, name, "degrees", float(np.spacing(np.float32(np.abs(values).max()))))
    return _simple(distance, doubt) or float(f"{distance:.9g}")


def latitudes(lat: Floats, step: float, phase: float | None = None) -> tuple[Ints, float]:
    """Return lattice rows of latitudes and the phase of the lattice (in steps from 90 S)."""
    return snap((lat + 90) / step, "latitude", step, phase)


def longitudes(lon: Floats, step: float, phase: float | None = None) -> tuple[Ints, float, int]:
    """Return lattice columns in [0, ncols), the phase of the lattice (in steps from 0 E) and ncols."""
    ncols = max(1, round(360 / step))
    cols, phase = snap(unrolled(lon) * ncols / 360, "longitude", 360 / ncols, phase)
    cols = cols % ncols
    if np.unique(cols).size < cols.size:
        raise ValueError(f"longitude has repeated values: {cols.size} columns, but the globe has {ncols}")
    return cols, phase, ncols


def fit_step(values: Floats, name: str, unit: str, grain: float) -> tuple[float, float]:
    """Return the step of values that were rounded to `grain`, and the uncertainty of the step."""
    difference = np.diff(values)
    if not ((difference > 0).all() or (difference < 0).all()):
        raise ValueError(f"{name} must be monotonic without repeated values; sort it first, with .sortby")
    gaps = np.abs(difference)
    smallest, usual = gaps.min(), np.median(gaps)
    if smallest < 0.01 * usual:
        raise ValueError(
            f"{name} has nearly repeated values: steps of {smallest:.6g} and {usual:.6g} {unit}; drop one of each, or "
            "sort them with .sortby"
        )
    single = np.median(gaps[gaps < 1.5 * smallest])
    places = np.concatenate([[0], np.cumsum(np.round(gaps / single))])
    along = np.abs(values - values[0])
    distance, origin = np.polyfit(places, along, 1)
    miss = np.abs(origin + distance * places - along).max()
    if miss > TOLERANCE * distance:
        other = gaps[np.argmax(np.abs(gaps / smallest - np.round(gaps / smallest)))]
        raise ValueError(
            f"{name} must be regularly spaced (missing values allowed), found steps of {smallest:.6g} and {other:.6g} "
            f"{unit}; interpolate or aggregate to equal steps first"
        )
    return float(distance), float(4 * max(miss, grain) / places[-1])


def _simple(distance: float, doubt: float) -> float | None:
    """Return the step within `doubt` that divides 360 degrees most evenly, None if none divides it."""
    low, high = 360 / (distance + doubt), 360 / max(distance - doubt, 1e-6)
    low, high = low * (1 - 1e-9), high * (1 + 1e-9)
    for divisor in _DIVISORS:
        count = divisor * max(1, round(360 / distance / divisor))
        if low <= count <= high:
            return 360 / count
    return None


def snap(positions: Floats, name: str, step: float, phase: float | None) -> tuple[Ints, float]:
    """Return lattice indices of positions (in steps from the origin) and their common phase."""
    if phase is None:
        shared = float(np.median(positions - np.round(positions - positions[0])))
        lowest = _LOWEST_PHASE[name]
        phase = (shared - lowest) % 1 + lowest
        # Rounded coordinates of two parts of a product must give the same phase to the last bit.
        quarter = round(4 * phase) / 4
        phase = quarter if abs(phase - quarter) < 0.02 else round(phase, 3)
    places = np.round(positions - phase)
    miss = np.abs(positions - phase - places).max()
    if miss > TOLERANCE:
        raise ValueError(
            f"{name} must lie on a lattice of step {step:.6g}, found a value off by {miss:.2f} steps; regrid to equal "
            "steps (a divisor of 360 degrees in longitude) first"
        )
    return places.astype(np.int64), float(phase)
