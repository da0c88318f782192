"""Kinds of variables of one part: positive (log10), bounded (logit) and plain ones (linear)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, ErrorUnits, Given, Variable, outside, relative_sd
from xgapfill.variables.transforms import (
    LN10,
    log10,
    logit,
    logit_inverse,
    logit_moments,
    logit_slope,
    lognormal_spread,
    power10,
)
from xgapfill.variables.units import conversion, is_dimensionless, units_of

ROUNDING = 1e-5
"""Fractions may lie this far outside [0, 1] before they are impossible: packed files round."""
_DECADES = 3.0  # upper limit of a standard deviation in log10, against overflow


class Ranged(Variable):
    """A variable of one part with a range of possible values, in default units.

    Attributes
    ----------
    lowest, highest : float
        Range of possible values.
    sample_sd : float
        Default error of an in-situ sample as a measurement of a pixel.
    """

    lowest: float = -np.inf
    highest: float = np.inf
    sample_sd: float = 0.3

    @classmethod
    def of(cls, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the variable in the units of the attributes, else in default units."""
        units = units_of(attrs)
        return cls() if units is None else cls(factor=read_units(units, cls, name)[0])  # type: ignore[call-arg]


def read_units(units: str, variable: Variable | type[Variable], name: str) -> tuple[float, float]:
    """Factor and offset to the default units; ValueError that names the attribute and the units it may have."""
    if not variable.usual_units:  # without units there is nothing to convert to
        return 1.0, 0.0
    try:
        return conversion(units, variable.usual_units)
    except ValueError as error:
        if re.match(r"\s*(log|lg|ln)", units, re.IGNORECASE):
            raise ValueError(
                f"{name + ': ' if name else ''}attrs['units'] = {units!r} are those of a logarithm; give the values "
                f"themselves, such as 10 ** da, with attrs['units'] = {variable.usual_units!r}"
            ) from error
        raise ValueError(
            f"{name + ': ' if name else ''}attrs['units'] = {units!r} cannot be read as the units of "
            f"{variable.long_name or variable.name}; convert the values and set attrs['units'] = "
            f"{variable.usual_units!r}"
        ) from error


@dataclass(frozen=True)
class Positive(Ranged):
    """A positive variable that varies by factors, filled as log10; `factor` times the values is in default units.

    Attributes
    ----------
    lowest, highest : float
        Positive values below `lowest` count as `lowest`, values above `highest` are impossible.
    likely : (float, float)
        Range of the median of a map. It verifies that an array without units is in default units.
    sample_sd : float
        Default error of an in-situ sample as a measurement of a pixel, in log10.

    Examples
    --------
    >>> from xgapfill.variables import recognise
    >>> isinstance(recognise("TUR", {"units": "NTU"}), Positive)
    True
    """

    factor: float = 1.0

    transform = "log10"
    logarithmic = True
    lowest = 1e-6
    likely = (0.0, np.inf)
    sample_sd = 0.2

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        upper = f" and up to {self.highest:g}" if np.isfinite(self.highest) else ""
        other = "; transform='linear' fills negative ones" if self.levelled else ""
        return f"values above 0{upper} {self.usual_units} (not their logarithms{other})"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of observed values and of impossible values."""
        return outside(raw, lambda value: (value > 0) & (value * self.factor <= self.highest))

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return log10 of (1, ...) values in default units; `whole` is not used."""
        present, invalid = self.possible(raw)
        values = np.zeros(raw.shape, np.float32)
        usual = raw[present].astype(np.float32) * np.float32(self.factor)
        values[present] = log10(np.maximum(usual, np.float32(self.lowest)))
        return Encoded(values, present, present, invalid)

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """Fractions of the value, its units, or log10 if the name contains it."""
        units = units_of(attrs)
        if "log10" in f"{name} {attrs.get('long_name', '')}".lower():
            return ErrorUnits("log10")
        if units is not None and is_dimensionless(units):
            return ErrorUnits("share", conversion(units, "1")[0])
        return ErrorUnits("same", 1.0 if units is None else read_units(units, self, name)[0] / self.factor)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of log10: sd = log10(1 + error / value)."""
        return np.square(relative_sd(error, raw) / np.float32(LN10))

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return the error of in-situ values that equals `sample_sd` in log10."""
        return raw * (10**self.sample_sd - 1)

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the values of (1, n) logarithms."""
        return self._usual(values) / np.float32(self.factor)

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return the median and the standard deviation of the log-normal value."""
        factor = np.float32(self.factor)
        width = lognormal_spread(log10(self._usual(mean)), np.minimum(spread, np.float32(_DECADES)))
        return self._usual(mean) / factor, width / factor

    def check(self, raw: NDArray, attrs: Mapping[Any, Any]) -> None:
        """Check the median against `lowest`, and of values without units against `likely`."""
        values, units = raw[self.possible(raw)[0]], units_of(attrs)
        if not values.size:
            return
        middle, (low, high) = float(np.median(values)), self.likely
        if units is None and not low < middle < high:
            raise ValueError(
                f"has no units, and its median of {middle:.3g} is unlikely in {self.usual_units}; set attrs['units']"
            )
        if middle * self.factor < self.lowest:
            raise ValueError(
                f"has a median of {middle:.3g} {units or ''}, and the least value that is filled is "
                f"{self.lowest / self.factor:.3g}; set attrs['units'] to the units of the values, or convert them"
            )

    def _usual(self, values: NDArray) -> NDArray:
        """Values of logarithms in default units, clipped to the possible range."""
        low, high = np.log10(self.lowest), min(np.log10(self.highest), 30.0)
        powers = power10(np.clip(values, low - 1, high + 1))
        return np.clip(powers, np.float32(self.lowest), np.float32(self.highest))


