"""Help for tests, ours and those of packages that add methods."""

from __future__ import annotations

from functools import cache

import numpy as np

from xgapfill.methods import priors
from xgapfill.methods.denoising import SHIPPED
from xgapfill.weights import Card, Weights

_CONDITIONS: dict[str, tuple[str, ...]] = {"psc-chl": ("log10_chl",), "chl": ()}


@cache
def tiny_weights(name: str) -> Weights:
    """Small untrained weights of the shape of the shipped ones: quick, and the same on every call.

    Parameters
    ----------
    name : "psc-chl" or "chl"

    Examples
    --------
    >>> tiny_weights("chl").card.targets
    ('log10_chl',)
    """
    from xgapfill.diffusion.denoiser import SIGMA_MAX, Denoiser

    targets = next(t for t, shipped in SHIPPED.items() if shipped == name)
    channels = targets + _CONDITIONS[name]
    network = {"frames": 5, "channels": len(channels), "widths": (8, 16)}
    card = Card(
        name=f"tiny-{name}",
        method="diffusion",
        targets=targets,
        conditions=_CONDITIONS[name],
        network=network,
        background=priors.to_mapping({c: priors.shipped()[c] for c in channels}),
        ranges=dict.fromkeys(channels, (-6.0, 6.0)),
        sigma_max=SIGMA_MAX,
        trained_on="nothing",
        licence="BSD-3-Clause",
    )
    shapes = {n: p.shape for n, p in Denoiser.of(network).state_dict().items()}
    rng = np.random.default_rng(0)
    arrays = {}
    for parameter, shape in shapes.items():
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        scale = 0.7 / fan**0.5 if fan else 0.0
        start = 1.0 if "norm" in parameter and parameter.endswith("weight") else 0.0
        arrays[parameter] = (start + scale * rng.standard_normal(tuple(shape))).astype(np.float32)
    return Weights(card, arrays)
