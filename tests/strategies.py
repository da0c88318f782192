"""Strategies of hypothesis: how arrays are chunked, how blocks are cut, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from maps import chl_map

Shape = tuple[int, int, int]


def parts(length: int, most: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes of the chunks of a dimension: whole, even, ragged, or with chunks of one."""
    cuts = st.sets(st.integers(1, max(1, length - 1)), max_size=most - 1 if length > 1 else 0)
    return cuts.map(lambda found: tuple(int(n) for n in np.diff([0, *sorted(found), length])))


@st.composite
def chunkings(draw: Callable, sizes: Mapping[Hashable, int], most: int = 4) -> dict[Hashable, tuple[int, ...]]:
    """Chunks of every dimension, a given number along each at most; some dimensions stay whole."""
    return {dim: draw(st.just((n,)) | parts(n, most)) for dim, n in sizes.items()}


@st.composite
def blocks(draw: Callable, shape: Shape, most: int = 2) -> Shape:
    """Sizes of blocks: larger than the array along some axes, a given number along the others at most, two at most."""
    cut = draw(st.sets(st.integers(0, 2), max_size=2))
    t, y, x = (draw(st.integers(-(-n // most), n)) if axis in cut else 10 * n for axis, n in enumerate(shape))
    return t, y, x


@st.composite
def gap_masks(draw: Callable, shape: Shape) -> np.ndarray:
    """What is missing of a map (t, y, x), True there: single pixels, clouds, swaths, frames, pixels never observed, a
    coast, everything but one pixel, everything, nothing.
    """
    t, y, x = shape
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame, row, col = np.ogrid[:t, :y, :x]
    kinds: dict[str, Callable[[], Any]] = {
        "pixels": lambda: rng.random(shape) < draw(st.floats(0, 1)),
        "clouds": lambda: (row - rng.uniform(0, y)) ** 2 + (col - rng.uniform(0, x)) ** 2 < rng.uniform(1, x) ** 2,
        "swath": lambda: (row + col + 3 * frame) % draw(st.integers(2, 12)) < draw(st.integers(1, 6)),
        "frames": lambda: (rng.random(t) < 0.5)[:, None, None],
        "never": lambda: (rng.random((y, x)) < 0.3)[None],
        "coast": lambda: col < rng.uniform(0, x),
        "all": lambda: True,
        "nothing": lambda: False,
    }
    missing = np.zeros(shape, bool)
    for kind in draw(st.lists(st.sampled_from(list(kinds)), min_size=1, max_size=3)):
        missing |= np.broadcast_to(kinds[kind](), shape)
    if draw(st.booleans()):  # one pixel is observed whatever happens
        missing[rng.integers(t), rng.integers(y), rng.integers(x)] = False
    return missing


@st.composite
def maps(draw: Callable, shape: Shape, **place: float) -> xr.DataArray:
    """Chlorophyll of some values with some gaps, in single or double precision."""
    complete = chl_map(shape, share=0.0, seed=draw(st.integers(0, 10**6)), **place)
    dtype = draw(st.sampled_from(["float32", "float64"]))
    return complete.where(~draw(gap_masks(shape))).astype(dtype).assign_attrs(complete.attrs)
