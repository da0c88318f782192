"""The covariance of a window against counting by hand and a general solver."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose
from scipy.optimize import least_squares

from xgapfill.gaussian.covariance import LAG_ERROR, LAGS, LEAST, ROWS, _model, covariance, fit, variogram
from xgapfill.gaussian.priors import (
    DEPENDENT_PIXELS,
    shipped,
)

STEP_KM = torch.tensor([[4.6, 3.4]])
PRIOR = shipped()["log10_chl"]


def parameters(*values: float) -> torch.Tensor:
    """Logarithms of one window's parameters."""
    return torch.tensor([values], dtype=torch.float64).log()


def test_variogram_by_hand():
    """Half the mean square difference of the pairs that are observed, in both directions of the diagonal."""
    values = torch.tensor([[[[1.0, 3.0], [0.0, 7.0]]]])
    observed = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    gamma, pairs = (part[0].tolist() for part in variogram(values, observed))
    found = {lag: (g, n) for lag, g, n in zip(LAGS, gamma, pairs, strict=True) if n}
    assert found == {lag: (g, ROWS) for lag, g in {(0, 1, 0): 8, (0, 0, 1): 2, (0, 1, 1): 18}.items()}
    assert (0, 0, 0) not in LAGS


def test_pairs_begin_in_every_second_row():
    """Rows 0 and 2 of four: differences of 1 and 9 along columns, and one of 4 to the row below that is observed."""
    values = torch.tensor([[[[0.0, 1.0], [5.0, 0.0], [0.0, 9.0], [4.0, 0.0]]]])
    observed = torch.tensor([[[[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]]])
    gamma, pairs = (part[0].tolist() for part in variogram(values * observed, observed))
    found = dict(zip(LAGS, zip(gamma, pairs, strict=True), strict=True))
    assert found[0, 0, 1] == ((1 + 81) / 4, 4)
    assert found[0, 1, 0] == (16 / 2, 2)


def test_model_and_its_slopes():
    """The model is sill minus covariance, and its slopes are those of finite differences."""
    p = parameters(0.6, 0.3, 0.05, 80.0, 20.0, 30.0, 7.0, 1.2)
    km2, days2 = torch.tensor([[4.6**2, 9.2**2, 0.0]]).double(), torch.tensor([[0.0, 64.0, 64.0]]).double()
    gamma, slopes = _model(p, km2, days2)
    field = covariance(p, (2, 3, 1), 8.0, STEP_KM)[0]
    expected = 0.95 - torch.tensor([field[0, 1, 0], field[1, 2, 0], field[1, 0, 0]])
    assert_allclose(gamma[0], expected, rtol=1e-5)
    for k in range(8):
        up, down = p.clone(), p.clone()
        up[0, k] += 1e-5
        down[0, k] -= 1e-5
        difference = (_model(up, km2, days2)[0] - _model(down, km2, days2)[0]) / 2e-5
        assert_allclose(slopes[..., k], difference, atol=1e-8)


def test_fit_is_the_least_squares_solution():
    """The misfit at the end is as small as that which a general solver finds."""
    rng = np.random.default_rng(1)
    smooth = rng.standard_normal((1, 5, 40, 40)).cumsum(axis=2).cumsum(axis=3) / 20
    values = torch.tensor(smooth - smooth.mean(), dtype=torch.float32)
    observed = torch.tensor(rng.random(values.shape) < 0.5, dtype=torch.float32)
    usual = parameters(*PRIOR.covariance)
    belief = torch.tensor(PRIOR.belief, dtype=torch.float64)
    gamma, pairs = variogram(values * observed, observed)
    lags = torch.tensor(LAGS).double()
    km2, days2 = ((lags[:, 1:] * STEP_KM) ** 2).sum(-1)[None], (lags[:, 0] * 8.0)[None] ** 2
    weight = 0.5 / (LAG_ERROR**2 + 2 * DEPENDENT_PIXELS / pairs.clamp_min(1e-6)).sqrt()
    least = LEAST * usual[:, :3].exp().sum()

    def misfit(p: np.ndarray) -> np.ndarray:
        p = torch.tensor(p)[None]
        lag = weight * ((_model(p, km2, days2)[0] + least) / (gamma + least)).log()
        return torch.cat([lag, (p - usual) / belief], dim=1)[0].numpy()

    best = least_squares(misfit, usual[0].numpy())
    found = fit(values * observed, observed, usual, belief, 8.0, STEP_KM)[0].numpy()
    assert np.sum(misfit(found) ** 2) < 1.01 * 2 * best.cost


def test_windows_do_not_disturb_each_other():
    """A window's covariance is the same bits whatever stands beside it; without pixels it is the prior one."""
    rng = np.random.default_rng(2)
    values = torch.tensor(rng.standard_normal((4, 5, 20, 20)), dtype=torch.float32)
    observed = torch.tensor(rng.random(values.shape) < 0.4, dtype=torch.float32)
    observed[3] = 0
    usual = parameters(*PRIOR.covariance).repeat(4, 1)
    belief = torch.tensor(PRIOR.belief, dtype=torch.float64)
    found = fit(values * observed, observed, usual, belief, 8.0, STEP_KM.expand(4, 2))
    turned = fit((values * observed).flip(0), observed.flip(0), usual, belief, 8.0, STEP_KM.expand(4, 2))
    assert torch.equal(found, turned.flip(0))
    assert_allclose(found[3], usual[3], rtol=1e-5)
