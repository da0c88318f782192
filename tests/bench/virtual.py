"""A virtual map with the shape of the archive: a small simulated ocean that is repeated on reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from xgapfill.simulate import clouds, simulate
from xgapfill.simulate.fields import power_law, remembered

SHAPE = (1068, 4320, 8640)
SIDE = 256  # pixels of the tile
FRAMES = 24
LAND, GAPS, FEW = 0.35, 0.6, 0.1  # shares: of the map; of PSC, of CHL that are missing


class Tiled(BackendArray):
    """Values repeated along every axis, read by index.

    Parameters
    ----------
    tile : array
    shape : tuple of int
    """

    def __init__(self, tile: NDArray[Any], shape: tuple[int, ...]) -> None:
        self.tile, self.shape, self.dtype = tile, shape, tile.dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        places = [
            np.arange(size)[part] % period for part, size, period in zip(key, self.shape, self.tile.shape, strict=True)
        ]
        whole = self.tile[np.ix_(*(np.atleast_1d(place) for place in places))]
        return whole.reshape([place.size for place in places if place.ndim])


def coordinates(shape: tuple[int, int, int] = SHAPE) -> dict[str, NDArray[Any]]:
    """Eight-day dates from 1998 on and the centres of global pixels, north first."""
    years = np.arange("1998", "2022", dtype="M8[Y]").astype("M8[D]")
    dates = np.concatenate([year + 8 * np.arange(46) for year in years]).astype("M8[ns]")
    step = 360 / shape[2]
    lat, lon = 90 - (np.arange(shape[1]) + 0.5) * step, -180 + (np.arange(shape[2]) + 0.5) * step
    return {"time": dates[: shape[0]], "lat": lat, "lon": lon}


def tiles() -> dict[str, NDArray[Any]]:
    """PSC, CHL and the sea mask of a tile: 35 % land, of the rest 60 % of PSC and 10 % of CHL missing."""
    ocean = simulate(1, frames=FRAMES, shape=(SIDE, SIDE), latitude=27.0)
    field = next(remembered(np.random.default_rng(0), (SIDE, SIDE), power_law((SIDE, SIDE), (1, 1), SIDE / 2, 4), 0))
    sea = field > np.quantile(field, LAND)
    psc_gaps, chl_gaps = (clouds(seed, FRAMES, (SIDE, SIDE), share) for seed, share in ((1, GAPS), (2, FEW)))
    psc = np.where(psc_gaps | ~sea, np.nan, ocean.psc).astype(np.float32)
    chl = np.where(chl_gaps | ~sea, np.nan, np.float32(10) ** ocean.log10_chl).astype(np.float32)
    return {"PSC": psc, "CHL": chl, "sea": sea}


def virtual_ocean(given: dict[str, NDArray[Any]], shape: tuple[int, int, int] = SHAPE) -> xr.Dataset:
    """Return the fields of `tiles`, repeated to a map of this shape and opened lazily."""
    names = ("time", "lat", "lon")
    sizes = dict(zip(names, shape, strict=True)) | {"size_class": 3}
    variables = {}
    for name, dims, attrs in (
        ("PSC", ("size_class", *names), {"units": "1"}),
        ("CHL", names, {"units": "mg m-3"}),
        ("sea", names[1:], {}),
    ):
        array = Tiled(given[name], tuple(sizes[dim] for dim in dims))
        variables[name] = xr.Variable(dims, indexing.LazilyIndexedArray(array), attrs)
    return xr.Dataset(variables, {"size_class": ["micro", "nano", "pico"], **coordinates(shape)})
