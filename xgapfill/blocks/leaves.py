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
PLAIN = frozenset({int, float, complex, bool, bytes, type(None), slice, type(...), np.ndarray, Alias, TaskRef})
CONTAINERS = frozenset({Task, tuple, list, dict, set})
Looked = dict[Any, tuple[Any, int]]  # text or id -> the object, and the levels below it that were looked at


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
    looked: Looked = {}  # tasks of a layer share most of their arguments
    for key, task in tasks.items():
        for leaf in _inside(task, looked):
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


def _inside(part: Any, looked: Looked | None = None) -> list[Any]:
    """Lazy arrays and paths of files in a task, at any of its levels, except those that `looked` has already."""
    found: list[Any] = []
    _look(part, DEEP, {} if looked is None else looked, found)
    return found


def _look(part: Any, deep: int, looked: Looked, found: list[Any]) -> None:
    kind = type(part)
    if kind in PLAIN:
        return
    key = part if kind is str else id(part)
    before = looked.get(key)
    if before is not None and before[1] >= deep:
        return
    looked[key] = part, deep  # the object is kept, so no other gets its id
    if kind is DataNode:
        _look(part.value, deep, looked, found)
    elif kind not in CONTAINERS and isinstance(part, str | os.PathLike):
        known = found_at(File(os.path.abspath(part))) if _is_path(part) else None
        found += [] if known is None else [known]
    elif kind not in CONTAINERS and _reads(part):
        found.append(part)
    elif deep:
        for each in _parts(part):
            if type(each) not in PLAIN:
                _look(each, deep - 1, looked, found)


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
    if isinstance(part, np.ndarray | np.generic):
        return isinstance(part, np.memmap) and part.filename is not None  # a copy in memory has no file name
    if isinstance(part, BackendArray):
        return True
    if isinstance(part, type) or not hasattr(type(part), "__getitem__"):
        return False
    if not all(hasattr(part, name) for name in ("shape", "dtype")):
        return False
    return hasattr(part, "array") or not hasattr(type(part), "__array_function__")


def _is_path(text: str | os.PathLike[str]) -> bool:
    path = os.fspath(text)
    return isinstance(path, str) and len(path) < 4096 and "\0" not in path and os.path.isfile(path)
