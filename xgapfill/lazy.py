"""From a function of lattice boxes to a lazy array: one task a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import DTypeLike, NDArray

from .grid import Box, Grid
from .sources import Chunked, Pieces, Source, chunks_of

# kernel(arrays, box, core) -> (layers, *core.shape): what becomes of `core`, given a (t, y, x) array a source on `box`
Kernel = Callable[[list[NDArray[Any]], Box, Box], NDArray[Any]]
Triple = tuple[int, int, int]
Reach = tuple[int | None, int, int]


def map_lattice(
    kernel: Kernel,
    sources: Sequence[Source],
    grids: Sequence[Grid],
    *,
    layers: int | None,
    reach: Reach = (4, 63, 63),
    block: Triple = (6, 192, 192),
    dtype: DTypeLike,
    fitted: Delayed | None = None,
) -> da.Array:
    """Apply a function of lattice boxes to whole arrays, lazily, one task a block.

    Parameters
    ----------
    kernel : callable
        ``kernel(arrays, box, core)`` returns (layers, *core.shape) in lattice order (slots, rows, columns growing).
        `arrays` holds one (t, y, x) array a source on `box`, which is `core` grown by `reach`. Floating dtypes are
        kept, others become floating; places that a source lacks are NaN. Must be picklable with a dask token, and a
        pixel must not depend on how the lattice is cut into cores. Arrays are read-only.
    sources, grids : sequence
        Variables and the addresses of their pixels. The first gives the result its shape and order. Later ones may
        cover other places; one without time is there at all times.
    layers : int or None
        Length of the first dimension of the result. None: the kernel returns one layer, and the result has no such
        dimension (taking it away later would cost another task a block).
    reach : tuple of int
        Slots, rows and columns around a pixel that it may depend on; None slots: all times of the first source, in
        one block, and the box holds these and no others.
    block : tuple of int
        Length of the blocks of the result along time, latitude and longitude.
    dtype : dtype
        Of the result.
    fitted : dask Delayed, optional
        What the kernel has to know before any block is computed: each task calls ``kernel.given(fitted)`` in place of
        the kernel.

    Returns
    -------
    dask.array.Array
        (layers, time, latitude, longitude) in the order of the first source. Nothing is loaded or computed. Sources
        in memory or files are sliced inside the tasks; of dask sources, a task gets the chunks it needs.

    Raises
    ------
    ValueError
        A shape differs from its grid, or a grid belongs to another lattice than the first.
    """
    _check(sources, grids)
    if reach[0] is None:
        block = (grids[0].shape[0], *block[1:])
    op = _BlockOp(kernel, tuple(sources), tuple(grids), layers or 1, reach, block, np.dtype(dtype), layers is None)
    if any(isinstance(source, Chunked) for source in sources):
        return _from_chunks(op, fitted)
    name = f"gapfill-{tokenize(op, fitted)}"
    more = {} if fitted is None else {"fitted": fitted}
    return da.map_blocks(op, chunks=op.shown, dtype=op.dtype, meta=op.meta, name=name, **more)


def _check(sources: Sequence[Source], grids: Sequence[Grid]) -> None:
    if not sources or len(sources) != len(grids):
        raise ValueError(f"one grid a source is wanted; found {len(sources)} sources and {len(grids)} grids")
    for number, (source, grid) in enumerate(zip(sources, grids, strict=True)):
        if source.shape != grid.shape:
            raise ValueError(f"source {number} has shape {source.shape}, but its coordinates have {grid.shape}")
        if not grid.same_lattice(grids[0]):
            raise ValueError(
                f"source {number} lies on another lattice (steps {grid.steps}, phases {grid.phases}, {grid.calendar}) "
                f"than the first (steps {grids[0].steps}, phases {grids[0].phases}, {grids[0].calendar}). "
                "Regrid or resample it to the coordinates of the first"
            )


@dataclass(frozen=True, eq=False)
class _BlockOp:
    """What one task does: read the boxes of a block, call the kernel, put the result in the order of the array."""

    kernel: Kernel
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]
    layers: int
    reach: Reach
    block: Triple
    dtype: np.dtype[Any]
    flat: bool = False  # leaves the dimension of its one layer out

    @property
    def shown(self) -> tuple[tuple[int, ...], ...]:
        """Chunks of the result."""
        return self.chunks[1:] if self.flat else self.chunks

    @property
    def meta(self) -> NDArray[Any]:
        """Empty array like the result."""
        return np.empty((0,) * len(self.shown), self.dtype)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        axes = zip(self.grids[0].shape, self.block, strict=True)
        return (self.layers,), *(tuple(min(n, size - at) for at in range(0, size, n)) for size, n in axes)

    def __call__(self, block_id: Sequence[int], fitted: Any = None) -> NDArray[Any]:
        kernel: Any = self.kernel
        if fitted is not None:
            kernel = kernel.given(fitted)
        place = block_id[-3:]
        pieces = [self.pieces(axis, number) for axis, number in enumerate(place)]
        shape = (self.layers, *(sizes[number] for sizes, number in zip(self.chunks[1:], place, strict=True)))
        out = np.empty(shape, self.dtype)
        for piece in product(*pieces):
            core = Box(*(part.places for part in piece))
            box = self.around(core)
            arrays = [self._on_box(number, box) for number in range(len(self.sources))]
            values = kernel(arrays, box, core)
            if values.shape != (self.layers, *core.shape):
                raise ValueError(f"kernel must return shape {(self.layers, *core.shape)}; it returned {values.shape}")
            members, offsets = (_region([getattr(part, name) for part in piece]) for name in ("members", "offsets"))
            out[(slice(None), *members)] = values[(slice(None), *offsets)]
        return out[0] if self.flat else out

    def around(self, core: Box) -> Box:
        """Return everything that a core may depend on."""
        slots, rows, cols = self.reach
        return core.grown((0 if slots is None else slots, rows, cols))

    def pieces(self, axis: int, number: int) -> list[_Piece]:
        """Return the parts of the lattice that a block covers along an axis."""
        grid, start = self.grids[0], number * self.block[axis]
        chosen = (grid.slots, grid.rows, grid.cols)[axis][start : start + self.block[axis]]
        reach = self.reach[axis]
        places = np.array(chosen, np.int64)
        if reach is None:  # never cut
            reach = int(np.ptp(places))
        return _pieces(places, reach, grid.ncols if axis == 2 else None)

    def indices(self, source: int, axis: int, places: tuple[int, int]) -> NDArray[np.intp]:
        """Return the indices of lattice places along an axis of a source, -1 where it has none."""
        grid = self.grids[source]
        if axis == 0 and grid.calendar == "none" != self.grids[0].calendar:
            return np.zeros(1, np.intp)  # one frame for all times
        return (grid.index_slots, grid.index_rows, grid.index_cols)[axis](np.arange(*places))

    def _on_box(self, number: int, box: Box) -> NDArray[Any]:
        source = self.sources[number]
        ranges = (box.slots, box.rows, box.cols)
        indices = [self.indices(number, axis, places) for axis, places in enumerate(ranges)]
        there = [np.flatnonzero(index >= 0) for index in indices]
        dtype = source.dtype if source.dtype.kind == "f" else np.result_type(source.dtype, np.float32)
        dtype = dtype.newbyteorder("=")
        if [at.size for at in there] == [index.size for index in indices]:
            array = np.asarray(source.read(*indices), dtype)
        else:
            array = np.full([index.size for index in indices], np.nan, dtype)
            if all(at.size for at in there):
                t, y, x = (index[at] for index, at in zip(indices, there, strict=True))
                array[_region(there)] = source.read(t, y, x)
        # One frame may stand for all times; and read-only, for an array in memory would be the user's own.
        return np.broadcast_to(array, box.shape)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        parts = (self.kernel, *self.sources, *self.grids)
        plain = (self.layers, self.reach, self.block, self.dtype.str, self.flat)
        return "xgapfill.lazy", *map(tokenize, parts), *plain


@dataclass(frozen=True, eq=False)
class _ChunkOp:
    """A block op whose dask sources come as computed chunks."""

    op: _BlockOp  # with empty `Pieces` for dask sources

    def touched(self, source: int, axis: int, number: int) -> list[int]:
        """Return the numbers of the chunks of a dask source that a block needs along an axis."""
        edges = self.op.sources[source].edges[axis]  # type: ignore[attr-defined]
        numbers: set[int] = set()
        for piece in self.op.pieces(axis, number):
            more = self.op.reach[axis] or 0  # None: a block has all there are
            index = self.op.indices(source, axis, (piece.places[0] - more, piece.places[1] + more))
            numbers.update(int(chunk) for chunk in np.unique(chunks_of(index[index >= 0], edges)))
        return sorted(numbers)

    def __call__(
        self, block_id: Sequence[int], chunks: Sequence[Sequence[NDArray[Any]]], fitted: Any = None
    ) -> NDArray[Any]:
        sources: list[Source] = []
        for number, source in enumerate(self.op.sources):
            if isinstance(source, Pieces):
                t, y, x = (self.touched(number, axis, block) for axis, block in enumerate(block_id[-3:]))
                source = replace(source, pieces=dict(zip(product(t, y, x), chunks[number], strict=True)))
            sources.append(source)
        return replace(self.op, sources=tuple(sources))(block_id, fitted)

    def __dask_tokenize__(self) -> object:
        return tokenize(self.op)


def _from_chunks(op: _BlockOp, fitted: Delayed | None) -> da.Array:
    """Build the graph for dask sources: the task of a block depends on the chunks that its boxes touch.

    Chunks are brought to about the size of blocks first, so that a task holds little more than it uses.
    """
    arrays: dict[int, da.Array] = {}
    sources = list(op.sources)
    for number, source in enumerate(op.sources):
        if isinstance(source, Chunked):
            if not isinstance(source.array, da.Array):
                raise TypeError(f"chunked arrays must be dask arrays; source {number} is {type(source.array)}")
            sizes = tuple(_merged(size, length) for size, length in zip(source.chunks, op.block, strict=True))
            arrays[number] = source.array.rechunk(sizes)
            edges = tuple(np.cumsum([0, *size]) for size in arrays[number].chunks)
            sources[number] = Pieces(edges, {}, source.dtype, arrays[number].name)  # type: ignore[arg-type]
    chunk_op = _ChunkOp(replace(op, sources=tuple(sources)))
    name = f"gapfill-{tokenize(chunk_op, fitted)}"
    more = [] if fitted is None else [fitted.key]
    blocks = [range(len(size)) for size in op.chunks[1:]]
    touched = {
        number: [[chunk_op.touched(number, axis, block) for block in blocks[axis]] for axis in range(3)]
        for number in arrays
    }
    graph: dict[Any, Any] = {}
    for block in product(*blocks):
        keys: list[list[tuple[object, ...]]] = [[] for _ in op.sources]
        for number, array in arrays.items():
            chunks = product(*(touched[number][axis][at] for axis, at in enumerate(block)))
            keys[number] = [(array.name, *chunk) for chunk in chunks]
        graph[(name, *([] if op.flat else [0]), *block)] = (chunk_op, [*block], keys, *more)
    needed = [*arrays.values(), *([] if fitted is None else [fitted])]
    layers = HighLevelGraph.from_collections(name, graph, dependencies=needed)  # type: ignore[arg-type]
    return da.Array(layers, name, op.shown, meta=op.meta)


def _merged(sizes: tuple[int, ...], length: int) -> tuple[int, ...]:
    """Return chunks of about `length`: small ones merged without cutting any, much larger ones cut."""
    if max(sizes) > 2 * length:
        return tuple(min(length, sum(sizes) - at) for at in range(0, sum(sizes), length))
    merged = [0]
    for size in sizes:
        if merged[-1] and merged[-1] + size > length:
            merged.append(0)
        merged[-1] += size
    return tuple(merged)


@dataclass(frozen=True)
class _Piece:
    """Part of a block along one axis: its range of lattice places, and which of them are which of the block's."""

    places: tuple[int, int]
    members: NDArray[np.intp]  # indices inside the block
    offsets: NDArray[np.intp]  # their places, counted from the first


