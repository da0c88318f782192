"""Where methods that rest on torch compute: the processor, or a GPU with the same noise and full float32."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


_thread = threading.local()


def one_thread() -> None:
    """Give this thread one torch thread: dask brings the parallelism, and two levels of it fight for the cores."""
    if not getattr(_thread, "set", False):
        import torch

        torch.set_num_threads(1)
        _thread.set = True


VARIABLE = "XGAPFILL_DEVICE"
_lock = threading.Lock()  # one block at a time on a GPU: its memory and the switches of torch are shared


def device_of(method: Any) -> str:
    """Device of torch that a method computes on: ``cpu``, ``cuda`` or ``cuda:<number>``.

    What its ``device`` says, else the environment variable XGAPFILL_DEVICE, else CUDA where it is present; ``cpu`` for
    methods without this attribute.

    Raises
    ------
    ValueError
        Something else is asked for, or CUDA where there is none.
    """
    if not hasattr(method, "device"):
        return "cpu"
    wanted: str = method.device or os.environ.get(VARIABLE) or "auto"
    if wanted == "cpu":
        return wanted
    if wanted != "auto" and wanted.partition(":")[0] != "cuda":
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<number>', found {wanted!r}")
    import torch

    present = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if present else "cpu"
    if not present:
        raise ValueError(f"device is {wanted!r}, but torch finds no CUDA device; say 'cpu', or leave it out")
    return wanted


@contextmanager
def computing(method: Any) -> Iterator[Callable[[Any], Tensor]]:
    """Compute on the device of a method, without gradients; gives what brings an array there.

    On a GPU new tensors are made there, and float32 is not shortened to TF32.
    """
    import torch

    one_thread()
    name = device_of(method)
    with torch.no_grad():
        if name == "cpu":
            yield torch.from_numpy
            return
        with _lock, torch.device(name), _full_float32():
            yield lambda array: torch.from_numpy(array).to(name)


@contextmanager
def _full_float32() -> Iterator[None]:
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
