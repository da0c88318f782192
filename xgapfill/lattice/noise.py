"""Noise as a function of its address: the same standard normal numbers for every chunking and subset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

CELL = 64  # pixels; noise is drawn for square cells of the lattice
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers on the lattice, a pure function of seed, member, draw and address.

    Each cell of 64 x 64 pixels of one slot and channel has its own stream of the counter-based generator Philox
    (Salmon et al. 2011, doi:10.1145/2063384.2063405), keyed by seed and member, with the draw, the channel and the
    address of the cell as counter. Columns are taken modulo `ncols`, so noise is continuous across the dateline.

    Attributes
    ----------
    seed : int
        Any integer >= 0.
    ncols : int
        Columns around the globe.
    members : tuple of int, optional
        Numbers of the members that are requested as 0, 1, 2 ..., so that any subset can be drawn.
    paired : bool
        Whether members 2 k and 2 k + 1 have opposite numbers, so that their mean is 0.

    Examples
    --------
    >>> noise = Noise(seed=0, ncols=8640)
    >>> whole = noise(0, 0, (0, 10, 8600), (2, 1, 4, 80))
    >>> part = noise(0, 0, (0, 11, -1), (1, 1, 2, 3))
    >>> bool((whole[:1, :, 1:3, 39:42] == part).all())
    True
    """

    seed: int
    ncols: int
    members: tuple[int, ...] | None = None
    paired: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or self.seed < 0:
            raise ValueError(f"seed must be an integer >= 0; found {self.seed!r}")
        object.__setattr__(self, "seed", int(self.seed))
        if self.ncols < 1:
            raise ValueError(f"ncols must be positive; found {self.ncols}")

    def __call__(
        self, member: int, draw: int, start: tuple[int, int, int], shape: tuple[int, int, int, int]
    ) -> NDArray[np.float32]:
        """Return (c, t, y, x) float32 noise of the lattice places that begin at `start` = (slot, row, col).

        `draw` numbers the fields of a member; a channel does not depend on the number of channels.
        """
        slot, row, col = (int(place) for place in start)
        channels, frames, height, width = shape
        field = np.empty(shape, np.float32)
        rows, cols = _parts(row, height, None), _parts(col, width, self.ncols)
        if self.members is not None:
            member = self.members[member]
        pair, opposite = divmod(int(member), 2) if self.paired else (int(member), 0)
        for channel, frame in product(range(channels), range(frames)):
            for (y, cell_row, in_row), (x, cell_col, in_col) in product(rows, cols):
                cell = _cell(self.seed, pair, int(draw), channel, slot + frame, cell_row, cell_col)
                field[channel, frame, y, x] = cell[in_row, in_col]
        return -field if opposite else field

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Noise", self.seed, self.ncols, self.members, self.paired


def _parts(first: int, count: int, ncols: int | None) -> list[tuple[slice, int, slice]]:
    """Cut a range of places into cells: part of the result, cell, part of the cell."""
    parts = []
    at = 0
    while at < count:
        place = first + at if ncols is None else (first + at) % ncols
        cell, inside = divmod(place, CELL)
        stop = CELL if ncols is None else min(CELL, ncols - cell * CELL)
        length = min(count - at, stop - inside)
        parts.append((slice(at, at + length), cell, slice(inside, inside + length)))
        at += length
    return parts


@lru_cache(maxsize=64)
def _key(seed: int, member: int) -> NDArray[np.uint64]:
    return np.random.SeedSequence(seed, spawn_key=(member,)).generate_state(2, np.uint64).astype(np.uint64)


@lru_cache(maxsize=2048)  # 32 MB: windows overlap, so their cells are soon needed again
def _cell(seed: int, member: int, draw: int, channel: int, slot: int, row: int, col: int) -> NDArray[np.float32]:
    # The lowest of the four words of the counter grows while numbers are drawn, so it must begin at 0.
    counter = [0, (draw & _WORD) << 32 | channel, slot % 2**64, (row & _WORD) << 32 | col]
    bits = np.random.Philox(key=_key(seed, member), counter=np.array(counter, np.uint64))
    cell = np.random.Generator(bits).standard_normal((CELL, CELL), dtype=np.float32)
    cell.setflags(write=False)
    return cell
