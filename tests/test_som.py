"""The self-organising map against steps done by hand, exact answers and regression."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: F401
import xarray as xr

from xgapfill import tutorial
from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Series, Windows
from xgapfill.methods.kohonen import batch_update, best_units, neighbourhood, train
from xgapfill.methods.som import Som
from xgapfill.testing import windows as windows_of
from xgapfill.weights import load

NOISE = Noise(0, 8640)


def series(values: np.ndarray, observed: np.ndarray, channels: tuple[str, ...], **given) -> Series:
    """A series of (c, t, n) values, without season and on one latitude unless given."""
    _, t, n = values.shape
    usual = {"season": np.zeros((t, 2), np.float32), "lat": np.full(n, 40, np.float32), "targets": 1}
    usual["lon"] = np.full(n, 330, np.float32)
    return Series(
        values=np.where(observed, values, 0).astype(np.float32),
        observed=observed,
        channels=channels,
        slots=np.arange(t),
        step_days=8.0,
        rows=np.zeros(n, np.int64),
        cols=np.arange(n),
        **(usual | given),
    )


def windows(values: np.ndarray, observed: np.ndarray, channels: tuple[str, ...], **given) -> Windows:
    """Windows of (b, 1, c, y, x) values, without season and on one latitude unless given."""
    usual = {"lat": np.full((len(values), values.shape[-2]), 40, np.float32), "targets": 1}
    return windows_of(values, channels, observed, **(usual | given))


def curve(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A target that follows the square of a driver, two channels (2, 4, n / 4), and where they are observed."""
    rng = np.random.default_rng(seed)
    driver = rng.uniform(-2, 2, n)
    values = np.stack([driver**2 + 0.1 * rng.normal(size=n), driver]).reshape(2, 4, -1)
    return values, rng.random(values.shape) < 0.7


def test_one_step_by_hand():
    """One batch update of a row of three units is what the formula gives on paper."""
    x = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 4.0]])
    prototypes = np.array([[0.0, 0.0], [3.0, 0.0], [5.0, 5.0]])
    best = best_units(x, prototypes)
    assert best.tolist() == [0, 1, 2]
    # neighbours 1 apart share one half, those 2 apart 0.5 ** 4: exp(-d^2 / 2 r^2) with r^2 = 1 / (2 ln 2)
    h = neighbourhood((1, 3), np.sqrt(0.5 / np.log(2)))
    assert np.allclose(h, [[1, 1 / 2, 1 / 16], [1 / 2, 1, 1 / 2], [1 / 16, 1 / 2, 1]])
    by_hand = [[(1 + 1 / 4) / (25 / 16), (1 / 4) / (25 / 16)], [2.0, 1.0], [5 / (25 / 16), 4 / (25 / 16)]]
    assert np.allclose(batch_update(x, best, prototypes, h), by_hand)


def test_units_far_from_all_vectors_stay():
    """A unit without any vector in its neighbourhood keeps its place."""
    prototypes = np.array([[0.0], [9.0]])
    moved = batch_update(np.array([[1.0]]), np.array([0]), prototypes, np.eye(2))
    assert np.array_equal(moved, [[1.0], [9.0]])


def test_best_units_look_at_the_known_part():
    """Components of weight 0 do not matter, those that go with the unknown ones matter more."""
    prototypes = np.array([[0.0, 5.0, 1.0], [1.0, 0.0, 0.0]])
    x = np.array([[0.0, 0.0, 0.0]])
    assert best_units(x, prototypes, np.array([[1.0, 0.0, 0.5]])).tolist() == [0]
    assert best_units(x, prototypes, np.array([[1.0, 0.0, 2.0]])).tolist() == [1]


def test_hexagons():
    """Every inner unit has six neighbours at distance 1."""
    h = neighbourhood((5, 5), 1.0)
    assert (np.isclose(h[12], np.exp(-0.5))).sum() == 6


def test_the_map_unfolds():
    """Units that are neighbours on the map become neighbours in the data."""
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 2))
    prototypes = train(x, np.ones(x.shape, bool), (8, 6), 20)
    apart = np.linalg.norm(prototypes[:, None] - prototypes, axis=-1)
    near = np.isclose(neighbourhood((8, 6), 1.0), np.exp(-0.5))
    assert apart[near].max() < 0.6
    error = np.linalg.norm(x - prototypes[best_units(x, prototypes)], axis=1)
    assert error.mean() < 0.16  # 48 hexagons of equal area over the square: 0.11


def test_vectors_with_gaps_take_part():
    """Where only incomplete vectors lie, the map reaches out to them."""
    x = np.random.default_rng(0).normal(size=(2000, 2)) * 0.3
    x[1000:, 0] += 3
    known = np.ones(x.shape, bool)
    known[1000:, 1] = False
    assert train(x[:1000], known[:1000], (5, 4), 10)[:, 0].max() < 1.5
    assert train(x, known, (5, 4), 10)[:, 0].max() > 2.5


