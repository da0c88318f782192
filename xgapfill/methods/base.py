"""What every method promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows

if TYPE_CHECKING:
    from xgapfill.weights import Weights

# Methods are always called with this many windows, padded with empty ones: torch's last bits depend on the batch.
BATCH = 4


class Method(Protocol):
    """A way to fill windows; implementations are frozen, picklable dataclasses.

    More is optional. ``tiling(ncols, slots) -> Tiling`` says where its windows lie, given the columns
    around the globe and the range of slots of the data; without it they are those of `Tiling`. ``fit(series) ->
    Weights`` makes it a method of whole series: called without weights, it is fitted on a sample of the data first.
    An attribute ``takes_errors`` that is true says that it makes use of `Windows.variance`.
    A member rests on the noise of its own number alone, for some members may be drawn without the others; an attribute
    ``anchored`` that is true says that it rests on the noise of member 0 as well.
    ``drawing() -> Method`` returns one that draws, for several members of one that does not.
    A name of a kind of net, ``model``, makes it one whose net `xgapfill.fit` can train.
    """

    @property
    def name(self) -> str:
        """Short lower-case name, for the history of results."""
        ...

    @property
    def draws(self) -> bool:
        """Whether it gives members."""
        ...

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Shipped weights for these channels (targets first), None if it needs none; ValueError if there are none."""
        ...

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Fill BATCH windows; a pure function of its arguments."""
        ...


@runtime_checkable
class SeriesMethod(Method, Protocol):
    """A method with a state that is fitted on whole series."""

    def fit(self, series: Series) -> Weights:
        """State fitted on a sample; the same sample gives the same bits."""
        ...


@runtime_checkable
class NetMethod(Method, Protocol):
    """A method whose weights are a net that can be trained further."""

    @property
    def model(self) -> str:
        """Kind of net, the `method` on the card of its weights."""
        ...


def tiling_of(method: Method, ncols: int, slots: tuple[int, int]) -> Tiling:
    """Windows of a method."""
    own = getattr(method, "tiling", None)
    return Tiling(ncols) if own is None else own(ncols, slots)


def takes_weights(method: Method, channels: tuple[str, ...]) -> bool:
    """Whether weights can be given to it: it is fitted, or rests on weights, whether some ship for these or not."""
    try:
        return isinstance(method, SeriesMethod) or method.default_weights(channels) is not None
    except ValueError:
        return True


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


def passes(method: Method, members: int) -> int:
    """Passes of a network over a batch of windows, as the method says; 0 for one that says nothing."""
    own = getattr(method, "passes", None)
    return 0 if own is None else int(own(members))
