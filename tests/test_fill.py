"""The straight line: what becomes of real-looking input."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from maps import Quick, chl_map, chunked, psc_map, same

from xgapfill import fill
from xgapfill.inputs.dates import grid_at
from xgapfill.lattice.grid import Box
from xgapfill.lattice.tiling import Tiling
from xgapfill.methods import Background, PosteriorMean, Repaint
from xgapfill.methods.base import Method
from xgapfill.options import OPTIONS
from xgapfill.testing import tiny_weights


class Constant(Method):
    """A method that knows one answer, to see what is done with it."""

    name = "constant"
    takes_prior = False

    def __init__(self, value=0.0, spread=0.1):
        self.value, self.error = value, spread

    def fill(self, windows, weights, noise, members):
        """The same value everywhere."""
        from xgapfill.lattice.windows import Filled

        values = np.full((members, *windows.values.shape), self.value, np.float32)
        return Filled(values, np.full(windows.values.shape, self.error, np.float32))

    def __dask_tokenize__(self):
        return "constant", self.value, self.error


def test_decoded_values_by_hand():
    """A log10 of 0.3 becomes a median of 2 mg m-3 with a log-normal spread; it is 0 where observed."""
    chl = chl_map((2, 8, 10))
    result = fill(chl, Constant(np.log10(2.0), 0.1), full=True).compute()
    missing = chl.isnull()
    np.testing.assert_allclose(result.CHL.where(missing, 2), 2, rtol=1e-5)
    width = 0.1 * np.log(10)
    sd = 2 * np.exp(width**2 / 2) * np.sqrt(np.expm1(width**2))
    np.testing.assert_allclose(result.CHL_spread, np.where(missing, sd, 0), rtol=1e-5)
    np.testing.assert_allclose(result.CHL_spread_log10, np.where(missing, 0.1, 0), rtol=1e-5)
    assert (result.CHL_status == missing).all()


def test_units_of_the_input_are_those_of_the_result():
    """Chlorophyll in kg m-3 and temperature in kelvin are filled as in mg m-3 and degC."""
    chl = chl_map((2, 8, 10))
    heavy = (chl.astype("float64") * 1e-6).assign_attrs(chl.attrs, units="kg m-3")
    expected = fill(chl.astype("float64"), Background()).compute()
    np.testing.assert_allclose(fill(heavy, Background()) * 1e6, expected, rtol=1e-4)
    celsius = (10 + 5 * np.log10(chl)).astype("float64").rename("sst").drop_attrs().assign_attrs(units="degC")
    kelvin = (celsius + 273.15).assign_attrs(units="K")
    np.testing.assert_allclose(fill(kelvin, Background()) - 273.15, fill(celsius, Background()), atol=1e-3)


def test_missing_coordinates_are_places_not_cuts():
    """A row, a column and a date that are absent from a file are lattice places: the others are filled as with them."""
    chl = chl_map((4, 12, 14))
    holes = {"time": [0, 1, 3], "lat": [*range(5), *range(6, 12)], "lon": [*range(7), *range(8, 14)]}
    missing = chl.where((chl.time != chl.time[2]) & (chl.lat != chl.lat[5]) & (chl.lon != chl.lon[7]))
    assert same(fill(chl.isel(holes), Background()), fill(missing, Background()).isel(holes))


def test_floating_dtypes():
    """Half precision and big-endian numbers of old files are filled; the former stays as it is."""
    chl = chl_map((2, 8, 10))
    half = fill(chl.astype("float16").assign_attrs(chl.attrs), Background()).compute()
    assert half.dtype == np.float16
    assert half.notnull().all()
    swapped = fill(chl.astype(">f4").assign_attrs(chl.attrs), Background()).compute()
    assert same(swapped, fill(chl, Background()))


def test_one_frame_and_no_time():
    """A single frame, with a time dimension, a date or no time at all, is filled."""
    chl = chl_map((1, 10, 12))
    frame = fill(chl, Background()).compute()
    dated = fill(chl.isel(time=0), Background()).compute()
    assert dated.dims == ("lat", "lon")
    assert "time" in dated.coords
    assert same(dated, frame.isel(time=0))
    timeless = fill(chl.isel(time=0, drop=True), Background(), full=True).compute()
    assert timeless.CHL.notnull().all()
    assert timeless.CHL_status.dims == ("lat", "lon")
    psc = psc_map(chl).isel(time=0, drop=True).transpose("lat", "size_class", "lon")
    assert fill(psc, Background(), cond=chl.isel(time=0, drop=True)).dims == psc.dims


def test_the_dateline_is_no_edge():
    """A map that closes around the globe is filled across its seam as elsewhere, whatever its origin."""
    rng = np.random.default_rng(0)
    coords = {"lat": 2.0 * np.arange(-8, 8) + 1, "lon": 2.0 * np.arange(-90, 90) + 1}
    chl = xr.DataArray(10 ** rng.normal(-0.5, 0.3, (16, 180)), coords, ("lat", "lon"), "CHL", {"units": "mg m-3"})
    chl = chl.where(rng.random(chl.shape) < 0.3).astype("float32")
    sea = np.ones(chl.shape, bool)
    result = fill(chl, Background(), sea=sea).compute()
    rolled = chl.roll(lon=90, roll_coords=True)
    again = fill(rolled, Background(), sea=sea).compute().roll(lon=-90, roll_coords=True)
    assert same(again, result)
    pacific = chl.assign_coords(lon=chl.lon % 360).sortby("lon")
    assert same(fill(pacific, Background(), sea=sea).roll(lon=90, roll_coords=True), result)
    alone = fill(chl.isel(lon=slice(0, 90)), Background(), sea=sea[:, :90]).compute()
    assert not same(alone.isel(lon=0), result.isel(lon=0))  # its other side was not there


def test_blending_weights_sum_to_one():
    """Windows with the same value blend to exactly that, at every pixel."""
    chl = chl_map((5, 70, 80), share=0.7)
    result = fill(chl, Constant(0.0)).compute()
    np.testing.assert_allclose(result.where(chl.isnull(), 1), 1, rtol=1e-6)


def test_class_chlorophyll_sums_to_chlorophyll():
    """Classes in mg m-3 sum to chlorophyll where it was observed, and to what it is filled with elsewhere."""
    chl = chl_map((2, 12, 14))
    psc = psc_map(chl)
    classes = (psc * chl.fillna(0.5)).assign_attrs(units="milligram m-3").rename("PSC").transpose(*psc.dims)
    for method, weights in ((Background(), None), (Repaint(((20.0, 1.0), (1.0, 0.0))), tiny_weights("psc-chl"))):
        result = fill(classes, method, cond=chl, weights=weights, full=True).compute()
        total, observed = result.PSC.sum("size_class"), chl.notnull()
        np.testing.assert_allclose(total.where(observed, 1), chl.where(observed, 1), rtol=1e-5)
        assert np.isfinite(total).all()
        assert (total > 0).all()
        assert result.PSC.attrs["units"] == "milligram m-3"
        assert (result.PSC_spread.where(classes.isnull(), 1) > 0).all()
    alone = fill(classes, Background()).compute()  # what all three sum to is the only chlorophyll there is
    assert alone.notnull().all()


def test_partly_observed_triples_keep_what_was_observed():
    """Observed parts stay bit for bit and are reported as observed, the others as filled."""
    chl = chl_map((2, 10, 12))
    psc = psc_map(chl, share=0.3).copy()
    psc[1, :, 4:6] = np.nan
    psc[2, :, 5] = np.nan
    result = fill(psc, Background(), cond=chl, full=True).compute()
    observed = psc.notnull().values
    assert same(result.PSC.values[observed], psc.values[observed])
    assert ((result.PSC_status == 0).values == observed).all()
    np.testing.assert_allclose(result.PSC.sum("size_class"), 1, atol=1e-5)
    spread = result.PSC_spread
    assert (spread.values[observed] == 0).all()
    assert (
        spread.isel(size_class=1, lat=4).where(psc.isel(size_class=0, lat=4).notnull(), 0) == 0
    ).all()  # 1 - the others


def test_status_tells_values_outside_the_training_range():
    """Fills beyond the range of the weights' training, or given a predictor beyond it, are marked."""
    from dataclasses import replace

    from xgapfill.weights import Weights

    chl = chl_map((2, 10, 12))
    psc = psc_map(chl)
    tiny = tiny_weights("psc-chl")
    missing = psc.isel(size_class=0, drop=True).isnull()
    highest = float(np.log10(chl).where(missing).median())
    card = replace(tiny.card, ranges={**tiny.card.ranges, "log10_chl": (-6.0, highest)})
    result = fill(psc, PosteriorMean(), cond=chl, weights=Weights(card, tiny.arrays), full=True).compute()
    status = result.PSC_status.isel(size_class=0)
    beyond = missing & (np.log10(chl) > highest)
    assert beyond.any()
    assert ((status == 3) == beyond).all()
    assert (status.where(missing & ~beyond, 1) == 1).all()


