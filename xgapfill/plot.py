"""Pictures of fills and of their validation, with matplotlib and cmocean (the extra ``viz``).

Every function returns a `matplotlib.figure.Figure`, which notebooks show and ``.savefig(...)`` writes.
"""

from __future__ import annotations

import io
import operator
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xgapfill.inputs import read as inputs
from xgapfill.inputs.axes import Axes, find_axes
from xgapfill.validation.table import LABELS

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

LAND = "#b8b8b8"
MISSING = "#ffffff"
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe & Ito (2008)
DPI = 100  # in notebooks
MOST = 400  # pixels along each side of a map that are drawn
SHADES = 62
INSIDE = (0.02, 0.98)  # quantiles of the values that the colours reach


def panels(observed: xr.DataArray, filled: xr.DataArray | xr.Dataset, dates: int | Sequence[Any] = 3) -> Figure:
    """Draw observed maps above filled ones, for some dates, and their spread if there is one.

    Parameters
    ----------
    observed : DataArray
        The map before it was filled, of one variable.
    filled : DataArray or Dataset
        The result: with ``full=True`` the spread is drawn; of members the first two.
    dates : int or sequence
        Number of dates, those with a middling share of gaps first; or dates to select.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> figure = xgapfill.plot.panels(ds.CHL, xgapfill.background(ds.CHL, full=True), dates=2)
    >>> len(figure.axes) >= 6
    True
    """
    axes, chosen = find_axes(observed), chosen_dates(observed, dates)
    drawn = {} if axes.time is None else {axes.time: chosen}
    lazy = {title: field.isel(drawn).reset_coords(drop=True) for title, field in rows_of(observed, filled).items()}
    computed = xr.Dataset(lazy).compute()  # together: members share their fill
    rows = {title: computed[title] for title in lazy}
    map_of, norm, label = style(observed)
    figure = _figure(2.4 * len(chosen) + 1.2, 2.1 * len(rows) + 0.3)
    places = figure.subplots(len(rows), len(chosen), squeeze=False)
    land = land_of(observed, rows, axes)
    for row, (title, field) in enumerate(rows.items()):
        spread = title.startswith("spread")
        own_map, own_norm = spread_style(field) if spread else (map_of, norm)
        for col, slot in enumerate(chosen):
            frame = field if axes.time is None else field.isel({axes.time: col})
            shown = draw(places[row, col], frame, axes, own_map, own_norm, land)
            if row == 0 and axes.time is not None:
                places[row, col].set_title(str(observed[axes.time].values[slot])[:10], fontsize=9)
        places[row, 0].set_ylabel(title, fontsize=9)
        text = "spread" + (", log10" if _logarithmic(observed) else "") if spread else label
        _plain(figure.colorbar(shown, ax=list(places[row]), shrink=0.9, label=text))
    return figure


def gaps(da: xr.DataArray) -> Figure:
    """Draw the missing share of the sea by date, and of the dates by pixel.

    Pixels that are never observed count as land.

    Examples
    --------
    >>> import xgapfill
    >>> figure = xgapfill.plot.gaps(xgapfill.tutorial.open_dataset("ocean").CHL)
    >>> len(figure.axes)
    3
    """
    axes = find_axes(da)
    seen = da.notnull()
    seen = seen.all([dim for dim in da.dims if dim not in (axes.time, axes.lat, axes.lon)]).compute()
    figure = _figure(9.0, 2.8)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    ever = seen.any([dim for dim in (axes.time,) if dim is not None])
    share = 1 - seen.where(ever).mean([dim for dim in (axes.lat, axes.lon) if dim is not None])
    if axes.time is not None:
        left.bar(np.arange(share.size), 100 * share.values, width=1.0, color=LINES[0])
        some = np.linspace(0, share.size - 1, min(6, share.size)).astype(int)
        left.set_xticks(some, [str(da[axes.time].values[k])[:10] for k in some], fontsize=7, rotation=20)
    else:
        left.bar([0], [100 * float(share)], color=LINES[0])
    left.set(ylim=(0, 100), ylabel="missing, % of the sea")
    missing = 1 - seen.astype(float).mean([dim for dim in (axes.time,) if dim is not None])
    import cmocean
    from matplotlib.colors import Normalize

    shown = draw(right, (100 * missing).where(ever), axes, cmocean.cm.dense, Normalize(0, 100), ~ever)
    figure.colorbar(shown, ax=right, label="missing, % of dates")
    return figure


