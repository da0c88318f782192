"""What a method makes of pixels that were seen, before the observations are put back over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill import inputs
from xgapfill.fill import kernel_of, lay_out, read_case, with_observations
from xgapfill.grid import Box
from xgapfill.methods import Method
from xgapfill.planning import Look
from xgapfill.weights import Weights


class _Unpasted(Look):
    """A kernel that puts nothing back."""

    def given(self, fitted: Weights) -> _Unpasted:
        """With weights that were fitted on the series that is filled."""
        return _Unpasted(self.kernel.given(fitted))

    def __call__(self, arrays: list[NDArray], box: Box, core: Box) -> NDArray:
        known = self.kernel.encode(arrays, box)
        blend = self.kernel.blend(known, box, core)
        inside = known.within(core.within(box))
        nothing = inside._replace(observed=np.zeros_like(inside.observed))
        return self.kernel.decode(nothing, self.kernel.raw(arrays, box, core), blend)


def unpasted(target: xr.DataArray, method: Method, cond: Any, settings: Mapping[str, Any]) -> NDArray:
    """Fill without putting back what was observed: one member of methods that draw. Computes.

    Parameters
    ----------
    target, method, cond
        As of `xgapfill.fill.fill`.
    settings : mapping
        Its ``weights``, ``insitu``, ``error``, ``sea``, ``size_class`` and ``seed``; a method of series needs its
        weights.

    Returns
    -------
    (p, t, y, x) float
        Physical values, NaN where no window was filled: those without any gap are left alone. Parts in the order of
        the family, the other axes in that of the target.
    """
    case = read_case(target, method, cond, settings["weights"], settings["size_class"])
    case = with_observations(case, method, settings["insitu"], settings["error"])
    mask = inputs.read_sea(settings["sea"], case.quantity)
    kernel = kernel_of(case, method, seed=settings["seed"], sea=None if mask is None else mask[0])
    stack = lay_out(case, _Unpasted(kernel), layers=kernel.layers, dtype=np.float32, mask=mask)
    return np.asarray(stack.compute())
