"""The tutorial data set: complete, labelled, the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from xgapfill import tutorial


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty cache folder."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def ocean(folder, monkeypatch):
    """The data set, made by the first test that asks for it."""
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(folder))
    return tutorial.open_dataset("ocean")


def test_variables_and_coordinates(ocean):
    """The data set has the documented variables on 24 eight-day time steps and a 1/24 degree lattice."""
    assert dict(ocean.sizes) == {"time": 24, "size_class": 3, "lat": 128, "lon": 128}
    assert set(ocean.data_vars) == {"PSC", "CHL", "SST", "SSH", "PSC_truth", "CHL_truth", "sea"}
    assert ocean.size_class.values.tolist() == ["micro", "nano", "pico"]
    assert ocean.time.values[0] == np.datetime64("2010-01-01")
    assert (np.diff(ocean.time.values) == np.timedelta64(8, "D")).all()
    for name in ("lat", "lon"):
        np.testing.assert_allclose(np.diff(ocean[name]), 1 / 24, atol=1e-9)
    for name in ("PSC", "CHL", "SST", "SSH", "PSC_truth", "CHL_truth"):
        assert ocean[name].dtype == np.float32


def test_it_says_what_it_is(ocean):
    """Every variable has a long name, all but counts have units, and the data set says that it is simulated."""
    for variable in ocean.variables.values():
        assert variable.attrs.get("long_name") or variable.attrs.get("standard_name")
    assert ocean.CHL.attrs["units"] == "mg m-3"
    assert ocean.PSC.attrs["units"] == "1"
    assert "simulated" in ocean.attrs["comment"]
    assert "Simulated" in ocean.attrs["title"]


def test_gaps(ocean):
    """About 60 % of the size classes and 10 % of chlorophyll are missing over the sea; land is missing everywhere."""
    sea = ocean.sea.values.astype(bool)
    assert ocean.sea.dtype == np.int8
    assert 0.02 < (~sea).mean() < 0.2
    for name, share in (
        ("PSC", 0.6),
        ("CHL", 0.1),
        ("SST", 0.25),
        ("SSH", 0.0),
        ("PSC_truth", 0.0),
        ("CHL_truth", 0.0),
    ):
        missing = ocean[name].isnull().values
        assert missing[..., sea].mean() == pytest.approx(share, abs=0.03)
        assert missing[..., ~sea].all()


def test_what_was_observed_is_true(ocean):
    """Observed pixels are those of the truth, size classes come as triples and only where chlorophyll was
    observed.
    """
    for name in ("PSC", "CHL"):
        observed = ocean[name].notnull().values
        np.testing.assert_array_equal(ocean[name].values[observed], ocean[f"{name}_truth"].values[observed])
    observed = ocean.PSC.notnull()
    assert (observed.all("size_class") == observed.any("size_class")).all()
    assert not (observed.any("size_class") & ocean.CHL.isnull()).any()
    total = ocean.PSC_truth.sum("size_class", skipna=False)
    assert float(abs(total - 1).max()) < 1e-5


def test_second_call_reads_the_file(ocean, folder, monkeypatch):
    """The second call simulates nothing and gives the same values."""
    monkeypatch.setattr(tutorial, "_simulated", lambda: pytest.fail("simulated again"))
    xr.testing.assert_identical(tutorial.open_dataset(), ocean)
    assert [file.name for file in folder.iterdir()] == [f"tutorial-ocean-v{tutorial.VERSION}.npz"]


def test_cache_that_cannot_be_written(ocean, tmp_path, monkeypatch):
    """Where the cache folder cannot be written the data set comes all the same."""
    (tmp_path / "file").write_text("in the way")
    arrays = {**{str(name): ocean[name].values for name in ocean.variables if name != "size_class"}}
    monkeypatch.setattr(tutorial, "_simulated", lambda: arrays)
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    xr.testing.assert_identical(tutorial.open_dataset(), ocean)


def test_without_cache_nothing_is_written(ocean, tmp_path, monkeypatch):
    """cache=False neither reads nor writes a file."""
    arrays = {str(name): ocean[name].values for name in ocean.variables if name != "size_class"}
    monkeypatch.setattr(tutorial, "_simulated", lambda: arrays)
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(tmp_path / "cache"))
    xr.testing.assert_identical(tutorial.open_dataset(cache=False), ocean)
    assert not (tmp_path / "cache").exists()


def test_unknown_name():
    """Another name is refused, and the message says which there is."""
    with pytest.raises(ValueError, match="'ocean'"):
        tutorial.open_dataset("lake")


def test_drivers_are_complete_and_change_nothing_else(ocean, folder, monkeypatch):
    """With drivers=True temperature without gaps, velocities and forcings are added; the rest keeps its bits."""
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(folder))
    more = tutorial.open_dataset("ocean", drivers=True)
    added = {"SST_L4", "UGOS", "VGOS", "SWR", "TAUX", "TAUY", "MLD"}
    assert set(more.data_vars) - set(ocean.data_vars) == added
    assert more[list(ocean.data_vars)].identical(ocean)
    sea = ocean.sea.values.astype(bool)
    for name in sorted(added):
        assert (np.isfinite(more[name].values) == sea).all()
    assert (
        more.SST_L4.where(ocean.SST.notnull()).values[ocean.SST.notnull().values]
        == ocean.SST.values[ocean.SST.notnull().values]
    ).all()
    assert 5 < float(more.MLD.min()) < float(more.MLD.max()) < 500
    assert 0 < float(more.SWR.min()) < float(more.SWR.max()) < 400
    smooth = {name: rows_and_frames_off(np.log10(more[name])) for name in ("MLD", "CHL_truth")}
    assert 0.3 < float(xr.corr(smooth["MLD"], smooth["CHL_truth"])) < 0.8


def rows_and_frames_off(field):
    """Anomalies from the means of rows and of frames, smoothed over 13 pixels."""
    field = field - field.mean(("lat", "lon")) - field.mean(("time", "lon")) + field.mean()
    return field.rolling(lat=13, lon=13, center=True).mean()


def test_monthly_ocean_responds_to_its_drivers_by_region(folder, monkeypatch):
    """Months of the whole sea: complete drivers, gaps in chlorophyll alone, a response that differs between regimes."""
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(folder))
    ds = tutorial.open_dataset("monthly")
    assert dict(ds.sizes) == {"time": 120, "lat": 48, "lon": 120}
    assert ds.attrs["comment"].startswith("Every value is simulated")
    sea = ds.sea.values.astype(bool)
    assert 0.6 < sea.mean() < 0.8
    for name in ("CHL_truth", "SST", "SLA", "UWND", "VWND", "UCUR", "VCUR", "SWR"):
        assert (np.isfinite(ds[name].values) == sea).all()
        assert ds[name].attrs["units"]
    observed = ds.CHL.notnull()
    assert 0.65 < float(observed.where(ds.sea == 1).mean()) < 0.85
    assert bool((ds.CHL_truth == ds.CHL).where(observed, True).all())
    chl, slopes = np.log10(ds.CHL_truth), {}
    for number, regime in enumerate(ds.REGIME.attrs["flag_meanings"].split()):
        there = (number == ds.REGIME) & (ds.sea == 1)
        y, x = (field.where(there) for field in (chl, ds.SST))
        slopes[regime] = float(xr.cov(y, x) / x.var())
    assert slopes["gyre"] < -0.03
    assert slopes["iron"] > 0.03
