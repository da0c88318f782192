"""Do filled maps look and move like observed ones? A classifier that is told to tell them apart, and their memory.

The classifier is trained on patches of the choose set and judged on patches of the report set. An area under the curve
of 0.5 is guessing.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

import xgapfill
from xgapfill.methods import find
from xgapfill.tutorial import open_dataset

from .problems import Problem, as_chl, choose_problem, report_problem

SIDE = 12  # pixels of a patch
APART = 4  # pixels between the corners of patches
HIDDEN_SHARE = 0.5  # of a patch that is to be judged
ROWS = ("kriging", "kriging realisation", "background", "repaint", "vae")
STEPS = 400
BATCH = 64


def run(folder: Path, rows: tuple[str, ...] = ROWS) -> dict[str, float]:
    """Print the area under the curve of each way to fill, and lag-1 correlations on the simulated ocean."""
    torch.set_num_threads(1)
    sets = choose_problem(folder, gaps="transplanted"), report_problem(folder)
    found = {}
    print("a small convolutional net told to tell filled patches from observed ones: area under the curve")
    for row in rows:
        learn, judge = (_patches(problem, _filled(problem, row)) for problem in sets)
        found[row] = auc(*_judged(_trained(*learn), *judge))
        print(f"{row:22}{found[row]:6.3f}   ({len(learn[0])} and {len(judge[0])} patches)", flush=True)
    memory()
    return found


def _filled(problem: Problem, row: str) -> NDArray[np.float32]:
    """log10 CHL everywhere: one member of methods that draw."""
    method = find("kriging", realisations=True) if row == "kriging realisation" else find(row)
    filled = cast(xr.DataArray, xgapfill.fill_with(as_chl(problem), method))
    return np.asarray(np.log10(filled.values), np.float32)


def _patches(problem: Problem, filled: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patches of mean 0 without any land that were hidden in large part, as observed and as filled: (n, y, x) each."""
    complete = np.isfinite(problem.truth)
    real, made = [], []
    for t, y, x in np.ndindex(len(filled), *((n - SIDE) // APART + 1 for n in filled.shape[1:])):
        at = t, slice(y * APART, y * APART + SIDE), slice(x * APART, x * APART + SIDE)
        if complete[at].all() and problem.hidden[at].mean() >= HIDDEN_SHARE:
            real.append(problem.truth[at] - problem.truth[at].mean())
            made.append(np.where(problem.hidden[at], filled[at], problem.truth[at]))
            made[-1] = made[-1] - made[-1].mean()
    return np.stack(real), np.stack(made)


def _trained(real: NDArray[np.float32], made: NDArray[np.float32]) -> nn.Module:
    """A net that says how filled a patch looks."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(24, 24, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.Conv2d(24, 48, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 1),
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    patches = torch.from_numpy(np.concatenate([real, made]))[:, None] / float(real.std())
    answers = torch.cat([torch.zeros(len(real)), torch.ones(len(made))])
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / STEPS)
        chosen = torch.from_numpy(rng.integers(0, len(patches), BATCH))
        axes = [axis for axis in (-2, -1) if rng.random() < 0.5]
        loss = nn.functional.binary_cross_entropy_with_logits(net(patches[chosen].flip(axes))[:, 0], answers[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def _judged(
    net: nn.Module, real: NDArray[np.float32], made: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.no_grad():
        judged = [net(torch.from_numpy(part)[:, None] / float(real.std()))[:, 0].numpy() for part in (real, made)]
    return judged[0], judged[1]


def auc(real: NDArray, made: NDArray) -> float:
    """Probability that a filled patch is judged more filled than an observed one: Mann & Whitney (1947)."""
    order = np.argsort(np.concatenate([real, made]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return float((ranks[len(real) :].sum() - len(made) * (len(made) + 1) / 2) / (len(real) * len(made)))


def memory() -> None:
    """Print the correlation of departures from the mean map between neighbouring dates, where both are missing."""
    ocean = open_dataset("ocean")
    truth = np.log10(ocean.CHL_truth.transpose("time", "lat", "lon").values)
    gaps = ocean.CHL.isnull().transpose("time", "lat", "lon").values
    both = gaps[1:] & gaps[:-1] & np.isfinite(truth[1:] + truth[:-1])
    print("\nsimulated ocean, log10 CHL: correlation of neighbouring dates where both are missing")
    rows: dict[str, NDArray] = {"truth": truth}
    for name, method in (("repaint", find("repaint")), ("kriging realisation", find("kriging", realisations=True))):
        filled = cast(xr.DataArray, xgapfill.fill_with(ocean.CHL, method)).transpose("time", "lat", "lon")
        rows[name] = np.log10(filled.values)
    for name, field in rows.items():
        departure = field - truth.mean(axis=0)
        value = np.corrcoef(departure[1:][both], departure[:-1][both])[0, 1]
        print(f"{name:22}{value:6.3f}")
