"""A net as posterior mean: what it is shown of a window, and its preconditioning.

The preconditioning is that of Karras et al. (2022), arXiv:2206.00364, with one change: in place of the share of the
noisy field that they pass on (c_skip x, the answer for white data) stands the answer for the Gaussian field behind the
background. The net learns what is left, and a net that has learned nothing yet draws that field's exact samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from xgapfill.methods.background import Guess
from xgapfill.methods.spectral import complete
from xgapfill.nets.unet import UNet

SIGMA_MAX = 20.0  # data have unit variance: nothing of them is left, the net is shown zeros
SIGMA_MIN = 0.02
CLIP = 8.0  # standardised residuals beyond are outliers of the observations
MAPS_PER_CHANNEL = 6
NUMBERS = 8
ITERATIONS = 8  # of the Gaussian answer


@dataclass(frozen=True)
class Scene:
    """What a net is shown of a batch of windows besides the noisy field: made once for all members and calls.

    Attributes
    ----------
    residual : (b, t, c, y, x) standardised residuals where seen, else 0
    seen, active : (b, t, c, y, x) bool; active places are to be filled, others (land, never seen) are left out
    maps : (b, t, c, 3, y, x) error estimate, background, density of observations
    sea : (b, 1, y, x)
    numbers : (b, NUMBERS - 1) season, latitude, steps
    held : (b, t, c, y, x) departures from the trend where seen, else what the background says of them
    usual : (b, t, c, y, x) a residual r stands for the departure held + usual r of the Gaussian field
    spectrum : (b, t, c, y, x) variances of its cosine modes, noise and all
    """

    residual: Tensor
    seen: Tensor
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
    """A scene with observations that are not among the seen, for they err more.

    Attributes
    ----------
    precision : (b, t, c, y, x) one over the variance of their errors, 0 where there are none
    told : (b, t, c, y, x) their departures from the trend
    """

    precision: Tensor
    told: Tensor


def scene(
    values: Tensor,
    seen: Tensor,
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
    """Standardise a window for the net.

    Parameters
    ----------
    values, seen, active : (b, t, c, y, x)
    sea : (b, y, x) bool
    guess : the background
    lat : (b, y); season : (b, t, 2); step_days : (b,); step_km : (b, 2)
    centre, scale : (c,) usual mean and standard deviation of each channel
    precision : (b, t, c, y, x) of values that are not among the seen, see `background.weighed`
    """
    residual = torch.where(seen, (values - guess.mean) / guess.error, 0.0).clamp(-CLIP, CLIP)
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
    numbers = torch.stack(
        [
            *season[:, season.shape[1] // 2].unbind(-1),
            middle,
            middle.abs(),
            (step_days / 8.0).log(),
            *(step_km / 4.6).log().unbind(-1),
        ],
        dim=1,
    )
    parts = (
        residual,
        seen,
        active,
        maps,
        sea[:, None].float(),
        numbers,
        torch.where(seen, values, guess.mean) - guess.trend,
        guess.usual,
        guess.spectrum,
    )
    return Scene(*parts) if precision is None else UnsureScene(*parts, precision, values - guess.trend)


@torch.no_grad()
def gaussian_mean(x: Tensor, sigma: Tensor, scene: Scene) -> Tensor:
    """Mean of the residuals, were the field Gaussian: what was seen is the field, the noisy field an observation of it.

    Parameters
    ----------
    x : (b, t, c, y, x) noisy residuals where `active`
    sigma : (b,)
    """
    with torch.autocast(x.device.type, enabled=False):
        values = torch.where(scene.seen, scene.held, scene.held + scene.usual * x)
        precision = scene.active / (sigma.view(-1, 1, 1, 1, 1) * scene.usual) ** 2
        if isinstance(scene, UnsureScene):
            precision = precision + scene.precision
            values = values + scene.precision / precision.clamp_min(1e-12) * (scene.told - values)
        known, exactness, seen, spectrum, usual = (
            part.transpose(1, 2) for part in (values, precision, scene.seen, scene.spectrum, scene.usual**2)
        )
        mean = complete(known, exactness, seen, spectrum, usual, ITERATIONS)
        return (mean.transpose(1, 2) - scene.held) / scene.usual


class Denoiser(nn.Module):
    """Posterior mean and log variance of a window's standardised residuals at a noise level.

    Parameters
    ----------
    frames, channels : size of the window's first axes
    widths : feature maps of the U-Net, finest first
    """

    def __init__(self, frames: int, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.frames, self.channels = frames, channels
        fields = frames * channels
        self.net = UNet(fields * MAPS_PER_CHANNEL + 1, 2 * fields, NUMBERS, widths)

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> Denoiser:
        """From the `network` entry of a card."""
        return cls(int(network["frames"]), int(network["channels"]), tuple(int(w) for w in network["widths"]))

    def forward(self, x: Tensor, sigma: Tensor, scene: Scene) -> tuple[Tensor, Tensor]:
        """Denoise (b, t, c, y, x) noisy residuals at the levels `sigma` (b,); what was seen stays.

        Returns
        -------
        mean, log_variance : (b, t, c, y, x); the variance is that of the mean's error
        """
        sigma = sigma.clamp(SIGMA_MIN, SIGMA_MAX).view(-1, 1, 1, 1, 1)
        blind = sigma >= SIGMA_MAX
        base = torch.zeros_like(x)
        told = ~blind.flatten()
        if told.all():
            base = gaussian_mean(x, sigma, scene)
        elif told.any():
            base[told] = gaussian_mean(x[told], sigma.flatten()[told], scene.of(told))
        level = (sigma / SIGMA_MIN).log() / math.log(SIGMA_MAX / SIGMA_MIN)
        x = torch.where(blind | ~scene.active, 0.0, x)
        c_skip = 1.0 / (sigma**2 + 1.0)
        c_out = sigma * c_skip.sqrt()
        shown = torch.where(scene.seen, scene.residual, c_skip.sqrt() * x)
        levels = torch.where(scene.seen, 0.0, torch.where(scene.active, level, 1.0))
        maps = torch.cat([torch.stack([shown, levels, base], dim=3), scene.maps], dim=3).flatten(1, 3)
        numbers = torch.cat([level.view(-1, 1), scene.numbers], dim=1)
        maps = torch.cat([maps, scene.sea], dim=1).contiguous(memory_format=torch.channels_last)
        out = self.net(maps, numbers).float().unflatten(1, (self.frames, 2, self.channels))
        mean = base + c_out * out[:, :, 0]
        return torch.where(scene.seen, scene.residual, mean), out[:, :, 1].clamp(-6.0, 4.0)
