"""Our replay against vectorbt and backtesting.py where they mean the same.

`docs/replay.md` has what differs as a table; each row of it is asserted here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market import random_bars

from marketsim.replay import Account, replay, replay_strategy
from marketsim.replay import orders as o
from marketsim.replay.rules import sma_cross

pytestmark = pytest.mark.filterwarnings("ignore")

BARS = random_bars(600, seed=21)
ENTRIES, EXITS = sma_cross(BARS, 5, 20)
NEVER = np.zeros(len(BARS), bool)


def imported(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.fixture(scope="module")
def vbt() -> Any:
    return imported("vectorbt")


def from_signals(vbt: Any, entries: Any, exits: Any, **options: Any) -> Any:
    f = BARS.frame
    return vbt.Portfolio.from_signals(
        f["close"], pd.Series(entries, f.index), pd.Series(exits, f.index), open=f["open"],
        high=f["high"], low=f["low"], init_cash=10_000.0, freq="1D", **options,
    )  # fmt: skip


def test_vectorbt_same_close(vbt: Any) -> None:
    theirs = from_signals(vbt, ENTRIES, EXITS, fees=0.001)
    ours = replay(BARS, ENTRIES, EXITS, fee_bps=10, fill="same_close")
    np.testing.assert_allclose(ours.equity, theirs.value(), rtol=1e-10)
    records = theirs.trades.records
    assert len(ours.trades) == len(records) > 10
    np.testing.assert_allclose(ours.trades["profit"], records["pnl"], rtol=1e-8, atol=1e-8)
    # Slippage is in the price there and a cost here: the same to its second order.
    slipped = from_signals(vbt, ENTRIES, EXITS, fees=0.001, slippage=0.0005)
    as_cost = replay(BARS, ENTRIES, EXITS, fee_bps=10, slippage_bps=5, fill="same_close")
    np.testing.assert_allclose(as_cost.equity, slipped.value(), rtol=1e-4)
    assert not np.allclose(as_cost.equity, slipped.value(), rtol=1e-9)


def test_vectorbt_stops(vbt: Any) -> None:
    entries = np.arange(len(BARS)) % 23 == 0
    theirs = from_signals(vbt, entries, NEVER, sl_stop=0.03)
    ours = replay(BARS, entries, NEVER, stop_loss=0.03, fill="same_close")
    records = theirs.trades.records
    at = BARS.frame.index.get_indexer(ours.trades["exit_time"].dropna())
    closed = records[records["status"] == 1]
    np.testing.assert_array_equal(at, closed["exit_idx"])
    np.testing.assert_allclose(ours.trades["exit_price"][: len(at)], closed["exit_price"])
    np.testing.assert_allclose(ours.equity, theirs.value(), rtol=1e-10)


def backtested(decide: Any, **options: Any) -> Any:
    """A run of backtesting.py: `decide(strategy, bar)` after each bar."""
    package = imported("backtesting")

    class Told(package.Strategy):
        def init(self) -> None: ...

        def next(self) -> None:
            decide(self, len(self.data) - 1)

    frame = BARS.frame.rename(columns=str.capitalize)
    frame.index = frame.index.tz_localize(None)
    run = package.Backtest(frame, Told, cash=10_000.0, **options)
    return run.run()


def same_trades(theirs: Any, ours: Any) -> None:
    """Closed trades: bars, prices, profits."""
    table = theirs["_trades"].sort_values("EntryBar")
    mine = ours.trades[ours.trades["exit"] != "open"]
    index = BARS.frame.index
    assert len(mine) == len(table) > 10
    np.testing.assert_array_equal(index.get_indexer(mine["entry_time"]), table["EntryBar"])
    np.testing.assert_array_equal(index.get_indexer(mine["exit_time"]), table["ExitBar"])
    np.testing.assert_allclose(mine["entry_price"], table["EntryPrice"], rtol=1e-12)
    np.testing.assert_allclose(mine["exit_price"], table["ExitPrice"], rtol=1e-12)


@pytest.mark.parametrize("fill", ["next_open", "same_close"])
def test_backtesting_market_orders(fill: str) -> None:
    def decide(strategy: Any, t: int) -> None:
        if not strategy.position and ENTRIES[t]:
            strategy.buy(size=20)
        elif strategy.position and EXITS[t]:
            strategy.position.close()

    theirs = backtested(decide, commission=0.001, trade_on_close=fill == "same_close")
    ours = replay(
        BARS, ENTRIES, EXITS, fee_bps=10, fill=fill, size=20.0, size_unit="units"
    )  # fmt: skip
    same_trades(theirs, ours)
    equity = theirs["_equity_curve"]["Equity"].to_numpy()
    # Theirs shows a fill at the close a bar later.
    at = BARS.frame.index.get_indexer(ours.fills["time"])
    counted = np.ones(len(BARS), bool)
    if fill == "same_close":
        counted[at] = False
    np.testing.assert_allclose(ours.equity[counted], equity[counted], rtol=1e-10)


def test_backtesting_brackets() -> None:
    """Stops and targets at prices, also in the bar of the entry; both in one bar: the stop."""
    close = BARS.close

    def decide(strategy: Any, t: int) -> None:
        if not strategy.position and not strategy.orders and t % 7 == 1:
            strategy.buy(size=20, sl=close[t] * 0.98, tp=close[t] * 1.02)

    def on_bar(state: Any, bar: Any, features: Any, orders: Any) -> None:
        if state.position == 0.0 and state.orders == 0 and bar.index % 7 == 1:
            entry = o.buy(orders, 20.0)
            o.exit_at(orders, entry, limit=bar.close * 1.02)
            o.exit_at(orders, entry, stop=bar.close * 0.98)

    theirs = backtested(decide)
    ours = replay_strategy(BARS, on_bar, jit=False, account=Account())
    same_trades(theirs, ours)
    assert set(ours.trades["exit"]) >= {"limit", "stop"}


def test_backtesting_limit_entries() -> None:
    """A limit order of one bar; the target from the next bar on."""
    close = BARS.close

    def decide(strategy: Any, t: int) -> None:
        for order in strategy.orders:
            order.cancel()
        if strategy.position:
            strategy.position.close()
        elif t % 3 == 0:
            strategy.buy(size=20, limit=close[t] * 0.995)

    def on_bar(state: Any, bar: Any, features: Any, orders: Any) -> None:
        if state.position > 0.0:
            o.close_position(orders)
        elif bar.index % 3 == 0:
            o.buy(orders, 20.0, limit=bar.close * 0.995, bars=1)

    same_trades(backtested(decide), replay_strategy(BARS, on_bar, jit=False))


def test_a_touch_fills_there_and_not_here() -> None:
    package = imported("backtesting")
    frame = BARS.frame.iloc[:4].copy()
    frame[["open", "high", "low", "close"]] = [
        [100.0, 101, 99, 100], [100.0, 101, 95, 100], [100.0, 101, 99, 100], [100.0, 101, 99, 100],
    ]  # fmt: skip

    class Touch(package.Strategy):
        def init(self) -> None: ...

        def next(self) -> None:
            if len(self.data) == 2:
                self.buy(size=20, limit=99.0)

    theirs = frame.rename(columns=str.capitalize)
    theirs.index = theirs.index.tz_localize(None)
    run = package.Backtest(theirs, Touch, cash=10_000.0, finalize_trades=True).run()
    assert len(run["_trades"]) == 1  # at the low of the third bar, 99, by a touch

    def on_bar(state: Any, bar: Any, features: Any, orders: Any) -> None:
        if bar.index == 1:
            o.buy(orders, 20.0, limit=99.0)

    assert len(replay_strategy(frame, on_bar, jit=False).fills) == 0
