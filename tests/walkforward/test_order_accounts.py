"""Limit orders, stops and take-profit orders of a run, against an account that trades at prices.

The oracle works in money and prices, one bar after the other; fills come from `price_rules`, which
is transcribed from the text of the fill contract, stops and take-profit orders from theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_bars
from price_rules import Bar, Fill, buy_then_sell, sell_then_buy

import marketsim as ms

RUN = {"simulations": 3, "window": 4, "embargo": 6, "store": False, "progress": False}
COSTS = ms.Costs(fee_bps=7, half_spread_bps=2, maker_bps=-1, borrow_bps=300, financing_bps=700)
MAKER, TAKER = -0.0001, 0.0009
POLICIES = ("open_aware", "optimistic", "close_only")
SIZES = st.sampled_from([0.0, 1.0, -1.0, 0.4, -0.6, 2.5])


class Ordered:
    """Orders that are given."""

    name, targets, fitted = "ordered", (), False

    def __init__(self, make) -> None:
        self.make = make

    def decide(self, view: ms.DecisionView):
        return self.make(view)


def run(bars: ms.Bars, make, fill: str) -> ms.WalkForwardResult:
    return ms.walk_forward(
        bars, strategies=[Ordered(make)], fee=COSTS, fill=fill, check=False,
        asset_class="equity", **RUN,
    )  # fmt: skip


class Done(NamedTuple):
    """One side of one bar."""

    gross: float
    fee: float
    stopped: bool
    unknown: bool


def stopped_or(
    fill: Fill, bar: Bar, stop: float, limit: float, policy: str, *, long: bool
) -> tuple[Fill, bool]:
    """The fill with a stop, and whether it left there: at the market."""
    if fill.entry is None:
        return fill, False
    beyond = fill.entry <= stop if long else fill.entry >= stop
    if beyond:  # the price is beyond the stop already: it leaves where it entered
        return fill._replace(exit=fill.entry, at_limit=False, unknown=False), True
    reached = bar.low <= stop if long else bar.high >= stop
    if not reached:
        return fill, False
    reaches_limit = (bar.high > limit if long else bar.low < limit) and policy != "close_only"
    if reaches_limit and policy == "optimistic":  # which came first is not known: the limit
        return fill._replace(exit=limit, at_limit=True, unknown=True), False
    return fill._replace(exit=stop, at_limit=False, unknown=reaches_limit), True


def one_side(
    bar: Bar, before: float, size: float, high: float, low: float, stop: float | None, policy: str
) -> Done:
    long = size > 0.0
    buy, sell = before * (1.0 + low), before * (1.0 + high)
    fill = buy_then_sell(bar, buy, sell, policy) if long else sell_then_buy(bar, sell, buy, policy)
    stopped = False
    if stop is not None:
        limit = sell if long else buy
        fill, stopped = stopped_or(fill, bar, before * (1.0 + stop), limit, policy, long=long)
    if size == 0.0 or fill.entry is None or fill.exit is None:
        return Done(0.0, 0.0, stopped=False, unknown=False)
    rate = MAKER + (MAKER if fill.at_limit else TAKER)
    gross = size * (fill.exit - fill.entry) / before
    return Done(gross, abs(size) * rate, stopped=stopped, unknown=fill.unknown)


def bar_of(bars: ms.Bars, row: int) -> Bar:
    return Bar(*(float(getattr(bars, name)[row]) for name in ("open", "high", "low", "close")))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.lists(SIZES, min_size=12, max_size=12),
    with_stop=st.booleans(),
    at_close=st.booleans(),
)
def test_limit_orders_are_an_account(seed: int, size, with_stop: bool, at_close: bool) -> None:
    bars = random_bars(90, seed)
    rng = np.random.default_rng(seed)
    size = np.array(size)
    high, low = rng.normal(0.007, 0.006, 12), rng.normal(-0.007, 0.006, 12)
    high = np.maximum(high, low + 0.001)  # no exit beyond its entry
    away = np.abs(rng.normal(0.008, 0.006, 12))
    stop = np.where(size > 0.0, low - away, high + away) if with_stop else None
    made = {"high": high, "low": low, "stop": stop}

    def make(view):
        part = slice(place[0], place[0] + len(view))
        place[0] += len(view)
        parts = {name: None if v is None else v[part] for name, v in made.items()}
        return ms.LimitOrders(size[part], **parts, exit_at_close=at_close)

    nets = {}
    for fill in POLICIES:
        place = [0]
        days = run(bars, make, fill).days
        rows = bars.frame.index.get_indexer(pd.DatetimeIndex(days["date"]))
        for i, row in enumerate(rows):
            policy = "close_only" if at_close else fill
            expected = one_side(
                bar_of(bars, row), float(bars.close[row - 1]), size[i], high[i], low[i],
                None if stop is None else stop[i], policy,
            )  # fmt: skip
            assert days.gross[i] == pytest.approx(expected.gross, abs=2e-7 * max(1, abs(size[i])))
            assert days.fee[i] == pytest.approx(expected.fee, abs=1e-12), (fill, i)
            told = (days.stopped[i], days.ambiguous[i])
            assert told == (expected.stopped, expected.unknown), (fill, i)
        np.testing.assert_allclose(days.net, days.gross - days.fee, atol=1e-15)
        nets[fill] = days
    # The columns of a run are the other policies' runs, before and after costs.
    for fill in ("open_aware", "optimistic"):
        other = "close_only" if at_close else fill
        np.testing.assert_allclose(nets["open_aware"][f"net_{fill}"], nets[other]["net"], atol=0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.lists(SIZES, min_size=12, max_size=12))
def test_take_profit_orders_are_an_account(seed: int, size) -> None:
    """Bought at the close before, left at the limit or carried; sold before gaps; all paid."""
    bars = random_bars(90, seed)
    rng = np.random.default_rng(seed)
    size, high, low = np.array(size), rng.normal(0.006, 0.006, 12), rng.normal(-0.006, 0.006, 12)
    place = [0]

    def make(view):
        part = slice(place[0], place[0] + len(view))
        place[0] += len(view)
        return ms.TakeProfit(size[part], high[part], low[part])

    days = run(bars, make, "open_aware").days
    rows = bars.frame.index.get_indexer(pd.DatetimeIndex(days["date"]))
    times = bars.timestamps.astype("datetime64[s]").astype(float) / 86_400
    cash, shares = 1.0, 0.0
    for i, row in enumerate(rows):
        before, bar = float(bars.close[row - 1]), bar_of(bars, row)
        if i and row != rows[i - 1] + 1:
            assert shares == 0.0  # sold before the gap
        equity = cash + shares * before
        wanted = size[i] * equity / before
        market = abs(wanted - shares) * before / equity
        cash, shares = cash - (wanted - shares) * before, wanted
        sell, buy = before * (1.0 + high[i]), before * (1.0 + low[i])
        price = None
        if size[i] > 0.0 and sell > before and bar.high > sell:
            price = max(sell, bar.open)
        if size[i] < 0.0 and buy < before and bar.low < buy:
            price = min(buy, bar.open)
        limit = 0.0
        if price is not None:
            cash, shares, limit = cash + shares * price, 0.0, abs(size[i])
        end = cash + shares * bar.close
        if i == len(rows) - 1 or rows[i + 1] != row + 1:
            market += abs(shares * bar.close / end)
            cash, shares = end, 0.0
        yearly = max(-size[i], 0.0) * 0.03 + max(size[i] - 1.0, 0.0) * 0.07
        carry = yearly * (times[row] - times[row - 1]) / 365.0
        assert days.gross[i] == pytest.approx(end / equity - 1.0, abs=3e-7)
        assert days.carry[i] == pytest.approx(carry, abs=1e-15)
        assert days.fee[i] == pytest.approx(market * TAKER + limit * MAKER + carry, abs=1e-9)


def test_a_stop_bounds_the_loss_of_a_day() -> None:
    bars = random_bars(300, 5)
    options = {"simulations": 200, "window": 1, "embargo": 0, "fee": 0, "asset_class": "equity"}

    def days(stop: float | None):
        def make(view):
            levels = None if stop is None else np.full(len(view), stop)
            n = len(view)
            return ms.LimitOrders(np.ones(n), np.full(n, 0.05), np.full(n, -0.002), stop=levels)

        strategies = [Ordered(make)]
        return ms.walk_forward(bars, strategies=strategies, check=False, **(RUN | options)).days

    free, held = days(None), days(-0.006)
    assert held.gross.min() == pytest.approx(-0.004, abs=1e-6) and free.gross.min() < -0.01
    same = ~held.stopped
    np.testing.assert_array_equal(held.gross[same], free.gross[same])
    assert held.stopped.sum() > 20
    trades = ms.walk_forward(
        bars, check=False,
        strategies=[Ordered(lambda v: ms.LimitOrders(
            np.ones(len(v)), np.full(len(v), 0.05), np.full(len(v), -0.002),
            stop=np.full(len(v), -0.006),
        ))], **(RUN | options),
    ).trades  # fmt: skip
    stopped = trades[trades.exit_kind == "stop"]
    assert len(stopped) == held.stopped.sum()
    day = held[held.long_entered].reset_index(drop=True)
    np.testing.assert_allclose(trades.exit_price / trades.entry_price - 1, day.gross, atol=1e-4)


def test_stops_that_cannot_be() -> None:
    bars = random_bars(90)

    def with_stop(value, **options):
        def make(view):
            n = len(view)
            stop = np.full(n, value)
            levels = np.full(n, 0.01), np.full(n, -0.01)
            return ms.LimitOrders(np.ones(n), *levels, stop=stop, **options)

        return lambda: run(bars, make, "open_aware")

    for value, options, message in (
        (-1.0, {}, "stop must be a move above -1.*got -1.0"),
        (np.nan, {}, "stop must be finite: got nan"),
        (-0.02, {"always_on": True}, "always_on and stop cannot be combined"),
    ):
        with pytest.raises(ms.ArgumentError, match=message):
            with_stop(value, **options)()
