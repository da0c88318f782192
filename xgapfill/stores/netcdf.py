"""A netCDF file: blocks are gathered in a hidden zarr store beside it, and the file appears when it is whole."""

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
    """A netCDF file, in the format and by the library that xarray chooses."""

    suffixes = (".nc", ".nc4", ".cdf", ".netcdf")
    workers = True

    def __post_init__(self) -> None:
        if is_url(self.url):
            return
        folder = os.path.dirname(self.url)
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"{self.url} cannot be written: there is no folder {folder}")
        if os.path.isdir(self.url):
            raise IsADirectoryError(errno.EISDIR, f"{self.url} is a folder: give the netCDF file another name")

    @property
    def gathered(self) -> Zarr:
        """Where blocks are gathered: a run that was killed goes on there."""
        return Zarr(self._beside(".blocks"), self.storage)

    def _beside(self, suffix: str) -> str:
        """Return the place of a hidden file or folder beside the file."""
        folder, slash, name = self.url.rpartition("/" if is_url(self.url) else os.sep)
        return f"{folder}{slash}.{name}{suffix}"

    def begin(self, template: xr.Dataset, blocks: Blocks, run: Run, *, resume: bool, append: bool) -> State:
        """Try whether the file can be written, and begin to gather blocks."""
        if not is_url(self.url):
            for left in glob.glob(glob.escape(self._beside("")) + ".*.part"):  # by a run that was killed
                os.unlink(left)
        self._write(_first_of_each(template), keep=False)
        gathered = self.gathered
        if not gathered.belongs_to(run.token):
            remove_tree(gathered.url, self.options)
        return gathered.begin(template, blocks, run, resume=resume, append=append)

    def write(self, name: str, region: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Write a part of a variable."""
        self.gathered.write(name, region, values)

    def belongs_to(self, run: str) -> bool:
        """Whether the blocks that are gathered still are those of a run."""
        return self.gathered.belongs_to(run)

    def note(self, state: State) -> None:
        """Note what is done."""
        self.gathered.note(state)

    def finish(self, template: xr.Dataset) -> None:
        """Write the file beside its place, move it there, and let the blocks go."""
        root = self.gathered.open()
        arrays = {}
        for name, each in template.variables.items():
            if each.chunks is not None:
                held = root[str(name)]
                values = dsa.from_array(held, held.shards, name=False, meta=np.empty((0,) * each.ndim, each.dtype))
                arrays[name] = xr.Variable(each.dims, values, each.attrs, each.encoding)
        self._write(template.assign(arrays), keep=True)
        with suppress(OSError):  # the result is there
            remove_tree(self.gathered.url, self.options)

    def dataset(self) -> xr.Dataset:
        """Return what is written, lazily."""
        if not is_url(self.url):
            return xr.open_dataset(self.url)
        protocol = self.url.partition("://")[0]
        near = fsspec.open_local(f"simplecache::{self.url}", **{protocol: self.options})
        return xr.open_dataset(near)  # few libraries read netCDF from afar

    def _write(self, ds: xr.Dataset, *, keep: bool) -> None:
        """Write a file whole, beside its place or, for a URL, in a folder for such; keep it or throw it away."""
        # A name of its own each time: HDF5 does not let go of a file that it could not close on a full disk.
        part = Path(f"{self._beside('')}.{uuid.uuid4().hex}.part")
        with tempfile.TemporaryDirectory() if is_url(self.url) else nullcontext() as folder:
            part = part if folder is None else Path(folder) / part.name
            try:
                with dask.config.set(scheduler="threads"):  # whatever cluster there is: one process writes a file
                    ds.to_netcdf(part)
                if keep and is_url(self.url):
                    files, path = files_of(self.url, self.options)
                    files.put_file(str(part), path)
                elif keep:
                    part.replace(self.url)
            except RuntimeError as error:  # what netCDF4 makes of a full disk
                raise OSError(errno.EIO, f"{error}; is the disk full?") from error
            finally:
                part.unlink(missing_ok=True)


def _first_of_each(template: xr.Dataset) -> xr.Dataset:
    """Return a dataset like the template with the first index along each dimension, and nothing lazy."""
    small = template.isel({dim: slice(1) for dim in template.dims})
    empty = {
        name: xr.Variable(each.dims, np.zeros(each.shape, each.dtype), each.attrs, each.encoding)
        for name, each in small.variables.items()
        if each.chunks is not None
    }
    return small.assign(empty)
