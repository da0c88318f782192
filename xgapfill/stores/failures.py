"""Adds to the error of a failed run the block where it stopped and the input it was reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from dask import local

from xgapfill.blocks.source import ReadError
from xgapfill.stores.base import Blocks, WriteError


class Failed(NamedTuple):
    """The failed task of a graph, with the dependents and dependencies of all tasks."""

    key: Any
    dependents: Mapping[Any, Iterable[Any]]
    dependencies: Mapping[Any, Iterable[Any]]

    @classmethod
    def of(cls, error: BaseException) -> Failed | None:
        """Find the task of a local scheduler that raised an error; None if there is none."""
        states, keys = [], []
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if frame.f_code is local.get_async.__code__:
                states.append(frame.f_locals.get("state") or {})
            elif frame.f_code is local.execute_task.__code__:
                keys.append(frame.f_locals.get("key"))
        if not (states and keys):
            return None
        return cls(keys[0], states[0].get("dependents", {}), states[0].get("dependencies", {}))

    def block(self, name: str) -> int | None:
        """Number of a block that depends on the task; `name` is that of the writing tasks."""
        return next((key[1] for key in _reached(self.key, self.dependents) if _begins(key, name)), None)

    def is_input(self) -> bool:
        """Whether the task belongs to the input: it depends on no task of a fill."""
        return not any(_begins(key, "gapfill") for key in _reached(self.key, self.dependencies))


@contextmanager
def located(store: str, blocks: Blocks, inputs: Iterable[str], name: str, number: int | None = None) -> Iterator[None]:
    """Turn the failure to read an input into a ReadError that names file and block; other errors get a note.

    Parameters
    ----------
    store : str
        Name of the store in messages.
    blocks : Blocks
        Blocks of the store.
    inputs : iterable of str
        Paths of the inputs.
    name : str
        Name of the tasks that write blocks.
    number : int, optional
        Number of the current block, if it is known.
    """
    try:
        yield
    except WriteError:  # names the block already
        raise
    except Exception as error:
        failed = Failed.of(error)
        if number is None and failed is not None:
            number = failed.block(name)
        where = f"{'a block' if number is None else blocks.words(number)} of {store}"
        if isinstance(error, ReadError):
            what = str(error)
        elif failed is not None and failed.is_input():
            known = ", ".join(sorted(set(inputs))) or "the input"
            what = f"a chunk {failed.key} of {known} cannot be read ({type(error).__name__}: {error})"
        else:
            if number is not None:
                error.add_note(f"This happened while {where} was computed; written blocks stay.")
            raise
        raise ReadError(f"{what}. It is needed by {where}; written blocks stay") from error


def _begins(key: Any, name: str) -> bool:
    return str(key[0] if isinstance(key, tuple) else key).startswith(name)


def _reached(start: Any, neighbours: Mapping[Any, Iterable[Any]]) -> Iterable[Any]:
    """A key, and all keys that can be reached from it."""
    known, waiting = {start}, deque([start])
    while waiting:
        key = waiting.popleft()
        yield key
        new = [each for each in neighbours.get(key, ()) if each not in known]
        known.update(new)
        waiting.extend(new)
