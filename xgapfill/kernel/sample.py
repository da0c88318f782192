"""Fit methods of whole series on a sample of the lattice, lazily: one task that every block waits for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from numpy.typing import NDArray

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.graph import map_lattice
from xgapfill.blocks.source import Source, part_of
from xgapfill.blocks.streams import on_demand
from xgapfill.kernel.beyond import lay_out_prior
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.fill import FillKernel
from xgapfill.kernel.reader import Reader
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.windows import Series
from xgapfill.methods.base import Method, SeriesMethod
from xgapfill.options import OPTIONS
from xgapfill.weights import Weights

CELL = 16  # rows or columns of a band
HELD = 2 << 30  # bytes of a dask array whose chunks may be held
BLOCK = 64  # rows and columns of the sample encoded by one task


def fit_lazily(method: Method, kernel: FillKernel, sources: Sequence[Source], grids: Sequence[Grid]) -> Delayed:
    """Return the fitted weights of `method` as a Delayed, one task; arguments as in `fit_now`."""
    encoded, fit = _sample(method, kernel, sources, grids)
    return dask.delayed(fit, pure=True)(_blocks(encoded))


def fit_now(method: Method, kernel: FillKernel, sources: Sequence[Source], grids: Sequence[Grid]) -> Weights:
    """Return the fitted weights of `method`, fitted in this thread, where Ctrl-C arrives.

    The sample is all times of some bands of rows crossed with some bands of columns, chosen by their address. It does
    not depend on chunks, on the order of dimensions or on their direction.

    Parameters
    ----------
    method : SeriesMethod
    kernel : FillKernel
        Encodes values to channels.
    sources, grids
        As for `map_lattice`, the target first. The sample has at most ``sample_bytes`` of `set_options`.
    """
    encoded, fit = _sample(method, kernel, _read_twice(kernel, sources, grids), grids)
    (blocks,) = dask.compute(_blocks(encoded))
    return fit(blocks)


def _blocks(encoded: da.Array) -> list[list[Delayed]]:
    """Blocks of the sample, rows of blocks from north to south: put together by dask they would be in memory twice."""
    blocks: list[list[Delayed]] = encoded.to_delayed()[0, 0].tolist()
    return blocks


def _read_twice(kernel: FillKernel, sources: Sequence[Source], grids: Sequence[Grid]) -> Sequence[Source]:
    """Let the large scale of a large dask array compute its chunks itself, once for itself and once for the sample.

    Chunks that the sample needs as well would be held until the large scale of all maps is known.
    """
    prior, layout = kernel.prior, kernel.layout
    variables, place = layout.place("variables"), layout.place("prior")
    own = sources[variables]
    size = sum(math.prod(each.shape) * each.dtype.itemsize for each in own if isinstance(each, Chunked))
    if prior is None or kernel.drivers is not None or kernel.also is not None or size <= HELD:
        return sources
    seasons = slice(place.start, place.start + prior.seasonal)
    saved = list(zip(sources[seasons], grids[seasons], strict=True)) if prior.saved else []
    reader = Reader(Encoder.plain(kernel.grid, kernel.variables, kernel.channels), prior)
    alone = [on_demand(each) for each in own]
    anew, _ = lay_out_prior(reader, alone, grids[variables], saved, OPTIONS["series_block"][1])
    return [*sources[: place.start], *anew, *sources[place.stop :]]


def _sample(
    method: Method, kernel: FillKernel, sources: Sequence[Source], grids: Sequence[Grid]
) -> tuple[da.Array, _Fit]:
    """Channels of the sample (c, t, y, x), lazily, and the function that fits the method to them."""
    if not isinstance(method, SeriesMethod):
        raise TypeError(f"{method.name} has no fit(); it needs no fit, or comes with weights")
    # a fit heeds neither other sensors, nor what members are made of, nor what was ever observed
    kept = kernel.layout.without("also", "donors", *(["sea"] if kernel.ever else []))
    kernel = replace(kernel, ever=False, also=None, donors=None)
    sources, grids = [sources[n] for n in kept], [grids[n] for n in kept]
    first = grids[0]
    frames = max(first.slots) - min(first.slots) + 1
    pixels = max(CELL**2, OPTIONS["sample_bytes"] // (5 * len(kernel.channels) * frames))
    parts, places = sample_of(sources, grids, pixels)
    encoded = map_lattice(
        _Encode(kernel),
        parts,
        places,
        layers=len(kernel.channels),
        reach=(None, 0, 0),
        block=(1, BLOCK, BLOCK),
        dtype=np.float32,
    )
    return encoded, _Fit(method, kernel.channels, kernel.targets, places[0], kernel.taken)


def sample_of(sources: Sequence[Source], grids: Sequence[Grid], pixels: int) -> tuple[list[Source], list[Grid]]:
    """All times of about `pixels` pixels of each source, and their addresses; cells are kept whole."""
    first = grids[0]
    parts: list[Source] = []
    places: list[Grid] = []
    rows, cols = sample_places(first, pixels)
    for source, grid in zip(sources, grids, strict=True):
        if grid.cell > first.cell:
            parts.append(source)
            places.append(grid)
            continue
        at_rows, at_cols = grid.index_rows(rows), grid.index_cols(cols)
        at_rows, at_cols = at_rows[at_rows >= 0], at_cols[at_cols >= 0]
        parts.append(part_of(source, at_rows, at_cols))
        kept_rows, kept_cols = tuple(grid.rows[i] for i in at_rows), tuple(grid.cols[i] for i in at_cols)
        places.append(replace(grid, rows=kept_rows, cols=kept_cols))
    return parts, places


def sample_places(grid: Grid, pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of at most about `pixels` pixels, ascending; all of them if there are fewer."""
    rows, cols = (np.unique(np.array(axis, np.int64)) for axis in (grid.rows, grid.cols))
    share = math.sqrt(min(1.0, pixels / (rows.size * cols.size)))
    return _bands(rows, share), _bands(cols, share)


