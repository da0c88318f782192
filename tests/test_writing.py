"""Results are written block by block; runs that die are resumed, other runs are refused."""

from __future__ import annotations

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
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill import fill as fill_module
from xgapfill import writing


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
    monkeypatch.setattr(fill_module, "BLOCK", (3, 20, 30))


def test_what_is_written_is_what_was_lazy(source, tmp_path):
    """Values, names, coordinates and attributes; zarr v3, one shard a block, no warning; netCDF for a name in .nc."""
    lazy = source.PSC.gapfill.background(cond=source.CHL, full=True)
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
    plain = xgapfill.write(source.CHL.gapfill.background(), tmp_path / "out.nc")
    assert same(plain.CHL, source.CHL.gapfill.background())
    assert [file.name for file in tmp_path.glob("*.part")] == []


def test_a_run_is_resumed_and_others_are_refused(source, tmp_path, monkeypatch):
    """Done blocks are not computed again; another method, weights or input does not mix in."""
    store = tmp_path / "out.zarr"
    lazy = source.CHL.gapfill.background()
    calls = []
    monkeypatch.setattr(writing, "AT_ONCE", 1)  # one after the other

    def die(self, number, values, _write=writing._WriteBlock.__call__):
        calls.append(number)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return _write(self, number, values)

    monkeypatch.setattr(writing._WriteBlock, "__call__", die)
    with pytest.raises(OSError, match="No space left"):
        xgapfill.write(lazy, store, progress=False)
    done = int(zarr.open_group(store)["xgapfill_run/done"][:].sum())
    assert done == 3
    monkeypatch.undo()
    monkeypatch.setattr(fill_module, "BLOCK", (3, 20, 30))
    with pytest.raises(ValueError, match="another run"):
        xgapfill.write(source.CHL.gapfill.background(max_gap=30), store)
    before = len(calls)
    monkeypatch.setattr(
        writing._WriteBlock, "__call__", lambda s, n, v, w=writing._WriteBlock.__call__: (calls.append(n), w(s, n, v))
    )
    written = xgapfill.write(source.CHL.gapfill.background(), store, progress=False)
    assert len(calls) - before == 12 - done
    assert same(written.CHL, lazy)
    xgapfill.write(lazy, store, progress=False)
    assert len(calls) - before == 12 - done


def test_what_cannot_be_written(source, tmp_path):
    """Foreign stores, computed results and other objects are refused with a reason."""
    source.to_zarr(tmp_path / "foreign.zarr", consolidated=False)
    lazy = source.CHL.gapfill.background()
    with pytest.raises(ValueError, match="not written by xgapfill"):
        xgapfill.write(lazy, tmp_path / "foreign.zarr")
    with pytest.raises(TypeError, match="computed already"):
        xgapfill.write(lazy.compute(), tmp_path / "a.zarr")
    with pytest.raises(TypeError, match="Dataset is wanted"):
        xgapfill.write(lazy.data, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="other blocks"):
        xgapfill.write(xr.Dataset({"a": lazy, "b": lazy.chunk(time=1)}), tmp_path / "a.zarr")


SCRIPT = """
import sys, xarray as xr, xgapfill
from xgapfill import fill
fill.BLOCK = (3, 20, 30)
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
        if whole_file.is_file():
            assert whole_file.read_bytes() == killed_file.read_bytes(), file
