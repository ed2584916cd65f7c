"""Tests of the best of many backtests against selection."""

from __future__ import annotations

import importlib
import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import (
    as_flag,
    as_numbers,
    as_share,
    check_one_of,
    check_seed,
    check_whole,
)
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.kernels.performance import net_rows
from marketsim.metrics.bootstrap import check_block_length
from marketsim.metrics.long_run import long_run_variance, normal_score

Floats = npt.NDArray[np.float64]


class BacktestOverfitting(NamedTuple):
    """Out-of-sample performance of the strategy that is best in sample.

    Attributes:
        probability: share of the splits whose best in sample is in the lower half out of sample
            (its logit is at most 0). Selection without skill gives 0.5.
        logits: [split], log(w / (1 - w)), w the relative rank out of sample of the best in sample.
        chosen: [split], the strategy that is best in sample.
        in_sample, out_of_sample: [split], its statistic in both halves.
        slope, intercept: of the regression of the second on the first: performance degradation; a
            slope at or below 0 means that a better backtest is no better afterwards. NaN where the
            statistic in sample is the same in all splits.
        r_squared: of that regression.
        probability_of_loss: share of the splits whose best in sample has a statistic below 0 out of
            sample.
        blocks: parts that the bars were divided into.
        statistic: "sharpe" (per bar) or "mean".
    """

    probability: float
    logits: Floats
    chosen: npt.NDArray[np.int64]
    in_sample: Floats
    out_of_sample: Floats
    slope: float
    intercept: float
    r_squared: float
    probability_of_loss: float
    blocks: int
    statistic: str


def probability_of_backtest_overfitting(
    returns: npt.ArrayLike,
    *,
    blocks: int = 16,
    statistic: Literal["sharpe", "mean"] = "sharpe",
) -> BacktestOverfitting:
    """Estimate the probability of backtest overfitting by symmetric cross-validation (CSCV).

    The bars are divided into blocks, and every choice of half of them is once in sample: 12,870
    splits of 16 blocks. Blocks differ by at most one bar; no bar is left out. Equal statistics
    share a rank; a half without variation has a Sharpe ratio of 0.

    Args:
        returns: [strategy, bar], net returns of every trial, at least two.
        blocks: an even number from 2 to 24.
        statistic: what is the best: the Sharpe ratio per bar, or the mean return.

    Raises:
        ArgumentError: fewer than two strategies, fewer than two bars a block, values that are not
            finite, or another statistic.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise = probability_of_backtest_overfitting(rng.normal(0, 0.01, (20, 500)), blocks=8)
        >>> noise.logits.shape, 0.2 < noise.probability < 0.95
        ((70,), True)

    Source: Bailey, Borwein, López de Prado and Zhu, The probability of backtest overfitting (2017).
    """
    rows = net_rows(returns, "returns")
    if len(rows) < 2:
        raise ArgumentError("expected the returns of at least two strategies: got one")
    check_one_of("statistic", statistic, ("sharpe", "mean"))
    try:
        found = _core.cross_validate(rows, check_whole("blocks", blocks, 2), statistic == "sharpe")
    except (ValueError, TypeError) as error:
        raise ArgumentError(str(error)) from error
    chosen, inside, outside, rank = found
    share = rank / (len(rows) + 1.0)
    logits = np.log(share / (1.0 - share))
    slope, intercept, r_squared = _regression(inside, outside)
    return BacktestOverfitting(
        probability=float((logits <= 0.0).mean()),
        logits=logits,
        chosen=chosen,
        in_sample=inside,
        out_of_sample=outside,
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        probability_of_loss=float((outside < 0.0).mean()),
        blocks=blocks,
        statistic=statistic,
    )


