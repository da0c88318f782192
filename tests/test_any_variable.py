"""Variables without a class of their own: recognised, declared or refused, and filled like the others."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.kernel.job import Job
from xgapfill.kernel.level import Level
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.windows import Filled, Windows
from xgapfill.methods.background import Background
from xgapfill.testing import tiny_weights
from xgapfill.variables import Bounded, Given, Plain, Positive, recognise
from xgapfill.variables.generic import declared
from xgapfill.variables.relation import psc_mean
from xgapfill.variables.size_classes import nearest_class

CHL = chl_map((2, 20, 24))
LOG = np.log10(CHL).drop_attrs()  # about -0.4 +- 0.3
DIATOMS = "mass_concentration_of_diatoms_expressed_as_chlorophyll_in_sea_water"


@pytest.mark.parametrize(
    ("name", "attrs", "kind"),
    [
        ("KD490", {"units": "m-1"}, Positive),
        ("Kd_490", {}, Positive),
        ("kdPAR_mean", {"units": "1/m"}, Positive),
        ("k", {"standard_name": "volume_attenuation_coefficient_of_downwelling_radiative_flux_in_sea_water"}, Positive),
        ("POC", {"units": "mg m^-3"}, Positive),
        ("poc", {"units": "mol m-3"}, Positive),
        ("TSM", {"units": "g m-3"}, Positive),
        ("SPM", {"units": "mg/l"}, Positive),
        ("turbidity", {"units": "NTU"}, Positive),
        ("x", {"standard_name": "sea_water_turbidity", "units": "FNU"}, Positive),
        ("bbp_443", {"units": "m-1"}, Positive),
        ("DIATO", {"units": "milligram m-3", "standard_name": DIATOMS}, Positive),
        ("PROCHLO", {"units": "mg m-3"}, Positive),
        ("DINO", {"units": "%"}, Bounded),
        ("Rrs_412", {"units": "sr-1"}, Plain),
        ("RRS443", {"units": "sr^-1"}, Plain),
        ("nflh", {"units": "W m-2 um-1 sr-1"}, Plain),
        ("sss", {"units": "1e-3"}, Plain),
        ("so", {"units": "PSU", "standard_name": "sea_water_salinity"}, Plain),
        ("sla", {"units": "m"}, Plain),
        ("adt", {"units": "cm"}, Plain),
        ("zos", {"standard_name": "sea_surface_height_above_geoid", "units": "m"}, Plain),
        ("ice_conc", {"units": "%"}, Bounded),
        ("siconc", {"units": "1"}, Bounded),
        ("LST_Day_1km", {"units": "K"}, Plain),
        ("NDVI", {}, Bounded),
        ("whatever", {"units": "mmol m-3"}, Positive),
        ("whatever", {"units": "degC"}, Plain),
        ("whatever", {"units": "m s-1"}, Plain),
    ],
)
def test_recognised(name, attrs, kind):
    """By standard name, units and name; what only the units say is announced."""
    found = recognise(name, attrs)
    assert isinstance(found, kind)
    assert bool(found.assumed) == (name == "whatever")
    assert len(found.channels) == 1


def test_transforms_are_declared():
    """With the own units of the array; bounds of a logit are 0 and 1, or said; a known variable stays itself."""
    assert isinstance(recognise("foo", {}, transform="log10"), Positive)
    assert isinstance(recognise("foo", {"units": "hPa"}, transform="linear"), Plain)
    assert recognise("foo", {"units": "%"}, transform="logit").possible(np.array([-1.0, 50, 101]))[0].tolist() == [
        0,
        1,
        0,
    ]
    assert recognise("foo", {}, transform=("logit", -2, 2)).possible(np.array([-3.0, 0, 2]))[0].tolist() == [0, 1, 1]
    assert recognise("CHL", {}, transform="log10") == recognise("CHL", {})
    assert recognise("CHL", {}, transform="linear").channels == ("linear_chl",)
    assert recognise("KD490", {"units": "m-1"}, transform="log10") == recognise("KD490", {"units": "m-1"})
    for wrong in ("log", 3, ("log10", 0, 1), ("logit", 1, 0), ("logit", 1), ()):
        with pytest.raises(ValueError, match="transform must be 'log10', 'logit', 'linear' or"):
            declared(wrong, "foo", {})
    with pytest.raises(ValueError, match="needs bounds"):
        declared("logit", "foo", {"units": "m"})


@pytest.mark.parametrize("attrs", [{}, {"units": "%"}])
def test_bounded_values_invert(attrs):
    """0 and 1 included, in the units of the input; means of wide distributions stay inside."""
    variable = declared("logit", "foo", attrs)
    values = np.array([[0, 0.01, 0.3, 0.999, 1]]) / variable.factor
    found = variable.encode(values)
    nothing = Given(np.full((1, 5), np.nan, np.float32))
    np.testing.assert_allclose(variable.decode_draw(found.values, nothing), values, atol=1e-4 / variable.factor)
    mean, spread = variable.decode_mean(found.values, np.full_like(found.values, 2.0), nothing)
    assert ((mean >= 0) & (mean <= 1 / variable.factor) & (spread > 0)).all()
    small = variable.decode_mean(found.values, np.full_like(found.values, 0.01), nothing)[1]
    error = variable.error_variance(values, small)
    np.testing.assert_allclose(error[0, 1:3], 1e-4, rtol=0.05)


def gappy(name, values, units):
    """A gappy map of a variable that is not chlorophyll."""
    return values.rename(name).drop_attrs().assign_attrs(units=units)


CASES = {
    "KD490": gappy("KD490", 0.05 * CHL, "m-1"),
    "Rrs_443": gappy("Rrs_443", 1e-3 * LOG + 5e-4, "sr-1"),
    "ice_conc": gappy("ice_conc", (100 * (1.2 + LOG)).clip(0, 100), "%"),
    "msl": gappy("msl", 101325 + 800 * LOG, "Pa"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["background", "kriging", "dctpls"])
def test_filled(name, method):
    """Near the truth, with a spread in the units of the input, whatever these are."""
    target = CASES[name]
    truth = {"KD490": 0.05, "Rrs_443": 1e-3, "ice_conc": 100, "msl": 800}[name]
    complete = np.log10(chl_map((2, 20, 24), share=0.0)).drop_attrs()
    complete = {
        "KD490": 0.05 * 10**complete,
        "Rrs_443": 1e-3 * complete + 5e-4,
        "ice_conc": (100 * (1.2 + complete)).clip(0, 100),
        "msl": 101325 + 800 * complete,
    }[name]
    transform = "linear" if name == "msl" else None
    filled = xgapfill.fill(target, method, transform=transform, full=True).compute()
    gap = target.isnull()
    error = float(np.sqrt(((filled[name] - complete).where(gap) ** 2).mean()))
    assert error < 0.75 * float(complete.where(gap).std())
    assert 0.1 * error < float(filled[f"{name}_spread"].where(gap).mean()) < 0.3 * truth
    assert filled[name].attrs["units"] == target.attrs["units"]


def test_a_change_of_units_changes_nothing_else():
    """In units a million times smaller, and shifted: the same fill."""
    first = xgapfill.kriging(CASES["msl"], transform="linear").compute()
    second = xgapfill.kriging(1e-6 * (CASES["msl"] - 1e5).rename("msl"), transform="linear").compute()
    np.testing.assert_allclose(second, 1e-6 * (first - 1e5), rtol=1e-3)


@pytest.mark.parametrize("factor", [1, 100])
def test_an_unknown_variable_has_the_prior_of_others(factor):
    """Its spread comes from a few values, to half an order of magnitude, for chunks of any size."""
    sla = (LOG * 3 * factor).rename("unknown").where(np.arange(24) < 16)
    options = FillOptions(time_step="8D", transform="linear")
    for given in (sla, sla.chunk(lat=7, lon=5)):
        (channel,) = Job.of(given, Background(), None, options).kernel.prior.channels
        assert channel.sd in (factor * 1.0, round(factor * 10**-0.5, 3), round(factor * 10**-0.5, 1))
    level = sla.mean().item()
    assert Job.of(sla * 0 + level, Background(), None, options).kernel.prior is None  # without spread, without a prior


def test_levels_are_robust():
    """Of a median and quantiles: a few wild values do not count; without observations nothing changes."""
    values = np.random.default_rng(0).normal(300, 2, (1, 3, 1, 40, 40)).astype(np.float32)
    values[0, 0, 0, :4, :4] = 1e9
    windows = Windows(
        values,
        np.ones(values.shape, bool),
        np.ones((1, 40, 40), bool),
        ("linear_foo",),
        1,
        *(np.zeros(shape) for shape in ((1, 3), (1, 40), (1, 40), (1, 3, 2))),
        8.0,
        np.ones((1, 2)),
    )
    level = Level.of(windows, {windows.channels[0]: None})
    assert level.centre[0] == pytest.approx(300, abs=0.3)
    assert level.scale[0] == pytest.approx(2, rel=0.1)
    back = level.taken_off(Filled(level.put_on(windows).values[None], np.ones_like(values)))
    np.testing.assert_allclose(back.values[0], values, rtol=1e-5)
    assert (back.spread == level.scale).all()


def test_predictors_alone_do_not_tell_its_level():
    """Where nothing of the target is observed around, it stays missing instead of being 1 in some units."""
    target = CASES["KD490"].where(False)
    found = xgapfill.background(target, CHL, full=True)
    assert found.KD490.isnull().all()
    assert (found.KD490_status == 2).all()
    assert xgapfill.background(CASES["KD490"], CHL).notnull().all()
    assert xgapfill.background(CHL, CASES["KD490"]).notnull().all()


def test_unknown_variables_are_refused_or_announced():
    """A guess by the units gives a warning with the others; without units transform= is asked for."""
    foo = gappy("foo", CHL, "mg m-3")
    with pytest.warns(UserWarning, match="'mg m-3' are units of a concentration, so transform='log10' is assumed"):
        xgapfill.background(foo)
    with warnings.catch_warnings(action="error"):
        xgapfill.background(foo, transform="log10")
        xgapfill.gaps(foo, transform="log10")
    with pytest.raises(ValueError, match="Say how to fill it: transform='log10'"):
        xgapfill.background(foo.drop_attrs())
    with pytest.raises(ValueError, match="transform='linear' fills negative ones"):
        xgapfill.background(LOG.rename("foo"), transform="log10")
    with pytest.raises(ValueError, match="for a variable of one part"):
        xgapfill.background(psc_map(CHL), transform="logit")


def test_scalar_labels_of_another_variable_do_not_count():
    """After .sel(size_class=) every variable has the label; name and standard name win over it."""
    psc = psc_map(CHL)
    ds = xr.Dataset({"PSC": psc, "CHL": CHL, "SST": (15 + LOG).assign_attrs(units="degC")}).sel(size_class="micro")
    alone = xgapfill.background(psc.sel(size_class="micro", drop=True), CHL, size_class="micro")
    assert ds.PSC.gapfill.background(cond=ds.CHL).identical(alone.assign_coords(size_class="micro")) or np.array_equal(
        ds.PSC.gapfill.background(cond=ds.CHL), alone
    )
    for bare in (ds, ds.drop_attrs()):
        filled = bare.CHL.gapfill.background().compute()
        assert filled.where(CHL.notnull()).equals(bare.CHL)
        assert filled.attrs["units"] == "mg m-3"
    assert "SST" in repr(ds.SST.gapfill)
    assert ds.SST.gapfill.background().attrs["units"] == "degC"
    kd = CASES["KD490"].assign_coords(size_class="micro")
    assert kd.gapfill.background().notnull().all()


QUICK = {"kriging": {"neighbours": 16}, "dctpls": {"smoothing": 0.1, "time_weight": 0.1}, "dineof": {"modes": 1}}
QUICK |= {"som": {"rows": 2, "cols": 2, "epochs": 2}}


@pytest.mark.parametrize("method", ["background", "kriging", "dctpls", "interpolate", "climatology", "dineof", "som"])
def test_laws_hold(method, tmp_path):
    """Observed pixels come back; any chunking, blocks and a file give the same bits; a subset changes near its cut."""
    target = gappy("Rrs_443", 1e-3 * np.log10(chl_map((4, 14, 30), lat=40.75)) + 5e-4, "sr-1").astype("float64")

    def filled(array):
        return xgapfill.fill(array, method, **QUICK.get(method, {}))

    expected = filled(target).compute()
    observed = target.notnull()
    assert expected.where(observed).equals(target)
    assert expected.notnull().all()
    with xgapfill.set_options(block=(2, 14, 11), series_block=(1, 9, 30)):
        assert same(filled(target.chunk(time=1, lon=9)), expected)
    target.to_dataset().to_netcdf(tmp_path / "maps.nc")
    with xr.open_dataset(tmp_path / "maps.nc") as ds:
        assert same(filled(ds.Rrs_443), expected)


def test_a_subset_changes_only_near_its_cut():
    """The level of a window is its own: beyond the halo of one window the bits are those of the whole map."""
    whole = gappy("sla", 0.1 * np.log10(chl_map((1, 8, 150), lat=40.75)), "m")
    part = whole.isel(lon=slice(60, None)).gapfill.background(time_step="8D", prior=None).compute()
    assert same(
        part.isel(lon=slice(63, None)), whole.gapfill.background(time_step="8D", prior=None).isel(lon=slice(123, None))
    )


@pytest.mark.parametrize("what", ["memory", "dask"])
def test_quantities_of_pint_have_their_units(what):
    """Values in kg m-3 with the units in the array, not in an attribute, are filled as in mg m-3."""
    import pint

    values = CHL.chunk(lat=7) if what == "dask" else CHL
    quantity = (values * 1e-6).drop_attrs().rename("CHL")
    quantity = quantity.copy(data=pint.Quantity(quantity.data, "kg / m ** 3"))
    filled = quantity.gapfill.background(full=True).compute()
    np.testing.assert_allclose(filled.CHL, 1e-6 * xgapfill.background(CHL), rtol=1e-3)
    assert filled.CHL.attrs["units"] == "kilogram / meter ** 3"
    assert xgapfill.background(CHL, error=quantity).notnull().all()


def test_other_array_libraries_are_refused():
    """What xgapfill cannot read says how to convert it."""

    class Strange(np.lib.mixins.NDArrayOperatorsMixin):
        shape, ndim, dtype, size = CHL.shape, CHL.ndim, CHL.dtype, CHL.size

        def __array_function__(self, *_):
            return NotImplemented

        def __array_ufunc__(self, *_, **__):
            return NotImplemented

    with pytest.raises(TypeError, match=r"holds .*Strange, expected numpy, dask or pint"):
        xgapfill.background(xr.DataArray(xr.Variable(CHL.dims, Strange()), CHL.coords, name="CHL"))


def test_units_are_demanded_where_no_value_can_be_looked_at(tmp_path):
    """Nothing observed where the few reads look, or a computation: without units the call is refused, in memory not."""
    far = chl_map((1, 300, 300)).where(False)
    far[0, 60, 0] = 0.5
    bare = far.drop_attrs().rename("CHL")
    bare.to_dataset().to_netcdf(tmp_path / "map.nc")
    with xr.open_dataset(tmp_path / "map.nc") as ds:
        with pytest.raises(ValueError, match="CHL has no units, and no value was found"):
            ds.CHL.gapfill.background(time_step="8D")
        ds.CHL.assign_attrs(units="mg m-3").gapfill.background(time_step="8D")
    bare.gapfill.background(time_step="8D")
    with pytest.raises(ValueError, match="median of 5e-07 is unlikely"):
        (1e-6 * bare).gapfill.background(time_step="8D")


def classes(factor, seed=3):
    """Chlorophyll of three size classes that sum to `factor` times chlorophyll, with gaps."""
    psc = psc_map(CHL, seed=seed).transpose("size_class", ...)
    chl = chl_map((2, 20, 24), share=0.0)
    return [
        (factor * chl * psc[k].drop_vars("size_class")).drop_attrs().assign_attrs(units="mg m-3").rename(name)
        for k, name in enumerate(("MICRO", "NANO", "PICO"))
    ]


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_classes_keep_their_ratio_to_chlorophyll(factor):
    """Classes of another algorithm sum to 0.7 or 1.4 x CHL: their fills do too, with a warning, lazily as in memory."""
    one = xgapfill.background(classes(1.0), CHL).compute()
    with pytest.warns(UserWarning, match=f"sum to {factor} times CHL"):
        other = xgapfill.background(classes(factor), CHL).compute()
    for name in ("MICRO", "NANO", "PICO"):
        np.testing.assert_allclose(other[name], factor * one[name], rtol=4e-3)
    with pytest.warns(UserWarning, match="sum to"):
        lazy = xgapfill.background([each.chunk(lat=9) for each in classes(factor)], CHL.chunk(lon=7))
    assert same(lazy.MICRO, other.MICRO)
    with pytest.raises(ValueError, match="check the units of both"):
        xgapfill.background(classes(1e3), CHL)
    with warnings.catch_warnings(action="error"):
        xgapfill.background(classes(1.03), CHL)


def test_a_class_in_chlorophyll_needs_no_chlorophyll():
    """One class in mg m-3 is a positive variable; given CHL it is a share of it."""
    micro = classes(1.0)[0]
    alone = micro.gapfill.background(full=True).compute()
    assert "MICRO_spread_log10" in alone
    assert alone.MICRO.notnull().all()
    assert "MICRO_spread_log10" not in micro.gapfill.background(cond=CHL, full=True)


def test_a_fraction_without_a_class():
    """PSC (lon, lat, time) is a bounded fraction; weights of size classes take the class that its relation suggests."""
    chl = chl_map((2, 30, 40), share=0.0)
    given = psc_map(chl)
    nano = given.sel(size_class="nano", drop=True).drop_attrs().transpose("lon", "lat", "time")
    with pytest.warns(UserWarning, match="taken for a fraction between 0 and 1; size_class='micro'"):
        filled = nano.gapfill.background(cond=chl).compute()
    assert filled.dims == nano.dims
    assert ((filled >= 0) & (filled <= 1)).all()
    assert "taken for a fraction" in repr(nano.gapfill)
    weights = tiny_weights("psc-chl")
    with pytest.warns(UserWarning, match="PSC names no size class; its relation to CHL is nearest to that of"):
        drawn = nano.gapfill.repaint(cond=chl, weights=weights, schedule=((1.0, 0.3), (0.3, 0.0))).compute()
    assert ((drawn > 0) & (drawn < 1)).all()
    with pytest.raises(ValueError, match="without chlorophyll it cannot be told: give cond="):
        nano.gapfill.repaint()


def test_a_class_is_named_by_the_long_name():
    """Where the name does not say it."""
    assert recognise("PSC", {"long_name": "fraction of nanophytoplankton"}).alone == 1
    assert recognise("strange", {"long_name": "picophytoplankton", "units": "%"}).alone == 2
    assert recognise("PSC", {}).assumed


def test_each_class_is_told_by_its_relation():
    """Micro rises with chlorophyll, pico falls, nano is in between."""
    chl = np.geomspace(0.05, 5, 500)
    noisy = np.clip(psc_mean(np.log10(chl)) + np.random.default_rng(0).normal(0, 0.1, (3, 500)), 0, 1)
    assert [nearest_class(each, chl) for each in noisy] == [0, 1, 2]


def test_samples_of_any_variable():
    """Columns with the name of the target or of a predictor, in their own units, count as samples."""
    kd = CASES["KD490"]
    t, y, x = np.argwhere(kd.isnull().values)[30]
    table = {"time": [kd.time.values[t]], "lat": [kd.lat.values[y]], "lon": [kd.lon.values[x]], "kd490": [1.0]}
    drawn = xgapfill.background(kd, insitu=pd.DataFrame(table))[t, y, x]
    assert drawn > 1.3 * xgapfill.background(kd)[t, y, x]
    place = {key: ("n", table[key]) for key in ("time", "lat", "lon")}
    metres = xr.Dataset({"Kd_490": ("n", [0.01], {"units": "cm-1"})}, place)
    np.testing.assert_allclose(xgapfill.background(kd, insitu=metres)[t, y, x], drawn, rtol=1e-4)
    assert xgapfill.background(CHL, cond=kd, insitu=pd.DataFrame(table | {"CHL": [0.3]})).notnull().all()


def test_a_predictor_may_be_anything():
    """One that is not recognised is used untransformed, with a warning; it helps as if it had been declared."""
    wind = (5 + 3 * np.log10(chl_map((2, 20, 24), share=0.0))).rename("wind").drop_attrs(deep=False)
    with pytest.warns(UserWarning, match="wind: it is not a known variable; as a predictor it is used untransformed"):
        given = CHL.gapfill.background(cond=wind).compute()
    truth = np.log10(chl_map((2, 20, 24), share=0.0))

    def error(filled):
        return float(((np.log10(filled) - truth) ** 2).where(CHL.isnull()).mean())

    assert error(given) < 0.4 * error(CHL.gapfill.background())


SPELLINGS = [
    "milligram / meter ** 3",
    "ug.l-1",
    "mg·m-3",
    "mg m -3",
    "mg m{-3}",
    "mg m$^{-3}$",
    "mg m−3",
    "mg_m-3",
    "mg/m³",
]
SPELLINGS += ["[mg m-3]", "mg(chl)/m3", "MG M-3", "ng/mL", "milligrams per cubic meter", "µg L⁻¹", "mgm-3"]


@pytest.mark.parametrize("units", SPELLINGS)
def test_spellings_of_units(units):
    """As providers, plotting labels and pint write mg m-3."""
    assert recognise("CHL", {"units": units}) == recognise("CHL", {"units": "mg m-3"})


def test_spellings_of_units_without_dimension():
    """Formazin units agree, practical salinity has no units, and a degree sign may be an ordinal."""
    assert isinstance(recognise("x", {"standard_name": "sea_water_turbidity", "units": "NTU"}), Positive)
    for units in ("psu", "PSS-78", "1e-3", "practical salinity units"):
        assert isinstance(recognise("sss", {"units": units}), Plain)
    assert recognise("SST", {"units": "ºC"}) == recognise("SST", {"units": "degC"})
