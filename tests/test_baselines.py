"""Baselines must be right: a weak one proves nothing."""

import numpy as np
import pytest
from bench import problems
from bench.__main__ import main
from bench.windows import seconds_a_window
from numpy.testing import assert_allclose
from scipy import fft

from xgapfill.lattice.distance import distance_class, distance_to_observed
from xgapfill.methods import Background
from xgapfill.validation.baselines.dct import Dct, dct_pls
from xgapfill.validation.baselines.kriging import Covariance, kriging
from xgapfill.validation.baselines.simple import pixel_mean, time_interpolation
from xgapfill.validation.baselines.tuned import (
    BASELINES,
    held_out_like_gaps,
    on_conditions,
    tuned_dct_pls,
    tuned_kriging,
)
from xgapfill.validation.masks import disc_blocks
from xgapfill.validation.scores import rmse

NAN = np.nan


@pytest.fixture(scope="module")
def ocean() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth random field that changes slowly, the same with gaps, and where observed pixels were hidden."""
    generator = np.random.default_rng(0)
    waves = np.meshgrid(*(np.fft.fftfreq(size) * size for size in (10, 48, 48)), indexing="ij")
    size = np.sqrt(1 + (waves[0] * 2) ** 2 + waves[1] ** 2 + waves[2] ** 2)
    field = fft.ifftn(fft.fftn(generator.normal(size=size.shape)) * size**-2.5).real
    truth = (field / field.std()).astype(np.float32)
    clouds = disc_blocks(np.ones(truth.shape, bool), share=0.3, radius=(3, 8), seed=1)
    shown = np.where(clouds, np.float32(NAN), truth)
    hidden = disc_blocks(~clouds, share=0.15, radius=(2, 5), seed=2)
    return truth, np.where(hidden, np.float32(NAN), shown), hidden


def test_pixel_mean_by_hand():
    """A gap must take the mean of its pixel, a pixel never observed the mean of everything observed."""
    values = np.array([[[1.0, NAN]], [[3.0, NAN]], [[NAN, NAN]]], np.float32)
    assert_allclose(pixel_mean(values)[:, 0], [[1, 2], [3, 2], [2, 2]])


def test_time_interpolation_by_hand():
    """Between dates linear, beyond the first and last one constant, and a pixel never observed as its neighbour."""
    values = np.array([NAN, 1.0, NAN, NAN, 4.0, NAN], np.float32)[:, None, None]
    values = np.concatenate([values, np.full_like(values, NAN)], axis=2)
    assert_allclose(time_interpolation(values)[:, 0, 0], [1, 1, 2, 3, 4, 4])
    assert_allclose(time_interpolation(values)[:, 0, 1], [1, 1, 2, 3, 4, 4])


def test_dct_pls_solves_its_equations():
    """The field must be the solution of (W + s L^2) z = W y, as a dense solver finds it."""
    generator = np.random.default_rng(3)
    values = generator.normal(size=(3, 4, 5)).astype(np.float32)
    values[generator.random(values.shape) < 0.4] = NAN
    parameters = Dct(smoothing=0.3, time_weight=0.2)
    second = [fft.dct(np.eye(n), norm="ortho", axis=0) for n in values.shape]
    basis = np.kron(np.kron(second[0], second[1]), second[2])
    axes = [w * (2 - 2 * np.cos(np.pi * np.arange(n) / n)) for w, n in zip((0.2, 1, 1), values.shape, strict=True)]
    laplacian = (axes[0][:, None, None] + axes[1][:, None] + axes[2]).ravel()
    weights = np.diag(np.isfinite(values).ravel().astype(float))
    matrix = weights + 0.3 * basis.T @ np.diag(laplacian**2) @ basis
    expected = np.linalg.solve(matrix, weights @ np.nan_to_num(values.ravel()))
    found = dct_pls(values, parameters, iterations=300, tolerance=1e-6)
    assert_allclose(found.ravel(), expected, atol=2e-3)


def test_dct_pls_keeps_a_constant():
    """A constant field must come back as it is, whatever the gaps."""
    values = np.where(np.random.default_rng(0).random((4, 9, 9)) < 0.5, np.float32(2.5), np.float32(NAN))
    assert_allclose(dct_pls(values, Dct()), 2.5, rtol=1e-5)


def test_kriging_equals_the_bordered_system():
    """Estimate and variance must be those of ordinary kriging with a Lagrange multiplier, all neighbours used."""
    generator = np.random.default_rng(4)
    values = np.full((3, 6, 6), NAN, np.float32)
    values.flat[generator.choice(values.size, 20, replace=False)] = generator.normal(size=20)
    wanted = np.isnan(values)
    covariance = Covariance(frame=3.0, length=5.0, power=1.0, nugget=0.1)
    places, targets = (np.argwhere(part) * [3.0, 1, 1] for part in (~wanted, wanted))
    matrix = covariance(((places[:, None] - places) ** 2).sum(-1))
    np.fill_diagonal(matrix, 1)
    toward = covariance(((places[:, None] - targets) ** 2).sum(-1))
    bordered = np.block([[matrix, np.ones((20, 1))], [np.ones((1, 20)), np.zeros((1, 1))]])
    solved = np.linalg.solve(bordered, np.vstack([toward, np.ones(len(targets))]))
    data = values[~wanted]
    share = 1 - (solved[:-1] * toward).sum(0) - solved[-1]
    mean = np.linalg.solve(matrix, data).sum() / np.linalg.solve(matrix, np.ones(20)).sum()
    sill = (data - mean) @ np.linalg.solve(matrix, data - mean) / 19
    estimate, spread = kriging(values, wanted, covariance)
    assert_allclose(estimate[wanted], solved[:-1].T @ data, atol=1e-5)
    assert_allclose(spread[wanted], np.sqrt(sill * share), rtol=1e-4)
    assert np.isnan(estimate[~wanted]).all()


def test_kriging_wants_something_observed():
    """A field of which nothing was observed must be refused."""
    with pytest.raises(ValueError, match="at least one observed pixel"):
        kriging(np.full((1, 2, 2), NAN, np.float32), np.ones((1, 2, 2), bool), Covariance())


@pytest.mark.slow
def test_tuned_baselines_are_strong(ocean):
    """On a smooth field the tuned ones must leave less than half the error of the simple ones, and know it."""
    truth, values, hidden = ocean
    simple = min(rmse(fill(values), truth, hidden) for fill in (pixel_mean, time_interpolation))
    for found in (tuned_dct_pls(values), tuned_kriging(values, hidden, sample=500)):
        assert rmse(found.values, truth, hidden) < simple / 2
        standard = rmse(found.values / found.spread, truth / found.spread, hidden)
        assert 0.6 < standard < 1.7


def test_tuning_beats_a_bad_guess(ocean):
    """The chosen parameters must do at least as well as the ones the search started from."""
    truth, values, hidden = ocean
    found = tuned_dct_pls(values)
    assert rmse(found.values, truth, hidden) <= 1.02 * rmse(dct_pls(values, Dct(1.0, 0.02)), truth, hidden)


@pytest.mark.parametrize("name", ["pixel_mean", "time_interpolation", "global_dct_pls"])
def test_every_baseline_knows_its_error(ocean, name):
    """The spread of each baseline must be its error, class of distance by class, within a third."""
    truth, values, hidden = ocean
    blocks = disc_blocks(np.isfinite(values), radius=(2, 5), seed=9)
    found = BASELINES[name](values, hidden, blocks)
    classes = distance_class(distance_to_observed(np.isfinite(values)))
    for k in range(2):
        here = hidden & (classes == k)
        assert_allclose(found.spread[here].mean(), rmse(found.values, truth, here), rtol=0.33)


def test_held_out_pixels_were_observed_in_every_frame(ocean):
    """Every frame with observations must give up some of them, and nothing else."""
    observed = np.isfinite(ocean[1])
    observed[0] = True
    observed[1] = False
    blocks = held_out_like_gaps(observed)
    assert not (blocks & ~observed).any()
    assert np.array_equal(blocks.any(axis=(1, 2)), observed.any(axis=(1, 2)))


def test_a_condition_that_tells_all_leaves_no_error(ocean):
    """A field that is a quadratic of its predictor must come back exactly, far from anything observed."""
    condition = ocean[0]
    truth = 1 + 2 * condition - 0.5 * condition**2
    hidden = np.zeros(truth.shape, bool)
    hidden[:, :24] = True
    values = np.where(hidden, np.float32(NAN), truth)
    blocks = held_out_like_gaps(~hidden)
    found = on_conditions(BASELINES["pixel_mean"], [condition])(values, hidden, blocks)
    assert_allclose(found.values[hidden], truth[hidden], atol=1e-4)


def test_missing_data_are_named(tmp_path, capsys):
    """Without the data the benchmark must say which file it needs, and fail."""
    assert main(["background", "--data", str(tmp_path)]) == 2
    assert "ne_pacific_modis_2020_8day.nc was not found" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.parametrize("gaps", ["discs", "transplanted"])
def test_the_validation_set(shared_data, gaps):
    """The problem must hide observed pixels of late frames only, on a lattice without absent rows."""
    problem = problems.choose_problem(shared_data, gaps=gaps)
    assert problem.values.shape == (8, 336, 285)
    assert problem.time.min() >= np.datetime64("2020-06-09")
    assert_allclose(np.diff(problem.lat), np.diff(problem.lat)[0], rtol=1e-3)
    assert np.isfinite(problem.truth[problem.hidden]).all()
    assert np.isnan(problem.values[problem.hidden]).all()
    observed = ~np.isnan(problem.values)
    assert np.array_equal(problem.values[observed], problem.truth[observed])
    assert problem.sea[np.isfinite(problem.truth).any(axis=0)].all()
    with pytest.raises(ValueError, match="gaps must be"):
        problems.choose_problem(shared_data, gaps="none")


@pytest.mark.shared
def test_kept_masks_are_those_of_their_seeds(shared_data):
    """The masks kept with the package must be the ones their seeds draw, so that nobody can have picked easy gaps."""
    for name, hidden in problems.draw_masks(shared_data).items():
        assert np.array_equal(hidden, problems.frozen(name)), name


@pytest.mark.shared
def test_the_test_set(shared_data):
    """The report problem must cover 2015 off Newfoundland and hide some, but never most, of a frame."""
    problem = problems.report_problem(shared_data)
    assert problem.values.shape == (46, 96, 160)
    share = problem.hidden.sum(axis=(1, 2)) / np.maximum(np.isfinite(problem.truth).sum(axis=(1, 2)), 1)
    assert share.max() <= 0.6
    assert np.median(share) > 0.2


def test_a_window_costs_little():
    """The background must take a fraction of a second for a window even on a busy machine, and more than nothing."""
    assert 0 < seconds_a_window(Background(), repeats=2) < 0.5
