"""Masks of land and sea as providers write them."""

from __future__ import annotations

import warnings

import dask.array
import numpy as np
import pytest
import xarray as xr
from maps import Quick, chl_map

from xgapfill import fill
from xgapfill.inputs.flags import sea_flag

MUR = "1=open-sea, 2=land, 5=open-lake, 9=open-sea with ice in the grid, 13=open-lake with ice in the grid"
OSTIA = "water land optional_lake_surface sea_ice optional_river_surface"
FLAGS = {
    "MUR": (
        {"flag_masks": "1b, 2b, 4b, 8b, 16b", "flag_values": np.int8([1, 2, 5, 9, 13]), "flag_meanings": MUR},
        2,
        1,
    ),
    "MUR in words": ({"flag_values": np.int8([1, 2, 5]), "flag_meanings": "open_sea land open_lake"}, 2, 5),
    "OSTIA": ({"flag_masks": np.int8([1, 2, 4, 8, 16]), "flag_meanings": OSTIA}, 2, 9),
    "text of masks": ({"flag_masks": "1b, 2b, 4b", "flag_meanings": "water land ice"}, 2, 5),
    "text of values": ({"flag_values": "0UB 1UB", "flag_meanings": "sea land"}, 1, 0),
    "one text each": ({"flag_values": ["0b", "1b"], "flag_meanings": ["open sea", "land"]}, 1, 0),
    "list": ({"flag_values": [1, 2], "flag_meanings": ["is_land", "is_sea"]}, 1, 2),
    "array": ({"flag_values": np.array([1, 2]), "flag_meanings": np.array(["land", "sea"])}, 1, 2),
    "commas": ({"flag_values": [0, 1], "flag_meanings": "open sea, land"}, 1, 0),
    "colons": ({"flag_meanings": "0: land; 1: water; 3: ice"}, 0, 1),
    "numbers after": ({"flag_meanings": "land=7, sea=9"}, 7, 9),
    "is_land": ({"flag_masks": np.uint8([1, 128]), "flag_meanings": "cloud is_land"}, 129, 1),
    "capitals": ({"flag_masks": np.int32([1, 2, 4]), "flag_meanings": "ATMFAIL LAND PRODWARN"}, 3, 5),
    "several kinds of water": ({"flag_values": [0, 1, 2, 3], "flag_meanings": "rock sea lake sea_ice"}, 0, 2),
    "two kinds of land": ({"flag_values": [0, 1, 2], "flag_meanings": "sea island continent"}, 2, 0),
    "not": ({"flag_values": [0, 1], "flag_meanings": "not_land cloud"}, 1, 0),
    "unequal bits": ({"flag_masks": [1, 2, 4], "flag_values": [1, 2, 5], "flag_meanings": "sea land lake"}, 2, 5),
}


def plain(values, name="mask", **attrs):
    """A mask beside a map of chlorophyll: its western half has one value, the eastern half the other."""
    chl = chl_map((2, 12, 16))
    half = np.where(np.arange(16) < 8, *values) * np.ones((12, 1), int)
    mask = xr.DataArray(half.astype("i2"), {"lat": chl.lat, "lon": chl.lon}, ("lat", "lon"), name, attrs)
    return chl.where(chl.lon > chl.lon[7]), mask


def land_of(chl, result):
    """Whether land fills the western half and nothing else."""
    status = result.CHL_status.compute()
    west = (status == 5).isel(lon=slice(8))
    return bool(west.all()) and not (status == 5).isel(lon=slice(8, None)).any()


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_are_read_as_they_are_written(kind):
    """Land is where the flags say so, given by name or found beside the variable."""
    attrs, land, sea = FLAGS[kind]
    chl, mask = plain((land, sea), **attrs)
    ds = xr.Dataset({"CHL": chl, "mask": mask})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert land_of(chl, ds.gapfill.fill("CHL", Quick(), full=True))
        assert land_of(chl, ds.gapfill.fill("CHL", Quick(), full=True, sea="mask"))


