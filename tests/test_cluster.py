"""A dask cluster of processes gives the same bits, also when a worker dies; weights travel as their name."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import time
import warnings

import pytest
import xarray as xr
import zarr
from maps import Quick, chl_map, same
from test_stores import InMemory

import xgapfill
from xgapfill.cli import main
from xgapfill.methods import Repaint
from xgapfill.options import OPTIONS
from xgapfill.testing import tiny_weights

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def client():
    """Two processes of one thread."""
    quiet = {"dashboard_address": ":0", "silence_logs": logging.ERROR}
    local = distributed.LocalCluster(n_workers=2, threads_per_worker=1, **quiet)
    with local as cluster, distributed.Client(cluster) as made:
        yield made


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A store of CHL, cut in small blocks."""
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))
    chl_map((9, 40, 60)).to_dataset().to_zarr(tmp_path / "in.zarr", consolidated=False)
    return xr.open_zarr(tmp_path / "in.zarr", chunks=None, consolidated=False)


def test_weights_travel_as_their_name(source, tmp_path, client):
    """A graph of little bytes; each process loads the weights once and uses one torch thread; the bits of threads."""
    name = tiny_weights("chl").save(tmp_path / "tiny")
    options = {"weights": name, "members": 2}
    lazy = source.CHL.isel(time=slice(3)).gapfill.fill(Repaint(((20.0, 1.0), (1.0, 0.0))), **options)
    assert len(pickle.dumps(lazy)) < name.stat().st_size / 2
    client.run(count_loads)
    with warnings.catch_warnings(action="error", category=UserWarning):
        written = xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert list(client.run(loads).values()) == [1, 1]
    assert set(client.gather(client.map(torch_threads, range(8)))) == {1}
    assert same(written.CHL, lazy.compute(scheduler="threads"))


def count_loads():
    from xgapfill.weights import store

    load, store.counted = store.load, []

    def counting(*arguments):
        store.counted.append(arguments)
        return load(*arguments)

    store.load = counting


def loads():
    from xgapfill.weights import store

    return len(store.counted)


def torch_threads(_):
    import torch

    return torch.get_num_threads()


class Slow(Quick):
    """Takes its time, so that there is some to kill a worker in."""

    def fill(self, *arguments):
        """As `Quick`."""
        time.sleep(0.2)
        return super().fill(*arguments)


def test_a_killed_worker_loses_nothing(source, tmp_path, client):
    """Its blocks are computed again by others; the store is that of an undisturbed run, file by file."""
    lazy = source.CHL.gapfill.fill(Slow(), full=True)
    killed = []

    def kill():
        while len(killed) < 2:
            time.sleep(1.0)
            pid = next(iter(client.run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    written = xgapfill.write(lazy, tmp_path / "killed.zarr", progress=False)
    killer.join()
    assert killed
    expected = lazy.compute(scheduler="threads")
    assert all(same(written[name], expected[name]) for name in expected)
    assert (zarr.open_group(tmp_path / "killed.zarr")["xgapfill_run/done"][:] == 1).all()


def test_a_store_that_one_process_writes(source, client):
    """Workers compute, the process that called writes: to a dictionary of its own."""
    store = InMemory()
    lazy = source.CHL.gapfill.fill(Quick())
    assert same(xgapfill.write(lazy, store, progress=False).CHL, lazy.compute(scheduler="threads"))
    assert store.noted[-1] == 12


def test_netcdf(source, tmp_path, client):
    """Workers gather the blocks, one process writes the file."""
    lazy = source.CHL.gapfill.fill(Quick())
    assert same(xgapfill.write(lazy, tmp_path / "out.nc", progress=False).CHL, lazy.compute(scheduler="threads"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.zarr", "out.nc"]


def test_the_command_line_makes_a_cluster_or_uses_one(source, tmp_path, client, capsys):
    """--workers and --scheduler give what threads give."""
    expected = source.CHL.gapfill.interpolate().compute(scheduler="threads")
    command = ["fill", str(tmp_path / "in.zarr"), "--var", "CHL", "--method", "interpolate"]
    assert main([*command, "--out", str(tmp_path / "a.zarr"), "--scheduler", client.scheduler.address]) == 0
    assert main([*command, "--out", str(tmp_path / "b.zarr"), "--workers", "2"]) == 0
    for name in ("a.zarr", "b.zarr"):
        assert same(xr.open_zarr(tmp_path / name, chunks=None, consolidated=False).CHL, expected)
    assert main([*command, "--out", str(tmp_path / "c.zarr"), "--workers", "2", "--scheduler", "tcp://here"]) == 2
    assert "one of them" in capsys.readouterr().err
