"""The public face: functions, accessors, names."""

from __future__ import annotations

import html
import inspect
import pydoc

import numpy as np
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.methods.registry import BUILT_IN
from xgapfill.testing import tiny_weights


@pytest.fixture(scope="module")
def ds():
    """Size classes in three forms, and chlorophyll."""
    chl = chl_map((2, 10, 12), lat=40.75, lon=-39.5)  # in one window at a time
    psc = psc_map(chl)
    names = {
        name.upper(): psc.sel(size_class=name, drop=True).rename(name.upper()) for name in ("micro", "nano", "pico")
    }
    return xr.Dataset({"PSC": psc, "CHL": chl, **names}, attrs={"title": "made up", "history": "simulated"})


@pytest.mark.parametrize("verb", ["fill", "fit", "gaps", "plan", "validate", *(kind.name for kind in BUILT_IN)])
def test_accessors_have_the_signatures_of_functions(verb, ds):
    """Every verb has its full signature on both accessors, the Dataset's with the name of the target first."""
    function, method, named = (getattr(of, verb) for of in (xgapfill, ds.CHL.gapfill, ds.gapfill))
    names = [*inspect.signature(function).parameters]
    assert names[0] == "da"
    assert [*inspect.signature(method).parameters] == names[1:]
    assert [*inspect.signature(named).parameters] == ["name", *names[1:]]
    for each in (method, named):
        assert each.__doc__.startswith(inspect.getdoc(function).partition("\n\n")[0])
        assert f"xgapfill.{verb}" in each.__doc__
    assert "sea" in names


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_verbs_follow_from_their_class(kind):
    """Parameters of the class and all options that apply, each described once, and an example."""
    verb = getattr(xgapfill, kind.name)
    document, names = verb.__doc__, [*inspect.signature(verb).parameters]
    described = document.partition("Parameters\n")[2].partition("\nReturns\n")[0]
    entries = [line.partition(" : ")[0] for line in described.splitlines() if " : " in line and line[0] != " "]
    assert [name for entry in entries for name in entry.split(", ")] == names
    for title in ("Returns", "Raises", "References", "Examples"):
        assert f"\n{title}\n" in document


def test_help_is_short(ds):
    """The help of an accessor fits on a few screens: one line per verb, and where the rest is."""
    assert len(pydoc.render_doc(ds.CHL.gapfill).splitlines()) < 250


def test_wrong_words_are_told_with_the_right_ones(ds):
    """A parameter that there is not is a TypeError that lists those there are."""
    with pytest.raises(TypeError, match=r"repaint has no parameter 'schedul' .did you mean 'schedule'"):
        ds.CHL.gapfill.repaint(schedul="fast")
    with pytest.raises(TypeError, match="background has no parameter 'neighbours'"):
        ds.CHL.gapfill.background(neighbours=3)
    with pytest.raises(TypeError, match=r"dctpls has no parameter 'smoothness'.*smoothing, time_weight"):
        ds.CHL.gapfill.fill("dctpls", smoothness=1)
    with pytest.raises(TypeError, match="fill: missing a required argument: 'method'"):
        ds.CHL.gapfill.fill()


def test_the_accessor_says_how_the_data_were_understood(ds):
    """Its text and HTML name variable, units, times, grid, sea mask and weights, or say why it cannot be filled."""
    text, page = repr(ds.CHL.gapfill), ds.CHL.gapfill._repr_html_()
    for word in ("CHL", "chlorophyll", "mg m-3", "8 days", "10 latitudes", "mask of the package", "'chl'"):
        assert word in text
        assert html.escape(word) in page
    masked = ds.CHL.assign_coords(sea=(("lat", "lon"), np.ones((10, 12), bool)))
    assert "coordinate 'sea'" in repr(masked.gapfill)
    assert "= 'K' cannot be read" in repr(ds.CHL.assign_attrs(units="K").gapfill)
    assert "PSC, phytoplankton size classes" in repr(ds.gapfill)
    sure = ds.assign(part=ds.MICRO, CHL=ds.CHL.assign_attrs(ancillary_variables="part"))
    assert "not filled: it goes with CHL" in repr(sure.gapfill)
    assert "longitudes -39.48 to -39.02" in text
    assert "longitudes 320.5 to 321" in repr(ds.CHL.assign_coords(lon=ds.lon % 360).gapfill)