def test_one_unit_is_linear_regression():
    """A map of one unit gives the mean and error of least squares."""
    rng = np.random.default_rng(0)
    driver = rng.normal(size=(1, 2000))
    values = np.stack([3 + 2 * driver + rng.normal(size=driver.shape), driver])
    channels = ("psc_ilr1", "log10_chl")
    weights = Som(rows=1, cols=1).fit(series(values, np.ones(values.shape, bool), channels))
    slope, constant = np.polyfit(driver[0], values[0, 0], 1)
    asked = np.zeros((1, 1, 2, 4, 4))
    asked[0, 0, 1] = np.linspace(-2, 2, 16).reshape(4, 4)
    observed = np.broadcast_to(np.array([False, True])[:, None, None], asked.shape)
    filled = Som().fill(windows(asked, observed, channels), weights, NOISE, 1)
    assert np.allclose(filled.values[0, 0, 0, 0], constant + slope * asked[0, 0, 1], atol=2e-3)
    assert np.allclose(filled.spread[0, 0, 0], np.std(values[0, 0] - constant - slope * driver[0]), rtol=1e-2)


def test_a_curve_is_followed():
    """The map follows a relation of which a straight line knows nothing, with and without regression in the units."""
    values, observed = curve(20_000)
    channels = ("psc_ilr1", "log10_chl")
    asked = np.zeros((1, 1, 2, 8, 8))
    asked[0, 0, 1] = np.linspace(-1.8, 1.8, 64).reshape(8, 8)
    only_driver = np.broadcast_to(np.array([False, True])[:, None, None], asked.shape)
    errors = []
    for linear in (True, False):
        som = Som(linear=linear, context=False)
        filled = som.fill(windows(asked, only_driver, channels), som.fit(series(values, observed, channels)), NOISE, 1)
        errors.append(np.sqrt(np.mean((filled.values[0, 0, 0, 0] - asked[0, 0, 1] ** 2) ** 2)))
        assert 0.1 < filled.spread[0, 0, 0].mean() < 0.3  # the noise is 0.1
    assert max(errors) < 0.05


def test_nothing_known_gives_the_mean():
    """Pixels without any known component take mean and spread of the data; land and empty windows stay finite."""
    values, observed = curve()
    channels = ("psc_ilr1", "log10_chl")
    som = Som(context=False)
    weights = som.fit(series(values, observed, channels))
    one = np.zeros((2, 1, 2, 8, 8), bool)
    one[0, 0, :, 0, 0] = True
    asked = windows(np.ones(one.shape), one, channels)
    asked.sea[0, 7] = False
    filled = som.fill(asked, weights, NOISE, 1)
    target = values[0][observed[0]]
    assert np.isfinite(filled.values).all()
    assert np.isfinite(filled.spread).all()
    assert (filled.spread[~one] > 0).all()
    assert np.allclose(filled.values[0, 1, 0, 0], target.mean(), atol=1e-3)
    assert np.allclose(filled.values[0, 0, 0, 0, 4:7], target.mean(), atol=0.1 * target.std())
    assert np.allclose(filled.spread[0, 0, 0, 4:7], target.std(), rtol=0.05)
    assert filled.values[0, 0, 0, 1, 0, 0] == 1


