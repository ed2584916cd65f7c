from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.metrics import (
    ambiguous_share,
    filled_trades,
    held_trades,
    join_trades,
    trade_statistics,
    traded_value,
)

BARS = st.tuples(
    st.sampled_from([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0]),
    st.sampled_from([-0.1, 0.0, 0.05]),
    st.sampled_from([0.0, 0.01, 0.02]),
    st.booleans(),
)


def plain_trades(held: list[float], breaks: list[bool]) -> list[tuple[int, int, int]]:
    """(side, first bar, last bar) of each round trip, bar by bar."""
    found: list[tuple[int, int, int]] = []
    for bar, position in enumerate(held):
        side = (position > 0) - (position < 0)
        if side and found and found[-1][0] == side and found[-1][2] == bar - 1 and not breaks[bar]:
            found[-1] = (side, found[-1][1], bar)
        elif side:
            found.append((side, bar, bar))
    return found


@given(st.lists(BARS, min_size=1, max_size=30))
def test_round_trips_are_those_of_the_plain_loop(
    bars: list[tuple[float, float, float, bool]],
) -> None:
    held, gross, costs, breaks = (list(column) for column in zip(*bars, strict=True))
    gross = [g if p else 0.0 for g, p in zip(gross, held, strict=True)]
    trades = held_trades(held, gross=gross, costs=costs, breaks=breaks)
    rows = zip(trades.side, trades.entry_bar, trades.exit_bar, strict=True)
    expected = plain_trades(held, breaks)
    assert [tuple(map(int, row)) for row in rows] == expected
    for i, (_, first, last) in enumerate(expected):
        assert trades.size[i] == max(abs(p) for p in held[first : last + 1])
        assert trades.gross[i] == pytest.approx(math.fsum(gross[first : last + 1]), abs=1e-15)
    np.testing.assert_allclose(trades.net, trades.gross - trades.costs, atol=1e-15)
    # Every cost is paid by one trade, but for those of bars that neither hold nor follow a trade.
    idle = [
        cost
        for bar, cost in enumerate(costs)
        if not held[bar] and (bar == 0 or not held[bar - 1] or breaks[bar])
    ]
    assert trades.costs.sum() == pytest.approx(math.fsum(costs) - math.fsum(idle), abs=1e-12)


def test_a_turn_splits_its_costs() -> None:
    trades = held_trades(
        [0.0, 2.0, -1.0, 0.0, 0.0],
        gross=[0.0, 0.1, 0.2, 0.0, 0.0],
        costs=[0.0, 0.02, 0.03, 0.01, 0.0],
    )
    np.testing.assert_allclose(trades.costs, [0.02 + 0.02, 0.01 + 0.01])
    np.testing.assert_allclose(trades.net, [0.06, 0.18])
    np.testing.assert_allclose(trades.net_return, [0.06, 0.18])
    assert trades.exit_kind.tolist() == ["close", "close"]


def test_prices_kinds_and_excursions() -> None:
    close = np.array([100.0, 110.0, 99.0, 90.0, 95.0])
    before = np.r_[100.0, close[:-1]]
    trades = held_trades(
        [0.0, 1.0, 1.0, -1.0, -1.0],
        gross=np.r_[0.0, 0.1, -0.1, 1 / 11, -1 / 18],
        costs=np.zeros(5),
        entry_price=before,
        exit_price=close,
        high=close + 2.0,
        low=close - 3.0,
        ambiguous=[False, False, True, False, False],
    )
    assert trades.entry_price.tolist() == [100.0, 99.0]
    assert trades.exit_price.tolist() == [99.0, 95.0]
    np.testing.assert_allclose(trades.mae, [96 / 100 - 1, 0.0], atol=1e-15)
    np.testing.assert_allclose(trades.mfe, [0.12, 1 - 87 / 99])
    assert trades.ambiguous.tolist() == [True, False]
    assert trades.exit_kind.tolist() == ["close", "end"]
    assert trades.net_return[0] == pytest.approx(1.1 * 0.9 - 1.0)
    assert np.isnan(held_trades([1.0], gross=[0.1], costs=[0.0]).mae).all()


