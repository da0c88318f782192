"""Nets of published systems: fitted to the user's own series by the same trainer, with the same verbs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.gaussian.priors import shipped
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.patches import extract
from xgapfill.methods import Background, find
from xgapfill.methods.published import PublishedNet
from xgapfill.methods.registry import BUILT_IN
from xgapfill.nets.objective import Levels
from xgapfill.nets.standard import outputs_of
from xgapfill.testing import tiny_weights, windows
from xgapfill.training import fit as fit_module
from xgapfill.training import gappy
from xgapfill.training.gappy import Gappy
from xgapfill.training.levels import levels_of
from xgapfill.training.loop import Settings, Trainer
from xgapfill.training.mixtures import Mixture

NAMES = [kind.name for kind in BUILT_IN if issubclass(kind, PublishedNet)]
SHAPE = (7, 40, 48)
every_net = pytest.mark.parametrize("name", NAMES)
one_net = pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
)


@pytest.fixture(scope="module", autouse=True)
def few_windows():
    """Less to judge by, so that tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "MEMBER_BATCHES", 1)
        patch.setattr(fit_module, "POOL", 4)
        patch.setattr(gappy, "MOST_BLOCKS", 4)
        patch.setattr(gappy, "LEAST_WINDOWS", 4)
        yield


@pytest.fixture(scope="module")
def chl() -> xr.DataArray:
    """A gappy series."""
    return chl_map(SHAPE, seed=3)


@pytest.fixture(scope="module")
def drivers(chl) -> dict[str, xr.DataArray]:
    """A driver with time and gaps, and one without time."""
    warm = (290 + chl).rename("SST").assign_attrs(units="K", standard_name="sea_surface_temperature")
    deep = xr.zeros_like(chl.isel(time=0, drop=True)).fillna(0) + np.linspace(10, 4000, chl.lon.size)
    return {"SST": warm, "depth": deep.rename("depth").assign_attrs(units="m", standard_name="sea_floor_depth")}


@every_net
def test_without_weights_the_error_shows_what_to_type(name, chl):
    """At the call, before anything is computed."""
    with pytest.raises(ValueError, match=rf"da\.gapfill\.fit\('{name}', cond.*\n.*da\.gapfill\.{name}\(cond, weights"):
        getattr(xgapfill, name)(chl)


@pytest.mark.slow
@every_net
def test_drivers_of_any_kind_are_channels_of_the_net(name, chl, drivers, tmp_path):
    """Drivers with and without time enter the fit, which states them; the weights are saved and fill.

    So small a series has fewer observations than the net parameters: a warning, with both numbers.
    """
    with pytest.warns(UserWarning, match=r"the net has \d+ parameters and the series \d+ observed pixels"):
        weights = xgapfill.fit(chl, name, list(drivers.values()), steps=1)
    assert weights.card.method == find(name).model
    assert len(weights.card.conditions) == 2
    assert weights.card.network["channels"] == 3
    assert weights.card.background[weights.card.conditions[1]]["variance"] > 0
    again = xgapfill.weights.load(weights.save(tmp_path / "mine"))
    part = chl.isel(time=slice(0, 3))
    filled = part.gapfill.fill(name, [drivers["SST"].isel(time=slice(0, 3)), drivers["depth"]], weights=again)
    assert filled.notnull().all()
    alone = part.gapfill.fill(name, drivers["depth"], weights=again)  # a driver that lacks is missing
    assert alone.notnull().all()
    assert not same(filled, alone)


@one_net
def test_steps_and_seed_decide_the_bits(name, chl):
    """From weights of one's own, twice: the same bits; the fit is from these weights."""
    first = tiny_weights(f"chl-{name}")
    fits = [xgapfill.fit(chl.chunk(time=time), name, init=first, steps=2, seed=3) for time in (2, 7)]
    assert fits[0].sha256 == fits[1].sha256
    assert fits[0] is first or first.card.name in fits[0].card.trained_on


@every_net
def test_a_resumed_training_is_the_undisturbed_one(name, chl, tmp_path):
    """Dropout and other random numbers follow from the step as well."""
    series, levels = series_of(chl)
    made = Mixture(("log10_chl",), (), series.draw, "", ())
    settings = Settings(batch=2, pool=4, fresh=2, widths=(8, 16))

    def trainer():
        return Trainer(
            made, {"log10_chl": shipped()["log10_chl"]}, settings, "cpu", find(name).objective(), levels=levels
        )

    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(3):
        whole.advance(1.0)
    first.advance(1.0)
    torch.rand(3)  # what others draw does not matter
    first.save(tmp_path / "part.pt")
    assert second.resume(tmp_path / "part.pt")
    for _ in range(2):
        second.advance(1.0)
    assert all(torch.equal(whole.average[key], second.average[key]) for key in whole.average)


