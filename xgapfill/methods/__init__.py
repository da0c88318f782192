"""How gaps are filled: one file, one method; called, ``xgapfill.methods()`` lists them."""

from __future__ import annotations

import sys
from types import ModuleType

from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH, Method, NetMethod, SeriesMethod
from xgapfill.methods.denoising import PosteriorMean, Repaint
from xgapfill.methods.registry import Catalogue, catalogue, find
from xgapfill.methods.vae import Vae

__all__ = [
    "BATCH",
    "Background",
    "Catalogue",
    "Method",
    "NetMethod",
    "PosteriorMean",
    "Repaint",
    "SeriesMethod",
    "Vae",
    "find",
]


class _Methods(ModuleType):
    """A module that can be called."""

    def __call__(self) -> Catalogue:
        return catalogue()


_Methods.__call__.__doc__ = catalogue.__doc__
sys.modules[__name__].__class__ = _Methods
