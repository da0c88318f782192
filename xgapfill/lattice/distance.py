"""Distance of every pixel to the nearest observed pixel, in maps and in windows."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

EARTH_RADIUS = 6371.0088  # km


def kilometres_to(observed: NDArray[np.bool_], lat: NDArray, lon: NDArray) -> NDArray[np.float32]:
    """Great-circle distance (km) of every pixel to the nearest observed one, (y, x), also across the dateline."""
    north, east = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None]
    places = np.stack(
        np.broadcast_arrays(np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)), -1
    )
    # the nearest pixel of a region is on its edge, so only edges are searched
    chord, _ = scipy.spatial.cKDTree(places[_edge(observed)]).query(places[~observed])
    distance = np.zeros(observed.shape, np.float32)
    distance[~observed] = 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / 2, 1))
    return distance


def pixels_to(observed: NDArray[np.bool_], periodic: bool = False) -> NDArray[np.float32]:
    """Distance in pixels of every pixel to the nearest observed one, (y, x); `periodic` around the globe."""
    width = observed.shape[1]
    half = width // 2 if periodic else 0
    around = np.concatenate([observed[:, width - half :], observed, observed[:, :half]], axis=1)
    return scipy.ndimage.distance_transform_edt(~around)[:, half : half + width].astype(np.float32)


def nearest_in_windows(
    values: NDArray[np.float32], observed: NDArray[np.bool_], slot: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance of every pixel of a batch of windows to the nearest observed one in space and time, and its value.

    Exact, one axis after the other for all windows at once (Saito & Toriwaki 1994, doi:10.1016/0031-3203(94)90133-3),
    and only as far from a row as needed: a fraction of the time of one general distance transform per window.

    Parameters
    ----------
    values, observed : (b, t, y, x), of up to 500 rows and columns
    slot : (b,)
        Length of a time step in pixels.

    Returns
    -------
    distance, value : (b, t, y, x) float32
        Distance in pixels; infinity and 0 in windows without observations.
    """
    square = np.full(observed.shape, np.inf, np.float32)
    value = np.zeros(observed.shape, np.float32)
    some = observed.any(axis=(2, 3))
    square[some], value[some] = _nearest_in_frames(values[some], observed[some])
    nearest, found = square.copy(), value.copy()
    for lag in range(1, observed.shape[1]):
        step = ((lag * slot) ** 2).astype(np.float32)[:, None, None, None]
        early, late = slice(None, -lag), slice(lag, None)
        for here, there in ((late, early), (early, late)):
            through = square[:, there] + step
            np.copyto(found[:, here], value[:, there], where=through < nearest[:, here])
            np.minimum(nearest[:, here], through, out=nearest[:, here])
    return np.sqrt(nearest), found


def _nearest_in_frames(
    values: NDArray[np.float32], observed: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Squared distance to the nearest observed pixel of the frame, and its value, (frame, y, x); no empty frames."""
    rows, cols = observed.shape[1:]
    row, col = np.arange(rows, dtype=np.int32)[:, None, None], np.arange(cols, dtype=np.int32)
    far = np.int32(rows + cols)
    by_row = np.ascontiguousarray(observed.transpose(1, 0, 2))
    left = np.maximum.accumulate(np.where(by_row, col, -far), axis=-1)
    right = np.minimum.accumulate(np.where(by_row, col, cols + far)[..., ::-1], axis=-1)[..., ::-1]
    left, right = left - col, right - col
    aside = np.where(-left <= right, left, right)
    # squared distance with the row in the lowest bits, so that the minimum also gives the row
    bits = rows.bit_length()
    along = (aside * aside << bits) + row
    best = along.copy()
    for away in range(1, rows):
        step = np.int32(away**2 << bits)
        if step > best.max(initial=0):
            break
        np.minimum(best[away:], along[:-away] + step, out=best[away:])
        np.minimum(best[:-away], along[away:] + step, out=best[:-away])
    source = best & ((1 << bits) - 1)
    frame = np.arange(len(observed))[:, None]
    column = col + aside.take(cols * (source * len(observed) + frame) + col)
    value = values.take(cols * (source + frame * rows) + column)
    return (best >> bits).transpose(1, 0, 2), value.transpose(1, 0, 2)


def _edge(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Observed pixels with a missing neighbour, or at the border."""
    inner = np.zeros_like(observed)
    inner[1:-1, 1:-1] = observed[:-2, 1:-1] & observed[2:, 1:-1] & observed[1:-1, :-2] & observed[1:-1, 2:]
    return observed & ~inner


NAMES = ("<=2", "3-8", ">8")
EDGES = (2.0, 8.0)


def distance_to_observed(observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels to the nearest observed pixel of the same frame.

    Parameters
    ----------
    observed : (..., y, x) bool
        Observed pixels.

    Returns
    -------
    (..., y, x) float32
        0 where observed, infinite in a frame without observations.

    Examples
    --------
    >>> import numpy as np
    >>> distance_to_observed(np.array([[True, False, False]]))
    array([[0., 1., 2.]], dtype=float32)
    """
    observed = np.asarray(observed, dtype=bool)
    frames = observed.reshape(-1, *observed.shape[-2:])
    distance = np.full(frames.shape, np.inf, np.float32)
    for frame, values in zip(frames, distance, strict=True):
        if frame.any():
            values[:] = scipy.ndimage.distance_transform_edt(~frame)
    return distance.reshape(observed.shape)


def distance_class(distance: NDArray[np.float32]) -> NDArray[np.int8]:
    """0 up to 2 pixels, 1 up to 8 pixels, 2 beyond: the classes of `NAMES`."""
    return np.searchsorted(EDGES, distance, side="left").astype(np.int8)
