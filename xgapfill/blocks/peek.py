"""Samples a few values of a source at the call, where reading is cheap."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.runs import cut_of, turned
from xgapfill.blocks.source import InMemory, Source
from xgapfill.lattice.grid import Grid

SIDE = 48  # rows and columns of a spot
SPOTS = 6  # largest number of spots
SECONDS = 2.0  # no further spot is read after this time
BYTES = 256 * 2**20  # largest size of the chunks that are read for a spot: a global map of 4 km is one of them
TASKS = 24  # largest number of dask tasks per chunk: with more, it is a computation, not a read
KEYS = 200_000  # largest number of chunks of a dask array whose graph is inspected


def spots(sources: Sequence[Source], grids: Sequence[Grid], seconds: float = SECONDS) -> Iterator[NDArray[Any]]:
    """Yield a few spots (p, t, y, x) of sources on the same places, spread over them, where reading is cheap.

    The positions depend only on the grid of the first source, so arrays in memory, in files and of dask give the same,
    unless reading takes more than some `seconds`.
    """
    start = time.monotonic()
    first = grids[0]
    for place in _places(first.shape):
        slots, rows, cols = (
            np.array(axis)[part] for axis, part in zip((first.slots, first.rows, first.cols), place, strict=True)
        )
        found = []
        for source, grid in zip(sources, grids, strict=True):
            at = grid.index_slots(slots), grid.index_rows(rows), grid.index_cols(cols)
            values = _computed(source, at) if isinstance(source, Chunked) else source.read(*at)
            if values is None:
                return
            found.append(values)
        yield np.stack(found)
        if not all(isinstance(source, InMemory) for source in sources) and time.monotonic() - start > seconds:
            return


def _places(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    """Positions of spots: the centre first, then a sequence that covers time and space evenly."""
    frames, height, width = shape
    seen = set()
    for number in range(SPOTS):
        t, y, x = ((0.5 + number * step) % 1 for step in (0.819173, 0.671044, 0.549700))
        starts = int(t * frames), int(y * max(1, height - SIDE + 1)), int(x * max(1, width - SIDE + 1))
        if starts not in seen:
            seen.add(starts)
            yield (
                slice(starts[0], starts[0] + 1),
                slice(starts[1], starts[1] + SIDE),
                slice(starts[2], starts[2] + SIDE),
            )


def _computed(source: Chunked, at: tuple[NDArray[np.intp], ...]) -> NDArray[Any] | None:
    """Values of a dask array, computed in this thread; None if that takes more than a read, or fails."""
    import dask

    array = source.array
    low = [int(index.min()) for index in at]
    place = tuple(slice(first, int(index.max()) + 1) for first, index in zip(low, at, strict=True))
    cut = cut_of(array.ndim, source.axes, place)  # type: ignore[arg-type]
    for axis, index in source.at:
        cut[axis] = slice(index, index + 1)
    size, touched = _size(array, cut)
    if math.prod(array.numblocks) > KEYS or size > BYTES:
        return None
    part = array[tuple(cut)]
    keys = {key for block in part.__dask_keys__() for key in _flat(block)}
    if len(part.__dask_graph__().cull(keys)) > TASKS * touched:
        return None
    try:
        (values,) = dask.compute(part, scheduler="synchronous")
    except Exception:  # the error will appear again in the computation
        return None
    found = turned(values, source.axes, {axis: 0 for axis, _ in source.at})
    return found[np.ix_(*(index - first for index, first in zip(at, low, strict=True)))]


def _size(array: Any, cut: Sequence[slice]) -> tuple[int, int]:
    """Bytes and number of the chunks that a selection touches."""
    size: int = array.dtype.itemsize
    touched = 1
    for part, sizes in zip(cut, array.chunks, strict=True):
        edges = np.cumsum([0, *sizes])
        start, stop, _ = part.indices(int(edges[-1]))
        first, last = np.searchsorted(edges, [start, max(start, stop - 1)], "right") - 1
        size *= int(edges[last + 1] - edges[first])
        touched *= int(last + 1 - first)
    return size, touched


def _flat(block: Any) -> Iterator[Any]:
    if isinstance(block, list):
        for each in block:
            yield from _flat(each)
    else:
        yield block
