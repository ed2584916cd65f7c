"""Our figures against quantstats and empyrical: equal, or different by the stated definition.

`docs/metrics.md` has the same differences as a table.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from marketsim.metrics import performance, rolling_sharpe

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(5)
DAYS = 1000
INDEX = pd.bdate_range("2019-01-01", periods=DAYS)
NET = pd.Series(RNG.standard_t(5, DAYS) * 0.008 + 0.0004, index=INDEX)
MARKET = pd.Series(0.6 * NET + RNG.normal(0.0002, 0.006, DAYS), index=INDEX)
RATE = 0.02  # a year
PER_DAY = 1.02 ** (1 / 252) - 1
OURS = performance(NET, periods_per_year=252, benchmark=MARKET)
WITH_RATE = performance(NET, periods_per_year=252, benchmark=MARKET, risk_free=RATE)


def imported(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def test_quantstats() -> None:
    qs = imported("quantstats").stats
    n = DAYS
    expected = {
        "total_return": qs.comp(NET),
        "annual_return": qs.cagr(NET, periods=252),
        "volatility": qs.volatility(NET),
        "sharpe": qs.sharpe(NET),
        "sortino": qs.sortino(NET),
        "calmar": qs.calmar(NET),
        "max_drawdown": -qs.max_drawdown(NET),
        "profit_factor": qs.profit_factor(NET),
        "average_win": qs.avg_win(NET),
        "average_loss": qs.avg_loss(NET),
        "best": qs.best(NET),
        "worst": qs.worst(NET),
        "hit_rate": qs.win_rate(NET),
        "beta": qs.greeks(NET, MARKET)["beta"],
        "alpha": qs.greeks(NET, MARKET)["alpha"],
        # per bar there, a year here
        "information_ratio": qs.information_ratio(NET, MARKET) * 252**0.5,
        # corrected for small samples there (pandas), population moments here
        "skew": qs.skew(NET) * (n - 2) / np.sqrt(n * (n - 1)),
        "excess_kurtosis": (qs.kurtosis(NET) * (n - 2) * (n - 3) / (n - 1) - 6) / (n + 1),
    }
    for name, value in expected.items():
        assert getattr(OURS, name) == pytest.approx(value, rel=1e-9), name
    assert WITH_RATE.sharpe == pytest.approx(qs.sharpe(NET, rf=RATE), rel=1e-9)
    assert WITH_RATE.sortino == pytest.approx(qs.sortino(NET, rf=RATE), rel=1e-9)
    # A normal distribution's quantile there, the sample's here.
    assert qs.value_at_risk(NET) == pytest.approx(NET.mean() + stats.norm.ppf(0.05) * NET.std())
    rolling = qs.rolling_sharpe(NET, rolling_period=126)
    np.testing.assert_allclose(
        rolling_sharpe(NET, 126, periods_per_year=252)[125:], rolling.dropna(), rtol=1e-9
    )


def test_empyrical() -> None:
    em = imported("empyrical")
    expected = {
        "total_return": em.cum_returns_final(NET),
        "annual_return": em.annual_return(NET),
        "volatility": em.annual_volatility(NET),
        "sharpe": em.sharpe_ratio(NET),
        "sortino": em.sortino_ratio(NET),
        "calmar": em.calmar_ratio(NET),
        "max_drawdown": -em.max_drawdown(NET),
        "value_at_risk": em.value_at_risk(NET),
        "beta": em.beta(NET, MARKET),
        # compounded there, arithmetic here
        "alpha": (np.power(1 + em.alpha(NET, MARKET), 1 / 252) - 1) * 252,
        # per bar there
        "information_ratio": em.excess_sharpe(NET, MARKET) * 252**0.5,
    }
    for name, value in expected.items():
        assert getattr(OURS, name) == pytest.approx(value, rel=1e-8), name
    assert WITH_RATE.sharpe == pytest.approx(em.sharpe_ratio(NET, PER_DAY), rel=1e-9)
    assert WITH_RATE.beta == pytest.approx(em.beta(NET, MARKET, PER_DAY), rel=1e-9)
    # The mean of the int(0.05 (n - 1)) + 1 worst there, of a mass of exactly 5 % here.
    worst = np.sort(NET.to_numpy())[:50]
    assert em.conditional_value_at_risk(NET) == pytest.approx(worst.mean())
    assert OURS.conditional_value_at_risk == pytest.approx(worst.mean())
    short = performance(NET[:990], periods_per_year=252).conditional_value_at_risk
    assert short != pytest.approx(em.conditional_value_at_risk(NET[:990]), rel=1e-6)
