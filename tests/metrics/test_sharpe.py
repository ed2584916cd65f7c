"""Worked examples of the papers, independent formulas, simulations of the null hypothesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from marketsim.metrics import (
    deflated_sharpe_ratio,
    effective_trials,
    expected_maximum,
    minimum_backtest_length,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)


def test_probabilistic_sharpe_ratio_of_the_paper() -> None:
    # Bailey and López de Prado (2012): two years of monthly returns, Sharpe ratio 1.59 a year.
    assert probabilistic_sharpe_ratio(0.458, 24) == pytest.approx(0.982, abs=5e-4)
    fat = probabilistic_sharpe_ratio(0.458, 24, skew=-2.448, kurtosis=10.164)
    assert fat == pytest.approx(0.913, abs=5e-4)


def test_minimum_track_record_length_of_the_paper() -> None:
    # A Sharpe ratio of 2 a year against 1, in years of daily, weekly and monthly returns.
    for periods, years in ((250, 2.73), (52, 2.83), (12, 3.24)):
        root = math.sqrt(periods)
        bars = minimum_track_record_length(2 / root, benchmark=1 / root)
        assert bars / periods == pytest.approx(years, abs=5e-3)
    assert minimum_track_record_length(0.1, benchmark=0.1) == math.inf
    # At this length the probability is the confidence.
    length = minimum_track_record_length(0.1, skew=-1.0, kurtosis=7.0, benchmark=0.02)
    error = math.sqrt(1 + 0.1 + 6 / 4 * 0.01)
    assert stats.norm.cdf(0.08 * math.sqrt(length - 1) / error) == pytest.approx(0.95)


def trials_of_the_paper(count: int, skew: float, kurtosis: float) -> float:
    """Bailey and López de Prado (2014): Sharpe ratio 2.5 a year in 1,250 days, variance 1/2."""
    threshold = math.sqrt(0.5 / 250) * expected_maximum(count)
    return probabilistic_sharpe_ratio(
        2.5 / math.sqrt(250), 1250, skew=skew, kurtosis=kurtosis, benchmark=threshold
    )


def test_deflated_sharpe_ratio_of_the_paper() -> None:
    assert math.sqrt(0.5 / 250) * expected_maximum(100) == pytest.approx(0.1132, abs=5e-5)
    assert trials_of_the_paper(100, -3.0, 10.0) == pytest.approx(0.9004, abs=2e-4)
    # With fewer trials it would have passed at 95 %: 46 of them, or 88 were the returns normal.
    assert trials_of_the_paper(46, -3.0, 10.0) == pytest.approx(0.9505, abs=2e-4)
    assert trials_of_the_paper(88, 0.0, 3.0) == pytest.approx(0.9505, abs=2e-4)


def test_minimum_backtest_length_of_the_paper() -> None:
    # Five years of data allow 45 trials.
    assert minimum_backtest_length(45) == pytest.approx(5.0, abs=0.01)
    assert minimum_backtest_length(46) > 5.0
    assert minimum_backtest_length(45, target=2.0) == pytest.approx(1.25, abs=0.01)


def test_the_expected_maximum_is_near_the_exact_one() -> None:
    for count in (5, 50, 1000):

        def density(x: float, n: int = count) -> float:
            return x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1)

        exact, _ = integrate.quad(density, -10, 10)
        assert expected_maximum(count) == pytest.approx(exact, rel=0.03)
    assert expected_maximum(1) == 0.0


def test_deflated_sharpe_ratio_of_returns_by_its_formula() -> None:
    rng = np.random.default_rng(0)
    returns = rng.standard_t(5, (40, 600)) * 0.01 + rng.normal(0, 0.0005, (40, 1))
    got = deflated_sharpe_ratio(returns)
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    best = ratios.argmax()
    row, own = returns[best], ratios[best]
    z = stats.norm.ppf
    highest = (1 - np.euler_gamma) * z(1 - 1 / 40) + np.euler_gamma * z(1 - 1 / (40 * math.e))
    threshold = ratios.std(ddof=1) * highest
    spread = 1 - stats.skew(row) * own + (stats.kurtosis(row, fisher=False) - 1) / 4 * own**2
    expected = stats.norm.cdf((own - threshold) * math.sqrt(599 / spread))
    assert got.strategy == best
    assert got.threshold == pytest.approx(threshold, rel=1e-10)
    assert got.probability == pytest.approx(expected, rel=1e-9)
    more = deflated_sharpe_ratio(returns, trials=5000)
    assert more.probability < got.probability
    single = deflated_sharpe_ratio(row, trials=40, variance=ratios.var(ddof=1))
    assert single.probability == pytest.approx(got.probability, rel=1e-12)
    assert deflated_sharpe_ratio(row, trials=1).threshold == 0.0


def test_without_skill_the_best_of_many_passes_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(1)
    runs = 600
    draws = rng.normal(0, 0.01, (runs, 50, 250))
    passed = sum(deflated_sharpe_ratio(draw).probability > 0.95 for draw in draws)
    # The expected maximum is the middle of what the best has, so at most 5 % lie this far above.
    assert passed / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    # Not deflated, the best of 50 passes nearly always.
    naive = sum(deflated_sharpe_ratio(draw, trials=1).probability > 0.95 for draw in draws[:50])
    assert naive >= 40


def test_probabilistic_sharpe_ratio_rejects_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    sample = rng.standard_t(6, (4000, 500))
    ratio = sample.mean(axis=1) / sample.std(axis=1, ddof=1)
    skew, kurtosis = stats.skew(sample, axis=1), stats.kurtosis(sample, axis=1, fisher=False)
    passed = [
        probabilistic_sharpe_ratio(r, 500, skew=s, kurtosis=k) > 0.95
        for r, s, k in zip(ratio, skew, kurtosis, strict=True)
    ]
    assert np.mean(passed) == pytest.approx(0.05, abs=2.5 * math.sqrt(0.05 * 0.95 / 4000))


def test_effective_trials() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=(6, 500))
    family = np.repeat(base, 5, axis=0) + 0.3 * rng.normal(size=(30, 500))
    found = effective_trials(family)
    assert found.number == 6
    np.testing.assert_array_equal(found.labels, np.repeat(np.arange(6), 5))
    assert effective_trials(rng.normal(size=(40, 250))).number == 40
    assert effective_trials(np.tile(base[0], (9, 1))).number == 1
    assert effective_trials(-np.outer([1.0, -1.0], base[0])).number == 2  # opposites are not alike
    constant = effective_trials(np.vstack([base[0], np.full(500, 0.1), np.full(500, 0.1)]))
    assert constant.number == 3
    shuffled = rng.permutation(30)
    labels = effective_trials(family[shuffled]).labels
    for group in range(6):
        assert len(set(labels[shuffled // 5 == group])) == 1


def test_average_linkage_is_scipys() -> None:
    from scipy.cluster import hierarchy

    rng = np.random.default_rng(4)
    rows = rng.normal(size=(4, 120))[rng.integers(0, 4, 25)] + rng.normal(size=(25, 120))
    tree = hierarchy.linkage(rows, "average", metric="correlation")
    for limit in (0.2, 0.4, 0.6):
        labels = hierarchy.fcluster(tree, 1.0 - limit, "distance")
        assert effective_trials(rows, correlation=limit).number == len(set(labels))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probabilistic_sharpe_ratio(0.1, 1), "bars must be a number of at least 2"),
        (lambda: probabilistic_sharpe_ratio(math.nan, 10), "finite"),
        (lambda: probabilistic_sharpe_ratio(0.1, 10, kurtosis=0.0), "kurtosis 3, not 0"),
        (lambda: minimum_track_record_length(0.1, confidence=0.5), r"\(0.5, 1\)"),
        (lambda: expected_maximum(0.5), "at least 1"),
        (lambda: minimum_backtest_length(10, target=0.0), "target"),
        (lambda: deflated_sharpe_ratio([0.1, 0.2, 0.1], trials=5), "variance= is needed"),
        (lambda: deflated_sharpe_ratio([[0.1, 0.2]], trials=5, variance=-1.0), "variance must"),
        (
            lambda: deflated_sharpe_ratio([[0.1, 0.2], [0.2, 0.1]], strategy=2),
            "number of a row, 0 to 1",
        ),
        (lambda: effective_trials([[0.1, 0.2]], correlation=1.0), "correlation"),
    ],
)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_strategies_without_variation_have_no_probability() -> None:
    assert math.isnan(deflated_sharpe_ratio(np.zeros((3, 50))).probability)
