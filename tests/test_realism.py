"""The benchmark that tells filled patches from observed ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from xgapfill.benchmarks import realism


def test_area_under_the_curve():
    """1 when every filled patch is judged so, 0.5 when judging is guessing."""
    assert realism.auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert realism.auc(np.array([0.0, 3.0]), np.array([1.0, 2.0])) == 0.5


def test_smooth_patches_are_told_from_rough_ones(monkeypatch):
    """Patches without small scales are recognised, patches of the same kind are not."""
    monkeypatch.setattr(realism, "STEPS", 120)
    rng = np.random.default_rng(0)
    rough = rng.standard_normal((400, 16, 16)).astype(np.float32)
    smooth = (rough + np.roll(rough, 1, 1) + np.roll(rough, 1, 2)) / 3**0.5
    other = rng.standard_normal((200, 16, 16)).astype(np.float32)
    net = realism._trained(rough[:200], smooth[:200])
    assert realism.auc(*realism._judged(net, rough[200:], smooth[200:])) > 0.95
    assert (
        abs(realism.auc(*realism._judged(realism._trained(rough[:200], other), rough[200:300], rough[300:])) - 0.5)
        < 0.15
    )
