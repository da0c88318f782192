"""The base class of variables, with its defaults."""

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
    """Physical values transformed to channels, with masks of their status.

    Attributes
    ----------
    values : (c, ...) float32
        Channels, 0 where missing.
    observed : (c, ...) bool
        Where a channel is known.
    present : (p, ...) bool
        Observed parts; they are returned unchanged.
    invalid : (p, ...) bool
        Impossible values, which count as missing.
    total : (...) float32 or None
        The sum of the parts in the units of their whole, NaN where the parts do not determine it; None where the
        parts are not shares of a whole.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    total: NDArray[np.float32] | None = None

    def within(self, part: tuple[slice, ...]) -> Encoded:
        """Return a subset along the last axes."""
        cut: tuple[Any, ...] = (..., *part)
        total = None if self.total is None else self.total[cut]
        return Encoded(self.values[cut], self.observed[cut], self.present[cut], self.invalid[cut], total)


@dataclass(frozen=True)
class Given:
    """Known values at the n decoded pixels, besides the filled channels.

    Attributes
    ----------
    parts : (p, n) float32
        Observed parts as in the input, NaN where missing.
    whole, whole_spread : (n,) float32 or None
        The whole of which the parts are shares, and its standard deviation, 0 where the whole was observed.
    """

    parts: NDArray[np.float32]
    whole: NDArray[np.float32] | None = None
    whole_spread: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ErrorUnits:
    """Units of an error field.

    Attributes
    ----------
    kind : str
        ``"share"``: a fraction of the values. ``"log10"``: the standard deviation of the logarithm. ``"same"``: a
        standard deviation in the units of the values.
    factor : float
        Multiplies the errors to give fractions of 1, or the units of the values.
    """

    kind: str
    factor: float = 1.0

    def absolute(self, error: NDArray, raw: NDArray) -> NDArray[Any]:
        """Return errors in the units of their values."""
        if self.kind == "share":
            return error * raw * self.factor
        if self.kind == "log10":
            with np.errstate(over="ignore"):
                return (np.float64(10) ** error - 1) * raw
        return error * self.factor


class Variable:
    """One physical variable: its names, its possible values, its transform.

    Subclasses are frozen dataclasses whose fields hold the units of an array. They are picklable and compute in
    float32. A variable of one part needs a name, a channel, a prior, and the attributes of `Positive` or `Plain` in
    `xgapfill.variables.kinds`. Add it to the list in `xgapfill.variables.registry`, or, from another package, by
    `xgapfill.variables.register` or the entry-point group ``xgapfill.variables``.

    Attributes
    ----------
    name : str
        Name of results for an array without name.
    channels : tuple of str
        Channels in which the variable is filled; no other variable has them.
    priors : mapping of channel to Prior
        Prior of each channel.
    standard_name, long_name, usual_units : str
        CF attributes of an array that has none.
    standard_names : frozenset of str
        Further CF standard names of this variable, besides `standard_name`.
    names : regular expression
        Array names of this variable, in lower case.
    known_as : str
        The variable and some of its names, for messages.
    part_names : tuple of str
        Labels of the parts of a composition; empty for a variable of one part.
    transform : str
        ``"log10"``, ``"logit"`` or ``"linear"``; empty for a composition, whose channels are log-ratios.
    logarithmic : bool
        Whether the variable is filled as log10; its spread and scores are then in log10, too.
    levelled : bool
        Whether the channels are centred and scaled by the observations of each space-time tile (window), because no
        prior of this variable is known; see `xgapfill.kernel.level`.
    usual_sd : float or None
        Of a levelled variable: usual standard deviation of a channel within a window; None if unknown.
    assumed : str
        What was assumed about the array, in one sentence; empty if its attributes and name say it.
    weights : str or None
        Shipped weights that fill the variable.
    whole : type of Variable or None
        The variable of which the parts are shares; encoding uses it where it is a predictor.
    sample_names : tuple of str
        Further column names of this variable in tables of in-situ samples, in lower case, besides `names`.

    Examples
    --------
    >>> from xgapfill.variables import recognise
    >>> found = recognise("CHL", {"units": "mg m-3"})
    >>> found.transform, found.channels
    ('log10', ('log10_chl',))
    """

    name: str
    channels: tuple[str, ...]
    priors: ClassVar[Mapping[str, Prior]]
    standard_name: str = ""
    long_name: str = ""
    usual_units: str = "1"
    standard_names: frozenset[str] = frozenset()
    names: re.Pattern[str] | None = None
    known_as: str = ""
    part_names: tuple[str, ...] = ()
    transform: str = ""
    logarithmic: bool = False
    levelled: bool = False
    usual_sd: float | None = None
    assumed: str = ""
    weights: str | None = None
    whole: type[Variable] | None = None
    sample_names: tuple[str, ...] = ()

    @classmethod
    def recognises(cls, name: str, attrs: Mapping[Any, Any]) -> bool:
        """Tell whether an array of this name and these attributes holds the variable, or a part of it."""
        said = attrs.get("standard_name")
        if isinstance(said, str) and said and (said == cls.standard_name or said in cls.standard_names):
            return True
        return name.lower() == cls.name.lower() or bool(cls.names and cls.names.fullmatch(name.lower()))

    @classmethod
    def of(cls, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the variable in the units of the attributes; ValueError where they cannot be its units."""
        return cls()

    @classmethod
    def part_of(cls, name: str, attrs: Mapping[Any, Any]) -> int | None:
        """Index of the part that an array of this name and these attributes holds; None if it holds none."""
        return 0 if cls.recognises(name, attrs) else None

    def in_units(self, attrs: Mapping[Any, Any], name: str = "") -> Variable:
        """Return the same variable in the units of other attributes; ValueError where they cannot be its units."""
        return type(self).of(attrs, name)

    def only(self, part: int | None) -> Variable:
        """Return the variable of a single part of a composition, in the same units; None: all parts."""
        return self

    @property
    def parts(self) -> int:
        """Number of parts."""
        return max(1, len(self.part_names))

    @property
    def alone(self) -> int | None:
        """Index of the part if only one part of a composition is given, else None."""
        return None

    @property
    def needs_whole(self) -> bool:
        """Whether decoding needs the whole of which the parts are shares."""
        return False

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        raise NotImplementedError

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value that a fill may have, in the units of the array; infinite without."""
        return -np.inf, np.inf

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of an array that has none."""
        said = {"standard_name": self.standard_name, "long_name": self.long_name, "units": self.usual_units}
        return {name: value for name, value in said.items() if value}

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of (p, ...) values: observed, and present but impossible."""
        raise NotImplementedError

    def encode(self, raw: NDArray, whole: NDArray | None = None) -> Encoded:
        """Turn (p, ...) physical values into channels, given the (...) `whole`; both are NaN where missing."""
        raise NotImplementedError

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Turn (c, n) channels of one realisation into (p, n) physical values."""
        raise NotImplementedError

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Turn (c, n) means and standard deviations into those of the (p, n) physical values."""
        raise NotImplementedError

    def error_units(self, attrs: Mapping[Any, Any], name: str = "") -> ErrorUnits:
        """Units of an error field of this variable; ValueError for units that an error cannot have."""
        raise NotImplementedError

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Turn standard deviations of (p, ...) values into (c, ...) variances of channels, NaN where unknown."""
        raise NotImplementedError

    def usual_error(self, raw: NDArray) -> NDArray:
        """Default standard error of (p, ...) in-situ values as measurements of a pixel."""
        raise NotImplementedError

    def check(self, raw: NDArray, attrs: Mapping[Any, Any]) -> None:
        """ValueError where a sample of (p, n) values contradicts the units, such as percent for fractions.

        Single impossible values are not checked here.
        """

    def score(self, values: NDArray) -> NDArray:
        """Values for scoring: log10 of a logarithmic variable (NaN where impossible), other values unchanged."""
        return np.log10(np.where(values > 0, values, np.nan)) if self.logarithmic else values

    def __reduce__(self) -> tuple[Any, ...]:
        """Register the variable when it is unpickled, so that workers know it."""
        return _revived, (type(self), *(getattr(self, each.name) for each in fields(self)))  # type: ignore[arg-type]


def _revived(kind: type[Variable], *values: Any) -> Variable:
    from xgapfill.variables.registry import known, register

    if kind not in known():
        register(kind)
    return kind(*values)


def invalid_message(name: str, variable: Variable, count: int | None) -> str:
    """Return the warning about impossible values."""
    number = "impossible values" if count is None else f"{count} impossible values"
    return f"{number} in the input of {name} count as missing (status invalid_input); expected: {variable.wanted}"


def relative_sd(error: NDArray, values: NDArray) -> NDArray[np.float32]:
    """Standard deviation of the natural logarithm of values with this error, log(1 + error / value).

    NaN where the error is missing or negative.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        relative = np.where(error >= 0, error, np.nan) / np.maximum(values, 0)
        return np.log1p(relative).astype(np.float32)


def outside(raw: NDArray, possible: Callable[[NDArray], NDArray]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return masks of values: observed and `possible`, and present but impossible (including infinite)."""
    with np.errstate(invalid="ignore", over="ignore"):
        present = np.asarray(np.isfinite(raw) & possible(raw))
    return present, np.asarray(~np.isnan(raw) & ~present)
