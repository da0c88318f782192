"""Variants of the network and its training, all trained for the same number of steps, on the validation set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from xgapfill.gaussian import priors as prior_file
from xgapfill.methods.base import BATCH
from xgapfill.nets import losses as loss_module
from xgapfill.nets.denoiser import Denoiser
from xgapfill.nets.losses import DENOISING
from xgapfill.nets.objective import Objective
from xgapfill.nets.scene import Scene, gaussian_mean
from xgapfill.training import fit, loop, mixtures
from xgapfill.training.__main__ import weights_of
from xgapfill.training.calibrate import Factors, collect, drawn
from xgapfill.training.loop import Settings, Trainer, Window, collate, prepare
from xgapfill.training.mixtures import Mixture, mixture
from xgapfill.training.models import MODELS
from xgapfill.training.samples import Sample

# Smaller than the shipped network, so that it trains in minutes.
BASE: Mapping[str, Any] = {"widths": (16, 32, 48, 64), "batch": 4, "fresh": 1, "pool": 384}
BATCHES = 24  # of the validation set
SIGMAS = (0.3, 1.0, 3.0)

Loss = Callable[[Denoiser, Tensor, Tensor, Scene, torch.Generator], Tensor]


class Variant(NamedTuple):
    """Differences from the base."""

    name: str
    settings: Mapping[str, Any] = {}
    constants: tuple[tuple[ModuleType, str, Any], ...] = ()
    loss: Loss = DENOISING.score
    decay: float = 1e-4


def by_size(net: Denoiser, truth: Tensor, hidden: Tensor, scene: Scene, generator: torch.Generator) -> Tensor:
    """The loss with pixels weighted by the background's error variance, as in errors of maps."""
    size = (2 * scene.maps[:, :, :, 0]).exp()
    size = size / (size * hidden).sum() * hidden.sum()
    return DENOISING.score(net, truth, hidden * size, scene, generator)


def transposing(windows: list[Window], objective: Objective, rng: np.random.Generator) -> Window:
    """A batch with rows and columns exchanged in half of the windows."""
    batch = collate(windows, objective, rng)
    chosen = torch.from_numpy(rng.random(len(windows)) < 0.5)

    def turned(part: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (part.ndim - 1)), part.transpose(-1, -2), part)

    numbers = batch.pop("numbers")
    swapped = torch.where(chosen[:, None], numbers[:, [0, 1, 2, 3, 4, 6, 5]], numbers)
    return {name: turned(part) for name, part in batch.items()} | {"numbers": swapped}


VARIANTS = (
    Variant("half as wide as the shipped net"),
    Variant("a quarter as wide", {"widths": (8, 16, 24, 32)}),
    Variant("three resolutions", {"widths": (16, 32, 48)}),
    Variant("real series alone", constants=((mixtures, "REAL_SHARE", 1.0),)),
    Variant("simulated ocean alone", constants=((mixtures, "REAL_SHARE", 0.0),)),
    Variant("windows transposed as well", constants=((loop, "collate", transposing),)),
    Variant("rate a third as high", {"rate": 4e-4}),
    Variant("rate two and a half times as high", {"rate": 3e-3}),
    Variant("loss weighted by the error's size", loss=by_size),
    Variant("one pass alone", constants=((loss_module, "BLIND_SHARE", 1.0),)),
    Variant("weights decay a thousand times as fast", decay=0.1),
)


def run(folder: Path, cache: Path, name: str = "chl", steps: int = 2000) -> None:
    """Train every variant and print its errors as shares of those of the background and the Gaussian field."""
    torch.set_num_threads(1)
    choose = mixture(name, folder, cache, part="choose")
    batches = list(drawn(choose, BATCHES, 0))
    print(
        f"{name}: {steps} steps from scratch, then {BATCH * BATCHES} windows of the validation set; shares of the error"
    )
    print(f"{'':40}{'one pass':^16}" + f"{'denoising at sigma':^24}")
    print(f"{'':40}{'rmse':>8}{'crps':>8}" + "".join(f"{sigma:8g}" for sigma in SIGMAS) + f"{'s/step':>10}")
    for variant in VARIANTS:
        trainer, seconds = trained(variant, mixture(name, folder, cache), steps)
        shares = [*one_pass(trainer, name, batches), *(denoising(trainer, choose, batches, s) for s in SIGMAS)]
        print(f"{variant.name:40}" + "".join(f"{share:8.4f}" for share in shares) + f"{seconds:10.2f}", flush=True)


def trained(variant: Variant, made: Mixture, steps: int) -> tuple[Trainer, float]:
    """A network after `steps` steps, and the core-seconds per step."""
    channels = made.targets + made.conditions
    priors = {channel: prior_file.shipped()[channel] for channel in channels}
    objective = replace(DENOISING, score=variant.loss)
    trainer = Trainer(made, priors, Settings(**{**BASE, **variant.settings}), "cpu", objective)
    for group in trainer.optimiser.param_groups:
        group["weight_decay"] = variant.decay
    with ExitStack() as changed:
        for module, name, value in variant.constants:
            changed.enter_context(patch.object(module, name, value))
        trainer.advance(1.0)  # fills the pool
        start = time.process_time()
        for step in range(1, steps):
            trainer.advance(min(1.0, (1 - step / steps) / trainer.settings.cooling))
        seconds = (time.process_time() - start) / (steps - 1)
    trainer.net.load_state_dict(trainer.average)
    trainer.net.eval()
    return trainer, seconds


def one_pass(trainer: Trainer, name: str, batches: list[list[Sample]]) -> tuple[float, float]:
    """Ratios of RMSE and CRPS of the posterior mean, with its best factors, to the background, mean over channels."""
    weights = weights_of(trainer, name)
    hidden = collect(batches, weights, MODELS["diffusion"].estimate, None, 0, 0)
    crps, rmse = fit.ratios(Factors.best(hidden).on(hidden), fit.of_background(hidden))
    return rmse, crps


@torch.no_grad()
def denoising(trainer: Trainer, choose: Mixture, batches: list[list[Sample]], sigma: float) -> float:
    """Ratio of the RMS error of denoised residuals at a noise level to that of the Gaussian posterior mean."""
    ours = base = 0.0
    for number, samples in enumerate(batches):
        windows = prepare(samples, choose, trainer.priors, "cpu")
        batch = collate(windows, DENOISING, np.random.default_rng(number))
        truth, hidden = batch.pop("truth"), batch.pop("hidden")
        scene = Scene(**batch)
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(number))
        level = torch.full((len(samples),), sigma)
        x = truth + sigma * noise
        mean, _ = trainer.net(x, level, scene)
        gaussian = gaussian_mean(x, level, scene)
        ours += float(((mean - truth) ** 2)[hidden].sum())
        base += float(((gaussian - truth) ** 2)[hidden].sum())
    return (ours / base) ** 0.5
