"""Tests that need no ground truth are tested themselves: planted defects are caught, right fills pass."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bench.trust import CLAIMS, REQUIREMENTS, alarms, found
from maps import chl_map
from numpy.testing import assert_allclose

import xgapfill
from xgapfill.validation import matchups, proxy, tell_apart, verdict_text
from xgapfill.validation.insitu import reduced_major_axis
from xgapfill.validation.masks import blocks_of_space, blocks_of_time
from xgapfill.validation.planted import DEFECTS, ocean
from xgapfill.validation.scores import structure_function
from xgapfill.validation.verdict import by_dates, mean_of, share, summed


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught(defect):
    """Every test that claims to catch a defect does so in at least two of three oceans."""
    caught = defaultdict(int)
    for seed in range(3):
        for one in found(defect, 100 + seed):
            caught[one.name] += not one.passed
    assert {name: caught[name] for name in CLAIMS[defect] if caught[name] < 2} == {}


def test_right_fills_pass():
    """A fill from the truth's own law raises about 5 % false alarms over all tests."""
    verdicts = [one for seed in range(12) for one in found("", 500 + seed) if one.name != "positive control"]
    failed = np.mean([not one.passed for one in verdicts if one.name not in REQUIREMENTS])
    assert 0.01 < failed < 0.1


@pytest.mark.slow
def test_each_test_alarms_at_its_nominal_rate():
    """Each test raises 5 % false alarms, give or take 2 %, and what 400 oceans can tell."""
    shares = alarms("", 400)
    for name, one in shares.items():
        if name == "positive control":
            assert one > 95
        elif name in REQUIREMENTS:
            assert one < 3
        else:
            assert one < 8.2, name


def test_leaving_out_dates_gives_the_textbook_interval():
    """For the mean of dates of equal size it is the t interval of the means of the dates."""
    values = np.random.default_rng(0).normal(size=(12, 5)) + np.tile([0.0, 3.0], 6)[:, None]
    one = mean_of("mean", np.repeat(np.arange(12), 5), values.ravel(), 0.0)
    means = values.mean(axis=1)
    reach = 2.2009851600916384 * means.std(ddof=1) / np.sqrt(12)
    assert_allclose([one.value, one.low, one.high], means.mean() + np.array([0, -reach, reach]))


