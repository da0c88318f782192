"""Preparation of the generative methods: background, network and noise of a batch of windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xgapfill.blocks.stop import check_stop
from xgapfill.gaussian import priors as prior_file
from xgapfill.lattice.windows import Noise, Windows
from xgapfill.variables import known

if TYPE_CHECKING:
    from torch import Tensor

    from xgapfill.diffusion.samplers import Denoise, Draw
    from xgapfill.gaussian.background import Guess
    from xgapfill.nets.denoiser import Denoiser
    from xgapfill.nets.scene import Scene
    from xgapfill.weights import Weights

Bring = Callable[[NDArray[Any]], "Tensor"]  # moves an array to the device that computes

LARGEST = 1e4  # largest parameter of a network: those of shipped networks are at most about 1
FIELD, ERRORS, STEPS = range(3)  # numbers of the noise fields of a member; those of the schedule follow


def shipped_weights(channels: tuple[str, ...], kind: str = "") -> str:
    """Name of the shipped weights for channels that begin with the targets; ValueError when there are none.

    `kind` is the suffix of their names after those of the diffusion networks: "-vae".
    """
    filled = [variable for variable in known() if variable.weights is not None]
    for variable in filled:
        if channels[: len(variable.channels)] == variable.channels:
            return f"{variable.weights}{kind}"
    names = ", ".join(variable.name for variable in filled)
    network = "vae" if kind else "repaint"
    raise ValueError(
        f"no shipped weights fill {', '.join(channels)}; they fill {names}. Use background() for a map with its error "
        "or kriging(members=8) for members, which need none; or train weights on your own series, "
        f"weights = xgapfill.fit(da, {network!r}, init=None), and give weights=weights"
    )


@dataclass(frozen=True)
class Prepared:
    """A prepared batch of windows, with calibration factors from data withheld from training.

    The factors apply to the network's mean by channel, to its error, and to the members' anomalies from the mean.
    """

    net: Denoiser
    guess: Guess
    scene: Scene
    mean_factor: Tensor
    spread_factor: float
    inflation: float
    precision: str

    def once(self) -> tuple[Tensor, Tensor]:
        """Standardised mean and its error, from one forward pass without a noisy field."""
        import torch

        from xgapfill.nets.scene import SIGMA_MAX

        nothing = torch.zeros_like(self.scene.residual)
        mean, log_variance = self._pass(nothing, nothing.new_full((len(nothing),), SIGMA_MAX))
        return mean, (0.5 * log_variance).exp() * self.spread_factor

    def denoise(self, first: Tensor) -> Denoise:
        """Denoiser as a function of field and noise level; `first` is its result at the largest level."""
        from xgapfill.nets.scene import SIGMA_MAX

        def call(x: Tensor, sigma: float) -> Tensor:
            return first if sigma >= SIGMA_MAX else self._pass(x, x.new_full((x.shape[0],), sigma))[0]

        return call

    def start(self, mean: Tensor, sigma: float, draw: Draw) -> Tensor | float:
        """Clean field for a schedule with a lower first level: a draw of the Gaussian field about the mean."""
        from xgapfill.nets.scene import SIGMA_MAX
        from xgapfill.nets.texture import gaussian_departure

        return 0.0 if sigma >= SIGMA_MAX else mean + gaussian_departure(self.scene, draw(FIELD), draw(ERRORS))

    def _pass(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        check_stop()  # a batch may take hundreds of forward passes
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            mean, log_variance = self.net(x, sigma, self.scene)
        return mean, log_variance

    def physical(self, residual: Tensor) -> Tensor:
        """Residuals back to transformed units."""
        return self.guess.mean + self.guess.error * residual


def address_noise(
    noise: Noise, windows: Windows, member: int, draw: int, channels: int | None = None, bring: Bring | None = None
) -> Tensor:
    """One standard normal field for every window, by address, of all channels or the first `channels`."""
    b, t, c, y, x = windows.values.shape
    c = channels or c
    fields = np.empty((b, t, c, y, x), np.float32)
    for k in range(b):
        slot, row, col = (int(s) for s in windows.starts[k])
        fields[k] = noise(member, draw, (slot, row, col), (c, t, y, x)).swapaxes(0, 1)
    return (bring or _from_numpy)(fields)


def _from_numpy(array: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(array)


def prepare(windows: Windows, weights: Weights | None, bring: Bring, precision: str) -> Prepared:
    """Background, scene and network of a batch of windows."""
    from xgapfill.nets.denoiser import Denoiser

    given = of_kind(weights, "diffusion")
    guess, made = look(windows, given, bring)
    spread_factor = float(given.card.network.get("spread_factor", 1.0))
    net = net_of(given, Denoiser.of, str(made.residual.device))
    return Prepared(net, guess, made, mean_factor(given), spread_factor, given.card.inflation, precision)


def mean_factor(weights: Weights) -> Tensor:
    """Calibration factor on the network's mean by channel, (1, 1, c, 1, 1)."""
    import torch

    factors = weights.card.network.get("mean_factor", [1.0] * len(weights.card.channels))
    return torch.tensor(factors, dtype=torch.float32).view(1, 1, -1, 1, 1)


