"""The season of each pixel: its sums, a saved one, and fills with it."""

import warnings
from types import SimpleNamespace

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import chl_map, psc_map, same

import xgapfill
from xgapfill.blocks.chunked import Chunked
from xgapfill.cli import main
from xgapfill.inputs.dates import grid_at, step_of
from xgapfill.kernel import seasons
from xgapfill.prior import large, season

RNG = np.random.default_rng(0)
MONTHS = np.arange("2015-01", "2019-01", dtype="datetime64[M]").astype("datetime64[ns]")


def monthly(height=24, width=40):
    """Four years of months with a season of each pixel and weather, half of them missing."""
    chl = chl_map((len(MONTHS), height, width)).assign_coords(time=MONTHS)
    turn = xr.DataArray(2 * np.pi * (np.arange(len(MONTHS)) + 0.5) / 12, dims="time")
    slope = xr.DataArray(np.linspace(0.2, 0.6, height), dims="lat")
    wave = slope * np.cos(turn) + 0.2 * np.sin(2 * turn)
    return chl.copy(data=(chl * 10**wave).transpose(*chl.dims).astype("float32").values)


@pytest.fixture(scope="module")
def chl():
    return monthly()


@pytest.fixture(scope="module")
def saved(chl, tmp_path_factory):
    """The season of four years, opened from a store."""
    return xgapfill.write(xgapfill.season(chl), tmp_path_factory.mktemp("season") / "season.zarr", progress=False)


def test_a_driver_without_time_counts_for_all_times(chl):
    """Depth beside three years and more of months: the season and the relation to depth are both taken."""
    maps = chl.isel(lat=slice(0, 12), lon=slice(0, 16))
    depth = (maps.isel(time=0, drop=True).fillna(0) * 100).rename("deptho").drop_attrs().assign_attrs(units="m")
    with warnings.catch_warnings(action="ignore"):
        found = xgapfill.background(maps, [depth]).isel(time=slice(0, 2)).compute()
    assert np.isfinite(found).any()


def turns(count=48):
    turn = 2 * np.pi * (np.arange(count) % 12 + 0.5) / 12
    return np.stack([np.cos(turn), np.sin(turn)], axis=-1).astype(np.float32)


def summed(values, observed, years=None):
    """Sums of (t, y, x) departures of months."""
    sums = season.Sums.zero(*values.shape[1:])
    years = np.arange(len(values)) // 12 if years is None else years
    for wave, year, value, there in zip(season.waves(turns(len(values))), years, values, observed, strict=True):
        sums.add(int(year % 2), wave, value, there)
    return sums


def test_products_of_terms_are_waves():
    """The normal matrix of a regression on the terms is made of sums of twice as many waves."""
    observed = RNG.random((48, 3, 4)) < 0.5
    sums = summed(RNG.normal(size=observed.shape), observed)
    terms = season.basis(turns())
    wanted = np.einsum("tk,tl,tyx->klyx", terms, terms, observed)
    assert np.allclose(season._matrix(sums.count.sum(axis=0)), wanted, atol=0.01)


@pytest.mark.parametrize("level", [0.0, 100.0])
def test_a_season_is_found_whatever_the_level(level):
    """Also far from a prior mean that is unknown; what pixels share of the level is then left to the large scale."""
    wave = season.basis(turns(144))[:, 1]
    values = level + (0.5 * wave)[:, None, None] + 0.1 * RNG.normal(size=(144, 12, 12))
    observed = RNG.random(values.shape) < 0.6
    found = season.fit(summed(values, observed), 30.4, anchored=level == 0)
    assert np.abs(season.at(found.terms, season.basis(turns(144))) - 0.5 * wave[:, None, None]).max() < 0.2
    assert (found.held > 0.9).all()
    assert np.median(found.spread) < 0.2
    never = season.fit(summed(values, np.zeros_like(observed)), 30.4, anchored=level == 0)
    assert (never.terms == 0).all()


