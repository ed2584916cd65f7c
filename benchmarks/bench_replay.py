"""Replays: signals, brackets over millions of bars, a compiled function, a portfolio."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.replay import (
    code_store,
    compiled,
    plans,
    replay,
    replay_portfolio,
    replay_strategy,
    replay_symbols,
)
from marketsim.replay import orders as o
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


def by_raptorbt(bars: ms.Bars, entries: np.ndarray, exits: np.ndarray) -> Any:
    package = pytest.importorskip("raptorbt", reason="pip install raptorbt")
    config = package.BacktestConfig(initial_capital=1e4, fees=0.001, upon_bar_close=True)
    times = bars.timestamps.view(np.int64)
    prices = (bars.open, bars.high, bars.low, bars.close, bars.volume)

    def run() -> float:
        found = package.run_single_backtest(times, *prices, entries, exits, config=config)
        return found.metrics.total_return_pct / 100.0

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


@pytest.mark.parametrize("who", [by_marketsim, by_raptorbt, by_vectorbt, by_backtesting])
@pytest.mark.benchmark(group="replay: SMA cross, 2,148 bars, with metrics")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the rivals
def bench_signals(benchmark, who) -> None:
    bars = random_bars(2148)
    entries, exits = sma_cross(bars)
    run = who(bars, entries, exits)
    # backtesting.py holds whole units
    assert run() == pytest.approx(by_hand(bars.close, entries, exits), abs=1e-3)
    benchmark(run)


def by_hand(close: np.ndarray, entries: np.ndarray, exits: np.ndarray) -> float:
    cash, units = 1.0, 0.0
    for price, enters, leaves in zip(close, entries, exits, strict=True):
        if units and leaves:
            cash, units = units * price * 0.999, 0.0
        elif not units and enters:
            cash, units = 0.0, cash / (price * 1.001)
    return cash + units * close[-1] - 1.0


@pytest.mark.parametrize("figures", [False, True], ids=["replay", "with metrics"])
@pytest.mark.benchmark(group="replay: brackets, 5,000,000 minutes")
def bench_brackets(benchmark, figures: bool) -> None:
    bars = random_bars(5_000_000, "min")
    entries, exits = np.arange(len(bars)) % 50 == 0, np.zeros(len(bars), dtype=bool)

    def run():
        found = replay(bars, entries, exits, stop_loss=0.02, take_profit=0.03, size=0.5)
        return found.metrics if figures else found

    trades = replay(bars, entries, exits, stop_loss=0.02, take_profit=0.03, size=0.5).trades
    assert set(trades["exit"]) <= {"stop", "limit", "open"}
    stopped = trades[trades["exit"] == "stop"]
    # A stop fills at its level or, past a gap, at the open.
    assert (stopped["exit_price"] <= stopped["entry_price"] * 0.98 * (1.0 + 1e-12)).all()
    assert len(trades) > 90_000
    benchmark(run)


def cross_of_features(state, bar, features, orders):
    if state.position == 0.0 and features.a > features.b:
        o.buy(orders, 1.0, o.EQUITY)
    elif state.position > 0.0 and features.a < features.b:
        o.close_position(orders)


def seldom(state, bar, features, orders):
    if state.position == 0.0 and features.a > 0.9:
        o.buy(orders, 1.0, o.EQUITY)
    elif state.position > 0.0 and features.a < -0.9:
        o.close_position(orders)


def features_of(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    features = {name: rng.normal(size=count) for name in "abcdefghijklmno"}
    return features | {"a": np.sin(np.arange(count) / 30.0)}


@pytest.mark.parametrize("jit", [True, False], ids=["Numba", "Python"])
@pytest.mark.parametrize("on_bar", [cross_of_features, seldom])
@pytest.mark.benchmark(group="replay: on_bar with 15 features")
def bench_on_bar(measure, jit: bool, on_bar) -> None:
    count = 100_000 if jit else 5_000
    bars, features = random_bars(count, "h"), features_of(count)
    found = replay_strategy(bars, on_bar, features, jit=jit)
    other = replay_strategy(bars, on_bar, features, jit=not jit)
    assert found.metrics == other.metrics
    assert found.metrics["trades"] > 10
    measure(lambda: replay_strategy(bars, on_bar, features, jit=jit), items=count, unit="a bar")


@pytest.mark.parametrize("way", ["compiled", "loaded from disk"])
@pytest.mark.benchmark(group="replay: compile on_bar")
def bench_compile(benchmark, tmp_path, monkeypatch, way: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "marketsim" / "strategies"
    kind = np.dtype([(name, np.float64) for name in "abcdefghijklmno"])

    def prepare() -> None:
        compiled._kept.clear()
        for path in folder.glob("*") if way == "compiled" else ():
            path.unlink()

    compiled._kept.clear()  # other benchmarks of this process compile it too
    compiled.compiled(cross_of_features, kind)
    assert len(list(folder.iterdir())) == 1
    found = benchmark.pedantic(
        compiled.compiled, (cross_of_features, kind), setup=prepare, rounds=5
    )
    assert isinstance(found._code, code_store.LoadedCode) == (way != "compiled")


@pytest.mark.benchmark(group="replay: portfolio of 500 symbols, 2,500 days")
def bench_portfolio(benchmark) -> None:
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (2500, 500)), axis=0))
    index = pd.date_range("2000-01-01", periods=2500)
    prices = pd.DataFrame(close, index)
    weights = pd.DataFrame(np.full(close.shape, 1.0 / 500), index)

    def run():
        return replay_portfolio(prices, weights, open=prices, cost_bps=5, keep_units=False)

    # Equal weights every day earn the mean of the returns, less the cost of trading back to them.
    change = close[2:] / close[1:-1]
    drifted = change / change.sum(axis=1, keepdims=True)
    traded = np.abs(drifted - 1.0 / 500).sum(axis=1)
    growth = np.prod(change.mean(axis=1) * (1.0 - 0.0005 * traded)) * (1.0 - 0.0005)
    assert run().equity.iloc[-1] / 10_000.0 == pytest.approx(growth, rel=1e-3)
    benchmark(run)


@pytest.mark.benchmark(group="replay: portfolio of 500 symbols, 2,500 days")
def bench_symbols(benchmark) -> None:
    """Brackets of each symbol in one account; without limits they trade as each does alone."""
    rng = np.random.default_rng(3)
    made = {}
    for i in range(500):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 2500)))
        opened = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(opened, close) * 1.003, np.minimum(opened, close) * 0.997
        index = pd.date_range("2000-01-01", periods=2500, tz="UTC")
        columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
        bars = ms.Bars(pd.DataFrame(columns, index), f"S{i}")
        made[bars.symbol] = plans.signals(
            bars, *sma_cross(bars), size=10.0, size_unit="cash", stop_loss=0.05, take_profit=0.1
        )
    found = replay_symbols(made)
    alone = [
        replay(
            plan.bars, *sma_cross(plan.bars), size=10.0, size_unit="cash", stop_loss=0.05,
            take_profit=0.1,
        ).trades["profit"].sum()
        for plan in made.values()
    ]  # fmt: skip
    np.testing.assert_allclose(found.by_symbol["profit"], alone, rtol=1e-9, atol=1e-9)
    benchmark(lambda: replay_symbols(made).metrics)
