"""Fit the background's priors by gradient descent through its own solver, on hidden pixels of the training windows."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xgapfill.methods.background import SCALES, Guess, first_guess
from xgapfill.methods.priors import Prior, from_mapping, to_mapping
from xgapfill.training.mixtures import Mixture, mixture
from xgapfill.training.samples import Sample

BATCH = 8
LEARNING_RATE = 0.04
HUBER = 1.0  # in standard deviations of the channel
# Three structures: slow and large, quick, small.
START = {"l1": 180.0, "t1": 55.0, "p1": 1.6, "l2": 250.0, "t2": 5.0, "p2": 1.3, "l3": 12.0, "t3": 8.0, "p3": 2.0}
START |= {"noise": 0.06}
ROUGHNESS = 0.5
CLIMATE = {"log10_chl": (-0.3, 0.2), "psc_ilr1": (-0.9, 1.2), "psc_ilr2": (0.1, 0.6), "sst": (0.0, 1.0)}


def fit_priors(name: str, minutes: float, data: Path | None, cache: Path, out: Path, seed: int = 0) -> dict[str, Prior]:
    """Fit the priors of the targets of a mixture and put them into the JSON file `out`, beside what it holds."""
    made = mixture(name, data, cache)
    held: dict[str, Prior] = from_mapping(json.loads(out.read_text())) if out.exists() else {}
    free = {channel: _start(held.get(channel), made.conditions) for channel in made.targets}
    optimiser = torch.optim.Adam([p for table in free.values() for p in table.values()], lr=LEARNING_RATE)
    rng = np.random.default_rng([seed, 5])
    end, step = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        samples = [made.draw(rng) for _ in range(BATCH)]
        priors = held | {channel: _prior(channel, table) for channel, table in free.items()}
        loss = torch.stack([_loss(sample, made, priors) for sample in samples]).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for table in free.values() for p in table.values()], 1.0)
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * max(0.05, min(1.0, 2 * (end - time.monotonic()) / (60 * minutes)))
        optimiser.step()
        step += 1
        if step % 25 == 0:
            print(
                step, {c: {k: np.round(v.detach().numpy(), 3).tolist() for k, v in t.items()} for c, t in free.items()}
            )
    fitted = held | {channel: _numbers(_prior(channel, table)) for channel, table in free.items()}
    out.write_text(json.dumps(to_mapping(fitted), indent=1) + "\n")
    return fitted


def guess_of(sample: Sample, made: Mixture, priors: Mapping[str, Prior]) -> Guess:
    """The background of one training window."""
    return first_guess(
        torch.from_numpy(np.where(sample.seen, sample.values, 0))[None],
        torch.from_numpy(sample.seen.astype(np.float32))[None],
        sample.step_days,
        torch.from_numpy(sample.step_km)[None],
        made.targets + made.conditions,
        len(made.targets),
        priors,
    )


def _loss(sample: Sample, made: Mixture, priors: Mapping[str, Prior]) -> Tensor:
    """Robust error of the mean, and the likelihood of its size with the mean held fixed."""
    guess = guess_of(sample, made, priors)
    n = len(made.targets)
    hidden = torch.from_numpy(sample.known & ~sample.seen)[None, :, :n]
    if not hidden.any():
        return torch.zeros((), requires_grad=True)
    scale = torch.tensor([CLIMATE[c][1] ** 0.5 for c in made.targets]).view(1, 1, -1, 1, 1)
    error = ((guess.mean[:, :, :n] - torch.from_numpy(sample.values)[None, :, :n]) / scale)[hidden]
    width = (guess.error[:, :, :n] / scale)[hidden]
    likelihood = width.log() + 0.5 * (error.detach().clamp(-3, 3) / width) ** 2
    # Divided by the error's own size: far pixels, whose errors are largest, must not decide alone.
    robust = torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=HUBER, reduction="none")
    return (robust / width.detach()).mean() * 8 + likelihood.mean()


def _start(prior: Prior | None, conditions: tuple[str, ...]) -> dict[str, Tensor]:
    """Free parameters of a channel: logarithms of positive numbers and of shares."""
    values: dict[str, list[float] | float] = {k: math.log(v) for k, v in START.items()} | {"shares": [1.5, 0.0, -0.5]}
    values["error"] = [0.0] + [-0.3] * len(SCALES) + [0.3]
    values["regression"] = [0.0] * (2 * len(conditions))
    values["roughness"] = ROUGHNESS
    if prior is not None:
        for k, (_, length, days, power) in enumerate(prior.structures, 1):
            values |= {f"l{k}": math.log(length), f"t{k}": math.log(days), f"p{k}": math.log(power)}
        shares = [math.log(share) for share, _, _, _ in prior.structures]
        values |= {"shares": shares, "noise": math.log(prior.noise), "error": list(prior.error)}
        values["roughness"] = prior.roughness
        values["regression"] = [b for name in conditions for b in prior.regression.get(name, (0.0, 0.0))]
    names = list(conditions)
    table = {k: torch.tensor(v, requires_grad=True) for k, v in values.items()}
    if not names:
        del table["regression"]
    return table


def _prior(channel: str, table: Mapping[str, Tensor]) -> Prior:
    """A Prior of tensors, so that gradients pass through the background."""
    mean, variance = CLIMATE[channel]
    structures = tuple(
        (share, table[f"l{k}"].exp(), table[f"t{k}"].exp(), table[f"p{k}"].exp())
        for k, share in enumerate(torch.softmax(table["shares"], dim=0), 1)
    )
    regression = {}
    if "regression" in table:
        regression = {"log10_chl": (table["regression"][0], table["regression"][1])}
    noise = table["noise"].exp()
    return Prior(mean, variance, structures, noise, table["roughness"], tuple(table["error"]), regression)  # type: ignore[arg-type]


def _numbers(prior: Prior) -> Prior:
    """The same with plain numbers, rounded to what matters."""

    def plain(value: object) -> float:
        return float(f"{float(value):.5g}")  # type: ignore[arg-type]

    return Prior(
        prior.mean,
        prior.variance,
        tuple(tuple(plain(v) for v in s) for s in prior.structures),  # type: ignore[misc]
        plain(prior.noise),
        plain(prior.roughness),
        tuple(plain(v) for v in prior.error),
        {name: (plain(b[0]), plain(b[1])) for name, b in prior.regression.items()},
    )
