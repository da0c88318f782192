"""Series of maps as their providers date them: composites, parts of months, absent dates, hours of overpasses."""

from __future__ import annotations

import itertools
import warnings

import cftime
import numpy as np
import pandas as pd
import pytest
from maps import chl_map
from test_time_step import dated, grid

from xgapfill import fill
from xgapfill.inputs import read as inputs
from xgapfill.inputs.dates import dates_of, grid_at
from xgapfill.lattice.calendars import season_in
from xgapfill.methods import Background

LAT, LON = [40.0, 40.5], [-60.0, -59.5]
YEARS = (2003, 2004, 2005)


def composites(days, place, years=YEARS):
    """Composites of some days that begin anew every year, stamped at their first day, middle or last day."""
    found = []
    for year in years:
        start, end = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")
        firsts = np.arange(start, end, days)
        lasts = np.minimum(firsts + (days - 1), end - 1)
        middles = firsts.astype("M8[h]") + (lasts - firsts).astype("m8[h]") // 2
        found.append({"first": firsts, "last": lasts, "middle": middles}[place].astype("M8[ns]"))
    return np.concatenate(found)


def parts(starts, place, years=YEARS):
    """Parts of months that begin on some days, stamped at their first day, middle or last day."""
    found = []
    for month in pd.period_range(f"{years[0]}-01", f"{years[-1]}-12", freq="M"):
        edges = [*starts, month.days_in_month + 1]
        for first, end in itertools.pairwise(edges):
            day = {"first": first, "last": end - 1, "middle": (first + end - 1) // 2}[place]
            found.append(np.datetime64(f"{month}-{day:02d}"))
    return np.array(found, "M8[ns]")


def of(time, **more):
    """Calendar, step and slots, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return grid(dated(*time), **more)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("days", [5, 8, 10, 16])
@pytest.mark.parametrize("absent", [0, 0.3])
def test_composites_of_any_length(days, place, absent):
    """Composites that begin anew every year are neighbours across the new year, wherever they are stamped."""
    time = composites(days, place)
    kept = np.random.default_rng(0).random(time.size) >= absent
    found = of(time[kept])
    assert (found.calendar, found.step_days) == (f"{days}day", days)
    assert np.array_equal(np.array(found.slots), found.slots[0] + np.flatnonzero(kept) - np.flatnonzero(kept)[0])
    assert found.slots == grid_at(composites(days, "first")[kept], LAT, LON).slots
    assert of(time[kept][::-1]).slots == found.slots[::-1]
    assert of(time[kept], time_step=days).slots == found.slots


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    ("calendar", "starts", "step"),
    [("dekads", (1, 11, 21), "10D"), ("semimonthly", (1, 16), "15D"), ("pentads", (1, 6, 11, 16, 21, 26), "5D")],
)
def test_parts_of_months(calendar, starts, step, place):
    """Dekads, halves and sixths of months are neighbours across months of any length."""
    time = parts(starts, place)
    found = of(time)
    assert found.calendar == calendar
    assert np.array_equal(np.diff(found.slots), np.ones(time.size - 1))
    assert found.step_days == pytest.approx(365.2425 / 12 / len(starts))
    for dates, slots in ((time[[3, 4, 7, 11, 12]], [3, 4, 7, 11, 12]), (time[40:50], range(40, 50))):
        if calendar != "pentads" or len(dates) > 5:
            assert of(dates).slots == tuple(found.slots[number] for number in slots)
    assert of(time, time_step=step).slots == found.slots
    season = season_in(calendar, found.slots, found.step_days, found.year_days) % 1
    assert np.abs(season[: len(starts) * 12] - (np.arange(len(starts) * 12) + 0.5) / (len(starts) * 12)).max() < 1e-9


@pytest.mark.parametrize(
    ("offsets", "step", "slots"),
    [
        ([0, 1, 3, 6], 1, [0, 1, 3, 6]),
        ([0, 2, 5, 7], 1, [0, 2, 5, 7]),
        ([0, 3, 5], 1, [0, 3, 5]),
        ([0, 2, 4, 6, 9], 1, [0, 2, 4, 6, 9]),
        ([0, 14, 35, 49], 7, [0, 2, 5, 7]),
        ([0, 16, 40, 56], 8, [0, 2, 5, 7]),
        ([0, 9, 15], 3, [0, 3, 5]),
    ],
)
def test_absent_dates_are_gaps(offsets, step, slots):
    """The step is the greatest that all dates share, whether or not two dates are neighbours."""
    found = of(np.datetime64("2015-07-01", "ns") + np.array(offsets) * np.timedelta64(1, "D"))
    assert found.step_days == step
    assert np.array_equal(np.array(found.slots) - found.slots[0], slots)


@pytest.mark.parametrize("absent", [0, 0.5])
@pytest.mark.parametrize("hours", [(10, 16), (0, 23), (22, 26)])
def test_hours_of_overpasses(hours, absent):
    """Daily maps stamped with the time of their overpass are daily, around midnight too."""
    rng = np.random.default_rng(3)
    days = np.arange("2015-03-01", "2015-05-01", dtype="M8[D]")
    time = days.astype("M8[m]") + rng.integers(hours[0] * 60, hours[1] * 60, days.size).astype("m8[m]")
    kept = np.flatnonzero(rng.random(days.size) >= absent)
    found = of(time[kept].astype("M8[ns]"))
    assert found.step_days == 1
    assert np.array_equal(np.array(found.slots) - found.slots[0], kept - kept[0])


@pytest.mark.parametrize(
    ("gaps", "usual"),
    [
        ([5] * 12 + [6] + [5] * 20, 5),
        ([8] * 10 + [1] + [8] * 10, 8),
        ([7, 7, 7, 6, 7, 14, 7], 7),
        ([5, 5, 5, 1], 5),
        ([2] * 20 + [3] + [2] * 10, 2),
    ],
)
def test_an_odd_step_is_warned_of(gaps, usual):
    """A leap day or a shifted date does not change the step of a series; a warning says so."""
    time = np.datetime64("2015-05-03", "ns") + np.cumsum([0, *gaps]) * np.timedelta64(1, "D")
    with pytest.warns(UserWarning, match=f"no multiples of the usual {usual} days"):
        found = inputs.read(dated(*time)).grid
    assert found.step_days == usual
    assert np.array_equal(np.diff(found.slots), np.maximum(1, np.round(np.array(gaps) / usual)))
    with pytest.warns(UserWarning, match="no multiples"):
        assert inputs.read(dated(*time), time_step=usual).grid.slots == found.slots
    daily = of(time, time_step="1D")
    assert (daily.step_days, np.ptp(daily.slots)) == (1, sum(gaps))


def test_a_sparse_series_is_warned_of():
    """Dates without any common step count as daily maps with a warning that names the keyword."""
    time = np.datetime64("2015-05-03", "ns") + np.cumsum([0, 7, 9, 6, 8, 5]) * np.timedelta64(1, "D")
    with pytest.warns(
        UserWarning, match=r"taken for those of 1 days, and 86% of their dates are absent.*time_step='7D'"
    ):
        assert inputs.read(dated(*time)).grid.step_days == 1


def test_words_for_parts_of_months():
    """Dekads and halves of months may be prescribed by name, for dates of any place in them."""
    time = ["2015-01-03", "2015-01-14", "2015-02-28"]
    assert of(time, time_step="dekad").slots == (72540, 72541, 72545)
    assert of(time[1:], time_step="SMS").slots == (48360, 48363)
    with pytest.raises(ValueError, match=r"several dates within one period of 15\.2 days"):
        inputs.read(dated(*time), time_step="semimonthly")


@pytest.mark.parametrize(
    ("time", "attrs", "words"),
    [
        (["2015-01-01", "2015-01-09"], {}, r"text such as '2015-01-01'.*pd.to_datetime\(ds.time.astype\(str\)\)"),
        ([20150101, 20150109], {}, r"such as 20150101.*format='%Y%m%d'"),
        (np.array([20150101.0, 20150109.0]), {}, r"such as 20150101.0.*format='%Y%m%d'"),
        (list(pd.period_range("2015-01", periods=2, freq="M")), {}, r"periods such as 2015-01.*to_timestamp\(\)"),
        ([0, 8], {"units": "days since 2015-01-01"}, "units='days since 2015-01-01', such as 0.*decode_cf"),
        ([0.0, 8.0], {}, "float64 such as 0.0 with units=''.*attrs"),
    ],
)
def test_what_is_no_date(time, attrs, words):
    """Text, numbers and periods in the place of dates give a message with what was found and what to type."""
    values = np.empty(2, object) if isinstance(time[0], pd.Period) else np.array(time)
    values[:] = time
    array = chl_map((2, 4, 5)).assign_coords(time=("time", values, attrs))
    with pytest.raises(ValueError, match=f"'CHL'.*{words}"):
        inputs.read(array)


def test_years_of_other_calendars():
    """Composites of calendars without leap years begin anew after their own number of days."""
    for name, days in (("noleap", 365), ("360_day", 360)):
        time = [cftime.datetime(2001, 1, 1, calendar=name) + pd.Timedelta(days=int(d)) for d in range(0, 2 * days, 1)]
        chosen = np.array([each for each in time if (each.dayofyr - 1) % 8 == 0])
        found = grid_at(chosen, LAT, LON)
        assert found.calendar == "8day"
        assert np.array_equal(np.diff(found.slots), np.ones(chosen.size - 1))
        assert dates_of(chosen).year_days == days


def test_a_prescribed_step_holds_for_predictors_errors_and_masks():
    """What time_step= says of the target holds for everything that comes with it."""
    time = np.datetime64("2015-05-03", "ns") + np.cumsum([0, 5, 5, 5, 1, 5, 5]) * np.timedelta64(1, "D")
    chl = dated(*time)
    sst = (12 + chl).rename("SST").assign_attrs(units="degC", standard_name="sea_surface_temperature")
    sea = chl.isel(time=slice(None, None, -1)).notnull().rename("sea")
    filled = fill(chl, Background(), cond=sst, error=0.1 * chl, sea=sea, time_step="1D")
    assert filled.shape == chl.shape
