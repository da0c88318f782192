"""A zarr store: it records its run and its finished blocks, and can be extended in time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Hashable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill._version import package_version
from xgapfill.stores.base import DONE, NEW_FRAMES, TO_DO, Blocks, Run, State, StoreAt
from xgapfill.stores.files import files_of, is_url, read_file, remove_tree, replace_file

RUN = "xgapfill_run"  # group in the store with the token of its run and the state of its blocks


class Zarr(StoreAt):
    """A zarr v3 store, one shard per block."""

    suffixes = (".zarr", "")
    grows = True
    workers = True

    def open(self) -> Any:
        """Return the root group, opened for reading and writing."""
        import zarr

        options = self.options or None
        return zarr.open_group(self.url, mode="r+", zarr_format=3, use_consolidated=False, storage_options=options)

    def begin(self, template: xr.Dataset, blocks: Blocks, run: Run, *, resume: bool, append: bool) -> State:
        """Create the store, resume it, or extend it."""
        root = _found(self)
        if root is not None:
            noted = root[RUN].attrs
            if noted.get("token") != run.token:
                if not append:
                    raise ValueError(
                        f"{self.url} belongs to another run (other inputs, weights, parameters, chunks or version; "
                        "large arrays in memory count as a new input in every call: open them from files). Give "
                        "another store, remove it, or set append=True if it is the same run of a longer series"
                    )
                _lengthen(template, blocks, self, run, root)
            elif resume and not noted.get("ready") and "frames" in noted:
                _grow(template, blocks, self, root)
            noted = root[RUN].attrs
            if resume and noted.get("ready"):
                _clean(self)
                return State(np.asarray(root[RUN]["done"][...]), int(noted.get("first", 0)))
        try:
            return _make(template, blocks, self, run)
        except BaseException:
            with suppress(OSError):
                remove_tree(self.url, self.options)
            raise

    def write(self, name: str, region: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Write a region of a variable."""
        _opened(self)[name][region] = values

    def belongs_to(self, run: str) -> bool:
        """Whether the store still belongs to a run; another of the same name may have replaced it."""
        try:
            return bool(
                json.loads(read_file(f"{self.url}/{RUN}/zarr.json", self.options))["attributes"]["token"] == run
            )
        except (FileNotFoundError, KeyError):
            return False

    def note(self, state: State) -> None:
        """Save the state in the store."""
        self.open()[RUN]["done"][...] = state.blocks

    def finish(self, template: xr.Dataset) -> None:
        """Consolidate the metadata, so that the store opens fast and lists variables in their order."""
        import zarr

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(self.open().store, zarr_format=3)
        root = json.loads(read_file(f"{self.url}/zarr.json", self.options))
        held = root["consolidated_metadata"]
        order = {str(name): number for number, name in enumerate(template.variables)}
        held["metadata"] = dict(sorted(held["metadata"].items(), key=lambda item: order.get(item[0], len(order))))
        replace_file(f"{self.url}/zarr.json", self.options, json.dumps(root, indent=2).encode())

    def dataset(self) -> xr.Dataset:
        """Return the written data, lazily."""
        return xr.open_zarr(self.url, chunks=None, consolidated=True, storage_options=self.options or None)


@lru_cache(maxsize=8)
def _opened(store: Zarr) -> Any:
    """Return the root group, opened once per process; its arrays are looked up every time."""
    return store.open()


def _make(ds: xr.Dataset, blocks: Blocks, store: Zarr, run: Run) -> State:
    """Create an empty store, replacing an existing one."""
    import zarr

    root = zarr.create_group(store.url, overwrite=True, zarr_format=3, storage_options=store.options or None)
    notes = {"token": run.token, "identity": run.identity, "ready": False, "version": package_version()}
    group = root.create_group(RUN, attributes=notes)
    state = State.of_nothing(blocks)
    shape = state.blocks.shape
    chunks = tuple(max(n, 64) for n in shape)  # one file, even for a series that grows
    dims = [f"blocks_{dim}" for dim in blocks.dims or ("all",)]
    group.create_array("done", shape=shape, chunks=chunks, dtype="uint8", fill_value=TO_DO, dimension_names=dims)
    _template(ds, store, _encoding(ds, blocks))
    group.attrs["ready"] = True
    return state


def _encoding(ds: xr.Dataset, blocks: Blocks) -> dict[Hashable, dict[str, Any]]:
    """One shard per block; inside are the chunks of the encoding where they divide it, else those of one time step."""
    found = {}
    for name, array in ds.variables.items():
        if array.chunks is not None:
            alike = [blocks.frames if dim == blocks.time else n[0] for dim, n in array.chunksizes.items()]
            chunks = tuple(1 if dim == blocks.time else n for dim, n in zip(array.dims, alike, strict=True))
            wanted = tuple(array.encoding.get("chunks") or chunks)
            if len(wanted) == len(alike) and not any(n % part for n, part in zip(alike, wanted, strict=True)):
                chunks = wanted
            found[name] = {"chunks": chunks, "shards": tuple(alike)}
    return found


