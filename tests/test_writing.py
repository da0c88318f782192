"""Results are written block by block; runs that die are resumed, other runs are refused."""

from __future__ import annotations

import _thread
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from maps import Quick, chl_map, psc_map, same

import xgapfill
from xgapfill.options import OPTIONS
from xgapfill.stores import Blocks
from xgapfill.stores import run as running
from xgapfill.stores import zarr as stores


@pytest.fixture
def source(tmp_path):
    """A store with CHL and PSC of 9 frames, opened without dask."""
    chl = chl_map((9, 40, 60))
    xr.merge([psc_map(chl), chl]).assign_coords(size_class=np.array(["micro", "nano", "pico"], object)).to_zarr(
        tmp_path / "in.zarr", consolidated=False
    )
    return xr.open_zarr(tmp_path / "in.zarr", chunks=None, consolidated=False)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks small enough that a small map has several."""
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))


def test_what_is_written_is_what_was_lazy(source, tmp_path):
    """Values, names, coordinates and attributes; zarr v3, one shard per block, no warning; netCDF for a name in .nc."""
    lazy = source.PSC.gapfill.fill(Quick(), cond=source.CHL, full=True)
    with warnings.catch_warnings(action="error"):
        written = xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert not any(each.variable._in_memory for each in written.data_vars.values())
    expected = lazy.compute()
    for name, each in expected.data_vars.items():
        assert same(written[name], each)
        assert written[name].attrs.keys() == each.attrs.keys()
        assert all(np.array_equal(written[name].attrs[key], value) for key, value in each.attrs.items())
    assert list(written.size_class.values) == ["micro", "nano", "pico"]
    array = zarr.open_group(tmp_path / "out.zarr")["PSC"]
    assert array.metadata.zarr_format == 3
    assert array.shards[-3:] == (3, 20, 30)
    assert array.chunks[-3:] == (1, 20, 30)
    with warnings.catch_warnings(action="error"):
        plain = xgapfill.write(source.CHL.gapfill.fill(Quick()), tmp_path / "out.nc", progress=False)
    assert same(plain.CHL, source.CHL.gapfill.fill(Quick()))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.zarr", "out.nc", "out.zarr"]


def test_blocks_that_share_chunks_are_computed_beside_each_other(source, tmp_path, monkeypatch):
    """Of dask input, neighbours come together, each block once; what is written is the same."""
    monkeypatch.setattr(running, "NEIGHBOURS", (2, 1))
    together, compute = [], running._compute
    monkeypatch.setattr(running, "_compute", lambda *given: together.append(len(given[2])) or compute(*given))
    lazy = source.chunk({"time": 2, "lat": 15, "lon": 25}).CHL.gapfill.fill(Quick())
    written = xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert together == [2] * 4 + [1] * 4  # 3 x 2 x 2 blocks
    assert same(written.CHL, source.CHL.gapfill.fill(Quick()))
    blocks = Blocks(("time", "lat", "lon"), (tuple(range(10)), tuple(range(6)), tuple(range(5))), "time")
    pending = np.flatnonzero(np.arange(180) % 7 != 0)
    monkeypatch.setattr(running, "NEIGHBOURS", (8, 4))
    parts = running.parts(blocks, pending, True)
    assert sorted(number for part in parts for number in part) == pending.tolist()
    places = [np.array(np.unravel_index(part, blocks.shape)) for part in parts]
    assert all((np.ptp(place, axis=1) < (8, 4, 4)).all() for place in places)
    assert running.parts(blocks, pending, False) == [pending.tolist()]


def test_a_run_is_resumed_and_others_are_refused(source, tmp_path, monkeypatch):
    """Done blocks are not computed again; another method, weights or input does not mix in."""
    store = tmp_path / "out.zarr"
    lazy = source.CHL.gapfill.fill(Quick())
    monkeypatch.setattr(running, "AT_ONCE", 1)  # one after the other
    with dying_after(3), pytest.raises(OSError, match=r"No space left.* free disk space"):
        xgapfill.write(lazy, store, progress=False)
    assert int(zarr.open_group(store)["xgapfill_run/done"][:].sum()) == 3
    with pytest.raises(ValueError, match="another run"):
        xgapfill.write(source.CHL.gapfill.fill(Quick(), max_gap=30), store)
    with counted() as written_blocks:
        written = xgapfill.write(source.CHL.gapfill.fill(Quick()), store, progress=False)
        assert len(written_blocks) == 12 - 3
        assert same(written.CHL, lazy)
        xgapfill.write(lazy, store, progress=False)
        assert len(written_blocks) == 12 - 3


@contextlib.contextmanager
def counted():
    """Numbers of the blocks that are written, and the first frame asked for."""
    numbers, write = [], running.WriteBlock.__call__

    def call(self, number, first, values):
        numbers.append((number, first))
        return write(self, number, first, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.WriteBlock, "__call__", call)
        yield numbers


@contextlib.contextmanager
def dying_after(count, how=None):
    """A store that is full (or anything else that happens) after a number of blocks."""
    with counted() as numbers:
        write = running.WriteBlock.__call__

        def call(self, number, first, values):
            if len(numbers) == count:
                if how is None:
                    with running.writing(self.store.name, self.blocks.words(number)):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                how()
            return write(self, number, first, values)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running.WriteBlock, "__call__", call)
            yield numbers


def test_a_longer_series_goes_on(source, tmp_path):
    """Old frames outside the halo stay as they are, to the bit; all others are those of a fresh run."""
    store = tmp_path / "out.zarr"
    whole = source.CHL.gapfill.fill(Quick(), full=True)
    xgapfill.write(source.isel(time=slice(7)).CHL.gapfill.fill(Quick(), full=True), store, progress=False, append=True)
    root = zarr.open_group(store)
    root["CHL"][:3] = 7.0  # would show if it was computed again: the end reaches back 4 frames, from frame 3 on
    root["CHL_status"][3:7] = 9
    with counted() as blocks:
        written = xgapfill.write(whole, store, progress=False, append=True)
    assert sorted(blocks) == [(number, 3) for number in range(4, 12)]
    expected = whole.compute()
    assert (written.CHL[:3] == 7.0).all()
    assert all(same(written[name][3:], expected[name][3:]) for name in expected)
    assert list(written.time.values) == list(source.time.values)
    fresh = xgapfill.write(whole, tmp_path / "fresh.zarr", progress=False)
    assert written.attrs == fresh.attrs
    assert all(str(written[name].attrs) == str(fresh[name].attrs) for name in fresh.variables)
    with counted() as blocks:
        xgapfill.write(whole, store, progress=False)
        xgapfill.write(whole, store, progress=False, append=True)
    assert blocks == []


def test_growing_survives_being_killed(source, tmp_path, monkeypatch):
    """Cut short at any step, the same call goes on; so does a call with a still longer series."""
    parts = [source.CHL.isel(time=slice(n)).gapfill.fill(Quick()) for n in (4, 6, 9)]
    expected = parts[-1].compute()
    monkeypatch.setattr(running, "AT_ONCE", 1)
    for step in range(6):
        store = tmp_path / f"{step}.zarr"
        xgapfill.write(parts[0], store, progress=False)
        with pytest.MonkeyPatch.context() as patch:
            if step == 0:
                patch.setattr(stores, "_grow", dies)
            elif step == 1:
                patch.setattr(stores, "_template", dies)
            with contextlib.ExitStack() as dying:
                if step > 1:
                    dying.enter_context(dying_after(step - 1))
                with pytest.raises(OSError, match="repeat the call to resume"):
                    xgapfill.write(parts[1], store, progress=False, append=True)
        if step % 2:
            xgapfill.write(parts[1], store, progress=False)
        assert same(xgapfill.write(parts[2], store, progress=False, append=True).CHL, expected)


def dies(*arguments):
    raise OSError(errno.EIO, "gone")


def test_what_cannot_go_on(source, tmp_path):
    """Another method, other places or times, whole-series methods and computed results are refused."""
    store = tmp_path / "out.zarr"
    short = source.isel(time=slice(6))
    xgapfill.write(short.CHL.gapfill.fill(Quick()), store, progress=False)
    wrong = {
        "other coordinates, weights, parameters": source.CHL.gapfill.fill(Quick(scale=0.5)),
        "unmodified result": source.CHL.gapfill.fill(Quick()) * 2,
        "variables or version": source.CHL.isel(lat=slice(30)).gapfill.fill(Quick()),
        "of the first 6 frames": source.CHL.isel(time=slice(1, None)).gapfill.fill(Quick()),
        "at most 3 frames": source.CHL.isel(time=slice(3)).gapfill.fill(Quick()),
        "change all others": source.CHL.gapfill.climatology(),
    }
    for words, lazy in wrong.items():
        with pytest.raises(ValueError, match=words):
            xgapfill.write(lazy, store, progress=False, append=True)
    with pytest.raises(ValueError, match="give one of them"):
        xgapfill.write(source.CHL.gapfill.fill(Quick()), store, progress=False, append=True, resume=False)
    with pytest.raises(ValueError, match="one go"):
        xgapfill.write(source.CHL.gapfill.fill(Quick()), tmp_path / "out.nc", append=True)
    assert same(
        xgapfill.write(short.CHL.gapfill.fill(Quick()), store, progress=False).CHL, short.CHL.gapfill.fill(Quick())
    )


def test_a_run_that_was_killed_at_its_very_beginning(source, tmp_path):
    """A folder with a half-written file or an empty group counts as nothing; anything else is not touched."""
    lazy = source.CHL.gapfill.fill(Quick())
    zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "zarr.0.partial").touch()
    for name in ("a.zarr", "b.zarr"):
        xgapfill.write(lazy.isel(time=slice(3)), tmp_path / name, progress=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "final.tex").touch()
    with pytest.raises(ValueError, match="not written by xgapfill"):
        xgapfill.write(lazy, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "final.tex").exists()


def test_a_disk_that_is_full_and_a_store_that_cannot_be_written(source, tmp_path):
    """A clear error, nothing half-written, and the same call goes on."""
    lazy = source.CHL.gapfill.fill(Quick())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot be written"):
        xgapfill.write(lazy, tmp_path / "file" / "out.zarr", progress=False)
    with small_files(2000), pytest.raises(OSError, match="free disk space"):  # metadata fit, blocks do not
        xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert same(xgapfill.write(lazy, tmp_path / "out.zarr", progress=False).CHL, lazy)
    assert list((tmp_path / "out.zarr").rglob("*.partial")) == []


@contextlib.contextmanager
def small_files(size):
    """A disk on which longer files do not fit; the test is skipped where no such limit can be set."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_the_input_is_not_written_over(source, tmp_path):
    """A netCDF file or store that is read cannot be the result as well: an error says so and it stays as it was."""
    plain = source.drop_vars("size_class").load()
    for variable in plain.variables.values():
        variable.encoding.clear()
    file, folder = tmp_path / "own.nc", tmp_path / "own.zarr"
    plain.to_netcdf(file)
    plain.to_zarr(folder, consolidated=False)
    opened = ((file, xr.open_dataset(file)), (folder, xr.open_zarr(folder, chunks=None, consolidated=False)))
    for place, given in opened:
        with pytest.raises(ValueError, match=r"give the result another name|give another store"):
            xgapfill.write(given.CHL.gapfill.fill(Quick()), place)
        given.close()
    xr.testing.assert_identical(xr.load_dataset(file).CHL, plain.CHL)


