"""Compositions of any number of parts: stacked, or as a list of arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, same

import xgapfill
from xgapfill.variables import Given
from xgapfill.variables.composition import composition_of
from xgapfill.variables.transforms import balances, ilr, ilr_inverse, ilr_moments

CHL = chl_map((2, 16, 20), share=0.0)
TYPES = ("DIATO", "DINO", "GREEN", "HAPTO", "PROKAR")
GAPS = chl_map((2, 16, 20), seed=4).isnull()


def stacked(parts):
    """Fractions of types that follow chlorophyll, complete."""
    slopes = np.linspace(1.5, -1.5, parts)
    logs = xr.concat([float(slope) * np.log10(CHL).drop_attrs() for slope in slopes], "pft")
    shares = np.exp(logs) / np.exp(logs).sum("pft")
    return shares.assign_coords(pft=list(TYPES[:parts])).rename("PFT").transpose("time", "pft", "lat", "lon")


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_log_ratios_of_any_number_of_parts(parts):
    """They are orthonormal, they invert, and moments are those of draws."""
    rows = balances(parts)
    np.testing.assert_allclose(rows @ rows.T, np.eye(parts - 1), atol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-12)
    shares = np.random.default_rng(0).dirichlet(np.full(parts, 5.0), 20).T
    shares = np.maximum(shares, 0.006) / np.maximum(shares, 0.006).sum(axis=0)
    np.testing.assert_allclose(ilr_inverse(ilr(shares)), shares, rtol=1e-6)
    middle, width = np.linspace(-0.5, 0.5, parts - 1), np.full(parts - 1, 0.4)
    drawn = ilr_inverse(
        middle[:, None] + width[:, None] * np.random.default_rng(1).standard_normal((parts - 1, 100_000))
    )
    mean, spread = ilr_moments(middle[:, None], width[:, None])
    np.testing.assert_allclose(mean[:, 0], drawn.mean(axis=1), atol=0.01)
    np.testing.assert_allclose(spread[:, 0], drawn.std(axis=1), atol=0.01)


@pytest.mark.parametrize("parts", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_stack_is_filled(parts):
    """Parts sum to 1; observed ones come back; chunks do not matter; percent come back as percent."""
    complete = stacked(parts).assign_attrs(units="1")
    target = complete.where(~GAPS)
    filled = target.gapfill.background(cond=CHL, full=True).compute()
    assert filled.PFT.dims == target.dims
    assert filled.PFT.where(target.notnull()).equals(target)
    np.testing.assert_allclose(filled.PFT.sum("pft"), 1, atol=1e-5)
    assert abs(filled.PFT - complete).max() < 0.1
    assert same(target.chunk(time=1, lat=7).gapfill.background(cond=CHL.chunk(lon=9)), filled.PFT)
    percent = (100 * target).assign_attrs(units="%")
    np.testing.assert_allclose(percent.gapfill.kriging(), 100 * target.gapfill.kriging(), rtol=1e-4)


def test_one_unknown_part_is_the_rest():
    """All parts but one determine the last; of fewer, the observed ones are kept and the others share the rest."""
    variable = composition_of(TYPES, "PFT", {"units": "1"})
    shares = np.array([0.1, 0.2, 0.3, 0.15, 0.25])[:, None]
    gap = shares.copy()
    gap[3] = np.nan
    np.testing.assert_allclose(variable.encode(gap).values, variable.encode(shares).values, rtol=1e-5)
    gap[4] = np.nan
    assert not variable.encode(gap).observed.any()
    drawn = variable.decode_draw(np.zeros((4, 1), np.float32), Given(gap.astype(np.float32)))
    np.testing.assert_allclose(drawn[:, 0], [0.1, 0.2, 0.3, 0.2, 0.2], rtol=1e-5)


def test_types_in_chlorophyll():
    """Types in mg m-3, stacked or as a list, sum to their own sum; given chlorophyll, to their usual ratio of it."""
    target = (0.8 * CHL * stacked(5)).rename("PFT").drop_attrs(deep=False).assign_attrs(units="mg m-3").where(~GAPS)
    filled = target.gapfill.background().compute()
    arrays = [target.sel(pft=name, drop=True).rename(name) for name in TYPES]
    listed = xgapfill.background(arrays).compute()
    for name in TYPES:
        np.testing.assert_allclose(listed[name], filled.sel(pft=name), rtol=1e-5)
    with pytest.warns(UserWarning, match=r"sum to 0.8 times CHL"):
        given = target.gapfill.background(cond=CHL).compute()
    np.testing.assert_allclose(given.sum("pft"), 0.8 * CHL, rtol=1e-3)


def test_samples_and_errors_of_parts():
    """Columns named after the parts are samples; errors are stacked like the target."""
    target = stacked(3).assign_attrs(units="1").where(~GAPS)
    t, y, x = np.argwhere(GAPS.values)[10]
    place = {"time": [CHL.time.values[t]], "lat": [CHL.lat.values[y]], "lon": [CHL.lon.values[x]]}
    table = pd.DataFrame({**place, "DIATO": [0.9], "DINO": [0.05], "GREEN": [0.05], "error": [0.01]})
    sampled, without = target.gapfill.background(insitu=table), target.gapfill.background()
    assert sampled.sel(pft="DIATO")[t, y, x] > without.sel(pft="DIATO")[t, y, x] + 0.1
    error = (0.05 * target).assign_attrs(units="1").where(target.lon > target.lon[5], 0.3)
    assert not same(target.gapfill.background(error=error), without)


def test_what_is_no_composition_is_refused():
    """Labels that are not parts of a whole, fractions that do not sum to 1, lists of different variables."""
    sensors = xr.concat([CHL, CHL], "sensor").assign_coords(sensor=["modis", "viirs"])
    with pytest.raises(ValueError, match="besides time, latitude and longitude"):
        sensors.gapfill.background()
    with pytest.raises(ValueError, match=r"sums to 0.5 where all of DIATO"):
        (0.5 * stacked(3)).assign_attrs(units="1").gapfill.background()
    with pytest.raises(ValueError, match="a list must be the 3 parts micro, nano, pico"):
        xgapfill.background([CHL.rename("KD490").drop_attrs(), CHL])
