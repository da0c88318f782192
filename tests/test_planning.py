"""A plan counts what a fill will do."""

from __future__ import annotations

import pytest
from maps import Counting, chl_map, psc_map

import xgapfill
from xgapfill import fill as fill_module
from xgapfill import planning
from xgapfill.methods import Background, Repaint
from xgapfill.testing import tiny_weights


def test_windows_are_those_that_are_filled(monkeypatch):
    """All blocks looked at: as many windows as the method is called for."""
    monkeypatch.setattr(fill_module, "BLOCK", (3, 48, 48))
    chl = chl_map((5, 60, 120), share=0.3)
    chl = chl.where(chl.lon > chl.lon[70])
    estimate = xgapfill.plan(psc_map(chl), "background", cond=chl)
    Counting.calls.clear()
    psc_map(chl).gapfill(Counting(Background()), cond=chl).compute(scheduler="sync")
    assert estimate.windows == sum(Counting.calls) > 0
    assert estimate.windows_error == 0
    assert estimate.sampled == estimate.blocks == psc_map(chl).gapfill.background(cond=chl).data.npartitions
    assert estimate.calls == 0
    assert 0.2 < estimate.missing_share < 0.8
    assert estimate.seconds > 0
    assert "windows to fill" in repr(estimate)


def test_a_sample_tells_about_the_whole(monkeypatch):
    """At most so many blocks are read, and the truth lies within three standard errors."""
    monkeypatch.setattr(fill_module, "BLOCK", (3, 16, 16))
    monkeypatch.setattr(planning, "SAMPLE", 8)
    chl = chl_map((6, 80, 96), share=0.5)
    some, all_of_it = xgapfill.plan(chl, "background"), xgapfill.plan(chl, "background", exact=True)
    assert some.sampled == 8
    assert all_of_it.sampled == all_of_it.blocks == 2 * 5 * 6
    assert some.windows_error > 0
    assert abs(some.windows - all_of_it.windows) <= 3 * some.windows_error


def test_network_passes_follow_the_walk():
    """One pass and the walk's steps down a member, a batch."""
    chl = chl_map((2, 10, 12))
    weights = tiny_weights("chl")
    one = xgapfill.plan(chl, "posterior_mean", weights=weights)
    drawn = xgapfill.plan(chl, "repaint", weights=weights, members=3)
    down = sum(to < sigma for sigma, to in Repaint().walk())
    assert drawn.calls == one.calls * (1 + 3 * (down - 1))


def test_series_methods_are_fitted_first():
    """Without weights there is nothing to measure."""
    with pytest.raises(ValueError, match="fitted first"):
        xgapfill.plan(chl_map((6, 10, 10)), "dineof")
