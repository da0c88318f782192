"""Writes a lazy fill to a store block by block, so that an interrupted run can be resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from xgapfill.blocks.inputs import Input
from xgapfill.blocks.notes import LayerNotes
from xgapfill.stores import Blocks, Run, Store, store_of
from xgapfill.stores.base import writing
from xgapfill.stores.lock import locked
from xgapfill.stores.run import WriteBlock, run


def write(
    lazy: xr.DataArray | xr.Dataset,
    store: str | Path | Store,
    *,
    resume: bool = True,
    append: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Compute a lazy result block by block into a zarr store or a netCDF file.

    A block is one shard of the store, so no two tasks write the same file. Each block is marked as done in the store
    after it is written; a killed run resumes where it stopped when the call is repeated. Blocks are computed on
    threads, or by the workers of the current ``distributed.Client``. A lock file beside the store excludes other runs;
    each block is written only if the store still belongs to the run.

    Parameters
    ----------
    lazy : DataArray or Dataset
        Result of a verb of this package: dask arrays with the same blocks along shared dimensions.
    store : str, Path or Store
        Path or fsspec URL. The suffix ``.zarr``, or none, makes a zarr v3 store; ``.nc``, ``.nc4``, ``.cdf`` or
        ``.netcdf`` a netCDF file. The netCDF file appears when it is complete: until then, blocks are collected in a
        hidden folder beside it. Or an object of a subclass of `xgapfill.stores.Store`.
    resume : bool
        Resume a run of the same inputs, weights, parameters and version. False starts from scratch, which is refused
        if the store belongs to another run.
    append : bool
        Extend a store that holds the beginning of the same series. Only new blocks are computed, and blocks within the
        halo of the old end (9 frames by default). All earlier frames stay unchanged to the bit; their input is assumed
        to be unchanged. A missing store is created.
    storage_options : mapping, optional
        For fsspec, if the store is a URL.
    progress : bool, optional
        Show a progress bar with the remaining time and the share of empty blocks (land). The default is the option
        ``progress`` of `set_options`, else a bar on terminals and in notebooks.

    Returns
    -------
    Dataset
        The written data, opened lazily.

    Raises
    ------
    ValueError
        The store holds other data or another run, `lazy` cannot be written in blocks, or no store has such a suffix.
    OSError
        The store cannot be written (a full disk, no permission, another run writes it), or an input file changed
        while it was read. Written blocks stay; repeat the call to resume.
    TypeError
        `lazy` is neither a DataArray nor a Dataset, or nothing in it is lazy; `store` is neither a path nor a Store.

    Examples
    --------
    >>> import tempfile, xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = xgapfill.write(xgapfill.background(ds.CHL), folder + "/filled.zarr", progress=False)
    ...     int(written.CHL.isnull().sum())
    0
    """
    target = store_of(store, storage_options)
    ds = _in_same_blocks(_dataset(lazy))
    lazies = {str(name): array for name, array in ds.variables.items() if array.chunks is not None}
    if not lazies:
        raise TypeError("expected a lazy result, found one that is computed already; use .to_zarr() or .to_netcdf()")
    if append and not target.grows:
        raise ValueError("append=True needs a zarr store; others, such as netCDF files, are written in one go")
    if append and not resume:
        raise ValueError("append=True extends a store, resume=False starts from scratch; give one of them")
    notes = {name: found for name, array in lazies.items() if (found := LayerNotes.of(array.data))}
    inputs = _inputs_of(lazies)
    if target.place is not None and any(_is_in(each.place.path, target.place) for each in inputs):
        raise ValueError(f"{target.name} holds the input of the fill; give the result another name")
    beside = [name for name in lazies if name in ds.coords]
    frames = {each.frames for each in notes.values()} if len(notes) + len(beside) == len(lazies) else {None}
    blocks = Blocks.of(lazies, _time(ds), frames.pop() if len(frames) == 1 else None)
    this, dims = Run.of(lazies, notes, beside), tuple(each.dims for each in lazies.values())
    with locked(target.place, target.options) as lock:
        with writing(target.name):
            state = target.begin(ds, blocks, this, resume=resume, append=append)
        write_block = WriteBlock(target, blocks, tuple(lazies), dims, this.token, lock)
        run(write_block, lazies, state, inputs, any(each.shares for each in notes.values()), progress)
        with writing(target.name):
            target.finish(ds)
    return target.dataset()


def _in_same_blocks(ds: xr.Dataset) -> xr.Dataset:
    """Rechunk lazy coordinates to the blocks of the results; load those without the dimensions of the blocks."""
    coords = {name: each for name, each in ds.coords.variables.items() if each.chunks is not None}
    chunks = {dim: sizes for each in ds.data_vars.values() for dim, sizes in each.variable.chunksizes.items()}
    parted = {dim for dim, sizes in chunks.items() if len(sizes) > 1}
    together = {
        name: each.chunk({dim: chunks.get(dim, -1) for dim in each.dims}) if parted <= set(each.dims) else each.load()
        for name, each in ((name, each.copy(deep=False)) for name, each in coords.items())
    }
    return ds.assign_coords(together)


def _inputs_of(lazies: Mapping[str, xr.Variable]) -> list[Input]:
    """External inputs that verbs of this package read for some variables, even if more was computed since."""
    layers = [layer for array in lazies.values() for layer in getattr(array.data.dask, "layers", {}).values()]
    return list(dict.fromkeys(each for layer in layers for each in getattr(layer, "known_inputs", ())))


def _is_in(path: str, store: str) -> bool:
    """Whether a path is a store or lies in it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(store))


def _time(ds: xr.Dataset) -> Any:
    """Dimension of time, if there is one."""
    kinds = (pd.DatetimeIndex, xr.CFTimeIndex)
    return next((dim for dim, index in ds.indexes.items() if isinstance(index, kinds)), None)


def _dataset(lazy: Any) -> xr.Dataset:
    if isinstance(lazy, xr.DataArray):
        lazy = lazy.to_dataset(name=lazy.name or "filled")
    if not isinstance(lazy, xr.Dataset):
        raise TypeError(f"expected a DataArray or Dataset, found {type(lazy).__name__}")
    # zarr v3 has no fixed-width strings
    text = {name: array.astype(object) for name, array in lazy.variables.items() if array.dtype.kind == "U"}
    plain: xr.Dataset = lazy.assign({name: xr.Variable(a.dims, a.values, a.attrs) for name, a in text.items()})
    return plain
