"""The verb `season`: fits the season of each pixel to a long series, for ``prior=``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr

from xgapfill.api.verbs import Predictors, Target
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.reader import Reader
from xgapfill.kernel.seasons import lay_out_season, years
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.methods import Background
from xgapfill.options import OPTIONS
from xgapfill.outputs.season import label_season
from xgapfill.prior.season import LEAST_YEARS


def season(
    da: Target,
    cond: Predictors = None,
    *,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
) -> xr.Dataset:
    """Fit the season of each pixel to a series of at least three years, lazily.

    The result is for ``prior=`` of fills of this variable, of any dates and any part of the map: write it once with
    `xgapfill.write`, and open it with ``xr.open_zarr(path, chunks=None)``. One task for each large block of pixels
    reads the series, a few maps at a time.

    Parameters
    ----------
    da, cond, size_class, time_step, transform
        As in `repaint`. Fills must have the same `cond`: what predictors tell of the target is not part of its season.

    Returns
    -------
    Dataset
        Dask arrays on the latitudes and longitudes of `da`, for each transformed channel, in standard deviations of its
        prior: ``season``, mean and harmonics of the year; ``anomaly_spread``, the standard deviation of the rest;
        ``confirmed``, the share of the harmonics that some years confirm for others, which is what ``season`` has.

    Raises
    ------
    TypeError, ValueError
        As `repaint`, and for a series of fewer than three years.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xgapfill
    >>> months = np.arange("2015-01", "2018-01", dtype="datetime64[M]").astype("datetime64[ns]")
    >>> chl = 10 ** np.cos(2 * np.pi * np.arange(36) / 12)[:, None, None] * np.ones((36, 4, 4), np.float32)
    >>> coords = {"time": months, "lat": 40 + np.arange(4) / 24, "lon": -30 + np.arange(4) / 24}
    >>> da = xr.DataArray(chl, coords, ("time", "lat", "lon"), "CHL", {"units": "mg m-3"})
    >>> found = xgapfill.season(da)
    >>> dict(found.season.sizes)
    {'channel': 1, 'term': 5, 'lat': 4, 'lon': 4}
    """
    options = FillOptions(size_class=size_class, time_step=time_step, transform=transform, prior=None)
    job = Job.of(da, Background(), cond, options)
    kernel, grid = job.kernel, job.target.grid
    found = years(grid)
    if found < LEAST_YEARS:
        times = f"{len(grid.slots)} maps of {found} year{'s' * (found != 1)}" if found else "no dates"
        raise ValueError(
            f"a season needs at least {LEAST_YEARS} years, {job.target.label} has {times}; give a longer series, or "
            "fill without a season"
        )
    shared = SharedPrior.of(kernel.variables, job.channels, True)
    if shared is None:
        raise ValueError(f"nothing is known of the usual variations of {job.target.label}, so it has no season here")
    shared = replace(shared, season=shared.usable)
    reader = Reader(Encoder.plain(grid, kernel.variables, job.channels), shared, kernel.drivers)
    # the relation to drivers is made of arrays that tasks share
    side = None if kernel.drivers is None else OPTIONS["series_block"][1]
    stack = lay_out_season(reader, job.sources[: reader.count], job.grids[: reader.count], side)
    return label_season(stack, job, shared)
