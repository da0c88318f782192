"""``python -m xgapfill.training.calibrate``: calibrate mean and spread of the posterior mean and of the members.

The validation set is the NE Pacific from 9 June 2020 on and simulated boxes that are not in the training set.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xgapfill.gaussian.priors import from_mapping
from xgapfill.lattice.distance import distance_class, distance_to_observed
from xgapfill.lattice.windows import Filled, Noise
from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH, Method
from xgapfill.training.mixtures import Mixture, mixture
from xgapfill.training.models import MODELS, Estimate
from xgapfill.training.samples import Sample, windows_of
from xgapfill.validation.scores import coverage_t, crps_ensemble, crps_gaussian
from xgapfill.weights import Card, Weights, load

LEVELS = (0.5, 0.68, 0.8, 0.9, 0.95, 0.99)
FACTORS = np.exp(0.05 * np.arange(-14, 15))
CHOSEN = "choose: windows of the NE Pacific from 9 June 2020 and of simulated boxes that no training saw"
CLASSES = ("<= 2 px", "3-8 px", "> 8 px")


@dataclass(frozen=True)
class Hidden:
    """Hidden pixels of the middle frames, flat: n pixels of all target channels.

    Attributes
    ----------
    truth, background, background_error, mean, spread : (n,)
    members : (m, n)
    distance : (n,) int, class of distance from 0 (near) to 2 (far)
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


def white(seed: int) -> Noise:
    """Noise for isolated windows."""

    def noise(
        member: int, draw: int, start: tuple[int, int, int], shape: tuple[int, int, int, int]
    ) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, member, draw, start[2]])
        return rng.standard_normal(shape, dtype=np.float32)

    return noise


def drawn(made: Mixture, batches: int, seed: int) -> Iterator[list[Sample]]:
    """Batches of windows of a mixture, each with one time step."""
    for batch in range(batches):
        rng = np.random.default_rng([seed, 8, batch])
        samples: list[Sample] = []
        while len(samples) < BATCH:
            sample = made.draw(rng)
            if not samples or sample.step_days == samples[0].step_days:
                samples.append(sample)
        yield samples


def backgrounds(batches: Iterable[list[Sample]], card: Card) -> list[Filled]:
    """Background of batches of windows with the priors of a card."""
    background, targets = Background(from_mapping(card.background)), len(card.targets)
    return [background.fill(windows_of(each, card.channels, targets), None, white(0), 1) for each in batches]


