"""Compute and write the blocks of a run: on threads or on a cluster, with progress, while the input stays the same."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from dask.array.optimization import optimize
from dask.base import compute_as_if_collection, get_scheduler
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from xgapfill.blocks.stop import running, wait_for_abandoned
from xgapfill.stores.base import DONE, NEW_FRAMES, Blocks, State, Store, WriteError, writing
from xgapfill.stores.lock import Lock

AT_ONCE = 2048  # blocks handed to the scheduler together
# Where blocks share chunks of dask input, so many neighbours along time and the other dimensions, on this machine: of
# more, dask would hold many chunks until the last block that needs them; of fewer, chunks would be read more often.
NEIGHBOURS = (8, 4)
LOOK_SECONDS = 10.0  # between two looks at the input
NOTE_SECONDS = 1.0  # between two notes of what is done
STOP_SECONDS = 60.0  # that an interrupted run waits at most for its tasks, which end after a pass of a network or so
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class WriteBlock:
    """Writes one block of every variable; the same again if it is asked to again."""

    store: Store
    blocks: Blocks
    names: tuple[str, ...]
    dims: tuple[tuple[Hashable, ...], ...]
    run: str  # token of the run that the store must be of
    lock: Lock | None  # that the run must hold

    def __call__(self, number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, bool]:
        """Write from a frame on; return the number of the block and whether nothing is in it."""
        with running() as task:
            task.check(at_once=True)  # the store may be another run's by now
            with self.guarded(self.blocks.words(number)):
                self._write(number, first, values)
        return number, all(each.dtype.kind == "f" and bool(np.isnan(each).all()) for each in values[:1])

    def _write(self, number: int, first: int, values: list[NDArray[Any]]) -> None:
        for name, dims, each in zip(self.names, self.dims, values, strict=True):
            regions = self.blocks.regions(number, dims, first)
            last = (slice(None) if part.stop is None else slice(part.start - part.stop, None) for part in regions)
            self.store.write(name, regions, each[tuple(last)])

    @contextmanager
    def guarded(self, where: str = "") -> Iterator[None]:
        """Write in here only to the store of this run, after other threads if it takes one at a time."""
        alone: Any = nullcontext() if self.store.workers else _ONE_AT_A_TIME
        with writing(self.store.name, where), alone:
            self.check()
            try:
                yield
            except OSError:
                self.check()  # it may have been removed just now
                raise

    def check(self) -> None:
        """WriteError where the store is not that of the run any more."""
        if self.lock is not None:
            self.lock.check()
        if not self.store.belongs_to(self.run):
            raise WriteError(f"{self.store.name} was replaced or removed while it was written: nothing more is written")


def hand_over(number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, int, list[NDArray[Any]]]:
    """Return a block from a worker to the process that writes it."""
    return number, first, values


class Watch:
    """Files that must not change while they are read."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = {file: _print(file) for file in files}
        self.looked = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() - self.looked > LOOK_SECONDS

    def changed(self) -> str | None:
        """Name of a file that is not what it was at first."""
        found = next((file for file, was in self.files.items() if _print(file) != was), None)
        self.looked = time.monotonic()
        return found


def _print(path: str) -> tuple[int, ...]:
    """Number, size and last change of the files under a path."""
    if not os.path.isdir(path):
        stat = os.stat(path) if os.path.exists(path) else None
        return (0,) if stat is None else (1, stat.st_size, stat.st_mtime_ns)
    found = [0, 0, 0]
    for folder, _, names in os.walk(path):
        for name in names:
            stat = os.stat(os.path.join(folder, name))
            found = [found[0] + 1, found[1] + stat.st_size, max(found[2], stat.st_mtime_ns)]
    return tuple(found)


