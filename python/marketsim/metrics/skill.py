"""How good forecasts are, next to naive ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.models import Distribution

Floats = npt.NDArray[np.float64]

# The central interval whose coverage is reported.
COVERAGE_LEVELS = (0.1, 0.9)


class Skill(NamedTuple):
    """Figures for each target [target]; returns in fractions.

    Attributes:
        mae: mean absolute error of the point forecasts.
        mae_persistence: that of the last return again.
        mae_random_walk: that of no change: a return of 0.
        pinball: mean quantile loss over the model's own levels (Koenker and Bassett, 1978).
        pinball_persistence: that of persistence at the same levels.
        coverage: share of actual values within the 10 % and 90 % quantiles; 0.8 is calibrated.
    """

    mae: Floats
    mae_persistence: Floats
    mae_random_walk: Floats
    pinball: Floats
    pinball_persistence: Floats
    coverage: Floats


def forecast_skill(
    actual: Floats,
    point: Floats,
    distribution: Distribution,
    levels: tuple[float, ...],
    persistence: Distribution,
) -> Skill:
    """Skill of forecasts [day, target] against what came.

    Args:
        actual: [day, target], the returns that came.
        point: [day, target], the model's point forecasts.
        distribution: the model's forecasts, of shape [day, target].
        levels: quantile levels to judge, in (0, 1).
        persistence: forecasts of the persistence model for the same days.
    """
    low, high = np.moveaxis(distribution.quantile(COVERAGE_LEVELS), -1, 0)
    return Skill(
        mae=np.abs(actual - point).mean(axis=0),
        mae_persistence=np.abs(actual - persistence.mean).mean(axis=0),
        mae_random_walk=np.abs(actual).mean(axis=0),
        pinball=pinball_loss(actual, distribution.quantile(levels), levels).mean(axis=0),
        pinball_persistence=pinball_loss(actual, persistence.quantile(levels), levels).mean(axis=0),
        coverage=((low <= actual) & (actual <= high)).mean(axis=0),
    )


def pinball_loss(actual: Floats, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Quantile loss averaged over the levels: actual [...], quantiles [..., level] to [...]."""
    loss = np.zeros(actual.shape)
    for i, level in enumerate(levels):
        error = actual - quantiles[..., i]
        loss += np.maximum(level * error, (level - 1.0) * error)
    return loss / len(levels)
