"""The base class of stores, which receive a result block by block."""

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

TO_DO, DONE, NEW_FRAMES = range(3)  # states of a block; NEW_FRAMES: frames from `first` on must be rewritten


@dataclass(frozen=True)
class Blocks:
    """Blocks of a set of variables along their shared dimensions.

    Attributes
    ----------
    dims : tuple of str
        Dimensions with more than one block in any variable, and time.
    edges : tuple of tuple of int
        Edges of the blocks along each dimension.
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
        """Find the blocks; `frames` is their length along time if it is known, else None."""
        cuts: dict[Hashable, tuple[int, ...]] = {}
        for name, array in lazies.items():
            for dim, sizes in array.chunksizes.items():
                if cuts.setdefault(dim, sizes) != sizes:
                    raise ValueError(
                        f"expected the same chunks along {dim!r} for all variables; rechunk {name!r}, which differs"
                    )
        time = time if time in cuts else None
        dims = tuple(dim for dim, sizes in cuts.items() if len(sizes) > 1 or dim == time)
        for dim in dims:
            if len(set(cuts[dim][:-1])) > 1 or cuts[dim][-1] > cuts[dim][0]:
                raise ValueError(f"blocks along {dim!r} must be of equal length, found {cuts[dim]}; rechunk it")
            lacking = [name for name, array in lazies.items() if dim not in array.dims]
            if lacking and len(cuts[dim]) > 1:
                raise ValueError(
                    f"{lacking} have no dimension {dim!r}, along which other variables have blocks; drop them"
                )
        edges = tuple(tuple(int(e) for e in np.cumsum((0, *cuts[dim]))) for dim in dims)
        known = cuts[time][0] if time is not None else 1
        return cls(dims, edges, time, known if frames is None else max(frames, known))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def place(self, number: int) -> dict[Hashable, int]:
        """Index of a block along each dimension."""
        return dict(zip(self.dims, map(int, np.unravel_index(number, self.shape or (1,))), strict=False))

    def regions(self, number: int, dims: Sequence[Hashable], first: int = 0) -> tuple[slice, ...]:
        """Slices of a variable that a block covers, from a frame on."""
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
    """Identity of a run.

    Attributes
    ----------
    token : str
        Token of inputs, weights, parameters and version.
    identity : str or None
        Token without the values and times of the input, so that the series may grow; None if the effect of new times
        is unknown.
    reach : int or None
        Number of frames before the end that new frames change (the halo); None: all of them.

    Examples
    --------
    >>> Run(token="a1", identity=None, reach=None).token
    'a1'
    """

    token: str
    identity: str | None
    reach: int | None

    @classmethod
    def of(cls, lazies: Mapping[str, xr.Variable], notes: Mapping[str, LayerNotes], beside: Sequence[str] = ()) -> Run:
        """Identify a run; `notes` are those on unmodified results of a verb, `beside` are lazy coordinates."""
        version = package_version()
        token = tokenize([(name, each.data.name) for name, each in lazies.items()], version)
        halos = [each.halo for each in notes.values() if each.halo is not None]
        if len(notes) + len(beside) < len(lazies):
            return cls(token, None, None)
        identity = tokenize(sorted((name, each.identity) for name, each in notes.items()), version)
        return cls(token, identity, max(halos) if len(halos) == len(notes) else None)


@dataclass
class State:
    """Progress of a store.

    Attributes
    ----------
    blocks : numpy array of uint8, of the shape of the blocks
        TO_DO, DONE, or NEW_FRAMES (done except for the frames from `first` on).
    first : int
        First frame to write of blocks with new frames.

    Examples
    --------
    >>> State(np.zeros((2, 3), np.uint8)).first
    0
    """

    blocks: NDArray[np.uint8]
    first: int = 0

    @classmethod
    def of_nothing(cls, blocks: Blocks) -> State:
        """Return the state of a new store, with all blocks to do."""
        return cls(np.zeros(blocks.shape or (1,), np.uint8))


class Store(ABC):
    """Base class of stores, to which a result is written block by block; extend it for a new kind of store.

    `xgapfill.write` calls `begin` once, `write` for every variable of every block that is not done, `note` about once
    a second, and `finish` at the end; it returns `dataset`. A store that cannot resume needs no `note`.

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
    """Suffixes of built-in stores, in lower case, such as ``.zarr``."""
    grows: ClassVar[bool] = False
    """Whether ``append=True`` is supported."""
    workers: ClassVar[bool] = False
    """Whether several threads, processes and machines may write different blocks at once. False: `write` is called by
    one thread at a time of the process that called `xgapfill.write`."""

    @property
    def place(self) -> str | None:
        """Path or URL, beside which the lock file lies; None: no lock is needed."""
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
        """Create the store, resume it, or extend it.

        Parameters
        ----------
        template : Dataset
            The dataset to write. Variables of dask arrays are written by `write`; other variables and all attributes
            are written here or by `finish`.
        blocks : Blocks
            Blocks of the variables.
        run : Run
            The current run; a store that holds another run must be refused.
        resume : bool
            Resume an existing store; otherwise start from scratch.
        append : bool
            The existing store may hold the beginning of the series. Never True if not `grows`.

        Returns
        -------
        State
            The blocks that are done.

        Raises
        ------
        ValueError
            The store holds other data or another run, or cannot be extended.
        """

    @abstractmethod
    def write(self, name: str, region: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Write a region of a variable; the same region may be written again."""

    def belongs_to(self, run: str) -> bool:
        """Whether the store still belongs to a run, by its token; called before every block, so it must be cheap."""
        return True

    def note(self, state: State) -> None:  # noqa: B027
        """Save the state, so that `begin` can return it."""

    def finish(self, template: xr.Dataset) -> None:  # noqa: B027
        """Complete the store after all blocks are written."""

    @abstractmethod
    def dataset(self) -> xr.Dataset:
        """Return the written data, lazily if possible."""


@dataclass(frozen=True)
class StoreAt(Store):
    """A store at a path or URL; it is small, so it can be sent to every worker."""

    url: str
    storage: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Raise an error if the store cannot be created here; by default it always can."""

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
    """A store cannot be written; the message says where the run stopped and how to resume it."""


@contextmanager
def writing(name: str, where: str = "") -> Iterator[None]:
    """Turn any OSError in the context into a WriteError that says where the run stopped and how to resume it."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "free disk space" if full else "fix the problem"
        said = f"{name} cannot be written ({error.strerror or error}){where and f', at {where}'}"
        raise WriteError(
            error.errno or errno.EIO,
            f"{said}. Written blocks stay; {advice} and repeat the call to resume",
        ) from error
