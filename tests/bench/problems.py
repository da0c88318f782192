"""Real fields with hidden observations, so that the truth is known.

The validation set is the NE Pacific from 2020-06-09 on, where parameters are chosen. The test set is Newfoundland 2015,
where nothing is ever chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.simulate import size_class_anomalies
from xgapfill.validation.masks import disc_blocks, load, transplanted
from xgapfill.variables import relation
from xgapfill.variables.transforms import ilr_inverse

CHOOSE_FROM = "2020-06-09"
CHOOSE_SEED = 2020
REPORT_SEED = 2015
MASKS = Path(__file__).parent / "masks"


class Problem(NamedTuple):
    """A field with a known truth.

    Attributes
    ----------
    values : (t, y, x) float32
        log10 of CHL in mg m-3, the input of methods, NaN where missing or hidden.
    truth : (t, y, x) float32
        The same with the observations at hidden pixels.
    hidden : (t, y, x) bool
        Hidden pixels, which are scored.
    lat : (y,) float64
        Degrees north.
    lon : (x,) float64
        Degrees east.
    time : (t,) datetime64
    sea : (y, x) bool
    """

    values: NDArray[np.float32]
    truth: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    time: NDArray[np.datetime64]
    sea: NDArray[np.bool_]


def choose_problem(folder: str | Path, *, gaps: str = "discs", seed: int = CHOOSE_SEED) -> Problem:
    """The validation set: 8-day MODIS CHL of the NE Pacific, 2020-06-09 to 2020-08-04, 8 x 336 x 285.

    Parameters
    ----------
    folder : path
        Folder that holds ``ne_pacific_modis_2020_8day.nc``.
    gaps : {"discs", "transplanted"}
        Disc-shaped blocks of 4-12 pixels radius (15 % of the observed pixels) or the gaps of other dates of the whole
        file.
    seed : int
        Seed of the gaps; those of the default seed are stored in files.
    """
    if gaps not in ("discs", "transplanted"):
        raise ValueError(f"gaps must be 'discs' or 'transplanted', found {gaps!r}")
    field = read_log10_chl(Path(folder) / "ne_pacific_modis_2020_8day.nc")
    late = field["time"].values >= np.datetime64(CHOOSE_FROM)
    observed = np.isfinite(field.values)
    if seed == CHOOSE_SEED:
        hidden = frozen(f"ne_pacific_2020_{gaps}")
    elif gaps == "discs":
        hidden = disc_blocks(observed[late], share=0.15, radius=(4, 12), seed=seed)
    else:
        hidden = transplanted(observed, seed=seed)[late]
    return hide(field[late], hidden)


def report_problem(folder: str | Path) -> Problem:
    """The test set: 8-day MODIS CHL off Newfoundland, all of 2015, 46 x 96 x 160, with the gaps of other dates.

    Nothing may be chosen, fitted or trained on it, except by a method on its input.

    Parameters
    ----------
    folder : path
        Folder that holds ``newfoundland_modis_2015_8day.nc``.
    """
    return hide(read_log10_chl(Path(folder) / "newfoundland_modis_2015_8day.nc"), frozen("newfoundland_2015"))


def choose_size_classes(folder: str | Path) -> xr.Dataset:
    """Semi-synthetic size classes on the chlorophyll of the validation set; no map of real ones is public.

    The mean relation to chlorophyll plus stirred residuals of in-situ size, the gaps of other dates.

    Parameters
    ----------
    folder : path
        Folder that holds ``ne_pacific_modis_2020_8day.nc``.

    Returns
    -------
    Dataset
        ``PSC`` (psc, time, lat, lon) with gaps, ``truth`` where only ``PSC`` is missing, ``CHL`` in mg m-3, all with
        the coordinate ``sea``.
    """
    problem = choose_problem(folder, gaps="transplanted")
    chl = as_chl(problem._replace(values=problem.truth))
    parts = ilr_inverse(relation.psc_ilr_mean(problem.truth) + residuals_of(problem))
    classes = xr.DataArray(
        parts.astype(np.float32),
        dims=("psc", *chl.dims),
        coords={"psc": list(relation.CLASSES), **chl.coords},
        attrs={"units": "1", "long_name": "fraction of chlorophyll-a by phytoplankton size class"},
    )
    return xr.Dataset({"PSC": classes.where(~problem.hidden), "truth": classes.where(problem.hidden), "CHL": chl})


def residuals_of(problem: Problem) -> NDArray[np.float32]:
    """Residuals of the log-ratios from their relation to chlorophyll, of the validation set: (2, t, y, x)."""
    latitude = float(problem.lat.mean())
    shape = problem.lat.size, problem.lon.size
    return size_class_anomalies(CHOOSE_SEED, len(problem.truth), shape, latitude=latitude)


def as_chl(problem: Problem) -> xr.DataArray:
    """The values of a problem as chlorophyll in mg m-3, with the coordinate ``sea``."""
    return xr.DataArray(
        np.power(np.float32(10), problem.values),
        dims=("time", "lat", "lon"),
        coords={"time": problem.time, "lat": problem.lat, "lon": problem.lon, "sea": (("lat", "lon"), problem.sea)},
        name="CHL",
        attrs={"units": "mg m-3", "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water"},
    )


def frozen(name: str) -> NDArray[np.bool_]:
    """A stored mask, so that scores of different versions are comparable."""
    return load(MASKS / f"{name}.npz")


def draw_masks(folder: str | Path) -> dict[str, NDArray[np.bool_]]:
    """Draw the stored masks from their seeds.

    Parameters
    ----------
    folder : path
        Folder that holds the files of both sets.
    """
    pacific = read_log10_chl(Path(folder) / "ne_pacific_modis_2020_8day.nc")
    late = pacific["time"].values >= np.datetime64(CHOOSE_FROM)
    observed = np.isfinite(pacific.values)
    atlantic = np.isfinite(read_log10_chl(Path(folder) / "newfoundland_modis_2015_8day.nc").values)
    return {
        "ne_pacific_2020_discs": disc_blocks(observed[late], share=0.15, radius=(4, 12), seed=CHOOSE_SEED),
        "ne_pacific_2020_transplanted": transplanted(observed, seed=CHOOSE_SEED)[late],
        "newfoundland_2015": transplanted(atlantic, seed=REPORT_SEED),
    }


def read_log10_chl(path: str | Path) -> xr.DataArray:
    """log10 of `CHL` on a full lattice; rows that the file lacks are missing.

    Returns
    -------
    DataArray (time, lat, lon) float32
        With the coordinate `sea` (lat, lon), from the mask of the file.

    Raises
    ------
    FileNotFoundError
        The file is not in the folder.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path.name} was not found in {path.parent}; give its folder with --data")
    with xr.open_dataset(path) as data:
        chl = data["CHL"].transpose("time", "lat", "lon").load()
        sea = data["mask"].transpose("lat", "lon").load().astype(bool)
    logarithm = chl.copy(data=np.log10(chl.where(chl > 0).values).astype(np.float32))
    return full_rows(logarithm.assign_coords(sea=sea).rename("log10_chl"))


def full_rows(field: xr.DataArray) -> xr.DataArray:
    """The field with absent rows of latitude added as NaN."""
    lat = field["lat"].values
    step = np.median(np.diff(lat))
    count = round((lat[-1] - lat[0]) / step) + 1
    if count == lat.size:
        return field
    lattice = np.linspace(lat[0], lat[-1], count)
    place = np.rint((lat - lat[0]) / step).astype(int)
    lattice[place] = lat
    sea = field["sea"].reindex(lat=lattice, method="nearest", tolerance=1.5 * abs(step))
    return field.drop_vars("sea").reindex(lat=lattice).assign_coords(sea=sea)


def hide(field: xr.DataArray, hidden: NDArray[np.bool_]) -> Problem:
    """A problem from a field (time, lat, lon) and the mask of hidden pixels."""
    truth = field.values.astype(np.float32)
    hidden = hidden & np.isfinite(truth)
    return Problem(
        values=np.where(hidden, np.float32(np.nan), truth),
        truth=truth,
        hidden=hidden,
        lat=field["lat"].values.astype(np.float64),
        lon=field["lon"].values.astype(np.float64),
        time=field["time"].values,
        sea=field["sea"].values.astype(bool) | np.isfinite(truth).any(axis=0),
    )
