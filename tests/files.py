"""Strategies of hypothesis for files of maps: coordinates, times, attributes and encodings, right and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

STEPS = (1.0, 0.25, 0.1, 0.05, 1 / 24, 1 / 3)
SERIES = ("none", "daily", "absent", "composites", "monthly", "dekads", "hours", "odd", "steps", "calendar")
SERIES += ("repeated", "unsorted", "text", "numbers", "missing")
UNITS = ("mg m-3", "mg/m^3", "milligram m-3", "ug l-1", "kg m-3", "mg·m-3", None, "", "mmol m-3", "percent")


@dataclass(frozen=True)
class File:
    """A file to write and the way to open it."""

    ds: xr.Dataset
    target: str
    suffix: str
    chunks: Any

    def opened(self, folder: Path) -> xr.Dataset:
        """Write and open it."""
        path = folder / f"in{self.suffix}"
        if self.suffix == ".nc":
            self.ds.to_netcdf(path)
            return xr.open_dataset(path, chunks=self.chunks)
        version = int(self.suffix[-1])
        self.ds.to_zarr(path, zarr_format=version, consolidated=version == 2)
        return xr.open_zarr(path, chunks=self.chunks, consolidated=version == 2)


@st.composite
def degrees(draw: Callable, what: str, step: float) -> np.ndarray:
    """Latitudes or longitudes of a lattice: any order and origin, gaps, rounding, jitter, wraps, beyond the pole."""
    size = draw(st.integers(4, 8))
    first = draw(
        st.sampled_from((-89.0, -30.5, 0.0, 41.0, 80.0) if what == "lat" else (-179.5, -40.0, 0.0, 179.0, 358.0))
    )
    places = np.arange(size)
    if draw(st.integers(0, 4)) == 0:
        places = np.delete(places, draw(st.integers(1, size - 2)))
    found = first + (places + draw(st.sampled_from((0.0, 0.5)))) * step
    jitter = draw(st.sampled_from((0.0, 0.0, 0.0, 1e-6, 0.02, 0.3)))
    found += jitter * step * np.cos(7.0 * np.arange(found.size))
    if what == "lon":
        origin = draw(st.sampled_from(("none", "180", "360")))
        found = {"none": found, "180": (found + 180) % 360 - 180, "360": found % 360}[origin]
    if draw(st.integers(0, 9)) == 0:
        found = draw(st.permutations(list(found)))
    return np.array(found if draw(st.booleans()) else found[::-1], draw(st.sampled_from(("f8", "f8", "f4"))))


def composites(days: int, place: str) -> np.ndarray:
    """Composites that begin anew every year, around a new year."""
    found = []
    for year in (2003, 2004, 2005):
        start, end = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")
        firsts = np.arange(start, end, days)
        lasts = np.minimum(firsts + (days - 1), end - 1)
        found.append({"first": firsts, "last": lasts, "middle": firsts + (lasts - firsts) // 2}[place])
    return np.concatenate(found)


@st.composite
def times(draw: Callable) -> Any:
    """Dates as providers write them, and things that are none; None: no time."""
    size = draw(st.integers(1, 6))
    start = np.datetime64(draw(st.sampled_from(("2003-12-20", "2004-02-25", "2015-06-01"))), "D")
    kind = draw(st.sampled_from(SERIES))
    plain = start + np.arange(size)
    if kind == "none":
        return None
    if kind == "absent":
        plain = start + np.cumsum(draw(st.lists(st.integers(1, 9), min_size=size, max_size=size)))
    elif kind == "composites":
        every = composites(draw(st.sampled_from((5, 8, 10, 16))), draw(st.sampled_from(("first", "middle", "last"))))
        begin = draw(st.integers(0, every.size - size))
        plain = every[begin : begin + size]
    elif kind == "monthly":
        plain = pd.date_range("2003-11-01", periods=size, freq=draw(st.sampled_from(("MS", "ME")))).to_numpy()
    elif kind == "dekads":
        months = np.arange("2003-12", "2004-03", dtype="M8[M]").astype("M8[D]")
        plain = np.sort(np.concatenate([months + day for day in (0, 10, 20)]))[:size]
    elif kind == "hours":
        hours = draw(st.lists(st.integers(0, 1439), min_size=size, max_size=size))
        plain = plain.astype("M8[m]") + np.array(hours).astype("m8[m]")
    elif kind == "odd":
        plain = start + np.cumsum([5, 5, 5, draw(st.sampled_from((1, 6, 7))), 5, 5])
    elif kind == "steps":
        plain = start.astype("M8[m]") + draw(st.sampled_from((60, 180, 720, 43200))) * np.arange(size).astype("m8[m]")
    elif kind == "calendar":
        name = draw(st.sampled_from(("noleap", "360_day", "all_leap", "julian")))
        step = draw(st.sampled_from((1, 8, 30)))
        return np.array(
            [cftime.datetime(2003, 12, 24, calendar=name) + pd.Timedelta(days=step * n) for n in range(size)]
        )
    elif kind == "repeated":
        plain = np.repeat(plain, 2)
    elif kind == "unsorted":
        plain = plain[np.array(draw(st.permutations(range(size))))]
    elif kind == "text":
        return plain.astype(str)
    elif kind == "numbers":
        return np.array([int(str(day).replace("-", "")) for day in plain], draw(st.sampled_from(("i4", "f8"))))
    elif kind == "missing":
        plain = plain.astype("M8[ns]")
        plain[-1] = np.datetime64("NaT")
    return plain.astype("M8[ns]")[:: draw(st.sampled_from((1, 1, 1, -1)))]


@st.composite
def packings(draw: Callable, scale: float, offset: float = 0.0) -> dict[str, Any]:
    """Encodings of numbers: plain, with a fill value, packed."""
    kind = draw(st.sampled_from(("none", "none", "fill", "packed", "wide")))
    if kind == "none":
        return {}
    if kind == "fill":
        return {"_FillValue": np.float32(draw(st.sampled_from((-999.0, 9.96921e36, -32767.0))))}
    dtype = draw(st.sampled_from(("i2", "u2"))) if kind == "packed" else "i4"
    fill = {"i2": -32768, "u2": 65535, "i4": -(2**31)}[dtype]
    return {"dtype": dtype, "scale_factor": scale, "add_offset": offset, "_FillValue": np.array(fill, dtype)[()]}


@st.composite
def attributes(draw: Callable) -> dict[str, Any]:
    """Attributes of chlorophyll, some of which name variables that are or are not there."""
    found: dict[str, Any] = {}
    units = draw(st.sampled_from(UNITS))
    if units is not None:
        found["units"] = units
    if draw(st.booleans()):
        found["standard_name"] = "mass_concentration_of_chlorophyll_a_in_sea_water"
    more = {
        "valid_min": np.int16(1),
        "valid_max": np.float32(100),
        "valid_range": np.array([0, 30000], "i2"),
        "actual_range": np.array([0.01, 5], "f4"),
        "ancillary_variables": draw(st.sampled_from(("flags", "error flags", "nothing"))),
        "grid_mapping": "crs",
        "cell_measures": "area: cell_area",
        "long_name": "chlorophyll",
        "flag_meanings": "none",
        "time_coverage_resolution": draw(st.sampled_from(("P1D", "P8D", "P1M", "varying"))),
    }
    return found | {key: more[key] for key in draw(st.sets(st.sampled_from(sorted(more)), max_size=4))}


FLAGS = (
    {"flag_masks": "1b, 2b, 4b", "flag_meanings": "water land ice"},
    {"flag_values": np.int8([0, 1]), "flag_meanings": "sea land"},
    {"flag_meanings": "1=open-sea, 2=land"},
    {"flag_values": np.int8([0]), "flag_meanings": "sea land"},
    {"flag_masks": np.int8([1, 2]), "flag_meanings": "cloud is_land"},
    {},
)


@st.composite
def files(draw: Callable) -> File:
    """Whole files."""
    step = draw(st.sampled_from(STEPS))
    lat, lon, time = draw(degrees("lat", step)), draw(degrees("lon", step)), draw(times())
    y, x = draw(st.sampled_from((("lat", "lon"), ("latitude", "longitude"), ("y", "x"))))
    if draw(st.integers(0, 19)) == 0:
        lat, lon = lon, lat
    frames = 1 if time is None else time.size
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    data = 10 ** rng.normal(-0.4, 0.3, (frames, lat.size, lon.size))
    data[rng.random(data.shape) < draw(st.sampled_from((0.0, 0.3, 0.9, 1.0)))] = np.nan
    dims = ("time", y, x) if time is not None else (y, x)
    values = data.reshape([frames, lat.size, lon.size][3 - len(dims) :]).astype(draw(st.sampled_from(("f4", "f8"))))
    chl = xr.Variable(dims, values, draw(attributes())).transpose(*draw(st.permutations(dims)))
    chl.encoding = draw(packings(0.001))
    name = draw(st.sampled_from(("CHL", "chlor_a", "CHL1_mean")))
    ds = xr.Dataset({name: chl})
    named = draw(st.booleans()) or y == "y"
    for dim, each, words in ((y, lat, ("latitude", "degrees_north")), (x, lon, ("longitude", "degrees_east"))):
        attrs = dict(zip(("standard_name", "units"), words, strict=True)) if named else {}
        flat = draw(st.integers(0, 5)) == 0 and y == "y"
        coordinate = xr.Variable(dim, each, attrs, draw(packings(step / 8, 0.0)))
        if flat:
            other = {y: (x, lon.size), x: (y, lat.size)}[dim]
            coordinate = coordinate.set_dims({other[0]: other[1], dim: each.size})
        ds = ds.assign_coords({words[0] if flat else dim: coordinate})
    if time is not None:
        ds = ds.assign_coords(time=("time", time))
        if ds.time.dtype.kind in "MO" and time.dtype.kind != "U":
            since = draw(
                st.sampled_from(("days since 1990-01-01", "hours since 1970-01-01", "seconds since 1981-01-01"))
            )
            ds.time.encoding = {"units": since, "dtype": draw(st.sampled_from(("f8", "i8")))}
    return _with_more(draw, ds, name, y, x)


def _with_more(draw: Callable, ds: xr.Dataset, name: str, y: str, x: str) -> File:
    """Add flags, a grid mapping, bounds, coordinates beside the map, another dimension; choose a format."""
    more = draw(st.sets(st.sampled_from(("mask", "crs", "bounds", "quality", "depth", "orbit")), max_size=3))
    sizes = ds[name].sizes
    if "mask" in more:
        mask = np.ones((sizes[y], sizes[x]), "i1")
        ds["mask"] = ((y, x), mask, draw(st.sampled_from(FLAGS)))
    if "crs" in more:
        ds["crs"] = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    if "bounds" in more and y in ds.coords:
        ds[f"{y}_bnds"] = ((y, "bnds"), np.stack([ds[y].values, ds[y].values], 1))
        ds[y].attrs["bounds"] = f"{y}_bnds"
    if "quality" in more:
        ds = ds.assign_coords(quality=(ds[name].dims, np.zeros(ds[name].shape, "i1")))
    if "orbit" in more and "time" in ds.coords:
        ds = ds.assign_coords(orbit=("time", np.arange(sizes["time"])))
    if "depth" in more and draw(st.booleans()):
        encoding = ds[name].encoding
        ds[name] = ds[name].expand_dims(depth=[0.5])
        ds[name].encoding = encoding
    for each in ds.variables.values():
        each.encoding = {k: v for k, v in each.encoding.items() if k != "_FillValue" or each.dtype.kind == "f"}
    suffix = draw(st.sampled_from((".nc", ".nc", ".zarr2", ".zarr3")))
    return File(ds, name, suffix, draw(st.sampled_from((None, {}, {"time": 1}, {y: 3}))))
