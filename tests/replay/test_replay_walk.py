"""A strategy of a walk-forward run gives the same days in replay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, OrderError, UnknownNameError
from marketsim.kernels import rules
from marketsim.replay import Account, replay_walk_forward
from marketsim.replay.walk import limit_price

f32 = np.float32
ENTERED = rules.LONG_ENTERED | rules.SHORT_ENTERED
EXITED = rules.LONG_EXITED | rules.SHORT_EXITED


@dataclass
class Random:
    """Positions and levels at random, of one seed."""

    seed: int
    kind: str
    exit_at_close: bool = False
    stop: bool = False

    name, targets, fitted = "random", (), False

    def decide(self, view):
        rng = np.random.default_rng(self.seed)
        shape = (len(view), 8)
        position, away, level, stop, *_ = rng.normal(size=shape).T
        position = np.where(np.abs(position) < 0.3, 0.0, position)
        low = -0.01 + 0.004 * level
        high = low + 0.004 + 0.006 * np.abs(away)
        if self.kind == "take_profit":
            return ms.TakeProfit(position, high=high, low=low)
        if self.kind != "limit":
            return ms.Hold(position, execution=self.kind)
        stop = np.where(position > 0.0, low, high) - np.sign(position) * (0.001 + 0.01 * stop**2)
        return ms.LimitOrders(
            position, high=high, low=low, exit_at_close=self.exit_at_close,
            stop=stop if self.stop else None,
        )  # fmt: skip


def walked(strategy, fill="open_aware", seed=0, **options):
    bars = random_bars(400, seed=seed)
    return ms.walk_forward(
        bars, "ewma", simulations=200, window=1, strategies=[strategy], fill=fill, progress=False,
        check=False, **{"fee": 0.0} | options,
    )  # fmt: skip


def moves_of(walk, found):
    """Moves [day] of the entry and the exit, in float32, NaN without; and what they earned."""
    dates = walk.dates
    entry, leave = np.full((2, len(dates)), np.nan, f32)
    fills = found.fills
    at = dates.get_indexer(fills["time"])
    moves = (fills["price"].to_numpy() / walk.market.previous_close[at] - 1.0).astype(f32)
    second = np.r_[False, at[1:] == at[:-1]]
    entry[at[~second]], leave[at[second]] = moves[~second], moves[second]
    return entry, leave


@pytest.mark.parametrize("fill", ["open_aware", "optimistic"])
@pytest.mark.parametrize("options", [{}, {"exit_at_close": True}, {"stop": True}], ids=str)
def test_limit_orders_fill_on_the_same_days_at_the_same_moves(fill, options) -> None:
    walk = walked(Random(1, "limit", **options), fill, seed=2)
    found = replay_walk_forward(walk)
    outcome, orders = walk.outcomes["random"], walk.runs["random"].orders
    entry, leave = moves_of(walk, found)
    entered = outcome.flags & ENTERED > 0
    np.testing.assert_array_equal(~np.isnan(entry), entered)
    np.testing.assert_array_equal(~np.isnan(leave), entered)
    assert 50 < entered.sum() < len(entered)
    kinds = found.trades["exit"].to_numpy()
    np.testing.assert_array_equal(kinds == "limit", outcome.flags[entered] & EXITED > 0)
    np.testing.assert_array_equal(kinds == "stop", outcome.flags[entered] & rules.STOPPED > 0)
    assert set(kinds) == {"market"} | ({"stop"} if options.get("stop") else set()) | (
        set() if options.get("exit_at_close") else {"limit"}
    )
    # The return of a day: the run's own arithmetic on the moves of the replay's fills.
    gross = np.where(entered, f32(orders.position) * (leave - entry), f32(0.0))
    if options.get("stop"):  # days with a stop are in float64 there
        np.testing.assert_allclose(gross, outcome.gross, rtol=3e-7)
    else:
        np.testing.assert_array_equal(gross, outcome.gross)
    np.testing.assert_allclose(found.returns.to_numpy()[1:], outcome.net, rtol=0.0, atol=3e-7)


@pytest.mark.parametrize("kind", ["close", "next_open", "take_profit"])
def test_held_positions_earn_the_same(kind: str) -> None:
    walk = walked(Random(3, kind), seed=4)
    found = replay_walk_forward(walk)
    outcome = walk.outcomes["random"]
    equity = 10_000.0 * np.cumprod(1.0 + outcome.net)
    np.testing.assert_allclose(found.equity.to_numpy()[1:], equity, rtol=1e-6)
    assert (outcome.flags & EXITED > 0).any() == (kind == "take_profit")
    assert found.position.iloc[-1] == 0.0


def test_the_built_in_strategies_run_with_their_costs() -> None:
    bars = random_bars(500, seed=5)
    names = ["high_low", "entry_takeprofit", "maxdiff"]
    walk = ms.walk_forward(bars, "ewma", simulations=200, window=1, strategies=names, fee=0.0005)
    for name in names:
        found = replay_walk_forward(walk, name)
        outcome = walk.outcomes[name]
        assert found.metrics["trades"] > 0
        # Costs of the value of each fill, not of the position; and a position that is held pays for
        # a trade at the close of the bar before, in the run in the bar itself.
        equity = 10_000.0 * np.cumprod(1.0 + outcome.net)
        np.testing.assert_allclose(found.equity.to_numpy()[1:], equity, rtol=1e-3)


def test_what_replay_cannot_say_is_refused() -> None:
    walk = walked(Random(1, "limit"))
    with pytest.raises(UnknownNameError, match="strategy"):
        replay_walk_forward(walk, "other")
    with pytest.raises(ArgumentError, match='account with fill="next_open"'):
        replay_walk_forward(walk, account=Account(fill="same_close"))
    with pytest.raises(ArgumentError, match="exit_at_close=True"):
        replay_walk_forward(walked(Random(1, "limit"), "close_only"))
    both = ms.walk_forward(random_bars(500), "ewma", simulations=5, strategies="maxdiff_always_on")
    with pytest.raises(ArgumentError, match="long and a short at once"):
        replay_walk_forward(both, "maxdiff_always_on")

    class Beyond(Random):
        def decide(self, view):
            one = np.ones(len(view))
            return ms.LimitOrders(one, high=0.01 * one, low=0.0 * one, stop=0.005 * one)

    with pytest.raises(OrderError, match="a stop that the price has not passed"):
        replay_walk_forward(walked(Beyond(1, "limit")))


@given(
    previous=st.floats(1e-3, 1e6),
    level=st.floats(-0.5, 0.5, width=32),
    near=st.integers(-40, 40),
)
def test_a_limit_price_separates_prices_as_their_moves_do(previous, level, near) -> None:
    level = np.array([level], f32)
    before = np.array([previous])
    for buys in (True, False):
        limit = limit_price(before, level, buys=buys)
        price = limit * (1.0 + near * 3e-10)  # around the width of a move in float32
        for some in (price, np.nextafter(limit, 0.0), limit, np.nextafter(limit, np.inf)):
            move = (some / before - 1.0).astype(f32)
            beyond = (some < limit) if buys else (some > limit)
            assert beyond == ((move < level) if buys else (move > level))
