"""Opens the input of a command, and selects region and time."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray


def opened(given: argparse.Namespace) -> xr.Dataset:
    """Open the input lazily, without dask, and select region and time."""
    import xgapfill  # noqa: F401  (registers .gapfill)
    from xgapfill.inputs.select import in_region, in_time

    ds = read(given.input)
    also = (each for each in getattr(given, "also", None) or () if ":" not in each)
    asked = (*given.var, *given.cond, *(getattr(given, "error", None) or ()), *also)
    names = named(ds, asked, given.input)
    places: dict[Hashable, NDArray[np.intp]] = {}
    for name in names:
        if given.region is not None:
            places |= in_region(ds[name], *given.region)
        if given.time is not None:
            places |= in_time(ds[name], *given.time)
    return ds.isel({dim: _as_slice(index) for dim, index in places.items()})


def named(ds: xr.Dataset, names: Iterable[Hashable], path: str) -> list[Hashable]:
    """Names that a Dataset has, or an error that lists them."""
    names = list(names)
    for name in names:
        if name not in ds:
            raise ValueError(f"{path} has no variable {name!r}; it has {', '.join(map(str, ds.data_vars))}")
    return names


def read(path: str) -> xr.Dataset:
    """Open a file or a store lazily, without dask."""
    netcdf = path.endswith((".nc", ".nc4", ".h5"))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # metadata that are not consolidated
        return xr.open_dataset(path) if netcdf else xr.open_zarr(path, chunks=None)


def _as_slice(index: NDArray[np.intp]) -> Any:
    """Return consecutive indices as a slice, which reads faster."""
    return slice(index[0], index[-1] + 1) if (np.diff(index) == 1).all() else index
