"""Notes on a layer of the graph, for writing its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask

KEY = "xgapfill"


@dataclass(frozen=True)
class LayerNotes:
    """Notes on a lazy result, kept as an annotation of its layer.

    Attributes
    ----------
    identity : str
        Token of everything on which the result depends, except times and values.
    halo : int or None
        Frames before the end that a new frame changes; None: all of them.
    frames : int or None
        Frames in a block; None: all of them.
    shares : bool
        Whether blocks share chunks of dask arrays.
    """

    identity: str
    halo: int | None
    frames: int | None
    shares: bool

    def annotate(self) -> Any:
        """Return a context in which new layers get these notes."""
        return dask.annotate(**{KEY: self})

    @classmethod
    def of(cls, array: Any) -> LayerNotes | None:
        """Return the notes on a dask array; None if something was computed from the result since."""
        layer = getattr(array.dask, "layers", {}).get(array.name)
        notes = (getattr(layer, "annotations", None) or {}).get(KEY)
        return notes if isinstance(notes, cls) else None
