"""Water outside the built-in mask: pixels that were observed at any date of the series, lazily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import convert_legacy_graph
from dask.base import tokenize
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source
from xgapfill.kernel.arrays import Layout
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.grid import Box, Grid
from xgapfill.variables import Variable


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
        kernel, copies, grids, layers=None, reach=(0, 0, 0), dtype=np.uint8, needed=kernel.has_land
    ).max(axis=0, split_every=8)
    timeless = replace(grid, slots=(0,), calendar="none")
    return Chunked(observed, (None, 0, 1), token=tokenize(kernel)), timeless


def _read_again(source: Source) -> Source:
    """Read chunks of dask under other keys: the fill would hold those of all dates until the map is made."""
    if not isinstance(source, Chunked):
        return source
    array = source.array
    graph = convert_legacy_graph(array.__dask_graph__())
    keys = {key: _renamed(key) for key in graph}
    copy = {keys[key]: node.substitute(keys, key=keys[key]) for key, node in graph.items()}
    return replace(source, array=da.Array(copy, _renamed(array.name), array.chunks, meta=array._meta))


def _renamed(key: Any) -> Any:
    return (_renamed(key[0]), *key[1:]) if isinstance(key, tuple) else f"ever-{key}"


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
