"""The simulated ocean: deterministic, possible, and as patchy as the real one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import fft, ndimage

from xgapfill.simulate import Regime, clouds, draw_regime, simulate, size_class_anomalies
from xgapfill.simulate.clouds import daily_weights
from xgapfill.simulate.fields import power_law, remembered, wavenumber
from xgapfill.simulate.stirring import Box, _moved, _spline_response, stirred

LAGS = (1, 2, 4, 8, 16)


@pytest.fixture(scope="module")
def ocean():
    """Eight composites of a small box."""
    return simulate(5, frames=8, shape=(64, 96), latitude=40.0)


def _roughness(fields):
    """Root mean square difference of pixels of (..., y, x) fields that are `LAGS` apart, mean of both directions."""
    squares = [
        [
            np.nanmean((fields[..., lag:, :] - fields[..., :-lag, :]) ** 2),
            np.nanmean((fields[..., lag:] - fields[..., :-lag]) ** 2),
        ]
        for lag in LAGS
    ]
    return np.sqrt(np.mean(squares, axis=1))


def test_same_arguments_same_ocean(ocean):
    """The same arguments give the same bits, another seed gives another ocean."""
    again, other = (simulate(seed, frames=8, shape=(64, 96), latitude=40.0) for seed in (5, 6))
    for name in ("log10_chl", "sst", "psc", "ssh", "u", "v"):
        np.testing.assert_array_equal(getattr(ocean, name), getattr(again, name))
    assert abs(ocean.log10_chl - other.log10_chl).max() > 0.1


def test_values_are_possible(ocean):
    """Fields are complete float32; chlorophyll, temperature, height and speed lie where those of the sea do."""
    for name in ("log10_chl", "sst", "psc", "ssh", "u", "v"):
        values = getattr(ocean, name)
        assert values.dtype == np.float32
        assert values.shape[-3:] == (8, 64, 96)
        assert np.isfinite(values).all()
    assert -3 < ocean.log10_chl.min() < ocean.log10_chl.max() < 2
    assert -1.9 < ocean.sst.min() < ocean.sst.max() < 36
    assert abs(ocean.ssh).max() < 1
    assert 0.03 < np.hypot(ocean.u, ocean.v).mean() < 0.6


def test_size_classes_are_a_composition(ocean):
    """Fractions lie in (0, 1) and sum to 1."""
    assert ((ocean.psc > 0) & (ocean.psc < 1)).all()
    np.testing.assert_allclose(ocean.psc.sum(axis=0), 1, atol=1e-6)


def test_size_classes_are_more_than_chlorophyll():
    """From box to box chlorophyll explains a part of the size classes, as in nature, neither nothing nor all."""
    boxes = [simulate(seed, 1, (16, 16), spin_up=1) for seed in range(60)]
    chl, micro = (
        np.concatenate([field.ravel() for field in fields])
        for fields in zip(*((b.log10_chl, b.psc[0]) for b in boxes), strict=True)
    )
    assert 0.35 < np.corrcoef(chl, micro)[0, 1] < 0.85


def test_places(ocean):
    """Pixels are centres of the 1/24 degree lattice, ascending, around the place asked for."""
    for centres, middle in ((ocean.lat, 40.0), (ocean.lon, -30.0)):
        np.testing.assert_allclose((centres * 24) % 1, 0.5, atol=1e-9)
        assert (np.diff(centres) > 0).all()
        assert abs(centres.mean() - middle) < 1 / 24


def test_composites_restart_on_1_january():
    """Composites of 8 days begin on 1 January, whatever day was asked for; the last of the year is short."""
    time = simulate(0, frames=4, shape=(16, 16), start_day=362, year=2011, spin_up=0).time
    assert time.astype("datetime64[D]").astype(str).tolist() == ["2011-12-27", "2012-01-01", "2012-01-09", "2012-01-17"]
    time = simulate(0, frames=2, shape=(16, 16), start_day=12, spin_up=0).time
    assert time.astype("datetime64[D]").astype(str).tolist() == ["2010-01-09", "2010-01-17"]


def test_daily_fields_make_the_composites():
    """The composite of velocity is the mean of the daily fields of the same ocean."""
    regime = draw_regime(np.random.default_rng(1), 45.0)
    days = simulate(2, frames=8, shape=(32, 32), step_days=1, regime=regime)
    mean = simulate(2, frames=1, shape=(32, 32), step_days=8, regime=regime)
    assert (np.diff(days.time) == np.timedelta64(1, "D")).all()
    np.testing.assert_allclose(days.u.mean(axis=0), mean.u[0], atol=1e-5)


def test_flow_is_geostrophic(ocean):
    """Eastward velocity is -g/f times the northward slope of the sea surface."""
    coriolis = 2 * 7.2921e-5 * np.sin(np.deg2rad(40))
    slope = np.gradient(ocean.ssh, 111.2e3 / 24, axis=1)[:, 2:-2]
    assert np.corrcoef((-9.81 / coriolis * slope).ravel(), ocean.u[:, 2:-2].ravel())[0, 1] > 0.97


def test_speed_is_what_the_regime_says():
    """The root mean square speed of daily velocities is the regime's."""
    regime = replace(draw_regime(np.random.default_rng(2), 45.0), speed=0.2, eddy_km=120, eddy_days=5)
    box = simulate(3, frames=40, shape=(128, 128), step_days=1, spin_up=0, regime=regime)
    assert np.sqrt((box.u**2 + box.v**2).mean()) == pytest.approx(0.2, rel=0.15)


def test_water_carries_tracers():
    """A pattern in uniform flow arrives where the flow took it: 2 pixels north, half a pixel east in a day."""
    box = Box.around(0.0, 0.0, (32, 32))
    metres = box.step_km[0] * 1e3 / 86400
    places = np.indices(box.shape, dtype=np.float32)
    moved = _moved(np.full(box.shape, 0.5 * metres, "f4"), np.full(box.shape, 2 * metres, "f4"), box, places)
    np.testing.assert_allclose(moved[0], 2, rtol=1e-5)
    np.testing.assert_allclose(moved[1], 0.5, rtol=1e-5)
    wave = np.sin(2 * np.pi * 3 * places[1] / 32).astype("f4")
    splines = fft.irfft2(fft.rfft2(wave) / _spline_response(box.shape), s=box.shape)
    carried = ndimage.map_coordinates(splines, places - moved, order=3, mode="grid-wrap", prefilter=False)
    np.testing.assert_allclose(carried, np.sin(2 * np.pi * 3 * (places[1] - 0.5) / 32), atol=5e-3)


def test_stirred_gradients_make_anomalies():
    """Water from the warm south is a warm anomaly: with a slope, the anomaly goes with the northward flow."""
    regime = replace(draw_regime(np.random.default_rng(3), 45.0), patch_km=60, eddy_km=200, eddy_days=30, speed=0.2)
    box = Box.around(45.0, 0.0, (64, 64))
    days = stirred(np.random.default_rng(0), regime, box, (-20.0,), 0)
    first, second = next(days), next(days)
    assert np.corrcoef((second[0] - first[0]).ravel(), first[3].ravel())[0, 1] > 0.5


def test_random_fields_have_their_spectrum_and_memory():
    """Fields have variance 1, the asked power law and the asked correlation from one to the next."""
    shape, rng = (128, 128), np.random.default_rng(0)
    series = remembered(rng, shape, power_law(shape, (4.0, 4.0), 100.0, 3.0), 0.8)
    fields = np.stack([next(series) for _ in range(60)])
    assert fields.var() == pytest.approx(1, abs=0.15)
    assert np.corrcoef(fields[1:].ravel(), fields[:-1].ravel())[0, 1] == pytest.approx(0.8, abs=0.05)
    power = (abs(fft.rfft2(fields)) ** 2).mean(axis=0)
    wave = wavenumber(shape, (4.0, 4.0))
    inside = (wave > 4 * 2 * np.pi / 100) & (wave < np.pi / 4)
    slope = np.polyfit(np.log(wave[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.2)


def test_regimes_differ():
    """Seeds give other regimes: chlorophyll from blue to green water, calm to rough, smooth to patchy."""
    regimes = [draw_regime(np.random.default_rng(seed), 45.0) for seed in range(60)]
    for name in ("chl_mean", "speed", "patch_slope", "eddy_km", "patch_days", "daily_gaps", "pigments"):
        values = [getattr(regime, name) for regime in regimes]
        assert max(values) - min(values) > 0.4 * abs(np.mean(values))
    assert isinstance(regimes[0], Regime)


def test_season_turns_with_the_hemisphere():
    """The sea is warmer in August than in February in the north, and the other way round in the south."""
    for latitude, sign in ((45.0, 1), (-45.0, -1)):
        winter, summer = (simulate(4, 1, (16, 16), latitude, start_day=day, spin_up=0).sst.mean() for day in (41, 225))
        assert sign * (summer - winter) > 1


def test_sensor_noise_is_in_chlorophyll_alone():
    """Noise has the asked standard deviation and leaves the size classes alone."""
    clean, noisy = (simulate(9, 2, (48, 48), spin_up=2, sensor_noise=noise) for noise in (0.0, 0.05))
    assert (noisy.log10_chl - clean.log10_chl).std() == pytest.approx(0.05, rel=0.05)
    np.testing.assert_array_equal(noisy.psc, clean.psc)


def test_anomalies_have_the_scatter_of_the_samples():
    """Over many boxes the residuals have the fitted covariance, and tails at least as heavy as normal ones."""
    boxes = np.concatenate([size_class_anomalies(s, 1, (32, 32), spin_up=5).reshape(2, -1) for s in range(60)], axis=1)
    np.testing.assert_allclose(boxes.std(axis=1), (0.9131, 0.6371), rtol=0.15)
    assert np.corrcoef(boxes)[0, 1] == pytest.approx(0.365, abs=0.15)
    unit = (boxes - boxes.mean(axis=1, keepdims=True)) / boxes.std(axis=1, keepdims=True)
    assert ((unit**4).mean(axis=1) > 2.8).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "at least 1 frame"),
        ({"shape": (8, 64)}, "16 x 16"),
        ({"latitude": 89.0}, "80 N"),
        ({"step_days": 0}, "at least 1 day"),
    ],
)
def test_impossible_boxes(options, message):
    """A box that cannot be simulated is refused, and the message says what is expected."""
    with pytest.raises(ValueError, match=message):
        simulate(0, **{"frames": 1, **options})


def test_clouds_cover_what_was_asked():
    """The mean share is the one asked for, single frames vary widely, and the same seed gives the same clouds."""
    for share in (0.1, 0.6, 0.85):
        missing = clouds(3, 60, (64, 64), share)
        assert missing.dtype == bool
        assert missing.mean() == pytest.approx(share, abs=0.03)
    cover = clouds(3, 60, (64, 64), 0.6).mean(axis=(1, 2))
    assert cover.min() < 0.25
    assert cover.max() > 0.9
    np.testing.assert_array_equal(clouds(3, 5, (64, 64)), clouds(3, 5, (64, 64)))
    assert (clouds(3, 5, (64, 64)) != clouds(4, 5, (64, 64))).any()


def test_clouds_are_patches():
    """Neighbours share their fate far more often than strangers; frames one after the other a little more."""
    missing = clouds(1, 60, (128, 128), 0.5, swaths=0.0)
    cover = missing.mean(axis=(1, 2))
    differ = (missing[:, :, 1:] != missing[:, :, :-1]).mean(axis=(1, 2)) / (2 * cover * (1 - cover))
    assert 0.1 < np.median(differ) < 0.4


def test_impossible_clouds():
    """Shares outside (0, 1) are refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        clouds(0, 1, (32, 32), share=1.0)
    with pytest.raises(ValueError, match="memory"):
        clouds(0, 1, (32, 32), memory=1.0)


def test_daily_weights_follow_the_clouds():
    """About the asked share of pixels counts next to nothing, and none counts nothing at all."""
    series = daily_weights(np.random.default_rng(0), (64, 64), 0.7)
    weights = np.stack([next(series) for _ in range(200)])
    assert (weights < 0.5).mean() == pytest.approx(0.7, abs=0.05)
    assert weights.min() > 0
    assert (next(daily_weights(np.random.default_rng(0), (64, 64), 0.0)) == 1).all()


@pytest.mark.shared
def test_roughness_is_that_of_the_sea(shared_data):
    """Differences of log10 chlorophyll over 1 to 16 pixels are those of real composites to a factor of 1.6."""
    with xr.open_dataset(shared_data / "ne_pacific_modis_2020_8day.nc") as file:
        real = _roughness(np.log10(file.CHL.sel(time=slice(None, "2020-05-31")).values))
    boxes = [_roughness(simulate(seed, 4, (128, 128), spin_up=15, sensor_noise=0.03).log10_chl) for seed in range(12)]
    simulated = np.sqrt(np.mean(np.square(boxes), axis=0))
    assert (abs(np.log(simulated / real)) < np.log(1.6)).all(), (simulated, real)


@pytest.mark.shared
def test_gaps_are_as_ragged_as_real_ones(shared_data):
    """Neighbouring pixels differ as often as those of real 8-day gaps, for the share missing, to a factor of 1.6."""
    with xr.open_dataset(shared_data / "ne_pacific_modis_2020_8day.nc") as file:
        real = file.CHL.isnull().values[:, 200:, :140]  # open sea

    def edges(missing):
        cover = missing.mean(axis=(1, 2))
        differ = (missing[:, 1:] != missing[:, :-1]).mean(axis=(1, 2)) / np.maximum(2 * cover * (1 - cover), 1e-6)
        return np.median(differ[(cover > 0.15) & (cover < 0.97)])

    simulated = np.mean([edges(clouds(seed, 20, (128, 128))) for seed in range(5)])
    assert abs(np.log(simulated / edges(real))) < np.log(1.6), (simulated, edges(real))
