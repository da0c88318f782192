"""Length of the time step of a map: given, read or guessed."""

from __future__ import annotations

import datetime
import warnings

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map

import xgapfill
from xgapfill.inputs import read as inputs
from xgapfill.inputs.dates import dates_of, step_in, step_of
from xgapfill.kernel.limits import Limits
from xgapfill.lattice.calendars import Step
from xgapfill.lattice.durations import days_of


def dated(*dates, share=0.5):
    """A map of chlorophyll at these dates."""
    chl = chl_map((len(dates), 4, 5), share=share)
    return chl.assign_coords(time=("time", np.array(dates, "M8[ns]"), {"standard_name": "time"}))


def grid(array, **said):
    """Its lattice; no warning may be given."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return inputs.read(array, **said).grid


@pytest.mark.parametrize(("day", "taken"), [("05", "an 8-day composite"), ("03", "a day")])
def test_a_guess_is_warned_of(day, taken):
    """The only map of a kind is taken for something with a warning that has the words to type."""
    with pytest.warns(
        UserWarning, match=rf"'CHL' is not stated; dated 2020-01-{day}, it is taken for {taken}.*time_step='1D'"
    ):
        inputs.read(dated(f"2020-01-{day}"))


@pytest.mark.parametrize(
    ("said", "calendar", "days"),
    [
        ("1D", "regular", 1),
        ("D", "regular", 1),
        (1, "regular", 1),
        (datetime.timedelta(days=1), "regular", 1),
        (np.timedelta64(24, "h"), "regular", 1),
        (pd.Timedelta("1D"), "regular", 1),
        ("daily", "regular", 1),
        ("P8D", "8day", 8),
        ("8-day", "8day", 8),
        ("8D", "8day", 8),
        ("5D", "regular", 5),
        ("MS", "monthly", 365.2425 / 12),
        ("month", "monthly", 365.2425 / 12),
        ("P1M", "monthly", 365.2425 / 12),
    ],
)
def test_time_step_says_it(said, calendar, days):
    """A daily map of 5 January is one when the call says so, in any words."""
    found = grid(dated("2020-01-05"), time_step=said)
    assert (found.calendar, found.step_days) == (calendar, days)


def test_a_map_without_time_has_a_length():
    """Without any date the step is the given one, and nothing is guessed."""
    timeless = dated("2020-01-05").isel(time=0, drop=True)
    assert grid(timeless, time_step="1D").step_days == 1
    assert grid(timeless).calendar == "none"


@pytest.mark.parametrize("said", ["fortnight", "8X", -1, 0, float("nan"), True, [8], np.timedelta64("NaT"), "varying"])
def test_what_is_no_step(said):
    """A step that is none is refused at the call."""
    with pytest.raises(ValueError, match="time_step must be a positive number of days"):
        inputs.read(dated("2020-01-05"), time_step=said)


def test_attributes_say_it(tmp_path):
    """The resolution in attributes of the variable, of its file, and the bounds of its time are read."""
    daily = dated("2020-01-05")
    assert grid(daily.assign_attrs(time_coverage_resolution="P1D")).calendar == "regular"
    assert grid(daily.assign_attrs(temporal_range="8-day")).calendar == "8day"
    bounds = ("time", "bnds"), np.array([["2020-01-05", "2020-01-13"]], "M8[ns]")
    ds = daily.to_dataset().assign(time_bnds=bounds)
    ds.time.attrs["bounds"] = "time_bnds"
    ds.time.encoding["units"] = "days since 2000-01-01"
    assert step_in(ds) == Step(8.0)
    ds.to_netcdf(tmp_path / "bounds.nc")
    with xr.open_dataset(tmp_path / "bounds.nc") as opened:
        assert grid(opened.CHL).calendar == "8day"
    assert step_in(ds.drop_vars("time_bnds").assign_attrs(time_coverage_duration="P1M")) == Step(None)
    path = tmp_path / "day.nc"
    daily.to_dataset().assign_attrs(time_coverage_resolution="P1D").to_netcdf(path)
    with xr.open_dataset(path) as opened:
        assert grid(opened.CHL).calendar == "regular"
    path.unlink()
    daily.to_dataset().to_netcdf(path)
    with xr.open_dataset(path) as opened, pytest.warns(UserWarning, match="time_step="):
        inputs.read(opened.CHL)


def test_a_data_set_says_it():
    """Attributes of a Dataset, and bounds in it, count for its variables; the keyword comes before them."""
    ds = dated("2020-01-05", share=0.0).to_dataset().assign_attrs(time_coverage_resolution="P1D")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ds.gapfill.background("CHL").sizes["time"] == 1
        ds.gapfill.gaps("CHL", time_step="MS")
    with pytest.warns(UserWarning, match="taken for an 8-day composite"):
        ds.CHL.gapfill.background()
    with pytest.raises(ValueError, match="time_step must be"):
        ds.gapfill.background("CHL", time_step="often")


def test_the_step_of_several_dates():
    """Several dates follow the given step: hours of an overpass do not matter, other days are refused."""
    passes = dated("2020-01-05T10:20", "2020-01-06T15:40", "2020-01-09T12:00")
    found = grid(passes, time_step="1D")
    assert np.diff(found.slots).tolist() == [1, 3]
    assert grid(dated("2020-01-01", "2020-01-09", "2020-01-17"), time_step=8).calendar == "8day"
    assert grid(dated("2019-12-30", "2020-01-07", "2020-01-23"), time_step=8).calendar == "regular"
    assert grid(dated("2020-01-31", "2020-02-29", "2020-05-02"), time_step="MS").slots == (24240, 24241, 24244)
    with pytest.raises(ValueError, match="several dates within one month"):
        inputs.read(dated("2020-01-01", "2020-01-09"), time_step="MS")
    with pytest.raises(ValueError, match="lattice of step 8"):
        inputs.read(dated("2020-01-01", "2020-01-04"), time_step="8D")


def test_dates_of_any_calendar_are_one_path():
    """Numpy and cftime dates of the same calendar are taken apart the same."""
    numpy = pd.date_range("2019-12-30 06:00", periods=70, freq="D").to_numpy()
    standard = xr.date_range("2019-12-30 06:00", periods=70, freq="D", calendar="proleptic_gregorian", use_cftime=True)
    first, second = dates_of(numpy.astype("M8[s]")), dates_of(standard.values)
    for part in ("days", "year", "month", "day", "doy", "last"):
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part), part)
    assert first.days[0] == (numpy[0] - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    thirty = dates_of([cftime.Datetime360Day(2000, 2, 30)])
    assert (thirty.year_days, thirty.last[0], thirty.doy[0]) == (360.0, True, 59)
    with pytest.raises(ValueError, match="such as 20200105"):
        dates_of([20200105])


@pytest.mark.parametrize(
    "gap",
    ["16D", "384h", "P16D", 16, 16.0, np.float32(16), pd.Timedelta("16D"), datetime.timedelta(days=16)]
    + [np.timedelta64(16 * n, unit) for n, unit in ((1, "D"), (24, "h"), (86400 * 10**9, "ns"))],
)
def test_spans_of_any_kind(gap):
    """Limits take days as a number, text, or a timedelta of any library, and mean the same."""
    map_ = dated(*[f"2020-01-{day:02d}" for day in (1, 9, 17, 25)])
    assert Limits.of(gap, None, grid(map_)) == Limits(16.0)
    assert days_of(gap, "gap") == 16.0


@pytest.mark.parametrize("gap", ["soon", np.timedelta64(1, "M"), -1, "-3D", True, 1j, [16], np.timedelta64("NaT")])
def test_what_is_no_span(gap):
    """Spans without a length in days are refused at the call."""
    with pytest.raises(ValueError, match="max_gap must be a positive number of days, text such as '16D'"):
        xgapfill.background(chl_map((2, 4, 4)), max_gap=gap)


def test_steps_are_read_once():
    """What a step is written as does not matter."""
    assert {step_of(text) for text in ("1M", "monthly", "ME", "1 month", "Month")} == {Step(None)}
    assert {step_of(text) for text in ("8 days", "P08D", "8day", 8.0, "192h")} == {Step(8.0)}
