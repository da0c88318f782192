"""Write a lazy fill to a zarr store block by block, so that a run that dies can be resumed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from dask.base import compute_as_if_collection, tokenize
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError

from xgapfill.cf import package_version

RUN = "xgapfill_run"  # group in the store that says which run it belongs to and which blocks are done
AT_ONCE = 2048  # blocks handed to the scheduler together


def write(
    lazy: xr.DataArray | xr.Dataset,
    store: str | Path,
    *,
    resume: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Compute a lazy result block by block into a zarr store, or into a netCDF file if it is small.

    A block is one shard of the store, so no two tasks ever touch the same file. What is done is noted in the store
    after it is written; a run that was killed goes on where it stopped when it is called again in the same way.

    Parameters
    ----------
    lazy : DataArray or Dataset
        From a verb of this package: dask arrays with the same blocks along shared dimensions.
    store : str or Path
        Folder or fsspec URL that becomes a zarr v3 store; a name that ends in ``.nc`` is written as netCDF in one go.
    resume : bool
        Go on with a run of the same inputs, weights, parameters and version; False starts again from nothing, which
        is refused where the store belongs to another run.
    storage_options : mapping, optional
        For fsspec.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset
        What was written, opened lazily.

    Raises
    ------
    ValueError
        The store holds something else or another run, or `lazy` cannot be written in blocks.
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
    if str(store).endswith(".nc"):
        return _write_netcdf(ds, Path(store))
    lazies = {str(name): array for name, array in ds.variables.items() if array.chunks is not None}
    if not lazies:
        raise TypeError("nothing here is lazy: it has been computed already. Use .to_zarr()")
    plan = _Blocks.of(lazies)
    target = _Target(str(store), tuple(sorted((storage_options or {}).items())))
    token = tokenize([(name, each.data.name) for name, each in lazies.items()], package_version())
    done = _begin(ds, plan, target, token, resume)
    _run(plan, target, lazies, np.flatnonzero(done == 0), len(done), progress)
    return xr.open_zarr(target.url, chunks=None, consolidated=False, storage_options=target.storage)


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
    finally:
        part.unlink(missing_ok=True)
    return xr.open_dataset(file)


@dataclass(frozen=True)
class _Target:
    """Where the store is: small enough to travel to every worker."""

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def storage(self) -> dict[str, Any] | None:
        return dict(self.options) or None

    def open(self, mode: Any = "r+") -> Any:
        return zarr.open_group(self.url, mode=mode, zarr_format=3, storage_options=self.storage)


@dataclass(frozen=True)
class _Blocks:
    """Blocks of a set of variables along the dimensions that they share.

    Attributes
    ----------
    dims : tuple of str
        Dimensions that are cut into more than one block by any variable.
    edges : tuple of tuple of int
        Edges of the blocks along each.
    """

    dims: tuple[Hashable, ...]
    edges: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, lazies: Mapping[str, xr.Variable]) -> _Blocks:
        cuts: dict[Hashable, tuple[int, ...]] = {}
        for name, array in lazies.items():
            for dim, sizes in array.chunksizes.items():
                if cuts.setdefault(dim, sizes) != sizes:
                    raise ValueError(f"{name!r} is cut along {dim!r} in other blocks than another variable; rechunk it")
        dims = tuple(dim for dim, sizes in cuts.items() if len(sizes) > 1)
        for dim in dims:
            if len(set(cuts[dim][:-1])) > 1 or cuts[dim][-1] > cuts[dim][0]:
                raise ValueError(f"blocks along {dim!r} must be alike, found {cuts[dim]}; rechunk it")
            if lacking := [name for name, array in lazies.items() if dim not in array.dims]:
                raise ValueError(f"{lacking} have no dimension {dim!r}, along which others have blocks; drop them")
        return cls(dims, tuple(tuple(int(e) for e in np.cumsum((0, *cuts[dim]))) for dim in dims))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def place(self, number: int) -> dict[Hashable, int]:
        """Number of a block along each dimension."""
        return dict(zip(self.dims, map(int, np.unravel_index(number, self.shape or (1,))), strict=False))

    def regions(self, number: int, dims: Sequence[Hashable]) -> tuple[slice, ...]:
        """Part of a variable that a block is."""
        place = self.place(number)
        edges = dict(zip(self.dims, self.edges, strict=True))
        return tuple(
            slice(edges[dim][place[dim]], edges[dim][place[dim] + 1]) if dim in edges else slice(None) for dim in dims
        )

    def key(self, number: int, array: xr.Variable) -> tuple[Any, ...]:
        """Key of a block in the graph of a variable."""
        place = self.place(number)
        return array.data.name, *(place.get(dim, 0) for dim in array.dims)


def _begin(ds: xr.Dataset, plan: _Blocks, target: _Target, token: str, resume: bool) -> NDArray[np.uint8]:
    """Make the store, or find it as this run left it; return which blocks are done."""
    count = int(np.prod(plan.shape, dtype=int))
    try:
        root = target.open()
    except (GroupNotFoundError, FileNotFoundError):
        root = None
    if root is not None:
        if RUN not in root:
            raise ValueError(f"{target.url} exists and was not written by xgapfill.write: give another store")
        run = root[RUN]
        if run.attrs.get("token") != token:
            raise ValueError(
                f"{target.url} belongs to another run (other inputs, weights, parameters, chunks or version; large "
                "arrays in memory are another input every time: open them from files). Give another store, or remove it"
            )
        if resume and run.attrs.get("ready"):
            return np.asarray(run["done"][:])
    root = zarr.create_group(target.url, overwrite=True, zarr_format=3, storage_options=target.storage)
    run = root.create_group(RUN, attributes={"token": token, "ready": False, "version": package_version()})
    run.create_array("done", shape=(count,), chunks=(1,), shards=None, dtype="uint8", fill_value=0)
    ds.to_zarr(
        target.url,
        mode="a",
        compute=False,
        consolidated=False,
        zarr_format=3,
        encoding=_encoding(ds),
        safe_chunks=False,
        storage_options=target.storage,
    )
    run.attrs["ready"] = True
    return np.zeros(count, np.uint8)


def _encoding(ds: xr.Dataset) -> dict[Hashable, dict[str, Any]]:
    """One shard a block, chunks of one time step inside."""
    found = {}
    for name, array in ds.variables.items():
        if array.chunks is None:
            continue
        shards = tuple(sizes[0] for sizes in array.chunks)
        time = [np.issubdtype(ds[dim].dtype, np.datetime64) if dim in ds.coords else False for dim in array.dims]
        chunks = tuple(1 if is_time else n for n, is_time in zip(shards, time, strict=True))
        found[name] = {"chunks": chunks, "shards": shards}
    return found


@dataclass(frozen=True)
class _WriteBlock:
    """Writes one block of every variable, then notes that it is done."""

    plan: _Blocks
    target: _Target
    names: tuple[str, ...]
    dims: tuple[tuple[Hashable, ...], ...]

    def __call__(self, number: int, values: list[NDArray[Any]]) -> int:
        group = _opened(self.target)
        for name, dims, each in zip(self.names, self.dims, values, strict=True):
            group[name][self.plan.regions(number, dims)] = each
        group[RUN]["done"][number] = 1
        return number


@lru_cache(maxsize=8)
def _opened(target: _Target) -> Any:
    return target.open()


def _run(
    plan: _Blocks,
    target: _Target,
    lazies: Mapping[str, xr.Variable],
    pending: NDArray[np.intp],
    count: int,
    progress: bool,
) -> None:
    """Compute and write the pending blocks, a few thousand at a time."""
    from tqdm.auto import tqdm

    _opened.cache_clear()
    write_block = _WriteBlock(plan, target, tuple(lazies), tuple(each.dims for each in lazies.values()))
    name = f"write-{tokenize(write_block, list(lazies))}"
    arrays = [each.data for each in lazies.values()]
    bar = tqdm(total=count, initial=count - pending.size, unit="block", disable=not progress)
    with bar:
        for start in range(0, pending.size, AT_ONCE):
            part = [int(number) for number in pending[start : start + AT_ONCE]]
            tasks: dict[Any, Any] = {
                (name, number): (write_block, number, [plan.key(number, each) for each in lazies.values()])
                for number in part
            }
            graph = HighLevelGraph.from_collections(name, tasks, dependencies=arrays)
            with _Ticks(bar, name):
                compute_as_if_collection(type(arrays[0]), graph, [(name, number) for number in part])


class _Ticks(Callback):
    """Moves the bar when a block is written."""

    def __init__(self, bar: Any, name: str) -> None:
        super().__init__()
        self.bar, self.wanted = bar, name

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        if isinstance(key, tuple) and key[0] == self.wanted:
            self.bar.update()
