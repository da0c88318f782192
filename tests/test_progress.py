"""A bar moves while a block is filled, shows itself only where somebody looks, and ends with its run."""

from __future__ import annotations

import contextlib
import io
import sys
from concurrent.futures import ThreadPoolExecutor

import dask
import pytest
from maps import Quick, chl_map, same

import xgapfill
from xgapfill.blocks import progress


@pytest.fixture
def bars(monkeypatch):
    """Bars that are shown, at once and in full."""
    import tqdm.auto

    made = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options | {"mininterval": 0.0, "delay": 0.0, "file": io.StringIO()})
            self.seen = [self.n]
            made.append(self)

        def update(self, n=1):
            super().update(n)
            self.seen.append(self.n)

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    return made


@pytest.fixture
def chl():
    """Twenty windows or so."""
    return chl_map((6, 96, 96))


def test_one_block_moves_the_bar(chl, bars):
    """Batches of windows count; the end is one block."""
    with xgapfill.set_options(progress=True):
        found = chl.gapfill.fill(Quick()).compute()
    (bar,) = bars
    assert same(found, chl.gapfill.fill(Quick()))
    assert bar.seen == sorted(bar.seen)
    assert len({round(n, 6) for n in bar.seen}) > 4
    assert bar.n == bar.total == 1
    assert not progress._meters
    assert " windows" in bar.postfix


@pytest.mark.parametrize("chunks", [None, {"time": 2, "lat": 50, "lon": 50}])
def test_compute_knows_how_many_blocks_there_are(chl, bars, chunks):
    """Of a window, those that it needs; of results derived from it as well."""
    with xgapfill.set_options(block=(3, 48, 48)):
        lazy = (chl if chunks is None else chl.chunk(chunks)).gapfill.fill(Quick(), full=True)
    with xgapfill.set_options(progress=True):
        lazy.compute()
        (lazy.CHL[:3, :48] * 2).compute()
        lazy.mean().compute(scheduler="sync")
    assert [bar.total for bar in bars] == [8, 2, 8]
    assert [bar.n for bar in bars] == pytest.approx([8, 2, 8])
    assert not progress._meters


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_write_shows_one_bar(chl, tmp_path, bars, scheduler):
    """Windows and blocks in one bar, from what was done before on."""
    with xgapfill.set_options(block=(3, 48, 48)):
        lazy = chl.gapfill.fill(Quick(), full=True)
    with dask.config.set(scheduler=scheduler):
        xgapfill.write(lazy, tmp_path / "a.zarr", progress=True)
        xgapfill.write(lazy, tmp_path / "a.zarr", progress=True)
    assert [(bar.total, bar.seen[0], bar.n) for bar in bars] == [(8, 0, 8), (8, 8, 8)]
    assert bars[0].seen == sorted(bars[0].seen)
    assert len({round(n, 6) for n in bars[0].seen}) > 16


def test_nothing_is_shown_where_nobody_looks(chl, tmp_path, bars, monkeypatch):
    """Not in scripts with output to a file, and not when switched off; on terminals and in notebooks otherwise."""
    lazy = chl.gapfill.fill(Quick())
    lazy.compute()
    xgapfill.write(lazy, tmp_path / "a.zarr")
    assert all(bar.disable for bar in bars)
    assert not progress.shown(None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress.shown(None)
    assert not progress.shown(False)
    with xgapfill.set_options(progress=False):
        assert not progress.shown(None)
        assert progress.shown(True)


def test_a_run_that_ends_early_takes_its_bar_with_it(chl, bars):
    """After an error, and after another run that nobody closed."""

    class Failing(Quick):
        def fill(self, *arguments):
            raise OSError("no such luck")

    with xgapfill.set_options(progress=True):
        with pytest.raises(OSError, match="no such luck"):
            chl.gapfill.fill(Failing()).compute()
        assert not progress._meters
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda lazy: lazy.compute(), [chl.gapfill.fill(Quick()), chl[:3].gapfill.fill(Quick())]))
        with contextlib.suppress(OSError):
            chl.gapfill.fill(Failing()).compute()
    assert all(bar.n <= bar.total for bar in bars)
