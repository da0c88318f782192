"""Reading coordinates and labels, writing attributes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map

from xgapfill import fill
from xgapfill.inputs import axes as cf
from xgapfill.inputs.flags import sea_flag
from xgapfill.methods import Background
from xgapfill.outputs.attributes import Provenance
from xgapfill.variables import SizeClasses


def renamed(**names):
    """A map without attributes of coordinates, under other names."""
    da = chl_map((2, 6, 8))
    for coordinate in da.coords.values():
        coordinate.attrs.clear()
    return da.rename(names)


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"lat": "latitude", "lon": "longitude"},
        {"lat": "nav_lat", "lon": "nav_lon", "time": "t"},
        {"lat": "Latitude"},
    ],
)
def test_common_names_are_found(names):
    """Coordinates without attributes are recognised by the names that products use."""
    found = cf.find_axes(renamed(**names))
    assert found.dims == (names.get("time", "time"), names.get("lat", "lat"), names.get("lon", "lon"))


def test_attributes_come_before_names():
    """A standard_name or units tell latitude and longitude whatever they are called."""
    da = renamed(lat="south_north", lon="west_east", time="when")
    da.south_north.attrs["units"] = "degrees_north"
    da.west_east.attrs["standard_name"] = "longitude"
    found = cf.find_axes(da)
    assert found.dims == ("when", "south_north", "west_east")


def test_coordinates_need_not_be_called_as_their_dimensions():
    """1-D coordinates along dimensions y and x are used."""
    da = renamed().rename(lat="y", lon="x").reset_index(["y", "x"])
    da = da.reset_coords(drop=True).assign_coords(
        lat=("y", 40 + np.arange(6) / 24), lon=("x", np.arange(8) / 24), time=da.time
    )
    assert cf.find_axes(da).dims == ("time", "y", "x")
    assert fill(da.assign_attrs(units="mg m-3"), Background()).compute().notnull().all()


def test_dates_of_pixels_are_no_axis():
    """A time of every pixel beside a single date does not become a dimension of time."""
    da = renamed().isel(time=0)
    da = da.assign_coords(time=(("lat", "lon"), np.full(da.shape, np.datetime64("2015-03-06", "ns"))))
    found = cf.find_axes(da)
    assert found.time is None
    assert "time" not in found.names


def test_unknown_coordinates_are_listed():
    """Where latitude is missing the error lists what there is."""
    with pytest.raises(ValueError, match=r"no latitude.*northing \('northing',\).*attrs\['standard_name'\]"):
        cf.find_axes(renamed(lat="northing"))


def flat(lat, lon, **more):
    """A map on dimensions y, x with coordinates of both."""
    da = renamed(lat="y", lon="x").drop_vars(["y", "x"])
    return da.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon), **more)


def rectilinear():
    """Coordinates of a map as two-dimensional arrays."""
    da = renamed()
    return tuple(each.transpose("lat", "lon").values for each in xr.broadcast(da.lat, da.lon))


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_two_dimensional_coordinates_of_a_lattice_are_read(dtype, lazy, transposed):
    """Latitudes that change along one dimension only are read, in memory or of dask; the result keeps them."""
    lat, lon = (each.astype(dtype) for each in rectilinear())
    da = flat(lat, lon)
    if transposed:
        da = da.transpose("x", "time", "y").assign_coords(lat=da.lat.T, lon=da.lon.T)
    if lazy:
        da = da.assign_coords({name: da[name].chunk(y=2) for name in ("lat", "lon")})
    axes = cf.find_axes(da)
    assert (axes.time, axes.lat, axes.lon) == ("time", "y", "x")
    assert np.array_equal(cf.degrees(da, axes, "latitude"), lat[:, 0])
    filled = fill(da.assign_attrs(units="mg m-3"), Background()).compute()
    assert filled.notnull().all()
    np.testing.assert_array_equal(filled.lat, da.lat)


def test_one_dimensional_coordinates_win_over_two_dimensional_ones():
    """A map of latitudes that attributes identify is a copy where latitudes without attributes lie beside it."""
    lat, lon = rectilinear()
    da = renamed().assign_coords(nav_lat=(("lat", "lon"), lat, {"standard_name": "latitude", "units": "degrees_north"}))
    da = da.assign_coords(nav_lon=(("lat", "lon"), lon, {"standard_name": "longitude"}))
    assert cf.find_axes(da).names == {"latitude": "lat", "longitude": "lon", "time": "time"}


def exchanged():
    """Maps whose latitude and longitude are exchanged, each in another way."""
    da = chl_map((2, 6, 8), lat=40, lon=120)
    bare = renamed().assign_coords(lat=da.lat.values, lon=da.lon.values)
    yield bare.rename(lat="lon", lon="lat"), r"found latitudes 120.* look exchanged.*\.rename\(lat='lon', lon='lat'\)"
    yield da.rename(lat="lon", lon="lat"), "'lon' of 'CHL' is a longitude by its name and a latitude by its attributes"
    yield flat(rectilinear()[1] + 160, rectilinear()[0]), "found latitudes 120.* look exchanged"
    metres = bare.assign_coords(lat=5e6 + 4e3 * np.arange(6), lon=1e6 + 4e3 * np.arange(8))
    yield metres, "found latitudes 5e.06 .* metres, to degrees"


@pytest.mark.parametrize(("da", "words"), list(exchanged()))
def test_exchanged_coordinates_are_refused(da, words):
    """A latitude beyond the pole, or a name against the attributes, is an error that says what to type."""
    with pytest.raises(ValueError, match=words):
        fill(da.assign_attrs(units="mg m-3"), Background())


def test_curvilinear_coordinates_are_refused():
    """Coordinates that change along both dimensions are an error that says what to do."""
    lat, lon = rectilinear()
    for bent in (flat(lat + lon / 100, lon), flat(np.where(lat > 40.1, np.nan, lat), lon)):
        with pytest.raises(ValueError, match="xesmf"):
            cf.find_axes(bent)


@pytest.mark.parametrize(
    ("labels", "attrs"),
    [
        (["Pico", "MICRO", "nano"], {}),
        (["picophytoplankton", "microphytoplankton", "nanophytoplankton"], {}),
        (np.array([b"pico", b"micro", b"nano"]), {}),
        ([3, 1, 2], {"flag_values": [1, 2, 3], "flag_meanings": "micro nano pico"}),
        ([2, 0, 1], {"flag_meanings": "micro nano pico"}),
    ],
)
def test_class_labels(labels, attrs):
    """Labels in any case, long, as bytes or as CF flags tell the order of the classes."""
    da = psc_map(chl_map((1, 4, 4))).assign_coords(size_class=("size_class", labels, attrs))
    assert cf.parts_along(da, "size_class") == (SizeClasses, (2, 0, 1))


def test_labels_beside_the_dimension():
    """A text coordinate along an unlabelled dimension counts."""
    da = psc_map(chl_map((1, 4, 4))).rename(size_class="k").assign_coords(k=[10, 20, 30])
    assert cf.parts_along(da, "k") is None
    assert cf.parts_along(da.assign_coords(name=("k", ["nano", "pico", "micro"])), "k") == (SizeClasses, (1, 2, 0))


def test_flags_say_where_the_sea_is():
    """Land bits, sea values and plain masks are understood; unknown is not land."""
    values = np.array([0.0, 1, 2, 3, np.nan])

    def sea_of(mask):
        return (~sea_flag(mask).is_land(values)).tolist()

    bits = xr.DataArray([0], attrs={"flag_masks": np.int8([1, 2]), "flag_meanings": "land ice"})
    assert sea_of(bits) == [True, False, True, False, True]
    water = xr.DataArray([0], attrs={"flag_values": np.int8([1, 2]), "flag_meanings": "water rock"})
    assert sea_of(water) == [False, True, False, False, True]
    gee = xr.DataArray([0], attrs={"flag_values": np.int8([0, 1]), "flag_meanings": "water land"})
    assert sea_of(gee) == [True, False, True, True, True]
    assert sea_of(xr.DataArray([True], name="mask")) == [False, True, False, False, True]
    assert sea_of(xr.DataArray([True], name="land")) == [True, False, True, True, True]


def test_history_has_no_clock(monkeypatch):
    """The line of the call comes first and has a date only when SOURCE_DATE_EPOCH says which."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    made = Provenance("background(CHL)", {"method": "background"}, "Be careful.")
    attrs = made.added_to({"history": "made", "comment": "Raw.", "units": "mg m-3"})
    assert attrs["history"].splitlines()[0].startswith("background(CHL) - xgapfill ")
    assert attrs["history"].splitlines()[1:] == ["made"]
    assert attrs["comment"] == "Raw. Be careful."
    assert attrs["xgapfill_method"] == "background"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert made.added_to({})["history"].startswith("[1970-01-01T00:00:00Z] background(CHL)")


