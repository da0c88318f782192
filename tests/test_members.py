"""Members made of real residuals: laws, pairs, and other dates in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from maps import chl_map, psc_map, raise_if_dask_computes, same

import xgapfill
from xgapfill import fill
from xgapfill.gaussian.background import first_guess
from xgapfill.gaussian.filaments import FILE, filaments
from xgapfill.gaussian.residuals import Donor, residuals
from xgapfill.kernel.donors import Donors
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.lattice.noise import Noise
from xgapfill.methods import Background
from xgapfill.testing import tiny_weights
from xgapfill.training.filaments import tracers
from xgapfill.variables import priors

CHL = chl_map((9, 14, 20), lat=40.75)
METHODS = {"dctpls": {"smoothing": 0.1, "time_weight": 0.1}}


def members_of(target, name, members=4, **options):
    weights = {"weights": tiny_weights("chl")} if name == "posterior_mean" else {}
    return getattr(xgapfill, name)(target, members=members, **METHODS.get(name, {}), **weights, **options)


@pytest.mark.parametrize(
    "name", ["background", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dctpls", "posterior_mean"))]
)
def test_laws_hold(name):
    """Lazy, the same bits for any chunks and number of members, observed pixels untouched, members differ in gaps."""
    with raise_if_dask_computes():
        lazy = members_of(CHL, name, seed=3)
    found = lazy.compute()
    observed = CHL.notnull()
    assert found.dims[0] == "realization"
    assert found.attrs["xgapfill_seed"] == 3
    for member in found.values:
        assert same(member[observed.values], CHL.values[observed.values])
    missing = ~observed.values & np.isfinite(found.values[0])
    assert missing.any()
    assert np.isclose(*found.values[[0, 2]][:, missing]).mean() < 0.01
    with xgapfill.set_options(block=(6, 14, 11)):
        parts = members_of(CHL.chunk(time=5, lat=14, lon=7), name, seed=3).compute(scheduler="threads")
    assert same(parts.values, found.values)
    assert same(members_of(CHL, name, 1, seed=3).values[0], found.values[0])
    assert not same(members_of(CHL, name, 1, seed=4).values[0], found.values[0])


@pytest.mark.parametrize("target", [CHL, psc_map(CHL)], ids=["CHL", "PSC"])
def test_pairs_are_opposite(target):
    """The mean of a pair is the estimate, in the units in which it is filled; fractions sum to 1 in each member."""
    if target.name == "PSC":
        found = xgapfill.background(target, cond=CHL, members=2).compute()
        np.testing.assert_allclose(
            found.sum("size_class").where(found.notnull().all("size_class")).mean(), 1, rtol=1e-5
        )
        return
    pair, estimate = xgapfill.background(target, members=2).compute(), xgapfill.background(target).compute()
    np.testing.assert_allclose(np.log10(pair).mean("realization"), np.log10(estimate), atol=1e-5)


def test_members_that_are_reduced_are_those_that_are_drawn():
    """Statistics of members that are drawn a few at a time."""
    drawn = xgapfill.background(CHL, members=4).compute()
    with xgapfill.set_options(member_bytes=2 * CHL.nbytes):
        found = xgapfill.background(CHL, members=4, reduce=["mean", "std"]).compute()
    np.testing.assert_allclose(found.CHL_mean, drawn.mean("realization"), rtol=1e-5)
    np.testing.assert_allclose(found.CHL_std, drawn.std("realization"), rtol=2e-3, atol=1e-4)


def test_a_front_of_another_date_is_in_a_member():
    """A step in a donor, under the gap of a date, is in the member that it makes, where it is."""
    rng = np.random.default_rng(0)
    values = 10 ** (-0.3 + 0.1 * rng.standard_normal((10, 20, 24))).astype(np.float32)
    values[6, :, 12:] *= 10
    values[1, 4:16, 6:18] = np.nan
    chl = chl_map((10, 20, 24)).copy(data=values)
    seed = next(seed for seed in range(99) if Donors.of(_grid(chl), 2, seed).shifts == (5,))
    sea = xr.DataArray(np.ones((20, 24), bool), {"lat": chl.lat, "lon": chl.lon})
    pair = np.log10(xgapfill.background(chl, members=2, seed=seed, sea=sea, prior=None).values[:, 1])
    steps = [float(member[4:16, 12:18].mean() - member[4:16, 6:12].mean()) for member in pair]
    assert steps[0] > 0.05
    assert steps[1] < -0.05


def _grid(chl):
    from xgapfill.inputs.dates import grid_at

    return grid_at(chl.time, chl.lat, chl.lon)


def test_dates_close_by_lend_nothing():
    """Donors are more than a month away, along the circle of the series; without enough dates, draws replace them."""
    grid = _grid(chl_map((20, 8, 8)))  # 8-day composites
    donors = Donors.of(grid, 60, 0)
    assert sorted(shift for shift in donors.shifts if shift) == [*range(4, 17)]
    assert donors.real == 13
    slots = np.array(grid.slots)
    assert set(donors.slots(slots, 7)) == set(slots)
    assert donors.slots(slots[-1:], 1)[0] == slots[0]
    assert Donors.of(_grid(chl_map((1, 8, 8))), 4, 0).shifts == (0, 0)
    one = xgapfill.background(chl_map((1, 20, 24)), members=2, time_step="8D").compute()
    assert np.isfinite(one.values).any()


def test_a_new_date_changes_the_donors_of_all():
    """A store of members is not continued with frames that were appended; their estimate is."""
    for members, halo in ((None, 4), (2, None)):
        options = FillOptions(members=members, prior=None)
        assert Job.of(CHL, Background(), None, options).frames_of_halo == halo


def test_residuals_of_filaments_have_the_stated_size():
    """Errors of the background of filaments alone are about as large as it says."""
    rng = torch.Generator().manual_seed(0)
    shape = (4, 5, 1, 32, 32)
    observed = (torch.rand(shape, generator=rng) > 0.5).float()
    observed[:, :, :, 8:20, 8:20] = 0
    step_km, shipped = torch.full((4, 2), 4.0), priors()
    known = 8.0, step_km, ("log10_chl",), 1, shipped
    starts = [np.array([0, 0, 50 * number]) for number in range(4)]
    fields = [torch.from_numpy(filaments(7, number, starts, (5, 1, 32, 32), 8.0)) for number in range(9)]
    values, nothing = 0.2 * fields[0] * observed, torch.zeros(shape)
    assert torch.isfinite(first_guess(values, observed, *known).mean).all()
    donors = [Donor(nothing, nothing, None, each) for each in fields[1:]]
    found = torch.stack(residuals(values, observed, donors, *known))
    assert (found[:, observed > 0] == 0).all()
    assert 0.6 < float((found[:, observed == 0] ** 2).mean()) < 1.5


def test_filaments_are_the_same_at_the_same_place():
    """Windows that overlap have the same values there, also across the dateline of the file; numbers differ."""
    one, two = filaments(3, 1, [np.array([5, -20, 100]), np.array([6, -10, 130])], (3, 2, 40, 60), 8.0)
    np.testing.assert_array_equal(one[1:, :, 10:, 30:], two[:-1, :, :30, :30])
    assert abs(float(filaments(0, 0, [np.zeros(3, int)], (10, 3, 180, 180), 8.0).std()) - 1) < 0.02
    daily = filaments(0, 0, [np.zeros(3, int)], (9, 1, 180, 180), 1.0)[0]
    np.testing.assert_array_equal(daily[[0, 8]], filaments(0, 0, [np.zeros(3, int)], (2, 1, 180, 180), 8.0)[0])
    assert 0.9 < float(daily[4].std() / daily[0].std()) < 1.1
    assert not np.array_equal(one, filaments(3, 2, [np.array([5, -20, 100])], (3, 2, 40, 60), 8.0)[0])
    assert not np.array_equal(one, filaments(4, 1, [np.array([5, -20, 100])], (3, 2, 40, 60), 8.0)[0])


@pytest.mark.slow
def test_the_file_of_filaments_is_what_its_command_simulates():
    with np.load(FILE) as stored:
        off = stored["tracers"].astype(int) - tracers(1)
    assert np.mean(off != 0) < 0.01


def test_noise_of_pairs():
    """Members 2 k and 2 k + 1 have opposite numbers, also when they are drawn as a part."""
    noise, part = Noise(0, 100, paired=True), Noise(0, 100, members=(3, 2), paired=True)
    at = (0, 0, 0), (1, 1, 2, 3)
    np.testing.assert_array_equal(noise(2, 0, *at), -noise(3, 0, *at))
    np.testing.assert_array_equal(part(0, 0, *at), noise(3, 0, *at))
    assert not np.array_equal(noise(0, 0, *at), noise(2, 0, *at))


def test_what_has_members_has_no_intervals():
    with pytest.raises(ValueError, match="use their quantiles"):
        fill(CHL, "background", members=2, interval=0.9)
