"""Phytoplankton size classes micro, nano and pico: a composition, filled as isometric log-ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, ErrorUnits, Given, Variable, outside, relative_sd
from xgapfill.variables.chlorophyll import Chlorophyll
from xgapfill.variables.kinds import ROUNDING
from xgapfill.variables.prior import Prior
from xgapfill.variables.transforms import BALANCES, SMALLEST_PART, ilr, ilr_inverse, ilr_moments, logit
from xgapfill.variables.units import conversion, is_dimensionless, units_of

CLASSES = ("micro", "nano", "pico")
CHANNELS = ("psc_ilr1", "psc_ilr2")
CLASSLESS = ("logit_fraction_of_chlorophyll_a_by_size_class",)
"""Channels of a fraction that names no size class; see the catalogue."""
USUAL_CHL = 0.3
"""Chlorophyll, mg m-3, assumed where it is missing, to divide the remainder between two unknown classes."""
SAMPLE_SD = 0.1
"""Default error of an in-situ sample as a measurement of a pixel, in fractions. Samples of one station within 8 days
differ by 0.035 (surface HPLC of BOUSSOLE and IMOS); the rest is the difference between pigments and satellite data."""

# micro, f_micro, Microphytoplankton, MICRO_frac, chl_micro; not microwave or nanometre
_WORD = re.compile(
    r"(?:^|[^a-z]|(?<=^[cf])|(?<=[^a-z][cf]))(micro|nano|pico)(?=$|[^a-z]|phyto|plank|frac|chl|cyano|euk)"
)


@dataclass(frozen=True)
class SizeClasses(Variable):
    """Three size classes in the order micro, nano, pico, or one of them alone.

    Attributes
    ----------
    factor : float
        Multiplies the values to give a fraction of chlorophyll, or mg m-3.
    concentrations : bool
        Whether the values are concentrations (mg m-3).
    alone : int or None
        Index of the class if there is only one. The other two then divide the remainder in the mean ratio at the
        chlorophyll of the pixel.
    ratio : float
        Of concentrations: their sum, divided by chlorophyll, which may come from another algorithm.
    """

    factor: float = 1.0
    concentrations: bool = False
    alone: int | None = None
    ratio: float = 1.0

    name = "PSC"
    channels = CHANNELS
    priors: ClassVar[Mapping[str, Prior]] = {
        "psc_ilr1": Prior(
            mean=-0.9,
            variance=1.2,
            error=(-0.8295, 1.391, 0.7794, -0.3298),
            regression={"log10_chl": (1.037, 0.8087)},
        ),
        "psc_ilr2": Prior(
            mean=0.1,
            variance=0.6,
            error=(-0.7873, 1.338, 0.874, -0.3031),
            regression={"log10_chl": (0.337, -0.07855)},
        ),
    }
    long_name = "fraction of chlorophyll-a by size class"
    known_as = "phytoplankton size classes (labels or names micro, nano, pico)"
    part_names = CLASSES
    weights = "psc-chl"
    whole = Chlorophyll

    @classmethod
    def recognises(cls, name: str, attrs: Mapping[Any, Any]) -> bool:
        """Tell whether the name or the attributes name one class."""
        return cls.part_of(name, attrs) is not None

    @classmethod
    def part_of(cls, name: str, attrs: Mapping[Any, Any]) -> int | None:
        """Index of the only size class in the name, or else in the attributes; None if there is none."""
        for text in (name, attrs.get("standard_name"), attrs.get("long_name")):
            if isinstance(text, str) and (found := class_of(text)) is not None:
                return found
        return None

    @classmethod
    def of(cls, attrs: Mapping[Any, Any], name: str = "") -> SizeClasses:
        """Return the three classes in the units of the attributes; without units they are fractions.

        Raises
        ------
        ValueError
            The units are neither those of a fraction nor of a concentration.
        """
        units = units_of(attrs)
        if units is None:
            return cls(concentrations=str(attrs.get("standard_name", "")).startswith("mass_concentration"))
        if is_dimensionless(units):
            return cls(conversion(units, "1")[0])
        try:
            return cls(conversion(units, Chlorophyll.usual_units)[0], concentrations=True)
        except ValueError as error:
            raise ValueError(
                f"{name + ': ' if name else ''}attrs['units'] = {units!r} cannot be read as a fraction or a "
                "concentration of chlorophyll; convert the values and set attrs['units'] = '1' or 'mg m-3'"
            ) from error

    def only(self, part: int | None) -> SizeClasses:
        """Return one of the classes in the same units, or all for None."""
        return replace(self, alone=part)

    @property
    def parts(self) -> int:
        """3, or 1 for a single class."""
        return 3 if self.alone is None else 1

    @property
    def needs_whole(self) -> bool:
        """Whether the classes are concentrations, which sum to chlorophyll."""
        return self.concentrations

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        if self.concentrations:
            return f"concentrations from 0 to {Chlorophyll.highest / self.factor:g}"
        upper = f"{1 / self.factor:g}"
        return f"fractions between 0 and {upper} (percent or mg m-3 need attrs['units'])"

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of classes that have none."""
        return {"long_name": self.long_name, "units": Chlorophyll.usual_units if self.concentrations else "1"}

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of observed values and of impossible values."""
        factor = self.factor
        if self.concentrations:
            return outside(raw, lambda part: (part >= 0) & (part * factor <= Chlorophyll.highest))
        return outside(raw, lambda part: (part * factor >= -ROUNDING) & (part * factor <= 1 + ROUNDING))

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return the two log-ratios of (p, ...) classes.

        Two of the three classes determine the third where the total is known; one of three is not used.
        """
        present, invalid = self.possible(raw)
        known = np.where(present, raw, 0).astype(np.float32) * np.float32(self.factor)
        known = np.maximum(known, np.float32(0))
        missing = np.float32(np.nan)
        chl = np.full(raw.shape[1:], missing) if whole is None else whole.astype(np.float32) * np.float32(self.ratio)
        if self.alone is not None:
            fraction = known[0] / np.where(chl > 0, chl, missing) if self.concentrations else known[0]
            observed = present[0] & ~np.isnan(fraction)
            parts = self._with_usual_others(np.clip(fraction[observed], 0, 1), chl[observed])
            return Encoded(*_channels(parts, observed), present, invalid, None)
        count, total = present.sum(axis=0), np.ones(raw.shape[1:], np.float32)
        if self.concentrations:
            sum_ = known.sum(axis=0)
            total = np.where(count == 3, sum_, np.where((count == 2) & ~np.isnan(chl), np.fmax(chl, sum_), missing))
        rest = np.maximum(np.nan_to_num(total) - known.sum(axis=0), np.float32(0))
        known = np.where(present | (count < 2), known, rest)
        observed = (count >= 2) & (known.sum(axis=0) > 0) & ~np.isnan(total)
        parts = known[:, observed] / known[:, observed].sum(axis=0)
        total = np.maximum(total / np.float32(self.ratio), np.float32(Chlorophyll.lowest))
        total = np.where(observed & (count == 3), total, missing)
        return Encoded(*_channels(parts, observed), present, invalid, total if self.concentrations else None)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the log-ratios, by the delta method, with errors of the classes independent.

        A missing class is as uncertain as the two that determine it.
        """
        least = SMALLEST_PART * (np.nansum(raw, axis=0) if self.concentrations else 1 / self.factor)
        spread = relative_sd(error, np.maximum(raw, least))
        weight = np.square(BALANCES).astype(np.float32)
        if self.alone is None:
            spread = np.where(np.isnan(spread), np.fmax.reduce(spread), spread)
            return np.einsum("cp,p...->c...", weight, np.square(spread))
        if not self.concentrations:  # an error of one class is an opposite error of the other two together
            spread = spread + relative_sd(error, np.maximum(1 / self.factor - raw, least))
        # for both log-ratios: the mean ratio of the other classes is no more certain than the class
        return np.broadcast_to(weight[:, self.alone].max() * np.square(spread), (len(CHANNELS), *raw.shape[1:]))

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """Fractions of the value, or the units of the values (percent if the values are percent)."""
        units = units_of(attrs)
        if units is None:
            return ErrorUnits("same")
        fraction = is_dimensionless(units)
        factor = conversion(units, "1")[0] if fraction else 1.0
        if fraction and factor != 1 and (self.concentrations or factor != self.factor):
            return ErrorUnits("share", factor)
        if fraction == self.concentrations:
            raise ValueError(f"{name!r} is in {units!r}, but the values are {self.wanted}; convert one of them")
        factor = factor if fraction else conversion(units, Chlorophyll.usual_units)[0]
        return ErrorUnits("same", factor / self.factor)

    def usual_error(self, raw: NDArray) -> NDArray:
        """Return `SAMPLE_SD` of the sum of the classes."""
        total = np.broadcast_to(np.nansum(raw, axis=0), raw.shape) if self.concentrations else 1 / self.factor
        return np.full(raw.shape, SAMPLE_SD) * total

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the classes of (2, n) log-ratios; observed parts stay, the others divide the remainder."""
        parts, given = ilr_inverse(values), self._in_ratio(given)
        if given.whole is not None and self.concentrations:
            parts = parts * given.whole
        return self._complete(parts, np.zeros_like(parts), given)[0]

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return means and standard deviations of the classes, by quadrature."""
        (parts, width), given = ilr_moments(mean, spread), self._in_ratio(given)
        if given.whole is not None and self.concentrations:
            doubt = np.zeros_like(given.whole) if given.whole_spread is None else given.whole_spread
            width = np.sqrt((width * given.whole) ** 2 + (parts * doubt) ** 2 + (width * doubt) ** 2)
            parts = parts * given.whole
        return self._complete(parts, width, given)

    def check(self, raw: NDArray, attrs: Mapping[Any, Any]) -> None:
        """Check that fractions of all classes sum to 1."""
        if self.concentrations or self.alone is not None:
            return
        total = raw.sum(axis=0)[self.possible(raw)[0].all(axis=0)] * self.factor
        if total.size and not 0.8 < (middle := float(np.median(total))) < 1.25:
            raise ValueError(
                f"sums to {middle:.3g} where all of its size classes are observed; fractions sum to 1. If they are "
                "mg m-3 of chlorophyll, set attrs['units'] = 'mg m-3'"
            )

    def _in_ratio(self, given: Given) -> Given:
        """The sum of the classes instead of chlorophyll."""
        if self.ratio == 1 or given.whole is None:
            return given
        ratio = np.float32(self.ratio)
        return Given(
            given.parts, given.whole * ratio, None if given.whole_spread is None else given.whole_spread * ratio
        )

    def _with_usual_others(self, fraction: NDArray, chl: NDArray) -> NDArray:
        """Fractions of all classes from the only known one; the others divide the remainder in their mean ratio."""
        from xgapfill.variables.relation import psc_mean

        usual = psc_mean(np.log10(np.where(chl > 0, chl, np.float32(USUAL_CHL))))
        usual[self.alone] = 0
        parts = usual / usual.sum(axis=0) * (1 - fraction)
        parts[self.alone] = fraction
        return parts

    def _complete(self, parts: NDArray, width: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Keep the observed parts, divide the remainder between the others, and convert to the units of the input."""
        factor = np.float32(self.factor)
        if self.alone is not None:
            return parts[self.alone][None] / factor, width[self.alone][None] / factor
        held, open_ = given.parts * factor, np.isnan(given.parts)
        total = given.whole if self.concentrations and given.whole is not None else np.float32(1)
        doubt = given.whole_spread if self.concentrations and given.whole_spread is not None else np.float32(0)
        rest = np.maximum(total - np.where(open_, np.float32(0), held).sum(axis=0), np.float32(0))
        scale = rest / np.maximum((parts * open_).sum(axis=0), np.float32(1e-12))
        # a single open part is as certain as the total
        width = np.where(open_.sum(axis=0) == 1, doubt, width * scale)
        zero = np.float32(0)
        return np.where(open_, parts * scale, held) / factor, np.where(open_, width, zero) / factor


def class_of(text: str) -> int | None:
    """Index of the only size class in a name or label; None if it has none or several."""
    found = {CLASSES.index(word) for word in _WORD.findall(text.lower())}
    return found.pop() if len(found) == 1 else None


def nearest_class(fractions: NDArray, chl: NDArray) -> int:
    """Index of the class whose usual relation to chlorophyll (mg m-3) is nearest to these fractions, as logits."""
    from xgapfill.variables.relation import psc_mean

    usual = psc_mean(np.log10(chl), pigments=0.5)
    values = logit(np.asarray(fractions, np.float64))
    return int(np.argmin([np.mean(np.abs(values - logit(each.astype(np.float64)))) for each in usual]))


def _channels(parts: NDArray, observed: NDArray) -> tuple[NDArray, NDArray]:
    """Log-ratios of (3, n) parts, inserted at the observed pixels."""
    values = np.zeros((2, *observed.shape), np.float32)
    values[:, observed] = ilr(parts)
    return values, np.broadcast_to(observed, values.shape)
