"""Methods of whole series are fitted as part of the lazy result; foreign methods need no registration."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

import dask
import numpy as np
import pytest
import xarray as xr
from maps import (
    FIVE_CHUNKINGS,
    chl_map,
    chunked,
    peak_memory,
    psc_map,
    raise_if_dask_computes,
    same,
    virtual_chl,
)

import xgapfill
from xgapfill.inputs.read import read
from xgapfill.kernel import sample as fitting
from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled
from xgapfill.methods import kohonen
from xgapfill.methods.base import SeriesMethod
from xgapfill.options import OPTIONS
from xgapfill.weights import Card, Weights


@dataclass(frozen=True)
class Mean(SeriesMethod):
    """The mean of each channel over the sample."""

    name: ClassVar[str] = "mean"
    takes_prior: ClassVar[bool] = False
    draws: ClassVar[bool] = False

    def tiling(self, ncols, slots):
        """Whole series of 32 x 32 pixels."""
        return Tiling(ncols, size=(1, 32, 32), stride=(1, 32, 32), series=slots)

    def fit(self, series):
        """Mean of the observations."""
        assert np.array_equal(series.slots, np.arange(series.slots[0], series.slots[-1] + 1))
        assert not series.values[~series.observed].any()
        mean = series.values.sum(axis=(1, 2), dtype=np.float64) / series.observed.sum(axis=(1, 2))
        targets, conditions = series.channels[: series.targets], series.channels[series.targets :]
        return Weights(Card(name="mean", method="mean", targets=targets, conditions=conditions), {"mean": mean})

    def fill(self, windows, weights, noise, members):
        """The mean everywhere; every window is a whole series."""
        mean = weights.arrays["mean"].astype(np.float32)[None, None, :, None, None]
        return Filled(np.broadcast_to(mean, windows.values.shape)[None], np.ones_like(windows.values))


def test_a_fit_is_part_of_the_lazy_result():
    """Nothing is computed on call, the fitted state fills, and given weights give the same."""
    chl = chl_map((7, 40, 70))
    with raise_if_dask_computes():
        lazy = chl.chunk(time=2).gapfill.fill(Mean())
    logs = np.log10(chl.values[np.isfinite(chl.values)].astype(np.float64))
    gap = chl.isnull().values
    assert np.allclose(lazy.values[gap], 10 ** logs.mean(), rtol=1e-5)
    weights = chl.gapfill.fit(Mean())
    assert same(chl.gapfill.fill(Mean(), weights=weights), lazy)


@pytest.mark.parametrize("sample_bytes", [OPTIONS["sample_bytes"], 20_000])
@pytest.mark.parametrize("variable", ["CHL", "PSC"])
def test_fits_do_not_depend_on_chunks_order_or_origin(variable, sample_bytes, tmp_path, monkeypatch):
    """The same bits for five chunkings, from a file, with latitude turned over and dimensions in another order."""
    monkeypatch.setitem(OPTIONS, "sample_bytes", sample_bytes)
    chl = chl_map((5, 34, 70))
    target, cond = (chl, None) if variable == "CHL" else (psc_map(chl), chl)
    expected = target.gapfill.fill(Mean(), cond=cond).compute()
    for chunks in FIVE_CHUNKINGS:
        result = chunked(target, chunks).gapfill.fill(Mean(), cond=None if cond is None else chunked(cond, chunks))
        assert same(result, expected)
    ds = xr.merge([target] if cond is None else [target, cond])
    ds.to_zarr(tmp_path / "maps.zarr", consolidated=False)
    opened = xr.open_zarr(tmp_path / "maps.zarr", chunks=None, consolidated=False)
    assert same(opened[target.name].gapfill.fill(Mean(), cond=None if cond is None else opened["CHL"]), expected)
    turned = target.isel(lat=slice(None, None, -1)).transpose("lon", ...)
    result = turned.gapfill.fill(Mean(), cond=None if cond is None else cond.isel(lat=slice(None, None, -1)))
    assert same(result.transpose(*target.dims).isel(lat=slice(None, None, -1)), expected)


def test_the_sample_is_bounded_and_chosen_by_address():
    """Bands of rows and columns, no more than asked for; a larger map has those of its part as long as they fit."""
    grid = read(chl_map((3, 64, 128))).grid
    rows, cols = fitting.sample_places(grid, 64 * 128)
    assert rows.tolist() == sorted(grid.rows)
    assert cols.size == 128
    rows, cols = fitting.sample_places(grid, 2000)
    assert 256 <= rows.size * cols.size <= 2000
    assert set(rows) <= set(grid.rows)
    assert [part.tolist() for part in fitting.sample_places(grid, 2000)] == [rows.tolist(), cols.tolist()]


def test_a_task_a_block_and_one_fit():
    """The fit is one task that blocks wait for."""
    chl = chl_map((4, 130, 130))
    graph = dict(chl.gapfill.fill(Mean()).data.__dask_graph__())
    fits = [key for key in graph if "_Fit" in str(key)]
    assert len(fits) == 1
    assert dask.base.tokenize(chl.gapfill.fill(Mean())) == dask.base.tokenize(chl.gapfill.fill(Mean()))


def test_a_fit_now_can_be_interrupted(monkeypatch):
    """`fit` runs where Ctrl-C arrives, in the thread that calls it, and leaves the map of the epochs so far."""
    chl = chl_map((6, 40, 40))
    step, calls, threads = kohonen.batch_update, [], []

    def interrupted(*given):
        threads.append(threading.current_thread())
        calls.append(0)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(kohonen, "batch_update", interrupted)
    weights = psc_map(chl).gapfill.fit("som", cond=chl, rows=4, cols=4, epochs=9)
    assert set(threads) == {threading.main_thread()}
    assert np.isfinite(psc_map(chl).gapfill.som(chl, weights=weights)).all()
    with pytest.raises(KeyboardInterrupt):
        psc_map(chl).gapfill.fit("som", cond=chl, rows=4, cols=4)


def test_only_series_methods_are_fitted():
    """A method without fit says so."""
    with pytest.raises(TypeError, match="has no fit"):
        xgapfill.fit(chl_map((2, 4, 4)), "background")


def test_a_large_series_is_read_twice_with_the_same_result(monkeypatch):
    """Chunks of a large dask array are computed by the tasks of the large scale; the fit is the same."""
    chl = chl_map((12, 30, 40)).chunk(time=5, lat=17, lon=13)
    expected = xgapfill.fit(chl, "dineof", modes=2)
    monkeypatch.setattr(fitting, "HELD", 0)
    found = xgapfill.fit(chl, "dineof", modes=2)
    assert all(same(found.arrays[name], expected.arrays[name]) for name in expected.arrays)


# all of it sea, since a window need not have observed every pixel
FILL = """
filled = chl.gapfill.fill(xgapfill.methods.find("{}"), sea=(chl.lat + chl.lon).notnull())
assert int(filled.count()) == filled.size
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "script",
    [
        'xgapfill.fit(chl, "dineof", modes=3)',
        'xgapfill.fit(chl, "som", rows=4, cols=4)',
        FILL.format("climatology"),
        FILL.format("regression"),
        "xgapfill.season(chl).compute()",
    ],
    ids=["dineof", "som", "climatology", "regression", "season"],
)
def test_long_series_stream(script):
    """On a virtual array of 3.8 GB in many small chunks a fit, a season, or a fill by window, takes less than 2 GB."""
    assert virtual_chl().nbytes > 3.7e9
    assert peak_memory(script) < 2
