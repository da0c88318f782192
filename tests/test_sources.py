"""Sources: the same values from memory, files and dask, by index, and nothing read before it is asked for."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.base import tokenize
from zarr.storage import LocalStore

import xgapfill
from xgapfill.blocks import leaves
from xgapfill.blocks.chunked import Chunked, Pieces
from xgapfill.blocks.source import InMemory, OnFile, in_file_order, source_of

DIMS = ("time", "lat", "lon")
INDICES = {
    "all": (range(5), range(40), range(50)),
    "one": ([2], [39], [0]),
    "backward": ([4, 3, 2], range(39, -1, -1), range(10, 20)),
    "around": ([1, 2], range(5, 15), [*range(40, 50), *range(7)]),
    "with holes": ([0, 1, 4], [3, 4, 9, 10, 11, 30], [49, 48, 47, 3, 2]),
    "more than around": ([0], [0], [*range(45, 50), *range(50), *range(5)]),
    "in disorder": ([3, 0, 4, 1], range(0, 40, 3), [5, 6, 5, 4, 20, 21]),
    "nothing": ([], [1, 2], [3]),
}


class CountingStore(LocalStore):
    """A folder that counts the chunks read from it."""

    reads = 0

    async def get(self, key, *args, **kwargs):
        """Return the bytes of a key, and count it if it is a chunk."""
        CountingStore.reads += "/c/" in key
        return await super().get(key, *args, **kwargs)


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(3, 5, 40, 50)).astype("f4")
    values[np.abs(values) > 1.5] = np.nan
    return xr.Dataset({"psc": (("psc", *DIMS), values)})


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    data.to_zarr(folder / "a.zarr", encoding={"psc": {"chunks": (1, 2, 15, 20)}}, consolidated=False)
    data.to_netcdf(folder / "a.nc")
    packed = {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 0.5, "_FillValue": -32768, "zlib": True}
    data.to_netcdf(folder / "packed.nc", encoding={"psc": packed})
    data.to_netcdf(folder / "classic.nc", format="NETCDF3_64BIT")
    return folder


def opened(folder: Path, kind: str) -> xr.Variable:
    if kind == "zarr":
        return xr.open_zarr(folder / "a.zarr", chunks=None, consolidated=False).psc.variable
    if kind == "dask":
        return xr.open_zarr(folder / "a.zarr", chunks={}, consolidated=False).psc.variable
    if kind == "numpy":
        return xr.open_dataset(folder / "a.nc").load().psc.variable
    return xr.open_dataset(folder / f"{kind}.nc").psc.variable


@pytest.mark.parametrize("which", INDICES)
@pytest.mark.parametrize("kind", ["numpy", "zarr", "a", "packed", "classic", "dask"])
def test_every_kind_reads_the_outer_product_of_indices(data, folder, kind, which):
    """Memory, zarr, netCDF (plain, packed, classic) and dask give the same values, bit for bit."""
    variable = opened(folder, kind).isel(psc=1)
    source = source_of(variable, DIMS)
    assert isinstance(source, {"numpy": InMemory, "dask": Chunked}.get(kind, OnFile))
    assert source.shape == (5, 40, 50)
    assert (source.chunks is not None) == (kind == "dask")
    indices = [np.array(index, np.intp) for index in INDICES[which]]
    values = source.read(*indices)
    assert values.dtype == source.dtype
    np.testing.assert_array_equal(values, variable.values[np.ix_(*indices)])


@pytest.mark.parametrize("kind", ["numpy", "zarr", "a", "packed", "dask"])
@pytest.mark.parametrize("order", [("lon", "lat", "time"), ("lat", "time", "lon")])
def test_dimensions_may_come_in_any_order(data, folder, kind, order):
    """A transposed variable reads the same values in (time, lat, lon)."""
    variable = in_file_order(opened(folder, kind).transpose("psc", *order)).isel(psc=2)
    source = source_of(variable, DIMS)
    indices = [np.array(index, np.intp) for index in INDICES["around"]]
    np.testing.assert_array_equal(source.read(*indices), opened(folder, kind).values[2][np.ix_(*indices)])


@pytest.mark.parametrize("kind", ["zarr", "a", "packed"])
def test_lazy_transpositions_are_undone(folder, kind):
    """Selections and orders of a lazy variable stay slices of its file; points stay points."""
    variable = opened(folder, kind).isel(lat=slice(None, None, -1), time=[0, 3, 4], lon=slice(3, 4))
    order = ("lat", "psc", "lon", "time")
    plain = in_file_order(variable.transpose(*order))
    assert plain.dims == variable.dims
    assert len(pickle.dumps(plain.isel(psc=0))) < 4000
    assert not plain._in_memory
    np.testing.assert_array_equal(plain.transpose(*order).values, variable.transpose(*order).values)
    points = variable[0, xr.Variable("p", [0, 1]), xr.Variable("p", [5, 6])]
    assert in_file_order(points) is points
    loaded = variable.load()
    assert in_file_order(loaded) is loaded


@pytest.mark.parametrize("kind", ["numpy", "zarr", "dask"])
def test_missing_dimensions_have_length_one(data, folder, kind):
    """A map without time is one frame, a transect is one column."""
    frame = source_of(opened(folder, kind).isel(psc=0, time=3), (None, "lat", "lon"))
    assert frame.shape == (1, 40, 50)
    at = np.arange(3)
    np.testing.assert_array_equal(frame.read(at[:1], at, at)[0], data.psc.values[0, 3, :3, :3])
    transect = source_of(opened(folder, kind).isel(psc=0, lon=7), ("time", "lat", None))
    np.testing.assert_array_equal(transect.read(at, at, at[:1])[:, :, 0], data.psc.values[0, :3, :3, 7])


def test_unsuitable_variables_are_refused(data):
    """Further dimensions, text and unknown arrays raise an error that names them."""
    with pytest.raises(ValueError, match=r"found \('psc', 'time', 'lat', 'lon'\)\. Select along the others"):
        source_of(data.psc.variable, DIMS)
    with pytest.raises(TypeError, match="found dtype <U1"):
        source_of(xr.Variable(DIMS, np.full((1, 1, 1), "a")), DIMS)


@pytest.mark.parametrize("kind", ["numpy", "zarr", "a", "packed", "classic", "dask"])
def test_tokens_name_the_content(folder, kind):
    """The same variable has the same token each time it is opened; another class, order or value has another."""
    first = source_of(opened(folder, kind).isel(psc=0), DIMS)
    again = source_of(opened(folder, kind).isel(psc=0), DIMS)
    others = [
        source_of(opened(folder, kind).isel(psc=1), DIMS),
        source_of(opened(folder, kind).isel(psc=0, lat=slice(None, None, -1)), DIMS),
        source_of(opened(folder, kind).isel(psc=0, time=[0, 1, 2, 4, 3]), DIMS),
    ]
    tokens = {tokenize(source) for source in [first, again, *others]}
    assert len(tokens) == 4
    if kind != "dask":
        assert tokenize(pickle.loads(pickle.dumps(first))) == tokenize(first) == tokenize(again)


def test_a_file_written_anew_has_another_token(data, tmp_path):
    """The time of the last change is part of the token."""
    path = tmp_path / "a.nc"
    data.to_netcdf(path)
    tokens = []
    for changed in (1_000_000_000, 2_000_000_000):
        os.utime(path, (changed, changed))
        with xr.open_dataset(path) as opened_again:
            tokens.append(source_of(opened_again.psc.variable.isel(psc=0), DIMS).token)
    assert tokens[0] != tokens[1]


def test_large_arrays_and_stores_in_memory_have_names_of_their_own(data):
    """What cannot be named by content or path is not hashed and not mistaken for another."""
    variable = data.psc.variable.isel(psc=0)
    with xgapfill.set_options(hashed_bytes=100):
        first, second = source_of(variable, DIMS), source_of(variable, DIMS)
    assert first.token != second.token
    assert tokenize(first) == tokenize(first)
    store: dict = {}
    data.to_zarr(store, consolidated=False)
    lazy = xr.open_zarr(store, chunks=None, consolidated=False).psc.variable.isel(psc=0)
    assert source_of(lazy, DIMS).token != source_of(lazy, DIMS).token


@pytest.mark.parametrize("order", [("psc", *DIMS), ("lon", "psc", "time", "lat")])
def test_only_the_pieces_that_are_read_are_loaded(folder, order):
    """Making a source, its token and its pickle read no chunk; a read takes the chunks it touches and keeps none."""
    store = CountingStore(folder / "a.zarr", read_only=True)
    opened = xr.open_zarr(store, chunks=None, consolidated=False)
    CountingStore.reads = 0
    source = source_of(in_file_order(opened.psc.transpose(*order).variable).isel(psc=1), DIMS)
    tokenize(source)
    assert len(pickle.dumps(source)) < 4000
    assert CountingStore.reads == 0
    for _ in range(2):
        CountingStore.reads = 0
        source.read(np.arange(2), np.arange(15, 30), np.r_[40:50, 0:5])
        assert CountingStore.reads == 2
    assert not opened.psc.variable._in_memory


@pytest.mark.parametrize("kind", ["zarr", "a", "classic"])
def test_files_are_read_from_several_threads(folder, kind):
    """Eight threads reading one file get the right values."""
    variable = opened(folder, kind).isel(psc=1)
    source, values = source_of(variable, DIMS), opened(folder, kind).values[1]

    def read(n: int) -> bool:
        indices = np.arange(n % 5, 5), np.arange(n % 30, n % 30 + 10), np.arange(n % 17, 50)
        return np.array_equal(source.read(*indices), values[np.ix_(*indices)], equal_nan=True)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(64)))


def test_pieces_read_like_the_whole_array(data):
    """Chunks at hand give the values of the whole array at its own indices."""
    values = data.psc.values[0]
    array = da.from_array(values, chunks=((2, 3), (15, 20, 5), (20, 20, 10)))
    edges = tuple(np.cumsum([0, *sizes]) for sizes in array.chunks)
    at_hand = {(i, j, k): array.blocks[i, j, k].compute() for i in (0, 1) for j in (0, 1) for k in (0, 2)}
    source = Pieces(edges, at_hand, array.dtype, array.name)
    assert source.shape == array.shape
    indices = np.array([3, 0, 1]), np.arange(34, 10, -1), np.r_[44:50, 0:20]
    np.testing.assert_array_equal(source.read(*indices), values[np.ix_(*indices)])
    with pytest.raises(KeyError):
        source.read(np.array([0]), np.array([0]), np.array([30]))


def test_a_graph_of_many_tasks_is_looked_through_once(tmp_path, monkeypatch):
    """What tasks share is looked at once; a file that only one of them reads is found, and its changes are noticed."""
    path = tmp_path / "frame.npy"
    np.save(path, np.zeros(8))

    def read(number, shared, paths):
        return np.full((1, 4, 2), float(number)) if paths is None else np.load(paths["at"]).reshape(1, 4, 2)

    shared = {"options": [np.zeros(3), "words", (1, 2, {"deep": np.random.default_rng(0)})]}
    tasks = {("maps", n, 0, 0): (read, n, shared, {"at": path} if n == 700 else None) for n in range(1000)}
    array = da.Array(tasks, "maps", ((1,) * 1000, (4,), (2,)), "f8")
    tested = []
    reads = leaves._reads
    monkeypatch.setattr(leaves, "_reads", lambda part: tested.append(1) or reads(part))
    inputs, _ = leaves.inputs_of_graph(array)
    assert [each.place.path for each in inputs] == [str(path)]
    assert len(tested) < 20
    before = source_of(xr.Variable(DIMS, array), DIMS).token
    np.save(path, np.zeros((8, 2)))
    assert inputs[0].changed()
    assert source_of(xr.Variable(DIMS, array), DIMS).token != before
