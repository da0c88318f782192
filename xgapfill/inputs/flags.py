"""Reads which values of a mask mean land: CF flags as providers write them, standard names, common names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xgapfill.lattice.sea import SeaFlag

_LAND = frozenset(("land", "continent", "continents", "island", "islands", "terrestrial"))
_SEA = frozenset(
    (
        "sea",
        "seas",
        "ocean",
        "oceans",
        "water",
        "waters",
        "marine",
        "seawater",
        "lake",
        "lakes",
        "river",
        "rivers",
        "lagoon",
        "lagoons",
        "estuary",
        "estuaries",
        "freshwater",
    )
)
_NOT = frozenset(("not", "no", "non", "free"))
_NEUTRAL = frozenset(
    (
        "is",
        "are",
        "over",
        "on",
        "of",
        "the",
        "a",
        "in",
        "at",
        "mask",
        "flag",
        "flags",
        "pixel",
        "pixels",
        "surface",
        "binary",
        "type",
        "area",
        "grid",
        "cell",
        "cells",
        "optional",
        "permanent",
        "open",
        "deep",
        "shallow",
        "coastal",
        "inland",
        "continental",
        "fresh",
        "salt",
        "with",
        "ice",
        "snow",
        "dry",
    )
)
_STANDARD = {"land_binary_mask": True, "sea_binary_mask": False}
_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|\d+)", re.IGNORECASE)
_NUMBERED = re.compile(r"(-?\d+)\s*[=:]\s*([^,;=:]*[a-z][^,;=:]*?)\s*(?=[,;]|\s-?\d+\s*[=:]|$)", re.IGNORECASE)
_NUMBERED_AFTER = re.compile(r"([a-z][\w -]*?)\s*[=:]\s*(-?\d+)", re.IGNORECASE)
_NAMES = ("mask", "lsm")  # names of masks beside those that say land or sea; the second is land


def meaning_of(text: str) -> str | None:
    """Return ``"land"`` or ``"sea"`` if a flag or a name means just that, else None.

    Examples
    --------
    >>> [meaning_of(text) for text in ("is_land", "open-sea", "not_land", "inlandWater", "near_land", "land_sea_mask")]
    ['land', 'sea', 'sea', 'sea', None, None]
    """
    words = set(re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())) - {""}
    words |= {part for word in words for part in re.findall("(land|sea|ocean|water)mask", word)}
    words = {word for word in words if not word.endswith("mask")}
    if words - _LAND - _SEA - _NOT - _NEUTRAL or bool(words & _LAND) == bool(words & _SEA):
        return None
    return "land" if bool(words & _LAND) != bool(words & _NOT) else "sea"


def sea_flag(mask: xr.DataArray) -> SeaFlag:
    """Encoding of sea in a mask: by CF flag meanings, else by its name, else true is sea.

    Raises
    ------
    ValueError
        The flags cannot be read, or name neither land nor sea; the name means both.
    """
    if "flag_meanings" not in mask.attrs:
        standard = _STANDARD.get(str(mask.attrs.get("standard_name")))
        words = str(mask.name).lower()
        if standard is None and "land" in words and any(word in words for word in ("sea", "ocean", "water")):
            raise ValueError(
                f"{mask.name!r} may be 1 on land or at sea: rename it to 'land' or to 'sea', or set its "
                "attrs['flag_values'] and attrs['flag_meanings']"
            )
        land = standard if standard is not None else meaning_of(words) == "land" or words == "lsm"
        return SeaFlag(((None, 1),), land)
    table = _table(mask)
    for wanted in ("land", "sea"):
        chosen = tuple(flag for text, flag in table if meaning_of(text) == wanted)
        # a flag of sea ice alone does not tell where the sea is
        if chosen and any(meaning_of(text) == wanted and "ice" not in text.lower() for text, _ in table):
            return SeaFlag(chosen, wanted == "land")
    raise ValueError(
        f"expected a flag for land, sea, water or ocean in {mask.name!r}; its flags are {[text for text, _ in table]}. "
        "Set its attrs['flag_meanings'], or give sea= a boolean mask, True at sea"
    )


def _table(mask: xr.DataArray) -> list[tuple[str, tuple[int | None, int]]]:
    """Meanings of the flags with the bits to compare (None: all) and their value; ValueError if they do not match."""
    attrs, given = mask.attrs, mask.attrs["flag_meanings"]
    text = given if isinstance(given, str) else ", ".join(str(each) for each in np.ravel(given))
    numbered = [(words, int(number)) for number, words in _NUMBERED.findall(text)]
    numbered = numbered or [(words, int(number)) for words, number in _NUMBERED_AFTER.findall(text)]
    if numbered:
        return [(words.strip(), (None, value)) for words, value in numbered]
    split = r"\s*[,;]\s*" if re.search("[,;]", text) else r"\s+"
    meanings = [word for word in re.split(split, text.strip(" ,;")) if word]
    values, bits = _numbers(attrs, "flag_values"), _numbers(attrs, "flag_masks")
    for key, numbers in (("flag_values", values), ("flag_masks", bits)):
        if numbers is not None and len(numbers) != len(meanings):
            raise ValueError(
                f"{mask.name!r} has {len(meanings)} flag_meanings, {meanings}, but {key}={attrs[key]!r}; correct its "
                "attrs, or give sea= a boolean mask, True at sea"
            )
    if values is not None and bits is not None and any(value & ~bit for value, bit in zip(values, bits, strict=True)):
        bits = None  # the values have other bits than their masks
    if bits is None:
        values = list(range(len(meanings))) if values is None else values
        return [(word, (None, value)) for word, value in zip(meanings, values, strict=True)]
    values = bits if values is None else values
    return [(word, flag) for word, *flag in zip(meanings, bits, values, strict=True)]  # type: ignore[misc]


def _numbers(attrs: Mapping[Any, Any], key: str) -> list[int] | None:
    """Whole numbers in an attribute, also as text ("1b, 2b, 4b"); None if it is absent."""
    given = attrs.get(key)
    if given is None:
        return None
    if isinstance(given, str):
        return [int(number, 0) for number in _NUMBER.findall(given)]
    array = np.ravel(given)
    if array.dtype.kind in "US":
        return [int(number, 0) for each in array for number in _NUMBER.findall(str(each))]
    return [int(number) for number in array]


def may_be_mask(mask: xr.DataArray) -> bool:
    """Whether a variable says by its flags, or by its name, that it tells land from sea."""
    if "flag_meanings" in mask.attrs:
        words = re.split(r"[\s,;=:]+", str(mask.attrs["flag_meanings"]))
        return mask.dtype.kind in "biuf" and any(meaning_of(word) for word in words)
    name = str(mask.name).lower()
    named = name in _NAMES or meaning_of(name) is not None or str(mask.attrs.get("standard_name")) in _STANDARD
    return named and mask.ndim == 2 and mask.dtype.kind in "biu"
