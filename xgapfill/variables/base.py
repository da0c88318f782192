"""What all variables have in common: the base class, with its defaults in sight."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.variables.prior import Prior


@dataclass(frozen=True)
class Encoded:
    """Physical values in the units of the methods, and what became of each of them.

    Attributes
    ----------
    values : (c, ...) float32
        Channels, 0 where missing.
    observed : (c, ...) bool
        Where a channel is known.
    present : (p, ...) bool
        Parts that come back as they are.
    invalid : (p, ...) bool
        Impossible values, which count as missing.
    total : (...) float32 or None
        The whole that the parts add up to, in the units of its variable, NaN where they do not say; None where they
        are no shares of anything.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    total: NDArray[np.float32] | None = None

    def within(self, part: tuple[slice, ...]) -> Encoded:
        """Return a part of the last axes."""
        cut: tuple[Any, ...] = (..., *part)
        total = None if self.total is None else self.total[cut]
        return Encoded(self.values[cut], self.observed[cut], self.present[cut], self.invalid[cut], total)


@dataclass(frozen=True)
class Given:
    """What is known at the n pixels that are decoded, beside the filled channels.

    Attributes
    ----------
    parts : (p, n) float32
        Observed parts as in the input, NaN where missing.
    whole, whole_spread : (n,) float32 or None
        What the parts are shares of, and its standard deviation, 0 where it was observed.
    """

    parts: NDArray[np.float32]
    whole: NDArray[np.float32] | None = None
    whole_spread: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ErrorUnits:
    """What the numbers of an error field are.

    Attributes
    ----------
    kind : str
        ``"share"`` of the values, ``"log10"``, the standard deviation of the logarithm, or ``"same"``, a standard
        deviation in the units of the values.
    factor : float
        The numbers times this are shares of 1, or in the units of the values.
    """

    kind: str
    factor: float = 1.0

    def absolute(self, error: NDArray, raw: NDArray) -> NDArray[Any]:
        """Return errors in the units of the values they belong to."""
        if self.kind == "share":
            return error * raw * self.factor
        if self.kind == "log10":
            with np.errstate(over="ignore"):
                return (np.float64(10) ** error - 1) * raw
        return error * self.factor


