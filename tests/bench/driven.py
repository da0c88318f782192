"""Methods that fill from drivers: the cascade in gaps of a month, modes on the monthly ocean, SmaAt-UNet their way."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import xgapfill
from xgapfill.methods import Cascade, Method, MultiMode, NetMethod, Response, Smaat
from xgapfill.methods.published import PublishedNet
from xgapfill.simulate import clouds, forcing, simulate
from xgapfill.testing import windows
from xgapfill.weights import Weights

SETS = ("cascade", "modes", "smaat")
OCEANS = ((41, 40.0), (42, -35.0), (43, 28.0))  # seed and latitude: none of them was looked at before
FRAMES, SIDE, HELD, SHARE = 16, 96, 4, 0.6  # every gap lasts four frames, 32 days
WIDTHS = (4, 8, 16, 32)
SAME_SIZE = (12, 24, 48, 94)  # a single net with as many parameters as eight modes of these widths and their gate
DRIVERS = ("SST_L4", "SSH", "UGOS", "VGOS", "SWR", "TAUX", "TAUY", "MLD")  # of the tutorial's ocean
INPUTS = ("SST", "SLA", "UWND", "VWND", "UCUR", "VCUR", "SWR", "DEPTH")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--minutes", type=float, default=10.0, help="wall clock of each fit of a net")
    parser.add_argument("--steps", type=int, help="of each fit, instead of minutes")
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS), help="feature maps of a mode")
    parser.add_argument("--single", nargs="+", type=int, default=list(SAME_SIZE), help="those of the single net")
    parser.add_argument("--figure", type=Path, help="file of the map of the gates")


def run(given: argparse.Namespace) -> None:
    """Print the scores of the sets that are asked for."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    budget = {"steps": given.steps} if given.steps else {"minutes": given.minutes}
    if "cascade" in given.sets:
        cascade()
    if "modes" in given.sets:
        modes(budget, tuple(given.widths), tuple(given.single), given.figure)
    if "smaat" in given.sets:
        smaat(budget)


