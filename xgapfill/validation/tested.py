"""The verdicts of all methods as a table of xarray, and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xgapfill.validation.case import Withheld
from xgapfill.validation.hidden import errors_by_group
from xgapfill.validation.scene import Scene
from xgapfill.validation.table import Reconstruction
from xgapfill.validation.verdict import Verdict
from xgapfill.validation.verdicts import verdicts

FIELDS = {
    "test_value": "statistic of the test",
    "test_expected": "its value if nothing is wrong",
    "test_low": "lower end of its interval, from resampling dates",
    "test_high": "upper end of its interval",
    "test_passed": "1 where the interval holds the expected value, else 0; NaN with too few dates",
}
GROUPED = {
    "group_rmse": "root-mean-square error of a group of hidden pixels",
    "group_rmse_low": "lower end of its 95 % interval, from resampling dates",
    "group_rmse_high": "upper end of its interval",
    "group_bias": "mean of estimate minus truth of a group of hidden pixels",
    "group_bias_low": "lower end of its 95 % interval, from resampling dates",
    "group_bias_high": "upper end of its interval",
}


def scenes(withheld: Withheld, found: Reconstruction) -> list[Scene]:
    """One scene for each part of the variable."""
    every = []
    for part, truth in enumerate(withheld.truth):
        spread = None if found.spread is None else found.spread[part]
        members = None if found.members is None else found.members[:, part]
        own = withheld.observed, withheld.hidden, found.mean[part], spread, members
        every.append(Scene(truth, *own, months_of(withheld)))
    return every


def months_of(withheld: Withheld) -> NDArray[np.int64] | None:
    """Months of each date since January of year 0; None without dates."""
    axis = withheld.quantity.axes[0].time
    if axis is None or axis not in withheld.shown.coords:
        return None
    dates = withheld.shown[axis]
    try:
        return np.asarray(dates.dt.year * 12 + dates.dt.month - 1, np.int64)
    except (AttributeError, TypeError):
        return None


def tested(
    withheld: Withheld,
    found: Mapping[str, Reconstruction],
    tests: Sequence[str],
    more: Mapping[str, Sequence[Sequence[Verdict]]],
) -> xr.Dataset:
    """Verdicts and errors by group of each method.

    Parameters
    ----------
    withheld : Withheld
    found : mapping
        Label of a method -> what it made of the hidden pixels.
    tests : sequence of str
        Names of `verdicts.TESTS`.
    more : mapping
        Label -> further verdicts for each part.

    Returns
    -------
    Dataset
        `FIELDS` with dimensions ``filled_by``, ``variable``, ``test``; `GROUPED` with ``group`` in place of ``test``.
    """
    rows, groups = {}, {}
    for label, one in found.items():
        for part, scene in enumerate(scenes(withheld, one)):
            extra = more[label][part] if label in more else []
            rows[label, part] = {each.name: each for each in [*verdicts(scene, tests), *extra]}
            groups[label, part] = errors_by_group(scene.filled)
    names = [*dict.fromkeys(name for each in rows.values() for name in each)]
    every = [*dict.fromkeys(name for each in groups.values() for name in each.index)]
    parts = len(withheld.truth)
    values = np.full((len(FIELDS), len(found), parts, len(names)), np.nan)
    errors = np.full((len(GROUPED), len(found), parts, len(every)), np.nan)
    for k, label in enumerate(found):
        for part in range(parts):
            for name, each in rows[label, part].items():
                passed = float(each.passed) if each.tested else np.nan
                values[:, k, part, names.index(name)] = each.value, each.expected, each.low, each.high, passed
            table = groups[label, part].reindex(every)
            errors[:, k, part] = table[[name.removeprefix("group_") for name in GROUPED]].to_numpy(float).T
    dims = ("filled_by", "variable")
    found_all = {name: ((*dims, "test"), values[k], {"long_name": FIELDS[name]}) for k, name in enumerate(FIELDS)}
    found_all |= {name: ((*dims, "group"), errors[k], {"long_name": GROUPED[name]}) for k, name in enumerate(GROUPED)}
    return xr.Dataset(found_all, coords={"filled_by": list(found), "test": names, "group": every})


def verdict_text(scores: xr.Dataset) -> str:
    """The verdicts of `validate` as text: one row per test, one column per method; ``!`` marks a failed test.

    Parameters
    ----------
    scores : Dataset
        From `xgapfill.validate`.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> scores = xgapfill.validate(ds.CHL, ["background"], tests=["bias"])
    >>> verdict_text(scores).splitlines()[0].split()
    ['test', 'expected', 'background']
    """
    parts = scores.size_class.values if "size_class" in scores.dims else [None]
    lines = []
    for part in parts:
        own = scores if part is None else scores.sel(size_class=part)
        lines.append(f"{'test' if part is None else part:28}{'expected':>9}" + _heads(own))
        for name in own.test.values:
            row = own.sel(test=name)
            cells = [
                f"{float(row.test_value[k]):15.3f}{_mark(float(row.test_passed[k]))}" for k in range(row.filled_by.size)
            ]
            lines.append(f"{name:28}{expected_text(own, name):>9}{''.join(cells)}".replace("nan", "  -"))
    return "\n".join([*lines, "! the 95 % interval does not hold the expected value; . too few dates"])


def expected_text(scores: xr.Dataset, test: str) -> str:
    """The expected value of a test as text, over all methods."""
    if test == "error over that of mean":
        return "< 1"
    return f"{float(scores.test_expected.sel(test=test).max()):.3g}"


def _heads(scores: xr.Dataset) -> str:
    return "".join(f"{str(name)[:15]:>16}" for name in scores.filled_by.values)


def _mark(passed: float) -> str:
    return " " if passed == 1 else "!" if passed == 0 else "."
