"""Reads the channels of a call for what lies beyond windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.kernel.arrays import Layout
from xgapfill.kernel.drivers import Drivers
from xgapfill.kernel.encode import BoxChannels, Encoder
from xgapfill.kernel.sensors import Sensors
from xgapfill.lattice.grid import Box, Grid


@dataclass(frozen=True)
class Reader:
    """Reads the channels of a call for the prior, without errors and sea mask; frozen and picklable.

    Attributes
    ----------
    encoder : Encoder
    prior : SharedPrior or None
    drivers : Drivers or None
        Drivers, whose part is taken from the target first.
    sensors : Sensors or None
        Other sensors; their arrays follow those of the drivers.
    """

    encoder: Encoder
    prior: Any
    drivers: Drivers | None = None
    sensors: Sensors | None = None

    @property
    def grid(self) -> Grid:
        """Lattice of the target."""
        return self.encoder.grid

    @property
    def count(self) -> int:
        """Number of arrays of the variables, the drivers and their relation."""
        return sum(self.layout.parts) + self.layout.drivers

    @property
    def layout(self) -> Layout:
        """Order of the arrays."""
        parts = tuple(each.parts for each in self.encoder.variables)
        return Layout(parts, drivers=0 if self.drivers is None else self.drivers.arrays)

    def read(self, arrays: Sequence[Any], box: Box) -> BoxChannels:
        """Channels on a box, with what the drivers tell of them."""
        given, nowhere = self.layout.named(arrays[: self.count]), np.broadcast_to(np.False_, box.shape)
        known = self.encoder.channels_of(given, nowhere, nowhere)
        if self.drivers is None:
            return known
        return known._replace(driven=self.drivers.on(given.drivers, self.grid, box))

    def departures(self, known: BoxChannels) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Departures of the channels of a box from their prior, and where they are observed."""
        return self.prior.departures(known.anomalies(), known.observed)

    def departures_of_others(
        self, known: BoxChannels, arrays: Sequence[Any], placed: Callable[[NDArray[np.float32]], NDArray]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Departures of the target's channels where other sensors alone tell of them, and error variances, else NaN."""
        assert self.sensors is not None
        targets = self.prior.targets
        seen = self.sensors.said(arrays[self.count : self.count + self.sensors.arrays], placed)
        said, variance, _ = self.sensors.of_channels(seen)
        there = np.isfinite(said) & ~known.observed[:targets]
        values, observed = known.values.copy(), known.observed.copy()
        observed[:targets] = there
        values[:targets] = np.where(there, said, 0)
        found, there = self.departures(known._replace(values=values, observed=observed))
        sd = np.array([each.sd or 1 for each in self.prior.channels[:targets]])[:, None, None, None]
        return found[:targets], np.where(there[:targets], variance / sd**2, np.nan)
