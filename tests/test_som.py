"""The self-organising map against steps done by hand, exact answers and regression."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from xgapfill import tutorial
from xgapfill.families.transforms import ilr, ilr_inverse
from xgapfill.methods.som import Som, _neighbours, _train, batch_update, best_units
from xgapfill.noise import Noise
from xgapfill.patch import Series, Windows
from xgapfill.testing import windows as windows_of
from xgapfill.weights import load

NOISE = Noise(0, 8640)
SIZE = 64


def series(values: np.ndarray, seen: np.ndarray, channels: tuple[str, ...], **given) -> Series:
    """A series of (c, t, n) values, without season and on one latitude unless given."""
    _, t, n = values.shape
    usual = {"season": np.zeros((t, 2), np.float32), "lat": np.full(n, 40, np.float32), "targets": 1}
    return Series(
        values=np.where(seen, values, 0).astype(np.float32),
        seen=seen,
        channels=channels,
        slots=np.arange(t),
        step_days=8.0,
        rows=np.zeros(n, np.int64),
        cols=np.arange(n),
        **(usual | given),
    )


def windows(values: np.ndarray, seen: np.ndarray, channels: tuple[str, ...], **given) -> Windows:
    """Windows of (b, 1, c, y, x) values, without season and on one latitude unless given."""
    usual = {"lat": np.full((len(values), values.shape[-2]), 40, np.float32), "targets": 1}
    return windows_of(values, channels, seen, **(usual | given))


def curve(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A target that follows the square of a driver, two channels (2, 4, n / 4), and where they are seen."""
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
    h = _neighbours((1, 3), np.sqrt(0.5 / np.log(2)))
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
    h = _neighbours((5, 5), 1.0)
    assert (np.isclose(h[12], np.exp(-0.5))).sum() == 6


def test_the_map_unfolds():
    """Units that are neighbours on the map become neighbours in the data."""
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 2))
    prototypes = _train(x, np.ones(x.shape, bool), (8, 6), 20)
    apart = np.linalg.norm(prototypes[:, None] - prototypes, axis=-1)
    near = np.isclose(_neighbours((8, 6), 1.0), np.exp(-0.5))
    assert apart[near].max() < 0.6
    error = np.linalg.norm(x - prototypes[best_units(x, prototypes)], axis=1)
    assert error.mean() < 0.16  # 48 hexagons of equal area over the square: 0.11


def test_vectors_with_gaps_take_part():
    """Where only incomplete vectors lie, the map reaches out to them."""
    x = np.random.default_rng(0).normal(size=(2000, 2)) * 0.3
    x[1000:, 0] += 3
    known = np.ones(x.shape, bool)
    known[1000:, 1] = False
    assert _train(x[:1000], known[:1000], (5, 4), 10)[:, 0].max() < 1.5
    assert _train(x, known, (5, 4), 10)[:, 0].max() > 2.5


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
    seen = np.broadcast_to(np.array([False, True])[:, None, None], asked.shape)
    filled = Som().fill(windows(asked, seen, channels), weights, NOISE, 1)
    assert np.allclose(filled.values[0, 0, 0, 0], constant + slope * asked[0, 0, 1], atol=2e-3)
    assert np.allclose(filled.spread[0, 0, 0], np.std(values[0, 0] - constant - slope * driver[0]), rtol=1e-2)


def test_a_curve_is_followed():
    """The map follows a relation of which a straight line knows nothing, with and without regression in the units."""
    values, seen = curve(20_000)
    channels = ("psc_ilr1", "log10_chl")
    asked = np.zeros((1, 1, 2, 8, 8))
    asked[0, 0, 1] = np.linspace(-1.8, 1.8, 64).reshape(8, 8)
    only_driver = np.broadcast_to(np.array([False, True])[:, None, None], asked.shape)
    errors = []
    for linear in (True, False):
        som = Som(linear=linear, context=False)
        filled = som.fill(windows(asked, only_driver, channels), som.fit(series(values, seen, channels)), NOISE, 1)
        errors.append(np.sqrt(np.mean((filled.values[0, 0, 0, 0] - asked[0, 0, 1] ** 2) ** 2)))
        assert 0.1 < filled.spread[0, 0, 0].mean() < 0.3  # the noise is 0.1
    assert max(errors) < 0.05


def test_nothing_known_gives_the_mean():
    """Pixels without any known component take mean and spread of the data; land and empty windows stay finite."""
    values, seen = curve()
    channels = ("psc_ilr1", "log10_chl")
    som = Som(context=False)
    weights = som.fit(series(values, seen, channels))
    one = np.zeros((2, 1, 2, 8, 8), bool)
    one[0, 0, :, 0, 0] = True
    asked = windows(np.ones(one.shape), one, channels)
    asked.sea[0, 7] = False
    filled = som.fill(asked, weights, NOISE, 1)
    target = values[0][seen[0]]
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
    seen = np.zeros((2, 1, 1, 4, 4), bool)
    seen[..., 0, 0] = True
    asked = windows(np.zeros(seen.shape), seen, ("log10_chl",), season=season[[0, 11]][:, None])
    filled = som.fill(asked, weights, NOISE, 1)
    assert np.allclose(filled.values[0, 0, 0, 0, 1:], season[0, 0] * 2, atol=0.2)
    assert np.allclose(filled.values[0, 1, 0, 0, 1:], season[11, 0] * 2, atol=0.2)
    undated = som.fill(replace(asked, season=np.zeros((2, 1, 2), np.float32)), weights, NOISE, 1)
    assert np.allclose(undated.values[0, :, 0, 0, 1:], 0, atol=0.3)


def test_same_bits(tmp_path):
    """The same series gives the same weights, saved or not, and a window does not depend on its batch."""
    values, seen = curve()
    channels = ("psc_ilr1", "log10_chl")
    som = pickle.loads(pickle.dumps(Som(rows=6, cols=4)))
    weights, again = (som.fit(series(values, seen, channels)) for _ in range(2))
    assert weights == again
    rng = np.random.default_rng(1)
    shape = (4, 1, 2, 16, 16)
    asked = windows(rng.normal(size=shape), rng.random(shape) < 0.5, channels)
    filled = som.fill(asked, weights, NOISE, 1)
    part = {name: getattr(asked, name)[2:3] for name in ("values", "seen", "sea", "starts", "lat", "season", "step_km")}
    alone = som.fill(replace(asked, **part), load(weights.save(tmp_path / "map")), NOISE, 1)
    assert np.array_equal(filled.values[:, 2:3], alone.values)
    assert np.array_equal(filled.spread[2:3], alone.spread)


def test_small_samples_make_small_maps():
    """The map has no more units than its complete vectors can fill, and no more vectors than allowed are used."""
    values, seen = curve(800)
    network = Som().fit(series(values, seen, ("psc_ilr1", "log10_chl"))).card.network
    assert network["rows"] * network["cols"] <= (seen.all(axis=0).sum()) / 20
    card = Som(vectors=300).fit(series(*curve(), ("psc_ilr1", "log10_chl"))).card
    assert int(card.trained_on.split()[0]) <= 300


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda v, s: v[1].fill(0.3), "log10_chl is 0.3 everywhere"),
        (lambda v, s: s[1].fill(False), "log10_chl never is"),
        (lambda v, s: np.logical_and(s[1], ~s[0], out=s[1]), "psc_ilr1 and log10_chl never are together"),
        (lambda v, s: s[:, :, 40:].fill(False), "at least 100 pixels"),
    ],
)
def test_what_no_map_can_be_made_of(spoil, says):
    """Constant, never seen and never jointly seen channels and too few vectors are refused in words."""
    values, seen = curve()
    spoil(values, seen)
    with pytest.raises(ValueError, match=says):
        Som().fit(series(values, seen, ("psc_ilr1", "log10_chl")))


