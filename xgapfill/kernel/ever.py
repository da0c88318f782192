"""Water outside the built-in mask: pixels that were observed at any date of the series, lazily."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import GraphNode, convert_legacy_graph
from dask.base import tokenize
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer
from dask.typing import Key
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.kernel.arrays import Layout
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.grid import Box, Grid
from xgapfill.variables import Variable

_COPY = "ever-"  # before names of copies of chunks


def ever_observed(
    variables: Sequence[Variable], sources: Sequence[Source], grids: Sequence[Grid]
) -> tuple[Source, Grid] | None:
    """Return a lazy map of the pixels of the target that any variable has at any date, and its addresses.

    Only blocks with land in the built-in mask are read. None where that mask has no land, or there is a single date.

    Parameters
    ----------
    variables : sequence of Variable
        The target and its predictors.
    sources, grids : sequence
        Of each part of each variable.
    """
    grid = grids[0]
    rows, cols = np.array(grid.rows), np.array(grid.cols)
    if len(grid.slots) == 1 or seamask.sea(grid.lat_of(rows), grid.lon_of(cols)).all():
        return None
    kernel = _Observed(grid, tuple(variables))
    copies = [_read_again(source) for source in sources]
    observed = map_lattice(
        kernel, copies, grids, layers=None, reach=(0, 0, 0), dtype=np.uint8, needed=kernel.has_land, beside=True
    ).max(axis=0, split_every=8)
    timeless = replace(grid, slots=(0,), calendar="none")
    return Chunked(observed, (None, 0, 1), token=tokenize(kernel)), timeless


def _read_again(source: Source) -> Source:
    """Read chunks of dask under other keys: the fill would hold those of all dates until the map is made."""
    if not isinstance(source, Chunked):
        return source
    array, name = source.array, f"{_COPY}{source.array.name}"
    graph = HighLevelGraph({name: _Copy(array)}, {name: set()})
    return replace(source, array=da.Array(graph, name, array.chunks, meta=array._meta))


class _Copy(Layer):
    """The graph of an array with other keys, made on demand: of the chunks that are computed."""

    has_legacy_tasks = False

    def __init__(self, array: da.Array) -> None:
        super().__init__()
        self.array = array

    @cached_property
    def tasks(self) -> dict[Key, GraphNode]:
        """All tasks."""
        return self._of(set(flatten(self.array.__dask_keys__())))

    def _of(self, keys: set[Key]) -> dict[Key, GraphNode]:
        """Tasks that some chunks need, by keys of the array."""
        graph = convert_legacy_graph(self.array.dask.cull(keys))
        names = {key: _renamed(key) for key in graph}
        return {names[key]: node.substitute(names, key=names[key]) for key, node in graph.items()}

    def __getitem__(self, key: Key) -> GraphNode:
        return self.tasks[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def is_materialized(self) -> bool:
        """Whether all tasks are held."""
        return False

    def get_output_keys(self) -> Set[Key]:
        """Return the keys of the chunks."""
        return {_renamed(key) for key in flatten(self.array.__dask_keys__())}

    def cull(self, keys: set[Key], all_hlg_keys: Collection[Key]) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return a layer of some chunks only, and the dependencies of its tasks."""
        tasks = self._of({(str(key[0]).removeprefix(_COPY), *key[1:]) for key in keys if isinstance(key, tuple)})
        return MaterializedLayer(tasks), {key: set(task.dependencies) for key, task in tasks.items()}


def _renamed(key: Any) -> Any:
    return (_renamed(key[0]), *key[1:]) if isinstance(key, tuple) else f"{_COPY}{key}"


@dataclass(frozen=True)
class _Observed:
    """1 where a variable has a possible value."""

    grid: Grid
    variables: tuple[Variable, ...]

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.uint8]:
        """Return the layer on `core`, which is `box`."""
        given = Layout(tuple(each.parts for each in self.variables)).named(arrays)
        found = np.zeros(box.shape, bool)
        for variable, parts in zip(self.variables, given.variables, strict=True):
            for slot in range(box.shape[0]):
                raw = np.stack([part[slot : slot + 1] for part in parts])
                found[slot : slot + 1] |= variable.possible(raw)[0].any(axis=0)
        return found[None].astype(np.uint8)

    def has_land(self, box: Box) -> bool:
        """Whether the built-in mask has land in a box."""
        lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
        return not bool(seamask.sea(lat, lon).all())
