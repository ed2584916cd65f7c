"""Forecast skill against no change and climatology."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.metrics.comparison import diebold_mariano, pit_histogram, rank_correlation
from marketsim.metrics.probability import share_interval
from marketsim.metrics.scores import Levels, check_levels, pinball_loss, quantile_crps

if TYPE_CHECKING:
    from marketsim.models import Distribution

Floats = npt.NDArray[np.float64]

# The central interval whose coverage is reported.
COVERAGE_LEVELS = (0.1, 0.9)


class Skill(NamedTuple):
    """Figures for each target [target]; moves in fractions.

    Ratios are relative to what needs no skill: below 1 is better, and forecasts of pure noise
    have 1. Point forecasts are compared with the random walk (no change), distributions with the
    climatology (quantiles of the outcomes before). p-values are Diebold and Mariano's, two-sided,
    and NaN where the losses do not differ.

    Attributes:
        mae, mae_random_walk, mae_ratio, mae_p_value: mean absolute error of the point forecasts,
            that of no change, their ratio, and the p-value of equal accuracy.
        rmse, rmse_ratio: root mean squared error, and relative to no change.
        mase: mae / the mean absolute move before the first forecast (Hyndman and Koehler, 2006);
            NaN where that was not given.
        pinball, pinball_climatology, pinball_ratio, pinball_p_value: mean quantile loss over the
            levels, likewise.
        crps, crps_ratio: continuous ranked probability score from the quantiles, and relative to
            the climatology.
        coverage, coverage_low, coverage_high: share of the outcomes within the 10 % and 90 %
            quantiles, 0.8 when calibrated, and its 95 % score interval.
        pit_p_value: chi-square test that each part between the quantiles is hit as often as it
            says; NaN where too few outcomes are expected in one.
        direction, direction_low, direction_high: share of point forecasts on the side of no
            change that the outcome was on, of those where both are on one, and its 95 % interval.
        rank_correlation: Spearman's, of point forecasts and outcomes.
        bars: forecasts.
    """

    mae: Floats
    mae_random_walk: Floats
    mae_ratio: Floats
    mae_p_value: Floats
    rmse: Floats
    rmse_ratio: Floats
    mase: Floats
    pinball: Floats
    pinball_climatology: Floats
    pinball_ratio: Floats
    pinball_p_value: Floats
    crps: Floats
    crps_ratio: Floats
    coverage: Floats
    coverage_low: Floats
    coverage_high: Floats
    pit_p_value: Floats
    direction: Floats
    direction_low: Floats
    direction_high: Floats
    rank_correlation: Floats
    bars: Floats


def forecast_skill(
    actual: npt.ArrayLike,
    point: npt.ArrayLike,
    distribution: Distribution,
    levels: Levels,
    climatology: npt.ArrayLike,
    *,
    random_walk: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike | None = None,
    horizon: int = 1,
) -> Skill:
    """Score forecasts [bar, target] against the outcomes.

    Args:
        actual: [bar, target], the moves that came.
        point: [bar, target], the model's point forecasts.
        distribution: the model's forecasts, of shape [bar, target].
        levels: quantile levels to judge, ascending in (0, 1).
        climatology: [bar, target, level], quantiles at these levels of the outcomes before each
            bar; see `marketsim.metrics.climatology`.
        random_walk: [bar, target] or 0, the move that no change of the target's own price means: 0
            against its own last price, log(x[t-1] / close[t-1]) against the close before.
        scale: [target], mean absolute move of no change before the first bar, for `mase`.
        horizon: steps ahead that were forecast.

    Raises:
        ArgumentError: shapes that do not fit, or no bar.
    """
    came, stated = np.asarray(actual, dtype=np.float64), np.asarray(point, dtype=np.float64)
    usual = np.asarray(climatology, dtype=np.float64)
    at = check_levels(levels)
    if came.ndim != 2 or not len(came) or stated.shape != came.shape:
        raise ArgumentError(
            f"expected actual and point [bar, target], at least one bar: got {came.shape} and "
            f"{stated.shape}"
        )
    walk = np.asarray(random_walk, dtype=np.float64)
    error, naive = stated - came, came - walk
    quantiles = distribution.quantile(at)
    own, theirs = pinball_loss(came, quantiles, at), pinball_loss(came, usual, at)
    crps, usual_crps = (quantile_crps(came, q, at).mean(axis=0) for q in (quantiles, usual))
    mae, mae_naive = np.abs(error).mean(axis=0), np.abs(naive).mean(axis=0)
    rmse, rmse_naive = (np.sqrt((e * e).mean(axis=0)) for e in (error, naive))
    covered = _covered(came, distribution)
    hits, directed = _directions(came - walk, stated - walk)
    count, targets = len(came), range(came.shape[1])
    low, high = share_interval(covered, count)
    direction_low, direction_high = share_interval(hits, directed)
    return Skill(
        mae=mae,
        mae_random_walk=mae_naive,
        mae_ratio=_ratio(mae, mae_naive),
        mae_p_value=_p_values(np.abs(error), np.abs(naive), horizon),
        rmse=rmse,
        rmse_ratio=_ratio(rmse, rmse_naive),
        mase=np.full(len(mae), math.nan)
        if scale is None
        else _ratio(mae, np.asarray(scale, float)),
        pinball=own.mean(axis=0),
        pinball_climatology=theirs.mean(axis=0),
        pinball_ratio=_ratio(own.mean(axis=0), theirs.mean(axis=0)),
        pinball_p_value=_p_values(own, theirs, horizon),
        crps=crps,
        crps_ratio=_ratio(crps, usual_crps),
        coverage=covered / count,
        coverage_low=low,
        coverage_high=high,
        pit_p_value=np.array(
            [pit_histogram(came[:, i], quantiles[:, i], at).p_value for i in targets]
        ),
        direction=_ratio(hits, directed),
        direction_low=direction_low,
        direction_high=direction_high,
        rank_correlation=np.array([rank_correlation(stated[:, i], came[:, i]) for i in targets]),
        bars=np.full(len(mae), float(count)),
    )


def _covered(came: Floats, distribution: Distribution) -> Floats:
    low, high = np.moveaxis(distribution.quantile(COVERAGE_LEVELS), -1, 0)
    covered: Floats = ((low <= came) & (came <= high)).sum(axis=0).astype(np.float64)
    return covered


def _directions(came: Floats, stated: Floats) -> tuple[Floats, Floats]:
    """Return (forecasts with the outcome's sign, those where both have one) of each target."""
    product = np.sign(came) * np.sign(stated)
    return (product > 0.0).sum(axis=0).astype(float), (product != 0.0).sum(axis=0).astype(float)


def _p_values(first: Floats, second: Floats, horizon: int) -> Floats:
    pairs = zip(first.T, second.T, strict=True)
    return np.array([diebold_mariano(a, b, horizon=horizon).p_value for a, b in pairs])


def _ratio(value: Floats, by: npt.ArrayLike) -> Floats:
    ratio: Floats = value / np.where(np.asarray(by) > 0.0, by, np.nan)
    return ratio
