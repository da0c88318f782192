"""Training on made-up data: it learns, resumes and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xgapfill.methods.priors import Prior  # noqa: E402
from xgapfill.training.loop import Settings, Trainer  # noqa: E402
from xgapfill.training.mixtures import Mixture  # noqa: E402
from xgapfill.training.samples import GapShapes, Series, chlorophyll_sample, size_class_sample  # noqa: E402

PRIOR = Prior(0.0, 1.0, ((1.0, 30.0, 20.0, 2.0),), 0.05, 0.0, (0.0, -0.3, 0.0, 0.0, 0.0), {"log10_chl": (1.0, 0.0)})
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
            trainer._step()
        nets.append(trainer.average)
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_resumed_training_is_the_undisturbed_one(made, tmp_path):
    """A training that was stopped and resumed ends where an undisturbed one does."""
    whole = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    whole.run(10, tmp_path / "whole.pt", steps=4)
    first = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    first.run(10, tmp_path / "part.pt", steps=2)
    second = Trainer(made, {"log10_chl": PRIOR}, SMALL)
    assert second.resume(tmp_path / "part.pt")
    second.run(10, tmp_path / "part.pt", steps=4)
    assert second.step == whole.step == 4
    assert all(torch.equal(whole.average[name], second.average[name]) for name in whole.average)


def test_samples_hide_only_what_is_known(made):
    """What is seen is known, and something known is hidden."""
    for seed in range(5):
        sample = made.draw(np.random.default_rng(seed))
        assert not (sample.seen & ~sample.known).any()
        assert (sample.known & ~sample.seen).any()
        assert np.isfinite(sample.values).all()


def test_size_classes_on_real_chlorophyll():
    """Classes laid on a gappy CHL series are known where CHL is, and seldom seen without it."""
    rng = np.random.default_rng(0)
    field = np.where(rng.random((1, 8, 70, 70)) < 0.6, rng.normal(-0.5, 0.3, (1, 8, 70, 70)), np.nan).astype(np.float32)
    series = Series(field, np.ones((70, 70), bool), np.linspace(40, 43, 70), 1 / 24, np.arange(8) * 8.0, 8.0)
    anomalies = rng.standard_normal((2, 6, 70, 70)).astype(np.float32)
    gaps = GapShapes([rng.random((8, 70, 70)) < 0.4])
    for seed in range(8):
        sample = size_class_sample(np.random.default_rng(seed), series, gaps, 0.02, anomalies)
        assert sample.values.shape == (5, 3, 64, 64)
        assert np.array_equal(sample.known[:, 0], sample.known[:, 2])
        assert not (sample.seen & ~sample.known).any()
        assert np.isfinite(sample.values).all()
