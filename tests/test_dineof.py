"""EOFs of incomplete data against dense decompositions, exact conditional means and the public program."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from bench.classical import public_dineof
from numpy.typing import NDArray

from xgapfill.lattice.noise import Noise
from xgapfill.lattice.windows import Series, Windows
from xgapfill.methods import dineof as module
from xgapfill.methods import eofs
from xgapfill.methods.dineof import Dineof
from xgapfill.methods.eofs import clouds, dineof, time_filter
from xgapfill.testing import windows as windows_of
from xgapfill.weights import Weights, load

NOISE = Noise(0, 8640)
FIRST = 100  # slot


def low_rank(m: int = 200, n: int = 30, rank: int = 3, noise: float = 0.02, seed: int = 0) -> tuple[NDArray, NDArray]:
    """A smooth field of known rank, noise on it, and where it is observed."""
    rng = np.random.default_rng(seed)
    phase = np.arange(1, rank + 1)
    space = np.cos(np.linspace(0, 3, m)[:, None] * phase + rng.normal(size=rank))
    times = np.sin(np.linspace(0, 5, n)[:, None] * phase + rng.normal(size=rank))
    truth = 0.5 + space @ np.diag(1.0 / phase) @ times.T
    return truth + noise * rng.normal(size=truth.shape), rng.random(truth.shape) < 0.5


def box(fields: NDArray, observed: NDArray, channels: tuple[str, ...], targets: int) -> tuple[Series, Windows]:
    """What the fit and the filling are given of (c, t, y, x) fields."""
    c, t, ny, nx = fields.shape
    rows, cols = np.mgrid[:ny, :nx]
    values = np.where(observed, fields, 0).astype(np.float32)
    season = np.zeros((t, 2), np.float32)
    sample = Series(
        values=values.reshape(c, t, -1),
        observed=observed.reshape(c, t, -1),
        channels=channels,
        targets=targets,
        slots=np.arange(FIRST, FIRST + t),
        season=season,
        step_days=8.0,
        rows=rows.ravel(),
        cols=cols.ravel(),
        lat=np.full(ny * nx, 45, np.float32),
        lon=np.full(ny * nx, 330, np.float32),
    )
    shown = (values.swapaxes(0, 1)[None], channels, observed.swapaxes(0, 1)[None])
    windows = windows_of(*shown, targets=targets, starts=np.array([[FIRST, 0, 0]]), season=season[None])
    return sample, windows


def ocean(c: int = 1, t: int = 24, size: int = 24, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Correlated channels (c, t, y, x) of a few modes and small noise; the last channel is observed most."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size, :size] / size
    space = np.stack([np.cos(3 * rows + 1), np.sin(4 * cols), np.cos(5 * rows - 4 * cols)])
    times = np.cos(np.arange(t)[:, None] * [0.25, 0.5, 0.9] + rng.normal(size=3))
    shared = np.einsum("tk,kyx->tyx", times, space) + 0.3 * rng.normal(size=(t, size, size))
    mixed = [0.8 * shared + 0.15 * rng.normal(size=shared.shape) for _ in range(c)]
    blobs = rng.random((c, t, size // 4, size // 4)).repeat(4, axis=2).repeat(4, axis=3)
    return np.stack(mixed), blobs < np.linspace(0.35, 0.8, c)[:, None, None, None] if c > 1 else blobs < 0.5


def dense(x: NDArray, observed: NDArray, modes: int, smoother: NDArray, tolerance: float = 1e-3) -> NDArray:
    """DINEOF by full singular value decompositions, written from the papers."""
    mean, sd = x[observed].mean(), x[observed].std()
    filled = np.where(observed, x - mean, 0)
    for k in range(1, modes + 1):
        for _ in range(300):
            v = np.linalg.svd(filled @ smoother.T)[2][:k].T
            reconstructed = filled @ v @ v.T
            change = np.sqrt(np.mean((reconstructed - filled)[~observed] ** 2))
            filled = np.where(observed, filled, reconstructed)
            if change < tolerance * sd:
                break
    return mean + reconstructed


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_is_dense_dineof(alpha):
    """The iteration on the covariance is the iteration of full decompositions, with the temporal filter and without."""
    x, observed = low_rank(80, 20, rank=4)
    smoother = time_filter(np.arange(20), alpha, 3)
    found = dineof(x, observed, modes=4, smoother=smoother if alpha else None)
    exact = dense(x, observed, 4, smoother)
    assert np.abs(found.mean + found.spatial @ found.temporal.T - exact).max() < 1e-3
    single = dineof(x.astype(np.float32), observed, modes=4, smoother=smoother if alpha else None)
    assert np.abs(single.mean + single.spatial @ single.temporal.T - exact).max() < 1e-3


def test_finds_the_rank_and_the_field():
    """Cross-validation finds the number of modes; the field comes back to within its noise."""
    x, observed = low_rank(rank=3)
    truth, _ = low_rank(rank=3, noise=0)
    found = dineof(x, observed)
    modes = found.temporal.shape[1]
    assert modes in (3, 4)  # the mean that was taken off may be one more
    assert modes + eofs.RISES <= len(found.errors) < 29
    assert np.allclose(found.temporal.T @ found.temporal, np.eye(modes), atol=1e-8)
    assert np.sqrt(np.mean((found.mean + found.spatial @ found.temporal.T - truth)[~observed] ** 2)) < 0.02


def test_what_was_not_observed_does_not_matter():
    """Numbers where nothing was observed, NaN among them, change nothing; nor does doing it again."""
    x, observed = low_rank()
    first, second = dineof(x, observed), dineof(np.where(observed, x, np.nan), observed)
    assert np.array_equal(first.spatial, second.spatial)
    assert first.errors == second.errors


def test_keeps_out_as_many_as_the_original():
    """floor(min(0.01 M N + 40, 0.03 M N)) values are kept out, under connected clouds, a fifth of the observed at
    most.
    """
    rows, cols = (part.ravel() for part in np.mgrid[:20, :20])
    observed = np.random.default_rng(0).random((50, 400)) < 0.8
    hidden = clouds(observed, rows, cols, seed=1)
    assert hidden.sum() == 0.01 * 50 * 400 + 40
    assert not (hidden & ~observed).any()
    assert np.array_equal(hidden, clouds(observed, rows, cols, seed=1))
    frame = np.argmax(hidden.sum(axis=1))
    apart = np.hypot(
        rows[hidden[frame]][:, None] - rows[hidden[frame]], cols[hidden[frame]][:, None] - cols[hidden[frame]]
    )
    assert (np.sort(apart, axis=1)[:, 1] < 2).all()
    few = np.zeros_like(observed)
    few[:, :3] = True
    assert clouds(few, rows, cols).sum() == 30


def test_time_filter_diffuses():
    """Known weights, a constant stays, the mean of a regular series stays, and the extent grows with repetitions."""
    uneven = [[0.9, 0.1, 0.0], [1 / 15, 0.9, 1 / 30], [0.0, 0.025, 0.975]]
    assert np.allclose(time_filter(np.array([0, 1, 3]), 0.1, 1), uneven)
    regular = time_filter(np.arange(40), 0.3, 20)
    assert np.allclose(regular.sum(axis=0), 1)
    assert np.allclose(regular.sum(axis=1), 1)
    spread = np.sqrt(regular[20] @ (np.arange(40) - 20.0) ** 2)
    assert np.isclose(spread, np.sqrt(2 * 0.3 * 20), rtol=0.01)


def test_interrupting_keeps_the_best_so_far(monkeypatch):
    """Ctrl-C during the search goes on with the best number of modes up to then; before the first it stops."""
    x, observed = low_rank(rank=5)
    settle, last = eofs._settle, 2

    def interrupted(filled, shown, k, *limits):
        if k > last:
            raise KeyboardInterrupt
        return settle(filled, shown, k, *limits)

    monkeypatch.setattr(eofs, "_settle", interrupted)
    assert dineof(x, observed).temporal.shape[1] == 2
    last = 0
    with pytest.raises(KeyboardInterrupt):
        dineof(x, observed)


def test_filling_is_the_exact_conditional_mean():
    """Mean and error are those of the dense Gaussian with the covariance of amplitudes and shared noise."""
    rng = np.random.default_rng(0)
    t, c, p = 9, 3, 4
    design = np.concatenate([np.ones((t, 1)), rng.normal(size=(t, p - 1))], axis=1)
    root, shared = rng.normal(size=(c * p, c * p)), rng.normal(size=(c, c))
    prior = module._Prior(rng.normal(size=(c, p)), root @ root.T, shared @ shared.T + 0.1 * np.eye(c))
    y, w = rng.normal(size=(5, t, c)), rng.random((5, t, c)) < 0.5
    mean, error = module._estimate(design, prior, y, w)
    wide = np.kron(np.eye(c), design)  # (c t, c p)
    covariance = wide @ prior.covariance @ wide.T + np.kron(prior.noise, np.eye(t))
    expected = wide @ prior.mean.ravel()
    for pixel in range(5):
        observed, values = w[pixel].T.ravel(), y[pixel].T.ravel()
        gain = covariance[:, observed] @ np.linalg.inv(covariance[np.ix_(observed, observed)])
        exact = (expected + gain @ (values - expected)[observed]).reshape(c, t).T
        variance = np.diag(covariance - gain @ covariance[observed]).reshape(c, t).T
        gaps = ~w[pixel]
        assert np.allclose(mean[pixel][gaps], exact[gaps])
        assert np.allclose(error[pixel][gaps] ** 2, variance[gaps])


def test_prior_is_found_again():
    """The distribution of amplitudes and the shared noise of simulated pixels are estimated from incomplete data."""
    rng = np.random.default_rng(0)
    design = np.stack([np.ones(20), np.cos(np.arange(20))], axis=1)
    noise = np.array([[0.10, 0.06], [0.06, 0.08]])
    root = np.array([[1.0, 0, 0, 0], [0.3, 0.5, 0, 0], [0.8, 0, 0.3, 0], [0, 0.4, 0, 0.3]])
    amplitudes = (rng.normal(size=(2000, 4)) @ root.T).reshape(-1, 2, 2)
    y = (amplitudes @ design.T).swapaxes(1, 2) + rng.multivariate_normal(np.zeros(2), noise, size=(2000, 20))
    prior = module._variation(design, y, rng.random(y.shape) < 0.5)
    assert np.allclose(prior.noise, noise, atol=0.01)
    assert np.allclose(prior.covariance, root @ root.T, atol=0.1)


def test_channels_that_are_never_observed_together():
    """They need share nothing, and fields without noise have errors above 0 all the same."""
    fields, observed = ocean(c=2, size=12)
    fields[:] = np.cos(np.arange(24.0))[:, None, None] * np.cos(np.arange(12.0))
    observed[1] = ~observed[0]
    sample, windows = box(fields, observed, ("psc_ilr1", "psc_ilr2"), 2)
    filled = Dineof(modes=2).fill(windows, Dineof(modes=2).fit(sample), NOISE, 1)
    assert np.abs(filled.values[0, 0].swapaxes(0, 1) - fields).max() < 0.1
    assert (filled.spread > 0).all()


def test_fills_pixels_it_was_not_fitted_on():
    """Weights from half of the pixels fill the other half, and the error says how far off they are."""
    fields, observed = ocean()
    half = np.arange(24) % 2 == 0
    sample, _ = box(fields[..., half], observed[..., half], ("log10_chl",), 1)
    weights = Dineof().fit(sample)
    _, windows = box(fields[..., ~half], observed[..., ~half], ("log10_chl",), 1)
    filled = Dineof().fill(windows, weights, NOISE, 1)
    gaps = ~windows.observed
    off = (filled.values[0] - fields[..., ~half].swapaxes(0, 1)[None])[gaps]
    # the noise of the truth, and that of four amplitudes known from twelve dates
    assert np.sqrt(np.mean(off**2)) < 1.1 * np.sqrt(1 + 4 / 12) * np.hypot(0.8 * 0.3, 0.15)
    assert 0.85 < np.sqrt(np.mean((off / filled.spread[gaps]) ** 2)) < 1.15


def test_size_classes_profit_from_chlorophyll():
    """Where only the predictor is observed, the targets follow it."""
    fields, observed = ocean(c=3)
    errors = []
    for c, channels in ((3, ("psc_ilr1", "psc_ilr2", "log10_chl")), (2, ("psc_ilr1", "psc_ilr2"))):
        sample, windows = box(fields[:c], observed[:c], channels, 2)
        filled = Dineof().fill(windows, Dineof(modes=3).fit(sample), NOISE, 1)
        only = (~observed[:2] & observed[2]).swapaxes(0, 1)
        errors.append(np.sqrt(np.mean((filled.values[0, 0, :, :2] - fields[:2].swapaxes(0, 1))[only] ** 2)))
    assert errors[0] < 0.8 * errors[1]


def test_little_observed_is_near_the_mean_with_a_large_error():
    """A pixel never observed gets the mean series of all pixels; one that was observed a lot has the smaller error."""
    fields, observed = ocean()
    observed[:, :, 0, 0] = False
    observed[:, ::2, 0, 1] = True
    sample, windows = box(fields, observed, ("log10_chl",), 1)
    filled = Dineof(modes=3).fill(windows, Dineof(modes=3).fit(sample), NOISE, 1)
    series = filled.values[0, 0, :, 0]
    assert np.isfinite(filled.values).all()
    assert (filled.spread > 0).all()
    assert np.corrcoef(series[:, 0, 0], fields[0].mean(axis=(1, 2)))[0, 1] > 0.95
    assert filled.spread[0, 1::2, 0, 0, 1].mean() < 0.8 * filled.spread[0, 1::2, 0, 0, 0].mean()


def test_a_frame_without_data_lies_between_its_neighbours():
    """A date on which nothing was observed gets modes from the dates around it; single frames are filled as well."""
    fields, observed = ocean()
    observed[:, 7] = False
    sample, windows = box(fields, observed, ("log10_chl",), 1)
    weights = Dineof(modes=3).fit(sample)
    filled = Dineof().fill(windows, weights, NOISE, 1).values[0, 0, :, 0]
    assert np.sqrt(np.mean((filled[7] - fields[0, 7]) ** 2)) < 0.45
    frame = {name: getattr(windows, name)[:, 5:6] for name in ("values", "observed", "season")}
    single = replace(windows, **frame, starts=windows.starts + np.array([5, 0, 0]))
    assert np.isfinite(Dineof().fill(single, weights, NOISE, 1).values).all()


def test_same_bits(tmp_path):
    """The same sample gives the same weights; a window's bits depend on no neighbour in the batch, nor on the disk."""
    fields, observed = ocean(c=2, size=12)
    sample, windows = box(fields, observed, ("psc_ilr1", "psc_ilr2"), 2)
    method = pickle.loads(pickle.dumps(Dineof(max_modes=4)))
    weights = method.fit(sample)
    assert weights == Dineof(max_modes=4).fit(sample)
    filled = method.fill(windows, weights, NOISE, 1)
    batch = {}
    for name in ("values", "observed", "sea", "starts", "lat", "lon", "season", "step_km"):
        part = getattr(windows, name)
        batch[name] = np.concatenate([part[..., ::-1] if part.ndim == 5 else part, part, np.zeros_like(part)])
    loaded = load(weights.save(tmp_path / "eofs"))
    assert isinstance(loaded, Weights)
    among = method.fill(replace(windows, **batch), loaded, NOISE, 1)
    assert np.array_equal(among.values[:, 1], filled.values[:, 0])
    assert np.array_equal(among.spread[1], filled.spread[0])
    assert np.isfinite(among.values).all()