def test_dates_that_are_alike_count_less():
    """Neighbours with a correlation of 0.5 raise hardly more false alarms; independent dates no fewer."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 66))
    alike = noise.copy()
    for date in range(1, 66):
        alike[:, date] += 0.5 * alike[:, date - 1]
    share_of = [np.mean([not mean_of("", np.arange(46), x[20:], 0.0).passed for x in each]) for each in (noise, alike)]
    assert 0.02 < share_of[0] < 0.08
    assert share_of[1] < 0.13


def test_too_few_dates_say_nothing():
    """Two dates give a value and no verdict."""
    one = by_dates("mean", summed([0, 1], [1.0, 5.0], [1, 1]), share, 0.0)
    assert one.value == 3
    assert not one.tested
    assert one.passed


def test_the_structure_function_of_order_two_is_that_of_scores():
    """The same pairs, the same squares."""
    from xgapfill.validation.texture import structure

    scene = ocean()
    sums, pairs = structure(scene.real, scene.hidden, (2,), (1, 2, 4))
    both = sums.sum(axis=0)[0] / pairs.sum(axis=0)
    assert_allclose(both, structure_function(scene.real, scene.hidden, lags=(1, 2, 4)))


def test_the_classifier_prints_its_controls():
    """Whatever it finds, both controls are there."""
    scene = ocean()
    told = tell_apart(scene.real, scene.made(scene.members[0]), scene.hidden)
    assert "negative control" in str(told)
    assert "positive control" in str(told)
    with pytest.raises(ValueError, match="expected at least 20 patches"):
        tell_apart(scene.real[:1], scene.real[:1], scene.hidden[:1])


def test_blocks_hide_whole_dates_and_whole_squares():
    """Blocks of time leave no pixel of a frame; blocks of space no pixel of a square."""
    seen = np.random.default_rng(0).random((12, 20, 30)) < 0.7
    hidden = blocks_of_time(seen, length=3)
    assert {tuple(frame) for frame in (hidden == seen).all(axis=(1, 2))[:, None]} == {(True,), (False,)}
    assert hidden.any(axis=(1, 2)).sum() == 3
    squares = blocks_of_space(seen, side=10)
    for frame, one in zip(seen, squares, strict=True):
        for row in range(0, 20, 10):
            for col in range(0, 30, 10):
                part = one[row : row + 10, col : col + 10]
                assert not part.any() or (part == frame[row : row + 10, col : col + 10]).all()
    with pytest.raises(ValueError, match="side of at least 1"):
        blocks_of_space(seen, side=40)
    with pytest.raises(ValueError, match="length of at least 1"):
        blocks_of_time(seen, length=12)


def test_match_ups_see_a_bias_of_filled_pixels():
    """Samples are the truth; a fill that is too high by a factor is off by its logarithm, observed pixels are not."""
    rng = np.random.default_rng(3)
    truth = chl_map((8, 20, 24), share=0.0)
    target = truth.where(rng.random(truth.shape) < 0.5)
    filled = target.fillna(truth * 1.5)
    table = truth.to_series().dropna().sample(200, random_state=0).reset_index()
    found = matchups(filled, table, target, window=(1, 1))
    assert_allclose(found.bias[["observed", "filled", "difference"]], [0, np.log10(1.5), np.log10(1.5)], atol=1e-4)
    assert found.bias_low["difference"] > 0.1
    assert found.n["observed"] + found.n["filled"] == 200
    assert_allclose(found.slope[["observed", "filled"]], 1, rtol=1e-3)
    with pytest.raises(ValueError, match="window must be odd"):
        matchups(filled, table, target, window=(2, 1))


def test_match_ups_without_samples_are_empty():
    """A table off the map gives no statistics, not an error."""
    chl = chl_map((2, 8, 8))
    far = pd.DataFrame({"time": [chl.time.values[0]], "lat": [0.0], "lon": [0.0], "CHL": [1.0]})
    found = matchups(chl, far, chl)
    assert found.n["filled"] == 0
    assert np.isnan(found.rmse["filled"])


def test_the_reduced_major_axis_of_swapped_variables_is_the_inverse():
    """Both variables have errors, so neither comes first."""
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert_allclose(reduced_major_axis(x, x + y) * reduced_major_axis(x + y, x), 1)


def test_a_proxy_has_the_gaps_and_the_variogram_of_the_target():
    """Same missing pixels, same mean of logarithms, same mean of log variograms."""
    target = chl_map((4, 24, 24), share=0.4)
    other = chl_map((5, 30, 24), share=0.0, seed=5) ** 2
    found = proxy(target, other.rename("CHL").assign_attrs(target.attrs))
    assert (found.target.isnull() == target.isnull()).all()
    assert np.isfinite(found.truth).all()
    assert_allclose(np.log10(found.target).mean(), np.log10(target).mean(), atol=1e-5)
    assert_allclose(np.log(found.attrs["variogram_ratio"]).mean(), 0, atol=2e-3)
    with pytest.raises(ValueError, match="expected a field of at least"):
        proxy(target, target.isel(lat=slice(0, 8)))


@pytest.fixture(scope="module")
def scored() -> xr.Dataset:
    """Two methods on a small series, with every test and another sensor that is 0.2 higher in log10."""
    truth = chl_map((10, 30, 40), share=0.0, seed=2)
    target = truth.where(chl_map((10, 30, 40), share=0.4, seed=3).notnull())
    other = (truth * 10**0.2).rename("CHL")
    tests = [*xgapfill.validation.verdicts.__defaults__[0], "consistency"]
    return target.gapfill.validate(["interpolate", "background"], tests=tests, other=other)


def test_validate_has_a_row_for_each_test(scored):
    """Rows of tests, of groups, of another sensor and of the second fill; the sensors' own offset is taken off."""
    rows = set(scored.test.values)
    assert {"bias", "texture S_1", "seam at borders", "sensor offset", "refill: spread/difference"} <= rows
    assert {"all", "calm", "active", "Mar-May", "worst date"} <= set(scored.group.values)
    mean = scored.group_rmse.sel(group="regional means")
    assert (mean < scored.group_rmse.sel(group="all")).all()
    offset = scored.test_value.sel(test="sensor offset", filled_by="background")
    assert abs(float(offset)) < 0.05
    assert_allclose(scored.group_rmse.sel(group="all"), scored.rmse.sel(distance_class="all"), rtol=1e-4)
    low, high = scored.group_rmse_low.sel(group="all"), scored.group_rmse_high.sel(group="all")
    assert ((low < scored.group_rmse.sel(group="all")) & (scored.group_rmse.sel(group="all") < high)).all()
    assert verdict_text(scored).count("\n") == scored.test.size + 1


def test_members_of_estimates_are_scored_one_of_each_pair():
    """`drawn` gives rows that only members have; ranges expect as many as are exchangeable."""
    chl = chl_map((8, 24, 30), share=0.4)
    found = chl.gapfill.validate(["background"], members=8, drawn=True)
    assert "TARP mean" in found.test.values
    assert_allclose(found.test_expected.sel(test="range coverage", filled_by="background"), 3 / 5)
    assert "range coverage" not in chl.gapfill.validate(["background"], members=8).test.values


def test_unknown_tests_are_refused():
    """The message lists those that exist."""
    with pytest.raises(ValueError, match=r"unknown test 'nonsense'; tests are bias, .*tell_apart"):
        chl_map((6, 20, 20)).gapfill.validate(["interpolate"], tests=["nonsense"])
