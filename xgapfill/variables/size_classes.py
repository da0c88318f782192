"""Phytoplankton size classes micro, nano and pico: a composition, filled as isometric log-ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, Given, relative_sd
from xgapfill.variables.composition import Composition, log_ratios
from xgapfill.variables.prior import Prior
from xgapfill.variables.transforms import balances, logit

CLASSES = ("micro", "nano", "pico")
CHANNELS = ("psc_ilr1", "psc_ilr2")
CLASSLESS = ("logit_fraction_of_chlorophyll_a_by_size_class",)
"""Channels of a fraction that names no size class; see the catalogue."""
USUAL_CHL = 0.3
"""Chlorophyll, mg m-3, assumed where it is missing, to divide the remainder between two unknown classes."""
# micro, f_micro, Microphytoplankton, MICRO_frac, chl_micro; not microwave or nanometre
_WORD = re.compile(
    r"(?:^|[^a-z]|(?<=^[cf])|(?<=[^a-z][cf]))(micro|nano|pico)(?=$|[^a-z]|phyto|plank|frac|chl|cyano|euk)"
)


@dataclass(frozen=True)
class SizeClasses(Composition):
    """Three size classes in the order micro, nano, pico, or one of them alone.

    Attributes
    ----------
    alone : int or None
        Index of the class if there is only one. The other two then divide the remainder in the mean ratio at the
        chlorophyll of the pixel.
    """

    alone: int | None = None

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
        """Return the three classes in the units of the attributes; without units they are fractions."""
        found = cls().in_units(attrs, name)
        assert isinstance(found, SizeClasses)
        return found

    def only(self, part: int | None) -> SizeClasses:
        """Return one of the classes in the same units, or all for None."""
        return replace(self, alone=part)

    @property
    def parts(self) -> int:
        """3, or 1 for a single class."""
        return 3 if self.alone is None else 1

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return the two log-ratios of (p, ...) classes, or of one class with the usual ratio of the others."""
        if self.alone is None:
            return super().encode(raw, whole)
        present, invalid = self.possible(raw)
        known = np.where(present, raw, 0).astype(np.float32) * np.float32(self.factor)
        known = np.maximum(known, np.float32(0))
        missing = np.float32(np.nan)
        chl = np.full(raw.shape[1:], missing) if whole is None else whole.astype(np.float32)
        fraction = known[0] / np.where(chl > 0, chl, missing) if self.concentrations else known[0]
        observed = present[0] & ~np.isnan(fraction)
        parts = self._with_usual_others(np.clip(fraction[observed], 0, 1), chl[observed])
        return Encoded(*log_ratios(parts, observed), present, invalid, None)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the log-ratios; of one class alone, of its ratio to the others."""
        if self.alone is None:
            return super().error_variance(raw, error)
        least, weight = self._least(raw), np.square(balances(3)).astype(np.float32)
        spread = relative_sd(error, np.maximum(raw, least))
        if not self.concentrations:  # an error of one class is an opposite error of the other two together
            spread = spread + relative_sd(error, np.maximum(1 / self.factor - raw, least))
        # for both log-ratios: the mean ratio of the other classes is no more certain than the class
        return np.broadcast_to(weight[:, self.alone].max() * np.square(spread), (len(CHANNELS), *raw.shape[1:]))

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
        if self.alone is None:
            return super()._complete(parts, width, given)
        factor = np.float32(self.factor)
        return parts[self.alone][None] / factor, width[self.alone][None] / factor


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
