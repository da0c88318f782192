"""Lays out how other sensors compare to the target, lazily: sums of the pairs in cells, then their comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.peek import spots
from xgapfill.blocks.source import Source
from xgapfill.inputs.read import Quantity
from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.beyond import CELLS, FRAMES, WIDE, places_of
from xgapfill.kernel.drivers import Within, layers_of
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.sensors import Sensors, Unit
from xgapfill.lattice.cells import edges_of, grid_of_cells, pixels_of
from xgapfill.lattice.grid import Box, Grid
from xgapfill.prior import sensors
from xgapfill.variables import priors


def sensors_of(given: Sequence[Quantity], target: Quantity) -> Sensors | None:
    """Describe the other sensors of a call; None without any. A few small reads give the unit of some variables."""
    if not given:
        return None
    labels = tuple(each.label for each in given)
    if len(set(labels)) < len(labels):
        labels = tuple(f"{label} {number}" for number, label in enumerate(labels, 1))
    units = tuple(_unit(channel, target) for channel in target.variable.channels)
    call = tokenize(target.sources, *(each.sources for each in given))
    return Sensors(tuple(each.variable for each in given), labels, units, target.label, call)


def _unit(channel: str, target: Quantity) -> Unit:
    variable = target.variable
    if not variable.levelled:
        prior = priors()[channel]
        return Unit(prior.mean, prior.variance**0.5)
    if variable.usual_sd:
        return Unit(0.0, float(variable.usual_sd))
    found = [variable.encode(each) for each in spots(target.sources, target.source_grids(), math.inf)]
    at = variable.channels.index(channel)
    values = np.concatenate([np.zeros(0), *(each.values[at][each.observed[at]] for each in found)])
    spread = float(values.std()) if values.size else 0.0
    return Unit(float(values.mean()), 2.0 ** round(math.log2(spread))) if spread else Unit(0.0, 1.0)


@dataclass(frozen=True)
class PairSums:
    """`prior.sensors.cell_pairs` of the cells of a block, for each channel of each sensor: (layers, t, y, x)."""

    encoder: Encoder  # of the target and its predictors
    sensors: Sensors
    cells: Grid

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float64]:
        """Return (layers, *core.shape) of cells."""
        encoder = self.encoder
        own = tuple(each.parts for each in encoder.variables)
        nowhere = np.broadcast_to(np.False_, pixels_of(box, self.cells, encoder.grid).shape)
        known = encoder.channels_of(Layout(own).named(arrays[: sum(own)]), nowhere, nowhere)
        target, observed = self.sensors.in_units(known.values), known.observed[: len(self.sensors.units)]
        firsts = [each[:-1] for each in edges_of(box, self.cells)]
        found = [
            sensors.cell_pairs(target, values, observed & there, *firsts).swapaxes(0, 1)
            for values, there in self.sensors.encoded(arrays[sum(own) :])
        ]
        return np.concatenate(found).reshape(-1, *core.shape)


@dataclass(frozen=True)
class Comparison:
    """`prior.sensors.Compared` of the cells of a block, for each channel of each sensor: (layers, t, y, x)."""

    grid: Grid  # of the cells

    def __call__(self, arrays: list[Any], box: Box, core: Box) -> NDArray[np.float32]:
        """Return (layers, *core.shape) of cells."""
        of, at = places_of(self.grid, box), places_of(self.grid, core)
        found: list[NDArray[np.float64]] = []
        for first in range(0, len(arrays), sensors.PAIRS):
            pairs = np.stack([np.nan_to_num(np.asarray(each)) for each in arrays[first : first + sensors.PAIRS]])
            found += sensors.compare(pairs, of, at, self.grid.step_days)
        return np.stack(found).astype(np.float32)


def lay_out_pairs(
    described: Sensors, encoder: Encoder, sources: Sequence[Source], grids: Sequence[Grid]
) -> tuple[da.Array, Grid]:
    """Return the sums of pairs of the target with each sensor in cells, and the grid of the cells.

    `sources` and `grids` are those of the variables that `encoder` reads, then of the sensors.
    """
    cells = grid_of_cells(encoder.grid)
    sums = map_lattice(
        PairSums(encoder, described, cells),
        sources,
        grids,
        layers=len(described.variables) * len(described.units) * sensors.PAIRS,
        reach=(0, 0, 0),
        block=(FRAMES, CELLS, CELLS),
        dtype=np.float64,
        grid=cells,
        beside=True,
    )
    return sums, cells


def lay_out_sensors(
    encoder: Encoder,
    described: Sensors,
    sources: Sequence[Source],
    grids: Sequence[Grid],
    passed: Callable[[da.Array], list[Source]] = layers_of,
) -> tuple[list[Source], list[Grid]]:
    """Return the fields of cells and their grids, given the arrays of the variables and of the sensors.

    `passed` gives the layers of an array that the next ones get.
    """
    sums, cells = lay_out_pairs(described, encoder, sources, grids)
    pairs, step_days = passed(sums), cells.step_days
    compared = map_lattice(
        Comparison(cells),
        pairs,
        [cells] * len(pairs),
        layers=described.fields,
        reach=sensors.reach(step_days),
        around=Within(cells, sensors.reach(step_days)),
        block=(FRAMES, WIDE, WIDE),
        dtype=np.float32,
        beside=True,
    )
    fields = passed(compared)
    return fields, [cells] * len(fields)