def test_too_little_context_is_left_missing():
    """Sea farther from all observations than a window extends stays missing and says so."""
    chl = chl_map((1, 8, 200), share=0.0)
    chl = chl.where(chl.lon < chl.lon[4])
    result = fill(chl, Background(), full=True, prior=None).compute()
    far = result.isel(lon=slice(68, None))
    assert far.CHL.isnull().all()
    assert (far.CHL_status == 2).all()
    assert (result.CHL_status.isel(lon=slice(4, 10)) == 1).all()


def test_what_was_observed_is_sea():
    """A pixel that the mask calls land is filled in windows where it was observed, in the target or in a predictor."""
    chl = chl_map((3, 8, 10), share=0.0).copy()
    chl[1, 3, 3] = np.nan
    chl[:, 5, 5] = np.nan
    result = fill(chl, Background(), sea=np.zeros((8, 10), bool), full=True).compute()
    assert result.CHL[1, 3, 3].notnull()
    assert result.CHL_status[1, 3, 3] == 1
    assert result.CHL[:, 5, 5].isnull().all()
    assert (result.CHL_status[:, 5, 5] == 5).all()
    psc = psc_map(chl, share=0.0).where(chl.lat != chl.lat[3])
    assert fill(psc, Background(), cond=chl, sea=np.zeros((8, 10), bool)).isel(lat=3).notnull().all()


