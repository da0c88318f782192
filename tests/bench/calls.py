"""CRPS of the ways to draw members against their function evaluations, on windows of the validation set."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xgapfill.diffusion.samplers import dpm_solver, heun, repaint
from xgapfill.diffusion.schedule import Move, karras_schedule, repaint_schedule
from xgapfill.lattice.windows import Noise, Windows
from xgapfill.methods import Repaint
from xgapfill.methods.repaint import numbered
from xgapfill.nets.device import computing
from xgapfill.nets.ready import address_noise, prepare
from xgapfill.nets.scene import SIGMA_MAX
from xgapfill.training.calibrate import drawn, least_crps, white
from xgapfill.training.mixtures import mixture
from xgapfill.training.samples import windows_of
from xgapfill.validation.scores import crps_ensemble, spread_over_rmse
from xgapfill.weights import Weights, load

CALLS = (2, 4, 8, 16, 32)
BEGIN, LEAST, FEW = 1.0, 0.1, 4  # noise levels after a Gaussian draw, and calls that are judged
BEGUN = "DDIM from a Gaussian draw"
INFLATIONS = np.linspace(1.0, 1.6, 13)
Draws = Callable[..., Tensor]


class Way(NamedTuple):
    """A way to draw a member: family, function evaluations (calls of the network), sampler, and the first noise level
    if it starts from a draw of the Gaussian field.
    """

    family: str
    calls: int
    sample: Draws
    begun: float = SIGMA_MAX


class Row(NamedTuple):
    """Result of a way: least fair CRPS of the members over inflations of their anomalies from the mean, spread over
    RMSE, this inflation, seconds per window and member.
    """

    family: str
    calls: int
    crps: float
    spread: float
    inflation: float
    seconds: float


def ways(paper: bool) -> list[Way]:
    """All ways; `paper` adds the schedules of the RePaint paper, of 190 and 2410 steps down."""
    found: list[Way] = []
    for calls in CALLS:
        schedule = karras_schedule(calls, SIGMA_MAX, LEAST)
        sigmas = [sigma for sigma, _ in schedule]
        found.append(Way("DDIM", calls, _scheduled(schedule, 0.0)))
        found.append(Way("ancestral", calls, _scheduled(schedule, 1.0)))
        found.append(Way("DPM-Solver++(2M)", calls, _levels(dpm_solver, sigmas)))
        if calls > 2:
            half = [sigma for sigma, _ in karras_schedule(calls // 2 + 1, SIGMA_MAX, LEAST)]
            found.append(Way("Heun", 2 * len(half) - 1, _levels(heun, half)))
        if calls <= 8:
            schedule = karras_schedule(calls, BEGIN, LEAST)
            found.append(Way(BEGUN, calls, _scheduled(schedule, 0.0), BEGIN))
    for steps, samples in ((25, 1), (25, 4), (100, 2), (250, 10)):
        schedule = repaint_schedule(steps, 10, samples)
        calls = sum(to < sigma < SIGMA_MAX for sigma, to in schedule)
        if paper or calls < 150:
            found.append(Way("RePaint", calls, _scheduled(schedule, 1.0)))
    return found


def _scheduled(schedule: list[Move], eta: float) -> Draws:
    return lambda denoise, known, observed, draw, start: repaint(
        denoise, known, observed, schedule, draw, eta=eta, noisy_observed=False, start=start
    )


def _levels(sampler: Draws, sigmas: list[float]) -> Draws:
    return lambda denoise, known, observed, draw, start: sampler(denoise, known, observed, sigmas, draw)


def run(
    folder: Path, cache: Path, name: str, batches: int, members: int, figure: Path | None, paper: bool
) -> list[Row]:
    """Print CRPS in transformed units of every way, and plot it against the number of function evaluations."""
    torch.set_num_threads(1)
    weights = load(name)
    made = mixture(weights.card.name, folder, cache, part="choose")
    targets = len(made.targets)
    rows = []
    for way in ways(paper):
        truth, means, departures, seconds, windows = [], [], [], 0.0, 0
        for batch, samples in enumerate(drawn(made, batches, seed=0)):
            cut = windows_of(samples, made.targets + made.conditions, targets)
            hidden = np.stack([s.known & ~s.observed for s in samples])
            hidden[:, [0, -1]] = hidden[:, :, targets:] = False
            start = time.perf_counter()
            mean, departure = _members(cut, weights, white(batch), way, members)
            seconds += time.perf_counter() - start
            windows += members * len(samples)
            truth.append(np.stack([s.values for s in samples])[hidden])
            means.append(mean[hidden])
            departures.append(departure[:, hidden])
        parts = (np.concatenate(part, axis=-1) for part in (truth, means, departures))
        rows.append(Row(way.family, way.calls, *_least(*parts), seconds / windows))
        row = "{:26s}{:6d} calls  CRPS {:.4f}  spread/RMSE {:.2f}  inflation {:.2f}  {:.3f} s per window and member"
        print(row.format(*rows[-1]), flush=True)
    best = min(row.crps for row in rows)
    few = next(row.crps for row in rows if row.family == BEGUN and row.calls == FEW)
    print(f"{FEW} calls from a Gaussian draw have {100 * (few / best - 1):.1f} % more than the best (target <= 3 %)")
    if figure is not None:
        draw(rows, figure, name)
    return rows


def _least(truth: NDArray, mean: NDArray, departures: NDArray) -> tuple[float, float, float]:
    """Least CRPS over the inflations of (m, n) departures, and spread over RMSE and the inflation there."""
    factor = least_crps(mean, departures, truth, INFLATIONS)
    members = mean + factor * departures
    return float(np.mean(crps_ensemble(members, truth))), spread_over_rmse(members, truth), factor


def _members(
    windows: Windows, weights: Weights, noise: Noise, way: Way, members: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (b, t, c, y, x) and anomalies of the members from it (m, b, t, c, y, x), transformed units."""
    with computing(Repaint()) as bring:
        prepared = prepare(windows, weights, bring, "float32")
        mean, _ = prepared.once()
        scene, error = prepared.scene, prepared.guess.error
        departures = []
        for member in range(members):
            field = partial(address_noise, noise, windows, member, bring=bring)
            start = prepared.start(mean, way.begun, field)
            walked = partial(numbered, field)
            sample = way.sample(prepared.denoise(mean), scene.residual, scene.observed, walked, start)
            departures.append(error * (sample - mean))
        best = prepared.physical(prepared.mean_factor * mean)
    return best.cpu().numpy(), torch.stack(departures).cpu().numpy()


def draw(rows: list[Row], file: Path, name: str) -> None:
    """Plot CRPS against function evaluations, one line per family."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for family in dict.fromkeys(row.family for row in rows):
        part = sorted((row.calls, row.crps) for row in rows if row.family == family)
        axes.plot(*zip(*part, strict=True), "o-", label=family, markersize=4)
    axes.set(xscale="log", xlabel="function evaluations per member", ylabel="fair CRPS, validation set", title=name)
    ticks = [*CALLS, 64, *(row.calls for row in rows if row.calls > 1000)]
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(file, dpi=150)
