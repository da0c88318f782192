"""Physical variables, one file per variable: names, units, valid range, transform and priors."""

from xgapfill.variables.base import Encoded, ErrorUnits, Given, Variable
from xgapfill.variables.chlorophyll import Chlorophyll
from xgapfill.variables.kinds import Bounded, Plain, Positive
from xgapfill.variables.prior import Prior
from xgapfill.variables.registry import known, priors, recognise, register
from xgapfill.variables.size_classes import SizeClasses
from xgapfill.variables.temperature import Temperature

__all__ = [
    "Bounded",
    "Chlorophyll",
    "Encoded",
    "ErrorUnits",
    "Given",
    "Plain",
    "Positive",
    "Prior",
    "SizeClasses",
    "Temperature",
    "Variable",
    "known",
    "priors",
    "recognise",
    "register",
]
