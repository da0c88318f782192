"""Options that the verbs share, and the types of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypedDict

import xarray as xr

from xgapfill.methods import Method
from xgapfill.pipeline import fill

Target: TypeAlias = "xr.DataArray | Sequence[xr.DataArray]"
Conditions: TypeAlias = "xr.DataArray | Sequence[xr.DataArray] | None"
SizeClass: TypeAlias = Literal["micro", "nano", "pico"]
Schedule: TypeAlias = "Literal['fast', 'paper'] | Sequence[tuple[float, float]]"


class Options(TypedDict, total=False):
    """What every verb takes, as described in `repaint`; `insitu` and `error` only methods that weigh observations."""

    sea: Any
    size_class: SizeClass | None
    max_gap: Any
    max_distance: float | None
    full: bool
    insitu: Any
    error: Any


def filled(da: Target, method: Method, options: Options, **more: Any) -> xr.DataArray | xr.Dataset:
    """Fill with the options of a verb; TypeError when there is one that no verb takes."""
    if unknown := sorted(options.keys() - Options.__annotations__.keys()):
        raise TypeError(
            f"{method.name}() takes no {', '.join(unknown)}; its options are {', '.join(Options.__annotations__)}"
        )
    return fill(da, method, **more, **options)