def test_a_season_that_does_not_return_is_hardly_used():
    """Harmonics count as much as even years confirm them for odd ones."""
    wave = (season.basis(turns())[:, 1] * np.where(np.arange(48) // 12 % 2, 1, -1))[:, None, None]
    found = season.fit(summed(wave + 0.1 * RNG.normal(size=(48, 12, 12)), np.ones((48, 12, 12), bool)), 30.4)
    assert (found.held < 0.1).all()


@pytest.mark.parametrize("calendar", ["8day", "monthly", "regular"])
def test_years_begin_in_january(calendar):
    """Whatever the calendar counts; of equal steps, to a day."""
    step = {"8day": "8D", "monthly": "MS", "regular": "1D"}[calendar]
    stamps = xr.date_range("2003-01-01", "2006-12-27", freq="D").to_numpy()
    if calendar == "monthly":
        stamps = xr.date_range("2003-01-01", "2006-12-01", freq="MS").to_numpy()
    if calendar == "8day":
        doy = (stamps - stamps.astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
        stamps = stamps[doy % 8 == 0]
    grid = grid_at(stamps, 40 + np.arange(8) / 24, np.arange(8) / 24, step=step_of(step))
    assert grid.calendar == calendar
    years = grid.years_of(grid.slots)
    off = years - years[0] != stamps.astype("datetime64[Y]").astype(int) - 33
    assert np.count_nonzero(off) <= (3 if calendar == "regular" else 0)


def test_a_saved_season_fills_as_one_of_the_series(chl, saved):
    """The same bits as the season that is fitted as part of the result."""
    part = {"time": slice(12, 14)}
    own = xgapfill.background(chl).isel(part).compute()
    assert same(xgapfill.background(chl, prior=saved).isel(part).compute(), own)
    assert not same(xgapfill.background(chl, prior=None).isel(part).compute(), own)
    loaded = xgapfill.background(chl, prior=saved.load()).isel(part)
    assert same(loaded.compute(), own)
    assert loaded.attrs["xgapfill_prior"] == "large scale, season of 2015-2018"


@pytest.mark.parametrize(
    "chunks", [pytest.param({"time": 1}, marks=pytest.mark.slow), {"time": 5, "lat": 7, "lon": 9}, {"lat": 5}]
)
def test_a_season_has_the_same_bits_for_any_chunks(chl, saved, chunks, monkeypatch):
    """Of dask, and in blocks of any size."""
    monkeypatch.setattr(seasons, "large_blocks", lambda reader, source: ((11, 13), 3))
    found = xgapfill.season(chl.chunk(chunks))
    assert found.season.chunksizes["lat"] == (11, 11, 2)
    assert found.compute().equals(saved.compute())


def test_a_season_is_lazy(chl):
    """Neither the call nor a look at it computes anything but a few small reads."""

    def never(*_):
        raise AssertionError("computed")

    lazy = dask.array.map_blocks(never, chl.chunk({"lat": 2}).data, dtype=chl.dtype, meta=np.empty((0, 0, 0), "f4"))
    found = xgapfill.season(chl.copy(data=lazy))
    assert found.attrs["xgapfill_years"] == "2015-2018"
    assert "confirmed" in repr(found)


@pytest.mark.parametrize(
    ("chunks", "most"),
    [((1, 4320, 8640), 6), ((1, 540, 540), 1.5), ((46, 90, 90), 1.5), ((1068, 90, 90), 2.5), ((1, 1, 8640), 1.1)],
)
def test_chunks_of_the_archive_are_read_a_few_times(chunks, most):
    """Blocks are as large as memory allows: two tasks at once take less than 4 GB."""
    shape = 1068, 4320, 8640
    source = Chunked(dask.array.zeros(shape, chunks=chunks, dtype="f4"))
    reader = SimpleNamespace(prior=SimpleNamespace(season=(0,)), count=1)
    block, frames = seasons.large_blocks(reader, source)
    reads = 1.0
    for n, size, chunk in zip(shape[1:], block, chunks[1:], strict=True):
        first = np.arange(0, n, size)
        low, high = np.maximum(first - season.HALO, 0), np.minimum(first + size + season.HALO, n) - 1
        reads *= float((high // chunk - low // chunk + 1).sum() / np.ceil(n / chunk))
    assert reads <= most
    pixels = np.prod([min(n, size + 2 * season.HALO) for n, size in zip(shape[1:], block, strict=True)])
    assert pixels * season.BYTES < 1.1e9
    assert frames * pixels * 4 < 4e8
    assert frames % min(chunks[0], shape[0]) == 0


def test_a_subset_of_years_has_the_bits_of_the_whole(chl, saved):
    """With the same given season, away from the ends by the halo of a frame."""
    whole = xgapfill.background(chl, prior=saved).isel(time=slice(20, 22)).compute()
    part = xgapfill.background(chl.isel(time=slice(8, 34)), prior=saved).isel(time=slice(12, 14)).compute()
    assert same(part, whole)


def test_a_subset_of_the_map_has_the_bits_of_the_whole(monkeypatch):
    """With the same given season, away from its edges by windows and the reach of the large scale."""
    monkeypatch.setattr(large, "RADII", (1.0,) * len(large.RADII))
    chl = monthly(32, 320)
    saved = xgapfill.season(chl).compute()
    few = chl.isel(time=slice(10, 12))
    part = xgapfill.background(few.isel(lon=slice(40, 280)), prior=saved).isel(lon=slice(110, 130)).compute()
    assert same(part, xgapfill.background(few, prior=saved).isel(lon=slice(150, 170)).compute())


@pytest.mark.slow
def test_a_frame_is_appended_with_a_given_season(chl, saved, tmp_path):
    """Old frames beyond the halo of the new one stay as they are; the whole is that of one run."""
    store, source = tmp_path / "filled.zarr", str(tmp_path / "chl.zarr")
    chl.isel(lat=slice(8), lon=slice(8)).to_zarr(source, consolidated=False)

    def opened(count):
        return xr.open_zarr(source, chunks=None, consolidated=False).CHL.isel(time=slice(count))

    with xgapfill.set_options(block=(12, 64, 64)):
        old = xgapfill.write(xgapfill.background(opened(46), prior=saved), store, progress=False).load()
        grown = xgapfill.background(opened(48), prior=saved)
        new = xgapfill.write(grown, store, append=True, progress=False).CHL.load()
        assert same(new, grown.compute())
        assert same(new.isel(time=slice(30)), old.CHL.isel(time=slice(30)))
        other = saved.load() + 0.1
        other = other.assign_attrs(saved.attrs).assign_coords(saved.coords)
        with pytest.raises(ValueError, match="another run"):
            xgapfill.write(xgapfill.background(opened(48), prior=other), store, progress=False)
        with pytest.raises(ValueError, match="cannot be extended by this run"):
            xgapfill.write(xgapfill.background(opened(48), prior=other), store, append=True, progress=False)
        auto = tmp_path / "auto.zarr"
        xgapfill.write(xgapfill.background(opened(46)), auto, progress=False)
        with pytest.raises(ValueError, match="new frames change all others"):
            xgapfill.write(xgapfill.background(opened(48)), auto, append=True, progress=False)


def test_a_killed_fit_is_resumed(chl, saved, tmp_path, monkeypatch):
    """Blocks that are written are not fitted again."""
    monkeypatch.setattr(seasons, "large_blocks", lambda reader, source: ((12, 40), 8))
    fit, calls = season.fit, []

    def dying(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*given)

    source = str(tmp_path / "chl.zarr")
    chl.to_zarr(source, consolidated=False)

    def fitted():
        lazy = xgapfill.season(xr.open_zarr(source, chunks=None, consolidated=False).CHL)
        with dask.config.set(scheduler="synchronous"):
            return xgapfill.write(lazy, tmp_path / "season.zarr", progress=False)

    monkeypatch.setattr(season, "fit", dying)
    with pytest.raises(KeyboardInterrupt):
        fitted()
    assert fitted().load().equals(saved.load())
    assert len(calls) == 3


def moved(saved, **changes):
    return saved.load().copy().assign_attrs(**changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: "season", "'auto', None or a Dataset of xgapfill.season, found 'season'"),
        (lambda s: s.season, "'auto', None or a Dataset"),
        (lambda s: s[["season"]], "lacks anomaly_spread"),
        (lambda s: s.isel(lat=slice(4, None)), "does not cover CHL"),
        (lambda s: s.assign_coords(lon=s.lon + 0.02), "is not on the grid of CHL"),
        (lambda s: s.assign_coords(lon=s.lon * 2 - s.lon[0]), "is not on the grid of CHL"),
        (lambda s: moved(s, xgapfill_calendar="8day", xgapfill_step_days=8.0), "of maps of the 8day calendar, 8 days"),
        (lambda s: s.assign_coords(channel=["linear_swell"]), "season of linear_swell; expected log10_chl"),
        (lambda s: s.assign_coords(prior_sd=s.prior_sd * 2), "relative to a mean and standard deviation"),
    ],
)
def test_a_season_that_does_not_fit_is_told(chl, saved, change, words):
    """Of another kind, grid, calendar, variable or prior."""
    with pytest.raises(ValueError, match=words):
        xgapfill.background(chl, prior=change(saved.load()))


def test_a_season_needs_years_and_the_predictors_of_its_fit(chl, saved):
    with pytest.raises(ValueError, match="at least 3 years, CHL has 24 maps of 2 years"):
        xgapfill.season(chl.isel(time=slice(24)))
    with pytest.raises(ValueError, match="at least 3 years, CHL has no dates"):
        xgapfill.season(chl.isel(time=0, drop=True))
    with pytest.raises(ValueError, match=r"monthly calendar.*has no dates"):
        xgapfill.background(chl.isel(time=0, drop=True), prior=saved)
    psc = psc_map(chl)
    fractions = xgapfill.season(psc, chl)
    assert fractions.channel.values.tolist() == ["psc_ilr1", "psc_ilr2", "log10_chl"]
    with pytest.raises(ValueError, match=r"season of psc_ilr1.*expected log10_chl \(CHL\): .*with the same cond="):
        xgapfill.background(chl, prior=fractions)
    with pytest.raises(ValueError, match=r"season of psc_ilr1, psc_ilr2, log10_chl; expected psc_ilr1, psc_ilr2 "):
        xgapfill.background(psc, prior=fractions)
    assert bool(xgapfill.background(psc, chl, prior=fractions).isel(time=3).notnull().any())


@pytest.mark.slow
def test_a_season_beside_drivers(chl, saved):
    """What drivers tell is no part of it, so a season without them does not fit a fill with them."""
    sst = (15 + chl).rename("sst").assign_attrs(units="degree_Celsius", standard_name="sea_surface_temperature")
    with pytest.raises(ValueError, match="beside the drivers none, here they are sst"):
        xgapfill.background(chl, sst, prior=saved)
    beside = xgapfill.season(chl, sst).compute()
    with pytest.raises(ValueError, match="beside the drivers sst, here they are none"):
        xgapfill.background(chl, prior=beside)
    part = {"time": slice(20, 21)}
    filled = xgapfill.background(chl, sst, prior=beside).isel(part).compute()
    assert same(filled, xgapfill.background(chl, sst).isel(part).compute())


def test_other_verbs_take_a_season(chl, saved):
    """Plan, validation and fits, by name as well."""
    ds = chl.to_dataset()
    assert ds.gapfill.plan("CHL", "background", prior=saved).windows > 0
    eofs = ds.gapfill.fit("CHL", "dineof", modes=1, prior=saved)
    assert ds.gapfill.dineof("CHL", weights=eofs, prior=saved).CHL.isel(time=0).notnull().any()
    few = chl.isel(time=slice(24, 30))
    with warnings.catch_warnings(action="ignore"):
        table = few.gapfill.validate(["background"], prior=saved)
    assert np.isfinite(table.rmse).any()


def test_on_the_command_line(chl, saved, tmp_path, capsys):
    """``fit season`` writes what the verb gives, ``fill --prior`` takes it."""
    source, season_at, filled = (str(tmp_path / name) for name in ("in.zarr", "season.zarr", "filled.zarr"))
    chl.to_zarr(source, consolidated=False)
    assert main(["fit", "season", source, "--var", "CHL", "--out", season_at]) == 0
    found = xr.open_zarr(season_at, chunks=None)
    assert found.load().equals(saved.load())
    assert found.attrs["xgapfill_years"] == "2015-2018"
    short = ["--time", "2017-01", "2017-02", "--method", "background", "--prior", season_at]
    assert main(["fill", source, "--var", "CHL", *short, "--out", filled]) == 0
    wanted = chl.isel(time=slice(24, 26)).gapfill.background(prior=saved)
    assert same(xr.open_zarr(filled, chunks=None).CHL.load(), wanted.compute())
    assert main(["plan", source, "--var", "CHL", *short]) == 0
    assert main(["fit", "season", source, "--var", "CHL", "--time", "2017", "2018", "--out", season_at]) == 2
    assert "at least 3 years" in capsys.readouterr().err


def test_weights_of_a_series_say_what_was_taken(chl, saved, tmp_path):
    """They do not fit a fill of other anomalies."""
    eofs = xgapfill.fit(chl, "dineof", modes=1)
    assert eofs.card.taken == "large scale, season"
    back = xgapfill.weights.load(eofs.save(tmp_path / "eofs"))
    few = chl.isel(time=slice(12, 24))
    assert bool(xgapfill.dineof(few, weights=back, prior=saved).notnull().any())
    with pytest.raises(ValueError, match=r"without large scale, season, here large scale is taken"):
        xgapfill.dineof(few, weights=back)
    with pytest.raises(ValueError, match=r"without large scale, season, here nothing is taken"):
        xgapfill.dineof(chl, weights=back, prior=None)
    plain = xgapfill.fit(chl, "dineof", modes=1, prior=None)
    with pytest.raises(ValueError, match="without anything taken from them, here large scale, season"):
        xgapfill.dineof(chl, weights=plain)


def test_the_spread_of_anomalies_does_not_show_in_a_level():
    """A variable without a prior mean keeps its level: a calm coast beside an active one leaves no pattern in it."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2015-01-01", periods=48, freq="MS")
    north = np.linspace(0, 1, 24)[:, None]
    size = np.linspace(0.02, 0.2, 40)
    year = np.cos(2 * np.pi * np.arange(48) / 12)[:, None, None]
    values = 10 ** (-1.2 + 0.1 * north + 0.2 * year + size * rng.normal(size=(48, 1, 1)))
    hidden = rng.random((48, 4, 5)).repeat(6, axis=1).repeat(8, axis=2) < 0.5
    attrs = {
        "units": "m-1",
        "standard_name": "volume_attenuation_coefficient_of_downwelling_radiative_flux_in_sea_water",
    }
    coords = {"time": time, "lat": 25 + np.arange(24) / 24, "lon": -40 + np.arange(40) / 24}
    truth = xr.DataArray(values, coords, ("time", "lat", "lon"), "KD490", attrs)
    shown = truth.where(~hidden)
    filled = xgapfill.background(shown, sea=xr.ones_like(truth[0], bool))
    assert float(np.log10(filled / truth).std()) < 0.03
