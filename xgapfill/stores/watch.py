"""Inputs of a run are looked at while it lasts: what was computed from two states of one must not lie in one store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType

from xgapfill.blocks.inputs import Input

LEAST_SECONDS = 1.0  # between two looks
SHARE = 0.05  # of the time that looking may take: a folder of a million chunks is looked at for seconds
CHEAP_SECONDS = 0.1  # a look that takes less may be awaited


class Watch:
    """Looks at inputs from time to time, in a thread of its own.

    Attributes
    ----------
    clean : float
        Until this time (of `time.monotonic`) the inputs were what they were at the call.
    changed : Input or None
        One that is not.
    cost : float
        Seconds that the last look took.

    Raises
    ------
    OSError
        An input has changed between the call and the beginning of the run.
    """

    def __init__(self, inputs: Iterable[Input]) -> None:
        self.inputs = tuple(dict.fromkeys(inputs))
        self.clean, self.cost = time.monotonic(), 0.0
        self.changed: Input | None = None
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="xgapfill-watch", daemon=True)
        self.look()
        if self.changed is not None:
            raise OSError(f"{self.changed.place.path} has changed since the call that fills it: make that call again")

    def look(self) -> None:
        """Look at all inputs now."""
        with self._lock:
            began = time.monotonic()
            self.changed = self.changed or next((each for each in self.inputs if each.changed()), None)
            self.cost = time.monotonic() - began
            if self.changed is None:
                self.clean = began

    @property
    def cheap(self) -> bool:
        """Whether a look takes next to no time."""
        return self.cost < CHEAP_SECONDS

    def _watch(self) -> None:
        while not self._ended.wait(max(LEAST_SECONDS, self.cost / SHARE)):
            try:
                self.look()
            except OSError:  # of a network, for a while: the look at the end counts
                continue

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