def _regression(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return (slope, intercept, r squared) of y on x."""
    dx, dy = x - x.mean(), y - y.mean()
    spread = float((dx * dx).sum())
    if spread <= 1e-24 * max(float((x * x).sum()), 1e-300):
        return math.nan, math.nan, math.nan
    slope = float((dx * dy).sum()) / spread
    total = float((dy * dy).sum())
    return (
        slope,
        float(y.mean()) - slope * float(x.mean()),
        slope * slope * spread / total if total > 0.0 else math.nan,
    )


class SuperiorityTest(NamedTuple):
    """Test that the best of many strategies beats a benchmark, corrected for the search.

    Attributes:
        lower, consistent, upper: p-values of Hansen's three ways to centre strategies that are
            worse than the benchmark; `consistent` is the one to read. `upper` without studentising
            is White's reality check.
        statistic: largest mean difference to the benchmark, a bar; studentised, over its standard
            error, as a standard normal value, at least 0.
        best: the strategy with it.
        block_length, repetitions, seed, studentized: how it was resampled.
    """

    lower: float
    consistent: float
    upper: float
    statistic: float
    best: int
    block_length: float
    repetitions: int
    seed: int
    studentized: bool


def superior_predictive_ability(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike = 0.0,
    *,
    block_length: float | None = None,
    repetitions: int = 10_000,
    seed: int = 0,
    studentize: bool = False,
) -> SuperiorityTest:
    """Run Hansen's test of superior predictive ability, by the stationary bootstrap.

    The null hypothesis: no strategy is better than the benchmark. Without `studentize` it is the
    test of the package `arch` (whose statistic is not studentised either), which without skill
    rejects 5 to 7 % of the time at 5 % where bars are independent or have an autocorrelation of
    0.3, and 8 to 10 % where it is 0.6. With it the statistic is Hansen's own, which a volatile
    strategy cannot dominate and which is at least 0, and it rejects 4 to 7 % of the time in all of
    these (measured by `consistent` in 400 simulations each of 10 strategies x 250 bars and of 50 x
    500: give or take 2 %).
    Where no strategy has a larger mean than the benchmark all three p-values are 1: `arch`
    computes small ones where a strategy that never trades stands beside losing ones.

    Args:
        returns: [strategy, bar], net returns, or losses with the sign changed.
        benchmark: [bar] or 0 (cash), likewise.
        block_length: mean bars of a block, at least 1; None: the root of the bars, as in `arch`.
        repetitions: bootstrap samples.
        seed: of the bootstrap.
        studentize: divide each mean by its standard error. The resampled means are divided by
            theirs, and the sample's by one that dependence does not make too small, of a
            prewhitened estimate (`marketsim.metrics.long_run`), with the tails of a Student's t:
            Hansen's own, the same for both, rejects 11 to 20 % of the time at 5 % with 20
            strategies of 250 bars whose autocorrelation is 0.3 to 0.6.

    Raises:
        ArgumentError: shapes that do not fit, values that are not finite, numbers out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> luck = superior_predictive_ability(rng.normal(0, 0.01, (20, 500)), repetitions=500)
        >>> luck.lower <= luck.consistent <= luck.upper
        True

    Sources: Hansen, A test for superior predictive ability (2005); White, A reality check for data
    snooping (2000); Politis and Romano, The stationary bootstrap (1994).
    """
    rows = net_rows(returns, "returns")
    if not len(rows):
        raise ArgumentError("expected the returns of at least one strategy: got none")
    studentize = as_flag("studentize", studentize)
    base = as_numbers("benchmark", benchmark, np.float64)
    bars = rows.shape[1]
    if (base.ndim and base.shape != (bars,)) or not np.isfinite(base).all():
        raise ArgumentError(
            f"benchmark must be 0 or [bar] with {bars} finite returns: got shape {base.shape}"
        )
    better = rows - base
    length = float(int(math.sqrt(bars))) if block_length is None else block_length
    check_block_length(length, repetitions, bars)
    mean = better.mean(axis=1)
    variance = _stationary_variance(better - mean[:, None], length)
    # Worse by more than this, a strategy does not matter for the distribution of the largest.
    loglog = 2.0 * math.log(math.log(bars)) if bars > 2 else 0.0
    matters = mean >= -np.sqrt(variance / bars * max(loglog, 0.0))
    offsets = np.stack([np.minimum(mean, 0.0), np.where(matters, 0.0, mean), np.zeros(len(mean))])
    scale = np.ones(len(mean))
    values = mean
    if studentize:
        scale = _reciprocal(np.sqrt(variance / bars))
        values = _normal_scores(better, mean)
    drawn = _core.bootstrap_maxima(better, offsets, scale, length, check_seed(seed), repetitions)
    best = int(values.argmax())
    statistic = float(values[best])
    if studentize:
        statistic, drawn = max(statistic, 0.0), np.maximum(drawn, 0.0)
    # Rounding must not make a difference of a repetition that is the sample itself.
    above = (drawn > statistic + 1e-12 * max(abs(statistic), 1e-300)).mean(axis=0)
    # None is better than the benchmark in the sample itself: nothing speaks against the hypothesis.
    lower, consistent, upper = (float(p) for p in above) if statistic > 0.0 else (1.0, 1.0, 1.0)
    return SuperiorityTest(
        lower, consistent, upper, statistic, best, float(length), repetitions, seed, studentize
    )


def _reciprocal(values: Floats) -> Floats:
    """1 / value, 0 where that is 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0.0)


