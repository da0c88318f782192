"""Other sensors: how they are read and compared, what they are worth, and what they may cost."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map, raise_if_dask_computes, same, smooth
from scipy.ndimage import gaussian_filter
from test_laws import METHODS, filled, maps_of

import xgapfill
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.cells import CELL
from xgapfill.methods import Background
from xgapfill.prior import large, sensors


def other_map(target, *, offset=0.3, error=0.05, seed=3, share=0.3):
    """Another sensor of the field that `chl_map` draws, with gaps of its own."""
    full = chl_map(tuple(target.sizes[dim] for dim in ("time", "lat", "lon")), share=0.0)
    rng = np.random.default_rng(seed)
    values = full.values * 10 ** (offset + error * smooth(rng, full.shape))
    gap = smooth(rng, full.shape)
    values[gap < np.quantile(gap, share)] = np.nan
    return target.copy(data=values.astype(target.dtype)).rename("VIIRS")


@cache
def example(variable="CHL", shape=(2, 20, 36)):
    """A target, its predictor, and another sensor."""
    target, cond = maps_of(variable, shape=shape)
    if variable == "CHL":
        return target, cond, other_map(target)
    return target, cond, psc_map(cond, share=0.2, seed=1).rename("OTHER")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("background", "CHL"),
        ("dineof", "CHL"),
        pytest.param("background", "PSC", marks=pytest.mark.slow),
        pytest.param("kriging, realisations", "CHL", marks=pytest.mark.slow),
    ],
)
def test_laws_with_another_sensor(name, variable):
    """Nothing is computed at the call; any chunking and orientation: the same bits; observed pixels come back."""
    target, cond, other = example(variable)
    expected = filled(name, target, cond, also=other, full=True).compute()
    observed = target.notnull().values
    assert same(expected[target.name].values[observed], target.values[observed])
    with raise_if_dask_computes():
        lazy = filled(
            name,
            target.chunk(time=1, lon=17),
            None if cond is None else cond.chunk(lat=9),
            also=[other.chunk(lat=7, lon=13)],
            full=True,
        )
    with xgapfill.set_options(block=(2, 20, 19), series_block=(2, 20, 19)):
        again = filled(
            name, target.chunk(lat=5), cond, also=other.isel(lat=slice(None, None, -1)).chunk(lon=11), full=True
        )
        for each in (lazy, again):
            for key in expected:
                assert same(each[key], expected[key]), key
    assert expected[target.name].attrs["xgapfill_also"] == other.name
    without = filled(name, target, cond).compute()
    changed = (expected[target.name] != without).values & ~observed
    assert changed.any()
    if METHODS[name].draws:
        two = filled(name, target, cond, also=other, members=2).compute()
        assert same(two.isel(realization=0), expected[target.name])
        assert (two.std("realization").values[~observed] > 0).all()
        assert same(two.isel(realization=1).values[observed], target.values[observed])


def rough(rng, shape, radii):
    """A random field of unit variance with structure of several sizes."""
    parts = [gaussian_filter(rng.normal(size=shape), (0.8, radius, radius)) for radius in radii]
    field = sum(part / part.std() for part in parts)
    return field / field.std()


@cache
def hidden_field(shape=(5, 96, 128)):
    """A field, its map with gaps, and where its pixels are hidden."""
    rng = np.random.default_rng(11)
    values = -0.3 + 0.25 * rough(rng, shape, (2, 5, 15)) + 0.02 * rng.normal(size=shape)
    hidden = rough(rng, shape, (5, 10)) > 0.3
    full = chl_map(shape, share=0.0)
    target = full.copy(data=(10**values).astype("float32")).where(~hidden)
    return values, target, hidden


def error_of(also=None, **options):
    """RMSE of log10 at hidden pixels."""
    values, target, hidden = hidden_field()
    result = xgapfill.background(target, also=also, **options)
    return float(np.sqrt(np.mean((np.log10(result.values) - values)[hidden] ** 2)))


def as_map(values, share=0.3, seed=5):
    """Another sensor with these values of log10, and gaps of its own."""
    gap = rough(np.random.default_rng(seed), values.shape, (6,))
    values = np.where(gap < np.quantile(gap, share), np.nan, values)
    return hidden_field()[1].copy(data=(10**values).astype("float32")).rename("OTHER")


@cache
def alone():
    """RMSE without another sensor."""
    return error_of()


def test_a_sensor_with_an_offset_that_varies_in_space_and_time_helps():
    """One offset a frame would leave an error larger than that of the fill."""
    values = hidden_field()[0]
    rng = np.random.default_rng(1)
    wrong = 0.3 + 0.2 * rough(rng, values.shape, (25,)) + 0.05 * rough(rng, values.shape, (3,))
    assert error_of(as_map(values + wrong)) < 0.85 * alone()
    assert np.std(wrong) > alone()


@pytest.mark.slow
def test_a_sensor_of_another_scale_helps():
    values = hidden_field()[0]
    assert error_of(as_map(1.4 * values + 0.2)) < 0.7 * alone()


@pytest.mark.slow
def test_a_sensor_of_pure_noise_costs_nothing():
    """White, and with the size and shapes of the field itself."""
    values = hidden_field()[0]
    rng = np.random.default_rng(2)
    for noise in (rng.normal(size=values.shape), rough(rng, values.shape, (2, 5, 15))):
        assert error_of(as_map(-0.3 + 0.25 * noise)) < 1.01 * alone()


@pytest.mark.slow
def test_a_sensor_whose_offset_drifts_costs_nothing():
    """It drifts by more than the field varies, and differs most where the target was not observed."""
    values = hidden_field()[0]
    drift = np.arange(5)[:, None, None] * 0.5
    assert error_of(as_map(values + drift)) < 0.7 * alone()
    rng = np.random.default_rng(3)
    assert error_of(as_map(values + drift - 1 + 0.4 * rough(rng, values.shape, (8,)))) < 1.01 * alone()


@pytest.mark.slow
def test_two_sensors_are_better_than_one():
    values = hidden_field()[0]
    rng = np.random.default_rng(4)
    first, second = (as_map(values + 0.08 * rough(rng, values.shape, (3,)), seed=seed) for seed in (5, 6))
    both = error_of([first, second])
    assert both < 0.95 * error_of(first)
    assert both < 0.95 * error_of(second)


def test_wide_gaps_that_only_another_sensor_saw():
    """The large scale uses it: pixels beside those that it saw gain as well, with or without windows' own prior."""
    shape = (1, 40, 300)
    rng = np.random.default_rng(8)
    values = -0.3 + 0.4 * rough(rng, shape, (20,))
    full = chl_map(shape, share=0.0).copy(data=(10**values).astype("float32"))
    cols = xr.DataArray(np.arange(300), dims="lon")
    target = full.where((cols < 90) | (cols > 260))
    other = (2 * full).where((cols < 150) | (cols > 200) | (cols % 8 < 4))
    wide = slice(120, 230)
    seen = other.notnull().values[:, :, wide]
    options = {"sea": np.ones(shape[1:], bool), "time_step": "8D"}
    errors = []
    for also in (None, other):
        result = np.log10(xgapfill.background(target, also=also, **options).values)
        square = (result - values)[:, :, wide] ** 2
        errors.append(np.sqrt([square[seen].mean(), square[~seen].mean()]))
    assert errors[1][0] < 0.3 * errors[0][0]
    assert errors[1][1] < 0.4 * errors[0][1]
    alone = xgapfill.background(target, also=other, prior=None, **options).values[:, :, wide]
    assert np.isfinite(alone[seen]).all()


