"""What every method promises."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar, Protocol

from xgapfill.patch import Filled, Noise, Windows

if TYPE_CHECKING:
    from xgapfill.weights import Weights

# Methods are always called with this many windows, padded with empty ones: torch's last bits depend on the batch.
BATCH = 4


class Method(Protocol):
    """A way to fill windows; implementations are frozen, picklable dataclasses."""

    name: ClassVar[str]
    draws: ClassVar[bool]  # gives members

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels (targets first), None if it needs none; ValueError if there are none."""
        ...

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Fill BATCH windows; a pure function of its arguments."""
        ...


_thread = threading.local()


def one_thread() -> None:
    """Give this thread one torch thread: dask brings the parallelism, and two levels of it fight for the cores."""
    if not getattr(_thread, "set", False):
        import torch

        torch.set_num_threads(1)
        _thread.set = True
