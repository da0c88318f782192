"""Registry of methods: those of the package and those that other packages add by an entry point."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pandas as pd

from xgapfill.methods.background import Background
from xgapfill.methods.base import Method
from xgapfill.methods.cascade import Cascade
from xgapfill.methods.climatology import Climatology
from xgapfill.methods.dctpls import DctPls
from xgapfill.methods.dincae import Dincae
from xgapfill.methods.dineof import Dineof
from xgapfill.methods.interpolate import Interpolate
from xgapfill.methods.kriging import Kriging
from xgapfill.methods.multimode import MultiMode
from xgapfill.methods.posterior_mean import PosteriorMean
from xgapfill.methods.regression import Regression
from xgapfill.methods.repaint import Repaint
from xgapfill.methods.response import Response
from xgapfill.methods.smaat import Smaat
from xgapfill.methods.som import Som
from xgapfill.methods.vae import Vae
from xgapfill.methods.vconstruct import VConstruct

GROUP = "xgapfill.methods"

BUILT_IN: tuple[type[Method], ...] = (
    Repaint,
    Vae,
    PosteriorMean,
    Background,
    Kriging,
    DctPls,
    Interpolate,
    Regression,
    Climatology,
    Dineof,
    Som,
    Dincae,
    VConstruct,
    MultiMode,
    Smaat,
    Response,
    Cascade,
)
"""A new method is one file and one name in this list: verbs, accessor, table, documents and laws follow from it."""


def list_methods() -> pd.DataFrame:
    """List the methods: what each needs, how it uses predictors, what it returns and what it costs.

    Other packages add methods by the entry-point group ``xgapfill.methods`` (name = "module:class").

    Returns
    -------
    DataFrame
        One row per method, indexed by name; ``core_seconds`` per window of 5 x 64 x 64 pixels.

    Examples
    --------
    >>> import xgapfill
    >>> xgapfill.list_methods().loc["background", "gives"]
    'error, or members'
    """
    rows = {kind.name: _row(kind) for kind in BUILT_IN}
    for name, point in _foreign().items():
        try:
            rows[name] = _row(point.load())
        except Exception as error:  # a broken plugin must not break the table
            note = f"cannot be loaded: {type(error).__name__}: {error}"
            rows[name] = {"needs": note, "predictors": "", "gives": "", "core_seconds": "", "suits": "", "summary": ""}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "method"
    return table


def _row(kind: type[Method]) -> dict[str, str]:
    row = {"needs": kind.needs, "predictors": kind.predictors, "gives": kind.gives, "core_seconds": kind.costs}
    return row | {"suits": kind.suits, "summary": summary(kind)}


def summary(kind: type[Method]) -> str:
    """First line of the documentation of a method."""
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def _foreign() -> Mapping[str, EntryPoint]:
    """Entry points of other packages; they cannot replace a method of this one."""
    own = {kind.name for kind in BUILT_IN}
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in own}


def parameters_of(kind: type[Method]) -> dict[str, Any]:
    """Parameters that users give to a method, with their defaults."""
    signature = inspect.signature(kind).parameters
    known: tuple[Field[Any], ...] = fields(kind) if is_dataclass(kind) else ()
    internal = {each.name for each in known if each.metadata.get("internal")}
    return {name: each.default for name, each in signature.items() if name not in internal}


def find(method: str | Method, **parameters: Any) -> Method:
    """Return a method object, made from its name and its parameters, or the object itself.

    Raises
    ------
    ValueError
        No method has this name, or parameters are given with an object.
    TypeError
        `method` is not a method, or the method has no such parameter.
    """
    if isinstance(method, str):
        kind = _named(method)
        known = parameters_of(kind)
        for name in parameters:
            if name not in known:
                raise TypeError(unknown_parameter(method, name, known))
        return kind(**parameters)
    if isinstance(method, type):
        raise TypeError(f"expected a method, found the class {method.__name__}; make an object: {method.__name__}()")
    if not isinstance(method, Method):
        raise TypeError(
            f"expected the name of a method or an object of a class that extends xgapfill.methods.Method; found "
            f"{type(method).__name__}"
        )
    if parameters:
        raise ValueError(f"parameters {sorted(parameters)} belong to a method given by name; set them on the object")
    return method


def _named(name: str) -> type[Method]:
    known = {kind.name: kind for kind in BUILT_IN}
    foreign = _foreign()
    if name in known:
        return known[name]
    if name in foreign:
        kind = foreign[name].load()
        if not (isinstance(kind, type) and issubclass(kind, Method)):
            raise TypeError(f"{foreign[name].value}, registered as {name!r}, does not extend xgapfill.methods.Method")
        return kind
    raise ValueError(
        f"there is no method {name!r}{close(name, [*known, *foreign])}; methods: {', '.join([*known, *foreign])}"
    )


def unknown_parameter(method: str, name: str, known: Any) -> str:
    """Message for a parameter that a method does not have."""
    listed = ", ".join(known) or "none"
    return f"{method} has no parameter {name!r}{close(name, known)}; its parameters are {listed}"


def close(name: str, known: Any) -> str:
    """Ask for the nearest known name; empty when there is none."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
