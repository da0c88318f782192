"""Speed of convolutions and of forward passes of the network, as a share of the speed of a matrix product."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.windows import NCOLS, noisy_windows
from xgapfill.lattice.noise import Noise
from xgapfill.methods import BATCH, PosteriorMean
from xgapfill.nets.device import one_thread
from xgapfill.weights import load

SIZE = 2048
CONVOLUTIONS, PASS = 0.5, 0.35  # targets, as shares of the speed of the product


def run() -> None:
    """Print operations per second of one thread, and their share of those of the product."""
    import torch

    one_thread()
    matrix = torch.randn(SIZE, SIZE)
    product = 2 * SIZE**3 / _seconds(lambda: torch.mm(matrix, matrix), 3)
    print(f"torch.mm {SIZE}^3, float32, one thread: {product / 1e9:.0f} GFLOP/s")
    for name in ("chl", "psc-chl"):
        weights = load(name)
        channels, targets = weights.card.channels, len(weights.card.targets)
        batch = noisy_windows(PosteriorMean().tiling(NCOLS, (0, 1)).size, channels, targets)
        for method in (PosteriorMean("cpu"), PosteriorMean("cpu", "bfloat16")):
            operations, seconds = _passed(method, batch, weights)
            share = operations / seconds / product
            target = "" if method.precision == "bfloat16" else f" [{PASS:.0%}]"
            print(
                f"  {name}, posterior_mean, {method.precision}: {seconds / BATCH:.4f} s per window, {share:.0%}{target}"
            )
        print(
            f"  {name}, its convolutions: {_convolved(batch, weights) / product:.0%} [{CONVOLUTIONS:.0%}]", flush=True
        )


def _passed(method: PosteriorMean, batch: Any, weights: Any) -> tuple[float, float]:
    """Operations and core-seconds of a batch."""
    from torch.utils.flop_counter import FlopCounterMode

    def call() -> Any:
        return method.fill(batch, weights, Noise(0, NCOLS), 1)

    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()), _seconds(call, 5)


def _convolved(batch: Any, weights: Any) -> float:
    """Operations per second of the convolutions of a forward pass, on their inputs."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from xgapfill.nets.denoiser import Denoiser
    from xgapfill.nets.ready import net_of

    given: list[tuple[Any, Any]] = []
    net = net_of(weights, Denoiser.of, "cpu")
    layers = [layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda layer, x, _: given.append((layer, x[0]))) for layer in layers]
    PosteriorMean("cpu").fill(batch, weights, Noise(0, NCOLS), 1)
    for hook in hooks:
        hook.remove()

    def convolve() -> None:
        for layer, x in given:
            layer(x)

    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            convolve()
        return float(counter.get_total_flops()) / _seconds(convolve, 5)


def _seconds(function: Callable[[], Any], repeats: int) -> float:
    """Core-seconds per call, after a warm-up call."""
    function()
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats
