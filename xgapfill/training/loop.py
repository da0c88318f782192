"""Train a network on windows with hidden pixels: resumable, reproducible by seed on one machine."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xgapfill.gaussian.priors import Prior
from xgapfill.nets.losses import DENOISING
from xgapfill.nets.objective import Levels, Objective
from xgapfill.training.mixtures import Mixture
from xgapfill.training.samples import Sample, windows_of


@dataclass(frozen=True)
class Settings:
    """Settings of a training.

    Attributes
    ----------
    batch : windows per step
    pool, fresh : windows kept in memory, and number of them that each step replaces; a window is used about
        batch / fresh times, each time with new flips and noise
    rate, rate_steps : the learning rate falls as 1 / sqrt(1 + step / rate_steps)
    cooling : last share of a run, in which the learning rate also falls to 0
    average : share of all steps in the averaged network
    widths : feature maps of the network, finest first; by default those of the objective
    """

    seed: int = 0
    batch: int = 8
    pool: int = 768
    fresh: int = 2
    rate: float = 1.2e-3
    rate_steps: int = 1200
    cooling: float = 0.4
    average: float = 0.12
    widths: tuple[int, ...] | None = None
    checkpoint_minutes: float = 3.0


Window = dict[str, Tensor]  # the tensors of a training window, without the batch axis


def prepare(
    samples: list[Sample],
    made: Mixture,
    priors: Mapping[str, Prior],
    device: str = "cpu",
    objective: Objective = DENOISING,
    net: nn.Module | None = None,
) -> list[Window]:
    """What a net is trained on, for some samples with one time step."""
    windows = windows_of(samples, made.targets + made.conditions, len(made.targets))
    values, hidden = np.stack([s.values for s in samples]), np.stack([s.known & ~s.observed for s in samples])
    whole = objective.prepare(net, windows, values, hidden, priors, lambda a: torch.from_numpy(a).to(device))
    kept = {name: part.to(objective.half.get(name, part.dtype)) for name, part in whole.items()}
    return [{name: part[k] for name, part in kept.items()} for k in range(len(samples))]


def collate(windows: list[Window], objective: Objective, rng: np.random.Generator) -> Window:
    """A batch, each window flipped at random: north-south, east-west."""
    turned: list[Window] = []
    for window in windows:
        axes = [axis for axis in (-2, -1) if rng.random() < 0.5]
        turned.append({n: p if n in objective.flat else p.flip(axes) for n, p in window.items()})
    batch = {name: torch.stack([window[name] for window in turned]) for name in turned[0]}
    return batch | {name: batch[name].float() for name in objective.half}


class Trainer:
    """State of a training: network, average, optimiser, step; all else follows from seed and step."""

    def __init__(
        self,
        made: Mixture,
        priors: dict[str, Prior],
        settings: Settings,
        device: str = "cpu",
        objective: Objective = DENOISING,
        *,
        network: Mapping[str, Any] | None = None,
        levels: Levels | None = None,
    ) -> None:
        self.made, self.priors, self.settings, self.device = made, priors, settings, device
        self.objective = objective
        widths = settings.widths or objective.widths
        shape = objective.shape(made.targets, made.conditions, widths, levels) if network is None else network
        self.network = dict(shape)
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(settings.seed)
            net = objective.network(self.network)
        objective.start(net, levels)
        self.net = net.to(device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {name: p.detach().clone() for name, p in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=settings.rate, weight_decay=1e-4, betas=(0.9, 0.98)
        )
        self.step, self.seconds = 0, 0.0
        self.pool: list[Window] = []

    def begin(self, state: Mapping[str, Tensor]) -> None:
        """Start from the parameters of another network; ValueError when they have another shape."""
        try:
            self.net.load_state_dict(dict(state))
        except RuntimeError as error:
            raise ValueError(f"the initial weights do not fit the network: {error}") from error
        self.average = {name: p.detach().clone() for name, p in self.net.state_dict().items()}

    def resume(self, file: Path) -> bool:
        """Load a checkpoint if there is one."""
        if not file.exists():
            return False
        kept = torch.load(file, weights_only=True, map_location=self.device)
        self.net.load_state_dict(kept["net"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.average, self.step, self.seconds = kept["average"], kept["step"], kept["seconds"]
        return True

    def save(self, file: Path) -> None:
        """Write a checkpoint atomically."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            part,
        )
        part.replace(file)

    def run(self, minutes: float, checkpoint: Path, steps: int | None = None) -> None:
        """Train for `minutes` of wall clock, or up to a number of steps, saving checkpoints."""
        begin = last = time.monotonic()
        before = self.seconds
        losses: list[float] = []
        while time.monotonic() - begin < 60 * minutes and (steps is None or self.step < steps):
            spent = (time.monotonic() - begin) / (60 * minutes) if steps is None else self.step / steps
            losses.append(self.advance(min(1.0, max(0.0, 1 - spent) / self.settings.cooling)))
            now = time.monotonic()
            self.seconds = before + now - begin
            if now - last > 60 * self.settings.checkpoint_minutes:
                print(f"step {self.step}  {self.seconds / 60:.1f} min  loss {np.mean(losses):.4f}", flush=True)
                losses, last = [], now
                self.save(checkpoint)
        self.save(checkpoint)

    def advance(self, warmth: float) -> float:
        """One step: fresh windows into the pool, a batch out of it, gradient (its rate times `warmth`), average."""
        settings = self.settings
        self._refill()
        rng = np.random.default_rng([settings.seed, 6, self.step])
        chosen = rng.integers(0, len(self.pool), settings.batch)
        batch = collate([self.pool[k] for k in chosen], self.objective, rng)
        seed = int(rng.integers(2**62))
        for group in self.optimiser.param_groups:
            warm = min(1.0, (self.step + 1) / 50)
            group["lr"] = settings.rate * warm * warmth / math.sqrt(1 + self.step / settings.rate_steps)
        kind, cpu = self.device.split(":")[0], self.device == "cpu"
        # dropout takes its numbers from torch itself: they follow from seed and step as well
        mixed = torch.autocast(kind, torch.bfloat16, enabled=self.objective.mixed and not cpu)
        with mixed, torch.random.fork_rng(devices=[] if cpu else [self.device]):
            torch.manual_seed(seed)
            loss = self.objective.loss(self.net, batch, torch.Generator().manual_seed(seed))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        # Power-function average (Karras et al. 2024, arXiv:2312.02696), over a fixed share of the training.
        decay = (1 - 1 / (self.step + 1)) ** (1 / settings.average)
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                kept = self.average[name]
                kept.lerp_(value, 1 - decay) if kept.is_floating_point() else kept.copy_(value)
        return float(loss.detach())

    def _refill(self) -> None:
        """Refill the pool. Window n of the training is a function of seed and n, so a resumed pool is the same."""
        settings = self.settings
        full = settings.pool + (self.step + 1) * settings.fresh
        have = max(full - settings.fresh, settings.pool) if self.pool else full - settings.pool
        groups = range(have // settings.fresh, full // settings.fresh)
        for group in groups:
            rng = np.random.default_rng([settings.seed, 7, group])
            samples = [self.made.draw(rng) for _ in range(settings.fresh)]
            for days in sorted({s.step_days for s in samples}):
                same = [s for s in samples if s.step_days == days]
                self.pool += prepare(same, self.made, self.priors, self.device, self.objective, self.net)
        self.pool = self.pool[-settings.pool :]
