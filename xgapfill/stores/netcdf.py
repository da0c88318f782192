"""A netCDF file: blocks are collected in a hidden zarr store beside it, and the file appears when it is complete."""

from __future__ import annotations

import errno
import glob
import os
import tempfile
import uuid
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import dask
import dask.array as dsa
import fsspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.stores.base import Blocks, Run, State, StoreAt
from xgapfill.stores.files import files_of, is_url, remove_tree
from xgapfill.stores.zarr import Zarr


class Netcdf(StoreAt):
    """A netCDF file, in the format and with the library that xarray chooses."""

    suffixes = (".nc", ".nc4", ".cdf", ".netcdf")
    workers = True

    def __post_init__(self) -> None:
        if is_url(self.url):
            return
        folder = os.path.dirname(self.url)
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                errno.ENOENT, f"{self.url} cannot be written: there is no folder {folder}; create it"
            )
        if os.path.isdir(self.url):
            raise IsADirectoryError(errno.EISDIR, f"{self.url} is a folder; give the netCDF file another name")

    @property
    def gathered(self) -> Zarr:
        """The hidden store of the blocks, from which a killed run resumes."""
        return Zarr(self._beside(".blocks"), self.storage)

    def _beside(self, suffix: str) -> str:
        """Return the path of a hidden file or folder beside the file."""
        folder, slash, name = self.url.rpartition("/" if is_url(self.url) else os.sep)
        return f"{folder}{slash}.{name}{suffix}"

    def begin(self, template: xr.Dataset, blocks: Blocks, run: Run, *, resume: bool, append: bool) -> State:
        """Test that the file can be written, and begin the store of the blocks."""
        if not is_url(self.url):
            for left in glob.glob(glob.escape(self._beside("")) + ".*.part"):  # of a killed run
                os.unlink(left)
        self._write(_first_of_each(template), keep=False)
        gathered = self.gathered
        if not gathered.belongs_to(run.token):
            remove_tree(gathered.url, self.options)
        return gathered.begin(template, blocks, run, resume=resume, append=append)

    def write(self, name: str, region: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Write a region of a variable."""
        self.gathered.write(name, region, values)

    def belongs_to(self, run: str) -> bool:
        """Whether the collected blocks still belong to a run."""
        return self.gathered.belongs_to(run)

    def note(self, state: State) -> None:
        """Save the state."""
        self.gathered.note(state)

    def finish(self, template: xr.Dataset) -> None:
        """Write the file beside its final path, move it there, and remove the blocks."""
        root = self.gathered.open()
        arrays = {}
        for name, each in template.variables.items():
            if each.chunks is not None:
                held = root[str(name)]
                values = dsa.from_array(held, held.shards, name=False, meta=np.empty((0,) * each.ndim, each.dtype))
                arrays[name] = xr.Variable(each.dims, values, each.attrs, each.encoding)
        self._write(template.assign(arrays), keep=True)
        with suppress(OSError):  # the result is complete
            remove_tree(self.gathered.url, self.options)

    def dataset(self) -> xr.Dataset:
        """Return the written data, lazily."""
        if not is_url(self.url):
            return xr.open_dataset(self.url)
        protocol = self.url.partition("://")[0]
        near = fsspec.open_local(f"simplecache::{self.url}", **{protocol: self.options})
        return xr.open_dataset(near)  # few libraries read remote netCDF

    def _write(self, ds: xr.Dataset, *, keep: bool) -> None:
        """Write a complete file beside its final path (for a URL, in a temporary folder); keep or delete it."""
        # A new name each time: HDF5 keeps a file open that it could not close on a full disk.
        part = Path(f"{self._beside('')}.{uuid.uuid4().hex}.part")
        with tempfile.TemporaryDirectory() if is_url(self.url) else nullcontext() as folder:
            part = part if folder is None else Path(folder) / part.name
            try:
                with dask.config.set(scheduler="threads"):  # even with a cluster: only one process can write the file
                    ds.to_netcdf(part)
                if keep and is_url(self.url):
                    files, path = files_of(self.url, self.options)
                    files.put_file(str(part), path)
                elif keep:
                    part.replace(self.url)
            except RuntimeError as error:  # netCDF4 raises it on a full disk
                raise OSError(errno.EIO, f"{error}; is the disk full?") from error
            finally:
                part.unlink(missing_ok=True)


def _first_of_each(template: xr.Dataset) -> xr.Dataset:
    """Return a dataset like the template with only the first index along each dimension, in memory."""
    small = template.isel({dim: slice(1) for dim in template.dims})
    empty = {
        name: xr.Variable(each.dims, np.zeros(each.shape, each.dtype), each.attrs, each.encoding)
        for name, each in small.variables.items()
        if each.chunks is not None
    }
    return small.assign(empty)
