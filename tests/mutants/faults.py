"""The faults: each a text of the package that occurs once, what is put in its place, and the tests that must fail."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A mutant of the package.

    Attributes
    ----------
    name : str
    old, new : str
        Text that occurs once in the package, and what takes its place.
    tests : tuple of str
        Files or single tests, as pytest wants them, of which one must fail.
    """

    name: str
    old: str
    new: str
    tests: tuple[str, ...]


_CALIBRATED = "tests/test_calibrated.py::test_"
RANGE = (f"{_CALIBRATED}fills_beyond_the_range_of_training_are_flagged",)
PREDICTORS = (f"{_CALIBRATED}predictors_beyond_the_range_of_training_are_flagged",)
FACTORS = (f"{_CALIBRATED}the_factors_of_the_card_scale_mean_and_spread",)
INFLATION = (f"{_CALIBRATED}the_inflation_of_the_card_scales_departures_of_members",)
MEMBER = (f"{_CALIBRATED}repaint_takes_the_noise_off_a_member",)
AUTOENCODER = (f"{_CALIBRATED}the_factors_of_the_card_scale_an_autoencoder",)
STEPS = (f"{_CALIBRATED}steps_of_repaint_are_those_of_the_paper",)
SLOPE = (f"{_CALIBRATED}errors_of_predictors_spread_by_the_slope_where_they_are",)
TILES = ("tests/test_tiles.py",)
NOISE = ("tests/test_noise.py",)
LIMITS = ("tests/test_limits.py",)
GRID = ("tests/test_grid.py",)
SCORES = ("tests/test_scores.py",)
VARIABLES = ("tests/test_variables.py",)

