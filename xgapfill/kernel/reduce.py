"""Reduce members within blocks: statistics without storing, or even holding, all members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import axes as cf
from xgapfill.inputs.read import Quantity
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.statistics import Gathered, OfMember, Statistic, View
from xgapfill.lattice.grid import Box
from xgapfill.options import OPTIONS
from xgapfill.weights import Weights

TOGETHER = 8  # members drawn at once
SLAB = 24  # time steps filled at once when a block holds whole series
READ_BYTES = 2**30  # largest size of whole series read by a task
LEAST = 16  # smallest number of rows and columns of a block


@dataclass(frozen=True)
class Field:
    """Field to reduce: the values of an array, or a function of them.

    Attributes
    ----------
    array : int
        Index of the array among the targets.
    parts : tuple of int
        Parts of the variable in the array, in its order.
    statistics : tuple of Statistic
    function : OfMember or None
    """

    array: int
    parts: tuple[int, ...]
    statistics: tuple[Statistic, ...]
    function: OfMember | None = None


@dataclass(frozen=True)
class Reduced:
    """A kernel that draws a few members of a block at a time and returns their statistics.

    Attributes
    ----------
    kernel : FillKernel
        Draws the members.
    fields : tuple of Field
    series : bool
        Whether a block holds all times, as functions of members need them. All statistics of a pixel are then packed
        along layers and times.
    block : tuple of int
        Length of blocks along time, latitude and longitude.
    west : bool
        Whether functions get longitudes from -180, not from 0.
    member_bytes : int
        Approximate bytes of members that a task holds.
    """

    kernel: FillKernel
    fields: tuple[Field, ...]
    series: bool
    block: tuple[int, int, int]
    west: bool
    member_bytes: int

    @property
    def reach(self) -> tuple[int | None, int, int]:
        """Halo of the kernel; all times for series."""
        slots, rows, cols = self.kernel.reach
        return None if self.series else slots, rows, cols

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Places that the kernel depends on; no other times for series, which hold them all."""
        return places if axis == 0 and self.series else self.kernel.around(axis, places)

    @property
    def layers(self) -> int:
        """Layers of the result."""
        total = sum(self.sizes)
        return -(-total // len(self.kernel.grid.slots)) if self.series else total

    @property
    def sizes(self) -> list[int]:
        """Number of layers (maps, for series) of each statistic of each field."""
        return [statistic.layers * self.size(field) for field in self.fields for statistic in field.statistics]

    def size(self, field: Field) -> int:
        """Number of layers (maps, for series) of a field."""
        if field.function is not None:
            return int(np.prod([*field.function.extra.values()], dtype=int))
        return len(field.parts) * (len(self.kernel.grid.slots) if self.series else 1)

    def given(self, fitted: Weights) -> Reduced:
        """Return the kernel with weights that were fitted on the series to be filled."""
        return replace(self, kernel=self.kernel.given(fitted))

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        """Return (layers, *core.shape), as `FillKernel` does."""
        gathered = [Gathered({statistic.kind for statistic in field.statistics}) for field in self.fields]
        for drawn in self.members(arrays, box, core):
            for field, each in zip(self.fields, gathered, strict=True):
                each.add(self.shown(field, drawn[list(field.parts)], core))
        found = [
            each.get(statistic).reshape(-1, *each_shape)
            for field, each in zip(self.fields, gathered, strict=True)
            for statistic in field.statistics
            for each_shape in [core.shape[1:] if self.series else core.shape]
        ]
        values = np.concatenate(found)
        return self.packed(values, core) if self.series else values

    def members(self, arrays: list[NDArray], box: Box, core: Box) -> Iterator[NDArray]:
        """Draw members one by one: (parts, *core.shape)."""
        for beside, wanted in self.together(core, arrays[0].itemsize):
            noise = replace(self.kernel.noise, members=(*beside, *wanted))
            kernel = replace(self.kernel, members=len(beside) + len(wanted), noise=noise, full=False)
            slabs = [kernel(*slab) for slab in self.slabs(arrays, box, core)]
            drawn = np.concatenate(slabs, axis=1)
            yield from drawn.reshape(kernel.members, -1, *core.shape)[len(beside) :]

    def together(self, core: Box, itemsize: int) -> list[tuple[tuple[int, ...], range]]:
        """Numbers of the members of a core that are drawn at once, with the number of their anchor, if any."""
        size = self.kernel.variables[0].parts * int(np.prod(core.shape)) * itemsize
        count = int(np.clip(self.member_bytes // size, 1, TOGETHER))
        firsts = range(0, self.kernel.members, count)
        anchored = self.kernel.method.anchored
        return [
            ((0,) if first and anchored else (), range(first, min(first + count, self.kernel.members)))
            for first in firsts
        ]

    def slabs(self, arrays: list[NDArray], box: Box, core: Box) -> Iterator[tuple[list[NDArray], Box, Box]]:
        """Cut whole series into parts in time with their halo; other boxes stay whole."""
        if not self.series or self.kernel.reach[0] is None:
            yield list(arrays), box, core  # the kernel empties the list
            return
        low, high = box.slots
        for start in range(low, high, SLAB):
            slots = start, min(start + SLAB, high)
            around = self.kernel.around(0, slots)
            inside = slice(max(around[0], low) - low, min(around[1], high) - low)
            beyond = [(max(0, low - around[0]), max(0, around[1] - high)), (0, 0), (0, 0)]
            parts = [np.pad(array[inside], beyond, constant_values=np.nan) for array in arrays]
            yield parts, replace(box, slots=around), replace(core, slots=slots)

    def shown(self, field: Field, values: NDArray, core: Box) -> NDArray:
        """Values of a member (parts, *core.shape) that are reduced."""
        if not self.series:
            return values
        at = self.times(core)
        if field.function is None:
            return values[:, at].reshape(-1, *core.shape[1:])
        grid = self.kernel.grid
        lat, lon = grid.lat_of(np.arange(*core.rows)), grid.lon_of(np.arange(*core.cols))
        return field.function(values[:, np.sort(at)], lat, (lon + 180) % 360 - 180 if self.west else lon)

    def times(self, core: Box) -> NDArray[np.int64]:
        """Place in the core of each time of the array."""
        return np.array(self.kernel.grid.slots, np.int64) - core.slots[0]

    def packed(self, values: NDArray, core: Box) -> NDArray:
        """Pack maps (k, y, x) along the layers and times of the array, padded with NaN."""
        at = self.times(core)
        out = np.full((self.layers, *core.shape), np.nan)
        padded = np.full((self.layers * at.size, *core.shape[1:]), np.nan)
        padded[: len(values)] = values
        out[:, at] = padded.reshape(self.layers, at.size, *core.shape[1:])
        return out


def reduced(
    kernel: FillKernel,
    target: Quantity,
    statistics: Sequence[Statistic],
    sources: int,
) -> Reduced:
    """Return the kernel that reduces; functions are tested on a synthetic member.

    Parameters
    ----------
    kernel : FillKernel
        Draws the members.
    target : Quantity
    statistics : sequence of Statistic
    sources : int
        Number of arrays that are read.
    """
    functions = dict.fromkeys(statistic.function for statistic in statistics)
    fields = []
    for number, (array, axes) in enumerate(zip(target.arrays, target.axes, strict=True)):
        mine = [part for part, place in enumerate(target.places) if place.array == number]
        mine.sort(key=lambda part: target.places[part].index or 0)
        for function in functions:
            wanted = tuple(each for each in statistics if each.function is function)
            shown = None
            if function is not None:
                shape = len(mine), len(target.grids[number].slots)
                shown = OfMember.of(function, _view(array, axes, target), shape)
            fields.append(Field(number, tuple(mine), wanted, shown))
    series = list(functions) != [None]
    west = bool((cf.degrees(target.arrays[0], target.axes[0], "longitude") < 0).any())
    block = _block(kernel, statistics, sources, series)
    return Reduced(kernel, tuple(fields), series, block, west, OPTIONS["member_bytes"])


def _view(array: xr.DataArray, axes: cf.Axes, target: Quantity) -> View:
    places = (target.class_dim, axes.time, axes.lat, axes.lon)
    if axes.time is not None:
        array = array.isel({axes.time: np.argsort(target.grid.slots)})
    coords = {key: each.variable for key, each in array.coords.items() if not {axes.lat, axes.lon} & set(each.dims)}
    return View(array.name, array.dims, places, coords, dict(array.attrs))


def _block(kernel: FillKernel, statistics: Sequence[Statistic], sources: int, series: bool) -> tuple[int, int, int]:
    """Block size at which a task holds about ``member_bytes`` of members and reads `READ_BYTES` of whole series."""
    frames, rows, cols = OPTIONS["block"]
    if series:
        frames = len(kernel.grid.slots)
    all_held = any(each.kind == "quantile" and each.function is None for each in statistics)
    layers = (kernel.members if all_held else 1) * kernel.variables[0].parts
    while max(rows, cols) > LEAST:
        around = (rows + 2 * kernel.reach[1]) * (cols + 2 * kernel.reach[2])
        if layers * frames * rows * cols * 4 <= OPTIONS["member_bytes"] and (
            not series or sources * frames * around * 4 <= READ_BYTES
        ):
            break
        strides = kernel.tiling.stride[1:]  # blocks at multiples of the stride share fewer windows
        rows, cols = (
            side - stride if side >= 2 * stride else max(LEAST, side // 2)
            for side, stride in zip((rows, cols), strides, strict=True)
        )
    return frames, rows, cols
