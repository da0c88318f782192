"""What could still be gained: combinations that are fitted to what they are scored on."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: F401
from bench import headroom


def _found(n: int = 20000) -> headroom.Estimates:
    """Estimates of four methods whose errors are independent, each with a wrong estimate of its error."""
    rng = np.random.default_rng(0)
    truth, width = rng.standard_normal(n), np.exp(0.5 * rng.standard_normal(n))
    names = ("background", "posterior_mean", "kriging", "dctpls")
    mean = {name: truth + width * rng.standard_normal(n) for name in names}
    return headroom.Estimates(mean, dict.fromkeys(names, 3 * width**2), truth, rng.integers(0, 3, n))


def test_combination_is_least_squares():
    """Errors of a combination are orthogonal to every estimate, and smaller than those of each."""
    found = _found()
    error = headroom.combined(found)
    for mean in found.mean.values():
        assert abs(np.mean(error * mean)) < 1e-9
        assert np.mean(error**2) < np.mean((mean - found.truth) ** 2)


def test_best_error_is_found():
    """The score with the best error is that of the true one, which is a power of what methods state."""
    found = _found()
    found = found._replace(mean=dict.fromkeys(found.mean, found.mean["posterior_mean"]))
    error = found.mean["posterior_mean"] - found.truth
    width = np.sqrt(found.error["kriging"] / 3)
    assert headroom.best_crps(found, error) == pytest.approx(headroom._crps(error, width), rel=2e-3)
