"""Write a lazy fill to a zarr store block by block, so that a run that dies can be resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from xgapfill.stores.run import run
from xgapfill.stores.zarr import Blocks, Run, Target, begin


def write(
    lazy: xr.DataArray | xr.Dataset,
    store: str | Path,
    *,
    resume: bool = True,
    append: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Compute a lazy result block by block into a zarr store, or into a netCDF file if it is small.

    A block is one shard of the store, so no two tasks ever touch the same file. What is done is noted in the store
    after it is written; a run that was killed goes on where it stopped when it is called again in the same way. Blocks
    are computed on threads, or by the workers of the ``distributed.Client`` that there is.

    Parameters
    ----------
    lazy : DataArray or Dataset
        From a verb of this package: dask arrays with the same blocks along shared dimensions.
    store : str or Path
        Folder or fsspec URL that becomes a zarr v3 store; a name that ends in ``.nc`` is written as netCDF in one go.
    resume : bool
        Go on with a run of the same inputs, weights, parameters and version; False starts again from nothing, which
        is refused where the store belongs to another run.
    append : bool
        Where the store holds the beginning of the same series, make it longer: only new blocks are computed, and those
        within reach of the old end (4 frames by default); all frames before are left as they are, to the bit. The
        input is trusted to have the same values as before there. A store that does not exist is made.
    storage_options : mapping, optional
        For fsspec.
    progress : bool
        Show a progress bar with rate and time left, and the share of blocks in which nothing is (land).

    Returns
    -------
    Dataset
        What was written, opened lazily.

    Raises
    ------
    ValueError
        The store holds something else or another run, or `lazy` cannot be written in blocks.
    OSError
        The store cannot be written (a full disk, no permission), or a file of the input changed while it was read.
        What is done stays, and the same call goes on from there.
    TypeError
        `lazy` is neither a DataArray nor a Dataset, or nothing in it is lazy.

    Examples
    --------
    >>> import tempfile, xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = xgapfill.write(xgapfill.background(ds.CHL), folder + "/filled.zarr", progress=False)
    ...     int(written.CHL.isnull().sum())
    0
    """
    ds = _dataset(lazy)
    lazies = {str(name): array for name, array in ds.variables.items() if array.chunks is not None}
    said = {name: found for name, array in lazies.items() if (found := _said(array))}
    files = sorted({file for each in said.values() for file in each["files"]})
    if os.path.realpath(store) in map(os.path.realpath, files):
        raise ValueError(f"{store} holds what is to be filled: give the result another name")
    if str(store).endswith(".nc"):
        if append:
            raise ValueError("append=True is for zarr stores; a netCDF file is written in one go")
        return _write_netcdf(ds, Path(store))
    if not lazies:
        raise TypeError("nothing here is lazy: it has been computed already. Use .to_zarr()")
    if append and not resume:
        raise ValueError("append=True goes on with what is there, resume=False starts anew: give one of them")
    frames = {each["frames"] for each in said.values()} if len(said) == len(lazies) else {None}
    blocks = Blocks.of(lazies, _time(ds), frames.pop() if len(frames) == 1 else None)
    target = Target(str(store), tuple((storage_options or {}).items()))
    try:
        state, first = begin(ds, blocks, target, Run.of(lazies, said), resume=resume, append=append)
    except OSError as error:
        raise target.failed(error) from error
    run(blocks, target, lazies, state, first, files, any(each["shares"] for each in said.values()), progress)
    return target.dataset()


def _said(array: xr.Variable) -> Mapping[str, Any] | None:
    """What the verb that made an array says of it; None where something was computed from it since."""
    layer = getattr(array.data.dask, "layers", {}).get(array.data.name)
    found: Mapping[str, Any] | None = (getattr(layer, "annotations", None) or {}).get("xgapfill")
    return found


def _time(ds: xr.Dataset) -> Any:
    """Dimension of time, if there is one."""
    kinds = (pd.DatetimeIndex, xr.CFTimeIndex)
    return next((dim for dim, index in ds.indexes.items() if isinstance(index, kinds)), None)


def _dataset(lazy: Any) -> xr.Dataset:
    if isinstance(lazy, xr.DataArray):
        lazy = lazy.to_dataset(name=lazy.name or "filled")
    if not isinstance(lazy, xr.Dataset):
        raise TypeError(f"a DataArray or Dataset is wanted, found {type(lazy).__name__}")
    # fixed-width strings have no place in zarr v3
    text = {name: array.astype(object) for name, array in lazy.variables.items() if array.dtype.kind == "U"}
    plain: xr.Dataset = lazy.assign({name: xr.Variable(a.dims, a.values, a.attrs) for name, a in text.items()})
    return plain


def _write_netcdf(ds: xr.Dataset, file: Path) -> xr.Dataset:
    """Write a file beside the wanted one and rename it: it is there whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    try:
        ds.to_netcdf(part)
        part.replace(file)
    except OSError as error:
        raise OSError(error.errno or 5, f"{file} cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)
    return xr.open_dataset(file)
