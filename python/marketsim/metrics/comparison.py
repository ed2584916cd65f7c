"""Tests of forecasts: equal accuracy, coverage, calibration, direction, rank correlation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.metrics.probability import (
    chi_square_p_value,
    share_interval,
    student_t_p_value,
)
from marketsim.metrics.scores import Levels, check_levels

Floats = npt.NDArray[np.float64]


class DieboldMariano(NamedTuple):
    """Test that two forecasts are equally accurate.

    Attributes:
        difference: mean of the first loss less the second; below 0 the first is better.
        statistic: its t statistic with the small-sample correction; NaN where the losses do not
            differ in more than a constant.
        p_value: two-sided, from Student's t with n - 1 degrees of freedom.
        lags: autocovariances in the variance.
        bars: pairs of losses without NaN.
    """

    difference: float
    statistic: float
    p_value: float
    lags: int
    bars: int


def newey_west_lags(count: int, horizon: int = 1) -> int:
    """Return lags of the long-run variance: max(horizon - 1, floor(4 (n / 100)^(2/9))).

    Source: Newey and West, Automatic lag selection in covariance matrix estimation, 1994.
    """
    return min(max(horizon - 1, int(4.0 * (count / 100.0) ** (2.0 / 9.0))), max(count - 1, 0))


def long_run_variance(values: npt.ArrayLike, lags: int) -> float:
    """Compute the variance of the mean times n, with Bartlett weights (Newey and West, 1987).

    Example:
        >>> long_run_variance([1.0, -1.0, 1.0, -1.0], 1)
        0.25
    """
    series = np.asarray(values, dtype=np.float64)
    centered = series - series.mean()
    total = float(centered @ centered)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centered[lag:] @ centered[:-lag])
    return total / len(series)


def diebold_mariano(
    first: npt.ArrayLike, second: npt.ArrayLike, *, horizon: int = 1, lags: int | None = None
) -> DieboldMariano:
    """Test whether two forecasts of the same values are equally accurate.

    The mean difference of their losses over its standard error by Newey and West, with the
    small-sample correction sqrt((n + 1 - 2 h + h (h - 1) / n) / n).

    Args:
        first, second: [bar], losses of both, such as absolute errors or pinball losses; pairs with
            a NaN are left out.
        horizon: steps ahead that were forecast.
        lags: autocovariances in the variance; None: `newey_west_lags`.

    Raises:
        ArgumentError: lengths that differ, or a horizon or lags out of range.

    Example:
        >>> found = diebold_mariano([1.0, 2.0, 1.0, 2.0, 1.0], [2.0, 3.0, 2.5, 3.0, 2.0])
        >>> found.difference
        -1.1

    Sources: Diebold and Mariano, Comparing predictive accuracy (1995); Harvey, Leybourne and
    Newbold, Testing the equality of prediction mean squared errors (1997).
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ArgumentError(f"losses must be [bar], of one length: got {a.shape} and {b.shape}")
    difference = a - b
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    if horizon < 1 or (lags is not None and not 0 <= lags < max(n, 1)):
        raise ArgumentError(
            f"expected horizon >= 1 and 0 <= lags < {n}: got horizon {horizon}, lags {lags}"
        )
    used = newey_west_lags(n, horizon) if lags is None else lags
    if n < 2:
        return DieboldMariano(float(difference.mean()) if n else math.nan, math.nan, math.nan, 0, n)
    mean = float(difference.mean())
    variance = long_run_variance(difference, used) / n
    # Rounding leaves a trace of variance in a constant difference.
    if variance <= 1e-26 * max(mean * mean, float(np.abs(a).max()) ** 2 * 1e-6, 1e-300):
        return DieboldMariano(mean, math.nan, math.nan, used, n)
    correction = (n + 1.0 - 2.0 * horizon + horizon * (horizon - 1.0) / n) / n
    statistic = mean / math.sqrt(variance) * math.sqrt(max(correction, 0.0))
    return DieboldMariano(mean, statistic, student_t_p_value(statistic, n - 1.0), used, n)


class Share(NamedTuple):
    """A share of bars with its interval.

    Attributes:
        share: hits / bars; NaN without a bar.
        low, high: score interval (Wilson, 1927), 95 % unless another confidence was stated; bars
            taken as independent.
        bars: how many count.
    """

    share: float
    low: float
    high: float
    bars: int


def share_of(hits: npt.ArrayLike, confidence: float = 0.95) -> Share:
    """Compute the share of True in booleans [bar], with its interval."""
    flags = np.asarray(hits, dtype=np.bool_)
    low, high = share_interval(flags.sum(), len(flags), confidence)
    share = float(flags.mean()) if len(flags) else math.nan
    return Share(share, float(low), float(high), len(flags))


def coverage(
    actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *, confidence: float = 0.95
) -> Share:
    """Compute the share of actual values [bar] within forecast bounds [bar], both included.

    Bars with a NaN are left out and not counted.

    Example:
        >>> coverage([0.0, 2.0], [-1.0, -1.0], [1.0, 1.0]).share
        0.5
    """
    came, below, above = (np.asarray(v, dtype=np.float64) for v in (actual, low, high))
    known = ~(np.isnan(came) | np.isnan(below) | np.isnan(above))
    return share_of(((below <= came) & (came <= above))[known], confidence)


