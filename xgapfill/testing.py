"""Help for tests of this package and of packages that add methods."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian import priors
from xgapfill.lattice.windows import Windows
from xgapfill.methods.base import NetMethod
from xgapfill.methods.registry import find
from xgapfill.variables.registry import filling
from xgapfill.weights import Card, Weights

_CONDITIONS: dict[str, tuple[str, ...]] = {"psc-chl": ("log10_chl",), "chl": ()}


def windows(
    values: NDArray, channels: tuple[str, ...] = ("log10_chl",), observed: NDArray[np.bool_] | None = None, **given: Any
) -> Windows:
    """Space-time tiles (windows) with these values; by default all sea, 45 N, 30 W, steps of 8 days and 4.6 km.

    Parameters
    ----------
    values : (b, t, c, y, x) float
        NaN where missing, if `observed` is not given.
    channels : tuple of str
        Targets, then chlorophyll if it is the predictor; else give ``targets``.
    observed : (b, t, c, y, x) bool, optional
    **given
        Other attributes of `xgapfill.methods.Windows`.

    Examples
    --------
    >>> windows(np.zeros((4, 5, 1, 8, 8))).targets
    1
    """
    if observed is None:
        observed = np.isfinite(values)
    b, t, _, y, x = values.shape
    usual: dict[str, Any] = {
        "sea": np.ones((b, y, x), bool),
        "targets": len(channels) - ("log10_chl" in channels[1:]),
        "starts": np.zeros((b, 3), np.int64),
        "lat": np.full((b, y), 45, np.float32),
        "lon": np.full((b, x), 330, np.float32),
        "season": np.zeros((b, t, 2), np.float32),
        "step_days": 8.0,
        "step_km": np.full((b, 2), 4.6, np.float32),
    }
    shown = np.where(observed, values, 0).astype(np.float32)
    return Windows(values=shown, observed=observed, channels=channels, **(usual | given))


@cache
def tiny_weights(name: str) -> Weights:
    """Small untrained weights with the structure of the shipped ones: fast, and the same on every call.

    Parameters
    ----------
    name : "psc-chl" or "chl", or these with the name of another method with a net: "chl-vae", "chl-dincae"

    Examples
    --------
    >>> tiny_weights("chl").card.targets
    ('log10_chl',)
    """
    from xgapfill.nets.scene import SIGMA_MAX

    shipped, _, verb = (name, "", "repaint") if name in _CONDITIONS else name.rpartition("-")
    method = find(verb)
    assert isinstance(method, NetMethod)
    conditions, targets = _CONDITIONS[shipped], filling(shipped).channels
    channels = targets + conditions
    objective = method.objective()
    network = objective.shape(targets, conditions, (8, 16), None)
    card = Card(
        name=f"tiny-{name}",
        method=method.model,
        targets=targets,
        conditions=conditions,
        network=network,
        background=priors.to_mapping({c: priors.shipped()[c] for c in channels}),
        ranges=dict.fromkeys(channels, (-6.0, 6.0)),
        sigma_max=SIGMA_MAX,
        trained_on="nothing",
        licence="BSD-3-Clause",
    )
    shapes = {n: p.shape for n, p in objective.network(network).state_dict().items()}
    rng = np.random.default_rng(0)
    arrays = {}
    for parameter, shape in shapes.items():
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        scale = 0.7 / fan**0.5 if fan else 0.0
        start = 1.0 if "norm" in parameter and parameter.endswith(("weight", "running_var")) else 0.0
        arrays[parameter] = (start + scale * rng.standard_normal(tuple(shape))).astype(np.float32)
    return Weights(card, arrays)
