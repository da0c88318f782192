"""Nets are fitted to a gappy series: judged by what is held out, never worse than before, the same for any chunks."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from maps import FIVE_CHUNKINGS, chl_map, chunked, peak_memory, psc_map, same, virtual_chl

import xgapfill
from xgapfill.inputs import read as inputs
from xgapfill.kernel import patches as extract_module
from xgapfill.kernel.job import Job
from xgapfill.kernel.options import FillOptions
from xgapfill.kernel.patches import choose_places, extract
from xgapfill.methods import Background, Repaint, Vae
from xgapfill.testing import tiny_weights
from xgapfill.training import fit as fit_module
from xgapfill.training import gappy
from xgapfill.training.calibrate import Hidden
from xgapfill.training.gappy import BLOCK, Gappy
from xgapfill.training.loop import Trainer
from xgapfill.weights import load

WALK = ((20.0, 1.0), (1.0, 0.0))
RATIOS = fit_module.ratios
QUICK = {"diffusion": Repaint(WALK), "vae": Vae(2)}
SHAPE = (7, 40, 48)


@pytest.fixture(scope="module", autouse=True)
def few_windows():
    """Less to judge by, so that tests are quick; every look finds the net better than the one before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "MEMBER_BATCHES", 1)
        patch.setattr(fit_module, "POOL", 4)
        models = {name: replace(kind, members=QUICK[name]) for name, kind in fit_module.MODELS.items()}
        patch.setattr(fit_module, "MODELS", models)
        looks = itertools.count()
        patch.setattr(fit_module, "ratios", lambda after, before: (0.9 - 1e-3 * next(looks),) * 2)  # the last is best
        patch.setattr(gappy, "MOST_BLOCKS", 4)
        patch.setattr(gappy, "LEAST_WINDOWS", 4)
        yield


@pytest.fixture(scope="module")
def chl() -> xr.DataArray:
    """A gappy series."""
    return chl_map(SHAPE, seed=3)


@pytest.fixture(scope="module")
def fitted(chl):
    """Weights of two steps from small untrained ones."""
    return xgapfill.fit(chl, Repaint(WALK), init=tiny_weights("chl"), steps=2)


def sample(target, cond=None, **options):
    """Patches of a series."""
    job = Job.of(target, Background(), cond)
    with xgapfill.set_options(**options):
        return extract(job.kernel, job.sources, job.grids)


def test_a_fit_gives_weights_that_fill(chl, fitted, tmp_path):
    """Weights are printed, saved and loaded, fill what is missing, and their card says where they come from."""
    again = load(fitted.save(tmp_path / "mine"))
    assert repr(again).startswith("<Weights 'tiny-chl-fit' (diffusion): fills log10_chl")
    part = chl.isel(time=slice(0, 3))
    filled = part.gapfill.fill(Repaint(WALK), weights=again)
    assert filled.notnull().all()
    assert same(filled, part.gapfill.fill(Repaint(WALK), weights=fitted))
    card = again.card
    assert "CHL: 7 times from 2015-03-06 to 2015-04-23, 40 x 48 pixels" in card.trained_on
    first, last = chl.lon.values[[0, -1]]
    assert f"longitudes {first:.4g} to {last:.4g}" in card.trained_on
    assert "'tiny-chl'" in card.trained_on
    assert card.network["steps"] == 2
    assert set(card.ranges) == {"log10_chl"}
    assert {"before", "after"} <= set(card.scores)


def test_steps_and_seed_decide_the_bits(chl, fitted):
    """The same steps and seed give the same bits, for a chunked series turned over as well; another seed others."""
    turned = chunked(chl, {"time": 2, "lat": 10, "lon": 11}).isel(lat=slice(None, None, -1)).transpose("lon", ...)
    again = xgapfill.fit(turned, Repaint(WALK), init=tiny_weights("chl"), steps=2)
    assert again.sha256 == fitted.sha256
    assert again.card.network["spread_factor"] == fitted.card.network["spread_factor"]
    other = chl.gapfill.fit("repaint", init=tiny_weights("chl"), steps=2, seed=1)
    assert other.sha256 != fitted.sha256