def direction(actual: npt.ArrayLike, forecast: npt.ArrayLike, *, confidence: float = 0.95) -> Share:
    """Compute the share of bars whose forecast has the outcome's sign.

    Bars where either is 0 or NaN have no direction and do not count.

    Example:
        >>> direction([0.1, -0.2, 0.0], [0.3, 0.1, 0.1]).share
        0.5
    """
    came, stated = np.sign(np.asarray(actual, float)), np.sign(np.asarray(forecast, float))
    counts = (came * stated != 0.0) & ~np.isnan(came * stated)
    return share_of((came == stated)[counts], confidence)


class PitHistogram(NamedTuple):
    """Histogram of where outcomes fall in the forecast distribution, and a test of evenness.

    Attributes:
        edges: [bin + 1], probabilities from 0 to 1; the levels lie between.
        counts: [bin], outcomes in each; those on a quantile count half to either side.
        expected: [bin], what a calibrated forecast gives.
        p_value: Pearson's chi-square test that the counts are as expected; NaN below 5 expected in
            a bin. It takes the bars as independent.
    """

    edges: Floats
    counts: Floats
    expected: Floats
    p_value: float


def pit_histogram(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Levels) -> PitHistogram:
    """Compute the PIT histogram; its bins lie between the forecast's own levels.

    Nothing is interpolated: an outcome between the 10 % and the 20 % quantile lies in that bin.

    Args:
        actual: [bar], outcomes.
        quantiles: [bar, level]; bars with a NaN are left out.
        levels: [level], ascending in (0, 1).

    Raises:
        ArgumentError: levels or shapes that do not fit.

    Example:
        >>> pit_histogram([-1.0, 0.5, 2.0], [[0.0, 1.0]] * 3, [0.25, 0.75]).counts.tolist()
        [1.0, 1.0, 1.0]

    Source: Gneiting, Balabdaoui and Raftery, Probabilistic forecasts, calibration and sharpness
    (2007).
    """
    at = check_levels(levels)
    came, stated = np.asarray(actual, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    if came.ndim != 1 or stated.shape != (len(came), len(at)):
        raise ArgumentError(
            f"quantiles must be [bar, level] {(len(came), len(at))}: got shape {stated.shape}"
        )
    known = ~(np.isnan(came) | np.isnan(stated).any(axis=1))
    came, stated = came[known], stated[known]
    # Where an outcome is equal to quantiles, half of it goes below the first and half above the
    # last.
    below = (stated < came[:, None]).sum(axis=1)
    upto = (stated <= came[:, None]).sum(axis=1)
    bins = len(at) + 1
    both = np.bincount(below, minlength=bins) + np.bincount(upto, minlength=bins)
    counts = both * np.float64(0.5)
    edges = np.r_[0.0, at, 1.0]
    expected = np.diff(edges) * len(came)
    p_value = math.nan
    if len(came) and expected.min() >= 5.0:
        p_value = chi_square_p_value(float(((counts - expected) ** 2 / expected).sum()), bins - 1.0)
    return PitHistogram(edges, counts, expected, p_value)


class InformationCoefficient(NamedTuple):
    """Rank correlation of forecasts and outcomes across symbols.

    Attributes:
        mean: over the bars that have one.
        error: its standard error by Newey and West.
        p_value: two-sided, that the mean is 0.
        each: [bar], Spearman's correlation; NaN below three symbols or where all are equal.
    """

    mean: float
    error: float
    p_value: float
    each: Floats


def ranks(values: npt.ArrayLike) -> Floats:
    """Rank values [n] from 1; equal values share the mean of their ranks.

    Example:
        >>> ranks([3.0, 1.0, 3.0]).tolist()
        [2.5, 1.0, 2.5]
    """
    row = np.asarray(values, dtype=np.float64)
    _, at, counts = np.unique(row, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Floats = (last - (counts - 1) / 2.0)[at]
    return shared


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Compute Spearman's rank correlation of two arrays [n] without pairs that have a NaN.

    NaN below three pairs, or where all of one are equal.

    Example:
        >>> rank_correlation([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
        0.5
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ArgumentError(f"expected two arrays of one length: got {a.shape} and {b.shape}")
    known = ~(np.isnan(a) | np.isnan(b))
    if known.sum() < 3:
        return math.nan
    x, y = ranks(a[known]), ranks(b[known])
    x, y = x - x.mean(), y - y.mean()
    size = float((x @ x) * (y @ y))
    return float(x @ y) / math.sqrt(size) if size > 0.0 else math.nan


def information_coefficient(
    forecast: npt.ArrayLike, actual: npt.ArrayLike
) -> InformationCoefficient:
    """Compute the rank correlation of a universe's forecasts with the outcomes of each bar.

    Args:
        forecast, actual: [bar, symbol]; NaN where a symbol has none.

    Raises:
        ArgumentError: shapes that differ or are not 2-D.

    Source: Grinold and Kahn, Active Portfolio Management (2000), chapter 6.
    """
    stated, came = np.asarray(forecast, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if stated.ndim != 2 or stated.shape != came.shape:
        raise ArgumentError(
            f"expected forecast and actual [bar, symbol]: got {stated.shape} and {came.shape}"
        )
    each = np.array([rank_correlation(a, b) for a, b in zip(stated, came, strict=True)])
    found = each[~np.isnan(each)]
    if len(found) < 2:
        mean = float(found.mean()) if len(found) else math.nan
        return InformationCoefficient(mean, math.nan, math.nan, each)
    test = diebold_mariano(found, np.zeros(len(found)))
    error = math.sqrt(long_run_variance(found, test.lags) / len(found))
    return InformationCoefficient(test.difference, error, test.p_value, each)
