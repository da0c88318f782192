"""The lazy map: the same bits for every chunking, orientation, origin and kind of source; one task per block."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass
from itertools import product

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask._task_spec import Alias
from dask.base import tokenize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import blocks, chunkings
from zarr.storage import LocalStore

from xgapfill.blocks import layer as layers
from xgapfill.blocks.chunked import cut_out
from xgapfill.blocks.graph import compute_block, map_lattice
from xgapfill.blocks.source import source_of
from xgapfill.inputs.dates import grid_at
from xgapfill.lattice.grid import Box, Grid
from xgapfill.options import OPTIONS

DIMS = ("time", "lat", "lon")
REACH = (2, 5, 7)
CHUNKINGS = {
    "one": {"time": -1, "lat": -1, "lon": -1},
    "frames": {"time": 1, "lat": -1, "lon": -1},
    "series": {"time": -1, "lat": 5, "lon": 6},
    "ragged": {"time": (1, 3, 4, 1, 2), "lat": (11, 2, 23), "lon": (30, 3, 17, 22)},
    "small": {"time": 2, "lat": 9, "lon": 8},
}
calls: list[tuple[Box, Box]] = []


@dataclass(frozen=True)
class Stencil:
    """Neighbours at the edge of the halo, weighted by address, in float32: a pixel depends on its address alone."""

    ncols: int
    layers: int = 2

    def __call__(self, arrays, box, core):
        """Return the stencil on the core."""
        calls.append((box, core))
        assert box == core.grown(REACH)
        assert all(array.shape == box.shape for array in arrays)
        slots, rows, cols = (np.arange(*places) for places in (box.slots, box.rows, box.cols))
        phase = (slots % 5)[:, None, None] + (rows % 11)[:, None] + cols % self.ncols % 13
        out = np.zeros((self.layers, *core.shape), np.float32)
        for n, array in enumerate(arrays):
            field = np.where(np.isnan(array), phase - 3, array * phase).astype(np.float32)
            for t, y, x in np.ndindex(3, 3, 3):
                at = (t, y, x) * np.array(REACH)
                part = field[tuple(slice(a, a + size) for a, size in zip(at, core.shape, strict=True))]
                for layer in range(self.layers):
                    out[layer] += part * np.float32(1 + 0.1 * t + 0.01 * y + 0.3 * x + n + layer)
        return out

    def __dask_tokenize__(self):
        return "Stencil", self.ncols, self.layers


class CountingStore(LocalStore):
    """A folder that counts the chunks read from it."""

    reads = 0

    async def get(self, key, *args, **kwargs):
        """Return the bytes of a key, and count it if it is a chunk."""
        CountingStore.reads += "/c/" in key
        return await super().get(key, *args, **kwargs)


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    """The whole globe at 5 degrees, eleven frames of which some days are absent; a map without time."""
    rng = np.random.default_rng(0)
    days = np.array("2000-01-01", "M8[ns]") + np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 11, 12]) * np.timedelta64(1, "D")
    values = rng.normal(size=(11, 36, 72)).astype("f4")
    values[rng.random(values.shape) < 0.5] = np.nan
    more = rng.normal(size=values.shape)
    return xr.Dataset(
        {"psc": (DIMS, values), "chl": (DIMS, more), "sea": (DIMS[1:], values[0] > 0)},
        {"time": days, "lat": -87.5 + 5 * np.arange(36), "lon": -177.5 + 5 * np.arange(72)},
    )


def stencil(data: xr.Dataset, block=(6, 384, 384), **options) -> da.Array:
    sources, grids = [], []
    for name in ("psc", "chl", "sea"):
        array = data[name]
        dims = DIMS if "time" in array.dims else (None, *DIMS[1:])
        sources.append(source_of(array.variable, dims))
        grids.append(grid_at(*(None if dim is None else array[dim].values for dim in (dims[0], *DIMS[1:]))))
    kernel = Stencil(grids[0].ncols)
    return map_lattice(kernel, sources, grids, layers=2, reach=REACH, block=block, dtype="f4", **options)


@pytest.fixture(scope="module")
def expected(data) -> np.ndarray:
    return stencil(data).compute(scheduler="sync")


@pytest.fixture(scope="module")
def store(data, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("lazy") / "a.zarr"
    data.to_zarr(folder, encoding={"psc": {"chunks": (2, 10, 20)}}, consolidated=False)
    return str(folder)


@pytest.mark.parametrize("block", [(6, 384, 384), (1, 36, 31), (4, 9, 72), (3, 14, 22)])
@pytest.mark.parametrize("kind", ["numpy", "file", *CHUNKINGS])
def test_bits_do_not_depend_on_blocks_chunks_or_kind(data, store, expected, kind, block):
    """Memory, files and dask arrays in five chunkings give the same bits in any blocks."""
    if kind == "file":
        data = xr.open_zarr(store, chunks=None, consolidated=False)
    elif kind != "numpy":
        data = data.chunk(CHUNKINGS[kind])
    found = stencil(data, block)
    assert found.shape == (2, 11, 36, 72)
    assert found.chunks[1:] == da.core.normalize_chunks(block, (11, 36, 72))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.compute(), expected)


@given(how=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_bits_do_not_depend_on_any_chunks_and_blocks(data, expected, how):
    """Chunks of each array by themselves, ragged and of one, blocks of any size."""
    chunked = {name: data[name].chunk(how.draw(chunkings(data[name].sizes))) for name in data.data_vars}
    block = how.draw(blocks((11, 36, 72), most=3))
    np.testing.assert_array_equal(stencil(data.assign(chunked), block).compute(), expected)


@pytest.mark.parametrize("mixed", ["psc", "chl", "sea"])
def test_kinds_may_be_mixed(data, expected, mixed):
    """One dask source among others in memory changes nothing."""
    np.testing.assert_array_equal(stencil(data.assign({mixed: data[mixed].chunk()}), (3, 20, 20)), expected)


@pytest.mark.parametrize("chunks", [None, {"time": 3, "lat": 10, "lon": 25}])
@pytest.mark.parametrize("block", [(6, 384, 384), (4, 13, 22)])
def test_orientation_origin_and_order_do_not_matter(data, expected, chunks, block):
    """North first, time backward, longitudes from 0, rolled, dimensions transposed: the same at the same places."""
    turned = data.isel(lat=slice(None, None, -1), time=slice(None, None, -1)).transpose("lon", "lat", "time")
    turned = turned.assign_coords(lon=turned.lon % 360).sortby("lon").roll(lon=10, roll_coords=True)
    assert turned.lon[0] == 312.5
    found = stencil(turned if chunks is None else turned.chunk(chunks), block).compute()
    np.testing.assert_array_equal(np.roll(found, 36 - 10, axis=-1)[:, ::-1, ::-1], expected)


def test_a_source_may_be_turned_otherwise_than_the_first(data, expected):
    """Sources are matched by address: a flipped, rolled or larger predictor is read at the right places."""
    other = data.assign(data.copy())
    sources = [source_of(data.psc.variable, DIMS)]
    grids = [grid_at(data.time.values, data.lat.values, data.lon.values)]
    chl = other.chl.isel(lat=slice(None, None, -1)).roll(lon=20, roll_coords=True).chunk({"lon": 13})
    sea = other.sea.roll(lon=5, roll_coords=True)
    for array, dims in ((chl, DIMS), (sea, (None, *DIMS[1:]))):
        sources.append(source_of(array.variable, dims))
        when = array.time.values if dims[0] else None
        grids.append(grid_at(when, array.lat.values, array.lon.values))
    found = map_lattice(Stencil(72), sources, grids, layers=2, reach=REACH, block=(3, 20, 20), dtype="f4")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "part",
    [
        {"time": slice(2, 9), "lat": slice(8, 30), "lon": slice(10, 60)},
        {"time": [0], "lat": slice(None), "lon": [*range(64, 72), *range(6)]},
        {"time": slice(3, 4), "lat": slice(0, 3), "lon": [*range(12), *range(60, 72)]},
        {"time": [0, 3, 10], "lat": [0, 1, 2, 30, 31], "lon": [5, 6, 7, 40, 41, 71]},
    ],
)
def test_a_subset_changes_only_within_reach_of_its_cut(data, expected, part, chunked):
    """Of a region, also across the dateline or with absent rows, columns and times, far pixels keep their bits."""
    region = data.isel(part)
    grid = grid_at(data.time.values, data.lat.values, data.lon.values)
    like = {"like": grid}
    here = grid_at(region.time.values, region.lat.values, region.lon.values, **like)
    static = grid_at(None, region.lat.values, region.lon.values)
    given = region.chunk({"lat": 2, "lon": 5}) if chunked else region
    sources = [source_of(given[name].variable, DIMS) for name in ("psc", "chl")]
    sources.append(source_of(given.sea.variable, (None, *DIMS[1:])))
    found = map_lattice(Stencil(72), sources, [here, here, static], layers=2, reach=REACH, block=(2, 9, 14), dtype="f4")
    whole = expected[:, grid.index_slots(here.slots)][:, :, grid.index_rows(here.rows)]
    whole = whole[..., grid.index_cols(here.cols)]
    far = np.ones(here.shape, bool)
    axes = zip((here.slots, here.rows, here.cols), (here.index_slots, here.index_rows, here.index_cols), strict=True)
    for axis, ((places, index), reach) in enumerate(zip(axes, REACH, strict=True)):
        neighbours = np.array(places)[:, None] + np.arange(-reach, reach + 1)
        lost = (index(neighbours) < 0) & ((grid.index_slots, grid.index_rows, grid.index_cols)[axis](neighbours) >= 0)
        far &= ~np.expand_dims(lost.any(axis=1), [n for n in range(3) if n != axis])
    np.testing.assert_array_equal(found.compute()[:, far], whole[:, far])


def test_blocks_with_distant_places_are_computed_in_pieces(data):
    """Frames of 2000 and 2015 side by side are read as two boxes, so memory does not grow with what is absent."""
    times = np.array(["2000-01-01", "2000-01-02", "2015-06-01", "2015-06-02"], "M8[ns]")
    lon = data.lon.values[[*range(10), *range(30, 36), *range(66, 72)]]
    values = np.random.default_rng(1).normal(size=(4, 36, lon.size))
    sources, grids = [source_of(xr.Variable(DIMS, values), DIMS)], [grid_at(times, data.lat.values, lon)]
    calls.clear()
    both = map_lattice(Stencil(72), sources, grids, layers=2, reach=REACH, dtype="f4").compute(scheduler="sync")
    shapes = sorted(core.shape for _, core in calls)
    assert shapes == [(2, 36, 6), (2, 36, 6), (2, 36, 16), (2, 36, 16)]
    assert all(box.cols[0] < 72 for box, _ in calls)
    for n in (0, 2):
        half = [source_of(xr.Variable(DIMS, values[n : n + 2]), DIMS)]
        part = grid_at(times[n : n + 2], data.lat.values, lon)
        alone = map_lattice(Stencil(72), half, [part], layers=2, reach=REACH, dtype="f4")
        np.testing.assert_array_equal(alone, both[:, n : n + 2])


def test_values_arrive_as_they_are_with_missing_around(data):
    """Dtypes are kept or become floating, places outside are missing, and the user's array cannot be written to."""
    observed = {}

    def look(arrays, box, core):
        observed.update(arrays=[np.asarray(array) for array in arrays], box=box)
        return np.zeros((1, *core.shape))

    look.__dask_tokenize__ = lambda: "look"
    lat, lon = data.lat.values[10:20], data.lon.values[:10]
    grid = grid_at(None, lat, lon)
    kinds = ["f4", "f8", ">f4", "i2", "i4", "?", "f2"]
    sources = [source_of(xr.Variable(DIMS, np.ones((1, 10, 10), kind)), DIMS) for kind in kinds]
    map_lattice(look, sources, [grid] * 7, layers=1, reach=(0, 0, 3), dtype="f8").compute(scheduler="sync")
    assert [array.dtype.str for array in observed["arrays"]] == ["<f4", "<f8", "<f4", "<f4", "<f8", "<f4", "<f2"]
    for array in observed["arrays"]:
        assert array.shape == (1, 10, 16)
        assert np.isnan(array[..., :3]).all()
        assert np.isnan(array[..., 13:]).all()
        assert (array[..., 3:13] == 1).all()
        assert not array.flags.writeable


