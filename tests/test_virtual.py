"""The map that benchmarks are made on."""

from __future__ import annotations

import numpy as np
from bench.virtual import virtual_ocean


def test_a_tile_is_repeated_when_it_is_read():
    """Any part of a map far larger than memory has the values of the tile, and nothing is loaded before."""
    rng = np.random.default_rng(0)
    given = {"PSC": rng.random((3, 4, 8, 8)), "CHL": rng.random((4, 8, 8)), "sea": rng.random((8, 8)) > 0.5}
    ds = virtual_ocean(given)
    assert ds.PSC.shape == (3, 1068, 4320, 8640)
    assert not any(ds[name].variable._in_memory for name in given)
    part = ds.isel(time=slice(3, 6), lat=slice(4310, 4320), lon=slice(5, 20))
    tiled = np.tile(given["PSC"], (1, 2, 1, 3))[:, 3:6][:, :, np.arange(4310, 4320) % 8][..., 5:20]
    np.testing.assert_array_equal(part.PSC, tiled)
    np.testing.assert_array_equal(part.PSC.isel(size_class=1, time=0), tiled[1, 0])
    np.testing.assert_array_equal(part.sea, given["sea"][np.arange(4310, 4320) % 8][:, np.arange(5, 20) % 8])
