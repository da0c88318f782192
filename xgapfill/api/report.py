"""A report that a person looks at: one HTML file with maps, scores, tests, provenance and what not to conclude."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xgapfill import plot
from xgapfill._version import package_version
from xgapfill.api.advice import advice
from xgapfill.api.describe import describe
from xgapfill.api.strips import Fields, strips_of
from xgapfill.api.validate import validate
from xgapfill.api.verbs import Predictors
from xgapfill.inputs.axes import find_axes
from xgapfill.kernel.job import FillOptions
from xgapfill.methods import Method, find
from xgapfill.outputs import page
from xgapfill.pipeline import fill
from xgapfill.validation import insitu as samples_of
from xgapfill.validation.masks import disc_blocks
from xgapfill.validation.table import LABELS
from xgapfill.validation.tested import expected_text
from xgapfill.validation.verdicts import QUICK

DPI = 90
QUICKLY = 15.0  # seconds of a fill that is done twice more, for the test of consistency
OF_INPUT = ("long_name", "standard_name", "units", "source", "title", "institution")
MEMBERS = 8  # of ensemble methods, unless members= says otherwise


def report(
    da: xr.DataArray,
    method: str | Method = "background",
    cond: Predictors = None,
    *,
    out: str | os.PathLike[str] = "report.html",
    members: int | None = None,
    baseline: str | None = "interpolate",
    masks: Any = None,
    matchups: pd.DataFrame | None = None,
    other: Any = None,
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
    **parameters: Any,
) -> Path:
    """Write a report on a fill as one HTML file that needs no network. Computes, with the field in memory.

    It shows how the data were understood, where they are missing, the filled maps beside the observed ones with a
    slider over dates, scores with intervals from resampling dates, calibration and texture, match-ups, provenance,
    and what not to conclude.

    Parameters
    ----------
    da : DataArray
        The target, one variable; of size classes the maps show the first.
    method : str or Method
        As in `xgapfill.fill`.
    cond, seed, weights, insitu, error, also, sea, size_class, time_step, transform, prior
        As in `repaint`.
    out : path
        File to write.
    members : int, optional
        Number of members; two are shown. Methods that draw them themselves have 8 unless told otherwise.
    baseline : str or None
        A method to compare the scores with.
    masks : optional
        Pixels to withhold, as in `validate`; of a single map discs, since there are no gaps of other dates.
    matchups : DataFrame, optional
        In-situ samples that were not used for the fill: time, lat, lon and the variable.
    other : DataArray, optional
        Another sensor that was not used for the fill, as in `validate`.
    **parameters
        Parameters of a method given by name.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ImportError
        matplotlib or cmocean are not installed.
    TypeError, ValueError
        As `validate`.

    Examples
    --------
    >>> import tempfile
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = xgapfill.report(ds.CHL, out=f"{folder}/report.html")
    ...     "What not to conclude" in written.read_text()
    True
    """
    made = find(method, **parameters)
    da = da.rename("target" if da.name is None else str(da.name))
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
    count = MEMBERS if made.draws and members is None else members
    start = time.perf_counter()
    filled = _filled(da, made, cond, replace(options, full=True, members=count))
    again = ["consistency"] if time.perf_counter() - start < QUICKLY else []
    named: dict[str, Any] = {made.name: made} | ({} if baseline is None else {baseline: baseline})
    given = {name: getattr(options, name) for name in FIELDS}
    drawn, tests = members is not None, [*QUICK, "tell_apart", *again]
    given["masks"] = _discs(da) if masks is None else masks
    scores = validate(da, named, cond=cond, members=count or 2, drawn=drawn, other=other, tests=tests, **given)
    fields = Fields.of(da.compute(), filled)
    sections = _sections(fields, scores, made.name, matchups)
    title = f"{da.name} filled by {LABELS.get(made.name, made.name)}"
    text = page.page(title, _lead(fields, scores, made.name), [*sections, _provenance(filled, da, made.name)])
    path = Path(out)
    path.write_text(text, encoding="utf-8")
    return path


FIELDS = (
    "seed",
    "weights",
    "insitu",
    "error",
    "also",
    "sea",
    "size_class",
    "time_step",
    "transform",
    "prior",
)


def _discs(da: xr.DataArray) -> Any:
    """Discs to withhold from a single map; None for series."""
    axes = find_axes(da)
    if axes.time is not None and da.sizes[axes.time] > 1:
        return None
    seen = da.notnull().all([dim for dim in da.dims if dim not in (axes.lat, axes.lon)])
    frame = seen.transpose(axes.lat, axes.lon).values[None]
    return disc_blocks(frame, radius=(2.0, max(2.0, min(frame.shape[1:]) / 10)))


def _filled(da: xr.DataArray, method: Method, cond: Any, options: FillOptions) -> xr.Dataset:
    """The whole result in memory."""
    if not method.takes_errors:
        options = replace(options, insitu=None, error=None)
    if not method.takes_weights:
        options = replace(options, weights=None)
    result = fill(da, method, cond, options)
    assert isinstance(result, xr.Dataset)
    return result.compute()


def _sections(fields: Fields, scores: xr.Dataset, name: str, table: pd.DataFrame | None) -> list[str]:
    """All sections but the provenance."""
    strips, dates, first = strips_of(fields)
    understood = page.section("How the data were understood", page.definitions(dict(describe(fields.whole).rows)))
    gaps = page.section(
        "Gaps", _figure(plot.gaps(fields.observed), "Missing share by date, and map of it", fields.gaps)
    )
    note = "Observed pixels are unchanged. White: missing; grey: neither observed nor filled at any date."
    maps = page.section("Maps", page.paragraph(note), page.slider(strips, dates, first))
    conclude = page.section("What not to conclude", page.listing(advice(scores, name, fields)), number="advice")
    parts = [understood, conclude, maps, gaps, _scores(scores), _calibration(scores)]
    if table is not None:
        parts.append(_matchups(fields, table))
    return parts


def _scores(scores: xr.Dataset) -> str:
    """Errors by group of pixels, with intervals."""
    own = _first(scores)
    rows = {}
    for label in own.filled_by.values:
        one = own.sel(filled_by=label)
        for group in own.group.values:
            at = one.sel(group=group)
            row = f"{LABELS.get(str(label), str(label))}: {group}"
            rows[row] = [float(at[f"group_{key}{end}"]) for key in ("rmse", "bias") for end in ("", "_low", "_high")]
    columns = ["RMSE", "low", "high", "bias", "low ", "high "]
    frame = pd.DataFrame.from_dict(rows, "index", columns=columns)
    caption = f"Errors at withheld pixels, {scores.attrs['scored']}; 95 % intervals from resampling dates"
    text = "Observed pixels were hidden under the clouds of other dates and filled like real gaps."
    return page.section("Scores", page.paragraph(text), page.table(frame, caption))


def _calibration(scores: xr.Dataset) -> str:
    """Verdicts of all tests, with the pictures of reliability and texture."""
    own = _first(scores)
    columns: dict[str, list[Any]] = {"expected": [expected_text(own, name) for name in own.test.values]}
    for label in own.filled_by.values:
        one = own.sel(filled_by=label)
        title = LABELS.get(str(label), str(label))
        columns[title] = [float(value) for value in one.test_value]
        passed = [(str(name), float(value)) for name, value in zip(one.test.values, one.test_passed, strict=True)]
        columns[f"{title}: verdict"] = [_word(*each) for each in passed]
    frame = pd.DataFrame(columns, index=[str(name) for name in own.test.values])
    lines = "one line per method against the diagonal"
    pictures = [
        _figure(plot.reliability(own), f"Share of truth inside intervals: {lines}", "Reliability of the intervals"),
        _figure(plot.spectrum(own), "Size of differences by distance, filled over true; 1 is right", "Texture"),
    ]
    caption = "Tests: a test fails where its 95 % interval does not hold the expected value; of 20 one fails by chance"
    return page.section("Calibration and texture", *pictures, page.table(frame, caption))


def _word(test: str, passed: float) -> str:
    """The verdict of a test; a positive control is there to be found."""
    if not np.isfinite(passed):
        return ""
    if "control" in test:
        return "works" if (passed == 1) == test.startswith("negative") else "does not work"
    return "passed" if passed else "FAILED"


def _matchups(fields: Fields, table: pd.DataFrame) -> str:
    """Samples beside the map."""
    found = samples_of.matchups(fields.estimate, table, fields.whole)
    both = samples_of.pairs(fields.estimate, table, fields.whole)
    parts = [page.table(found, "Match-ups, map minus sample, log10 where the variable is filled so")]
    if len(both):
        text = f"Map against samples: {int((both['where'] == 'observed').sum())} observed, the others filled"
        parts.insert(0, _figure(plot.matchups(both), text, "Map against samples"))
    return page.section("Match-ups", *parts)


def _provenance(filled: xr.Dataset, da: xr.DataArray, name: str) -> str:
    """Where it all comes from."""
    rows: Mapping[str, Any] = {
        "package": f"xgapfill {package_version()}",
        "method": name,
        **{key: value for key, value in filled[da.name].attrs.items() if str(key).startswith("xgapfill_")},
        "history": filled.attrs.get("history", ""),
        **{
            f"input: {key}": da.attrs[key]
            for key in ("long_name", "standard_name", "units", "source")
            if key in da.attrs
        },
    }
    return page.section("Provenance", page.definitions({str(key): str(value) for key, value in rows.items()}))


def _lead(fields: Fields, scores: xr.Dataset, name: str) -> str:
    """The result in one sentence."""
    one = _first(scores).sel(filled_by=name)
    at = one.sel(group="all")
    failed = [str(test) for test in one.test.values if float(one.test_passed.sel(test=test)) == 0]
    failed = [test for test in failed if "control" not in test]
    low, high = float(at.group_rmse_low), float(at.group_rmse_high)
    limits = f" ({low:.3g} to {high:.3g})" if np.isfinite(low) else ""
    text = f"{fields.missing:.0%} of the sea was missing. "
    text += f"At withheld pixels the error is {float(at.group_rmse):.3g}{limits}"
    text += f", {scores.attrs['scored']}. "
    count = int(np.isfinite(one.test_passed).sum()) - sum("control" in str(test) for test in one.test.values)
    return text + (f"{count - len(failed)} of {count} tests passed." if count else "Too few dates for tests.")


def _first(scores: xr.Dataset) -> xr.Dataset:
    return scores.isel(size_class=0) if "size_class" in scores.dims else scores


def _figure(figure: Any, text: str, caption: str) -> str:
    return page.picture(plot.png(figure, DPI), text, caption)
