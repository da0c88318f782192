"""Predictors of any kind and number: what they tell is taken before windows are cut, whatever the method."""

from __future__ import annotations

import warnings

import dask
import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map, same
from scipy.ndimage import gaussian_filter

import xgapfill
from xgapfill.prior import drivers as relation

SHAPE = (3, 56, 64)
METHODS = ("background", "kriging", "dctpls", "interpolate", "climatology", "dineof")
SEA = np.ones(SHAPE[1:], bool)


def smooth(seed, name, pixels=6.0, shape=SHAPE):
    """A random field without units, as smooth as real ones."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0.7, pixels, pixels))
    truth = chl_map(shape)
    return truth.copy(data=(field / field.std()).astype(np.float32)).rename(name).drop_attrs(deep=False)


WIND, LEVEL = smooth(1, "wind"), smooth(2, "level", 9.0)
TRUTH = smooth(3, "own", 10.0)
CHL = chl_map(SHAPE).copy(data=10 ** (0.3 * WIND.values - 0.2 * LEVEL.values + 0.15 * TRUTH.values - 0.5))
GAPS = smooth(4, "gaps", 8.0).values > -0.3
SHOWN = CHL.where(~GAPS)


def filled(target, cond=None, method="background", **options):
    with warnings.catch_warnings(action="ignore"):
        return getattr(xgapfill, method)(target, cond, **({"sea": SEA} | options))


def error(result):
    return float(np.sqrt(np.nanmean((np.log10(result.values) - np.log10(CHL.values))[GAPS] ** 2)))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_uses_drivers(method):
    """Two drivers of unknown kind lower the error of every method; observed pixels are those of the input."""
    result = filled(SHOWN, [WIND, LEVEL], method).compute()
    assert same(result.where(~GAPS), SHOWN)
    assert error(result) < 0.75 * error(filled(SHOWN, None, method))


@pytest.mark.slow
def test_useless_drivers_cost_nothing():
    """Twelve smooth fields without any relation to the target."""
    useless = [smooth(100 + n, f"useless{n}", pixels) for n, pixels in enumerate(np.linspace(3, 20, 12))]
    assert error(filled(SHOWN, useless)) < 1.01 * error(filled(SHOWN))


def test_drivers_with_gaps_without_time_and_with_more_pixels():
    """Their gaps are filled first; one map counts for all times; what lies beyond the target is left."""
    gappy = WIND.where(smooth(5, "gaps").values < 1)
    steady = smooth(6, "depth", shape=(1, *SHAPE[1:])).isel(time=0, drop=True)
    target = SHOWN * 10 ** (0.3 * steady)
    truth = CHL * 10 ** (0.3 * steady)
    target = target.assign_attrs(CHL.attrs).rename("CHL")

    def off(result):
        return float(np.sqrt(np.nanmean((np.log10(result) - np.log10(truth)).values[GAPS] ** 2)))

    with_all = filled(target, [gappy, LEVEL, steady])
    assert off(with_all) < 0.8 * off(filled(target))
    wider = LEVEL.pad(lon=(0, 5), mode="edge").assign_coords(lon=LEVEL.lon.values[0] + np.arange(69) / 24)
    assert off(filled(target, [gappy, wider, steady])) < 1.03 * off(with_all)


@pytest.mark.parametrize("prior", ["auto", pytest.param(None, marks=pytest.mark.slow)])
def test_the_same_bits_for_any_chunks(prior, tmp_path):
    """In memory, of dask, in a file, and with blocks of any size; nothing is computed at the call."""
    cond = [WIND.where(smooth(5, "gaps").values < 1), LEVEL]
    expected = filled(SHOWN, cond, prior=prior).compute()

    def refuse(*_, **__):
        raise AssertionError("computed at the call")

    chunked = [each.chunk(time=1, lat=19, lon=33) for each in (SHOWN, *cond)]
    with dask.config.set(scheduler=refuse), xgapfill.set_options(block=(2, 48, 48)):
        result = filled(chunked[0], chunked[1:], prior=prior)
    assert same(result, expected)
    xr.merge([SHOWN, *cond]).to_netcdf(tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc") as ds:
        assert same(filled(ds.CHL, [ds.wind, ds.level], prior=prior), expected)
        assert same(filled(ds.CHL[:, ::-1], [ds.wind[..., ::-1], ds.level[::-1]], prior=prior)[:, ::-1], expected)


def test_members_differ_only_in_gaps():
    members = filled(SHOWN, [WIND, LEVEL], "kriging", members=2).compute()
    assert (members.std("realization").values[GAPS] > 0).all()
    for member in members:
        assert same(member.where(~GAPS), SHOWN)
    mean = np.log10(members).mean("realization")
    assert error(10**mean) < 0.8 * error(10 ** np.log10(filled(SHOWN, None, "kriging", members=2)).mean("realization"))


def test_an_exact_relation_is_found_and_none_is_not():
    """Slopes of places: those of the sums, and zero within their error."""
    rng = np.random.default_rng(0)
    x = gaussian_filter(rng.standard_normal((2, 4, 128, 128)), (0, 0, 3, 3))
    x /= x.std()
    y, all_of_it = 0.7 * x[0], np.ones(x.shape, bool)
    sums = relation.moments(y, all_of_it[0], x, all_of_it, (3, 5), np.arange(4)).sum(axis=-1, keepdims=True)
    found = relation.slopes(relation.Relation.of(sums))[0]
    assert found[0] == pytest.approx(0.7, rel=0.05)
    assert found[1] == 0
    noise = gaussian_filter(rng.standard_normal(y.shape), (0, 3, 3))
    sums = relation.moments(noise, all_of_it[0], x, all_of_it, (3, 5), np.arange(4)).sum(axis=-1, keepdims=True)
    assert np.abs(relation.slopes(relation.Relation.of(sums))[0] * noise.std() / y.std()).max() < 0.1


def test_what_cannot_be_a_driver():
    """Constant, empty, the target itself, twice, another grid."""
    with pytest.warns(UserWarning, match="wind is 3 everywhere, so it is not used"):
        constant = xgapfill.background(SHOWN, WIND.copy(data=np.full(SHAPE, np.float32(3))), sea=SEA)
    assert same(constant, filled(SHOWN))
    with pytest.warns(UserWarning, match="wind has no values, so it is not used"):
        xgapfill.background(SHOWN, WIND.where(False), sea=SEA)
    for cond in ([SHOWN], [WIND, WIND.rename("copy")]):
        with pytest.raises(ValueError, match="the same quantity is given twice"):
            filled(SHOWN, cond)
    with pytest.raises(ValueError, match=r"different grids.*wind = wind.interp_like\(CHL\)"):
        filled(SHOWN, WIND.coarsen(lat=2, lon=2).mean())
    with pytest.raises(ValueError, match=r"different times.*1 of 3 dates of 'CHL' have no 'wind'"):
        filled(SHOWN, WIND[:2])
    with pytest.raises(ValueError, match=r"no predictor .*kriging\(\), dctpls\(\)"):
        filled(SHOWN, WIND, "posterior_mean")


def test_a_model_of_the_same_variable_is_a_driver():
    """Another map of the target's own variable may be a predictor, as may two of one variable."""
    model = (CHL * 10 ** (0.05 * smooth(8, "error"))).rename("CHL").assign_attrs(CHL.attrs)
    assert error(filled(SHOWN, [model, 1.1 * model.rename("other").assign_attrs(CHL.attrs)])) < 0.5 * error(
        filled(SHOWN)
    )


def test_the_table_of_what_drivers_are_worth():
    """Two explain the target and are missed, a useless one is dropped; a shipped relation is none to be learned."""
    with warnings.catch_warnings(action="ignore"):
        table = xgapfill.drivers(SHOWN, [WIND, LEVEL, smooth(9, "useless")])
        assert table.alone["all"] > 0.7
        assert table.alone["wind"] > 0.3
        assert table.without["wind"] < table.without["level"] < table.alone["all"] - 0.05
        assert abs(table.without["useless"] - table.alone["all"]) < 0.05
        assert table.slope["wind"] > 0 > table.slope["level"]
        psc = psc_map(CHL)
        with pytest.raises(ValueError, match="no predictor of PSC has a relation to be learned"):
            xgapfill.drivers(psc, CHL)
        assert list(psc.gapfill.drivers([CHL, WIND]).index) == ["wind", "all"]
