"""Settings of the package, for a session or for a ``with`` block."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

MEBIBYTE = 2**20
DEVICES = "'auto', 'cpu', 'cuda' or 'cuda:<number>'"


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _block(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_whole(1), value))


def _text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def is_device(value: object) -> bool:
    """Whether this names a device: one of `DEVICES`."""
    return isinstance(value, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?", value) is not None


OPTIONS: dict[str, Any] = {
    "block": (12, 240, 240),
    "cache_dir": None,
    "device": None,
    "hashed_bytes": 64 * MEBIBYTE,
    "member_bytes": 256 * MEBIBYTE,
    "progress": None,
    "sample_bytes": 512 * MEBIBYTE,
    "series_block": (1, 192, 192),
}
"""Current values; read at the call, never inside a task, which may run on another machine."""

_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "block": (_block, "a tuple of three whole numbers of at least 1: times, latitudes, longitudes"),
    "cache_dir": (_text, "a path as text, or None"),
    "device": (lambda value: value is None or is_device(value), f"{DEVICES}, or None"),
    "hashed_bytes": (_whole(0), "a whole number of bytes of at least 0"),
    "member_bytes": (_whole(1), "a whole number of bytes of at least 1"),
    "progress": (lambda value: value is None or isinstance(value, bool), "True, False, or None"),
    "sample_bytes": (_whole(1), "a whole number of bytes of at least 1"),
    "series_block": (_block, "a tuple of three whole numbers of at least 1: times, latitudes, longitudes"),
}


class set_options:
    """Change settings, for the session or within a ``with`` block.

    Parameters
    ----------
    block : tuple of int
        Times, latitudes and longitudes of a block, which one task fills; default (12, 240, 240). Multiples of the
        stride of tiles, (3, 48, 48), duplicate the least work. Results do not depend on it.
    series_block : tuple of int
        Times, latitudes and longitudes of a block of methods that need whole series; each block reads all times.
    device : str or None
        Device of networks unless ``device=`` is given: "auto", "cpu", "cuda" or "cuda:<number>". None: the environment
        variable XGAPFILL_DEVICE, else "auto".
    cache_dir : str or None
        Folder of downloaded weights and of the tutorial data. None: the environment variable XGAPFILL_CACHE_DIR, else
        the user's cache folder.
    progress : bool or None
        Whether long calls show progress. None: on terminals and in notebooks.
    sample_bytes : int
        Largest size of the sample to which methods are fitted.
    member_bytes : int
        Approximate number of bytes of members per task with ``reduce=``.
    hashed_bytes : int
        Arrays in memory up to this size are named by their content in dask graphs, larger ones by a random name.

    Raises
    ------
    ValueError
        The option or its value is unknown.

    Examples
    --------
    >>> import xgapfill
    >>> with xgapfill.set_options(block=(3, 48, 48)):
    ...     xgapfill.options.OPTIONS["block"]
    (3, 48, 48)
    >>> xgapfill.options.OPTIONS["block"]
    (12, 240, 240)
    """

    def __init__(self, **options: Any) -> None:
        for name, value in options.items():
            if name not in OPTIONS:
                raise ValueError(f"unknown option {name!r}; options are {', '.join(sorted(OPTIONS))}")
            allowed, wanted = _ALLOWED[name]
            if not allowed(value):
                raise ValueError(f"{name} must be {wanted}; found {value!r}")
        self._before = {name: OPTIONS[name] for name in options}
        OPTIONS.update(options)

    def __enter__(self) -> set_options:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        OPTIONS.update(self._before)
