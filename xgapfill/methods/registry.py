"""Which methods there are: those of the package and those that other packages add by an entry point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from xgapfill.methods.base import Method

GROUP = "xgapfill.methods"


@dataclass(frozen=True)
class Entry:
    """What is known of a method without running it.

    Attributes
    ----------
    name : str
        As in ``da.gapfill.<name>()`` or ``da.gapfill("<name>")``.
    where : str
        ``module:class``.
    needs : str
        What it must be given or fitted on, beside the data.
    conditions : str
        What it does with ``cond=``.
    gives : str
        Members, an error estimate.
    costs : str
        Core-seconds a window of 5 x 64 x 64 of chlorophyll, by ``python tests/bench windows`` on one core.
    """

    name: str
    where: str
    needs: str
    conditions: str
    gives: str
    costs: str

    def load(self) -> type[Any]:
        """Return the class."""
        module, name = self.where.split(":")
        found: type[Any] = getattr(import_module(module), name)
        return found


def _entry(name: str, kind: str, *said: str) -> Entry:
    return Entry(name, f"xgapfill.methods.{kind}", *said)


BUILT_IN = (
    _entry("repaint", "repaint:Repaint", "weights", "those of the weights", "members", "0.23 a member"),
    _entry("vae", "vae:Vae", "weights", "those of the weights", "members", "0.07 a member"),
    _entry("posterior_mean", "posterior_mean:PosteriorMean", "weights", "those of the weights", "error", "0.034"),
    _entry("background", "background:Background", "nothing", "regression", "error", "0.01"),
    _entry("kriging", "kriging:Kriging", "nothing", "regression", "error, or members", "0.05"),
    _entry("dctpls", "dctpls:DctPls", "nothing", "regression", "error", "0.016"),
    _entry(
        "interpolate", "interpolate:Interpolate", "nothing", "regression where nothing was observed", "error", "0.013"
    ),
    _entry("regression", "regression:Regression", "conditions", "regression", "error", "0.0001"),
    _entry(
        "climatology", "climatology:Climatology", "series", "regression where nothing was observed", "error", "0.0001"
    ),
    _entry("dineof", "dineof:Dineof", "a fit on series", "expanded together", "error", "0.0004, and the fit"),
    _entry("som", "som:Som", "a fit on series", "components of the map", "error", "0.006, and the fit"),
)


class Catalogue(Mapping[str, Entry]):
    """Methods by name; shows itself as a table."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _rows(self) -> list[tuple[str, ...]]:
        heads = ("name", "needs", "conditions", "gives", "core-seconds a window")
        return [heads, *((e.name, e.needs, e.conditions, e.gives, e.costs) for e in self.values())]

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{cells}</table>"


def catalogue() -> Catalogue:
    """List the methods: what each needs, what it makes of conditions, what it gives and what it costs.

    Other packages add methods through the entry-point group ``xgapfill.methods`` (name = "module:class").

    Returns
    -------
    Catalogue
        A mapping of name to `Entry`, shown as a table.

    Examples
    --------
    >>> import xgapfill
    >>> xgapfill.methods()["background"].gives
    'error'
    """
    entries = {entry.name: entry for entry in BUILT_IN}
    for point in entry_points(group=GROUP):
        entries.setdefault(point.name, _foreign(point.name, point.value))
    return Catalogue(entries)


def _foreign(name: str, where: str) -> Entry:
    """Entry of a method of another package, read off its class; one that cannot be loaded says so."""
    try:
        kind = Entry(name, where, "", "", "", "").load()
    except Exception as error:  # somebody else's package: it must not take ours down
        return Entry(name, where, f"cannot be loaded: {type(error).__name__}: {error}", "", "", "")
    needs = "a fit on series" if hasattr(kind, "fit") else "see its documentation"
    return Entry(name, where, needs, "see its documentation", "members" if kind.draws is True else "error", "unknown")


def find(method: str | Method, **options: Any) -> Method:
    """Return a method object, made from its name and its parameters, or the object itself.

    Raises
    ------
    ValueError
        No method has this name, or parameters are given with an object.
    TypeError
        The object lacks what a method must have.
    """
    if isinstance(method, str):
        known = catalogue()
        if method not in known:
            raise ValueError(f"there is no method {method!r}; there are {', '.join(known)}")
        made: Method = known[method].load()(**options)
        return made
    if options:
        raise ValueError(f"parameters {sorted(options)} belong to a method given by name; set them on the object")
    lacks = [part for part in ("name", "draws", "default_weights", "fill") if not hasattr(method, part)]
    if lacks or isinstance(method, type):
        what = "a class: make an object of it" if isinstance(method, type) else f"an object without {', '.join(lacks)}"
        raise TypeError(f"a method is wanted, by name or as an object that follows Method; found {what}")
    return method
