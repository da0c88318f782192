"""Support: the share of an answer that comes from observations rather than from the prior.

For a Gaussian estimate it is 1 - spread^2 / prior spread^2: 1 where the value is known, 0 where the prior alone speaks.
The same formula serves every method, with the spread that it states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.shared_prior import BANDS, REST, SharedPrior
from xgapfill.variables import Variable, priors


@dataclass(frozen=True)
class Support:
    """Prior variances of the targets, and the least support of a pixel that is filled.

    Attributes
    ----------
    variances : tuple of float
        Of each target channel, before anything is observed.
    least : float or None
        Pixels with less support stay missing; None: all are filled.
    """

    variances: tuple[float, ...]
    least: float | None = None

    @classmethod
    def of(cls, least: Any, full: bool, variable: Variable, shared: SharedPrior | None) -> Support | None:
        """Support of a call, None if it is not asked for.

        Raises
        ------
        ValueError
            `least` is not a share, or the usual spread of the variable is unknown.
        """
        number = isinstance(least, int | float | np.number) and not isinstance(least, bool)
        if least is not None and not (number and 0 < least <= 1):
            raise ValueError(
                f"min_support must be a share of more than 0 and at most 1, found {least!r}; None sets no limit"
            )
        if least is None and not full:
            return None
        times = REST + sum(BANDS) if shared is not None else 1.0
        sds = [_sd(variable, name, shared, number) for number, name in enumerate(variable.channels)]
        if least is not None and not all(sds):
            raise ValueError(f"min_support: the usual spread of {variable.name} is not known; leave min_support out")
        return cls(tuple(times * sd**2 for sd in sds), None if least is None else float(least))

    def share(
        self, spread: NDArray[np.float32], weight: NDArray[np.float32], scale: NDArray | None
    ) -> NDArray[np.float32]:
        """Support of each pixel (t, y, x), given weighted sums of spreads (k, t, y, x), targets first.

        Parameters
        ----------
        spread, weight
            Of a blend.
        scale : (k, 1, y, x) or None
            Spread of the anomalies from the season, in prior standard deviations.
        """
        left, whole = np.zeros(weight.shape, np.float32), np.zeros(weight.shape, np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            for k, variance in enumerate(self.variances):
                left += np.square(spread[k] / weight)
                whole += np.float32(variance) * (1 if scale is None else np.square(scale[k], dtype=np.float32))
            return np.clip(1 - left / whole, 0, 1).astype(np.float32)


def _sd(variable: Variable, name: str, shared: SharedPrior | None, number: int) -> float:
    """Prior standard deviation of a channel, 0 if it is unknown."""
    if shared is not None:
        return shared.channels[number].sd
    return float(variable.usual_sd or 0) if variable.levelled else float(priors()[name].variance ** 0.5)
