"""Proxy transfer: the same gaps on a variable whose truth is known, scaled to the target's variogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import read as inputs
from xgapfill.validation.case import cube
from xgapfill.validation.scores import structure_function

LAGS = (1, 2, 4, 8, 16)


def proxy(target: xr.DataArray, field: xr.DataArray) -> xr.Dataset:
    """Lay the gaps of a target on another field, which takes its place.

    The field is centred and scaled so that its differences over 1 to 16 pixels are as large as the target's, and the
    frames and pixels of the target are cut from it. So a method meets the target's gaps, name and units, and the truth
    is known: ``validate(found.target, truth=found.truth)``.

    Parameters
    ----------
    target : DataArray
        With dimensions of time, latitude and longitude, in any order.
    field : DataArray
        Without gaps where the target has sea, at least as many frames, rows and columns: sea surface temperature, a
        simulated ocean, a model run. Its frames and pixels are taken as they come.

    Returns
    -------
    Dataset
        ``target``, a copy of the target with the values of the field where the target is observed, and ``truth``. The
        attribute ``variogram_ratio`` has the ratio of mean squared differences, proxy over target, at each lag: the
        farther from 1, the less the proxy says.

    Raises
    ------
    ValueError
        The field is too small, or it has gaps where the target is observed.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> found = proxy(ds.CHL, ds.CHL_truth.isel(lat=slice(None, None, -1)))
    >>> table = xgapfill.validate(found.target, ["interpolate"], truth=found.truth)
    >>> bool(table.pixels[0] == found.target.isnull().sum() - found.truth.isnull().sum())
    True
    """
    quantity = inputs.read(target, None, None, None, None)
    if quantity.variable.parts > 1:
        raise ValueError("expected one variable, found size classes; select one of them")
    given = inputs.read(field, None, None, None, "linear" if _is_unknown(field) else None)
    own = quantity.variable.score(cube(target.compute(), quantity))[0]
    other = given.variable.score(cube(field.compute(), given))[0]
    if any(n > m for n, m in zip(own.shape, other.shape, strict=True)):
        raise ValueError(
            f"expected a field of at least {own.shape} (time, lat, lon), found {other.shape}; cut the target, or give "
            "a larger field"
        )
    other = np.asarray(other[tuple(slice(0, n) for n in own.shape)], np.float64)
    seen = np.isfinite(own) & np.isfinite(other)
    if not seen.any():
        raise ValueError("expected a field that is known where the target is observed, found none of these pixels")
    first, second = (structure_function(np.where(seen, part, np.nan), lags=LAGS) for part in (own, other))
    good = np.isfinite(first) & np.isfinite(second) & (first > 0) & (second > 0)
    size = float(np.exp(0.5 * np.log(first[good] / second[good]).mean())) if good.any() else 1.0
    truth = own[seen].mean() + size * (other - other[seen].mean())
    physical = 10**truth if quantity.variable.logarithmic else truth
    ratio = [round(float(each), 3) for each in size**2 * second / first]
    made = xr.Dataset(
        {
            "target": _like(np.where(np.isfinite(own), physical, np.nan), target, quantity),
            "truth": _like(physical, target, quantity),
        },
        attrs={"variogram_ratio": ratio, "lags": list(LAGS)},
    )
    return made


def _is_unknown(field: xr.DataArray) -> bool:
    """Whether the variable of a field is not recognised, so that it has to be taken as it is."""
    try:
        inputs.read(field, None, None, None, None)
    except ValueError:
        return True
    return False


def _like(values: NDArray, target: xr.DataArray, quantity: Any) -> xr.DataArray:
    """(t, y, x) values in the form of the target."""
    axes = quantity.axes[0]
    dims = [dim for dim in axes.dims if dim is not None]
    values = values[0] if axes.time is None else values
    laid = xr.DataArray(values, dims=dims).transpose(*target.dims)
    return target.copy(data=laid.values.astype(target.dtype))
