"""What drivers are worth: useless ones, those of the simulated ocean as far as its truth allows, and a real trial."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import xgapfill
from bench.problems import as_chl, choose_problem
from xgapfill.simulate import Ocean, clouds, simulate

USELESS = (3, 4, 5, 6, 8, 9, 10, 12, 15, 20, 25, 30)  # pixels: radius of each field
OCEANS = ((11, 42.0), (12, 35.0), (13, -45.0))
GAPS = 0.7
SETS = ("useless", "ocean", "socal", "baja")
METHODS = ("background", "kriging", "dctpls", "dineof", "interpolate", "climatology")


class Case(NamedTuple):
    """A target, its hidden pixels with their log10, options of a fill, and drivers by name."""

    name: str
    shown: xr.DataArray
    hidden: NDArray[np.bool_]
    truth: NDArray[np.floating]
    drivers: dict[str, list[xr.DataArray]]
    options: Mapping[str, str] = {}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--data", type=Path, help="folder of the real data; by default only the simulated ocean")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["background", "kriging", "dctpls", "dineof"])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))


def run(folder: Path | None, methods: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Print RMSE of log10 with and without drivers, and core-seconds."""
    warnings.simplefilter("ignore")
    for case in cases(folder, sets):
        print(f"{case.name}: {case.hidden.sum()} hidden pixels; RMSE of log10, ratio, core-seconds")
        for method in methods:
            plain = scored(case, method, None)
            words = [f"without {plain[0]:.4f} {plain[1]:.0f} s"]
            for name, given in case.drivers.items():
                rmse, seconds = scored(case, method, given)
                words.append(f"{name} {rmse:.4f} ({rmse / plain[0]:.3f}) {seconds:.0f} s")
            print(f"  {method:12s} {'; '.join(words)}", flush=True)


def scored(case: Case, method: str, cond: Sequence[xr.DataArray] | None) -> tuple[float, float]:
    """RMSE of log10 at hidden pixels, and core-seconds; a driver named "limit" is taken from the target exactly."""
    begin, exact = time.process_time(), 0.0
    target = case.shown
    if cond is not None and cond[0].name == "limit":
        exact, cond = cond[0].values, None
        target = target / 10**exact
    filled = getattr(xgapfill, method)(
        target.assign_attrs(case.shown.attrs).rename("CHL"), cond, **case.options
    ).compute()
    error = (np.log10(filled.values) + exact - case.truth)[case.hidden]
    return float(np.sqrt(np.nanmean(error**2))), time.process_time() - begin


def cases(folder: Path | None, sets: Sequence[str]) -> Iterator[Case]:
    """All problems."""
    if "ocean" in sets:
        yield from oceans()
    if folder is None:
        return
    if "useless" in sets:
        found = choose_problem(folder, gaps="transplanted")
        chl = as_chl(found)
        twelve = [useless(chl, n) for n in range(len(USELESS))]
        with xr.open_dataset(folder / "ne_pacific_modis_2020_8day.nc") as ds:
            depth = ds.bathymetry.transpose("lat", "lon").load().reindex_like(chl, method="nearest", tolerance=0.02)
        given = {"12 useless": twelve, "bathymetry": [depth.rename("bathymetry").drop_attrs()]}
        yield Case("NE Pacific", chl, np.asarray(found.hidden), np.asarray(found.truth), given)
    if "socal" in sets:
        yield socal(folder)
    if "baja" in sets:
        yield baja(folder)


def useless(target: xr.DataArray, number: int) -> xr.DataArray:
    """A smooth random field."""
    pixels = USELESS[number]
    white = np.random.default_rng(number).standard_normal(target.shape)
    field = gaussian_filter(white, (1.0, pixels, pixels), mode="wrap").astype(np.float32)
    return target.copy(data=field / field.std()).rename(f"useless{number}").drop_attrs(deep=False)


