"""In-situ samples and errors of maps: how they are read, and where they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill import fill
from xgapfill.inputs import read as inputs
from xgapfill.inputs.dates import dates_of, grid_at
from xgapfill.inputs.errors import read_error
from xgapfill.inputs.insitu import read_samples
from xgapfill.lattice.observations import MOST, combined
from xgapfill.lattice.windows import Filled
from xgapfill.methods.base import Method
from xgapfill.variables import Chlorophyll, SizeClasses, Temperature
from xgapfill.variables.transforms import ilr

CHL = ("log10_chl",)
PSC = ("psc_ilr1", "psc_ilr2", "log10_chl")


@dataclass(frozen=True)
class Probe(Method):
    """Keeps the windows it is given, and fills with zeros."""

    takes_errors: bool = True
    name: ClassVar[str] = "probe"
    takes_prior: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    windows: ClassVar[list] = []

    def fill(self, windows, weights, noise, members):
        """Zeros."""
        Probe.windows.append(windows)
        return Filled(np.zeros_like(windows.values)[None], np.ones_like(windows.values))


def probed(target, **options):
    """All windows that a method is given, by the address of their first pixel."""
    Probe.windows.clear()
    with dask.config.set(scheduler="synchronous"):
        result = fill(target, Probe(), full=True, **options).compute()
    found = {}
    for batch in Probe.windows:
        for number, start in enumerate(batch.starts.tolist()):
            parts = (batch.values, batch.observed, batch.variance)
            found.setdefault(tuple(start), tuple(None if part is None else part[number] for part in parts))
    return result, found


def table(target, places, **columns):
    """A table of samples at pixels (t, y, x) of a map, a little beside their centres."""
    t, y, x = np.transpose(places)
    time, lat, lon = (target[name].values for name in ("time", "lat", "lon"))
    at = {"time": time[t] + np.timedelta64(30, "h"), "lat": lat[y] + 0.01, "lon": lon[x] - 0.01}
    return pd.DataFrame({**at, **columns})


def samples_of(given, target, channels, *given_maps):
    """Samples as `fill` reads them."""
    return read_samples(given, [inputs.read(each) for each in (target, *given_maps)], channels)


def missing(target, count=3):
    """Places (t, y, x) that are missing in a map."""
    missing = target.isnull() if "size_class" not in target.dims else target.isnull().any("size_class")
    return np.argwhere(missing.transpose("time", "lat", "lon").values)[:: max(1, int(missing.sum()) // count)][:count]


@pytest.mark.parametrize("freq", ["8D", "D", "5D", "MS", "h"])
@pytest.mark.parametrize("hour", [0, 12])
def test_places_of_points_are_those_of_their_pixels(freq, hour):
    """A point in a pixel and in the time that a frame stands for has the address of the pixel and the frame."""
    time = pd.date_range("2015-01-01", periods=6, freq=freq) + pd.Timedelta(hours=hour if freq == "D" else 0)
    lat, lon = 50 - (np.arange(6) + 0.5) / 24, (-180 + (np.arange(6) + 0.5) / 24)
    grid = grid_at(time, lat, lon)
    later = {"8D": "7D", "D": "11h", "5D": "4D", "MS": "27D", "h": "50min"}[freq]
    for shift, moved in ((0.02, pd.Timedelta(0)), (-0.02, pd.Timedelta(later))):
        slots, rows, cols = grid.places(dates_of((time + moved).to_numpy()), lat + shift, lon + 360 - shift)
        assert tuple(slots) == grid.slots
        assert tuple(rows) == grid.rows
        assert tuple(cols) == grid.cols
    if freq == "D":  # the whole day, from midnight on
        assert tuple(grid.places(dates_of(time.normalize().to_numpy()), lat, lon)[0]) == grid.slots


def test_a_table_and_a_data_set_say_the_same():
    """A DataFrame, the same rows in another order, and a Dataset with CF attributes give the same samples."""
    target = chl_map()
    given = table(target, [(0, 3, 4), (1, 5, 6), (2, 7, 8)], CHL=[0.2, 0.3, 0.4], error=[0.1, 0.2, np.nan])
    first = samples_of(given, target, CHL)
    ds = given.rename(
        columns={"time": "when", "lat": "y", "lon": "x", "CHL": "value", "error": "value_error"}
    ).to_xarray()
    for name, what in (("when", "time"), ("y", "latitude"), ("x", "longitude")):
        ds[name].attrs["standard_name"] = what
    ds["value"].attrs["units"] = "mg m-3"
    for other in (given.sample(frac=1, random_state=1), ds, given.rename(columns={"CHL": "chlor_a"})):
        again = samples_of(other, target, CHL)
        assert again.__dask_tokenize__() == first.__dask_tokenize__()
    assert np.allclose(first.values, np.log10([0.2, 0.3, 0.4]), atol=1e-6)
    assert np.allclose(np.sqrt(first.variances), [np.log10(1.5), np.log10(1 + 2 / 3), 0.2], atol=1e-6)


def test_samples_of_one_pixel_become_one():
    """Samples in one pixel and composite are averaged with the inverse of their variances."""
    target = chl_map()
    given = table(target, [(1, 5, 6)] * 2, CHL=[0.1, 1.0])
    one = samples_of(given, target, CHL)
    assert len(one) == 1
    assert np.allclose(one.values, -0.5)
    assert np.allclose(one.variances, 0.2**2 / 2)


def test_size_classes_of_samples():
    """Fractions, class concentrations, two classes of three, and a labelled dimension give the log-ratios."""
    chl = chl_map()
    target = psc_map(chl)
    parts = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    columns = dict(zip(("micro", "nano", "pico"), parts.T, strict=True))
    given = table(target, [(0, 3, 4), (1, 5, 6)], **columns, CHL=[0.5, 2.0])
    found = samples_of(given, target, PSC, chl)
    assert len(found) == 6
    by_channel = np.stack([found.values[found.channels == channel] for channel in range(3)])
    assert np.allclose(by_channel, [*ilr(parts.T), np.log10([0.5, 2.0])], atol=1e-5)
    two = samples_of(given.drop(columns="nano"), target, PSC, chl)
    assert np.allclose(two.values, found.values, atol=1e-5)
    no_chl = samples_of(given, target, PSC[:2])
    assert len(no_chl) == 4
    labelled = given[["time", "lat", "lon"]].to_xarray()
    labelled["PSC"] = ("index", "size_class"), parts, {"units": "1"}
    labelled = labelled.assign_coords(size_class=["micro", "nano", "pico"])
    assert samples_of(labelled, target, PSC[:2]).__dask_tokenize__() == no_chl.__dask_tokenize__()
    micro = target.isel(size_class=0)
    alone = samples_of(given[["time", "lat", "lon", "micro"]], micro, PSC[:2])
    assert np.allclose(alone.values[alone.channels == 0], ilr(parts.T)[0], atol=0.2)


@pytest.mark.parametrize("variable", [Chlorophyll(), SizeClasses(), SizeClasses(concentrations=True), Temperature()])
def test_errors_in_the_units_of_methods(variable):
    """Variances of channels are those of values with small errors; percent of chlorophyll are log10(1 + p / 100)."""
    rng = np.random.default_rng(0)
    raw = np.array([[0.3], [0.3], [0.4]])[: variable.parts]
    error = 0.01 * raw
    drawn = variable.encode(raw + error * rng.normal(size=(variable.parts, 20000)), np.ones(20000)).values
    expected = variable.error_variance(raw, error)[:, 0]
    assert np.allclose(drawn.std(axis=1), np.sqrt(expected), rtol=0.05)
    assert (variable.error_variance(raw, variable.usual_error(raw)) > 0).all()
    assert np.isnan(variable.error_variance(raw, np.nan * raw)).all()
    if variable == Chlorophyll():
        assert np.allclose(variable.error_variance(raw, 0.3 * raw), np.log10(1.3) ** 2)


def test_samples_arrive_in_windows():
    """Each window that holds a sample is given it with its variance, other windows keep the satellite's value."""
    target = chl_map((3, 30, 80))
    hidden, observed = missing(target, 1)[0], np.argwhere(target.notnull().values)[40]
    given = table(target, [hidden, observed], CHL=[0.1, 50.0], error=[0.05, 5.0])
    result, windows = probed(target, insitu=given)
    _, without = probed(target)
    grid = grid_at(target.time, target.lat, target.lon)
    count = 0
    for start, (values, known, variance) in windows.items():
        plain, plainly, none = without[start]
        assert none is None
        t, y, x = (
            axis[i] - first for axis, i, first in zip((grid.slots, grid.rows, grid.cols), hidden, start, strict=True)
        )
        if all(0 <= at < n for at, n in zip((t, y, x), (5, 64, 64), strict=True)):
            count += 1
            assert known[t, 0, y, x]
            assert np.isclose(values[t, 0, y, x], -1.0)
            assert np.isclose(variance[t, 0, y, x], np.log10(1.5) ** 2)
            values[t, 0, y, x] = known[t, 0, y, x] = variance[t, 0, y, x] = 0
        assert same(values, plain)
        assert same(known, plainly)
        assert (variance == 0).all()
    assert count > 1
    assert result.CHL_status.values[tuple(hidden)] == 1
    assert result.CHL.values[tuple(observed)] == target.values[tuple(observed)]


