"""Card: description of a weight file, of its training data and of its use."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """Metadata of a weight file, in a TOML file beside it.

    Attributes
    ----------
    name : str
        Name of the weights, ``psc-chl``.
    method : str
        Kind of model of the arrays, ``diffusion``.
    targets : tuple of str
        Channels that are filled, in the order of the network: ``("psc_ilr1", "psc_ilr2")``.
    conditions : tuple of str
        Channels of predictors, in the order of the network.
    network : mapping
        Parameters to rebuild the network: widths, frames ...
    background : mapping
        Parameters of the first guess that the weights were trained on.
    taken : str
        What was taken from the values before the fit to a series, such as a season; empty: nothing.
    ranges : mapping of channel to (lowest, highest)
        Range of the training data, transformed (dimensionless) units.
    inflation : float
        Factor on the spread of the members, found on data withheld from training; 1: unchanged.
    intervals : mapping
        ``levels`` between 0 and 1, and the ``factors`` on the spread of an estimate whose intervals held these shares
        of data withheld from training; empty: unknown.
    sigma_max : float
        Largest noise level of the training, in units of the scaled residual.
    trained_on : str
        Training data, in a sentence.
    simulated_only : tuple of str
        Channels whose truth was simulated, never measured.
    licence, created, version : str
        Licence of the weights, date (ISO 8601), version of xgapfill that made them.
    scores : mapping
        Scores on data withheld from training.
    sha256 : str
        Hash of the safetensors file; filled in by ``Weights.save``.
    format_version : int
        Version of the format.

    Raises
    ------
    ValueError
        When a field is missing, unknown or invalid.

    Examples
    --------
    >>> from xgapfill.weights import load
    >>> card = load("psc-chl").card
    >>> card.targets, card.conditions
    (('psc_ilr1', 'psc_ilr2'), ('log10_chl',))
    >>> Card.from_toml(card.to_toml()) == card
    True
    """

    name: str
    method: str
    targets: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict, hash=False)
    background: Mapping[str, Any] = field(default_factory=dict, hash=False)
    taken: str = ""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    inflation: float = 1.0
    intervals: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sigma_max: float = 1.0
    trained_on: str = ""
    simulated_only: tuple[str, ...] = ()
    licence: str = ""
    created: str = ""
    version: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sha256: str = ""
    format_version: int = FORMAT

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _plain(getattr(self, item.name), item.name))
        _check(self)

    @property
    def channels(self) -> tuple[str, ...]:
        """Targets, then predictors."""
        return self.targets + self.conditions

    @property
    def digest(self) -> str:
        """Hash of the whole card, which changes with the calibration even if the arrays do not."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the card as TOML text.

        Examples
        --------
        >>> card = Card(name="demo", method="diffusion", targets=("log10_chl",), ranges={"log10_chl": (-2.0, 1.7)})
        >>> print(card.to_toml().splitlines()[0])
        name = "demo"
        >>> Card.from_toml(card.to_toml()) == card
        True
        """
        import tomli_w

        return tomli_w.dumps({item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def from_toml(cls, text: str) -> Card:
        """Read a card from TOML text; ValueError if it is invalid."""
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"the weight card is not readable TOML ({error}); get the file again") from error
        if isinstance(number := found.get("format_version"), int) and number > FORMAT:
            raise ValueError(
                f"the weight card has format {number}, this xgapfill reads up to {FORMAT}: update xgapfill"
            )
        known = {item.name for item in fields(cls)}
        wanted = {item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING}
        if unknown := sorted(set(found) - known):
            raise ValueError(f"the weight card has unknown fields {unknown}; known are {sorted(known)}")
        if missing := sorted(wanted - set(found)):
            raise ValueError(f"the weight card lacks {missing}; check that xgapfill wrote this file")
        return cls(**found)


_NUMBERS = {"inflation": 100.0, "sigma_max": 1e6}  # and their largest values
# Limits of numbers that all kinds of networks share: numbers beyond are an error or an attempt to exhaust the memory.
_WHOLE = ("frames", "channels", "widths")
_NETWORK: dict[str, tuple[float, float]] = {
    **{"frames": (1, 1000), "channels": (1, 1000), "widths": (1, 4096)},
    **{"mean_factor": (0, 10), "spread_factor": (0.01, 100)},
}
_RESOLUTIONS = 16  # largest number of resolutions of a network
_TYPES: dict[str, type] = {
    **dict.fromkeys(("targets", "conditions", "simulated_only"), tuple),
    **dict.fromkeys(("network", "background", "ranges", "scores", "intervals"), dict),
    **dict.fromkeys(_NUMBERS, float),
    "format_version": int,
}


def _plain(value: Any, where: str) -> Any:
    """The value in types that TOML preserves: numpy scalars to Python, lists to tuples, mappings to dict."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), where)
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item, where) for item in value)
    if isinstance(value, (str, bool, int, float)):
        return float(value) if where in _NUMBERS and not isinstance(value, (str, bool)) else value
    raise ValueError(f"the weight card's {where} is a {type(value).__name__}; text, numbers, lists and tables only")