def series_of(chl):
    """Training data of a series, and its levels."""
    job = Job.of(chl, Background(), None, FillOptions(prior=None))
    series = Gappy(extract(job.kernel, job.sources, job.grids), 1)
    return series, levels_of(series, [shipped()["log10_chl"]])


def test_levels_are_means_over_time_at_any_place():
    """A gradient in space comes back between the nodes, whatever the frames; beyond the series its edge counts."""
    chl = chl_map((7, 64, 64), seed=3)
    slope = xr.ones_like(chl) * 10 ** np.linspace(-1, 1, chl.lon.size)
    _, levels = series_of(slope.where(chl.notnull()).assign_attrs(chl.attrs))
    objective = find("dincae").objective()
    net = objective.network(objective.shape(("log10_chl",), (), (8, 16), levels))
    objective.start(net, levels)
    prior = shipped()["log10_chl"]
    lat, lon = (torch.tensor(axis.values[None], dtype=torch.float32) for axis in (chl.lat, chl.lon))
    found = net.around(lat, lon % 360)[0, 0] * prior.variance**0.5 + prior.mean
    wanted = torch.linspace(-1, 1, 64).expand(64, 64)[8:56, 8:56]
    assert float((found[8:56, 8:56] - wanted).square().mean()) ** 0.5 < 0.15  # 0.58 without
    place = net.place(lat, lon % 360)
    assert place.abs().max() <= 1
    far = net.around(lat + 40, (lon + 100) % 360)
    assert torch.isfinite(far).all()
    assert net.place(lat + 40, lon % 360).max() == 1.5


def test_levels_cross_the_meridian_and_the_dateline():
    """Longitudes that jump by 360 degrees make one grid."""
    for first in (-1.0, 179.0):
        _, levels = series_of(chl_map(SHAPE, lon=first, seed=3))
        assert levels.extent[3] * (levels.maps.shape[2] - 1) < 10
        assert isinstance(levels, Levels)


def test_a_whole_among_the_predictors_is_filled():
    """Chlorophyll is filled with the size classes, other predictors are not."""
    assert outputs_of(("psc_ilr1", "psc_ilr2"), ("sst", "log10_chl")) == (0, 1, 3)
    assert outputs_of(("log10_chl",), ("sst",)) == (0,)


def test_concentrations_of_classes_are_filled(chl):
    """Concentrations need their whole, which the net fills too."""
    psc = psc_map(chl)
    whole = (psc * chl).assign_attrs(units="mg m-3").rename("PSC").isel(time=slice(0, 2))
    filled = whole.gapfill.dincae(chl.isel(time=slice(0, 2)), weights=tiny_weights("psc-chl-dincae"))
    assert filled.notnull().all()


def test_constant_drivers_and_short_series_are_refused(chl, drivers):
    """With what was found and what to do."""
    flat = (drivers["SST"] * 0 + 290).assign_attrs(drivers["SST"].attrs)
    with pytest.raises(ValueError, match=r"learns nothing from the predictor sst, which is .* everywhere"):
        xgapfill.fit(chl, "dincae", flat, steps=1)
    with pytest.raises(ValueError, match="at least 5 frames"):
        xgapfill.fit(chl.isel(time=slice(0, 3)), "vconstruct", steps=1)


def test_errors_of_observations_matter_to_dincae(chl):
    """An observation with an error has less weight; one with a large error hardly any."""
    weights = tiny_weights("chl-dincae")
    part = chl.isel(time=slice(0, 3))
    plain = part.gapfill.dincae(weights=weights)
    doubtful = part.gapfill.dincae(weights=weights, error=0.3 * part)
    assert not same(plain, doubtful)
    values = np.zeros((4, 5, 1, 64, 64), np.float32) + 1
    cut = windows(values, variance=np.full_like(values, 0.9 * shipped()["log10_chl"].variance))
    objective = find("dincae").objective()
    net = objective.network(objective.shape(("log10_chl",), (), (8, 16), None))
    assert net.look(cut, shipped(), torch.from_numpy).precision[0, 0, 0, 0, 0] == pytest.approx(0.1)


def test_frames_of_vconstruct_do_not_know_of_each_other(chl):
    """Another frame changes nothing."""
    weights = tiny_weights("chl-vconstruct")
    part = chl.isel(time=slice(0, 2))
    other = part.where(part.time == part.time[0], 2 * part)
    first, second = (each.gapfill.vconstruct(weights=weights).isel(time=0) for each in (part, other))
    assert same(first, second)


def test_untrained_methods_fill_nothing():
    """What stands for a method before its fit is no method to fill with."""
    from xgapfill.methods.untrained import Untrained

    with pytest.raises(NotImplementedError, match="not trained yet"):
        xgapfill.fill(chl_map((2, 8, 8)), Untrained(find("dincae"))).compute()
