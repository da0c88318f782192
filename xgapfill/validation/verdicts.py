"""All tests of a filled field by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xgapfill.validation.calibration import range_test, rank_tests, reliability, spread_test, tarp
from xgapfill.validation.hidden import better_than_mean, bias, unused
from xgapfill.validation.means import monthly, regional
from xgapfill.validation.scene import Scene
from xgapfill.validation.tell import told_apart
from xgapfill.validation.texture import seams, texture
from xgapfill.validation.verdict import Verdict

Test = Callable[[Scene], list[Verdict]]
QUICK: dict[str, Test] = {
    "bias": bias,
    "unused": unused,
    "better": better_than_mean,
    "ranks": rank_tests,
    "range": range_test,
    "spread": spread_test,
    "intervals": reliability,
    "tarp": tarp,
    "texture": texture,
    "seams": seams,
    "regional": regional,
    "monthly": monthly,
}
TESTS: dict[str, Test] = {**QUICK, "tell_apart": told_apart}
NEED_MEMBERS = ("ranks", "range", "tarp")
NEED_SPREAD = ("spread", "intervals")


def check_tests(tests: Sequence[str], *more: str) -> None:
    """ValueError for a test that is neither among `TESTS` nor among `more`."""
    if isinstance(tests, str):
        raise TypeError(f"tests must be a sequence of names, found {tests!r}; write tests=[{tests!r}]")
    for name in tests:
        if name not in TESTS and name not in more:
            raise ValueError(f"unknown test {name!r}; tests are {', '.join((*TESTS, *more))}")


def verdicts(scene: Scene, tests: Sequence[str] = tuple(QUICK)) -> list[Verdict]:
    """Verdicts of tests on a filled field; those that need members or a spread are left out without.

    Examples
    --------
    >>> from xgapfill.validation.planted import ocean
    >>> found = verdicts(ocean(members=0))
    >>> "TARP mean" in [each.name for each in found]
    False
    """
    check_tests(tests)
    scene = scene.filled
    if not scene.hidden.any():
        return []
    several = scene.members is not None and len(scene.members) > 1
    left_out = {*(() if several else NEED_MEMBERS)}
    left_out |= {*(() if several or scene.spread is not None else NEED_SPREAD)}
    return [each for name in tests if name not in left_out for each in TESTS[name](scene)]
