"""Maps of the shares of the modes of a multi-mode net: where each of its responses holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xgapfill.api.verbs import Predictors
from xgapfill.inputs import read as inputs
from xgapfill.lattice import sea as seamask
from xgapfill.lattice.windows import Windows
from xgapfill.methods.multimode import MultiMode
from xgapfill.nets.ready import of_kind
from xgapfill.weights import load

HALO = 4  # columns around the globe on both sides: the gate reaches three


def gates(weights: Any, cond: Predictors) -> xr.DataArray:
    """Return the share of each mode of a multi-mode net at each pixel and time, in memory.

    A mode is a response of the target to its drivers. Shares sum to 1; where one of them is near 1, one response holds.
    `xgapfill.plot.gates` draws their means over time.

    Parameters
    ----------
    weights : Weights or path
        Fitted by ``da.gapfill.fit("multimode", cond)``.
    cond : DataArray, sequence of DataArrays or Dataset
        The predictors of the fit, in any order, on one grid. Maps without time count for all times.

    Returns
    -------
    DataArray
        ``(mode, time, lat, lon)``, with the coordinates of `cond`; missing on land.

    Raises
    ------
    ValueError
        Weights of another net, one mode only, or predictors that lack, are unknown or are on other grids.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("monthly").isel(time=slice(0, 6), lat=slice(8, 32), lon=slice(0, 32))
    >>> weights = xgapfill.fit(ds.CHL, "multimode", [ds.SST, ds.SLA], widths=(8, 16), steps=1)  # minutes=10
    >>> shares = xgapfill.gates(weights, [ds.SST, ds.SLA])
    >>> shares.sizes["mode"], float(shares.sum("mode").max().round(3))
    (8, 1.0)
    """
    given = of_kind(load(weights), "multimode")
    modes = int(given.card.network["modes"])
    if modes < 2:
        raise ValueError("these weights have one mode, so there is no gate; fit with modes=8")
    fields, like = _fields(cond, given.card.conditions)
    quantity = inputs.read(like, predictor=True)
    axes, grid = quantity.axes[0], quantity.grid
    order = [dim for dim in (axes.time, axes.lat, axes.lon) if dim is not None]
    like = like.transpose(*order)
    lat, lon = like[axes.lat].values, like[axes.lon].values
    values = np.stack([_values(each, like) for each in fields], axis=1)
    sea = seamask.sea(lat, lon)
    wide = np.pad(values, [(0, 0)] * 3 + [(HALO, HALO)], mode="wrap" if grid.periodic else "edge")
    around = np.pad(sea, [(0, 0), (HALO, HALO)], mode="wrap" if grid.periodic else "edge")
    net, found = MultiMode(), []
    for frame in wide:  # one by one: a map may be large
        target = np.zeros((1, 1, len(given.card.targets), *around.shape), np.float32)
        whole = np.concatenate([target, frame[None, None]], axis=2)
        window = Windows(
            values=np.nan_to_num(whole),
            observed=np.isfinite(whole) & (np.arange(whole.shape[2]) >= target.shape[2])[:, None, None],
            sea=around[None],
            channels=given.card.channels,
            targets=target.shape[2],
            starts=np.zeros((1, 3), np.int64),
            lat=lat[None].astype(np.float32),
            lon=np.pad(lon, HALO, mode="edge")[None].astype(np.float32) % 360,
            season=np.zeros((1, 1, 2), np.float32),
            step_days=grid.step_days,
            step_km=np.ones((1, 2), np.float32),
        )
        found.append(np.where(sea, net.shares(window, given)[0, 0, :, :, HALO:-HALO], np.float32(np.nan)))
    stack = np.stack(found, axis=1)
    if axes.time is None:
        stack = stack[:, 0]
    coords = {dim: like[dim] for dim in order}
    attrs = {"long_name": "share of the mode", "units": "1", "xgapfill_weights": given.card.name}
    return xr.DataArray(stack, {"mode": np.arange(1, modes + 1), **coords}, ("mode", *order), "gate", attrs)


def _fields(cond: Predictors, wanted: tuple[str, ...]) -> tuple[list[xr.DataArray], xr.DataArray]:
    """Predictors in the order of the net, and one that has all dimensions; ValueError if some lack or are unknown."""
    listed = list(cond.data_vars.values()) if isinstance(cond, xr.Dataset) else cond
    listed = [listed] if isinstance(listed, xr.DataArray) else list(listed or ())
    named: dict[str, xr.DataArray] = {}
    for each in listed:
        named |= dict.fromkeys(inputs.read(each, predictor=True).variable.channels, each)
    if set(named) != set(wanted):
        raise ValueError(
            f"the net has the predictors {', '.join(wanted) or 'none'}, found {', '.join(named) or 'none'}; give those "
            "of the fit with cond="
        )
    return [named[name] for name in wanted], max(listed, key=lambda each: each.ndim)


def _values(da: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """A predictor as a channel, (t, y, x), on the grid of another one."""
    try:
        xr.align(da, like, join="exact")
    except ValueError as error:
        raise ValueError(f"{da.name} and {like.name} are on different grids; interpolate one: {error}") from error
    variable = inputs.read(da, predictor=True).variable
    raw = da.broadcast_like(like).transpose(*like.dims).values.astype(np.float32)
    raw = raw.reshape(-1, *raw.shape[-2:])
    encoded = variable.encode(raw[None], np.full(raw.shape, np.nan, np.float32))
    return np.where(encoded.observed[0], encoded.values[0], np.float32(np.nan))
