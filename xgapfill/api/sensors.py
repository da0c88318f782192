"""How other sensors compare with the target: maps of their offset, scale and error."""

from __future__ import annotations

from typing import Any

import dask.array as dsa
import numpy as np
import xarray as xr

from xgapfill.api.verbs import Target
from xgapfill.blocks.chunked import Chunked
from xgapfill.inputs.axes import westward
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.pairs import lay_out_pairs
from xgapfill.lattice.grid import Grid
from xgapfill.methods import Background
from xgapfill.prior.sensors import FIELDS, PAIRS


def sensors(
    da: Target, also: Any, *, size_class: str | None = None, time_step: Any = None, transform: Any = None
) -> xr.Dataset:
    """Compare other sensors with the target, lazily: what a fill with ``also=`` knows of them.

    Parameters
    ----------
    da : DataArray or sequence of three
        The target.
    also : DataArray or list of DataArrays
        The same variable from other sensors.
    size_class, time_step, transform
        As in `repaint`.

    Returns
    -------
    Dataset
        Dask arrays (sensor, time, lat, lon) on cells of 8 x 8 pixels, with ``channel`` if the variable is filled as
        several. ``pairs``: pixels of a cell that both observed. From the cells around, in units of the transformed
        variable (log10 of chlorophyll), NaN where pairs are too few: ``offset``, the mean of the sensor minus that of
        the target; ``scale``, by which the sensor varies more; ``error``, the standard deviation of the error of a
        pixel after both; ``together``, the number of pixels that share an error.

    Raises
    ------
    TypeError, ValueError
        As `repaint`.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10))
    >>> other = (2 * ds.CHL).rename("other")
    >>> found = xgapfill.sensors(ds.CHL, other).compute()
    >>> round(float(found.offset.median()), 3), int(found.pairs.sum()) == int(ds.CHL.notnull().sum())
    (0.301, True)
    """
    options = FillOptions(also=also, size_class=size_class, time_step=time_step, transform=transform, prior=None)
    job = Job.of(da, Background(), None, options)
    kernel, described = job.kernel, job.kernel.also
    if described is None:
        raise ValueError("also= must be maps of the target from other sensors, found None")
    encoder = Encoder.plain(kernel.grid, kernel.variables, kernel.channels)
    sums, cells = lay_out_pairs(described, encoder, *job.arrays_of_sensors)
    first = job.sources[kernel.layout.place("also")][described.parts]
    assert isinstance(first, Chunked)
    shape = len(described.variables), len(described.units)
    pairs, fields = (
        array.reshape(*shape, size, *array.shape[1:]) for array, size in ((sums, PAIRS), (first.array, FIELDS))
    )
    sd = np.array([unit.sd for unit in described.units])[:, None, None, None]
    target, sensor, scale, variance, together = (fields[:, :, number] for number in range(FIELDS))
    known = dsa.isfinite(variance)
    found = {
        "pairs": pairs[:, :, 0],
        "offset": dsa.where(known, (sensor - target) * sd, np.nan),
        "scale": dsa.where(known, scale, np.nan),
        "error": dsa.sqrt(variance) * sd,
        "together": dsa.where(known, together, np.nan),
    }
    dims = ("sensor", "channel", "time", "lat", "lon")
    ds = xr.Dataset({name: (dims, values, {"units": "1"}) for name, values in found.items()}, _coords(job, cells))
    ds = ds.squeeze("channel", drop=True) if shape[1] == 1 else ds
    return ds.squeeze("time", drop=True) if cells.calendar == "none" else ds


def _coords(job: Job, cells: Grid) -> dict[str, Any]:
    """Names of the sensors and channels, dates of the target, and the middle of each cell."""
    assert job.kernel.also is not None
    (array, *_), (axes, *_) = job.target.arrays, job.target.axes
    lat, lon = cells.lat_of(np.array(cells.rows)), westward(array, axes, cells.lon_of(np.array(cells.cols)))
    found: dict[str, Any] = {
        "sensor": list(job.kernel.also.labels),
        "channel": list(job.target.variable.channels),
        "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    if cells.calendar != "none":
        dates = array.coords[axes.names["time"]]
        found["time"] = ("time", np.atleast_1d(dates.values), dates.attrs)
    return found
