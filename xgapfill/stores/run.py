"""Compute and write the blocks of a run: on threads or on a cluster, with progress, while the input stays the same."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from dask.array.optimization import optimize
from dask.base import compute_as_if_collection, get_scheduler, tokenize
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from xgapfill.blocks.stop import running, wait_for_abandoned
from xgapfill.stores.zarr import DONE, NEW_FRAMES, RUN, Blocks, Target, opened

AT_ONCE = 2048  # blocks handed to the scheduler together
# Where blocks share chunks of dask input, so many neighbours along time and the other dimensions, on this machine: of
# more, dask would hold many chunks until the last block that needs them; of fewer, chunks would be read more often.
NEIGHBOURS = (8, 4)
LOOK_SECONDS = 10.0  # between two looks at the input
NOTE_SECONDS = 1.0  # between two notes of what is done
STOP_SECONDS = 60.0  # that an interrupted run waits at most for its tasks, which end after a pass of a network or so


@dataclass(frozen=True)
class WriteBlock:
    """Writes one block of every variable; the same again if it is asked to again."""

    blocks: Blocks
    target: Target
    names: tuple[str, ...]
    dims: tuple[tuple[Hashable, ...], ...]

    def __call__(self, number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, bool]:
        """Write from a frame on; return the number of the block and whether nothing is in it."""
        with running() as task:
            task.check(at_once=True)  # the store may be another run's by now
            return self._write(number, first, values)

    def _write(self, number: int, first: int, values: list[NDArray[Any]]) -> tuple[int, bool]:
        try:
            group = opened(self.target)
            for name, dims, each in zip(self.names, self.dims, values, strict=True):
                regions = self.blocks.regions(number, dims, first)
                last = (slice(None) if part.stop is None else slice(part.start - part.stop, None) for part in regions)
                group[name][regions] = each[tuple(last)]
        except OSError as error:
            raise self.target.failed(error) from error
        return number, all(each.dtype.kind == "f" and bool(np.isnan(each).all()) for each in values[:1])


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

    def __init__(self, target: Target, state: NDArray[np.uint8], watch: Watch, bar: Any) -> None:
        self.target, self.state, self.watch, self.bar = target, state, watch, bar
        self.fresh: list[tuple[int, int]] = []  # blocks done since the input was last looked at, and what they were
        self.count = self.empty = 0
        self.noted = time.monotonic()

    def finished(self, number: int, empty: bool) -> None:
        """Take note of a block that is written."""
        self.fresh.append((number, int(self.state.flat[number])))
        self.state.flat[number] = DONE
        self.count, self.empty = self.count + 1, self.empty + empty
        self.bar.set_postfix_str(f"{self.empty / self.count:.0%} empty", refresh=False)
        self.bar.update()
        if self.watch.due():
            self.look()
        if time.monotonic() - self.noted > NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Write into the store what is done."""
        try:
            self.target.open()[RUN]["done"][...] = self.state
        except OSError as error:
            raise self.target.failed(error) from error
        self.noted = time.monotonic()

    def look(self) -> None:
        """OSError when the input has changed; blocks that were written since it was last looked at are to be done."""
        changed = self.watch.changed()
        if changed is None:
            self.fresh.clear()
            return
        for number, was in self.fresh:
            self.state.flat[number] = was
        raise OSError(
            f"{changed} has changed while it was read. The last {len(self.fresh)} blocks count as not done: put the "
            "file back as it was and make the same call to go on, or give another store for the new values"
        )


def run(
    blocks: Blocks,
    target: Target,
    lazies: Mapping[str, xr.Variable],
    state: NDArray[np.uint8],
    first: int,
    files: Sequence[str],
    shares: bool,
    progress: bool,
) -> None:
    """Compute and write the blocks that are not done, a few thousand at a time; fewer where they share chunks."""
    opened.cache_clear()
    write_block = WriteBlock(blocks, target, tuple(lazies), tuple(each.dims for each in lazies.values()))
    name = f"write-{tokenize(write_block, [each.data.name for each in lazies.values()])}"
    arrays = [each.data for each in lazies.values()]
    pending = np.flatnonzero(state.ravel() != DONE)
    with _bar(state.size, state.size - pending.size, progress) as bar:
        noted = Progress(target, state, Watch(files), bar)
        try:
            for part in parts(blocks, pending, shares and _client() is None):
                tasks: dict[Any, Any] = {}
                for number in part:
                    beginning = first if state.flat[number] == NEW_FRAMES else 0
                    values = [blocks.key(number, each) for each in lazies.values()]
                    tasks[name, number] = (write_block, number, beginning, values)
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
    client = _client()
    if client is None:
        with _Ticks(noted, keys[0][0]):
            compute_as_if_collection(kind, graph, keys)
        return
    from distributed import as_completed

    futures = client.get(optimize(graph, keys), keys, sync=False)
    try:
        for future in as_completed(futures):
            noted.finished(*future.result())
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
