"""Training windows: complete simulated fields and real gappy ones, both with transplanted real gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import SIZE
from xgapfill.lattice.windows import Windows
from xgapfill.variables import SizeClasses
from xgapfill.variables.relation import psc_ilr_mean
from xgapfill.variables.transforms import ilr, ilr_inverse

KM_PER_DEGREE = 111.2
CONDITION_DROPPED = 0.15  # share of samples without predictors
CLASS_ALONE = 0.1  # share of samples with a single known size class


@dataclass(frozen=True)
class Sample:
    """One window; the truth is available where `known`, and the method gets it where `observed`.

    Attributes
    ----------
    values : (t, c, y, x) float32, transformed units, 0 where not known
    known, observed : (t, c, y, x) bool
    sea : (y, x) bool
    lat : (y,) float32
    lon : (x,) float32
    season : (t, 2) float32
    step_days : float
    step_km : (2,) float32
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    sea: NDArray[np.bool_]
    lat: NDArray[np.float32]
    lon: NDArray[np.float32]
    season: NDArray[np.float32]
    step_days: float
    step_km: NDArray[np.float32]


def windows_of(samples: list[Sample], channels: tuple[str, ...], targets: int) -> Windows:
    """Input of a method for samples with the same time step."""
    observed = np.stack([s.observed for s in samples])
    return Windows(
        values=np.where(observed, np.stack([s.values for s in samples]), np.float32(0)),
        observed=observed,
        sea=np.stack([s.sea for s in samples]),
        channels=channels,
        targets=targets,
        starts=np.array([[0, 0, 64 * k] for k in range(len(samples))]),
        lat=np.stack([s.lat for s in samples]),
        lon=np.stack([s.lon for s in samples]),
        season=np.stack([s.season for s in samples]),
        step_days=samples[0].step_days,
        step_km=np.stack([s.step_km for s in samples]),
    )


@dataclass(frozen=True)
class Series:
    """A gappy or complete series of maps to cut windows from.

    Attributes
    ----------
    fields : (c, t, y, x) float32, NaN where unknown
    sea : (y, x) bool
    lat : (y,) float64; step_lon : degrees between columns
    day : (t,) day of the year; step_days : float
    """

    fields: NDArray[np.float32]
    sea: NDArray[np.bool_]
    lat: NDArray[np.float64]
    step_lon: float
    day: NDArray[np.float64]
    step_days: float

    def window(self, rng: np.random.Generator, least: float) -> tuple[slice, slice, slice]:
        """A place where at least this share of the sea pixels is known."""
        t, y, x = self.fields.shape[1:]
        for _ in range(200):
            corner = [int(rng.integers(0, n - s + 1)) for n, s in zip((t, y, x), SIZE, strict=True)]
            place = (
                slice(corner[0], corner[0] + SIZE[0]),
                slice(corner[1], corner[1] + SIZE[1]),
                slice(corner[2], corner[2] + SIZE[2]),
            )
            sea = self.sea[place[1:]]
            if sea.mean() < 0.1:
                continue
            if np.isfinite(self.fields[(-1, *place)])[:, sea].mean() >= least:
                return place
        raise ValueError(f"no window of {SIZE} found in which {least:.0%} of the sea is known")


class Gaps(Protocol):
    """Shapes of gaps: (t, y, x) bool of a window's size, True where missing."""

    def __call__(self, rng: np.random.Generator, share: tuple[float, float]) -> NDArray[np.bool_]:
        """Gaps with a missing share in this range, or as close as possible."""
        ...


@dataclass(frozen=True)
class GapShapes:
    """Gaps cut from real and simulated series of masks.

    Attributes
    ----------
    masks : sequence of (t, y, x) bool, True where missing
    """

    masks: Sequence[NDArray[np.bool_]]

    def __call__(self, rng: np.random.Generator, share: tuple[float, float]) -> NDArray[np.bool_]:
        """A window of gaps with a missing share in this range, or the closest of 40 tries."""
        best, off = np.zeros(SIZE, bool), np.inf
        for _ in range(40):
            mask = self.masks[int(rng.integers(len(self.masks)))]
            corner = [int(rng.integers(0, n - s + 1)) for n, s in zip(mask.shape, SIZE, strict=True)]
            gaps = mask[tuple(slice(c, c + s) for c, s in zip(corner, SIZE, strict=True))]
            miss = max(share[0] - gaps.mean(), gaps.mean() - share[1], 0.0)
            if miss < off:
                best, off = gaps, miss
            if off == 0.0:
                break
        for axis in (1, 2):
            if rng.random() < 0.5:
                best = np.flip(best, axis)
        return best


