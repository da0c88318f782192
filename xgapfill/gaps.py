"""Where gaps are: how much of the sea is missing in each frame, and how far each pixel is from a seen one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill import cf, inputs, seamask
from xgapfill.distances import kilometres_to, pixels_to
from xgapfill.families import Family
from xgapfill.grid import Box, Grid
from xgapfill.lazy import BLOCK, map_lattice
from xgapfill.seamask import SeaFlag


def find_gaps(da: Any, sea: Any = None, size_class: str | None = None) -> xr.Dataset:
    """Return the gaps of a variable, lazily; see `xgapfill.gaps`."""
    target = inputs.read(da, size_class)
    inputs.check_values(target)
    mask = inputs.read_sea(sea, target)
    flag = None if mask is None else mask[0]
    sources = [*target.sources, *([] if mask is None else [mask[1]])]
    grids = [*target.source_grids(), *([] if mask is None else [mask[2]])]
    lay = partial(map_lattice, sources=sources, grids=grids, reach=(0, 0, 0), dtype=np.float32)
    seen_where = SeenKernel(target.grid, target.family, flag)
    whole = (1, *target.grid.shape[1:])  # the nearest seen pixel may be anywhere in the frame
    array, axes = target.arrays[0], target.axes[0]
    template = array if target.class_dim is None else array.isel({target.class_dim: 0}, drop=True)
    held = [dim for dim in axes.dims if dim is not None]

    def wrapped(layer: dsa.Array) -> xr.DataArray:
        layer = layer[0] if axes.time is None else layer
        return cf.wrap(layer.transpose([held.index(dim) for dim in template.dims]), template, axes, None)

    missing = wrapped(lay(MissingKernel(seen_where), layers=None, block=BLOCK))
    kilometres, pixels = map(wrapped, lay(DistanceKernel(seen_where), layers=2, block=whole))
    share = missing.mean([axes.lat, axes.lon], skipna=True, keep_attrs=False)
    share.attrs = {"long_name": f"share of the sea where {target.label} is missing", "units": "1"}
    kilometres.attrs = {"long_name": "distance to the nearest seen pixel of the frame", "units": "km"}
    pixels.attrs = {
        "long_name": "distance to the nearest seen pixel of the frame",
        "units": "1",
        "comment": "in pixels",
    }
    made = cf.Provenance(f"gaps({target.label})", {})
    variables = {"missing_share": share, "distance": kilometres, "distance_pixels": pixels}
    return xr.Dataset(variables, attrs=made.added_to({"Conventions": "CF-1.11"}))


@dataclass(frozen=True)
class SeenKernel:
    """What was seen, and where the sea is."""

    grid: Grid
    family: Family
    sea: SeaFlag | None

    def __call__(self, arrays: list[NDArray], box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return (t, y, x) of both on a box; what was seen is sea."""
        seen = np.asarray(self.family.possible(np.stack(arrays[: self.family.parts]))[0].all(axis=0))
        if self.sea is not None:
            return seen, ~self.sea.is_land(arrays[-1]) | seen
        lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
        return seen, seamask.sea(lat, lon) | seen


@dataclass(frozen=True)
class MissingKernel:
    """1 where missing, 0 where seen, NaN on land."""

    seen: SeenKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        """Return the layer on `core`, which is `box`."""
        seen, water = self.seen(arrays, box)
        return np.where(water, ~seen, np.float32(np.nan))[None]


@dataclass(frozen=True)
class DistanceKernel:
    """Distance in km and in pixels, NaN on land and where the frame has nothing."""

    seen: SeenKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        """Return both layers on `core`, which is `box`: whole frames."""
        grid = self.seen.grid
        lat, lon = grid.lat_of(np.arange(*box.rows)), grid.lon_of(np.arange(*box.cols))
        seen, water = self.seen(arrays, box)
        out = np.full((2, *box.shape), np.nan, np.float32)
        for frame in np.flatnonzero(seen.any(axis=(1, 2))):
            out[0, frame] = np.where(water[frame], kilometres_to(seen[frame], lat, lon), np.nan)
            out[1, frame] = np.where(water[frame], pixels_to(seen[frame], box.shape[2] >= grid.ncols), np.nan)
        return out
