"""Noise: a function of the address, so it is the same for every cut and goes on across the dateline."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xgapfill.lattice.noise import Noise


@given(
    start=st.tuples(st.integers(-5, 10**5), st.integers(-200, 5000), st.integers(-200, 9000)),
    offset=st.tuples(st.integers(0, 2), st.integers(0, 70), st.integers(0, 70)),
    ncols=st.sampled_from([50, 720, 3600, 8640]),
)
def test_a_part_is_cut_from_the_same_field(start, offset, ncols):
    """A window's noise equals that part of any larger window's noise, bit for bit."""
    noise = Noise(3, ncols)
    whole = noise(1, 2, start, (2, 3, 75, 80))
    t, y, x = offset
    part = noise(1, 2, (start[0] + t, start[1] + y, start[2] + x), (1, 1, 5, 10))
    assert (part == whole[:1, t : t + 1, y : y + 5, x : x + 10]).all()


@pytest.mark.parametrize("ncols", [60, 700, 8640])
def test_noise_goes_on_across_the_dateline(ncols: int):
    """Columns are taken modulo the columns of the globe."""
    noise = Noise(0, ncols)
    near = noise(0, 0, (0, 0, ncols - 30), (1, 1, 20, 60))
    assert (near == noise(0, 0, (0, 0, -30), (1, 1, 20, 60))).all()
    assert (near[..., 30:] == noise(0, 0, (0, 0, 0), (1, 1, 20, 30))).all()


def test_everything_else_gives_other_noise():
    """Seed, member, draw, channel, time step, row and column each change the noise entirely."""
    first = Noise(0, 8640)(0, 0, (0, 0, 0), (2, 1, 64, 64))
    others = [
        Noise(1, 8640)(0, 0, (0, 0, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(1, 0, (0, 0, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(0, 1, (0, 0, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(0, 0, (1, 0, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(0, 0, (-1, 0, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(0, 0, (0, 64, 0), (1, 1, 64, 64)),
        Noise(0, 8640)(0, 0, (0, 0, 64), (1, 1, 64, 64)),
        first[1:],
    ]
    fields = [first[0].ravel(), *(other.ravel() for other in others)]
    correlation = np.corrcoef(fields) - np.eye(len(fields))
    assert np.abs(correlation).max() < 0.08


def test_a_channel_does_not_depend_on_how_many_are_drawn():
    """Channel 1 of 2 equals channel 1 of 4."""
    noise = Noise(0, 8640)
    assert (noise(0, 0, (7, 8, 9), (4, 2, 9, 9))[:2] == noise(0, 0, (7, 8, 9), (2, 2, 9, 9))).all()


def test_noise_is_standard_normal_and_white_across_cells():
    """Mean 0, variance 1, a normal distribution, and no correlation between neighbours within or across cells."""
    field = Noise(5, 8640)(0, 0, (0, 0, 0), (1, 2, 512, 512))
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.005
    assert abs(field.std() - 1) < 0.005
    assert stats.kstest(field.ravel()[::7], "norm").pvalue > 1e-3
    assert abs(np.mean(field[..., 1:] * field[..., :-1])) < 0.01
    assert abs(np.mean(field[..., 63:-1:64] * field[..., 64::64])) < 0.05


def test_noise_does_not_change_between_versions():
    """The first numbers of seed 0 stay what they were: results can be reproduced later."""
    first = Noise(0, 8640)(0, 0, (92690, 3333, 4784), (1, 1, 1, 3)).ravel()
    np.testing.assert_allclose(first, [-1.1084765, 0.27397421, -1.329321], rtol=1e-6)


def test_threads_and_pickling_do_not_change_noise():
    """The same bits in eight threads, and after a round trip with the same token."""
    noise = pickle.loads(pickle.dumps(Noise(9, 8640)))
    assert noise == Noise(9, 8640)
    assert tokenize(noise) == tokenize(Noise(9, 8640)) != tokenize(Noise(8, 8640))
    with ThreadPoolExecutor(8) as pool:
        fields = list(pool.map(lambda n: noise(0, n % 4, (0, 10, 20), (2, 5, 64, 64)), range(32)))
    assert all((field == fields[n % 4]).all() for n, field in enumerate(fields))


@pytest.mark.parametrize("seed", [-1, 0.5, None, True, "0"])
def test_seeds_are_whole_numbers(seed):
    """Anything but an integer from 0 raises; large integers and numpy integers are fine."""
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        Noise(seed, 8640)
    assert Noise(np.int64(4), 8640) == Noise(4, 8640)
    assert Noise(2**100, 8640)(0, 0, (0, 0, 0), (1, 1, 1, 1)).shape == (1, 1, 1, 1)
