"""Statistics over members: reading ``reduce=``, and gathering statistics member by member."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

MOMENTS = ("mean", "std")
WANTED = "'mean', 'std', {'quantile': [0.05, 0.95]}, a function of a member, (function, statistic), or a list of these"


@dataclass(frozen=True)
class Statistic:
    """One statistic over members, equal to the xarray method of that name over ``realization``.

    Attributes
    ----------
    kind : {"mean", "std", "quantile"}
    function : callable or None
        Applied to each member first.
    quantiles : tuple of float
    scalar : bool
        Whether there is one quantile, without a dimension.
    """

    kind: str
    function: Callable[[xr.DataArray], xr.DataArray] | None = None
    quantiles: tuple[float, ...] = ()
    scalar: bool = False

    @property
    def layers(self) -> int:
        """Number of values per pixel."""
        return max(1, len(self.quantiles))

    def __str__(self) -> str:
        words = self.kind if not self.quantiles else f"{self.kind} {' '.join(map(str, self.quantiles))}"
        return words if self.function is None else f"{words} of {name_of(self.function)}"


def read(reduce: Any) -> tuple[Statistic, ...]:
    """Read ``reduce=``.

    Raises
    ------
    TypeError, ValueError
        Invalid statistics, or a function that cannot be sent to another process.
    """
    found: list[Statistic] = []
    for each in reduce if isinstance(reduce, list) else [reduce]:
        if isinstance(each, tuple):
            if len(each) != 2 or not callable(each[0]):
                raise TypeError(f"expected (function, statistic) as a tuple in reduce=, found {each!r}")
            function, kinds = each
        else:
            function, kinds = (each, list(MOMENTS)) if callable(each) else (None, each)
        if function is not None:
            _check_travels(function)
        found += [_statistic(kind, function) for kind in (kinds if isinstance(kinds, list) else [kinds])]
    if not found:
        raise ValueError(f"reduce= has no statistic; expected {WANTED}")
    return tuple(found)


def _statistic(kind: Any, function: Any) -> Statistic:
    if isinstance(kind, str) and kind in MOMENTS:
        return Statistic(kind, function)
    if isinstance(kind, Mapping) and list(kind) == ["quantile"]:
        wanted = np.asarray(kind["quantile"], float)
        if wanted.ndim > 1 or wanted.size == 0 or not ((wanted >= 0) & (wanted <= 1)).all():
            raise ValueError(f"quantiles must be numbers from 0 to 1, found {kind['quantile']!r}")
        return Statistic("quantile", function, tuple(map(float, wanted.ravel())), wanted.ndim == 0)
    raise ValueError(f"reduce= must be {WANTED}; found {kind!r}")


def _check_travels(function: Any) -> None:
    import cloudpickle

    try:
        cloudpickle.dumps(function)
    except Exception as error:
        raise TypeError(
            f"{name_of(function)} of reduce= cannot be sent to workers ({error}): use a function without open files, "
            "locks or generators, and open files inside it"
        ) from error


def name_of(function: Any) -> str:
    """Name of a function for variables and messages."""
    name = str(getattr(function, "__name__", getattr(getattr(function, "func", None), "__name__", "function")))
    return name if name.isidentifier() else "function"


class Gathered:
    """Statistics of arrays of one shape that are added one by one; missing values are left out.

    Mean and standard deviation are updated array by array (Welford 1962, doi:10.1080/00401706.1962.10490022); for
    quantiles all arrays are kept. The result of an element does not depend on the shape of the arrays.
    """

    def __init__(self, kinds: set[str]) -> None:
        self.kinds = kinds
        self.count: Any = 0
        self.mean: Any = None
        self.squares: Any = None
        self.kept: list[NDArray[Any]] = []

    def add(self, values: NDArray[Any]) -> None:
        """Add an array."""
        if "quantile" in self.kinds:
            self.kept.append(values)
        if not self.kinds & set(MOMENTS):
            return
        if self.mean is None:
            self.mean, self.squares = np.zeros(values.shape), np.zeros(values.shape)
        observed = ~np.isnan(values)
        self.count = self.count + observed
        apart = np.where(observed, values - self.mean, 0)
        self.mean += apart / np.maximum(self.count, 1)
        self.squares += apart * np.where(observed, values - self.mean, 0)

    def get(self, statistic: Statistic) -> NDArray[Any]:
        """Return (layers, ...), NaN where all values are missing."""
        if statistic.kind == "quantile":
            return _quantiles(np.stack(self.kept), statistic.quantiles)
        number = np.maximum(self.count, 1)
        values = self.mean if statistic.kind == "mean" else np.sqrt(self.squares / number)
        return np.where(self.count > 0, values, np.nan)[None]


def _quantiles(members: NDArray[Any], quantiles: tuple[float, ...]) -> NDArray[Any]:
    """Quantiles along the first axis, linear between the members that are not missing."""
    members.sort(axis=0)  # missing members are last
    last = np.maximum(np.count_nonzero(~np.isnan(members), axis=0) - 1, 0)
    found = np.empty((len(quantiles), *members.shape[1:]), members.dtype)
    for number, quantile in enumerate(quantiles):
        place = quantile * last
        below = np.floor(place).astype(np.intp)
        low, high = (np.take_along_axis(members, at[None], 0)[0] for at in (below, np.minimum(below + 1, last)))
        found[number] = low + (high - low) * (place - below)
    return found


@dataclass(frozen=True)
class View:
    """Presents a part of a member to a function: a DataArray like the input, with ascending coordinates.

    Attributes
    ----------
    name, attrs
        Name and attributes of the input.
    dims : tuple
        Dimensions in the order of the input.
    places : tuple
        Dimensions of classes, time (None if the input has none), latitude, longitude.
    coords : mapping
        Coordinates that do not depend on latitude and longitude.
    """

    name: Hashable
    dims: tuple[Hashable, ...]
    places: tuple[Hashable | None, Hashable | None, Hashable, Hashable]
    coords: Mapping[Hashable, xr.Variable]
    attrs: Mapping[Hashable, Any] = field(default_factory=dict)

    def of(self, values: NDArray[Any], lat: NDArray[Any], lon: NDArray[Any]) -> xr.DataArray:
        """Return (class, time, y, x) values as a DataArray."""
        dims = [dim for dim in self.places if dim is not None]
        values = values[tuple(0 if dim is None else slice(None) for dim in self.places)]
        coords = {**self.coords, self.places[2]: (self.places[2], lat), self.places[3]: (self.places[3], lon)}
        return xr.DataArray(values, coords, dims, self.name, dict(self.attrs)).transpose(*self.dims)

    def example(self, shape: tuple[int, ...]) -> xr.DataArray:
        """Two by two pixels of a synthetic member, the last of them land."""
        values = np.random.default_rng(0).uniform(0.1, 0.9, (*shape, 2, 2)).astype(np.float32)
        values[..., 1, 1] = np.nan
        return self.of(values, np.array([10.0, 10.5]), np.array([20.0, 20.5]))


@dataclass(frozen=True)
class OfMember:
    """A function of members.

    Attributes
    ----------
    function : callable
    view : View
        Its argument.
    example : DataArray
        Its result for two by two pixels.
    """

    function: Callable[[xr.DataArray], xr.DataArray]
    view: View
    example: xr.DataArray

    @classmethod
    def of(cls, function: Any, view: View, shape: tuple[int, int]) -> OfMember:
        """Test a function on a synthetic member of `shape` classes and times.

        Raises
        ------
        TypeError, ValueError
            The function fails, returns something else, or mixes pixels.
        """
        name, shown = name_of(function), view.example(shape)
        lat, lon = view.places[2:]
        try:
            answer, alone = function(shown), function(shown.isel({lat: [0], lon: [0]}))
        except Exception as error:
            raise ValueError(
                f"{name} of reduce= fails on a synthetic member {dict(shown.sizes)} with one pixel of land (missing at "
                f"all times): {type(error).__name__}: {error}"
            ) from error
        if not isinstance(answer, xr.DataArray) or answer.dtype.kind not in "fiub":
            found = f"{answer.dtype} values" if isinstance(answer, xr.DataArray) else type(answer).__name__
            raise TypeError(
                f"{name} of reduce= must return a DataArray of numbers, found {found}; convert dates to numbers with "
                ".dt.dayofyear"
            )
        if not {lat, lon} <= set(answer.dims) or (answer.sizes[lat], answer.sizes[lon]) != (2, 2):
            raise ValueError(
                f"{name} of reduce= must keep {lat!r} and {lon!r}, found {dict(answer.sizes)}: it gets some pixels at "
                "a time. Compute statistics of whole maps from the members"
            )
        first = answer.isel({lat: [0], lon: [0]})
        if alone.dims != answer.dims or not np.allclose(alone, first, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(
                f"{name} of reduce= must treat each pixel independently: its result depends on other pixels"
            )
        return cls(function, view, answer)

    @property
    def extra(self) -> dict[Hashable, int]:
        """Dimensions of the result besides latitude and longitude, with their lengths."""
        return {dim: size for dim, size in self.example.sizes.items() if dim not in self.view.places[2:]}

    def __call__(self, values: NDArray[Any], lat: NDArray[Any], lon: NDArray[Any]) -> NDArray[np.float64]:
        """Return the result of the function for (class, time, y, x) values as (k, y, x)."""
        answer = self.function(self.view.of(values, lat, lon)).transpose(*self.extra, *self.view.places[2:])
        if answer.shape != (*self.extra.values(), *values.shape[2:]):
            raise ValueError(f"expected {self.extra} from {name_of(self.function)}, found {dict(answer.sizes)}")
        return np.asarray(answer.values, float).reshape(-1, *values.shape[2:])
