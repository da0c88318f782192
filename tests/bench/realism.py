"""Do filled maps look and move like observed ones? A classifier that tells them apart, and their memory.

The classifier is trained on patches of the validation set and judged on patches of the test set. An area under the
curve of 0.5 is guessing. Its design was chosen by how well it recognises the fills of kriging on dates of the
validation set that it was not trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import xgapfill
from bench.problems import CHOOSE_SEED, Problem, as_chl, choose_problem, report_problem
from xgapfill.methods import find
from xgapfill.tutorial import open_dataset

SIDE = 12  # pixels of a patch
APART = 4  # pixels between the corners of patches
KNOWN_SHARE = 0.8  # of a patch: observed or hidden
HIDDEN_SHARE = 0.75  # of a patch
DRAWS = (CHOOSE_SEED, 1, 2)  # seeds of the gaps laid on the validation set
ROWS = ("kriging", "kriging realisation", "background", "repaint", "vae")
STEPS = 800
BATCH = 64
RATE = 2e-3


class Patches(NamedTuple):
    """log10 CHL at the same places, observed and filled, NaN where unknown.

    Attributes
    ----------
    frame : (n,) int
        Number of the date.
    real, made : (n, y, x) float32
    """

    frame: NDArray[np.int64]
    real: NDArray[np.float32]
    made: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> Patches:
        """Some of the patches."""
        return Patches(self.frame[chosen], self.real[chosen], self.made[chosen])


def run(folder: Path, rows: tuple[str, ...] = ROWS) -> dict[str, float]:
    """Print the area under the curve of each method, and lag-1 correlations on the simulated ocean."""
    torch.set_num_threads(1)
    choose = [choose_problem(folder, gaps="transplanted", seed=seed) for seed in DRAWS]
    report = report_problem(folder)
    found = {}
    print("a small convolutional net trained to tell filled patches from observed ones: area under the curve on the")
    print("validation set (each half of the dates judged by a net that learned from the other) and on the test set;")
    print("difference of neighbouring hidden pixels on the validation set (log10): standard deviation and median size")
    print(f"{'':22}{'valid.':>8}{'test':>8}{'sd':>8}{'median':>8}")
    print(f"{'observed':38}" + _roughness(choose[0], choose[0].truth))
    for row in rows:
        filled = [_filled(problem, row) for problem in choose]
        learn = [_patches(problem, field) for problem, field in zip(choose, filled, strict=True)]
        together = Patches(*(np.concatenate(parts) for parts in zip(*learn, strict=True)))
        judge = _patches(report, _filled(report, row))
        found[row] = auc(*_judged(_trained(together), judge))
        areas = f"{row:22}{_crossed(together):8.3f}{found[row]:8.3f}"
        print(areas + _roughness(choose[0], filled[0]), flush=True)
    print(f"{len(together.real)} patches of the validation set, {len(judge.real)} of the test set")
    memory()
    return found


def _filled(problem: Problem, row: str) -> NDArray[np.float32]:
    """log10 CHL everywhere; one member of ensemble methods."""
    method = find("kriging", realisations=True) if row == "kriging realisation" else find(row)
    filled = cast(xr.DataArray, xgapfill.fill(as_chl(problem), method))
    return np.asarray(np.log10(filled.values), np.float32)


def _patches(problem: Problem, filled: NDArray[np.float32]) -> Patches:
    """Patches that are known almost everywhere and mostly hidden."""
    known = np.isfinite(problem.truth)
    found = []
    for t, y, x in np.ndindex(len(filled), *((n - SIDE) // APART + 1 for n in filled.shape[1:])):
        at = t, slice(y * APART, y * APART + SIDE), slice(x * APART, x * APART + SIDE)
        if known[at].mean() >= KNOWN_SHARE and problem.hidden[at].mean() >= HIDDEN_SHARE:
            found.append((t, problem.truth[at], np.where(problem.hidden[at], filled[at], problem.truth[at])))
    return Patches(*(np.stack(parts) for parts in zip(*found, strict=True)))


def _shown(patches: Patches) -> tuple[Tensor, Tensor]:
    """Input of the classifier for observed and filled patches: (n, 2, y, x), 0 where unknown.

    Departures from the patch's mean, and theirs from the mean of 3 x 3 pixels, in units of the observed ones' standard
    deviation.
    """
    shown = []
    for part in (patches.real, patches.made):
        known = torch.from_numpy(np.isfinite(part))[:, None].float()
        value = torch.from_numpy(np.nan_to_num(part))[:, None]
        value = (value - value.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)) * known
        around = functional.avg_pool2d(value, 3, 1, 1) / functional.avg_pool2d(known, 3, 1, 1).clamp(min=1 / 9)
        shown.append(torch.cat([value, (value - around) * known], 1))
    unit = shown[0].std((0, 2, 3), keepdim=True)
    return shown[0] / unit, shown[1] / unit


def _trained(patches: Patches) -> nn.Module:
    """A classifier of filled patches."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(2, 24, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(24, 24, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.Conv2d(24, 48, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 1),
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    real, made = _shown(patches)
    shown = torch.cat([real, made])
    answers = torch.cat([torch.zeros(len(real)), torch.ones(len(made))])
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        chosen = torch.from_numpy(rng.integers(0, len(shown), BATCH))
        axes = [axis for axis in (-2, -1) if rng.random() < 0.5]
        loss = functional.binary_cross_entropy_with_logits(net(shown[chosen].flip(axes))[:, 0], answers[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def _judged(net: nn.Module, patches: Patches) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score of the classifier for observed and for filled patches."""
    with torch.no_grad():
        real, made = (net(shown)[:, 0].numpy() for shown in _shown(patches))
    return real, made


def _crossed(patches: Patches) -> float:
    """Mean area under the curve of both halves of the dates, each with a classifier trained on the other."""
    early = patches.frame < (patches.frame.min() + patches.frame.max() + 1) / 2
    areas = [auc(*_judged(_trained(patches.of(~judged)), patches.of(judged))) for judged in (early, ~early)]
    return float(np.mean(areas))


def _roughness(problem: Problem, field: NDArray[np.float32]) -> str:
    """Cells of the table: differences of neighbours along a row where both are hidden."""
    both = problem.hidden[..., 1:] & problem.hidden[..., :-1]
    difference = np.diff(field, axis=-1)[both]
    return f"{difference.std():8.3f}{np.median(abs(difference)):8.3f}"


def auc(real: NDArray, made: NDArray) -> float:
    """Probability that a filled patch has a higher score than an observed one: Mann & Whitney (1947)."""
    order = np.argsort(np.concatenate([real, made]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return float((ranks[len(real) :].sum() - len(made) * (len(made) + 1) / 2) / (len(real) * len(made)))


def memory() -> None:
    """Print the correlation of anomalies from the mean map between neighbouring dates, where both are missing."""
    ocean = open_dataset("ocean")
    truth = np.log10(ocean.CHL_truth.transpose("time", "lat", "lon").values)
    gaps = ocean.CHL.isnull().transpose("time", "lat", "lon").values
    both = gaps[1:] & gaps[:-1] & np.isfinite(truth[1:] + truth[:-1])
    print("\nsimulated ocean, log10 CHL: correlation of neighbouring dates where both are missing")
    rows: dict[str, NDArray] = {"truth": truth}
    for name, method in (("repaint", find("repaint")), ("kriging realisation", find("kriging", realisations=True))):
        filled = cast(xr.DataArray, xgapfill.fill(ocean.CHL, method)).transpose("time", "lat", "lon")
        rows[name] = np.log10(filled.values)
    for name, field in rows.items():
        departure = field - truth.mean(axis=0)
        value = np.corrcoef(departure[1:][both], departure[:-1][both])[0, 1]
        print(f"{name:22}{value:6.3f}")
