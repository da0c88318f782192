"""Errors that the background makes of other fields under the gaps of a field: the residuals that members are made of.

Conditioning by kriging (Journel & Huijbregts 1978, Mining Geostatistics, chapter 7) adds to an estimate the error that
the same estimator makes of a simulated field at the same gaps. Here other dates of the series are in place of simulated
fields, so that errors have the texture and the tails of real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from xgapfill.gaussian.background import (
    Covariance,
    departures_variance,
    guesses,
    on_level,
    solved,
    trend_on,
    usual_error,
)
from xgapfill.gaussian.filaments import power
from xgapfill.gaussian.spectral import complete, same_everywhere, to_field, to_modes

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 4  # of the completion of a donor: more change it by a tenth of its spread, and no score of members
MOST = 6.0  # standard deviations: largest anomaly of a donor


class Donor(NamedTuple):
    """Another date on the places of a batch of windows, (b, t, c, y, x) each.

    Attributes
    ----------
    values, observed : as in `background.first_guess`
    level : what was taken from its values, or None
    filaments : fields of unit variance, for what was not observed
    """

    values: Tensor
    observed: Tensor
    level: Tensor | None
    filaments: Tensor


def residuals(
    values: Tensor,
    observed: Tensor,
    donors: Sequence[Donor],
    step_days: float,
    step_km: Tensor,
    channels: tuple[str, ...],
    targets: int,
    priors: Mapping[str, Any],
    precision: Tensor | None = None,
    level: Tensor | None = None,
    wanted: Sequence[int] | None = None,
) -> list[Tensor]:
    """Errors of the background of each donor of which only the pixels `observed` are told, over its stated error.

    The anomalies of a donor from its regression get the variance of those of the field. Where the donor was not
    observed, they are completed: filaments, with the variance of the field, are conditioned on them.

    Parameters
    ----------
    values, observed, step_days, step_km, channels, targets, priors, precision, level : as in `background.first_guess`
    donors : sequence of Donor
    wanted : sequence of int, optional
        Channels whose errors are wanted, by default all; others are completed alone, as predictors.

    Returns
    -------
    list of (b, t, c, y, x), one for each donor, 0 where `observed` and in channels that are not wanted.
    """
    import torch

    found = [torch.zeros_like(values) for _ in donors]
    frames, _, rows, cols = values.shape[1:]
    usual_power = torch.from_numpy(power((frames, rows, cols), step_days)).to(values)
    whole: list[dict[int, Tensor]] = [{} for _ in donors]
    of_field = guesses(values, observed, step_days, step_km, channels, targets, priors, precision, level)
    for c, guess in of_field:
        prior, w, covariance = priors[channels[c]], observed[:, :, c], guess.covariance
        nothing = torch.zeros_like(w)
        smooth = (covariance.spectrum - covariance.nugget).clamp(min=0)  # the noise of observations is not drawn
        even, colour = same_everywhere(smooth), (smooth / usual_power).sqrt()
        for number, donor in enumerate(donors):
            y, seen = donor.values[:, :, c], donor.observed[:, :, c]
            given = range(targets, len(channels)) if c < targets else ()
            conditions = {channels[i]: on_level(i, donor.level, (whole[number][i], nothing)) for i in given}
            trend, _ = trend_on(y, seen, channels[c], priors, conditions)
            departure = (y - trend) * seen
            variance = departures_variance(departure, seen, prior).view(-1, 1, 1, 1)
            scale = (covariance.variance / variance).sqrt()
            limit = MOST * covariance.variance.sqrt()
            anomalies = (scale * departure).clamp(-limit, limit)
            drawn = even * to_field(colour * to_modes(donor.filaments[:, :, c]))
            completed = _completed(anomalies, seen, drawn, covariance, step_days, step_km)
            whole[number][c] = torch.where(seen > 0, y, trend + completed / scale)
            if wanted is not None and c not in wanted:
                continue
            told = solved(completed * w, w, covariance._replace(counted=w), step_days, step_km)
            error = told.error2(prior).sqrt()
            found[number][:, :, c] = (1 - w) * (completed - told.field + told.noise) / error
    return found


def _completed(
    anomalies: Tensor, seen: Tensor, drawn: Tensor, covariance: Covariance, step_days: float, step_km: Tensor
) -> Tensor:
    """Condition a draw on the anomalies where `seen` (0 or 1), (b, t, y, x)."""
    import torch

    spectrum, nugget = covariance.spectrum, covariance.nugget
    usual = usual_error(seen, spectrum - nugget, nugget, step_days, step_km)
    away = (anomalies - drawn) * seen
    return drawn + complete(away, torch.zeros_like(seen), seen > 0, spectrum, usual, ITERATIONS)
