"""``python -m xgapfill.training.filaments``: simulate the stirred tracers of `xgapfill.gaussian.filaments`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xgapfill.gaussian.filaments import FILE, LIMIT, STEP_DAYS
from xgapfill.simulate.stirring import Box, stirred
from xgapfill.tutorial import REGIME

TRACERS, FRAMES = 3, 6
SIDE = 180  # pixels: divides the columns around the globe of most grids, so that there is no seam at the dateline
LATITUDE, SPIN_UP = 45.0, 40
# eddies and patches of 200 km, and tracers that forget their sources within 10 days
STIRRED = replace(
    REGIME, speed=0.25, eddy_km=200, patch_km=200, patch_slope=3.0, patch_days=10, relax_days=10, mixing=10
)


def tracers(seed: int) -> NDArray[np.int8]:
    """Return means of 8 days of stirred tracers (c, t, y, x), periodic in y and x, in 127ths of `LIMIT`."""
    box = Box.around(LATITUDE, 0.0, (SIDE, SIDE))
    daily = stirred(np.random.default_rng(seed), STIRRED, box, (0.0,) * TRACERS, SPIN_UP)
    maps = np.stack([np.mean([day[:TRACERS] for day in islice(daily, int(STEP_DAYS))], 0) for _ in range(FRAMES)], 1)
    maps = (maps - maps.mean((1, 2, 3), keepdims=True)) / maps.std((1, 2, 3), keepdims=True)
    return np.rint(maps.clip(-LIMIT, LIMIT) * (127 / LIMIT)).astype(np.int8)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m xgapfill.training.filaments", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    np.savez_compressed(given.out, tracers=tracers(given.seed))
    print(given.out)


if __name__ == "__main__":
    main()
