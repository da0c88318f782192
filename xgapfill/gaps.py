"""Where gaps are: how much of the sea is missing in each frame, and how far each pixel is from a seen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill import cf, inputs, seamask
from xgapfill.distances import kilometres_to, pixels_to
from xgapfill.families import Family
from xgapfill.grid import Box, Grid
from xgapfill.lazy import map_lattice
from xgapfill.seamask import SeaFlag


def find_gaps(da: Any, sea: Any = None, size_class: str | None = None) -> xr.Dataset:
    """Return the gaps of a variable, lazily; see `xgapfill.gaps`."""
    target = inputs.read(da, size_class)
    inputs.check_values(target)
    mask = inputs.read_sea(sea, target)
    kernel = GapKernel(target.grid, target.family, None if mask is None else mask[0])
    _, height, width = target.grid.shape
    stack = map_lattice(
        kernel,
        [*target.sources, *([] if mask is None else [mask[1]])],
        [*target.source_grids(), *([] if mask is None else [mask[2]])],
        layers=3,
        reach=(0, 0, 0),
        block=(1, height, width),  # the nearest seen pixel may be anywhere in the frame
        dtype=np.float32,
    )
    array, axes = target.arrays[0], target.axes[0]
    template = array if target.class_dim is None else array.isel({target.class_dim: 0}, drop=True)
    if axes.time is None:
        stack = stack[:, 0]
    held = [dim for dim in axes.dims if dim is not None]
    layers = [
        cf.wrap(layer.transpose([held.index(dim) for dim in template.dims]), template, axes, None) for layer in stack
    ]
    missing, kilometres, pixels = layers
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
class GapKernel:
    """Missing (1, or 0; NaN on land), distance in km and in pixels (NaN on land and where the frame has nothing)."""

    grid: Grid
    family: Family
    sea: SeaFlag | None

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        """Return the three layers on `core`, which is `box`: whole frames."""
        seen = np.asarray(self.family.possible(np.stack(arrays[: self.family.parts]))[0].all(axis=0))
        lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
        by_mask = None if self.sea is None else ~self.sea.is_land(arrays[-1])
        sea = np.broadcast_to(seamask.sea(lat, lon), box.shape) if by_mask is None else by_mask
        out = np.full((3, *box.shape), np.nan, np.float32)
        for frame in range(box.shape[0]):
            water = sea[frame] | seen[frame]
            out[0, frame] = np.where(water, ~seen[frame], np.nan)
            if seen[frame].any():
                out[1, frame] = np.where(water, kilometres_to(seen[frame], lat, lon), np.nan)
                out[2, frame] = np.where(water, pixels_to(seen[frame], box.shape[2] >= self.grid.ncols), np.nan)
        return out
