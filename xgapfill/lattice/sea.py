"""Where the sea is: a packed 0.1 degree mask inside the package.

Source: the ``ocean`` layer that goes with NASA Earth Observations' (NEO) global MODIS-Aqua chlorophyll, from the
repository oceaneos of MapBox, licence Apache-2.0. ``python -m xgapfill.lattice.sea FILE`` packs it again from the file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

FILE = Path(__file__).parent / "sea.npz"
CELL = 0.1  # degrees; row 0 is the northernmost, column 0 begins at 180 W
SHAPE = (1800, 3600)
SOURCE = "ocean mask of NASA Earth Observations MODIS-Aqua chlorophyll, repository oceaneos (MapBox)"
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class SeaFlag:
    """Meaning of the values of a mask.

    Attributes
    ----------
    flags : tuple of (int or None, int)
        Bits to compare, None for the whole value, and their value, of each flag of land or of sea.
    land : bool
        Whether the flags mark land; else they mark sea.
    """

    flags: tuple[tuple[int | None, int], ...] = ((None, 1),)
    land: bool = False

    def is_land(self, values: NDArray) -> NDArray[np.bool_]:
        """Return where values mean land; NaN is unknown."""
        whole = np.nan_to_num(values).astype(np.int64)
        chosen = np.zeros(whole.shape, bool)
        for bits, value in self.flags:
            chosen |= (whole if bits is None else whole & bits) == value
        return np.asarray(~np.isnan(values) & (chosen == self.land))


def sea(lat: ArrayLike, lon: ArrayLike) -> NDArray[np.bool_]:
    """Return the sea pixels of a map.

    A pixel is sea when the 0.1 degree cell at its centre is sea, regardless of the size of the pixel. Inland waters are
    land. The coast is as coarse as the cells, so treat observed pixels as sea.

    Parameters
    ----------
    lat : (y,) array_like
        Latitudes, degrees north, in any order.
    lon : (x,) array_like
        Longitudes, degrees east, from any origin.

    Returns
    -------
    (y, x) ndarray of bool

    Raises
    ------
    ValueError
        Coordinates are not 1-D, not finite or beyond the poles.

    Examples
    --------
    >>> sea([47.0, 48.9], [-50.0, 2.3, 310.0])
    array([[ True, False,  True],
           [ True, False,  True]])
    """
    latitude, longitude = (_degrees(values, name) for values, name in ((lat, "lat"), (lon, "lon")))
    if latitude.size and abs(latitude).max() > 90 + CELL / 2:
        raise ValueError(f"lat must lie between -90 and 90, found {latitude.min():g} to {latitude.max():g}")
    # a pixel on the edge of two cells belongs to the same cell however its coordinate was rounded
    rows = np.floor((90 - latitude) / CELL + 1e-6).astype(int).clip(0, SHAPE[0] - 1)
    cols = np.floor((longitude + 180) / CELL + 1e-6).astype(int) % SHAPE[1]
    return np.unpackbits(_packed()[rows], axis=1)[:, cols].astype(bool)


def pack(source: str | Path, file: Path = FILE) -> Path:
    """Pack the variable ``ocean`` (lat, lon) of a netCDF file into `file`; ValueError for another grid."""
    import xarray as xr

    with xr.open_dataset(source) as dataset:
        ocean = dataset["ocean"].transpose("lat", "lon").sortby("lat", ascending=False).load()
    expected = 90 - CELL * (np.arange(SHAPE[0]) + 0.5), -180 + CELL * (np.arange(SHAPE[1]) + 0.5)
    for name, centres in zip(("lat", "lon"), expected, strict=True):
        found = ocean[name].values
        if found.shape != centres.shape or not np.allclose(found, centres, atol=CELL / 10):
            raise ValueError(f"{name} must be the centres of {CELL} degree cells, {centres[0]:g}, {centres[1]:g} ...")
    bits = np.packbits(ocean.values.astype(bool), axis=1)
    file.parent.mkdir(exist_ok=True)
    np.savez_compressed(file, bits=bits, source=SOURCE, licence=LICENCE)
    return file


def _degrees(values: ArrayLike, name: str) -> NDArray[np.float64]:
    degrees = np.asarray(values, dtype=np.float64)
    if degrees.ndim != 1 or not np.isfinite(degrees).all():
        raise ValueError(f"{name} must be one-dimensional finite degrees, found shape {degrees.shape}")
    return degrees


@lru_cache(maxsize=1)
def _packed() -> NDArray[np.uint8]:
    with np.load(FILE) as stored:
        bits: NDArray[np.uint8] = stored["bits"]
    return bits


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m xgapfill.lattice.sea FILE   (netCDF with the variable ocean on 0.1 degree cells)")
    packed = pack(sys.argv[1])
    print(f"{packed.name}: {packed.stat().st_size} bytes")
