"""The command line does what the verbs do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.cli import commands, main
from xgapfill.cli.opened import opened
from xgapfill.cli.parser import parser
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


def test_fill_of_a_variable_that_is_declared(store, tmp_path, capsys):
    """--transform says how to fill it."""
    ds = xr.open_zarr(store, chunks=None, consolidated=False).load()
    ds.CHL.rename("strange").drop_attrs(deep=False).to_netcdf(tmp_path / "s.nc")
    command = [
        "fill",
        str(tmp_path / "s.nc"),
        "--var",
        "strange",
        "--method",
        "background",
        "--out",
        str(tmp_path / "o.nc"),
    ]
    assert main(command) == 2
    assert "transform='log10'" in capsys.readouterr().err
    assert main([*command, "--transform", "log10"]) == 0
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


def test_fill_with_another_sensor(store, tmp_path, capsys):
    """From another file, or by the name of a variable of the input, as in the verb."""
    ds = xr.open_zarr(store, chunks=None, consolidated=False).load()
    other = (2 * ds.CHL).roll(lon=7, roll_coords=False).rename("OTHER").assign_attrs(ds.CHL.attrs)
    other.to_netcdf(tmp_path / "other.nc")
    ds.assign(OTHER=other).to_zarr(tmp_path / "both.zarr", consolidated=False)
    expected = ds.CHL.gapfill.background(also=other)
    whole = ["--var", "CHL", "--method", "background"]
    for source, also in ((store, f"{tmp_path}/other.nc:OTHER"), (str(tmp_path / "both.zarr"), "OTHER")):
        out = str(tmp_path / f"{len(also)}.zarr")
        assert main(["fill", source, *whole, "--also", also, "--out", out]) == 0
        assert same(xr.open_zarr(out, chunks=None, consolidated=False).CHL, expected)
    capsys.readouterr()
    assert main(["plan", store, *whole, "--also", f"{tmp_path}/other.nc:NONE"]) == 2
    assert "has no variable 'NONE'; it has OTHER" in capsys.readouterr().err


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
    expected = part.gapfill.fill(Kriging(realisations=True), members=3, reduce=["mean", {"quantile": [0.1, 0.9]}])
    assert same(written.CHL_mean, expected.CHL_mean)
    assert same(written.CHL_quantile, expected.CHL_quantile)


def test_validate_prints_a_table(store, capsys):
    """One line per method."""
    assert main(["validate", store, "--var", "CHL", "--method", "pixel_mean", "background"]) == 0
    out = capsys.readouterr().out
    assert "per-pixel mean" in out
    assert "background" in out
    assert "texture S_1" in out
    few = ["validate", store, "--var", "CHL", "--method", "pixel_mean", "--tests", "bias"]
    assert main(few) == 0
    out = capsys.readouterr().out
    assert "bias" in out
    assert "texture S_1" not in out


def test_plan_is_printed(store, capsys):
    """What the fill will cost."""
    words = ["plan", store, "--var", "PSC", "--cond", "CHL", "--method", "background"]
    assert main(words) == 0
    whole = capsys.readouterr().out
    assert "windows to fill" in whole
    assert main([*words, "--full", "--max-distance", "1e-3"]) == 0
    assert "windows to fill: 0 +- 0" in capsys.readouterr().out


def test_methods_are_listed(capsys):
    """The table of `xgapfill.list_methods()`."""
    assert main(["methods"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()][2:] == [*xgapfill.list_methods().index]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--var", "SST"], "no variable 'SST'"),
        (["--var", "CHL", "--method", "krigging"], "there is no method"),
        (["--var", "CHL", "--method", "kriging", "--device", "cuda"], "device"),
        (["--var", "CHL", "--region", "60", "70", "0", "10"], "has no pixel of 'CHL'"),
    ],
)
def test_mistakes_are_told_in_one_line(store, tmp_path, capsys, more, words):
    """Exit status 2 and what was wrong, no traceback."""
    assert main(["fill", store, "--out", str(tmp_path / "o.zarr"), *more]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def opened_in(tmp_path, ds, *more, name="CHL"):
    """What a command reads of a data set."""
    tmp_path.mkdir(exist_ok=True)
    ds.to_netcdf(tmp_path / "in.nc")
    words = ["fill", str(tmp_path / "in.nc"), "--var", name, "--out", str(tmp_path / "out.nc"), *more]
    with opened(parser().parse_args(words)) as found:
        return found.load()


def named_otherwise(ds):
    """Dimensions that are no coordinates."""
    return ds.rename_dims(lat="y", lon="x").reset_index(["lat", "lon"]).rename_vars(lat="nav_lat", lon="nav_lon")


LAYOUTS = {
    "as they are": lambda ds: ds,
    "other dimensions": named_otherwise,
    "latitudes fall": lambda ds: ds.isel(lat=slice(None, None, -1)),
    "longitudes fall": lambda ds: ds.isel(lon=slice(None, None, -1)),
    "0 to 360": lambda ds: ds.assign_coords(lon=ds.lon % 360),
    "rounded": lambda ds: ds.assign_coords(lat=ds.lat.astype("f4"), lon=(ds.lon % 360).astype("f4")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("west", "east"), [(-179.9, -179.3), (179.6, -179.6), (179.6, 180.4), (-180.4, -179.6)])
def test_a_region_is_one_of_coordinates(tmp_path, layout, west, east):
    """Whatever dimensions and longitudes are called, across the dateline too: the pixels inside, no other."""
    chl = chl_map((1, 16, 48), lat=5.0, lon=-181.0)
    chl = chl.assign_coords(lon=(chl.lon + 180) % 360 - 180).sortby("lon")
    found = opened_in(tmp_path, LAYOUTS[layout](chl.to_dataset()), "--region", "5.2", "5.5", f"{west}", f"{east}")
    eastward = (chl.lon - west) % 360
    inside = chl.where((eastward < (east - west) % 360) & (chl.lat > 5.2) & (chl.lat < 5.5), drop=True)
    if layout == "other dimensions":
        found = found.rename(y="lat", x="lon").rename_vars(nav_lat="lat", nav_lon="lon")
    steps = np.diff((found.lon - west) % 360)
    assert (steps < 0).all() if layout == "longitudes fall" else (steps > 0).all()
    inside = inside.assign_coords(lon=(inside.lon - west) % 360).sortby("lon")
    found = found.CHL.assign_coords(lon=(found.lon - west) % 360).sortby("lat").sortby("lon")
    np.testing.assert_allclose(found.lat, inside.lat, rtol=1e-6)
    np.testing.assert_allclose(found.lon, inside.lon, atol=1e-4)
    assert same(found, inside)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (["30", "45", "10", "30"], "which extends from 40.0208 to 40.4792 degrees north and from -39.9792 to -39.5208"),
        (["45", "30", "10", "30"], "SOUTH < NORTH"),
        (["30", "45", "10", "10"], "WEST unequal EAST"),
        (["30", "45", "nan", "10"], "WEST unequal EAST"),
    ],
)
def test_a_region_that_cannot_be_is_told(tmp_path, region, words):
    """A region outside of the map or without an inside ends the command."""
    with pytest.raises(ValueError, match=words):
        opened_in(tmp_path, named_otherwise(chl_map((1, 12, 12)).to_dataset()), "--region", *region)


def test_all_variables_that_are_named_are_cut(tmp_path):
    """Region and time cut predictors and errors as well, and an empty dimension of another variable does not matter."""
    chl = chl_map((3, 12, 12))
    sst = chl.rename("SST", lat="latitude", lon="longitude")
    ds = xr.merge([chl, sst]).assign(empty=("nothing", np.zeros(0)))
    cut = ["--region", "40.1", "40.4", "-39.9", "-39.6", "--time", "2015-03-14", "2015-03"]
    found = opened_in(tmp_path, ds, "--cond", "SST", *cut)
    wanted = chl.sel(time=slice("2015-03-14", "2015-03"), lat=slice(40.1, 40.4), lon=slice(-39.9, -39.6))
    assert same(found.CHL, wanted)
    assert same(found.SST, wanted)


TIMES = {
    "as it is": lambda ds: ds,
    "newest first": lambda ds: ds.isel(time=slice(None, None, -1)),
    "another dimension": lambda ds: ds.rename_dims(time="t").reset_index("time"),
    "cftime": lambda ds: ds.assign_coords(time=ds.time.convert_calendar("noleap").time),
}


@pytest.mark.parametrize("layout", TIMES)
@pytest.mark.parametrize(
    ("first", "last", "kept"),
    [("2015-03-14", "2015-03-22", 2), ("2015-03", "2015-03", 4), ("2015-04", "2016", 2), ("2015-03-30T12", "2015", 2)],
)
def test_time_is_cut_by_dates(tmp_path, layout, first, last, kept):
    """In any order, calendar and dimension; a month or a year stands for all of it."""
    found = opened_in(tmp_path, TIMES[layout](chl_map((6, 4, 4)).to_dataset()), "--time", first, last)
    assert found.time.size == kept
    ends = [str(each) for each in np.sort(found.time.dt.strftime("%Y-%m-%dT%H").values)[[0, -1]]]
    assert first <= ends[0]
    assert ends[1][: len(last)] <= last


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2015-03-10", "2015-04-10", "'CHL' has no time"),
        ("10 March", "2015-04-10", "--time expects dates"),
        ("2015-13", "2015-04-10", "--time expects dates"),
        ("2016", "2015-04-10", "found 2016 after 2015-04-10"),
    ],
)
def test_time_that_cannot_be_is_told(tmp_path, first, last, words):
    """A map without time, what is no date, dates the wrong way round."""
    ds = chl_map((1, 4, 4)).isel(time=0, drop=True).to_dataset()
    with pytest.raises(ValueError, match=words):
        opened_in(tmp_path, ds, "--time", first, last)


@pytest.mark.parametrize("frame", [[0], 0])
def test_one_date(tmp_path, frame):
    """A map of one date, without a dimension of time too, is inside or outside of the time asked for."""
    ds = chl_map((1, 4, 4)).isel(time=frame).to_dataset()
    assert "CHL" in opened_in(tmp_path / "inside", ds, "--time", "2015", "2015")
    with pytest.raises(ValueError, match="which has 2015-03-06T00:00:00"):
        opened_in(tmp_path / "outside", ds, "--time", "2016", "2016")


def test_region_and_time_of_maps_with_other_dimensions(tmp_path, capsys):
    """The whole command on what has other names and another order; what cannot be filled is an error of one line."""
    chl = chl_map((4, 12, 12))
    ds = named_otherwise(chl.isel(time=slice(None, None, -1)).to_dataset())
    ds.to_netcdf(tmp_path / "in.nc")
    command = ["fill", str(tmp_path / "in.nc"), "--var", "CHL", "--method", "background"]
    cut = ["--region", "40.2", "41", "320.2", "321", "--time", "2015-03-10", "2015-04"]
    assert main([*command, *cut, "--out", str(tmp_path / "out.nc")]) == 0
    wanted = chl.sel(time=slice("2015-03-10", "2015-04"), lat=slice(40.2, 41), lon=slice(-39.8, -39))
    with xr.open_dataset(tmp_path / "out.nc") as found:
        assert same(found.CHL.sortby("time"), wanted.gapfill.background())
    assert main([*command, "--time", "2016", "2016", "--out", str(tmp_path / "out.nc")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_version(capsys):
    """Name and version, nothing else."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"xgapfill {xgapfill.__version__}\n"