def look(windows: Windows, weights: Weights, bring: Bring | None = None) -> tuple[Guess, Scene]:
    """Background of a batch of windows and input of a network; `bring` moves arrays to its device."""
    from xgapfill.gaussian.background import first_guess, weighed
    from xgapfill.nets.scene import scene

    bring = bring or _from_numpy
    priors = prior_file.from_mapping(weights.card.background)
    sure, precise = weighed(windows, priors)
    values, observed, sea, step_km = (bring(a) for a in (windows.values, sure, windows.sea, windows.step_km))
    precision = None if precise is None else bring(precise)
    known = (values, observed.float(), windows.step_days, step_km, windows.channels, windows.targets)
    level = None if windows.level is None else bring(windows.level)
    guess = first_guess(*known, priors, precision, level)
    centre, scale = usual(windows.channels, priors)
    made = scene(
        values,
        observed,
        sea[:, None, None] & ~observed,
        sea,
        guess,
        bring(windows.lat),
        bring(windows.season),
        values.new_full((values.shape[0],), windows.step_days),
        step_km,
        centre.to(values.device),
        scale.to(values.device),
        precision,
    )
    return guess, made


def usual(channels: Sequence[str], priors: Mapping[str, prior_file.Prior]) -> tuple[Tensor, Tensor]:
    """Prior mean and standard deviation of each channel, which scale the network's inputs."""
    import torch

    return (
        torch.tensor([priors[c].mean for c in channels], dtype=torch.float32),
        torch.tensor([priors[c].variance ** 0.5 for c in channels], dtype=torch.float32),
    )


def of_kind(weights: Weights | None, kind: str) -> Weights:
    """Return the weights; ValueError when there are none, or they are of another kind."""
    if weights is None:
        raise ValueError("this method needs weights, found none; give weights=")
    if weights.card.method != kind:
        raise ValueError(
            f"this method needs weights of kind {kind!r}, found {_whence(weights)} of kind {weights.card.method!r}; "
            "leave weights= out for the shipped ones"
        )
    return weights


def check_network(weights: Weights, kind: str, make: Callable[[Mapping[str, Any]], Any]) -> None:
    """Raise ValueError unless the weights are a complete network of this kind; the check takes no memory.

    `make` builds the network from the `network` entry of a card.
    """
    card = of_kind(weights, kind).card
    try:
        priors = prior_file.from_mapping(card.background)
    except ValueError as error:
        raise ValueError(f"the card of weights {_whence(weights)}: {error}") from error
    if lacking := [channel for channel in card.channels if channel not in priors]:
        raise ValueError(f"the card of weights {_whence(weights)} has no background for {', '.join(lacking)}")
    for name, array in weights.arrays.items():
        if array.size and float(np.abs(array).max()) > LARGEST:
            raise ValueError(
                f"weights {_whence(weights)}: array {name!r} has numbers up to {np.abs(array).max():g}, expected at "
                f"most {LARGEST:g} for a network"
            )
    _assembled(weights, make)


def _whence(weights: Weights) -> str:
    return repr(weights.card.name) if weights.source is None else f"{weights.card.name!r} ({weights.source})"


def _assembled(weights: Weights, make: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The network with the arrays as parameters; building it from the card uses no memory and no random numbers."""
    import torch

    described = f"the network {weights.card.network} of the card of weights {_whence(weights)}"
    try:
        with torch.inference_mode(False), torch.device("meta"):
            net = make(weights.card.network)
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{described} cannot be built: {type(error).__name__}: {error}") from error
    wanted = {name: tuple(parameter.shape) for name, parameter in net.state_dict().items()}
    for name in sorted(wanted.keys() | weights.arrays.keys()):
        found = weights.arrays[name].shape if name in weights.arrays else None
        if wanted.get(name) != found:
            raise ValueError(
                f"{described} does not fit their arrays: expected {name!r} {wanted.get(name) or 'absent'}, found "
                f"{found or 'absent'}"
            )
    with torch.inference_mode(False):
        state = {name: torch.from_numpy(np.array(a, np.float32)) for name, a in weights.arrays.items()}
        net.load_state_dict(state, assign=True)
    return net


@lru_cache(maxsize=4)
def net_of(weights: Weights, make: Callable[[Mapping[str, Any]], Any], device: str = "cpu") -> Any:
    """The network of these weights, made once per process by `make` from the card; weights compare by their hashes."""
    import torch

    net = _assembled(weights, make)
    return net.to(device=device, memory_format=torch.channels_last).eval()
