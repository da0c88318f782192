"""What not to conclude from a fill, from the verdicts of its tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from xgapfill.api.strips import Fields
from xgapfill.outputs.attributes import STATUS

SMOOTH, ROUGH = 0.8, 1.2  # size of differences, filled over true
MATTERS = 0.1  # size of a bias, over the error, that is worth a sentence
FAR = 8  # pixels: the last class of distances


def advice(scores: xr.Dataset, name: str, fields: Fields) -> list[str]:
    """Sentences on what a reader must not conclude; there is always at least one.

    Parameters
    ----------
    scores : Dataset
        From `validate`.
    name : str
        Label of the method.
    fields : Fields
    """
    own = scores.isel(size_class=0) if "size_class" in scores.dims else scores
    one = own.sel(filled_by=name)

    def value(test: str) -> float:
        return float(one.test_value.sel(test=test)) if test in one.test.values else np.nan

    def failed(test: str) -> bool:
        return test in one.test.values and float(one.test_passed.sel(test=test)) == 0

    found = []
    size = value("texture S_1")
    if failed("texture S_1") and size < SMOOTH:
        found.append(
            f"Filled pixels vary less than true ones (differences of neighbours {size:.0%} as large): do not count "
            "fronts, take gradients or variances from them; draw members for that."
        )
    elif failed("texture S_1") and size > ROUGH:
        found.append(f"Filled pixels vary more than true ones ({size:.0%} as much): their detail is not real.")
    if failed("tell apart"):
        share = value("tell apart")
        found.append(f"A classifier finds the filled one of two patches in {share:.0%} of cases: fills are no data.")
    for test in map(str, one.test.values):
        if test.startswith("bias") and failed(test) and abs(value(test)) > MATTERS * float(one.group_rmse[0]):
            found.append(
                f"Estimates are off by {value(test):+.2g} on average ({test}): correct means of filled pixels."
            )
    found += _of_spread(value, failed)
    found += _of_gaps(own, one, fields)
    found.append(
        "Scores are those of pixels that were observed on clear days and hidden under clouds of other days. If clouds "
        "come with other water than clear skies, the error under real clouds differs, and no test here sees it."
    )
    return found


def _of_spread(value: Callable[[str], float], failed: Callable[[str], bool]) -> list[str]:
    """What the stated spread is not good for."""
    found = []
    ratio = value("spread over error")
    if failed("spread over error"):
        word = "smaller" if ratio < 1 else "larger"
        found.append(f"The stated spread is {word} than the error ({ratio:.0%} of it): calibrate intervals first.")
    if not np.isfinite(value("regional mean spread/error")):
        found.append(
            "The spread is that of single pixels: the error of a regional or monthly mean cannot be had from it."
        )
    elif failed("regional mean spread/error"):
        found.append("Members are not as far apart in regional means as these are off: their range is not the error.")
    if failed("seam at borders") and value("seam at borders") > 1:
        found.append(
            "There are seams where filled pixels meet observed ones: do not read lines along clouds as fronts."
        )
    return found


def _of_gaps(own: xr.Dataset, one: xr.Dataset, fields: Fields) -> list[str]:
    """Pixels that no score tells of."""
    found = []
    far = int(own.pixels.sel(distance_class=own.distance_class.values[-1])) if "pixels" in own else 0
    if not far:
        found.append(f"No withheld pixel is more than {FAR} pixels from an observation: wider gaps are not scored.")
    elif "group" in one.dims and f">{FAR} px" in one.group.values:
        error = float(one.group_rmse.sel(group=f">{FAR} px"))
        found.append(f"More than {FAR} pixels from observations the error is {error:.2g}: do not trust detail there.")
    status = fields.cube(fields.status)
    for code, words in (("outside_training_range", "are outside the range of the training data"),):
        share = float((status == STATUS.index(code))[fields.sea].mean()) if fields.sea.any() else 0.0
        if share > 0.01:
            found.append(f"{share:.0%} of the pixels of the sea {words}.")
    return found
