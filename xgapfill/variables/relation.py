"""Phytoplankton size classes expected at a chlorophyll concentration and a temperature, and their scatter.

The mean starts from the three-component model of Brewin et al. (2010, doi:10.1016/j.ecolmodel.2010.02.014). Its
isometric log-ratios are scaled and given a dependence on temperature by least squares on size-fractionated
chlorophyll of 2077 samples (filters of 2 and 20 um, with co-located temperature). Size classes derived from pigments
(HPLC, diagnostic pigments weighted as by Uitz et al. 2006, doi:10.1029/2005JC003207; 1962 surface samples of BOUSSOLE
and IMOS) hold more micro- and nanophytoplankton at the same chlorophyll; the difference is fitted as well. The command
``python -m xgapfill.variables.relation DATA_FOLDER`` repeats the fits and prints the constants of this file.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.transforms import ilr, ilr_inverse, power10

CLASSES = ("micro", "nano", "pico")
# Outside these ranges the relation is constant.
LOG10_CHL_RANGE = (-2.0, 1.5)
SST_RANGE = (-2.0, 32.0)
# Rows psc_ilr1, psc_ilr2; columns constant, Brewin log-ratio, t, t^2, x t with x = log10 CHL, t = (degC - 15) / 10.
COEFFICIENTS = np.array(
    [
        [-1.0512, 0.8707, -0.2963, 0.4074, -0.0472],
        [-0.7008, 0.6896, -0.2322, 0.0940, 0.0453],
    ]
)
# Mean temperature of the samples at a chlorophyll: constant and slope on log10 CHL. Used where temperature is unknown.
TEMPERATURE_AT_CHL = np.array([15.3421, -6.1034])
# Standard deviation of the two log-ratios about the mean, and their correlation.
SCATTER = np.array([0.9131, 0.6371])
SCATTER_CORRELATION = 0.3651
# Pigments minus filters: rows psc_ilr1, psc_ilr2; columns constant and slope on log10 CHL in the range of the samples.
PIGMENTS = np.array([[1.0236, -0.2806], [0.4662, -0.7830]])
PIGMENTS_RANGE = (-1.65, 0.75)


def psc_ilr_mean(log10_chl: NDArray, sst: NDArray | None = None, pigments: float = 0.0) -> NDArray[np.float32]:
    """Return the log-ratios (psc_ilr1, psc_ilr2) expected at a chlorophyll and a temperature.

    Parameters
    ----------
    log10_chl : (...) float
        log10 of chlorophyll in mg m-3. NaN stays NaN.
    sst : (...) float, optional
        Temperature in degC. Default: the mean temperature of the samples at this chlorophyll.
    pigments : float
        0: size classes from filters of 2 and 20 um; 1: from diagnostic pigments; or a value in between.

    Returns
    -------
    (2, ...) float32
    """
    shape = np.broadcast_shapes(np.shape(log10_chl), () if sst is None else np.shape(sst))
    # Arrays of numbers keep float32 in every version of numpy, which numbers alone do not.
    x = np.clip(np.atleast_1d(np.asarray(log10_chl, dtype=np.float32)), *LOG10_CHL_RANGE)
    degrees = TEMPERATURE_AT_CHL[0] + TEMPERATURE_AT_CHL[1] * x if sst is None else sst
    t = ((np.clip(np.asarray(degrees, dtype=np.float32), *SST_RANGE) - 15) / 10).astype(np.float32)
    guess = _brewin_ilr(x)
    table = COEFFICIENTS.astype(np.float32)
    mean = np.stack([c[0] + c[1] * guess[k] + c[2] * t + c[3] * t**2 + c[4] * x * t for k, c in enumerate(table)])
    if pigments:
        inside, share = np.clip(x, *PIGMENTS_RANGE), np.float32(pigments)
        mean = mean + share * np.stack([row[0] + row[1] * inside for row in PIGMENTS.astype(np.float32)])
    return mean.reshape(len(mean), *shape)


def psc_mean(log10_chl: NDArray, sst: NDArray | None = None, pigments: float = 0.0) -> NDArray[np.float32]:
    """Return the size-class fractions at the mean log-ratios, arguments as in `psc_ilr_mean`.

    Returns
    -------
    (3, ...) float32
        Fractions micro, nano, pico in (0, 1), summing to 1.
    """
    return ilr_inverse(psc_ilr_mean(log10_chl, sst, pigments))


def brewin_fractions(chl: NDArray) -> NDArray[np.floating]:
    """Return the (3, ...) fractions micro, nano, pico of Brewin et al. (2010) at a chlorophyll in mg m-3.

    References
    ----------
    doi:10.1016/j.ecolmodel.2010.02.014, table of global parameters.
    """
    chl = np.asarray(chl)
    small = -1.057 * np.expm1(-0.851 * chl)
    pico = -0.107 * np.expm1(-6.801 * chl)
    return np.stack([chl - small, small - pico, pico]) / chl


def scatter_factor() -> NDArray[np.float64]:
    """Return the (2, 2) matrix that turns two independent unit variables into the scatter of the log-ratios."""
    rho = SCATTER_CORRELATION
    return SCATTER[:, None] * np.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])


def read_samples(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read an in-situ table: tchl (mg m-3), the (3, n) fractions as ``parts``, and temp (degC) if present."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("tchl", "temp") if name in rows[0]}
    return columns | {"parts": np.array([[float(row[name]) for row in rows] for name in CLASSES])}


def fit(samples: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Fit the constants of this file to samples of `read_samples` by least squares on the log-ratios."""
    x = np.clip(np.log10(samples["tchl"]), *LOG10_CHL_RANGE)
    t = (np.clip(samples["temp"], *SST_RANGE) - 15) / 10
    truth, guess = ilr(samples["parts"]), _brewin_ilr(x)
    coefficients, residuals = [], []
    for k in range(2):
        design = np.stack([np.ones_like(x), guess[k], t, t**2, x * t], axis=1)
        solution = np.linalg.lstsq(design, truth[k], rcond=None)[0]
        coefficients.append(solution)
        residuals.append(truth[k] - design @ solution)
    slope, constant = np.polyfit(x, samples["temp"], 1)
    return {
        "COEFFICIENTS": np.array(coefficients),
        "TEMPERATURE_AT_CHL": np.array([constant, slope]),
        "SCATTER": np.std(residuals, axis=1),
        "SCATTER_CORRELATION": np.corrcoef(residuals)[0, 1],
    }


def fit_pigments(samples: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Fit ``PIGMENTS`` to samples of `read_samples` whose size classes were derived from pigments."""
    x = np.log10(samples["tchl"])
    difference = ilr(samples["parts"]) - psc_ilr_mean(x)
    return np.array([np.polynomial.polynomial.polyfit(x, row, 1) for row in difference])


def main(arguments: list[str]) -> int:
    """Print the constants fitted to the tables of a folder."""
    if len(arguments) != 1:
        print("usage: python -m xgapfill.variables.relation DATA_FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    for name, value in fit(read_samples(folder / "size_fractionated_psc_samples.csv")).items():
        print(f"{name} = {np.array2string(value, precision=4, separator=', ')}")
    pigments = fit_pigments(read_samples(folder / "hplc_dpa_psc.csv"))
    print(f"PIGMENTS = {np.array2string(pigments, precision=4, separator=', ')}")
    return 0


def _brewin_ilr(log10_chl: NDArray) -> NDArray:
    return ilr(brewin_fractions(power10(log10_chl)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
