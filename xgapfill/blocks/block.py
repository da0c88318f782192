"""One block of a result: the parts of the lattice it covers, their halos, and their computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Pieces
from xgapfill.blocks.source import Source
from xgapfill.lattice.cells import places_on
from xgapfill.lattice.grid import Box, Grid

# kernel(arrays, box, core) -> (layers, *core.shape): the result on `core`, given one (t, y, x) array per source on
# `box`; arrays of dask sources are `OnBox`, those of all sources if they are read part by part
Kernel = Callable[[list[NDArray[Any]], Box, Box], NDArray[Any]]
Triple = tuple[int, int, int]
Reach = tuple[int | None, int, int]
Places = tuple[int, int]
# around(axis, places) -> places: halo bounds, the places along an axis on which cores on `places` may depend
Around = Callable[[int, Places], Places]


@dataclass(frozen=True, eq=False)
class BlockOp:
    """One task: read the boxes of a block, call the kernel, put the result in the order of the array."""

    kernel: Kernel
    sources: tuple[Source, ...]
    grids: tuple[Grid, ...]
    layers: int
    reach: Reach
    block: Triple
    dtype: np.dtype[Any]
    flat: bool = False  # drop the dimension of the single layer
    nearby: Around | None = None  # halo bounds, if they are smaller than `reach`
    needed: Callable[[Box], bool] | None = None  # cores to compute; others are 0, and are not read
    grid: Grid | None = None  # of the result, if it is not that of the first source: of cells, or without time
    by_parts: bool = False  # the kernel reads parts of arrays, one after another

    @property
    def result(self) -> Grid:
        """Addresses of the result."""
        return self.grids[0] if self.grid is None else self.grid

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
        """Layers, and lengths of the blocks along time, latitude and longitude."""
        axes = zip(self.result.shape, self.block, strict=True)
        return (self.layers,), *(tuple(min(n, size - at) for at in range(0, size, n)) for size, n in axes)

    def __call__(self, block_id: Sequence[int], fitted: Any = None) -> NDArray[Any]:
        """Return a block by its indices along the axes of the result."""
        kernel: Any = self.kernel
        if fitted is not None:
            kernel = kernel.given(fitted)
        place = block_id[-3:]
        pieces = [self.pieces(axis, number) for axis, number in enumerate(place)]
        shape = (self.layers, *(sizes[number] for sizes, number in zip(self.chunks[1:], place, strict=True)))
        out = np.empty(shape, self.dtype)
        for piece in product(*pieces):
            core = Box(*(part.places for part in piece))
            box = Box(*(self.around(axis, part.places) for axis, part in enumerate(piece)))
            if self.needed is not None and not self.needed(core):
                out[(slice(None), *_region([part.members for part in piece]))] = 0
                continue
            arrays = [self._array(number, self.box_on(number, box)) for number in range(len(self.sources))]
            values = kernel(arrays, box, core)
            if values.shape != (self.layers, *core.shape):
                raise ValueError(f"kernel must return shape {(self.layers, *core.shape)}; it returned {values.shape}")
            members, offsets = (_region([getattr(part, name) for part in piece]) for name in ("members", "offsets"))
            if all(len(parts) == 1 for parts in pieces):  # a single piece needs no copy
                out = np.asarray(values[(slice(None), *offsets)], self.dtype)
            else:
                out[(slice(None), *members)] = values[(slice(None), *offsets)]
        return out[0] if self.flat else out

    def reads(self, place: Sequence[int]) -> bool:
        """Whether a block, by its indices along the axes, has anything to compute."""
        if self.needed is None:
            return True
        pieces = product(*(self.pieces(axis, number) for axis, number in enumerate(place)))
        return any(self.needed(Box(*(part.places for part in piece))) for piece in pieces)

    def around(self, axis: int, places: Places) -> Places:
        """Return the halo bounds: the places along an axis on which cores on `places` may depend."""
        if self.nearby is not None:
            return self.nearby(axis, places)
        more = self.reach[axis] or 0  # None: a block contains all of them
        return places[0] - more, places[1] + more

    def pieces(self, axis: int, number: int) -> list[_Piece]:
        """Return the parts of the lattice that a block covers along an axis."""
        grid, start = self.result, number * self.block[axis]
        chosen = (grid.slots, grid.rows, grid.cols)[axis][start : start + self.block[axis]]
        reach = self.reach[axis]
        places = np.array(chosen, np.int64)
        if reach is None:  # never split
            reach = int(np.ptp(places))
        return _pieces(places, reach, grid.ncols if axis == 2 else None)

    def indices(self, source: int, axis: int, places: Places) -> NDArray[np.intp]:
        """Return the indices in a source that places of the result need along an axis, -1 where it lacks them."""
        return self._indices(source, axis, self.places_on(source, axis, places))

    def places_on(self, source: int, axis: int, places: Places) -> Places:
        """Return the places of a source that places of the result need: cells for pixels, pixels for cells."""
        grid = self.grids[source]
        if axis == 0 and self.result.calendar == "none" != grid.calendar:
            return min(self.grids[0].slots), max(self.grids[0].slots) + 1  # all times for one map
        return places if axis == 0 else places_on(axis, places, self.result, grid)

    def box_on(self, source: int, box: Box) -> Box:
        """Return the box of a source that a box of the result needs."""
        ranges = (box.slots, box.rows, box.cols)
        return Box(*(self.places_on(source, axis, places) for axis, places in enumerate(ranges)))

    def _indices(self, source: int, axis: int, places: Places) -> NDArray[np.intp]:
        grid = self.grids[source]
        if axis == 0 and grid.calendar == "none" and {self.grids[0].calendar, self.result.calendar} != {"none"}:
            return np.zeros(1, np.intp)  # one frame for all times
        return (grid.index_slots, grid.index_rows, grid.index_cols)[axis](np.arange(*places))

    def _array(self, number: int, box: Box) -> Any:
        if self.by_parts or isinstance(self.sources[number], Pieces):
            return OnBox(self, number, box)
        return self.on_box(number, box)

    def on_box(self, number: int, box: Box) -> NDArray[Any]:
        """Return the values of a source on a box of its own places, NaN where the source lacks them."""
        source = self.sources[number]
        ranges = (box.slots, box.rows, box.cols)
        indices = [self._indices(number, axis, places) for axis, places in enumerate(ranges)]
        there = [np.flatnonzero(index >= 0) for index in indices]
        dtype = _floating(source.dtype)
        if [at.size for at in there] == [index.size for index in indices]:
            array = np.asarray(source.read(*indices), dtype)
        else:
            array = np.full([index.size for index in indices], np.nan, dtype)
            if all(at.size for at in there):
                t, y, x = (index[at] for index, at in zip(indices, there, strict=True))
                array[_region(there)] = source.read(t, y, x)
        # Repeats a single frame for all times; read-only, since an array in memory belongs to the user.
        return np.broadcast_to(array, box.shape)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        parts = (self.kernel, *self.sources, *self.grids)
        plain = (self.layers, self.reach, self.block, self.dtype.str, self.flat, self.needed is None, self.grid)
        return "xgapfill.lazy", *map(tokenize, parts), *plain, self.by_parts


@dataclass(frozen=True, eq=False)
class OnBox:
    """A source on a box, like an array; it is read when sliced, which avoids a second copy of its chunks."""

    op: BlockOp
    number: int
    box: Box

    ndim = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of time steps, rows and columns."""
        return self.box.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return _floating(self.op.sources[self.number].dtype)

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    def within(self, core: Box) -> OnBox:
        """Return a part of the box, still unread."""
        return replace(self, box=core)

    def __getitem__(self, key: slice | tuple[slice, ...]) -> NDArray[Any]:
        parts = key if isinstance(key, tuple) else (key,)
        ranges = [self.box.slots, self.box.rows, self.box.cols]
        for axis, part in enumerate(parts):
            start, stop, _ = part.indices(self.shape[axis])
            ranges[axis] = ranges[axis][0] + start, ranges[axis][0] + stop
        return self.op.on_box(self.number, Box(*ranges))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = np.asarray(self[:], dtype)
        return array.copy() if copy else array


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return (dtype if dtype.kind == "f" else np.result_type(dtype, np.float32)).newbyteorder("=")


@dataclass(frozen=True)
class _Piece:
    """Part of a block along one axis: its range of lattice places, and the indices of the block in it."""

    places: Places
    members: NDArray[np.intp]  # indices inside the block
    offsets: NDArray[np.intp]  # their places, relative to the first


def _pieces(places: NDArray[np.int64], reach: int, ncols: int | None) -> list[_Piece]:
    """Split the lattice places of a block at absent stretches longer than the halo.

    Frames of distant years may be neighbours in an array; their bounding box would be mostly empty.
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
    """Return the selection of the outer product of indices; slices, which copy less, if all indices are runs."""
    runs = []
    for index in indices:
        step = -1 if index[-1] < index[0] else 1
        if (np.diff(index) != step).any():
            return np.ix_(*indices)
        stop = int(index[-1]) + step
        runs.append(slice(int(index[0]), None if stop < 0 else stop, step))
    return tuple(runs)
