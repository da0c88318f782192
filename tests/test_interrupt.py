"""After Ctrl-C, or when a block fails, nothing goes on being computed or written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dask
import pytest
import zarr
from maps import Quick, chl_map, same

import xgapfill
from xgapfill import fill
from xgapfill.blocks import stop

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
SECONDS = 5.0  # within which everything ends


@dataclass(frozen=True)
class Slow(Quick):
    """Takes its time over each batch, and says when it is at work."""

    last = [0.0]  # noqa: RUF012

    def fill(self, *arguments):
        """As `Quick`."""
        Slow.last[0] = time.monotonic()
        time.sleep(0.25)
        return super().fill(*arguments)


@pytest.fixture(autouse=True)
def interruptible():
    """Tests may run in the background of a shell, where signals of Ctrl-C are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def chl():
    """One block of many windows: more than ten seconds of `Slow`."""
    return chl_map((12, 144, 144))


def interrupt_after(seconds):
    """Ctrl-C for the main thread, as the kernel of a notebook gets it."""
    main = threading.main_thread().ident
    timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()


def quiet():
    """Whether `Slow` has stopped."""
    time.sleep(1.0)
    return time.monotonic() - Slow.last[0] > 0.8


@pytest.mark.parametrize("threads", [1, 2])
def test_compute_ends_soon_after_an_interrupt(chl, threads):
    """The main thread goes on with the next cell; threads that were filling a block stop between windows."""
    lazy = chl.gapfill.fill(Slow())
    interrupt_after(1.0)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), dask.config.set(num_workers=threads):
        lazy.compute()
    stop.wait_for_abandoned(SECONDS)
    assert time.monotonic() - began < 1.0 + SECONDS
    assert quiet()


def test_write_ends_and_writes_no_more(chl, tmp_path, monkeypatch):
    """When `write` has raised, no task of it is left: another store of that name is not touched."""
    lazy = fill(chl, Slow(), seed=0)
    interrupt_after(1.0)
    with pytest.raises(KeyboardInterrupt):
        xgapfill.write(lazy, tmp_path / "out.zarr", progress=False)
    assert not stop._running
    assert quiet()
    assert not zarr.open_group(tmp_path / "out.zarr")["xgapfill_run/done"][:].any()


def test_a_block_that_fails_stops_the_others(chl):
    """An error ends the run, not only its block."""

    @dataclass(frozen=True)
    class Failing(Slow):
        def fill(self, *arguments):
            if len(Slow.last) > 1:
                raise OSError("no such luck")
            return super().fill(*arguments)

    with xgapfill.set_options(block=(12, 72, 144)):
        lazy = chl.gapfill.fill(Failing())
    timer = threading.Timer(0.5, Slow.last.append, [0.0])
    timer.start()
    try:
        with pytest.raises(OSError, match="no such luck"):
            lazy.compute()
        assert quiet()
    finally:
        del Slow.last[1:]


def test_runs_beside_each_other_are_not_stopped(chl):
    """A run that ends, well or not, does not end another one of this process."""
    small = chl.isel(lat=slice(48), lon=slice(96))
    expected = small.gapfill.fill(Quick()).values
    with ThreadPoolExecutor(3) as pool:
        lazies = [small.isel(time=slice(n)).gapfill.fill(Slow()) for n in (12, 3, 6)]
        found = list(pool.map(lambda lazy: lazy.compute(), lazies))
    assert same(found[0], expected)
    assert not stop._running


def test_nested_and_other_schedulers_compute_as_usual(chl):
    """In one thread, in processes, and inside a task of dask."""
    small = chl.isel(time=slice(3), lat=slice(48), lon=slice(48))
    lazy, expected = small.gapfill.fill(Quick()), small.gapfill.fill(Quick()).values
    with dask.config.set(scheduler="sync"):
        assert same(lazy, expected)
    assert same(dask.delayed(lambda: lazy.compute().values)().compute(), expected)


SCRIPT = """
import sys, time
import maps, test_interrupt, xgapfill
lazy = maps.chl_map((12, 144, 144)).gapfill.fill(test_interrupt.Slow())
print("begun", flush=True)
try:
    xgapfill.write(lazy, sys.argv[1], progress=False) if len(sys.argv) > 1 else lazy.compute()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("written", [True, False])
def test_a_script_ends_soon_after_a_signal(tmp_path, written):
    """The process ends, threads and all, within seconds of SIGINT."""
    arguments = [str(tmp_path / "out.zarr")] if written else []
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    try:
        rest, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert rest == "interrupted\n"
