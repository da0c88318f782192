"""Fit the background's priors on training windows: regression on the predictors, and a model of its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xgapfill.gaussian.background import LOG_SHARES, SPAN, OfChannel, guesses
from xgapfill.gaussian.priors import Prior, shipped, to_mapping
from xgapfill.training.mixtures import Mixture, mixture
from xgapfill.training.samples import Sample

ERRORS = 400  # hidden pixels per window for the model of errors


def fit_priors(name: str, count: int, data: Path | None, cache: Path, out: Path, seed: int = 0) -> dict[str, Prior]:
    """Fit the priors of the targets of a mixture on `count` windows, print them and write the JSON file `out`."""
    made = mixture(name, data, cache)
    rng = np.random.default_rng([seed, 5])
    samples = [made.draw(rng) for _ in range(count)]
    priors = shipped()
    for c, channel in enumerate(made.targets):
        if made.conditions:
            priors[channel] = replace(priors[channel], regression=_regression(c, samples, made, priors))
    for c, channel in enumerate(made.targets):
        priors[channel] = replace(priors[channel], error=_error(c, samples, made, priors))
        print(channel, priors[channel], flush=True)
    out.write_text(json.dumps(to_mapping(priors), indent=1) + "\n")
    return priors


def guess_of(c: int, sample: Sample, made: Mixture, priors: Mapping[str, Prior]) -> OfChannel:
    """The background of one channel of a training window."""
    found = guesses(
        torch.from_numpy(np.where(sample.observed, sample.values, 0))[None],
        torch.from_numpy(sample.observed.astype(np.float32))[None],
        sample.step_days,
        torch.from_numpy(sample.step_km)[None],
        made.targets + made.conditions,
        len(made.targets),
        priors,
    )
    return dict(found)[c]


def _plain(values: Tensor) -> tuple[float, ...]:
    """Plain numbers, rounded to four digits."""
    return tuple(float(f"{float(value):.4g}") for value in values)


def _regression(
    c: int, samples: list[Sample], made: Mixture, priors: Mapping[str, Prior]
) -> dict[str, tuple[float, float]]:
    """Slope and curvature of a target by each predictor, least squares over all windows with equal weights."""
    rows, right = [], []
    for sample in samples:
        conditions = range(len(made.targets), sample.values.shape[1])
        both = sample.known[:, [c, *conditions]].all(axis=1)
        if not both.any():
            continue
        columns = [np.ones(both.sum())]
        for i, name in zip(conditions, made.conditions, strict=True):
            departure = np.clip(sample.values[:, i][both] - priors[name].centre, -SPAN, SPAN)
            columns += [departure, departure**2]
        scale = both.sum() ** -0.5
        rows.append(scale * np.stack(columns, axis=1))
        right.append(scale * sample.values[:, c][both])
    beta = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0][1:]
    pairs = [_plain(pair) for pair in torch.from_numpy(beta).reshape(-1, 2)]
    return {name: (pair[0], pair[1]) for name, pair in zip(made.conditions, pairs, strict=True)}


def _error(c: int, samples: list[Sample], made: Mixture, priors: Mapping[str, Prior]) -> tuple[float, ...]:
    """Model of the error variance: least Gaussian CRPS over hidden pixels, in units of each window's errors."""
    rng = np.random.default_rng(0)
    features, errors = [], []
    for sample in samples:
        hidden = (sample.known & ~sample.observed)[:, c]
        hidden[[0, -1]] = False
        all_places = np.flatnonzero(hidden)
        if not all_places.size:
            continue
        places = torch.from_numpy(rng.choice(all_places, min(ERRORS, all_places.size), replace=False))
        with torch.no_grad():
            guess = guess_of(c, sample, made, priors)
            y = torch.from_numpy(sample.values[:, c])[None]
            error = ((y - guess.mean) / guess.covariance.variance.sqrt()).flatten()[places]
            features.append(guess.departures.features().flatten(1)[:, places])
            errors.append(error)
    feature, error = torch.cat(features, dim=1), torch.cat(errors)
    scale = (0.5 * feature[0]).exp()
    a = torch.tensor([0.0, 1.0, 0.0, 0.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([a], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        width = (0.5 * (a[0] + (a[1:, None] * feature).sum(0)).clamp(*LOG_SHARES)).exp()
        value = (_crps(error, width) / scale).mean()
        value.backward()
        return value

    optimiser.step(loss)
    return _plain(a.detach())


def _crps(error: Tensor, width: Tensor) -> Tensor:
    """CRPS of a normal distribution; Gneiting & Raftery (2007), doi:10.1198/016214506000001437, eq. 21."""
    z = error / width
    density = torch.exp(-0.5 * z**2) / (2 * torch.pi) ** 0.5
    return width * (z * torch.erf(z / 2**0.5) + 2 * density - torch.pi**-0.5)
