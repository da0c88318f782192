"""Weights of networks that users give: of the method's kind, whole, and sensible, or refused at the call."""

from __future__ import annotations

import resource
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from maps import chl_map

import xgapfill
from xgapfill.nets.ready import net_of
from xgapfill.testing import tiny_weights
from xgapfill.weights import Weights

CHL = chl_map((2, 10, 12))


def with_card(weights: Weights, **changes) -> Weights:
    return Weights(replace(weights.card, **changes), weights.arrays)


def network(**changes) -> Weights:
    """Weights whose card describes another network."""
    tiny = tiny_weights("chl")
    return with_card(tiny, network={**tiny.card.network, **changes})


def background(**changes) -> Weights:
    """Weights whose card describes another background."""
    tiny = tiny_weights("chl")
    return with_card(tiny, background={"log10_chl": {**tiny.card.background["log10_chl"], **changes}})


def arrays(**changes) -> Weights:
    """Weights with other arrays."""
    tiny = tiny_weights("chl")
    return Weights(tiny.card, {**tiny.arrays, **changes})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda: tiny_weights("chl-vae"), "of kind 'diffusion', found 'tiny-chl-vae' of kind 'vae'"),
        (
            lambda: network(widths=(8, 4096)),
            "does not fit their arrays: expected 'net.down.1.0.conv1.bias' .4096,., found .16,.",
        ),
        (lambda: network(widths=(4096,) * 16), "does not fit their arrays"),
        (lambda: network(frames=7), "the network .*'frames': 7.* does not fit their arrays"),
        (lambda: with_card(tiny_weights("chl"), network={}), "the network {} .*cannot be built: KeyError: 'frames'"),
        (lambda: arrays(more=np.zeros(3, "f4")), "expected 'more' absent, found .3,."),
        (lambda: arrays(**{"net.enter.bias": np.zeros(9, "f4")}), "expected 'net.enter.bias' .8,., found .9,."),
        (lambda: arrays(**{"net.enter.bias": np.full(8, 1e6, "f4")}), "array 'net.enter.bias' has numbers up to 1e.06"),
        (lambda: arrays(**{"net.enter.bias": np.full(8, np.nan, "f4")}), "array 'net.enter.bias' has 8 of 8 numbers"),
        (lambda: background(variance=-1.0), "log10_chl: variance .* must be 1 positive numbers.*found -1.0"),
        (lambda: background(covariance=(1.0, 2.0)), "log10_chl: covariance .* must be 8 positive numbers"),
        (lambda: background(error=(1e15, 0.0, 0.0, 0.0)), "log10_chl: error .* must be 4 numbers up to 1e.12"),
        (lambda: background(belief="often"), "log10_chl: could not convert"),
        (lambda: with_card(tiny_weights("chl"), background={}), "has no background for log10_chl"),
    ],
)
def test_wrong_weights_are_refused_at_the_call(weights, message):
    """The message names the weights and what is wrong with them."""
    with pytest.raises(ValueError, match=message):
        CHL.gapfill.fill("posterior_mean", weights=weights())


def test_weights_of_fitted_methods_are_told_apart():
    """EOFs are no map of Kohonen's, and a network is neither."""
    for given in (tiny_weights("chl"), xgapfill.fit(chl_map((4, 10, 12)), "dineof", modes=2)):
        with pytest.raises(ValueError, match="som needs weights of its own fit"):
            CHL.gapfill.fill("som", weights=given)


def test_a_card_of_absurd_size_takes_neither_memory_nor_time():
    """The largest network that a card may describe, petabytes of it, is refused at once."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="does not fit their arrays"):
        CHL.gapfill.fill("posterior_mean", weights=network(widths=(4096,) * 16))
    assert time.monotonic() - begin < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # kB


def test_a_network_is_built_without_random_numbers():
    """Its parameters are the arrays, and the generator of torch stands where it stood."""
    weights = tiny_weights("psc-chl")
    net_of.cache_clear()
    before = torch.get_rng_state()
    from xgapfill.nets.denoiser import Denoiser

    net = net_of(weights, Denoiser.of)
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: tuple(p.shape) for name, p in net.state_dict().items()} == {
        name: array.shape for name, array in weights.arrays.items()
    }
    assert all(torch.equal(p, torch.from_numpy(weights.arrays[name])) for name, p in net.state_dict().items())
