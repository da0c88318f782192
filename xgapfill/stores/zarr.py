"""The zarr store of a run: which run it belongs to, which of its blocks are done, how it grows in time."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import xarray as xr
import zarr
from dask.base import tokenize
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError

from xgapfill._version import package_version

RUN = "xgapfill_run"  # group in the store that says which run it belongs to and which blocks are done
TO_DO, DONE, NEW_FRAMES = range(3)  # of a block; the last: frames from `first` on are to be written again


@dataclass(frozen=True)
class Target:
    """Where the store is: small enough to travel to every worker."""

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    def __hash__(self) -> int:
        return hash((self.url, repr(self.options)))

    @property
    def storage(self) -> dict[str, Any] | None:
        """Options for fsspec."""
        return dict(self.options) or None

    def open(self) -> Any:
        """Return the root group, to be read and changed."""
        return zarr.open_group(self.url, mode="r+", zarr_format=3, storage_options=self.storage)

    def dataset(self) -> xr.Dataset:
        """Return what is written, lazily."""
        return xr.open_zarr(self.url, chunks=None, consolidated=False, storage_options=self.storage)

    def failed(self, error: OSError) -> OSError:
        """Return an error that says what became of the run."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room" if full else "see to it"
        return OSError(
            error.errno or errno.EIO,
            f"{self.url} cannot be written ({error.strerror or error}). Blocks that are done stay; {advice} and make "
            "the same call again to go on",
        )


@lru_cache(maxsize=8)
def opened(target: Target) -> Any:
    """Return the root group, opened once a process."""
    return target.open()


@dataclass(frozen=True)
class Blocks:
    """Blocks of a set of variables along the dimensions that they share.

    Attributes
    ----------
    dims : tuple of str
        Dimensions that are cut into more than one block by any variable, and time.
    edges : tuple of tuple of int
        Edges of the blocks along each.
    time : str or None
        Dimension of time.
    frames : int
        Length of blocks along time.
    """

    dims: tuple[Hashable, ...]
    edges: tuple[tuple[int, ...], ...]
    time: Hashable | None
    frames: int = 1

    @classmethod
    def of(cls, lazies: Mapping[str, xr.Variable], time: Hashable | None, frames: int | None) -> Blocks:
        """Find the blocks; `frames` is their length along time where the variables were cut by it, else None."""
        cuts: dict[Hashable, tuple[int, ...]] = {}
        for name, array in lazies.items():
            for dim, sizes in array.chunksizes.items():
                if cuts.setdefault(dim, sizes) != sizes:
                    raise ValueError(f"{name!r} is cut along {dim!r} in other blocks than another variable; rechunk it")
        time = time if time in cuts else None
        dims = tuple(dim for dim, sizes in cuts.items() if len(sizes) > 1 or dim == time)
        for dim in dims:
            if len(set(cuts[dim][:-1])) > 1 or cuts[dim][-1] > cuts[dim][0]:
                raise ValueError(f"blocks along {dim!r} must be alike, found {cuts[dim]}; rechunk it")
            lacking = [name for name, array in lazies.items() if dim not in array.dims]
            if lacking and len(cuts[dim]) > 1:
                raise ValueError(f"{lacking} have no dimension {dim!r}, along which others have blocks; drop them")
        edges = tuple(tuple(int(e) for e in np.cumsum((0, *cuts[dim]))) for dim in dims)
        known = cuts[time][0] if time is not None else 1
        return cls(dims, edges, time, known if frames is None else max(frames, known))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def place(self, number: int) -> dict[Hashable, int]:
        """Number of a block along each dimension."""
        return dict(zip(self.dims, map(int, np.unravel_index(number, self.shape or (1,))), strict=False))

    def regions(self, number: int, dims: Sequence[Hashable], first: int = 0) -> tuple[slice, ...]:
        """Part of a variable that a block is, from a frame on."""
        place = self.place(number)
        edges = dict(zip(self.dims, self.edges, strict=True))
        found = []
        for dim in dims:
            low, high = (edges[dim][place[dim] + more] for more in (0, 1)) if dim in edges else (None, None)
            found.append(slice(low if dim != self.time or low is None else max(low, first), high))
        return tuple(found)

    def key(self, number: int, array: xr.Variable) -> tuple[Any, ...]:
        """Key of a block in the graph of a variable."""
        place = self.place(number)
        return array.data.name, *(place.get(dim, 0) for dim in array.dims)

    def encoding(self, ds: xr.Dataset) -> dict[Hashable, dict[str, Any]]:
        """One shard a block, chunks of one time step inside."""
        found = {}
        for name, array in ds.variables.items():
            if array.chunks is not None:
                alike = [self.frames if dim == self.time else n[0] for dim, n in array.chunksizes.items()]
                chunks = tuple(1 if dim == self.time else n for dim, n in zip(array.dims, alike, strict=True))
                found[name] = {"chunks": chunks, "shards": tuple(alike)}
        return found