def gates(shares: xr.DataArray) -> Figure:
    """Draw the mean share of each mode of a multi-mode net, a panel for each.

    Parameters
    ----------
    shares : DataArray
        From `xgapfill.gates`.

    Examples
    --------
    >>> figure = gates(xr.DataArray(np.full((2, 1, 4, 5), 0.5), {"mode": [1, 2]}, ("mode", "time", "lat", "lon")))
    >>> [place.get_title() for place in figure.axes[:2]]
    ['mode 1', 'mode 2']
    """
    maps = shares.mean(shares.dims[1:-2])
    columns, lines = min(2, maps.sizes["mode"]), -(-maps.sizes["mode"] // 2)
    figure = _figure(3.4 * columns + 0.6, 1.9 * lines + 0.4)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, field in zip(axes, maps, strict=False):
        image = panel.pcolormesh(field[field.dims[1]], field[field.dims[0]], field, vmin=0, vmax=1, cmap="viridis")
        panel.set(title=f"mode {int(field['mode'])}", facecolor=LAND)
    for panel in axes[maps.sizes["mode"] :]:
        panel.set_visible(False)
    figure.colorbar(image, ax=list(axes), label="share")
    return figure


def reliability(scores: xr.Dataset) -> Figure:
    """Draw the share of truth inside intervals against the share that they should hold, with 95 % intervals.

    Parameters
    ----------
    scores : Dataset
        From `xgapfill.validate`; of size classes, the first.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> figure = xgapfill.plot.reliability(xgapfill.validate(ds.CHL, ["background"]))
    >>> figure.axes[0].get_xlabel()
    'should hold, %'
    """
    scores = _first_class(scores)
    figure = _figure(4.2, 3.6)
    place = figure.subplots()
    place.plot([0, 100], [0, 100], color="0.6", lw=1)
    names = [name for name in scores.test.values if str(name).startswith("interval ")]
    for k, method in enumerate(scores.filled_by.values):
        row = scores.sel(filled_by=method, test=names)
        x, y = 100 * row.test_expected, 100 * row.test_value
        good = np.isfinite(y.values)
        if good.any():
            away = np.abs(100 * np.stack([row.test_low, row.test_high]) - y.values)[:, good]
            label, colour = LABELS.get(str(method), str(method)), LINES[k % len(LINES)]
            place.errorbar(x[good], y[good], away, marker="o", ms=4, capsize=2, color=colour, label=label)
    place.set(xlabel="should hold, %", ylabel="hold, %", xlim=(0, 100), ylim=(0, 100))
    if place.get_legend_handles_labels()[0]:
        place.legend(fontsize=8)
    return figure


def spectrum(scores: xr.Dataset) -> Figure:
    """Draw the size of differences against distance, filled over observed: which scales a fill has lost.

    It stands in for a power spectrum, which fields with gaps do not have: the square root of the ratio of mean squared
    differences of pixels a lag apart, one of them filled; of the first member of ensembles.

    Parameters
    ----------
    scores : Dataset
        From `xgapfill.validate`; of size classes, the first.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> figure = xgapfill.plot.spectrum(xgapfill.validate(ds.CHL, ["background"]))
    >>> figure.axes[0].get_xlabel()
    'distance, pixels'
    """
    scores = _first_class(scores)
    figure = _figure(4.6, 3.6)
    place = figure.subplots()
    place.axhline(1, color="0.6", lw=1)
    ratio = np.sqrt(scores.structure_function / scores.structure_function_observed)
    for k, method in enumerate(scores.filled_by.values):
        label = LABELS.get(str(method), str(method))
        place.plot(scores.lag, ratio.sel(filled_by=method), marker="o", ms=4, color=LINES[k % len(LINES)], label=label)
    place.set(xscale="log", xlabel="distance, pixels", ylabel="size of differences, filled / true", ylim=(0, None))
    place.set_xticks(scores.lag.values, [str(lag) for lag in scores.lag.values])
    place.legend(fontsize=8)
    return figure


def matchups(pairs: pd.DataFrame, label: str = "") -> Figure:
    """Draw match-ups at observed and at filled pixels: the map against the samples.

    Parameters
    ----------
    pairs : DataFrame
        From `xgapfill.validation.insitu.pairs`.
    label : str
        Name and unit of the variable.

    Examples
    --------
    >>> figure = matchups(pd.DataFrame({"sample": [0.1, 0.4], "map": [0.2, 0.3], "where": ["observed", "filled"]}))
    >>> len(figure.axes)
    1
    """
    figure = _figure(4.2, 3.6)
    place = figure.subplots()
    for where, colour, sign in (("observed", LINES[0], "o"), ("filled", LINES[1], "^")):
        part = pairs[pairs["where"] == where]
        text = f"{where} ({len(part)})"
        place.plot(part["sample"], part["map"], sign, ms=4, mfc="none", color=colour, label=text)
    place.axline((pairs["sample"].min(),) * 2, slope=1, color="0.6", lw=1, zorder=0)
    place.set(xlabel=f"sample {label}".strip(), ylabel=f"map {label}".strip())
    place.legend(fontsize=8)
    return figure


def rows_of(observed: xr.DataArray, filled: xr.DataArray | xr.Dataset) -> dict[str, xr.DataArray]:
    """Fields to draw by title: observed, filled, up to two members, spread."""
    main = filled if isinstance(filled, xr.DataArray) else filled[observed.name or "target"]
    rows = {"observed": observed}
    if "realization" in main.dims:
        rows |= {f"member {k + 1}": main.isel(realization=k) for k in range(min(2, main.sizes["realization"]))}
    else:
        rows["filled"] = main
    if isinstance(filled, xr.Dataset):
        for name in (f"{main.name}_spread_log10", f"{main.name}_spread"):
            if name in filled:
                return rows | {"spread": filled[name].where(observed.isnull())}
    return rows


def chosen_dates(observed: xr.DataArray, dates: int | Sequence[Any]) -> list[int]:
    """Places along time of the dates to draw."""
    time = find_axes(observed).time
    if time is None:
        return [0]
    if not isinstance(dates, int):
        index = observed.get_index(time)
        return [int(index.get_indexer(pd.Index([date]), method="nearest")[0]) for date in dates]
    share = observed.notnull().mean([dim for dim in observed.dims if dim != time]).values
    usual = np.argsort(np.abs(share - np.median(share)), kind="stable")
    return sorted(int(slot) for slot in usual[: max(dates, 1)])


def style(da: xr.DataArray) -> tuple[Colormap, Normalize, str]:
    """Colours of a variable: the map, the norm (logarithmic where it is filled so), and the label."""
    import cmocean
    from matplotlib.colors import LogNorm, Normalize

    known = da.values[np.isfinite(da.values)].astype(np.float64)
    low, high = np.quantile(known, INSIDE) if known.size else (0.0, 1.0)
    logarithmic = _logarithmic(da) and low > 0
    warm = "temperature" in str(da.attrs.get("standard_name", "")) or "SST" in str(da.name).upper()
    chosen = cmocean.cm.thermal if warm else cmocean.cm.algae
    norm = LogNorm(low, max(high, 1.01 * low)) if logarithmic else Normalize(low, high)
    return chosen, norm, f"{da.name or ''} [{da.attrs['units']}]" if da.attrs.get("units") else str(da.name or "")


def spread_style(field: xr.DataArray) -> tuple[Colormap, Normalize]:
    """Colours of a spread."""
    import cmocean
    from matplotlib.colors import Normalize

    values = field.values[np.isfinite(field.values)]
    return cmocean.cm.amp, Normalize(0, float(np.quantile(values, INSIDE[1])) if values.size else 1.0)


def land_of(observed: xr.DataArray, rows: Mapping[str, xr.DataArray], axes: Axes) -> xr.DataArray:
    """Pixels that are observed at no date, and not filled at those that are drawn."""
    maps = [observed, *(field for title, field in rows.items() if not title.startswith("spread"))]
    ever = [field.notnull().any([dim for dim in field.dims if dim not in (axes.lat, axes.lon)]) for field in maps]
    return ~reduce(operator.or_, ever)


def draw(place: Any, field: xr.DataArray, axes: Axes, colours: Colormap, norm: Normalize, land: Any = None) -> Any:
    """Draw a map of latitude and longitude; missing pixels are white, land is grey."""
    x, y = (field.coords.get(name) for name in (axes.lon, axes.lat))
    values = thinned(field.transpose(axes.lat, axes.lon).values)
    extent = None
    if x is not None and y is not None and x.ndim == y.ndim == 1:
        extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    how: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "auto", "interpolation": "nearest"}
    if land is not None:
        from matplotlib.colors import ListedColormap

        dry = thinned(land.transpose(axes.lat, axes.lon).values)
        place.imshow(np.ma.masked_equal(dry, False), cmap=ListedColormap([LAND]), **how)
    shown = place.imshow(values, cmap=colours, norm=norm, **how)
    if extent is not None:
        place.set_xlim(min(extent[:2]), max(extent[:2]))
        place.set_ylim(min(extent[2:]), max(extent[2:]))
    place.set_facecolor(MISSING)
    place.tick_params(labelsize=6)
    place.locator_params(nbins=5)
    return shown


