"""Phytoplankton size classes, micro, nano and pico: a composition, so they are filled as isometric log-ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, Given, outside, relative_sd
from xgapfill.variables.chlorophyll import HIGHEST, LOWEST
from xgapfill.variables.transforms import BALANCES, SMALLEST_PART, ilr, ilr_inverse, ilr_moments

CLASSES = ("micro", "nano", "pico")
CHANNELS = ("psc_ilr1", "psc_ilr2")
ROUNDING = 1e-5
"""Fractions may lie this far outside [0, 1] before they are impossible: packed files round."""
USUAL_CHL = 0.3
"""Chlorophyll, mg m-3, that says how two unknown classes share what is left where chlorophyll is missing."""
SAMPLE_SD = 0.1
"""Usual error of an in-situ sample as a measure of a pixel, in fractions: of samples of one station within 8 days, each
departs by 0.035 (surface HPLC of BOUSSOLE and IMOS); the rest is that pigments are not what satellites see."""

_FRACTION_UNITS = frozenset(("", "1", "-", "fraction", "fractions", "dimensionless", "unitless", "ratio", "none"))
PERCENT_UNITS = frozenset(("%", "percent", "percentage", "pct", "per cent", "0.01", "1e-2"))
# micro, f_micro, Microphytoplankton, MICRO_frac, chl_micro; not microwave or nanometre
_WORD = re.compile(
    r"(?:^|[^a-z]|(?<=^[cf])|(?<=[^a-z][cf]))(micro|nano|pico)(?=$|[^a-z]|phyto|plank|frac|chl|cyano|euk)"
)


@dataclass(frozen=True)
class SizeClasses:
    """Three size classes in the order micro, nano, pico, or one of them alone.

    Attributes
    ----------
    factor : float or None
        None: the values are fractions of chlorophyll. A number: this times the values is mg m-3 of chlorophyll.
    alone : int or None
        Index of the class when there is only one; the other two are taken to share the rest as is usual at the
        chlorophyll of the pixel.
    """

    factor: float | None = None
    alone: int | None = None

    channels: ClassVar[tuple[str, ...]] = CHANNELS

    @property
    def parts(self) -> int:
        """3, or 1 for a class alone."""
        return 3 if self.alone is None else 1

    @property
    def needs_chl(self) -> bool:
        """Whether the classes are concentrations, which sum to chlorophyll."""
        return self.factor is not None

    @property
    def wanted(self) -> str:
        """What values are possible."""
        if self.factor is None:
            return "fractions between 0 and 1 (not percent; mg m-3 only with units that say so)"
        return "concentrations from 0 to 1000 mg m-3"

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where classes are observed, and where they are impossible."""
        if self.factor is None:
            return outside(raw, lambda part: (part >= -ROUNDING) & (part <= 1 + ROUNDING))
        factor = self.factor
        return outside(raw, lambda part: (part >= 0) & (part * factor <= HIGHEST))

    def encode(self, raw: NDArray, chl: NDArray | None = None) -> Encoded:
        """Return the two log-ratios of (p, ...) classes.

        Two classes of three say what the third is, where the total is known; one of three says nothing to a method.
        """
        present, invalid = self.possible(raw)
        known = np.where(present, raw, 0).astype(np.float32) * np.float32(self.factor or 1)
        known = np.maximum(known, np.float32(0))
        missing = np.float32(np.nan)
        chl = np.full(raw.shape[1:], missing) if chl is None else chl.astype(np.float32)
        if self.alone is not None:
            fraction = known[0] if self.factor is None else known[0] / np.where(chl > 0, chl, missing)
            observed = present[0] & ~np.isnan(fraction)
            parts = self._with_usual_others(np.clip(fraction[observed], 0, 1), chl[observed])
            return Encoded(*_channels(parts, observed), present, invalid, None)
        count, total = present.sum(axis=0), np.ones(raw.shape[1:], np.float32)
        if self.factor is not None:
            sum_ = known.sum(axis=0)
            total = np.where(count == 3, sum_, np.where((count == 2) & ~np.isnan(chl), np.fmax(chl, sum_), missing))
        rest = np.maximum(np.nan_to_num(total) - known.sum(axis=0), np.float32(0))
        known = np.where(present | (count < 2), known, rest)
        observed = (count >= 2) & (known.sum(axis=0) > 0) & ~np.isnan(total)
        parts = known[:, observed] / known[:, observed].sum(axis=0)
        total = np.where(observed & (count == 3), np.maximum(total, np.float32(LOWEST)), missing)
        return Encoded(*_channels(parts, observed), present, invalid, None if self.factor is None else total)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the log-ratios, by the delta method, with errors of the classes independent.

        A class that is missing is as uncertain as the two that say what it is.
        """
        least = SMALLEST_PART * (1.0 if self.factor is None else np.nansum(raw, axis=0))
        spread = relative_sd(error, np.maximum(raw, least))
        weight = np.square(BALANCES).astype(np.float32)
        if self.alone is None:
            spread = np.where(np.isnan(spread), np.fmax.reduce(spread), spread)
            return np.einsum("cp,p...->c...", weight, np.square(spread))
        if self.factor is None:  # what one class gains, the other two lose together
            spread = spread + relative_sd(error, np.maximum(1 - raw, least))
        # both log-ratios, for the usual shares of the others are no surer than the class
        return np.broadcast_to(weight[:, self.alone].max() * np.square(spread), (len(CHANNELS), *raw.shape[1:]))

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return `SAMPLE_SD` of the sum of the classes."""
        total = 1.0 if self.factor is None else np.broadcast_to(np.nansum(raw, axis=0), raw.shape)
        return np.full(raw.shape, SAMPLE_SD) * total

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the classes of (2, n) log-ratios; observed parts stay, the others share what these leave."""
        parts = ilr_inverse(values)
        if given.chl is not None and self.factor is not None:
            parts = parts * given.chl
        return self._complete(parts, np.zeros_like(parts), given)[0]

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return means and standard deviations of the classes, by quadrature."""
        parts, width = ilr_moments(mean, spread)
        if given.chl is not None and self.factor is not None:
            doubt = np.zeros_like(given.chl) if given.chl_spread is None else given.chl_spread
            width = np.sqrt((width * given.chl) ** 2 + (parts * doubt) ** 2 + (width * doubt) ** 2)
            parts = parts * given.chl
        return self._complete(parts, width, given)

    def _with_usual_others(self, fraction: NDArray, chl: NDArray) -> NDArray:
        """Fractions of all classes where only one is known."""
        from xgapfill.variables.relation import psc_mean

        usual = psc_mean(np.log10(np.where(chl > 0, chl, np.float32(USUAL_CHL))))
        usual[self.alone] = 0
        parts = usual / usual.sum(axis=0) * (1 - fraction)
        parts[self.alone] = fraction
        return parts

    def _complete(self, parts: NDArray, width: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Keep the observed parts, let the others share the rest, and return to the units of the input."""
        factor = np.float32(self.factor or 1)
        if self.alone is not None:
            return parts[self.alone][None] / factor, width[self.alone][None] / factor
        held, open_ = given.parts * factor, np.isnan(given.parts)
        total = np.float32(1) if self.factor is None or given.chl is None else given.chl
        doubt = np.float32(0) if self.factor is None or given.chl_spread is None else given.chl_spread
        rest = np.maximum(total - np.where(open_, np.float32(0), held).sum(axis=0), np.float32(0))
        scale = rest / np.maximum((parts * open_).sum(axis=0), np.float32(1e-12))
        # the last open part is known as well as the total is
        width = np.where(open_.sum(axis=0) == 1, doubt, width * scale)
        zero = np.float32(0)
        return np.where(open_, parts * scale, held) / factor, np.where(open_, width, zero) / factor


def class_of(text: str) -> int | None:
    """Index of the only size class that a name or label speaks of, None when it speaks of none or of several."""
    found = {CLASSES.index(word) for word in _WORD.findall(text.lower())}
    return found.pop() if len(found) == 1 else None


def class_alone(name: str, attrs: Mapping[str, Any]) -> int | None:
    """Index of the size class a variable of this name and these attributes holds, None when it holds none."""
    for text in (name, attrs.get("standard_name"), attrs.get("long_name")):
        if isinstance(text, str) and (found := class_of(text)) is not None:
            return found
    return None


def is_fraction(units: str | None, standard_name: str | None) -> bool:
    """Whether size classes in these units are fractions of chlorophyll.

    Raises
    ------
    ValueError
        For percent.
    """
    if units is None:
        return not (isinstance(standard_name, str) and standard_name.startswith("mass_concentration"))
    plain = units.strip().lower()
    if plain in PERCENT_UNITS:
        raise ValueError(
            f"size classes are in {units!r}, fractions are wanted: divide by 100 and set attrs['units'] = '1'"
        )
    return plain in _FRACTION_UNITS


def _channels(parts: NDArray, observed: NDArray) -> tuple[NDArray, NDArray]:
    """Log-ratios of (3, n) parts, put where they were observed."""
    values = np.zeros((2, *observed.shape), np.float32)
    values[:, observed] = ilr(parts)
    return values, np.broadcast_to(observed, values.shape)