@dataclass(frozen=True)
class Run:
    """Which run a store belongs to.

    Attributes
    ----------
    token : str
        Of inputs, weights, parameters and version.
    identity : str or None
        The same but for the values of the input and its times, which may become more; None where it is not known what
        that would change.
    reach : int or None
        Frames before the end that new ones change; None: all of them.
    """

    token: str
    identity: str | None
    reach: int | None

    @classmethod
    def of(cls, lazies: Mapping[str, xr.Variable], said: Mapping[str, Mapping[str, Any]]) -> Run:
        """Name a run; `said` is what the verbs that made the variables say of them, of those that are untouched."""
        version = package_version()
        token = tokenize([(name, each.data.name) for name, each in lazies.items()], version)
        reaches = [each["reach"] for each in said.values()]
        if len(said) < len(lazies):
            return cls(token, None, None)
        identity = tokenize(sorted((name, each["identity"]) for name, each in said.items()), version)
        return cls(token, identity, None if None in reaches else max(reaches))


def begin(
    ds: xr.Dataset, blocks: Blocks, target: Target, run: Run, *, resume: bool, append: bool
) -> tuple[NDArray[np.uint8], int]:
    """Make the store, find it as this run left it, or make it longer; return the state of blocks, and the first frame
    of those that have new frames.

    Raises
    ------
    ValueError
        The store holds something else or another run, or cannot be made longer.
    """
    root = _found(target)
    if root is not None:
        noted = root[RUN].attrs
        if noted.get("token") != run.token:
            if not append:
                raise ValueError(
                    f"{target.url} belongs to another run (other inputs, weights, parameters, chunks or version; large "
                    "arrays in memory are another input every time: open them from files). Give another store, remove "
                    "it, or say append=True if it is the same run of a series that has become longer"
                )
            _lengthen(ds, blocks, target, run, root)
        elif resume and not noted.get("ready") and "frames" in noted:
            _grow(ds, blocks, target, root)
        noted = root[RUN].attrs
        if resume and noted.get("ready"):
            _clean(target)
            return np.asarray(root[RUN]["done"][...]), int(noted.get("first", 0))
    root = zarr.create_group(target.url, overwrite=True, zarr_format=3, storage_options=target.storage)
    notes = {"token": run.token, "identity": run.identity, "ready": False, "version": package_version()}
    group = root.create_group(RUN, attributes=notes)
    shape = blocks.shape or (1,)
    chunks = tuple(max(n, 64) for n in shape)  # one file, that of a series that grows as well
    group.create_array("done", shape=shape, chunks=chunks, dtype="uint8", fill_value=TO_DO)
    _template(ds, target, blocks.encoding(ds))
    group.attrs["ready"] = True
    return np.zeros(shape, np.uint8), 0


def _found(target: Target) -> Any:
    """The root group of a run; None where there is nothing yet. ValueError for anything else."""
    foreign = f"{target.url} exists and was not written by xgapfill.write: give another store"
    try:
        root = target.open()
    except (GroupNotFoundError, FileNotFoundError):
        files, path = fsspec.core.url_to_fs(target.url, **dict(target.options))
        if files.exists(path) and not all(name.endswith(".partial") for name in files.ls(path, detail=False)):
            raise ValueError(foreign) from None
        return None
    if RUN in root:
        return root
    if next(iter(root.members()), None) is None and not dict(root.attrs):
        return None  # killed before anything else was written
    raise ValueError(foreign)


