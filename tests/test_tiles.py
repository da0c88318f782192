"""Windows: a fixed pattern on the lattice that leaves no holes and has no beginning in longitude."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from dask.base import tokenize

from xgapfill.lattice.grid import Box
from xgapfill.lattice.tiling import Tiling

COLUMNS = [36, 60, 720, 1440, 3600, 4320, 5760, 8640]


def touches(start: int, size: int, places: tuple[int, int]) -> bool:
    return start < places[1] and start + size > places[0]


@pytest.mark.parametrize("ncols", COLUMNS)
def test_windows_are_evenly_spaced_around_the_globe(ncols: int):
    """Columns of windows repeat after one turn, at most a stride and about equally far apart."""
    tiling = Tiling(ncols)
    starts = tiling.touching(Box((0, 1), (0, 1), (-ncols, 2 * ncols)))[:, 2]
    starts = np.unique(starts)
    assert set((starts + ncols) % ncols) == set(starts[(starts >= 0) & (starts < ncols)])
    apart = np.diff(starts)
    assert apart.max() <= 48
    assert apart.max() - apart.min() <= 1
    if ncols % 48 == 0:
        assert (starts % 48 == 0).all()


@pytest.mark.parametrize("ncols", COLUMNS)
@pytest.mark.parametrize("corner", [(0, 0, 0), (-7, -100, -70), (92690, 3333, 47), (5, 4300, 8600)])
def test_exactly_the_windows_that_touch_a_box_are_found(ncols: int, corner: tuple[int, int, int]):
    """Every window found shares a pixel with the box, none is missing, and they come in lattice order."""
    tiling = Tiling(ncols)
    ranges = [(first, first + length) for first, length in zip(corner, (2, 50, 30), strict=True)]
    starts = tiling.touching(Box(*ranges))
    assert starts.dtype == np.int64
    assert starts.tolist() == sorted(starts.tolist())
    assert all(
        touches(first, n, places)
        for start in starts
        for first, n, places in zip(start, tiling.size, ranges, strict=True)
    )
    around = np.unique(tiling.touching(Box((0, 1), (0, 1), (corner[2] - 200, corner[2] + 200)))[:, 2])
    expected = [
        sum(touches(start, 5, ranges[0]) for start in range(-30, 92733, 3)),
        sum(touches(start, 64, ranges[1]) for start in range(-480, 4800, 48)),
        sum(touches(int(start), 64, ranges[2]) for start in around),
    ]
    assert len(starts) == np.prod(expected)


@pytest.mark.parametrize("ncols", [60, 3600, 8640])
def test_a_pixel_has_the_same_windows_observed_from_any_box(ncols: int):
    """Around a pixel windows follow each other in the same order whatever the box, also one turn further on."""
    tiling = Tiling(ncols)
    pixel = Box((4, 5), (100, 101), (3, 4))
    alone = tiling.touching(pixel)
    for box in (pixel.grown((2, 30, 20)), Box((0, 9), (0, 400), (-10, 50))):
        found = [
            start
            for start in tiling.touching(box).tolist()
            if all(
                touches(*part) for part in zip(start, tiling.size, (pixel.slots, pixel.rows, pixel.cols), strict=True)
            )
        ]
        assert found == alone.tolist()
    further = tiling.touching(Box((4, 5), (100, 101), (3 + ncols, 4 + ncols)))
    assert (further - alone == [0, 0, ncols]).all()


@pytest.mark.parametrize("ncols", [3600, 8640])
def test_every_pixel_is_covered_with_a_positive_weight(ncols: int):
    """Weights are positive, symmetric and float32; divided by their sum they add up to one on every pixel."""
    tiling = Tiling(ncols)
    weight = tiling.weight
    assert weight.shape == tiling.size
    assert weight.dtype == np.float32
    assert weight.min() > 0
    assert (weight == weight[::-1, ::-1, ::-1]).all()
    assert not weight.flags.writeable
    total = np.zeros((4, 70, 200), np.float32)
    for start in tiling.touching(Box((0, 4), (0, 70), (-100, 100))):
        low = np.array([0, 0, -100])
        at = [slice(max(s, 0), max(s + n, 0)) for s, n in zip(start - low, tiling.size, strict=True)]
        part = [slice(max(-s, 0), None) for s in start - low]
        target = total[tuple(at)]
        target += weight[tuple(part)][tuple(slice(n) for n in target.shape)]
    assert total.min() > 1e-4


def test_windows_that_overlap_by_half_add_up_to_one():
    """Weights are squared sines: where windows lie half a window apart, blending divides by exactly 1 in the middle."""
    tiling = Tiling(640, size=(4, 16, 20), stride=(2, 8, 10))
    t, y, x = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in tiling.size)
    np.testing.assert_allclose(tiling.weight, t[:, None, None] * y[:, None] * x, rtol=1e-6)
    total = sum(tiling.weight[t : t + 2, y : y + 8, x : x + 10] for t in (0, 2) for y in (0, 8) for x in (0, 10))
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_reach_is_one_less_than_a_window():
    """Two pixels of one window are at most a window less one apart."""
    assert Tiling(8640).reach == (4, 63, 63)


def test_windows_are_looked_for_no_farther_than_they_count():
    """With a margin those are found whose inner part touches; around them is what all windows of a box cover."""
    tiling = Tiling(8640, size=(7, 80, 80), stride=(3, 48, 48), margin=(2, 16, 16))
    assert tiling.reach == (4, 63, 63)
    for box in (Box((0, 12), (0, 240), (0, 240)), Box((-5, 2), (30, 31), (-20, 60))):
        every = Tiling(8640, size=(7, 80, 80), stride=(3, 48, 48)).touching(box).tolist()
        ranges = (box.slots, box.rows, box.cols)

        def counts(start, ranges=ranges):
            axes = zip(start, tiling.size, tiling.margin, ranges, strict=True)
            return all(touches(first + more, size - 2 * more, places) for first, size, more, places in axes)

        found = tiling.touching(box)
        assert found.tolist() == [start for start in every if counts(start)]
        for axis, places in enumerate(ranges):
            ends = found[:, axis].min(), found[:, axis].max() + tiling.size[axis]
            assert tiling.around(axis, places) == ends
    assert Tiling(8640).around(1, (0, 240)) == (-48, 256)
    assert Tiling(8640, series=(5, 51)).around(0, (5, 51)) == (5, 51)


def test_windows_with_holes_between_them_are_refused():
    """Strides beyond the size of a window raise."""
    with pytest.raises(ValueError, match="no holes"):
        Tiling(8640, size=(5, 64, 64), stride=(6, 48, 48))
    with pytest.raises(ValueError, match="ncols=0"):
        Tiling(0)


def test_a_tiling_travels_light_and_has_a_stable_token():
    """Weights stay at home; a tiling comes back equal, with the same token."""
    tiling = Tiling(8640)
    assert tiling.weight.size
    packed = pickle.dumps(tiling)
    assert len(packed) < 200
    assert pickle.loads(packed) == tiling
    assert tokenize(pickle.loads(packed)) == tokenize(tiling) != tokenize(Tiling(8641))
