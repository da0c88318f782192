"""Withholds observed pixels, fills them with several methods, and scores estimates and their spreads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xgapfill.api.again import More, consistencies, transfers
from xgapfill.api.reconstruct import Methods, by_label, reconstruct, withhold
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.distance import NAMES, distance_class, distance_to_observed
from xgapfill.validation.case import Withheld
from xgapfill.validation.scores import SpreadScale
from xgapfill.validation.table import Reconstruction, score_table
from xgapfill.validation.tested import tested
from xgapfill.validation.verdict import Verdict
from xgapfill.validation.verdicts import QUICK, check_tests


def validate(
    da: xr.DataArray,
    methods: Methods = ("background", "posterior_mean", "repaint"),
    *,
    cond: Any = None,
    truth: xr.DataArray | None = None,
    masks: Any = None,
    members: int = 8,
    drawn: bool = False,
    seed: int = 0,
    weights: Any = None,
    insitu: Any = None,
    error: Any = None,
    also: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
    prior: Any = "auto",
    scales: Mapping[str, SpreadScale] | None = None,
    smoothing: bool = False,
    tests: Sequence[str] = tuple(QUICK),
    other: Any = None,
) -> xr.Dataset:
    """Score methods on a test set: observed pixels that are withheld from them. Computes, with the field in memory.

    Chlorophyll is scored as log10, size classes and temperature untransformed.

    Parameters
    ----------
    da : DataArray
        The target: chlorophyll, size classes, sea surface temperature.
    methods : sequence, or mapping of label to method
        Names of methods (``xgapfill.list_methods`` lists them), names of whole-field baselines with parameters tuned on
        a validation set (``pixel_mean``, ``time_interpolation``, ``global_dct_pls``, ``global_kriging``), or method
        objects.
    cond : DataArray or sequence of them, optional
        Predictors; they are not withheld. ``global_dct_pls`` and ``global_kriging`` fill the residual of a quadratic
        regression on them.
    truth : DataArray, optional
        The true field where the target is missing, if it is known; no pixels are withheld then.
    masks : bool array or DataArray (time, lat, lon), or path, optional
        The pixels to withhold, or a file of `masks.freeze`. By default gaps of other dates, drawn from `seed`, are laid
        on each frame.
    members : int
        Number of members of ensemble methods.
    drawn : bool
        Score members of the other methods as well, not their estimate with its spread. Members that are made of an
        estimate come in pairs of opposite sign; ranks and ranges are those of one of each pair.
    seed : int
        Seed of the gaps and of the members.
    insitu, error
        As in `xgapfill.repaint`, for methods that use observation errors; other methods are scored without them. No
        sample is withheld. Test pixels that contain a sample of the target are not scored, since the truth may derive
        from the sample. Errors of test pixels are not used.
    also
        As in `xgapfill.repaint`. Pixels of other sensors are not withheld.
    weights, sea, size_class, time_step, transform, prior
        As in `xgapfill.repaint`.
    scales : mapping, optional
        Label -> factors of `fit_scales` for the spread of a method without members, fitted on other data.
    smoothing : bool
        Score the degree of smoothing as well: the difference between fill and observations at observed pixels before
        observations are inserted. Methods of the package fill a second time for it, with one member.
    tests : sequence of str
        Tests of each fill, by default those that take little time: ``bias``, ``unused``, ``better``, ``ranks``,
        ``range``, ``spread``, ``intervals``, ``tarp``, ``texture``, ``seams``, ``regional``, ``monthly``. Others:
        ``tell_apart``, a classifier of patches; ``consistency``, which fills the filled field again under other gaps.
    other : DataArray or list of DataArrays, optional
        Maps of another sensor that the fills do not use. They are compared with the fill where the target is missing,
        beside the difference of both sensors where it is not.

    Returns
    -------
    Dataset
        Scores with dimensions ``filled_by`` (the methods), ``distance_class`` (in space, to the nearest observed pixel
        of the frame), ``lag`` for the structure function, and ``size_class`` where there are several. Of each ``test``
        ``test_value``, ``test_expected``, ``test_low`` and ``test_high`` (a 95 % interval from resampling dates) and
        ``test_passed``; of each ``group`` of pixels (by distance, calm and active, season, the worst date)
        ``group_rmse`` and ``group_bias`` with intervals. ``xgapfill.validation.verdict_text`` prints them.

    Raises
    ------
    ValueError
        No pixels are withheld, a mask has another shape, or a method is unknown; samples or errors are given and no
        method takes them.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> generator = np.random.default_rng(0)
    >>> chl = xr.DataArray(
    ...     np.where(generator.random((6, 16, 16)) < 0.5, np.nan, 10 ** generator.normal(size=(6, 16, 16))),
    ...     dims=("time", "lat", "lon"),
    ...     coords={
    ...         "time": np.datetime64("2015-01-01", "ns") + np.arange(6) * np.timedelta64(8, "D"),
    ...         "lat": 40 + np.arange(16) / 24,
    ...         "lon": -50 + np.arange(16) / 24,
    ...     },
    ...     name="CHL",
    ...     attrs={"units": "mg m-3"},
    ... )
    >>> table = validate(chl, ["pixel_mean", "time_interpolation"])
    >>> dict(table.rmse.sizes)
    {'filled_by': 2, 'distance_class': 4}
    """
    options = FillOptions(
        seed=seed,
        weights=weights,
        insitu=insitu,
        error=error,
        also=also,
        sea=sea,
        size_class=size_class,
        time_step=time_step,
        transform=transform,
        prior=prior,
    )
    check_tests(tests, "consistency")
    withheld = withhold(da, truth, masks, cond, options)
    options = replace(options, members=members if drawn else None)
    found = reconstruct(withheld, methods, cond, members, options, smoothing)
    table = score_table(
        withheld.truth, withheld.observed, withheld.hidden, found, scales=scales, labels=withheld.labels
    )
    verdicts = _verdicts(withheld, methods, found, cond, members, options, tests, other)
    table = table.merge(verdicts if withheld.labels else verdicts.squeeze("variable", drop=True))
    if withheld.labels:
        table = table.rename(variable="size_class")
        if not withheld.quantity.variable.needs_whole:
            closure = [_closure(each) for each in found.values()]
            table["closure"] = (
                "filled_by",
                closure,
                {"long_name": "largest deviation from 1 of the sum of filled fractions"},
            )
    return table.assign_attrs(
        scored=f"{'log10 of ' if withheld.quantity.variable.logarithmic else ''}{da.name}", members=members, seed=seed
    )


def fit_scales(
    da: xr.DataArray,
    methods: Methods,
    *,
    cond: Any = None,
    truth: xr.DataArray | None = None,
    masks: Any = None,
    seed: int = 0,
    weights: Any = None,
    insitu: Any = None,
    error: Any = None,
    also: Any = None,
    sea: Any = None,
    size_class: str | None = None,
    time_step: Any = None,
    transform: Any = None,
    prior: Any = "auto",
) -> dict[str, SpreadScale]:
    """Fit factors, by distance class, that optimise the spread of each method on these data.

    Pass them as `scales` to `validate` on other data, so that an ensemble is compared with calibrated error estimates.
    Arguments are those of `validate`; all variables of the target share the factors.

    Returns
    -------
    dict
        Label -> factors, for methods with a spread and without members.
    """
    options = FillOptions(
        seed=seed,
        weights=weights,
        insitu=insitu,
        error=error,
        also=also,
        sea=sea,
        size_class=size_class,
        time_step=time_step,
        transform=transform,
        prior=prior,
    )
    withheld = withhold(da, truth, masks, cond, options)
    found = reconstruct(withheld, methods, cond, 2, options, False)
    classes = distance_class(distance_to_observed(withheld.observed))[withheld.hidden]
    answer = withheld.truth[:, withheld.hidden]
    return {
        label: SpreadScale.fit(each.mean, each.spread, answer, np.broadcast_to(classes, answer.shape), len(NAMES))
        for label, each in found.items()
        if each.spread is not None and each.members is None
    }


def _verdicts(
    withheld: Withheld,
    methods: Methods,
    found: Mapping[str, Reconstruction],
    cond: Any,
    members: int,
    options: FillOptions,
    tests: Sequence[str],
    other: Any,
) -> xr.Dataset:
    """Verdicts of the tests asked for."""
    more: list[More] = []
    if "consistency" in tests:
        more.append(consistencies(withheld, by_label(methods), found, cond, members, options))
    if other is not None:
        more.append(transfers(withheld, found, other, options))
    joined = {label: _joined([each[label] for each in more if label in each]) for label in found}
    plain = [name for name in tests if name != "consistency"]
    return tested(withheld, found, plain, {label: each for label, each in joined.items() if each})


def _joined(more: Sequence[Sequence[Sequence[Verdict]]]) -> list[list[Verdict]]:
    """Verdicts of several tests together, for each part."""
    return [[each for part in parts for each in part] for parts in zip(*more, strict=True)]


def _closure(found: Reconstruction) -> float:
    """Largest deviation from 1 of the sum of the parts, over the estimate and each member."""
    fields = [found.mean, *([] if found.members is None else found.members)]
    return max(float(np.nanmax(np.abs(field.sum(axis=0, dtype=np.float64) - 1))) for field in fields)
