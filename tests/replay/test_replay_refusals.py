"""What a replay refuses, in words that say what was given and what is expected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from market import random_bars

from marketsim.errors import ArgumentError, OrderError, StrategyError
from marketsim.replay import orders as o
from marketsim.replay import replay, replay_portfolio, replay_strategy, replay_targets

BARS = random_bars(60, seed=4)
UP = np.r_[False, np.diff(BARS.close) > 0.0]
INDEX = BARS.frame.index


def idle(state, bar, features, orders):
    pass


@pytest.mark.parametrize(
    "write",
    [
        lambda orders: o.buy(orders, -1.0),
        lambda orders: o.sell(orders, -1.0),
        lambda orders: o.buy(orders, 0.0),
        lambda orders: o.exit_limit(orders, o.buy(orders, 1.0), 1.1, -1.0),
        lambda orders: o.exit_at(orders, o.sell(orders, 1.0), 50.0, quantity=-2.0),
    ],
)
def test_a_size_that_would_turn_an_order_round(write) -> None:
    def on_bar(state, bar, features, orders):
        if bar.index == 3:
            write(orders)

    with pytest.raises(OrderError, match=r"after bar 3 .*quantity=(-[12]|0).*above 0"):
        replay_strategy(BARS, on_bar, jit=False)


def test_a_negative_size_in_compiled_code() -> None:
    def on_bar(state, bar, features, orders):
        if bar.index == 3:
            o.buy(orders, -1.0)

    with pytest.raises(OrderError, match=r"after bar 3 .*quantity=-1"):
        replay_strategy(BARS, on_bar)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda late: replay(BARS, late, ~UP), "entries has other times"),
        (lambda late: replay(BARS, UP, late), "exits has other times"),
        (lambda late: replay(BARS, UP, ~UP, size=late * 0.5 + 0.5), "size has other times"),
        (lambda late: replay(BARS, UP, ~UP, stop_loss=late * 0.1 + 0.1), "stop_loss has other"),
        (lambda late: replay(BARS, UP, ~UP, dividend=late * 1.0), "dividend has other times"),
        (lambda late: replay_targets(BARS, late * 1.0), "target has other times"),
        (lambda late: replay_strategy(BARS, idle, {"x": late * 1.0}), "feature 'x' has other"),
    ],
)
def test_series_of_other_times(call, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(pd.Series(UP, INDEX + pd.Timedelta(days=1)))


def test_series_of_the_bars_own_times() -> None:
    expected = replay(BARS, UP, ~UP).equity
    for index in (INDEX, INDEX.tz_localize(None), INDEX.tz_convert("Asia/Tokyo"), None):
        found = replay(BARS, pd.Series(UP, index), pd.Series(~UP, index)).equity
        pd.testing.assert_series_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": "1"}, "size must be a number"),
        ({"size": 1j}, "size must be a number"),
        ({"size": ["a"] * 60}, "size must be numbers"),
        ({"take_profit": ["a"] * 60}, "take_profit must be numbers"),
        ({"cooldown": 2**64}, "cooldown must be at most"),
        ({"time_stop": -1}, "time_stop must be a whole number"),
        ({"account": "cash"}, "account must be an Account: got str"),
        ({"split": ["a"] * 60}, "split must be numbers"),
    ],
)
def test_arguments(arguments, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        replay(BARS, UP, ~UP, **arguments)


def test_flags_with_missing_values() -> None:
    with pytest.raises(ArgumentError, match="with missing values"):
        replay(BARS, pd.array([None] * 60, dtype="boolean"), ~UP)


@pytest.mark.parametrize("name", ["class", "_values", "a b", 1])
def test_names_of_features(name) -> None:
    with pytest.raises(ArgumentError, match="is no such name"):
        replay_strategy(BARS, idle, {name: BARS.close})


def test_a_strategy_that_does_not_compile() -> None:
    def reads(state, bar, features, orders):
        if features.missing > 0.0:
            o.buy(orders, 1.0)

    with pytest.raises(StrategyError, match=r"cannot be compiled.*missing.*features: x.*jit=False"):
        replay_strategy(BARS, reads, {"x": BARS.close})
    with pytest.raises(StrategyError, match="not a function"):
        replay_strategy(BARS, 5)


def test_portfolios() -> None:
    close = pd.DataFrame({"A": BARS.close, "B": BARS.open}, INDEX)
    half = close * 0.0 + 0.5
    for changed, message in (
        ({"weights": half.astype(str)}, "weights must be numbers: column 'A'"),
        ({"weights": half.to_numpy()}, "weights must be a DataFrame"),
        ({"close": -close}, "close must be above 0"),
        ({"open": close.where(close > close.min(), 0.0)}, "open must be above 0"),
        ({"periods_per_year": "x"}, "periods_per_year must be a number"),
    ):
        arguments = {"close": close, "weights": half, "open": close, **changed}
        with pytest.raises(ArgumentError, match=message):
            replay_portfolio(**arguments)
