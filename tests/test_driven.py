"""Methods that fill from drivers: response, cascade, the multi-mode net and its gates, SmaAt-UNet completion."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from maps import chl_map, same
from scipy.ndimage import gaussian_filter

import xgapfill
from xgapfill.gaussian import priors
from xgapfill.methods import Cascade, Kriging, MultiMode, Repaint, Response, Smaat, Som
from xgapfill.nets.multimode import MULTIMODE
from xgapfill.nets.smaat import SMAAT
from xgapfill.nets.standard import Batch
from xgapfill.testing import windows
from xgapfill.weights import Card, Weights

SHAPE = (12, 40, 48)
DRIVERS = ("sst", "linear_sea_level")


def field(seed, pixels=5.0):
    """A smooth field of variance 1."""
    white = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), (1.0, pixels, pixels))
    return white / white.std()


@pytest.fixture(scope="module")
def maps():
    """Chlorophyll that follows wind by half, the wind, and gaps of four frames."""
    chl = chl_map(SHAPE, share=0.0)
    wind, own = field(1), field(2)
    chl = chl.copy(data=10 ** (0.3 * wind + 0.15 * own - 0.5).astype(np.float32))
    gaps = np.zeros(SHAPE, bool)
    gaps[4:8, :, 8:] = True
    other = chl.copy(data=wind.astype(np.float32)).rename("wind").drop_attrs(deep=False)
    return chl, other, gaps


def filled(target, cond, method, **options):
    with warnings.catch_warnings(action="ignore"):
        found = xgapfill.fill(target, method, cond, full=True, sea=np.ones(SHAPE[1:], bool), **options)
        return found.compute(scheduler="synchronous")


def error(found, chl, gaps):
    return float(np.sqrt(np.mean((np.log10(found.CHL.values) - np.log10(chl.values))[gaps] ** 2)))


def test_the_response_is_that_of_the_series(maps):
    """The spread of what drivers do not tell is found, and neighbours do not count."""
    chl, wind, gaps = maps
    found = filled(chl.where(~gaps), wind, Response())
    assert error(found, chl, gaps) < 0.2
    spread = float(found.CHL_spread_log10.where(gaps).mean())
    assert spread == pytest.approx(0.15, rel=0.3)
    far = filled(chl.where(~gaps).where(chl.lon < chl.lon[5]), wind, Response())
    assert error(far, chl, gaps) < 0.25


def test_a_cascade_is_better_than_its_parts_in_long_gaps(maps):
    """Its far method sets the level in the middle of a gap, its near one the edges; its spread is honest.

    On the simulated ocean: ``python tests/bench driven``.
    """
    chl, wind, gaps = maps
    shown = chl.where(~gaps)
    found = filled(shown, wind, Cascade())
    assert same(found.CHL.where(~gaps), shown)
    parts = [error(filled(shown, wind, method), chl, gaps) for method in ("background", Response())]
    assert error(found, chl, gaps) <= 0.95 * min(parts)
    ratio = ((np.log10(found.CHL) - np.log10(chl)) / found.CHL_spread_log10).values[gaps]
    assert 0.6 < np.sqrt(np.mean(ratio**2)) < 2.2


def test_parts_of_a_cascade_are_checked():
    """The far method must be one that is fitted, the near one local and without weights."""
    assert Cascade(Som(), Kriging()).far.name == "som"
    with pytest.raises(TypeError, match=r"far must be a method that is fitted to series.*'background'"):
        Cascade("background")
    with pytest.raises(TypeError, match=r"near must be a local method without weights.*Repaint"):
        Cascade(near=Repaint())
    with pytest.raises(ValueError, match="response needs at least 3 times"):
        xgapfill.response(chl_map((2, 20, 20)))


def test_numbers_of_parameters_are_the_published_ones():
    """803,920 with the nine inputs of the paper; 4.03 million in the published shape of SmaAt-UNet completion."""
    nine = MULTIMODE.shape(("log10_chl",), tuple("abcdefgh"), MULTIMODE.widths, None)
    assert count(MULTIMODE.network(nine)) == 803_920
    large = Smaat(widths=(64, 128, 256, 512, 1024)).objective()
    channels = large.shape(("psc_ilr1", "psc_ilr2"), ("log10_chl", *"abcdefgh"), large.widths, None)
    assert round(count(large.network(channels)) / 1e6, 2) == 4.03
    assert count(SMAAT.network(SMAAT.shape(("log10_chl",), ("a",), SMAAT.widths, None))) < 1e5


def count(net):
    return sum(p.numel() for p in net.parameters())


def weights_of(method, targets=("log10_chl",)):
    """Untrained weights of a small net with two drivers."""
    objective = method.objective()
    network = objective.shape(targets, DRIVERS, objective.widths, None)
    torch.manual_seed(0)
    state = objective.network(network).state_dict()
    card = Card(
        name="untrained",
        method=method.model,
        targets=targets,
        conditions=DRIVERS,
        network=network,
        background=priors.to_mapping({c: priors.shipped()[c] for c in (*targets, *DRIVERS)}),
        ranges=dict.fromkeys((*targets, *DRIVERS), (-60.0, 60.0)),
        trained_on="nothing",
    )
    return Weights(card, {name: np.array(value, np.float32) for name, value in state.items()})


SMALL = MultiMode(modes=3, widths=(4, 8))


def test_the_multi_mode_net_is_not_shown_the_target():
    """Other values of the target change nothing; other drivers do."""
    given, rng = weights_of(SMALL), np.random.default_rng(1)
    values = rng.standard_normal((4, 1, 3, 64, 64)).astype(np.float32)
    once, again, other = values, values.copy(), values.copy()
    again[:, :, 0] = np.nan
    other[:, :, 1] += 3
    results = [
        SMALL.fill(replace(windows(each, ("log10_chl", *DRIVERS)), targets=1), given, None, 1).values[0, :, :, 0]
        for each in (once, again, other)
    ]
    assert same(results[0], results[1])
    assert not np.allclose(results[0], results[2])


def test_gates_are_maps_of_shares():
    """Shares of the modes sum to 1 on the sea and are missing on land; predictors come in any order; a picture."""
    ds = xgapfill.tutorial.open_dataset("monthly").isel(time=slice(0, 2))
    given = weights_of(SMALL)
    shares = xgapfill.gates(given, [ds.SLA, ds.SST])
    assert shares.dims == ("mode", "time", "lat", "lon")
    sea = ds.sea.values.astype(bool)
    np.testing.assert_allclose(shares.sum("mode").values[:, sea], 1, atol=1e-5)
    assert shares.isnull().values[..., ~sea].all()
    turned = xgapfill.gates(given, [each.roll(lon=30, roll_coords=True) for each in (ds.SST, ds.SLA)])
    np.testing.assert_allclose(turned.sortby("lon"), shares, atol=1e-5)  # the globe is round
    figure = xgapfill.plot.gates(shares)
    assert sum(axes.get_title().startswith("mode") for axes in figure.axes) == 3
    with pytest.raises(ValueError, match="the net has the predictors sst, linear_sea_level, found sst; give"):
        xgapfill.gates(given, ds.SST)
    with pytest.raises(ValueError, match="one mode, so there is no gate"):
        xgapfill.gates(weights_of(MultiMode(modes=1, widths=(4, 8))), [ds.SST, ds.SLA])


@pytest.mark.parametrize("shown", [False, True])
def test_only_hidden_pixels_are_learned_from(shown):
    """By default other truths at shown pixels do not change the loss of SmaAt-UNet; as in its system they do."""
    method = Smaat(widths=(4, 8), shown=shown)
    objective = method.objective()
    net = objective.network(objective.shape(("log10_chl",), ("sst",), objective.widths, None))
    rng, size = torch.Generator().manual_seed(0), (2, 1, 2, 16, 16)
    truth, observed = torch.randn(size, generator=rng), torch.rand(size, generator=rng) < 0.5
    batch = Batch(
        truth * observed, observed.float(), torch.ones(2, 1, 16, 16), torch.zeros(2, 2, 16, 16), torch.zeros(2, 1, 2)
    )
    with torch.no_grad():
        losses = [float(objective.score(net, batch, truth + more * observed, ~observed, rng)) for more in (0.0, 5.0)]
    assert (losses[0] == losses[1]) is not shown


def test_bad_sizes_of_nets_are_told_at_once():
    """Widths and modes."""
    with pytest.raises(ValueError, match="multimode's modes must be a whole number from 1 to 64, found 0"):
        MultiMode(modes=0)
    with pytest.raises(ValueError, match="smaat's widths must be 2 to 6 whole numbers"):
        Smaat(widths=64)
