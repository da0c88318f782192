"""The contract of methods: base classes that a new method extends, and the batches it is called with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows

if TYPE_CHECKING:
    from xgapfill.nets.objective import Objective
    from xgapfill.weights import Weights

# Methods are always called with this many space-time tiles (windows), padded with empty ones, because the last bits of
# torch depend on the size of the batch.
BATCH = 4


class Method(ABC):
    """A way to fill space-time tiles (windows). Subclasses are frozen, picklable dataclasses.

    Their fields are the user's parameters; a field with ``metadata={"internal": True}`` is not shown to users. Only
    `name` and `fill` have to be defined.

    Attributes
    ----------
    name : str
        Short lower-case name: of the verb ``xgapfill.<name>``, of ``da.gapfill.<name>``, and in results.
    draws : bool
        Whether it draws members itself. A member may depend only on its own noise stream, so that any subset of members
        is reproducible.
    refines : bool
        Whether it makes its members of residuals of other dates, `Windows.residuals`, which come in pairs of opposite
        sign.
    anchored : bool
        Whether all members depend on the noise of member 0 as well.
    takes_errors : bool
        Whether it uses `Windows.variance`, the error variance of observations.
    takes_weights : bool
        Whether it accepts ``weights=``.
    local : bool
        Whether it knows no more of a pixel than its window. What it says is then drawn toward the prior of all windows
        away from observations, so that a window cannot be told from its neighbour.
    takes_prior : bool
        Whether it fills what the prior of all windows leaves.
    device : str or None
        Where it computes: "cpu", or a field that the user sets, see `xgapfill.nets.device.device_of`.
    needs, predictors, gives, costs, suits : str
        Row of the table of methods: what it needs besides the data, how it uses ``cond=``, what it returns,
        core-seconds per window of 5 x 64 x 64 pixels, measured by ``python tests/bench windows``, and when to use it.

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
    local: ClassVar[bool] = True
    takes_prior: ClassVar[bool] = True
    needs: ClassVar[str] = "nothing"
    predictors: ClassVar[str] = "see its documentation"
    gives: ClassVar[str] = "error, or members"
    costs: ClassVar[str] = "unknown"
    suits: ClassVar[str] = ""
    device: str | None = "cpu"

    @property
    def draws(self) -> bool:
        """Whether it draws members itself."""
        return False

    @property
    def refines(self) -> bool:
        """Whether it makes its members of residuals of other dates."""
        return False

    def ensemble(self) -> Method:
        """Return the method that draws members itself; without one, members are made of its estimate and its spread."""
        return self

    def check(self, channels: tuple[str, ...]) -> None:  # noqa: B027  (a default that subclasses may replace)
        """Raise ValueError when the method cannot fill these channels, targets first."""

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself, in its windows.

        Of other predictors, without a shipped relation to the target, the part is taken from the target before.
        """
        return False

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Name of the shipped weights for these channels, targets first; None when the method needs no weights.

        Raises ValueError when weights are needed and none are shipped.
        """
        return None

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Tiling:
        """Layout of the windows, given the columns around the globe and the range of time steps of the data."""
        return Tiling(ncols)

    def passes(self, members: int) -> int:
        """Forward passes of a network per batch of windows; 0 for methods without one."""
        return 0

    def cheap(self) -> Method:
        """A variant with few forward passes of the same cost each, for estimates of time."""
        return self

    @abstractmethod
    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Fill BATCH windows; a pure function of its arguments. `members` is 1 for a method without members."""


class SeriesMethod(Method):
    """A method with a state fitted on whole series; without ``weights=`` it is fitted on a sample of the data.

    Examples
    --------
    >>> from xgapfill.methods import Climatology, Dineof
    >>> issubclass(Dineof, SeriesMethod), Dineof.local
    (True, False)
    """

    takes_weights: ClassVar[bool] = True
    local: ClassVar[bool] = False
    needs: ClassVar[str] = "a fit on series"

    def check_times(self, times: int) -> None:
        """ValueError when it cannot be fitted to a series of that many times."""

    @abstractmethod
    def fit(self, series: Series) -> Weights:
        """State fitted on a sample; the same sample gives the same bits."""


class NetMethod(Method):
    """A method whose weights are a network, which `xgapfill.fit` can train further.

    Attributes
    ----------
    model : str
        Kind of network, the `method` on the card of its weights.
    shipped : bool
        Whether the package has weights of it for some variables; `xgapfill.fit` starts from them.

    Examples
    --------
    >>> from xgapfill.methods import Repaint
    >>> Repaint().model, Repaint.shipped
    ('diffusion', True)
    """

    model: ClassVar[str]
    shipped: ClassVar[bool] = True
    takes_weights: ClassVar[bool] = True
    needs: ClassVar[str] = "weights"
    predictors: ClassVar[str] = "those of the weights"

    def uses(self, channel: str) -> bool:
        """Whether it uses a predictor itself: those of its weights, which it is trained with."""
        return True

    @abstractmethod
    def objective(self) -> Objective:
        """What its net is trained on."""

    def estimate(self, windows: Windows, weights: Weights | None, noise: Noise) -> Filled:
        """Mean about which members are drawn, with the spread of `fill`."""
        return self.fill(windows, weights, noise, 1)


class InvalidFillError(ValueError):
    """A method returned invalid values."""


def checked(filled: Filled, method: Method, windows: Windows, members: int, used: int) -> Filled:
    """Return the result of a method for a batch; InvalidFillError names the method if the result is invalid.

    Parameters
    ----------
    filled : Filled
    method : Method
    windows : Windows
    members : int
        Number of members requested.
    used : int
        Number of windows of the batch that count; the others are padding.
    """
    expected = members, *windows.values.shape
    for what, array, shape in (("values", filled.values, expected), ("spread", filled.spread, expected[1:])):
        if np.shape(array) != shape:
            raise InvalidFillError(f"expected {what} of shape {shape} from {method.name}, found {np.shape(array)}")
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
    """Gather windows in batches of BATCH; the last batch may be smaller."""
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
