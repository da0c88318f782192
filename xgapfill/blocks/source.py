"""Sources of values: arrays in memory, files and dask arrays, read by index and never as a whole."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

import dask.array as da
import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks, slices_from_chunks
from numpy.typing import NDArray
from xarray.backends.common import BackendArray
from xarray.core import indexing

from xgapfill.blocks.chunked import Chunked
from xgapfill.blocks.inputs import LAZY_WRAPPERS, Input, found_at, place_of, unwrapped
from xgapfill.blocks.leaves import inputs_of_graph
from xgapfill.blocks.runs import axes_of, read_runs, turned
from xgapfill.options import OPTIONS

PIECE_BYTES = 8 * 2**20  # size of a chunk of an array in memory: a block needs a few of them


class ReadError(OSError):
    """An input cannot be read; the message names the input and the position."""


class Source(Protocol):
    """One (time, latitude, longitude) variable in the order of its own array."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...] | None:
        """Chunks of a dask array, None of any other source."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Known files and stores that it reads."""

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices, (len(t), len(y), len(x))."""
        ...


Dims = tuple[Hashable | None, Hashable | None, Hashable | None]


def source_of(variable: xr.Variable, dims: Dims, at: Mapping[Hashable, int] | None = None) -> Source:
    """Return the source of a variable without loading it.

    Parameters
    ----------
    variable : xarray.Variable
        Numbers or booleans in memory, in a file (lazily indexed) or as dask array, dimensions in any order.
    dims : tuple of str
        Names of time, latitude and longitude; None where the variable lacks one, which then has length one.
    at : mapping of dimension to int, optional
        Index along each other dimension.

    Raises
    ------
    ValueError
        The variable has other dimensions, or lacks one.
    TypeError
        The values are not numbers, or the kind of array is unknown.
    """
    at = {} if at is None else at
    if sorted(map(str, variable.dims)) != sorted(str(dim) for dim in (*dims, *at) if dim is not None):
        raise ValueError(
            f"expected a variable with dimensions {dims}; found {variable.dims}. Select along the others with .isel"
        )
    if variable.dtype.kind not in "fiub":
        raise TypeError(f"values must be numbers, found dtype {variable.dtype}")
    if variable.chunks is not None:
        held = tuple((variable.dims.index(dim), int(index)) for dim, index in at.items())
        inputs, words = inputs_of_graph(variable.data)
        return Chunked(variable.data, axes_of(variable.dims, dims), held, inputs or (), _token(inputs, words))
    if not variable._in_memory:  # .data or .values would load it
        variable = in_file_order(in_file_order(variable).isel(at))
        return _on_file(variable, dims)
    variable = variable.isel(at)
    array = variable.data
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a numpy or dask array or a lazily opened file; found {type(array).__name__}")
    ordered = turned(array, axes_of(variable.dims, dims), {})
    return InMemory(ordered, _content_token(ordered))


def in_file_order(variable: xr.Variable) -> xr.Variable:
    """Return a lazily opened variable without its transpositions; other variables are returned unchanged.

    xarray reads a transposed lazy variable point by point, which is slow, and after a selection it holds the index of
    every point of the whole variable. Call this before `isel`.
    """
    found = _untransposed(variable._data, variable.sizes)
    if found is None:
        return variable
    lazy, dims = found
    return xr.Variable(dims, lazy, variable.attrs, variable.encoding, fastpath=True)


def _untransposed(data: Any, sizes: Mapping[Hashable, int]) -> tuple[Any, list[Hashable]] | None:
    """Return lazy values without their transposition, and their dimensions then; None if they had none."""
    if type(data).__name__ == "_ElementwiseFunctionArray":  # decodes the values of another array
        found = _untransposed(data.array, sizes)
        return None if found is None else (type(data)(found[0], data.func, data.dtype), found[1])
    if type(data).__name__ != "LazilyVectorizedIndexedArray":
        return None
    single = [dim for dim, size in sizes.items() if size == 1]  # interchangeable
    dims: list[Hashable] = []
    keys: list[Any] = []
    for index in data.key.tuple:
        along = [dim for dim, size in zip(sizes, index.shape, strict=True) if size > 1]
        if len(along) > 1:
            return None  # a true pointwise selection
        if not along and single:
            along = [single.pop()]
        dims += along
        keys.append(_as_slice(index.ravel()) if along else int(index.ravel()[0]))
    if single:
        return None
    key = indexing.OuterIndexer if any(isinstance(part, np.ndarray) for part in keys) else indexing.BasicIndexer
    return indexing.LazilyIndexedArray(data.array, key(tuple(keys))), dims


def _as_slice(index: NDArray[np.intp]) -> Any:
    """Return an index with equal steps as a slice, any other unchanged."""
    steps = np.unique(np.diff(index))
    if steps.size > 1:
        return index
    step = int(steps[0]) if steps.size else 1
    stop = int(index[-1]) + step
    return slice(int(index[0]), stop if stop >= 0 else None, step)


@dataclass(frozen=True, eq=False)
class InMemory:
    """A numpy array (time, latitude, longitude)."""

    array: NDArray[Any]
    token: str

    chunks = None
    inputs = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.array.dtype

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices."""
        return read_runs(self.array.__getitem__, (t, y, x), self.dtype)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.InMemory", self.token


