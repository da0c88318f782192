"""Progress of a run: finished blocks, and the share of finished windows in current blocks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from xgapfill.blocks.stop import Task, check_stop, current, running, schedulers
from xgapfill.options import OPTIONS

Batch = TypeVar("Batch", bound=Sequence[Any])
DELAY = 1.0  # seconds before a bar is shown; most calls end earlier
FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} blocks [{elapsed}<{remaining}{postfix}]"
_meters: dict[FrameType | int, Meter] = {}  # by the call of a scheduler, or by the thread of a run with its own bar
_lock = threading.RLock()


class Meter:
    """Counter of a run, with a progress bar.

    Parameters
    ----------
    total, done : int
        Number of blocks, and of those done before; a total of 0 means unknown and grows with the layers of the graph.
    shown : bool
        Whether to show a bar.
    delay : float
        Seconds before the bar is shown.
    """

    def __init__(self, total: int = 0, done: int = 0, *, shown: bool, delay: float = 0.0) -> None:
        from tqdm.auto import tqdm

        every = 0.5 if interactive() else 30.0  # in a log file, a line twice a minute
        options = {"total": total, "initial": done, "disable": not shown, "delay": delay, "bar_format": FORMAT}
        self.bar = tqdm(**options, smoothing=0.05, mininterval=every)
        self.before, self.grows = done, not total
        self.written = self.computed = self.windows = 0
        self.layers: dict[str, int] = {}
        self.filling: set[str] = set()  # layers that have windows
        self.shares: dict[Task, float] = {}
        self.words = ""

    def expects(self, layer: str, blocks: int) -> None:
        """Record the number of blocks of a layer of the graph."""
        self.layers[layer] = blocks
        if self.grows:
            self.bar.total = sum(self.layers.values())

    def advance(self, task: Task, share: float, windows: int) -> None:
        """Record finished windows, and the finished share of their block."""
        self.filling.add(task.layer)
        self.shares[task] = share
        self.windows += windows
        self.show()

    def computed_one(self, task: Task) -> None:
        """Record a computed block; for blocks that are written, only if it has windows."""
        self.computed += (self.shares.pop(task, None) is not None) or self.grows
        self.show()

    def written_one(self, words: str) -> None:
        """Record a written block."""
        self.written, self.words = self.written + 1, words
        self.show()

    def show(self) -> None:
        """Update the bar."""
        together = 1 if self.grows else max(1, len(self.filling))  # computed blocks per written block
        here = max(self.written, (self.computed + sum(self.shares.values())) / together)
        words = [f"{self.windows} windows"] * bool(self.windows) + [self.words] * bool(self.words)
        self.bar.set_postfix_str(", ".join(words), refresh=False)
        self.bar.update(self.before + here - self.bar.n)

    @property
    def complete(self) -> bool:
        """Whether all blocks of the recorded layers are computed."""
        return self.computed >= sum(self.layers.values())


@contextmanager
def metering(total: int, done: int, progress: bool | None) -> Iterator[Meter]:
    """Show the progress of a run whose schedulers are called by this thread."""
    meter = Meter(total, done, shown=shown(progress))
    thread = threading.get_ident()
    _meters[thread] = meter
    try:
        yield meter
    finally:
        with _lock:
            _close(thread)


@contextmanager
def block(layer: str, blocks: int) -> Iterator[None]:
    """Context of a block of a layer with `blocks` blocks; `tracked` counts windows inside it as part of the block.

    With 0 blocks it does not count: another layer needs it.
    """
    with running() as task:
        task.layer = layer
        meter = _meter_of(task)
        if meter is None or not blocks:
            yield
            return
        with _lock:
            meter.expects(layer, blocks)
        failed = True
        try:
            yield
            failed = False
        finally:
            with _lock:
                meter.computed_one(task)
                if meter.grows and (failed or meter.complete):
                    _close(next(iter(task.schedulers)))


def tracked(batches: Iterable[Batch], windows: int) -> Iterator[Batch]:
    """Yield batches of windows (`windows` in total), and count the finished ones.

    Raises
    ------
    Stopped
        The run was interrupted.
    """
    task, done = current(), 0
    meter = None if task is None else _meter_of(task)
    for batch in batches:
        check_stop()
        yield batch
        done += len(batch[0])
        if meter is not None and task is not None:
            with _lock:
                meter.advance(task, min(1.0, done / windows), len(batch[0]))


def _meter_of(task: Task) -> Meter | None:
    """The meter of a task: that of the thread that runs it, or a new one if progress is shown."""
    if len(task.schedulers) != 1:
        return None
    ((scheduler, thread),) = task.schedulers.items()
    with _lock:
        meter = _meters.get(thread, _meters.get(scheduler))
        if meter is None and task.layer and shown(None):
            for ended in [key for key in _meters if isinstance(key, FrameType) and key not in schedulers()]:
                _close(ended)
            meter = _meters[scheduler] = Meter(shown=True, delay=DELAY)
    return meter


def _close(scheduler: FrameType | int) -> None:
    meter = _meters.pop(scheduler, None)
    if meter is not None:
        meter.bar.close()


def shown(progress: bool | None) -> bool:
    """Whether to show progress: the argument, else the option of `set_options`, else on terminals and in notebooks."""
    progress = OPTIONS["progress"] if progress is None else progress
    return interactive() if progress is None else progress


def interactive() -> bool:
    """Whether the output is a terminal or a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return sys.stderr.isatty() or hasattr(shell, "kernel")
