"""What is read from outside is known by its files: another name when they change, and no store of two states."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from maps import Quick, chl_map, same
from test_writing import counted, dying_after

import xgapfill
from xgapfill.blocks import inputs
from xgapfill.blocks.inputs import Chunks, File, found_at
from xgapfill.blocks.source import source_of
from xgapfill.options import OPTIONS
from xgapfill.stores import run as running
from xgapfill.stores import watch as watching

DIMS = ("time", "lat", "lon")
CHUNKS = {"CHL": {"chunks": (2, 20, 30)}}
LAYOUTS = {
    "v2": {"zarr_format": 2, "encoding": CHUNKS, "consolidated": True},
    "v3": {"zarr_format": 3, "encoding": CHUNKS, "consolidated": False},
    "sharded": {"zarr_format": 3, "encoding": {"CHL": {"chunks": (1, 10, 15), "shards": (2, 20, 30)}}},
}


@pytest.fixture
def maps():
    """Nine frames, and the same with another value in the last one."""
    first = chl_map((9, 40, 60)).to_dataset()
    other = first.copy(deep=True)
    other.CHL[-1, -1, -1] = 0.5
    return first, other


def opened(folder: Path, kind: str) -> xr.Variable:
    """Open what `write` wrote, in a way that users do."""
    if kind == "zip":
        store = zarr.storage.ZipStore(folder / "in.zip", mode="r")
        return xr.open_zarr(store, chunks=None, consolidated=False).CHL.variable
    if kind in ("nc", "nc dask"):
        return xr.open_dataset(folder / "in.nc", chunks=None if kind == "nc" else {}).CHL.variable
    if kind == "many nc":
        return xr.open_mfdataset(str(folder / "in*.nc"), combine="nested", concat_dim="time").CHL.variable
    if kind == "delayed":
        read = dask.delayed(np.load, pure=True)(str(folder / "in.npy"))
        return xr.Variable(DIMS, da.from_delayed(read, (9, 40, 60), "f4"))
    if kind == "memmap":
        array = np.memmap(folder / "in.raw", "f4", "r", shape=(9, 40, 60))
        return xr.Variable(DIMS, da.from_array(array, chunks=(3, 40, 60)))
    if kind == "from_zarr":
        return xr.Variable(DIMS, da.from_zarr(str(folder / "in.zarr"), component="CHL"))
    if kind == "from_array":
        return xr.Variable(DIMS, da.from_array(zarr.open(folder / "in.zarr")["CHL"], inline_array=True, name="same"))
    url = f"file://{folder / 'in.zarr'}" if kind == "url" else folder / "in.zarr"
    chunks = {} if kind == "dask" else {"time": 4} if kind == "coarse" else None
    return xr.open_zarr(url, chunks=chunks, consolidated=False).CHL.variable


def write(ds: xr.Dataset, folder: Path, kind: str, layout: str = "v3") -> None:
    """Write the values of a dataset where `opened` finds them, over what was there."""
    if kind == "zip":
        with zarr.storage.ZipStore(folder / "in.zip", mode="w") as store:
            ds.to_zarr(store, zarr_format=3, consolidated=False)
    elif "nc" in kind:
        parts = {"in.nc": slice(6), "in_more.nc": slice(6, None)} if "many" in kind else {"in.nc": slice(None)}
        for file, part in parts.items():  # one that is open cannot be written to
            ds.isel(time=part).to_netcdf(folder / f"new_{file}")
            os.replace(folder / f"new_{file}", folder / file)
    elif kind == "delayed":
        np.save(folder / "in.npy", ds.CHL.values)
    elif kind == "memmap":
        ds.CHL.values.tofile(folder / "in.raw")
    elif (folder / "in.zarr").exists():
        array = zarr.open_group(folder / "in.zarr", mode="r+")["CHL"]
        same_there = (array[:] == ds.CHL.values) | (np.isnan(array[:]) & np.isnan(ds.CHL.values))
        for at in np.argwhere(~same_there):
            array[tuple(at)] = ds.CHL.values[tuple(at)]  # of the other chunks no file is touched
    else:
        ds.to_zarr(folder / "in.zarr", **LAYOUTS[layout])


ZARR = ["plain", "url", "dask", "coarse", "from_zarr", "from_array"]
CASES = [(kind, "v3") for kind in (*ZARR, "zip", "nc", "nc dask", "many nc", "delayed", "memmap")]
CASES += [(kind, layout) for kind in ("plain", "dask") for layout in ("v2", "sharded")]


def name(folder: Path, kind: str) -> str:
    """Token of a source."""
    return str(dask.base.tokenize(source_of(opened(folder, kind), DIMS)))


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize(("kind", "layout"), CASES)
def test_a_name_follows_the_values(maps, tmp_path, kind, layout):
    """Opened again it has the same name, with other values in the same place it has another."""
    write(maps[0], tmp_path, kind, layout)
    names = [name(tmp_path, kind), name(tmp_path, kind)]
    time.sleep(0.02)  # clocks of file systems are coarse
    write(maps[1], tmp_path, kind, layout)
    names += [name(tmp_path, kind), name(tmp_path, kind)]
    assert names[0] == names[1] != names[2] == names[3]
    assert all(not each.changed() for each in source_of(opened(tmp_path, kind), DIMS).inputs)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("kind", ["plain", "dask", "coarse"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_chunks_that_are_not_read_do_not_count(maps, tmp_path, kind, layout):
    """Of a window, only its chunks tell its name: a series may become longer while a run goes on."""
    write(maps[0], tmp_path, kind, layout)

    def tokens():
        variable = opened(tmp_path, kind)
        parts = (variable[:4], variable[-1:], variable[3:, ::-1][-1:, :, 50:])
        return [dask.base.tokenize(source_of(part, DIMS)) for part in parts]

    before = tokens()
    time.sleep(0.02)
    write(maps[1], tmp_path, kind, layout)
    assert [a == b for a, b in zip(before, tokens(), strict=True)] == [True, False, False]
    before = tokens()
    longer = maps[0].assign_coords(time=maps[0].time + np.timedelta64(72, "D"))
    longer.to_zarr(tmp_path / "in.zarr", append_dim="time", consolidated=False)
    assert dask.base.tokenize(source_of(opened(tmp_path, kind)[:4], DIMS)) == before[0] or kind != "plain"


def test_what_cannot_be_known_has_another_name_every_time(maps):
    """Stores in memory, arrays of unknown readers, and URLs that reveal nothing about their contents."""
    store: dict = {}
    maps[0].to_zarr(store, consolidated=False)

    class Reader:
        shape, dtype, ndim = (9, 40, 60), np.dtype("f4"), 3

        def __getitem__(self, key):
            return maps[0].CHL.values[key]

    for chunks in (None, {}):
        opened = xr.open_zarr(store, chunks=chunks, consolidated=False).CHL.variable
        assert source_of(opened, DIMS).token != source_of(opened, DIMS).token
    unknown = xr.Variable(DIMS, da.from_array(Reader(), chunks=(3, 40, 60), name="reader"))
    assert source_of(unknown, DIMS).token != source_of(unknown, DIMS).token
    assert source_of(unknown, DIMS).inputs == ()
    assert found_at(File("https://somewhere/a.nc")) is None


def test_computed_arrays_keep_the_names_of_dask(maps, tmp_path):
    """A computation on files and arrays in memory is known by both; a fill of a fill by what the first reads."""
    write(maps[0], tmp_path, "dask")
    chl = xr.open_zarr(tmp_path / "in.zarr", consolidated=False).CHL

    def token(array):
        return source_of(array.variable, DIMS).token

    assert token(chl * 2 + maps[0].CHL) == token(chl * 2 + maps[0].CHL)
    filled = chl.gapfill.fill(Quick())
    assert source_of(filled.variable, DIMS).inputs == source_of(chl.variable, DIMS).inputs
    assert len(source_of(filled.variable, DIMS).inputs) == 1


def test_the_last_values_are_filled_not_the_first(maps, tmp_path, monkeypatch):
    """Values rewritten in place: the same call gives the new fill, and `write` refuses the store of the old one."""
    write(maps[0], tmp_path, "plain")

    def lazy():
        return xr.open_zarr(tmp_path / "in.zarr", chunks=None, consolidated=False).CHL.gapfill.fill(Quick())

    xgapfill.write(lazy(), tmp_path / "out.zarr")
    time.sleep(0.02)
    write(maps[1], tmp_path, "plain")
    with pytest.raises(ValueError, match="another run"):
        xgapfill.write(lazy(), tmp_path / "out.zarr")
    assert same(xgapfill.write(lazy(), tmp_path / "new.zarr").CHL, maps[1].CHL.gapfill.fill(Quick()))


@pytest.mark.parametrize("kind", ["plain", "dask", "nc", "many nc"])
def test_a_run_is_not_resumed_on_other_values(maps, tmp_path, monkeypatch, kind):
    """An input that changed between a kill and the resume, or since the call, or while it runs, is an error."""
    write(maps[0], tmp_path, kind)

    def lazy():
        array = xr.DataArray(opened(tmp_path, kind), maps[0].CHL.coords, name="CHL", attrs=maps[0].CHL.attrs)
        return array.gapfill.fill(Quick())

    monkeypatch.setattr(running, "AT_ONCE", 1)
    monkeypatch.setattr(running, "NEIGHBOURS", (1, 1))
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))
    before = lazy()
    with dying_after(1), pytest.raises(OSError, match="No space"):
        xgapfill.write(before, tmp_path / "out.zarr")
    time.sleep(0.02)
    write(maps[1], tmp_path, kind)
    with pytest.raises(ValueError, match="another run"):
        xgapfill.write(lazy(), tmp_path / "out.zarr")
    with pytest.raises(OSError, match="has changed since the call"):
        xgapfill.write(before, tmp_path / "out.zarr")
    time.sleep(0.02)
    change = dying_after(1, lambda: write(maps[0], tmp_path, kind))
    with change, pytest.raises(OSError, match="has changed while it was read"):
        xgapfill.write(lazy(), tmp_path / "other.zarr")
    done = zarr.open_group(tmp_path / "other.zarr")["xgapfill_run/done"][:]
    assert (done == 1).sum() == 1


def test_a_look_that_takes_long_does_not_hold_up_a_run(maps, tmp_path, monkeypatch):
    """Looks are taken at the beginning, beside the run and at the end; how often depends on what they cost."""
    write(maps[0], tmp_path, "plain")
    looks = []

    def slow(self):
        looks.append(time.monotonic())
        time.sleep(0.3)
        return "1 1"

    monkeypatch.setattr(Chunks, "look", slow)
    monkeypatch.setattr(running, "AT_ONCE", 1)
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))
    lazy = opened_lazily(tmp_path).gapfill.fill(Quick())
    looks.clear()
    with counted() as blocks:
        xgapfill.write(lazy, tmp_path / "out.zarr")
    assert len(blocks) == 12
    assert len(looks) == 2
    found = watching.Watch(source_of(opened(tmp_path, "plain"), DIMS).inputs)
    monkeypatch.setattr(watching, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(watching, "SHARE", 0.5)
    looks.clear()
    with found:
        time.sleep(2.0)
    assert 2 <= len(looks) <= 4


def opened_lazily(folder: Path) -> xr.DataArray:
    """The map without dask."""
    return xr.open_zarr(folder / "in.zarr", chunks=None, consolidated=False).CHL


def test_a_look_holds_no_list_and_skips_what_is_not_read(tmp_path):
    """Folders of chunks that are not needed are not even opened; files that are no chunks do not count."""
    for t in range(20):
        (tmp_path / f"c/{t}").mkdir(parents=True)
        for y in range(5):
            (tmp_path / f"c/{t}/{y}").touch()
    every = Chunks(str(tmp_path)).look()
    (tmp_path / "zarr.json").touch()
    (tmp_path / "c/3/4.0f3a.partial").touch()
    assert Chunks(str(tmp_path)).look() == every
    assert every.startswith("100 ")
    opened, scandir = [], os.scandir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs.os, "scandir", lambda folder: opened.append(folder) or scandir(folder))
        assert Chunks(str(tmp_path), (frozenset({3}), frozenset({0, 1}))).look().startswith("2 ")
    assert len(opened) == 3
    shutil.rmtree(tmp_path / "c")
    assert Chunks(str(tmp_path)).look() == "0 0"


def test_each_place_is_looked_at_once_a_call(tmp_path, monkeypatch):
    """Size classes are parts of one array."""
    values = np.full((3, 9, 40, 60), 1 / 3, "f4")
    coords = {"size_class": np.array(["micro", "nano", "pico"], object), **chl_map((9, 40, 60)).coords}
    psc = xr.DataArray(values, coords, ("size_class", *DIMS), "PSC", {"units": "1"})
    psc.to_zarr(tmp_path / "in.zarr", consolidated=False)
    looks, look = [], Chunks.look
    monkeypatch.setattr(Chunks, "look", lambda self: looks.append(self) or look(self))
    for chunks in (None, {}):
        looks.clear()
        xr.open_zarr(tmp_path / "in.zarr", chunks=chunks, consolidated=False).PSC.gapfill.fill(Quick())
        assert len(looks) == len(set(looks)) <= 3
