"""A simulated ocean with known truth: stirred chlorophyll, temperature and size classes, and cloud gaps.

A periodic box is stirred by a random streamfunction (power-law spectrum, memory that decreases with scale). Tracers are
advected by a semi-Lagrangian scheme with cubic splines in daily steps, relaxed to patchy sources, weakly diffused, and
averaged to composites. Everything is numpy; a seed fixes every value.
"""

from xgapfill.simulate.clouds import clouds
from xgapfill.simulate.forcing import Forcing, forcing
from xgapfill.simulate.monthly import REGIMES, Monthly, simulate_months
from xgapfill.simulate.ocean import Ocean, simulate, size_class_anomalies
from xgapfill.simulate.regime import Regime, draw_regime

__all__ = [
    "REGIMES",
    "Forcing",
    "Monthly",
    "Ocean",
    "Regime",
    "clouds",
    "draw_regime",
    "forcing",
    "simulate",
    "simulate_months",
    "size_class_anomalies",
]
