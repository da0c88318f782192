"""The command line does what the verbs do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.cli import main
from xgapfill.methods.kriging import Kriging


@pytest.fixture
def store(tmp_path):
    """Path of a store with CHL and PSC."""
    chl = chl_map((5, 30, 40))
    classes = np.array(["micro", "nano", "pico"], object)
    xr.merge([psc_map(chl), chl]).assign_coords(size_class=classes).to_zarr(tmp_path / "in.zarr", consolidated=False)
    return str(tmp_path / "in.zarr")


def test_fill_writes_what_the_verb_gives(store, tmp_path, capsys):
    """A store and a netCDF file, whole and cut; a second run has nothing left to do."""
    ds = xr.open_zarr(store, chunks=None, consolidated=False)
    command = [
        "fill",
        store,
        "--var",
        "PSC",
        "--cond",
        "CHL",
        "--method",
        "background",
        "--out",
        str(tmp_path / "o.zarr"),
    ]
    assert main(command) == 0
    assert main(command) == 0
    written = xr.open_zarr(tmp_path / "o.zarr", chunks=None, consolidated=False)
    assert same(written.PSC, ds.PSC.gapfill.background(cond=ds.CHL))
    cut = ["--region", "40.2", "41", "-39.5", "-39", "--time", "2015-03-10", "2015-04-02", "--full"]
    assert main(["fill", store, "--var", "CHL", "--method", "background", *cut, "--out", str(tmp_path / "o.nc")]) == 0
    wanted = ds.CHL.sel(time=slice("2015-03-10", "2015-04-02"), lat=slice(40.2, 41), lon=slice(-39.5, -39))
    with xr.open_dataset(tmp_path / "o.nc") as found:
        assert same(found.CHL, wanted.gapfill.background())
        assert {"CHL_spread", "CHL_status"} <= set(found)
    capsys.readouterr()


def test_fill_with_samples_and_errors(store, tmp_path, capsys):
    """A CSV table of samples and a variable of errors enter as they do in the verb."""
    ds = xr.open_zarr(store, chunks=None, consolidated=False).load()
    error = (0.3 * ds.CHL).where(ds.lon > ds.lon[20], 5 * ds.CHL)
    ds.assign(E=error).to_zarr(tmp_path / "e.zarr", consolidated=False)
    lat, lon = float(ds.lat[3]), float(ds.lon[4])
    (tmp_path / "t.csv").write_text(f"time,lat,lon,CHL\n2015-03-15,{lat},{lon},0.3\n")
    command = ["fill", str(tmp_path / "e.zarr"), "--var", "CHL", "--method", "background", "--error", "E"]
    command += ["--insitu", str(tmp_path / "t.csv"), "--out", str(tmp_path / "o.zarr")]
    assert main(command) == 0
    capsys.readouterr()
    table = pd.DataFrame({"time": ["2015-03-15"], "lat": lat, "lon": lon, "CHL": 0.3})
    expected = ds.CHL.gapfill.background(insitu=table, error=error.rename("E").assign_attrs(ds.CHL.attrs))
    assert same(xr.open_zarr(tmp_path / "o.zarr", chunks=None, consolidated=False).CHL, expected)
    for verb in ("plan", "validate"):
        assert main([verb, *command[1:-2]]) == 0
        assert "background" in capsys.readouterr().out


def test_statistics_and_longer_series(store, tmp_path):
    """Mean and quantiles over members; a series that has become longer; no warnings."""
    ds = xr.open_zarr(store, chunks=None, consolidated=False)
    more = ["--method", "kriging", "--members", "3", "--reduce", "mean", "0.1", "0.9"]
    more += ["--out", str(tmp_path / "o.zarr")]
    region = ["--var", "CHL", "--region", "40", "40.4", "-40", "-39.6", "--append"]
    with warnings.catch_warnings(action="error"):
        assert main(["fill", store, *region, *more, "--time", "2015-03-01", "2015-03-25"]) == 0
        assert main(["fill", store, *region, *more]) == 0
    written = xr.open_zarr(tmp_path / "o.zarr", chunks=None, consolidated=False)
    part = ds.CHL.sel(lat=slice(40, 40.4), lon=slice(-40, -39.6))
    expected = part.gapfill(Kriging(realisations=True), members=3, reduce=["mean", {"quantile": [0.1, 0.9]}])
    assert same(written.CHL_mean, expected.CHL_mean)
    assert same(written.CHL_quantile, expected.CHL_quantile)


def test_validate_prints_a_table(store, capsys):
    """One line a method."""
    assert main(["validate", store, "--var", "CHL", "--method", "pixel_mean", "background"]) == 0
    out = capsys.readouterr().out
    assert "per-pixel mean" in out
    assert "background" in out


def test_plan_is_printed(store, capsys):
    """What the fill will cost."""
    words = ["plan", store, "--var", "PSC", "--cond", "CHL", "--method", "background"]
    assert main(words) == 0
    whole = capsys.readouterr().out
    assert "windows to fill" in whole
    assert main([*words, "--full", "--max-distance", "1e-3"]) == 0
    assert "windows to fill: 0 +- 0" in capsys.readouterr().out


def test_methods_are_listed(capsys):
    """The table of `xgapfill.methods()`."""
    assert main(["methods"]) == 0
    assert repr(xgapfill.methods()) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--var", "SST"], "no variable 'SST'"),
        (["--var", "CHL", "--method", "krigging"], "there is no method"),
        (["--var", "CHL", "--method", "kriging", "--device", "cuda"], "device"),
        (["--var", "CHL", "--region", "60", "70", "0", "10"], "nothing is left"),
    ],
)
def test_mistakes_are_told_in_one_line(store, tmp_path, capsys, more, words):
    """Exit status 2 and what was wrong, no traceback."""
    assert main(["fill", store, "--out", str(tmp_path / "o.zarr"), *more]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
