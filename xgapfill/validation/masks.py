"""Gaps for validation: observed pixels that are hidden from a method, which is then scored on them.

Random single pixels give every method too good scores, because an observed neighbour always remains. Blocks and the
gaps of other dates do not. A mask is drawn once from a fixed seed and can be saved, so that all methods have the same
gaps.
"""

from __future__ import annotations

from os import PathLike

import numpy as np
from numpy.typing import NDArray


def disc_blocks(
    observed: NDArray[np.bool_], *, share: float = 0.15, radius: tuple[float, float] = (4.0, 12.0), seed: int = 0
) -> NDArray[np.bool_]:
    """Disc-shaped blocks of observed pixels to hide, drawn separately for each frame.

    Parameters
    ----------
    observed : (t, y, x) bool
        Observed pixels.
    share : float
        Discs are added to a frame until they hide this share of its observed pixels.
    radius : (float, float)
        Smallest and largest radius in pixels, drawn uniformly.
    seed : int
        Same seed, same blocks.

    Returns
    -------
    (t, y, x) bool
        Observed pixels that are hidden.

    Examples
    --------
    >>> import numpy as np
    >>> hidden = disc_blocks(np.ones((2, 64, 64), bool), share=0.2, radius=(4, 6))
    >>> bool(0.2 <= hidden.mean() < 0.25)
    True
    """
    observed = _frames(observed)
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, found {share}; 0.15 hides 15 % of the observed pixels")
    if not 0 < radius[0] <= radius[1]:
        raise ValueError(f"radius must be (smallest, largest) in pixels, both positive, found {radius}")
    generator = np.random.default_rng(seed)
    rows, cols = np.ogrid[: observed.shape[1], : observed.shape[2]]
    hidden = np.zeros_like(observed)
    for frame, block in zip(observed, hidden, strict=True):
        places = np.argwhere(frame)
        while np.count_nonzero(block) < share * len(places):
            row, col = places[generator.integers(len(places))]
            reach = generator.uniform(*radius)
            block |= ((rows - row) ** 2 + (cols - col) ** 2 <= reach**2) & frame
    return hidden


def transplanted(
    observed: NDArray[np.bool_], *, most: float = 0.6, least: float = 0.05, seed: int = 0
) -> NDArray[np.bool_]:
    """Real gaps of other dates, transplanted to each frame, with the shapes, sizes and places of the sensor's gaps.

    Parameters
    ----------
    observed : (t, y, x) bool
        Observed pixels.
    most, least : float
        Other dates are tried in random order until one hides at most and at least this share of the observed pixels of
        the frame. A frame without such a date keeps all its pixels.
    seed : int
        Same seed, same gaps.

    Returns
    -------
    (t, y, x) bool
        Observed pixels that are hidden.

    Examples
    --------
    >>> import numpy as np
    >>> observed = np.random.default_rng(0).random((5, 8, 8)) < 0.5
    >>> hidden = transplanted(observed)
    >>> bool((hidden & ~observed).any())
    False
    """
    observed = _frames(observed)
    if not 0 <= least < most <= 1:
        raise ValueError(f"shares must be 0 <= least < most <= 1, found least={least}, most={most}")
    generator = np.random.default_rng(seed)
    hidden = np.zeros_like(observed)
    for frame, values in enumerate(observed):
        for other in generator.permutation(len(observed)):
            gaps = values & ~observed[other]
            share = int(gaps.sum()) / max(int(values.sum()), 1)
            if other != frame and max(least, np.finfo(float).tiny) <= share <= most:
                hidden[frame] = gaps
                break
    return hidden


def blocks_of_time(observed: NDArray[np.bool_], *, length: int, every: int = 4, seed: int = 0) -> NDArray[np.bool_]:
    """Whole blocks of consecutive frames to hide, as an outage of the sensor or a month of clouds.

    Parameters
    ----------
    observed : (t, y, x) bool
        Observed pixels.
    length : int
        Frames of a block: 4 for a month of 8-day maps.
    every : int
        One block of this many is hidden.
    seed : int
        Decides which.

    Returns
    -------
    (t, y, x) bool
        Observed pixels that are hidden.

    Examples
    --------
    >>> import numpy as np
    >>> blocks_of_time(np.ones((8, 1, 1), bool), length=2, every=2).ravel().tolist()
    [False, False, True, True, False, False, True, True]
    """
    observed = _frames(observed)
    if not 0 < length < len(observed) or every < 2:
        raise ValueError(
            f"expected a length of at least 1 and less than the {len(observed)} frames, and every of at least 2; found "
            f"length={length}, every={every}"
        )
    first = int(np.random.default_rng(seed).integers(every))
    chosen = (np.arange(len(observed)) // length) % every == first
    if not chosen.any():
        chosen[:length] = True
    return observed & chosen[:, None, None]


def blocks_of_space(observed: NDArray[np.bool_], *, side: int, every: int = 4, seed: int = 0) -> NDArray[np.bool_]:
    """Whole squares of pixels to hide, each frame with others of them: a region that clouds cover.

    Parameters
    ----------
    observed : (t, y, x) bool
        Observed pixels.
    side : int
        Pixels of a square along each side.
    every : int
        About one square of this many is hidden in each frame.
    seed : int
        Decides which.

    Returns
    -------
    (t, y, x) bool
        Observed pixels that are hidden.

    Examples
    --------
    >>> import numpy as np
    >>> hidden = blocks_of_space(np.ones((3, 8, 8), bool), side=4)
    >>> [int(frame.sum()) for frame in hidden]
    [16, 16, 16]
    """
    observed = _frames(observed)
    _, height, width = observed.shape
    if side < 1 or side >= max(height, width) or every < 2:
        raise ValueError(
            f"expected a side of at least 1 and less than {max(height, width)} pixels, and every of at least 2; found "
            f"side={side}, every={every}"
        )
    rows, cols = np.arange(height) // side, np.arange(width) // side
    squares = rows[:, None] * (cols[-1] + 1) + cols
    generator, hidden = np.random.default_rng(seed), np.zeros_like(observed)
    count = int(squares.max()) + 1
    for frame in range(len(observed)):
        chosen = generator.permutation(count)[: max(1, count // every)]
        hidden[frame] = observed[frame] & np.isin(squares, chosen)
    return hidden


def freeze(path: str | PathLike[str], hidden: NDArray[np.bool_]) -> None:
    """Save a mask to a small file: one bit per pixel, compressed.

    Parameters
    ----------
    path : path
        Must end with ``.npz``.
    hidden : bool array of any shape
        Observed pixels that are hidden.
    """
    hidden = np.asarray(hidden)
    if hidden.dtype != bool:
        raise TypeError(f"a mask must be an array of bool, found {hidden.dtype}")
    np.savez_compressed(path, bits=np.packbits(hidden), shape=np.array(hidden.shape, np.int64))


def load(path: str | PathLike[str]) -> NDArray[np.bool_]:
    """Read a mask written by `freeze`.

    Raises
    ------
    ValueError
        When the file has other contents.
    """
    with np.load(path) as kept:
        if set(kept.files) != {"bits", "shape"}:
            raise ValueError(f"{path} is not a mask written by freeze, found {sorted(kept.files)}")
        shape = tuple(kept["shape"])
        bits = np.unpackbits(kept["bits"], count=int(np.prod(shape)))
    return bits.reshape(shape).astype(bool)


def _frames(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    observed = np.asarray(observed)
    if observed.ndim != 3 or observed.dtype != bool:
        raise ValueError(f"observed must be a bool array (t, y, x), found {observed.dtype} of shape {observed.shape}")
    return observed
