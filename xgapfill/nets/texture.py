"""Conditional simulations of the background's Gaussian field: small-scale variability that latents do not resolve."""

from __future__ import annotations

import torch
from torch import Tensor

from xgapfill.gaussian.spectral import complete, same_everywhere, to_field, to_modes
from xgapfill.nets.scene import ITERATIONS, Scene, UnsureScene


@torch.no_grad()
def gaussian_departure(scene: Scene, field: Tensor, errors: Tensor | None = None) -> Tensor:
    """A draw of the field minus its conditional mean, in units of `scene.usual`: 0 at observed pixels.

    An unconditional draw is reconstructed from its own values at the observed pixels, and the reconstruction is
    subtracted from it: exact for a Gaussian field (conditioning by kriging, Journel & Huijbregts 1978, Mining
    Geostatistics).

    Parameters
    ----------
    field : (b, t, c, y, x) standard normal; coloured locally, so that overlapping windows with the same numbers have
        nearly the same field in the overlap
    errors : (b, t, c, y, x) standard normal, for observations with errors; needed if the scene has any
    """
    with torch.autocast(field.device.type, enabled=False):
        spectrum, observed = scene.spectrum.transpose(1, 2), scene.observed.transpose(1, 2)
        drawn = to_field(spectrum.sqrt() * to_modes(field.transpose(1, 2)))
        told, precision = drawn, torch.zeros_like(drawn)
        if isinstance(scene, UnsureScene) and errors is not None:
            precision = scene.precision.transpose(1, 2)
            told = drawn + torch.where(precision > 0, errors.transpose(1, 2) / precision.sqrt(), 0.0)
            told = torch.where(observed, drawn, told)
        usual = scene.usual.transpose(1, 2) ** 2
        departure = drawn - complete(told, precision, observed, spectrum, usual, ITERATIONS)
        return (same_everywhere(spectrum) * departure).transpose(1, 2) / scene.usual
