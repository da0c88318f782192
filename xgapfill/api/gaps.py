"""Describes gaps: the missing share of the sea in each frame, and the distance to the nearest observed pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.api.verbs import Target
from xgapfill.blocks.graph import map_lattice
from xgapfill.inputs import read as inputs
from xgapfill.inputs.sea import read_sea
from xgapfill.inputs.values import check_values
from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.ever import ever_observed
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.distance import kilometres_to, pixels_to
from xgapfill.lattice.grid import Box, Grid
from xgapfill.lattice.sea import SeaFlag
from xgapfill.outputs.attributes import Provenance, wrap
from xgapfill.variables import Variable


def gaps(
    da: Target, sea: Any = None, *, size_class: str | None = None, time_step: Any = None, transform: Any = None
) -> xr.Dataset:
    """Describe the gaps of each frame, lazily.

    Parameters
    ----------
    da, sea, size_class, time_step, transform
        As in `repaint`. A pixel of several size classes counts as observed where all of them are observed.

    Returns
    -------
    Dataset
        ``missing_share`` (time): share of the sea that is missing. ``distance`` (km) and ``distance_pixels`` (time,
        lat, lon): distance of each sea pixel to the nearest observed pixel of the same frame, across the dateline
        on global maps; 0 where observed, NaN on land and in frames without observations.

    Raises
    ------
    TypeError, ValueError
        As `repaint`.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> found = xgapfill.gaps(ds.CHL)
    >>> found.missing_share.dims, found.distance.attrs["units"]
    (('time',), 'km')
    >>> bool((found.distance.where(ds.CHL.notnull(), 0) == 0).all())
    True
    """
    target = inputs.read(da, size_class, None, time_step, transform)
    check_values(target)
    mask = read_sea(sea, target)
    flag = None if mask is None else mask[0]
    sources, grids = list(target.sources), target.source_grids()
    beside = mask[1:] if mask is not None else ever_observed([target.variable], sources, grids)
    if beside is not None:
        sources, grids = [*sources, beside[0]], [*grids, beside[1]]
    lay = partial(map_lattice, sources=sources, grids=grids, reach=(0, 0, 0), dtype=np.float32)
    observed_where = ObservedKernel(
        target.grid, target.variable, flag, Layout((target.variable.parts,), sea=beside is not None)
    )
    whole = (1, *target.grid.shape[1:])  # the nearest observed pixel may be anywhere in the frame
    array, axes = target.arrays[0], target.axes[0]
    template = array if target.class_dim is None else array.isel({target.class_dim: 0}, drop=True)
    held = [dim for dim in axes.dims if dim is not None]

    def wrapped(layer: dsa.Array) -> xr.DataArray:
        layer = layer[0] if axes.time is None else layer
        return wrap(layer.transpose([held.index(dim) for dim in template.dims]), template, axes, None)

    missing = wrapped(lay(MissingKernel(observed_where), layers=None))
    kilometres, pixels = map(wrapped, lay(DistanceKernel(observed_where), layers=2, block=whole))
    share = missing.mean([axes.lat, axes.lon], skipna=True, keep_attrs=False)
    share.attrs = {"long_name": f"share of the sea where {target.label} is missing", "units": "1"}
    kilometres.attrs = {"long_name": "distance to the nearest observed pixel of the frame", "units": "km"}
    pixels.attrs = {
        "long_name": "distance to the nearest observed pixel of the frame",
        "units": "1",
        "comment": "in pixels",
    }
    made = Provenance(f"gaps({target.label})", {})
    variables = {"missing_share": share, "distance": kilometres, "distance_pixels": pixels}
    return xr.Dataset(variables, attrs=made.added_to({"Conventions": "CF-1.11"}))


@dataclass(frozen=True)
class ObservedKernel:
    """Masks of observed pixels and of the sea."""

    grid: Grid
    variable: Variable
    sea: SeaFlag | None
    layout: Layout

    def __call__(self, arrays: list[NDArray], box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return both (t, y, x) masks on a box; observed pixels are sea."""
        given = self.layout.named(arrays)
        observed = np.asarray(self.variable.possible(np.stack(given.variables[0]))[0].all(axis=0))
        if self.sea is not None:
            return observed, ~self.sea.is_land(given.sea) | observed
        lat, lon = self.grid.lat_of(np.arange(*box.rows)), self.grid.lon_of(np.arange(*box.cols))
        ever = observed if given.sea is None else observed | (np.asarray(given.sea) == 1)
        return observed, seamask.sea(lat, lon) | ever


@dataclass(frozen=True)
class MissingKernel:
    """1 where missing, 0 where observed, NaN on land."""

    observed: ObservedKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        """Return the layer on `core`, which is `box`."""
        observed, water = self.observed(arrays, box)
        return np.where(water, ~observed, np.float32(np.nan))[None]


@dataclass(frozen=True)
class DistanceKernel:
    """Distance in km and in pixels, NaN on land and in frames without observations."""

    observed: ObservedKernel

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray[np.float32]:
        """Return both layers on `core`, which is `box`: whole frames."""
        grid = self.observed.grid
        lat, lon = grid.lat_of(np.arange(*box.rows)), grid.lon_of(np.arange(*box.cols))
        observed, water = self.observed(arrays, box)
        out = np.full((2, *box.shape), np.nan, np.float32)
        for frame in np.flatnonzero(observed.any(axis=(1, 2))):
            out[0, frame] = np.where(water[frame], kilometres_to(observed[frame], lat, lon), np.nan)
            out[1, frame] = np.where(water[frame], pixels_to(observed[frame], box.shape[2] >= grid.ncols), np.nan)
        return out
