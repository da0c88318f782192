"""Reads arrays with any order of axes as (time, latitude, longitude), by index, in a few rectangular pieces."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Axes = tuple[int | None, int | None, int | None]  # of time, latitude and longitude; None: its length is 1
_MOST_RUNS = 8


def axes_of(dims: Sequence[Hashable], wanted: Sequence[Hashable | None]) -> Axes:
    """Return the axes of the wanted dimensions."""
    t, y, x = (None if dim is None else dims.index(dim) for dim in wanted)
    return t, y, x


def turned(array: NDArray[Any], axes: Axes, at: Mapping[int, int]) -> NDArray[Any]:
    """Return a view with axes time, latitude and longitude; missing ones get length one, others are indexed by `at`."""
    cut = array[tuple(at.get(axis, slice(None)) for axis in range(array.ndim))]
    left = [axis for axis in range(array.ndim) if axis not in at]
    turned = cut.transpose([left.index(axis) for axis in axes if axis is not None])
    return turned[tuple(None if axis is None else slice(None) for axis in axes)]


def cut_of(ndim: int, axes: Axes, key: tuple[slice, slice, slice]) -> list[slice]:
    """Return the slices of an array whose axes have another order."""
    cut = [slice(None)] * ndim
    for axis, part in zip(axes, key, strict=True):
        if axis is not None:
            cut[axis] = part
    return cut


def read_runs(
    get: Callable[[Any], NDArray[Any]], indices: tuple[NDArray[np.intp], ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Read the outer product of indices as rectangular pieces, each with slices of step 1."""
    runs = [_runs(index) for index in indices]
    if all(len(run) == 1 for run in runs):
        (t, y, x) = (run[0] for run in runs)
        return get((t[1], y[1], x[1]))[t[2]][:, y[2]][:, :, x[2]]
    out = np.empty(tuple(index.size for index in indices), dtype)
    for t, y, x in product(*runs):
        out[t[0], y[0], x[0]] = get((t[1], y[1], x[1]))[t[2]][:, y[2]][:, :, x[2]]
    return out


def _runs(index: NDArray[np.intp]) -> list[tuple[slice, slice, Any]]:
    """Split indices into runs: their position in `index`, the slice to read, and the selection from the slice.

    Irregular indices are read as one bounding slice.
    """
    if index.size == 0:
        return [(slice(0), slice(0), slice(None))]
    difference = np.diff(index)
    breaks = [0, *(np.flatnonzero(np.abs(difference) != 1) + 1), index.size]
    turned = bool((difference[1:] * difference[:-1] == -1).any())
    if turned or len(breaks) > _MOST_RUNS + 1:
        low, high = int(index.min()), int(index.max()) + 1
        return [(slice(0, index.size), slice(low, high), index - low)]
    runs = []
    for start, stop in pairwise(breaks):
        first, last = int(index[start]), int(index[stop - 1])
        flip = slice(None, None, -1) if last < first else slice(None)
        runs.append((slice(int(start), int(stop)), slice(min(first, last), max(first, last) + 1), flip))
    return runs