FAULTS = (
    # blending
    Fault(
        "blend weight sin instead of sin^2",
        "axes = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in self.size]",
        "axes = [np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in self.size]",
        TILES,
    ),
    Fault(
        "windows begin half a stride off",
        "return np.arange(first * stride, places[1], stride, dtype=np.int64)",
        "return np.arange(first * stride + stride // 2, places[1], stride, dtype=np.int64)",
        TILES,
    ),
    Fault(
        "spread is blended without weights",
        "blend.spread[:, *at] += np.moveaxis(spread, 1, 0) * weight",
        "blend.spread[:, *at] += np.moveaxis(spread, 1, 0) * (weight > 0)",
        ("tests/test_fill.py::test_decoded_values_by_hand",),
    ),
    # status
    Fault(
        "status ignores values below the training range",
        "beyond = (there & ((values < low) | (values > high))).any(axis=0)",
        "beyond = (there & (values > high)).any(axis=0)",
        RANGE,
    ),
    Fault(
        "status ignores values above the training range",
        "beyond = (there & ((values < low) | (values > high))).any(axis=0)",
        "beyond = (there & (values < low)).any(axis=0)",
        RANGE,
    ),
    Fault(
        "status looks at the first channel alone",
        "beyond = (there & ((values < low) | (values > high))).any(axis=0)",
        "beyond = (there & ((values < low) | (values > high)))[0]",
        PREDICTORS,
    ),
    # what calibration found
    Fault(
        "inflation of the card dropped (repaint)",
        "departure = prepared.inflation * (self._walked(prepared, mean, draw) - mean)",
        "departure = self._walked(prepared, mean, draw) - mean",
        INFLATION,
    ),
    Fault(
        "repaint adds noise to the member that it starts from",
        "x = start if noisy_start else start + schedule[0][0] * draw(0)",
        "x = start + schedule[0][0] * draw(0)",
        MEMBER,
    ),
    Fault(
        "repaint starts from a residual without its spread",
        "start = best + spread * bring(given[member])",
        "start = best + bring(given[member])",
        MEMBER,
    ),
    Fault(
        "inflation of the card dropped (vae)",
        "residual = self.mean_factor * mean + self.inflation * departure",
        "residual = self.mean_factor * mean + departure",
        AUTOENCODER,
    ),
    Fault(
        "mean factor of the card dropped",
        'factors = weights.card.network.get("mean_factor", [1.0] * len(weights.card.channels))',
        "factors = [1.0] * len(weights.card.channels)",
        FACTORS,
    ),
    Fault(
        "spread factor of the card dropped",
        "return mean, (0.5 * log_variance).exp() * self.spread_factor",
        "return mean, (0.5 * log_variance).exp()",
        FACTORS,
    ),
    Fault(
        "spread factor of the card dropped (vae)",
        "return (self.spread_factor * spread * self.guess.error).cpu().numpy()",
        "return (spread * self.guess.error).cpu().numpy()",
        AUTOENCODER,
    ),
    Fault(
        "mean factor found on the net's mean, not on its departure",
        "mean = hidden.mean + (factor - 1) * (hidden.mean - hidden.background)",
        "mean = factor * hidden.mean",
        ("tests/test_calibration.py",),
    ),
    Fault(
        "inflation found about zero",
        "members = mean + self.inflation * (hidden.members - hidden.mean)",
        "members = self.inflation * hidden.members + (mean - hidden.mean)",
        ("tests/test_calibration.py",),
    ),
    Fault(
        "spread factor found as its inverse",
        "crps_gaussian(mean, f * spread, truth)))))\n\n\ndef best_inflation",
        "crps_gaussian(mean, spread / f, truth)))))\n\n\ndef best_inflation",
        ("tests/test_calibration.py",),
    ),
    # the schedule
    Fault(
        "RePaint's step takes too much fresh noise",
        "random = eta * to * (1 - (to / sigma) ** 2) ** 0.5",
        "random = eta * to * (1 - to / sigma) ** 0.5",
        STEPS,
    ),
    Fault(
        "RePaint's step takes no fresh noise",
        "random = eta * to * (1 - (to / sigma) ** 2) ** 0.5",
        "random = 0.0",
        STEPS,
    ),
    Fault(
        "RePaint diffuses back up by the difference of levels",
        "x = x + (to**2 - sigma**2) ** 0.5 * draw(count)",
        "x = x + (to - sigma) * draw(count)",
        STEPS,
    ),
    # the background
    Fault(
        "the quadratic term in the error of predictors",
        "slope_here = beta[:, 2 * k + 1, None] + 2.0 * beta[:, 2 * k + 2, None] * design[:, 2 * k + 1]",
        "slope_here = beta[:, 2 * k + 1, None] + 0.0 * design[:, 2 * k + 1]",
        SLOPE,
    ),
    Fault(
        "errors of predictors do not count",
        "variance = variance + (slope_here.unflatten(-1, y.shape[1:]) * error) ** 2",
        "variance = variance + 0.0 * error",
        SLOPE,
    ),
    Fault(
        "lags count once on both sides",
        "columns = [(1 if lag == 0 else 2) * (basis",
        "columns = [1 * (basis",
        ("tests/test_background.py",),
    ),
    # noise by address
    Fault(
        "noise ends at the dateline",
        "place = first + at if ncols is None else (first + at) % ncols",
        "place = first + at",
        NOISE,
    ),
    Fault("noise is the same in all slots", "slot % 2**64, (row & _WORD)", "0 * slot, (row & _WORD)", NOISE),
    Fault(
        "noise is the same in all channels",
        "(draw & _WORD) << 32 | channel,",
        "(draw & _WORD) << 32,",
        NOISE,
    ),
    Fault("noise is the same for all members", "spawn_key=(member,)", "spawn_key=(0,)", NOISE),
    Fault(
        "members are numbered anew",
        "member = self.members[member]",
        "member = int(member)",
        ("tests/test_reducing.py", *NOISE),
    ),
    # variables
    Fault(
        "log-ratios are taken of parts that do not sum to one",
        "return raised / raised.sum(axis=0)",
        "return raised",
        VARIABLES,
    ),
    Fault(
        "fractions do not sum to one",
        "parts = np.exp(logs - logs.max(axis=0))\n    return parts / parts.sum(axis=0)",
        "parts = np.exp(logs - logs.max(axis=0))\n    return parts",
        VARIABLES,
    ),
    Fault(
        "mean fractions do not sum to one",
        "return first / first.sum(axis=0), np.sqrt",
        "return first * 1.01, np.sqrt",
        VARIABLES,
    ),
    Fault(
        "the spread of chlorophyll is normal",
        "return power10(mean) * np.exp(width * width / 2) * np.sqrt(np.expm1(width * width))",
        "return power10(mean) * width",
        VARIABLES,
    ),
    # seasons, places, limits
    Fault(
        "the season is that of the first day",
        "((numbers - first[year]) * days + days / 2) / year_days",
        "((numbers - first[year]) * days) / year_days",
        GRID,
    ),
    Fault(
        "the season runs backward",
        "return np.stack([np.cos(2 * np.pi * year), np.sin(2 * np.pi * year)], axis=-1)",
        "return np.stack([np.cos(2 * np.pi * year), -np.sin(2 * np.pi * year)], axis=-1)",
        GRID,
    ),
    Fault(
        "gaps as long as the limit stay", "* grid.step_days <= self.max_gap", "* grid.step_days < self.max_gap", LIMITS
    ),
    Fault(
        "the distance is half of what is said",
        "left_over = math.sin(km / EARTH_RADIUS / 2) ** 2",
        "left_over = math.sin(km / EARTH_RADIUS / 4) ** 2",
        LIMITS,
    ),
    Fault(
        "distances ignore the latitude",
        "share = np.clip(left_over / np.maximum(np.cos(here) * np.cos(there), 1e-12), 0, 1)",
        "share = np.clip(left_over, 0, 1)",
        LIMITS,
    ),
    Fault(
        "distance classes begin at their edge",
        'return np.searchsorted(EDGES, distance, side="left").astype(np.int8)',
        'return np.searchsorted(EDGES, distance, side="right").astype(np.int8)',
        SCORES,
    ),
    Fault(
        "kilometres are chords",
        "distance[~observed] = 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / 2, 1))",
        "distance[~observed] = EARTH_RADIUS * chord",
        ("tests/test_gaps.py", *LIMITS),
    ),
    # scores
    Fault(
        "the CRPS is not fair",
        "pairs / (2 * count * (count - 1))",
        "pairs / (2 * count * count)",
        SCORES,
    ),
    Fault(
        "the spread of few members counts as that of many",
        "expected = _mean(_chosen(variance, where)) * (count + 1) / count",
        "expected = _mean(_chosen(variance, where))",
        SCORES,
    ),
    # weights and torch
    Fault(
        "numbers of weights are not looked at",
        '    _check_arrays(arrays, f"weights {file}")\n    return arrays',
        "    return arrays",
        ("tests/test_weights.py",),
    ),
    Fault(
        "threads stay at one",
        "                torch.set_num_threads(before)",
        "                pass",
        ("tests/test_torch_state.py::test_many_threads_at_once_end_as_they_began",),
    ),
    Fault(
        "nets are made with random numbers",
        'with torch.inference_mode(False), torch.device("meta"):',
        'with torch.inference_mode(False), torch.device("cpu"):',
        ("tests/test_network_weights.py",),
    ),
)