def _pieces(places: NDArray[np.int64], reach: int, ncols: int | None) -> list[_Piece]:
    """Cut the lattice places of a block where more places are absent than the reach.

    Frames of distant years may be neighbours in an array: their bounding box would be mostly empty.
    """
    ordered = np.unique(places)
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > reach + 1) + 1)
    if ncols is not None and len(parts) > 1 and parts[0][0] + ncols - parts[-1][-1] <= reach + 1:
        parts = [*parts[1:-1], np.concatenate([parts[-1], parts[0] + ncols])]
    pieces = []
    for part in parts:
        start, stop = int(part[0]), int(part[-1]) + 1
        offsets = places - start if ncols is None else (places - start) % ncols
        members = np.flatnonzero((offsets >= 0) & (offsets < stop - start))
        pieces.append(_Piece((start, stop), members, offsets[members]))
    return pieces


def _region(indices: Sequence[NDArray[np.intp]]) -> tuple[Any, ...]:
    """Return what selects the outer product of indices: slices where all of them are runs, which copies less."""
    runs = []
    for index in indices:
        step = -1 if index[-1] < index[0] else 1
        if (np.diff(index) != step).any():
            return np.ix_(*indices)
        stop = int(index[-1]) + step
        runs.append(slice(int(index[0]), None if stop < 0 else stop, step))
    return tuple(runs)
