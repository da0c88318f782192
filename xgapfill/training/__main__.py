"""``python -m xgapfill.training NAME --minutes M``: train the shipped weights."""

from __future__ import annotations

import argparse
import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from xgapfill.gaussian import priors as prior_file
from xgapfill.nets.losses import DENOISING, VARIATIONAL
from xgapfill.nets.scene import SIGMA_MAX
from xgapfill.training.background import fit_priors
from xgapfill.training.loop import Settings, Trainer
from xgapfill.training.mixtures import mixture
from xgapfill.weights import Card, Weights, load

# Transformed units; a fill beyond them is flagged.
RANGES = {"log10_chl": (-2.0, 2.0), "psc_ilr1": (-5.0, 5.0), "psc_ilr2": (-4.0, 4.0)}
LICENCE = "BSD-3-Clause"


def main(arguments: list[str] | None = None) -> None:
    """Train NAME and write NAME.safetensors with its card, or with ``--priors`` fit the background's priors."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.training", description=main.__doc__)
    parser.add_argument("name", choices=["chl", "psc-chl", "chl-vae", "psc-chl-vae"])
    parser.add_argument("--minutes", type=float, default=60.0, help="wall-clock budget of this run")
    parser.add_argument("--steps", type=int, help="stop at this step: the same network every time on one machine")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=Settings.batch, help="windows per step, a quarter of them fresh")
    parser.add_argument("--rate", type=float, default=Settings.rate, help="learning rate; lower it for a last run")
    parser.add_argument("--data", type=Path, help="folder of the real series; without it only simulated oceans")
    parser.add_argument("--cache", type=Path, default=Path("training"), help="simulated oceans and checkpoints")
    parser.add_argument("--out", type=Path, default=Path("xgapfill/weights/files"))
    parser.add_argument("--init", help="weights to start from: a name or a path; by default random ones")
    parser.add_argument("--priors", type=Path, help="fit the priors of NAME's targets into this JSON file instead")
    parser.add_argument("--windows", type=int, default=400, help="training windows that priors are fitted on")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.priors is not None:
        fit_priors(given.name, given.windows, given.data, given.cache, given.priors, given.seed)
        return
    made = mixture(given.name.removesuffix("-vae"), given.data, given.cache)
    channels = made.targets + made.conditions
    priors = {channel: prior_file.shipped()[channel] for channel in channels}
    objective = VARIATIONAL if given.name.endswith("-vae") else DENOISING
    sizes = {"batch": given.batch, "fresh": max(1, given.batch // 4), "pool": 96 * given.batch}
    settings = Settings(seed=given.seed, rate=given.rate, **sizes)
    trainer = Trainer(made, priors, settings, given.device, objective)
    if given.init is not None:
        trainer.begin({name: torch.from_numpy(array) for name, array in load(given.init).arrays.items()})
    checkpoint = given.cache / f"{given.name}-{given.seed}.pt"
    if trainer.resume(checkpoint):
        print(f"resuming {checkpoint} at step {trainer.step}, {trainer.seconds / 60:.1f} minutes")
    trainer.run(given.minutes, checkpoint, given.steps)
    print(weights_of(trainer, given.name).save(given.out / given.name))


def weights_of(trainer: Trainer, name: str) -> Weights:
    """The averaged network with its card; ``python -m xgapfill.training.calibrate`` adds calibration and scores."""
    made = trainer.made
    channels = made.targets + made.conditions
    card = Card(
        name=name,
        method=trainer.objective.method,
        targets=made.targets,
        conditions=made.conditions,
        network=trainer.network | {"steps": trainer.step, "minutes": round(trainer.seconds / 60, 1)},
        background=prior_file.to_mapping({c: trainer.priors[c] for c in channels}),
        ranges={c: RANGES[c] for c in channels},
        sigma_max=SIGMA_MAX,
        trained_on=made.trained_on,
        simulated_only=made.simulated_only,
        licence=LICENCE,
        created=datetime.date.today().isoformat(),
        version=version("xgapfill"),
    )
    arrays = {n: np.asarray(p.float().cpu().numpy(), np.float32) for n, p in trainer.average.items()}
    return Weights(card, arrays)


if __name__ == "__main__":
    main()
