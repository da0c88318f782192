"""Consistency: fill, hide the filled field under the clouds of another date, fill again.

The first fill is the truth now, also where nothing was ever observed. If a method draws members from the law that it
states, its second fill is as far from the first as it says. This finds a method that contradicts itself; one that is
wrong in the same way both times passes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xgapfill.validation.calibration import rank_tests, spread_test
from xgapfill.validation.hidden import unused
from xgapfill.validation.scene import Scene
from xgapfill.validation.texture import texture
from xgapfill.validation.verdict import Verdict


def consistency(scene: Scene) -> list[Verdict]:
    """Differences of a second fill from the first, against the stated spread.

    Parameters
    ----------
    scene : Scene
        Its truth is the first fill: a member, or the estimate of a method without members. Its hidden pixels were
        missing the first time and were hidden the second time.

    Returns
    -------
    list of Verdict
        Members: spread over difference, width of the ranks, and texture of the second fill. An estimate is smoother
        than a member, so its difference must only not be larger than stated.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean, refilled
    >>> all(each.passed for each in consistency(refilled(ocean())))
    True
    """
    if scene.members is None:
        (found,) = spread_test(scene)
        return [replace(found, name="refill: spread/difference", high=np.inf)] if found.tested else [found]
    rows = [*spread_test(scene), rank_tests(scene)[1], *unused(scene), texture(scene)[1]]
    names = ("spread/difference", "rank width", "unused", "texture S_1")
    return [replace(each, name=f"refill: {name}") for each, name in zip(rows, names, strict=True)]