def _bands(places: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Bands of `CELL` places, chosen by a hash of their number, at most this share of all and at least one."""
    bands = places // CELL
    numbers, sizes = np.unique(bands, return_counts=True)
    by_hash = np.argsort([hashlib.blake2b(str(n).encode(), digest_size=8).digest() for n in numbers], kind="stable")
    count = max(1, int(np.searchsorted(np.cumsum(sizes[by_hash]), share * places.size, side="right")))
    return places[np.isin(bands, numbers[by_hash[:count]])]


@dataclass(frozen=True)
class _Encode:
    """Channels of a box, NaN where missing."""

    kernel: FillKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        known = self.kernel.encode(self.kernel.layout.named(arrays), box)
        return np.where(known.observed, known.anomalies(), np.float32(np.nan))


@dataclass(frozen=True)
class _Fit:
    """Makes a `Series` of the sample and fits the method; a picklable task with a stable token."""

    method: SeriesMethod
    channels: tuple[str, ...]
    targets: int
    grid: Grid
    taken: str

    def __call__(self, blocks: list[list[NDArray[np.float32]]]) -> Weights:
        fitted = self.method.fit(self.series(blocks))
        return Weights(replace(fitted.card, taken=self.taken), fitted.arrays)

    def series(self, blocks: list[list[NDArray[np.float32]]]) -> Series:
        """The blocks (c, t, y, x) of the sample, NaN where missing, in the order of its addresses; blocks are freed."""
        times, rows, cols = (np.array(axis, np.int64) for axis in (self.grid.slots, self.grid.rows, self.grid.cols))
        every = np.arange(times.min(), times.max() + 1, dtype=np.int64)
        there = np.block([[np.isfinite(part).any(axis=(0, 1)) for part in parts] for parts in blocks])
        order = np.ix_(*(np.argsort(axis, kind="stable") for axis in (rows, cols)))
        rows, cols, kept = np.sort(rows), np.sort(cols), there[order].ravel()
        number = np.empty(there.shape, np.int64)
        number[order] = (np.cumsum(kept) - 1).reshape(there.shape)
        values = np.full((len(blocks[0][0]), every.size, np.count_nonzero(kept)), np.nan, np.float32)
        south = 0
        for parts in blocks:
            east, height = 0, parts[0].shape[2]
            while parts:
                part = parts.pop(0)
                place = np.s_[south : south + height, east : east + part.shape[3]]
                known = there[place]
                values[:, (times - every[0])[:, None], number[place][known]] = part[:, :, known]
                east += part.shape[3]
            south += height
        observed = np.isfinite(values)
        values[~observed] = 0
        row, col = (axis.ravel()[kept] for axis in np.meshgrid(rows, cols, indexing="ij"))
        return Series(
            values=values,
            observed=observed,
            channels=self.channels,
            targets=self.targets,
            slots=every,
            season=self.grid.season_of(every),
            step_days=self.grid.step_days,
            rows=row,
            cols=col,
            lat=self.grid.lat_of(row).astype(np.float32),
            lon=self.grid.lon_of(col).astype(np.float32),
        )

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return "xgapfill.fit", self.method, self.channels, self.targets, self.grid, self.taken