class Variable:
    """One physical variable: how it is recognised, what is possible, how it is filled.

    Subclasses are frozen dataclasses whose fields say in which units an array came; they are picklable, and their
    arithmetic is in float32. A variable of one part needs a name, a channel, a prior, and what `Positive` or `Plain` in
    `xgapfill.variables.kinds` ask for. Add it to the list in `xgapfill.variables.registry`, or, from another package,
    by `xgapfill.variables.register` or the entry-point group ``xgapfill.variables``.

    Attributes
    ----------
    name : str
        Of an array that has no name.
    channels : tuple of str
        Channels it is filled as; no other variable has them.
    priors : mapping of channel to Prior
        What is believed of each channel before any value was seen.
    standard_name, long_name, usual_units : str
        CF attributes of an array that has none.
    standard_names : frozenset of str
        CF standard names that mean this variable, beside `standard_name`.
    names : regular expression
        Names of arrays that mean this variable, in lower case.
    known_as : str
        The variable and some of its names, for messages.
    part_names : tuple of str
        Labels of the parts of a composition; empty for a variable of one part.
    logarithmic : bool
        Whether it is filled as log10: then its spread is given, and it is scored, as log10 too.
    weights : str or None
        Shipped weights that fill it.
    whole : type of Variable or None
        What its parts are shares of, which encoding looks at where it is a condition.
    sample_names : tuple of str
        Columns of tables of in-situ samples that mean this variable, in lower case, beside `names`.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    priors: ClassVar[Mapping[str, Prior]]
    standard_name: ClassVar[str] = ""
    long_name: ClassVar[str] = ""
    usual_units: ClassVar[str] = "1"
    standard_names: ClassVar[frozenset[str]] = frozenset()
    names: ClassVar[re.Pattern[str] | None] = None
    known_as: ClassVar[str] = ""
    part_names: ClassVar[tuple[str, ...]] = ()
    logarithmic: ClassVar[bool] = False
    weights: ClassVar[str | None] = None
    whole: ClassVar[type[Variable] | None] = None
    sample_names: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def recognises(cls, name: str, attrs: Mapping[Any, Any]) -> bool:
        """Tell whether an array of this name and these attributes holds the variable, or a part of it."""
        said = attrs.get("standard_name")
        if isinstance(said, str) and said and (said == cls.standard_name or said in cls.standard_names):
            return True
        return name.lower() == cls.name.lower() or bool(cls.names and cls.names.fullmatch(name.lower()))

    @classmethod
    def of(cls, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the variable in the units that attributes say; ValueError where they cannot be its units."""
        return cls()

    @classmethod
    def part_of(cls, name: str, attrs: Mapping[Any, Any]) -> int | None:
        """Index of the part that an array of this name and these attributes holds; None where it holds none."""
        return 0 if cls.recognises(name, attrs) else None

    def only(self, part: int | None) -> Variable:
        """Return the variable where only one part of a composition is given, in the same units; None: all parts."""
        return self

    @property
    def parts(self) -> int:
        """Number of arrays or labels it comes as."""
        return max(1, len(self.part_names))

    @property
    def alone(self) -> int | None:
        """Index of the only part that is given of a composition, None for all else."""
        return None

    @property
    def needs_whole(self) -> bool:
        """Whether decoding needs what the parts are shares of."""
        return False

    @property
    def wanted(self) -> str:
        """What values are possible, for messages."""
        raise NotImplementedError

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of an array that has none."""
        said = {"standard_name": self.standard_name, "long_name": self.long_name, "units": self.usual_units}
        return {name: value for name, value in said.items() if value}

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where (p, ...) values are observed, and where they are there but impossible."""
        raise NotImplementedError

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Turn (p, ...) physical values, NaN where missing, into channels; `whole` : (...), NaN where missing."""
        raise NotImplementedError

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Turn (c, n) channels of one draw into (p, n) physical values."""
        raise NotImplementedError

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Turn (c, n) means and standard deviations into those of the (p, n) physical values."""
        raise NotImplementedError

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """What the numbers of an error of this variable are; ValueError for units that cannot be those of one."""
        raise NotImplementedError

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Turn standard deviations of (p, ...) values into (c, ...) variances of channels, NaN where unknown."""
        raise NotImplementedError

    def usual_error(self, raw: NDArray) -> NDArray:
        """Standard deviation of the error of (p, ...) in-situ values as measures of a pixel, where nobody says it."""
        raise NotImplementedError

    def check(self, raw: NDArray, attrs: Mapping[Any, Any]) -> None:
        """ValueError where a sample of (p, n) values cannot be the variable in these units, as percent for fractions.

        Single impossible values are no matter of this.
        """

    def score(self, values: NDArray) -> NDArray:
        """Values as they are scored: the logarithm where that is filled, all else as it is; NaN where impossible."""
        return np.log10(np.where(values > 0, values, np.nan)) if self.logarithmic else values

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process, such as a worker, knows a registered variable once it has seen it."""
        return _revived, (type(self), *(getattr(self, each.name) for each in fields(self)))  # type: ignore[arg-type]


def _revived(kind: type[Variable], *values: Any) -> Variable:
    from xgapfill.variables.registry import known, register

    if kind not in known():
        register(kind)
    return kind(*values)


def invalid_message(name: str, variable: Variable, count: int | None) -> str:
    """What is said of impossible values."""
    number = "impossible values" if count is None else f"{count} impossible values"
    return f"{number} in the input of {name} count as missing (status invalid_input); wanted: {variable.wanted}"


def relative_sd(error: NDArray, values: NDArray) -> NDArray[np.float32]:
    """Standard deviation of the natural logarithm of values with this error, log(1 + error / value).

    NaN where the error is none: missing or negative.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        relative = np.where(error >= 0, error, np.nan) / np.maximum(values, 0)
        return np.log1p(relative).astype(np.float32)


def outside(raw: NDArray, possible: Callable[[NDArray], NDArray]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where values are observed and `possible`, and where they are there but impossible (infinite too)."""
    with np.errstate(invalid="ignore", over="ignore"):
        present = np.asarray(np.isfinite(raw) & possible(raw))
    return present, np.asarray(~np.isnan(raw) & ~present)