@pytest.mark.slow
@pytest.mark.parametrize("sample_bytes", [2**29, 4 * 2**20])
def test_the_sample_does_not_depend_on_chunks(sample_bytes, tmp_path, monkeypatch):
    """A chunking, a file and a turned array give the same patches, whole or in cells."""
    monkeypatch.setattr(extract_module, "CELL", (8, 64, 64))
    chl = chl_map((9, 130, 140), lat=40.0)
    psc = psc_map(chl)
    expected = sample(psc, chl, sample_bytes=sample_bytes)
    assert (len(expected) == 1) == (sample_bytes == 2**29)
    ds = xr.merge([psc, chl])
    ds.to_zarr(tmp_path / "maps.zarr", consolidated=False)
    opened = xr.open_zarr(tmp_path / "maps.zarr", chunks=None, consolidated=False)
    turned = (psc.isel(lat=slice(None, None, -1)).transpose("lon", ...), chl.isel(lat=slice(None, None, -1)))
    given = [(chunked(psc, chunks), chunked(chl, chunks)) for chunks in FIVE_CHUNKINGS[3:4]]
    for target, cond in [*given, (opened.PSC, opened.CHL), turned]:
        for one, other in zip(expected, sample(target, cond, sample_bytes=sample_bytes), strict=True):
            assert one.start == other.start
            assert same(one.values, other.values)
            assert same(one.sea, other.sea)


def test_the_sample_is_bounded():
    """No more places than asked for, in cells that can hold a window; of a small map, all and a margin."""
    grid = inputs.read(chl_map((3, 200, 300), lat=40.0)).grid
    cells = choose_places(grid, 3 * 140 * 290)
    sizes = [tuple(axis.size for axis in cell) for cell in cells]
    assert sum(t * y * x for t, y, x in sizes) <= 3 * 140 * 290
    assert all(y >= 64 and x >= 64 for _, y, x in sizes)
    (whole,) = choose_places(grid, 2**27)
    assert tuple(axis.size for axis in whole) == (7, 264, 364)


def test_only_the_sample_is_read(monkeypatch):
    """Of a lazy array only the chunks that the sample touches are computed, once each."""
    monkeypatch.setattr(extract_module, "CELL", (8, 64, 64))
    whole = chl_map((16, 256, 256), lat=40.0)
    read = []

    def block(values, block_info=None):
        read.append(tuple(block_info[0]["chunk-location"]))
        return values

    chl = whole.chunk(time=4, lat=64, lon=64)
    chl = chl.copy(data=chl.data.map_blocks(block, dtype=chl.dtype, meta=np.empty((0, 0, 0), chl.dtype)))
    job = Job.of(chl, Background(), None, FillOptions(prior=None))
    read.clear()  # the call itself checks a few values
    with xgapfill.set_options(sample_bytes=2 * 4 * 8 * 64 * 64 * 4):
        patches = extract(job.kernel, job.sources, job.grids)
    assert sum(patch.values[0].size for patch in patches) <= 8 * 64 * 64 * 4
    assert len(read) == len(set(read)) < 4 * 4 * 4


def test_held_out_pixels_are_never_trained_on(chl):
    """No training window knows a pixel of a held-out block; what is judged lies in those blocks and is hidden."""
    patch = sample(chl)[0]
    marked = patch.values.copy()
    held = Gappy((patch,), 1)
    inside = np.zeros(marked.shape[1:], bool)
    for block in held.blocks:
        inside[tuple(slice(max(0, c), max(0, c + n)) for c, n in zip(block.corner, BLOCK, strict=True))] = True
    marked[:, inside & np.isfinite(marked[0])] = 77.0  # a value that betrays itself
    series = Gappy((replace(patch, values=marked),), 1)
    for seed in range(40):
        window = series.draw(np.random.default_rng(seed))
        assert (window.values[window.known] < 70).all()
        assert not (window.observed & ~window.known).any()
        assert (window.known & ~window.observed)[:, 0].any()
    for window in series.judged:
        scored = window.known & ~window.observed
        assert scored.any()
        assert (window.values[scored] == 77).all()


