"""External inputs of a source (files, stores, objects), and fingerprints that detect their changes.

A fingerprint consists of sizes and modification times (or the metadata of objects in a remote store), never of values.
Of a zarr array, only the chunks that are read count, since a series may grow during a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from xarray.backends.common import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    import zarr

Chosen = list[NDArray[np.intp]] | None  # indices along each axis; None: all
LAZY_WRAPPERS = {
    "ImplicitToExplicitIndexingAdapter",
    "MemoryCachedArray",
    "CopyOnWriteArray",
    "LazilyIndexedArray",
    "LazilyVectorizedIndexedArray",
    "_ElementwiseFunctionArray",
    "NativeEndiannessArray",
    "BoolTypeArray",
}
# Names in file systems for the checksum or the modification time of an object; each has at least one of them.
MARKS = (
    *("ETag", "etag", "e_tag", "md5Hash", "Content-MD5", "content_md5", "Digest", "checksum", "generation"),
    *("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified"),
)
PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "valid_min", "valid_max")
_looked: ContextVar[dict[Place, str | None] | None] = ContextVar("looked", default=None)


class Place(Protocol):
    """The location of values."""

    @property
    def path(self) -> str:
        """Path or URL, for messages."""

    def look(self) -> str | None:
        """Return a fingerprint; None if nothing exists there, or its changes cannot be detected."""


@dataclass(frozen=True)
class Input:
    """An external input, with its fingerprint at the call."""

    place: Place
    fingerprint: str

    def changed(self) -> bool:
        """Whether the input has changed since the call."""
        return self.place.look() != self.fingerprint


@dataclass(frozen=True)
class File:
    """A local file, or a local folder that is read as a whole."""

    path: str

    def look(self) -> str | None:
        """Return size and modification time."""
        if os.path.isdir(self.path):
            return Chunks(self.path, every=True).look()
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return f"{found.st_size} {found.st_mtime_ns}"


@dataclass(frozen=True)
class Chunks:
    """Files of a zarr array in a local folder.

    Attributes
    ----------
    path : str
        Folder of the array.
    wanted : tuple of frozenset, optional
        Numbers of the files (chunks or shards) along each axis; all by default.
    every : bool
        Whether to include files that are not chunks.
    """

    path: str
    wanted: tuple[frozenset[int], ...] | None = None
    every: bool = False

    def look(self) -> str | None:
        """Return the number of files, and a sum of hashes of names, sizes and modification times.

        The sum does not depend on the order and needs no list.
        """
        try:
            count, total = self._walk(self.path, ())
        except FileNotFoundError:
            return None
        return f"{count} {total:x}"

    def _walk(self, folder: str, at: tuple[int, ...]) -> tuple[int, int]:
        count = total = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                numbers = numbers_of(entry.name)
                if numbers is None:
                    if not self.every:
                        continue
                    numbers = (_hash(entry.name),)
                numbers = at + numbers
                if not is_wanted(numbers, self.wanted):
                    continue
                if entry.is_dir():
                    n, part = self._walk(entry.path, numbers)
                else:
                    stat = entry.stat()
                    n, part = 1, hash((*numbers, stat.st_size, stat.st_mtime_ns))  # deterministic for integers
                count, total = count + n, (total + part) % 2**64
        return count, total


@dataclass(frozen=True)
class Objects:
    """Objects under a path in an fsspec file system."""

    filesystem: str  # as JSON
    path: str
    wanted: tuple[frozenset[int], ...] | None = None

    def look(self) -> str | None:
        """Return a fingerprint as `Chunks`, from the tags, checksums or times in the metadata of the objects."""
        from fsspec import AbstractFileSystem

        files = AbstractFileSystem.from_json(self.filesystem)
        files.invalidate_cache()
        count = total = 0
        for path, info in files.find(self.path, detail=True).items():
            inside = str(path).removeprefix(self.path).lstrip("/")
            numbers = numbers_of(inside)
            if numbers is None or not is_wanted(numbers, self.wanted):
                continue
            marks = [info[mark] for mark in MARKS if info.get(mark) is not None]
            if not marks:
                return None
            count, total = count + 1, (total + _hash(inside, info.get("size"), *marks)) % 2**64
        return f"{count} {total:x}"


@dataclass(frozen=True)
class Snapshot:
    """An immutable snapshot of a store."""

    path: str
    name: str

    def look(self) -> str | None:
        """Return the name of the snapshot."""
        return self.name


def _hash(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def numbers_of(name: str) -> tuple[int, ...] | None:
    """Chunk numbers in the name of a file, or of a folder of chunks; None for other files."""
    if name == "c":
        return ()
    try:
        return tuple(map(int, name.removeprefix("c").lstrip("./").replace("/", ".").split(".")))
    except ValueError:
        return None


def is_wanted(numbers: Sequence[int], wanted: Sequence[frozenset[int]] | None) -> bool:
    """Whether a file, or anything in a folder, is among the wanted chunks."""
    return wanted is None or all(number in some for number, some in zip(numbers, wanted, strict=False))


@contextmanager
def looking_once() -> Iterator[None]:
    """Cache fingerprints in the context, since size classes are parts of one array."""
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)


def found_at(place: Place | None) -> Input | None:
    """Return the input at a place; None if its changes cannot be detected."""
    if place is None:
        return None
    looked = _looked.get()
    if looked is not None and place in looked:
        found = looked[place]
    else:
        try:
            found = place.look()
        except Exception:  # remote file systems may raise anything; the input is then unknown
            found = None
        if looked is not None:
            looked[place] = found
    return None if found is None else Input(place, found)


def unwrapped(data: Any, chosen: Chosen = None) -> tuple[Any, Chosen]:
    """Return the array under xarray's lazy wrappers, and the indices selected of it along each axis."""
    while type(data).__name__ in LAZY_WRAPPERS and hasattr(data, "array"):
        if isinstance(data, indexing.LazilyIndexedArray):
            chosen = _through(data.key.tuple, data.array.shape, chosen)
        elif isinstance(data, indexing.LazilyVectorizedIndexedArray):
            chosen = [np.unique(index) for index in data.key.tuple]
        data = data.array
    return data, chosen


