"""``python -m xgapfill.training.calibrate``: mean and spread of the one-pass estimate and of the members, chosen.

The choose set is the NE Pacific from 9 June 2020 on and simulated boxes that no training sees.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH
from xgapfill.methods.denoising import PosteriorMean, Repaint
from xgapfill.methods.priors import from_mapping
from xgapfill.patch import Noise, Windows
from xgapfill.training.mixtures import Mixture, mixture
from xgapfill.training.samples import Sample
from xgapfill.validation.distance import distance_class, distance_to_seen
from xgapfill.validation.scores import crps_ensemble, crps_gaussian
from xgapfill.weights import Weights, load

FACTORS = np.exp(np.linspace(-0.5, 0.5, 21))
CRPS_TOLERANCE = 0.005
CLASSES = ("<= 2 px", "3-8 px", "> 8 px")


@dataclass(frozen=True)
class Hidden:
    """Hidden pixels of the middle frames, flat: n pixels of all target channels.

    Attributes
    ----------
    truth, background, background_error, mean, spread : (n,)
    members : (m, n)
    distance : (n,) int, 0 near, 1, 2 far
    channel : (n,) int
    """

    truth: NDArray[np.float32]
    background: NDArray[np.float32]
    background_error: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    members: NDArray[np.float32]
    distance: NDArray[np.int8]
    channel: NDArray[np.int64]


def windows_of(samples: list[Sample], made: Mixture) -> Windows:
    """What a method is shown of samples with one time step."""
    seen = np.stack([s.seen for s in samples])
    return Windows(
        values=np.where(seen, np.stack([s.values for s in samples]), np.float32(0)),
        seen=seen,
        sea=np.stack([s.sea for s in samples]),
        channels=made.targets + made.conditions,
        targets=len(made.targets),
        starts=np.array([[0, 0, 64 * k] for k in range(len(samples))]),
        lat=np.stack([s.lat for s in samples]),
        season=np.stack([s.season for s in samples]),
        step_days=samples[0].step_days,
        step_km=np.stack([s.step_km for s in samples]),
    )


def white(seed: int) -> Noise:
    """Noise for windows that stand alone."""

    def noise(
        member: int, draw: int, start: tuple[int, int, int], shape: tuple[int, int, int, int]
    ) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, member, draw, start[2]])
        return rng.standard_normal(shape, dtype=np.float32)

    return noise


def collect(made: Mixture, weights: Weights, batches: int, repaint: Repaint, members: int, seed: int) -> Hidden:
    """Estimates of every kind at the hidden pixels of `batches` batches of windows."""
    background = Background(from_mapping(weights.card.background))
    rows: list[list[NDArray]] = []
    targets = len(made.targets)
    for batch in range(batches):
        rng = np.random.default_rng([seed, 8, batch])
        samples: list[Sample] = []
        while len(samples) < BATCH:
            sample = made.draw(rng)
            if not samples or sample.step_days == samples[0].step_days:
                samples.append(sample)
        windows = windows_of(samples, made)
        noise = white(seed * 1000 + batch)
        first = background.fill(windows, None, noise, 1)
        mean = PosteriorMean().fill(windows, weights, noise, 1)
        drawn = repaint.fill(windows, weights, noise, members) if members else mean
        where = np.stack([s.known & ~s.seen for s in samples])
        where[:, [0, -1]] = False
        where[:, :, targets:] = False
        distance = np.zeros(where.shape, np.int8)
        for b, sample in enumerate(samples):
            for c in range(targets):
                distance[b, :, c] = distance_class(distance_to_seen(sample.seen[:, c]))
        channel = np.broadcast_to(np.arange(where.shape[2])[:, None, None], where.shape)
        truth = np.stack([s.values for s in samples])
        rows.append(
            [
                *(truth[where], first.values[0][where], first.spread[where], mean.values[0][where], mean.spread[where]),
                *(drawn.values[:, where], distance[where], channel[where]),
            ]
        )
    return Hidden(*(np.concatenate(part, axis=-1) for part in zip(*rows, strict=True)))


def best_mean(hidden: Hidden, channel: int) -> float:
    """Factor on the net's departure from the background with the least squared error."""
    at = hidden.channel == channel
    departure = (hidden.mean - hidden.background)[at].astype(float)
    return float(np.clip(departure @ (hidden.truth - hidden.background)[at] / (departure @ departure), 0.0, 1.5))


