"""Computes and writes the blocks of a run, on threads or on a cluster, with progress and a watch over the input."""

from __future__ import annotations

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

from xgapfill.blocks.inputs import Input
from xgapfill.blocks.progress import Meter, metering
from xgapfill.blocks.stop import running, wait_for_abandoned
from xgapfill.stores.base import DONE, NEW_FRAMES, Blocks, State, Store, WriteError, writing
from xgapfill.stores.failures import located
from xgapfill.stores.lock import Lock
from xgapfill.stores.watch import Watch

AT_ONCE = 2048  # blocks submitted to the scheduler together
# Neighbouring blocks submitted together along time and along the other dimensions, where blocks share chunks of dask
# input on this machine. With more, dask would hold many chunks until the last block that needs them; with fewer, chunks
# would be read more often.
NEIGHBOURS = (8, 4)
NOTE_SECONDS = 1.0  # between two saves of the state
STOP_SECONDS = 60.0  # longest wait of an interrupted run for its tasks, which end after about one forward pass
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class WriteBlock:
    """Writes one block of every variable; a repeated call writes the same."""

    store: Store
    blocks: Blocks
    names: tuple[str, ...]
    dims: tuple[tuple[Hashable, ...], ...]
    run: str  # token of the run to which the store must belong
    lock: Lock | None  # the lock that the run must hold

    def __call__(self, number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, bool]:
        """Write from a frame on; return the number of the block and whether the block is empty."""
        with running() as task:
            task.check(at_once=True)  # the store may belong to another run by now
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
        """Guard writes to the store: it must belong to this run; stores without `workers` take one thread at a time."""
        alone: Any = nullcontext() if self.store.workers else _ONE_AT_A_TIME
        with writing(self.store.name, where), alone:
            self.check()
            try:
                yield
            except OSError:
                self.check()  # the store may have been removed just now
                raise

    def check(self) -> None:
        """WriteError if the store no longer belongs to the run."""
        if self.lock is not None:
            self.lock.check()
        if not self.store.belongs_to(self.run):
            raise WriteError(f"{self.store.name} was replaced or removed while it was written; writing has stopped")


def hand_over(number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, int, list[NDArray[Any]]]:
    """Return a block from a worker to the process that writes it."""
    return number, first, values


class Done:
    """Tracks finished blocks: shows and saves them, and reverts those computed while the input changed."""

    def __init__(self, write_block: WriteBlock, state: State, watch: Watch, meter: Meter) -> None:
        self.write_block, self.state, self.watch, self.meter = write_block, state, watch, meter
        self.fresh: list[tuple[float, int, int]] = []  # blocks done since the last check: time, number, state before
        self.count = self.empty = 0
        self.noted = time.monotonic()

    def finished(self, number: int, empty: bool) -> None:
        """Record a written block."""
        self.fresh.append((time.monotonic(), number, int(self.state.blocks.flat[number])))
        self.state.blocks.flat[number] = DONE
        self.count, self.empty = self.count + 1, self.empty + empty
        self.meter.written_one(f"{self.empty / self.count:.0%} empty")
        if self.watch.changed is not None or self.fresh[0][0] < self.watch.clean:
            self.check()
        if time.monotonic() - self.noted > NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Save the state in the store."""
        with self.write_block.guarded():
            self.write_block.store.note(self.state)
        self.noted = time.monotonic()

    def check(self) -> None:
        """OSError if the input has changed; blocks written since the last check are marked as not done."""
        self.fresh = [each for each in self.fresh if each[0] >= self.watch.clean]
        if self.watch.changed is None:
            return
        for _, number, was in self.fresh:
            self.state.blocks.flat[number] = was
        raise OSError(
            f"{self.watch.changed.place.path} has changed while it was read. The last {len(self.fresh)} blocks count "
            "as not done. Restore the file and repeat the call to resume, or give another store for the new values"
        )


def run(
    write_block: WriteBlock,
    lazies: Mapping[str, xr.Variable],
    state: State,
    inputs: Sequence[Input],
    shares: bool,
    progress: bool | None,
) -> None:
    """Compute and write the blocks that are not done, a few thousand at a time, fewer if they share chunks."""
    name = f"write-{uuid.uuid4().hex}"
    arrays = [each.data for each in lazies.values()]
    blocks = write_block.blocks
    task = write_block if write_block.store.workers or _client() is None else hand_over
    flat = state.blocks.ravel()
    pending = np.flatnonzero(flat != DONE)
    with Watch(inputs) as watch, metering(flat.size, flat.size - pending.size, progress) as meter:
        done = Done(write_block, state, watch, meter)
        try:
            for part in parts(blocks, pending, shares and _client() is None):
                tasks: dict[Any, Any] = {}
                for number in part:
                    beginning = state.first if state.blocks.flat[number] == NEW_FRAMES else 0
                    values = [blocks.key(number, each) for each in lazies.values()]
                    tasks[name, number] = (task, number, beginning, values)
                graph = HighLevelGraph.from_collections(name, tasks, dependencies=arrays)
                _compute(type(arrays[0]), graph, list(tasks), done)
                if watch.cheap:
                    watch.look()
                    done.check()
            watch.look()
            done.check()
        except BaseException:
            wait_for_abandoned(STOP_SECONDS)  # running tasks must not write later
            raise
        finally:
            done.note()


def parts(blocks: Blocks, pending: NDArray[np.intp], neighbours: bool) -> list[list[int]]:
    """Split the numbers of blocks into parts that are computed one after another."""
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


def _compute(kind: type, graph: HighLevelGraph, keys: list[Any], done: Done) -> None:
    client, write_block = _client(), done.write_block
    store, blocks, name = write_block.store, write_block.blocks, keys[0][0]
    paths = [each.place.path for each in done.watch.inputs]
    if client is None:
        here = {} if store.workers else {"scheduler": "threads"}
        with located(store.name, blocks, paths, name), _Ticks(done, name):
            compute_as_if_collection(kind, graph, keys, **here)
        return
    from distributed import as_completed

    futures = client.get(optimize(graph, keys), keys, sync=False)
    try:
        for future in as_completed(futures):
            with located(store.name, blocks, paths, name, future.key[1]):
                result = future.result()
            done.finished(*(result if store.workers else write_block(*result)))
            future.release()
    finally:
        client.cancel(futures)


class _Ticks(Callback):
    """Records every block when it is written."""

    def __init__(self, done: Done, wanted: str) -> None:
        super().__init__()
        self.done, self.wanted = done, wanted

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        if isinstance(key, tuple) and key[0] == self.wanted:
            self.done.finished(*result)
