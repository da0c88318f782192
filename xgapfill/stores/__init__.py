"""Stores, to which results are written block by block: one file per store, and one name in the list below."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from xgapfill.stores.base import Blocks, Run, State, Store
from xgapfill.stores.files import is_url, place_of
from xgapfill.stores.netcdf import Netcdf
from xgapfill.stores.zarr import Zarr

__all__ = ["BUILT_IN", "Blocks", "Run", "State", "Store", "store_of"]

BUILT_IN: tuple[Any, ...] = (Zarr, Netcdf)


def store_of(given: Any, options: Mapping[str, Any] | None = None) -> Store:
    """Return the store for a path, a URL or a `Store`.

    The suffix decides; a name without a suffix is a zarr store.

    Raises
    ------
    ValueError
        The name is empty or has an unknown suffix, or `options` are given for something that takes none.
    TypeError
        The store is neither text, a path nor a Store.
    """
    options = dict(options or {})
    if isinstance(given, Store):
        if options:
            raise ValueError("storage_options are for URLs; pass them to your Store object instead")
        return given
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"store must be a path, a URL or an xgapfill.stores.Store, found {type(given).__name__}")
    place = place_of(given)
    if options and not is_url(place):
        raise ValueError(f"storage_options are for URLs such as s3://bucket/filled.zarr; {place} is on this machine")
    suffix = PurePosixPath(place).suffix.lower()
    if not suffix[1:2].isalpha():  # no suffix, or a name such as fill-1.2
        suffix = ""
    for kind in BUILT_IN:
        if suffix in kind.suffixes:
            store: Store = kind(place, tuple(options.items()))
            return store
    known = ", ".join(suffix for kind in BUILT_IN for suffix in kind.suffixes if suffix)
    raise ValueError(f"no store has the suffix {suffix}; use one of {known}, or pass a Store object")
