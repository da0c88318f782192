"""The packed sea mask."""

from __future__ import annotations

import numpy as np
import pytest

from xgapfill.lattice import sea as seamask
from xgapfill.lattice.sea import sea


def test_known_places():
    """Oceans and seas are sea, continents and inland waters are land."""
    sea_places = [(47.0, -50.0), (35.0, 18.0), (72.0, 170.0), (0.0, -140.0), (-60.0, 0.0), (57.0, 3.0)]
    land_places = [(48.9, 2.3), (0.0, 22.0), (44.0, -87.0), (42.0, 51.0), (-85.0, 0.0), (40.0, -105.0)]
    assert all(sea([lat], [lon])[0, 0] for lat, lon in sea_places)
    assert not any(sea([lat], [lon])[0, 0] for lat, lon in land_places)


def test_share_of_the_globe():
    """Weighted by area, 71 % of the globe is sea (within one percent)."""
    lat = np.arange(-89.95, 90, 0.1)
    share = np.average(sea(lat, np.arange(-179.95, 180, 0.1)).mean(axis=1), weights=np.cos(np.radians(lat)))
    assert share == pytest.approx(0.71, abs=0.01)


def test_orientation_and_origin_do_not_matter():
    """Latitude up or down and longitude from -180, 0 or a rolled origin give the same pixels."""
    lat, lon = np.arange(30.02, 50, 1 / 24), np.arange(-20.98, 40, 1 / 24)
    expected = sea(lat, lon)
    np.testing.assert_array_equal(sea(lat[::-1], lon), expected[::-1])
    np.testing.assert_array_equal(sea(lat, lon % 360), expected)
    np.testing.assert_array_equal(sea(lat, np.roll(lon + 720, 7)), np.roll(expected, 7, axis=1))


def test_every_pixel_takes_its_cell():
    """All 4 km pixels whose centre lies in a 0.1 degree cell have the cell's value, the coast included."""
    cells = sea(np.arange(40.05, 45, 0.1), np.arange(10.05, 20, 0.1))
    fine = sea(np.arange(40.0125, 45, 0.025), np.arange(10.0125, 20, 0.025))
    np.testing.assert_array_equal(fine, cells.repeat(4, axis=0).repeat(4, axis=1))


def test_poles_and_dateline():
    """The outermost places of the globe are withheld: 90 N is sea, 90 S is land, 180 is the same east and west."""
    assert sea([90.0, -90.0], [0.0]).tolist() == [[True], [False]]
    np.testing.assert_array_equal(sea([10.0], [180.0]), sea([10.0], [-180.0]))


def test_empty():
    """No coordinates give an empty map."""
    assert sea([], [1.0, 2.0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        ([95.0], [0.0], "between -90 and 90"),
        ([np.nan], [0.0], "lat must be one-dimensional finite"),
        ([[1.0]], [0.0], "lat must be"),
        ([1.0], [[1.0]], "lon must be"),
        ([1.0], [np.inf], "lon must be"),
    ],
)
def test_bad_coordinates(lat, lon, message):
    """Coordinates that are no places raise a ValueError that names them."""
    with pytest.raises(ValueError, match=message):
        sea(lat, lon)


def test_size_and_source():
    """The file is small and says where it comes from."""
    assert seamask.FILE.stat().st_size < 200_000
    with np.load(seamask.FILE) as stored:
        assert str(stored["licence"]) == "Apache-2.0"
        assert "oceaneos" in str(stored["source"])


def test_pack(tmp_path):
    """Packing a mask and reading it gives the mask; another grid is refused."""
    xr = pytest.importorskip("xarray")
    random = np.random.default_rng(0)
    lat, lon = -89.95 + 0.1 * np.arange(1800), -179.95 + 0.1 * np.arange(3600)
    mask = xr.Dataset({"ocean": (("lat", "lon"), random.random((1800, 3600)) < 0.5)}, {"lat": lat, "lon": lon})
    mask.to_netcdf(tmp_path / "mask.nc")
    with np.load(seamask.pack(tmp_path / "mask.nc", tmp_path / "out" / "sea.npz")) as stored:
        np.testing.assert_array_equal(np.unpackbits(stored["bits"], axis=1).astype(bool), mask.ocean[::-1])
    mask.isel(lon=slice(1, None)).to_netcdf(tmp_path / "short.nc")
    with pytest.raises(ValueError, match="lon must be the centres"):
        seamask.pack(tmp_path / "short.nc", tmp_path / "other.npz")


@pytest.mark.shared
def test_same_as_the_source(shared_data, tmp_path):
    """The file in the package is what the command makes of the source."""
    file = seamask.pack(shared_data / "global_modis_8day_20150101_0.1deg.nc", tmp_path / "sea.npz")
    assert file.read_bytes() == seamask.FILE.read_bytes()