@pytest.mark.parametrize(
    ("name", "attrs", "values"),
    [
        ("is_land", {}, (1, 0)),
        ("landmask", {}, (1, 0)),
        ("lsm", {}, (1, 0)),
        ("sea_mask", {}, (0, 1)),
        ("is_sea", {}, (0, 1)),
        ("mask", {}, (0, 1)),
        ("lsm_of_model", {"standard_name": "land_binary_mask"}, (1, 0)),
        ("land_sea_mask", {"standard_name": "sea_binary_mask"}, (0, 1)),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_names_say_what_one_means(name, attrs, values, lazy):
    """Without flags a name or standard_name tells land from sea, for dask as in memory."""
    chl, mask = plain(values, name, **attrs)
    mask = mask.chunk(lat=5) if lazy else mask
    assert land_of(chl, xr.Dataset({"CHL": chl, name: mask}).gapfill.fill("CHL", Quick(), full=True))
    assert land_of(chl, chl.assign_coords({name: mask}).gapfill.fill(Quick(), full=True))
    assert land_of(chl, fill(chl, Quick(), full=True, sea=mask))


def test_masks_without_coordinates():
    """An array, of dask too, or a mask on the dimensions of the map takes the places of the map."""
    chl, mask = plain((0, 1))
    for sea in (mask.values, dask.array.from_array(mask.values, chunks=5), mask.drop_vars(["lat", "lon"])):
        assert land_of(chl, fill(chl, Quick(), full=True, sea=sea))


UNREADABLE = {
    "too few values": ({"flag_values": [0], "flag_meanings": "sea land"}, "2 flag_meanings.*but flag_values=.0."),
    "masks without numbers": ({"flag_masks": "b, b", "flag_meanings": "sea land"}, "but flag_masks='b, b'"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_flags(kind):
    """A mask that was asked for says what cannot be read; one that was not is left out with a warning."""
    attrs, words = UNREADABLE[kind]
    chl, mask = plain((0, 1), **attrs)
    ds = xr.Dataset({"CHL": chl, "mask": mask})
    with pytest.raises(ValueError, match=words):
        ds.gapfill.fill("CHL", Quick(), sea="mask")
    with pytest.warns(UserWarning, match=f"beside 'CHL' is not used.*{words}"):
        assert not (ds.gapfill.fill("CHL", Quick(), full=True).CHL_status == 5).any()


@pytest.mark.parametrize(
    ("values", "name", "attrs", "words"),
    [
        ((0, 1), "mask", {"flag_values": [0, 1], "flag_meanings": "good bad"}, "its flags are .'good', 'bad'."),
        ((0, 1), "mask", {"flag_values": [0, 1], "flag_meanings": "sea_ice cloud"}, "expected a flag for land"),
        ((1, 2), "mask", {}, "expected 0 and 1 in 'mask', which has no flag_meanings; found .2."),
        ((1, 0), "land_sea_mask", {}, "may be 1 on land or at sea: rename it"),
    ],
)
def test_masks_that_say_nothing(values, name, attrs, words):
    """A mask without land or sea among its flags, or with unknown values, is refused by name."""
    chl, mask = plain(values, name, **attrs)
    with pytest.raises(ValueError, match=words):
        xr.Dataset({"CHL": chl, name: mask}).gapfill.fill("CHL", Quick(), sea=name)


def test_a_coordinate_with_other_values_is_no_mask():
    """A coordinate called mask that is none is left out with a warning."""
    chl, mask = plain((1, 2))
    with pytest.warns(UserWarning, match="is not used: expected 0 and 1 in 'mask'"):
        assert not (fill(chl.assign_coords(mask=mask), Quick(), full=True).CHL_status == 5).any()


def test_quality_flags_are_no_mask():
    """Flags near land or of sea ice do not tell where the sea is."""
    chl, mask = plain((1, 2), "quality", flag_values=[1, 2], flag_meanings="near_land sea_ice")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = xr.Dataset({"CHL": chl, "quality": mask}).gapfill.fill("CHL", Quick(), full=True)
    assert not (result.CHL_status == 5).any()
    with pytest.raises(ValueError, match="expected a flag for land"):
        sea_flag(mask)