def chlorophyll_sample(rng: np.random.Generator, series: Series, gaps: Gaps, noise: float) -> Sample:
    """CHL alone, with transplanted real gaps."""
    place = series.window(rng, least=0.05)
    field = series.fields[(-1, *place)]
    known = np.isfinite(field)
    missing = discs(rng) if rng.random() < 0.25 else gaps(rng, (0.15, 0.85))
    if rng.random() < 0.15:
        missing = missing | discs(rng)
    observed = known & ~missing
    if observed.sum() < 30:
        observed = known & ~discs(rng)
    values = field + noise * rng.standard_normal(field.shape, dtype=np.float32)
    return _sample(series, place, values[:, None], known[:, None], observed[:, None])


def size_class_sample(
    rng: np.random.Generator, series: Series, gaps: Gaps, noise: float, anomalies: NDArray[np.float32] | None
) -> Sample:
    """Size classes and CHL; for a series of CHL alone, classes are the mean relation plus simulated anomalies.

    Parameters
    ----------
    series : fields psc_ilr1, psc_ilr2, log10_chl, or log10_chl alone
    noise : standard deviation of the noise of log10 CHL; the log-ratios, from the same radiances, share it in
        proportion, and get up to as much noise of their own
    anomalies : (2, t, y, x) stirred residuals of the log-ratios for a series of CHL alone
    """
    place = series.window(rng, least=0.2)
    clean = series.fields[(-1, *place)]
    chl = clean + noise * rng.standard_normal(clean.shape, dtype=np.float32)
    pigments = float(rng.uniform())
    usual = psc_ilr_mean(chl, pigments=pigments)
    if anomalies is None:
        psc = series.fields[(slice(0, 2), *place)] + usual - psc_ilr_mean(clean, pigments=pigments)
    else:
        corner = [int(rng.integers(0, n - s + 1)) for n, s in zip(anomalies.shape[1:], SIZE, strict=True)]
        cut = anomalies[(slice(None), *(slice(c, c + s) for c, s in zip(corner, SIZE, strict=True)))]
        psc = ilr(ilr_inverse(usual + cut))
    psc = psc + np.float32(rng.uniform(0, noise)) * rng.standard_normal(psc.shape, dtype=np.float32)
    known = np.isfinite(chl)
    hidden_chl = gaps(rng, (0.0, 0.35)) if rng.random() < 0.6 else gaps(rng, (0.3, 0.85))
    hidden_psc = gaps(rng, (0.3, 0.9))
    if rng.random() < 0.8:
        hidden_psc = hidden_psc | hidden_chl
    if rng.random() < CONDITION_DROPPED:
        hidden_chl = np.ones_like(hidden_chl)
    elif rng.random() < 0.03:
        hidden_psc = np.ones_like(hidden_psc)
    observed_chl = known & ~hidden_chl
    if rng.random() < CLASS_ALONE:
        alone = int(rng.integers(3))
        shown = np.where(observed_chl, 10.0**chl, np.nan).astype(np.float32)
        psc = SizeClasses(alone=alone).encode(ilr_inverse(psc)[alone][None], shown).values
    values = np.stack([*psc, chl], axis=1)
    observed_psc = known & ~hidden_psc
    return _sample(
        series,
        place,
        values,
        np.stack([known] * 3, axis=1),
        np.stack([observed_psc, observed_psc, observed_chl], axis=1),
    )


def _sample(
    series: Series, place: tuple[slice, slice, slice], values: NDArray, known: NDArray, observed: NDArray
) -> Sample:
    lat = series.lat[place[1]]
    angle = 2 * np.pi * series.day[place[0]] / 365.25
    north = abs(series.lat[1] - series.lat[0]) * KM_PER_DEGREE
    east = series.step_lon * KM_PER_DEGREE * np.cos(np.deg2rad(lat[SIZE[1] // 2]))
    return Sample(
        values=np.where(known, values, 0).astype(np.float32),
        known=known,
        observed=observed,
        sea=series.sea[place[1:]] | known.any(axis=(0, 1)),
        lat=lat.astype(np.float32),
        lon=(np.arange(SIZE[2]) * series.step_lon).astype(np.float32),
        season=np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32),
        step_days=series.step_days,
        step_km=np.array([north, east], np.float32),
    )


def discs(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Disc-shaped gaps in every frame."""
    rows, cols = np.mgrid[: SIZE[1], : SIZE[2]]
    holes = np.zeros(SIZE, bool)
    for frame in holes:
        for _ in range(int(rng.integers(1, 7))):
            row, col = rng.uniform(0, SIZE[1]), rng.uniform(0, SIZE[2])
            frame |= (rows - row) ** 2 + (cols - col) ** 2 < rng.uniform(3, 14) ** 2
    return holes