def _plain(bar: Any) -> None:
    """Write the numbers of a colour bar without powers of ten."""
    from matplotlib.ticker import FuncFormatter

    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))
    bar.ax.tick_params(which="both", labelsize=7)


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as PNG."""
    to = io.BytesIO()
    figure.savefig(to, format="png", dpi=dpi)
    return to.getvalue()


def pixels(values: NDArray, land: NDArray[np.bool_], colours: Colormap, norm: Normalize) -> bytes:
    """A (y, x) map as a small PNG of one pixel each: 62 shades, white where missing, grey on land."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.ma.filled(np.ma.masked_invalid(norm(np.asarray(values, np.float64))), np.nan)
    missing = np.isnan(values) | np.isnan(share)
    shade = np.where(missing, SHADES, np.clip(np.nan_to_num(share) * SHADES, 0, SHADES - 1)).astype(np.uint8)
    shade[land & missing] = SHADES + 1
    return _indexed(shade, [*shades(colours, SHADES), MISSING, LAND])


def categories(values: NDArray, colours: Sequence[str]) -> bytes:
    """A (y, x) map of categories as a small PNG."""
    return _indexed(np.asarray(values, np.uint8), colours)


def shades(colours: Colormap, count: int = 9) -> tuple[str, ...]:
    """Colours of a map from low to high, as CSS writes them."""
    from matplotlib.colors import to_hex

    return tuple(to_hex(colours(share)) for share in np.linspace(0, 1, count))


