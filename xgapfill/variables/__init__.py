"""What is filled: one module a physical quantity, with its names, units, valid range and transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xgapfill.variables.base import Encoded, Family, Given
from xgapfill.variables.chlorophyll import Chlorophyll, is_chlorophyll, mg_m3
from xgapfill.variables.size_classes import CLASSES, SizeClasses, class_alone, class_of, is_fraction
from xgapfill.variables.temperature import Temperature, is_temperature, offset_to_celsius

__all__ = [
    "CLASSES",
    "Chlorophyll",
    "Encoded",
    "Family",
    "Given",
    "SizeClasses",
    "Temperature",
    "class_alone",
    "class_of",
    "mg_m3",
    "recognise",
    "size_classes",
]

KNOWN = (
    "chlorophyll (CHL, chlor_a, CHL1_mean ...), phytoplankton size classes (labels or names micro, nano, pico) "
    "and sea surface temperature (SST)"
)


def recognise(name: str, attrs: Mapping[str, Any], alone: int | None = None) -> Family:
    """Find the family of a variable of one part by its standard_name, name and units.

    Parameters
    ----------
    name : str
        Name of the variable.
    attrs : mapping
        Its CF attributes.
    alone : int, optional
        Index of the size class the variable holds, where somebody said so.

    Raises
    ------
    ValueError
        When it is no known quantity, or its units cannot be read.
    """
    if alone is None and is_chlorophyll(name, attrs):
        return Chlorophyll(mg_m3(attrs["units"]) if _has_units(attrs) else 1.0)
    if alone is None and is_temperature(name, attrs):
        return Temperature(offset_to_celsius(attrs["units"]) if _has_units(attrs) else 0.0)
    if alone is None:
        alone = class_alone(name, attrs)
    if alone is not None:
        return SizeClasses(_class_factor([attrs]), alone)
    raise ValueError(
        f"{name!r} is no variable that is known here: known are {KNOWN}. Rename it, set attrs['standard_name'], or say "
        "size_class='micro', 'nano' or 'pico' if it is one size class"
    )


def size_classes(attrs: list[Mapping[str, Any]]) -> SizeClasses:
    """Return the family of three size classes with these attributes; ValueError when their units differ."""
    return SizeClasses(_class_factor(attrs))


def _class_factor(attrs: list[Mapping[str, Any]]) -> float | None:
    found = set()
    for each in attrs:
        units = str(each["units"]) if _has_units(each) else None
        fraction = is_fraction(units, each.get("standard_name"))
        found.add(None if fraction else 1.0 if units is None else mg_m3(units))
    if len(found) > 1:
        raise ValueError("the size classes have different units; convert them to the same")
    return found.pop()


def _has_units(attrs: Mapping[str, Any]) -> bool:
    return isinstance(attrs.get("units"), str) and attrs["units"].strip() != ""
