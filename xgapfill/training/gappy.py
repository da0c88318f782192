"""Training windows from gappy maps: observed pixels are hidden under the gaps of other dates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import SIZE
from xgapfill.lattice.windows import Patch
from xgapfill.training.samples import CONDITION_DROPPED, Sample, discs

BLOCK = (3, 32, 32)  # time steps, rows and columns of a held-out block: the middle of a window
HELD_SHARE = 0.125  # share of held-out blocks
LEAST_BLOCKS, LARGEST_SHARE = 24, 0.25  # smallest number of held-out blocks, up to this share
MOST_BLOCKS = 48
LEAST_IN_BLOCK = 50  # known target pixels
LEAST_WINDOWS = 40  # held-out windows; with fewer blocks, each is hidden under the gaps of several dates
LEAST_KNOWN = 200  # known target pixels of a training window
HIDDEN = (0.05, 0.9)  # smallest and largest hidden share of the known target pixels
RUN_SHARE = 0.5  # share of windows with the gaps of successive frames; the others have those of any dates
DISCS_SHARE = 0.15  # share of windows with additional disc-shaped gaps
TRIES = 60


@dataclass(frozen=True)
class Block:
    """A held-out block: index of its patch and its first pixel there, which may be outside the patch."""

    patch: int
    corner: tuple[int, int, int]
    digest: bytes


@dataclass(frozen=True)
class Gappy:
    """A series with gaps, for training and validation.

    Blocks of the lattice, chosen by a hash of their address, are held out: they count as missing in training.

    Attributes
    ----------
    patches : tuple of Patch
    targets : number of channels to be filled, which are first

    Raises
    ------
    ValueError
        There are too few data for training; the message explains what to do.
    """

    patches: tuple[Patch, ...]
    targets: int

    def __post_init__(self) -> None:
        observed = [_everywhere(np.isfinite(patch.values[: self.targets])) for patch in self.patches]
        frames = max((int(part.any(axis=(1, 2)).sum()) for part in observed), default=0)
        if frames < SIZE[0]:
            raise ValueError(
                f"a fit needs at least {SIZE[0]} frames with observations, to hide pixels under the gaps of other "
                f"dates, found {frames}; give a longer series, or use shipped weights"
            )
        if (known := sum(int(np.count_nonzero(part)) for part in observed)) < 10 * LEAST_KNOWN:
            raise ValueError(f"a fit needs at least {10 * LEAST_KNOWN} observed pixels, found {known}; give more data")
        if not any(_has_gaps(part) for part in observed):
            raise ValueError("a fit needs gaps to train on, but the target has no missing pixels; nothing to fill")
        if not self.judged:
            raise ValueError(
                "a fit needs gaps that move, so that the gaps of one date hide observations of another, found none; "
                "give a longer series"
            )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The held-out blocks."""
        found = []
        for number, patch in enumerate(self.patches):
            known = _everywhere(np.isfinite(patch.values[: self.targets]))
            for corner in _corners(patch):
                if np.count_nonzero(known[_inside(corner, BLOCK)]) >= LEAST_IN_BLOCK:
                    address = [c + s for c, s in zip(corner, patch.start, strict=True)]
                    digest = hashlib.blake2b(str(address).encode(), digest_size=8).digest()
                    found.append(Block(number, corner, digest))
        found.sort(key=lambda block: block.digest)
        most = max(1, round(LARGEST_SHARE * len(found)))
        return tuple(found[: min(MOST_BLOCKS, max(round(HELD_SHARE * len(found)), min(LEAST_BLOCKS, most)))])

    @cached_property
    def known(self) -> list[NDArray[np.bool_]]:
        """Known pixels for training, (c, t, y, x) of each patch."""
        known = [np.isfinite(patch.values) for patch in self.patches]
        for block in self.blocks:
            known[block.patch][(slice(None), *_inside(block.corner, BLOCK))] = False
        return known

    @cached_property
    def frames(self) -> list[NDArray[np.intp]]:
        """Frames of each patch in which a target was observed."""
        return [np.flatnonzero(np.isfinite(p.values[: self.targets]).any(axis=(0, 2, 3))) for p in self.patches]

    def draw(self, rng: np.random.Generator) -> Sample:
        """A training window, with some known pixels hidden."""
        shares = np.array([float(np.count_nonzero(known[: self.targets])) for known in self.known])
        for _ in range(20 * TRIES):
            number = int(rng.choice(len(shares), p=shares / shares.sum()))
            patch, known = self.patches[number], self.known[number]
            t, y, x = (int(rng.integers(0, n - size + 1)) for n, size in zip(known.shape[1:], SIZE, strict=True))
            corner = (t, y, x)
            here = known[(slice(None), *_inside(corner, SIZE))]
            if np.count_nonzero(here[: self.targets].all(axis=0)) < LEAST_KNOWN:
                continue
            gaps = self._gaps(rng, number, corner, here)
            missing = np.zeros(here.shape, bool) if gaps is None else gaps
            if gaps is None or rng.random() < DISCS_SHARE:
                missing[: self.targets if rng.random() < 0.5 else None] |= discs(rng)
            observed = here & ~missing
            if rng.random() < CONDITION_DROPPED:
                observed[self.targets :] = False
            if observed.any() and (here & ~observed)[: self.targets].any():
                return cut(patch, corner, here, observed)
        raise ValueError("a fit needs windows with more observations than found in these data; give more data")

    @cached_property
    def judged(self) -> list[Sample]:
        """Validation windows, each around a held-out block whose pixels are hidden under the gaps of another date."""
        several = -(-LEAST_WINDOWS // max(1, len(self.blocks)))
        return [sample for block in self.blocks for sample in self._about(block, min(several, 4))]

    def _about(self, block: Block, count: int) -> Iterator[Sample]:
        patch = self.patches[block.patch]
        shape = patch.values.shape[1:]
        # The block is in the middle of the window as far as the patch allows.
        t, y, x = (
            min(max(first - (size - length) // 2, 0), n - size)
            for first, size, length, n in zip(block.corner, SIZE, BLOCK, shape, strict=True)
        )
        corner = (t, y, x)
        here = np.isfinite(patch.values[(slice(None), *_inside(corner, SIZE))])
        held = np.zeros(SIZE, bool)
        held[_inside(tuple(b - c for b, c in zip(block.corner, corner, strict=True)), BLOCK)] = True
        rng = np.random.default_rng([int.from_bytes(block.digest, "little"), 9])
        for _ in range(count):
            missing = self._gaps(rng, block.patch, corner, here)
            if missing is None:
                return
            observed = here & ~missing
            scored = here & ~observed & held
            scored[self.targets :] = False
            if scored[: self.targets].any() and observed.any():
                yield cut(patch, corner, observed | scored, observed)

    def _gaps(
        self, rng: np.random.Generator, number: int, corner: tuple[int, ...], known: NDArray[np.bool_]
    ) -> NDArray[np.bool_] | None:
        """Gaps of other dates at the place of a window, (c, t, y, x); None if no date hides a suitable share."""
        frames = self.frames[number]
        place = (slice(corner[1], corner[1] + SIZE[1]), slice(corner[2], corner[2] + SIZE[2]))
        values = self.patches[number].values[(slice(None), slice(None), *place)]
        known = _everywhere(known[: self.targets])
        for _ in range(TRIES):
            if rng.random() < RUN_SHARE and frames.size >= SIZE[0]:
                first = int(rng.integers(0, frames.size - SIZE[0] + 1))
                others = frames[first : first + SIZE[0]]
            else:
                others = rng.choice(frames, SIZE[0])
            missing = ~np.isfinite(values[:, others])
            missing[: self.targets] = missing[: self.targets].any(axis=0)
            share = np.count_nonzero(known & missing[0]) / max(1, int(np.count_nonzero(known)))
            if HIDDEN[0] <= share <= HIDDEN[1]:
                return missing
        return None


def cut(patch: Patch, corner: tuple[int, int, int], known: NDArray[np.bool_], observed: NDArray[np.bool_]) -> Sample:
    """The window of a patch that begins at a corner, `known` and `observed` (c, t, y, x) of it."""
    t, y, x = (slice(first, first + size) for first, size in zip(corner, SIZE, strict=True))
    values = np.where(known, patch.values[:, t, y, x], np.float32(0))
    return Sample(
        values=np.ascontiguousarray(values.swapaxes(0, 1)),
        known=np.ascontiguousarray(known.swapaxes(0, 1)),
        observed=np.ascontiguousarray(observed.swapaxes(0, 1)),
        sea=patch.sea[y, x],
        lat=patch.lat[y],
        lon=patch.lon[x],
        season=patch.season[t],
        step_days=patch.step_days,
        step_km=patch.step_km[corner[1]],
    )


def _everywhere(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where all channels are observed, (t, y, x)."""
    return np.asarray(observed.all(axis=0))


def _has_gaps(observed: NDArray[np.bool_]) -> bool:
    """Whether a frame with observations lacks a pixel that is observed in another."""
    return not bool(observed[observed.any(axis=(1, 2))][:, observed.any(axis=0)].all())


def _corners(patch: Patch) -> Iterator[tuple[int, int, int]]:
    """First pixels, counted from that of the patch, of the blocks of the lattice that overlap with it."""
    axes = [
        range(-(first % length), n, length)
        for first, length, n in zip(patch.start, BLOCK, patch.values.shape[1:], strict=True)
    ]
    return ((t, y, x) for t in axes[0] for y in axes[1] for x in axes[2])


def _inside(corner: tuple[int, ...], size: tuple[int, int, int]) -> tuple[slice, ...]:
    """Slices of a box that may begin before the first place."""
    return tuple(slice(max(0, first), max(0, first + length)) for first, length in zip(corner, size, strict=True))
