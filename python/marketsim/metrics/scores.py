"""Scores of each forecast: quantile loss and CRPS; the climatology to compare them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError

Floats = npt.NDArray[np.float64]
Levels = Sequence[float] | npt.NDArray[np.float64]


# Bars that the climatology looks back on: a year of daily bars.
CLIMATOLOGY_WINDOW = 250


def check_levels(levels: Levels) -> Floats:
    """Return quantile levels as an array; raise unless they ascend in (0, 1).

    Raises:
        ArgumentError: none, out of order, or outside (0, 1).
    """
    at = np.asarray(levels, dtype=np.float64)
    if at.ndim != 1 or not at.size or not (at > 0.0).all() or not (at < 1.0).all():
        raise ArgumentError(f"levels must be numbers in (0, 1), at least one: got {levels!r}")
    if (np.diff(at) <= 0.0).any():
        raise ArgumentError(f"levels must ascend: got {levels!r}")
    return at


def pinball_loss(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Levels) -> Floats:
    """Compute the quantile loss averaged over the levels (Koenker and Bassett, 1978).

    Args:
        actual: [...], what came.
        quantiles: [..., level], forecast quantiles.
        levels: [level], ascending in (0, 1).

    Returns:
        [...]; NaN where a value is.

    Raises:
        ArgumentError: levels or shapes that do not fit.

    Example:
        >>> pinball_loss([1.0], [[0.0, 2.0]], [0.1, 0.9]).round(6).tolist()
        [0.1]
    """
    losses = _losses(actual, quantiles, check_levels(levels))
    mean: Floats = losses.mean(axis=-1)
    return mean


def quantile_crps(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Levels) -> Floats:
    """Compute the continuous ranked probability score of distributions given by quantiles.

    CRPS = 2 x integral of the quantile loss over the levels from 0 to 1 (Gneiting and Raftery,
    2007, Strictly proper scoring rules), by trapezoids between the levels; at 0 and 1 the loss is
    0. The
    more levels, the closer to the score of the whole distribution: compare forecasts at the same.

    Args:
        actual: [...], what came.
        quantiles: [..., level], forecast quantiles.
        levels: [level], ascending in (0, 1).

    Raises:
        ArgumentError: levels or shapes that do not fit.

    Example:
        >>> quantile_crps([1.0], [[0.0]], [0.5]).tolist()
        [0.5]
    """
    at = check_levels(levels)
    edges = np.r_[0.0, at, 1.0]
    weights = edges[2:] - edges[:-2]  # twice the trapezoids' halves to both sides
    losses = _losses(actual, quantiles, at)
    score: Floats = (losses * weights).sum(axis=-1)
    return score


def sample_crps(actual: npt.ArrayLike, samples: npt.ArrayLike) -> Floats:
    """Compute the CRPS of distributions that give each sample equal weight.

    mean|x - y| - mean|x - x'| / 2 over all pairs, in n log n by sorting (Jordan, Krüger and Lerch,
    2019, Evaluating probabilistic forecasts with scoringRules).

    Args:
        actual: [...], what came.
        samples: [..., sample], draws of each forecast, at least one.

    Raises:
        ArgumentError: shapes that do not fit.

    Example:
        >>> sample_crps([1.0], [[0.0, 2.0]]).tolist()
        [0.5]
    """
    came, drawn = np.asarray(actual, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    if drawn.ndim == 0 or drawn.shape[:-1] != came.shape or drawn.shape[-1] == 0:
        raise ArgumentError(f"samples must be {(*came.shape, 'sample')}: got shape {drawn.shape}")
    ordered, count = np.sort(drawn, axis=-1), drawn.shape[-1]
    rank = 2.0 * np.arange(1, count + 1) - count - 1.0
    distance = np.abs(drawn - came[..., None]).mean(axis=-1)
    score: Floats = distance - (ordered * rank).sum(axis=-1) / count**2
    return score


def climatology(
    values: npt.ArrayLike, levels: Levels, *, start: int, window: int = CLIMATOLOGY_WINDOW
) -> Floats:
    """Compute quantiles of the last values before each bar: the climatology.

    Row t - start has the quantiles of values[t - window : t], so a forecast of bar t sees no value
    of bar t or later. NaN are left out. Linear between order statistics.

    Args:
        values: [bar] or [bar, target], outcomes by ascending time.
        levels: [level], ascending in (0, 1).
        start: the first bar that is forecast, at least 1.
        window: bars that are looked back on; fewer where the series begins.

    Returns:
        [bars - start + 1, level] or [bars - start + 1, target, level]; the last row is the forecast
        of the bar after the series.

    Raises:
        ArgumentError: a start outside 1 .. bars, a window below 1, or levels out of range.

    Example:
        >>> climatology([1.0, 2.0, 3.0, 4.0], [0.5], start=2, window=2).tolist()
        [[1.5], [2.5], [3.5]]
    """
    at = check_levels(levels)
    series = np.asarray(values, dtype=np.float64)
    if series.ndim not in (1, 2) or not 1 <= start <= len(series) or window < 1:
        raise ArgumentError(
            "expected values [bar] or [bar, target], 1 <= start <= bars and window >= 1: "
            f"got shape {series.shape}, start {start}, window {window}"
        )
    rows = np.ascontiguousarray(np.atleast_2d(series.T))
    found = _core.rolling_quantiles(rows, start, window, at)
    return found[0] if series.ndim == 1 else np.ascontiguousarray(found.transpose(1, 0, 2))


def _losses(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Floats) -> Floats:
    came, stated = np.asarray(actual, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    if stated.shape != (*came.shape, len(levels)):
        raise ArgumentError(
            f"quantiles must have the shape {(*came.shape, len(levels))} of the actual values and "
            f"the levels: got {stated.shape}"
        )
    error = came[..., None] - stated
    losses: Floats = np.maximum(levels * error, (levels - 1.0) * error)
    return losses
