"""Fill the gaps of the simulated ocean and compare with its truth: ``python examples/quickstart.py``.

Prints a score table and writes quickstart.png: what was observed, the truth, the background, the posterior mean, one
realisation and the spread of the members, for the share of microphytoplankton in one 8-day frame.
"""

from __future__ import annotations

import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import xarray as xr
from dask.diagnostics import ProgressBar

import xgapfill
from xgapfill.validation import scores

FRAMES = slice(6, 18)
MEMBERS = 6
PICTURE = Path("quickstart.png")


def main() -> None:
    """Open, fill, score, draw."""
    print("opening the simulated ocean (made once, then kept) ...", flush=True)
    ocean = xgapfill.tutorial.open_dataset("ocean").isel(time=FRAMES)
    gappy, truth, chl = ocean.PSC, ocean.PSC_truth, ocean.CHL
    missing = gappy.isnull() & truth.notnull()
    print(
        f"{gappy.sizes['time']} frames of {gappy.sizes['lat']} x {gappy.sizes['lon']} pixels, "
        f"{float(missing.mean()):.0%} of the size classes and {float(chl.isnull().mean()):.0%} of chlorophyll missing"
    )

    fills = {
        "background": lambda: gappy.gapfill.background(cond=chl),
        "posterior mean": lambda: gappy.gapfill.posterior_mean(cond=chl),
        f"{MEMBERS} realisations": lambda: gappy.gapfill.repaint(cond=chl, members=MEMBERS, seed=0),
    }
    filled = {}
    for name, fill in fills.items():
        print(f"\n{name}", flush=True)
        start = time.perf_counter()
        with ProgressBar(dt=1, out=sys.stdout):
            filled[name] = fill().compute()
        print(f"{time.perf_counter() - start:.0f} s")

    print_scores(filled, truth, missing)
    draw(panels(filled, gappy, truth), PICTURE)


def print_scores(filled: dict[str, xr.DataArray], truth: xr.DataArray, missing: xr.DataArray) -> None:
    """Print scores of the fractions at the missing pixels; the CRPS of a single map is its mean absolute error."""
    print("\nfractions at the missing pixels  RMSE   CRPS")
    where = missing.values
    for name, field in filled.items():
        ensemble = field if "realization" in field.dims else field.expand_dims("realization")
        members = ensemble.transpose("realization", *truth.dims).values
        if len(members) == 1:
            crps = scores.mae(members[0], truth.values, where)
        else:
            crps = float(np.nanmean(scores.crps_ensemble(members, truth.values)[where]))
        print(f"{name:32s} {scores.rmse(members.mean(axis=0), truth.values, where):.3f}  {crps:.3f}")


def panels(filled: dict[str, xr.DataArray], gappy: xr.DataArray, truth: xr.DataArray) -> dict[str, np.ndarray]:
    """Six maps (y, x), north up, of the first size class in the frame with the median share of gaps."""
    share = gappy.isnull().mean(["size_class", "lat", "lon"]).values
    frame = {"time": int(share.argsort()[len(share) // 2]), "size_class": 0}
    background, mean, members = filled.values()
    maps = {
        "observed": gappy,
        "truth": truth,
        "background": background,
        "posterior mean": mean,
        "one realisation": members.isel(realization=0),
        "spread of the members": members.std("realization"),
    }
    return {
        name: field.isel(frame).sortby("lat", ascending=False).transpose("lat", "lon").values
        for name, field in maps.items()
    }


def draw(maps: dict[str, np.ndarray], file: Path) -> None:
    """Draw the six maps with titles and colour bars, or bare where matplotlib is not installed."""
    limits = {name: (0.0, float(np.nanmax(maps["truth"]))) for name in maps}
    limits["spread of the members"] = (0.0, float(np.nanmax(maps["spread of the members"])))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        write_png(maps, limits, file)
        print(f"\n{file}, from the upper left: {', '.join(maps)} (titles and colour bars: pip install matplotlib)")
        return
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, (name, field) in zip(figure.subplots(2, 3).flat, maps.items(), strict=True):
        image = axes.imshow(field, vmin=limits[name][0], vmax=limits[name][1], cmap="viridis", interpolation="nearest")
        axes.set(title=name, xticks=[], yticks=[], facecolor="lightgrey")
        figure.colorbar(image, ax=axes, shrink=0.8)
    figure.suptitle("Share of microphytoplankton, simulated ocean")
    figure.savefig(file, dpi=110)
    print(f"\n{file}")


def write_png(maps: dict[str, np.ndarray], limits: dict[str, tuple[float, float]], file: Path) -> None:
    """Write maps of one shape in two rows as a PNG, with the standard library alone: dark is low, grey is missing."""
    stops = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=float)
    tiles = []
    for name, field in maps.items():
        low, high = limits[name]
        place = np.clip((np.nan_to_num(field) - low) / (high - low), 0, 1) * (len(stops) - 1)
        colour = np.stack([np.interp(place, np.arange(len(stops)), stops[:, k]) for k in range(3)], axis=-1)
        colour[np.isnan(field)] = 211
        colour = colour.astype(np.uint8).repeat(3, axis=0).repeat(3, axis=1)
        tiles.append(np.pad(colour, ((6, 6), (6, 6), (0, 0)), constant_values=255))
    picture = np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])
    lines = b"".join(b"\0" + line.tobytes() for line in picture)  # filter 0 before each line
    header = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 2, 0, 0, 0)
    with file.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")):
            stream.write(
                struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
            )


if __name__ == "__main__":
    main()
