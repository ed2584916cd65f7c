"""Significance of Sharpe ratios, deflated by the number of trials.

All Sharpe ratios here are per bar, not annualised, and kurtosis is 3 for a normal distribution.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_finite, as_number, as_share, is_whole
from marketsim.errors import ArgumentError
from marketsim.kernels import performance as kernels
from marketsim.kernels.performance import net_rows
from marketsim.metrics.probability import NORMAL

Floats = npt.NDArray[np.float64]
EULER = 0.5772156649015329


def probabilistic_sharpe_ratio(
    sharpe: float, bars: int, *, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Compute the probability that the true Sharpe ratio exceeds a benchmark.

    Phi((S - S*) sqrt(n - 1) / sqrt(1 - skew S + (kurtosis - 1) / 4 S^2)).

    Args:
        sharpe, benchmark: estimated and compared Sharpe ratio, per bar.
        bars: returns that it was estimated from, at least 2.
        skew, kurtosis: of the returns; 0 and 3 are normal.

    Raises:
        ArgumentError: fewer than 2 bars, values that are not finite, or moments that no
            distribution has (kurtosis below skew^2 + 1).

    Example:
        >>> round(probabilistic_sharpe_ratio(0.458, 24, skew=-2.448, kurtosis=10.164), 3)
        0.913

    Source: Bailey and López de Prado, The Sharpe ratio efficient frontier (2012); the example is
    theirs.
    """
    error = _standard_error(sharpe, skew, kurtosis)
    count = as_number("bars", bars, "a number of at least 2")
    if not 2.0 <= count < math.inf:
        raise ArgumentError(f"bars must be a number of at least 2: got {bars!r}")
    return NORMAL.cdf((sharpe - as_finite("benchmark", benchmark)) * math.sqrt(count - 1.0) / error)


