"""What a store is: a place that takes a result block by block. Subclass `Store` for a new one."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from xgapfill._version import package_version
from xgapfill.blocks.notes import LayerNotes

TO_DO, DONE, NEW_FRAMES = range(3)  # of a block; the last: frames from `first` on are to be written again


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

    def words(self, number: int) -> str:
        """Name a block in a message: its number, and its indices along each dimension."""
        regions = zip(self.dims, self.regions(number, self.dims), strict=True)
        parts = [f"{dim} {part.start}:{part.stop}" for dim, part in regions]
        return f"block {number} ({', '.join(parts)})" if parts else "the only block"

    def key(self, number: int, array: xr.Variable) -> tuple[Any, ...]:
        """Key of a block in the graph of a variable."""
        place = self.place(number)
        return array.data.name, *(place.get(dim, 0) for dim in array.dims)


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
    def of(cls, lazies: Mapping[str, xr.Variable], notes: Mapping[str, LayerNotes]) -> Run:
        """Name a run; `notes` are those on the variables that come from a verb as they are."""
        version = package_version()
        token = tokenize([(name, each.data.name) for name, each in lazies.items()], version)
        halos = [each.halo for each in notes.values() if each.halo is not None]
        if len(notes) < len(lazies):
            return cls(token, None, None)
        identity = tokenize(sorted((name, each.identity) for name, each in notes.items()), version)
        return cls(token, identity, max(halos) if len(halos) == len(notes) else None)


@dataclass
class State:
    """What of a store is done.

    Attributes
    ----------
    blocks : numpy array of uint8, of the shape of the blocks
        TO_DO, DONE, or NEW_FRAMES: done but for the frames from `first` on.
    first : int
        First frame that blocks with new frames are written from.
    """

    blocks: NDArray[np.uint8]
    first: int = 0

    @classmethod
    def of_nothing(cls, blocks: Blocks) -> State:
        """Return the state of a new store: all blocks are to be done."""
        return cls(np.zeros(blocks.shape or (1,), np.uint8))


class Store(ABC):
    """Where a result is written, block by block. A new kind of store is a subclass.

    `xgapfill.write` calls `begin` once, `write` for every variable of every block that is not done, `note` about once
    a second, and `finish` at the end; `dataset` is what it returns. A store that keeps nothing of a run that broke off
    needs no `note`.

    Examples
    --------
    >>> import numpy as np, xgapfill
    >>> class InMemory(Store):
    ...     def begin(self, template, blocks, run, *, resume, append):
    ...         lazy = {name: each for name, each in template.variables.items() if each.chunks is not None}
    ...         self.template, self.arrays = template, {name: np.empty(v.shape, v.dtype) for name, v in lazy.items()}
    ...         return State.of_nothing(blocks)
    ...
    ...     def write(self, name, region, values):
    ...         self.arrays[name][region] = values
    ...
    ...     def dataset(self):
    ...         return self.template.assign({name: self.template[name].copy(data=a) for name, a in self.arrays.items()})
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> written = xgapfill.write(xgapfill.fill(ds.CHL, "background"), InMemory(), progress=False)
    >>> int(written.CHL.isnull().sum())
    0
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends of the names of such stores, in small letters, for built-in ones: ``.zarr``."""
    grows: ClassVar[bool] = False
    """Whether ``append=True`` is understood."""
    workers: ClassVar[bool] = False
    """Whether several threads, processes and machines may write different blocks at once. False: `write` is called by
    one thread at a time of the process that called `xgapfill.write`."""

    @property
    def place(self) -> str | None:
        """Path or URL; beside it lies the lock that keeps other runs away. None: no lock is needed."""
        return None

    @property
    def options(self) -> Mapping[str, Any]:
        """Options for fsspec."""
        return {}

    @property
    def name(self) -> str:
        """Name in messages."""
        return self.place or type(self).__name__

    @abstractmethod
    def begin(self, template: xr.Dataset, blocks: Blocks, run: Run, *, resume: bool, append: bool) -> State:
        """Make the store, find it as this run left it, or make it longer.

        Parameters
        ----------
        template : Dataset
            All that is to be written. Variables of dask arrays are written by `write`; the others, and all attributes,
            are written here or by `finish`.
        blocks : Blocks
            How the variables are cut.
        run : Run
            Which run this is: a store that holds another one must be refused.
        resume : bool
            Go on with what is there; else start anew.
        append : bool
            What is there may be the beginning of a shorter series. Never True if not `grows`.

        Returns
        -------
        State
            Which blocks are done.

        Raises
        ------
        ValueError
            The store holds something else or another run, or cannot be made longer.
        """

    @abstractmethod
    def write(self, name: str, region: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Write a part of a variable; the same part may be written again."""

    def belongs_to(self, run: str) -> bool:
        """Whether the store still is that of a run, by its token; asked before every block, so it must be cheap."""
        return True

    def note(self, state: State) -> None:  # noqa: B027
        """Keep what is done, so that `begin` can give it back."""

    def finish(self, template: xr.Dataset) -> None:  # noqa: B027
        """Complete the store: all blocks are written."""

    @abstractmethod
    def dataset(self) -> xr.Dataset:
        """Return what is written, lazily where that can be."""


@dataclass(frozen=True)
class StoreAt(Store):
    """A store at a path or URL: small enough to travel to every worker."""

    url: str
    storage: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Raise an error where no such store can be; by default it can be everywhere."""

    def __hash__(self) -> int:
        return hash((type(self), self.url, repr(self.storage)))

    @property
    def place(self) -> str:
        """Path or URL."""
        return self.url

    @property
    def options(self) -> dict[str, Any]:
        """Options for fsspec."""
        return dict(self.storage)


class WriteError(OSError):
    """A store cannot be written; the message says where it stopped and how to go on."""


@contextmanager
def writing(name: str, where: str = "") -> Iterator[None]:
    """Make of any OSError in here a WriteError that says what became of the run, and where it stopped."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room" if full else "see to it"
        said = f"{name} cannot be written ({error.strerror or error}){where and f', at {where}'}"
        raise WriteError(
            error.errno or errno.EIO,
            f"{said}. Blocks that are done stay; {advice} and make the same call again to go on",
        ) from error