def collect(
    batches: Iterable[list[Sample]],
    weights: Weights,
    estimate: Estimate,
    members: Method | None,
    count: int,
    seed: int,
    before: list[Filled] | None = None,
) -> Hidden:
    """Estimates of every kind at the hidden pixels of the middle frames of batches of windows.

    Parameters
    ----------
    batches : windows of one time step each
    weights : of both methods; their card has the channels and the background
    estimate : gives the mean about which members are drawn, and its error
    members : method that draws `count` members, optional
    seed : of the members
    before : backgrounds of the batches, where they are known
    """
    card = weights.card
    targets, batches = len(card.targets), list(batches)
    rows: list[list[NDArray]] = []
    firsts = backgrounds(batches, card) if before is None else before
    for batch, (samples, first) in enumerate(zip(batches, firsts, strict=False)):
        windows = windows_of(samples, card.channels, targets)
        noise = white(seed * 1000 + batch)
        mean = estimate(windows, weights, noise)
        drawn = mean if members is None else members.fill(windows, weights, noise, count)
        where = np.stack([s.known & ~s.observed for s in samples])
        where[:, [0, -1]] = False
        where[:, :, targets:] = False
        distance = np.zeros(where.shape, np.int8)
        for b, sample in enumerate(samples):
            for c in range(targets):
                distance[b, :, c] = distance_class(distance_to_observed(sample.observed[:, c]))
        channel = np.broadcast_to(np.arange(where.shape[2])[:, None, None], where.shape)
        truth = np.stack([s.values for s in samples])
        rows.append(
            [
                *(truth[where], first.values[0][where], first.spread[where], mean.values[0][where], mean.spread[where]),
                *(drawn.values[:, where], distance[where], channel[where]),
            ]
        )
    return Hidden(*(np.concatenate(part, axis=-1) for part in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Factors:
    """Calibration factors.

    Attributes
    ----------
    means : by target channel, of the anomaly of the network's mean from the background
    spread : of the error of the posterior mean
    inflation : of the members' anomalies from it
    """

    means: tuple[float, ...]
    spread: float
    inflation: float = 1.0

    @classmethod
    def best(cls, hidden: Hidden, from_background: bool = True) -> Factors:
        """Best factors for the hidden pixels of weights without factors.

        A mean that does not start `from_background` is left as it is.
        """
        channels = range(int(hidden.channel.max()) + 1)
        means = tuple(round(best_mean(hidden, c), 4) if from_background else 1.0 for c in channels)
        hidden = cls(means, 1.0).on(hidden)
        inflation = best_inflation(hidden) if len(hidden.members) > 1 else 1.0
        return cls(means, round(best_spread(hidden.mean, hidden.spread, hidden.truth), 4), round(inflation, 4))

    def on(self, hidden: Hidden) -> Hidden:
        """Estimates with these factors."""
        factor = np.array(self.means, np.float32)[hidden.channel]
        mean = hidden.mean + (factor - 1) * (hidden.mean - hidden.background)
        members = mean + self.inflation * (hidden.members - hidden.mean)
        return replace(hidden, mean=mean, spread=self.spread * hidden.spread, members=members)

    def put(self, weights: Weights) -> Weights:
        """Weights with these factors on their card."""
        means = [*self.means, *[1.0] * len(weights.card.conditions)]
        network = {**weights.card.network, "mean_factor": means, "spread_factor": self.spread}
        return Weights(replace(weights.card, inflation=self.inflation, network=network), weights.arrays)


def without_factors(weights: Weights) -> Weights:
    """Weights without calibration."""
    network = {k: v for k, v in weights.card.network.items() if k not in ("mean_factor", "spread_factor")}
    return Weights(replace(weights.card, inflation=1.0, network=network), weights.arrays)


def best_mean(hidden: Hidden, channel: int) -> float:
    """Factor on the network's anomaly from the background with the least squared error."""
    at = hidden.channel == channel
    departure = (hidden.mean - hidden.background)[at].astype(float)
    return float(
        np.clip(departure @ (hidden.truth - hidden.background)[at] / max(departure @ departure, 1e-12), 0, 1.5)
    )


def best_spread(mean: NDArray, spread: NDArray, truth: NDArray) -> float:
    """Factor on the spread with the least Gaussian CRPS."""
    return float(min(FACTORS, key=lambda f: float(np.mean(crps_gaussian(mean, f * spread, truth)))))


def best_inflation(hidden: Hidden) -> float:
    """Factor, at least 1, on the members' anomalies from the posterior mean with the least fair CRPS.

    Below 1, small-scale variability would be smoother than observed, to fit a few windows without observations.
    """
    return least_crps(hidden.mean, hidden.members - hidden.mean, hidden.truth, FACTORS[FACTORS >= 1.0])


def least_crps(mean: NDArray, departures: NDArray, truth: NDArray, factors: NDArray) -> float:
    """Factor on the anomalies (m, n) of members from their mean (n,) with the least fair CRPS."""
    return float(min(factors, key=lambda f: float(np.mean(crps_ensemble(mean + f * departures, truth)))))


def intervals(hidden: Hidden) -> dict[str, list[float]]:
    """Factors on the spread of estimates whose intervals hold shares of the hidden pixels."""
    ratio = np.abs(hidden.mean - hidden.truth) / np.maximum(hidden.spread, 1e-6)
    return {"levels": list(LEVELS), "factors": [round(float(q), 4) for q in np.quantile(ratio, LEVELS)]}


def score(hidden: Hidden, channels: tuple[str, ...], least: int = 100) -> dict[str, dict[str, float]]:
    """RMSE, CRPS and coverage (90 %) by channel and distance class with at least `least` pixels."""
    table: dict[str, dict[str, float]] = {}
    for c, name in enumerate(channels):
        for k, label in enumerate((*CLASSES, "all")):
            at = (hidden.channel == c) & ((hidden.distance == k) | (k == len(CLASSES)))
            if at.sum() < least:
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
                row["coverage"] = coverage_t(members, truth)
            table[f"{name} {label}"] = {"pixels": int(at.sum()), **{key: round(v, 4) for key, v in row.items()}}
    return table


def text(table: dict[str, dict[str, float]]) -> str:
    """Scores as a table."""
    heads = ("pixels", "rmse bg", "mean", "crps bg", "mean", "members", "sd/rmse", "coverage")
    lines = [" " * 24 + "".join(f" {head:>8s}" for head in heads)]
    lines += [f"{name:24s}" + "".join(f" {v:8.6g}" for v in row.values()) for name, row in table.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Calibrate weights on the validation set, write them with their scores, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.training.calibrate", description=main.__doc__)
    parser.add_argument("weights", help="shipped name or path")
    parser.add_argument("--data", type=Path, help="folder of the real series")
    parser.add_argument("--cache", type=Path, default=Path("training"))
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument(
        "--inflation", type=float, help="of the members' anomalies; by default that with the least CRPS"
    )
    parser.add_argument("--keep", action="store_true", help="keep factors and scores of the card; add intervals")
    parser.add_argument("--out", type=Path, help="file for the calibrated weights; by default only print")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    weights = load(given.weights) if given.keep else without_factors(load(given.weights))
    made = mixture(weights.card.name.removesuffix("-vae"), given.data, given.cache, part="choose")
    model = MODELS[weights.card.method]
    drawing = model.members if given.members > 1 else None
    hidden = collect(drawn(made, given.batches, 0), weights, model.estimate, drawing, given.members, seed=0)
    if not given.keep:
        found = Factors.best(hidden)
        if given.inflation is not None:
            found = replace(found, inflation=given.inflation)
        print(f"mean factors {found.means}, spread factor {found.spread:.3f}, inflation {found.inflation:.3f}")
        weights, hidden = found.put(weights), found.on(hidden)
    scores = score(hidden, made.targets)
    print(text(scores))
    card = replace(weights.card, intervals=intervals(hidden))
    print(f"intervals {card.intervals}")
    if not given.keep:
        card = replace(card, scores={"set": CHOSEN, **scores})
    if given.out is not None:
        print(Weights(card, weights.arrays).save(given.out))


if __name__ == "__main__":
    main()