def _through(key: Sequence[Any], shape: Sequence[int], chosen: Chosen) -> Chosen:
    """Indices selected of an array, given the indices selected of a selection of it."""
    after = None if chosen is None else iter(chosen)
    found = []
    for part, size in zip(key, shape, strict=True):
        if isinstance(part, int | np.integer):
            found.append(np.array([part]))
        else:
            index = np.arange(size)[part]
            found.append(index if after is None else index[next(after)])
    return found


def place_of(data: Any, chosen: Chosen, source: Any = None) -> tuple[Place | None, str]:
    """Return the location of an array of a file or store, and a description that identifies it there.

    Parameters
    ----------
    data : backend array of xarray, zarr array, or array of a file
    chosen : list of index, optional
        Indices that are read.
    source : str, optional
        Path recorded by xarray.
    """
    import zarr

    array = getattr(data, "_array", None) if isinstance(data, BackendArray) else data
    if isinstance(array, zarr.Array):
        return _place_of_zarr(array, chosen), _described(array)
    path = source if isinstance(source, str) else _path_of(data)
    name = getattr(data, "variable_name", getattr(data, "name", ""))
    if path is None or not os.path.exists(path.removeprefix("file://")):
        return None, str(name)
    return File(path.removeprefix("file://")), f"{path} {name}"


def _path_of(data: Any) -> str | None:
    """Path of the file of a netCDF or HDF5 array, if xarray did not record it."""
    store = getattr(data, "datastore", None)
    opened = getattr(getattr(store, "_manager", None), "_args", None) or [getattr(store, "_filename", None)]
    if store is None and type(data).__module__.startswith("netCDF4"):
        return str(data.group().filepath())
    of_h5py = getattr(getattr(data, "file", None), "filename", None)
    found = opened[0] if store is not None else of_h5py or getattr(data, "filename", None)
    return os.fspath(found) if isinstance(found, str | os.PathLike) else None


def _described(array: zarr.Array[Any]) -> str:
    """Metadata of a zarr array, except its shape."""
    known: Mapping[str, Any] = array.metadata.to_dict()
    attributes = {name: value for name, value in array.attrs.items() if name in PACKING}
    kept = {name: value for name, value in known.items() if name not in ("shape", "attributes")}
    return f"{array.store_path} {json.dumps([kept, attributes], sort_keys=True, default=str)}"


def _place_of_zarr(array: zarr.Array[Any], chosen: Chosen) -> Place | None:
    from zarr import storage

    store: Any = array.store_path.store
    while hasattr(store, "_store") and not hasattr(store, "root"):
        store = store._store
    inside, wanted = array.store_path.path, _files_of(array, chosen)
    session = getattr(store, "session", None)
    if session is not None:
        return Snapshot(f"{store}/{inside}", str(session.snapshot_id)) if session.read_only else None
    if isinstance(store, storage.LocalStore):
        return Chunks(os.path.join(store.root, inside), wanted)
    if isinstance(store, storage.ZipStore):
        return File(str(store.path))
    if isinstance(store, storage.FsspecStore):
        return _place_of_fsspec(store.fs, f"{store.path}/{inside}", wanted)
    return None


def _place_of_fsspec(files: Any, path: str, wanted: tuple[frozenset[int], ...] | None) -> Place | None:
    files = getattr(files, "sync_fs", files)
    names = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    if "file" in names:
        return Chunks(path, wanted)
    if "memory" in names:
        return None
    if getattr(files, "asynchronous", False):
        files = type(files)(*files.storage_args, **{**files.storage_options, "asynchronous": False})
    return Objects(files.to_json(), path.rstrip("/"), wanted)


def _files_of(array: zarr.Array[Any], chosen: Chosen) -> tuple[frozenset[int], ...] | None:
    """Numbers of the files along each axis that hold the selected indices."""
    if chosen is None:
        return None
    lengths = array.shards or array.chunks
    return tuple(
        frozenset(np.unique(index % size // length).tolist())
        for index, size, length in zip(chosen, array.shape, lengths, strict=True)
    )


def all_known(found: Iterable[Input | None]) -> tuple[Input, ...] | None:
    """Return the unique inputs; None if any is unknown."""
    kept = dict.fromkeys(found)
    return None if None in kept else tuple(each for each in kept if each is not None)
