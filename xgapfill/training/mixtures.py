"""Training data of the shipped weights: the simulated ocean and the training set of the real data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.simulate import clouds, simulate, size_class_anomalies
from xgapfill.training.samples import GapShapes, Sample, Series, chlorophyll_sample, size_class_sample
from xgapfill.variables.transforms import ilr

OCEANS = 16
CHOOSE_OCEANS = range(900, 903)
REAL_SHARE = 0.65  # share of real windows for chlorophyll
MONTH = 365.25 / 12  # days
SHARES = {8.0: 3.0, 1.0: 1.0, MONTH: 3.0}  # of windows, by days of a step
TRAIN_ENDS = np.datetime64("2020-06-01")
CHOOSE_BEGINS = np.datetime64("2020-06-09")

Draw = Callable[[np.random.Generator], Sample]


@dataclass(frozen=True)
class Mixture:
    """Channels of a model and a function that draws its training windows.

    Attributes
    ----------
    targets, conditions : channel names
    draw : rng -> Sample
    trained_on : the data in a sentence
    simulated_only : channels whose truth was never measured
    """

    targets: tuple[str, ...]
    conditions: tuple[str, ...]
    draw: Draw
    trained_on: str
    simulated_only: tuple[str, ...]


def mixture(name: str, data: Path | None, cache: Path, part: str = "train") -> Mixture:
    """The mixture of a shipped model: ``chl`` or ``psc-chl``.

    Parameters
    ----------
    name : name of the weights
    data : folder of the real series; None trains on the simulated ocean alone
    cache : folder that keeps the simulated oceans
    part : ``train`` or ``choose`` (validation set); they share no frame and no simulated box
    """
    makers = {"chl": _chlorophyll, "psc-chl": _size_classes}
    if name not in makers:
        raise ValueError(f"expected the name of a mixture, one of {sorted(makers)}, found {name!r}")
    seeds = range(OCEANS) if part == "train" else range(CHOOSE_OCEANS.start, CHOOSE_OCEANS.stop)
    oceans = [ocean(seed, cache) for seed in seeds]
    real = [] if data is None else real_series(data) if part == "train" else choose_series(data)
    masks = [~np.isfinite(series.fields[-1]) for series in real]
    masks += [clouds(seed, 40, (256, 256), share) for seed, share in enumerate(np.linspace(0.1, 0.85, 12))]
    anomalies = [_anomalies(seed, cache) for seed in list(seeds)[: OCEANS // 2]] if real else []
    return makers[name](oceans, real, GapShapes(masks), anomalies)


def _chlorophyll(oceans: list[Series], real: list[Series], gaps: GapShapes, anomalies: list[NDArray]) -> Mixture:
    def draw(rng: np.random.Generator) -> Sample:
        if real and rng.random() < REAL_SHARE:
            series = real[int(rng.choice(len(real), p=_shares(real)))]
            return chlorophyll_sample(rng, series, gaps, noise=0.0)
        series = oceans[int(rng.integers(len(oceans)))]
        return chlorophyll_sample(rng, series, gaps, noise=_noise(rng))

    return Mixture(("log10_chl",), (), draw, _trained_on(real), () if real else ("log10_chl",))


def _size_classes(oceans: list[Series], real: list[Series], gaps: GapShapes, anomalies: list[NDArray]) -> Mixture:
    composites = [series for series in real if series.step_days > 1]

    def draw(rng: np.random.Generator) -> Sample:
        if composites and rng.random() < 0.4:
            series = composites[int(rng.choice(len(composites), p=_shares(composites)))]
            stirred = anomalies[int(rng.integers(len(anomalies)))]
            return size_class_sample(rng, series, gaps, 0.3 * _noise(rng), stirred)
        series = oceans[int(rng.integers(len(oceans)))]
        return size_class_sample(rng, series, gaps, _noise(rng), None)

    return Mixture(
        ("psc_ilr1", "psc_ilr2"),
        ("log10_chl",),
        draw,
        _trained_on(real) + " Size classes are simulated: in the ocean box, or as residuals laid on the real CHL.",
        ("psc_ilr1", "psc_ilr2") if real else ("psc_ilr1", "psc_ilr2", "log10_chl"),
    )


def _noise(rng: np.random.Generator) -> float:
    """Noise of a simulated sensor, in log10 units."""
    return float(rng.uniform(0.0, 0.07))


def _shares(real: list[Series]) -> NDArray[np.float64]:
    """Probabilities of series."""
    weights = np.array([SHARES[series.step_days] for series in real])
    return weights / weights.sum()


def _trained_on(real: list[Series]) -> str:
    simulated = f"{OCEANS} simulated ocean boxes (256 x 256 pixels x 40 eight-day frames) of xgapfill.simulate"
    if not real:
        return simulated + "."
    return (
        simulated + "; chlorophyll of MODIS-Aqua, NE Pacific 2020 before 1 June (8-day and daily), and of SeaWiFS, "
        "NE Pacific 2009 (8-day), as prepared by PhytoFit (MIT) from NASA OBPG data; months of MODIS-Aqua, August 2015 "
        "to May 2016, global without two boxes, as prepared by oceaneos (Apache-2.0) from NASA NEO data."
    )


def ocean(seed: int, cache: Path) -> Series:
    """A simulated box as fields psc_ilr1, psc_ilr2, log10_chl, stored in the cache folder."""
    file = cache / f"ocean-{seed}.npz"
    if not file.exists():
        latitude = float(np.random.default_rng([seed, 4]).uniform(-62, 68))
        box = simulate(seed, latitude=latitude)
        fields = np.concatenate([ilr(box.psc), box.log10_chl[None]]).astype(np.float16)
        day = (box.time - box.time.astype("datetime64[Y]")).astype("timedelta64[D]").astype(float) + 4.0
        _save(file, fields=fields, lat=box.lat, day=day)
    with np.load(file) as kept:
        fields = kept["fields"].astype(np.float32)
        return Series(fields, np.ones(fields.shape[-2:], bool), kept["lat"], 1 / 24, kept["day"], 8.0)


def _anomalies(seed: int, cache: Path) -> NDArray[np.float32]:
    file = cache / f"anomalies-{seed}.npz"
    if not file.exists():
        _save(file, fields=size_class_anomalies(seed, 30, (256, 256)).astype(np.float16))
    with np.load(file) as kept:
        return kept["fields"].astype(np.float32)


def _save(file: Path, **arrays: NDArray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{np.random.default_rng().integers(10**9)}.npz")
    np.savez(part, **arrays)  # type: ignore[arg-type]
    part.rename(file)


def real_series(folder: Path) -> list[Series]:
    """The training set of the real chlorophyll: nothing of the validation or test sets."""
    return [
        _read(folder / "ne_pacific_modis_2020_8day.nc", 8.0, ends=TRAIN_ENDS),
        _read(folder / "ne_pacific_seawifs_2009_8day.nc", 8.0),
        _read(folder / "ne_pacific_modis_2020_daily.nc", 1.0, ends=TRAIN_ENDS),
        _read_months(folder / "neo_global_modis_monthly_2015_2016_0.1deg.nc"),
    ]


def choose_series(folder: Path) -> list[Series]:
    """The validation set of the real chlorophyll."""
    return [
        _read(folder / "ne_pacific_modis_2020_8day.nc", 8.0, begins=CHOOSE_BEGINS),
        _read(folder / "ne_pacific_modis_2020_daily.nc", 1.0, begins=CHOOSE_BEGINS),
    ]


def _read(
    file: Path, step_days: float, ends: np.datetime64 | None = None, begins: np.datetime64 | None = None
) -> Series:
    with xr.open_dataset(file) as ds:
        if begins is not None:
            ds = ds.isel(time=ds.time.values >= begins)
        if ends is not None:
            # A composite that extends past the end belongs to the other set.
            ds = ds.isel(time=ds.time.values + np.timedelta64(int(step_days) - 1, "D") < ends)
        days = ds.time.dt.dayofyear.values + (step_days - 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            field = np.log10(ds.CHL.values.astype(np.float32))
        return Series(
            np.where(np.isfinite(field), field, np.float32(np.nan))[None],
            ds["mask"].values.astype(bool),
            ds.lat.values.astype(float),
            float(np.median(np.diff(ds.lon.values))),
            days.astype(float),
            step_days,
        )


def _read_months(file: Path) -> Series:
    """The ten global maps of months that follow each other."""
    with xr.open_dataset(file) as ds:
        ds = ds.isel(time=slice(1, 11))
        return Series(
            ds.log10_CHL.values.astype(np.float32)[None],
            ds.ocean.values.astype(bool),
            ds.lat.values.astype(float),
            float(np.median(np.diff(ds.lon.values))),
            ds.time.dt.dayofyear.values + MONTH / 2,
            MONTH,
        )
