"""A store is one class: which store a name stands for, who may write to it, and one from outside the package."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
import warnings

import dask
import fsspec
import numpy as np
import pytest
import xarray as xr
from maps import Quick, chl_map, same
from test_writing import counted, dying_after, small_files

import xgapfill
from xgapfill.blocks.source import ReadError
from xgapfill.options import OPTIONS
from xgapfill.stores import Blocks, State, Store, lock, store_of
from xgapfill.stores import run as running
from xgapfill.stores.netcdf import Netcdf
from xgapfill.stores.zarr import Zarr


@pytest.fixture
def lazy(tmp_path, monkeypatch):
    """A fill of 12 blocks of a store."""
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))
    chl_map((9, 40, 60)).to_dataset().to_zarr(tmp_path / "in" / "in.zarr", consolidated=False)
    ds = xr.open_zarr(tmp_path / "in" / "in.zarr", chunks=None, consolidated=False)
    return ds.CHL.gapfill.fill(Quick())


class InMemory(Store):
    """Arrays in a dictionary."""

    def begin(self, template, blocks, run, *, resume, append):
        """Make empty arrays."""
        self.template, self.threads, self.noted = template, set(), []
        self.arrays = {n: np.zeros(v.shape, v.dtype) for n, v in template.variables.items() if v.chunks is not None}
        return State.of_nothing(blocks)

    def write(self, name, region, values):
        """Write a part of an array."""
        before = self.busy = threading.get_ident()
        time.sleep(0.001)
        self.arrays[name][region] = values
        assert self.busy == before

    def note(self, state):
        """Remember how much was done."""
        self.noted.append(int(state.blocks.sum()))

    def dataset(self):
        """The template with values."""
        return self.template.assign({n: self.template[n].copy(data=a) for n, a in self.arrays.items()})


def test_a_store_from_outside_the_package(lazy):
    """A subclass with begin, write and dataset is all it takes; one thread at a time writes to it."""
    store = InMemory()
    written = xgapfill.write(lazy, store, progress=False)
    assert written.CHL.variable._in_memory
    assert same(written.CHL, lazy)
    assert store.noted[-1] == 12
    with pytest.raises(ValueError, match="in one go"):
        xgapfill.write(lazy, store, append=True)
    with pytest.raises(ValueError, match="storage_options are for URLs"):
        xgapfill.write(lazy, store, storage_options={"anon": True})


@pytest.mark.parametrize("suffix", [".zarr", ".ZARR", "", ".nc", ".nc4", ".cdf", ".netcdf", ".NC"])
def test_the_end_of_a_name_says_which_store(tmp_path, suffix):
    """Of a path as of a URL; a number in a name is no suffix."""
    kind = Zarr if suffix.lower() in ("", ".zarr") else Netcdf
    for place in (tmp_path / f"out{suffix}", f"{tmp_path}/out{suffix}", f"file://{tmp_path}/out{suffix}"):
        assert store_of(place) == kind(str(tmp_path / f"out{suffix}"))
    assert store_of(f"s3://bucket/out{suffix}", {"anon": True}) == kind(f"s3://bucket/out{suffix}", (("anon", True),))
    assert isinstance(store_of(tmp_path / "fill-1.2"), Zarr)
    assert store_of(f"{tmp_path}/out.zarr/") == Zarr(str(tmp_path / "out.zarr"))


def test_names_that_are_no_store(lazy, tmp_path):
    """Refused at the call, with what may be given; nothing is made."""
    for name in ("out.tif", "out.csv", "out.zarr.zip", "out.h5"):
        with pytest.raises(ValueError, match=r"\.zarr, \.nc, \.nc4"):
            xgapfill.write(lazy, tmp_path / name)
    with pytest.raises(ValueError, match="is empty"):
        xgapfill.write(lazy, "")
    with pytest.raises(ValueError, match="on this machine"):
        xgapfill.write(lazy, tmp_path / "out.zarr", storage_options={"anon": True})
    with pytest.raises(TypeError, match="found dict"):
        xgapfill.write(lazy, {})
    with pytest.raises(FileNotFoundError, match=r"absent/out\.nc cannot be written: there is no folder"):
        xgapfill.write(lazy, tmp_path / "absent" / "out.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("name", ["out.zarr", "out.nc"])
def test_the_home_folder_may_be_a_tilde(lazy, tmp_path, monkeypatch, name):
    """As text or as a path; nothing is made where the call is made from."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    assert same(xgapfill.write(lazy, f"~/{name}", progress=False).CHL, lazy)
    assert [path.name for path in home.iterdir()] == [name]
    assert list(here.iterdir()) == []


