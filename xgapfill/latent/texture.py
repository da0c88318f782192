"""Draws of the Gaussian field behind the background, given what was seen: the texture of what latents leave open."""

from __future__ import annotations

import torch
from torch import Tensor

from xgapfill.diffusion.denoiser import ITERATIONS, NUGGET, WIDER, Scene
from xgapfill.methods.spectral import cosine_basis, solve, to_field, to_modes


@torch.no_grad()
def gaussian_departure(scene: Scene, field: Tensor, pixels: Tensor) -> Tensor:
    """A draw of the field minus its conditional mean, observation noise of its own included, in units of `scene.error`.

    Perturb and solve: a draw of the unconditioned field is observed with noise as the real one was, and what the solver
    makes of these observations is taken away. Exact for a Gaussian field (Papandreou & Yuille 2010; in geostatistics
    conditioning by kriging, Journel & Huijbregts 1978, Mining Geostatistics).

    Parameters
    ----------
    field, pixels : (b, t, c, y, x) standard normal; the field is the first one coloured in its own place, so that
        windows with the same numbers where they overlap have nearly the same field there
    """
    with torch.autocast(field.device.type, enabled=False):
        spectrum = WIDER * scene.spectrum.transpose(1, 2)
        noise = WIDER * scene.noise
        level = _level(spectrum)
        drawn = to_field(spectrum.sqrt() * to_modes(field.transpose(1, 2)))
        weight = (scene.seen / noise).transpose(1, 2) * level**2
        observed = drawn + (noise.sqrt() * pixels).transpose(1, 2) / level
        departure = level * (drawn - solve(observed, weight, spectrum, ITERATIONS))
        return (departure.transpose(1, 2) + (NUGGET * scene.noise).sqrt() * pixels) / scene.error


def _level(spectrum: Tensor) -> Tensor:
    """What a field with these mode variances is multiplied by to vary alike everywhere.

    Cosine modes vary twice as much at the ends of a window; where windows are blended, that would show.
    """
    t, y, x = (cosine_basis(n).to(spectrum.device) ** 2 for n in spectrum.shape[-3:])
    variance = torch.matmul(t.T, spectrum.flatten(-2)).unflatten(-1, spectrum.shape[-2:])
    variance = torch.matmul(torch.matmul(y.T, variance), x)
    return (variance.mean(dim=(-3, -2, -1), keepdim=True) / variance).sqrt()
