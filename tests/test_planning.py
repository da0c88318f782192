"""A plan counts what a fill will do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from inspect import signature
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map

import xgapfill
from xgapfill.api import plan as planning
from xgapfill.api.validate import validate
from xgapfill.kernel import beyond, probe
from xgapfill.kernel import reduce as reducing
from xgapfill.kernel.drivers import Drivers
from xgapfill.kernel.sensors import Sensors
from xgapfill.kernel.shared_prior import SharedPrior
from xgapfill.lattice.sea import sea
from xgapfill.lattice.windows import Filled
from xgapfill.methods.base import Method
from xgapfill.options import OPTIONS
from xgapfill.prior import drivers as relation
from xgapfill.prior import large, season
from xgapfill.prior import sensors as compared
from xgapfill.testing import tiny_weights


def test_windows_are_those_that_are_filled(monkeypatch):
    """All blocks looked at: as many windows as the method is called for."""
    monkeypatch.setitem(OPTIONS, "block", (3, 48, 48))
    chl = chl_map((5, 60, 120), share=0.3)
    chl = chl.where(chl.lon > chl.lon[70])
    estimate = xgapfill.plan(psc_map(chl), Cheap(), cond=chl)
    Cheap.called.clear()
    psc_map(chl).gapfill.fill(Cheap(), cond=chl).compute(scheduler="sync")
    assert estimate.windows == sum(Cheap.called) > 0
    assert estimate.windows_error == 0
    assert estimate.sampled == estimate.blocks == psc_map(chl).gapfill.fill(Cheap(), cond=chl).data.npartitions
    assert estimate.calls == 0
    assert 0.2 < estimate.missing_share < 0.8
    assert estimate.seconds > 0
    assert "windows to fill" in repr(estimate)


@dataclass(frozen=True)
class Cheap(Method):
    """A method that fills with nothing and counts the windows it is called for."""

    name: ClassVar[str] = "cheap"
    called: ClassVar[list[int]] = []

    def fill(self, windows, weights, noise, members):
        """Zeros."""
        Cheap.called.append(int(windows.observed.any(axis=(1, 2, 3, 4)).sum()))
        return Filled(np.zeros((1, *windows.values.shape), np.float32), np.ones_like(windows.values))


def test_windows_beyond_the_limits_are_not_counted(monkeypatch):
    """As many windows as the method is called for with the same limits, fewer than without; bad ones are refused."""
    monkeypatch.setitem(OPTIONS, "block", (3, 48, 48))
    chl = chl_map((6, 60, 160), share=0.3)
    chl = chl.where(chl.lon < chl.lon[50])
    for limits in ({"max_distance": 100}, {"max_gap": 16}):
        estimate = xgapfill.plan(chl, Cheap(), **limits)
        Cheap.called.clear()
        chl.gapfill.fill(Cheap(), **limits).compute(scheduler="sync")
        assert 0 < estimate.windows == sum(Cheap.called) < xgapfill.plan(chl, Cheap()).windows
    with pytest.raises(ValueError, match="max_distance must be a positive number of km, found -1"):
        xgapfill.plan(chl, Cheap(), max_distance=-1)


def test_plan_and_validate_take_what_the_verbs_take():
    """The same options can be given to a fill, its plan and its validation, but for what these make nothing of."""
    options = {*signature(xgapfill.fill).parameters} - {"da"}
    assert options <= {*signature(xgapfill.plan).parameters}
    nothing = {
        "max_gap",
        "max_distance",
        "min_support",
        "full",
        "reduce",
        "interval",
        "calibration",
    }  # all hidden pixels are scored
    assert options - {*signature(validate).parameters} == nothing | {"method", "parameters"}


def spun(function, seconds=0.2):
    """The function, with more core time."""

    def slow(*given):
        start = time.process_time()
        while time.process_time() - start < seconds:
            pass
        return function(*given)

    return slow


@pytest.mark.slow
def test_the_prior_costs_time(monkeypatch):
    """What blocks share, and what each of them does with it; a season is fitted or given."""
    chl = chl_map((40, 24, 24)).assign_coords(
        time=np.arange("2015-01", "2018-05", dtype="datetime64[M]").astype("M8[ns]")
    )
    given = xgapfill.season(chl).compute()
    usual = xgapfill.plan(chl, Cheap(), prior=given).seconds
    monkeypatch.setattr(season, "fit", spun(season.fit, 1.0))
    assert xgapfill.plan(chl, Cheap()).seconds > usual + 0.5
    assert xgapfill.plan(chl, Cheap(), prior=given).seconds < usual + 0.5
    monkeypatch.setattr(large, "nested_means", spun(large.nested_means))
    wide = xgapfill.plan(chl, Cheap(), prior=given).seconds
    assert wide > usual + 0.1 * -(-40 // beyond.FRAMES)
    monkeypatch.setattr(SharedPrior, "give_back", spun(SharedPrior.give_back, 1.0))
    assert xgapfill.plan(chl, Cheap(), prior=given).seconds > wide + 0.5


@pytest.mark.slow
def test_drivers_and_other_sensors_cost_time(monkeypatch):
    """The relation to drivers, the comparison with a sensor, and what each block does with them."""
    chl = chl_map((6, 40, 40), share=0.5)
    wind = chl_map((6, 40, 40), share=0.0).rename("wind").drop_attrs()
    given = {"cond": wind, "also": 2 * chl_map((6, 40, 40), share=0.2).assign_attrs(chl.attrs), "prior": None}
    usual = xgapfill.plan(chl, Cheap(), **given).seconds
    for place, name in (
        (relation, "slopes"),
        (relation, "moments"),
        (relation, "references"),
        (Drivers, "on"),
        (compared, "compare"),
        (compared, "cell_pairs"),
        (Sensors, "on"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, spun(getattr(place, name), 1.0))
            assert xgapfill.plan(chl, Cheap(), **given).seconds > usual + 0.5, name


def patchy() -> xr.DataArray:
    """Gaps in the west only, and nothing at all in a third of the frames: what a random sample may miss."""
    chl = chl_map((18, 80, 96), share=0.5)
    full = chl_map((18, 80, 96), share=0.0)
    return chl.where(chl.lon < chl.lon[60], full).where(np.arange(18)[:, None, None] % 9 < 6)


def coast() -> xr.DataArray:
    """Two thirds land: the south of Europe, at 0.2 degrees."""
    chl = chl_map((6, 100, 200), share=0.5)
    chl = chl.assign_coords(lat=36 + 0.2 * np.arange(100), lon=-10 + 0.2 * np.arange(200))
    return chl.where(sea(chl.lat, chl.lon))


CASES = {"patchy": patchy, "coast": coast, "classes": lambda: psc_map(chl_map((6, 80, 96), share=0.5))}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.slow) for case in CASES])
def test_a_sample_is_near_the_truth(monkeypatch, case):
    """Of at most 32 blocks: windows within 30 % of what the method is called for, and within three standard errors."""
    monkeypatch.setitem(OPTIONS, "block", (3, 20, 20))
    da = CASES[case]()
    some = xgapfill.plan(da, Cheap())
    filled = da.gapfill.fill(Cheap())
    Cheap.called.clear()
    filled.compute(scheduler="sync")
    truth = sum(Cheap.called)
    assert some.sampled <= planning.SAMPLE < some.blocks == filled.data.npartitions
    assert 0 < abs(some.windows - truth) <= 3 * some.windows_error
    assert abs(some.windows - truth) <= 0.3 * truth
    assert some.windows_error <= 0.3 * truth
    assert xgapfill.plan(da, Cheap(), exact=True).windows == truth


@pytest.fixture
def untimed(monkeypatch):
    """Plans that count and measure no speed."""
    monkeypatch.setattr(probe.Time, "__call__", lambda self, arrays, box, core: probe._layers((1.0, 1.0, 0.0), core))


@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize(("schedule", "members"), [("fast", 1), ([(30, 25), (25, 1), (1, 3), (3, 0)], 2)])
def test_network_passes_are_those_of_the_fill(monkeypatch, schedule, members):
    """Every batch of every block: exactly the forward passes of the net, none for levels above the largest."""
    from xgapfill.nets.unet import UNet

    monkeypatch.setitem(OPTIONS, "block", (3, 12, 48))
    chl, weights = chl_map((3, 12, 60), share=0.4, lat=40.75), tiny_weights("chl")
    passes = []
    forward = UNet.forward
    estimate = xgapfill.plan(chl, "repaint", weights=weights, members=members, schedule=schedule)
    one = xgapfill.plan(chl, "posterior_mean", weights=weights)
    monkeypatch.setattr(UNet, "forward", lambda *given: passes.append(1) or forward(*given))
    chl.gapfill.repaint(weights=weights, members=members, schedule=schedule).compute(scheduler="sync")
    assert estimate.calls == len(passes) > 0
    passes.clear()
    chl.gapfill.posterior_mean(weights=weights).compute(scheduler="sync")
    assert one.calls == len(passes) > 0


def brightest(member):
    """Largest value of every pixel."""
    return member.max("time")


REDUCED = {
    "mean": ("repaint", "mean"),
    "some": ("repaint", ["std", {"quantile": [0.1, 0.9]}]),
    "function": ("repaint", (brightest, "mean")),
    "anchored": ("vae", "mean"),
}


@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize("case", REDUCED)
def test_statistics_are_planned_as_they_are_computed(monkeypatch, case):
    """The forward passes of the fill, members drawn two at a time; the size of the result is that of the statistics."""
    monkeypatch.setitem(OPTIONS, "block", (1, 12, 48))
    monkeypatch.setattr(reducing, "TOGETHER", 2)
    monkeypatch.setattr(reducing, "SLAB", 3)
    name, reduce = REDUCED[case]
    options = {"schedule": [(1.0, 0.0)]} if name == "repaint" else {}
    chl, chosen, passes = chl_map((2, 12, 30), share=0.4, lat=40.75), xgapfill.methods.find(name, **options), []
    weights = tiny_weights({"repaint": "chl", "vae": "chl-vae"}[name])
    estimate = xgapfill.plan(chl, chosen, weights=weights, members=3, reduce=reduce)
    plain = type(chosen).fill
    monkeypatch.setattr(type(chosen), "fill", lambda *given: passes.append(chosen.passes(given[-1])) or plain(*given))
    made = chl.gapfill.fill(chosen, weights=weights, members=3, reduce=reduce).compute(scheduler="sync")
    variables = made.data_vars.values() if isinstance(made, xr.Dataset) else [made]
    assert estimate.calls == sum(passes) > 0
    assert estimate.output_bytes == sum(each.nbytes for each in variables)
    assert 0 < estimate.memory < xgapfill.plan(chl, chosen, weights=weights, members=11).memory


def test_the_device_is_said(monkeypatch):
    """Where the method would compute; one that knows no devices computes on the processor."""
    chl = chl_map((2, 10, 12))
    monkeypatch.setenv("XGAPFILL_DEVICE", "cpu")
    estimate = xgapfill.plan(chl, "posterior_mean", weights=tiny_weights("chl"))
    assert estimate.device == "cpu"
    assert "posterior_mean on cpu" in repr(estimate)
    assert xgapfill.plan(chl, "dctpls").device == "cpu"


def test_chunks_of_dask_count_as_memory():
    """A block holds the chunks that it needs: of a map in one chunk, all of it."""
    chl = chl_map((4, 60, 80))
    plain, chunked = xgapfill.plan(chl, "background"), xgapfill.plan(chl.chunk(), "background")
    assert chunked.memory - plain.memory == chl.nbytes


def test_samples_and_errors_are_planned_with():
    """Windows with nothing but a sample are filled; errors are read."""
    chl = chl_map((4, 60, 80))
    table = pd.DataFrame({"time": chl.time.values[:1], "lat": chl.lat.values[30], "lon": chl.lon.values[9], "CHL": 0.3})
    nothing = xgapfill.plan(chl.where(False), "background")
    some = xgapfill.plan(chl.where(False), "background", insitu=table)
    assert (nothing.windows, some.windows > 0) == (0, True)
    ds = chl.to_dataset().assign(E=0.1 * chl)
    assert ds.gapfill.plan("CHL", "background", error="E").memory > ds.gapfill.plan("CHL", "background").memory
    with pytest.raises(ValueError, match="climatology ignores observation errors, so insitu="):
        xgapfill.plan(chl, "climatology", insitu=table)


def test_series_methods_are_fitted_first():
    """Without weights there is nothing to measure."""
    with pytest.raises(ValueError, match="fitted first"):
        xgapfill.plan(chl_map((6, 10, 10)), "dineof")