def test_provenance_of_simulated_weights():
    """Where weights were trained on simulated fields, the attributes of the result say so."""
    from dataclasses import replace

    from xgapfill.weights import Weights

    chl = chl_map((1, 6, 8))
    tiny = tiny_weights("chl")
    card = replace(tiny.card, simulated_only=("log10_chl",))
    result = fill(chl, PosteriorMean(), weights=Weights(card, tiny.arrays))
    assert "simulated fields" in result.attrs["comment"]
    assert result.attrs["xgapfill_weights"] == "tiny-chl"
    assert len(result.attrs["xgapfill_sha256"]) == 64
    drawn = fill(chl, Repaint(), weights=tiny, seed=3, members=2)
    assert "comment" not in drawn.attrs
    assert drawn.attrs["xgapfill_seed"] == 3
    assert "members=2, seed=3" in drawn.attrs["history"]


def test_an_archive_builds_its_graph_at_once(tmp_path):
    """1068 maps of 4320 x 8640 pixels: a graph of a few tasks per block within 2 s, and a window of it computes."""
    import time

    import zarr

    shape = (1068, 4320, 8640)
    years = np.arange("1998", "2022", dtype="M8[Y]").astype("M8[D]")
    dates = np.concatenate([year + 8 * np.arange(46) for year in years]).astype("M8[ns]")[: shape[0]]
    coords = {"time": dates, "lat": 90 - (np.arange(4320) + 0.5) / 24, "lon": -180 + (np.arange(8640) + 0.5) / 24}
    store = tmp_path / "archive.zarr"
    xr.Dataset(coords=coords).to_zarr(store, consolidated=False)
    group = zarr.open_group(store, mode="a")
    for name in ("CHL", "PICO"):
        array = group.create_array(
            name,
            shape=shape,
            chunks=(1, 270, 270),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=("time", "lat", "lon"),
        )
        array.attrs["units"] = "mg m-3" if name == "CHL" else "1"
    group["CHL"][500, 2040:2060, 3640:3660] = chl_map((1, 20, 20)).values[0]
    ds = xr.open_zarr(store, chunks=None, consolidated=False)
    start = time.perf_counter()
    result = fill(ds.PICO, Background(), cond=ds.CHL)
    blocks = result.data.npartitions
    tasks = len(result.data.__dask_graph__())
    assert time.perf_counter() - start < 2
    assert blocks == 89 * 18 * 36
    assert blocks < tasks < 5 * blocks  # the large scale and what was ever observed are tasks of their own
    assert not any(each.variable._in_memory for each in ds.data_vars.values())
    alone = fill(ds.PICO, Background(), cond=ds.CHL, prior=None)
    window = alone.isel(time=slice(500, 501), lat=slice(2040, 2060), lon=slice(3640, 3660)).compute()
    assert window.notnull().all()


def test_dask_input_needs_no_even_chunks(monkeypatch):
    """Target and predictor may be chunked differently, and one of them not at all."""
    chl = chl_map((4, 12, 14), lat=40.75)
    psc = psc_map(chl)
    expected = fill(psc, Background(), cond=chl).compute()
    ragged = chunked(psc, {"time": (1, -1), "lat": 5, "lon": (9, -1), "size_class": 2})
    assert same(fill(ragged, Background(), cond=chl), expected)
    assert same(fill(psc, Background(), cond=chunked(chl, {"time": 3, "lat": 4})), expected)
    monkeypatch.setitem(OPTIONS, "block", (2, 12, 9))
    assert same(fill(ragged, Background(), cond=chunked(chl, {"time": 3, "lat": 4})), expected)


