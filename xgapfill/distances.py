"""Distance of every pixel of a map to the nearest seen one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS = 6371.0088  # km


def kilometres_to(seen: NDArray[np.bool_], lat: NDArray, lon: NDArray) -> NDArray[np.float32]:
    """Great-circle distance (km) of every pixel to the nearest seen one, (y, x) of a map, across the dateline too."""
    from scipy.spatial import cKDTree

    north, east = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None]
    places = np.stack(
        np.broadcast_arrays(np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)), -1
    )
    # the nearest of a region is on its edge, which is much less to look through
    chord, _ = cKDTree(places[_edge(seen)]).query(places[~seen])
    distance = np.zeros(seen.shape, np.float32)
    distance[~seen] = 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / 2, 1))
    return distance


def pixels_to(seen: NDArray[np.bool_], periodic: bool = False) -> NDArray[np.float32]:
    """Distance in pixels of every pixel to the nearest seen one, (y, x) of a map that may close around the globe."""
    from scipy.ndimage import distance_transform_edt

    width = seen.shape[1]
    half = width // 2 if periodic else 0
    around = np.concatenate([seen[:, width - half :], seen, seen[:, :half]], axis=1)
    return distance_transform_edt(~around)[:, half : half + width].astype(np.float32)


def _edge(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Seen pixels with an unseen neighbour, or at the border."""
    inner = np.zeros_like(seen)
    inner[1:-1, 1:-1] = seen[:-2, 1:-1] & seen[2:, 1:-1] & seen[1:-1, :-2] & seen[1:-1, 2:]
    return seen & ~inner
