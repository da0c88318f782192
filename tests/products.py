"""Layouts of products as their providers write them, on tiny grids, with the lines that users type for them.

Names, dimensions, order, attributes, encodings, calendars, flags and fill values follow files of the providers; values
are made up. ``python docs/tables.py`` makes the table of docs/products.md from this list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr

FRAMES, ROWS, COLS = 4, 10, 12
CHL_NAME = "mass_concentration_of_chlorophyll_a_in_sea_water"
Files = list[xr.Dataset]


@dataclass(frozen=True)
class Product:
    """A product: what its files hold, and how its users open and fill it.

    Attributes
    ----------
    name : str
    files : callable
        Makes the files, with their encoding.
    target : str
        Expression of the variable to fill, given ``ds``; several for size classes.
    opened : str
        Expression that opens ``path`` (or ``paths``).
    options : str
        Options of the call.
    by_name : bool
        Whether the Dataset is called, so that a mask in it is used.
    verb : str
        The verb of the documents: ``background`` where no weights are shipped for the variable.
    suffix : str
        ``.nc``, or ``.zarr2`` or ``.zarr3`` for a store of this format.
    """

    name: str
    files: Callable[[], Files]
    target: str
    opened: str = "xr.open_dataset(path)"
    options: str = ""
    by_name: bool = False
    verb: str = "repaint"
    suffix: str = ".nc"

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the files; return ``path`` and ``paths``."""
        paths = []
        for number, ds in enumerate(self.files()):
            paths.append(str(folder / f"{number}{self.suffix}"))
            if self.suffix == ".nc":
                ds.to_netcdf(paths[-1])
            else:
                ds.to_zarr(paths[-1], zarr_format=int(self.suffix[-1]), consolidated=self.suffix[-1] == "2")
        return {"path": paths[0], "paths": paths}

    def line(self, verb: str) -> str:
        """The line that fills it."""
        if self.by_name:
            given, owner = [f'"{self.target.removeprefix("ds.")}"', self.options], "ds"
        elif self.target.startswith("["):
            return f"xgapfill.{verb}({', '.join(each for each in (self.target, self.options) if each)})"
        else:
            given, owner = [self.options], self.target
        return f"{owner}.gapfill.{verb}({', '.join(each for each in given if each)})"


