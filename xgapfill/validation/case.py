"""A field with withheld observations and their truth."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import read as inputs
from xgapfill.inputs.conditions import conditions
from xgapfill.inputs.insitu import read_samples
from xgapfill.validation.masks import load, transplanted


@dataclass(frozen=True)
class Withheld:
    """A field with withheld observations, parts in the order of the variable.

    Attributes
    ----------
    quantity : Quantity
    shown : DataArray, the input of methods
    truth : (p, t, y, x) float in the units of scores
    observed : (t, y, x) bool, observed pixels of the input
    hidden : (t, y, x) bool, withheld pixels, which are scored
    """

    quantity: inputs.Quantity
    shown: xr.DataArray
    truth: NDArray
    observed: NDArray[np.bool_]
    hidden: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        target: xr.DataArray,
        truth: xr.DataArray | None,
        masks: Any,
        seed: int,
        size_class: str | None,
        time_step: Any = None,
        transform: Any = None,
    ) -> Withheld:
        """Withhold pixels by masks, or take missing pixels with a known truth; arguments as in `validate`."""
        quantity = inputs.read(target, size_class, None, time_step, transform)
        target = quantity.arrays[0].compute()  # a copy: the user's array stays unchanged
        values = quantity.variable.score(cube(target, quantity))
        observed = np.isfinite(values).all(axis=0)
        if truth is not None:
            if masks is not None:
                raise ValueError("expected masks= or truth=, found both; with a truth nothing needs to be hidden")
            _, truth = xr.align(target, truth, join="exact", copy=False)
            answer = quantity.variable.score(cube(truth.compute(), quantity))
            hidden = ~np.isfinite(values).any(axis=0) & np.isfinite(answer).all(axis=0)
            values = np.where(hidden, answer, values)
        else:
            hidden = _mask(masks, quantity, observed, seed) & observed
            target = target.where(~_like(hidden, quantity))
        if not hidden.any():
            raise ValueError("no pixels are hidden, so none can be scored; give other masks, more frames or a truth")
        return cls(quantity, target, values, observed & ~hidden, hidden)

    def without(self, insitu: Any, cond: Any) -> Withheld:
        """Exclude pixels with samples of the target from the scores; they stay hidden."""
        variable, maps = self.quantity.variable, (self.quantity, *conditions(cond, self.quantity))
        whole = variable.whole.channels if variable.whole else ()
        channels = dict.fromkeys([*(channel for each in maps for channel in each.variable.channels), *whole])
        samples = read_samples(insitu, maps, [*channels])
        if samples is None:
            return self
        grid, own = self.quantity.grid, samples.channels < len(variable.channels)
        at = np.stack(
            [
                grid.index_slots(samples.slots[own]),
                grid.index_rows(samples.rows[own]),
                grid.index_cols(samples.cols[own]),
            ]
        )
        hidden = self.hidden.copy()
        hidden[tuple(at[:, (at >= 0).all(axis=0)])] = False
        if not hidden.any():
            raise ValueError("all hidden pixels have samples, so none can be scored; give other masks")
        return replace(self, hidden=hidden)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the parts, if there are several."""
        return self.quantity.variable.part_names if self.quantity.variable.parts > 1 else ()


def cube(array: xr.DataArray, quantity: inputs.Quantity) -> NDArray:
    """Values as (p, t, y, x), parts in the order of the variable."""
    axes = quantity.axes[0]
    order = [dim for dim in (quantity.class_dim, *axes.dims) if dim is not None]
    values = array.transpose(*order).values
    if axes.time is None:
        values = np.expand_dims(values, -3)
    order_of_parts = [place.index for place in quantity.places if place.index is not None]
    return values[order_of_parts] if order_of_parts else values[None]


def _mask(masks: Any, quantity: inputs.Quantity, observed: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Mask of pixels to hide, (t, y, x), from any masks of `validate`."""
    if masks is None:
        return transplanted(observed, seed=seed)
    if isinstance(masks, str | os.PathLike):
        masks = load(masks)
    if isinstance(masks, xr.DataArray):
        (masks,) = xr.broadcast(masks, exclude=masks.dims)
        axes = quantity.axes[0]
        masks = masks.transpose(*(dim for dim in axes.dims if dim is not None)).values
    masks = np.asarray(masks)
    if masks.ndim == 2:
        masks = masks[None]
    if masks.shape != observed.shape or masks.dtype != bool:
        raise ValueError(
            f"masks must be bool of shape {observed.shape} (time, lat, lon), found {masks.dtype} {masks.shape}"
        )
    return masks


def _like(hidden: NDArray[np.bool_], quantity: inputs.Quantity) -> xr.DataArray:
    """A (t, y, x) array with the dimensions of the target."""
    axes = quantity.axes[0]
    if axes.time is None:
        return xr.DataArray(hidden[0], dims=(axes.lat, axes.lon))
    return xr.DataArray(hidden, dims=axes.dims)
