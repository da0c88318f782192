"""Sources that tasks read by themselves: dask arrays chunk by chunk, and constants in place of shared arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.inputs import Input
from xgapfill.blocks.source import OnFile, Source


@dataclass(frozen=True, eq=False)
class OnDemand:
    """A dask array whose chunks are computed by the task that reads them, a few at a time.

    A task that reads a long series would otherwise wait for all chunks of it, and hold them.
    """

    source: Chunked

    chunks = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.source.dtype

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Known files and stores that its graph reads."""
        return self.source.inputs

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices, computed in this thread."""
        with dask.config.set(scheduler="synchronous"):
            return self.source.read(t, y, x)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.OnDemand", self.source


def on_demand(source: Source) -> Source:
    """Return a source whose chunks are computed where they are read, if it is a dask array."""
    return OnDemand(source) if isinstance(source, Chunked) else source


def stored_chunks(source: Source) -> tuple[int, int, int] | None:
    """Times, rows and columns of the largest chunk of a dask array or a file; None if there are no chunks."""
    if isinstance(source, OnDemand):
        return stored_chunks(source.source)
    if isinstance(source, OnFile):
        known = source.variable.encoding.get("preferred_chunks") or {}
        if not known:
            return None
        t, y, x = (1 if dim is None else int(known.get(dim, source.variable.sizes[dim])) for dim in source.dims)
        return t, y, x
    if source.chunks is None:
        return None
    t, y, x = (max(sizes) for sizes in source.chunks)
    return t, y, x


@dataclass(frozen=True)
class Constant:
    """The same value everywhere: it stands for an array that other tasks would compute."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    value: float

    chunks = None
    inputs = ()

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the value at the outer product of indices."""
        return np.full((t.size, y.size, x.size), self.value, self.dtype)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Constant", self.shape, self.dtype.str, self.value