def test_gaps_come_from_other_dates():
    """Where every frame misses the same half, what is hidden of the other half is what another date misses."""
    chl = chl_map((8, 64, 64), share=0.0)
    rng = np.random.default_rng(0)
    strips = np.zeros((8, 64, 64), bool)
    for frame in range(8):
        strips[frame, :, 8 * frame : 8 * frame + 8] = True
    series = Gappy(sample(chl.where(~strips)), 1)
    for window in series.judged:
        hidden = (window.known & ~window.observed)[:, 0]
        cols = np.unique(np.nonzero(hidden)[2])
        assert (np.bincount(cols // 8)[np.unique(cols // 8)] <= 8).all()
        assert hidden.any()
    assert series.draw(rng).observed.any()


def test_nothing_better_returns_the_weights_it_began_with(chl, monkeypatch):
    """Where training makes nothing better, the first weights come back, with a warning."""
    monkeypatch.setattr(fit_module, "ratios", lambda after, before: (1.5, 1.5))
    first = tiny_weights("chl")
    with pytest.warns(UserWarning, match="did not improve on 'tiny-chl'"):
        assert xgapfill.fit(chl, "repaint", init=first, steps=1) is first


def test_ratios_compare_channel_by_channel():
    """Ratios are means over channels; better is to be better in one of CRPS and RMSE and no worse in the other."""
    rng = np.random.default_rng(0)
    truth, channel = rng.normal(size=4000).astype("f4"), np.repeat([0, 1], 2000)
    rest = {"background": truth, "background_error": truth, "members": truth[None], "distance": channel}
    first = Hidden(truth=truth, mean=truth + 0.2, spread=np.full(4000, 0.2, "f4"), channel=channel, **rest)
    half = replace(first, mean=truth + np.where(channel, 0.2, 0.1), spread=np.where(channel, 0.2, 0.1))
    crps, error = RATIOS(half, first)
    assert crps == pytest.approx(0.75, abs=0.01)
    assert error == pytest.approx(0.75, abs=0.01)
    assert fit_module._better((0.99, 1.0))
    assert not fit_module._better((1.0, 1.0))
    assert not fit_module._better((0.9, 1.01))


def test_interrupting_keeps_the_best(chl, monkeypatch):
    """Ctrl-C in the training returns what was best until then."""
    advance = Trainer.advance

    def interrupted(self, warmth):
        if self.step == 2:
            raise KeyboardInterrupt
        return advance(self, warmth)

    monkeypatch.setattr(Trainer, "advance", interrupted)
    monkeypatch.setattr(fit_module, "LOOK_STEPS", 1)
    weights = xgapfill.fit(chl, "repaint", init=tiny_weights("chl"), steps=50)
    assert weights.card.network["steps"] <= 2
    assert chl.isel(time=[0]).gapfill.posterior_mean(weights=weights).notnull().all()


@pytest.mark.slow
def test_what_gets_no_better_is_settled_and_ends_early(chl, monkeypatch):
    """Looks without a better one end a fit before its budget, at a rate that has fallen to nothing by then."""
    looks, warmths = itertools.count(), []
    monkeypatch.setattr(
        fit_module, "ratios", lambda after, before: (0.9 + 1e-3 * next(looks),) * 2
    )  # the first is best
    monkeypatch.setattr(fit_module, "LOOK_STEPS", 1)
    monkeypatch.setattr(fit_module, "PATIENCE", 2)
    monkeypatch.setattr(Trainer, "advance", lambda self, warmth: warmths.append(warmth) or skip(self))

    def skip(trainer):
        trainer.step += 1

    xgapfill.fit(chl, Repaint(WALK), init=tiny_weights("chl"), steps=24)
    assert warmths[:4] == [1.0] * 4
    assert 4 < len(warmths) < 12
    assert sorted(warmths, reverse=True) == warmths
    assert warmths[-1] < 0.5


def test_variational_nets_are_fitted_alike(chl):
    """A variational autoencoder is trained by the same words; its weights are of its kind."""
    weights = chl.gapfill.fit(Vae(2), init=tiny_weights("chl-vae"), steps=2)
    assert weights.card.method == "vae"
    assert chl.isel(time=[0]).gapfill.fill(Vae(2), weights=weights).notnull().all()
    with pytest.raises(ValueError, match="of kind 'vae'"):
        chl.gapfill.fit("repaint", init=weights, steps=1)


@pytest.mark.slow
def test_from_nothing_given_a_condition(monkeypatch):
    """Without weights to begin with, a net learns targets and predictors from the series alone."""
    kind = fit_module.MODELS["diffusion"]
    small = replace(kind, objective=replace(kind.objective, widths=(8, 16)))
    monkeypatch.setattr(fit_module, "MODELS", {"diffusion": small})
    chl = chl_map(SHAPE, seed=3, share=0.2)
    psc = psc_map(chl)
    ds = xr.merge([psc, chl])
    weights = ds.gapfill.fit("PSC", "repaint", "CHL", init=None, steps=1)
    assert (weights.card.targets, weights.card.conditions) == (("psc_ilr1", "psc_ilr2"), ("log10_chl",))
    filled = psc.isel(time=slice(0, 2)).gapfill.posterior_mean(cond=chl.isel(time=slice(0, 2)), weights=weights)
    assert float(abs(filled.sum("size_class") - 1).max()) < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_fit_streams():
    """A fit on a virtual array of 3.8 GB in many small chunks takes less than 3 GB."""
    script = """
from xgapfill.testing import tiny_weights
xgapfill.fit(chl, "repaint", init=tiny_weights("chl"), steps=1)
"""
    assert virtual_chl().nbytes > 3.7e9
    assert peak_memory(script) < 3


@pytest.mark.parametrize(
    ("target", "message", "options"),
    [
        (chl_map(SHAPE), "minutes must be a number above 0", {"minutes": 0}),
        (chl_map(SHAPE), "steps must be a whole number", {"steps": 1.5}),
        (chl_map(SHAPE), "not both", {"steps": 1, "minutes": 1}),
        (chl_map(SHAPE).isel(time=0, drop=True), "has no times", {}),
        (chl_map((3, 40, 48)), "at least 5 frames", {}),
        (chl_map(SHAPE, share=0.0), "no missing pixels", {}),
        (chl_map(SHAPE) * np.nan, "found 0", {}),
        (chl_map((7, 8, 8)), "observed pixels", {}),
        (chl_map(SHAPE), "no weights named 'nonsense'", {"init": "nonsense"}),
        (chl_map(SHAPE), "fill psc_ilr1, psc_ilr2, not log10_chl", {"init": tiny_weights("psc-chl")}),
        (chl_map(SHAPE), "have no predictor sst", {"cond": "sst", "init": tiny_weights("chl")}),
    ],
)
def test_what_cannot_be_fitted(target, message, options):
    """Bad input is an error that says what is expected."""
    if options.get("cond") == "sst":
        sst = (
            (290 + target).fillna(290.0).rename("SST").assign_attrs(units="K", standard_name="sea_surface_temperature")
        )
        options = {**options, "cond": sst}
    given = {"init": tiny_weights("chl"), **options}
    with warnings.catch_warnings(action="ignore"), pytest.raises(ValueError, match=message):
        target.rename("CHL").assign_attrs(units="mg m-3").gapfill.fit("repaint", **given)


def test_methods_without_nets_say_so(chl):
    """Options of nets are refused by others, and a method without a fit has none."""
    with pytest.raises(TypeError, match="has no net to train"):
        chl.gapfill.fit("dineof", modes=2, minutes=3)
    with pytest.raises(TypeError, match="has no net to train"):
        chl.gapfill.fit("background", steps=3)
    with pytest.raises(TypeError, match=r"has no fit\(\)"):
        chl.gapfill.fit("background")


@pytest.mark.parametrize("name", [pytest.param("KD490", marks=pytest.mark.slow), "Rrs_443"])
def test_a_net_of_any_variable_is_trained_from_scratch(chl, name, monkeypatch):
    """Without shipped weights the error says what works; init=None trains, and the weights fill in the same units."""
    kind = fit_module.MODELS["diffusion"]
    small = replace(kind, objective=replace(kind.objective, widths=(8, 16)))
    monkeypatch.setattr(fit_module, "MODELS", {"diffusion": small})
    values, units = (0.05 * chl, "m-1") if name == "KD490" else (1e-3 * np.log10(chl), "sr-1")
    target = values.rename(name).drop_attrs(deep=False).assign_attrs(units=units)
    for call in (target.gapfill.repaint, target.gapfill.posterior_mean, lambda: target.gapfill.fit("repaint")):
        with pytest.raises(
            ValueError, match=r"no shipped weights fill .*background\(\).*fit\(da, 'repaint', init=None\)"
        ):
            call()
    with warnings.catch_warnings(action="ignore"):
        weights = target.gapfill.fit(Repaint(WALK), init=None, steps=1)
    (channel,) = weights.card.targets
    low, high = weights.card.ranges[channel]
    assert low < weights.card.background[channel]["mean"] < high
    filled = target.isel(time=slice(3)).gapfill.posterior_mean(weights=weights, full=True)
    assert filled[name].notnull().all()
    assert float(abs(filled[name] - target.mean()).max()) < 5 * float(target.std())
    assert (filled[f"{name}_status"] != 2).all()
    with pytest.raises(ValueError, match=r"fill .*, not log10_chl"):
        chl.gapfill.posterior_mean(weights=weights)