def test_a_reader_that_goes_away():
    """``xgapfill methods | head -0`` ends without a word."""
    command = [sys.executable, "-W", "ignore", "-m", "xgapfill.cli", "methods"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (141, b"")


def test_how_a_file_is_understood(store, capsys):
    """Each variable has the rows of its accessor; a variable that cannot be filled fails only if it is named."""
    assert main(["info", store]) == 0
    out = capsys.readouterr().out
    assert "CHL, chlorophyll in mg m-3, filled as log10_chl" in out
    assert "<xgapfill: PSC>" in out
    ds = xr.open_zarr(store, chunks=None, consolidated=False)
    assert main(["info", store, "--var", "CHL"]) == 0
    words = repr(ds.CHL.gapfill).replace("in memory", "in a file, lazily")
    assert capsys.readouterr().out.split("values")[0] == words.split("values")[0]
    assert main(["info", store, "--var", "SST"]) == 2
    assert "has no variable 'SST'; it has" in capsys.readouterr().err


def test_debug_shows_where(tmp_path, capsys, monkeypatch):
    """One line without it; with it the traceback, and the same line. What nobody foresaw has another exit status."""
    missing = str(tmp_path / "missing.nc")
    assert main(["info", missing]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["info", missing, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setattr(commands, "read", lambda path: 1 / 0)
    assert main(["info", missing]) == 1
    assert capsys.readouterr().err == "xgapfill: ZeroDivisionError: division by zero (--debug shows where)\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are those of POSIX")
def test_colours_only_on_a_terminal(tmp_path):
    """An error is red on a terminal, plain in a file, and plain where NO_COLOR is set."""
    import pty

    def said(terminal: bool, **more: str) -> bytes:
        command = [sys.executable, "-m", "xgapfill.cli", "info", str(tmp_path / "missing.nc")]
        ours, theirs = pty.openpty() if terminal else os.pipe()
        try:
            subprocess.run(command, stdout=theirs, stderr=theirs, env={**os.environ, **more}, check=False)
            return os.read(ours, 10_000)
        finally:
            os.close(ours)
            os.close(theirs)

    assert said(True).startswith(b"\033[1;31mxgapfill:\033[0m ")
    assert said(False).startswith(b"xgapfill: ")
    assert said(True, NO_COLOR="1").startswith(b"xgapfill: ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="completes in bash")
def test_completion(capsys, tmp_path):
    """Bash completes commands and arguments after the script is read."""
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)

    def completed(*words: str) -> set[str]:
        lines = f"source {tmp_path / 'script'}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}"
        ended = subprocess.run(
            ["bash", "-c", f"{lines}; _shtab_xgapfill; echo ${{COMPREPLY[@]}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return set(ended.stdout.split())

    assert completed("xgapfill", "fi") == {"fill", "fit"}
    assert completed("xgapfill", "fill", "--max") == {"--max-gap", "--max-distance"}


def test_a_warning_is_one_line(tmp_path, capsys):
    """What the package warns of is printed without a place in its code."""
    file = tmp_path / "one.nc"
    chl_map((1, 12, 14)).to_netcdf(file)
    assert main(["info", str(file)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "period" in line]
    assert len(lines) == 1
    assert lines[0].startswith("xgapfill: the period of the only map of 'CHL'")
