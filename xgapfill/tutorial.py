"""Example data: the simulated ocean with gaps, and its truth."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.lattice import sea as seamask
from xgapfill.simulate import REGIMES, Ocean, Regime, clouds, forcing, simulate, simulate_months
from xgapfill.variables.relation import CLASSES
from xgapfill.weights.store import cache_dir

VERSION = 4
"""Version in the file name: increase it when values change, here or in the simulation."""
DRIVERS_VERSION = 1
"""The same for the drivers."""
MONTHLY_VERSION = 1
"""The same for the monthly ocean."""
MONTHS, MONTHLY_GAPS, DARK = 120, 0.2, 20.0
SEED, FRAMES, SIZE, BOX = 7, 24, 128, 160
LATITUDE, LONGITUDE, YEAR = 42.0, -11.0, 2010
PSC_GAPS, CHL_GAPS, SST_GAPS = 0.6, 0.1, 0.25
# A moderately energetic eastern North Atlantic with a bloom in April; fixed, as drawn regimes change with the code.
REGIME = Regime(
    speed=0.18, eddy_km=180, flow_slope=5.0, eddy_days=25, drift=0.02,
    patch_km=200, patch_slope=3.4, patch_days=20, fixed_share=0.2, relax_days=15, mixing=20,
    chl_mean=-0.4, chl_sd=0.22, chl_season=0.25, chl_peak=105, chl_north=0.03,
    sst_mean=15.5, sst_sd=0.7, sst_season=3.0, sst_peak=235, sst_north=-0.6,
    daily_gaps=0.0, pigments=0.5, box_share=0.2, scatter=0.8, tail=0.2,
)  # fmt: skip

_MAPS = ("time", "lat", "lon")
_ATTRS: dict[str, dict[str, object]] = {
    "PSC": {"long_name": "fraction of chlorophyll in phytoplankton size classes", "units": "1"},
    "CHL": {
        "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water",
        "long_name": "chlorophyll-a concentration",
        "units": "mg m-3",
    },
    "SST": {
        "standard_name": "sea_surface_temperature",
        "long_name": "sea surface temperature",
        "units": "degree_Celsius",
    },
    "SSH": {
        "standard_name": "sea_surface_height_above_geoid",
        "long_name": "sea surface height of the geostrophic flow",
        "units": "m",
    },
    "SST_L4": {
        "standard_name": "sea_surface_temperature",
        "long_name": "sea surface temperature without gaps",
        "units": "degree_Celsius",
    },
    "UGOS": {
        "standard_name": "surface_geostrophic_eastward_sea_water_velocity",
        "long_name": "eastward velocity of the geostrophic flow",
        "units": "m s-1",
    },
    "VGOS": {
        "standard_name": "surface_geostrophic_northward_sea_water_velocity",
        "long_name": "northward velocity of the geostrophic flow",
        "units": "m s-1",
    },
    "SWR": {
        "standard_name": "surface_downwelling_shortwave_flux_in_air",
        "long_name": "short-wave radiation",
        "units": "W m-2",
    },
    "TAUX": {
        "standard_name": "surface_downward_eastward_stress",
        "long_name": "eastward wind stress",
        "units": "N m-2",
    },
    "TAUY": {
        "standard_name": "surface_downward_northward_stress",
        "long_name": "northward wind stress",
        "units": "N m-2",
    },
    "MLD": {
        "standard_name": "ocean_mixed_layer_thickness",
        "long_name": "depth of the mixed layer",
        "units": "m",
    },
    "SLA": {
        "standard_name": "sea_surface_height_above_sea_level",
        "long_name": "sea level anomaly",
        "units": "m",
    },
    "UWND": {"standard_name": "eastward_wind", "long_name": "eastward wind", "units": "m s-1"},
    "VWND": {"standard_name": "northward_wind", "long_name": "northward wind", "units": "m s-1"},
    "UCUR": {
        "standard_name": "eastward_sea_water_velocity",
        "long_name": "eastward current",
        "units": "m s-1",
    },
    "VCUR": {
        "standard_name": "northward_sea_water_velocity",
        "long_name": "northward current",
        "units": "m s-1",
    },
    "DEPTH": {
        "standard_name": "sea_floor_depth_below_mean_sea_level",
        "long_name": "depth of the sea, 0 on land",
        "units": "m",
    },
    "REGIME": {
        "long_name": "regime of the largest share in the truth",
        "flag_values": np.arange(len(REGIMES), dtype=np.int8),
        "flag_meanings": " ".join(REGIMES),
    },
    "sea": {
        "standard_name": "sea_binary_mask",
        "long_name": "sea",
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "land sea",
    },
}


def open_dataset(name: str = "ocean", *, drivers: bool = False, cache: bool = True) -> xr.Dataset:
    """Open an example data set; it is simulated on the first call (seconds, no network) and cached in a file.

    Parameters
    ----------
    name : str
        ``"ocean"``: 24 eight-day composites, 128 x 128 pixels of 1/24 degree off the Iberian coast. Phytoplankton
        size classes ``PSC`` with 60 % of the sea missing, ``CHL`` (mg m-3) with 10 %, ``SST`` (degC) with 25 %,
        ``SSH`` (m), the complete ``PSC_truth`` and ``CHL_truth``, and the mask ``sea``. Land is missing everywhere.
        ``"monthly"``: ten years of months of the whole ocean between 72 S and 72 N, 3 degrees. ``CHL`` is missing under
        clouds and in the dark; ``CHL_truth`` and the drivers are complete: ``SST``, ``SLA``, winds ``UWND`` and
        ``VWND``, currents ``UCUR`` and ``VCUR``, short-wave radiation ``SWR``, ``DEPTH`` and ``sea``. The response of
        chlorophyll to them differs between the regimes ``REGIME``, see `xgapfill.simulate.simulate_months`.
    drivers : bool
        Add to the ocean what the simulation knows of the water besides, complete as analyses are: the temperature
        without gaps, ``SST_L4``; the velocities of the flow, ``UGOS`` and ``VGOS``, which stir chlorophyll; and
        forcings: short-wave radiation ``SWR`` (W m-2), wind stress ``TAUX`` and ``TAUY`` (N m-2) and mixed-layer depth
        ``MLD`` (m), which tell a part of the chlorophyll of 25 km and more, see `xgapfill.simulate.forcing`.
    cache : bool
        Cache the data set in ``XGAPFILL_CACHE_DIR`` or the user's cache folder, and read it from there.

    Returns
    -------
    xarray.Dataset
        In memory, float32. All values are simulated.

    Raises
    ------
    ValueError
        If there is no data set of this name.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean")
    >>> ds.PSC.dims, ds.PSC.shape
    (('time', 'size_class', 'lat', 'lon'), (24, 3, 128, 128))
    """
    if name == "monthly":
        return _labelled(_kept(f"tutorial-monthly-v{MONTHLY_VERSION}.npz", _monthly, cache), MONTHLY)
    if name != "ocean":
        raise ValueError(f"expected the name of a tutorial data set, 'ocean' or 'monthly', found {name!r}")
    arrays = _kept(f"tutorial-ocean-v{VERSION}.npz", _simulated, cache)
    if drivers:
        arrays |= _kept(f"tutorial-ocean-v{VERSION}-drivers-v{DRIVERS_VERSION}.npz", _drivers, cache)
    return _labelled(arrays, OCEAN)


def _kept(name: str, make: Callable[[], dict[str, NDArray]], cache: bool) -> dict[str, NDArray]:
    """Arrays of a file in the cache, made and written there at first."""
    file = cache_dir() / name
    if cache and file.is_file():
        with np.load(file) as kept:
            return dict(kept)
    arrays = make()
    if cache:
        _keep(file, arrays)
    return arrays


def _ocean() -> tuple[Ocean, slice]:
    """The simulated box, and the rows and columns of it that are kept."""
    ocean = simulate(SEED, FRAMES, (BOX, BOX), LATITUDE, longitude=LONGITUDE, year=YEAR, regime=REGIME)
    return ocean, slice((BOX - SIZE) // 2, (BOX + SIZE) // 2)


def _drivers() -> dict[str, NDArray]:
    """What the simulation knows of the water besides, complete over the sea."""
    ocean, cut = _ocean()
    land = ~seamask.sea(ocean.lat[cut], ocean.lon[cut])
    forced = forcing(ocean, SEED)
    fields = {
        "SST_L4": ocean.sst,
        "UGOS": ocean.u,
        "VGOS": ocean.v,
        "SWR": forced.shortwave,
        "TAUX": forced.stress_east,
        "TAUY": forced.stress_north,
        "MLD": forced.mixed_layer,
    }
    return {name: np.where(land, np.float32(np.nan), field[:, cut, cut]) for name, field in fields.items()}


def _simulated() -> dict[str, NDArray]:
    """The data set as plain arrays."""
    ocean, cut = _ocean()
    lat, lon = ocean.lat[cut], ocean.lon[cut]
    land = ~seamask.sea(lat, lon)
    shape = (FRAMES, SIZE, SIZE)
    # Size classes are missing wherever chlorophyll is.
    no_chl = clouds(SEED, FRAMES, shape[1:], CHL_GAPS)
    no_psc = clouds(SEED + 1, FRAMES, shape[1:], (PSC_GAPS - CHL_GAPS) / (1 - CHL_GAPS)) | no_chl
    no_sst = clouds(SEED + 2, FRAMES, shape[1:], SST_GAPS)
    psc, chl, sst, ssh = (
        np.where(land, np.float32(np.nan), field[..., cut, cut])
        for field in (ocean.psc.swapaxes(0, 1), np.power(np.float32(10), ocean.log10_chl), ocean.sst, ocean.ssh)
    )
    return {
        "PSC": np.where(no_psc[:, None], np.float32(np.nan), psc),
        "CHL": np.where(no_chl, np.float32(np.nan), chl),
        "SST": np.where(no_sst, np.float32(np.nan), sst),
        "SSH": ssh,
        "PSC_truth": psc,
        "CHL_truth": chl,
        "sea": (~land).astype(np.int8),
        "time": ocean.time,
        "lat": lat,
        "lon": lon,
    }


def _monthly() -> dict[str, NDArray]:
    """The monthly data set as plain arrays."""
    months = simulate_months(SEED, MONTHS)
    drivers = {
        "SST": months.sst,
        "SLA": months.sla,
        "UWND": months.wind_east,
        "VWND": months.wind_north,
        "UCUR": months.current_east,
        "VCUR": months.current_north,
        "SWR": months.shortwave,
    }
    nothing = np.float32(np.nan)
    truth = np.where(months.sea, np.power(np.float32(10), months.log10_chl), nothing)
    unseen = clouds(SEED, MONTHS, months.sea.shape, MONTHLY_GAPS) | (months.shortwave < DARK)
    return {
        "CHL": np.where(unseen, nothing, truth),
        "CHL_truth": truth,
        **{name: np.where(months.sea, field, nothing) for name, field in drivers.items()},
        "DEPTH": months.depth,
        "REGIME": months.regime,
        "sea": months.sea.astype(np.int8),
        "time": months.time,
        "lat": months.lat,
        "lon": months.lon,
    }


OCEAN = {
    "title": "Simulated ocean with gaps and its truth, tutorial data set of xgapfill",
    "source": f"xgapfill.simulate, seed {SEED}, version {VERSION}",
    "comment": "Every value is simulated, none was measured. The coast is real, the water beside it is not.",
    "time_coverage_resolution": "P8D",
}
MONTHLY = OCEAN | {
    "title": "Simulated months of a global ocean with gaps, its truth and its drivers, tutorial data set of xgapfill",
    "source": f"xgapfill.simulate.simulate_months, seed {SEED}, version {MONTHLY_VERSION}",
    "time_coverage_resolution": "P1M",
}


def _labelled(arrays: dict[str, NDArray], about: dict[str, str]) -> xr.Dataset:
    """Plain arrays as a CF data set."""
    data: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for name, values in arrays.items():
        kind = name.removesuffix("_truth")
        if kind in _ATTRS:
            dims = ("time", "size_class", "lat", "lon") if kind == "PSC" else _MAPS[-values.ndim :]
            attrs = dict(_ATTRS[kind])
            if name != kind:
                attrs["long_name"] = f"{attrs['long_name']}, truth without gaps"
            data[name] = (dims, values, attrs)
    means = "month" if about is MONTHLY else "composite"
    coords["time"] = (
        "time",
        arrays["time"],
        {"standard_name": "time", "long_name": f"first day of the {means}", "axis": "T"},
    )
    if "PSC" in arrays:
        coords["size_class"] = ("size_class", list(CLASSES), {"long_name": "phytoplankton size class"})
    coords["lat"] = ("lat", arrays["lat"], {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"})
    coords["lon"] = ("lon", arrays["lon"], {"standard_name": "longitude", "units": "degrees_east", "axis": "X"})
    return xr.Dataset(data, coords, {"Conventions": "CF-1.11", **about})


def _keep(file: Path, arrays: dict[str, Any]) -> None:
    """Write arrays atomically; skip it when the folder is not writable."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(suffix=".npz", dir=file.parent)
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **arrays)
        os.replace(part, file)
    except OSError:
        Path(part).unlink(missing_ok=True)