@pytest.mark.parametrize("kind", ["zarr", "nc"])
def test_an_input_that_changes_is_noticed(source, tmp_path, monkeypatch, kind):
    """What was written since it was last looked at is done again, once the input is as it was."""
    file = tmp_path / "in.zarr"
    if kind == "nc":
        file = tmp_path / "in.nc"
        source.drop_vars("size_class").to_netcdf(file)
        source = xr.open_dataset(file)
    one = file if kind == "nc" else next(each for each in file.glob("CHL/c/**/*") if each.is_file())
    stat = one.stat()
    lazy = source.CHL.gapfill.fill(Quick())
    monkeypatch.setattr(running, "AT_ONCE", 1)
    with dying_after(2, lambda: os.utime(one, ns=(0, 10**18))), pytest.raises(OSError, match="has changed"):
        xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with counted() as blocks:
        assert same(xgapfill.write(lazy, tmp_path / "out.zarr", progress=False).CHL, lazy)
    assert len(blocks) == 12 - 2


@pytest.fixture
def interruptible():
    """Interrupts arrive, also where the tests run in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_loses_nothing(source, tmp_path):
    """Ctrl-C stops the run; what is written stays."""
    lazy = source.CHL.gapfill.fill(Quick())
    with dying_after(3, _thread.interrupt_main), pytest.raises(KeyboardInterrupt):
        xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    with counted() as blocks:
        assert same(xgapfill.write(lazy, tmp_path / "out.zarr", progress=False).CHL, lazy)
    assert len(blocks) <= 12 - 2


def test_progress_says_how_much_is_done_and_empty(source, tmp_path, capsys):
    """Blocks, windows and the share of blocks without anything."""
    observed = source.CHL.where(source.lon > -38.75)
    inland = observed.assign_coords(lat=source.lat + 5.0, lon=source.lon + 100.0)
    xgapfill.write(inland.gapfill.fill(Quick()), tmp_path / "out.zarr", progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "12.0/12 blocks" in last
    assert " windows" in last
    assert "50% empty" in last


def test_what_cannot_be_written(source, tmp_path):
    """Foreign stores, computed results and other objects are refused with a reason."""
    source.to_zarr(tmp_path / "foreign.zarr", consolidated=False)
    lazy = source.CHL.gapfill.fill(Quick())
    with pytest.raises(ValueError, match="not written by xgapfill"):
        xgapfill.write(lazy, tmp_path / "foreign.zarr")
    with pytest.raises(TypeError, match="computed already"):
        xgapfill.write(lazy.compute(), tmp_path / "a.zarr")
    with pytest.raises(TypeError, match="expected a DataArray or Dataset"):
        xgapfill.write(lazy.data, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="same chunks along"):
        xgapfill.write(xr.Dataset({"a": lazy, "b": lazy.chunk(time=1)}), tmp_path / "a.zarr")


SCRIPT = """
import sys, xarray as xr, xgapfill
xgapfill.set_options(block=(3, 20, 30))
ds = xr.open_zarr(sys.argv[1], chunks=None, consolidated=False)
xgapfill.write(ds.PSC.gapfill.background(cond=ds.CHL, full=True), sys.argv[2], progress=False)
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_twenty_times(source, tmp_path):
    """SIGKILL at random moments; the store ends up equal to one of an undisturbed run, metadata and all."""
    rng = np.random.default_rng(0)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "in.zarr")]
    start = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "whole.zarr")], check=True)
    whole = time.perf_counter() - start
    kills = 0
    while kills < 20:
        process = subprocess.Popen([*command, str(tmp_path / "killed.zarr")])
        try:
            process.wait(rng.uniform(0.5, 1.0) * whole)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        kills += 1
    subprocess.run([*command, str(tmp_path / "killed.zarr")], check=True)
    files = [
        sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("whole.zarr", "killed.zarr")
    ]
    assert files[0] == files[1]
    for file in files[0]:
        whole_file, killed_file = (tmp_path / name / file for name in ("whole.zarr", "killed.zarr"))
        if file.name == "zarr.json":  # an input that is not consolidated lists its variables in any order
            assert json.loads(whole_file.read_text()) == json.loads(killed_file.read_text()), file
        elif whole_file.is_file():
            assert whole_file.read_bytes() == killed_file.read_bytes(), file