def test_fills_of_one_bar_are_one_trade_each() -> None:
    common = {"size": 1.0, "high": [103.0] * 3, "low": [97.0] * 3}
    longs = filled_trades(
        [1, 0, 1], gross=[0.02, 0.0, -0.01], costs=[0.001] * 3,
        entry_price=[100.0, np.nan, 99.0], exit_price=[102.0, np.nan, 98.0],
        exit_kind=["limit", "", "close"], ambiguous=[True, False, False], **common,
    )  # fmt: skip
    shorts = filled_trades(
        [-1, -1, 0], gross=[0.0, 0.03, 0.0], costs=[0.001] * 3,
        entry_price=[101.0, 102.0, np.nan], exit_price=[101.0, 99.0, np.nan], **common,
    )  # fmt: skip
    both = join_trades([longs, shorts])
    assert both.entry_bar.tolist() == both.exit_bar.tolist() == [0, 0, 1, 2]
    assert both.side.tolist() == [1, -1, -1, 1]
    assert both.exit_kind.tolist() == ["limit", "close", "close", "close"]
    np.testing.assert_allclose(both.net, [0.019, -0.001, 0.029, -0.011])
    np.testing.assert_allclose(both.mae, [-0.03, -2 / 101, -1 / 102, 97 / 99 - 1])
    statistics = trade_statistics(both)
    assert (statistics.trades, statistics.win_rate) == (4, 0.5)
    assert statistics.profit_factor == pytest.approx(0.048 / 0.012)
    assert statistics.expectancy == pytest.approx(0.009)
    assert (statistics.best, statistics.worst) == pytest.approx((0.029, -0.011))
    assert (statistics.longest_losing_streak, statistics.average_bars) == (1, 1.0)


def test_without_trades_nothing_is_claimed() -> None:
    none = held_trades(np.zeros(5), gross=np.zeros(5), costs=np.zeros(5))
    statistics = trade_statistics(none)
    assert (len(none), statistics.trades, statistics.costs) == (0, 0, 0.0)
    assert math.isnan(statistics.win_rate) and math.isnan(statistics.profit_factor)
    assert statistics.longest_losing_streak == 0
    assert len(join_trades([none, none])) == 0
    assert next(iter(none.columns())) == "side"


def test_ambiguous_share_of_absolute_profit() -> None:
    net = np.array([[0.1, -0.3, 0.0], [0.0, 0.0, 0.0]])
    unclear = np.array([[False, True, True], [True, False, False]])
    share = ambiguous_share(net, unclear)
    assert share[0] == pytest.approx(0.75)
    assert math.isnan(share[1])
    with pytest.raises(ValueError, match="booleans"):
        ambiguous_share(net, unclear.astype(float))


def test_what_a_position_trades() -> None:
    # A constant long trades once and is sold at the end; a constant short rebalances.
    market = np.array([0.1, -0.2, 0.05])
    np.testing.assert_allclose(traded_value(np.ones(3), market), [1.0, 0.0, 1.0], atol=1e-15)
    short = traded_value(-np.ones(3), market)
    assert short[1] == pytest.approx(abs(-1.0 - -1.1 / 0.9))
    gap = traded_value(np.ones(3), market, breaks=[False, True, False])
    np.testing.assert_allclose(gap, [2.0, 1.0, 1.0], atol=1e-15)
    # The value traded by an account that really rebalances.
    held, equity, units, price = np.array([0.5, 1.5, -1.0]), 1.0, 0.0, 1.0
    for bar, target in enumerate(held):
        wanted = target * equity / price
        expected = abs(wanted - units) * price / equity
        got = traded_value(held, market)[bar]
        cash = equity - wanted * price
        units, price = wanted, price * (1 + market[bar])
        equity = cash + units * price
        assert got == pytest.approx(expected + (bar == 2) * abs(units * price / equity))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gross": [0.1]}, r"gross must be \[bar\] with 2"),
        ({"costs": [0.1, np.inf]}, "costs must be finite: got .*inf.* at bar 1"),
        ({"breaks": [0, 1]}, "breaks must be booleans"),
        ({"position": [np.nan, 1.0]}, "position must be finite"),
        ({"high": [1.0]}, "high must be"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    given = {"position": [1.0, 1.0], "gross": [0.0, 0.0], "costs": [0.0, 0.0], **arguments}
    with pytest.raises(ValueError, match=message):
        held_trades(given.pop("position"), **given)


def test_sides_are_checked() -> None:
    with pytest.raises(ValueError, match="side must be -1, 0 or 1"):
        filled_trades([2], size=1, gross=[0], costs=[0], entry_price=[1], exit_price=[1])
    with pytest.raises(ValueError, match="at least one"):
        join_trades([])