def minimum_track_record_length(
    sharpe: float,
    *,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Compute the bars after which a Sharpe ratio exceeds a benchmark with confidence.

    1 + (1 - skew S + (kurtosis - 1) / 4 S^2) (z / (S - S*))^2; infinite where S <= S*.

    Raises:
        ArgumentError: as `probabilistic_sharpe_ratio`, or a confidence outside (0.5, 1).

    Example:
        >>> bars = minimum_track_record_length(2 / 250**0.5, benchmark=1 / 250**0.5)
        >>> round(bars / 250, 2)  # years of daily returns
        2.73

    Source: Bailey and López de Prado (2012); the example is theirs.
    """
    error = _standard_error(sharpe, skew, kurtosis)
    as_share("confidence", confidence, "(0.5, 1)")
    if not sharpe > as_finite("benchmark", benchmark):
        return math.inf
    return 1.0 + (error * NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def _standard_error(sharpe: float, skew: float, kurtosis: float) -> float:
    """Compute the standard error of a Sharpe ratio, times the square root of the bars."""
    for name, value in (("sharpe", sharpe), ("skew", skew), ("kurtosis", kurtosis)):
        as_finite(name, value)
    if kurtosis < skew * skew + 1.0 - 1e-9:
        raise ArgumentError(
            f"no distribution has skew {skew:g} and kurtosis {kurtosis:g}: expected kurtosis >= "
            f"skew^2 + 1; a normal distribution has kurtosis 3, not 0"
        )
    return math.sqrt(max(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe, 1e-12))


def expected_maximum(trials: float) -> float:
    """Compute the expected maximum of `trials` standard normal draws; 0 for one.

    (1 - g) z(1 - 1 / N) + g z(1 - 1 / (N e)), g Euler's constant.

    Raises:
        ArgumentError: fewer than one trial.

    Example:
        >>> round(expected_maximum(100), 3)
        2.531

    Source: Bailey and López de Prado, The deflated Sharpe ratio (2014).
    """
    count = as_number("trials", trials, "a number of at least 1")
    if not 1.0 <= count < math.inf:
        raise ArgumentError(f"trials must be at least 1 and finite: got {trials!r}")
    if count == 1.0:
        return 0.0
    first = -NORMAL.inv_cdf(1.0 / count)  # not of 1 - 1 / N, which is 1 from 1e16 on
    return (1.0 - EULER) * first - EULER * NORMAL.inv_cdf(1.0 / count / math.e)


def minimum_backtest_length(trials: float, target: float = 1.0) -> float:
    """Compute the years of data below which the best of `trials` reaches a target without skill.

    (E[max of N] / target)^2, the target an annualised Sharpe ratio in sample.

    Raises:
        ArgumentError: fewer than one trial, or a target that is not above 0.

    Example:
        >>> round(minimum_backtest_length(45), 1)
        5.0

    Source: Bailey, Borwein, López de Prado and Zhu, Pseudo-mathematics and financial charlatanism
    (2014): with five years, no more than 45 trials.
    """
    if not 0.0 < (goal := as_number("target", target, "a number above 0")) < math.inf:
        raise ArgumentError(f"target must be a finite number above 0: got {target!r}")
    return (expected_maximum(trials) / goal) ** 2


class DeflatedSharpe(NamedTuple):
    """Sharpe ratio of the best of many trials, and the one that luck explains.

    Attributes:
        probability: that the true Sharpe ratio is above 0 after so many trials: the probabilistic
            Sharpe ratio against `threshold`. NaN where no trial has a Sharpe ratio.
        sharpe: per bar, of the strategy that is judged.
        threshold: the Sharpe ratio, per bar, that the best of the trials is expected to have
            without any skill.
        trials: the number of trials that were counted.
        variance: of the Sharpe ratios over the trials.
        skew, kurtosis: of the judged returns.
        strategy: the row that is judged.
        bars: returns.
    """

    probability: float
    sharpe: float
    threshold: float
    trials: float
    variance: float
    skew: float
    kurtosis: float
    strategy: int
    bars: int


def deflated_sharpe_ratio(
    returns: npt.ArrayLike,
    *,
    strategy: int | None = None,
    trials: float | None = None,
    variance: float | None = None,
) -> DeflatedSharpe:
    """Compute the probability that a strategy selected among many trials has skill.

    Args:
        returns: [strategy, bar], net returns of every trial, or [bar] of the selected one; then
            `trials` and `variance` are needed.
        strategy: the row to judge; None: the one with the largest Sharpe ratio.
        trials: how many were tried; None: all rows. `effective_trials` counts similar ones once; a
            ledger knows those that were thrown away.
        variance: of the Sharpe ratios (per bar) over the trials; None: of the rows.

    Raises:
        ArgumentError: returns that are not finite, no variance of a single row, numbers out of
            range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = deflated_sharpe_ratio(rng.normal(0, 0.01, (100, 1250)))
        >>> found.trials, found.probability < 0.95
        (100.0, True)

    Source: Bailey and López de Prado, The deflated Sharpe ratio: correcting for selection bias,
    backtest overfitting and non-normality (2014).
    """
    rows = net_rows(returns, "returns")
    raw = dict(zip(kernels.FIGURES, kernels.row_performance(rows, None, 0.05).T, strict=True))
    sharpe = raw["sharpe"]
    known = sharpe[~np.isnan(sharpe)]
    count = float(len(rows)) if trials is None else as_number("trials", trials)
    if variance is None:
        if len(rows) == 1 and count > 1.0:
            raise ArgumentError(
                "variance= is needed for a single strategy: the variance of the Sharpe ratios (per "
                "bar) of all trials; or give the returns of every trial as [strategy, bar]"
            )
        variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    variance = as_number("variance", variance)
    if not 0.0 <= variance < math.inf:
        raise ArgumentError(f"variance must be at least 0 and finite: got {variance!r}")
    threshold = math.sqrt(variance) * expected_maximum(count)
    if strategy is None:
        strategy = int(np.nanargmax(sharpe)) if len(known) else 0
    if not is_whole(strategy) or not 0 <= strategy < len(rows):
        raise ArgumentError(
            f"strategy must be the number of a row, 0 to {len(rows) - 1}: got {strategy!r:.200}"
        )
    strategy = int(strategy)
    own, skew, kurtosis = (
        float(value[strategy]) for value in (sharpe, raw["skew"], raw["excess_kurtosis"] + 3.0)
    )
    probability = math.nan
    if not math.isnan(own):
        probability = probabilistic_sharpe_ratio(
            own, rows.shape[1], skew=skew, kurtosis=kurtosis, benchmark=threshold
        )
    return DeflatedSharpe(
        probability, own, threshold, count, variance, skew, kurtosis, strategy, rows.shape[1]
    )


class EffectiveTrials(NamedTuple):
    """Number of groups of similar trials.

    Attributes:
        number: groups.
        labels: [strategy], the group of each, from 0, in the order of their first members.
    """

    number: int
    labels: npt.NDArray[np.int64]


def effective_trials(returns: npt.ArrayLike, *, correlation: float = 0.5) -> EffectiveTrials:
    """Count the effective trials: groups of strategies whose returns move together.

    Average linkage on the correlations: the two groups with the largest mean correlation between
    their members are joined, until none is above `correlation`. Independent trials count one each,
    copies once. A strategy without variation is a group of its own.

    Args:
        returns: [strategy, bar], net returns.
        correlation: the mean correlation above which groups are the same, in (0, 1).

    Raises:
        ArgumentError: returns that are not finite, or a correlation out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(2, 500))
        >>> effective_trials([a, b, a + 0.1 * b]).labels.tolist()
        [0, 1, 0]

    Source of the idea: López de Prado and Lewis, Detection of false investment strategies using
    unsupervised learning methods (2019). They choose the number of groups by silhouettes, which
    cannot tell independent trials from one group; a fixed correlation can.
    """
    rows = net_rows(returns, "returns")
    as_share("correlation", correlation)
    if not len(rows):
        return EffectiveTrials(0, np.zeros(0, dtype=np.int64))
    count = len(rows)
    centered = rows - rows.mean(axis=1, keepdims=True)
    size = np.sqrt((centered * centered).sum(axis=1))
    moves = size > 1e-12 * np.sqrt((rows * rows).sum(axis=1))
    centered[moves] /= size[moves, None]
    centered[~moves] = 0.0
    alike = centered @ centered.T
    np.round(alike, 12, out=alike)  # the last bits of a matrix product may differ
    np.fill_diagonal(alike, -np.inf)
    members = [[i] for i in range(count)]
    weight, joined = np.ones(count), np.zeros(count, dtype=np.bool_)
    best = alike.argmax(axis=1)
    while True:
        tops = alike[np.arange(count), best]
        i = int(tops.argmax())
        j = int(best[i])
        if not tops[i] > correlation:
            break
        i, j = min(i, j), max(i, j)
        merged = (weight[i] * alike[i] + weight[j] * alike[j]) / (weight[i] + weight[j])
        alike[i], alike[:, i] = merged, merged
        alike[i, i] = -np.inf
        alike[j], alike[:, j] = -np.inf, -np.inf
        weight[i] += weight[j]
        members[i] += members[j]
        members[j] = []
        joined[j] = True
        stale = ((best == i) | (best == j) | (merged > tops)) & ~joined
        stale[i] = True
        best[stale] = alike[stale].argmax(axis=1)
    labels = np.empty(count, dtype=np.int64)
    groups = sorted(min(group) for group in members if group)
    for group in members:
        if group:
            labels[group] = groups.index(min(group))
    return EffectiveTrials(len(groups), labels)