def _found(store: Zarr) -> Any:
    """The root group of a run; None if nothing exists yet. ValueError for anything else."""
    foreign = f"{store.url} exists and was not written by xgapfill.write; give another store"
    try:
        root = store.open()
    except FileNotFoundError:
        files, path = files_of(store.url, store.options)
        if files.exists(path) and not all(name.endswith(".partial") for name in files.ls(path, detail=False)):
            raise ValueError(foreign) from None
        return None
    if RUN in root:
        return root
    if next(iter(root.members()), None) is None and not dict(root.attrs):
        return None  # the run was killed before it wrote anything else
    raise ValueError(foreign)


def _template(ds: xr.Dataset, store: Zarr, encoding: Mapping[Hashable, Mapping[str, Any]]) -> None:
    """Write metadata and variables that are not lazy."""
    ds.to_zarr(
        store.url,
        mode="a",
        compute=False,
        consolidated=False,
        zarr_format=3,
        encoding=encoding,
        safe_chunks=False,
        storage_options=store.options or None,
    )


def _lengthen(ds: xr.Dataset, blocks: Blocks, store: Zarr, run: Run, root: Any) -> None:
    """Check that a store holds the beginning of a run, record the extension, and extend it."""
    noted = root[RUN].attrs
    if run.identity is None:
        raise ValueError("append=True expects an unmodified result of a verb of this package; give another store")
    if run.reach is None:
        raise ValueError(
            "append=True is not possible: new frames change all others of this method or statistic; give another store"
        )
    if noted.get("identity") != run.identity:
        raise ValueError(
            f"{store.url} cannot be extended by this run, which has other coordinates, weights, parameters, variables "
            "or version; give another store"
        )
    unfinished = not noted.get("ready")
    if unfinished and "frames" not in noted:
        raise ValueError(f"{store.url} was created but never initialised; delete it")
    old = _same_beginning(ds, blocks, store, root, int(noted["frames"]) if unfinished else None)
    first = old if ds.sizes[blocks.time] == old else max(0, old - run.reach)
    if unfinished or (np.asarray(root[RUN]["done"][...]) == NEW_FRAMES).any():
        first = min(first, int(noted.get("first", first)))
    noted.update({"token": run.token, "ready": False, "frames": old, "first": first})
    _grow(ds, blocks, store, root)


def _same_beginning(ds: xr.Dataset, blocks: Blocks, store: Zarr, root: Any, frames: int | None) -> int:
    """Frames in the store (`frames`, if its extension was interrupted); ValueError if `ds` begins differently."""
    time = blocks.time
    if time is None:
        raise ValueError("append=True needs a dimension of time")
    for name, wanted in _encoding(ds, blocks).items():
        array = root.get(str(name))
        held = None if array is None else [n for dim, n in zip(ds[name].dims, array.shape, strict=True) if dim != time]
        if held != [n for dim, n in ds[name].sizes.items() if dim != time] or array.shards != wanted["shards"]:
            raise ValueError(f"{store.url} holds {name!r} with another shape or other blocks; give another store")
        old = int(array.shape[ds[name].dims.index(time)])
    begun, frames = frames is not None, old if frames is None else frames
    if ds.sizes[time] < frames:
        raise ValueError(f"expected at most {ds.sizes[time]} frames in {store.url}, found {frames}; give another store")
    if not begun:
        written = xr.open_zarr(store.url, chunks=None, consolidated=False, storage_options=store.options or None)
        for name, each in ds.variables.items():
            if each.chunks is None and name in written.variables:
                part = each.isel({time: slice(frames)}) if time in each.dims else each
                if not part.equals(written[name].variable):
                    raise ValueError(
                        f"{name!r} of {store.url} differs from that of the first {frames} frames; give another store"
                    )
    return frames


def _grow(ds: xr.Dataset, blocks: Blocks, store: Zarr, root: Any) -> None:
    """Extend a store to its recorded length; repeating an interrupted extension gives the same result."""
    group = root[RUN]
    frames, first, time = int(group.attrs["frames"]), int(group.attrs["first"]), blocks.time
    root.update_attributes({})  # drops the consolidated metadata, which are outdated until `finish`
    for name in _encoding(ds, blocks):
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
    _template(ds, store, {})
    group.attrs["ready"] = True


def _clean(store: Zarr) -> None:
    """Remove partial files of a killed process."""
    if not is_url(store.url):
        for file in Path(store.url).rglob("*.partial"):
            file.unlink(missing_ok=True)
