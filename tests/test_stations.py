"""What samples and errors do to estimates, and that the laws of all methods hold with them."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import FIVE_CHUNKINGS, chl_map, chunked, raise_if_dask_computes, same

import xgapfill
from xgapfill import fill
from xgapfill.inputs.dates import grid_at
from xgapfill.methods import Background, PosteriorMean, Repaint, Vae
from xgapfill.methods.kriging import Kriging
from xgapfill.options import OPTIONS
from xgapfill.testing import tiny_weights

# An untrained net leaves the Gaussian field behind the background: what samples do to that, they do to any.
METHODS = {
    "background": Background(),
    "posterior_mean": PosteriorMean(),
    "repaint": Repaint(((20.0, 1.0), (1.0, 0.0))),
    "vae": Vae(proposals=2),
    "kriging": Kriging(),
    "kriging, realisations": Kriging(realisations=True),
}
every_method = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("vae", "kriging, realisations") else name
        for name in METHODS
    ],
)
mean_and_draw = pytest.mark.parametrize("name", ["background", "repaint"])


def filled(name, target, cond=None, **options):
    """Fill with a method of the list."""
    weights = None
    if name in ("posterior_mean", "repaint", "vae"):
        weights = tiny_weights(("psc-chl" if target.name == "PSC" else "chl") + "-vae" * (name == "vae"))
    return fill(target, METHODS[name], cond=cond, weights=weights, **options)


@cache
def without_samples(name):
    """CHL of `ocean` as it is filled from satellites alone."""
    return filled(name, ocean()[0].CHL, full=True).compute()


@cache
def ocean():
    """Some frames of the simulated ocean with a wide gap, and pixels (t, y, x) in it: given ones and withheld ones.

    It lies where no windows meet, so that it costs few of them.
    """
    ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12))
    grid = grid_at(ds.time, ds.lat, ds.lon)
    y, x = (int(np.flatnonzero(np.array(axis) % 48 == 16)[1]) for axis in (grid.rows, grid.cols))
    ds = ds.isel(lat=slice(y, y + 32), lon=slice(x, x + 32))
    hidden = np.zeros(ds.CHL.shape, bool)
    hidden[:, 4:28, 4:28] = True
    places = np.argwhere(hidden & ds.CHL_truth.notnull().values)
    chosen = places[np.random.default_rng(3).choice(len(places), 120, replace=False)]
    return ds.assign(CHL=ds.CHL.where(~hidden), PSC=ds.PSC.where(~xr.DataArray(hidden, dims=ds.CHL.dims))), chosen


def stations(ds, places, sd=0.05, seed=0, **columns):
    """A table of chlorophyll at some pixels, the truth with a noise of `sd` in log10, which is its error as well."""
    noise = sd * np.random.default_rng(seed).normal(size=len(places))
    t, y, x = places.T
    chl = ds.CHL_truth.values[t, y, x] * 10**noise
    at = {"time": ds.time.values[t], "lat": ds.lat.values[y], "lon": ds.lon.values[x], "CHL": chl}
    return pd.DataFrame({**at, "error": chl * (10**sd - 1), **columns})


def rmse(result, ds, places):
    """Of log10 CHL at some pixels."""
    t, y, x = places.T
    return float(np.sqrt(np.mean(np.log10(result.values[t, y, x] / ds.CHL_truth.values[t, y, x]) ** 2)))


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in ("vae", "kriging, realisations")]
)  # an untrained vae draws anything
def test_samples_bring_withheld_stations_nearer(name):
    """In a wide gap, samples lessen the error at withheld stations and the spread."""
    ds, places = ocean()
    given, withheld = places[:80], places[80:]
    without, told = without_samples(name), filled(name, ds.CHL, insitu=stations(ds, given), full=True).compute()
    assert rmse(told.CHL, ds, withheld) < 0.9 * rmse(without.CHL, ds, withheld)
    assert float(told.CHL_spread_log10.mean()) < float(without.CHL_spread_log10.mean())


@every_method
def test_what_the_error_of_a_sample_does(name):
    """A sample with a huge error changes almost nothing; one with a tiny error is reproduced at its pixel."""
    ds, places = ocean()
    without = without_samples(name).CHL
    told = stations(ds, places[:40], 0.3)
    huge = filled(name, ds.CHL, insitu=told.assign(error=1e6)).compute()
    assert float(abs(np.log10(huge / without)).max()) < 0.02
    exact = stations(ds, places[:40], 1e-4)
    tiny = filled(name, ds.CHL, insitu=exact, full=True).compute()
    near = 0.03 if name == "vae" else 0.02  # an untrained one is unsure even there
    assert rmse(tiny.CHL, ds, places[:40]) < near < rmse(without, ds, places[:40])
    t, y, x = places[:40].T
    assert (tiny.CHL_status.values[t, y, x] == 1).all()
    assert same(tiny.CHL.where(ds.CHL.notnull()), ds.CHL)


@mean_and_draw
def test_an_error_of_pixels_keeps_them_to_themselves(name):
    """Wrong pixels with a large error are returned unchanged; for their surroundings they count as missing."""
    ds, _ = ocean()
    chl = ds.CHL.where(np.random.default_rng(0).random(ds.CHL.shape) < 0.5)
    wrong = xr.zeros_like(chl, bool)
    wrong[:, 5:10, 20:40] = True
    spoiled = chl.where(~wrong, 5 * chl)
    error = xr.full_like(chl, 10.0).where(~wrong, 1e6).assign_attrs(units="%").rename("CHL_uncertainty")
    expected, without, result = (
        filled(name, each, **more).compute()
        for each, more in ((chl.where(~wrong), {}), (spoiled, {}), (spoiled, {"error": error}))
    )
    assert same(result.where(spoiled.notnull()), spoiled)
    gaps = chl.isnull() & ds.CHL_truth.notnull()
    off = float(np.sqrt((np.log10(result / expected).where(gaps) ** 2).mean()))
    assert off < 0.01
    assert off < 0.2 * float(np.sqrt((np.log10(without / expected).where(gaps) ** 2).mean()))


@mean_and_draw
def test_samples_of_size_classes_and_their_condition(name):
    """Classes sampled in a gap, and chlorophyll sampled there, bring size classes nearer to the truth."""
    ds, places = ocean()
    t, y, x = places[:80].T
    truth = ds.PSC_truth.transpose("time", "lat", "lon", "size_class").values
    told = stations(ds, places[:80], 0.05, **dict(zip(("micro", "nano", "pico"), truth[t, y, x].T, strict=True)))
    told = told.rename(columns={"error": "CHL_error"}).assign(error=0.02)
    withheld = tuple(places[80:].T)

    def error_of(**more):
        result = filled(name, ds.PSC, ds.CHL, **more).transpose(*("time", "lat", "lon", "size_class")).values
        assert np.allclose(result[withheld].sum(axis=-1), 1, atol=1e-5)
        return float(np.sqrt(np.mean((result - truth)[withheld] ** 2)))

    without = error_of()
    assert error_of(insitu=told) < 0.95 * without
    if name != "repaint":  # one member has more noise of its own than chlorophyll at some pixels takes away
        assert error_of(insitu=told[["time", "lat", "lon", "CHL", "CHL_error"]]) < without


@every_method
def test_laws_hold_with_samples_and_errors(name, monkeypatch):
    """Nothing is computed on call; any chunking gives the same bits; a result travels and its name tells samples."""
    chl = chl_map((2, 14, 30), lat=40.75)
    t, y, x = np.argwhere(chl.isnull().values)[::20].T
    told = pd.DataFrame({"time": chl.time.values[t], "lat": chl.lat.values[y], "lon": chl.lon.values[x], "CHL": 0.3})
    error = (chl * np.random.default_rng(0).uniform(0, 0.5, chl.shape)).astype("float32").rename("error")
    error.attrs = {"units": "mg m-3"}
    lazily = filled(name, chl, insitu=told, error=error)
    expected = lazily.compute()
    assert same(expected.where(chl.notnull()), chl)
    again = filled(name, chl, insitu=told.sample(frac=1, random_state=0), error=error)
    assert again.data.name == lazily.data.name
    assert filled(name, chl, insitu=told.assign(error=0.07), error=error).data.name != lazily.data.name
    assert pickle.loads(pickle.dumps(lazily)).data.name == lazily.data.name
    for chunks, block in ((FIVE_CHUNKINGS[3], (2, 14, 17)), (FIVE_CHUNKINGS[4], (3, 8, 30))):
        monkeypatch.setitem(OPTIONS, "block", block)
        parts = [chunked(each, chunks) for each in (chl, error)]
        with raise_if_dask_computes():
            result = filled(name, parts[0], insitu=told, error=parts[1])
        assert same(result, expected), (chunks, block)


@mean_and_draw
def test_nothing_known_of_errors_changes_no_bit(name):
    """Errors that are all alike in a window, and samples elsewhere, leave the result as it is, to the last bit."""
    chl = chl_map((1, 20, 40))
    expected = filled(name, chl).compute()
    alike = xr.full_like(chl, 0.25).where(chl.notnull()).assign_attrs(units="1").rename("chlor_a_log10_rmsd")
    assert same(filled(name, chl, error=alike), expected)
    wide = chl_map((1, 10, 140))
    y, x = np.argwhere(wide.isel(time=0).isnull().values)[-1]
    told = pd.DataFrame(
        {"time": wide.time.values[:1], "lat": wide.lat.values[y], "lon": wide.lon.values[x], "CHL": 0.3}
    )
    near, plain = filled(name, wide, insitu=told).compute(), filled(name, wide).compute()
    assert same(near.isel(lon=slice(0, 76)), plain.isel(lon=slice(0, 76)))
    assert not same(near, plain)
