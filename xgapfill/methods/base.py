"""What every method promises: the base classes that a new method extends, and the batches it is called with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows

if TYPE_CHECKING:
    from xgapfill.weights import Weights

# Methods are always called with this many windows, padded with empty ones: torch's last bits depend on the batch.
BATCH = 4


class Method(ABC):
    """A way to fill windows. Subclasses are frozen, picklable dataclasses; their fields are the user's parameters.

    Only `name` and `fill` have to be defined. A field with ``metadata={"internal": True}`` is not shown to users.

    Attributes
    ----------
    name : str
        Short lower-case name: of the verb ``xgapfill.<name>``, of ``da.gapfill.<name>``, and in results.
    draws : bool
        Whether it gives members. A member may depend only on its own noise stream, so that any subset of the members
        can be computed.
    anchored : bool
        Whether all members depend on the noise of member 0 as well.
    takes_errors : bool
        Whether it uses `Windows.variance`, the error of observations.
    takes_weights : bool
        Whether ``weights=`` can be given to it.
    device : str or None
        Where it computes: "cpu", or a field that the user sets, see `xgapfill.nets.device.device_of`.
    needs, predictors, gives, costs, suits : str
        Row of the table of methods: what it needs beside the data, what it does with ``cond=``, what it returns,
        core-seconds per window of 5 x 64 x 64 pixels, measured by ``python tests/bench windows``, and when to take it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Zero(Method):
    ...     name = "zero"
    ...
    ...     def fill(self, windows, weights, noise, members):
    ...         return Filled(np.zeros_like(windows.values)[None], np.ones_like(windows.values))
    >>> Zero().draws, Zero().tiling(8640, (0, 46)).size
    (False, (5, 64, 64))
    """

    name: ClassVar[str]
    anchored: ClassVar[bool] = False
    takes_errors: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = False
    needs: ClassVar[str] = "nothing"
    predictors: ClassVar[str] = "see its documentation"
    gives: ClassVar[str] = "error"
    costs: ClassVar[str] = "unknown"
    suits: ClassVar[str] = ""
    device: str | None = "cpu"

    @property
    def draws(self) -> bool:
        """Whether it gives members."""
        return False

    def ensemble(self) -> Method:
        """Return the method that gives members; ValueError when there is none."""
        if self.draws:
            return self
        raise ValueError(
            f"{self.name} gives one answer and an error estimate; members= is for methods that draw: repaint, vae and "
            "kriging. Leave it out"
        )

    def check(self, channels: tuple[str, ...]) -> None:  # noqa: B027  (a default that subclasses may replace)
        """ValueError when it cannot fill these channels, targets first."""

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Name of the shipped weights for these channels, targets first; ValueError when it needs some and none ship.

        None when it needs none.
        """
        return None

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Where its windows lie, given the columns around the globe and the range of times of the data."""
        return Tiling(ncols)

    def passes(self, members: int) -> int:
        """Forward passes of a network per batch of windows; 0 for methods without one."""
        return 0

    def cheap(self) -> Method:
        """A variant whose passes cost as much as its own but are few, for estimates of time."""
        return self

    @abstractmethod
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Fill BATCH windows; a pure function of its arguments. `members` is 1 for a method that does not draw."""


class SeriesMethod(Method):
    """A method with a state that is fitted on whole series: without ``weights=``, on a sample of the data."""

    takes_weights: ClassVar[bool] = True
    needs: ClassVar[str] = "a fit on series"

    @abstractmethod
    def fit(self, series: Series) -> Weights:
        """State fitted on a sample; the same sample gives the same bits."""


class NetMethod(Method):
    """A method whose weights are a network, which `xgapfill.fit` can train further.

    Attributes
    ----------
    model : str
        Kind of network, the `method` on the card of its weights.
    """

    model: ClassVar[str]
    takes_weights: ClassVar[bool] = True
    needs: ClassVar[str] = "weights"
    predictors: ClassVar[str] = "those of the weights"


class InvalidFillError(ValueError):
    """A method returned what it must not."""


def checked(filled: Filled, method: Method, windows: Windows, members: int, used: int) -> Filled:
    """Return what a method made of a batch; InvalidFillError names the method where it broke its promise.

    Parameters
    ----------
    filled : Filled
    method : Method
    windows : Windows
    members : int
        How many were asked for.
    used : int
        So many windows of the batch count; the others only pad it.
    """
    expected = members, *windows.values.shape
    for what, array, shape in (("values", filled.values, expected), ("spread", filled.spread, expected[1:])):
        if np.shape(array) != shape:
            raise InvalidFillError(f"{method.name} returned {what} of shape {np.shape(array)}; {shape} was expected")
    values, spread = filled.values[:, :used], filled.spread[:used]
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise InvalidFillError(
            f"{method.name} returned {count} values of {values.size} that are not finite. A fill must be finite "
            "wherever a window has an observation; check the weights and the values of the input"
        )
    if not (np.isfinite(spread) & (spread >= 0)).all():
        raise InvalidFillError(f"{method.name} returned a spread that is negative or not finite")
    return filled


def batches(
    windows: Iterable[tuple[NDArray[np.int64], NDArray[np.bool_]]],
) -> Iterator[tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]]:
    """Gather windows in batches of BATCH, the last one of what is left."""
    starts: list[NDArray[np.int64]] = []
    seas: list[NDArray[np.bool_]] = []
    for start, sea in windows:
        starts.append(start)
        seas.append(sea)
        if len(starts) == BATCH:
            yield starts, seas
            starts, seas = [], []
    if starts:
        yield starts, seas
