"""What units say, by pint with the spellings of CF: how to turn values into the units of a variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

# What providers write and pint does not read, in lower case.
_WORDS = {
    **dict.fromkeys(("fraction", "fractions", "unitless", "ratio", "none", "-", "n/a"), "1"),
    **dict.fromkeys(("pct", "percentage", "per cent", "per_cent"), "percent"),
    **dict.fromkeys(("kelvins", "degree_kelvin", "degrees_kelvin", "degree kelvin", "degrees kelvin"), "kelvin"),
}
_CELSIUS = re.compile(r"\s*deg(ree)?s?[\s_]*c(elsius)?\s*", re.IGNORECASE)
# what is measured, among its units: mg chl m-3, mg (chl-a) m-3
_SUBSTANCE = re.compile(r"\(?\b(chl(orophyll)?)([\s_-]?a\b)?\)?", re.IGNORECASE)
_JOINED = re.compile(r"(?<![a-z])([kmunµμ]?g)(?=m[-^*⁻³])", re.IGNORECASE)  # mgm-3
_POWER = re.compile(r"\b10\s?(-\d)\s?(?=[a-z])", re.IGNORECASE)


def units_of(attrs: Mapping[Any, Any]) -> str | None:
    """Units that attributes give; None where they give none."""
    units = attrs.get("units")
    if units is None or (isinstance(units, str) and not units.strip()):
        return None
    return str(units).strip()


@cache
def conversion(units: str, wanted: str) -> tuple[float, float]:
    """Return what values in `units` are multiplied by, and what is then added to them, to be in `wanted`.

    Raises
    ------
    ValueError
        The units cannot be read, or are of something else.

    Examples
    --------
    >>> conversion("milligram / meter ** 3", "kg m-3")
    (1e-06, 0.0)
    >>> conversion("K", "degC")
    (1.0, -273.15)
    """
    if units == wanted:  # most are, and pint takes its time to import
        return 1.0, 0.0
    error: Exception | None = None
    for spelling in _spellings(units):
        try:
            none, one = (_converted(value, spelling, wanted) for value in (0.0, 1.0))
        except Exception as found:  # pint raises what its tokenizer raises as well
            error = error or found
        else:
            return float(f"{one - none:.12g}"), float(f"{none:.12g}")
    raise ValueError(f"units={units!r} cannot be read as {wanted}") from error


def is_dimensionless(units: str) -> bool:
    """Whether units are those of a fraction: 1, percent and the like."""
    try:
        conversion(units, "1")
    except ValueError:
        return False
    return True


def _spellings(units: str) -> list[str]:
    plain = " ".join(units.split())
    plain = _WORDS.get(plain.lower(), plain)
    plain = "degC" if _CELSIUS.fullmatch(plain) else plain
    plain = _JOINED.sub(r"\1 ", _POWER.sub(r"1e\1 ", _SUBSTANCE.sub("", plain))).replace("%", " percent").strip()
    return [plain, plain.lower()] if plain != plain.lower() else [plain]


def _converted(value: float, units: str, wanted: str) -> float:
    registry = _registry()
    one = registry(units)
    quantity = registry.Quantity(value * float(getattr(one, "magnitude", one)), getattr(one, "units", "dimensionless"))
    return float(quantity.to(registry(wanted).units).magnitude)


@cache
def _registry() -> Any:
    import pint

    before = pint.get_application_registry().get()
    from cf_xarray.units import units

    pint.set_application_registry(before)  # the user's, which cf_xarray replaces by its own
    return units