def test_bad_input():
    """Too little, nothing, constants, too many modes, other times and channels: errors that say so."""
    x, observed = low_rank(20, 10)
    with pytest.raises(ValueError, match="3 well observed pixels and frames"):
        dineof(x[:, :2], observed[:, :2])
    with pytest.raises(ValueError, match="use 1 to 9"):
        dineof(x, observed, modes=10)
    with pytest.raises(ValueError, match="standard deviation 0"):
        dineof(np.full_like(x, 3), observed)
    with pytest.raises(ValueError, match="the matrix is never observed"):
        dineof(x, np.zeros_like(observed))
    with pytest.raises(ValueError, match="standard deviation nan"):
        dineof(np.full_like(x, np.nan), observed)
    with pytest.raises(ValueError, match="hidden"):
        dineof(x, observed, hidden=observed)
    with pytest.raises(ValueError, match=r"alpha must be a number from 0 to 0\.5, found 2"):
        Dineof(alpha=2)
    for modes in (0, 2.5, True):
        with pytest.raises(ValueError, match="modes must be a whole number of at least 1"):
            Dineof(modes=modes)


def test_bad_series():
    """The same of series: the channel, the frames and the time steps are named."""
    fields, observed = ocean(c=2, size=12, t=8)
    names = "psc_ilr1", "psc_ilr2"
    sample, windows = box(fields, observed, names, 2)
    with pytest.raises(ValueError, match="psc_ilr2 is never observed"):
        Dineof().fit(box(fields, observed & np.array([True, False])[:, None, None, None], names, 2)[0])
    with pytest.raises(ValueError, match="psc_ilr1 has no EOFs"):
        Dineof().fit(box(0 * fields + 1, observed, names, 2)[0])
    with pytest.raises(ValueError, match="use 1 to 7"):
        Dineof(modes=8).fit(sample)
    alone = observed & (np.arange(8) == 3)[:, None, None]
    with pytest.raises(ValueError, match="give more data"):
        Dineof().fit(box(fields, alone, names, 2)[0])
    weights = Dineof(modes=2).fit(sample)
    with pytest.raises(ValueError, match="fitted on time steps 100 to 107"):
        Dineof().fill(replace(windows, starts=windows.starts + 3), weights, NOISE, 1)
    with pytest.raises(ValueError, match="fit it on"):
        Dineof().fill(replace(windows, channels=names[::-1]), weights, NOISE, 1)


@pytest.mark.parametrize(
    ("channels", "frames", "modes", "says"),
    [(1, 20_000, 20, "20000 frames need 10 GB; fill fewer times"), (4, 1000, 400, "at most 200")],
)
def test_a_fit_that_would_not_fit_in_memory(channels, frames, modes, says):
    """Too many frames, and too many modes of many channels, are refused before anything is computed."""
    module._check_memory(3, 1068, 50)
    with pytest.raises(ValueError, match=says):
        module._check_memory(channels, frames, modes)


@pytest.mark.slow
def test_is_the_public_program():
    """`pydineof` on the same data: values within 3 % as good, in a third of the time at most."""
    pytest.importorskip("pydineof")
    theirs, ours = public_dineof()
    assert ours.rmse < 1.03 * theirs.rmse
    assert ours.seconds < theirs.seconds / 3
