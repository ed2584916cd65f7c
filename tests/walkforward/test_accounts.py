"""What positions earn and cost, against an account in money that buys and sells at prices."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_bars, random_frame

import marketsim as ms
from marketsim.errors import ArgumentError

RUN = {"simulations": 9, "window": 4, "store": False, "progress": False, "asset_class": "equity"}
COSTS = ms.Costs(fee_bps=7, half_spread_bps=2, maker_bps=-1, borrow_bps=300, financing_bps=700)


class Ordered:
    """Orders that are given."""

    name, targets, fitted = "ordered", ("high", "low"), False

    def __init__(self, orders) -> None:
        self.orders = orders

    def decide(self, view: ms.DecisionView):
        return self.orders(view)


def ran(bars, orders, **options) -> pd.DataFrame:
    return ms.walk_forward(bars, strategies=[Ordered(orders)], check=False, **(RUN | options)).days


class Account:
    """Cash and a stock; everything in money."""

    def __init__(self) -> None:
        self.cash, self.shares = 1.0, 0.0

    def equity(self, price: float) -> float:
        return self.cash + self.shares * price

    def trade(self, target: float, price: float) -> float:
        """Trade to a fraction of the equity; returns the value traded over the equity."""
        equity = self.equity(price)
        wanted = target * equity / price
        value = abs(wanted - self.shares) * price / equity
        self.cash -= (wanted - self.shares) * price
        self.shares = wanted
        return value


def on_paper(bars: ms.Bars, first: int, position: np.ndarray, execution: str) -> np.ndarray:
    """Net returns [bar]: gross of an account without costs, less what its trades would pay."""
    market, carry_days = COSTS.close_exit, 365.0
    times = bars.timestamps.astype("datetime64[s]").astype(float) / 86_400
    account, net = Account(), []
    account.cash = 1.0
    for i, target in enumerate(position):
        row = first + i
        begin = account.equity(bars.close[row - 1])
        if execution == "close":
            traded = account.trade(target, bars.close[row - 1])
            night = target
        else:
            night = account.shares * bars.close[row - 1] / begin
            grown = account.equity(bars.open[row]) / begin
            traded = account.trade(target, bars.open[row]) * grown
        days = times[row] - times[row - 1]
        yearly = max(-night, 0.0) * 0.03 + max(night - 1.0, 0.0) * 0.07
        end = account.equity(bars.close[row])
        if i == len(position) - 1:
            traded += abs(account.shares * bars.close[row] / end)
        net.append(end / begin - 1.0 - traded * market - yearly * days / carry_days)
    return np.array(net)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    positions=st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.3, -0.7, 2.5]), min_size=12, max_size=12),
    execution=st.sampled_from(["close", "next_open"]),
)
def test_held_positions_are_an_account(seed: int, positions, execution: str) -> None:
    bars = random_bars(60, seed)
    target = np.array(positions)
    days = ran(bars, lambda view: ms.Hold(target, execution=execution), fee=COSTS)
    expected = on_paper(bars, 48, target, execution)
    np.testing.assert_allclose(days.net, expected, atol=1e-12)
    np.testing.assert_allclose(days.net, days.gross - days.fee, atol=0)
    assert (days.carry <= days.fee + 1e-15).all()


@pytest.mark.parametrize("execution", ["close", "next_open"])
@pytest.mark.parametrize("embargo", [0, 9])
@pytest.mark.parametrize("seed", range(4))
def test_trades_of_held_positions_earn_what_their_prices_say(
    seed: int, embargo: int, execution: str
) -> None:
    bars = random_bars(200, seed)
    rng = np.random.default_rng(seed)

    def rule(view) -> ms.Hold:  # positions turn, close and change size
        return ms.Hold(rng.choice([0.0, 1.0, -1.0, 0.5], len(view)), execution=execution)

    options = {"simulations": 12 if embargo else 60, "window": 6, "embargo": embargo}
    result = ms.walk_forward(
        bars, strategies=[Ordered(rule)], fee=COSTS, check=False, **(RUN | options)
    )
    trades, days = result.trades, result.days
    assert trades.net.sum() == pytest.approx(days.net.sum(), abs=1e-12)
    assert trades.costs.sum() == pytest.approx(days.fee.sum(), abs=1e-12)
    one = trades[(trades.bars == 1) & (trades.exit_kind != "end")]
    move = one.side * (one.exit_price / one.entry_price - 1.0)
    assert len(one) > 3
    # Exact at the close; at the open the night's move is a share of another day's equity.
    tolerance = 1e-12 if execution == "close" else 0.004
    np.testing.assert_allclose(one.gross, one["size"] * move, atol=tolerance)


def test_a_constant_long_trades_once_and_a_constant_short_rebalances() -> None:
    bars = random_bars(60)
    long = ran(bars, lambda view: ms.Hold(np.ones(len(view))), fee=0.001)
    np.testing.assert_allclose(long.fee, [0.001, *[0.0] * 10, 0.001], atol=1e-15)
    short = ran(bars, lambda view: ms.Hold(-np.ones(len(view))), fee=0.001)
    assert (short.fee > 0.0).all()


def test_positions_are_sold_before_gaps_and_costs_paid_again_after() -> None:
    bars = random_bars(200)
    options = {"simulations": 3, "window": 4, "embargo": 20, "fee": 0.001}
    days = ran(bars, lambda view: ms.Hold(np.ones(len(view))), **options)
    np.testing.assert_allclose(days.fee, [0.001, 0, 0, 0.001] * 3, atol=1e-15)
    result = ms.walk_forward(bars, strategies=["buy_and_hold"], **(RUN | options))
    trades = result.trades
    assert len(trades) == 3
    assert trades.net.sum() == pytest.approx(result.days.net.sum(), abs=1e-12)


@pytest.mark.parametrize("fee", [0.25, 0.49, -0.0001, 0.0])
def test_any_finite_rate(fee: float) -> None:
    days = ran(random_bars(60), lambda view: ms.Hold(np.ones(len(view)) * 0.5), fee=fee)
    assert days.fee.iloc[0] == pytest.approx(0.5 * fee)
    with pytest.raises(ArgumentError, match="got 5; 5 basis points are 0.0005"):
        ran(random_bars(60), lambda view: ms.Hold(np.ones(len(view))), fee=5)


def test_the_same_trade_costs_the_same_as_any_kind_of_order() -> None:
    """In at the close before, out at the close: held, and as a limit order."""
    count = 121
    close = 100 * np.cumprod(1 + np.random.default_rng(1).normal(0, 0.01, count))
    opened = np.r_[100, close[:-1]]
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    index = pd.bdate_range("2024-01-01", periods=count, tz="UTC")
    bars = ms.read_bars(
        pd.DataFrame(
            {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}, index
        ),
        symbol="SYN",
    )

    def every_other(view) -> np.ndarray:
        return np.searchsorted(bars.timestamps, view.dates) % 2.0

    held = ran(bars, lambda v: ms.Hold(every_other(v)), simulations=20, fee=ms.Costs(5, 1))
    limit = ran(
        bars,
        lambda v: ms.LimitOrders(
            every_other(v), high=np.full(len(v), 9.0), low=np.zeros(len(v)), exit_at_close=True
        ),
        simulations=20,
        fee=ms.Costs(5, 1),
    )
    np.testing.assert_allclose(held.gross, limit.gross, atol=1e-7)
    for days in (held, limit):
        assert days.fee.sum() / days.long_entered.sum() == pytest.approx(0.0012, abs=1e-9)


def test_limit_fills_pay_the_maker_fee_and_fills_at_the_close_the_taker_fee() -> None:
    days = ran(
        random_bars(200, 2),
        lambda v: ms.LimitOrders(np.ones(len(v)), high=v.high * 0.2, low=v.low * 0.2),
        simulations=60,
        fee=COSTS,
        fill="optimistic",
    )
    at_limit, at_close = -0.0001 + -0.0001, -0.0001 + 0.0009
    expected = np.where(days.long_exited, at_limit, at_close) * days.long_entered
    assert days.long_exited.any()
    assert (days.long_entered & ~days.long_exited).any()
    np.testing.assert_allclose(days.fee, expected, atol=1e-15)


def test_a_ruin_ends_the_account() -> None:
    frame = random_frame(60, 1)
    crash = frame.index[52]
    frame.loc[crash, ["low", "close"]] = frame["close"].shift(1)[crash] * 0.5
    frame.loc[crash, "high"] = max(frame.loc[crash, ["open", "high", "close"]])
    bars = ms.read_bars(frame, symbol="TEST")
    result = ms.walk_forward(
        bars, strategies=[Ordered(lambda v: ms.Hold(np.full(len(v), 4.0)))], **RUN
    )
    days = result.days
    at = int(np.flatnonzero(days.net == -1.0)[0])
    assert days.date[at] == crash.tz_localize("UTC")
    later = days.iloc[at + 1 :]
    for column in ("position", "gross", "fee", "net", "exposure", "traded"):
        assert (later[column] == 0.0).all(), column
    assert not later.long_entered.any()
    summary = result.summary()
    row = summary.strategies.loc["ordered"]
    assert row.total_return == -1.0
    assert row.mean_return_bps == pytest.approx(days.net.mean() * 1e4)
    assert row.ruin_bar == at
    assert "ordered was ruined on" in str(summary)
    assert f"bar {at + 1} of {len(days)}" in str(summary)
    assert result.equity["ordered"].iloc[-1] == 0.0
    # A later simulation has an account of its own.
    last = result.simulations.iloc[-1]
    assert last.total_return > -1.0


def test_a_position_grows_only_as_fast_as_the_volume_lets_it() -> None:
    bars = random_bars(60)
    value = bars.volume * bars.close
    cap = ms.VolumeCap(capital=float(value.mean()) * 2.0, share=0.2)
    days = ran(bars, lambda v: ms.Hold(np.ones(len(v))), volume_cap=cap)
    most = value[47:59] * 0.2 / cap.capital
    assert 0.0 < days.position.iloc[0] < 1.0
    assert days.position.iloc[0] == pytest.approx(most[0])
    assert days.position.is_monotonic_increasing or days.position.iloc[-1] > 0.9
    assert (days.traded.to_numpy()[:-1] <= most[:-1] + 1e-12).all()
    with pytest.raises(ArgumentError, match="volume_cap must be a VolumeCap or None"):
        ran(bars, lambda v: ms.Hold(np.ones(len(v))), volume_cap=0.1)


@pytest.mark.parametrize("kind", ["hold", "limits", "maxdiff"])
def test_a_bar_without_volume_fills_nothing(kind: str) -> None:
    frame = random_frame(60, 3)
    frame.iloc[50, frame.columns.get_loc("volume")] = 0.0
    run = dict(RUN, offset_window=5)
    if kind == "maxdiff":
        days = ms.walk_forward(frame, strategies=["maxdiff"], **run).days
    else:
        make = {
            "hold": lambda v: ms.Hold(np.where(np.arange(len(v)) < 3, 0.0, 1.0), "next_open"),
            "limits": lambda v: ms.LimitOrders(np.ones(len(v)), v.high, v.high),
        }
        days = ran(ms.read_bars(frame), make[kind])
    if kind == "hold":  # decided for the fourth bar, row 51; no volume at row 50
        early = ran(
            ms.read_bars(frame),
            lambda v: ms.Hold(np.where(np.arange(len(v)) < 2, 0.0, 1.0), "next_open"),
        )
        assert early.position.tolist()[:4] == [0.0, 0.0, 0.0, 1.0]
        assert days.position.tolist()[:4] == [0.0, 0.0, 0.0, 1.0]
    else:
        assert not days.long_entered.iloc[2]
        assert not days.short_entered.iloc[2]
        assert days.gross.iloc[2] == 0.0


def test_a_take_profit_fills_nothing_without_volume() -> None:
    frame = random_frame(60, 3)
    frame.iloc[51:53] = np.array([100.0, 130.0, 95.0, 100.0, 1e6])  # far through any limit
    orders = {}
    for volume in (1e6, 0.0):
        frame.iloc[52, frame.columns.get_loc("volume")] = volume
        orders[volume] = ran(
            ms.read_bars(frame),
            lambda v: ms.TakeProfit(np.ones(len(v)), np.full(len(v), 0.1), v.low),
        )
    with_volume, without = orders[1e6], orders[0.0]
    assert with_volume.long_exited.tolist()[3:5] == [True, True]
    assert without.long_exited.tolist()[3:5] == [True, False]
    assert without.gross.iloc[4] == 0.0  # held to the close, at the price before
    assert without.position.iloc[5] == with_volume.position.iloc[4] == 1.0
    entry = ran(  # decided for the sixth bar, row 53: traded at the close of row 52
        ms.read_bars(frame),
        lambda v: ms.TakeProfit((np.arange(len(v)) >= 5.0) * 1.0, np.full(len(v), 0.1), v.low),
    )
    assert entry.position.tolist()[4:7] == [0.0, 0.0, 1.0]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.02, 0.3, 1.0]))
def test_a_capped_take_profit_is_an_account(seed: int, share: float) -> None:
    frame = random_frame(60, seed)
    rng = np.random.default_rng(seed)
    frame["volume"] = rng.choice([0.0, 1e3, 1e4], len(frame))
    bars = ms.read_bars(frame)
    target = rng.choice([0.0, 1.0, -1.0, 2.5], 12)
    high, low = np.full(12, 0.004), np.full(12, -0.004)
    capital = 2e6
    result = ms.walk_forward(
        bars, strategies=[Ordered(lambda view: ms.TakeProfit(target, high, low))], fee=COSTS,
        check=False, volume_cap=ms.VolumeCap(capital, share), **RUN,
    )  # fmt: skip
    days = result.days
    most = frame["volume"].to_numpy() * frame["close"].to_numpy() * share / capital
    shares, cash = 0.0, 1.0
    for i in range(12):
        row = 48 + i
        start, close = bars.close[row - 1], bars.close[row]
        begin = cash + shares * start
        held = shares * start / begin
        traded = np.clip(target[i] - held, -most[row - 1], most[row - 1])
        shares, cash = shares + traded * begin / start, cash - traded * begin
        position = held + traded
        sold, level = 0.0, np.float32(np.sign(position) * 0.004)
        through = bars.high[row] / start - 1 > level
        opened = max(bars.open[row] / start - 1, level)
        if position < 0.0:
            through = bars.low[row] / start - 1 < level
            opened = min(bars.open[row] / start - 1, level)
        if through and position != 0.0:
            sold = np.sign(position) * min(abs(position), most[row])
        price = start * (1.0 + opened)
        shares, cash = shares - sold * begin / start, cash + sold * begin / start * price
        end = cash + shares * close
        assert days.position.iloc[i] == pytest.approx(position, abs=1e-7)
        assert days.gross.iloc[i] == pytest.approx(end / begin - 1.0, abs=1e-7)
        assert days.traded.iloc[i] >= abs(traded) + abs(sold) - 1e-7
    assert result.trades.net.sum() == pytest.approx(days.net.sum(), abs=1e-12)


def test_a_take_profit_at_the_entry_is_no_order() -> None:
    bars = random_bars(60)
    days = ran(bars, lambda v: ms.TakeProfit(np.ones(len(v)), np.zeros(len(v)), v.low))
    assert days.sell_limit.isna().all()
    assert days.long_entered.sum() == 1
    assert not days.long_exited.any()


@pytest.mark.parametrize("fill", ["open_aware", "close_only"])
def test_take_profit_under_other_policies(fill: str) -> None:
    bars = random_bars(200)
    run = RUN | {"simulations": 60, "strategies": ["entry_takeprofit"]}
    optimistic = ms.walk_forward(bars, fill="optimistic", **run).days
    found = ms.walk_forward(bars, fill=fill, **run).days
    np.testing.assert_array_equal(found.net_optimistic, optimistic.net)
    np.testing.assert_array_equal(found.net_open_aware, optimistic.net)


def test_a_market_without_a_move_costs_nothing() -> None:
    flat = pd.DataFrame(
        {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 1.0},
        pd.bdate_range("2024-01-01", periods=160, tz="UTC"),
    )
    frame = ms.walk_forward(flat, store=False, progress=False).summary().strategies
    traded = frame.drop("buy_and_hold")
    assert (traded.trades == 0).all()
    assert (traded.total_return == 0).all()
    assert traded.sharpe.isna().all()
    assert math.isnan(frame.loc["simple", "hit_rate"])


def test_costs_refuse_what_is_no_rate() -> None:
    for options, message in (
        ({"fee_bps": math.nan}, "fee_bps must lie in"),
        ({"maker_bps": 1e5}, "maker_bps must lie in"),
        ({"borrow_bps": -1}, "borrow_bps must not be negative"),
        ({"half_spread_bps": -1}, "half_spread_bps must not be negative"),
    ):
        with pytest.raises(ArgumentError, match=message):
            ms.Costs(**options)


def test_bars_without_volume_are_told() -> None:
    frame = ms.demo_bars().frame.copy()
    frame.iloc[[-3, -5], frame.columns.get_loc("volume")] = 0.0
    rules = {"strategies": ["simple"], "store": False, "progress": False, "simulations": 10}
    result = ms.walk_forward(ms.Bars(frame, "SOME"), **rules)
    note = "2 of 16 evaluated bars have no volume: nothing fills there"
    assert note in " ".join(str(result.summary()).split()) and note in result.to_dict()["notes"]
    frame["volume"] = 0.0
    none = ms.Bars(frame, "NONE")
    assert "no volume" not in str(ms.walk_forward(none, **rules).summary())
    with pytest.raises(ArgumentError, match="got bars whose volume is 0 throughout; give bars"):
        ms.walk_forward(none, **rules, volume_cap=ms.VolumeCap(1e6))


class NoMove:
    """Forecasts that nothing moves."""

    name, fingerprint, context_length, levels = "no_move", "00", None, (0.1, 0.5, 0.9)

    def predict(self, contexts, *, horizon=1, mask=None):
        return ms.QuantileDistribution(self.levels, np.zeros((len(contexts), horizon, 3)))

    def predict_each(self, series, start, *, horizon=1):
        series = np.asarray(series)
        shape = (series.shape[-1] - start + 1, *series.shape[:-1], horizon, 3)
        return ms.QuantileDistribution(self.levels, np.zeros(shape))


def test_a_forecast_of_no_move_trades_under_no_strategy() -> None:
    """As the random walk, whose baseline never trades."""
    bars = random_bars(200)
    names = [name for name in ms.strategy_names() if name != "buy_and_hold"]
    result = ms.walk_forward(bars, NoMove(), strategies=names, **RUN)
    table = result.summary().strategies
    assert (table.trades[[*names, "random_walk"]] == 0).all()
    assert (table.total_return[names] == 0).all()
