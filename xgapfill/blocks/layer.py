"""A layer of the graph with one task per block, created on demand, which depends on the chunks it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Any

import numpy as np
from dask._task_spec import DataNode, List, Task, TaskRef
from dask.array.chunk import getitem
from dask.base import tokenize
from dask.highlevelgraph import Layer
from dask.typing import Key
from numpy.typing import NDArray

from xgapfill.blocks.block import BlockOp, Triple
from xgapfill.blocks.chunked import Pieces, Span, Spans, cut_out, spans_of
from xgapfill.blocks.inputs import Input
from xgapfill.blocks.progress import block

WINDOW = 512  # blocks; with more of them, most chunks are needed as a whole


@dataclass(frozen=True, eq=False)
class ChunkOp:
    """A block op whose dask and in-memory sources arrive as chunks: one node of the graph, sent to a worker once."""

    op: BlockOp  # with empty `Pieces` for such sources

    @cached_property
    def _touched(self) -> dict[tuple[int, int, int], dict[int, Span]]:
        return {}

    @cached_property
    def _pieces(self) -> list[tuple[int, Pieces]]:
        return [(number, source) for number, source in enumerate(self.op.sources) if isinstance(source, Pieces)]

    @cached_property
    def _alike(self) -> list[list[int]]:
        """Numbers of the dask sources that are layers of the same chunks on the same grid: what one needs, all need."""
        groups: dict[Any, list[int]] = {}
        for number, source in self._pieces:
            beside = tuple((axis, chunk) for axis, chunk, _, _ in source.at)
            key = source.name, source.axes, beside, id(self.op.grids[number])
            groups.setdefault(key, []).append(number)
        return list(groups.values())

    def touched(self, source: int, axis: int, number: int) -> dict[int, Span]:
        """Return the parts of the chunks of a dask source that a block needs along an axis, by chunk number."""
        known = self._touched.get((source, axis, number))
        if known is None:
            found = [np.zeros(0, np.intp)]
            for piece in self.op.pieces(axis, number):
                index = self.op.indices(source, axis, self.op.around(axis, piece.places))
                found.append(index[index >= 0])
            edges = dict(self._pieces)[source].edges[axis]
            known = self._touched[source, axis, number] = spans_of(np.concatenate(found), edges)
        return known

    @cached_property
    def _read(self) -> dict[tuple[int, ...], bool]:
        return {}

    def _reads(self, place: tuple[int, ...]) -> bool:
        if self.op.needed is None:
            return True
        if place not in self._read:
            self._read[place] = self.op.reads(place)
        return self._read[place]

    def keys(self, place: Sequence[int]) -> list[Key]:
        """Return the unique keys of the chunks that a block needs; sources may be parts of one array."""
        pieces = dict(self._pieces)
        every = ((pieces[first], chunk) for first, *_ in self._alike for chunk, _ in self._chunks(first, place))
        return list(dict.fromkeys(source.key(chunk) for source, chunk in every))

    def cuts(self, places: Iterable[Sequence[int]]) -> dict[Key, Spans]:
        """Return the parts that blocks need of computed chunks, for chunks that they do not need as a whole."""
        found: dict[Key, Spans] = {}
        pieces = dict(self._pieces)
        for place, alike in product(places, self._alike):
            if pieces[alike[0]].in_memory:
                continue
            ends = sorted((pieces[number] for number in alike), key=lambda each: each.at)
            if len(ends[0].at) == 1:  # the first and the last layer span the others
                ends = ends[:: max(1, len(ends) - 1)]
            for chunk, along in self._chunks(alike[0], place):
                key = ends[0].key(chunk)
                for source in ends:
                    spans = source.spans(along)
                    found[key] = tuple(map(Span.joined, found.get(key, spans), spans))
        return {key: spans for key, spans in found.items() if any(high - low < size for low, high, size in spans)}

    def _chunks(self, source: int, place: Sequence[int]) -> Iterator[tuple[Triple, tuple[Span, Span, Span]]]:
        """Numbers of the chunks of a dask source that a block needs, and the needed parts."""
        if not self._reads(tuple(place)):
            return
        axes = (self.touched(source, axis, number).items() for axis, number in enumerate(place))
        for (i, t), (j, y), (k, x) in product(*axes):
            yield (i, j, k), (t, y, x)

    def __call__(self, place: Sequence[int], chunks: Sequence[Any], fitted: Any = None) -> NDArray[Any]:
        """Return a block, given the chunks of `keys` or parts of them."""
        at_hand = dict(zip(self.keys(place), chunks, strict=True))
        sources = list(self.op.sources)
        known = dict(self._pieces)
        for alike in self._alike:
            pieces = {chunk: at_hand[known[alike[0]].key(chunk)] for chunk, _ in self._chunks(alike[0], place)}
            for number in alike:
                sources[number] = replace(known[number], pieces=pieces)
        return replace(self.op, sources=tuple(sources))(place, fitted)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkOp, (self.op,)

    def __dask_tokenize__(self) -> object:
        return tokenize(self.op)


def fill_block(op: ChunkOp, place: Triple, chunks: Sequence[Any], of: tuple[str, int], fitted: Any = None) -> Any:
    """Compute a block; `of` is the name of its layer and the number of blocks there."""
    with block(*of):
        return op(place, chunks, fitted)


class BlockLayer(Layer):
    """One task per block, created on demand, so that the graph of a large map is never held as a whole.

    The data shared by all tasks are one additional node, so that a task has a few hundred bytes.

    Parameters
    ----------
    name : str
        Name of the array.
    op : ChunkOp
    fitted : key of a task, optional
        Task whose result each block receives besides its chunks.
    kept : set of keys, optional
        Blocks left by culling; all of them by default. For at most `WINDOW` blocks, separate tasks slice chunks that
        are not needed as a whole: around a window, most of these chunks would be held for nothing.
    beside : bool
        Whether its blocks are not counted in progress, as another layer needs them.
    """

    def __init__(
        self, name: str, op: ChunkOp, fitted: Any = None, kept: Set[Key] | None = None, beside: bool = False
    ) -> None:
        super().__init__()
        self.name, self.op, self.fitted, self.kept, self.beside = name, op, fitted, kept, beside
        self.counts = tuple(len(sizes) for sizes in op.op.shown)
        self.blocks = int(np.prod(self.counts)) if kept is None else len(kept)
        self.op_key = f"op-{name}"
        cuts = {} if kept is None or len(kept) > WINDOW else op.cuts([_place(key) for key in kept])
        self.cut_to: dict[Key, Key] = {}
        self.cuts: dict[Key, Task] = {}
        for key, spans in cuts.items():
            part, whole = _part_key("part", key, spans), _part_key("cut", key, spans)
            index = tuple(slice(span.low, span.high) for span in spans)
            # with its own getitem, dask reads only this part of a file instead of the whole chunk
            self.cuts[part] = Task(part, getitem, TaskRef(key), index)
            self.cuts[whole] = Task(whole, cut_out, TaskRef(part), tuple(span.low for span in spans))
            self.cut_to[key] = whole

    has_legacy_tasks = False

    @property
    def known_inputs(self) -> tuple[Input, ...]:
        """External inputs of its sources."""
        return tuple(dict.fromkeys(each for source in self.op.op.sources for each in source.inputs))

    def is_materialized(self) -> bool:
        """Whether all tasks are held."""
        return False

    def __len__(self) -> int:
        return 1 + len(self.cuts) + self.blocks

    def __iter__(self) -> Iterator[Key]:
        if self.kept is not None:
            return chain([self.op_key], self.kept, self.cuts)
        return chain([self.op_key], ((self.name, *place) for place in product(*map(range, self.counts))))

    def __contains__(self, key: object) -> bool:
        return key == self.op_key or key in self.cuts or self._has_block(key)

    def _has_block(self, key: object) -> bool:
        if self.kept is not None:
            return key in self.kept
        return (
            isinstance(key, tuple)
            and len(key) == len(self.counts) + 1
            and key[0] == self.name
            and all(isinstance(n, int) and 0 <= n < count for n, count in zip(key[1:], self.counts, strict=True))
        )

    def __getitem__(self, key: Key) -> Task | DataNode:
        if key == self.op_key:
            return DataNode(key, self.op)
        if key in self.cuts:
            return self.cuts[key]
        if not self._has_block(key):
            raise KeyError(key)
        place = _place(key)
        chunks = (self.cut_to.get(chunk, chunk) for chunk in self.op.keys(place))
        more = () if self.fitted is None else (TaskRef(self.fitted),)
        of = (self.name, 0 if self.beside else self.blocks)
        return Task(key, fill_block, TaskRef(self.op_key), place, List(*map(TaskRef, chunks)), of, *more)

    def get_output_keys(self) -> Set[Key]:
        """Return the keys of all tasks."""
        return set(self)

    def cull(self, keys: set[Key], all_hlg_keys: Collection[Key]) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return a layer of some blocks only, and the dependencies of its tasks."""
        culled = BlockLayer(self.name, self.op, self.fitted, {key for key in keys if self._has_block(key)}, self.beside)
        return culled, {key: set(culled[key].dependencies) for key in culled}


def _place(key: Any) -> Any:
    """Indices of a block along time, latitude and longitude."""
    return key[-3:]


def _part_key(what: str, key: Any, spans: Spans) -> Key:
    """Name a part of a chunk deterministically."""
    name, *place = key
    return f"{what}-{name}", *place, *(edge for low, high, _ in spans for edge in (low, high))
