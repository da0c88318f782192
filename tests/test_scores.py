"""Scores against closed forms and against themselves under known truth."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.stats import norm

from xgapfill.lattice.distance import distance_class, distance_to_observed
from xgapfill.validation import scores


@pytest.fixture
def perfect() -> tuple[np.ndarray, np.ndarray]:
    """Eight members and a truth that are exchangeable: a common part known to both, the rest drawn alike."""
    generator = np.random.default_rng(0)
    common = generator.normal(size=40_000)
    return common + 0.7 * generator.normal(size=(8, 40_000)), common + 0.7 * generator.normal(size=40_000)


def test_simple_errors_by_hand():
    """RMSE, mean absolute error and bias must be those computed by hand, NaN places left out."""
    estimate, truth = [1.0, 2.0, 5.0, np.nan, 1.0], [1.0, 4.0, 4.0, 1.0, np.nan]
    assert_allclose(scores.rmse(estimate, truth), np.sqrt(5 / 3))
    assert_allclose(scores.mae(estimate, truth), 1.0)
    assert_allclose(scores.bias(estimate, truth), -1 / 3)
    assert_allclose(scores.bias(estimate, truth, where=[False, True, False, True, True]), -2.0)


def test_nothing_to_score_is_not_a_perfect_score():
    """A score over no place at all must be NaN, not 0."""
    for score in (scores.rmse, scores.mae, scores.bias):
        assert np.isnan(score([1.0], [np.nan]))
    assert np.isnan(scores.crps_ensemble([[1.0], [np.nan]], [0.0])).all()
    assert np.isnan(scores.crps_gaussian(1.0, np.nan, 0.0))
    assert np.isnan(scores.coverage_t([[1.0], [2.0]], [np.nan]))


def test_fair_crps_equals_the_sum_over_pairs():
    """The sorted form of the fair CRPS must equal its definition over all pairs of members."""
    generator = np.random.default_rng(1)
    members, truth = generator.normal(size=(5, 30)), generator.normal(size=30)
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1))
    expected = np.abs(members - truth).mean(axis=0) - pairs / (2 * 5 * 4)
    assert_allclose(scores.crps_ensemble(members, truth), expected, atol=1e-12)


@pytest.fixture(scope="module")
def oracle():
    """The package of scores of the Bureau of Meteorology; environments of old versions may lack it."""
    return pytest.importorskip("scores")


@pytest.fixture(scope="module")
def ensemble() -> tuple[xr.DataArray, xr.DataArray]:
    """Six members and a truth of which some are missing."""
    generator = np.random.default_rng(6)
    members, truth = generator.normal(size=(6, 200)), 0.5 + generator.normal(size=200)
    truth[:5] = np.nan
    return xr.DataArray(members, dims=("member", "place")), xr.DataArray(truth, dims="place")


def test_scores_are_those_of_the_scores_package(ensemble, oracle):
    """RMSE, mean absolute error, bias, fair CRPS and the CRPS of normal distributions, against another package."""
    members, truth = ensemble
    estimate = members.mean("member")
    for ours, theirs in (
        (scores.rmse, oracle.continuous.rmse),
        (scores.mae, oracle.continuous.mae),
        (scores.bias, oracle.continuous.additive_bias),
    ):
        assert_allclose(ours(estimate, truth), theirs(estimate, truth), rtol=1e-12)
    fair = oracle.probability.crps_for_ensemble(members, truth, "member", method="fair", preserve_dims="all")
    assert_allclose(scores.crps_ensemble(members, truth), fair, rtol=1e-9)
    plain = oracle.probability.crps_for_ensemble(members, truth, "member", method="ecdf", preserve_dims="all")
    assert abs(plain - fair).max() > 0.05


@pytest.mark.filterwarnings("ignore:numba is not available")
def test_gaussian_crps_is_that_of_the_scores_package(oracle):
    """The integral of the scores package over a distribution given by its values on a fine grid."""
    grid = np.linspace(-12, 12, 2401)
    for mean, spread, truth in ((0.3, 1.0, 0.7), (-1.0, 2.0, 3.0), (0.0, 0.5, 0.02)):
        forecast = xr.DataArray(norm.cdf(grid, mean, spread), {"threshold": grid}, ("threshold",))
        found = oracle.probability.crps_cdf(forecast, xr.DataArray(truth), threshold_dim="threshold")
        assert_allclose(scores.crps_gaussian(mean, spread, truth), float(found.total), rtol=2e-3)


def test_fair_crps_does_not_depend_on_the_number_of_members():
    """Two perfect members must score as many perfect members and as the normal distribution do, on average."""
    generator = np.random.default_rng(2)
    truth = generator.normal(size=100_000)
    expected = 1 / np.sqrt(np.pi)  # E CRPS(N(0, 1), y) for y from N(0, 1)
    for count in (2, 8, 19):
        members = generator.normal(size=(count, truth.size))
        assert_allclose(scores.crps_ensemble(members, truth).mean(), expected, rtol=0.015)
    assert_allclose(scores.crps_gaussian(np.zeros_like(truth), np.ones_like(truth), truth).mean(), expected, rtol=0.01)


def test_gaussian_crps_equals_its_integral():
    """The closed form must equal the integral of the squared difference of the distribution functions."""
    grid = np.linspace(-30, 30, 600_001)
    for mean, spread, truth in ((0.0, 1.0, 0.3), (1.0, 2.5, -4.0), (0.0, 0.2, 0.0)):
        integrand = (norm.cdf(grid, mean, spread) - (grid >= truth)) ** 2
        assert_allclose(scores.crps_gaussian(mean, spread, truth), np.trapezoid(integrand, grid), rtol=1e-3)
    assert scores.crps_gaussian(1.0, 0.0, 3.0) == 2.0


def test_perfect_ensemble_is_calibrated(perfect):
    """Exchangeable members must have spread/RMSE 1, the t interval its level and the range (m - 1) / (m + 1)."""
    members, truth = perfect
    assert_allclose(scores.spread_over_rmse(members, truth), 1.0, atol=0.02)
    assert_allclose(scores.coverage_t(members, truth), 0.9, atol=0.01)
    assert_allclose(scores.coverage_range(members, truth), 7 / 9, atol=0.01)


def test_places_that_do_not_count_change_nothing(perfect):
    """NaN members, NaN truth and places outside `where` must leave every ensemble score as it is."""
    members, truth = perfect
    more = np.concatenate([members, np.full((8, 2), 1e6)], axis=1)
    more[3, -2] = np.nan
    truths = np.append(truth, [0.0, 0.0])
    where = np.arange(truths.size) < truth.size
    where[-2] = True
    for score in (scores.spread_over_rmse, scores.coverage_t, scores.coverage_range):
        assert_allclose(score(more, truths, where), score(members, truth))


def test_gaussian_coverage():
    """A normal error estimate that is right must cover its level."""
    truth = np.random.default_rng(3).normal(size=50_000)
    assert_allclose(scores.coverage_gaussian(np.zeros_like(truth), np.ones_like(truth), truth), 0.9, atol=0.01)


def test_structure_function_of_a_slope_and_of_noise():
    """A slope g must give g^2 lag^2 along it and 0 across it; white noise twice its variance at every lag."""
    slope = np.tile(0.5 * np.arange(64.0), (64, 1))
    along = 0.25 * np.array(scores.LAGS) ** 2
    assert_allclose(scores.structure_function(slope), along / 2)
    noise = np.random.default_rng(4).normal(scale=3, size=(4, 128, 128))
    assert_allclose(scores.structure_function(noise), 18, rtol=0.03)


def test_structure_function_counts_pairs_that_touch_the_place():
    """Only pairs with an end in `where` may count, pairs with an unknown end may not, and no pairs give NaN."""
    field = np.array([[0.0, 1.0, 5.0, np.nan]])
    first = [[True, False, False, False]]
    assert_allclose(scores.structure_function(field, first, lags=(1, 2, 9)), [1.0, 25.0, np.nan])


def test_degree_of_smoothing():
    """A reconstruction that moves every observed pixel by 0.1 must have a degree of smoothing of 0.1."""
    assert_allclose(scores.degree_of_smoothing([1.1, 1.9, 7.0], [1.0, 2.0, np.nan]), 0.1)


def test_spread_scale_finds_the_factor_of_each_class():
    """Error estimates wrong by a known factor per class must come back right, on places not used to fit it."""
    generator = np.random.default_rng(5)
    classes = generator.integers(0, 2, 20_000)
    spread = generator.uniform(0.5, 2, classes.size)
    wrong = spread / np.array([3.0, 0.25])[classes]
    truth = spread * generator.normal(size=classes.size)
    half = np.arange(classes.size) < 10_000
    scale = scores.SpreadScale.fit(np.zeros(10_000), wrong[half], truth[half], classes[half])
    assert_allclose(scale.factors[:2], [3.0, 0.25], rtol=0.05)
    assert_allclose(scale.apply(wrong[~half], classes[~half]), spread[~half], rtol=0.05)
    with pytest.raises(ValueError, match="found none"):
        scores.SpreadScale.fit([np.nan], [1.0], [0.0], [0])


def test_ensemble_shapes_are_checked():
    """A wrong shape or a single member must be refused with what was expected."""
    with pytest.raises(ValueError, match=r"members must be \(m, 3\)"):
        scores.crps_ensemble(np.zeros((2, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="at least 2 members"):
        scores.coverage_t(np.zeros((1, 3)), np.zeros(3))


def test_distance_is_that_of_the_frame():
    """Distances must be Euclidean within the frame, infinite in an empty one, and fall into three classes."""
    observed = np.zeros((2, 12, 12), bool)
    observed[0, 0, 0] = True
    distance = distance_to_observed(observed)
    assert distance[0, 0, 0] == 0
    assert distance[0, 3, 4] == 5
    assert np.isinf(distance[1]).all()
    assert_allclose(distance_class(np.array([0.0, 2.0, 2.2, 8.0, 8.1, np.inf])), [0, 0, 1, 1, 2, 2])