def _indexed(index: NDArray[np.uint8], colours: Sequence[str]) -> bytes:
    """A PNG of indices into a list of colours."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    made = Image.fromarray(np.ascontiguousarray(index), mode="P")
    made.putpalette([round(255 * part) for colour in colours for part in to_rgb(colour)])
    to = io.BytesIO()
    made.save(to, format="PNG", optimize=True)
    return to.getvalue()


def thinned(values: NDArray, most: int = MOST) -> NDArray:
    """Every n-th row and column, so that neither side has more than `most`."""
    step = max(1, -(-max(values.shape) // most))
    return values[::step, ::step]


def _logarithmic(da: xr.DataArray) -> bool:
    """Whether a variable is filled as its logarithm."""
    try:
        return bool(inputs.read(da).variable.logarithmic)
    except (TypeError, ValueError):
        return False


def _first_class(scores: xr.Dataset) -> xr.Dataset:
    return scores.isel(size_class=0) if "size_class" in scores.dims else scores


def _figure(width: float, height: float) -> Figure:
    """An empty figure; ImportError with the line to type where matplotlib or cmocean are absent."""
    try:
        import cmocean  # noqa: F401
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib and cmocean: python -m pip install 'xgapfill[viz]'") from None
    figure: Any = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = partial(png, figure, DPI)  # for notebooks without pyplot
    return figure
