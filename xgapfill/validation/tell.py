"""Can a classifier tell filled patches from true ones? With a positive and a negative control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from xgapfill.validation.scene import Scene
from xgapfill.validation.verdict import Verdict, mean_of

SIDE, APART = 8, 4  # pixels of a patch; pixels between corners of patches
KNOWN_SHARE, HIDDEN_SHARE = 0.8, 0.5  # of a patch
RIDGE = 1.0
BLUR = 0.7  # pixels, of the positive control
LEAST = 20  # patches


@dataclass(frozen=True)
class Told:
    """How often a classifier finds the filled one of two patches of the same place.

    Attributes
    ----------
    found : Verdict
        Of the fill; 0.5 is guessing.
    negative, positive : Verdict
        Of true patches with labels at random, and of smoothed true patches beside true ones: 0.5, and nearly 1.
    patches : int
    """

    found: Verdict
    negative: Verdict
    positive: Verdict
    patches: int

    def __str__(self) -> str:
        rows = "\n".join(str(each) for each in (self.found, self.negative, self.positive))
        return f"{rows}\n{self.patches} pairs of patches; the positive control should fail, the negative one pass"


def tell_apart(truth: ArrayLike, filled: ArrayLike, hidden: ArrayLike, seed: int = 0) -> Told:
    """Train a classifier on half of the dates to tell filled patches from true ones, and judge it on the others.

    A logistic regression on the sizes of differences within patches. A fill that is drawn from the truth's law is found
    in half of the pairs.

    Parameters
    ----------
    truth, filled : (t, y, x) float
        NaN where unknown; alike where observed.
    hidden : (t, y, x) bool
        Pixels that were filled and whose truth is known.
    seed : int
        Of the halves.

    Returns
    -------
    Told
        Print it: it always shows its controls.

    Raises
    ------
    ValueError
        There are too few patches, or they are of one date.

    References
    ----------
    Classifier two-sample tests: Lopez-Paz & Oquab (2017), arXiv:1610.06545.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> scene = ocean("smooth")
    >>> told = tell_apart(scene.real, scene.made(scene.members[0]), scene.hidden)
    >>> told.found.passed, told.negative.passed, told.positive.passed
    (False, True, False)
    """
    truth, filled, hidden = np.asarray(truth, np.float64), np.asarray(filled, np.float64), np.asarray(hidden, bool)
    dates, real, made = _patches(truth, filled, hidden)
    if dates.size < LEAST or np.unique(dates).size < 4:
        raise ValueError(
            f"expected at least {LEAST} patches of {SIDE} x {SIDE} pixels of 4 dates, mostly hidden and known; found "
            f"{dates.size} of {np.unique(dates).size} dates; hide larger gaps, or give a longer series"
        )
    generator = np.random.default_rng(seed)
    swap = (generator.random(dates.size) < 0.5)[:, None, None]
    smooth = np.where(np.isfinite(real), _smoothed(real), np.nan)
    mixed = np.where(swap, made, real), np.where(swap, real, made)
    return Told(
        _judged("tell apart", dates, real, made, generator),
        _judged("negative control", dates, *mixed, generator),
        _judged("positive control", dates, real, smooth, generator),
        dates.size,
    )


def told_apart(scene: Scene) -> list[Verdict]:
    """Verdicts of `tell_apart` on the first member of a scene, with its controls; none with too few patches.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> [each.name for each in told_apart(ocean())]
    ['tell apart', 'negative control', 'positive control']
    """
    try:
        told = tell_apart(scene.real, scene.made(scene.drawn[0]), scene.hidden)
    except ValueError:
        return [Verdict("tell apart", np.nan, 0.5, np.nan, np.nan, 0)]
    return [told.found, told.negative, told.positive]


def _patches(truth: NDArray, filled: NDArray, hidden: NDArray[np.bool_]) -> tuple[NDArray, NDArray, NDArray]:
    """Date, truth and fill of patches, (n,), (n, y, x) twice, that are known almost everywhere and mostly hidden."""
    known = np.isfinite(truth) & np.isfinite(filled)
    found = []
    for part in (known, hidden & known, truth, filled):
        whole = np.lib.stride_tricks.sliding_window_view(part, (SIDE, SIDE), (1, 2))
        found.append(whole[:, ::APART, ::APART])
    good = (found[0].mean(axis=(-2, -1)) >= KNOWN_SHARE) & (found[1].mean(axis=(-2, -1)) >= HIDDEN_SHARE)
    both = [np.where(found[0][good], each[good], np.nan) for each in found[2:]]
    return np.nonzero(good)[0], both[0], both[1]


def _features(patches: NDArray) -> NDArray[np.float64]:
    """Sizes of differences within each patch, (n, f)."""
    found = []
    for lag in (1, 2, 4):
        jumps = [patches[:, lag:] - patches[:, :-lag], patches[..., lag:] - patches[..., :-lag]]
        both = np.concatenate([np.abs(each).reshape(len(patches), -1) for each in jumps], axis=1)
        size = _log(np.nanmean(both, axis=1))
        found += [size, _log(np.nanmean(both**2, axis=1)) - 2 * size]
        found.append(_log(np.nanmean(np.sqrt(both), axis=1)))
    bend = patches[:, 2:, 1:-1] + patches[:, :-2, 1:-1] + patches[:, 1:-1, 2:] + patches[:, 1:-1, :-2]
    found.append(_log(np.nanmean(np.abs(bend - 4 * patches[:, 1:-1, 1:-1]), axis=(1, 2))))
    found.append(_log(np.nanstd(patches, axis=(1, 2))))
    plain = np.nan_to_num(np.stack(found, axis=1))
    return np.concatenate([plain, plain**2], axis=1)


def _log(values: NDArray) -> NDArray[np.float64]:
    return np.log(np.maximum(np.nan_to_num(values), 1e-6))


def _judged(name: str, dates: NDArray, real: NDArray, made: NDArray, generator: np.random.Generator) -> Verdict:
    """How often a classifier of half of the dates scores the filled patch of a pair higher, on the other half.

    Both halves judged by each other would not be independent, and alarm twice as often as they should.
    """
    with np.errstate(all="ignore"):
        features = _features(real), _features(made)
    every = generator.permutation(np.unique(dates))
    judged = np.isin(dates, every[: every.size // 2])
    score = _classifier(features[0][~judged], features[1][~judged])
    away = score(features[1][judged]) - score(features[0][judged])
    return mean_of(name, dates[judged], 0.5 + 0.5 * np.sign(away), 0.5)


def _classifier(real: NDArray, made: NDArray) -> Callable[[NDArray], NDArray]:
    """Score of a ridge logistic regression: larger for filled patches; trained on pairs."""
    both = np.concatenate([real, made])
    centre, unit = both.mean(axis=0), both.std(axis=0) + 1e-9
    away = (made - real) / unit  # of pairs: what differs within them
    weights = np.zeros(away.shape[1])
    for _ in range(25):
        chance = scipy.special.expit(-away @ weights)
        gradient = away.T @ chance - RIDGE * weights
        hessian = (away.T * (chance * (1 - chance))) @ away + RIDGE * np.eye(weights.size)
        weights = weights + np.linalg.solve(hessian, gradient)
    return lambda features: np.asarray((features - centre) / unit @ weights)


def _smoothed(patches: NDArray) -> NDArray[np.float64]:
    """Patches blurred over their known pixels."""
    known = np.isfinite(patches).astype(float)
    size = (0, BLUR, BLUR)
    values = scipy.ndimage.gaussian_filter(np.nan_to_num(patches), size)
    return np.asarray(values / np.maximum(scipy.ndimage.gaussian_filter(known, size), 1e-9))
