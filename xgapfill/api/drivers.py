"""What predictors are worth: the share of the target's variance that each explains, on pixels it was not related on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xgapfill.api.verbs import Target
from xgapfill.kernel.drivers import lay_out_moments
from xgapfill.kernel.encode import Encoder
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.methods import Background
from xgapfill.prior.drivers import FOLDS, Relation, explained, slopes, sums_of


def drivers(
    da: Target, cond: Any, *, size_class: str | None = None, time_step: Any = None, transform: Any = None
) -> pd.DataFrame:
    """Tell what predictors without a shipped relation to the target are worth. Computes: it reads all maps once.

    Counted is the variance of the target, as it is filled (log10 of chlorophyll), within squares of 32 x 32 pixels of
    a frame, and what is explained of it in squares that the relation was not learned from, with one relation for the
    whole map. A fill learns it anew every 128 pixels, so it may use more.

    Parameters
    ----------
    da : DataArray or sequence of three
        The target.
    cond : DataArray, sequence of DataArrays or Dataset
        The predictors, any number of any kind.
    size_class, time_step, transform
        As in `repaint`.

    Returns
    -------
    DataFrame
        A row for each predictor and one for ``all``. ``slope``: change of the target with one standard deviation of
        the predictor, in standard deviations, the others given; 0 if it is dropped. ``alone``: share of the variance
        that it explains alone. ``without``: share that the others explain without it. Predictors with a shipped
        relation are not listed: what they tell is taken off first.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; there is no predictor whose relation is to be learned.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean", drivers=True).isel(time=slice(8, 12))
    >>> table = xgapfill.drivers(ds.CHL, [ds.SST_L4, ds.SSH])
    >>> list(table.index), list(table.columns)
    (['SST_L4', 'SSH', 'all'], ['slope', 'alone', 'without'])
    """
    options = FillOptions(size_class=size_class, time_step=time_step, transform=transform, prior=None)
    job = Job.of(da, Background(), cond, options)
    kernel = job.kernel
    if kernel.drivers is None:
        raise ValueError(f"no predictor of {job.target.label} has a relation to be learned: give others with cond=")
    encoder = Encoder.plain(kernel.grid, kernel.variables, kernel.channels)
    lazy, _ = lay_out_moments(encoder, kernel.drivers, *job.arrays_of_drivers)
    sums = np.asarray(lazy.sum(axis=(1, 2, 3)).compute())
    count, size = kernel.drivers.columns, len(sums) // (kernel.drivers.targets * FOLDS)
    columns = next(k for k in range(size) if sums_of(k) == size)
    of_targets = [Relation.of(part[..., None]) for part in sums.reshape(kernel.drivers.targets, FOLDS, size)]
    beside = np.arange(count, columns)
    variances = np.array([float(each.yy.sum()) for each in of_targets])
    weights = variances / max(variances.sum(), 1e-30)

    def share(chosen: list[int]) -> float:
        wanted = np.array([*chosen, *beside], np.intp)
        parts = [explained(each, wanted) - explained(each, beside) for each in of_targets]
        return float(weights @ np.array(parts))

    every = list(range(count))
    total = of_targets[0].total()
    found = slopes(of_targets[0])[0, :count]
    sd = np.sqrt(np.diagonal(total.xx[0, 0])[:count] / max(float(total.yy[0, 0]), 1e-30))
    rows = {
        "slope": [*(found * sd), np.nan],
        "alone": [*(share([n]) for n in every), share(every)],
        "without": [*(share([n for n in every if n != m]) for m in every), 0.0],
    }
    return pd.DataFrame(rows, index=pd.Index([*_names(job), "all"], name="driver"))


def _names(job: Job) -> list[str]:
    """A name for each channel of the drivers."""
    names = []
    for each in job.drivers:
        channels = each.variable.channels
        names += [each.label] if len(channels) == 1 else [f"{each.label} {channel}" for channel in channels]
    return names
