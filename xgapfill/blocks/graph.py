"""Turns a function of lattice boxes into a lazy array with one task per block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import DTypeLike, NDArray

from xgapfill.blocks.block import Around, BlockOp, Kernel, Reach, Triple
from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.layer import BlockLayer, ChunkOp
from xgapfill.blocks.source import InMemory, Source, in_pieces
from xgapfill.lattice.grid import Box, Grid
from xgapfill.options import OPTIONS


def map_lattice(
    kernel: Kernel,
    sources: Sequence[Source],
    grids: Sequence[Grid],
    *,
    layers: int | None,
    reach: Reach = (4, 63, 63),
    around: Around | None = None,
    block: Triple | None = None,
    dtype: DTypeLike,
    fitted: Delayed | None = None,
    needed: Callable[[Box], bool] | None = None,
    grid: Grid | None = None,
    beside: bool = False,
    by_parts: bool = False,
) -> da.Array:
    """Apply a function of lattice boxes to whole arrays, lazily, with one task per block.

    Parameters
    ----------
    kernel : callable
        ``kernel(arrays, box, core)`` returns (layers, *core.shape) in lattice order (ascending time steps, rows and
        columns). `arrays` holds one (t, y, x) array per source on `box`, which is `core` with its halo; for a source
        that is not in a file, an `OnBox` that is read when sliced. Floating dtypes are kept, others become floating;
        places that a source lacks are NaN. The kernel must be picklable with a dask token, and a pixel must not depend
        on the division of the lattice into cores. Arrays are read-only.
    sources, grids : sequence
        Variables and the addresses of their pixels. The first determines shape and order of the result. Later ones may
        cover other places; a source without time is repeated at all times.
    layers : int or None
        Length of the first dimension of the result. None: the kernel returns one layer, and the result has no such
        dimension (dropping it later would cost another task per block).
    reach : tuple of int
        Halo: time steps, rows and columns around a pixel on which it may depend. None for time: all times of the first
        source, in one block; the box then holds exactly these.
    around : callable, optional
        ``around(axis, places)`` returns the halo bounds of cores on a range of places along an axis, if they are
        smaller than `reach`.
    block : tuple of int, optional
        Length of the blocks along time, latitude and longitude; by default that of `xgapfill.set_options`.
    dtype : dtype
        Type of the result.
    fitted : dask Delayed, optional
        Fit that must precede all blocks: each task calls ``kernel.given(fitted)`` instead of the kernel.
    needed : callable, optional
        ``needed(core)`` tells whether a core is computed; others are 0, and nothing is read for them.
    grid : Grid, optional
        Addresses of the result, if they are not those of the first source: `box` and `core` are of this grid, and each
        array covers the pixels of the cells of the box, or the cells of its pixels (`lattice.cells`). For a grid
        without time each array has all times of the first source.
    beside : bool
        Whether another array of the same call needs this one, so that its blocks are not counted in progress.
    by_parts : bool
        Whether the kernel reads parts of the arrays one after another: all of them are then an `OnBox`.

    Returns
    -------
    dask.array.Array
        (layers, time, latitude, longitude) in the order of the first source. Nothing is loaded or computed. Tasks read
        files themselves; of dask arrays, a task gets the chunks it needs; arrays in memory are split into chunks.

    Raises
    ------
    ValueError
        A shape differs from its grid, or a grid belongs to another lattice than the first.
    """
    _check(sources, grids)
    shape = grids[0].shape if grid is None else grid.shape
    block = OPTIONS["block"] if block is None else block
    if reach[0] is None:
        block = (shape[0], *block[1:])
    flat = layers is None
    op = BlockOp(
        kernel,
        tuple(sources),
        tuple(grids),
        layers or 1,
        reach,
        block,
        np.dtype(dtype),
        flat,
        around,
        needed,
        grid,
        by_parts,
    )
    return _array_of(op, fitted, beside)


def _array_of(op: BlockOp, fitted: Delayed | None, beside: bool) -> da.Array:
    """Return the lazy array of a block op: a graph layer on the chunks of sources that are not in files."""
    arrays: dict[str, da.Array] = {}
    sources: list[Source] = []
    for number, given in enumerate(op.sources):
        source = in_pieces(given) if isinstance(given, InMemory) else given
        if isinstance(source, Chunked):
            if not isinstance(source.array, da.Array):
                raise TypeError(f"chunked arrays must be dask arrays; source {number} is {type(source.array)}")
            arrays[source.array.name] = source.array
            sources.append(replace(source.without_graph(), in_memory=isinstance(given, InMemory)))
        else:
            sources.append(source)
    chunk_op = ChunkOp(replace(op, sources=tuple(sources)))
    name = f"gapfill-{tokenize(chunk_op, fitted)}"
    layer = BlockLayer(name, chunk_op, None if fitted is None else fitted.key, beside=beside)
    needed = [*arrays.values(), *([] if fitted is None else [fitted])]
    graph = HighLevelGraph.from_collections(name, layer, dependencies=needed)  # type: ignore[arg-type]
    return da.Array(graph, name, op.shown, meta=op.meta)


def compute_block(array: da.Array, place: Sequence[int]) -> NDArray[Any]:
    """Compute one block by index, in this thread; `array.blocks` would traverse the whole graph."""
    key = (array.name, *map(int, place))
    block: NDArray[Any] = dask.get(dict(array.dask.cull({key})), key)
    return block


def _check(sources: Sequence[Source], grids: Sequence[Grid]) -> None:
    if not sources or len(sources) != len(grids):
        raise ValueError(f"expected one grid per source; found {len(sources)} sources and {len(grids)} grids")
    for number, (source, grid) in enumerate(zip(sources, grids, strict=True)):
        if source.shape != grid.shape:
            raise ValueError(f"source {number} has shape {source.shape}, but its coordinates have {grid.shape}")
        if grid.cell == grids[0].cell and not grid.same_lattice(grids[0]):
            raise ValueError(
                f"source {number} lies on another lattice (steps {grid.steps}, phases {grid.phases}, {grid.calendar}) "
                f"than the first source (steps {grids[0].steps}, phases {grids[0].phases}, {grids[0].calendar}). "
                "Regrid or resample it to the coordinates of the first"
            )