def test_accessor_and_function_agree(ds):
    """`da.gapfill.verb(...)` is `xgapfill.verb(da, ...)`."""
    weights = tiny_weights("psc-chl")
    assert same(ds.PSC.gapfill.background(ds.CHL), xgapfill.background(ds.PSC, ds.CHL))
    first = ds.PSC.gapfill.posterior_mean(cond=ds.CHL, weights=weights)
    assert same(first, xgapfill.posterior_mean(ds.PSC, ds.CHL, weights=weights))
    walk = [(20.0, 1.0), (1.0, 0.0)]
    first = ds.PSC.gapfill.repaint(ds.CHL, members=2, schedule=walk, weights=weights)
    assert same(first, xgapfill.repaint(ds.PSC, cond=ds.CHL, members=2, schedule=walk, weights=weights))
    assert first.dims == ("realization", *ds.PSC.dims)


def test_three_forms_of_size_classes_agree(ds):
    """A class dimension and a list of three variables, in any order, are filled with the same bits."""
    whole = ds.PSC.gapfill.background(ds.CHL).compute()
    three = ds.gapfill.background(["PICO", "MICRO", "NANO"], cond="CHL")
    assert list(three) == ["PICO", "MICRO", "NANO"]
    for name in ("micro", "nano", "pico"):
        assert same(three[name.upper()], whole.sel(size_class=name))
    again = xgapfill.background([ds.NANO, ds.PICO, ds.MICRO], ds.CHL)
    assert same(again.NANO, three.NANO)


def test_one_class_alone(ds):
    """A class is recognised by name, by label after .sel, or by size_class=, and all mean the same."""
    by_name = ds.gapfill.background("PICO", cond="CHL").PICO
    by_label = ds.PSC.sel(size_class="pico").gapfill.background(ds.CHL)
    said = ds.PICO.rename("fraction").gapfill.background(ds.CHL, size_class="pico")
    kept = ds.PSC.sel(size_class=["pico"]).gapfill.background(ds.CHL)
    assert same(by_name, by_label)
    assert same(by_name, said)
    assert kept.dims == ds.PSC.dims
    assert same(by_name, kept.isel(size_class=0))
    assert by_label.size_class.item() == "pico"
    assert by_name.notnull().all()


def test_datasets_return_datasets(ds):
    """By name, what was filled comes back as a Dataset with the attributes of the input and a longer history."""
    result = ds.gapfill.background("PSC", cond="CHL")
    assert isinstance(result, xr.Dataset)
    assert list(result) == ["PSC"]
    assert same(result.PSC, ds.PSC.gapfill.background(ds.CHL))
    assert result.attrs["title"] == "made up"
    assert result.attrs["history"].splitlines()[1:] == ["simulated"]
    assert "background(PSC, cond=CHL)" in result.attrs["history"]
    full = ds.gapfill.background("PSC", cond=["CHL"], full=True)
    assert list(full) == ["PSC", "PSC_spread", "PSC_status", "PSC_support"]
    three = ds.gapfill.background(["MICRO", "NANO", "PICO"], full=True)
    assert "NANO_status" in three
    assert "MICRO_spread" in three


def test_a_mask_in_the_dataset_is_used(ds):
    """A variable that says where sea is decides, by name or by CF flags; sea= by name, too."""
    masked = ds[["CHL"]].where(ds.lon > ds.lon[3])
    sea = np.ones((10, 12), bool)
    sea[:, :3] = False
    by_name = masked.assign(mask=(("lat", "lon"), sea)).gapfill.background("CHL")
    assert by_name.CHL.isel(lon=slice(0, 3)).isnull().all()
    assert by_name.CHL.isel(lon=slice(3, None)).notnull().all()
    flags = (("time", "lat", "lon"), np.int8([~sea] * 2), {"flag_masks": np.int8([1]), "flag_meanings": "LAND"})
    by_flags = masked.assign(flags=flags).gapfill.background("CHL")
    assert same(by_flags.CHL, by_name.CHL)
    said = masked.assign(water=(("lat", "lon"), sea), mask=(("lat", "lon"), ~sea)).gapfill.background(
        "CHL", sea="water"
    )
    assert same(said.CHL, by_name.CHL)


def test_wrong_names_are_listed(ds):
    """A name that is not in the Dataset is an error that lists those that are."""
    with pytest.raises(ValueError, match="it has PSC, CHL"):
        ds.gapfill.background("PSX")
    with pytest.raises(ValueError, match="no variable 'chl'"):
        ds.gapfill.background("PSC", cond="chl")


def test_validate_is_reachable(ds):
    """`validate` scores methods on hidden pixels, from a DataArray and by name."""
    table = ds.CHL.gapfill.validate(methods=["pixel_mean"], seed=1)
    assert isinstance(table, xr.Dataset)
    assert ds.gapfill.validate("CHL", methods=["pixel_mean"], seed=1).rmse.equals(table.rmse)
    assert callable(xgapfill.validate)


def test_lazy_modules():
    """Modules that most sessions do not need are found when asked for, others are an AttributeError."""
    assert "validate" in dir(xgapfill)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = xgapfill.nonsense
