"""Statistics over members, gathered in the blocks, are those of the members themselves."""

from __future__ import annotations

import functools
import threading

import numpy as np
import pytest
import xarray as xr
from dask.base import tokenize
from maps import Counting, Quick, chl_map, psc_map, raise_if_dask_computes, same

import xgapfill
from xgapfill import fill
from xgapfill.kernel import reduce as reducing
from xgapfill.kernel.statistics import Gathered, read
from xgapfill.methods.kriging import Kriging
from xgapfill.options import set_options


def trend(member):
    """Change a year, by the ends of the series."""
    years = (member.time - member.time[0]).dt.days / 365.25
    return ((member.isel(time=-1) - member.isel(time=0)) / years[-1]).drop_vars("time", errors="ignore")


def peak_by_month(member):
    """Month by month, the day of the year of the largest value; missing where nothing is."""
    days = member.time.dt.dayofyear
    return (
        days.where(member == member.groupby("time.month").max().sel(month=member.time.dt.month))
        .groupby("time.month")
        .min()
    )


def test_they_are_those_of_xarray_over_realization():
    """Mean, spread and quantiles equal the xarray methods on stored members; what was observed comes back bit for
    bit.
    """
    chl = chl_map((3, 20, 24))
    psc = psc_map(chl)
    options = {"cond": chl, "members": 11, "seed": 3}
    members = fill(psc, Quick(draws=True), **options).compute()
    quantiles = [0.05, 0.5, 1.0]
    found = fill(psc, Quick(draws=True), **options, reduce=["mean", "std", {"quantile": quantiles}]).compute()
    assert list(found) == ["PSC_mean", "PSC_std", "PSC_quantile"]
    xr.testing.assert_allclose(found.PSC_mean, members.mean("realization"), rtol=1e-5)
    assert np.allclose(found.PSC_std, members.std("realization"), rtol=1e-3, atol=1e-6, equal_nan=True)
    expected = members.quantile(quantiles, "realization")
    assert found.PSC_quantile.dims == expected.dims
    assert np.allclose(found.PSC_quantile, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
    observed = psc.notnull().values
    mean = fill(psc, Quick(draws=True), **options, reduce="mean")
    assert isinstance(mean, xr.DataArray)
    assert (mean.name, mean.dims, mean.dtype) == ("PSC", psc.dims, psc.dtype)
    assert mean.attrs["cell_methods"] == "realization: mean"
    assert same(mean.values[observed], psc.values[observed])
    assert same(mean, found.PSC_mean)
    assert (found.PSC_std.values[observed] == 0).all()
    median = fill(psc, Quick(draws=True), **options, reduce={"quantile": 0.5})
    assert median.dims == psc.dims
    assert same(median, found.PSC_quantile.isel(quantile=1))


def test_a_function_sees_whole_series_of_each_member():
    """Its mean and spread are those over members, for results without time, with a new dimension, and with time."""
    chl = chl_map((7, 18, 20)).isel(time=slice(None, None, -1), lat=slice(None, None, -1))
    psc = psc_map(chl).transpose("time", "lat", "size_class", "lon")
    members = fill(psc, Quick(draws=True), cond=chl, members=5).compute().sortby("time")
    asked = [trend, (peak_by_month, {"quantile": [0.25, 0.75]}), (lambda each: each > 0.3, "mean"), "std"]
    found = fill(psc, Quick(draws=True), cond=chl, members=5, reduce=asked).compute()
    assert list(found) == [
        "PSC_trend_mean",
        "PSC_trend_std",
        "PSC_peak_by_month_quantile",
        "PSC_function_mean",
        "PSC_std",
    ]
    each = [trend(members.isel(realization=number)) for number in range(5)]
    expected = xr.concat(each, "realization")
    assert found.PSC_trend_mean.dims == expected.dims[1:]
    xr.testing.assert_allclose(found.PSC_trend_mean.drop_attrs(), expected.mean("realization").drop_attrs(), rtol=1e-4)
    xr.testing.assert_allclose(found.PSC_trend_std, expected.std("realization"), rtol=1e-3, atol=1e-5)
    peaks = xr.concat([peak_by_month(members.isel(realization=number)) for number in range(5)], "realization")
    wanted = peaks.quantile([0.25, 0.75], "realization")
    assert set(found.PSC_peak_by_month_quantile.dims) == set(wanted.dims)
    assert list(found.month) == list(wanted.month)
    xr.testing.assert_allclose(found.PSC_peak_by_month_quantile.transpose(*wanted.dims), wanted)
    above = (members > 0.3).mean("realization").sel(time=found.time)
    assert np.allclose(found.PSC_function_mean.transpose(*above.dims), above)
    assert np.allclose(found.PSC_std, members.std("realization").sel(time=psc.time).transpose(*psc.dims), atol=1e-5)
    assert found.PSC_std.dims == psc.dims


def test_three_arrays_single_frames_and_frames_of_distant_years():
    """Each array has its own statistics; a map has no series; series are not cut where years lie between."""
    chl = chl_map((4, 12, 14))
    psc = psc_map(chl)
    three = [psc.sel(size_class=name, drop=True).rename(name) for name in psc.size_class.values]
    found = fill(three, Quick(draws=True), cond=chl, members=3, reduce="mean").compute()
    assert list(found) == list(psc.size_class.values)
    whole = fill(psc, Quick(draws=True), cond=chl, members=3, reduce="mean")
    assert same(found["nano"], whole.sel(size_class="nano"))
    frame = chl.isel(time=0, drop=True)
    single = fill(frame, Quick(draws=True), members=3, reduce=[np.log10, "mean"])
    assert single.CHL_log10_mean.dims == ("lat", "lon")
    assert np.isfinite(single.compute().to_array()).all()
    times = chl.time.values.copy()
    times[2:] += np.timedelta64(8 * 230, "D")
    apart = chl.assign_coords(time=times)
    members = fill(apart, Quick(draws=True), members=3).compute()
    got = fill(apart, Quick(draws=True), members=3, reduce=(trend, "mean")).CHL_trend_mean
    expected = xr.concat([trend(each) for _, each in members.groupby("realization", squeeze=False)], "realization")
    assert np.allclose(got, expected.mean("realization").squeeze(), rtol=1e-4, atol=1e-7)


def test_nothing_is_computed_and_few_members_are_held(monkeypatch):
    """The call computes nothing; a block draws few members at a time, whose number changes no bit."""
    chl = chl_map((3, 20, 24))
    method = Counting(Quick(draws=True))
    with raise_if_dask_computes():
        lazy = fill(chl.chunk(time=1), method, members=20, reduce="mean")
    drawn = []

    def noted(self, windows, weights, noise, members, _fill=Counting.fill):
        drawn.append(members)
        return _fill(self, windows, weights, noise, members)

    monkeypatch.setattr(Counting, "fill", noted)
    expected = lazy.compute()
    assert max(drawn) == reducing.TOGETHER
    monkeypatch.setattr(reducing, "TOGETHER", 3)
    assert same(lazy, expected)
    assert max(drawn[-5:]) <= 3
    with set_options(member_bytes=1):
        lazy = fill(chl.chunk(time=1), method, members=20, reduce="mean")
    assert same(lazy, expected)
    assert drawn[-1] == 1


def test_blocks_are_smaller_where_much_is_held():
    """Quantiles of many members and long series get blocks of fewer pixels."""
    chl = chl_map((3, 250, 250))
    kernel = fill(chl, Kriging(realisations=True), members=1000, reduce={"quantile": 0.5})
    assert max(kernel.data.chunksize) < 240
    assert fill(chl, Kriging(realisations=True), members=1000, reduce="mean").data.chunksize[-1] == 240


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_missing_values_of_a_function_are_left_out():
    """As in xarray: statistics are of the members in which the function found something."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 4, 5))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[:, 0, 0] = np.nan
    gathered = Gathered({"mean", "std", "quantile"})
    for each in values:
        gathered.add(each)
    whole = xr.DataArray(values, dims=("m", "y", "x"))
    mean, std, quantiles = (gathered.get(each) for each in read(["mean", "std", {"quantile": [0.1, 0.9]}]))
    assert np.allclose(mean[0], whole.mean("m"), equal_nan=True)
    assert np.allclose(std[0], whole.std("m"), equal_nan=True)
    assert np.allclose(quantiles, whole.quantile([0.1, 0.9], "m"), equal_nan=True)


@pytest.mark.parametrize(
    ("reduce", "error", "words"),
    [
        ("median", ValueError, "reduce= must be 'mean'"),
        ({"quantile": [0.5, 5]}, ValueError, "numbers from 0 to 1"),
        ([], ValueError, "no statistic"),
        (("mean", trend), TypeError, r"\(function, statistic\)"),
        (lambda member: member.mean(), ValueError, "must keep"),
        (lambda member: member - member.mean("lat"), ValueError, "other pixels"),
        (lambda member: member.idxmax("time"), TypeError, "dayofyear"),
        (lambda member: member.isel(depth=0), ValueError, "synthetic member"),
        (functools.partial(np.add, threading.Lock()), TypeError, "cannot be sent"),
    ],
)
def test_what_cannot_be_reduced_is_told_at_the_call(reduce, error, words):
    """Unknown statistics, functions that fail, look around or cannot travel."""
    with pytest.raises(error, match=words):
        xgapfill.kriging(chl_map(), members=4, reduce=reduce)


def test_it_goes_with_members_only():
    """One answer, one member and full= are refused."""
    chl = chl_map()
    with pytest.raises(ValueError, match="members of at least 2"):
        xgapfill.kriging(chl, reduce="mean")
    with pytest.raises(ValueError, match="at least 2"):
        xgapfill.kriging(chl, members=1, reduce="mean")
    with pytest.raises(ValueError, match="full="):
        xgapfill.kriging(chl, members=4, reduce="mean", full=True)


def test_equal_calls_have_equal_names():
    """The same function of a module gives the same key, so that a run is resumed; another statistic another one."""
    chl = chl_map()
    first, second = (xgapfill.kriging(chl, members=4, reduce=trend) for _ in range(2))
    assert tokenize(first) == tokenize(second)
    assert tokenize(first) != tokenize(xgapfill.kriging(chl, members=4, reduce=(trend, "mean")))
