"""The benchmark that tells filled patches from observed ones."""

from __future__ import annotations

import numpy as np
import torch  # noqa: F401
from bench import realism
from bench.problems import Problem


def test_area_under_the_curve():
    """1 when every filled patch is judged so, 0.5 when judging is guessing."""
    assert realism.auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert realism.auc(np.array([0.0, 3.0]), np.array([1.0, 2.0])) == 0.5


def noise(count: int, seed: int) -> np.ndarray:
    """Patches of white noise."""
    return np.random.default_rng(seed).standard_normal((count, 12, 12)).astype(np.float32)


def patches(real: np.ndarray, made: np.ndarray) -> realism.Patches:
    """Patches of two dates."""
    return realism.Patches(np.arange(len(real)) % 2, real, made)


def test_smooth_patches_are_told_from_rough_ones(monkeypatch):
    """Patches without small scales are recognised on dates not learned from, patches of the same kind are not."""
    monkeypatch.setattr(realism, "STEPS", 60)
    rough = noise(400, 0)
    smooth = (rough + np.roll(rough, 1, 1) + np.roll(rough, 1, 2)) / 3**0.5
    assert realism._crossed(patches(rough, smooth)) > 0.95
    assert abs(realism._crossed(patches(rough, noise(400, 1))) - 0.5) < 0.15


def test_pixels_nobody_knows_say_nothing():
    """Where a patch is unknown the net is shown 0, and what it is shown elsewhere does not depend on the level."""
    real = noise(30, 0)
    real[:, :2, 3:7] = np.nan
    shown, made = realism._shown(patches(real, real + 5))
    assert (shown[:, :, :2, 3:7] == 0).all()
    assert np.allclose(shown, made, atol=1e-4)


def test_patches_are_hidden_in_large_part():
    """A patch is taken where enough is known and enough hidden; what was observed is as observed in both."""
    truth = noise(6, 0).reshape(2, 36, 12)
    hidden = np.zeros(truth.shape, bool)
    hidden[0, :20] = hidden[1, 12:30] = True
    truth[1, 20:30] = np.nan
    axis = np.arange(36.0)
    problem = Problem(truth, truth, hidden, axis, axis[:12], np.arange(2), np.ones((36, 12), bool))
    found = realism._patches(problem, truth + 1)
    assert found.frame.tolist() == [0, 0, 0]  # corners at rows 0, 4, 8
    assert np.array_equal(found.real[0], truth[0, :12])
    assert np.allclose(found.made[0], truth[0, :12] + 1)
    third = found.made[2] - found.real[2]
    assert np.allclose(third, 1, atol=1e-5)


def test_halves_of_the_dates_judge_each_other(monkeypatch):
    """No patch is judged by a net that learned from its date."""
    learned = []

    def remember(part: realism.Patches) -> set[int]:
        learned.append(set(part.frame))
        return learned[-1]

    def judge(net: set[int], part: realism.Patches) -> tuple[np.ndarray, np.ndarray]:
        assert not net & set(part.frame)
        return np.zeros(len(part.real)), np.ones(len(part.real))

    monkeypatch.setattr(realism, "_trained", remember)
    monkeypatch.setattr(realism, "_judged", judge)
    eight = realism.Patches(np.arange(8), noise(8, 0), noise(8, 1))
    assert realism._crossed(eight) == 1.0
    assert learned == [{4, 5, 6, 7}, {0, 1, 2, 3}]
