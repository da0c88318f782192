"""What a source reads from outside: files, stores, objects; and what tells whether they are what they were.

A fingerprint is made of sizes and times of the last change (or of what a remote store says of its objects), never of
values. Of a zarr array, those chunks count that are read: a series may become longer beside a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from xarray.backends.common import BackendArray
from xarray.core import indexing

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
# What file systems call the content or the last change of an object, one or the other in each of them.
MARKS = (
    *("ETag", "etag", "e_tag", "md5Hash", "Content-MD5", "content_md5", "Digest", "checksum", "generation"),
    *("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified"),
)
PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "valid_min", "valid_max")
_looked: ContextVar[dict[Place, str | None] | None] = ContextVar("looked", default=None)


class Place(Protocol):
    """Where values lie."""

    @property
    def path(self) -> str:
        """Path or URL, for messages."""

    def look(self) -> str | None:
        """Return a fingerprint; None where there is nothing, or nothing that tells its changes."""


@dataclass(frozen=True)
class Input:
    """Something that values are read from, and what it was like at the call."""

    place: Place
    fingerprint: str

    def changed(self) -> bool:
        """Whether it is now another than at the call."""
        return self.place.look() != self.fingerprint


@dataclass(frozen=True)
class File:
    """A file of this machine, or a folder that is read as a whole."""

    path: str

    def look(self) -> str | None:
        """Size and last change."""
        if os.path.isdir(self.path):
            return Chunks(self.path, every=True).look()
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return f"{found.st_size} {found.st_mtime_ns}"


@dataclass(frozen=True)
class Chunks:
    """Files of a zarr array in a folder of this machine.

    Attributes
    ----------
    path : str
        Folder of the array.
    wanted : tuple of frozenset, optional
        Numbers of the files (chunks, or shards) along each axis; all by default.
    every : bool
        Whether to count files that are no chunks as well.
    """

    path: str
    wanted: tuple[frozenset[int], ...] | None = None
    every: bool = False

    def look(self) -> str | None:
        """Number, and a sum of hashes of names, sizes and last changes: in any order, and no list is held."""
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
                    n, part = 1, hash((*numbers, stat.st_size, stat.st_mtime_ns))  # of whole numbers: always the same
                count, total = count + n, (total + part) % 2**64
        return count, total


@dataclass(frozen=True)
class Objects:
    """Objects of a file system of fsspec under a path."""

    filesystem: str  # as JSON
    path: str
    wanted: tuple[frozenset[int], ...] | None = None

    def look(self) -> str | None:
        """As of `Chunks`, with the tags, checksums or times that the store has of its objects."""
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
    """A snapshot of a store that never changes."""

    path: str
    name: str

    def look(self) -> str | None:
        """Its name."""
        return self.name


def _hash(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def numbers_of(name: str) -> tuple[int, ...] | None:
    """Numbers of a chunk in the name of its file, or of a folder of them; None for other files."""
    if name == "c":
        return ()
    try:
        return tuple(map(int, name.removeprefix("c").lstrip("./").replace("/", ".").split(".")))
    except ValueError:
        return None


def is_wanted(numbers: Sequence[int], wanted: Sequence[frozenset[int]] | None) -> bool:
    """Whether a file, or anything in a folder, is one of the wanted."""
    return wanted is None or all(number in some for number, some in zip(numbers, wanted, strict=False))


@contextmanager
def looking_once() -> Iterator[None]:
    """Look at each place once inside: size classes are parts of one array."""
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)


def found_at(place: Place | None) -> Input | None:
    """Return the input at a place; None where there is nothing that tells its changes."""
    if place is None:
        return None
    looked = _looked.get()
    if looked is not None and place in looked:
        found = looked[place]
    else:
        try:
            found = place.look()
        except Exception:  # whatever a remote file system raises: it is not known then
            found = None
        if looked is not None:
            looked[place] = found
    return None if found is None else Input(place, found)


def unwrapped(data: Any, chosen: Chosen = None) -> tuple[Any, Chosen]:
    """Return what reads the values under xarray's lazy wrappers, and what of it is chosen along each axis."""
    while type(data).__name__ in LAZY_WRAPPERS and hasattr(data, "array"):
        if isinstance(data, indexing.LazilyIndexedArray):
            chosen = _through(data.key.tuple, data.array.shape, chosen)
        elif isinstance(data, indexing.LazilyVectorizedIndexedArray):
            chosen = [np.unique(index) for index in data.key.tuple]
        data = data.array
    return data, chosen


def _through(key: Sequence[Any], shape: Sequence[int], chosen: Chosen) -> Chosen:
    """What is chosen of an array, given what is chosen of a selection of it."""
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
    """Return where an array of a file or store lies, and what else tells it from others there.

    Parameters
    ----------
    data : backend array of xarray, zarr array, or array of a file
    chosen : list of index, optional
        What is read of it.
    source : str, optional
        Path that xarray noted.
    """
    array = getattr(data, "_array", None) if isinstance(data, BackendArray) else data
    if isinstance(array, zarr.Array):
        return _place_of_zarr(array, chosen), _described(array)
    path = source if isinstance(source, str) else _path_of(data)
    name = getattr(data, "variable_name", getattr(data, "name", ""))
    if path is None or not os.path.exists(path.removeprefix("file://")):
        return None, str(name)
    return File(path.removeprefix("file://")), f"{path} {name}"


def _path_of(data: Any) -> str | None:
    """Path of the file of an array of netCDF or HDF5 whose path xarray did not note."""
    store = getattr(data, "datastore", None)
    opened = getattr(getattr(store, "_manager", None), "_args", None) or [getattr(store, "_filename", None)]
    if store is None and type(data).__module__.startswith("netCDF4"):
        return str(data.group().filepath())
    of_h5py = getattr(getattr(data, "file", None), "filename", None)
    found = opened[0] if store is not None else of_h5py or getattr(data, "filename", None)
    return os.fspath(found) if isinstance(found, str | os.PathLike) else None


def _described(array: zarr.Array[Any]) -> str:
    """What is known of a zarr array but its length and where its chunks are."""
    known: Mapping[str, Any] = array.metadata.to_dict()
    attributes = {name: value for name, value in array.attrs.items() if name in PACKING}
    kept = {name: value for name, value in known.items() if name not in ("shape", "attributes")}
    return f"{array.store_path} {json.dumps([kept, attributes], sort_keys=True, default=str)}"


def _place_of_zarr(array: zarr.Array[Any], chosen: Chosen) -> Place | None:
    store: Any = array.store_path.store
    while hasattr(store, "_store") and not hasattr(store, "root"):
        store = store._store
    inside, wanted = array.store_path.path, _files_of(array, chosen)
    session = getattr(store, "session", None)
    if session is not None:
        return Snapshot(f"{store}/{inside}", str(session.snapshot_id)) if session.read_only else None
    if isinstance(store, zarr.storage.LocalStore):
        return Chunks(os.path.join(store.root, inside), wanted)
    if isinstance(store, zarr.storage.ZipStore):
        return File(str(store.path))
    if isinstance(store, zarr.storage.FsspecStore):
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
    """Numbers of the files along each axis that hold what is chosen."""
    if chosen is None:
        return None
    lengths = array.shards or array.chunks
    return tuple(
        frozenset(np.unique(index % size // length).tolist())
        for index, size, length in zip(chosen, array.shape, lengths, strict=True)
    )


def all_known(found: Iterable[Input | None]) -> tuple[Input, ...] | None:
    """Return inputs, each once; None where one is not known."""
    kept = dict.fromkeys(found)
    return None if None in kept else tuple(each for each in kept if each is not None)
