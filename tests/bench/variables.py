"""Variables without a class of their own: their cost against the tuned ones, and their skill against baselines.

Chlorophyll and temperature are filled twice: as what they are, and as an unknown variable with ``transform=``. Complete
fields of other variables get the gaps of real maps of the NE Pacific. RMSE at hidden pixels, of log10 of positive
variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bench.problems import as_chl, choose_problem
from xgapfill.api.validate import validate

METHODS = ("background", "kriging")
BASELINES = ("dctpls", "global_dct_pls", "global_kriging")
MOST = 1.03
"""Target of both ratios: generic to tuned, and the better of background and kriging to the better baseline."""


class Case(NamedTuple):
    """A field, the pixels to hide, and the transform that an unknown variable of this kind is declared with."""

    name: str
    target: xr.DataArray
    hidden: NDArray[np.bool_]
    transform: str
    tuned: bool


def run(folder: Path) -> dict[str, float]:
    """Print a table and return the ratios."""
    ratios = {}
    print(f"{'':26}" + "".join(f"{name:>15}" for name in (*METHODS, *BASELINES)) + "   ratios")
    for case in cases(folder):
        generic = _rmse(case.target.drop_attrs(deep=False).rename("unknown"), case, METHODS, case.transform)
        if case.tuned:
            tuned = _rmse(case.target, case, METHODS, None)
            found = {name: generic[name] / tuned[name] for name in METHODS}
            _row(f"{case.name}, tuned", tuned, {})
        else:
            tuned = _rmse(case.target, case, (*METHODS, *BASELINES), None)
            better = min(tuned[name] for name in ("kriging", *BASELINES))
            found = {name: tuned[name] / better for name in METHODS}
            _row(f"{case.name}, recognised", tuned, found)
        _row(f"{case.name}, declared", generic, found if case.tuned else {})
        ratios |= {f"{case.name}, {name}": ratio for name, ratio in found.items()}
    return ratios


def _row(label: str, found: dict[str, float], ratios: dict[str, float]) -> None:
    cells = "".join(f"{found[name]:15.4g}" if name in found else " " * 15 for name in (*METHODS, *BASELINES))
    words = " ".join(f"{ratio:.3f}{'' if ratio <= MOST else '!'}" for ratio in ratios.values())
    print(f"{label:26}{cells}   {words}", flush=True)


def _rmse(target: xr.DataArray, case: Case, methods: tuple[str, ...], transform: str | None) -> dict[str, float]:
    table = validate(target, methods, masks=case.hidden, sea=target.sea, transform=transform)
    return dict(zip(methods, table.rmse.sel(distance_class="all").values.tolist(), strict=True))


def cases(folder: Path) -> Iterator[Case]:
    """All fields, in the order of the table."""
    problem = choose_problem(folder, gaps="transplanted")
    chl = as_chl(problem._replace(values=problem.truth))
    yield Case("CHL, NE Pacific", chl, problem.hidden, "log10", True)
    for name, steps in {"safrica_ostia_sst_2023_daily": 1, "socal_mur_sst_2022_1km": 2}.items():
        with xr.open_dataset(folder / f"{name}.nc") as data:
            sst = data["SST"][:, ::steps, ::steps].load()
        sst = _on_sea(sst)
        yield Case(f"SST, {name[:7]}", sst, clouds(folder, sst, "daily"), "linear", True)
        yield Case(f"SST, {name[:7]}", sst, clouds(folder, sst, "daily"), "linear", False)
    with xr.open_dataset(folder / "lapaz_cmems_1997_2022_monthly_4km.nc") as data:
        kd = _on_sea(data["KD490"][-48:].load())
    yield Case("Kd490, La Paz", kd, clouds(folder, kd, "8day"), "log10", False)
    with xr.open_dataset(folder / "pf_gosl_modis_2021_janapr_8day.nc") as data:
        name = next(iter(data.data_vars))
        chl = data[name].transpose("time", "lat", "lon")[:, 60:220, 120:320].load()
    turbidity = _on_sea((2 * chl.where(chl > 0) ** 1.3).rename("turbidity").drop_attrs(deep=False))
    turbidity = turbidity.assign_attrs(units="FNU")
    yield Case("turbidity, St Lawrence", turbidity, clouds(folder, turbidity, "8day"), "log10", False)


def _on_sea(field: xr.DataArray) -> xr.DataArray:
    return field.assign_coords(sea=field.notnull().any("time"))


def clouds(folder: Path, field: xr.DataArray, step: str) -> NDArray[np.bool_]:
    """Gaps of consecutive maps of the NE Pacific, those with 30 to 80 % of them, laid on observed pixels of a field."""
    with xr.open_dataset(folder / f"ne_pacific_modis_2020_{step}.nc") as data:
        missing = data["CHL"].transpose("time", "lat", "lon").isnull().values
        sea = data["mask"].transpose("lat", "lon").values.astype(bool)
    t, y, x = field.shape
    rows, cols = (slice(at, at + size) for at, size in zip((40, 5), (min(y, 290), min(x, 270)), strict=True))
    missing, sea = missing[:, rows, cols], sea[rows, cols]
    share = missing[:, sea].mean(axis=1)
    good = np.flatnonzero((share > 0.3) & (share < 0.8))
    frames = missing[np.resize(good, t)] & sea
    whole = np.pad(frames, [(0, 0), (0, y - frames.shape[1]), (0, x - frames.shape[2])], mode="symmetric")
    return np.asarray(whole & field.notnull().values)
