"""The portfolio of many symbols against a loop over days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.metrics.portfolio import portfolio_returns


def random_symbols(seed: int, count: int = 4) -> tuple[dict, dict]:
    """(returns, closes) by symbol; each symbol lacks some days."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=120, freq="D")
    returns, closes = {}, {}
    for i in range(count):
        close = pd.Series(100 * np.exp(np.cumsum(rng.normal(0, 0.01 * (i + 1), 120))), days)
        closes[f"S{i}"] = close[rng.random(120) < 0.9]
        kept = days[60:][rng.random(60) < 0.8]
        values = rng.normal(0, 0.02, (len(kept), 2))
        returns[f"S{i}"] = pd.DataFrame(values, kept, columns=["a", "b"])
    return returns, closes


def by_loop(returns: dict, closes: dict, weights: str) -> pd.DataFrame:
    days = sorted(set().union(*(frame.index for frame in returns.values())))
    rows = []
    for day in days:
        held = [symbol for symbol, frame in returns.items() if day in frame.index]
        scale = {}
        for symbol in held:
            moves = closes[symbol][: day - pd.Timedelta(1, "D")].pct_change().tail(60).dropna()
            known = weights == "volatility" and len(moves) >= 20 and moves.std() > 0
            scale[symbol] = 1 / moves.std() if known else np.nan
        mean = np.nanmean(list(scale.values())) if not all(map(np.isnan, scale.values())) else 1.0
        scale = {symbol: mean if np.isnan(value) else value for symbol, value in scale.items()}
        total = sum(scale.values())
        rows.append(sum(scale[s] / total * returns[s].loc[day].to_numpy() for s in held))
    return pd.DataFrame(rows, pd.DatetimeIndex(days), columns=["a", "b"])


@pytest.mark.parametrize("weights", ["equal", "volatility"])
def test_the_portfolio_equals_a_loop_over_days(weights: str) -> None:
    for seed in range(3):
        returns, closes = random_symbols(seed)
        found = portfolio_returns(returns, weights=weights, closes=closes)
        expected = by_loop(returns, closes, weights)
        pd.testing.assert_frame_equal(found, expected, check_freq=False, rtol=1e-9, atol=1e-15)


def test_weights_do_not_see_the_day_itself() -> None:
    returns, closes = random_symbols(5)
    day = returns["S0"].index[40]
    before = portfolio_returns(returns, weights="volatility", closes=closes)[:day]
    changed = {s: close.where(close.index < day, close * 3) for s, close in closes.items()}
    after = portfolio_returns(returns, weights="volatility", closes=changed)[:day]
    pd.testing.assert_frame_equal(before, after, check_exact=True)


def test_flat_and_short_series_get_the_mean_weight() -> None:
    days = pd.date_range("2024-01-01", periods=80, freq="D")
    rng = np.random.default_rng(0)
    moving = pd.Series(100 + rng.normal(0, 1, 80).cumsum(), days)
    closes = {"A": moving, "FLAT": pd.Series(1.0, days), "NEW": moving[75:]}
    frame = pd.DataFrame({"a": [0.3]}, days[-1:])
    returns = {"A": frame, "FLAT": frame * 0, "NEW": frame * 0}
    found = portfolio_returns(returns, weights="volatility", closes=closes)
    assert found["a"].tolist() == pytest.approx([0.1])


def test_what_cannot_be_joined_is_refused() -> None:
    days = pd.date_range("2024-01-01", periods=2, freq="D")
    a, b = (pd.DataFrame({name: [0.0, 0.1]}, days) for name in "ab")
    with pytest.raises(ms.ArgumentError, match="at least one symbol"):
        portfolio_returns({})
    with pytest.raises(ms.ArgumentError, match="a strategy that every symbol has"):
        portfolio_returns({"A": a, "B": b})
    with pytest.raises(ms.ArgumentError, match="daily closes of every symbol"):
        portfolio_returns({"A": a}, weights="volatility")
    with pytest.raises(ms.UnknownNameError, match="equal, volatility"):
        portfolio_returns({"A": a}, weights="cap")  # type: ignore[arg-type]
