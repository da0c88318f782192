"""Stores on an object store: a real S3 server on this machine."""

from __future__ import annotations

import warnings

import pytest
import xarray as xr
from maps import Quick, chl_map, same
from test_writing import counted, dying_after

import xgapfill
from xgapfill.cli import main
from xgapfill.options import OPTIONS
from xgapfill.stores import run as running

server = pytest.importorskip("moto.server", reason="needs moto[server]")
pytest.importorskip("s3fs", reason="needs s3fs")
pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(monkeypatch):
    """URL of an empty bucket that the usual environment variables lead to."""
    running_server = server.ThreadedMotoServer(port=0, verbose=False)
    running_server.start()
    host, port = running_server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("xgapfill")
    yield "s3://xgapfill"
    running_server.stop()


def test_a_run_on_s3(bucket, tmp_path, monkeypatch):
    """Read from and written to URLs, broken off and resumed, made longer, and from the command line; no warnings."""
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 30))
    chl = chl_map((9, 40, 60))
    chl.to_dataset().to_zarr(f"{bucket}/in.zarr", consolidated=False)
    source = xr.open_zarr(f"{bucket}/in.zarr", chunks=None, consolidated=False)
    store, options = f"{bucket}/out.zarr", {"client_kwargs": {"region_name": "us-east-1"}}
    short = source.CHL.isel(time=slice(7)).gapfill.fill(Quick())
    with monkeypatch.context() as patch:
        patch.setattr(running, "AT_ONCE", 1)
        with dying_after(5), pytest.raises(OSError, match="No space left"):
            xgapfill.write(short, store, storage_options=options, progress=False)
    with counted() as blocks, warnings.catch_warnings(action="error"):
        written = xgapfill.write(short, store, storage_options=options, progress=False)
        assert len(blocks) == 12 - 5
        assert same(written.CHL, short)
        whole = source.CHL.gapfill.fill(Quick())
        longer = xgapfill.write(whole, store, storage_options=options, progress=False, append=True)
        assert len(blocks) == 12 - 5 + 8
    assert same(longer.CHL, whole)
    plain = xgapfill.write(short, f"{bucket}/out.nc", storage_options=options, progress=False)
    assert same(plain.CHL, short)
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    assert sorted(files.ls("xgapfill")) == ["xgapfill/in.zarr", "xgapfill/out.nc", "xgapfill/out.zarr"]
    with pytest.raises(ValueError, match="not written by xgapfill"):
        xgapfill.write(whole, f"{bucket}/in.zarr", progress=False)
    cut = ["--var", "CHL", "--method", "interpolate", "--time", "2015-03-06", "2015-03-25"]
    assert main(["fill", f"{bucket}/in.zarr", *cut, "--out", f"{bucket}/cli.zarr"]) == 0
    found = xr.open_zarr(f"{bucket}/cli.zarr", chunks=None, consolidated=False)
    assert same(found.CHL, source.CHL.isel(time=slice(3)).gapfill.interpolate())
