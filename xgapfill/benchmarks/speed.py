"""What a window costs, in core-seconds of one thread: measure on a quiet machine."""

from __future__ import annotations

import time

import numpy as np

from xgapfill.methods import BATCH, Background, Method, PosteriorMean, Repaint
from xgapfill.noise import Noise
from xgapfill.patch import Windows
from xgapfill.weights import Weights, load

CHL = ("log10_chl",)


def run() -> None:
    """Print the cost of each method of the package, with the weights that ship."""
    print("core-seconds a window of 5 x 64 x 64, half of it seen")
    print(f"{'background, one channel':40}{seconds_a_window(Background()):8.4f}")
    for name in ("chl", "psc-chl"):
        weights = load(name)
        channels, targets = weights.card.channels, len(weights.card.targets)
        for method in (PosteriorMean(), Repaint()):
            seconds = seconds_a_window(method, weights, channels, targets, repeats=5)
            print(f"{f'{method.name}, {name}':40}{seconds:8.4f}", flush=True)


def seconds_a_window(
    method: Method,
    weights: Weights | None = None,
    channels: tuple[str, ...] = CHL,
    targets: int = 1,
    *,
    repeats: int = 50,
) -> float:
    """Core-seconds of one window of 5 x 64 x 64, half of it seen at random, one member.

    Parameters
    ----------
    method : Method
    weights : Weights, optional
        What it needs.
    channels, targets
        As in `xgapfill.patch.Windows`.
    repeats : int
        Batches that are timed, after one that is not.
    """
    generator = np.random.default_rng(0)
    shape = (BATCH, 5, len(channels), 64, 64)
    seen = generator.random(shape) < 0.5
    windows = Windows(
        values=np.where(seen, generator.normal(size=shape), 0).astype(np.float32),
        seen=seen,
        sea=np.ones((BATCH, 64, 64), bool),
        channels=channels,
        targets=targets,
        starts=np.zeros((BATCH, 3), np.int64),
        lat=np.full((BATCH, 64), 45, np.float32),
        season=np.zeros((BATCH, 5, 2), np.float32),
        step_days=8.0,
        step_km=np.full((BATCH, 2), 4.6, np.float32),
    )
    noise = Noise(0, 8640)
    method.fill(windows, weights, noise, 1)
    start = time.process_time()
    for _ in range(repeats):
        method.fill(windows, weights, noise, 1)
    return (time.process_time() - start) / (repeats * BATCH)
