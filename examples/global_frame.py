"""Fill a global 8-day map of chlorophyll and draw it: ``python examples/global_frame.py``.

The map has land, 59 % of gaps and closes at the dateline. The posterior mean fills all of it, one realisation the seas
around the dateline. Writes global_frame.png. The data are not part of the repository; ``--data`` names their folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

import xgapfill

FILE = "global_modis_8day_20150101_0.1deg.nc"
PICTURE = Path("global_frame.png")
# Fiji, Samoa and Tonga: the dateline runs through the middle.
LAT, LON = slice(-5, -35), slice(165, 205)


def main() -> int:
    """Open, fill, check, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data (%(default)s)")
    parser.add_argument(
        "--method", choices=("posterior_mean", "background"), default="posterior_mean", help="(%(default)s)"
    )
    given = parser.parse_args()
    path = given.data / FILE
    if not path.exists():
        print(f"{path} was not found. Give their folder: --data FOLDER", file=sys.stderr)
        return 2
    xgapfill.set_options(progress=True)  # in log files, too
    print(f"opening {path}", flush=True)
    with xr.open_dataset(path) as ds:
        ds = ds.load()
    chl = ds.CHL.assign_coords(ocean=ds.ocean)
    missing = float(chl.gapfill.gaps().missing_share[0])
    print(f"{chl.sizes['lat']} x {chl.sizes['lon']} pixels, {missing:.0%} of the sea missing")

    filled = timed(f"{given.method}, the globe", getattr(chl.gapfill, given.method)(full=True))
    print_statuses(filled.CHL_status)
    near = around_dateline(chl)
    views = {"observed": near, given.method.replace("_", " "): around_dateline(filled.CHL)}
    if given.method != "background":
        views["one realisation"] = timed("one realisation, the dateline", near.gapfill.repaint(seed=0))
    views["spread of log10"] = around_dateline(filled.CHL_spread_log10)
    ratio = step_at_dateline(filled)
    print(f"filled pixels, step across the dateline over steps beside it: {ratio:.2f} (about 1: no seam)")
    draw(chl, filled.CHL, views)
    return 0


def timed(title: str, lazy: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """Compute and print the time it took."""
    print(title, flush=True)
    start = time.perf_counter()
    result = lazy.compute()
    print(f"{time.perf_counter() - start:.0f} s")
    return result


def print_statuses(status: xr.DataArray) -> None:
    """Print the share of each status."""
    values, counts = np.unique(status.values, return_counts=True)
    names = status.attrs["flag_meanings"].split()
    print(", ".join(f"{names[value]} {count / status.size:.1%}" for value, count in zip(values, counts, strict=True)))


def around_dateline(field: xr.DataArray) -> xr.DataArray:
    """The zoom, with longitudes from 165 to 205 degrees east: the package knows them as the same places."""
    return field.assign_coords(lon=field.lon % 360).sortby("lon").sel(lat=LAT, lon=LON)


def step_at_dateline(filled: xr.Dataset) -> float:
    """Mean squared step of log10 between filled pixels across the dateline, over that ten columns to either side."""
    frame = filled.isel(time=0).transpose("lat", "lon")
    near = np.roll(np.arange(frame.sizes["lon"]), 10)[:20]
    values = np.where(frame.CHL_status == 1, np.log10(frame.CHL), np.nan)[:, near]
    steps = np.nanmean(np.diff(values, axis=1) ** 2, axis=0)
    return float(steps[9] / np.delete(steps, 9).mean())


def draw(observed: xr.DataArray, filled: xr.DataArray, views: dict[str, xr.DataArray]) -> None:
    """Draw the globe before and after, and the zoom."""
    try:
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure
    except ImportError:
        print("nothing is drawn: matplotlib is not installed (python -m pip install matplotlib)")
        return
    figure = Figure(figsize=(14, 14), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2.2, 1))
    concentration = {"norm": LogNorm(0.02, 10), "cmap": "viridis"}
    for axes, (title, field) in zip(
        above.subplots(2, 1), {"observed": observed, "filled": filled}.items(), strict=True
    ):
        image = show(axes, field, f"chlorophyll, 1-8 January 2015, {title}", concentration)
    above.colorbar(image, ax=above.axes, label="mg m-3", shrink=0.6)
    for axes, (title, field) in zip(below.subplots(1, len(views)), views.items(), strict=True):
        style = {"vmin": 0, "cmap": "magma"} if title.startswith("spread") else concentration
        image = show(axes, field, title, style)
        axes.axvline(180, color="white", linewidth=0.5, linestyle=":")
        if title.startswith("spread"):
            below.colorbar(image, ax=axes, shrink=0.7)
    figure.savefig(PICTURE, dpi=110)
    print(PICTURE)


def show(axes, field: xr.DataArray, title: str, style: dict):
    """Draw a map of one date, north up, land in grey."""
    flat = field.squeeze("time").sortby("lat").transpose("lat", "lon")
    extent = (float(flat.lon[0]), float(flat.lon[-1]), float(flat.lat[0]), float(flat.lat[-1]))
    axes.set(title=title, facecolor="lightgrey", xlabel="degrees east", ylabel="degrees north")
    return axes.imshow(flat.values, origin="lower", extent=extent, interpolation="nearest", **style)


if __name__ == "__main__":
    sys.exit(main())
