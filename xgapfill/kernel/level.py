"""Levels of windows: channels without a prior of their own are centred and scaled by their observations in a window.

Methods without weights then see a channel of mean 0 and variance 1, whatever its units, and one general prior suits it.
The centre is the median, the scale comes from quantiles, so that single outliers do not count. With few observations
the scale shrinks to the usual one of the variable. Both depend on the window alone, so that results do not depend on
chunks. Weights are in the units of the channel, so that methods with weights see it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.priors import DEPENDENT_PIXELS
from xgapfill.lattice.windows import Filled, Windows
from xgapfill.variables import Variable
from xgapfill.variables.prior import median_and_spread

FEW = 5.0
"""Pseudo-count, in independent samples, of the usual scale of a variable."""
LEAST = 0.02
"""Scale as a share of the centre, where a variable has no usual scale and all values of a window are the same."""


@dataclass(frozen=True)
class Level:
    """Centre and scale of each channel of a batch of windows, (b, 1, c, 1, 1)."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, windows: Windows, usual: Mapping[str, float | None]) -> Level:
        """Return the level of a batch; `usual` has the usual scale of each levelled channel, None if unknown."""
        b, _, c = windows.values.shape[:3]
        centre, scale = np.zeros((b, 1, c, 1, 1), np.float32), np.ones((b, 1, c, 1, 1), np.float32)
        for number, channel in enumerate(windows.channels):
            if channel not in usual:
                continue
            for window in range(b):
                values = windows.values[window, :, number][windows.observed[window, :, number]]
                if values.size:
                    at = window, 0, number, 0, 0
                    centre[at], scale[at] = _level(values.astype(np.float64), usual[channel])
        return cls(centre, scale)

    def put_on(self, windows: Windows) -> Windows:
        """Return the windows with levelled channels."""
        values = np.where(windows.observed, (windows.values - self.centre) / self.scale, np.float32(0))
        variance = None if windows.variance is None else windows.variance / self.scale**2
        return replace(windows, values=values, variance=variance)

    def taken_off(self, filled: Filled) -> Filled:
        """Return the result in the units of the channels."""
        return Filled(filled.values * self.scale + self.centre, filled.spread * self.scale)


def levelled(variables: Sequence[Variable]) -> dict[str, float | None]:
    """Levelled channels of variables, and their usual scale, None if unknown."""
    return {channel: each.usual_sd for each in variables if each.levelled for channel in each.channels}


def _level(values: NDArray[np.float64], usual: float | None) -> tuple[float, float]:
    """Median of values and their robust standard deviation, shrunk to the usual one where they are few."""
    middle, found = median_and_spread(values)
    if found == 0:  # more than nine in ten values are the same
        found = float(values.std()) or (LEAST * abs(middle) if usual is None else 0.0)
    expected = found if usual is None else usual
    independent = values.size / DEPENDENT_PIXELS
    variance = (independent * found**2 + FEW * expected**2) / (independent + FEW)
    return middle, float(np.sqrt(variance)) or 1.0