def _normal_scores(rows: Floats, mean: Floats) -> Floats:
    """The mean of each row over its standard error, as a standard normal value.

    The standard error is not that of the resampled means, which dependence makes too small, and
    its own noise is that of a Student's t.
    """
    bars = rows.shape[1]
    variance, freedom = long_run_variance(rows)
    statistic = mean * _reciprocal(np.sqrt(variance / bars))
    scores = np.array([normal_score(*one) for one in zip(statistic, freedom, strict=True)])
    return np.where((variance == 0.0) & (mean != 0.0), np.copysign(np.inf, mean), scores)


def _stationary_variance(centered: Floats, length: float) -> Floats:
    """Compute the variance [strategy] of the stationary bootstrap's mean, times the bars.

    Politis and Romano (1994), lemma 1: autocovariances, weighted by (1 - i/n) q^i + (i/n) q^(n-i),
    q = 1 - 1 / mean block length.
    """
    bars = centered.shape[1]
    size = 1 << (2 * bars - 1).bit_length()
    spectrum = np.fft.rfft(centered, size, axis=1)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), size, axis=1)[:, :bars] / bars
    lag = np.arange(bars)
    keep = 1.0 - 1.0 / length
    with np.errstate(under="ignore"):
        weight = (1.0 - lag / bars) * keep**lag + lag / bars * keep ** (bars - lag)
    weight[1:] *= 2.0
    weight[0] = 1.0
    variance: Floats = np.maximum((covariance * weight).sum(axis=1), 0.0)
    return variance


class FalseDiscoveries(NamedTuple):
    """Tests that are significant at a false discovery rate.

    Attributes:
        rejected: [test], booleans.
        adjusted: [test], the smallest rate at which each is rejected; NaN of NaN.
    """

    rejected: npt.NDArray[np.bool_]
    adjusted: Floats


def benjamini_hochberg(p_values: npt.ArrayLike, *, rate: float = 0.05) -> FalseDiscoveries:
    """Select the tests that are significant at a false discovery rate of `rate`.

    Args:
        p_values: [test]; NaN are neither counted nor rejected.
        rate: of false discoveries, in (0, 1).

    Raises:
        ArgumentError: p-values outside [0, 1], or a rate out of range.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).adjusted.round(4).tolist()
        [0.04, 0.0533, 0.0533, 0.5]

    Source: Benjamini and Hochberg, Controlling the false discovery rate (1995).
    """
    p = as_numbers("p_values", p_values, np.float64)
    if p.ndim != 1 or (p < 0.0).any() or (p > 1.0).any():
        raise ArgumentError(f"p_values must be [test] in [0, 1]: got {p_values!r:.200}")
    as_share("rate", rate)
    order = np.argsort(p, kind="stable")  # NaN last
    count = int((~np.isnan(p)).sum())
    ordered = p[order[:count]] * count / np.arange(1, count + 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order[:count]] = np.minimum(np.minimum.accumulate(ordered[::-1])[::-1], 1.0)
    return FalseDiscoveries(adjusted <= rate, adjusted)


