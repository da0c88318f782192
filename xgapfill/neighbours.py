"""Input of dask: a layer of the graph in which the task of a block takes the chunks that it needs as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import List, Task, TaskRef
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, Layer
from dask.typing import Key
from numpy.typing import NDArray

from .blocks import BlockOp
from .chunked import Chunked, Pieces, chunks_of
from .sources import Source


def from_chunks(op: BlockOp, fitted: Delayed | None) -> da.Array:
    """Return the lazy array of a block op some of whose sources are of dask."""
    arrays: dict[str, da.Array] = {}
    sources: list[Source] = []
    for number, source in enumerate(op.sources):
        if isinstance(source, Chunked):
            if not isinstance(source.array, da.Array):
                raise TypeError(f"chunked arrays must be dask arrays; source {number} is {type(source.array)}")
            arrays[source.array.name] = source.array
            source = source.without_graph()
        sources.append(source)
    chunk_op = ChunkOp(replace(op, sources=tuple(sources)))
    name = f"gapfill-{tokenize(chunk_op, fitted)}"
    layer = BlockLayer(name, chunk_op, None if fitted is None else fitted.key)
    needed = [*arrays.values(), *([] if fitted is None else [fitted])]
    graph = HighLevelGraph.from_collections(name, layer, dependencies=needed)  # type: ignore[arg-type]
    return da.Array(graph, name, op.shown, meta=op.meta)


@dataclass(frozen=True, eq=False)
class ChunkOp:
    """A block op whose dask sources come as computed chunks."""

    op: BlockOp  # with empty `Pieces` for dask sources

    @cached_property
    def _touched(self) -> dict[tuple[int, int, int], tuple[int, ...]]:
        return {}

    def touched(self, source: int, axis: int, number: int) -> tuple[int, ...]:
        """Return the numbers of the chunks of a dask source that a block needs along an axis."""
        known = self._touched.get((source, axis, number))
        if known is None:
            edges = self.op.sources[source].edges[axis]  # type: ignore[attr-defined]
            found: set[int] = set()
            for piece in self.op.pieces(axis, number):
                index = self.op.indices(source, axis, self.op.around(axis, piece.places))
                found.update(int(chunk) for chunk in np.unique(chunks_of(index[index >= 0], edges)))
            known = self._touched[source, axis, number] = tuple(sorted(found))
        return known

    def keys(self, place: Sequence[int]) -> list[Key]:
        """Return the keys of the chunks that a block needs, each once: sources may be parts of one array."""
        keys: dict[Key, None] = {}
        for number, source in enumerate(self.op.sources):
            if isinstance(source, Pieces):
                for chunk in self._chunks(number, place):
                    keys[source.key(chunk)] = None
        return list(keys)

    def _chunks(self, source: int, place: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        t, y, x = (self.touched(source, axis, number) for axis, number in enumerate(place))
        return product(t, y, x)

    def __call__(self, place: Sequence[int], chunks: Sequence[NDArray[Any]], fitted: Any = None) -> NDArray[Any]:
        """Return a block, given the chunks of `keys`."""
        at_hand = dict(zip(self.keys(place), chunks, strict=True))
        sources: list[Source] = []
        for number, source in enumerate(self.op.sources):
            if isinstance(source, Pieces):
                pieces = {chunk: at_hand[source.key(chunk)] for chunk in self._chunks(number, place)}
                source = replace(source, pieces=pieces)
            sources.append(source)
        return replace(self.op, sources=tuple(sources))(place, fitted)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkOp, (self.op,)

    def __dask_tokenize__(self) -> object:
        return tokenize(self.op)


class BlockLayer(Layer):
    """One task a block, made when it is asked for: the graph of a large map is never held as a whole.

    Parameters
    ----------
    name : str
        Of the array.
    op : ChunkOp
    fitted : key of a task, optional
        What each block is given besides its chunks.
    kept : set of keys, optional
        After culling; all blocks by default.
    """

    def __init__(self, name: str, op: ChunkOp, fitted: Any = None, kept: Set[Key] | None = None) -> None:
        super().__init__()
        self.name, self.op, self.fitted, self.kept = name, op, fitted, kept
        self.counts = tuple(len(sizes) for sizes in op.op.shown)

    has_legacy_tasks = False

    def is_materialized(self) -> bool:
        """Whether all tasks are held."""
        return False

    def __len__(self) -> int:
        return int(np.prod(self.counts)) if self.kept is None else len(self.kept)

    def __iter__(self) -> Iterator[Key]:
        if self.kept is not None:
            return iter(self.kept)
        return ((self.name, *place) for place in product(*map(range, self.counts)))

    def __contains__(self, key: object) -> bool:
        if self.kept is not None:
            return key in self.kept
        return (
            isinstance(key, tuple)
            and len(key) == len(self.counts) + 1
            and key[0] == self.name
            and all(isinstance(n, int) and 0 <= n < count for n, count in zip(key[1:], self.counts, strict=True))
        )

    def __getitem__(self, key: Key) -> Task:
        if key not in self or not isinstance(key, tuple):
            raise KeyError(key)
        place: Any = key[-3:]
        more = () if self.fitted is None else (TaskRef(self.fitted),)
        return Task(key, self.op, place, List(*map(TaskRef, self.op.keys(place))), *more)

    def get_output_keys(self) -> Set[Key]:
        """Return the keys of all blocks."""
        return set(self)

    def cull(self, keys: set[Key], all_hlg_keys: Collection[Key]) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return a layer of some blocks only, and what each of them needs."""
        kept = {key for key in keys if key in self} if len(keys) < len(self) else {key for key in self if key in keys}
        more = [] if self.fitted is None else [self.fitted]
        places: dict[Key, Any] = {key: key[-3:] for key in kept if isinstance(key, tuple)}
        needed: dict[Key, set[Key]] = {key: {*self.op.keys(place), *more} for key, place in places.items()}
        return BlockLayer(self.name, self.op, self.fitted, kept), needed