def test_the_store_opens_without_a_warning_and_in_order(lazy, tmp_path):
    """Metadata are in one place; variables come in the order of what was lazy; also after it has become longer."""
    for frames in (6, 9):
        part = (
            xr.open_zarr(tmp_path / "in" / "in.zarr", chunks=None, consolidated=False)
            .CHL[:frames]
            .gapfill.fill(Quick())
        )
        part = part.to_dataset().assign(zonal=("lon", np.arange(60)), alone=((), 1.0))[["zonal", "CHL", "alone"]]
        with warnings.catch_warnings(action="error"):
            written = xgapfill.write(part, tmp_path / "out.zarr", append=True, progress=False)
            found = xr.open_zarr(tmp_path / "out.zarr")
            also = xr.open_dataset(tmp_path / "out.zarr", engine="zarr")
            tree = xr.open_datatree(tmp_path / "out.zarr", engine="zarr")
        for each in (written, found, also, tree.to_dataset()):
            assert list(each.data_vars) == ["zonal", "CHL", "alone"]
            assert list(each.coords) == list(part.coords)
            assert each.sizes["time"] == frames
        assert same(found.CHL, part.CHL)


def test_a_store_that_is_being_made_longer_can_be_opened(lazy, tmp_path):
    """Its gathered metadata go before its arrays change, and come back when it is whole."""
    ds = xr.open_zarr(tmp_path / "in" / "in.zarr", chunks=None, consolidated=False)
    xgapfill.write(ds.CHL[:6].gapfill.fill(Quick()), tmp_path / "out.zarr", progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xgapfill.stores.zarr._template", fails)
        with pytest.raises(KeyError):
            xgapfill.write(lazy, tmp_path / "out.zarr", progress=False, append=True)
    root = json.loads((tmp_path / "out.zarr" / "zarr.json").read_text())
    assert root.get("consolidated_metadata") is None
    assert same(xgapfill.write(lazy, tmp_path / "out.zarr", progress=False, append=True).CHL, lazy)


def test_nothing_half_written_is_left_of_a_failed_beginning(lazy, tmp_path, monkeypatch):
    """Neither a store nor a lock."""
    for kind, name in ((Zarr, "out.zarr"), (Netcdf, "out.nc")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("xgapfill.stores.zarr._template", fails)
            with pytest.raises(KeyError):
                xgapfill.write(lazy, tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == ["in"], kind


def fails(*arguments):
    raise KeyError("no")


def test_a_full_disk_and_a_netcdf_file(lazy, tmp_path):
    """The error names file and block, no file is there; the same call goes on and leaves nothing else behind."""
    out = tmp_path / "out"
    out.mkdir()
    with dying_after(3), pytest.raises(OSError, match=r"out\.nc cannot be written \(No space.*block \d+ \(time \d:\d"):
        xgapfill.write(lazy, out / "a.out.nc", progress=False)
    assert not (out / "a.out.nc").exists()
    failing = pytest.raises(OSError, match=r"out\.nc cannot be written")
    with small_files(60_000), counted() as blocks, failing:  # blocks fit, the file does not
        xgapfill.write(lazy, out / "a.out.nc", progress=False)
    assert 0 < len(blocks) < 12
    assert not (out / "a.out.nc").exists()
    with counted() as blocks:
        assert same(xgapfill.write(lazy, out / "a.out.nc", progress=False).CHL, lazy)
    assert blocks == []
    assert [path.name for path in out.iterdir()] == ["a.out.nc"]
    (out / ".a.out.nc.0123.part").touch()  # of a run that was killed
    other = lazy.isel(time=slice(3))
    with dying_after(1), pytest.raises(OSError):
        xgapfill.write(lazy, out / "a.out.nc", progress=False)
    assert same(xgapfill.write(other, out / "a.out.nc", progress=False).CHL, other)  # what was gathered is of no use
    assert [path.name for path in out.iterdir()] == ["a.out.nc"]


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("kind", ["zarr", "nc"])
def test_a_damaged_chunk_of_the_input(lazy, tmp_path, kind, chunks):
    """The error names the file, the place in it and the block, of files and of dask; no file is left half-written."""
    file = tmp_path / "in" / f"damaged.{kind}"
    chl = chl_map((9, 40, 60)).to_dataset()
    if kind == "zarr":
        chl.to_zarr(file, consolidated=False, encoding={"CHL": {"chunks": (3, 20, 30)}})
        damage(file / "CHL" / "c" / "2" / "1" / "1", 0)
        ds = xr.open_zarr(file, chunks=chunks, consolidated=False)
    else:
        chl.to_netcdf(file, encoding={"CHL": {"chunksizes": (3, 20, 30), "zlib": True, "fletcher32": True}})
        damage(file, 0.9)
        ds = xr.open_dataset(file, chunks=chunks)
    words = rf"damaged\.{kind}.*cannot be read.* needed by block \d+ \(time \d:\d, .*of .*out\.nc; written blocks"
    with pytest.raises(ReadError, match=words) as caught:
        xgapfill.write(ds.CHL.gapfill.fill(Quick()), tmp_path / "out.nc", progress=False)
    assert (" at time " in str(caught.value)) == (chunks is None) != ("open_dataset-CHL" in str(caught.value))
    assert not (tmp_path / "out.nc").exists()


def damage(file, where):
    content = bytearray(file.read_bytes())
    start = int(len(content) * where)
    content[start : start + 100] = np.random.default_rng(0).bytes(100)
    file.write_bytes(content)


def test_a_method_that_fails(tmp_path):
    """Its error is the one that it raised, with a note that names the block."""

    class Failing(Quick):
        def fill(self, *arguments):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        xgapfill.write(chl_map((9, 40, 60)).gapfill.fill(Failing()), tmp_path / "out.zarr", progress=False)
    (note,) = caught.value.__notes__
    assert note.startswith("This happened while block 0 (time 0:9) of ")


@pytest.mark.parametrize("name", ["out.zarr", "out.nc"])
def test_two_runs_do_not_share_a_store(lazy, tmp_path, name, monkeypatch):
    """The second gets an error that names the writer, and disturbs nothing; the lock goes with the run."""
    seen = []

    def meanwhile():
        with pytest.raises(OSError, match=rf"being written by another call: process {os.getpid()} on .* remove .*lock"):
            xgapfill.write(lazy, tmp_path / name, progress=False)
        seen.append(json.loads((tmp_path / f"{name}.lock").read_text()))

    check = running.WriteBlock.check
    monkeypatch.setattr(running.WriteBlock, "check", lambda self: (seen or meanwhile(), check(self)))
    assert same(xgapfill.write(lazy, tmp_path / name, progress=False).CHL, lazy)
    assert seen[0]["host"] == socket.gethostname()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", name]


def test_the_lock_of_a_killed_run_is_taken_over(lazy, tmp_path):
    """At once where its process was on this machine; of another machine, when it has been silent for long."""
    file = tmp_path / "out.zarr.lock"
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    dead = {"token": "x", "host": socket.gethostname(), "pid": gone, "since": "then", "beat": time.time()}
    far = dead | {"host": "elsewhere"}
    silent = far | {"beat": time.time() - 2 * lock.DEAD_SECONDS}
    for content in (json.dumps(dead), json.dumps(silent), json.dumps(dead | {"pid": os.getpid()}), "", "[]", '{"tok'):
        file.write_text(content)
        with lock.locked(str(tmp_path / "out.zarr"), {}) as held:
            held.check()
        assert not file.exists()
    file.write_text(json.dumps(far))
    with pytest.raises(OSError, match=r"process .* on elsewhere, since then, alive"):
        xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert json.loads(file.read_text()) == far


def test_signs_of_life(tmp_path, monkeypatch):
    """The lock says that its run lives, until another has taken it."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    file = tmp_path / "out.zarr.lock"
    with lock.locked(str(tmp_path / "out.zarr"), {}) as held:
        first = json.loads(file.read_text())["beat"]
        end = time.time() + 5
        while json.loads(file.read_text())["beat"] == first and time.time() < end:
            time.sleep(0.02)
        assert json.loads(file.read_text())["beat"] > first
        file.write_text(json.dumps({"token": "another", "pid": 1, "host": "h", "since": "now", "beat": time.time()}))
        with pytest.raises(OSError, match="its lock has process 1 on h"):
            held.check()
    assert json.loads(file.read_text())["token"] == "another"


def test_a_run_that_lost_its_store_writes_nothing_more(lazy, tmp_path):
    """Taken over, removed, or replaced by a store of another run: blocks are not written, and the error says why."""
    other = xgapfill.write(lazy * 2, tmp_path / "other.zarr", progress=False).load()
    store = tmp_path / "out.zarr"

    def removed():
        shutil.rmtree(store)

    def replaced():
        removed()
        shutil.copytree(tmp_path / "other.zarr", store)

    def unlocked():
        (tmp_path / "out.zarr.lock").unlink()

    for happens, words in ((removed, "was replaced"), (replaced, "was replaced"), (unlocked, "its lock is gone")):
        one = dask.config.set(scheduler="synchronous")
        with one, dying_after(4, happens), pytest.raises(OSError, match=words):
            xgapfill.write(lazy, store, progress=False)
        if happens is replaced:
            xr.testing.assert_identical(xr.open_zarr(store).load(), other)
        shutil.rmtree(store, ignore_errors=True)


def test_a_late_block_of_an_interrupted_run_is_not_written(lazy, tmp_path):
    """A thread that goes on after the call has ended writes neither into the store nor into its successor."""
    kept, write = [], running.WriteBlock.__call__

    def keep(self, number, first, values):
        kept.append((self, number, first, [np.zeros_like(each) for each in values]))
        if len(kept) == 3:
            raise KeyboardInterrupt
        return write(self, number, first, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.WriteBlock, "__call__", keep)
        with pytest.raises(KeyboardInterrupt):
            xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    for _ in range(2):
        for arguments in kept:
            with pytest.raises(OSError, match="no longer written by this run"):
                write(*arguments)
        assert same(xgapfill.write(lazy, tmp_path / "out.zarr", progress=False).CHL, lazy)


@pytest.mark.parametrize("name", ["out.zarr", "out.nc"])
def test_a_file_system_behind_a_url(lazy, tmp_path, name):
    """Lock, resumption and netCDF work there as well; nothing else is left there, nor here."""
    url = f"memory://{tmp_path.name}/{name}"
    files = fsspec.filesystem("memory")
    with dying_after(3), pytest.raises(OSError, match="No space left"):
        xgapfill.write(lazy, url, progress=False)
    holder = {"token": "x", "host": "elsewhere", "pid": 1, "since": "then", "beat": time.time()}
    files.pipe_file(f"/{tmp_path.name}/{name}.lock", json.dumps(holder).encode())
    with pytest.raises(OSError, match="process 1 on elsewhere"):
        xgapfill.write(lazy, url, progress=False)
    files.rm(f"/{tmp_path.name}/{name}.lock")
    with counted() as blocks:
        assert same(xgapfill.write(lazy, url, progress=False).CHL, lazy)
    assert 0 < len(blocks) < 12
    assert [path.rpartition("/")[2] for path in files.ls(f"/{tmp_path.name}", detail=False)] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_blocks_have_names(lazy):
    """Number and indices."""
    blocks = Blocks.of({"CHL": lazy.variable}, "time", None)
    assert blocks.words(11) == "block 11 (time 6:9, lat 20:40, lon 30:60)"
    assert Blocks((), (), None).words(0) == "the only block"
