"""Replays: signals, brackets over millions of bars, a compiled function, a portfolio."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.replay import orders as o
from marketsim.replay import replay, replay_portfolio, replay_strategy
from marketsim.replay.rules import sma_cross


def random_bars(count: int, freq: str = "D") -> ms.Bars:
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.005, count))
    low = np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.005, count))
    index = pd.date_range("2000-01-01", periods=count, freq=freq, tz="UTC")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    return ms.Bars(pd.DataFrame(columns, index), "RANDOM")


def by_marketsim(bars: ms.Bars, entries: np.ndarray, exits: np.ndarray) -> Any:
    def run() -> float:
        found = replay(bars, entries, exits, fee_bps=10, fill="same_close")
        return found.metrics["total_return"]

    return run


def by_vectorbt(bars: ms.Bars, entries: np.ndarray, exits: np.ndarray) -> Any:
    vbt = pytest.importorskip("vectorbt", reason="marketsim[peers] has vectorbt")
    close = bars.frame["close"]
    flags = [pd.Series(x, close.index) for x in (entries, exits)]

    def run() -> float:
        found = vbt.Portfolio.from_signals(close, *flags, fees=0.001, init_cash=1e4, freq="1D")
        found.sharpe_ratio(), found.max_drawdown()
        return found.total_return()

    return run


def by_backtesting(bars: ms.Bars, entries: np.ndarray, exits: np.ndarray) -> Any:
    package = pytest.importorskip("backtesting", reason="marketsim[peers] has backtesting")

    class Cross(package.Strategy):
        def init(self) -> None: ...

        def next(self) -> None:
            t = len(self.data) - 1
            if not self.position and entries[t]:
                self.buy()
            elif self.position and exits[t]:
                self.position.close()

    frame = bars.frame.rename(columns=str.capitalize)
    frame.index = frame.index.tz_localize(None)
    options = {"cash": 1e7, "commission": 0.001, "trade_on_close": True, "finalize_trades": True}

    def run() -> float:  # whole units of a large account
        return package.Backtest(frame, Cross, **options).run()["Return [%]"] / 100.0

    return run


@pytest.mark.parametrize("who", [by_marketsim, by_vectorbt, by_backtesting])
@pytest.mark.benchmark(group="replay: SMA cross, 2,148 bars, with metrics")
def bench_signals(benchmark, who) -> None:
    bars = random_bars(2148)
    entries, exits = sma_cross(bars)
    expected = by_marketsim(bars, entries, exits)()
    run = who(bars, entries, exits)
    assert run() == pytest.approx(expected, abs=0.01)
    benchmark(run)


@pytest.mark.benchmark(group="replay: brackets, 5,000,000 minutes")
def bench_brackets(benchmark) -> None:
    bars = random_bars(5_000_000, "min")
    entries, exits = np.arange(len(bars)) % 50 == 0, np.zeros(len(bars), dtype=bool)

    def run():
        return replay(bars, entries, exits, stop_loss=0.02, take_profit=0.03, size=0.5)

    assert {"stop", "limit"} <= set(run().trades["exit"])
    benchmark(run)


def cross_of_features(state, bar, features, orders):
    if state.position == 0.0 and features.a > features.b:
        o.buy(orders, 1.0, o.EQUITY)
    elif state.position > 0.0 and features.a < features.b:
        o.close_position(orders)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.benchmark(group="replay: on_bar with 15 features, 100,000 bars")
def bench_on_bar(benchmark, jit: bool) -> None:
    count = 100_000 if jit else 5_000
    bars = random_bars(count, "h")
    rng = np.random.default_rng(2)
    features = {name: rng.normal(size=count) for name in "abcdefghijklmno"}
    features["a"] = np.sin(np.arange(count) / 30.0)
    found = replay_strategy(bars, cross_of_features, features, jit=jit)
    assert found.metrics["trades"] > 10
    benchmark(lambda: replay_strategy(bars, cross_of_features, features, jit=jit))


@pytest.mark.benchmark(group="replay: portfolio of 500 symbols, 2,500 days")
def bench_portfolio(benchmark) -> None:
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (2500, 500)), axis=0))
    index = pd.date_range("2000-01-01", periods=2500)
    prices = pd.DataFrame(close, index)
    weights = pd.DataFrame(np.full(close.shape, 1.0 / 500), index)

    def run():
        return replay_portfolio(
            prices, weights, open=prices, cost_bps=5, keep_units=False
        )  # fmt: skip

    assert run().equity.iloc[-1] > 0.0
    benchmark(run)
