"""Layout of space-time tiles (windows): a fixed pattern on the lattice for every array, subset and chunking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.grid import Box


@dataclass(frozen=True)
class Tiling:
    """Overlapping space-time tiles (windows) that cover the lattice.

    Windows begin at every multiple of the stride in slots and rows. In columns they are evenly spaced around the globe,
    at the stride or, if that does not divide `ncols`, a little less. Overlapping windows are blended; with a halo only
    their interior is used.

    Attributes
    ----------
    ncols : int
        Columns around the globe.
    size : tuple of int
        Slots, rows and columns of a window.
    stride : tuple of int
        Distance of windows, at most the size of their interior.
    margin : tuple of int
        Halo: pixels at each end of a window that are read but not written. Along an axis with a halo the interior has
        full weight.
    series : (int, int), optional
        One window covers all times, from the first slot to the last (exclusive); size, stride and halo in time are then
        ignored.

    Examples
    --------
    >>> tiling = Tiling(ncols=8640)
    >>> tiling.touching(Box(slots=(3, 4), rows=(0, 10), cols=(-5, 0)))
    array([[  0, -48, -48],
           [  0,   0, -48],
           [  3, -48, -48],
           [  3,   0, -48]])
    """

    ncols: int
    size: tuple[int, int, int] = (5, 64, 64)
    stride: tuple[int, int, int] = (3, 48, 48)
    margin: tuple[int, int, int] = (0, 0, 0)
    series: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.series is not None:
            slots = self.series[1] - self.series[0]
            for name, length in (("size", slots), ("stride", slots), ("margin", 0)):
                object.__setattr__(self, name, (length, *getattr(self, name)[1:]))
        axes = zip(self.size, self.stride, self.margin, strict=True)
        if self.ncols < 1 or not all(more >= 0 and 0 < step <= size - 2 * more for size, step, more in axes):
            raise ValueError(
                "windows must leave no holes: ncols and stride must be positive and stride at most size - 2 margin; "
                f"found ncols={self.ncols}, size={self.size}, stride={self.stride}, margin={self.margin}"
            )

    @property
    def reach(self) -> tuple[int, int, int]:
        """Largest distance of pixels of a window that depend on each other: slots, rows, columns."""
        slots, rows, cols = (size - more - 1 for size, more in zip(self.size, self.margin, strict=True))
        return slots, rows, cols

    @cached_property
    def weight(self) -> NDArray[np.float32]:
        """Blending weight of a window's pixels: product of Hann functions along its axes.

        Sampled at pixel centres, so > 0; along an axis with a halo or without overlap 1, and 0 in the halo. (slots,
        rows, cols) of `size`, float32, read-only.
        """
        axes = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in self.size]
        for axis, (n, more) in enumerate(zip(self.size, self.margin, strict=True)):
            if more or self.stride[axis] == n:
                axes[axis] = ((np.arange(n) >= more) & (np.arange(n) < n - more)).astype(float)
        weight = np.einsum("t,y,x->tyx", *axes).astype(np.float32)
        weight.setflags(write=False)
        return weight

    def touching(self, box: Box) -> NDArray[np.int64]:
        """Return the first places (slot, row, col) of all windows with weight somewhere in `box`, (n, 3).

        They are in lattice order (slots slowest), with columns unwrapped like those of the box. The windows of a pixel
        are in the same order for any box.
        """
        axes = [self._starts(axis, places) for axis, places in enumerate((box.slots, box.rows, box.cols))]
        mesh = np.meshgrid(*axes, indexing="ij")
        return np.stack([axis.ravel() for axis in mesh], axis=-1)

    def around(self, axis: int, places: tuple[int, int]) -> tuple[int, int]:
        """Return the range along an axis of all windows with weight somewhere in a range of places."""
        starts = self._starts(axis, places)
        return int(starts[0]), int(starts[-1]) + self.size[axis]

    def _starts(self, axis: int, places: tuple[int, int]) -> NDArray[np.int64]:
        if axis == 0 and self.series is not None:
            return np.array([self.series[0]])
        more = self.margin[axis]
        inner, size = (places[0] - more, places[1] - more), self.size[axis] - 2 * more
        return self._columns(inner, size) if axis == 2 else _multiples(inner, size, self.stride[axis])

    def _columns(self, cols: tuple[int, int], size: int) -> NDArray[np.int64]:
        around = -(-self.ncols // self.stride[2])  # windows around the globe
        first = (cols[0] - size + 1) * around // self.ncols - 1
        last = cols[1] * around // self.ncols + 1
        starts = np.arange(first, last + 1, dtype=np.int64) * self.ncols // around
        return starts[(starts + size > cols[0]) & (starts < cols[1])]

    def __reduce__(self) -> tuple[type[Tiling], tuple[object, ...]]:
        return Tiling, (self.ncols, self.size, self.stride, self.margin, self.series)  # without the weight

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Tiling", self.ncols, self.size, self.stride, self.margin, self.series


def _multiples(places: tuple[int, int], size: int, stride: int) -> NDArray[np.int64]:
    """Return the starts of windows at multiples of `stride` that touch the half-open range of places."""
    first = -((size - 1 - places[0]) // stride)
    return np.arange(first * stride, places[1], stride, dtype=np.int64)


def inside(start: NDArray[np.int64], size: tuple[int, int, int], box: Box) -> tuple[slice, slice, slice]:
    """Return the slices of a window of this start and size in an array of a box that contains it."""
    slot, row, col = (slice(int(at) - low, int(at) - low + n) for at, low, n in zip(start, box.lows, size, strict=True))
    return slot, row, col


def overlap(
    start: NDArray[np.int64], size: tuple[int, int, int], core: Box
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the overlap of a window of this start and size with a core: slices of the core, slices of the window."""
    inside_core, inside_window = [], []
    for first, length, low, n in zip(start, size, core.lows, core.shape, strict=True):
        begin, end = max(int(first), low), min(int(first) + length, low + n)
        inside_core.append(slice(begin - low, end - low))
        inside_window.append(slice(begin - int(first), end - int(first)))
    return tuple(inside_core), tuple(inside_window)


SIZE = (5, 64, 64)