@dataclass(frozen=True, eq=False)
class OnFile:
    """A variable of an opened file, sliced when it is read.

    The variable keeps the dimension order of the file: a lazy transposition would turn every read into a pointwise
    one. Reading from several threads is safe, since xarray uses locks where they are needed.
    """

    variable: xr.Variable
    dims: Dims
    token: str
    inputs: tuple[Input, ...]

    chunks = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        t, y, x = (1 if dim is None else self.variable.sizes[dim] for dim in self.dims)
        return t, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.variable.dtype

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices, read as a few rectangular pieces."""
        return read_runs(self._piece, (t, y, x), self.dtype)

    def _piece(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        where = {dim: part for dim, part in zip(self.dims, key, strict=True) if dim is not None}
        part = self.variable.isel(where)
        try:
            values = part.values
        except (OSError, RuntimeError, ValueError) as error:  # raised by libraries for a damaged file
            path = self.inputs[0].place.path if self.inputs else self.variable.encoding.get("source", "a variable")
            place = ", ".join(f"{dim} {each.start}:{each.stop}" for dim, each in where.items())
            raise ReadError(f"{path} cannot be read at {place} ({type(error).__name__}: {error})") from error
        return turned(values, axes_of(part.dims, self.dims), {})

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.OnFile", self.token, self.dims


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows and columns of another source, read on demand."""

    source: Source
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]

    chunks = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of times, latitudes and longitudes."""
        return self.source.shape[0], self.rows.size, self.cols.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.source.dtype

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Known files and stores of the source."""
        return self.source.inputs

    def read(self, t: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the outer product of indices."""
        return self.source.read(t, self.rows[y], self.cols[x])

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return "xgapfill.Part", self.source, self.rows, self.cols


def part_of(source: Source, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Source:
    """Return some rows and columns of a source; chunks are sliced before any other task."""
    if isinstance(source, InMemory):
        source = in_pieces(source)
    if isinstance(source, Chunked):
        array = source.array
        for axis, index in zip(source.axes[1:], (rows, cols), strict=True):
            if axis is not None:
                array = array[(slice(None),) * axis + (index,)]
        return replace(source, array=array)
    return Part(source, rows, cols)


def in_pieces(source: InMemory) -> Chunked:
    """Return an array in memory as a dask array; each chunk is a node of the graph, a view sent at most once."""
    array = source.array
    chunks = normalize_chunks("auto", array.shape, limit=PIECE_BYTES, dtype=array.dtype)
    name = f"values-{source.token}"
    keys = product([name], *(range(len(sizes)) for sizes in chunks))
    pieces = {key: array[part] for key, part in zip(keys, slices_from_chunks(chunks), strict=True)}
    return Chunked(da.Array(pieces, name, chunks, meta=array[:0, :0, :0]), token=source.token)  # from_array() copies


def _content_token(array: NDArray[Any]) -> str:
    if array.nbytes > OPTIONS["hashed_bytes"]:
        return uuid.uuid4().hex
    content = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
    return f"{content}-{array.shape}-{array.dtype.str}"


def _on_file(variable: xr.Variable, dims: Dims) -> OnFile:
    """Return the source of a lazily opened variable; its token depends on its location and selection.

    Hashing the values would load them.
    """
    words: list[object] = [variable.dims, variable.shape, variable.dtype.str]
    words += [sorted((key, repr(value)) for key, value in variable.encoding.items())]
    data = variable._data
    while type(data).__name__ in LAZY_WRAPPERS and hasattr(data, "array"):
        key = getattr(getattr(data, "key", None), "tuple", ())
        words += [type(data).__name__, *(_plain_key(part) for part in key)]
        data = data.array
    inputs: tuple[Input, ...] | None = None
    if isinstance(data, BackendArray):
        place, word = place_of(*unwrapped(variable._data), variable.encoding.get("source"))
        found = found_at(place)
        inputs = None if found is None else (found,)
        words.append(word)
    return OnFile(variable, dims, _token(inputs, words), inputs or ())


def _token(inputs: tuple[Input, ...] | None, words: object) -> str:
    """Token of external inputs; random if their changes cannot be detected."""
    if inputs is None:
        return uuid.uuid4().hex
    prints = sorted((repr(each.place), each.fingerprint) for each in inputs)
    return hashlib.blake2b(repr([words, prints]).encode(), digest_size=16).hexdigest()


def _plain_key(part: object) -> object:
    if isinstance(part, np.ndarray):
        return part.shape, hashlib.blake2b(np.ascontiguousarray(part).tobytes(), digest_size=16).hexdigest()
    return repr(part)