def test_nothing_is_loaded_before_it_is_computed_and_then_only_what_is_needed(data, store):
    """Calls, tokens and pickles read no chunk of a file; one block reads the chunks of its box."""
    opened = xr.open_zarr(CountingStore(store, read_only=True), chunks=None, consolidated=False)
    opened = opened.assign_coords({name: data[name] for name in DIMS})
    CountingStore.reads = 0
    result = stencil(opened[["psc"]].assign(chl=opened.psc, sea=data.sea), (2, 10, 20))
    assert tokenize(result)
    back = pickle.loads(pickle.dumps(result))
    assert CountingStore.reads == 0
    result[0, 4, 15, 30].compute()
    assert CountingStore.reads == 2 * 27
    np.testing.assert_array_equal(back[0, 4, 15, 30], result[0, 4, 15, 30])


def test_names_follow_the_content(data, store):
    """Equal calls have equal names, in memory and in files; other data, blocks or layers have others."""
    lazy = xr.open_zarr(store, chunks=None, consolidated=False)
    again = xr.open_zarr(store, chunks=None, consolidated=False)
    assert stencil(lazy).name == stencil(again).name
    assert stencil(data).name == stencil(data.copy(deep=True)).name
    others = [data, lazy, data.chunk(), data.assign(psc=-data.psc), data.isel(time=slice(5))]
    names = {stencil(other).name for other in others} | {stencil(data, (3, 9, 9)).name}
    assert len(names) == 6


