"""Fill the gaps in satellite maps of the ocean: ``import xgapfill`` adds ``.gapfill`` to xarray objects."""

from __future__ import annotations

from typing import Any

import lazy_loader

from xgapfill import accessor as _accessor  # noqa: F401  (registers .gapfill)
from xgapfill import methods, weights
from xgapfill._version import package_version as _package_version
from xgapfill.api.calibrate import calibrate
from xgapfill.api.drivers import drivers
from xgapfill.api.fit import fit
from xgapfill.api.gaps import gaps
from xgapfill.api.gates import gates
from xgapfill.api.plan import plan
from xgapfill.api.recommend import recommend
from xgapfill.api.report import report
from xgapfill.api.season import season
from xgapfill.api.sensors import sensors
from xgapfill.api.validate import validate
from xgapfill.api.verbs import VERBS as _VERBS
from xgapfill.api.verbs import fill
from xgapfill.api.write import write
from xgapfill.methods.registry import list_methods
from xgapfill.options import set_options

__version__ = _package_version()
_later, _, _modules = lazy_loader.attach(__name__, submodules=["plot", "testing", "tutorial", "validation"])
globals().update(_VERBS)  # repaint, posterior_mean, background ...: one per method of the package
__all__ = [
    "calibrate",
    "drivers",
    "fill",
    "fit",
    "gaps",
    "gates",
    "list_methods",
    "methods",
    "plan",
    "recommend",
    "report",
    "season",
    "sensors",
    "set_options",
    "validate",
    "weights",
    "write",
]
__all__ += [*_modules, *_VERBS]


def __getattr__(name: str) -> Any:
    return _later(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
