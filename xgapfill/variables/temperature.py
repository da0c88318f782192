"""Sea surface temperature: near enough to normal, so it is only shifted and scaled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, Given, outside

CHANNEL = "sst"
STANDARD_NAMES = frozenset(
    f"sea_{where}temperature"
    for where in ("surface_", "surface_skin_", "surface_subskin_", "surface_foundation_", "water_")
)
_NAME = re.compile(r"(sst4?|analysed_sst|(adjusted_)?sea_surface_temperature|thetao|tos)(_(mean|truth))?")
_ZERO_KELVIN = 273.15
LOWEST, HIGHEST = -5.0, 50.0
"""Possible temperatures, degC."""
CENTRE, SCALE = 15.0, 10.0
SAMPLE_SD = 0.4
"""Usual error of an in-situ sample as a measure of a pixel, degC: that of a drifting buoy against a satellite's pixel,
0.2 to 0.3 (O'Carroll et al. 2008, doi:10.1175/2007JTECHO542.1), and the changes of some days."""


@dataclass(frozen=True)
class Temperature:
    """Sea surface temperature; `offset` added to the values is degC."""

    offset: float = 0.0

    channels: ClassVar[tuple[str, ...]] = (CHANNEL,)
    parts: ClassVar[int] = 1
    needs_chl: ClassVar[bool] = False
    wanted: ClassVar[str] = "temperatures from -5 to 50 degC, or kelvin with units that say so"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where temperatures are observed, and where they are impossible."""
        return outside(raw, lambda value: (value + self.offset >= LOWEST) & (value + self.offset <= HIGHEST))

    def encode(self, raw: NDArray, chl: NDArray | None = None) -> Encoded:
        """Return (degC - 15) / 10 of (1, ...) temperatures; `chl` is not used."""
        present, invalid = self.possible(raw)
        # kelvin are shifted in their own dtype: a float32 of 288.15 has few digits to lose
        values = ((np.where(present, raw, 0) + (self.offset - CENTRE)) / SCALE).astype(np.float32)
        return Encoded(np.where(present, values, np.float32(0)), present, present, invalid)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the scaled temperatures."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.square(np.where(error >= 0, error, np.nan) / SCALE).astype(np.float32)

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return `SAMPLE_SD` everywhere."""
        return np.full(raw.shape, SAMPLE_SD)

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the temperatures of (1, n) scaled ones."""
        return values * np.float32(SCALE) + np.float32(CENTRE - self.offset)

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return temperatures and their standard deviation."""
        return self.decode_draw(mean, given), spread * np.float32(SCALE)


def is_temperature(name: str, attrs: Mapping[str, Any]) -> bool:
    """Whether a variable of this name and these attributes is a sea surface temperature."""
    return attrs.get("standard_name") in STANDARD_NAMES or _NAME.fullmatch(name.lower()) is not None


def offset_to_celsius(units: str) -> float:
    """Return what to add to values in these units to have degC; ValueError when they are no temperature."""
    plain = re.sub(r"[\s_°]", "", units.lower())
    if plain in ("degc", "celsius", "degreecelsius", "degreescelsius", "degreec", "degreesc", "c"):
        return 0.0
    if plain in ("k", "kelvin", "degk", "degreekelvin", "degreeskelvin", "degreesk", "kelvins"):
        return -_ZERO_KELVIN
    raise ValueError(f"the units {units!r} cannot be read as a temperature; set attrs['units'] to 'degC' or 'K'")
