"""The verbs: `fill` for any method, and one verb per method of the package, generated from its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import xarray as xr

from xgapfill import pipeline
from xgapfill.api.signatures import (
    OPTIONS_OF_FILL,
    PREDICTORS,
    TARGET,
    bound,
    document_of,
    dressed,
    options_document,
    options_of,
    positional,
    signature_of,
)
from xgapfill.kernel.options import FillOptions
from xgapfill.methods.base import Method
from xgapfill.methods.registry import BUILT_IN, find, parameters_of

Target: TypeAlias = "xr.DataArray | Sequence[xr.DataArray]"
Predictors: TypeAlias = "xr.DataArray | Sequence[xr.DataArray] | None"

_FILL = """Fill gaps with any method, given by name or as an object.

``da.gapfill.fill(method, ...)`` is equivalent. Verbs such as ``xgapfill.repaint(da, ...)`` fill with one method."""
_METHOD = """method : str or Method
    Name of a method (`xgapfill.list_methods` shows them), or an object of a class that extends
    `xgapfill.methods.Method`; it needs no registration."""
_PARAMETERS = """**parameters
    Parameters of a method given by name.

Returns
-------
DataArray or Dataset
    As from `xgapfill.repaint`.

Raises
------
TypeError, ValueError
    As `xgapfill.repaint`, and for an unknown method or an unknown parameter of the method.

Examples
--------
>>> import xgapfill
>>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
>>> xgapfill.fill(ds.CHL, "background").equals(xgapfill.background(ds.CHL))
True
"""


def _filling() -> Callable[..., Any]:
    signature = signature_of(
        [positional("da"), positional("method"), positional("cond", None)], OPTIONS_OF_FILL, more=True
    )

    def fill(*given: Any, **keywords: Any) -> xr.DataArray | xr.Dataset:
        call = bound(signature, "fill", given, keywords)
        da, method, cond, parameters = (call.pop(name) for name in ("da", "method", "cond", "parameters"))
        return pipeline.fill(da, find(method, **parameters), cond, FillOptions(**call))

    own = "\n".join([TARGET, _METHOD, PREDICTORS])
    document = options_document(_FILL, own, OPTIONS_OF_FILL)
    return dressed(fill, "fill", signature, f"{document}\n{_PARAMETERS}")


def verb_of(kind: type[Method]) -> Callable[..., Any]:
    """The verb of a method: ``verb(da, cond=None, *, <its parameters>, <options of a fill>)``."""
    own, options = parameters_of(kind), options_of(kind)
    signature = signature_of([positional("da"), positional("cond", None)], own | options)

    def verb(*given: Any, **keywords: Any) -> xr.DataArray | xr.Dataset:
        call = bound(signature, kind.name, given, keywords)
        da, cond = call.pop("da"), call.pop("cond")
        method = kind(**{name: call.pop(name) for name in own})
        return pipeline.fill(da, method, cond, FillOptions(**call))

    return dressed(verb, kind.name, signature, document_of(kind))


fill = _filling()
VERBS: dict[str, Callable[..., Any]] = {kind.name: verb_of(kind) for kind in BUILT_IN}