def test_a_subset_changes_only_near_its_cut():
    """The comparison of a cell depends on the cells within its reach, to the bit."""
    slots, rows, cols = sensors.reach(8.0)
    shape = 2 * slots + 3, 2 * rows + 12, 30
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(sensors.PAIRS, *shape))
    pairs[0] = rng.integers(0, CELL**2, shape) * (rng.random(shape) < 0.5)
    pairs[[3, 5]] = 1 + pairs[[3, 5]] ** 2

    def places(*axes):
        return large.Places(*(np.arange(*axis, dtype=float) for axis in axes), np.ones(axes[1][1] - axes[1][0]))

    axes = [(0, n) for n in shape]
    whole = sensors.compare(pairs, places(*axes), places(*axes), 8.0)
    at = (slots, slots + 2), (rows + 3, rows + 5), (4, 25)
    of = (0, 2 * slots + 2), (3, 2 * rows + 8), (0, 30)
    part = sensors.compare(pairs[:, : 2 * slots + 2, 3 : 2 * rows + 8], places(*of), places(*at), 8.0)
    assert cols >= 30
    for one, other in zip(part, whole, strict=True):
        assert same(one, other[tuple(slice(*axis) for axis in at)])


def test_too_few_common_pixels():
    """The sensor is not used there, and a warning says so."""
    values, target, _ = hidden_field()
    other = as_map(values).where(target.isnull() | ((target.lat < target.lat[2]) & (target.lon < target.lon[20])))
    with pytest.warns(UserWarning, match="OTHER.* is not used where it has fewer than 300 pixels in common with CHL"):
        result = xgapfill.background(target, also=other).compute()
    assert same(result, xgapfill.background(target))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda da: "OTHER", TypeError, "to pass names use ds.gapfill"),
        (lambda da: [], ValueError, "empty list"),
        (lambda da: da.to_dataset(name="x"), TypeError, "found Dataset"),
        (
            lambda da: da.assign_attrs(units="degC", standard_name="sea_surface_temperature"),
            ValueError,
            "cond=",
        ),
        (lambda da: da.coarsen(lat=2, lon=2).mean(), ValueError, r"other.interp_like\(CHL\)"),
        (lambda da: da.assign_coords(lat=da.lat + 0.02), ValueError, "xesmf.Regridder"),
        (lambda da: da.assign_coords(lon=da.lon + 60), ValueError, "no longitudes in common"),
        (lambda da: da.assign_coords(time=da.time + np.timedelta64(800, "D")), ValueError, "no dates in common"),
        (lambda da: da.resample(time="1D").nearest(), ValueError, "reindex"),
        (lambda da: da * 1e9, ValueError, "impossible"),
    ],
)
def test_what_another_sensor_must_be(change, error, words):
    target = chl_map()
    with pytest.raises(error, match=words):
        xgapfill.background(target, also=change(target))