def _template(ds: xr.Dataset, target: Target, encoding: Mapping[Hashable, Mapping[str, Any]]) -> None:
    """Write metadata and what is not lazy."""
    ds.to_zarr(
        target.url,
        mode="a",
        compute=False,
        consolidated=False,
        zarr_format=3,
        encoding=encoding,
        safe_chunks=False,
        storage_options=target.storage,
    )


def _lengthen(ds: xr.Dataset, blocks: Blocks, target: Target, run: Run, root: Any) -> None:
    """Check that a store is the beginning of a run, note what will become of it, and make it longer."""
    noted = root[RUN].attrs
    if run.identity is None:
        raise ValueError("append=True is for what a verb of this package returned, without computations on it since")
    if run.reach is None:
        raise ValueError("append=True: new frames change all others of this method or statistic; give another store")
    if noted.get("identity") != run.identity:
        raise ValueError(
            f"{target.url} cannot be made longer by this run: other places, weights, parameters, variables or version"
        )
    unfinished = not noted.get("ready")
    if unfinished and "frames" not in noted:
        raise ValueError(f"{target.url} was never begun in earnest; remove it")
    old = _same_beginning(ds, blocks, target, root, int(noted["frames"]) if unfinished else None)
    first = old if ds.sizes[blocks.time] == old else max(0, old - run.reach)
    if unfinished or (np.asarray(root[RUN]["done"][...]) == NEW_FRAMES).any():
        first = min(first, int(noted.get("first", first)))
    noted.update({"token": run.token, "ready": False, "frames": old, "first": first})
    _grow(ds, blocks, target, root)


def _same_beginning(ds: xr.Dataset, blocks: Blocks, target: Target, root: Any, frames: int | None) -> int:
    """Frames in the store (`frames`, if it was being made longer); ValueError where it is not how `ds` begins."""
    time = blocks.time
    if time is None:
        raise ValueError("append=True needs a dimension of time")
    for name, wanted in blocks.encoding(ds).items():
        array = root.get(str(name))
        held = None if array is None else [n for dim, n in zip(ds[name].dims, array.shape, strict=True) if dim != time]
        if held != [n for dim, n in ds[name].sizes.items() if dim != time] or array.shards != wanted["shards"]:
            raise ValueError(f"{target.url} holds {name!r} in another shape or in other blocks; give another store")
        old = int(array.shape[ds[name].dims.index(time)])
    begun, frames = frames is not None, old if frames is None else frames
    if ds.sizes[time] < frames:
        raise ValueError(f"{target.url} has {frames} frames, more than the {ds.sizes[time]} to be written")
    if not begun:
        written = target.dataset()
        for name, each in ds.variables.items():
            if each.chunks is None and name in written.variables:
                part = each.isel({time: slice(frames)}) if time in each.dims else each
                if not part.equals(written[name].variable):
                    raise ValueError(f"{name!r} of {target.url} is not that of the first {frames} frames; start anew")
    return frames


def _grow(ds: xr.Dataset, blocks: Blocks, target: Target, root: Any) -> None:
    """Make a store as long as was noted; done again where it was interrupted, it comes out the same."""
    group = root[RUN]
    frames, first, time = int(group.attrs["frames"]), int(group.attrs["first"]), blocks.time
    for name in blocks.encoding(ds):
        root[str(name)].resize(ds[name].shape)
    state = group["done"]
    state.resize(blocks.shape)
    axis = blocks.dims.index(time)
    part = [slice(None)] * len(blocks.shape)
    part[axis] = slice(first // blocks.frames, -(-frames // blocks.frames))
    if ds.sizes[time] > frames:
        held = np.asarray(state[tuple(part)])
        state[tuple(part)] = np.where(held == DONE, NEW_FRAMES, held).astype(np.uint8)
    for name, each in ds.variables.items():
        if each.chunks is None and time in each.dims and str(name) in root:
            del root[str(name)]
    _template(ds, target, {})
    group.attrs["ready"] = True


def _clean(target: Target) -> None:
    """Remove what a killed process left of files it was writing."""
    if "://" not in target.url:
        for file in Path(target.url).rglob("*.partial"):
            file.unlink(missing_ok=True)
