"""Distance to the nearest seen pixel, by which every score is split: far from data, filling is another task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NAMES = ("<=2", "3-8", ">8")
EDGES = (2.0, 8.0)


def distance_to_seen(seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels to the nearest seen pixel of the same frame.

    Parameters
    ----------
    seen : (..., y, x) bool
        Where something was observed.

    Returns
    -------
    (..., y, x) float32
        0 where seen, infinite in a frame that saw nothing.

    Examples
    --------
    >>> import numpy as np
    >>> distance_to_seen(np.array([[True, False, False]]))
    array([[0., 1., 2.]], dtype=float32)
    """
    seen = np.asarray(seen, dtype=bool)
    frames = seen.reshape(-1, *seen.shape[-2:])
    distance = np.full(frames.shape, np.inf, np.float32)
    for frame, values in zip(frames, distance, strict=True):
        if frame.any():
            values[:] = ndimage.distance_transform_edt(~frame)
    return distance.reshape(seen.shape)


def distance_class(distance: NDArray[np.float32]) -> NDArray[np.int8]:
    """0 up to 2 pixels, 1 up to 8 pixels, 2 beyond: the classes of `NAMES`."""
    return np.searchsorted(EDGES, distance, side="left").astype(np.int8)
