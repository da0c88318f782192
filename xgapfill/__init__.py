"""Fill the gaps in satellite maps of the ocean: ``import xgapfill`` adds ``.gapfill`` to xarray objects."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xgapfill import accessor as _accessor  # noqa: F401  (registers .gapfill)
from xgapfill import weights
from xgapfill._version import package_version as _package_version
from xgapfill.api.classical import climatology, dctpls, dineof, interpolate, kriging, regression, som
from xgapfill.api.fit import fit
from xgapfill.api.gaps import gaps
from xgapfill.api.generative import background, fill_with, posterior_mean, repaint, vae
from xgapfill.api.plan import plan
from xgapfill.options import set_options

if TYPE_CHECKING:
    from xgapfill import tutorial, validation
    from xgapfill.api.validate import validate
    from xgapfill.api.write import write
    from xgapfill.methods.registry import catalogue as methods
else:
    from xgapfill import methods

__version__ = _package_version()
__all__ = [
    "background",
    "climatology",
    "dctpls",
    "dineof",
    "fill_with",
    "fit",
    "gaps",
    "interpolate",
    "kriging",
    "methods",
    "plan",
    "posterior_mean",
    "regression",
    "repaint",
    "set_options",
    "som",
    "tutorial",
    "vae",
    "validate",
    "validation",
    "weights",
    "write",
]

# Loaded when first used: they bring what most sessions do not need.
_LATER = {
    "tutorial": ("xgapfill.tutorial", None),
    "validation": ("xgapfill.validation", None),
    "validate": ("xgapfill.api.validate", "validate"),
    "write": ("xgapfill.api.write", "write"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'xgapfill' has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = import_module(module)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