@pytest.mark.shared
def test_real_chlorophyll(shared_data):
    """The Newfoundland year opens and fills: finite on all sea of its mask, observed pixels untouched."""
    with xr.open_dataset(shared_data / "newfoundland_modis_2015_8day.nc", chunks=None) as ds:
        part = ds.isel(time=slice(10, 16))
        result = part.gapfill.background("CHL").CHL.compute()
        observed = part.CHL.notnull().values
        assert same(result.values[observed], part.CHL.values[observed])
        assert result.where(part.mask, 1).notnull().all()
        assert result.where(~part.mask & ~part.CHL.notnull().any("time")).isnull().all()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("globcolour_8day_19980125_labrador.nc", "CHL1_mean"),
        ("baja_modis_8day_20130330_chl.nc", "chl"),
        ("baja_modis_8day_20130330_sst.nc", "sst"),
        ("ne_pacific_modis_2020_daily.nc", "CHL"),
    ],
)
def test_real_products_open(file, name, shared_data):
    """Files as they are: other names, orientation, missing rows and attributes, with and without time."""
    with xr.open_dataset(shared_data / file, chunks=None) as ds:
        part = ds.isel(lat=slice(0, 60), lon=slice(0, 60))
        part = part.isel(time=slice(0, 3)) if "time" in part.dims else part
        result = part.gapfill.background(name, full=True).compute()
        observed = part[name].notnull().values
        assert same(result[name].values[observed], part[name].values[observed])
        assert (result[f"{name}_status"].values[observed] == 0).all()


def test_windows_are_those_of_the_tiling():
    """A method is called with 5 x 64 x 64 windows at the addresses of the tiling, in batches of four."""
    observed = []

    class Looking(Constant):
        def fill(self, windows, weights, noise, members):
            observed.append(windows)
            return super().fill(windows, weights, noise, members)

    chl = chl_map((2, 10, 12))
    fill(chl, Looking(), cond=None).compute(scheduler="sync")
    assert {windows.values.shape for windows in observed} == {(4, 5, 1, 64, 64)}
    assert {windows.channels for windows in observed} == {("log10_chl",)}
    tiling = Tiling(8640)
    assert all((start[:2] % tiling.stride[:2] == 0).all() for windows in observed for start in windows.starts)
    assert all((np.abs(windows.lat - 40) < 4).all() for windows in observed)
    assert all(np.allclose((windows.season**2).sum(axis=-1), 1) for windows in observed)
    grid = grid_at(chl.time, chl.lat, chl.lon)
    box = Box(*((min(axis), max(axis) + 1) for axis in (grid.slots, grid.rows, grid.cols)))
    used = [start for windows in observed for start in windows.starts[windows.sea.any(axis=(1, 2))].tolist()]
    assert used == tiling.touching(box).tolist()  # each once, in the order of the lattice; the others only fill up
    for windows in observed:
        for number in np.flatnonzero(windows.sea.any(axis=(1, 2))):
            places = [
                np.array(axis) - at
                for axis, at in zip((grid.slots, grid.rows, grid.cols), windows.starts[number], strict=True)
            ]
            inside = [(place >= 0) & (place < n) for place, n in zip(places, tiling.size, strict=True)]
            shown = windows.values[number, :, 0][
                np.ix_(*(place[there] for place, there in zip(places, inside, strict=True)))
            ]
            expected = np.nan_to_num(np.log10(chl.values))[np.ix_(*(np.flatnonzero(there) for there in inside))]
            np.testing.assert_allclose(shown, expected, rtol=1e-5)
            assert windows.observed[number].sum() == (expected != 0).sum()


def test_a_block_lets_go_of_what_it_read(tmp_path):
    """It holds some 80 bytes per pixel around it at once: four variables, three channels, their prior, the result."""
    chl = chl_map((6, 96, 96))
    xr.merge([psc_map(chl), chl]).to_zarr(tmp_path / "in.zarr", consolidated=False)
    opened = xr.open_zarr(tmp_path / "in.zarr", chunks=None, consolidated=False)
    lazy = opened.PSC.gapfill.fill(Quick(), cond=opened.CHL)
    grid = grid_at(chl.time, chl.lat, chl.lon)
    ranges = [(min(axis), max(axis) + 1) for axis in (grid.slots, grid.rows, grid.cols)]
    pixels = np.prod([np.ptp(Tiling(grid.ncols).around(axis, places)) for axis, places in enumerate(ranges)])
    lazy[..., :1].compute(scheduler="sync")  # what is made once per process
    tracemalloc.start()
    lazy.compute(scheduler="sync")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lazy.data.npartitions == 1
    assert peak < 95 * pixels
