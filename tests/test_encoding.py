"""Encodings of results: packed coordinates, valid ranges, names of other variables, lazy coordinates."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from maps import Quick, chl_map, same

import xgapfill
from xgapfill import fill

PACKED = {"dtype": "i2", "scale_factor": 1 / 240, "_FillValue": -32768}


def reopened(ds, path, **more):
    """What was written and read again, in memory."""
    ds.to_netcdf(path, **more)
    with xr.open_dataset(path) as opened:
        return opened.load()


@pytest.mark.parametrize(
    "encoding",
    [
        {"lat": PACKED, "lon": PACKED},
        {"lat": {**PACKED, "dtype": "i4"}, "lon": {"dtype": "f4", "scale_factor": 0.5}},
        {
            "time": {"dtype": "i2", "units": "days since 2015-01-01", "_FillValue": -1},
            "depth": {"dtype": "u1", "scale_factor": 0.1},
        },
        {"time": {"dtype": "f4", "units": "hours since 2015-01-01"}, "orbit": {**PACKED, "scale_factor": 1.0}},
    ],
)
def test_packed_coordinates_keep_their_values(tmp_path, encoding):
    """A coordinate with any packing comes back as the input had it, from netCDF, zarr and write."""
    chl = chl_map((3, 12, 16)).assign_coords(depth=0.0, orbit=("time", np.array([1.0, 2.0, 3.0])))
    given = reopened(chl.to_dataset(), tmp_path / "in.nc", encoding=encoding)
    filled = fill(given.CHL, Quick())
    results = [reopened(filled, tmp_path / "out.nc")]
    filled.to_dataset().to_zarr(tmp_path / "plain.zarr", consolidated=False)
    results.append(xr.open_zarr(tmp_path / "plain.zarr", consolidated=False))
    results += [xgapfill.write(filled, tmp_path / f"written{suffix}", progress=False) for suffix in (".zarr", ".nc")]
    for result in results:
        for name in given.coords:
            assert same(result[name].values, given[name].values), name
    assert filled.lat.encoding.get("scale_factor") == given.lat.encoding.get("scale_factor")


def test_a_packing_that_no_longer_fits_is_dropped(tmp_path):
    """Coordinates that were changed after they were read, or dates of several files, are written as they are."""
    chl = chl_map((3, 12, 16))
    chl.lat.encoding = {"dtype": "u1", "scale_factor": 1.0, "_FillValue": 255}
    chl.time.encoding = {"dtype": "i1", "units": "hours since 2015-03-06"}
    filled = fill(chl, Quick())
    written = reopened(filled, tmp_path / "out.nc")
    assert same(written.lat.values, chl.lat.values)
    assert same(written.time.values, chl.time.values)


RANGES = [
    {"valid_min": np.int16(1), "valid_max": np.int16(30000)},
    {"valid_range": np.array([1, 30000], "i2")},
    {"valid_range": np.array([0.001, 30.0], "f4"), "actual_range": np.array([1, 20000], "i2")},
]


@pytest.mark.parametrize("attrs", RANGES)
@pytest.mark.parametrize("change", [lambda da: da, lambda da: da.where(da < 100), lambda da: da[::-1]])
def test_ranges_of_packed_values_do_not_mask_the_result(tmp_path, attrs, change):
    """Readers that heed a valid range see every value, also where the encoding was lost before."""
    encoding = {"CHL": {"dtype": "i2", "scale_factor": 0.001, "add_offset": 0.0, "_FillValue": -32767}}
    given = reopened(chl_map((2, 12, 16)).assign_attrs(attrs).to_dataset(), tmp_path / "in.nc", encoding=encoding)
    fill(change(given.CHL), Quick()).to_netcdf(tmp_path / "out.nc")
    with netCDF4.Dataset(tmp_path / "out.nc") as file:
        assert np.ma.count(file["CHL"][:]) == file["CHL"].size
        assert not {"valid_min", "valid_max", "actual_range"} & set(file["CHL"].ncattrs())


def test_ranges_of_plain_values_stay(tmp_path):
    """The range of values that were not packed holds for the result, in its dtype."""
    attrs = {"valid_min": 0.001, "valid_max": np.float32(100)}
    given = reopened(chl_map((2, 12, 16)).assign_attrs(attrs).to_dataset(), tmp_path / "in.nc")
    kept = fill(given.CHL, Quick()).attrs
    assert (kept["valid_min"], kept["valid_max"]) == (np.float32(0.001), np.float32(100))
    assert kept["valid_min"].dtype == np.float32


def test_a_narrower_dtype_of_the_file_does_not_round_observations(tmp_path):
    """Values in float32 of which the file packed halves are written whole."""
    chl = chl_map((2, 12, 16)).astype("f8")
    chl.encoding = {"dtype": np.dtype("f4"), "scale_factor": 0.5}
    written = reopened(fill(chl, Quick()), tmp_path / "out.nc").CHL
    assert same(written.where(chl.notnull()).values, chl.values)


def with_names():
    """A data set whose attributes name other variables."""
    chl = chl_map((3, 12, 16))
    names = {"ancillary_variables": "CHL_flags CHL_error", "grid_mapping": "crs", "cell_measures": "area: cell_area"}
    ds = chl.assign_attrs(names).to_dataset().assign(crs=((), 0, {"grid_mapping_name": "latitude_longitude"}))
    edges = np.stack([chl.lat - 1 / 48, chl.lat + 1 / 48], axis=-1)
    ds = ds.assign(lat_bnds=(("lat", "bnds"), edges), CHL_flags=(chl.dims, np.zeros(chl.shape, "i1")))
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds.time.attrs["climatology"] = "climatology_bnds"
    return ds


def named(ds):
    """Names in the attributes of the variables of a file."""
    found = set()
    for variable in ds.variables.values():
        for key in ("ancillary_variables", "grid_mapping", "bounds", "climatology", "coordinates"):
            found |= set(str(variable.attrs.get(key, "")).split())
        found |= set(str(variable.attrs.get("cell_measures", "")).split()[1::2])
    return found


@pytest.mark.parametrize("decode", [True, "all", False])
@pytest.mark.parametrize("full", [False, True])
def test_names_of_variables_are_written_with_them_or_not_at_all(tmp_path, decode, full):
    """No attribute names a variable that the file lacks, whatever xarray decoded; ds.gapfill writes the whole."""
    with_names().to_netcdf(tmp_path / "in.nc")
    with xr.open_dataset(tmp_path / "in.nc", decode_coords=decode) as ds:
        array = ds.CHL
        results = {"array": fill(array, Quick(), full=full), "whole": ds.gapfill.fill("CHL", Quick(), full=full)}
        for name, result in results.items():
            result.to_netcdf(tmp_path / f"{name}.nc")
            with xr.open_dataset(tmp_path / f"{name}.nc", decode_coords=False) as written:
                assert named(written) <= set(written.variables), name
                assert not full or "CHL_status" in written.CHL.attrs["ancillary_variables"]
                if name == "whole":
                    assert written.lat.attrs["bounds"] == "lat_bnds"
                    assert written.CHL.attrs["grid_mapping"] == "crs"
                    assert same(written.lat_bnds.values, with_names().lat_bnds.values)


@pytest.mark.parametrize("names", [[], "", np.array([], "U1"), ["CHL_flags"], "[]", np.array(["CHL_flags"])])
def test_names_of_any_kind(names):
    """Lists, arrays and empty texts of names are read as names."""
    chl = chl_map((2, 6, 8)).assign_attrs(ancillary_variables=names)
    assert "ancillary_variables" not in fill(chl, Quick()).attrs
    full = fill(chl, Quick(), full=True).CHL.attrs["ancillary_variables"]
    assert full == "CHL_spread CHL_spread_log10 CHL_status CHL_support"


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 1, "lat": 10, "lon": -1}])
@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_lazy_coordinates_are_written(tmp_path, chunks, suffix):
    """Coordinates of dask, of any dimensions and chunks, come back as they were."""
    chl = chl_map((5, 20, 30))
    extra = {
        "mask": (("lat", "lon"), np.ones((20, 30), bool)),
        "orbit": ("time", np.arange(5)),
        "quality": (("time", "lat", "lon"), np.arange(3000, dtype="i2").reshape(5, 20, 30)),
        "nav_lat": (("lat", "lon"), np.broadcast_to(chl.lat.values[:, None], (20, 30))),
    }
    chl.to_dataset().assign(extra).to_netcdf(tmp_path / "in.nc")
    with xr.open_dataset(tmp_path / "in.nc", chunks=chunks) as ds, xgapfill.set_options(block=(3, 20, 15)):
        filled = ds.set_coords(list(extra)).CHL.gapfill.fill(Quick())
        written = xgapfill.write(filled, tmp_path / f"out{suffix}", progress=False)
        xr.testing.assert_equal(written.CHL.compute(), filled.compute())
        for name, (_, values) in extra.items():
            np.testing.assert_array_equal(written[name].values, values)


def test_a_lazy_coordinate_does_not_prevent_a_longer_series(tmp_path):
    """A store of a series with a lazy coordinate in blocks is extended."""
    chl = chl_map((6, 20, 30)).assign_coords(quality=(("time", "lat", "lon"), np.zeros((6, 20, 30), "i1")))
    chl = chl.chunk(time=1)
    with xgapfill.set_options(block=(2, 20, 30)):
        for frames in (4, 6):
            lazy = fill(chl.isel(time=slice(frames)), Quick(), weights=None)
            written = xgapfill.write(lazy, tmp_path / "out.zarr", append=True, progress=False)
    assert written.sizes["time"] == 6
    assert (written.quality == 0).all()