@dataclass(frozen=True)
class Plain(Ranged):
    """A variable that is approximately normal; it is only shifted and scaled.

    `factor` times the values plus `offset` is in default units.

    Attributes
    ----------
    middle, scale : float
        The channel is (value - `middle`) / `scale`.

    Examples
    --------
    >>> from xgapfill.variables import recognise
    >>> isinstance(recognise("SST", {"units": "degC"}), Plain)
    True
    """

    offset: float = 0.0
    factor: float = 1.0

    transform = "linear"
    middle = 0.0
    scale = 1.0

    @classmethod
    def of(cls, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the variable in the units of the attributes, else in default units."""
        units = units_of(attrs)
        if units is None:
            return cls()
        factor, offset = read_units(units, cls, name)
        return cls(offset, factor)

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        return f"values from {self.lowest:g} to {self.highest:g} {self.usual_units}"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of observed values and of impossible values."""
        return outside(raw, lambda value: (self._usual(value) >= self.lowest) & (self._usual(value) <= self.highest))

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return the shifted and scaled (1, ...) values; `whole` is not used."""
        present, invalid = self.possible(raw)
        # shift kelvin in the dtype of the input: float32 loses digits at 288.15
        values = np.where(present, raw, 0) * self.factor + (self.offset - self.middle)
        return Encoded(np.where(present, (values / self.scale).astype(np.float32), 0), present, present, invalid)

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """Units of the variable; a fraction of a value is meaningless on a scale with an arbitrary zero."""
        units = units_of(attrs)
        if units is not None and is_dimensionless(units) and not is_dimensionless(self.usual_units):
            raise ValueError(
                f"expected the error of {self.long_name or self.name} in {self.usual_units}; {name!r} is in "
                f"{units!r}; convert it"
            )
        return ErrorUnits("same", 1.0 if units is None else read_units(units, self, name)[0] / self.factor)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the scaled values."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.square(np.where(error >= 0, error, np.nan) * (self.factor / self.scale)).astype(np.float32)

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return `sample_sd` everywhere."""
        return np.full(raw.shape, self.sample_sd / self.factor)

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the physical values of (1, n) scaled values."""
        return values * np.float32(self.scale / self.factor) + np.float32((self.middle - self.offset) / self.factor)

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return physical values and their standard deviation."""
        return self.decode_draw(mean, given), spread * np.float32(self.scale / self.factor)

    def _usual(self, values: NDArray) -> NDArray:
        return values * self.factor + self.offset


@dataclass(frozen=True)
class Bounded(Ranged):
    """A variable between two bounds, `lowest` and `highest`, filled as the logit of its place between them.

    `factor` times the values is in default units.

    Examples
    --------
    >>> from xgapfill.variables import recognise
    >>> isinstance(recognise("sic", {"units": "1", "standard_name": "sea_ice_area_fraction"}), Bounded)
    True
    """

    factor: float = 1.0

    transform = "logit"
    lowest = 0.0
    highest = 1.0
    sample_sd = 0.1

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        low, high = self.lowest / self.factor, self.highest / self.factor
        return f"values from {low:g} to {high:g} (percent need attrs['units'])"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of observed values and of impossible values; packed files round."""
        return outside(raw, lambda value: np.abs(self._share(value) - 0.5) <= 0.5 + ROUNDING)

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return logits of (1, ...) values; `whole` is not used."""
        present, invalid = self.possible(raw)
        values = np.zeros(raw.shape, np.float32)
        values[present] = logit(np.clip(self._share(raw[present]), 0, 1).astype(np.float32))
        return Encoded(values, present, present, invalid)

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """Units of the variable."""
        units = units_of(attrs)
        return ErrorUnits("same", 1.0 if units is None else read_units(units, self, name)[0] / self.factor)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of logits, by the delta method."""
        share = self._share(np.where(error >= 0, error, np.nan)) - self._share(np.zeros(()))
        with np.errstate(over="ignore"):
            return np.square(share * logit_slope(np.clip(self._share(raw), 0, 1))).astype(np.float32)

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return `sample_sd` of the range everywhere."""
        return np.full(raw.shape, self.sample_sd * (self.highest - self.lowest) / self.factor)

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the values of (1, n) logits."""
        return self._value(logit_inverse(values))

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return means and standard deviations of the values, by quadrature."""
        middle, width = logit_moments(mean, spread)
        return self._value(middle), width * np.float32((self.highest - self.lowest) / self.factor)

    @property
    def bounds(self) -> tuple[float, float]:
        """The two bounds, in the units of the array."""
        return self.lowest / self.factor, self.highest / self.factor

    def _share(self, values: NDArray) -> NDArray:
        return (values * self.factor - self.lowest) / (self.highest - self.lowest)

    def _value(self, share: NDArray) -> NDArray:
        low, high = (np.float32(bound / self.factor) for bound in (self.lowest, self.highest))
        return low + share * (high - low)
