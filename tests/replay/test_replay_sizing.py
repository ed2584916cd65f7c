"""Sizes of entries, distances that vary, and trailing stops by a series."""

from __future__ import annotations

import numpy as np
import pytest
from market import random_bars

from marketsim.errors import ArgumentError
from marketsim.indicators import atr
from marketsim.replay import Account, replay, replay_strategy
from marketsim.replay import orders as o
from marketsim.replay.sizing import fixed_risk, volatility_target

BARS = random_bars(500, seed=11)
NEVER = np.zeros(len(BARS), bool)


def test_volatility_target() -> None:
    sizes = volatility_target(BARS, 0.1, window=30, most=2.0)
    returns = np.diff(np.log(BARS.close))
    expected = [
        min(0.1 / (np.std(returns[t - 30 : t], ddof=1) * np.sqrt(252)), 2.0) for t in range(30, 500)
    ]
    assert np.isnan(sizes[:30]).all()
    np.testing.assert_allclose(sizes[30:], expected, rtol=1e-12)
    found = replay(BARS, ~NEVER, NEVER, size=sizes, account=Account(leverage=2.0))
    assert BARS.frame.index.get_loc(found.trades["entry_time"][0]) == 31  # the first size is known
    held = found.position.iloc[31] * BARS.open[31] / 10_000.0
    assert held == pytest.approx(sizes[30], rel=1e-12)


def test_fixed_risk_loses_what_it_says() -> None:
    stop = 1.2 * atr(BARS.high, BARS.low, BARS.close, 14) / BARS.close
    entries = np.arange(len(BARS)) % 10 == 0
    account = Account(leverage=3.0)
    sizes = fixed_risk(0.01, stop, most=3.0)
    exits = np.arange(len(BARS)) % 10 == 8
    found = replay(BARS, entries, exits, size=sizes, stop_loss=stop, account=account)
    trades, equity = found.trades, found.equity.to_numpy()
    at = BARS.frame.index.get_indexer(trades["entry_time"])
    before = np.r_[10_000.0, equity][at]  # at the close before the entry
    lost = trades["exit"] == "stop"
    level = trades["entry_price"] * (1.0 - stop[at - 1])
    at_level = lost & np.isclose(trades["exit_price"], level, rtol=1e-12)
    assert at_level.sum() > 5
    loss = -trades["profit"] / before
    np.testing.assert_allclose(loss[at_level & (sizes[at - 1] < 3.0)], 0.01, rtol=0.02)


@pytest.mark.parametrize("jit", [True, False])
def test_a_trailing_stop_by_the_atr(jit: bool) -> None:
    distance = 3.0 * atr(BARS.high, BARS.low, BARS.close, 14)
    entries = np.arange(len(BARS)) % 25 == 20
    found = replay(BARS, entries, NEVER, trailing_distance=distance, size=0.5)
    assert len(found.trades) > 5

    def trailing(state, bar, features, orders):
        if features.enter > 0.0 and state.position == 0.0 and state.orders == 0:
            entry = o.buy(orders, 0.5, o.EQUITY)
            o.exit_trailing(orders, entry)

    same = replay_strategy(
        BARS, trailing, {"enter": entries}, trailing_distance=distance, jit=jit
    )  # fmt: skip
    np.testing.assert_array_equal(same.equity, found.equity)
    # The level by hand: it follows the newest distance below the highest high, and never falls.
    for trade in found.trades.itertuples():
        if trade.exit == "open":
            continue
        first, last = (BARS.frame.index.get_loc(x) for x in (trade.entry_time, trade.exit_time))
        level = max(BARS.open[first] - distance[first - 1], BARS.close[first] - distance[first])
        if first < last:
            for t in range(first + 1, last):
                assert BARS.low[t] > level
                level = max(level, BARS.high[t] - distance[t])
            assert trade.exit_price == pytest.approx(min(level, BARS.open[last]), rel=1e-12)


def scaling_out(state, bar, features, orders):
    if state.position == 0.0 and bar.index % 40 == 5:
        entry = o.buy(orders, 10.0)
        state.user[0] = o.exit_stop(orders, entry, 0.9)
    elif state.position == 10.0:
        o.reduce(orders, -4.0)  # a part at the market
        o.amend(orders, int(state.user[0]), stop=bar.close * 0.95)
    elif state.position == 6.0:
        o.buy(orders, 1.0)  # pyramids by one
    elif state.position == 7.0 and state.orders == 1:
        o.reduce(orders, -100.0, limit=bar.close * 1.01)  # never more than is held


@pytest.mark.parametrize("jit", [True, False])
def test_scaling_out_in_and_out(jit: bool) -> None:
    found = replay_strategy(BARS, scaling_out, jit=jit, account=Account(cash=1e6))
    positions = found.position.to_numpy()
    assert {0.0, 6.0, 7.0, 10.0} == set(positions)
    trade = found.trades.iloc[0]
    fills = found.fills[found.fills["trade"] == 0]
    assert fills["quantity"].tolist()[:3] == [10.0, -4.0, 1.0]
    assert trade["quantity"] == 10.0
    assert trade["profit"] == pytest.approx(-(fills["quantity"] * fills["price"]).sum())


def test_finer_bars_decide_which_exit_came_first() -> None:
    day = BARS.frame.iloc[:2].copy()
    day[["open", "high", "low", "close"]] = [[100.0] * 4, [100.0, 110.0, 90.0, 100.0]]
    hours = day.iloc[[1, 1]].copy()
    hours.index = day.index[1] + np.array([1, 2]).astype("timedelta64[h]")
    up_first = [[100.0, 110.0, 99.0, 105.0], [105.0, 105.0, 90.0, 100.0]]
    for prices, kind in ((up_first, "limit"), (up_first[::-1], "stop")):
        hours[["open", "high", "low", "close"]] = prices
        options = {"stop_loss": 0.05, "take_profit": 0.05}
        entry = np.array([True, False])
        found = replay(day, entry, ~entry, intraday=hours, **options)
        assert found.trades["exit"].tolist() == [kind]
        assert found.metrics["ambiguous_bars"] == 0.0
        assumed = replay(day, entry, ~entry, **options)
        assert assumed.trades["exit"].tolist() == ["stop"]
        assert assumed.trades["ambiguous"].tolist() == [True]
        assert assumed.metrics["ambiguous_bars"] == 1.0
    hours["high"] = 111.0
    with pytest.raises(ArgumentError, match="intraday must lie inside the bars"):
        replay(day, entry, ~entry, intraday=hours)
    with pytest.raises(ArgumentError, match="intraday must be finer"):
        replay(day, entry, ~entry, intraday=day)


def test_bad_sizes_and_distances() -> None:
    for call in (
        lambda: volatility_target(BARS, 0.0),
        lambda: fixed_risk(0.01, [0.0, 0.1]),
        lambda: fixed_risk(-1.0, 0.1),
        lambda: replay(BARS, NEVER, NEVER, stop_loss=[0.1]),
        lambda: replay(BARS, NEVER, NEVER, stop_loss=np.full(500, 2.0)),
        lambda: replay(BARS, NEVER, NEVER, trailing_distance=np.zeros(500)),
        lambda: replay(BARS, NEVER, NEVER, trailing_stop=0.1, trailing_distance=np.ones(500)),
    ):
        with pytest.raises(ArgumentError):
            call()
