"""Finds external inputs in the graph of a dask array: arrays of files and stores, and paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from dask._task_spec import Alias, DataNode, Task, TaskRef
from dask.array import Array
from dask.blockwise import Blockwise
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph
from dask.layers import ArraySliceDep
from xarray.backends.common import BackendArray

from xgapfill.blocks.inputs import Chosen, File, Input, all_known, found_at, place_of, unwrapped

DEEP = 4  # levels of nested lists and tasks


def inputs_of_graph(array: Array) -> tuple[tuple[Input, ...] | None, str]:
    """Return the inputs of a dask array (None if they cannot be known), and a description that identifies them.

    Dask itself names the computations on them.
    """
    found: dict[Input | None, None] = {}
    words: list[str] = []
    for leaf, chosen in _leaves(array):
        if isinstance(leaf, Input):
            found[leaf] = None
            continue
        place, word = place_of(*unwrapped(leaf, chosen))
        found[found_at(place)] = None
        words.append(word)
    return all_known(found), " ".join(sorted(set(words)))


def _leaves(array: Array) -> Iterator[tuple[Any, Chosen]]:
    """Arrays that a graph reads with the selected indices, and inputs that are known already."""
    graph = array.dask
    if not isinstance(graph, HighLevelGraph):
        graph = HighLevelGraph({array.name: dict(graph)}, {array.name: set()})
    layers = graph.cull(set(flatten(array.__dask_keys__()))).layers.values()
    read: dict[Any, Chosen] = {}
    for layer in layers:
        if isinstance(layer, Blockwise):
            chosen = _chosen_by(layer)
            for part, index in layer.indices:
                if isinstance(part, TaskRef) and index is None:
                    read[part.key] = chosen if part.key not in read else None
                elif index is None:
                    yield from ((leaf, chosen) for leaf in _inside(part))
            yield from ((leaf, None) for leaf in _inside(layer.task))
    for layer in layers:
        known = getattr(layer, "known_inputs", None)  # a layer of a fill
        if known is not None:
            yield from ((each, None) for each in known)
        elif not isinstance(layer, Blockwise):
            yield from _held(layer, read)


def _held(tasks: Mapping[Any, Any], read: Mapping[Any, Chosen]) -> Iterator[tuple[Any, Chosen]]:
    seen: set[int] = set()
    for key, task in tasks.items():
        for leaf in _inside(task):
            if isinstance(leaf, Input) or id(leaf) not in seen:
                seen.add(id(leaf))
                yield leaf, read.get(key)


def _chosen_by(layer: Blockwise) -> Chosen:
    """Indices that the blocks of a layer select of the array that they slice."""
    slices = next((part for part in layer.io_deps.values() if isinstance(part, ArraySliceDep)), None)
    if slices is None or layer.output_blocks is None:
        return None
    places = np.array(sorted(layer.output_blocks))
    chosen = []
    for axis, sizes in enumerate(slices.chunks):
        edges = np.cumsum([0, *sizes])
        chosen.append(np.concatenate([np.arange(edges[n], edges[n + 1]) for n in np.unique(places[:, axis])]))
    return chosen


def _inside(part: Any, deep: int = DEEP) -> Iterator[Any]:
    """Lazy arrays and paths of files in a task, at any of its levels."""
    if isinstance(part, Alias | TaskRef | np.ndarray | np.generic) and not _is_mapped(part):
        return
    if isinstance(part, DataNode):
        part = part.value
    if isinstance(part, str | os.PathLike):
        if _is_path(part):
            known = found_at(File(os.path.abspath(part)))
            yield from [] if known is None else [known]
    elif _reads(part):
        yield part
    elif deep:
        for each in _parts(part):
            yield from _inside(each, deep - 1)


def _parts(part: Any) -> Iterable[Any]:
    if isinstance(part, Task):
        return [part.func, *part.args, *part.kwargs.values()]
    if isinstance(part, partial):
        return [*part.args, *part.keywords.values()]
    if isinstance(part, Mapping):
        return part.values()
    return part if isinstance(part, list | tuple | set) else ()


def _reads(part: Any) -> bool:
    """Whether an object is an array that is read when sliced, not one in memory."""
    if isinstance(part, BackendArray) or _is_mapped(part):
        return True
    if isinstance(part, type) or not all(hasattr(part, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    return hasattr(part, "array") or not hasattr(type(part), "__array_function__")


def _is_mapped(part: Any) -> bool:
    return isinstance(part, np.memmap) and part.filename is not None  # a copy in memory has no file name


def _is_path(text: str | os.PathLike[str]) -> bool:
    path = os.fspath(text)
    return isinstance(path, str) and len(path) < 4096 and "\0" not in path and os.path.isfile(path)