def archive(size: tuple[int, int, int]) -> Grid:
    years = [np.arange(f"{year}-01-01", f"{year + 1}-01-01", 8, dtype="M8[D]") for year in range(1998, 2022)]
    step = 360 / size[2]
    lat = (90 - (np.arange(size[1]) + 0.5) * step).astype("f4")
    return grid_at(np.concatenate(years)[: size[0]], lat, (-180 + (np.arange(size[2]) + 0.5) * step).astype("f4"))


def test_the_archive_on_file_takes_one_task_a_block(tmp_path):
    """1068 frames of 4320 x 8640 pixels: as many tasks as blocks and one node, little to pickle, culled to a window."""
    import zarr

    shape = (1068, 4320, 8640)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name in ("psc", "chl"):
        group.create_array(name, shape=shape, chunks=(1, 1080, 1080), dtype="f4", dimension_names=DIMS)
    opened = xr.open_zarr(tmp_path / "a.zarr", chunks=None, consolidated=False)
    grid = archive(shape)
    sources = [source_of(opened[name].variable, DIMS) for name in ("psc", "chl")]
    result = map_lattice(Stencil(8640), sources, [grid, grid], layers=2, dtype="f4")
    assert len(result.dask) - 1 == result.npartitions == 89 * 18 * 36
    assert len(pickle.dumps(result.dask)) < 1e6
    (needed,) = dask.optimize(result[0, 500, 2000:2100, -20:])
    assert len(dict(needed.dask)) <= 3


