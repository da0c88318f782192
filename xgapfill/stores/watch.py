"""Checks the inputs of a run while it lasts, so that one store never mixes results of two states of an input."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType

from xgapfill.blocks.inputs import Input

LEAST_SECONDS = 1.0  # between two checks
SHARE = 0.05  # largest share of time for checks: that of a folder of a million chunks takes seconds
CHEAP_SECONDS = 0.1  # shorter checks may block the run


class Watch:
    """Checks inputs from time to time, in a separate thread.

    Attributes
    ----------
    clean : float
        Time (of `time.monotonic`) until which the inputs were unchanged since the call.
    changed : Input or None
        An input that changed.
    cost : float
        Seconds that the last check took.

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
            raise OSError(f"{self.changed.place.path} has changed since the call that fills it; repeat that call")

    def look(self) -> None:
        """Check all inputs now."""
        with self._lock:
            began = time.monotonic()
            self.changed = self.changed or next((each for each in self.inputs if each.changed()), None)
            self.cost = time.monotonic() - began
            if self.changed is None:
                self.clean = began

    @property
    def cheap(self) -> bool:
        """Whether a check is fast enough to block the run."""
        return self.cost < CHEAP_SECONDS

    def _watch(self) -> None:
        while not self._ended.wait(max(LEAST_SECONDS, self.cost / SHARE)):
            try:
                self.look()
            except OSError:  # a network may fail for a while; the check at the end is decisive
                continue

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
