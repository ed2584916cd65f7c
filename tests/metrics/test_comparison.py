from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marketsim.metrics import (
    coverage,
    diebold_mariano,
    direction,
    information_coefficient,
    long_run_variance,
    pit_histogram,
    rank_correlation,
)

RNG = np.random.default_rng(11)


def test_diebold_mariano_is_the_formula_of_the_papers() -> None:
    n, h = 120, 3
    noise = RNG.normal(size=n + 2)
    difference = noise[2:] + noise[1:-1] + noise[:-2] + 0.4
    first = np.abs(RNG.normal(size=n)) + 2.0
    found = diebold_mariano(first + difference, first, horizon=h, lags=4)
    d = difference - difference.mean()
    gamma = [np.mean(d[k:] * d[: n - k]) if k else np.mean(d * d) for k in range(5)]
    gamma = [np.sum(d[k:] * d[: n - k]) / n for k in range(5)]
    variance = gamma[0] + 2 * sum((1 - k / 5) * gamma[k] for k in range(1, 5))
    harvey = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = difference.mean() / math.sqrt(variance / n) * harvey
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), n - 1), rel=1e-10)
    assert (found.lags, found.bars) == (4, n)


def test_newey_west_equals_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    values = np.convolve(RNG.normal(size=300), [1.0, 0.6, 0.3], "valid")
    for lags in (0, 1, 5, 12):
        fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        own = math.sqrt(long_run_variance(values, lags) / len(values))
        assert own == pytest.approx(fit.bse[0], rel=1e-10)


def test_equal_forecasts_are_rejected_as_often_as_stated() -> None:
    rejected = [
        diebold_mariano(*np.abs(RNG.normal(size=(2, 250)))).p_value < 0.05 for _ in range(2000)
    ]
    # Two binomial errors, and what estimating the long-run variance adds at 250 bars.
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.02)


def test_losses_that_do_not_differ_have_no_p_value() -> None:
    losses = np.abs(RNG.normal(size=50))
    same, constant = diebold_mariano(losses, losses), diebold_mariano(losses + 0.5, losses)
    assert same.difference == 0.0 and math.isnan(same.p_value)
    assert constant.difference == pytest.approx(0.5) and math.isnan(constant.statistic)
    assert math.isnan(diebold_mariano([1.0], [2.0]).p_value)
    gaps = diebold_mariano(np.r_[losses, np.nan], np.r_[losses * 1.1, 1.0])
    assert gaps == diebold_mariano(losses, losses * 1.1)
    for bad in ({"horizon": 0}, {"lags": 50}, {"lags": -1}):
        with pytest.raises(ValueError, match="expected horizon"):
            diebold_mariano(losses, losses, **bad)
    with pytest.raises(ValueError, match="one length"):
        diebold_mariano([1.0], [1.0, 2.0])


def test_coverage_and_direction() -> None:
    low, high = np.full(10, -1.0), np.full(10, 1.0)
    came = np.array([0, 0, 0, 0, 0, 0, 0, 1.0, 1.5, np.nan])
    found = coverage(came, low, high)
    assert (found.share, found.bars) == (pytest.approx(8 / 9), 9)
    known = stats.binomtest(8, 9).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    hits = direction([1.0, -1.0, 0.0, 2.0, np.nan, 1.0], [1.0, 1.0, 1.0, 0.0, 1.0, 3.0])
    assert (hits.share, hits.bars) == (pytest.approx(2 / 3), 3)
    nothing = direction([0.0], [1.0])
    assert math.isnan(nothing.share) and nothing.bars == 0


def test_pit_of_a_calibrated_and_of_a_narrow_forecast() -> None:
    levels = np.arange(1, 10) / 10
    came = RNG.normal(size=500)
    right = np.broadcast_to(stats.norm.ppf(levels), (500, 9))
    found = pit_histogram(came, right, levels)
    counts, _ = np.histogram(stats.norm.cdf(came), bins=np.linspace(0, 1, 11))
    np.testing.assert_array_equal(found.counts, counts)
    assert found.p_value == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)
    assert found.p_value > 0.001
    assert pit_histogram(came, right * 0.6, levels).p_value < 1e-6
    few = pit_histogram(came[:40], right[:40], levels)
    assert few.counts.sum() == 40 and math.isnan(few.p_value)


def test_pit_of_ties_is_shared() -> None:
    found = pit_histogram([0.0, 0.0], [[0.0, 0.0], [0.0, 1.0]], [0.3, 0.6])
    # The first lies on both quantiles, the second on the lower one.
    assert found.counts.tolist() == [1.0, 0.5, 0.5]


def test_calibrated_forecasts_are_rejected_as_often_as_stated() -> None:
    levels = np.arange(1, 10) / 10
    quantiles = np.broadcast_to(stats.norm.ppf(levels), (250, 9))
    rejected = [
        pit_histogram(RNG.normal(size=250), quantiles, levels).p_value < 0.05 for _ in range(2000)
    ]
    assert np.mean(rejected) == pytest.approx(0.05, abs=2 * math.sqrt(0.05 * 0.95 / 2000) + 0.005)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=float).T
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert math.isnan(rank_correlation(a, b))
    else:
        assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_information_coefficient() -> None:
    forecast = RNG.normal(size=(400, 30))
    came = 0.1 * forecast + RNG.normal(size=(400, 30))
    came[3, 5:] = np.nan
    came[4, 2:] = np.nan  # two symbols are not enough
    found = information_coefficient(forecast, came)
    each = [stats.spearmanr(f, c).statistic for f, c in zip(forecast[5:], came[5:], strict=True)]
    np.testing.assert_allclose(found.each[5:], each, rtol=1e-10)
    assert math.isnan(found.each[4]) and not math.isnan(found.each[3])
    assert found.mean == pytest.approx(np.nanmean(found.each))
    assert found.p_value < 1e-6 and found.error > 0
    noise = information_coefficient(RNG.normal(size=(400, 30)), came)
    assert abs(noise.mean) < 4 * noise.error
