"""Compositions: parts that share a whole, filled as isometric log-ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.base import Encoded, ErrorUnits, Given, Variable, outside, relative_sd
from xgapfill.variables.catalogue import is_type
from xgapfill.variables.chlorophyll import Chlorophyll
from xgapfill.variables.kinds import ROUNDING
from xgapfill.variables.transforms import SMALLEST_PART, balances, ilr, ilr_inverse, ilr_moments
from xgapfill.variables.units import conversion, is_dimensionless, units_of

SAMPLE_SD = 0.1
"""Default error of an in-situ sample as a measurement of a pixel, in fractions. Samples of one station within 8 days
differ by 0.035 (surface HPLC of BOUSSOLE and IMOS); the rest is the difference between pigments and satellite data."""


@dataclass(frozen=True)
class Composition(Variable):
    """Fractions that sum to 1, or concentrations of chlorophyll that sum to it; `part_names` are its parts.

    Attributes
    ----------
    factor : float
        Multiplies the values to give a fraction of the whole, or mg m-3.
    concentrations : bool
        Whether the values are concentrations (mg m-3).
    ratio : float
        Of concentrations: their sum, divided by chlorophyll, which may come from another algorithm.
    """

    factor: float = 1.0
    concentrations: bool = False
    ratio: float = 1.0

    whole = Chlorophyll

    def in_units(self, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the same parts in the units of other attributes; without units they are fractions.

        Raises
        ------
        ValueError
            The units are neither those of a fraction nor of a concentration.
        """
        units = units_of(attrs)
        if units is None:
            shares = not str(attrs.get("standard_name", "")).startswith("mass_concentration")
            return replace(self, factor=1.0, concentrations=not shares)
        if is_dimensionless(units):
            return replace(self, factor=conversion(units, "1")[0], concentrations=False)
        try:
            return replace(self, factor=conversion(units, Chlorophyll.usual_units)[0], concentrations=True)
        except ValueError as error:
            raise ValueError(
                f"{name + ': ' if name else ''}attrs['units'] = {units!r} cannot be read as a fraction or a "
                "concentration of chlorophyll; convert the values and set attrs['units'] = '1' or 'mg m-3'"
            ) from error

    @property
    def needs_whole(self) -> bool:
        """Whether the parts are concentrations, which sum to chlorophyll."""
        return self.concentrations

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        if self.concentrations:
            return f"concentrations from 0 to {Chlorophyll.highest / self.factor:g}"
        upper = f"{1 / self.factor:g}"
        return f"fractions between 0 and {upper} (percent or mg m-3 need attrs['units'])"

    @property
    def bounds(self) -> tuple[float, float]:
        """Parts are never negative, and fractions at most the whole."""
        return 0.0, np.inf if self.concentrations else 1 / self.factor

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of parts that have none."""
        return {"long_name": self.long_name, "units": Chlorophyll.usual_units if self.concentrations else "1"}

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of observed values and of impossible values."""
        factor = self.factor
        if self.concentrations:
            return outside(raw, lambda part: (part >= 0) & (part * factor <= Chlorophyll.highest))
        return outside(raw, lambda part: (part * factor >= -ROUNDING) & (part * factor <= 1 + ROUNDING))

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Return the log-ratios of (p, ...) parts.

        All parts but one determine the last where the total is known; fewer are not used.
        """
        present, invalid = self.possible(raw)
        known = np.where(present, raw, 0).astype(np.float32) * np.float32(self.factor)
        known = np.maximum(known, np.float32(0))
        missing, every = np.float32(np.nan), len(self.part_names)
        chl = np.full(raw.shape[1:], missing) if whole is None else whole.astype(np.float32) * np.float32(self.ratio)
        count, total = present.sum(axis=0), np.ones(raw.shape[1:], np.float32)
        if self.concentrations:
            sum_, nearly = known.sum(axis=0), count == every - 1
            total = np.where(count == every, sum_, np.where(nearly & ~np.isnan(chl), np.fmax(chl, sum_), missing))
        rest = np.maximum(np.nan_to_num(total) - known.sum(axis=0), np.float32(0))
        known = np.where(present | (count < every - 1), known, rest)
        observed = (count >= every - 1) & (known.sum(axis=0) > 0) & ~np.isnan(total)
        parts = known[:, observed] / known[:, observed].sum(axis=0)
        total = np.maximum(total / np.float32(self.ratio), np.float32(Chlorophyll.lowest))
        total = np.where(observed & (count == every), total, missing)
        return Encoded(*log_ratios(parts, observed), present, invalid, total if self.concentrations else None)

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Return variances of the log-ratios, by the delta method, with errors of the parts independent.

        A missing part is as uncertain as those that determine it.
        """
        spread = relative_sd(error, np.maximum(raw, self._least(raw)))
        spread = np.where(np.isnan(spread), np.fmax.reduce(spread), spread)
        weight = np.square(balances(len(self.part_names))).astype(np.float32)
        return np.einsum("cp,p...->c...", weight, np.square(spread))

    def _least(self, raw: NDArray) -> NDArray | float:
        """Smallest part in the log-ratios, in the units of the input."""
        total: NDArray | float = np.nansum(raw, axis=0) if self.concentrations else 1 / self.factor
        return SMALLEST_PART * total

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
        """Return `SAMPLE_SD` of the sum of the parts."""
        total = np.broadcast_to(np.nansum(raw, axis=0), raw.shape) if self.concentrations else 1 / self.factor
        return np.full(raw.shape, SAMPLE_SD) * total

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Return the parts of (c, n) log-ratios; observed parts stay, the others divide the remainder."""
        parts, given = ilr_inverse(values), self._in_ratio(given)
        if given.whole is not None and self.concentrations:
            parts = parts * given.whole
        return self._complete(parts, np.zeros_like(parts), given)[0]

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Return means and standard deviations of the parts, by quadrature."""
        (parts, width), given = ilr_moments(mean, spread), self._in_ratio(given)
        if given.whole is not None and self.concentrations:
            doubt = np.zeros_like(given.whole) if given.whole_spread is None else given.whole_spread
            width = np.sqrt((width * given.whole) ** 2 + (parts * doubt) ** 2 + (width * doubt) ** 2)
            parts = parts * given.whole
        return self._complete(parts, width, given)

    def check(self, raw: NDArray, attrs: Mapping[Any, Any]) -> None:
        """Check that fractions of all parts sum to 1."""
        if self.concentrations or self.parts == 1:
            return
        total = raw.sum(axis=0)[self.possible(raw)[0].all(axis=0)] * self.factor
        if total.size and not 0.8 < (middle := float(np.median(total))) < 1.25:
            raise ValueError(
                f"sums to {middle:.3g} where all of {', '.join(self.part_names)} are observed; fractions sum to 1. If "
                "they are mg m-3 of chlorophyll, set attrs['units'] = 'mg m-3'; if parts are lacking, fill them one by "
                "one"
            )

    def _in_ratio(self, given: Given) -> Given:
        """The sum of the parts instead of chlorophyll."""
        if self.ratio == 1 or given.whole is None:
            return given
        ratio = np.float32(self.ratio)
        return Given(
            given.parts, given.whole * ratio, None if given.whole_spread is None else given.whole_spread * ratio
        )

    def _complete(self, parts: NDArray, width: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Keep the observed parts, divide the remainder between the others, and convert to the units of the input."""
        factor = np.float32(self.factor)
        held, open_ = given.parts * factor, np.isnan(given.parts)
        total = given.whole if self.concentrations and given.whole is not None else np.float32(1)
        doubt = given.whole_spread if self.concentrations and given.whole_spread is not None else np.float32(0)
        rest = np.maximum(total - np.where(open_, np.float32(0), held).sum(axis=0), np.float32(0))
        scale = rest / np.maximum((parts * open_).sum(axis=0), np.float32(1e-12))
        # a single open part is as certain as the total
        width = np.where(open_.sum(axis=0) == 1, doubt, width * scale)
        zero = np.float32(0)
        return np.where(open_, parts * scale, held) / factor, np.where(open_, width, zero) / factor


@dataclass(frozen=True)
class AnyComposition(Composition):
    """A composition that is described by its array: functional types, or other fractions that sum to 1."""

    part_names: tuple[str, ...] = ()
    name: str = ""
    channels: tuple[str, ...] = ()
    long_name: str = "fraction of the whole"

    levelled = True
    usual_sd = 0.8
    priors = {}  # noqa: RUF012  (the general prior)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.part_names)

    def part_of(self, name: str, attrs: Mapping[Any, Any]) -> int | None:  # type: ignore[override]
        """Index of the part that an array of this name holds; None if it holds none."""
        return self.part_names.index(name) if name in self.part_names else None


def composition_of(parts: Sequence[str], name: str, attrs: Mapping[Any, Any]) -> AnyComposition | None:
    """The composition of parts with these names; None where they cannot be one.

    Fractions may be of anything, concentrations must be of phytoplankton types, which share chlorophyll.
    """
    if len(parts) < 2 or len(set(parts)) < len(parts):
        return None
    units = units_of(attrs)
    types = all(is_type(part) for part in parts)
    if (units is None and not types) or (units is not None and not (types or is_dimensionless(units))):
        return None
    stem = "_".join(re.sub(r"\W+", "_", part.lower()) for part in parts)
    channels = tuple(f"{stem}_ilr{number}" for number in range(1, len(parts)))
    label = "fraction of chlorophyll-a by phytoplankton type" if types else AnyComposition.long_name
    found = AnyComposition(part_names=tuple(parts), name=name or stem, channels=channels, long_name=label)
    made = found.in_units(attrs, name)
    assert isinstance(made, AnyComposition)
    return made


def log_ratios(parts: NDArray, observed: NDArray) -> tuple[NDArray, NDArray]:
    """Log-ratios of (p, n) parts, inserted at the observed pixels."""
    values = np.zeros((len(parts) - 1, *observed.shape), np.float32)
    values[:, observed] = ilr(parts)
    return values, np.broadcast_to(observed, values.shape)
