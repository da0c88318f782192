"""Values that cannot be those of the variable are an error at the call, wherever they are."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map

import xgapfill
from xgapfill.blocks import peek
from xgapfill.inputs import read as inputs
from xgapfill.inputs.errors import read_error
from xgapfill.inputs.values import check_values
from xgapfill.variables import ErrorUnits

CHL = chl_map((3, 60, 110))
PSC = psc_map(CHL)


def opened(array, tmp_path):
    """The array as it comes from a file, not loaded."""
    array.to_dataset().to_netcdf(tmp_path / "map.nc")
    return xr.open_dataset(tmp_path / "map.nc")[array.name]


@pytest.mark.parametrize("kind", ["memory", "file", "dask", "dask of a file", "transposed"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.log10(CHL).assign_attrs(units="mg m-3"), "most values of CHL .* impossible, such as -.*logarithms"),
        ((100 * PSC).assign_attrs(units="1"), "most values of PSC .* impossible"),
        ((0.3 * PSC).assign_attrs(units="1"), r"PSC sums to 0\.3"),
        ((CHL * 1e-6).drop_attrs().rename("CHL"), "CHL has no units, and its median of"),
        (CHL * 1e-6, r"CHL has a median of \d.*e-07 mg m-3, and the least value that is filled is 0.001"),
        ((CHL + 280).rename("SST").drop_attrs().assign_attrs(units="degC"), "most values of SST"),
    ],
    ids=["logarithms", "percent", "share", "kg", "kg called mg", "kelvin"],
)
def test_one_verdict(tmp_path, wrong, message, kind):
    """The same error in memory, in a file, and of dask in any chunks: a few small reads at the call decide."""
    if "file" in kind:
        wrong = opened(wrong, tmp_path)
    if kind == "transposed":
        wrong = wrong.transpose("lon", ...).isel(lat=slice(None, None, -1))
    if "dask" in kind or kind == "transposed":
        wrong = wrong.chunk(lat=25, lon=40, time=1)
    with pytest.raises(ValueError, match=message):
        xgapfill.background(wrong)


@pytest.mark.parametrize("kind", ["memory", "dask"])
def test_a_few_impossible_values_are_no_error(kind):
    """What is wrong here and there is warned of, and counts as missing."""
    some = CHL.where(np.random.default_rng(0).random(CHL.shape) > 0.2, -1.0)
    some = some.chunk(lat=25) if kind == "dask" else some
    with pytest.warns(UserWarning, match="impossible values in the input of CHL"):
        xgapfill.background(some).isel(time=[0]).compute(scheduler="synchronous")


@pytest.mark.parametrize("lazy", [False, True])
def test_fill_values_that_were_not_decoded(tmp_path, lazy):
    """A value such as 99999 in most places is named, with the attribute to set; other impossible values name units."""
    chl = chl_map((2, 30, 40), share=0.7)
    raw = chl.fillna(99999)
    raw = opened(raw, tmp_path) if lazy else raw
    words = r"such as 99999; expected.*99999 looks like a fill value.*attrs\['_FillValue'\] = 99999.*decode_cf"
    with pytest.raises(ValueError, match=words):
        xgapfill.fill(raw, "background")
    with pytest.raises(ValueError, match=r"Set attrs\['units'\] \('mg m-3' now\) to the units of the values"):
        xgapfill.fill(-chl.assign_attrs(units="mg m-3"), "background")


@pytest.mark.parametrize(("size", "words"), [(1, r"drop it, with .squeeze\('depth'\)"), (2, r".isel\(depth=0\)$")])
def test_another_dimension(size, words):
    """A dimension of depths says what to type; labels of classes are proposed only for three places."""
    chl = chl_map((2, 6, 8)).expand_dims(depth=np.arange(float(size)))
    with pytest.raises(ValueError, match=words):
        xgapfill.fill(chl, "background")


def counted(chl, calls, deep=0):
    """Chlorophyll of dask whose chunks count how often they are made; `deep` tasks make one."""

    def made(block):
        calls.append(block.shape)
        return block

    array = dask.array.from_array(chl.values, (1, 30, 55)).map_blocks(
        made, dtype=chl.dtype, meta=chl.values[:0, :0, :0]
    )
    for _ in range(deep):
        array = dask.array.concatenate([array[:1], array[1:]])
        array = array.rechunk((3, 60, 110)).rechunk((1, 30, 55))
    return chl.copy(data=array)


def test_only_a_few_chunks_are_read():
    """Six spots at most, four chunks each; nothing of what takes many tasks, or large chunks, or fails."""
    calls = []
    assert not check_values(inputs.read(counted(CHL, calls)))
    assert 0 < len(calls) <= 4 * peek.SPOTS
    calls.clear()
    assert not check_values(inputs.read(counted(np.log10(CHL), calls, deep=3)))
    assert not calls
    shape = (2, 8000, 10000)
    large = dask.array.full(shape, -1.0, chunks=shape, dtype="f4")
    coords = {"lat": np.linspace(-49.99, 49.99, 8000), "lon": -80 + 0.0125 * np.arange(10000)}
    big = xr.DataArray(large, coords, ("time", "lat", "lon"), "CHL", {"units": "mg m-3"}).isel(time=0)
    assert not check_values(inputs.read(big))

    def broken(block):
        raise OSError("no such chunk")

    fails = CHL.copy(data=dask.array.from_array(CHL.values, (1, 30, 55)).map_blocks(broken, meta=CHL.values[:0]))
    assert not check_values(inputs.read(fails))


def test_classes_in_arrays_that_run_in_other_directions():
    """Three arrays, one of them upside down, still sum to 1."""
    micro, nano, pico = (
        PSC.isel(size_class=k, drop=True).rename(name) for k, name in enumerate(("micro", "nano", "pico"))
    )
    turned = [micro, nano.isel(lat=slice(None, None, -1)), pico.chunk(lat=20).isel(time=slice(None, None, -1))]
    assert not check_values(inputs.read(turned))
    assert check_values(inputs.read([micro, nano.isel(lat=slice(None, None, -1)), pico]))


def test_a_mask_must_lie_on_the_map():
    """A sea mask of another region is refused at the call, one of a part of the map gives a warning."""
    mask = xr.DataArray(np.ones((60, 110), bool), [CHL.lat, CHL.lon], name="sea")
    with pytest.raises(ValueError, match=r"sea .* has none of the latitudes of CHL"):
        xgapfill.background(CHL, sea=mask.assign_coords(lat=CHL.lat - 30))
    with pytest.raises(ValueError, match=r"none of the longitudes of CHL"):
        xgapfill.background(CHL, sea=mask.assign_coords(lon=CHL.lon + 30))
    with pytest.warns(UserWarning, match="sea= lacks 20 of 60 latitudes, 10 of 110 longitudes of CHL"):
        xgapfill.background(CHL, sea=mask.isel(lat=slice(40), lon=slice(10, None)))


@pytest.mark.parametrize("method", ["dineof", "som"])
def test_a_fit_reads_its_mask(method):
    """`fit` refuses a mask of a wrong shape, too."""
    with pytest.raises(ValueError, match="sea has the shape"):
        xgapfill.fit(CHL, method, sea=np.ones((3, 3), bool))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (0.1, "an error shared by all pixels changes nothing"),
        (np.float32(0.1), "an error shared by all pixels"),
        ("CHL_uncertainty", "to pass names use ds.gapfill"),
        (CHL.values, "found ndarray"),
        ([1, 2], "found int"),
    ],
)
def test_errors_that_are_no_map(error, message):
    """Numbers, names and bare arrays are refused at the call, with what is expected."""
    with pytest.raises(TypeError, match=f"error= must be a DataArray like CHL, such as ds.CHL_uncertainty.*{message}"):
        xgapfill.background(CHL, error=error)


@pytest.mark.parametrize("kind", ["memory", "file", "dask"])
def test_errors_that_are_no_standard_deviations(tmp_path, kind):
    """Negative errors are refused at the call, wherever they are."""
    error = (CHL * -0.1).rename("err").assign_attrs(units="mg m-3")
    error = opened(error, tmp_path) if kind == "file" else error.chunk(lat=25) if kind == "dask" else error
    with pytest.raises(ValueError, match=r"expected standard deviations; .* negative or infinite values"):
        read_error(error, inputs.read(CHL))


@pytest.mark.parametrize(
    ("units", "factor"),
    [("%", 0.01), ("percent", 0.01), ("0.01%", 1e-4), ("1", 1.0), ("0.01 percent", 1e-4), ("1e-2", 0.01)],
)
def test_shares_of_the_value(units, factor):
    """Errors in percent, in hundredths of one as of GlobColour, and as fractions are shares of the value."""
    error = (0.1 / factor * xr.ones_like(CHL)).rename("CHL1_error").assign_attrs(units=units)
    found = read_error(error, inputs.read(CHL)).units
    assert found == ErrorUnits("share", factor)
    np.testing.assert_allclose(found.absolute(error.values, CHL.values), 0.1 * CHL.values, rtol=1e-6)


def test_rows_that_count_for_nothing_are_told():
    """In-situ rows without a date, a place or a value are left out with a warning that counts them."""
    time, lat, lon = (CHL[name].values[[0, 0, 1, 1, 2]] for name in ("time", "lat", "lon"))
    table = pd.DataFrame({"time": time, "lat": lat, "lon": lon, "CHL": [0.3, 0.2, np.nan, 0.4, 0.5]})
    table.loc[0, "time"], table.loc[1, "lat"] = pd.NaT, np.nan
    said = "3 of the 5 rows of insitu are left out: 2 without a date, .*, 1 without a value that is used"
    with pytest.warns(UserWarning, match=said):
        xgapfill.background(CHL, insitu=table)


def test_validate_leaves_the_data_where_they_are(tmp_path):
    """What was opened lazily is still lazy after `validate`: target, truth and predictor."""
    maps = {"chl": CHL, "psc": PSC, "truth": psc_map(CHL, share=0.0).rename("truth")}
    for name, each in maps.items():
        (tmp_path / name).mkdir()
        maps[name] = opened(each.isel(lat=slice(24), lon=slice(30)), tmp_path / name)
    chl, psc, truth = maps.values()
    xgapfill.validate(psc, ["background", "global_dct_pls"], cond=chl, truth=truth)
    assert not any(array.variable._in_memory for array in (chl, psc, truth))