class ConfidenceSet(NamedTuple):
    """Strategies not significantly worse than the best.

    Attributes:
        included: [strategy], booleans.
        p_values: [strategy], the size of the largest test that would still include each.
    """

    included: npt.NDArray[np.bool_]
    p_values: Floats


def model_confidence_set(
    losses: npt.ArrayLike,
    *,
    size: float = 0.05,
    block_length: int | None = None,
    repetitions: int = 1_000,
    seed: int = 0,
) -> ConfidenceSet:
    """Compute Hansen, Lunde and Nason's model confidence set, through the package `arch`.

    Args:
        losses: [strategy, bar], losses such as pinball losses, or returns with the sign changed.
        size: the chance that the best is not in the set.
        block_length: bars of a block; None: the root of the bars.
        repetitions, seed: of the stationary bootstrap.

    Raises:
        MissingDependencyError: arch is not installed (the extra `stats`).
        ArgumentError: fewer than two strategies, values that are not finite, numbers out of range.

    Of strategies whose losses differ by a constant the best alone is tested: those that are always
    worse are not in the set, and equal ones share its p-value.

    Source: Hansen, Lunde and Nason, The model confidence set (2011).
    """
    rows = net_rows(losses, "losses")
    if len(rows) < 2:
        raise ArgumentError("expected the losses of at least two strategies: got fewer")
    as_share("size", size)
    bars = rows.shape[1]
    length = int(math.sqrt(bars)) if block_length is None else block_length
    check_block_length(check_whole("block_length", length, 1), repetitions, bars)
    check_seed(seed)
    try:
        bootstrap: Any = importlib.import_module("arch.bootstrap")
    except ImportError as error:
        raise MissingDependencyError(
            "the model confidence set needs arch, not installed: pip install '.[stats]' in the "
            "checkout"
        ) from error
    same = _alike(rows)
    different = np.unique(same)
    least = rows[different].mean(axis=1)
    p_values, included = np.ones(len(rows)), np.ones(len(rows), dtype=np.bool_)
    if len(different) > 1:
        found = bootstrap.MCS(
            rows[different].T, size=size, reps=repetitions, block_size=length, seed=seed
        )
        found.compute()
        p_values[different[found.pvalues.index.to_numpy()]] = found.pvalues["Pvalue"].to_numpy()
        included[different] = False
        included[different[list(found.included)]] = True
    worse = rows.mean(axis=1) - least[np.searchsorted(different, same)]
    always = worse > _ROUNDING * np.abs(rows).max()
    return ConfidenceSet(included[same] & ~always, np.where(always, 0.0, p_values[same]))


_ROUNDING = 1e-12  # of differences, relative to the losses


def _alike(rows: Floats) -> npt.NDArray[np.int64]:
    """For each strategy the best one whose losses differ from its own by a constant at most.

    No test has a variance to divide their difference by, and none is needed: the best of them is
    never worse.
    """
    means = rows.mean(axis=1)
    centered = rows - means[:, None]
    most = _ROUNDING * max(float(np.abs(rows).max()), 1e-300)
    found = np.full(len(rows), -1, dtype=np.int64)
    for one in np.argsort(means, kind="stable"):
        if found[one] < 0:
            others = np.flatnonzero(found < 0)
            equal = np.abs(centered[others] - centered[one]).max(axis=1) <= most
            found[others[equal]] = one
    return found
