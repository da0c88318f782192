"""Validation: hides, fills and scores without a mistake of its own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from xgapfill import background
from xgapfill.api.validate import fit_scales, validate
from xgapfill.lattice.windows import Filled, Noise, Windows
from xgapfill.methods.base import Method
from xgapfill.validation import scores
from xgapfill.validation.baselines.simple import pixel_mean
from xgapfill.validation.masks import freeze, transplanted

SIMPLE = ["pixel_mean", "time_interpolation"]


@dataclass(frozen=True)
class Level(Method):
    """Fills everything with one level per channel and states its uncertainty."""

    level: float = 0.0
    spread: float = 0.5

    name: ClassVar[str] = "level"
    takes_prior: ClassVar[bool] = False
    draws: ClassVar[bool] = False

    def fill(self, windows: Windows, weights: None, noise: Noise, members: int) -> Filled:
        """The level everywhere."""
        values = np.full((1, *windows.values.shape), self.level, np.float32)
        return Filled(values, np.full(windows.values.shape, self.spread, np.float32))


@dataclass(frozen=True)
class Dice(Level):
    """Draws the level plus noise of the address."""

    name: ClassVar[str] = "dice"
    draws: ClassVar[bool] = True

    def fill(self, windows: Windows, weights: None, noise: Noise, members: int) -> Filled:
        """Independent noise at each pixel."""
        _, slots, channels, rows, cols = windows.values.shape
        values = np.empty((members, *windows.values.shape), np.float32)
        for member in range(members):
            for each, start in enumerate(windows.starts):
                place = tuple(int(number) for number in start)
                drawn = noise(member, 0, place, (channels, slots, rows, cols))
                values[member, each] = self.level + self.spread * np.moveaxis(drawn, 0, 1)
        return Filled(values, np.full(windows.values.shape, self.spread, np.float32))


@pytest.fixture(scope="module")
def chl() -> xr.DataArray:
    """White log10 chlorophyll of standard deviation 0.5 with gaps of very different size, off Portugal."""
    generator = np.random.default_rng(0)
    clouds = generator.normal(size=(8, 4, 5)).repeat(6, axis=1).repeat(6, axis=2) > generator.normal(size=(8, 1, 1))
    values = np.where(clouds, np.nan, 10 ** (0.5 * generator.normal(size=clouds.shape)))
    return xr.DataArray(
        values.astype(np.float32),
        dims=("time", "lat", "lon"),
        coords={
            "time": np.datetime64("2015-01-01", "ns") + np.arange(8) * np.timedelta64(8, "D"),
            "lat": 40 + np.arange(24) / 24,
            "lon": -20 + np.arange(30) / 24,
        },
        name="CHL",
        attrs={"units": "mg m-3"},
    )


@pytest.fixture(scope="module")
def psc(chl) -> xr.DataArray:
    """Size classes in an unusual order, all observed or all missing."""
    logs = np.random.default_rng(1).normal(size=(3, *chl.shape))
    parts = np.exp(logs) / np.exp(logs).sum(axis=0)
    classes = xr.DataArray(parts.astype(np.float32), dims=("psc", *chl.dims), coords={**chl.coords})
    classes = classes.assign_coords(psc=["pico", "micro", "nano"]).rename("PSC").assign_attrs(units="1")
    return classes.where(chl.notnull())


def test_scores_are_those_of_the_hidden_pixels(chl):
    """The table of a baseline must be what its estimate scores at the hidden pixels, in log10."""
    hidden = transplanted(chl.notnull().values, seed=0)
    table = validate(chl, SIMPLE)
    truth = np.log10(chl.values)
    estimate = pixel_mean(np.where(hidden, np.float32(np.nan), truth))
    found = table.sel(filled_by="pixel_mean", distance_class="all")
    assert table.pixels[0] == hidden.sum()
    assert_allclose(found.rmse, scores.rmse(estimate, truth, hidden), rtol=1e-5)
    assert_allclose(found.bias, scores.bias(estimate, truth, hidden), atol=1e-5)
    assert table.pixels[1:].sum() == table.pixels[0]


def test_a_right_level_is_scored_as_right(chl):
    """A method that knows mean and spread of white noise must have its RMSE, spread and coverage."""
    table = validate(chl, [Level(0.0, 0.5)]).sel(filled_by="level", distance_class="all")
    assert_allclose(table.rmse, 0.5, rtol=0.06)
    assert_allclose(table.spread_over_rmse, 1, rtol=0.06)
    assert_allclose(table.coverage, 0.9, atol=0.03)
    assert_allclose(table.crps, 0.5 / np.sqrt(np.pi), rtol=0.06)


@pytest.mark.parametrize("method", [Level(0.2), Dice(0.2, 0.0), "climatology"])
def test_degree_of_smoothing_is_that_before_pasting(chl, method):
    """It is what the method makes of observed pixels, though the result has them as they were."""
    table = validate(chl, {"it": method}, smoothing=True, members=1)
    hidden = transplanted(chl.notnull().values, seed=0)
    shown = np.where(hidden, np.nan, np.log10(chl.values))
    mean = np.nansum(shown, axis=0) / np.maximum(np.isfinite(shown).sum(axis=0), 1)
    level = mean if method == "climatology" else 0.2
    assert_allclose(table.smoothing, np.sqrt(np.nanmean((level - shown) ** 2)), rtol=1e-4)
    assert np.isnan(validate(chl, [Level()]).smoothing)


def test_degree_of_smoothing_of_fractions_and_baselines(chl, psc):
    """Fractions are compared as fractions; whole-field fillers that paste have none, those that smooth have some."""
    thirds = validate(psc, [Level()], smoothing=True).smoothing
    observed = psc.values[:, ~transplanted(psc.notnull().all("psc").values, seed=0) & psc.notnull().all("psc").values]
    assert_allclose(thirds, np.sqrt(np.mean((observed - 1 / 3) ** 2)), rtol=0.01)
    table = validate(chl, ["pixel_mean", "global_dct_pls"])
    assert table.smoothing[0] < 1e-6
    assert table.smoothing[1] > 0.01


def test_members_are_scored_as_members(chl):
    """Draws of the right distribution must be calibrated, and have the small-scale variability of the observations."""
    table = validate(chl, [Dice(0.0, 0.5)], members=8)
    found = table.sel(filled_by="dice", distance_class="all")
    assert_allclose(found.coverage, 0.9, atol=0.03)
    assert_allclose(found.coverage_range, 7 / 9, atol=0.04)
    assert_allclose(found.spread_over_rmse, 1, rtol=0.06)
    ratio = found.structure_function / found.structure_function_observed
    assert_allclose(ratio.sel(lag=[1, 2, 4]), 1, rtol=0.15)


def test_one_member_is_an_estimate(chl):
    """With a single member there is no spread to score, and the CRPS is the mean absolute error."""
    table = validate(chl, [Dice()], members=1).sel(filled_by="dice", distance_class="all")
    assert np.isnan(table.coverage)
    assert_allclose(table.crps, table.mae)


def test_masks_can_be_given_in_every_form(chl, tmp_path):
    """An array, a DataArray in another order of dimensions and a file must give the same scores."""
    hidden = transplanted(chl.notnull().values, seed=3)
    freeze(tmp_path / "mask.npz", hidden)
    first = validate(chl, SIMPLE, masks=hidden)
    labelled = xr.DataArray(hidden, dims=chl.dims, coords=chl.coords).transpose("lon", "time", "lat")
    for masks in (labelled, tmp_path / "mask.npz"):
        xr.testing.assert_equal(first.drop_vars("seconds"), validate(chl, SIMPLE, masks=masks).drop_vars("seconds"))


def test_a_known_truth_needs_no_mask(chl):
    """With the answer given where the target is missing, the scores must be those of hiding it."""
    hidden = transplanted(chl.notnull().values, seed=0)
    where = xr.DataArray(hidden, dims=chl.dims)
    first = validate(chl, SIMPLE, masks=hidden)
    second = validate(chl.where(~where), SIMPLE, truth=chl.where(where))
    xr.testing.assert_equal(first.drop_vars("seconds"), second.drop_vars("seconds"))


def test_order_of_dimensions_does_not_matter(chl):
    """Dimensions in another order and latitudes that run south must leave the scores as they are."""
    hidden = xr.DataArray(transplanted(chl.notnull().values), dims=chl.dims, coords=chl.coords)
    turned = chl.transpose("lon", "lat", "time").isel(lat=slice(None, None, -1))
    one, other = (validate(each, [Level()], masks=hidden.reindex_like(each)) for each in (chl, turned))
    assert_allclose(one.rmse, other.rmse, rtol=1e-6)
    assert_allclose(one.structure_function, other.structure_function, rtol=1e-6)


def test_a_single_frame_can_be_scored(chl):
    """A map without a time dimension must be scored with a mask of its own."""
    frame = chl.isel(time=int(np.argmax(chl.notnull().sum(("lat", "lon")).values)))
    hidden = np.zeros(frame.shape, bool)
    hidden[:, 10:20] = True
    table = validate(frame, ["pixel_mean", Level()], masks=hidden)
    assert np.isfinite(table.rmse.sel(distance_class="all")).all()


def test_size_classes_are_scored_one_by_one(psc):
    """Every class must have its own scores, under its own name, and filled fractions must sum to 1."""
    table = validate(psc, ["pixel_mean", Level(), Dice()], members=3)
    assert list(table.size_class.values) == ["micro", "nano", "pico"]
    assert float(table.closure.max()) < 1e-5
    hidden = transplanted(psc.notnull().all("psc").values, seed=0)
    nano = psc.sel(psc="nano").values[hidden]
    # log-ratios of 0 with this spread are fractions of a third
    found = table.sel(filled_by="level", distance_class="all", size_class="nano")
    assert_allclose(found.bias, 1 / 3 - nano.mean(), atol=2e-3)


def test_a_condition_is_given_to_all_and_never_hidden(chl, psc):
    """A baseline must profit from a predictor that determines the target."""
    micro = (0.3 * np.log10(chl)).pipe(lambda x: 0.2 + 0.6 / (1 + np.exp(-x))).fillna(0.3)
    other = (1 - micro) / 2
    told = xr.concat([micro, other, other], dim="psc").assign_coords(psc=["micro", "nano", "pico"]).rename("PSC")
    told = told.where(chl.notnull()).assign_attrs(units="1")
    blind = validate(told, ["global_dct_pls"]).rmse
    seeing = validate(told, ["global_dct_pls"], cond=chl).rmse
    pick = {"filled_by": "global_dct_pls", "distance_class": "all", "size_class": "micro"}
    assert float(seeing.sel(pick)) < 0.2 * float(blind.sel(pick))


def test_scales_correct_the_spread_and_nothing_else(chl):
    """Factors fitted on one half must mend a spread ten times too small on the other, and leave the RMSE."""
    methods = [Level(0.0, 0.05)]
    scales = fit_scales(chl.isel(time=slice(None, 4)), methods)
    assert_allclose(scales["level"].factors, 10, rtol=0.25)
    late = chl.isel(time=slice(4, None))
    plain, mended = (validate(late, methods, scales=each).sel(distance_class="all") for each in (None, scales))
    assert_allclose(mended.rmse, plain.rmse)
    assert float(mended.crps[0]) < 0.8 * float(plain.crps[0])
    assert_allclose(mended.coverage, 0.9, atol=0.06)


def table_of(truth, at):
    """Samples at pixels (t, y, x) of a map, as good as those."""
    t, y, x = at
    values = truth.transpose("time", "lat", "lon").values[t, y, x]
    columns = {"time": truth.time.values[t], "lat": truth.lat.values[y], "lon": truth.lon.values[x]}
    return pd.DataFrame({**columns, "CHL": values, "error": 0.01 * values})


def test_samples_and_errors_reach_the_methods_that_take_them(chl):
    """They are given what a fill is given, and others are scored without; no sample is hidden."""
    hidden = np.zeros(chl.shape, bool)
    hidden[:, 4:12, 4:12] = True
    hidden &= chl.notnull().values
    around = np.argwhere(chl.isnull().values)[::5]
    table = table_of(xr.full_like(chl, 0.3), tuple(around.T))
    error = xr.full_like(chl, 50.0).rename("CHL_uncertainty").assign_attrs(units="%")
    error[:, :, :8] = 5.0
    options = {"masks": hidden, "smoothing": True}
    methods = {"background": "background", "level": Level(), "mean": "pixel_mean"}
    plain, given = validate(chl, methods, **options), validate(chl, methods, insitu=table, error=error, **options)
    for name in ("rmse", "smoothing"):
        scores = [each[name].sel(filled_by=["level", "mean"]) for each in (plain, given)]
        assert_allclose(*scores)
        assert not np.allclose(*(each[name].sel(filled_by="background") for each in (plain, given)), equal_nan=True)
    filled = background(chl.where(~hidden), insitu=table, error=error)
    departure = np.log10(filled.values[hidden] / chl.values[hidden])
    assert_allclose(given.rmse.sel(filled_by="background", distance_class="all"), np.sqrt((departure**2).mean()), 1e-5)


def test_hidden_pixels_do_not_leak_through_samples(chl):
    """Where samples of the target lie nothing is scored; pixels beside them are, and what they say of them counts."""
    observed = chl.notnull().values
    hidden = observed & (np.arange(30) % 2 == 0)
    told = np.argwhere(hidden)[::2]
    options = {"masks": hidden, "members": 2}
    plain = validate(chl, ["pixel_mean", "background"], **options)
    given = validate(chl, ["pixel_mean", "background"], insitu=table_of(chl, tuple(told.T)), **options)
    assert int((plain.pixels - given.pixels).sel(distance_class="all")) == len(told)
    everything = tuple(np.argwhere(hidden).T)
    with pytest.raises(ValueError, match="all hidden pixels have samples"):
        validate(chl, ["background"], insitu=table_of(chl, everything), **options)
    assert fit_scales(chl, ["background"], insitu=table_of(chl, tuple(told.T)), masks=hidden)


def test_samples_that_no_method_takes_are_refused(chl):
    """Rather than left out without a word."""
    table = table_of(chl, ([0], [1], [1]))
    with pytest.raises(ValueError, match="none of pixel_mean, level takes insitu=; leave it out"):
        validate(chl, ["pixel_mean", Level()], insitu=table)


def test_wrong_calls_are_refused(chl):
    """Unknown methods, masks of another shape, two methods of one name and nothing to hide must be named."""
    with pytest.raises(ValueError, match=r"no method 'krigging'.*methods: .*kriging"):
        validate(chl, ["krigging"])
    with pytest.raises(ValueError, match="masks must be bool of shape"):
        validate(chl, SIMPLE, masks=np.ones((2, 24, 30), bool))
    with pytest.raises(ValueError, match="two methods have the same name"):
        validate(chl, [Level(), Level(1.0)])
    with pytest.raises(ValueError, match="no pixels are hidden"):
        validate(chl, SIMPLE, masks=np.zeros(chl.shape, bool))
    with pytest.raises(ValueError, match="expected masks= or truth="):
        validate(chl, SIMPLE, truth=chl, masks=chl.isnull().values)
    table = validate(chl, {"low": Level(-1.0), "high": Level(1.0)})
    overall = table.bias.sel(distance_class="all")
    assert float(overall.sel(filled_by="low")) < float(overall.sel(filled_by="high"))
