"""Gain from in-situ samples: stations in a wide gap of the simulated ocean, half of them withheld."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

import xgapfill

FRAMES, GAP = slice(6, 14), slice(32, 96)  # the gap: this range of rows and of columns, in all frames
COUNT, SEED = 160, 5
METHODS = ("background", "kriging", "posterior_mean", "repaint", "vae")
DRAWING = ("repaint", "vae")
ERRORS = (0.2, 0.1, 0.05)
"""Standard deviations of the samples' errors, log10 of chlorophyll; that of fractions is half of it."""
MEMBERS = 4
NEAR = 5.0  # pixels


def run(methods: tuple[str, ...] = METHODS) -> dict[tuple[str, str, float], float]:
    """Print the table and return the RMSE at withheld stations by variable, method and error (infinite: no samples)."""
    ds, given, withheld = problem()
    print(f"Simulated ocean, {len(ds.time)} frames of 8 days, a gap of {GAP.stop - GAP.start} pixels a side in all")
    print(f"{len(given)} stations in it given, {len(withheld)} withheld; RMSE of log10 CHL and of fractions at these,")
    print(f"and at pixels within {NEAR:.0f} pixels of a given one in its frame, by the error of the samples")
    print(f"{'':6}{'':16}" + "".join(f"{name:>18}" for name in ("no samples", *(f"{e:g}" for e in ERRORS))))
    near, found = around(given, ds.CHL.shape), {}
    for variable, cond in (("CHL", None), ("PSC", "CHL")):
        for name in methods:
            row = []
            for error in (np.inf, *ERRORS):
                more: dict[str, Any] = {"members": MEMBERS} if name in DRAWING else {}
                if np.isfinite(error):
                    more["insitu"] = samples(ds, given, error)
                wrong = errors_of(ds.gapfill.fill(variable, name, cond, **more)[variable], ds)
                found[variable, name, error] = rmse(wrong, tuple(withheld.T))
                row.append(f"{found[variable, name, error]:9.4f}{rmse(wrong, near):9.4f}")
            print(f"{variable:6}{name:16}" + "".join(row))
    return found


def problem() -> tuple[xr.Dataset, NDArray[np.int64], NDArray[np.int64]]:
    """The simulated ocean with a wide gap, and pixels (t, y, x) in it: given stations, withheld ones."""
    ds = xgapfill.tutorial.open_dataset("ocean").isel(time=FRAMES)
    hidden = xr.zeros_like(ds.CHL, bool)
    hidden[:, GAP, GAP] = True
    places = np.argwhere((hidden & ds.CHL_truth.notnull()).values)
    chosen = places[np.random.default_rng(SEED).choice(len(places), COUNT, replace=False)]
    ds = ds.assign(CHL=ds.CHL.where(~hidden), PSC=ds.PSC.where(~hidden))
    return ds, chosen[: COUNT // 2], chosen[COUNT // 2 :]


def samples(ds: xr.Dataset, places: NDArray[np.int64], error: float) -> pd.DataFrame:
    """A table of samples: the truth plus an error with the prescribed standard deviation."""
    rng = np.random.default_rng(SEED)
    t, y, x = places.T
    chl = ds.CHL_truth.values[t, y, x] * 10 ** (error * rng.normal(size=len(places)))
    table = {"time": ds.time.values[t], "lat": ds.lat.values[y], "lon": ds.lon.values[x], "CHL": chl}
    parts = ds.PSC_truth.transpose("time", "lat", "lon", "size_class").values[t, y, x]
    parts = np.clip(parts + error / 2 * rng.normal(size=parts.shape), 0.01, None)
    table |= dict(zip(("micro", "nano", "pico"), (parts / parts.sum(axis=1, keepdims=True)).T, strict=True))
    errors = {f"{name}_error": error / 2 for name in ("micro", "nano", "pico")}
    return pd.DataFrame({**table, **errors, "CHL_error": chl * (10**error - 1)})


def around(places: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], ...]:
    """Pixels near a station, in its frame, that are in the gap."""
    rows, cols = np.meshgrid(*(np.arange(n) for n in shape[1:]), indexing="ij")
    near = np.zeros(shape, bool)
    for t, y, x in places:
        near[t] |= (rows - y) ** 2 + (cols - x) ** 2 <= NEAR**2
    inside = np.zeros(shape, bool)
    inside[:, GAP, GAP] = True
    return np.nonzero(near & inside)


def errors_of(filled: xr.DataArray, ds: xr.Dataset) -> NDArray[np.float64]:
    """Errors (class, t, y, x) of a filled variable, or of the mean of its members."""
    truth = ds[f"{filled.name}_truth"]
    if filled.name == "CHL":
        filled, truth = xr.ufuncs.log10(filled), xr.ufuncs.log10(truth)
    if "realization" in filled.dims:
        filled = filled.mean("realization")
    wrong = (filled - truth).transpose(..., "time", "lat", "lon").values.astype(np.float64)
    return wrong.reshape(-1, *wrong.shape[-3:])


def rmse(wrong: NDArray[np.float64], places: tuple[NDArray[np.int64], ...]) -> float:
    """Root mean square over pixels and classes, without land."""
    t, y, x = places
    return float(np.sqrt(np.nanmean(wrong[:, t, y, x] ** 2)))
