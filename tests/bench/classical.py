"""Classical methods against other implementations: how much faster, and how much worse or better.

Seconds are processor time of one thread, which other load affects little. The fields are simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from typing import Any, NamedTuple

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray

import xgapfill
from bench.machine import describe
from xgapfill.api.validate import validate
from xgapfill.gaussian.kriging import USUAL, Covariance, amplitudes, krige, unconditional
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Series
from xgapfill.methods.dineof import Dineof
from xgapfill.methods.eofs import dineof, time_filter
from xgapfill.methods.interpolate import linear_in_time
from xgapfill.methods.kriging import CORE, MARGIN, SIZE

STEP = (8.0, 4.6, 3.0)  # days, km northward, km eastward
YEAR = (46, 96, 160)  # frames, rows and columns of a year of 8-day maps of a region
LONG = (1000, 96, 96)
CLOUDS = 0.5


class Score(NamedTuple):
    """Processor seconds and root mean square error."""

    seconds: float
    rmse: float


class Line(NamedTuple):
    """A measurement, and whether it meets its target; None without a target."""

    text: str
    met: bool | None = None


def run() -> None:
    """Print one line per measurement."""
    import torch

    torch.set_num_threads(1)
    print(describe())
    print("seconds are processor time of one thread; simulated fields\n")
    for part in (smoothing_lines, kriging_lines, dineof_lines, long_lines, interpolation_lines, map_lines):
        for line in part():
            mark = "" if line.met is None else "pass  " if line.met else "MISS  "
            print(f"{mark:6}{line.text}", flush=True)


def field(shape: tuple[int, ...], covariance: Covariance, seed: int = 0, draw: int = 0) -> NDArray[np.float32]:
    """Draw a random field (t, y, x) of this covariance."""
    box = tuple(2 * n for n in shape)
    white = Noise(seed, 8640)(0, draw, (0, 0, 0), (1, *box))[0]  # type: ignore[arg-type]
    return unconditional(white, amplitudes(box, covariance, STEP))[tuple(slice(n) for n in shape)]


def clouds(shape: tuple[int, ...], share: float, seed: int = 0) -> NDArray[np.bool_]:
    """Draw discs that hide at least this share of every frame (t, y, x)."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[1], : shape[2]]
    gone = np.zeros(shape, bool)
    for frame in gone:
        while frame.mean() < share:
            row, col, radius = rng.integers(shape[1]), rng.integers(shape[2]), rng.integers(3, 12)
            frame |= (rows - row) ** 2 + (cols - col) ** 2 < radius**2
    return gone


def chlorophyll(shape: tuple[int, int, int] = YEAR) -> xr.DataArray:
    """Simulate gappy chlorophyll of a year of 8-day maps, mg m-3, west of Ireland."""
    values = 10 ** (0.3 * field(shape, USUAL) - 0.4)
    coords = {
        "time": np.datetime64("2015-01-01", "ns") + 8 * np.arange(shape[0]) * np.timedelta64(1, "D"),
        "lat": 48 + (np.arange(shape[1]) + 0.5) / 24,
        "lon": -30 + (np.arange(shape[2]) + 0.5) / 24,
    }
    array = xr.DataArray(values, coords, ("time", "lat", "lon"), "CHL", {"units": "mg m-3"})
    return array.where(~clouds(shape, CLOUDS))