def values(low: float, high: float, frames: int = FRAMES, *, gaps: bool = True) -> np.ndarray:
    """Smooth values with a missing block in some frames and single missing pixels."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(ROWS), np.arange(COLS), indexing="ij")
    found = (low + (high - low) * (0.5 + 0.4 * np.sin(y / 4 + x / 5 + t / 3))).astype("f4")
    if gaps:
        found[(y + x + 3 * t) % 7 == 0] = np.nan
        found[::2, 3:6, 4:9] = np.nan
    return found


def lat(step: float = 1 / 24, south: float = 41.0, *, up: bool = False, dtype: str = "f4") -> np.ndarray:
    """Latitudes of the open Atlantic, northernmost first by default."""
    found = south + (np.arange(ROWS) + 0.5) * step
    return (found if up else found[::-1]).astype(dtype)


def lon(step: float = 1 / 24, west: float = -40.0, dtype: str = "f4") -> np.ndarray:
    """Longitudes of the open Atlantic."""
    return (west + (np.arange(COLS) + 0.5) * step).astype(dtype)


def days(step: int = 1, first: str = "2015-03-06", frames: int = FRAMES) -> np.ndarray:
    """Dates with equal steps."""
    return (np.datetime64(first) + step * np.arange(frames)).astype("M8[ns]")


@dataclass(frozen=True)
class Grid:
    """Coordinates of a file: names, values, attributes, encodings."""

    time: Any
    lat: np.ndarray
    lon: np.ndarray
    names: tuple[str, str, str] = ("time", "lat", "lon")
    since: str = "days since 1970-01-01 00:00:00"
    dtype: str = "i4"
    attrs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def dataset(self, variables: Mapping[str, tuple[Any, Mapping[str, Any], Mapping[str, Any]]], **attrs: Any) -> Any:
        """Make a file of variables: values on all dates (or without time), attributes, encoding."""
        t, y, x = self.names
        coords = {
            y: (y, self.lat, {"units": "degrees_north", "standard_name": "latitude", **self.attrs.get(y, {})}),
            x: (x, self.lon, {"units": "degrees_east", "standard_name": "longitude", **self.attrs.get(x, {})}),
        }
        if self.time is not None:
            coords[t] = (t, self.time, {"standard_name": "time", "axis": "T", **self.attrs.get(t, {})})
        ds = xr.Dataset(coords=coords, attrs={"Conventions": "CF-1.6", **attrs})
        if self.time is not None:
            ds[t].encoding = {"units": self.since, "dtype": self.dtype}
        for name, (data, given, encoding) in variables.items():
            dims = {0: (), 1: ("bnds",), 2: (y, x), 3: (t, y, x)}[np.ndim(data)]
            ds[name] = xr.Variable(dims, data, given, encoding)
        return ds


def packed(dtype: str, scale: float, offset: float, fill: int) -> dict[str, Any]:
    """Encoding of packed values."""
    return {"dtype": dtype, "scale_factor": scale, "add_offset": offset, "_FillValue": np.array(fill, dtype)[()]}


def filled(value: float) -> dict[str, Any]:
    """Encoding of plain values with a fill value."""
    return {"dtype": "f4", "_FillValue": np.float32(value)}


CMEMS = {
    "units": "milligram m^-3",
    "standard_name": CHL_NAME,
    "long_name": "Chlorophyll-a concentration - Mean of the binned pixels",
    "type": "surface",
    "coverage_content_type": "modelResult",
    "valid_min": np.float32(0),
    "valid_max": np.float32(1000),
    "ancillary_variables": "flags CHL_uncertainty",
}


def cmems_chl(
    step: float = 1 / 24, time: np.ndarray | None = None, names: Any = ("time", "latitude", "longitude")
) -> Any:
    """Copernicus ocean colour, level 3."""
    time = days() if time is None else time
    grid = Grid(time, lat(step), lon(step), names, "days since 1900-01-01")
    flag = {"long_name": "Flags", "flag_masks": np.int8(1), "flag_meanings": "LAND", "valid_min": np.int8(0)}
    return [
        grid.dataset(
            {
                "CHL": (values(0.1, 0.6), CMEMS, filled(-999)),
                "flags": (np.zeros((FRAMES, ROWS, COLS), "i1"), flag, {}),
                "CHL_uncertainty": (values(20, 40), {"units": "%", "long_name": "CHL uncertainty"}, filled(-999)),
            },
            title="cmems_obs-oc_glo_bgc-plankton_my_l3-multi-4km_P1D",
        )
    ]


def cmems_pft() -> Files:
    """Copernicus functional types, level 3."""
    chl = values(0.2, 0.8)
    share = {"MICRO": 0.3, "NANO": 0.45, "PICO": 0.25, "DIATO": 0.2, "DINO": 0.1, "HAPTO": 0.3, "GREEN": 0.15}
    share |= {"PROKAR": 0.2, "PROCHLO": 0.05}
    said = {"MICRO": "microphytoplankton", "NANO": "nanophytoplankton", "PICO": "picophytoplankton"}
    grid = Grid(days(), lat(), lon(), ("time", "latitude", "longitude"), "days since 1900-01-01")
    variables: dict[str, Any] = {"CHL": (chl, {k: v for k, v in CMEMS.items() if k[:3] != "anc"}, filled(-999))}
    for name, part in share.items():
        what = f"mass_concentration_of_{said.get(name, name.lower())}_expressed_as_chlorophyll_in_sea_water"
        attrs = {"units": "milligram m^-3", "standard_name": what, "valid_min": np.float32(0)}
        variables[name] = (np.where(np.isnan(chl), np.nan, part * chl).astype("f4"), attrs, filled(-999))
    return [grid.dataset(variables, title="cmems_obs-oc_glo_bgc-plankton_my_l3-multi-4km_P1D")]


def occci(time: np.ndarray, resolution: str) -> Files:
    """ESA ocean colour CCI, version 6: one file per date."""
    crs = {"grid_mapping_name": "latitude_longitude", "semi_major_axis": 6378137.0, "inverse_flattening": 298.257}
    attrs = {
        "units": "milligram m-3",
        "units_nonstandard": "mg m^-3",
        "standard_name": CHL_NAME,
        "long_name": "Chlorophyll-a concentration in seawater (not log-transformed)",
        "grid_mapping": "crs",
        "ancillary_variables": "chlor_a_log10_rmsd chlor_a_log10_bias",
        "parameter_vocab_uri": "http://vocab.nerc.ac.uk/collection/P04/current/",
    }
    rmsd = {"long_name": "Root-mean-square-difference of log10-transformed chlorophyll-a", "grid_mapping": "crs"}
    found = []
    for number, date in enumerate(time):
        grid = Grid(np.array([date]), lat(dtype="f8"), lon(dtype="f8"), attrs={"lat": {"axis": "Y"}})
        variables = {
            "chlor_a": (values(0.1, 0.6)[number : number + 1], attrs, filled(9.96921e36)),
            "chlor_a_log10_rmsd": (values(0.1, 0.3)[number : number + 1], rmsd, filled(9.96921e36)),
            "crs": (np.int32(0), crs, {}),
        }
        more = {"time_coverage_resolution": resolution, "Metadata_Conventions": "Unidata Dataset Discovery v1.0"}
        found.append(grid.dataset(variables, **more))
    return found


def globcolour() -> Files:
    """GlobColour: one file per date, without time."""
    attrs = {"standard_name": CHL_NAME, "units": "mg/m3", "long_name": "Chlorophyll concentration - Mean of the binned"}
    flags = {"long_name": "Flags", "flag_masks": np.int16([1, 2, 4]), "flag_meanings": "NO_MEASUREMENT INVALID LAND"}
    grid = Grid(None, lat(), lon())
    return [
        grid.dataset(
            {
                "CHL1_mean": (frame, attrs, filled(-999)),
                "CHL1_flags": (np.where(np.isnan(frame), 1, 0).astype("i2"), flags, {}),
            },
            start_time="20150306T000000Z",
            product_type="day",
        )
        for frame in values(0.1, 0.6)
    ]


def nasa(period: str, name: str = "chlor_a", instrument: str = "MODIS", frames: int = 1) -> Files:
    """NASA level 3 mapped: one file per period, without time."""
    attrs = {
        "long_name": "Chlorophyll Concentration, OCI Algorithm",
        "units": "mg m^-3",
        "standard_name": "mass_concentration_of_chlorophyll_in_sea_water",
        "valid_min": np.float32(0.001),
        "valid_max": np.float32(100),
        "reference": "Hu, C., Lee Z., and Franz, B.A. (2012)",
        "display_scale": "log",
    }
    if name == "Kd_490":
        attrs |= {"units": "m^-1", "long_name": "Diffuse attenuation coefficient at 490 nm, KD2 algorithm"}
        attrs |= {"standard_name": "diffuse_attenuation_coefficient_of_downwelling_radiative_flux_in_sea_water"}
    found = []
    for frame in values(0.1, 0.6)[:frames]:
        ds = Grid(None, lat(), lon()).dataset(
            {name: (frame, attrs, filled(-32767))},
            temporal_range=period,
            instrument=instrument,
            grid_mapping="geographic",
        )
        ds["palette"] = (("rgb", "eightbitcolor"), np.zeros((3, 256), "u1"))
        found.append(ds)
    return found


def ghrsst(kind: str) -> Files:
    """GHRSST: packed kelvin, one file per date with a mask or flags."""
    name = "analysed_sst" if kind in ("MUR", "OSTIA") else "sea_surface_temperature"
    attrs: dict[str, Any] = {"units": "kelvin", "standard_name": "sea_surface_temperature", "comment": "none"}
    attrs |= {
        "valid_min": np.int16(-32767),
        "valid_max": np.int16(32767),
        "long_name": "analysed sea surface temperature",
    }
    masks: dict[str, Any] = {"long_name": "sea/land field composite mask"}
    land = np.zeros((1, ROWS, COLS), bool)
    land[:, :, -2:] = True
    if kind == "MUR":
        words = "1=open-sea, 2=land, 5=open-lake, 9=open-sea with ice in the grid, 13=open-lake with ice in the grid"
        masks |= {"flag_masks": "1b, 2b, 4b, 8b, 16b", "flag_values": np.int8([1, 2, 5, 9, 13]), "flag_meanings": words}
    elif kind == "OSTIA":
        words = "water land optional_lake_surface sea_ice optional_river_surface"
        masks |= {"flag_masks": np.int8([1, 2, 4, 8, 16]), "flag_meanings": words, "valid_max": np.int8(31)}
    else:
        words = "microwave land ice lake river"
        masks |= {"flag_masks": np.int16([1, 2, 4, 8, 16]), "flag_meanings": words, "long_name": "L2P flags"}
    codes = np.where(land, 2, 0 if kind == "L3S" else 1).astype("i2" if kind == "L3S" else "i1")
    found = []
    for number, date in enumerate(days()):
        sst = values(285, 291, gaps=kind == "L3S")[number : number + 1]
        grid = Grid(np.array([date]) + np.timedelta64(9, "h"), lat(0.05, up=True), lon(0.05))
        grid = Grid(grid.time, grid.lat, grid.lon, since="seconds since 1981-01-01 00:00:00")
        variables = {
            name: (np.where(land, np.nan, sst), attrs, packed("i2", 0.01, 273.15, -32768)),
            "l2p_flags" if kind == "L3S" else "mask": (codes, masks, {}),
        }
        found.append(grid.dataset(variables, gds_version_id="2.0"))
    return found


def oisst(psl: bool) -> Files:
    """OISST, as the NCEI writes it (packed, with depth) or as the PSL does."""
    sst = values(12, 18)
    if psl:
        attrs = {
            "long_name": "Daily Sea Surface Temperature",
            "units": "degC",
            "valid_range": np.float32([-3, 45]),
            "actual_range": np.float32([-1.8, 34.8]),
            "precision": np.float32(2),
            "dataset": "NOAA High-resolution Blended Analysis",
            "var_desc": "Sea Surface Temperature",
            "statistic": "Mean",
        }
        grid = Grid(days(), lat(0.25, up=True), lon(0.25, 320), since="days since 1800-01-01 00:00:00", dtype="f8")
        missing = {"dtype": "f4", "missing_value": np.float32(-9.96921e36), "_FillValue": np.float32(-9.96921e36)}
        return [grid.dataset({"sst": (sst, attrs, missing)}, title="NOAA/NCEI 1/4 Degree Daily OISST")]
    attrs = {"long_name": "Daily sea surface temperature", "units": "Celsius"}
    attrs |= {"valid_min": np.int16(-300), "valid_max": np.int16(4500)}
    found = []
    for frame, date in zip(sst, days(), strict=True):
        noon = np.array([date]) + np.timedelta64(12, "h")
        grid = Grid(noon, lat(0.25, up=True), lon(0.25, 320), since="days since 1978-01-01 12:00:00", dtype="f4")
        ds = grid.dataset({"sst": (frame[None], attrs, packed("i2", 0.01, 0.0, -999))})
        ds["sst"] = ds.sst.expand_dims(zlev=np.float32([0]), axis=1)
        ds["sst"].encoding = packed("i2", 0.01, 0.0, -999)
        ds.zlev.attrs = {"long_name": "Sea surface height", "units": "meters", "positive": "down"}
        found.append(ds)
    return found


def imos() -> Files:
    """IMOS ocean colour: overpass times, latitudes from the north."""
    attrs = {"units": "mg/m^3", "long_name": "Chlorophyll Concentration, OC3 Algorithm", "standard_name": CHL_NAME}
    attrs |= {"valid_min": np.float32(0), "valid_max": np.float32(100), "coordinates": "time latitude longitude"}
    passes = days() + np.array([5.2, 4.1, 6.9, 5.7]) * np.timedelta64(3600, "s")
    names = ("time", "latitude", "longitude")
    grid = Grid(passes, lat(0.01, -35, dtype="f8"), lon(0.01, 115, "f8"), names, "days since 1990-01-01", "f8")
    return [grid.dataset({"chl_oc3": (values(0.1, 0.6), attrs, filled(-999))}, project="Integrated Marine Observing")]


def ereefs() -> Files:
    """eReefs: a model on latitudes and longitudes, with depths."""
    attrs = {"units": "mg Chl m-3", "long_name": "Total Chlorophyll", "puv__parameter": "https://vocab.nerc.ac.uk"}
    names = ("time", "latitude", "longitude")
    grid = Grid(days(), lat(0.03, -19, up=True, dtype="f8"), lon(0.03, 150, "f8"), names, "days since 1990-01-01", "f8")
    ds = grid.dataset({"Chl_a_sum": (values(0.1, 0.6), attrs, {})})
    ds["Chl_a_sum"] = ds.Chl_a_sum.expand_dims(k=np.array([-0.5, -3.0]), axis=1)
    ds.k.attrs = {"units": "m", "positive": "up", "coordinate_type": "Z"}
    return [ds]


def neo() -> Files:
    """NEO GeoTIFF as rioxarray opens it: a band, a grid mapping, dates added by the user."""
    grid = Grid(None, lat(0.1, dtype="f8"), lon(0.1, dtype="f8"), ("time", "y", "x"))
    found = []
    for frame in values(0.1, 0.6):
        ds = grid.dataset(
            {"band_data": (frame, {"AREA_OR_POINT": "Area", "grid_mapping": "spatial_ref"}, filled(99999))}
        )
        ds["band_data"] = ds.band_data.expand_dims(band=[1])
        for name in ("x", "y"):
            ds[name].attrs.clear()  # the grid mapping alone tells what they are
        ds["spatial_ref"] = ((), 0, {"crs_wkt": "GEOGCS[...]", "grid_mapping_name": "latitude_longitude"})
        found.append(ds.set_coords("spatial_ref"))
    return found


def nemo() -> Files:
    """A NEMO model file on a grid that happens to be regular."""
    y, x = np.meshgrid(lat(0.1, up=True), lon(0.1), indexing="ij")
    tos = values(12, 18)
    attrs = {
        "standard_name": "sea_surface_temperature",
        "units": "degC",
        "cell_methods": "time: mean (interval: 300 s)",
    }
    ds = xr.Dataset(
        {"tos": (("time_counter", "y", "x"), tos, attrs, filled(1e20))},
        {
            "nav_lat": (("y", "x"), y, {"standard_name": "latitude", "units": "degrees_north"}),
            "nav_lon": (("y", "x"), x, {"standard_name": "longitude", "units": "degrees_east"}),
            "time_counter": ("time_counter", days() + np.timedelta64(12, "h"), {"axis": "T", "bounds": "time_bounds"}),
            "time_centered": ("time_counter", days() + np.timedelta64(12, "h"), {"standard_name": "time"}),
        },
        {"Conventions": "CF-1.6", "name": "ORCA"},
    )
    edges = np.stack([days(), days() + np.timedelta64(1, "D")], axis=1)
    ds["time_bounds"] = (("time_counter", "axis_nbounds"), edges)
    for name in ("time_counter", "time_centered"):
        ds[name].encoding = {"units": "seconds since 1900-01-01 00:00:00", "dtype": "f8", "calendar": "gregorian"}
    return [ds]


def climate(calendar: str) -> Files:
    """Monthly means of a climate model in another calendar, with bounds."""
    time = np.array([cftime.datetime(2001, month, 16, calendar=calendar) for month in range(1, FRAMES + 1)])
    attrs = {
        "standard_name": "sea_surface_temperature",
        "units": "K",
        "cell_methods": "area: mean where sea time: mean",
    }
    grid = Grid(time, lat(0.5, up=True, dtype="f8"), lon(0.5, 320, "f8"), since="days since 1850-01-01", dtype="f8")
    ds = grid.dataset({"tos": (values(285, 291), attrs, filled(1e20))}, Conventions="CF-1.7 CMIP-6.2")
    ds["lat_bnds"] = (("lat", "bnds"), np.stack([ds.lat - 0.25, ds.lat + 0.25], axis=1))
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds.time.encoding["calendar"] = calendar
    return [ds]


def lab() -> Files:
    """The completed series of the study: longitude first, size classes as fractions."""
    chl = values(0.2, 0.8)
    ds = xr.Dataset(
        coords={"lon": lon(), "lat": lat(), "time": days(8, "2015-01-01")}, attrs={"title": "gap-free PSC and CHL"}
    )
    for name, part in {"CHL": None, "Micro": 0.3, "Nano": 0.45, "Pico": 0.25}.items():
        data = chl if part is None else np.where(np.isnan(chl), np.nan, part)
        attrs = {"units": "mg m-3"} if part is None else {"units": "1"}
        ds[name] = (("lon", "lat", "time"), data.transpose(2, 1, 0).astype("f4"), attrs, filled(-9e33))
    ds.time.encoding = {"units": "days since 1998-01-01", "dtype": "f8"}
    return [ds]


def coastwatch() -> Files:
    """CoastWatch by ERDDAP: altitude, ranges, seconds since 1970."""
    attrs = {"units": "mg m^-3", "long_name": "Mean Chlorophyll a Concentration", "standard_name": CHL_NAME}
    attrs |= {"colorBarMaximum": 30.0, "actual_range": np.float32([0.01, 90]), "C_format": "%.4g"}
    names = ("time", "latitude", "longitude")
    grid = Grid(days(), lat(), lon(), names, "seconds since 1970-01-01T00:00:00Z", "f8")
    ds = grid.dataset({"chlor_a": (values(0.1, 0.6), attrs, filled(-999))}, cdm_data_type="Grid")
    ds["chlor_a"] = ds.chlor_a.expand_dims(altitude=[0.0], axis=1)
    ds["chlor_a"].encoding = filled(-999)
    return [ds]


def cmems_sst() -> Files:
    """Copernicus Mediterranean temperature, level 3, with quality levels."""
    attrs = {"units": "kelvin", "standard_name": "sea_surface_temperature", "_Unsigned": "false"}
    attrs |= {"valid_min": np.int16(-300), "valid_max": np.int16(4500), "long_name": "sea surface temperature"}
    names = {
        "quality_level": {"flag_values": np.int8([0, 1]), "flag_meanings": "no_data good", "valid_max": np.int8(5)}
    }
    grid = Grid(days(), lat(1 / 16, 36, up=True), lon(1 / 16, 4), since="seconds since 1981-01-01", dtype="i4")
    sst = values(285, 291)
    return [
        grid.dataset(
            {
                "sea_surface_temperature": (sst, attrs, packed("i2", 0.01, 273.15, -32768)),
                "quality_level": (np.isfinite(sst).astype("i1"), names["quality_level"], {}),
            }
        )
    ]


MANY = "xr.open_mfdataset(paths)"
DATED = 'xr.open_mfdataset(paths, combine="nested", concat_dim="time").assign_coords(time=dates)'
EIGHT = days(8, "2015-03-06")
MONTHS = np.array(["2015-01", "2015-02", "2015-03", "2015-04"], "M8[ns]")
FIVE = days(5, "2015-03-02")
BAND = 'ds.band_data.squeeze("band").rename("CHL").assign_attrs(units="mg m-3")'

PRODUCTS = (
    Product("Copernicus ocean colour L3 multi, 4 km daily", cmems_chl, "ds.CHL", by_name=True),
    Product(
        "Copernicus ocean colour L3 OLCI, 300 m, zarr",
        lambda: cmems_chl(1 / 360),
        "ds.CHL",
        "xr.open_zarr(path)",
        suffix=".zarr2",
    ),
    Product(
        "Copernicus ocean colour L4, monthly",
        lambda: cmems_chl(time=MONTHS),
        "ds.CHL",
        "xr.open_dataset(path, chunks={})",
    ),
    Product("Copernicus size classes", cmems_pft, "[ds.MICRO, ds.NANO, ds.PICO]", options="cond=ds.CHL"),
    Product("Copernicus functional type", cmems_pft, "ds.DIATO", verb="background"),
    Product("Copernicus Mediterranean temperature L3S", cmems_sst, "ds.sea_surface_temperature"),
    Product("OC-CCI v6, daily", lambda: occci(days(), "P1D"), "ds.chlor_a", MANY, by_name=True),
    Product("OC-CCI v6, 5-day", lambda: occci(FIVE, "P5D"), "ds.chlor_a", MANY),
    Product(
        "OC-CCI v6, 8-day", lambda: occci(EIGHT, "P8D"), "ds.chlor_a", 'xr.open_mfdataset(paths, decode_coords="all")'
    ),
    Product("OC-CCI v6, monthly", lambda: occci(MONTHS, "P1M"), "ds.chlor_a", MANY),
    Product("OC-CCI v6, one map", lambda: occci(EIGHT[:1], "P8D"), "ds.chlor_a", by_name=True),
    Product(
        "OC-CCI, zarr v3",
        lambda: occci(EIGHT[:1], "P8D"),
        "ds.chlor_a",
        "xr.open_zarr(path, consolidated=False)",
        suffix=".zarr3",
    ),
    Product("GlobColour, daily", globcolour, "ds.CHL1_mean", DATED),
    Product("NASA L3m, one day", lambda: nasa("day"), "ds.chlor_a", options='time_step="1D"'),
    Product("NASA L3m, 8-day", lambda: nasa("8-day", frames=4), "ds.chlor_a", DATED, 'time_step="8D"'),
    Product("NASA L3m, monthly", lambda: nasa("month", frames=4), "ds.chlor_a", DATED),
    Product("NASA L3m, Kd_490", lambda: nasa("8-day", "Kd_490", frames=4), "ds.Kd_490", DATED, verb="background"),
    Product("PACE OCI L3m", lambda: nasa("8-day", instrument="OCI", frames=4), "ds.chlor_a", DATED),
    Product("GHRSST L3S", lambda: ghrsst("L3S"), "ds.sea_surface_temperature", MANY, by_name=True),
    Product("GHRSST L4 MUR", lambda: ghrsst("MUR"), "ds.analysed_sst", MANY, 'sea="mask"', by_name=True),
    Product("GHRSST L4 OSTIA", lambda: ghrsst("OSTIA"), "ds.analysed_sst", MANY, by_name=True),
    Product("OISST v2.1 of NCEI", lambda: oisst(False), 'ds.sst.squeeze("zlev")', MANY),
    Product("OISST v2.1 of PSL", lambda: oisst(True), "ds.sst"),
    Product("IMOS ocean colour", imos, "ds.chl_oc3"),
    Product("CoastWatch VIIRS by ERDDAP", coastwatch, 'ds.chlor_a.squeeze("altitude")'),
    Product("eReefs", ereefs, 'ds.Chl_a_sum.isel(k=0).rename("CHL")'),
    Product("NEO GeoTIFF by rioxarray", neo, BAND, DATED),
    Product("NEMO model", nemo, "ds.tos"),
    Product("CMIP, calendar noleap", lambda: climate("noleap"), "ds.tos"),
    Product("CMIP, calendar 360_day", lambda: climate("360_day"), "ds.tos"),
    Product("Completed series of the study", lab, "ds.CHL"),
    Product("Completed size classes of the study", lab, "[ds.Micro, ds.Nano, ds.Pico]", options="cond=ds.CHL"),
)
