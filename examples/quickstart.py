"""Fill the gaps of the simulated ocean and compare with its truth: ``python examples/quickstart.py``.

Prints a table of scores and writes quickstart.png, the share of microphytoplankton in one 8-day composite:
observations, truth, background, posterior mean, one realisation, and the spread of the realisations.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import xgapfill
from xgapfill.validation import scores

try:
    import cmocean
    from matplotlib.figure import Figure
except ImportError:
    sys.exit("the picture needs matplotlib and cmocean: python -m pip install '.[viz]'")

FRAMES = slice(6, 18)
MEMBERS = 6
PICTURE = Path("quickstart.png")


def main() -> None:
    """Open, fill, score, draw."""
    xgapfill.set_options(progress=True)  # in log files, too
    print("opening the simulated ocean (simulated once, then cached) ...", flush=True)
    ocean = xgapfill.tutorial.open_dataset("ocean").isel(time=FRAMES)
    gappy, truth, chl = ocean.PSC, ocean.PSC_truth, ocean.CHL
    missing = gappy.isnull() & truth.notnull()
    share, share_of_chl = (float(field.isnull().where(ocean.sea == 1).mean()) for field in (gappy, chl))
    print(
        f"{gappy.sizes['time']} composites of {gappy.sizes['lat']} x {gappy.sizes['lon']} pixels, "
        f"{share:.0%} of the size classes and {share_of_chl:.0%} of chlorophyll missing"
    )
    background = timed("background", lambda: gappy.gapfill.background(cond=chl, full=True))
    mean = timed("posterior mean", lambda: gappy.gapfill.posterior_mean(cond=chl, full=True))
    members = timed(
        f"{MEMBERS} realisations", lambda: gappy.gapfill.repaint(cond=chl, members=MEMBERS, seed=0)
    ).transpose("realization", *truth.dims)

    print_scores(background, mean, members, truth, missing)
    draw(gappy, truth, background, mean, members, ocean.sea)
    print(f"\n{PICTURE}")


def timed(title: str, fill: Callable[[], xr.Dataset | xr.DataArray]) -> xr.Dataset | xr.DataArray:
    """Fill and print the time it took."""
    print(f"\n{title} ...", flush=True)
    start = time.perf_counter()
    filled = fill().compute()
    print(f"{time.perf_counter() - start:.0f} s")
    return filled


def print_scores(
    background: xr.Dataset, mean: xr.Dataset, members: xr.DataArray, truth: xr.DataArray, missing: xr.DataArray
) -> None:
    """Print scores of the fractions at the missing pixels, each fill with its own stated error.

    The CRPS of a map is that of normal distributions with its values and spreads; that of the members is the fair CRPS
    of an ensemble. A single realisation states no error.
    """
    where, known = missing.values, truth.values
    print(f"\n{'fractions at the missing pixels':34s} RMSE   CRPS   stated error / RMSE")
    for name, filled in {"background": background, "posterior mean": mean}.items():
        values, spread = (filled[key].transpose(*truth.dims).values for key in ("PSC", "PSC_spread"))
        rmse = scores.rmse(values, known, where)
        crps = np.nanmean(scores.crps_gaussian(values, spread, known)[where])
        stated = np.sqrt(np.nanmean(spread[where].astype(float) ** 2))
        print(f"{name:34s} {rmse:.3f}  {crps:.3f}  {stated / rmse:.2f}")
    print(f"{'one realisation':34s} {scores.rmse(members.values[0], known, where):.3f}")
    rmse = scores.rmse(members.values.mean(axis=0), known, where)
    crps = np.nanmean(scores.crps_ensemble(members.values, known)[where])
    stated = scores.spread_over_rmse(members.values, known, where)
    print(f"{f'mean of {MEMBERS} realisations':34s} {rmse:.3f}  {crps:.3f}  {stated:.2f}")


def draw(
    gappy: xr.DataArray,
    truth: xr.DataArray,
    background: xr.Dataset,
    mean: xr.Dataset,
    members: xr.DataArray,
    sea: xr.DataArray,
) -> None:
    """Draw the share of microphytoplankton in the composite with the median share of gaps."""
    missing = gappy.isnull().mean(["size_class", "lat", "lon"]).values
    here = {"time": int(missing.argsort()[len(missing) // 2]), "size_class": 0}
    maps = {
        "observed": gappy.isel(here),
        "truth": truth.isel(here),
        "background": background.PSC.isel(here),
        "posterior mean": mean.PSC.isel(here),
        "one realisation": members.isel(realization=0, **here),
    }
    top = float(maps["truth"].quantile(0.995))
    spread = members.isel(here).std("realization", ddof=1)
    begin = pd.Timestamp(gappy.time.values[here["time"]])

    figure = Figure(figsize=(10.5, 7.4), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    land = sea.where(sea == 0)
    for place, (name, field) in zip(axes.flat, maps.items(), strict=False):
        shown = show(place, field, land, name, vmin=0, vmax=top, cmap=cmocean.cm.algae)
    figure.colorbar(shown, ax=axes[0], label="fraction (all maps but the last)", extend="max", shrink=0.85)
    of_spread = show(
        axes.flat[-1],
        spread,
        land,
        f"standard deviation\nof {MEMBERS} realisations",
        vmin=0,
        vmax=float(spread.quantile(0.995)),
        cmap=cmocean.cm.amp,
    )
    figure.colorbar(of_spread, ax=axes[1], label="standard deviation of the fraction", extend="max", shrink=0.85)
    for place in axes[:, 0]:
        place.set_ylabel("latitude (degrees north)")
    for place in axes[1]:
        place.set_xlabel("longitude (degrees east)")
    figure.suptitle(
        "Fraction of chlorophyll-a in microphytoplankton, simulated ocean\n"
        f"8 days from {begin.day} {begin:%B %Y}; grey: land, white: missing"
    )
    figure.savefig(PICTURE, dpi=110)


def show(place, field: xr.DataArray, land: xr.DataArray, title: str, **style):
    """Draw a map with the proportions of its latitude."""
    place.pcolormesh(land.lon, land.lat, land, vmin=-1, vmax=1, cmap="Greys")
    place.set(title=title, aspect=1 / np.cos(np.deg2rad(float(field.lat.mean()))))
    return place.pcolormesh(field.lon, field.lat, field.transpose("lat", "lon"), **style)


if __name__ == "__main__":
    main()