def spent(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a call, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def smoothing_lines() -> Iterator[Line]:
    """DCT-PLS on a year of maps: one pair of parameters, and the search."""
    chl = chlorophyll()
    with dask.config.set(scheduler="synchronous"):
        chl.isel(time=slice(3)).gapfill.dctpls(smoothing=0.5, time_weight=0.02).compute()  # loads what it needs
        pair, _ = spent(chl.gapfill.dctpls(smoothing=0.5, time_weight=0.02).compute)
        search, _ = spent(chl.gapfill.dctpls().compute)
    size = " x ".join(map(str, YEAR))
    yield Line(f"dctpls on {size}, one pair of parameters: {pair:.1f} s (3 s)", pair <= 3)
    yield Line(f"dctpls on {size}, with the search: {search:.1f} s (15 s)", search <= 15)


def kriging_lines() -> Iterator[Line]:
    """Kriging against one system per pixel."""
    found = kriging()
    ours = found["krige"]
    for name, least in (("one by one", 5.0), ("batched", 1.5), ("batched, table", 1.5)):
        ratio = found[name].seconds / ours.seconds
        yield Line(f"kriging is {ratio:.1f} x as fast as one system per pixel, {name} ({least:g} x)", ratio >= least)
    ratio = ours.rmse / found["batched"].rmse
    yield Line(f"kriging has {ratio:.4f} x the RMSE of one system per pixel (1.01 x)", ratio <= 1.01)


def kriging(share: float = CLOUDS, neighbours: int = 64) -> dict[str, Score]:
    """Score `krige` on a simulated window of which a share is hidden against one system for each pixel.

    These are solved one by one, each with its own query of the k-d tree (for every 32nd pixel, time counted 32-fold),
    or by batched Cholesky (every 4th pixel), with covariances computed or, as `krige` does, taken from a table. Errors
    are those at every 4th (one by one: 32nd) pixel.
    """
    import torch
    from scipy.spatial import cKDTree

    truth, gone = field(SIZE, USUAL), clouds(SIZE, share)
    observed, wanted = ~gone, gone & np.pad(np.ones(CORE, bool), [(n, n) for n in MARGIN])
    places, targets, data = np.argwhere(observed), np.argwhere(wanted), truth[observed].astype(np.float64)
    scale = np.array([14.7, 1.0, STEP[2] / STEP[1]])  # one frame away this field varies as 14.7 rows away
    tree = cKDTree(places * scale)
    lags = USUAL.at(tuple(np.arange(n) for n in SIZE), STEP)
    noise = USUAL.nugget * np.eye(neighbours)

    def computed(gap: NDArray) -> NDArray:
        return USUAL((gap[..., 1] * STEP[1]) ** 2 + (gap[..., 2] * STEP[2]) ** 2, gap[..., 0] * STEP[0])

    def looked_up(gap: NDArray) -> NDArray:
        return lags[tuple(np.moveaxis(np.abs(gap), -1, 0))]

    def shared(_: NDArray) -> NDArray:
        return krige(truth[None], observed, wanted, USUAL, STEP, neighbours).estimate[0]

    def one_by_one(targets: NDArray) -> NDArray:
        estimates = []
        for target in targets:
            near = tree.query(target * scale, k=neighbours)[1]
            matrix = computed(places[near][:, None] - places[near]) + noise
            estimates.append(np.linalg.solve(matrix, computed(places[near] - target)) @ data[near])
        return np.array(estimates)

    def batched(covariance: Callable[[NDArray], NDArray], targets: NDArray) -> NDArray:
        near = tree.query(targets * scale, k=neighbours)[1]
        estimates = []
        for start in range(0, len(targets), 64):
            here, number = places[near[start : start + 64]], near[start : start + 64]
            matrix = covariance(here[:, :, None] - here[:, None]) + noise
            toward = torch.from_numpy(covariance(here - targets[start : start + 64, None]))
            solved = torch.cholesky_solve(toward[..., None], torch.linalg.cholesky(torch.from_numpy(matrix)))
            estimates.append(np.sum(solved.numpy()[..., 0] * data[number], axis=1))
        return np.concatenate(estimates)

    def score(estimate: Callable[[NDArray], NDArray], every: int) -> Score:
        start = time.thread_time()
        error = estimate(targets[::every]) - truth[wanted][::every]
        seconds = every * (time.thread_time() - start)
        return Score(seconds, float(np.sqrt(np.mean(error[:: max(4 // every, 1)] ** 2))))

    return {
        "krige": min(score(shared, 1) for _ in range(3)),
        "one by one": score(one_by_one, 32),
        "batched": score(partial(batched, computed), 4),
        "batched, table": score(partial(batched, looked_up), 4),
    }


def modes_and_noise(shape: tuple[int, int, int], rank: int = 6, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """Simulate smooth modes under noise: the field without noise, with it (n, t), and where it is observed under
    clouds.
    """
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    count = np.arange(1, rank + 1)
    across = [np.linspace(0, 3, n)[:, None] * count + rng.normal(size=rank) for n in (height, width)]
    space = np.einsum("yk,xk->yxk", *map(np.cos, across)).reshape(-1, rank)
    times = np.sin(np.linspace(0, 5 * frames / 40, frames)[:, None] * count + rng.normal(size=rank))
    truth = space @ np.diag(1.0 / count) @ times.T
    observed = ~clouds(shape, CLOUDS, seed).reshape(frames, -1).T
    return truth, truth + 0.1 * rng.normal(size=truth.shape), observed


def dineof_lines() -> Iterator[Line]:
    """DINEOF against the public `pydineof`: its own number of modes, and the same matrix, filter and stopping rule."""
    if find_spec("pydineof") is None:
        yield Line("dineof: pydineof is not installed, nothing to compare with")
        return
    theirs, ours = public_dineof()
    ratio, times = ours.rmse / theirs.rmse, theirs.seconds / ours.seconds
    yield Line(f"dineof has {ratio:.3f} x the RMSE of pydineof (1.03 x)", ratio <= 1.03)
    yield Line(f"dineof is {times:.1f} x as fast as pydineof at the same number of modes (3 x)", times >= 3)


def public_dineof(shape: tuple[int, int, int] = (40, 30, 30), most: int = 12) -> tuple[Score, Score]:
    """Scores of `pydineof` and of `eofs.dineof` on one field, which both search through the same numbers of modes."""
    import pydineof as program

    frames, height, width = shape
    truth, values, observed = modes_and_noise(shape)
    cube = np.where(observed, 10**values, np.nan).T.reshape(shape)  # pydineof takes the logarithm of positive values
    days = np.datetime64("2000-01-01", "ns") + np.arange(frames) * np.timedelta64(1, "D")
    given = xr.DataArray(
        cube, dims=("time", "y", "x"), coords={"time": days, "y": np.arange(height), "x": np.arange(width)}
    )
    with redirect_stdout(StringIO()):
        seconds, filled = spent(partial(program.run_2D, given, nev=most, ncv=most + 8, seed=0))
    estimate = np.log10(filled.transpose("time", "y", "x").values).reshape(frames, -1).T
    again, found = spent(partial(dineof, values, observed, max_modes=most, smoother=time_filter(np.arange(frames))))

    def rmse(estimate: NDArray) -> float:
        return float(np.sqrt(np.mean((estimate - truth)[~observed] ** 2)))

    return Score(seconds, rmse(estimate)), Score(again, rmse(found.mean + found.spatial @ found.temporal.T))


def long_lines() -> Iterator[Line]:
    """The fit of DINEOF on a long series, its number of modes searched for."""
    frames, height, width = LONG
    _, values, observed = modes_and_noise(LONG, rank=12)
    rows, cols = np.mgrid[:height, :width]
    series = Series(
        values=np.where(observed, values, 0).T.astype(np.float32)[None],
        observed=observed.T[None],
        channels=("log10_chl",),
        targets=1,
        slots=np.arange(frames),
        season=np.zeros((frames, 2), np.float32),
        step_days=8.0,
        rows=rows.ravel(),
        cols=cols.ravel(),
        lat=np.full(height * width, 45, np.float32),
        lon=np.full(height * width, 330, np.float32),
    )
    seconds, weights = spent(partial(Dineof().fit, series))
    modes = weights.arrays["design"].shape[1] - 1
    yield Line(f"dineof fitted on {frames} frames of {height * width} pixels: {seconds:.0f} s, {modes} modes")


def interpolation_lines() -> Iterator[Line]:
    """Interpolation in time against that of xarray, at the pixels that xarray fills."""
    chl = xr.apply_ufunc(np.log10, chlorophyll((46, 32, 32)))
    expected = chl.assign_coords(time=np.arange(46)).interpolate_na("time").values
    values = chl.values.astype(np.float32)
    found, there = linear_in_time(np.nan_to_num(values), np.isfinite(values), 46)
    same = bool(np.array_equal(there, np.isfinite(expected)))
    most = float(np.abs(found - expected)[there].max())
    yield Line(f"interpolate departs from xarray's interpolate_na by at most {most:.1e} where that fills", same)


def map_lines() -> Iterator[Line]:
    """The self-organising map against regression on the simulated ocean, both given chlorophyll and temperature."""
    ocean = xgapfill.tutorial.open_dataset("ocean").load()
    options: Any = {"cond": [ocean.CHL, ocean.SST], "truth": ocean.PSC_truth.where(ocean.PSC.isnull())}
    table = validate(ocean.PSC, ["regression", "som"], **options).sel(distance_class="all")
    regression, som = (float(np.sqrt((table.rmse.sel(filled_by=name) ** 2).mean())) for name in ("regression", "som"))
    yield Line(f"som errs {som:.4f}, regression {regression:.4f} on the simulated ocean", som < regression)
