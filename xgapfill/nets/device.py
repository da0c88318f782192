"""Device and settings of torch for methods; the settings of the caller are restored afterwards."""

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
_lock = threading.Lock()  # one block at a time on a GPU: its memory and torch's flags are shared
_threads = threading.Lock()  # for the number of torch threads: new threads get the number that was set last


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one torch thread in this thread: dask provides the parallelism, and two levels would compete for cores.

    Threads that first use torch meanwhile get the previous number.
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
    """Set the number of torch threads of this thread, and that of threads that first use torch later."""
    import torch

    torch.set_num_threads(number)
    short = threading.Thread(target=torch.set_num_threads, args=(of_others,))
    short.start()
    short.join()


def new_tensors_on(name: str) -> AbstractContextManager[Any]:
    """Make new tensors on a device for any default of the caller; a no-op for the default, as the context is slow."""
    import torch

    device = torch.device(name)
    return nullcontext() if torch.get_default_device() == device else device


@contextmanager
def on_device(name: str = "cpu") -> Iterator[None]:
    """Compute on a device with one torch thread and without gradients, for any settings of the caller.

    Tensors made here may be cached: they are not inference tensors, so they can be used with gradients.
    """
    import torch

    with one_thread(), new_tensors_on(name), torch.inference_mode(False), torch.no_grad(), ExitStack() as stack:
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            stack.enter_context(torch.autocast(name.partition(":")[0], enabled=False))
        yield


def check_device(device: object) -> None:
    """Raise ValueError for an invalid device; None means that of the settings."""
    if device is not None and not is_device(device):
        raise ValueError(f"device must be {DEVICES}, or None; found {device!r}")


def placed(method: Any) -> Any:
    """Return the method with the device of the settings, as it may compute on another machine.

    The environment variable XGAPFILL_DEVICE is read on that machine.
    """
    _wanted(method)
    return method if method.device or not OPTIONS["device"] else replace(method, device=OPTIONS["device"])


def device_of(method: Any) -> str:
    """Torch device of a method: ``cpu``, ``cuda`` or ``cuda:<number>``.

    Its ``device``, else that of `xgapfill.set_options`, else the environment variable XGAPFILL_DEVICE, else CUDA if
    available. Methods that use no net have the device ``cpu``.

    Raises
    ------
    ValueError
        Another device is requested, or CUDA is not available.
    """
    wanted = _wanted(method)
    if wanted == "cpu":
        return wanted
    import torch

    present = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if present else "cpu"
    if not present:
        raise ValueError(f"device is {wanted!r}, but torch finds no CUDA device; use 'cpu', or leave it out")
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
    """Compute on the device of a method, without gradients; gives the function that moves an array there.

    On a GPU float32 is not reduced to TF32.
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