def test_season_tells_what_is_usual():
    """With season in the vector a frame of which nothing is known takes the values of its time of the year."""
    phase = 2 * np.pi * np.arange(23) / 23
    season = np.stack([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    rng = np.random.default_rng(0)
    values = (season[None, :, :1] * 2 + 0.1 * rng.normal(size=(1, 23, 300))).astype(np.float32)
    som = Som()
    weights = som.fit(series(values, np.ones(values.shape, bool), ("log10_chl",), season=season))
    assert weights.card.network["components"] == ("log10_chl", "season_cos", "season_sin")
    observed = np.zeros((2, 1, 1, 4, 4), bool)
    observed[..., 0, 0] = True
    asked = windows(np.zeros(observed.shape), observed, ("log10_chl",), season=season[[0, 11]][:, None])
    filled = som.fill(asked, weights, NOISE, 1)
    assert np.allclose(filled.values[0, 0, 0, 0, 1:], season[0, 0] * 2, atol=0.2)
    assert np.allclose(filled.values[0, 1, 0, 0, 1:], season[11, 0] * 2, atol=0.2)
    undated = som.fill(replace(asked, season=np.zeros((2, 1, 2), np.float32)), weights, NOISE, 1)
    assert np.allclose(undated.values[0, :, 0, 0, 1:], 0, atol=0.3)


def test_place_tells_what_is_usual():
    """Longitude counts from where there is no data: on both sides of 0 degrees the map follows what lies around."""
    lon = np.arange(340, 380, 0.1, np.float32) % 360
    east = (lon - 340) % 360 / 40
    rng = np.random.default_rng(0)
    values = (east + 0.05 * rng.normal(size=(1, 20, len(lon)))).astype(np.float32)
    som = Som()
    weights = som.fit(series(values, np.ones(values.shape, bool), ("log10_chl",), lon=lon))
    assert weights.card.network["components"] == ("log10_chl", "longitude")
    assert weights.card.network["meridian"] == pytest.approx(180, abs=0.1)
    asked = np.zeros((1, 1, 1, 4, 20))
    observed = np.zeros(asked.shape, bool)
    observed[..., 0, 0] = True
    filled = som.fill(windows(asked, observed, ("log10_chl",), lon=lon[None, ::20]), weights, NOISE, 1)
    assert np.allclose(filled.values[0, 0, 0, 0, 1:], east[::20], atol=0.05)


def test_same_bits(tmp_path):
    """The same series gives the same weights, saved or not, and a window does not depend on its batch."""
    values, observed = curve()
    channels = ("psc_ilr1", "log10_chl")
    som = pickle.loads(pickle.dumps(Som(rows=6, cols=4)))
    weights, again = (som.fit(series(values, observed, channels)) for _ in range(2))
    assert weights == again
    rng = np.random.default_rng(1)
    shape = (4, 1, 2, 16, 16)
    asked = windows(rng.normal(size=shape), rng.random(shape) < 0.5, channels)
    filled = som.fill(asked, weights, NOISE, 1)
    several = ("values", "observed", "sea", "starts", "lat", "lon", "season", "step_km")
    part = {name: getattr(asked, name)[2:3] for name in several}
    alone = som.fill(replace(asked, **part), load(weights.save(tmp_path / "map")), NOISE, 1)
    assert np.array_equal(filled.values[:, 2:3], alone.values)
    assert np.array_equal(filled.spread[2:3], alone.spread)


def test_small_samples_make_small_maps():
    """The map has no more units than its complete vectors can fill, and no more vectors than allowed are used."""
    values, observed = curve(800)
    network = Som().fit(series(values, observed, ("psc_ilr1", "log10_chl"))).card.network
    assert network["rows"] * network["cols"] <= (observed.all(axis=0).sum()) / 20
    card = Som(vectors=300).fit(series(*curve(), ("psc_ilr1", "log10_chl"))).card
    assert int(card.trained_on.split()[0]) <= 300


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda v, s: v[1].fill(0.3), "log10_chl is 0.3 everywhere"),
        (lambda v, s: s[1].fill(False), "log10_chl has none"),
        (lambda v, s: np.logical_and(s[1], ~s[0], out=s[1]), "psc_ilr1 and log10_chl are never observed together"),
        (lambda v, s: s[:, :, 40:].fill(False), "at least 100 pixels"),
    ],
)
def test_what_no_map_can_be_made_of(spoil, says):
    """Constant, never observed and never jointly observed channels and too few vectors are refused in words."""
    values, observed = curve()
    spoil(values, observed)
    with pytest.raises(ValueError, match=says):
        Som().fit(series(values, observed, ("psc_ilr1", "log10_chl")))


def test_wrong_use_is_refused():
    """Parameters, a single component, and weights of other channels."""
    values, observed = curve()
    with pytest.raises(ValueError, match="rows must be a whole number"):
        Som(rows=0)
    with pytest.raises(ValueError, match="does not fit in memory; use at most 4096"):
        Som(rows=100, cols=100)
    with pytest.raises(ValueError, match="linear must be True or False"):
        Som(linear="no")
    with pytest.raises(ValueError, match="several components"):
        Som(context=False).fit(series(values[:1], observed[:1], ("psc_ilr1",)))
    weights = Som().fit(series(values, observed, ("psc_ilr1", "log10_chl")))
    asked = windows(np.zeros((1, 1, 2, 4, 4)), np.zeros((1, 1, 2, 4, 4), bool), ("psc_ilr1", "sst"))
    for wrong in (weights, None):
        with pytest.raises(ValueError, match="fit with these channels"):
            Som().fill(asked, wrong, NOISE, 1)


@pytest.mark.slow
def test_beats_regression_where_temperature_matters():
    """On the simulated ocean the map errs less at missing pixels than regression, both given chlorophyll and
    temperature, and less than without temperature.
    """
    ds = tutorial.open_dataset("ocean").isel(lat=slice(40, 88), lon=slice(40, 88))
    gone = ds.PSC.isnull()

    def error(filled: xr.DataArray) -> float:
        return float(((filled.compute() - ds.PSC_truth).where(gone) ** 2).mean() ** 0.5)

    regressed = error(ds.PSC.gapfill.regression(cond=[ds.CHL, ds.SST]))
    cold, warm = (error(ds.PSC.gapfill.som(cond=cond, rows=8, cols=8)) for cond in (ds.CHL, [ds.CHL, ds.SST]))
    assert warm < 0.9 * regressed
    assert warm < cold
