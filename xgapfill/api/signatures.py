"""Builds signatures and docstrings of the verbs from the methods and options, so each parameter is documented once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from inspect import Parameter, Signature
from typing import Any

from xgapfill.kernel.options import FillOptions
from xgapfill.methods.base import Method
from xgapfill.methods.registry import parameters_of, unknown_parameter

OPTIONS_OF_FILL = {each.name: each.default for each in fields(FillOptions)}
OF_ERRORS, OF_MEANS = ("insitu", "error"), ("interval", "calibration")
RESULT = "xr.DataArray | xr.Dataset"

TARGET = """da : DataArray or sequence of three
    The target, NaN where missing: chlorophyll (mg m-3), phytoplankton size classes (with a dimension labelled
    micro, nano, pico; as three arrays; or a single class; fractions, or mg m-3 that sum to chlorophyll), sea
    surface temperature, or any other variable, recognised or with ``transform=``. Floating dtype, dimensions time
    (optional), latitude and longitude in any order, equal steps. In memory, lazily opened from a file (best: one
    task per block), or as dask arrays."""
PREDICTORS = """cond : DataArray, sequence of DataArrays or Dataset, optional
    Predictor(s) on the grid of the target, with all its times or without time: chlorophyll for size classes, and any
    number of others of any kind (temperature, sea level, wind, depth), networks those of their weights."""
RETURNS = """DataArray or Dataset
    Like `da`, as dask arrays; nothing is computed before the result is. Observed pixels are returned bit for
    bit; land stays missing. Several statistics or a function give a Dataset with ``<name>_<statistic>`` and
    ``<name>_<function>_<statistic>``. With `full`, or for three arrays, a Dataset: the variable, ``<name>_spread``
    (one standard deviation of the error of the mean, 0 where observed), if filled as log10 ``<name>_spread_log10``, and
    ``<name>_status`` (observed, filled, too_little_context, outside_training_range, invalid_input, land), and
    ``<name>_support`` (share of the answer that comes from observations rather than from the prior, 0 to 1). With
    `interval`, a Dataset with ``<name>_lower`` and ``<name>_upper`` as well."""
RAISES = """TypeError
    The dtype is not floating, or a parameter does not exist.
ValueError
    Coordinates, units, names, grids or weights do not fit; the message says what to do."""


def options_of(kind: type[Method]) -> dict[str, Any]:
    """Options of a fill that a method takes, with their defaults."""
    left_out = {
        *(OF_MEANS if inspect.getattr_static(kind, "draws") is True else ()),
        *(() if kind.takes_errors else OF_ERRORS),
        *(() if kind.takes_weights else ("weights",)),
        *parameters_of(kind),
    }
    return {name: default for name, default in OPTIONS_OF_FILL.items() if name not in left_out}


def signature_of(first: Iterable[Parameter], keywords: Mapping[str, Any], *, more: bool = False) -> Signature:
    """Signature of positional parameters and keywords; `more` adds ``**parameters`` of a method given by name."""
    named = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in keywords.items()]
    rest = [Parameter("parameters", Parameter.VAR_KEYWORD)] if more else []
    return Signature([*first, *named, *rest], return_annotation=RESULT)


def positional(name: str, default: Any = Parameter.empty) -> Parameter:
    """A parameter that may be passed by position or by name."""
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)


def bound(signature: Signature, name: str, given: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call by name; TypeError for an unknown parameter lists the known ones."""
    open_ended = any(each.kind is Parameter.VAR_KEYWORD for each in signature.parameters.values())
    if not open_ended:
        for word in keywords:
            if word not in signature.parameters:
                raise TypeError(unknown_parameter(name, word, signature.parameters))
    try:
        arguments = signature.bind(*given, **keywords)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    arguments.apply_defaults()
    return dict(arguments.arguments)


def dressed(function: Callable[..., Any], name: str, signature: Signature, document: str) -> Callable[..., Any]:
    """Set the name, the signature and the docstring of a function."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "xgapfill"
    function.__doc__ = document
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def document_of(kind: type[Method]) -> str:
    """Numpydoc of the verb of a method: summary and parameters of its class, then the options that it takes."""
    sections = _sections(inspect.getdoc(kind) or "")
    own, options = _entries(sections.get("Parameters", "")), _entries(_sections(_options_text())["Parameters"])
    names = options_of(kind)
    listed = [own[name] for name in parameters_of(kind) if name in own] + [options[name] for name in names]
    parts = [
        sections[""],
        _section("Parameters", "\n".join([TARGET, PREDICTORS, *dict.fromkeys(listed)])),
        _section("Returns", RETURNS),
        _section("Raises", "\n".join([RAISES, *filter(None, [sections.get("Raises", "")])])),
    ]
    parts += [_section(title, sections[title]) for title in ("References", "Examples") if title in sections]
    return "\n\n".join(parts) + "\n"


def options_document(summary: str, own: str, names: Iterable[str]) -> str:
    """Numpydoc of a function that takes options of a fill after its own parameters."""
    options = _entries(_sections(_options_text())["Parameters"])
    text = "\n".join([own, *dict.fromkeys(options[name] for name in names)])
    return "\n\n".join([summary, _section("Parameters", text)])


def _options_text() -> str:
    return inspect.getdoc(FillOptions) or ""


def _section(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"


def _sections(document: str) -> dict[str, str]:
    """Sections of a numpydoc text by title; the text before them has the title ''."""
    parts = re.split(r"^(\w[\w ]*)\n-+\n", document, flags=re.M)
    return {"": parts[0].strip(), **{parts[k]: parts[k + 1].rstrip() for k in range(1, len(parts), 2)}}


def _entries(text: str) -> dict[str, str]:
    """Entries of a section by parameter name."""
    found = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        for name in entry.partition(" : ")[0].split(", "):
            found[name] = entry
    return found
