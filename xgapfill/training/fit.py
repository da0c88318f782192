"""Train a network on a gappy series, as long as it improves on held-out blocks."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from xgapfill.gaussian import priors as prior_file
from xgapfill.gaussian.priors import Prior
from xgapfill.inputs.warn import warn
from xgapfill.lattice.tiling import SIZE
from xgapfill.methods.base import BATCH, NetMethod
from xgapfill.nets.device import new_tensors_on
from xgapfill.nets.scene import SIGMA_MAX
from xgapfill.training.calibrate import (
    Factors,
    Hidden,
    backgrounds,
    best_inflation,
    best_spread,
    collect,
    intervals,
    score,
)
from xgapfill.training.gappy import Gappy
from xgapfill.training.levels import levels_of
from xgapfill.training.loop import Settings, Trainer
from xgapfill.training.mixtures import Mixture
from xgapfill.training.models import MODELS, Model
from xgapfill.validation.scores import crps_gaussian
from xgapfill.weights import Card, Weights

LOOKS = 12  # evaluations on the held-out blocks, evenly spread over a run
LOOK_STEPS = 10  # smallest number of steps between two evaluations
PATIENCE = 4  # evaluations without improvement before the run is ended
MEMBERS, MEMBER_BATCHES = 4, 2  # for the members' inflation
RATE = 1e-3  # learning rate of a trained network; an untrained one has the rate of `Settings`
POOL = 192
POOL_BYTES = 2**30  # of the windows kept in memory, about 32 bytes per value of a window
# Entries of a card that say nothing about the shape of the network.
FACTORS_AND_COSTS = ("mean_factor", "spread_factor", "steps", "minutes")
SCORED = "blocks of the series that were held out of the training, under the gaps of other dates"


@dataclass(frozen=True)
class Budget:
    """Length of a training: minutes of wall clock, or steps, which are reproducible on one machine."""

    minutes: float | None = None
    steps: int | None = None
    seed: int = 0

    def spent(self, steps: int, seconds: float) -> float:
        """Spent share of the budget."""
        return steps / self.steps if self.steps is not None else seconds / (60 * self.minutes) if self.minutes else 1.0


@dataclass(frozen=True)
class Fitted:
    """Result of a fit.

    Attributes
    ----------
    weights : Weights
        The initial weights if training did not improve them.
    better : bool
        Whether training improved the weights.
    interrupted : bool
        Whether Ctrl-C ended the fit.
    """

    weights: Weights
    better: bool
    interrupted: bool


def fit(
    series: Gappy,
    channels: tuple[str, ...],
    described: str,
    budget: Budget,
    *,
    method: NetMethod,
    init: Weights | None = None,
    name: str = "fit",
    device: str = "cpu",
    progress: bool | None = None,
) -> Fitted:
    """Train on a series from `init`, or from scratch, and calibrate on the held-out blocks.

    Parameters
    ----------
    series : training data
    channels : targets, then predictors
    described : description of the series, for the card
    budget : length of the training
    method : whose net is trained; its kind is in `MODELS`, or follows from the method
    init : initial weights
    name : of the new weights
    device : of torch
    progress : whether to show a bar; None: on terminals
    """
    kind, targets = MODELS.get(method.model) or Model.of(method), channels[: series.targets]
    start = time.monotonic()
    with new_tensors_on("cpu"), ThreadPoolExecutor(1) as aside:
        trainer = _trainer(series, channels, budget, kind, init, device)
        card = _card(trainer, series, described, name, init)
        judge = _Judge(aside, series, kind, card)
        before = judge.look(Weights(card, _arrays(trainer.average)) if init is None else init)
        if init is None:
            before = of_background(before)
        state, interrupted = _learn(trainer, judge, card, before, budget, progress)
        best = Weights(card, _arrays(state))
        best = judge.factors(best, budget.seed, 1.0 if init is None else init.card.inflation).put(best)
        after = judge.look(best)
    if init is not None and not _better(ratios(after, before)):
        return Fitted(init, False, interrupted)
    scores = {"set": SCORED, "before": score(before, targets, least=1), "after": score(after, targets, least=1)}
    minutes = round((time.monotonic() - start) / 60, 1)
    network = {**best.card.network, "steps": trainer.step, "minutes": minutes}
    card = replace(best.card, scores=scores, network=network, intervals=intervals(after))
    return Fitted(replace(best, card=card), True, interrupted)


def _trainer(
    series: Gappy, channels: tuple[str, ...], budget: Budget, kind: Model, init: Weights | None, device: str
) -> Trainer:
    made = Mixture(channels[: series.targets], channels[series.targets :], series.draw, "", ())
    batch, fresh = kind.objective.batch, kind.objective.fresh
    pool = min(POOL, max(batch, POOL_BYTES // (32 * len(channels) * int(np.prod(SIZE)))))
    pool = pool if budget.steps is None else min(pool, batch * budget.steps)
    settings = Settings(seed=budget.seed, pool=pool, batch=batch, fresh=fresh)
    network = levels = None
    if init is None:
        priors = _priors(series, channels)
        if kind.objective.levelled:
            levels = levels_of(series, [priors[channel] for channel in channels])
    else:
        widths = tuple(int(width) for width in init.card.network["widths"])
        settings = replace(settings, rate=RATE, widths=widths)
        priors = prior_file.from_mapping(init.card.background)
        network = {name: value for name, value in init.card.network.items() if name not in FACTORS_AND_COSTS}
    trainer = Trainer(made, priors, settings, device, kind.objective, network=network, levels=levels)
    if init is None:
        _warn_of_parameters(trainer, series)
    else:
        trainer.begin({name: torch.from_numpy(np.array(array, np.float32)) for name, array in init.arrays.items()})
    return trainer


def _warn_of_parameters(trainer: Trainer, series: Gappy) -> None:
    """Warn of a net with more parameters than the series has observations."""
    parameters = sum(p.numel() for p in trainer.net.parameters())
    observed = sum(int(np.count_nonzero(known[: series.targets])) for known in series.known)
    if parameters > observed:
        warn(
            f"the net has {parameters} parameters and the series {observed} observed pixels to train on: expect it to "
            "learn these by heart. A longer series, a smaller net or a method without a net are safer"
        )


def _priors(series: Gappy, channels: tuple[str, ...]) -> dict[str, Prior]:
    """Priors of the package, with the mean and variance of the series."""
    shipped = prior_file.shipped()
    priors = {}
    for number, channel in enumerate(channels):
        values = np.concatenate(
            [p.values[number][k[number]] for p, k in zip(series.patches, series.known, strict=True)]
        )
        prior = shipped[channel]
        if number >= series.targets and (not values.size or values.min() == values.max()):
            raise ValueError(
                f"a net learns nothing from the predictor {channel}, which is "
                f"{f'{values[0]:g} everywhere' if values.size else 'nowhere observed'} in the sample; leave it out of "
                "cond="
            )
        if values.size > 1 and values.var() > 0:
            mean, variance = float(values.mean(dtype=float)), max(float(values.var(dtype=float)), 1e-4 * prior.variance)
            prior = replace(prior, mean=float(f"{mean:.5g}"), variance=float(f"{variance:.5g}"))
        priors[channel] = prior
    return priors


def _card(trainer: Trainer, series: Gappy, described: str, name: str, init: Weights | None) -> Card:
    made = trainer.made
    channels = made.targets + made.conditions
    spans = [(np.inf, -np.inf)] * len(channels) if init is None else [init.card.ranges[c] for c in channels]
    ranges = {}
    for number, (channel, (low, high)) in enumerate(zip(channels, spans, strict=True)):
        parts = [p.values[number][k[number]] for p, k in zip(series.patches, series.known, strict=True)]
        observed = [part for part in parts if part.size]
        low, high = min([low, *(float(p.min()) for p in observed)]), max([high, *(float(p.max()) for p in observed)])
        if low < high:
            ranges[channel] = (float(f"{low:.4g}"), float(f"{high:.4g}"))
    return Card(
        name=name,
        method=trainer.objective.method,
        targets=made.targets,
        conditions=made.conditions,
        network=trainer.network,
        background=prior_file.to_mapping({c: trainer.priors[c] for c in channels}),
        ranges=ranges,
        sigma_max=SIGMA_MAX,
        trained_on=f"{described}."
        if init is None
        else f"{described}; before that, as {init.card.name!r}: {init.card.trained_on}",
        licence="" if init is None else init.card.licence,
        created=datetime.date.today().isoformat(),
        version=version("xgapfill"),
    )


def _arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: np.array(value.float().cpu().numpy(), np.float32) for name, value in state.items()}


class _Judge:
    """Estimates at the held-out blocks, in a separate thread with one torch thread, as in fills."""

    def __init__(self, aside: ThreadPoolExecutor, series: Gappy, kind: Model, card: Card) -> None:
        self.aside, self.kind = aside, kind
        self.batches = [series.judged[k : k + BATCH] for k in range(0, len(series.judged), BATCH)]
        self.before = aside.submit(backgrounds, self.batches, card).result()

    def look(self, weights: Weights) -> Hidden:
        """Posterior means with the factors of the card."""
        given = self.batches, weights, self.kind.estimate
        return self.aside.submit(collect, *given, None, 0, 0, self.before).result()

    def factors(self, weights: Weights, seed: int, inflation: float) -> Factors:
        """The best factors at these blocks, for weights without factors.

        Members are drawn on some of the blocks, too few to reduce `inflation`, the factor of the initial weights.
        """
        found = Factors.best(self.look(weights), self.kind.objective.from_background)
        if self.kind.members is None:
            return found
        given = self.batches[:MEMBER_BATCHES], weights, self.kind.estimate
        drawn = self.aside.submit(collect, *given, self.kind.members, MEMBERS, seed, self.before).result()
        return replace(found, inflation=max(inflation, best_inflation(found.on(drawn))))


def ratios(after: Hidden, before: Hidden) -> tuple[float, float]:
    """Ratios of CRPS and RMSE to those before, each the mean over the channels."""
    shares = []
    for channel in np.unique(after.channel):
        crps, error = [], []
        for each in (after, before):
            at = each.channel == channel
            crps.append(float(np.mean(crps_gaussian(each.mean[at], each.spread[at], each.truth[at]))))
            error.append(float(np.sqrt(np.mean((each.mean[at] - each.truth[at]) ** 2))))
        shares.append((crps[0] / crps[1], error[0] / error[1]))
    first, second = np.mean(shares, axis=0)
    return float(first), float(second)


def _better(shares: tuple[float, float]) -> bool:
    return max(shares) <= 1.0 and min(shares) < 1.0


def of_background(hidden: Hidden) -> Hidden:
    """The background as the estimate, with the best factor on its spread."""
    factor = best_spread(hidden.background, hidden.background_error, hidden.truth)
    spread = (factor * hidden.background_error).astype(np.float32)
    return replace(hidden, mean=hidden.background, spread=spread, members=hidden.background[None])


def _learn(
    trainer: Trainer, judge: _Judge, card: Card, before: Hidden, budget: Budget, progress: bool | None
) -> tuple[dict[str, Tensor], bool]:
    """Train until the budget is spent or until Ctrl-C; return the best state and whether Ctrl-C ended the training.

    Without improvement for `PATIENCE` evaluations, the learning rate falls to 0 at once and the training ends.
    """

    def look() -> float:
        hidden = judge.look(Weights(card, _arrays(trainer.average)))
        return ratios(Factors.best(hidden, from_background).on(hidden), before)[0]

    from_background = trainer.objective.from_background
    bar = tqdm(
        total=budget.steps or round(60 * (budget.minutes or 0)),
        unit="step" if budget.steps else "s",
        desc="fit",
        disable=None if progress is None else not progress,
    )
    begin, looks, last, since, interrupted = time.monotonic(), 0, 0, 0, False
    cooling, end = trainer.settings.cooling, 1.0
    state = {name: value.clone() for name, value in trainer.average.items()}
    try:
        least = look()
        while (spent := budget.spent(trainer.step, time.monotonic() - begin)) < end:
            trainer.advance(min(1.0, (end - spent) / (end * cooling)))
            spent = budget.spent(trainer.step, time.monotonic() - begin)
            bar.update(int(min(spent, 1.0) * bar.total) - bar.n)
            if spent < end and (spent * LOOKS < looks + 1 or trainer.step < last + LOOK_STEPS):
                continue
            looks, last, since, found = int(spent * LOOKS), trainer.step, since + 1, look()
            if found < least:
                least, since, state = found, 0, {name: value.clone() for name, value in trainer.average.items()}
            if since >= PATIENCE and spent < end * (1 - cooling):
                end = spent / (1 - cooling)
            bar.set_postfix_str(f"held-out CRPS ratio: best {least:.3f}, now {found:.3f}")
    except KeyboardInterrupt:
        interrupted = True
    bar.close()
    return state, interrupted
