"""Small gappy maps and what tests do with them."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dask
import dask.array
import numpy as np
import xarray as xr

from xgapfill.lattice.windows import Filled
from xgapfill.methods.base import Method, SeriesMethod

START = np.datetime64("2015-03-06", "ns")
DAY = np.timedelta64(1, "D")


def axes(frames: int, height: int, width: int, lat: float = 40.0, lon: float = -40.0) -> dict[str, Any]:
    """Coordinates of 8-day maps on a grid of 1/24 degree, by default in the open Atlantic."""
    return {
        "time": ("time", START + 8 * DAY * np.arange(frames), {"standard_name": "time"}),
        "lat": ("lat", lat + (np.arange(height) + 0.5) / 24, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon + (np.arange(width) + 0.5) / 24, {"units": "degrees_east", "standard_name": "longitude"}),
    }


def smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random field with waves longer than some pixels, about unit variance."""
    t, y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    field = np.zeros(shape)
    for _ in range(6):
        ky, kx, kt = rng.normal(0, (0.15, 0.15, 0.4))
        field += np.sin(ky * y + kx * x + kt * t + rng.uniform(0, 2 * np.pi))
    return field / np.sqrt(3)


def chl_map(
    shape: tuple[int, int, int] = (3, 30, 40), *, share: float = 0.5, seed: int = 0, **place: float
) -> xr.DataArray:
    """Chlorophyll with missing blocks and pixels."""
    rng = np.random.default_rng(seed)
    values = 10 ** (-0.4 + 0.3 * smooth(rng, shape))
    values[gaps(rng, shape, share)] = np.nan
    attrs = {
        "units": "mg m-3",
        "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water",
        "long_name": "chlorophyll-a",
        "source": "made up",
    }
    return xr.DataArray(values.astype("float32"), axes(*shape, **place), ("time", "lat", "lon"), "CHL", attrs)


def psc_map(chl: xr.DataArray, *, share: float = 0.5, seed: int = 1) -> xr.DataArray:
    """Size classes on the map of `chl`, missing in other places."""
    rng = np.random.default_rng(seed)
    shape = chl.transpose("time", "lat", "lon").shape
    logs = np.stack([0.8 * smooth(rng, shape) for _ in range(3)])
    parts = np.exp(logs) / np.exp(logs).sum(axis=0)
    parts[:, gaps(rng, shape, share)] = np.nan
    coords = {"size_class": ["micro", "nano", "pico"], **{k: chl.coords[k] for k in ("time", "lat", "lon")}}
    attrs = {"units": "1", "long_name": "fraction of chlorophyll-a by size class"}
    return xr.DataArray(parts.astype("float32"), coords, ("size_class", "time", "lat", "lon"), "PSC", attrs)


def gaps(rng: np.random.Generator, shape: tuple[int, int, int], share: float) -> np.ndarray:
    """True where missing: the lowest `share` of a smooth field, and one pixel in ten."""
    field = smooth(rng, shape)
    return (field < np.quantile(field, share)) | (rng.random(shape) < 0.1 * (share > 0))


