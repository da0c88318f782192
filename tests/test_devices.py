"""Where nets compute."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from maps import chl_map, same

import xgapfill
from xgapfill.methods import Background, DctPls, PosteriorMean, Repaint, Vae
from xgapfill.nets import device as devices
from xgapfill.nets.device import computing, device_of, placed
from xgapfill.testing import tiny_weights
from xgapfill.weights import Weights


def lively() -> Weights:
    """Small weights whose last layer says something."""
    tiny = tiny_weights("chl")
    scale = {name: np.ones_like(array) for name, array in tiny.arrays.items() if name.endswith("leave.0.weight")}
    return Weights(tiny.card, {**tiny.arrays, **scale})


def test_what_is_asked_for_comes_first(monkeypatch):
    """The method, then the environment, then CUDA where it is present; others compute on the processor."""
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    for present in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda present=present: present)
        assert device_of(PosteriorMean()) == device_of(Repaint(device="auto")) == ("cuda" if present else "cpu")
        assert device_of(PosteriorMean("cpu")) == "cpu"
        assert device_of(DctPls()) == "cpu"
    assert device_of(PosteriorMean("cuda:1")) == "cuda:1"
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert device_of(Repaint()) == "cpu"
    assert device_of(Repaint(device="cuda")) == "cuda"


def test_devices_that_are_not_there_are_refused(monkeypatch):
    """The error says what was asked for and what to do."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no CUDA device; use 'cpu'"):
        device_of(PosteriorMean("cuda"))
    with pytest.raises(ValueError, match="found 'gpu'"):
        device_of(PosteriorMean("gpu"))
    with pytest.raises(ValueError, match="'float32' or 'bfloat16', found 'half'"):
        Repaint(precision="half")


@pytest.mark.parametrize("verb", ["background", "posterior_mean", "repaint"])
def test_everything_is_brought_to_the_device(monkeypatch, verb):
    """The way of a GPU gone with the processor as the device: the same bits, and switches are as they were."""
    chl, given = chl_map((2, 10, 12)), {} if verb == "background" else {"weights": lively()}
    fill = getattr(xgapfill, verb)
    expected = fill(chl, **given).compute()
    asked = []
    monkeypatch.setattr(devices, "device_of", lambda method: asked.append(method.device) or "cpu:0")
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    assert same(fill(chl, device="cuda", **given).compute(), expected)
    assert set(asked) == {"cuda"}
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
    with computing(PosteriorMean()):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("method", ["posterior_mean", "repaint"])
def test_bfloat16_is_near_float32(method):
    """Asked for by name, it changes values a little, and keeps what was observed."""
    chl, weights = chl_map((2, 10, 12)), lively()
    full, short = (chl.gapfill.fill(method, weights=weights, precision=p).compute() for p in ("float32", "bfloat16"))
    assert not same(full, short)
    assert float(abs(np.log10(short) - np.log10(full)).max()) < 0.05
    assert same(short.where(chl.notnull()), chl)


@pytest.mark.gpu
@pytest.mark.parametrize("method", [Background, PosteriorMean, Repaint])
def test_cuda_agrees_with_the_processor(method):
    """The shipped net on both: 99.9 % of the pixels within 1e-3 in log10, same noise."""
    chl = chl_map((5, 80, 96))
    results = [np.log10(chl.gapfill.fill(method(device=device)).compute().values) for device in ("cpu", "cuda")]
    assert np.quantile(abs(results[0] - results[1]), 0.999) < 1e-3


def test_settings_come_between_the_method_and_the_environment(monkeypatch):
    """What `set_options` says counts where the method says nothing, and travels with a result that is yet to come."""
    monkeypatch.setenv(devices.VARIABLE, "cuda:3")
    with xgapfill.set_options(device="cpu"):
        assert device_of(Repaint()) == "cpu"
        assert placed(PosteriorMean()) == PosteriorMean("cpu")
        assert placed(PosteriorMean("cuda")) == PosteriorMean("cuda")
        lazy = chl_map((2, 10, 12)).gapfill.fill("background")
    assert placed(PosteriorMean()) == PosteriorMean()
    lazy.compute()  # on the processor, though the environment says otherwise by now
    monkeypatch.setenv(devices.VARIABLE, "gpu")
    with pytest.raises(ValueError, match=r"XGAPFILL_DEVICE must be .* found 'gpu'"):
        chl_map((2, 10, 12)).gapfill.fill("background")


@pytest.mark.parametrize(
    "make", [lambda d: Background(device=d), PosteriorMean, lambda d: Repaint(device=d), lambda d: Vae(device=d)]
)
@pytest.mark.parametrize("device", ["gpu", "cuda:", "CPU", 3, "cuda:one"])
def test_words_that_name_no_device_are_refused_at_the_call(make, device):
    """The method is not even made, and the message lists what there is; settings refuse them as well."""
    with pytest.raises(ValueError, match=r"'auto', 'cpu', 'cuda' or 'cuda:<number>', or None; found"):
        make(device)
    with pytest.raises(ValueError, match="device must be"):
        xgapfill.set_options(device=device)


@pytest.mark.parametrize("schedule", [5, 0.3, [1, 2], ["ab"], [(1, 2, 3)], [("a", 0)], {"fast": 1}])
def test_schedules_that_are_none_are_refused_at_the_call(schedule):
    """The message says what a schedule is."""
    with pytest.raises(TypeError, match=r"schedule must be 'fast', 'paper' or a list of steps.*found"):
        Repaint(schedule)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("vae", {"proposals": "many"}),
        ("vae", {"proposals": 2.0}),
        ("repaint", {"precision": 16}),
        ("repaint", {"schedule": "quick"}),
        ("dctpls", {"smoothing": "auto"}),
        ("dctpls", {"time_weight": float("nan")}),
        ("dctpls", {"smoothing": True}),
        ("dineof", {"tolerance": "small"}),
        ("dineof", {"alpha": float("nan")}),
        ("dineof", {"seed": -1}),
        ("dineof", {"modes": 99}),
        ("interpolate", {"frame_km": "far"}),
        ("kriging", {"neighbours": 2.5}),
        ("som", {"rows": 2.0}),
        ("som", {"linear": 1}),
        ("climatology", {"by": ["year"]}),
        ("regression", {"relation": ["fitted"]}),
    ],
)
def test_parameters_of_methods_are_checked_at_the_call(method, wrong):
    """Of the wrong kind or out of range: a ValueError that names the parameter and what was found."""
    ((name, value),) = wrong.items()
    chl = chl_map((4, 10, 12))
    with pytest.raises(ValueError, match=rf"{name} must be .*found .*{re.escape(str(value).strip('[]'))}"):
        chl.gapfill.fill(method, **wrong)
