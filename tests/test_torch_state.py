"""Calls leave torch, numpy, warnings and the environment as they found them, and do not depend on how they were."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from maps import chl_map, same

import xgapfill
from xgapfill.gaussian.nearby import _kernel
from xgapfill.gaussian.priors import shipped
from xgapfill.gaussian.spectral import _lags_to_modes, cosine_basis
from xgapfill.methods.som import _mixture
from xgapfill.nets.device import one_thread
from xgapfill.nets.ready import net_of
from xgapfill.testing import tiny_weights
from xgapfill.training.loop import Settings, Trainer
from xgapfill.training.mixtures import Mixture
from xgapfill.training.samples import GapShapes, Series, chlorophyll_sample

WALK = ((1.0, 0.3), (0.3, 0.0))
METHODS = {
    "background": {},
    "posterior_mean": {"weights": tiny_weights("chl")},
    "repaint": {"weights": tiny_weights("chl"), "schedule": WALK},
    "vae": {"weights": tiny_weights("chl-vae"), "proposals": 2},
    "kriging": {},
    "dctpls": {},
    "regression": {},
    "interpolate": {},
    "climatology": {},
    "dineof": {"modes": 2},
    "som": {"rows": 2, "cols": 2, "epochs": 2},
}
every_method = pytest.mark.parametrize("method", METHODS)


def fill(method: str, **more):
    """Fill a small map with the scheduler that computes in this thread."""
    return (
        chl_map((4, 12, 14), lat=40.75).gapfill.fill(method, **METHODS[method], **more).compute(scheduler="synchronous")
    )


@pytest.fixture
def three_threads():
    """Three torch threads, as a user may have set."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def state() -> dict[str, object]:
    """Everything global that a call could change."""
    return {
        "torch rng": torch.get_rng_state().numpy().tobytes(),
        "numpy rng": np.random.get_state()[1].tobytes(),  # noqa: NPY002  (the global state is what is looked at)
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32": (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
        "numpy errors": np.geterr(),
        "print": np.get_printoptions(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
    }


def forget() -> None:
    """Empty what is kept from call to call."""
    for kept in (_kernel, _lags_to_modes, _mixture, cosine_basis, net_of):
        kept.cache_clear()


@every_method
def test_a_fill_changes_no_global_state(method, three_threads):
    """Random generators, threads, switches, warnings and environment are the same after a fill."""
    forget()
    before = state()
    fill(method)
    assert state() == before


@pytest.mark.parametrize(
    "call",
    [
        lambda da: xgapfill.plan(da, "posterior_mean", weights=tiny_weights("chl")),
        lambda da: xgapfill.validate(da, ["background"]),
        lambda da: xgapfill.fit(da, "dineof", modes=2),
        lambda da: xgapfill.weights.load("chl"),
    ],
    ids=["plan", "validate", "fit", "load"],
)
def test_other_verbs_change_no_global_state(call, three_threads):
    """The same of verbs that compute at once."""
    forget()
    series = chl_map((6, 12, 14))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = state()
        call(series)
        assert state() == before


def test_threads_of_others_are_not_touched(three_threads):
    """While one thread computes with one torch thread, threads that are new to torch get as many as ever."""
    with ThreadPoolExecutor(1) as old:
        assert old.submit(torch.get_num_threads).result() == 3
        with one_thread():
            assert torch.get_num_threads() == 1
            assert old.submit(torch.get_num_threads).result() == 3
            with ThreadPoolExecutor(1) as new:
                assert new.submit(torch.get_num_threads).result() == 3
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_many_threads_at_once_end_as_they_began(three_threads):
    """Threads that come and go in any order all end with the number they had, and so do threads after them."""
    found = []

    def work(number: int) -> None:
        for _ in range(20):
            with one_thread():
                found.append(torch.get_num_threads() == 1)
            found.append(torch.get_num_threads() == 3)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(0)
    assert all(found)
    assert len(found) == 7 * 40


@contextlib.contextmanager
def odd_settings():
    """Settings of torch that users may have: elsewhere by default, float64, inference, autocast."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


@every_method
def test_results_do_not_depend_on_settings_of_torch(method):
    """Under another default device and dtype, in inference mode and autocast: the same bits, then and thereafter."""
    forget()
    expected = fill(method)
    forget()
    with odd_settings():
        assert same(fill(method), expected)
    if method == "background":  # all others rest on the same matrices, or on none
        assert same(fill(method), expected)


def train() -> dict[str, torch.Tensor]:
    """Parameters of a small net after a step of training."""
    rng = np.random.default_rng(0)
    field = rng.standard_normal((1, 6, 64, 64)).astype(np.float32).cumsum(axis=3) / 10
    series = Series(field, np.ones((64, 64), bool), np.linspace(40, 43, 64), 1 / 24, np.arange(6) * 8.0, 8.0)
    gaps = GapShapes([rng.random((6, 64, 64)) < 0.5])
    made = Mixture(("log10_chl",), (), lambda r: chlorophyll_sample(r, series, gaps, 0.02), "noise", ())
    settings = Settings(batch=2, pool=2, fresh=2, widths=(8,))
    trainer = Trainer(made, {"log10_chl": shipped()["log10_chl"]}, settings)
    trainer.advance(1.0)
    return trainer.average


def test_training_changes_no_global_state():
    """A net is begun and trained from its own seed."""
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # imports more of torch, which sets things itself
    before = state()
    train()
    assert state() == before


def test_a_net_is_trained_the_same_whatever_came_before():
    """Neither the global generator nor a fill in inference mode changes what a training gives."""
    forget()
    expected = train()
    forget()
    with torch.inference_mode():
        chl_map((1, 12, 14)).gapfill.fill("posterior_mean", weights=tiny_weights("chl")).compute(
            scheduler="synchronous"
        )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        again = train()
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_matrices_are_kept_by_device_and_dtype():
    """Each device and dtype has its own, and none follows the device that is current when it is made."""
    forget()
    with torch.device("meta"):
        assert cosine_basis(7).device.type == "cpu"
        assert _lags_to_modes(7, torch.device("cpu"), torch.float32).device.type == "cpu"
        assert cosine_basis(7, torch.device("meta")).device.type == "meta"
    assert cosine_basis(7).device.type == "cpu"
    assert cosine_basis(7, dtype=torch.float64).dtype == torch.float64
    assert torch.equal(cosine_basis(7, dtype=torch.float64).float(), cosine_basis(7))
    with torch.inference_mode():
        assert not cosine_basis(9).is_inference()
