"""Random parameters of a simulated ocean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Regime:
    """Parameters of one simulated ocean: lengths in km, times in days, speeds in m s-1.

    Attributes
    ----------
    speed, eddy_km, flow_slope, eddy_days, drift : float
        Root mean square speed, scale of the energetic eddies, power of the streamfunction's spectral density, memory
        of those eddies, westward drift of the pattern.
    patch_km, patch_slope, patch_days, fixed_share, relax_days, mixing : float
        Scale, spectral power and memory of the sources; their constant share; relaxation time of tracers to them;
        diffusivity in m2 s-1.
    chl_mean, chl_sd, chl_season, chl_peak, chl_north : float
        log10 chlorophyll: mean, standard deviation of the anomalies, seasonal amplitude, day of the bloom, change per
        degree northward.
    sst_mean, sst_sd, sst_season, sst_peak, sst_north : float
        The same for temperature in degC.
    daily_gaps : float
        Cloudy share of the days: a composite pixel is the mean of its clear days, as observed by a satellite.
    pigments : float
        Definition of size classes, from size-fractionated filtration (0) to diagnostic pigments (1), see
        `xgapfill.variables.relation`.
    box_share : float
        Share of the variance of the size-class residuals that is common to the whole box.
    scatter : float
        Size of the residuals relative to in-situ samples.
    tail : float
        Heaviness of the tails of the size-class residuals, 0 for a normal distribution.
    """

    speed: float
    eddy_km: float
    flow_slope: float
    eddy_days: float
    drift: float
    patch_km: float
    patch_slope: float
    patch_days: float
    fixed_share: float
    relax_days: float
    mixing: float
    chl_mean: float
    chl_sd: float
    chl_season: float
    chl_peak: float
    chl_north: float
    sst_mean: float
    sst_sd: float
    sst_season: float
    sst_peak: float
    sst_north: float
    daily_gaps: float
    pigments: float
    box_share: float
    scatter: float
    tail: float


def draw_regime(rng: np.random.Generator, latitude: float) -> Regime:
    """Draw the parameters of a box centred at a latitude (degrees north)."""
    angle, north = np.deg2rad(latitude), np.sign(latitude) or 1.0
    middle = np.exp(-(((abs(latitude) - 42) / 16) ** 2))
    summer = 230.0 if north > 0 else 48.0

    def scale(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return Regime(
        speed=rng.uniform(0.1, 0.4),
        eddy_km=scale(120, 350),
        flow_slope=rng.uniform(4.5, 6.0),
        eddy_days=rng.uniform(12, 45),
        drift=rng.uniform(0.0, 0.04) * np.cos(angle) ** 2,
        patch_km=scale(60, 600),
        patch_slope=rng.uniform(2.6, 4.2),
        patch_days=scale(3, 25),
        fixed_share=rng.uniform(0.0, 0.5),
        relax_days=scale(4, 20),
        mixing=scale(5, 50),
        chl_mean=rng.uniform(-1.2, 0.7),
        chl_sd=scale(0.1, 0.42),
        chl_season=rng.uniform(0.05, 0.15) + 0.25 * middle * rng.uniform(),
        chl_peak=summer - rng.uniform(60, 150),
        chl_north=north * rng.uniform(-0.02, 0.06),
        sst_mean=28 * np.cos(angle) ** 2 + rng.normal(0, 1.5),
        sst_sd=rng.uniform(0.4, 1.5),
        sst_season=1 + 4 * middle * rng.uniform(0.6, 1.2),
        sst_peak=summer + rng.normal(0, 8),
        sst_north=-28 * np.sin(2 * angle) * np.pi / 180 * rng.uniform(0.6, 2.0),
        daily_gaps=rng.uniform(0.2, 0.95),
        pigments=rng.uniform(0.0, 1.0),
        box_share=rng.uniform(0.1, 0.4),
        scatter=rng.uniform(0.7, 1.25),  # 0.99 in the mean square
        tail=rng.uniform(0.0, 0.35),
    )