def same(first: Any, second: Any) -> bool:
    """Whether two arrays are the same to the last bit, missing values too."""
    first, second = np.asarray(first), np.asarray(second)
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@contextlib.contextmanager
def raise_if_dask_computes():
    """Fail when dask computes anything inside."""

    def scheduler(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("dask computed something")

    with dask.config.set(scheduler=scheduler):
        yield


@dataclass(frozen=True)
class Counting(Method):
    """A method that counts its calls."""

    method: Any
    calls: ClassVar[list[int]] = []

    @property
    def name(self) -> str:
        """Of the method inside."""
        return self.method.name

    @property
    def draws(self) -> bool:
        """Of the method inside."""
        return self.method.draws

    @property
    def takes_weights(self) -> bool:
        """Of the method inside."""
        return self.method.takes_weights

    @property
    def takes_errors(self) -> bool:
        """Of the method inside."""
        return self.method.takes_errors

    @property
    def takes_prior(self) -> bool:
        """Of the method inside."""
        return self.method.takes_prior

    @property
    def anchored(self) -> bool:
        """Of the method inside."""
        return self.method.anchored

    def check(self, channels: tuple[str, ...]) -> None:
        """As the method inside."""
        self.method.check(channels)

    def default_weights(self, channels: tuple[str, ...]) -> str | None:
        """Of the method inside."""
        return self.method.default_weights(channels)

    def tiling(self, ncols: int, slots: tuple[int, int]) -> Any:
        """Of the method inside."""
        return self.method.tiling(ncols, slots)

    def fill(self, windows: Any, weights: Any, noise: Any, members: int) -> Any:
        """As the method inside."""
        Counting.calls.append(int(windows.observed.any(axis=(1, 2, 3, 4)).sum()))
        return self.method.fill(windows, weights, noise, members)


@dataclass(frozen=True)
class CountingSeries(Counting, SeriesMethod):
    """The same of a method that is fitted."""

    def fit(self, series: Any) -> Any:
        """As the method inside."""
        return self.method.fit(series)


def counting(method: Any) -> Counting:
    """The method, counting its calls."""
    return CountingSeries(method) if isinstance(method, SeriesMethod) else Counting(method)


@dataclass(frozen=True)
class Quick(Method):
    """Mean of the observations of a window, with white noise around it if it draws: no torch, no weights."""

    draws: bool = False
    scale: float = 1.0

    name: ClassVar[str] = "quick"
    takes_prior: ClassVar[bool] = False

    def fill(self, windows: Any, weights: Any, noise: Any, members: int) -> Filled:
        """The same value all over a window."""
        count = np.maximum(windows.observed.sum(axis=(1, 3, 4), keepdims=True), 1)
        mean = windows.values.sum(axis=(1, 3, 4), keepdims=True) / count * self.scale
        values = np.broadcast_to(mean, (members, *windows.values.shape)).astype(np.float32)
        if self.draws:
            _, t, c, y, x = windows.values.shape
            for member in range(members):
                drawn = [noise(member, 0, tuple(start), (c, t, y, x)).swapaxes(0, 1) for start in windows.starts]
                values[member] += np.float32(0.3) * np.stack(drawn)
        return Filled(values, np.ones_like(windows.values))


FIVE_CHUNKINGS = (
    {"time": -1, "lat": -1, "lon": -1},
    {"time": 1, "lat": -1, "lon": -1},
    {"time": -1, "lat": 5, "lon": 9},
    {"time": 2, "lat": 10, "lon": 11},
    {"time": (1, -1), "lat": (5, -1), "lon": (3, 20, -1)},
)


def chunked(da: xr.DataArray, chunks: dict[str, Any]) -> xr.DataArray:
    """`da` of dask; -1 in a tuple is the rest of the dimension."""
    sizes = {}
    for dim, sizes_of in chunks.items():
        if isinstance(sizes_of, tuple):
            rest = da.sizes[dim] - sum(size for size in sizes_of if size > 0)
            sizes_of = tuple(rest if size < 0 else size for size in sizes_of)
        sizes[dim] = sizes_of
    return da.chunk(sizes)


ORDERS = tuple(itertools.permutations(("time", "lat", "lon")))


def virtual_chl() -> xr.DataArray:
    """Chlorophyll of 3.8 GB, half of it missing, in many small chunks that are made when they are read."""

    def block(block_info: Any) -> np.ndarray:
        place = block_info[None]["array-location"]
        t, y, x = (axis.astype(np.float32) for axis in np.ogrid[tuple(slice(*ends) for ends in place)])
        observed = (
            np.random.default_rng([start for start, _ in place]).random([b - a for a, b in place], np.float32) < 0.5
        )
        field = 10 ** (-0.5 + 0.3 * np.sin(t / 7 + y / 300) * np.cos(x / 400) + 0.2 * np.cos(t / 23))
        return np.where(observed, field, np.nan).astype(np.float32)

    chunks = tuple((size,) * (n // size) for n, size in ((250, 1), (1080, 270), (3510, 195)))
    years = np.arange("2000", "2006", dtype="M8[Y]").astype("M8[D]")
    time = np.concatenate([year + 8 * np.arange(46) for year in years])[:250].astype("M8[ns]")
    coords = {"time": time, "lat": 60 - np.arange(1080) / 24, "lon": -179.979 + np.arange(3510) / 24}
    values = dask.array.map_blocks(block, chunks=chunks, dtype="f4")
    return xr.DataArray(values, coords, ("time", "lat", "lon"), "CHL", {"units": "mg m-3"})


def peak_memory(script: str) -> float:
    """Most GiB that a process holds which runs the script on ``chl``, the `virtual_chl`."""
    before = "import xgapfill\nfrom maps import virtual_chl\nchl = virtual_chl()\n"
    after = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)"
    command = [sys.executable, "-c", before + script + after]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return float(done.stdout.split()[-1])
