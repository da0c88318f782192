"""A variable of another package: one file, one name, and everything knows it."""

from __future__ import annotations

import importlib
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from maps import chl_map

import xgapfill
from xgapfill.variables import Chlorophyll, Positive, Prior, Variable, known, priors, recognise, register, registry


@dataclass(frozen=True)
class Turbidity(Positive):
    """Turbidity: what a package of its own would hold."""

    name = "TUR"
    channels = ("log10_tur",)
    priors: ClassVar[Mapping[str, Prior]] = {"log10_tur": Prior(mean=0.2, variance=0.25)}
    standard_name = "sea_water_turbidity"
    long_name = "turbidity"
    usual_units = "FNU"
    names = re.compile(r"tur(bidity)?(_mean)?")
    likely = (0.01, 1e3)


@pytest.fixture
def turbidity():
    """Turbidity as a known variable, and a gappy map of it."""
    before = list(registry._registered)
    register(Turbidity)
    values = chl_map((3, 24, 30))
    yield (values * 10).rename("TUR").assign_attrs(units="FNU", standard_name="sea_water_turbidity", long_name="turb")
    registry._registered[:] = before


@pytest.mark.parametrize("method", ["background", "kriging"])
def test_it_is_filled(turbidity, method):
    """Observed pixels come back, the others are filled with an error in its units and in log10."""
    filled = turbidity.gapfill.fill(method, full=True).compute()
    assert {"TUR", "TUR_spread", "TUR_spread_log10", "TUR_status"} <= set(filled)
    assert (filled.TUR.where(turbidity.notnull()) == turbidity).where(turbidity.notnull(), True).all()
    assert filled.TUR.notnull().all()
    assert filled.TUR.attrs["units"] == "FNU"
    truth, found = np.log10(turbidity.mean()), np.log10(filled.TUR.where(turbidity.isnull()).median())
    assert abs(truth - found) < 0.3


def test_samples_and_errors_are_read(turbidity):
    """Columns of in-situ tables are found by its names, errors by its units: as shares, and as they come."""
    t, y, x = np.argwhere(turbidity.isnull().values)[40]
    place = {"time": [turbidity.time.values[t]], "lat": [turbidity.lat.values[y]], "lon": [turbidity.lon.values[x]]}
    without = xgapfill.background(turbidity).compute()
    table = pd.DataFrame({**place, "turbidity": [80.0], "turbidity_error": [0.1]})
    sampled = xgapfill.background(turbidity, insitu=table).compute()
    assert abs(np.log10(sampled[t, y, x]) - np.log10(80)) < abs(np.log10(without[t, y, x]) - np.log10(80)) / 2
    seen = turbidity.notnull()
    percent = (seen * 5.0).where(~(seen & (turbidity.lat > turbidity.lat[12])), 60.0).assign_attrs(units="%")
    same = (percent / 100 * turbidity).assign_attrs(units="FNU")
    erring, again = (xgapfill.background(turbidity, error=error.rename("err")).compute() for error in (percent, same))
    np.testing.assert_allclose(erring, again, rtol=1e-4)
    assert not np.allclose(erring, without, rtol=1e-3, equal_nan=True)


def test_it_is_validated_as_a_logarithm(turbidity):
    """Scores are those of log10, as of all that is filled as its logarithm."""
    table = xgapfill.validate(turbidity, ["background"])
    assert table.attrs["scored"] == "log10 of TUR"


def test_its_units_are_checked(turbidity):
    """What cannot be its units, or cannot be its values, says so by name."""
    with pytest.raises(ValueError, match=r"TUR: attrs\['units'\] = 'm' cannot be read as the units of turbidity"):
        turbidity.assign_attrs(units="m").gapfill.background()
    with pytest.raises(ValueError, match="unlikely in FNU"):
        (turbidity * 1e6).drop_attrs().rename("TUR").gapfill.background()


def test_another_process_knows_it():
    """A worker that never registered it does so when a task brings the variable."""
    sent = pickle.dumps(Turbidity(2.0))
    assert Turbidity not in known()
    try:
        assert pickle.loads(sent) == Turbidity(2.0)
        assert Turbidity in known()
        assert "log10_tur" in priors()
    finally:
        registry._registered.remove(Turbidity)
    assert pickle.loads(pickle.dumps(Chlorophyll(3.0))) == Chlorophyll(3.0)


def test_a_package_adds_one_by_an_entry_point(monkeypatch):
    """One that can be loaded is known; one that cannot is warned of and leaves the others alone."""
    points = [
        EntryPoint("turbidity", f"{__name__}:Turbidity", registry.GROUP),
        EntryPoint("broken", "no_such_package:Thing", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])
    registry._entered.cache_clear()
    try:
        with pytest.warns(UserWarning, match="'broken' of no_such_package:Thing cannot be used"):
            assert importlib.import_module(__name__).Turbidity in known()
        assert recognise("turbidity_mean", {}).name == "TUR"
    finally:
        registry._entered.cache_clear()


def test_what_cannot_be_registered():
    """A class without priors, one with the channels of another, and what is no variable."""

    class Nameless(Variable):
        """Lacks all."""

    @dataclass(frozen=True)
    class Other(Positive):
        """Takes the channel of chlorophyll."""

        name = "OTHER"
        channels = Chlorophyll.channels
        priors = Chlorophyll.priors

    with pytest.raises(TypeError, match="'name'"):
        register(Nameless)
    with pytest.raises(ValueError, match="has channels of Chlorophyll"):
        register(Other)
    with pytest.raises(TypeError, match="subclass of"):
        register(3)
