"""How gaps are filled: one file, one method."""

from __future__ import annotations

from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH, Method
from xgapfill.methods.denoising import PosteriorMean, Repaint

METHODS: dict[str, type] = {method.name: method for method in (Background, PosteriorMean, Repaint)}

__all__ = ["BATCH", "METHODS", "Background", "Method", "PosteriorMean", "Repaint"]