def _check(card: Card) -> None:
    for item in fields(card):
        value = getattr(card, item.name)
        wanted = _TYPES.get(item.name, str)
        if not isinstance(value, wanted):
            raise ValueError(f"the weight card's {item.name} must be a {wanted.__name__}, found {value!r}")
    if not card.name or not card.method or not card.targets:
        raise ValueError("a weight card needs a name, a method and at least one target channel")
    if not all(isinstance(channel, str) for channel in card.channels) or len(set(card.channels)) < len(card.channels):
        raise ValueError(f"channels of a weight card must be different names, found {card.channels}")
    if strange := sorted((set(card.ranges) | set(card.simulated_only)) - set(card.channels)):
        raise ValueError(f"the weight card describes channels {strange}, expected only {card.channels}")
    for channel, span in card.ranges.items():
        if not (isinstance(span, tuple) and len(span) == 2 and all(map(_is_number, span)) and span[0] < span[1]):
            raise ValueError(f"the training range of {channel} must be (lowest, highest), found {span}")
    for name, most in _NUMBERS.items():
        if not 0 < getattr(card, name) <= most:
            raise ValueError(
                f"the weight card's {name} must be a positive number up to {most:g}, found {getattr(card, name)}"
            )
    _check_network(card)
    _check_intervals(card.intervals)
    for name in ("network", "background"):
        for where, value in _leaves(getattr(card, name), name):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"the weight card's {where} must be a finite number, found {value}")


def _check_network(card: Card) -> None:
    """Raise ValueError for numbers outside the limits of any network."""
    for name, (least, most) in _NETWORK.items():
        value = card.network.get(name, least)
        many = value if isinstance(value, tuple) else (value,)
        if not all(
            _is_number(one) and least <= one <= most and (name not in _WHOLE or one == int(one)) for one in many
        ):
            kind = "whole numbers" if name in _WHOLE else "numbers"
            raise ValueError(f"the weight card's network.{name} must be {kind} from {least} to {most:g}, found {value}")
    for name, length in (("mean_factor", len(card.channels)), ("channels", len(card.channels))):
        value = card.network.get(name)
        found = len(value) if isinstance(value, tuple) else value
        if value is not None and found != length:
            raise ValueError(
                f"the weight card's network.{name} is {value}, but the card has {length} channels: {card.channels}"
            )
    widths = card.network.get("widths", (1,))
    if not isinstance(widths, tuple) or not 1 <= len(widths) <= _RESOLUTIONS:
        raise ValueError(
            f"the weight card's network.widths must be a list of 1 to {_RESOLUTIONS} numbers, found {str(widths)[:80]}"
        )


def _check_intervals(intervals: Mapping[str, Any]) -> None:
    """Raise ValueError unless there are none, or levels and factors that grow together."""
    if not intervals:
        return
    levels, factors = (intervals.get(name, ()) for name in ("levels", "factors"))
    numbers = all(isinstance(each, tuple) and all(map(_is_number, each)) for each in (levels, factors))
    if not (
        numbers
        and len(levels) == len(factors) > 0
        and (0, *levels, 1) == tuple(sorted({0, *levels, 1}))
        and factors[0] > 0
        and factors == tuple(sorted(factors))
    ):
        raise ValueError(
            "the weight card's intervals need levels that grow from 0 to 1 and a positive factor for each that grows "
            f"with them, found {str(dict(intervals))[:120]}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """All values of nested tables and lists, with their paths."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{where}.{key}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{where}[{number}]")
    else:
        yield where, value
