"""Chlorophyll-a concentration: log-normal, so it is filled as log10 of mg m-3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, Given, outside, relative_sd
from xgapfill.variables.transforms import LN10, log10, lognormal_spread, power10

CHANNEL = "log10_chl"
STANDARD_NAMES = frozenset(
    f"{kind}_of_{what}_in_sea_water"
    for kind in ("mass_concentration", "concentration")
    for what in ("chlorophyll_a", "chlorophyll")
) | {"chlorophyll_concentration_in_sea_water"}
# CMEMS CHL, OC-CCI and NASA chlor_a, GlobColour CHL1_mean, CHL1_value, CHL-OC5_mean, and common spellings
_NAME = re.compile(
    r"(chl|chla|chl[-_]a|chlor[-_]?a|chloro|chlorophyll([-_]?a)?)([12]|[-_]?oc[x\d])?(_(mean|value|merged|truth))?"
)
LOWEST, HIGHEST = 1e-3, 1e3
"""Concentrations below the first count as the first (mg m-3), those above the second are impossible."""
SAMPLE_SD = 0.2
"""Usual error of an in-situ sample as a measure of a pixel, in log10: a day's value departs by 0.19 from the 8-day
composite (MODIS, NE Pacific, January to May 2020)."""

# What units may say, without blanks, powers as mg m-3; and how many mg m-3 one of them is.
_UNITS = {
    **dict.fromkeys(("mgm-3", "mg/m3", "mgchlm-3", "mgchl/m3", "mgchlam-3", "milligramm-3", "milligram/m3"), 1.0),
    **dict.fromkeys(("milligramsm-3", "milligrams/m3", "milligrammeter-3", "milligrampermeter3", "mgperm3"), 1.0),
    **dict.fromkeys(("ugl-1", "ug/l", "µgl-1", "µg/l", "μgl-1", "μg/l", "microgramliter-1", "microgram/liter"), 1.0),
    **dict.fromkeys(("ugliter-1", "ug/liter", "mgmeter-3", "mg.m-3", "mg*m-3", "10-6kgm-3", "1e-6kgm-3"), 1.0),
    **dict.fromkeys(("gm-3", "g/m3"), 1e3),
    **dict.fromkeys(("kgm-3", "kg/m3", "kilogramm-3", "kilogram/m3"), 1e6),
}


@dataclass(frozen=True)
class Chlorophyll:
    """Chlorophyll-a; `factor` times the values is mg m-3."""

    factor: float = 1.0

    channels: ClassVar[tuple[str, ...]] = (CHANNEL,)
    parts: ClassVar[int] = 1
    needs_chl: ClassVar[bool] = False
    wanted: ClassVar[str] = "chlorophyll concentrations above 0 and up to 1000 mg m-3 (not their logarithms)"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where concentrations are observed, and where they are impossible."""
        return outside(raw, lambda value: (value > 0) & (value * self.factor <= HIGHEST))

    def encode(self, raw: NDArray, chl: NDArray | None = None) -> Encoded:
        """Return log10 of mg m-3 of (1, ...) concentrations; `chl` is not used."""
        present, invalid = self.possible(raw)
        values = np.zeros(raw.shape, np.float32)
        concentration = raw[present].astype(np.float32) * np.float32(self.factor)
        values[present] = log10(np.maximum(concentration, np.float32(LOWEST)))
        return Encoded(values, present, present, invalid)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of log10: sd = log10(1 + error / value)."""
        return np.square(relative_sd(error, raw) / np.float32(LN10))

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return the error of in-situ concentrations that makes `SAMPLE_SD` in log10."""
        return raw * (10**SAMPLE_SD - 1)

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the concentrations of (1, n) logarithms."""
        return _concentration(values) / np.float32(self.factor)

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return the median and the standard deviation of the log-normal concentration."""
        factor = np.float32(self.factor)
        # three decades of doubt are as good as any more, and do not overflow
        width = lognormal_spread(log10(_concentration(mean)), np.minimum(spread, np.float32(3)))
        return _concentration(mean) / factor, width / factor


def _concentration(values: NDArray) -> NDArray:
    return np.clip(power10(np.clip(values, -4, 4)), np.float32(LOWEST), np.float32(HIGHEST))


def is_chlorophyll(name: str, attrs: Mapping[str, Any]) -> bool:
    """Whether a variable of this name and these attributes is chlorophyll-a."""
    return attrs.get("standard_name") in STANDARD_NAMES or _NAME.fullmatch(name.lower()) is not None


def mg_m3(units: str) -> float:
    """How many mg m-3 one of these units is.

    Raises
    ------
    ValueError
        When the units cannot be read as a mass concentration.
    """
    plain = re.sub(r"[\s^()]|\*\*", "", units.strip().lower()).replace("chlorophyll-a", "").replace("litre", "liter")
    plain = plain.replace("m⁻³", "m-3").replace("m³", "m3").replace("metre", "meter")
    if plain not in _UNITS:
        raise ValueError(
            f"the units {units!r} cannot be read as a chlorophyll concentration; convert the values and set "
            "attrs['units'] = 'mg m-3'"
        )
    return _UNITS[plain]
