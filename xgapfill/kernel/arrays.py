"""Input of a kernel for one box: one (t, y, x) array per source, by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple


class BoxArrays(NamedTuple):
    """Arrays (t, y, x) of a box.

    Attributes
    ----------
    variables : tuple of tuple of array
        Parts of the target, then of each predictor.
    errors : tuple of array
        Standard deviations of the errors of the target's parts; empty when none are given.
    sea : array or None
        Values of the sea mask; of the map of pixels that were ever observed (`kernel.ever`) when the mask of the
        package is used; None without either.
    drivers : tuple of array
        Parts of the drivers, then the arrays of their relation to the target, on their own grids.
    also : tuple of array
        Maps of other sensors, then fields of cells that compare them with the target.
    prior : tuple of array
        Arrays of the shared prior, on their own grids.
    donors : tuple of array
        Maps of other dates, and their prior, for each pair of members in turn.
    """

    variables: tuple[tuple[Any, ...], ...]
    errors: tuple[Any, ...]
    sea: Any
    drivers: tuple[Any, ...] = ()
    also: tuple[Any, ...] = ()
    prior: tuple[Any, ...] = ()
    donors: tuple[Any, ...] = ()

    def frame(self, slot: int) -> BoxArrays:
        """One frame of all arrays."""
        at = (slice(slot, slot + 1), slice(None), slice(None))
        return BoxArrays(
            tuple(tuple(part[at] for part in variable) for variable in self.variables),
            tuple(error[at] for error in self.errors),
            None if self.sea is None else self.sea[at],
        )


@dataclass(frozen=True)
class Layout:
    """Order of the sources of a call.

    Attributes
    ----------
    parts : tuple of int
        Number of parts of the target, then of each predictor.
    errors : bool
        Whether the errors of the target's parts follow.
    sea : bool
        Whether a sea mask, or a map of pixels that were ever observed, is last.
    drivers : int
        Number of arrays of the drivers and of their relation to the target, after the errors.
    also : int
        Number of arrays of other sensors, which follow.
    prior : int
        Number of arrays of the shared prior, which follow.
    donors : int
        Number of arrays of the donors of members, which are before the mask.
    """

    parts: tuple[int, ...]
    errors: bool = False
    sea: bool = False
    drivers: int = 0
    also: int = 0
    prior: int = 0
    donors: int = 0

    def place(self, kind: str) -> slice:
        """Return where the arrays of a kind are: variables, errors, drivers, also, prior, donors or sea."""
        first, stop = self._ends[kind]
        return slice(first, stop)

    def without(self, *kinds: str) -> list[int]:
        """Return the numbers of the arrays of all other kinds."""
        return [n for kind, ends in self._ends.items() if kind not in kinds for n in range(*ends)]

    @property
    def _ends(self) -> dict[str, tuple[int, int]]:
        counts = {
            "variables": sum(self.parts),
            "errors": self.parts[0] * self.errors,
            "drivers": self.drivers,
            "also": self.also,
            "prior": self.prior,
            "donors": self.donors,
            "sea": int(self.sea),
        }
        stops = list(accumulate(counts.values()))
        return {kind: (stop - count, stop) for (kind, count), stop in zip(counts.items(), stops, strict=True)}

    def named(self, arrays: Sequence[Any]) -> BoxArrays:
        """Give names to arrays in the order of the sources."""
        left: Iterator[Any] = iter(arrays)
        variables = tuple(tuple(next(left) for _ in range(count)) for count in self.parts)
        errors = tuple(next(left) for _ in range(self.parts[0])) if self.errors else ()
        drivers = tuple(next(left) for _ in range(self.drivers))
        also = tuple(next(left) for _ in range(self.also))
        prior = tuple(next(left) for _ in range(self.prior))
        donors = tuple(next(left) for _ in range(self.donors))
        return BoxArrays(variables, errors, next(left) if self.sea else None, drivers, also, prior, donors)