CHUNKED_ARCHIVES = {
    "blocks": (12, 240, 240),
    "tiles": (1, 1080, 1080),
    "native": (24, 270, 270),
    "maps": (1, 4320, 8640),
    "series": (89, 270, 270),
}


@pytest.mark.parametrize("layout", CHUNKED_ARCHIVES)
def test_the_archive_of_dask_takes_at_most_four_tasks_a_block(layout):
    """Three classes and a predictor: chunks that are read, and one task per block; nothing is cut or rechunked by dask.

    A window takes its blocks and the chunks around them, each cut in the task that reads it.
    """
    shape, chunks = (1068, 4320, 8640), CHUNKED_ARCHIVES[layout]
    psc = xr.Variable(("psc", *DIMS), da.zeros((3, *shape), chunks=(3, *chunks), dtype="f4", name="psc"))
    chl = xr.Variable(DIMS, da.zeros(shape, chunks=chunks, dtype="f4", name="chl"))
    grid = archive(shape)
    sources = [*(source_of(psc, DIMS, {"psc": k}) for k in range(3)), source_of(chl, DIMS)]
    result = map_lattice(Stencil(8640), sources, [grid] * 4, layers=2, reach=(4, 63, 63), dtype="f4")
    read = 2 * int(np.prod([-(-size // length) for size, length in zip(shape, chunks, strict=True)]))
    assert len(result.dask) - 1 == result.npartitions + read < 4 * result.npartitions
    assert len(pickle.dumps(result.dask)) < 1e6
    cut = result[0, 500, 2000:2100, -20:]
    (needed,) = dask.optimize(cut)
    box = (12 + 8, 480 + 126, 240 + 126)
    most = 2 * np.prod([size // length + 2 for size, length in zip(box, chunks, strict=True)])
    tasks = [task for task in dict(needed.dask).values() if not isinstance(task, Alias)]
    assert len(tasks) <= most + 5


def test_reads_of_a_block_are_less_than_three_times_the_block():
    """Of windows of 5 x 64 x 64 on the archive: boxes hold what the windows of a block cover and no more."""
    from xgapfill.lattice.tiling import Tiling

    shape = (1068, 4320, 8640)
    grid, tiling = archive(shape), Tiling(8640)
    read, made = [0], [0]

    def kernel(arrays, box, core):
        read[0] += int(np.prod(arrays[0].shape))
        made[0] += int(np.prod(core.shape))
        assert box == Box(
            *(tiling.around(axis, places) for axis, places in enumerate((core.slots, core.rows, core.cols)))
        )
        return np.zeros((1, *core.shape), np.float32)

    kernel.__dask_tokenize__ = lambda: "kernel"
    source = source_of(xr.Variable(DIMS, np.broadcast_to(np.float32(0), (1, 1, 1))), DIMS)
    source = dataclasses.replace(source, array=np.broadcast_to(np.float32(0), shape))
    result = map_lattice(kernel, [source], [grid], layers=1, around=tiling.around, dtype="f4")
    for place in [(0, 40, 5, 5), (0, 41, 9, 35), (0, 42, 17, 0), (0, 43, 8, 20)]:
        compute_block(result, place)
    assert read[0] < 3 * made[0]


@pytest.mark.parametrize("chunks", [(8, 270, 270), (12, 270, 270), (12, 240, 240)])
def test_neighbouring_blocks_read_less_than_three_times_what_they_hold(chunks):
    """Of dask input `write` computes neighbours together, so that whole chunks are read only a few times."""
    from xgapfill.lattice.tiling import Tiling
    from xgapfill.stores.run import NEIGHBOURS

    shape = (1068, 4320, 8640)
    grid = archive(shape)
    chl = xr.Variable(DIMS, da.zeros(shape, chunks=chunks, dtype="f4", name="chl"))
    result = map_lattice(
        Stencil(8640), [source_of(chl, DIMS)], [grid], layers=None, around=Tiling(8640).around, dtype="f4"
    )
    time, beside = NEIGHBOURS
    places = product(range(40, 40 + time), range(8, 8 + beside), range(12, 12 + beside))
    layer = result.dask.layers[result.name]
    needed = set().union(*layer.cull({(result.name, *place) for place in places}, ())[1].values())
    needed = {key for key in needed if key[0] == "chl"}
    read = len(needed) * int(np.prod(chunks))  # none of them at the end of an axis
    assert read < 3 * time * beside**2 * np.prod(OPTIONS["block"])


@dataclass(frozen=True)
class Corners:
    """Sum of neighbours at the edge of the halo, missing ones -1."""

    def __call__(self, arrays, box, core):
        """Return the sum on the core."""
        return corners(*arrays)[None]

    def __dask_tokenize__(self):
        return "Corners"


def corners(*arrays):
    """Weighted sum, in float32 and in one order, of pixels that are smaller than the arrays by the halo."""
    inner = tuple(size - 2 * more for size, more in zip(arrays[0].shape, REACH, strict=True))
    out = np.zeros(inner, np.float32)
    for n, array in enumerate(arrays):
        field = np.where(np.isnan(array), -1, array).astype(np.float32)
        for t, y, x in np.ndindex(3, 3, 3):
            at = (t, y, x) * np.array(REACH)
            part = field[tuple(slice(a, a + size) for a, size in zip(at, inner, strict=True))]
            out += part * np.float32(1 + 0.1 * t + 0.01 * y + 0.3 * x + n)
    return out


@pytest.mark.parametrize(
    ("first", "second", "block"),
    [
        ((1, 18, 36), (1, 18, 36), (12, 18, 36)),  # a halo in time with chunks of one frame
        ((6, 4, 5), (3, 3, 4), (4, 7, 12)),  # halos larger than a chunk
        ((12, 18, 36), (12, 9, 36), (1, 18, 36)),  # one block that closes around the globe
        (((1, 3, 4, 4), (11, 2, 5), (3, 17, 16)), (5, 7, 13), (5, 10, 22)),  # irregular, and another way
    ],
)
def test_neighbours_are_those_of_map_overlap(first, second, block):
    """Bit for bit what dask's own overlapping gives, which rechunks and takes dozens of tasks a block."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 12, 18, 36)).astype("f4")
    values[rng.random(values.shape) < 0.4] = np.nan
    arrays = [da.from_array(each, chunks=chunks) for each, chunks in zip(values, (first, second), strict=True)]
    days = np.array("2000-01-01", "M8[ns]") + np.arange(12) * np.timedelta64(1, "D")
    grid = grid_at(days, -85 + 10 * np.arange(18), -175 + 10 * np.arange(36))
    sources = [source_of(xr.Variable(DIMS, array), DIMS) for array in arrays]
    found = map_lattice(Corners(), sources, [grid] * 2, layers=1, reach=REACH, block=block, dtype="f4")
    depth, boundary = dict(enumerate(REACH)), {0: np.nan, 1: np.nan, 2: "periodic"}
    expected = da.map_overlap(
        corners, *arrays, depth=depth, boundary=boundary, trim=False, dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    np.testing.assert_array_equal(found[0].compute(), expected.compute())


def test_a_cut_computes_only_the_chunks_it_needs():
    """Of dask input a window takes the chunks that the boxes of its blocks touch, across the dateline too."""
    computed = []

    def chunk(block_info=None):
        where = block_info[None]
        computed.append(tuple(where["chunk-location"]))
        return np.zeros(where["chunk-shape"], "f4")

    array = da.map_blocks(chunk, chunks=((2,) * 6, (6,) * 6, (8,) * 9), dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    days = np.array("2000-01-01", "M8[ns]") + np.arange(12) * np.timedelta64(1, "D")
    grid = grid_at(days, -87.5 + 5 * np.arange(36), -177.5 + 5 * np.arange(72))
    source = source_of(xr.Variable(DIMS, array), DIMS)
    found = map_lattice(Corners(), [source], [grid], layers=1, reach=REACH, block=(4, 12, 24), dtype="f4")
    computed.clear()
    found[0, 5, 15, 71].compute(scheduler="sync")
    assert sorted(computed) == sorted(product((1, 2, 3, 4), (1, 2, 3, 4), (0, 5, 6, 7, 8)))


class File:
    """An array that counts the values that are read from it."""

    shape, dtype, ndim = (12, 36, 72), np.dtype("f4"), 3
    read = 0

    def __getitem__(self, key):
        values = np.random.default_rng(0).normal(size=self.shape).astype(self.dtype)[key]
        File.read += values.size
        return values


@pytest.mark.parametrize("on_file", [True, False])
def test_of_a_window_only_what_its_blocks_need_is_held(monkeypatch, on_file):
    """Of chunks that reach beyond it the rest is let go; of a file it is not even read. Windows do not mix."""
    held = []

    def hold(part, lows):
        held.append(cut_out(part, lows))
        return held[-1]

    monkeypatch.setattr(layers, "cut_out", hold)
    days = np.array("2000-01-01", "M8[ns]") + np.arange(12) * np.timedelta64(1, "D")
    grid = grid_at(days, -87.5 + 5 * np.arange(36), -177.5 + 5 * np.arange(72))
    array = da.from_array(File(), chunks=(12, 18, 36)) if on_file else da.from_array(File()[:], chunks=(12, 18, 36)) + 0
    source = source_of(xr.Variable(DIMS, array), DIMS)
    found = map_lattice(Corners(), [source], [grid], layers=None, reach=REACH, block=(4, 6, 12), dtype="f4")
    whole, cuts = (
        found.compute(),
        [(slice(4), slice(13, 17), slice(20, 24)), (slice(5, 6), slice(8, 10), slice(66, 72))],
    )
    File.read = 0
    held.clear()
    for window, cut in zip(dask.compute(*(found[cut] for cut in cuts)), cuts, strict=True):
        np.testing.assert_array_equal(window, whole[cut])
    most = 6 * 16 * 26 + 8 * 16 * 50  # boxes of their blocks; one lies at either end of a chunk
    assert 0 < sum(cut.values.size for cut in held) <= most < whole.size / 2
    assert all(cut.values.base is None or cut.values.base.size == cut.values.size for cut in held)
    assert File.read <= most


@pytest.mark.parametrize("chunks", [None, {"time": 3, "lat": 10, "lon": 25}])
def test_a_block_is_computed_alone(data, chunks):
    """By its place, as one among all."""
    found = stencil(data if chunks is None else data.chunk(chunks), (4, 12, 14))
    np.testing.assert_array_equal(compute_block(found, (0, 1, 2, np.int64(3))), found.blocks[0, 1, 2, 3])


@pytest.mark.parametrize("fitted", [False, True])
def test_the_layer_of_blocks_is_a_graph_like_any_other(data, fitted):
    """It has its length, keys and tasks, holds no task before it is asked for, and survives culling and pickling."""
    more = {"fitted": dask.delayed(5)} if fitted else {}
    found = stencil(data.chunk(CHUNKINGS["small"]), (4, 12, 14), **more)
    layer = found.dask.layers[found.name]
    assert not layer.is_materialized()
    assert len(layer) == len(list(layer)) == found.npartitions + 1
    blocks = set(dask.core.flatten(found.__dask_keys__()))
    assert set(layer) == set(layer.get_output_keys()) == {layer.op_key} | blocks
    assert layer[layer.op_key].dependencies == frozenset()
    key = (found.name, 0, 1, 2, 3)
    assert key in layer
    outside = set().union(*layer.cull({key}, ())[1].values()) - set(layer.cull({key}, ())[0])
    assert layer[key].dependencies == outside | {layer.op_key}
    for other in (("other", 0, 1, 2, 3), (found.name, 0, 1, 2, 9), (found.name, 0), "a"):
        assert other not in layer
    with pytest.raises(KeyError):
        layer["a"]
    culled, needed = layer.cull({key, "a"}, ())
    assert list(culled) == list(needed)
    assert len(culled) == len(needed) > 1
    assert [other for other in culled if other[0] == found.name] == [key]
    assert all(pickle.loads(pickle.dumps(culled))[other].dependencies == needed[other] for other in culled)
    assert set(culled.cull({key}, ())[0]) == set(culled)


def test_the_result_does_not_carry_the_sources_in_its_tasks(data):
    """A task that gets chunks of dask arrays does not drag their graphs along."""
    big = data.chunk({"time": 1}) + 0
    graph = dict(stencil(big, (2, 10, 20)).dask)
    tasks = [task for key, task in graph.items() if key[0].startswith("gapfill-")]
    assert max(len(pickle.dumps(task)) for task in tasks) < 10_000


def test_an_array_in_memory_is_in_the_graph_once(data):
    """Its pieces are views, shared by the tasks that need them; nothing that is large is in a task."""
    values = np.zeros((40, 200, 300), "f4")
    days = np.array("2000-01-01", "M8[ns]") + np.arange(40) * np.timedelta64(1, "D")
    grid = grid_at(days, -49.75 + 0.5 * np.arange(200), -99.75 + 0.5 * np.arange(300))
    source = source_of(xr.Variable(DIMS, values), DIMS)
    result = map_lattice(Stencil(720), [source], [grid], layers=2, reach=REACH, block=(4, 20, 60), dtype="f4")
    assert result.npartitions == 500
    graph = dict(result.dask)
    held = [each for each in graph.values() if isinstance(each, np.ndarray)]
    assert len(held) <= 4
    assert all(np.shares_memory(each, values) for each in held)
    assert max(len(pickle.dumps(graph[key])) for key in graph if key[0] == result.name) < 2000
    assert values.nbytes < len(pickle.dumps(result)) < 1.1 * values.nbytes
    part = result[0, 0, 0, :20]
    (needed,) = dask.optimize(part)
    assert sum(isinstance(each, np.ndarray) for each in dict(needed.dask).values()) <= 1


def test_threads_change_nothing(data, expected):
    """Blocks computed by eight threads at once have the same bits."""
    with dask.config.set(scheduler="threads", num_workers=8):
        np.testing.assert_array_equal(stencil(data.chunk(CHUNKINGS["small"]), (4, 12, 14)).compute(), expected)


def test_what_does_not_fit_is_refused(data):
    """Shapes without their grid, other lattices, and kernels that return another shape raise an error."""
    grid = grid_at(data.time.values, data.lat.values, data.lon.values)
    source = source_of(data.psc.variable, DIMS)
    options = {"layers": 2, "reach": REACH, "dtype": "f4"}
    with pytest.raises(ValueError, match="one grid per source"):
        map_lattice(Stencil(72), [source], [], **options)
    with pytest.raises(ValueError, match=r"source 0 has shape \(11, 36, 72\), but its coordinates have \(11, 36, 71\)"):
        map_lattice(
            Stencil(72), [source], [grid_at(data.time.values, data.lat.values, data.lon.values[:-1])], **options
        )
    shifted = grid_at(data.time.values, data.lat.values, data.lon.values + 2.5)
    with pytest.raises(ValueError, match="source 1 lies on another lattice"):
        map_lattice(Stencil(72), [source, source], [grid, shifted], **options)
    with pytest.raises(ValueError, match=r"kernel must return shape \(3, .*; it returned \(2, "):
        map_lattice(Stencil(72), [source], [grid], layers=3, reach=REACH, dtype="f4").compute()


@pytest.mark.shared
@pytest.mark.parametrize("chunks", [None, {"time": 5, "lat": 100, "lon": 77}])
def test_an_absent_row_is_a_place_where_nothing_was_observed(shared_data, chunks):
    """North-east Pacific: the result on 335 rows of a lattice of 336 is that of the file with the row put in."""
    with xr.open_dataset(shared_data / "ne_pacific_modis_2020_8day.nc") as opened:
        given = opened[["CHL"]].isel(time=slice(0, 9)).load()
    grid = grid_at(given.time.values, given.lat.values, given.lon.values)
    rows = np.arange(max(grid.rows), min(grid.rows) - 1, -1)
    full = given.reindex(lat=grid.lat_of(rows), method="nearest", tolerance=0.01)
    assert full.lat.size == 336
    results = []
    for each in (given, full):
        here = grid_at(each.time.values, each.lat.values, each.lon.values)
        source = source_of((each if chunks is None else each.chunk(chunks)).CHL.variable, DIMS)
        results.append(
            map_lattice(Stencil(5760), [source], [here], layers=2, reach=REACH, block=(4, 90, 80), dtype="f4")
        )
    kept = [list(rows).index(row) for row in grid.rows]
    np.testing.assert_array_equal(results[0], results[1].compute()[:, :, kept])
