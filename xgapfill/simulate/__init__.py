"""A simulated ocean whose truth is known: stirred chlorophyll, temperature and size classes, and clouds over them.

A periodic box is stirred by a random streamfunction (power-law spectrum, memory that shrinks with scale). Tracers are
carried semi-Lagrangian with cubic splines in steps of a day, relaxed to patchy sources, mixed a little, and averaged
to composites. Everything is numpy; a seed fixes every value.
"""

from xgapfill.simulate.clouds import clouds
from xgapfill.simulate.ocean import Ocean, simulate, size_class_anomalies
from xgapfill.simulate.regime import Regime, draw_regime

__all__ = ["Ocean", "Regime", "clouds", "draw_regime", "simulate", "size_class_anomalies"]
