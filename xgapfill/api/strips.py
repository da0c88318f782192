"""Maps of a fill as small pictures, one for each date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill import plot
from xgapfill.inputs.axes import Axes, find_axes
from xgapfill.outputs.attributes import STATUS
from xgapfill.outputs.page import Strip

MOST_DATES = 60
MOST_PIXELS = 3_600_000  # of all pictures; a pixel takes about 0.7 bytes
SIDE = 320  # pixels of a picture along each side
STATUS_COLOURS = ("#56b4e9", "#0072b2", "#ffffff", "#e69f00", "#d55e00", plot.LAND)


@dataclass(frozen=True)
class Fields:
    """What a report shows, of one class of several; in memory.

    Attributes
    ----------
    whole : DataArray
        The input.
    observed, estimate : DataArray
        Before and after the fill; of members the first.
    rows : dict of str to DataArray
        Further fields by title: members, spread.
    status : DataArray
    axes : Axes
    """

    whole: xr.DataArray
    observed: xr.DataArray
    estimate: xr.DataArray
    rows: dict[str, xr.DataArray]
    status: xr.DataArray
    axes: Axes

    @classmethod
    def of(cls, da: xr.DataArray, filled: xr.Dataset) -> Fields:
        """Fields of a result with ``full=True``."""
        axes, name = find_axes(da), str(da.name)
        more = [dim for dim in da.dims if dim not in (axes.time, axes.lat, axes.lon)]
        pick: dict[Any, Any] = dict.fromkeys(more, 0)
        observed, result = da.isel(pick), filled.isel(pick)
        rows = plot.rows_of(observed, result)
        main = result[name]
        estimate = main.isel(realization=0, drop=True) if "realization" in main.dims else main
        return cls(da, observed, estimate, rows, result[f"{name}_status"], axes)

    @property
    def sea(self) -> NDArray[np.bool_]:
        """(t, y, x) pixels that are not land."""
        return self.cube(self.status) != STATUS.index("land")

    @property
    def missing(self) -> float:
        """Missing share of the sea."""
        return float(np.isnan(self.cube(self.observed))[self.sea].mean()) if self.sea.any() else 0.0

    @property
    def gaps(self) -> str:
        """The gaps in a sentence."""
        gap, sea = np.isnan(self.cube(self.observed)), self.sea
        share = [float(g[s].mean()) for g, s in zip(gap, sea, strict=True) if s.any()]
        return f"{self.missing:.0%} of the sea is missing; of single dates {min(share):.0%} to {max(share):.0%}"

    def cube(self, field: xr.DataArray) -> NDArray:
        """(t, y, x) values, north up and east to the right."""
        axes = self.axes
        held = [dim for dim in (axes.time, axes.lat, axes.lon) if dim is not None]
        values = field.transpose(*held).values
        for axis, dim, falling in ((-2, axes.lat, True), (-1, axes.lon, False)):
            place = field.coords.get(dim)
            if place is not None and place.ndim == 1 and (place[0] > place[-1]) != falling:
                values = np.flip(values, axis)
        return values[None] if axes.time is None else values


def strips_of(fields: Fields) -> tuple[list[Strip], list[str], int]:
    """Strips of all fields, the dates shown, and the number of the first one: with a middling share of gaps."""
    rows = {title: fields.cube(each) for title, each in fields.rows.items()}
    status = fields.cube(fields.status)
    frames, *shape = status.shape
    step = max(1, -(-max(shape) // SIDE))
    pixels = (shape[0] // step) * (shape[1] // step) * (len(rows) + 1)
    count = int(np.clip(MOST_PIXELS // max(pixels, 1), 1, min(MOST_DATES, frames)))
    chosen = np.unique(np.linspace(0, frames - 1, count).astype(int))
    usual = plot.chosen_dates(fields.observed, 1)[0]
    first = int(np.argmin(np.abs(chosen - usual)))
    dates = _dates(fields, chosen)
    sea = fields.sea[chosen]
    colours, norm, label = plot.style(fields.observed)
    strips = []
    for title, values in rows.items():
        spread = title.startswith("spread")
        own = plot.spread_style(fields.rows[title]) if spread else (colours, norm)
        shown = [values[k, ::step, ::step] for k in chosen]
        pictures = tuple(plot.pixels(one, ~water[::step, ::step], *own) for one, water in zip(shown, sea, strict=True))
        what = "spread" if spread else label
        texts = tuple(
            _text(title, what, date, values[k], sea[n]) for n, (k, date) in enumerate(zip(chosen, dates, strict=True))
        )
        ends = tuple(f"{end:.3g}" for end in (own[1].vmin, own[1].vmax))
        strips.append(Strip(title, pictures, texts, plot.shades(own[0]), ends))
    strips.append(_status(status, chosen, dates, step))
    return strips, dates, first


def _status(status: NDArray, chosen: NDArray, dates: list[str], step: int) -> Strip:
    """Status of each pixel."""
    pictures = tuple(plot.categories(status[k, ::step, ::step], STATUS_COLOURS) for k in chosen)
    texts = []
    for k, date in zip(chosen, dates, strict=True):
        count = np.bincount(status[k].ravel().astype(int), minlength=len(STATUS)) / status[k].size
        shares = ", ".join(f"{share:.0%} {name}" for name, share in zip(STATUS, count, strict=True) if share > 0)
        texts.append(f"Status of the pixels on {date}: {shares.replace('_', ' ')}")
    return Strip("status", pictures, tuple(texts), STATUS_COLOURS, tuple(name.replace("_", " ") for name in STATUS))


def _dates(fields: Fields, chosen: NDArray) -> list[str]:
    time = fields.axes.time
    if time is None:
        return ["single map"]
    stamps = fields.observed[time].values
    return [str(stamps[k])[:10] for k in chosen]


def _text(title: str, what: str, date: str, values: NDArray, sea: NDArray[np.bool_]) -> str:
    """What a map shows, for readers who do not see it."""
    known = values[np.isfinite(values)]
    if not known.size:
        return f"Map of {what}, {title}, on {date}: nothing"
    share = np.isnan(values)[sea].mean() if sea.any() else 0.0
    low, middle, high = np.quantile(known, (0.05, 0.5, 0.95))
    text = f"Map of {what}, {title}, on {date}: median {middle:.3g}, mostly {low:.3g} to {high:.3g}"
    return f"{text}; {share:.0%} of the sea blank"
