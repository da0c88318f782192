"""Schedules against published counts, samplers against kriging: no weights needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xgapfill.diffusion.samplers import dpm_solver, heun, repaint
from xgapfill.diffusion.schedule import check_schedule, karras_schedule, linear_sigmas, repaint_schedule, repaint_times

N = 24  # pixels of the one-dimensional Gaussian field


@pytest.mark.parametrize(
    ("steps", "length", "samples", "counts"),
    [
        (250, 10, 10, (4571, 2410, 2160)),
        (250, 10, 5, (2171, 1210, 960)),
        (250, 10, 1, (251, 250, 0)),
        (100, 10, 10, (1721, 910, 810)),
        (100, 5, 3, (481, 290, 190)),
        (100, 10, 2, (281, 190, 90)),
        (50, 5, 5, (411, 230, 180)),
        (50, 10, 2, (131, 90, 40)),
    ],
)
def test_published_counts(steps, length, samples, counts):
    """The schedule has as many moves down and up as the authors' schedule."""
    times = repaint_times(steps, length, samples)
    schedule = repaint_schedule(steps, length, samples)
    down = sum(b < a for a, b in schedule)
    assert (len(times), down, len(schedule) - down) == counts
    assert schedule[-1][1] == 0.0


def test_linear_sigmas_are_those_of_the_variance_schedule():
    """The noisiest level of the common thousand steps leaves 0.00632 of the signal."""
    sigmas = linear_sigmas(250)
    assert len(sigmas) == 250
    assert np.isclose(1 / np.sqrt(1 + sigmas[-1] ** 2), 0.00635, atol=1e-4)
    assert np.all(np.diff(sigmas) > 0)


def test_karras_walk_goes_straight_down():
    """As many calls as asked for, from the largest level to 0."""
    schedule = check_schedule(karras_schedule(8, 20.0, 0.05))
    assert len(schedule) == 8
    assert schedule[0][0] == pytest.approx(20.0)
    assert all(b < a for a, b in schedule)


@pytest.mark.parametrize(
    "schedule", [[], [(1, 2), (2, 0)], [(2, 1)], [(2, 1), (0.5, 0)], [(2, 2), (2, 0)], [(2, float("nan"))]]
)
def test_schedules_that_make_no_sense(schedule):
    """A schedule that is discontinuous, rises first or does not end at 0 is refused."""
    with pytest.raises(ValueError, match="schedule"):
        check_schedule(schedule)


def gaussian_problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariance, observed pixels, a field, and the kriging mean and covariance of the rest."""
    place = np.arange(N)
    covariance = np.exp(-np.abs(place[:, None] - place[None]) / 6.0)
    observed = (place < 6) | (place > 17)
    field = np.linalg.cholesky(covariance) @ np.random.default_rng(1).standard_normal(N)
    gain = covariance[:, observed] @ np.linalg.inv(covariance[np.ix_(observed, observed)])
    return covariance, observed, field, gain @ field[observed], covariance - gain @ covariance[observed]


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_sampler_reproduces_kriging(eta):
    """With the exact denoiser given what was observed, samples have the kriging mean and variance."""
    _, observed, field, mean, covariance = gaussian_problem()
    hidden = ~observed
    eigen, vectors = np.linalg.eigh(covariance[np.ix_(hidden, hidden)])
    eigen, vectors = torch.tensor(eigen), torch.tensor(vectors)
    centre, known = torch.tensor(mean[hidden]), torch.tensor(field)

    def denoise(x, sigma):
        out = known.expand_as(x).clone()
        modes = (x[:, hidden] - centre) @ vectors
        out[:, hidden] = centre + (modes * (eigen / (eigen + sigma**2))) @ vectors.T
        return out

    members = 3000
    rng = np.random.default_rng(0)
    sample = repaint(
        denoise,
        known.expand(members, -1),
        torch.tensor(observed).expand(members, -1),
        karras_schedule(200, 20.0, 0.02),
        lambda k: torch.tensor(rng.standard_normal((members, N))),
        eta=eta,
    ).numpy()
    assert np.array_equal(sample[:, observed], np.broadcast_to(field[observed], (members, observed.sum())))
    sd = np.sqrt(np.diag(covariance)[hidden])
    assert np.abs((sample.mean(0)[hidden] - mean[hidden]) / sd).max() < 0.07
    assert np.abs(sample.std(0)[hidden] / sd - 1).max() < 0.07


@pytest.mark.parametrize("sampler", [heun, dpm_solver])
def test_second_order_samplers_follow_the_flow(sampler):
    """For white data of unit variance the end of the flow is known; twice the levels, a quarter of the error."""
    start = torch.linspace(-1.0, 1.0, 5).double()
    exact = start * 20.0 / (1 + 20.0**2) ** 0.5

    def error(calls):
        sigmas = [a for a, _ in karras_schedule(calls, 20.0, 0.002, rho=7.0)]
        found = sampler(lambda x, s: x / (1 + s**2), start, torch.zeros(5, dtype=torch.bool), sigmas, lambda k: start)
        return float((found - exact).abs().max())

    assert error(64) < 2e-3
    assert error(64) < 0.35 * error(32)


@pytest.mark.parametrize("sampler", [heun, dpm_solver])
def test_second_order_samplers_keep_what_was_observed(sampler):
    """Observed values come back as they are."""
    known, observed = torch.arange(4.0), torch.tensor([True, False, True, False])
    sigmas = [a for a, _ in karras_schedule(4, 20.0, 0.1)]
    found = sampler(lambda x, s: x / (1 + s**2), known, observed, sigmas, lambda k: torch.ones(4))
    assert torch.equal(found[observed], known[observed])


def test_jumps_bring_an_unconditional_denoiser_towards_kriging():
    """Without its jumps RePaint misses the kriging mean; the more it schedules, the nearer it comes."""
    covariance, observed, field, mean, conditional = gaussian_problem()
    eigen, vectors = (torch.tensor(a) for a in np.linalg.eigh(covariance))
    hidden = ~observed
    sd = np.sqrt(np.diag(conditional)[hidden])

    def denoise(x, sigma):
        return ((x @ vectors) * (eigen / (eigen + sigma**2))) @ vectors.T

    def miss(schedule):
        rng = np.random.default_rng(0)
        members = 600
        sample = repaint(
            denoise,
            torch.tensor(field).expand(members, -1),
            torch.tensor(observed).expand(members, -1),
            schedule,
            lambda k: torch.tensor(rng.standard_normal((members, N))),
        ).numpy()
        return np.abs((sample.mean(0)[hidden] - mean[hidden]) / sd).mean()

    without, some, many = (
        miss(repaint_schedule(60, 10, 1)),
        miss(repaint_schedule(60, 10, 4)),
        miss(repaint_schedule(60, 10, 10)),
    )
    assert many < some < without
    assert many < 0.5 * without
