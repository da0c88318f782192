"""Cost of a window in core-seconds of one thread; measure on an idle machine."""

from __future__ import annotations

import time

import numpy as np

from bench.systems import NETS
from xgapfill.gaussian.priors import shipped, to_mapping
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Series, Windows
from xgapfill.methods import BATCH, Background, Method, PosteriorMean, Repaint, SeriesMethod, Vae, find
from xgapfill.methods.published import PublishedNet
from xgapfill.testing import windows
from xgapfill.weights import Card, Weights, load

CHL = ("log10_chl",)
CLASSICAL = ("kriging", "dctpls", "interpolate", "regression", "climatology", "dineof", "som")
FRAMES = 46  # of a series
NCOLS = 8640
ONE = 3 * 48 * 48  # pixels that a window of 5 x 64 x 64 adds to a map, as windows overlap


def run() -> None:
    """Print the cost of each method, with the shipped weights or weights fitted on noise."""
    print("core-seconds per window of 5 x 64 x 64 (3 x 48 x 48 pixels of the map), half of it observed, one channel")
    print(f"{'background':40}{seconds_a_window(Background()):8.4f}")
    for name in CLASSICAL:
        method = find(name)
        weights = method.fit(noisy_series()) if isinstance(method, SeriesMethod) else None
        print(f"{name:40}{seconds_a_window(method, weights, repeats=3):8.4f}", flush=True)
    for name in NETS:
        method = find(name)
        assert isinstance(method, PublishedNet)
        print(f"{name:40}{seconds_a_window(method, untrained(method), repeats=3):8.4f}", flush=True)
    for name in ("chl", "psc-chl"):
        for generative in (PosteriorMean(), Repaint(), Vae()):
            weights = load(f"{name}-vae" if generative.name == "vae" else name)
            channels, targets = weights.card.channels, len(weights.card.targets)
            seconds = seconds_a_window(generative, weights, channels, targets, repeats=5)
            print(f"{f'{generative.name}, {name}':40}{seconds:8.4f}", flush=True)


def untrained(method: PublishedNet) -> Weights:
    """Weights of a net of a published system in its own size, which cost as much as trained ones."""
    objective, prior = method.objective(), to_mapping({CHL[0]: shipped()[CHL[0]]})
    network = objective.shape(CHL, (), objective.widths, None)
    arrays = {name: part.numpy() for name, part in objective.network(network).state_dict().items()}
    return Weights(Card("untrained", method.model, CHL, network=network, background=prior), arrays)


def seconds_a_window(
    method: Method,
    weights: Weights | None = None,
    channels: tuple[str, ...] = CHL,
    targets: int = 1,
    *,
    repeats: int = 50,
) -> float:
    """Core-seconds for the pixels that a window of 5 x 64 x 64 adds to a map, half of them observed, one member.

    Parameters
    ----------
    method : Method
        Its windows may have another size; the cost is per pixel that they add.
    weights : Weights, optional
        Its weights.
    channels, targets
        As in `xgapfill.methods.Windows`.
    repeats : int
        Batches to time, after one for warm-up.
    """
    tiling = method.tiling(NCOLS, (0, FRAMES))
    batch = noisy_windows(tiling.size, channels, targets)
    noise = Noise(0, NCOLS)
    method.fill(batch, weights, noise, 1)
    start = time.process_time()
    for _ in range(repeats):
        method.fill(batch, weights, noise, 1)
    a_window = (time.process_time() - start) / (repeats * BATCH)
    return a_window * ONE / float(np.prod(tiling.stride))


def noisy_windows(size: tuple[int, int, int], channels: tuple[str, ...], targets: int) -> Windows:
    """A batch of windows of noise, half of it observed at random."""
    generator = np.random.default_rng(0)
    slots, rows, cols = size
    shape = (BATCH, slots, len(channels), rows, cols)
    observed = generator.random(shape) < 0.5
    return windows(generator.normal(size=shape), channels, observed, targets=targets)


def noisy_series() -> Series:
    """Chlorophyll of a series of noise."""
    generator = np.random.default_rng(0)
    observed = generator.random((1, FRAMES, 4096)) < 0.5
    angle = 2 * np.pi * np.arange(FRAMES) / FRAMES
    return Series(
        values=np.where(observed, generator.normal(size=observed.shape), 0).astype(np.float32),
        observed=observed,
        channels=CHL,
        targets=1,
        slots=np.arange(FRAMES),
        season=np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32),
        step_days=8.0,
        rows=np.arange(4096) // 64,
        cols=np.arange(4096) % 64,
        lat=np.full(4096, 45, np.float32),
        lon=np.full(4096, 330, np.float32),
    )