def test_samples_alone_are_enough():
    """A map without satellite observations is filled around a sample, across the dateline too."""
    lon = (np.arange(60) - 30 + 0.5) / 4 + 180
    target = chl_map((1, 20, 60), lat=10.0).where(False).assign_coords(lon=np.where(lon > 180, lon - 360, lon))
    target = target.assign_coords(lat=10 + (np.arange(20) + 0.5) / 4)
    sea = np.ones((20, 60), bool)
    given = table(target, [(0, 5, 31)], CHL=[0.3]).assign(lat=target.lat.values[5], lon=-179.625)
    result, windows = probed(target, insitu=given, sea=sea)
    assert result.CHL.notnull().all()
    assert sum(int(observed.sum()) for _, observed, _ in windows.values()) == len(windows) > 1
    with pytest.warns(UserWarning, match="1 of 1 in-situ samples lie outside"):
        nothing, windows = probed(target, insitu=given.assign(lat=-60.0), sea=sea)
    assert not windows
    assert nothing.CHL.isnull().all()


def test_errors_of_maps_count_beyond_those_of_most():
    """In a window, an observation has the variance by which it errs more than the median; unknown ones have none."""
    target = chl_map((1, 20, 20), share=0.0)
    percent = xr.full_like(target, 30.0).assign_attrs(units="%").rename("CHL_uncertainty")
    _, windows = probed(target.where(target.lon > -39.9), error=percent)
    assert all((variance < 1e-7).all() for *_, variance in windows.values())
    percent[0, 3, 4], percent[0, 3, 5], percent[0, 3, 6] = 100.0, np.nan, 1.0
    gappy = target.copy()
    gappy[0, 0, 0] = np.nan
    expected = np.log10(2.0) ** 2 - np.log10(1.3) ** 2
    forms = {
        "percent": percent,
        "dask": percent.chunk(lat=7),
        "units": (percent / 100 * target).assign_attrs(units="mg m-3").transpose("lon", "lat", "time"),
        "log10": np.log10(1 + percent / 100).rename("chlor_a_log10_rmsd").assign_attrs(units="1"),
    }
    for name, error in forms.items():
        _, windows = probed(gappy, error=error)
        for _, observed, variance in windows.values():
            assert np.count_nonzero(variance > 1e-6) == 1, name
            assert np.isclose(variance.max(), expected, rtol=1e-3), name
            assert not variance[~observed].any()
    percent[0, 3, 4] = 1e30
    assert max(variance.max() for *_, variance in probed(gappy, error=percent)[1].values()) <= MOST


