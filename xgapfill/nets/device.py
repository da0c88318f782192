"""Where and how methods that rest on torch compute, and that they leave torch as they found it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xgapfill.options import DEVICES, OPTIONS, is_device

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "XGAPFILL_DEVICE"
_lock = threading.Lock()  # one block at a time on a GPU: its memory and the switches of torch are shared
_threads = threading.Lock()  # of the number of torch threads: torch gives new threads the number that was set last


@contextmanager
def one_thread() -> Iterator[None]:
    """Give this thread one torch thread for a while: dask brings the parallelism, and two levels of it fight for cores.

    Threads that are new to torch meanwhile get as many as before.
    """
    import torch

    with _threads:
        before = torch.get_num_threads()
        if before > 1:
            _set_threads(1, of_others=before)
    try:
        yield
    finally:
        if before > 1:
            with _threads:
                torch.set_num_threads(before)


def _set_threads(number: int, of_others: int) -> None:
    """Set the number of torch threads of this thread, and that of threads that are new to torch."""
    import torch

    torch.set_num_threads(number)
    short = threading.Thread(target=torch.set_num_threads, args=(of_others,))
    short.start()
    short.join()


def new_tensors_on(name: str) -> AbstractContextManager[Any]:
    """Make new tensors on a device, whatever the caller's default is: torch is slower where that has to be said."""
    import torch

    device = torch.device(name)
    return nullcontext() if torch.get_default_device() == device else device


@contextmanager
def on_device(name: str = "cpu") -> Iterator[None]:
    """Compute on a device with one torch thread and without gradients, whatever the caller has set.

    Tensors that are made here may be kept: they are no inference tensors, of which gradients could not be taken.
    """
    import torch

    with one_thread(), new_tensors_on(name), torch.inference_mode(False), torch.no_grad(), ExitStack() as stack:
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            stack.enter_context(torch.autocast(name.partition(":")[0], enabled=False))
        yield


def check_device(device: object) -> None:
    """Raise ValueError for what names no device; None is left to the settings."""
    if device is not None and not is_device(device):
        raise ValueError(f"device must be {DEVICES}, or None; found {device!r}")


def placed(method: Any) -> Any:
    """Return a method that carries the device that the settings name, for it may compute on another machine.

    The environment variable XGAPFILL_DEVICE is left to that machine.
    """
    if not hasattr(method, "device"):
        return method
    _wanted(method)
    return method if method.device or not OPTIONS["device"] else replace(method, device=OPTIONS["device"])


def device_of(method: Any) -> str:
    """Device of torch that a method computes on: ``cpu``, ``cuda`` or ``cuda:<number>``.

    What its ``device`` says, else `xgapfill.set_options`, else the environment variable XGAPFILL_DEVICE, else CUDA
    where it is present; ``cpu`` for methods without this attribute.

    Raises
    ------
    ValueError
        Something else is asked for, or CUDA where there is none.
    """
    if not hasattr(method, "device"):
        return "cpu"
    wanted = _wanted(method)
    if wanted == "cpu":
        return wanted
    import torch

    present = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if present else "cpu"
    if not present:
        raise ValueError(f"device is {wanted!r}, but torch finds no CUDA device; say 'cpu', or leave it out")
    return wanted


def _wanted(method: Any) -> str:
    for source, device in (
        ("device", method.device),
        ("device of set_options", OPTIONS["device"]),
        (f"the environment variable {VARIABLE}", os.environ.get(VARIABLE)),
    ):
        if device:
            if not is_device(device):
                raise ValueError(f"{source} must be {DEVICES}; found {device!r}")
            return str(device)
    return "auto"


@contextmanager
def computing(method: Any) -> Iterator[Callable[[Any], Tensor]]:
    """Compute on the device of a method, without gradients; gives what brings an array there.

    On a GPU float32 is not shortened to TF32.
    """
    import torch

    name = device_of(method)
    with ExitStack() as stack:
        if name != "cpu":
            stack.enter_context(_lock)
            stack.enter_context(_full_float32())
        stack.enter_context(on_device(name))
        yield torch.from_numpy if name == "cpu" else lambda array: torch.from_numpy(array).to(name)


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