def best_spread(mean: NDArray, spread: NDArray, truth: NDArray) -> float:
    """Factor on the spread with the least Gaussian CRPS."""
    return float(min(FACTORS, key=lambda f: float(np.mean(crps_gaussian(mean, f * spread, truth)))))


def best_inflation(hidden: Hidden) -> float:
    """Factor on the members' departures from the one-pass mean.

    Of the factors that hardly differ in fair CRPS from the best, the nearest to 1: it leaves the texture as it is.
    """
    departures = hidden.members - hidden.mean
    crps = [float(np.mean(crps_ensemble(hidden.mean + f * departures, hidden.truth))) for f in FACTORS]
    good = FACTORS[np.array(crps) <= (1 + CRPS_TOLERANCE) * min(crps)]
    return float(good[np.argmin(np.abs(np.log(good)))])


def report(hidden: Hidden, channels: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """RMSE and CRPS by channel and distance class, printed as a table."""
    table: dict[str, dict[str, float]] = {}
    print(
        f"{'':24s}"
        + "".join(f" {h:>8s}" for h in ("n", "rmse bg", "mean", "crps bg", "mean", "members", "spread/rmse"))
    )
    for c, name in enumerate(channels):
        for k, label in enumerate((*CLASSES, "all")):
            at = (hidden.channel == c) & ((hidden.distance == k) | (k == len(CLASSES)))
            if at.sum() < 100:
                continue
            truth, members = hidden.truth[at], hidden.members[:, at]
            factor = best_spread(hidden.background[at], hidden.background_error[at], truth)
            row = {
                "rmse_background": float(np.sqrt(np.mean((hidden.background[at] - truth) ** 2))),
                "rmse_mean": float(np.sqrt(np.mean((hidden.mean[at] - truth) ** 2))),
                "crps_background": float(
                    np.mean(crps_gaussian(hidden.background[at], factor * hidden.background_error[at], truth))
                ),
                "crps_mean": float(np.mean(crps_gaussian(hidden.mean[at], hidden.spread[at], truth))),
            }
            if len(members) > 1:
                row["crps_members"] = float(np.mean(crps_ensemble(members, truth)))
                spread = np.sqrt(members.var(axis=0, ddof=1).mean() * (1 + 1 / len(members)))
                row["spread_over_rmse"] = float(spread / np.sqrt(np.mean((members.mean(axis=0) - truth) ** 2)))
            table[f"{name} {label}"] = row
            print(f"{name + ' ' + label:24s} {at.sum():8d} " + " ".join(f"{v:8.4f}" for v in row.values()))
    return table


def main(arguments: list[str] | None = None) -> None:
    """Calibrate weights on the choose set, write them back with their scores, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.training.calibrate", description=main.__doc__)
    parser.add_argument("weights", help="shipped name or path")
    parser.add_argument("--data", type=Path, help="folder of the real series")
    parser.add_argument("--cache", type=Path, default=Path("training"))
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--out", type=Path, help="write the calibrated weights there; without it only print")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    weights = load(given.weights)
    plain = {k: v for k, v in weights.card.network.items() if k not in ("mean_factor", "spread_factor")}
    weights = Weights(replace(weights.card, inflation=1.0, network=plain), weights.arrays)
    made = mixture(weights.card.name, given.data, given.cache, part="choose")
    hidden = collect(made, weights, given.batches, Repaint(), given.members, seed=0)
    means = [round(best_mean(hidden, c), 4) for c in range(len(made.targets))]
    shift = (np.array(means, np.float32)[hidden.channel] - 1) * (hidden.mean - hidden.background)
    hidden = replace(hidden, mean=hidden.mean + shift, members=hidden.members + shift)
    factor, inflation = best_spread(hidden.mean, hidden.spread, hidden.truth), best_inflation(hidden)
    print(f"mean factors {means}, spread factor {factor:.3f}, inflation {inflation:.3f}")
    hidden = replace(
        hidden, spread=factor * hidden.spread, members=hidden.mean + inflation * (hidden.members - hidden.mean)
    )
    scores = report(hidden, made.targets)
    if given.out is not None:
        card = replace(
            weights.card,
            inflation=round(inflation, 4),
            network=plain | {"mean_factor": means + [1.0] * len(made.conditions), "spread_factor": round(factor, 4)},
            scores={
                "set": "choose: windows of the NE Pacific from 9 June 2020 and of simulated boxes that no training saw",
                **{k: {n: round(v, 4) for n, v in row.items()} for k, row in scores.items()},
            },
        )
        print(Weights(card, weights.arrays).save(given.out))


if __name__ == "__main__":
    main()