def test_errors_of_size_classes():
    """Errors of classes come with a class dimension in any order or as three arrays; other places are refused."""
    target = psc_map(chl_map())
    error = (0.1 * target).assign_attrs(units="1").isel(size_class=[2, 0, 1])
    case = inputs.read(target)
    field = read_error(error, case)
    everything = [np.arange(n) for n in case.grid.shape]
    for part, source in enumerate(field.sources):
        assert np.allclose(source.read(*everything), 0.1 * target.values[part], equal_nan=True)
    names = ("MICRO", "NANO", "PICO")
    split = [target.isel(size_class=k, drop=True).rename(name) for k, name in enumerate(names)]
    errors = [error.sel(size_class=name.lower(), drop=True).rename(f"{name}_uncertainty") for name in names]
    listed = read_error(errors[::-1], inputs.read(split))
    assert all(
        same(a.read(*everything), b.read(*everything)) for a, b in zip(listed.sources, field.sources, strict=True)
    )
    with pytest.raises(ValueError, match="latitudes"):
        read_error(error.isel(lat=slice(3)), case)
    with pytest.raises(ValueError, match="3 arrays, found 1"):
        read_error(errors[:1], inputs.read(split))
    with pytest.raises(ValueError, match="convert one of them"):
        read_error(error.assign_attrs(units="mg m-3"), case)


