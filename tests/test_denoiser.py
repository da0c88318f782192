"""The Gaussian answer that the net starts from, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xgapfill.gaussian import covariance as variogram
from xgapfill.gaussian.spectral import mode_variances, to_field
from xgapfill.nets.denoiser import Denoiser
from xgapfill.nets.scene import SIGMA_MAX, Scene, gaussian_mean

SHAPE = (2, 6, 5)
N = int(np.prod(SHAPE))


@pytest.fixture
def scene():
    """Two windows of two channels, a third of the pixels observed, a few of them land."""
    rng = np.random.default_rng(0)

    def fields(scale=1.0, shift=0.0):
        return torch.tensor(shift + scale * rng.standard_normal((2, SHAPE[0], 2, *SHAPE[1:])), dtype=torch.float32)

    observed, land = fields() > 0.4, torch.zeros(2, SHAPE[0], 2, *SHAPE[1:], dtype=torch.bool)
    land[..., 0, :2] = True
    observed &= ~land
    p = torch.tensor([[0.7, 0.3, 0.0, 40.0, 12.0, 20.0, 8.0, 1.2]] * 2).double().log()
    spectrum = mode_variances(variogram.covariance(p, SHAPE, 8.0, torch.tensor([[4.6, 4.0], [4.6, 3.0]]))) + 0.1
    return Scene(
        residual=torch.where(observed, fields(), 0.0),
        observed=observed,
        active=~observed & ~land,
        maps=torch.zeros(2, SHAPE[0], 2, 3, *SHAPE[1:]),
        sea=torch.ones(2, 1, *SHAPE[1:]),
        numbers=torch.zeros(2, 7),
        held=fields(0.3),
        usual=fields(0.05, 0.5),
        spectrum=spectrum[:, :, None].expand(-1, -1, 2, -1, -1),
    )


def covariance(spectrum):
    """Of the places of a window, from its modes."""
    basis = to_field(torch.eye(N).unflatten(-1, SHAPE)).flatten(1)  # rows are modes
    return (basis.T * spectrum.flatten()) @ basis


@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_gaussian_mean_is_the_conditional_mean(scene, sigma):
    """A field of the given covariance, observed here, known with more noise there."""
    x = torch.randn(scene.usual.shape, generator=torch.Generator().manual_seed(1))
    found = gaussian_mean(x, torch.full((2,), sigma), scene)
    for window, channel in np.ndindex(2, 2):

        def pick(part, window=window, channel=channel):
            return part[window, :, channel].flatten().double()

        usual, held, observed, active = (pick(p) for p in (scene.usual, scene.held, scene.observed, scene.active))
        field = covariance(scene.spectrum[window, :, channel]).double()
        known = torch.where(observed > 0, held, held + usual * pick(x))
        there = (observed + active) > 0
        noise = torch.where(observed > 0, 0.0, (sigma * usual) ** 2)
        dense = torch.linalg.inv(field[there][:, there] + torch.diag(noise[there]))
        wanted = (field[:, there] @ dense @ known[there] - held) / usual
        hidden = active > 0
        assert torch.allclose(pick(found)[hidden], wanted[hidden], atol=2e-3)


def test_a_net_that_has_learned_nothing_gives_the_gaussian_mean(scene):
    """Observed residuals come back, the rest is the Gaussian answer; blind, it is the background itself."""
    net = Denoiser(SHAPE[0], 2, (8,)).eval()
    x = torch.randn(scene.usual.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        mean, _ = net(x, torch.tensor([0.7, SIGMA_MAX]), scene)
    wanted = gaussian_mean(x, torch.tensor([0.7, 0.7]), scene)[0]
    assert torch.equal(mean[scene.observed], scene.residual[scene.observed])
    there = scene.active[0]
    assert torch.allclose(mean[0][there], wanted[there], atol=1e-5)
    assert not mean[1][scene.active[1]].any()
