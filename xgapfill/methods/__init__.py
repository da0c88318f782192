"""How gaps are filled: one file, one method; called, ``xgapfill.methods()`` lists them."""

from __future__ import annotations

import sys
from types import ModuleType

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH, Method, NetMethod, SeriesMethod
from xgapfill.methods.posterior_mean import PosteriorMean
from xgapfill.methods.registry import Catalogue, catalogue, find
from xgapfill.methods.repaint import Repaint
from xgapfill.methods.vae import Vae

__all__ = [
    "BATCH",
    "Background",
    "Catalogue",
    "Filled",
    "Method",
    "NetMethod",
    "Noise",
    "PosteriorMean",
    "Repaint",
    "Series",
    "SeriesMethod",
    "Tiling",
    "Vae",
    "Windows",
    "find",
]


class _Methods(ModuleType):
    """A module that can be called."""

    def __call__(self) -> Catalogue:
        return catalogue()


_Methods.__call__.__doc__ = catalogue.__doc__
sys.modules[__name__].__class__ = _Methods
