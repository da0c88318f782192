"""What every family of variables has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


def invalid_message(name: str, family: Family, count: int | None) -> str:
    """What is said of impossible values."""
    number = "impossible values" if count is None else f"{count} impossible values"
    return f"{number} in the input of {name} count as missing (status invalid_input); wanted: {family.wanted}"


@dataclass(frozen=True)
class Encoded:
    """Physical values in the units of the methods, and what became of each of them.

    Attributes
    ----------
    values : (c, ...) float32
        Channels, 0 where missing.
    observed : (c, ...) bool
        Where a channel is known.
    observed : (p, ...) bool
        Parts that come back as they are.
    invalid : (p, ...) bool
        Impossible values, which count as missing.
    total : (...) float32 or None
        Chlorophyll in mg m-3 that the parts add up to, NaN where they do not say; None for fractions.
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
    chl, chl_spread : (n,) float32 or None
        Chlorophyll, mg m-3, and its standard deviation, 0 where it was observed.
    """

    parts: NDArray[np.float32]
    chl: NDArray[np.float32] | None = None
    chl_spread: NDArray[np.float32] | None = None


class Family(Protocol):
    """One physical quantity: frozen, picklable, arithmetic in float32.

    Attributes
    ----------
    channels : tuple of str
        Channels it is filled as.
    """

    channels: ClassVar[tuple[str, ...]]

    @property
    def parts(self) -> int:
        """Number of variables or classes."""

    @property
    def wanted(self) -> str:
        """What values are possible, for messages."""

    @property
    def needs_chl(self) -> bool:
        """Whether decoding needs chlorophyll."""

    def possible(self, raw: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return where (p, ...) values are observed, and where they are there but impossible."""

    def encode(self, raw: NDArray, chl: NDArray | None = None) -> Encoded:
        """Turn (p, ...) physical values, NaN where missing, into channels; `chl` : (...) mg m-3, NaN where missing."""

    def error_variance(self, raw: NDArray, error: NDArray) -> NDArray[np.float32]:
        """Turn standard deviations of (p, ...) values into (c, ...) variances of channels, NaN where unknown."""

    def usual_error(self, raw: NDArray) -> NDArray:
        """Standard deviation of the error of (p, ...) in-situ values as measures of a pixel, where nobody says it."""

    def decode_draw(self, values: NDArray, given: Given) -> NDArray:
        """Turn (c, n) channels of one draw into (p, n) physical values."""

    def decode_mean(self, mean: NDArray, spread: NDArray, given: Given) -> tuple[NDArray, NDArray]:
        """Turn (c, n) means and standard deviations into those of the (p, n) physical values."""


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