class Progress:
    """What is done: moves the bar, notes it in the store, takes back what was read from an input that changed."""

    def __init__(self, write_block: WriteBlock, state: State, watch: Watch, bar: Any) -> None:
        self.write_block, self.state, self.watch, self.bar = write_block, state, watch, bar
        self.fresh: list[tuple[int, int]] = []  # blocks done since the input was last looked at, and what they were
        self.count = self.empty = 0
        self.noted = time.monotonic()

    def finished(self, number: int, empty: bool) -> None:
        """Take note of a block that is written."""
        self.fresh.append((number, int(self.state.blocks.flat[number])))
        self.state.blocks.flat[number] = DONE
        self.count, self.empty = self.count + 1, self.empty + empty
        self.bar.set_postfix_str(f"{self.empty / self.count:.0%} empty", refresh=False)
        self.bar.update()
        if self.watch.due():
            self.look()
        if time.monotonic() - self.noted > NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Write into the store what is done."""
        with self.write_block.guarded():
            self.write_block.store.note(self.state)
        self.noted = time.monotonic()

    def look(self) -> None:
        """OSError when the input has changed; blocks that were written since it was last looked at are to be done."""
        changed = self.watch.changed()
        if changed is None:
            self.fresh.clear()
            return
        for number, was in self.fresh:
            self.state.blocks.flat[number] = was
        raise OSError(
            f"{changed} has changed while it was read. The last {len(self.fresh)} blocks count as not done: put the "
            "file back as it was and make the same call to go on, or give another store for the new values"
        )


def run(
    write_block: WriteBlock,
    lazies: Mapping[str, xr.Variable],
    state: State,
    files: Sequence[str],
    shares: bool,
    progress: bool,
) -> None:
    """Compute and write the blocks that are not done, a few thousand at a time; fewer where they share chunks."""
    name = f"write-{uuid.uuid4().hex}"
    arrays = [each.data for each in lazies.values()]
    blocks = write_block.blocks
    task = write_block if write_block.store.workers or _client() is None else hand_over
    flat = state.blocks.ravel()
    pending = np.flatnonzero(flat != DONE)
    with _bar(flat.size, flat.size - pending.size, progress) as bar:
        noted = Progress(write_block, state, Watch(files), bar)
        try:
            for part in parts(blocks, pending, shares and _client() is None):
                tasks: dict[Any, Any] = {}
                for number in part:
                    beginning = state.first if state.blocks.flat[number] == NEW_FRAMES else 0
                    values = [blocks.key(number, each) for each in lazies.values()]
                    tasks[name, number] = (task, number, beginning, values)
                graph = HighLevelGraph.from_collections(name, tasks, dependencies=arrays)
                _compute(type(arrays[0]), graph, list(tasks), noted)
                noted.look()
        except BaseException:
            wait_for_abandoned(STOP_SECONDS)  # what is still being computed must not be written later
            raise
        finally:
            noted.note()


def parts(blocks: Blocks, pending: NDArray[np.intp], neighbours: bool) -> list[list[int]]:
    """Cut the numbers of blocks into parts that are computed one after the other."""
    if not neighbours:
        cut = [pending[start : start + AT_ONCE] for start in range(0, pending.size, AT_ONCE)]
    else:
        lengths = [NEIGHBOURS[0] if dim == blocks.time else NEIGHBOURS[1] for dim in blocks.dims] or [1]
        places = np.stack(np.unravel_index(pending, blocks.shape or (1,)), axis=-1) // lengths
        _, group = np.unique(places, axis=0, return_inverse=True)
        cut = [pending[group.ravel() == number] for number in np.unique(group)]
    return [[int(number) for number in part] for part in cut]


def _client() -> Any:
    """The client of a cluster, if there is one."""
    client = getattr(get_scheduler(), "__self__", None)
    return client if "distributed" in sys.modules and isinstance(client, sys.modules["distributed"].Client) else None


def _compute(kind: type, graph: HighLevelGraph, keys: list[Any], noted: Progress) -> None:
    client, write_block = _client(), noted.write_block
    if client is None:
        here = {} if write_block.store.workers else {"scheduler": "threads"}
        with _Ticks(noted, keys[0][0]):
            compute_as_if_collection(kind, graph, keys, **here)
        return
    from distributed import as_completed

    futures = client.get(optimize(graph, keys), keys, sync=False)
    try:
        for future in as_completed(futures):
            result = future.result()
            noted.finished(*(result if write_block.store.workers else write_block(*result)))
            future.release()
    finally:
        client.cancel(futures)


class _Ticks(Callback):
    """Takes note of a block when it is written."""

    def __init__(self, noted: Progress, wanted: str) -> None:
        super().__init__()
        self.noted, self.wanted = noted, wanted

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        if isinstance(key, tuple) and key[0] == self.wanted:
            self.noted.finished(*result)


@contextmanager
def _bar(total: int, done: int, shown: bool) -> Iterator[Any]:
    """A bar with rate, share of empty blocks and time left; in a log file, a line twice a minute."""
    from tqdm.auto import tqdm

    every = 0.5 if sys.stderr.isatty() else 30.0
    with tqdm(total=total, initial=done, unit="block", disable=not shown, smoothing=0.05, mininterval=every) as bar:
        yield bar
