"""Figures of 1,000 strategies over 2,500 days; the target, all of them in 50 ms, is for two cores.

The statistics of overfitting are timed in bench_search.py.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from marketsim import metrics

STRATEGIES, DAYS = 1_000, 2_500
RNG = np.random.default_rng(0)
NET = RNG.standard_t(5, (STRATEGIES, DAYS)) * 0.008 + 0.0002
POSITION = RNG.choice([-1.0, 0.0, 1.0], NET.shape)
TRADED = np.abs(np.diff(POSITION, axis=1, prepend=0.0))
MARKET = RNG.normal(0.0003, 0.01, DAYS)
DATES = pd.bdate_range("2012-01-02", periods=DAYS).to_numpy()


def bench_performance(measure, benchmark) -> None:
    benchmark.group = f"figures of {STRATEGIES} strategies x {DAYS} days"
    found = measure(
        lambda: metrics.performance(
            NET, periods_per_year=252, position=POSITION, traded=TRADED, benchmark=MARKET
        ),
        items=STRATEGIES,
        unit="all figures a strategy",
    )
    row = NET[17]
    assert found.sharpe[17] == pytest.approx(row.mean() / row.std(ddof=1) * 252**0.5)
    assert found.beta[17] == pytest.approx(np.cov(row, MARKET)[0, 1] / MARKET.var(ddof=1))


def bench_performance_by_quantstats(measure, benchmark) -> None:
    benchmark.group = f"figures of {STRATEGIES} strategies x {DAYS} days"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        qs = pytest.importorskip("quantstats").stats
        series = pd.Series(NET[17], index=DATES)

        def eight() -> list[float]:
            names = ("comp", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown")
            return [getattr(qs, name)(series) for name in names] + [qs.cvar(series)]

        found = measure(eight, items=1, unit="eight figures a strategy")
    ours = metrics.performance(NET[17], periods_per_year=252)
    assert found[3] == pytest.approx(float(ours.sharpe))


def bench_rolling_sharpe(measure, benchmark) -> None:
    benchmark.group = f"series of {STRATEGIES} strategies x {DAYS} days"
    found = measure(
        lambda: metrics.rolling_sharpe(NET, 126, periods_per_year=252),
        items=NET.size,
        unit="rolling Sharpe a bar",
    )
    last = NET[3, -126:]
    assert found[3, -1] == pytest.approx(last.mean() / last.std(ddof=1) * 252**0.5)


def bench_monthly_returns(measure, benchmark) -> None:
    benchmark.group = f"series of {STRATEGIES} strategies x {DAYS} days"
    found = measure(
        lambda: metrics.period_returns(NET, DATES), items=NET.size, unit="monthly returns a bar"
    )
    assert np.prod(1 + found.returns[3]) == pytest.approx(np.prod(1 + NET[3]))
