"""Input of a network for a batch of windows, and the Gaussian posterior mean that it refines."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from xgapfill.gaussian.background import Guess, in_pixels
from xgapfill.gaussian.spectral import complete

SIGMA_MAX = 20.0  # hides data of unit variance completely, so the network gets zeros instead
SIGMA_MIN = 0.02
CLIP = 8.0  # standardised residuals beyond are outliers of the observations
ITERATIONS = 8  # of the Gaussian posterior mean


@dataclass(frozen=True)
class Scene:
    """Input of a network for a batch of windows besides the noisy field: made once for all members and steps.

    Attributes
    ----------
    residual : (b, t, c, y, x) standardised residuals where observed, else 0
    observed, active : (b, t, c, y, x) bool; active pixels are filled, others (land, never observed) are left out
    maps : (b, t, c, 3, y, x) error estimate, background, density of observations
    sea : (b, 1, y, x)
    numbers : (b, NUMBERS - 1) season, latitude, steps
    held : (b, t, c, y, x) anomalies from the trend where observed, else those of the background
    usual : (b, t, c, y, x) scale of residuals: r is the anomaly held + usual r of the Gaussian field
    spectrum : (b, t, c, y, x) variances of its cosine modes, with noise
    """

    residual: Tensor
    observed: Tensor
    active: Tensor
    maps: Tensor
    sea: Tensor
    numbers: Tensor
    held: Tensor
    usual: Tensor
    spectrum: Tensor

    def of(self, chosen: Tensor) -> Scene:
        """Some of the windows."""
        return type(self)(**{part.name: getattr(self, part.name)[chosen] for part in fields(self)})


@dataclass(frozen=True)
class UnsureScene(Scene):
    """A scene with additional observations with errors, which are not among the observed.

    Attributes
    ----------
    precision : (b, t, c, y, x) inverse error variance of these observations, 0 elsewhere
    told : (b, t, c, y, x) their anomalies from the trend
    """

    precision: Tensor
    told: Tensor


def scene(
    values: Tensor,
    observed: Tensor,
    active: Tensor,
    sea: Tensor,
    guess: Guess,
    lat: Tensor,
    season: Tensor,
    step_days: Tensor,
    step_km: Tensor,
    centre: Tensor,
    scale: Tensor,
    precision: Tensor | None = None,
) -> Scene:
    """Standardise windows for the network.

    Parameters
    ----------
    values, observed, active : (b, t, c, y, x)
    sea : (b, y, x) bool
    guess : the background
    lat : (b, y); season : (b, t, 2); step_days : (b,); step_km : (b, 2)
    centre, scale : (c,) prior mean and standard deviation of each channel
    precision : (b, t, c, y, x) of observations with errors, see `background.weighed`
    """
    residual = torch.where(observed, (values - guess.mean) / guess.error, 0.0).clamp(-CLIP, CLIP)
    shape = (1, 1, -1, 1, 1)
    maps = torch.stack(
        [
            (guess.error / scale.view(shape)).log().clamp(-4.0, 2.0),
            ((guess.mean - centre.view(shape)) / scale.view(shape)).clamp(-CLIP, CLIP),
            guess.density / 4.0,
        ],
        dim=3,
    )
    middle = lat[:, lat.shape[1] // 2] / 90.0
    days, km = in_pixels(step_days, step_km)
    numbers = torch.stack(
        [
            *season[:, season.shape[1] // 2].unbind(-1),
            middle,
            middle.abs(),
            (days / 8.0).log(),
            *(km / 4.6).log().unbind(-1),
        ],
        dim=1,
    )
    parts = (
        residual,
        observed,
        active,
        maps,
        sea[:, None].float(),
        numbers,
        torch.where(observed, values, guess.mean) - guess.trend,
        guess.usual,
        guess.spectrum,
    )
    return Scene(*parts) if precision is None else UnsureScene(*parts, precision, values - guess.trend)


@torch.no_grad()
def gaussian_mean(x: Tensor, sigma: Tensor, scene: Scene) -> Tensor:
    """Posterior mean of the residuals of a Gaussian field, given exact observations and the noisy field.

    Parameters
    ----------
    x : (b, t, c, y, x) noisy residuals where `active`
    sigma : (b,)
    """
    with torch.autocast(x.device.type, enabled=False):
        values = torch.where(scene.observed, scene.held, scene.held + scene.usual * x)
        precision = scene.active / (sigma.view(-1, 1, 1, 1, 1) * scene.usual) ** 2
        if isinstance(scene, UnsureScene):
            precision = precision + scene.precision
            values = values + scene.precision / precision.clamp_min(1e-12) * (scene.told - values)
        known, exactness, observed, spectrum, usual = (
            part.transpose(1, 2) for part in (values, precision, scene.observed, scene.spectrum, scene.usual**2)
        )
        mean = complete(known, exactness, observed, spectrum, usual, ITERATIONS)
        return (mean.transpose(1, 2) - scene.held) / scene.usual