def oceans() -> Iterator[Case]:
    """Simulated oceans under clouds that hide most of the chlorophyll."""
    for seed, latitude in OCEANS:
        ocean = simulate(seed, frames=10, shape=(160, 160), latitude=latitude)
        chl = field_of(ocean, 10**ocean.log10_chl, "CHL", units="mg m-3")
        sst, level = field_of(ocean, ocean.sst, "SST", units="degC"), field_of(ocean, ocean.ssh, "SSH", units="m")
        exact, share = exact_relation(ocean)
        gaps = clouds(seed, 10, (160, 160), GAPS)
        given = {
            "SST": [sst],
            "SST, sea level": [sst, level],
            "SST, sea level, 12 useless": [sst, level, *(useless(chl, n) for n in range(len(USELESS)))],
            "limit": [field_of(ocean, exact, "limit")],
        }
        name = f"simulated ocean {seed}, SST explains {share:.0%} of the variance of anomalies"
        yield Case(name, chl.where(~gaps), gaps, ocean.log10_chl, given)


def field_of(ocean: Ocean, values: NDArray, name: str, **attrs: str) -> xr.DataArray:
    """A field of the ocean, all of it sea."""
    sea = np.ones(values.shape[1:], bool)
    coords = {"time": ocean.time, "lat": ocean.lat, "lon": ocean.lon, "sea": (("lat", "lon"), sea)}
    return xr.DataArray(values, coords, ("time", "lat", "lon"), name, attrs)


def exact_relation(ocean: Ocean) -> tuple[NDArray[np.floating], float]:
    """What temperature tells of the complete chlorophyll: its anomalies from the seasonal and northward mean."""
    shape = ocean.sst.shape
    time, north = np.arange(shape[0])[:, None, None] * np.ones(shape), ocean.lat[None, :, None] * np.ones(shape)
    turn = time * 8 / 365.25 * 2 * np.pi
    design = np.stack([np.ones(shape), np.cos(turn), np.sin(turn), north]).reshape(4, -1)

    def anomalies(values: NDArray) -> NDArray:
        flat = values.ravel().astype(float)
        return flat - np.linalg.lstsq(design.T, flat, rcond=None)[0] @ design

    y, x = anomalies(ocean.log10_chl), anomalies(ocean.sst)
    slope = (x @ y) / (x @ x)
    return (slope * x).reshape(shape), float(slope**2 * (x @ x) / (y @ y))


def socal(folder: Path) -> Case:
    """Chlorophyll off Southern California, composites of 1 to 8 days, with MUR temperature of a day within three."""
    with xr.open_dataset(folder / "socal_modis_chl_2022_1to8day.nc") as ds:
        chl = ds.CHL.load()
    with xr.open_dataset(folder / "socal_mur_sst_2022_1km.nc") as ds:
        sst = ds.SST.load().interp(lat=chl.lat, lon=chl.lon)
    chl = chl.assign_coords(time=chl.time.dt.floor("1D")).drop_duplicates("time")
    sst = sst.assign_coords(time=sst.time.dt.floor("1D")).reindex(
        time=chl.time, method="nearest", tolerance=np.timedelta64(3, "D")
    )
    return real("Southern California, MUR temperature", chl, {"SST": [sst.astype(np.float32)]}, time_step="1D")


def baja(folder: Path) -> Case:
    """One 8-day composite off Baja California, with temperature of the same sensor."""
    with xr.open_dataset(folder / "baja_modis_8day_20130330_chl.nc") as ds:
        chl = ds.chl.load().assign_attrs(units="mg m-3")
    with xr.open_dataset(folder / "baja_modis_8day_20130330_sst.nc") as ds:
        sst = ds.sst.load().assign_attrs(units="degC")
    return real("Baja California, MODIS temperature", chl.rename("CHL"), {"SST": [sst]}, time_step="8D")


def real(name: str, chl: xr.DataArray, given: dict[str, list[xr.DataArray]], **options: str) -> Case:
    """A real map under simulated clouds, also with useless drivers."""
    hidden = clouds(0, chl.sizes["time"], chl.shape[1:], GAPS) & chl.notnull().values
    chl = chl.assign_coords(sea=chl.notnull().any("time"))
    twelve = [useless(chl, n) for n in range(len(USELESS))]
    given = given | {"12 useless": twelve}
    return Case(name, chl.where(~hidden), hidden, np.log10(chl.values), given, options)
