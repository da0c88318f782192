"""A method before its net is trained: it says which predictors it uses, and fills nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method, NetMethod

if TYPE_CHECKING:
    from xgapfill.weights import Weights


@dataclass(frozen=True)
class Untrained(Method):
    """Stands for a method in the call that its net is trained on.

    Parameters
    ----------
    method : NetMethod
    """

    method: NetMethod

    name: ClassVar[str] = "untrained"

    def uses(self, channel: str) -> bool:
        """Whether the method uses a predictor itself."""
        return self.method.uses(channel)

    def check(self, channels: tuple[str, ...]) -> None:
        """Raise ValueError when the method cannot fill these channels."""
        self.method.check(channels)

    def fill(self, windows: Windows, weights: Weights | None, noise: Noise, members: int) -> Filled:
        """Nothing can be filled yet."""
        raise NotImplementedError(f"{self.method.name} is not trained yet")
