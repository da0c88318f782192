"""Tasks of an interrupted run end early: between windows a task asks whether anybody still waits for it.

Dask cannot stop threads. After Ctrl-C, or when one task fails, its scheduler leaves the tasks that run then to
themselves. A scheduler of this process is a call of ``dask.local.get_async`` in some thread: a task remembers those
that run when it begins, its own among them, and ends when none of them runs any more. A worker of a cluster is told
which of its tasks were cancelled.
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

CHECK_SECONDS = 0.2  # between two looks, at least
_SCHEDULER: CodeType = local.get_async.__code__
_POOL: CodeType = local.batch_execute_tasks.__code__
_mine = threading.local()
_running: set[Task] = set()


class Stopped(RuntimeError):
    """Nobody waits for this task any more."""


class Task:
    """A task of this process, as long as it runs."""

    def __init__(self) -> None:
        self.schedulers = schedulers() if _called_by(_POOL) else {}
        self.looked = time.monotonic()
        self.layer = ""  # of the graph, if it computes a block

    def abandoned(self) -> bool:
        """Whether no scheduler that may have begun this task still runs."""
        return bool(self.schedulers) and self.schedulers.keys().isdisjoint(schedulers())

    def check(self, at_once: bool = False) -> None:
        """Raise an error when nobody waits for this task any more; looks a few times a second, or at once."""
        if not at_once and time.monotonic() - self.looked < CHECK_SECONDS:
            return
        if self.abandoned():
            raise Stopped("the run that this task belongs to was interrupted")
        if not self.schedulers:
            _check_worker()
        self.looked = time.monotonic()


@contextmanager
def running() -> Iterator[Task]:
    """Take note that this thread is at work on a task."""
    before, task = current(), Task()
    _mine.task = task
    _running.add(task)
    try:
        yield task
    finally:
        _running.discard(task)
        _mine.task = before


def current() -> Task | None:
    """Return the task of this thread, None outside of tasks."""
    return getattr(_mine, "task", None)


def check_stop() -> None:
    """Raise an error where the task of this thread belongs to an interrupted run; call it every second or so."""
    task = current()
    if task is not None:
        task.check()


def wait_for_abandoned(seconds: float) -> None:
    """Wait until the tasks that interrupted runs left behind have ended, so long at most."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(task.abandoned() for task in tuple(_running)):
        time.sleep(0.02)


def schedulers() -> dict[FrameType, int]:
    """Return the calls of dask's scheduler that run now, and in which threads."""
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
    """Give a task back to its scheduler where that has cancelled it."""
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
