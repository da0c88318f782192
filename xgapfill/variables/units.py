"""Reads units with pint and the spellings of CF, and converts values to the units of a variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

# Spellings of data providers that pint does not read, in lower case.
_WORDS = {
    # practical salinity has no units; formazin turbidity units agree at the precision of a map
    **dict.fromkeys(("pss", "pss-78", "pss78", "practical salinity unit", "practical salinity units"), "psu"),
    **dict.fromkeys(("ntu", "ftu", "ntru", "fnu"), "FNU"),
    **dict.fromkeys(("fraction", "fractions", "unitless", "ratio", "none", "-", "n/a"), "1"),
    **dict.fromkeys(("pct", "percentage", "per cent", "per_cent"), "percent"),
    **dict.fromkeys(("kelvins", "degree_kelvin", "degrees_kelvin", "degree kelvin", "degrees kelvin"), "kelvin"),
}
_CELSIUS = re.compile(r"\s*deg(ree)?s?[\s_]*c(elsius)?\s*", re.IGNORECASE)
# the substance among the units: mg chl m-3, mg (chl-a) m-3
_SUBSTANCE = re.compile(r"\(?\b(chl(orophyll)?)([\s_-]?a\b)?\)?", re.IGNORECASE)
_JOINED = re.compile(r"(?<![a-z])([kmunµμ]?g)(?=m[-^*⁻³])", re.IGNORECASE)  # mgm-3
_APART = re.compile(r"(?<=[a-zA-Z]) -(?=\d)")  # mg m -3
_BRACES = re.compile(r"\^?\{(-?\d)\}")  # mg m{-3}
_DIMENSIONS: Mapping[str, Mapping[str, float]] = {
    "concentration": {"[mass]": 1, "[length]": -3},
    "amount": {"[substance]": 1, "[length]": -3},
    "attenuation": {"[length]": -1},
    "temperature": {"[temperature]": 1},
    "velocity": {"[length]": 1, "[time]": -1},
}
_POWER = re.compile(r"\b10\s?(-\d)\s?(?=[a-z])", re.IGNORECASE)


def units_of(attrs: Mapping[Any, Any]) -> str | None:
    """Units in the attributes; None if there are none."""
    units = attrs.get("units")
    if units is None or (isinstance(units, str) and not units.strip()):
        return None
    return str(units).strip()


@cache
def conversion(units: str, wanted: str) -> tuple[float, float]:
    """Return the factor and the offset that convert values from `units` to `wanted`.

    Raises
    ------
    ValueError
        The units cannot be read, or have another dimension.

    Examples
    --------
    >>> conversion("milligram / meter ** 3", "kg m-3")
    (1e-06, 0.0)
    >>> conversion("K", "degC")
    (1.0, -273.15)
    """
    if wanted in (units, _WORDS.get(units.lower())):  # the common case needs no import of pint, which is slow
        return 1.0, 0.0
    error: Exception | None = None
    for spelling in _spellings(units):
        try:
            none, one = (_converted(value, spelling, wanted) for value in (0.0, 1.0))
        except Exception as found:  # pint passes on exceptions of its tokenizer
            error = error or found
        else:
            return float(f"{one - none:.12g}"), float(f"{none:.12g}")
    raise ValueError(f"units={units!r} cannot be read as {wanted}") from error


def is_dimensionless(units: str) -> bool:
    """Whether units are those of a fraction, such as 1 or percent."""
    try:
        conversion(units, "1")
    except ValueError:
        return False
    return True


def kind_of_units(units: str) -> str:
    """What units measure: "concentration", "amount", "attenuation", "temperature" or "velocity"; empty if another."""
    for spelling in _spellings(units):
        try:
            found = dict(_quantity(spelling).dimensionality)
        except Exception:
            continue
        return next((kind for kind, dimensions in _DIMENSIONS.items() if dimensions == found), "")
    return ""


def _spellings(units: str) -> list[str]:
    plain = " ".join(units.replace("−", "-").replace("$", "").replace("º", "°").split())
    plain = _WORDS.get(plain.lower(), plain)
    plain = "degC" if _CELSIUS.fullmatch(plain) else plain
    plain = _BRACES.sub(r"\1", _APART.sub("-", plain))
    plain = _JOINED.sub(r"\1 ", _POWER.sub(r"1e\1 ", _SUBSTANCE.sub("", plain))).replace("%", " percent").strip()
    return list(dict.fromkeys((plain, plain.lower(), plain.replace("_", " "))))


def _converted(value: float, units: str, wanted: str) -> float:
    one, other = _quantity(units), _quantity(wanted)
    return float((value * one.magnitude * one.units).to(other.units).magnitude)


def _quantity(units: str) -> Any:
    """One unit as a quantity: a plain number, such as "1", is dimensionless, whatever pint makes of it."""
    registry = _registry()
    read = registry(units)
    return registry.Quantity(float(getattr(read, "magnitude", read)), getattr(read, "units", "dimensionless"))


@cache
def _registry() -> Any:
    import pint

    before = pint.get_application_registry().get()
    from cf_xarray.units import units

    pint.set_application_registry(before)  # restore the user's registry: the import of cf_xarray.units replaces it
    return units
