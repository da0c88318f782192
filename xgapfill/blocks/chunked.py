"""Dask arrays as sources, read chunk by chunk without reordering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.inputs import Input
from xgapfill.blocks.runs import Axes, cut_of, read_runs, turned


@dataclass(frozen=True, eq=False)
class Chunked:
    """A dask array of any dimensions, not transposed or sliced by dask, which would add one task per chunk.

    Attributes
    ----------
    array : dask array
    axes : tuple of int
        Its axes of time, latitude and longitude; None where it lacks one, which then has length one.
    at : tuple of (axis, index)
        Selected index along each other axis.
    inputs : tuple of Input
        External inputs that its graph reads.
    token : str
        Token of the content of the inputs; dask names the rest.
    """

    array: Any
    axes: Axes = (0, 1, 2)
    at: tuple[tuple[int, int], ...] = ()
    inputs: tuple[Input, ...] = ()
    token: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        t, y, x = (1 if axis is None else self.array.shape[axis] for axis in self.axes)
        return t, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.array.dtype

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Chunks of a dask array, None of any other source."""
        return tuple((1,) if axis is None else self.array.chunks[axis] for axis in self.axes)

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices; this computes their chunks."""

        def get(key: tuple[slice, slice, slice]) -> NDArray[Any]:
            cut = cut_of(self.array.ndim, self.axes, key)
            for axis, index in self.at:
                cut[axis] = slice(index, index + 1)
            return turned(self.array[tuple(cut)].compute(), self.axes, {axis: 0 for axis, _ in self.at})

        return read_runs(get, (t, y, x), self.dtype)

    def without_graph(self) -> Pieces:
        """Return the source without its graph, which reads chunks once they are computed."""
        edges = tuple(np.cumsum([0, *sizes]) for sizes in self.chunks)
        places = []
        for axis, index in self.at:
            along = np.cumsum([0, *self.array.chunks[axis]])
            chunk = int(chunks_of(np.array(index), along))
            places.append((axis, chunk, int(index - along[chunk]), int(self.array.chunks[axis][chunk])))
        name = self.array.name
        return Pieces(edges, {}, self.dtype, name, self.axes, tuple(places), self.inputs, self.token)  # type: ignore[arg-type]

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Chunked", self.array.name, self.token, self.axes, self.at


class Span(NamedTuple):
    """The needed part of a chunk along an axis: indices from `low` up to `high`, exclusive, of `length`."""

    low: int
    high: int
    length: int

    def joined(self, other: Span) -> Span:
        """Return the shortest span that holds both."""
        return Span(min(self.low, other.low), max(self.high, other.high), self.length)


Spans = tuple[Span, ...]  # along the axes of a dask array


class Cut(NamedTuple):
    """Part of a computed chunk, and its first index in the chunk along each axis."""

    values: NDArray[Any]
    lows: tuple[int, ...]


def cut_out(part: NDArray[Any], lows: tuple[int, ...]) -> Cut:
    """Hold a part of a chunk only; a view is copied, so that the chunk can be freed."""
    whole = part if part.base is None else part.base
    return Cut(part.copy() if getattr(whole, "size", np.inf) > part.size else part, lows)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Some computed chunks of a dask array, read by the indices of the whole array.

    Attributes
    ----------
    edges : tuple of numpy arrays
        First index of every chunk, and the length of the axis, along time, latitude and longitude.
    pieces : dict
        Chunks or parts of them, with axes in the order of the dask array, by their numbers along these three axes.
    name : str
        Name of the dask array.
    axes : tuple of int
        As in `Chunked`.
    at : tuple of (axis, chunk, index, length)
        Selection along other axes: number of the chunk, index inside it, its length.
    inputs, token
        As in `Chunked`.
    in_memory : bool
        Whether the chunks are views of an array in memory, of which a part would be a copy.
    """

    edges: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    pieces: Mapping[tuple[int, int, int], NDArray[Any] | Cut]
    dtype: np.dtype[Any]
    name: str
    axes: Axes = (0, 1, 2)
    at: tuple[tuple[int, int, int, int], ...] = ()
    inputs: tuple[Input, ...] = ()
    token: str = ""
    in_memory: bool = False

    chunks = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        t, y, x = (int(edge[-1]) for edge in self.edges)
        return t, y, x

    def key(self, chunk: tuple[int, int, int]) -> tuple[Any, ...]:
        """Return the key of a chunk in the graph of the dask array."""
        numbers = {axis: number for axis, number in zip(self.axes, chunk, strict=True) if axis is not None}
        numbers |= {axis: number for axis, number, _, _ in self.at}
        return self.name, *(numbers[axis] for axis in range(len(numbers)))

    def spans(self, along: tuple[Span, Span, Span]) -> Spans:
        """Return the needed part of a chunk along the axes of the dask array, given time, latitude and longitude."""
        spans = {axis: span for axis, span in zip(self.axes, along, strict=True) if axis is not None}
        spans |= {axis: Span(index, index + 1, length) for axis, _, index, length in self.at}
        return tuple(spans[axis] for axis in range(len(spans)))

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices, all of which must lie in `pieces`."""
        out = np.empty((t.size, y.size, x.size), self.dtype)
        parts = [_by_chunk(index, edge) for index, edge in zip((t, y, x), self.edges, strict=True)]
        for (i, at_t, in_t), (j, at_y, in_y), (k, at_x, in_x) in product(*parts):
            piece = self.pieces[i, j, k]
            values, lows = piece if isinstance(piece, Cut) else (np.asarray(piece), (0,) * np.ndim(piece))
            chunk = turned(values, self.axes, {axis: index - lows[axis] for axis, _, index, _ in self.at})
            low_t, low_y, low_x = (0 if axis is None else lows[axis] for axis in self.axes)
            inside = in_t - low_t, in_y - low_y, in_x - low_x
            out[np.ix_(at_t, at_y, at_x)] = read_runs(chunk.__getitem__, inside, self.dtype)
        return out

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Pieces", self.name, self.token, self.axes, self.at


def chunks_of(index: NDArray[np.intp], edges: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the number of the chunk that holds each index; `edges` as in `Pieces`."""
    return np.searchsorted(edges, index, side="right") - 1


def spans_of(index: NDArray[np.intp], edges: NDArray[np.intp]) -> dict[int, Span]:
    """Return the parts of chunks along an axis that indices need, by chunk number; `edges` as in `Pieces`."""
    lengths = np.diff(edges)
    parts = _by_chunk(index, edges)
    return {number: Span(int(at.min()), int(at.max()) + 1, int(lengths[number])) for number, _, at in parts}


def _by_chunk(index: NDArray[np.intp], edges: NDArray[np.intp]) -> list[tuple[int, NDArray[Any], NDArray[np.intp]]]:
    """Group indices by chunk: number of the chunk, positions in `index`, indices inside the chunk."""
    chunk = chunks_of(index, edges)
    places = [(int(number), np.flatnonzero(chunk == number)) for number in np.unique(chunk)]
    return [(number, at, index[at] - edges[number]) for number, at in places]
