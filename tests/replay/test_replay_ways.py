"""The ways to say a strategy give one result; known answers; errors."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import marketsim as ms
from marketsim.errors import ArgumentError, OrderError, StrategyError, UnknownNameError
from marketsim.replay import (
    Account,
    replay,
    replay_portfolio,
    replay_strategy,
    replay_targets,
)
from marketsim.replay import orders as o

DATA = Path(os.environ.get("MARKETSIM_DATA", Path(__file__).parents[3] / "shared" / "data"))


def cross(close: np.ndarray, fast: int, slow: int) -> tuple[np.ndarray, np.ndarray]:
    price = pd.Series(close)
    above = (price.rolling(fast).mean() - price.rolling(slow).mean()).to_numpy()
    before = np.concatenate(([np.nan], above[:-1]))
    return (above > 0) & (before <= 0), (above < 0) & (before >= 0)


@pytest.fixture(scope="module")
def walk() -> ms.Bars:
    rng = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 400)))
    opened = close * np.exp(rng.normal(0.0, 0.01, 400))
    high = np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.02, 400))
    low = np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.02, 400))
    index = pd.date_range("2022-01-03", periods=400, freq="B", tz="UTC")
    frame = pd.DataFrame(
        {"open": opened, "high": high, "low": low, "close": close, "volume": 1e6}, index
    )
    return ms.Bars(frame, "WALK")


@pytest.mark.skipif(not (DATA / "GOOG_1d.csv").exists(), reason="the shared data are not here")
def test_moving_average_cross_of_goog_by_three_other_engines() -> None:
    bars = ms.read_bars(DATA / "GOOG_1d.csv")
    entries, exits = cross(bars.close, 10, 20)
    found = replay(bars, entries, exits, fee_bps=10.0, fill="same_close")
    assert found.metrics["total_return"] == pytest.approx(5.630902, abs=5e-7)
    assert found.metrics["max_drawdown"] == pytest.approx(0.2367, abs=5e-5)
    assert found.metrics["trades"] == len(found.trades) == 47
    # At the next open, which is the default, the same decisions earn something else.
    later = replay(bars, entries, exits, fee_bps=10.0)
    assert later.metrics["total_return"] == pytest.approx(6.0414, abs=5e-5)
    assert later.fills["place"].eq("open").all()


def trend(state, bar, features, orders):
    if state.position == 0.0 and features.enter > 0.0:
        o.buy(orders, 1.0, o.EQUITY)
    elif state.position > 0.0 and features.leave > 0.0:
        o.close_position(orders)


@pytest.mark.parametrize("fill", ["next_open", "same_close"])
def test_signals_targets_and_functions_agree_bit_for_bit(walk: ms.Bars, fill: str) -> None:
    entries, exits = cross(walk.close, 5, 15)
    account = Account(fee_bps=7.0, slippage_bps=3.0, fill=fill)
    by_flags = replay(walk, entries, exits, account=account)
    features = {"enter": entries, "leave": exits}
    compiled = replay_strategy(walk, trend, features, account=account)
    plain = replay_strategy(walk, trend, features, account=account, jit=False)
    for other in (compiled, plain):
        np.testing.assert_array_equal(other.equity, by_flags.equity)
        pd.testing.assert_frame_equal(other.trades, by_flags.trades)
        pd.testing.assert_frame_equal(other.fills, by_flags.fills)
    assert len(by_flags.trades) > 5
    target = np.where(entries, 1.0, np.where(exits, 0.0, np.nan))
    target[: entries.argmax()] = np.nan  # an exit before the first entry changes nothing
    by_target = replay_targets(walk, target, account=account)
    np.testing.assert_allclose(by_target.equity, by_flags.equity, rtol=1e-12)


LEVEL = 0.0


def above(state, bar, features, orders):
    if state.position == 0.0 and features.x > LEVEL:
        o.buy(orders, 1.0)


def test_a_strategy_is_compiled_once_for_each_content(walk: ms.Bars, monkeypatch) -> None:
    from marketsim.replay.compiled import compiled

    features = {"x": np.arange(len(walk)) / 10.0}
    kind = np.dtype([("x", np.float64)])
    first = replay_strategy(walk, above, features)
    assert compiled(above, kind) is compiled(above, kind)
    assert compiled(above, np.dtype([("y", np.float64), ("x", np.float64)])) is not compiled(
        above, kind
    )
    monkeypatch.setitem(above.__globals__, "LEVEL", 20.0)  # Numba would keep the old value
    later = replay_strategy(walk, above, features)
    entered = [r.trades["entry_time"][0] for r in (first, later)]
    bars = [walk.frame.index.get_loc(time) for time in entered]
    assert bars == [2, 202]
    table = np.zeros(3)

    def reads_an_array(state, bar, features, orders):
        if table[0] > 0.0:
            o.buy(orders, 1.0)

    assert compiled(reads_an_array, kind) is not compiled(reads_an_array, kind)


def bracketed(state, bar, features, orders):
    if state.position == 0.0 and state.orders == 0 and bar.index % 10 == 3:
        entry = o.buy(orders, 0.5, o.EQUITY)
        o.exit_limit(orders, entry, 1.04)
        o.exit_stop(orders, entry, 0.97)
        state.user[0] += 1.0


def test_brackets_by_flags_and_by_a_function_agree(walk: ms.Bars) -> None:
    compiled = replay_strategy(walk, bracketed)
    plain = replay_strategy(walk, bracketed, jit=False)
    pd.testing.assert_frame_equal(compiled.fills, plain.fills)
    np.testing.assert_array_equal(compiled.equity, plain.equity)
    entries = np.arange(len(walk)) % 10 == 3
    flags = replay(
        walk, entries, np.zeros(len(walk), bool), size=0.5, take_profit=0.04, stop_loss=0.03
    )
    columns = ["entry_time", "exit_time", "profit", "exit"]
    pd.testing.assert_frame_equal(flags.trades[columns], plain.trades[columns])
    assert set(plain.trades["exit"]) >= {"stop", "limit"}


def test_a_trailing_stop_never_moves_back(walk: ms.Bars) -> None:
    entries = np.arange(len(walk)) == 5
    found = replay(walk, entries, np.zeros(len(walk), bool), trailing_stop=0.05)
    trade = found.trades.iloc[0]
    first, last = (walk.frame.index.get_loc(trade[x]) for x in ("entry_time", "exit_time"))
    level = walk.open[first] * 0.95
    level = max(level, walk.close[first] * 0.95)  # the high of that bar may lie before the entry
    for t in range(first + 1, last):
        assert walk.low[t] > level
        level = max(level, walk.high[t] * 0.95)
    assert walk.low[last] <= level
    assert trade["exit_price"] == pytest.approx(min(level, walk.open[last]), rel=1e-12)


def test_shorts_and_reversals(walk: ms.Bars) -> None:
    entries, exits = cross(walk.close, 5, 15)
    both = replay(walk, entries, exits, direction="both", fee_bps=5.0)
    sides = both.trades["side"].tolist()
    assert {"long", "short"} == set(sides)
    assert all(a != b for a, b in itertools.pairwise(sides))
    short = replay(walk, exits, entries, direction="short")
    assert set(short.trades["side"]) == {"short"}
    total = short.equity.iloc[-1] - 10_000.0
    assert short.trades["profit"].sum() == pytest.approx(total, abs=1e-7)


def test_time_stop_and_cooldown(walk: ms.Bars) -> None:
    always = np.ones(len(walk), bool)
    found = replay(walk, always, ~always, time_stop=4, cooldown=3)
    done = found.trades[found.trades["exit"] != "open"]
    assert (done["bars"] == 4).all()
    at = walk.frame.index
    starts = at.get_indexer(found.trades["entry_time"])
    ends = at.get_indexer(done["exit_time"])
    # Three bars after the bar of the exit may decide again; the order fills one later.
    assert (starts[1:] - ends[: len(starts) - 1] == 4).all()


def test_financing_splits_and_dividends() -> None:
    index = pd.date_range("2024-01-01", periods=4, tz="UTC")
    frame = pd.DataFrame(
        {"open": [10.0, 10, 5, 5], "high": 10.0, "low": 5.0, "close": [10.0, 10, 5, 5],
         "volume": 1.0},
        index,
    )  # fmt: skip
    bars = ms.Bars(frame, "S")
    hold = np.array([1.0, 1.0, 1.0, 1.0])
    split = np.array([1.0, 1.0, 2.0, 1.0])
    kept = replay_targets(bars, hold * 100, unit="units", account=Account(), split=split)
    # 100 shares become 200 of half the price; the target then sells the other 100.
    assert kept.equity.tolist() == [10_000.0] * 4
    assert kept.position.tolist() == [0.0, 100.0, 200.0, 100.0]
    paid = replay_targets(bars, hold * 100, unit="units", dividend=np.array([0.0, 0.0, 1.0, 0.0]))
    assert paid.equity.iloc[2] == 10_000.0 - 500.0 + 100.0
    short = replay_targets(bars, -hold * 100, unit="units", account=Account(borrow=0.365))
    # One day on 1,000 of value at 0.1 % a day; the next day on the halved price.
    assert short.equity.tolist() == pytest.approx([10_000, 10_000, 10_499, 10_498.5])


def test_ruin_ends_the_replay() -> None:
    index = pd.date_range("2024-01-01", periods=5, tz="UTC")
    price = np.array([10.0, 10, 31, 40, 10])
    frame = pd.DataFrame(
        {"open": price, "high": price, "low": price, "close": price, "volume": 1.0}, index
    )
    found = replay_targets(
        ms.Bars(frame, "R"), np.full(5, -1000.0), unit="units", account=Account(leverage=5.0)
    )
    assert found.equity.tolist() == [10_000.0, 10_000.0, -11_000.0, -11_000.0, -11_000.0]
    assert found.metrics["ruined_bar"] == 2
    assert "ruined on 2024-01-03" in found.summary()
    assert found.trades["exit"].tolist() == ["liquidation"]


def failing(state, bar, features, orders):
    if bar.index == 17:
        raise ValueError("no such thing")


def wrong_side(state, bar, features, orders):
    o.sell(orders, 1.0, stop=bar.close + 1.0)


@pytest.mark.parametrize("jit", [True, False])
def test_errors_name_the_bar(walk: ms.Bars, jit: bool) -> None:
    with pytest.raises(StrategyError, match=r"ValueError after bar 17 \(2022-01-26.*no such thing"):
        replay_strategy(walk, failing, jit=jit)
    with pytest.raises(OrderError, match=r"order 1 after bar 0 .*got stop with quantity=-1"):
        replay_strategy(walk, wrong_side, jit=jit)


def test_bad_arguments(walk: ms.Bars) -> None:
    yes = np.ones(len(walk), bool)
    with pytest.raises(ArgumentError, match=r"entries must have one value a bar \(400\)"):
        replay(walk, yes[1:], yes)
    with pytest.raises(ArgumentError, match="entries must be truth values"):
        replay(walk, walk.close, yes)
    with pytest.raises(UnknownNameError, match="direction"):
        replay(walk, yes, yes, direction="up")
    with pytest.raises(ArgumentError, match=r"stop_loss must lie in \(0, 1\)"):
        replay(walk, yes, yes, stop_loss=5)
    with pytest.raises(ArgumentError, match="cash must be finite"):
        Account(cash=0.0)
    with pytest.raises(ArgumentError, match="one number a bar"):
        replay_strategy(walk, trend, {"enter": [1.0]})
    with pytest.raises(ArgumentError, match="target must be finite"):
        replay_targets(walk, np.full(400, np.inf))


def test_frames_handed_out_cannot_spoil_the_result(walk: ms.Bars) -> None:
    entries, exits = cross(walk.close, 5, 15)
    found = replay(walk, entries, exits)
    before = found.equity.copy()
    curve, trades = found.equity, found.trades
    curve.iloc[:] = 0.0
    trades.loc[:, "profit"] = 0.0
    pd.testing.assert_series_equal(found.equity, before)
    total = found.equity.iloc[-1] - 10_000.0
    assert found.trades["profit"].sum() == pytest.approx(total, abs=1e-7)


def test_the_package_can_be_called(walk: ms.Bars) -> None:
    entries, exits = cross(walk.close, 5, 15)
    assert ms.replay(walk, entries, exits).to_dict()["metrics"]["trades"] > 0


def plain_portfolio(opens, closes, weights, cash, cost, fee, same_close, lot):
    """Weights of what is left after costs, sales first: in loops over single trades."""
    held, price, out = np.zeros(closes.shape[1]), np.full(closes.shape[1], np.nan), []
    ruined = False

    def value(prices):
        for i, p in enumerate(prices):
            if p > 0:
                price[i] = p
        return cash + sum(h * price[i] for i, h in enumerate(held) if h)

    def lots(units):
        return np.trunc(units / lot + np.copysign(1e-9, units)) * lot if lot else units

    def rebalance(prices, wanted):
        nonlocal cash
        total = value(prices)
        if not total > 0:
            return
        gaps = [w * total - held[i] * p if p > 0 else 0.0
                for i, (w, p) in enumerate(zip(wanted, prices, strict=True))]  # fmt: skip
        left = total - sum(abs(g) * cost + fee * (g != 0) for g in gaps)
        trades = [(lots(w * left / p) - held[i], i, p) if p > 0 else (0.0, i, p)
                  for i, (w, p) in enumerate(zip(wanted, prices, strict=True))]  # fmt: skip
        for quantity, i, p in sorted(trades, key=lambda trade: trade[0] > 0):
            if quantity:
                held[i] += quantity
                cash -= quantity * p + abs(quantity) * p * cost + fee

    for t in range(len(closes)):
        seen = t if same_close else t - 1
        acts = seen >= 0 and not ruined and not np.isnan(weights[seen]).any()
        if acts and not same_close:
            rebalance(opens[t], weights[seen])
        now = value(closes[t])
        if acts and same_close:
            rebalance(closes[t], weights[seen])
            now = value(closes[t])
        if now <= 0 and not ruined:
            ruined, cash, held = True, now, np.zeros(len(held))
        out.append(now)
    return out


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    same_close=st.booleans(),
    most=st.sampled_from([0.5, 1.0, 3.0]),
    fee=st.sampled_from([0.0, 2.0]),
    lot=st.sampled_from([0.0, 1.0, 0.25]),
)
def test_portfolio_against_a_plain_one(
    seed: int, same_close: bool, most: float, fee: float, lot: float
) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.05, (count, 4)), axis=0))
    opens = closes * np.exp(rng.normal(0, 0.02, closes.shape))
    gone = rng.uniform(size=closes.shape) < 0.1
    closes[gone] = opens[gone] = np.nan
    weights = rng.uniform(-most, most, (count, 4)) * rng.choice([0.0, 1.0], (count, 4))
    weights[rng.uniform(size=count) < 0.5] = np.nan
    index = pd.date_range("2024-01-01", periods=count)
    frames = [pd.DataFrame(x, index, list("ABCD")) for x in (closes, weights, opens)]
    found = replay_portfolio(
        frames[0], frames[1], open=frames[2], cost_bps=10.0, fee_per_trade=fee, cash=1000.0,
        fill="same_close" if same_close else "next_open", lot=lot, max_gross=None,
    )  # fmt: skip
    expected = plain_portfolio(opens, closes, weights, 1000.0, 1e-3, fee, same_close, lot)
    np.testing.assert_allclose(found.equity, expected, rtol=1e-9, atol=1e-7)
    prices = frames[0].ffill().to_numpy()
    units = found.units.to_numpy()
    if lot:
        np.testing.assert_array_equal(units / lot, np.round(units / lot))
    worth = found.cash + np.where(units == 0.0, 0.0, units * prices).sum(axis=1)
    if not same_close and not gone.any():  # else a last price may be an open
        np.testing.assert_allclose(worth, found.equity, rtol=1e-9, atol=1e-7)


def test_a_portfolio_names_what_it_refuses(walk: ms.Bars) -> None:
    close = pd.DataFrame({"A": walk.close, "B": walk.open}, walk.frame.index)
    half = pd.DataFrame(0.5, close.index, close.columns)
    with pytest.raises(ArgumentError, match="max_weight"):
        replay_portfolio(close, half, open=close, max_weight=0.01)
    with pytest.raises(ArgumentError, match="add up to 1, beyond max_gross=0.9"):
        replay_portfolio(close, half, open=close, max_gross=0.9)
    with pytest.raises(ArgumentError, match="add up to 1.5, beyond max_gross=1"):
        replay_portfolio(close, 1.5 * half, open=close)  # borrowed cash is asked for by name
    replay_portfolio(close, 1.5 * half, open=close, max_gross=1.5)
    with pytest.raises(ArgumentError, match="lot must be finite"):
        replay_portfolio(close, half, open=close, lot=-1.0)
    with pytest.raises(ArgumentError, match="reindex_like"):
        replay_portfolio(close, half.iloc[1:], open=close)
    half.iloc[3, 0] = np.nan
    with pytest.raises(ArgumentError, match="must be finite, or all NaN"):
        replay_portfolio(close, half, open=close)
