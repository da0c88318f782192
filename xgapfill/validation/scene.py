"""What a test looks at: one part of a field, its hidden pixels, and what a method made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from xgapfill.lattice.distance import distance_class, distance_to_observed
from xgapfill.validation.intervals import activity


@dataclass(frozen=True)
class Scene:
    """A filled field of one variable in the units of scores.

    Attributes
    ----------
    truth : (t, y, x) float
        NaN where unknown.
    observed, hidden : (t, y, x) bool
        Pixels that the method was shown, and the n pixels that are judged.
    mean : (n,) float
        Estimates.
    spread : (n,) float or None
        One standard deviation of their errors.
    members : (m, n) float or None
        Realisations.
    months : (t,) int or None
        Months of each date since January of year 0.

    Examples
    --------
    >>> truth = np.zeros((2, 4, 4))
    >>> hidden = np.zeros(truth.shape, bool)
    >>> hidden[:, 1] = True
    >>> scene = Scene(truth, ~hidden, hidden, np.ones(8))
    >>> float(scene.error.mean()), scene.dates.tolist()
    (1.0, [0, 0, 0, 0, 1, 1, 1, 1])
    """

    truth: NDArray
    observed: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    mean: NDArray
    spread: NDArray | None = None
    members: NDArray | None = None
    months: NDArray | None = None

    @property
    def filled(self) -> Scene:
        """Only the hidden pixels that were filled and whose truth is known."""
        made = [self.mean[None], *([] if self.spread is None else [self.spread[None]])]
        made += [] if self.members is None else [self.members]
        good = np.isfinite(np.concatenate(made)).all(axis=0) & np.isfinite(self.known)
        if good.all():
            return self
        hidden = self.hidden.copy()
        hidden[hidden] = good
        spread, members = (None if each is None else each[..., good] for each in (self.spread, self.members))
        return replace(self, hidden=hidden, mean=self.mean[good], spread=spread, members=members)

    @property
    def known(self) -> NDArray[np.float64]:
        """(n,) truth."""
        return np.asarray(self.truth[self.hidden], np.float64)

    @cached_property
    def dates(self) -> NDArray[np.int64]:
        """(n,) number of the date."""
        return np.nonzero(self.hidden)[0]

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """(n,) estimate minus truth."""
        return np.asarray(self.mean, np.float64) - self.known

    @cached_property
    def error_of_members(self) -> NDArray[np.float64]:
        """(n,) mean of the members, or the estimate without members, minus truth."""
        return self.error if self.members is None else self.members.mean(axis=0, dtype=np.float64) - self.known

    @property
    def drawn(self) -> NDArray:
        """(m, n) realisations, or the estimate as the only one."""
        return self.mean[None] if self.members is None else self.members

    @cached_property
    def real(self) -> NDArray[np.float64]:
        """(t, y, x) truth at observed and hidden pixels, else NaN."""
        return np.where(self.observed | self.hidden, self.truth, np.nan).astype(np.float64)

    def made(self, values: ArrayLike) -> NDArray[np.float64]:
        """(t, y, x) field with (n,) values at the hidden pixels."""
        field = self.real.copy()
        field[self.hidden] = values
        return field

    @cached_property
    def distance(self) -> NDArray[np.int8]:
        """(n,) class of the distance to the nearest observed pixel of the frame."""
        return distance_class(distance_to_observed(self.observed))[self.hidden]

    @cached_property
    def active(self) -> NDArray[np.float64]:
        """(n,) standard deviation of the truth around each pixel."""
        return activity(self.truth)[self.hidden]

    @cached_property
    def nearest(self) -> NDArray[np.float64]:
        """(n,) value of the nearest observed pixel of the frame; NaN in frames without any."""
        found = np.full(self.truth.shape, np.nan)
        for frame, seen in enumerate(self.observed):
            if seen.any() and self.hidden[frame].any():
                place = scipy.ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
                found[frame] = self.truth[frame][tuple(place)]
        return found[self.hidden]

    @cached_property
    def centre(self) -> float:
        """Mean of the observed pixels."""
        return float(self.truth[self.observed].mean()) if self.observed.any() else float("nan")