def test_stale_encodings_are_dropped(tmp_path):
    """Chunks and packing of the file do not follow the result, its fill value does, and it can be written again."""
    da = chl_map((3, 12, 16))
    da.to_netcdf(tmp_path / "a.nc", encoding={"CHL": {"chunksizes": (1, 5, 7), "zlib": True, "_FillValue": -999.0}})
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        result = fill(opened.CHL, Background(), full=True)
        assert result.CHL.encoding == {"dtype": np.dtype("float32"), "_FillValue": -999.0}
        assert "chunksizes" not in result.time.encoding
        result.to_netcdf(tmp_path / "b.nc")
    with xr.open_dataset(tmp_path / "b.nc") as written:
        assert written.CHL.notnull().all()
        assert written.CHL_status.dtype == np.int8
        assert (written.CHL.cf == "observed").dtype == bool if "flag_values" in written.CHL.attrs else True
        assert (written.CHL_status.cf == "observed").equals(da.notnull())
    packed = da.copy()
    packed.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "_FillValue": -1, "chunks": (1, 5, 5)}
    assert fill(packed, Background()).encoding == {}
    result.to_zarr(tmp_path / "b.zarr", consolidated=False)


def test_the_input_is_not_changed():
    """Attributes and encodings of the input and its coordinates stay as they are."""
    da = renamed().assign_attrs(units="mg m-3")
    before = da.copy(deep=True)
    result = fill(da, Background())
    xr.testing.assert_identical(da, before)
    assert result.lat.attrs["units"] == "degrees_north"
    assert da.lat.attrs == {}


def test_spread_and_status_are_tied():
    """standard_error only where there is a standard_name; flags with values and meanings; ancillary_variables."""
    chl = chl_map((2, 6, 8))
    result = fill(chl, Background(), full=True)
    assert result.CHL.attrs["ancillary_variables"] == "CHL_spread CHL_spread_log10 CHL_status CHL_support"
    assert result.CHL_spread.attrs["standard_name"] == f"{chl.attrs['standard_name']} standard_error"
    assert result.CHL_spread.attrs["units"] == "mg m-3"
    assert result.CHL_spread_log10.attrs["units"] == "1"
    status = result.CHL_status
    assert status.dtype == np.int8
    assert status.attrs["flag_values"].dtype == np.int8
    assert len(status.attrs["flag_values"]) == len(status.attrs["flag_meanings"].split()) == 6
    psc = fill(psc_map(chl), Background(), cond=chl, full=True)
    assert "standard_name" not in psc.PSC_spread.attrs
    assert psc.attrs["Conventions"].startswith("CF-")
