"""Ends tasks of an interrupted run early: between windows, a task checks whether its scheduler still runs.

Dask cannot stop threads. After Ctrl-C, or when one task fails, its scheduler abandons the running tasks. A scheduler
of this process is a call of ``dask.local.get_async`` in some thread. A task records the schedulers that run when it
begins, including its own, and ends when none of them runs any more. A worker of a cluster knows its cancelled tasks.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from dask import local

CHECK_SECONDS = 0.2  # least time between two checks
_SCHEDULER: CodeType = local.get_async.__code__
_POOL: CodeType = local.batch_execute_tasks.__code__
_mine = threading.local()
_running: set[Task] = set()


class Stopped(RuntimeError):
    """The run of this task was interrupted."""


class Task:
    """A task of this process, as long as it runs."""

    def __init__(self) -> None:
        self.schedulers = schedulers() if _called_by(_POOL) else {}
        self.looked = time.monotonic()
        self.layer = ""  # name of the graph layer, if the task computes a block

    def abandoned(self) -> bool:
        """Whether all schedulers that may have started this task have ended."""
        return bool(self.schedulers) and self.schedulers.keys().isdisjoint(schedulers())

    def check(self, at_once: bool = False) -> None:
        """Raise `Stopped` if the run was interrupted; checks a few times per second, or at once."""
        if not at_once and time.monotonic() - self.looked < CHECK_SECONDS:
            return
        if self.abandoned():
            raise Stopped("the run of this task was interrupted")
        if not self.schedulers:
            _check_worker()
        self.looked = time.monotonic()


@contextmanager
def running() -> Iterator[Task]:
    """Register a task of this thread for the duration of the context."""
    before, task = current(), Task()
    _mine.task = task
    _running.add(task)
    try:
        yield task
    finally:
        _running.discard(task)
        _mine.task = before


def current() -> Task | None:
    """Return the task of this thread, None outside tasks."""
    return getattr(_mine, "task", None)


def check_stop() -> None:
    """Raise `Stopped` if the task of this thread belongs to an interrupted run; call it about every second."""
    task = current()
    if task is not None:
        task.check()


def wait_for_abandoned(seconds: float) -> None:
    """Wait until abandoned tasks of interrupted runs have ended, at most `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(task.abandoned() for task in tuple(_running)):
        time.sleep(0.02)


def schedulers() -> dict[FrameType, int]:
    """Return the running calls of dask's scheduler, and their threads."""
    found = {}
    for thread, top in sys._current_frames().items():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is _SCHEDULER:
                found[frame] = thread
            frame = frame.f_back
    return found


def _called_by(code: CodeType) -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def _check_worker() -> None:
    """Return a task to its scheduler if it was cancelled."""
    distributed: Any = sys.modules.get("distributed")
    if distributed is None:
        return
    try:
        worker = distributed.get_worker()
        known = worker.state.tasks.get(worker.get_current_task())
    except ValueError:  # not in a task of a worker
        return
    if known is None or known.state in ("cancelled", "resumed"):
        raise distributed.Reschedule