def test_methods_that_make_nothing_of_errors_refuse_them():
    """A method that ignores errors of observations refuses them, instead of leaving them out."""
    target = chl_map()
    given = table(target, missing(target), CHL=0.3)
    with pytest.raises(ValueError, match="climatology ignores observation errors, so insitu= is not supported"):
        xgapfill.fill(target, "climatology", insitu=given)
    with pytest.raises(TypeError, match="dctpls has no parameter 'error'"):
        target.to_dataset().gapfill.dctpls("CHL", error="CHL")


def test_what_is_wrong_with_a_table_is_said():
    """Every table that cannot be used raises at the call and says what is expected."""
    target, chl = psc_map(chl_map()), chl_map()
    good = table(chl, missing(chl), CHL=0.3)
    for given, where, message in (
        (good.values, chl, "DataFrame or an xarray Dataset"),
        (good.drop(columns="lat"), chl, "no column of latitude"),
        (good.drop(columns="time"), chl, "no column of time"),
        (good.rename(columns={"CHL": "salinity"}), chl, "no column of values; name it 'CHL'"),
        (good.assign(chlor_a=1.0).drop(columns="CHL").assign(chla=1.0), chl, "several columns"),
        (good.assign(CHL=-1.0), chl, "3 values of the in-situ CHL are impossible, such as -1"),
        (good.assign(CHL="much"), chl, "must be numbers"),
        (good.assign(error=-0.1), chl, "negative or infinite"),
        (good.assign(lat=120.0), chl, "beyond 90"),
        (good.assign(time="yesterday or so"), chl, "must be dates"),
        (good.rename(columns={"CHL": "micro"}), target, "expected two or more parts"),
        (good, target, "filled from psc_ilr1, psc_ilr2; insitu has a column for none"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            samples_of(given, where, CHL if where is chl else PSC[:2])
    sst = chl.rename("SST").assign_attrs(units="degC", standard_name="sea_surface_temperature")
    with pytest.raises(ValueError, match="expected the error of sea surface temperature in degC"):
        read_error(sst.assign_attrs(units="%"), inputs.read(sst))
    with pytest.raises(ValueError, match="negative or infinite"):
        read_error(chl - 100, inputs.read(chl))


def test_no_samples_is_no_error():
    """Rows without values or places are left out, and combining nothing gives nothing."""
    target = chl_map()
    given = table(target, missing(target), CHL=[0.3, np.nan, 0.3])
    given.loc[2, "lat"] = np.nan
    assert len(samples_of(given, target, CHL)) == 1
    empty = np.zeros(0, np.float32)
    assert len(combined(np.zeros(0, int), np.zeros((0, 3), int), empty, empty, 10)) == 0