def test_names_and_other_extents():
    """By name on a Dataset; another sensor may have other dates, another extent and other units."""
    target, _, other = example()
    expected = xgapfill.background(target, also=other).compute()
    ds = xr.merge([target, other])
    assert same(ds.gapfill.background("CHL", also="VIIRS").CHL, expected)
    assert same(ds.gapfill.background("CHL", also=["VIIRS"]).CHL, expected)
    later = xr.concat([other, other.assign_coords(time=other.time + np.timedelta64(16, "D"))], "time")
    assert same(xgapfill.background(target, also=later), expected)
    assert xgapfill.plan(target, "background", also=other).blocks == 1
    scores = xgapfill.validate(target, ["background"], also=other)
    assert float(scores.rmse[0, 0]) > 0


def test_what_another_sensor_is_worth():
    """Offset, scale, error and pairs, lazily, on cells."""
    values, target, _ = hidden_field()
    rng = np.random.default_rng(1)
    others = [as_map(values + 0.3 + 0.1 * rng.normal(size=values.shape)), as_map(1.5 * values).rename("STEEP")]
    with raise_if_dask_computes():
        found = xgapfill.sensors(target.chunk(time=1), [each.chunk(lat=17) for each in others])
    assert list(found.sensor.values) == ["OTHER", "STEEP"]
    found = found.compute()
    first, second = (found.sel(sensor=name).median() for name in found.sensor.values)
    assert float(first.offset) == pytest.approx(0.3, abs=0.05)
    assert float(first.error) == pytest.approx(0.1, rel=0.4)
    assert float(first.together) < 10
    assert float(second.scale) == pytest.approx(1.5, rel=0.1)
    assert float(second.error) < 0.06
    both = target.notnull() & others[0].notnull()
    assert int(found.pairs.isel(sensor=0).sum()) == int(both.sum())
    assert float(found.lat.min()) > float(target.lat.min())
    with pytest.raises(ValueError, match="found None"):
        target.gapfill.sensors(None)


def test_frames_are_appended(tmp_path):
    """A store that is extended has the values of the whole series."""
    target, _, other = example(shape=(4, 20, 36))
    store = str(tmp_path / "o.zarr")
    first = xgapfill.background(target.isel(time=slice(3)), also=other.isel(time=slice(3)))
    xgapfill.write(first, store, progress=False)
    whole = xgapfill.background(target, also=other)
    xgapfill.write(whole, store, append=True, progress=False)
    assert same(xr.open_zarr(store, chunks=None, consolidated=False).CHL, whole)


def test_appended_frames_change_frames_as_far_as_the_sensor_reaches():
    target, _, other = example()
    with_it, without = (Job.of(target, Background(), None, FillOptions(also=also)) for also in (other, None))
    assert with_it.frames_of_halo == without.frames_of_halo + sensors.reach(8.0)[0]