def cascade() -> None:
    """RMSE of the cascade, of the background with drivers and of the response, in gaps of a month."""
    print(f"simulated oceans, gaps of {8 * HELD} days; RMSE of log10, RMS of error / spread, core-seconds")
    ratios = []
    for seed, latitude in OCEANS:
        chl, drivers, truth = ocean(seed, latitude)
        gaps = np.repeat(clouds(seed, FRAMES // HELD, (SIDE, SIDE), SHARE), HELD, axis=0)
        found = {}
        for name, method in (("background", "background"), ("response", Response()), ("cascade", Cascade())):
            found[name], honest, seconds = scored(chl.where(~gaps), drivers, method, truth, gaps)
            print(f"  ocean {seed}: {name:10s} {found[name]:.4f}  {honest:.2f}  {seconds:.0f}", flush=True)
        ratios.append(found["cascade"] / min(found["background"], found["response"]))
        print(f"  ocean {seed}: cascade / the better one {ratios[-1]:.3f}")
    print(f"mean ratio {np.mean(ratios):.3f} (wanted: <= 0.95)")


def ocean(seed: int, latitude: float) -> tuple[xr.DataArray, list[xr.DataArray], NDArray[np.floating]]:
    """Chlorophyll of a simulated ocean, its drivers, and log10 of the truth."""
    box = simulate(seed, frames=FRAMES, shape=(SIDE, SIDE), latitude=latitude)
    forced = forcing(box, seed)
    coords = {"time": box.time, "lat": box.lat, "lon": box.lon, "sea": (("lat", "lon"), np.ones((SIDE, SIDE), bool))}

    def field(values: NDArray, name: str, units: str) -> xr.DataArray:
        return xr.DataArray(values, coords, ("time", "lat", "lon"), name, {"units": units})

    drivers = [
        field(box.sst, "SST", "degC"),
        field(box.ssh, "SSH", "m"),
        field(box.u, "ugos", "m s-1"),
        field(box.v, "vgos", "m s-1"),
        field(forced.shortwave, "SWR", "W m-2"),
        field(forced.stress_east, "taux", "N m-2"),
        field(forced.stress_north, "tauy", "N m-2"),
        field(forced.mixed_layer, "MLD", "m"),
    ]
    return field(10**box.log10_chl, "CHL", "mg m-3"), drivers, box.log10_chl


def scored(
    target: xr.DataArray,
    cond: list[xr.DataArray],
    method: str | Method,
    truth: NDArray[np.floating],
    at: NDArray[np.bool_],
    weights: Weights | None = None,
) -> tuple[float, float, float]:
    """RMSE of log10 at some pixels, root mean square of errors over their spread, core-seconds."""
    begin = time.process_time()
    found = xgapfill.fill(target, method, cond, weights=weights, full=True).compute()
    error = (np.log10(found.CHL.values) - truth)[at]
    honest = np.sqrt(np.mean((error / found.CHL_spread_log10.values[at]) ** 2))
    return float(np.sqrt(np.mean(error**2))), float(honest), time.process_time() - begin


def modes(budget: dict[str, float], widths: tuple[int, ...], single: tuple[int, ...], figure: Path | None) -> None:
    """Eight modes beside a single net of the same size on the monthly ocean, in two years that neither has seen."""
    ds = xgapfill.tutorial.open_dataset("monthly")
    past, later = ds.sel(time=slice(None, "2013")), ds.sel(time=slice("2014", None))
    truth = np.log10(later.CHL_truth.values)
    at = np.isfinite(truth) & np.isnan(later.CHL.values)
    print("monthly ocean, 2014 and 2015, pixels without observation: r2, RMSE of log10, RMS of error / spread")
    nets = {"8 modes": MultiMode(modes=8, widths=widths), "single": MultiMode(modes=1, widths=single)}
    for name, method in {"response": Response(), **nets}.items():
        start, wall = time.process_time(), time.perf_counter()
        fitted = budget if isinstance(method, NetMethod) else {}
        weights = xgapfill.fit(past.CHL, method, [past[n] for n in INPUTS], **fitted)
        size = sum(array.size for each, array in weights.arrays.items() if each != "level")
        spent = f"{time.process_time() - start:.0f} core-s, {time.perf_counter() - wall:.0f} s"
        rmse, honest, _ = scored(later.CHL, [later[n] for n in INPUTS], method, truth, at, weights)
        r2 = 1 - rmse**2 / float(truth[at].var())
        steps = weights.card.network.get("steps", "-")
        print(f"  {name:9s} {r2:.3f}  {rmse:.4f}  {honest:.2f}  ({size} numbers, {steps} steps, {spent})", flush=True)
        if figure is not None and name == "8 modes":
            shares = xgapfill.gates(weights, [later[n] for n in INPUTS])
            xgapfill.plot.gates(shares).savefig(figure, dpi=80)


def smaat(budget: dict[str, float]) -> None:
    """One net, scored at all observed pixels, and at hidden pixels of a block of time that only ours leaves out."""
    ds = xgapfill.tutorial.open_dataset("ocean", drivers=True)
    block = slice(16, 24)
    hide = clouds(5, ds.sizes["time"], ds.CHL.shape[1:], 0.5) & ds.CHL.notnull().values
    truth = np.log10(ds.CHL_truth.values)
    every = ds.CHL.where(~hide)
    print("tutorial ocean, SmaAt-UNet: RMSE of standardised log10, at all observed pixels, shown ones too, and at")
    print(
        "hidden pixels of the last dates; their way learns from shown pixels of all dates, ours from hidden ones before"
    )
    for name, method, series in (
        ("their way", Smaat(shown=True), every),
        ("ours", Smaat(), every.isel(time=slice(0, block.start))),
    ):
        cond = [ds[n].isel(time=slice(0, series.sizes["time"])) for n in DRIVERS]
        weights = xgapfill.fit(series, method, cond, **budget)
        scale = weights.card.background["log10_chl"]["variance"]
        estimate = before_pasting(every, [ds[n] for n in DRIVERS], method, weights)
        miss = (estimate - truth) / np.sqrt(scale)
        seen = np.isfinite(truth) & ~np.isnan(ds.CHL.values)
        late = np.zeros(truth.shape, bool)
        late[block] = True
        scores = [float(np.sqrt(np.nanmean(miss[at] ** 2))) for at in (seen, hide & late)]
        print(f"  fitted {name:9s} all observed {scores[0]:.3f}   hidden, from frame {block.start} on {scores[1]:.3f}")


def before_pasting(target: xr.DataArray, cond: list[xr.DataArray], method: PublishedNet, weights: Weights) -> NDArray:
    """What a net says of all pixels of a map of 128 x 128, shown ones as well, in log10."""
    channels = weights.card.channels
    maps = np.stack([np.log10(target.values), *(_channel(each) for each in cond)], axis=1)
    out = np.full(target.shape, np.nan)
    for row in (0, 64):
        for col in (0, 64):
            part = maps[..., row : row + 64, col : col + 64][:, None].astype(np.float32)
            cut = windows(part, channels, targets=1, sea=np.ones((len(part), 64, 64), bool))
            found = method.fill(cut, weights, None, 1)  # type: ignore[arg-type]
            out[:, row : row + 64, col : col + 64] = found.values[0, :, 0, 0]
    return out


def _channel(da: xr.DataArray) -> NDArray:
    return np.log10(da.values) if da.name == "MLD" else da.values