def test_wrong_use_is_refused():
    """Parameters, a single component, and weights of other channels."""
    values, seen = curve()
    with pytest.raises(ValueError, match="rows must be a whole number"):
        Som(rows=0)
    with pytest.raises(ValueError, match="would not fit in memory; take at most 4096"):
        Som(rows=100, cols=100)
    with pytest.raises(ValueError, match="linear must be True or False"):
        Som(linear="no")
    with pytest.raises(ValueError, match="several components"):
        Som(context=False).fit(series(values[:1], seen[:1], ("psc_ilr1",)))
    weights = Som().fit(series(values, seen, ("psc_ilr1", "log10_chl")))
    asked = windows(np.zeros((1, 1, 2, 4, 4)), np.zeros((1, 1, 2, 4, 4), bool), ("psc_ilr1", "sst"))
    for wrong in (weights, None):
        with pytest.raises(ValueError, match="fit with these channels"):
            Som().fill(asked, wrong, NOISE, 1)


def ocean() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The tutorial's ocean: channels (4, t, y, x), where they are seen, season, latitude and the true fractions."""
    ds = tutorial.open_dataset("ocean")
    psc, truth = (ds[name].transpose("size_class", "time", "lat", "lon").values for name in ("PSC", "PSC_truth"))
    known = np.isfinite(psc).all(axis=0)
    values = np.stack([*ilr(np.where(known, psc, 1 / 3)), np.log10(ds.CHL.values), (ds.SST.values - 15) / 10])
    seen = np.stack([known, known, np.isfinite(ds.CHL.values), np.isfinite(ds.SST.values)])
    phase = 2 * np.pi * (ds.time.dt.dayofyear.values + 3.5) / 365.25
    season = np.stack([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    return np.where(seen, values, 0), seen, season, ds.lat.values.astype(np.float32), truth


def quadratic(values: np.ndarray, seen: np.ndarray, drivers: list[int]) -> np.ndarray:
    """The two log-ratios by regression on a constant, the drivers, their squares and products."""
    given = values[drivers].reshape(len(drivers), -1)
    design = np.stack([np.ones(given.shape[1]), *given, *(a * b for n, a in enumerate(given) for b in given[n:])], 1)
    fit = (seen[0] & seen[drivers].all(axis=0)).ravel()
    beta = np.linalg.lstsq(design[fit], values[:2].reshape(2, -1)[:, fit].T, rcond=None)[0]
    return (design @ beta).T.reshape(2, *values.shape[1:])


def test_beats_regression_where_temperature_matters():
    """On the simulated ocean the map of PSC, CHL and SST errs less at missing pixels than quadratic regression on CHL;
    with season and latitude it errs less than regression on CHL and SST.
    """
    values, seen, season, lat, truth = ocean()
    channels = ("psc_ilr1", "psc_ilr2", "log10_chl", "sst")
    t, y, x = truth.shape[1:]
    shown = slice(0, t, 3)  # the errors of some frames are enough, all are learned from
    missing = (~seen[0] & seen[2] & seen[3] & np.isfinite(truth[0]))[shown]

    def error(ratios: np.ndarray) -> float:
        return float(np.sqrt(np.mean((ilr_inverse(ratios)[:, missing] - truth[:, shown][:, missing]) ** 2)))

    def part(field: np.ndarray, row: int, col: int) -> np.ndarray:
        return field[:, shown, row : row + SIZE, col : col + SIZE].swapaxes(0, 1)[:, None]

    errors = [error(quadratic(values, seen, drivers)[:, shown]) for drivers in ([2], [2, 3])]
    pixels = {"season": season, "lat": np.repeat(lat, x), "targets": 2}
    sample = series(values.reshape(4, t, -1), seen.reshape(4, t, -1), channels, **pixels)
    for som in (Som(context=False, vectors=60_000), Som(vectors=60_000)):
        weights, ratios = som.fit(sample), np.zeros((2, *missing.shape))
        for row, col in np.ndindex(y // SIZE, x // SIZE):
            row, col = row * SIZE, col * SIZE
            around = {"season": season[shown, None], "lat": np.tile(lat[row : row + SIZE], (len(missing), 1))}
            asked = windows(part(values, row, col), part(seen, row, col), channels, targets=2, **around)
            filled = som.fill(asked, weights, NOISE, 1).values[0, :, 0, :2]
            ratios[:, :, row : row + SIZE, col : col + SIZE] = filled.swapaxes(0, 1)
        errors.append(error(ratios))
    by_chl, by_both, alone, dated = errors
    assert alone < 0.97 * by_chl
    assert dated < 0.9 * by_both
