"""A recommendation: ranked by scores of this series, within a budget, with a call that works."""

import numpy as np
import pytest
from maps import chl_map, psc_map

import xgapfill

QUICK = ["interpolate", "climatology", "background"]


@pytest.fixture(scope="module")
def found():
    """On smooth chlorophyll."""
    return xgapfill.recommend(chl_map((8, 30, 40), share=0.4), methods=QUICK)


def test_the_best_comes_first(found):
    """The table is ranked by CRPS, and its numbers are those of `validate`."""
    assert (np.diff(found.table.crps) >= 0).all()
    assert set(found.table.index) == set(QUICK)
    scored = chl_map((8, 30, 40), share=0.4).gapfill.validate(QUICK, tests=[])
    for name in QUICK:
        one = scored.sel(filled_by=name, distance_class="all")
        np.testing.assert_allclose(
            found.table.loc[name, ["crps", "rmse"]].astype(float), [one.crps, one.rmse], rtol=1e-5
        )
    assert (found.table.rmse_low < found.table.rmse).all()


def test_the_call_can_be_typed(found):
    """It names the target and the method of the first row."""
    best = found.table.index[0]
    assert found.call == f"CHL.gapfill.{best}()"
    assert found.why.startswith(f"{best} has the lowest CRPS")
    assert found.call in repr(found)
    CHL = chl_map((2, 12, 12))
    assert eval(found.call, {"CHL": CHL}).notnull().any()


def test_a_short_budget_leaves_slow_methods_out():
    """The quickest are always tried; the table says what was left out."""
    found = xgapfill.recommend(chl_map((6, 20, 20)), minutes=0.001)
    assert {"interpolate", "background"} <= set(found.table.index[found.table.crps.notnull()])
    assert found.table.note["som"].startswith("left out")


def test_predictors_and_members_are_in_the_call():
    """What cannot be used is said in the table; members ask for methods that draw."""
    chl = chl_map((5, 20, 20), share=0.2)
    found = xgapfill.recommend(psc_map(chl), chl, methods=["background", "regression"])
    assert found.call.endswith("(cond=CHL)")
    found = xgapfill.recommend(chl, members=3, methods=["kriging"])
    assert found.call == "CHL.gapfill.kriging(members=3)"
    with pytest.raises(ValueError, match="no method could be tried"):
        xgapfill.recommend(chl, methods=["nonsense"])
    with pytest.raises(ValueError, match="minutes must be a positive number"):
        xgapfill.recommend(chl, minutes=0)


def test_a_large_series_is_tried_on_a_part():
    """Around the pixels that are most observed, and the recommendation says so."""
    from xgapfill.api.recommend import _part_of

    chl = chl_map((12, 300, 400), share=0.0)
    chl = chl.where((chl.lat > 45) & (chl.lon > -30))
    part, note = _part_of(chl)
    assert part.size <= 1 << 20
    assert part.notnull().sum() == chl.notnull().sum()
    assert "part of the series" in note
