"""What strategies see of the past, bar by bar and all at once; who fails is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, MarketsimError, StrategyError, UnknownNameError
from marketsim.strategies import registry

RUN = {"simulations": 9, "window": 4, "store": False, "progress": False}


class Trend:
    """Above the mean of the last closes: long."""

    name, targets, fitted = "trend", (), False

    def __init__(self, length: int = 20) -> None:
        self.length = length

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        close = view.past("close", self.length)
        return ms.Hold(view.allowed(np.sign(close[:, -1] - close.mean(axis=1))))


class TrendByBar:
    name, targets, fitted = "trend", (), False

    def decide_bar(self, view: ms.BarView) -> ms.Hold:
        close = view.past("close", 20)
        return ms.Hold(view.allowed(float(np.sign(close[-1] - close.mean()))))


def test_the_past_ends_before_each_bar() -> None:
    bars, seen = random_bars(60), {}

    class Looks:
        name, targets, fitted = "looks", (), False

        def decide(self, view):
            for column in ("open", "high", "low", "close", "volume"):
                seen[column] = view.past(column, 7)
            seen["bars"] = view.bars
            return ms.Hold(np.zeros(len(view)))

    ms.walk_forward(bars, strategies=[Looks()], check=False, **RUN)
    for column in ("open", "high", "low", "close", "volume"):
        values = getattr(bars, column)
        expected = np.stack([values[row - 7 : row] for row in range(48, 60)])
        np.testing.assert_array_equal(seen[column], expected)
        assert np.shares_memory(seen[column], values)
        assert not seen[column].flags.writeable
    assert seen["bars"].first == 48
    assert len(seen["bars"].close) == 59  # the last bar is known to nobody who decides


def test_from_the_first_bar_on_or_an_error() -> None:
    bars = random_bars(60)
    days = ms.walk_forward(bars, strategies=[Trend(48)], **RUN).days
    assert len(days) == 12
    with pytest.raises(ArgumentError, match=r"past\('close', 49\) needs 49 bars before .*: got 48"):
        ms.walk_forward(bars, strategies=[Trend(49)], **RUN)

    class Odd(Trend):
        def decide(self, view):
            return ms.Hold(view.past("vwap", 3)[:, 0])

    with pytest.raises(UnknownNameError, match="unknown column 'vwap'"):
        ms.walk_forward(bars, strategies=[Odd()], **RUN)


def test_bar_by_bar_is_the_same() -> None:
    bars = random_bars(90)
    whole = ms.walk_forward(bars, strategies=[Trend()], **RUN)
    by_bar = ms.walk_forward(bars, strategies=[TrendByBar()], **RUN)
    pd.testing.assert_frame_equal(whole.days, by_bar.days, check_exact=True)
    pd.testing.assert_frame_equal(whole.simulations, by_bar.simulations, check_exact=True)


def test_a_bar_view_holds_nothing_of_later_bars() -> None:
    bars, shapes = random_bars(60), []

    class Greedy(TrendByBar):
        def decide_bar(self, view):
            shapes.append(
                (len(view._view), len(view._view.bars.close), view.distribution.mean.shape)
            )
            return ms.Hold(0.0)

    ms.walk_forward(bars, strategies=[Greedy()], **RUN)
    assert shapes[:12] == [(1, row, (1, 4)) for row in range(48, 60)]


def test_limits_with_numbers_and_a_state() -> None:
    class Counts:
        name, targets, fitted = "counts", ("high", "low"), False

        def __init__(self) -> None:
            self.bars = 0

        def decide_bar(self, view):
            self.bars += 1
            return ms.LimitOrders(float(self.bars % 2), high=view.high, low=view.low)

    mine = Counts()
    run = ms.walk_forward(random_bars(60), strategies=[mine], **RUN)
    assert run.days.position.tolist() == [1.0, 0.0] * 6
    assert mine.bars == 0  # each run has a copy
    again = ms.walk_forward(random_bars(60), strategies=[mine], **RUN)
    pd.testing.assert_frame_equal(run.days, again.days)


def test_failures_name_strategy_and_bar() -> None:
    class Fails(TrendByBar):
        def decide_bar(self, view):
            return ms.Hold(1.0 / (0.0 if view.date >= np.datetime64("2015-03-15") else 1.0))

    with pytest.raises(StrategyError, match=r"'trend' failed in decide_bar at the bar 2015-03-1\d"):
        ms.walk_forward(random_bars(60), strategies=[Fails()], **RUN)

    class Breaks(Trend):
        def decide(self, view):
            raise KeyError("vix")

    with pytest.raises(StrategyError, match="'trend' failed in decide for the 12 bars .*KeyError"):
        ms.walk_forward(random_bars(60), strategies=[Breaks()], **RUN)

    class Mixes(TrendByBar):
        def decide_bar(self, view):
            return ms.Hold(1.0) if view.date.astype(int) % 2 else ms.Hold("a")

    with pytest.raises(MarketsimError, match="strategy 'trend'.*bar"):
        ms.walk_forward(random_bars(60), strategies=[Mixes()], **RUN)


def test_registered_strategies_can_be_replaced_and_removed(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    ms.register_strategy(Trend(5))
    with pytest.raises(ArgumentError, match="'trend' exists: pass replace=True"):
        ms.register_strategy(TrendByBar())
    ms.register_strategy(TrendByBar(), replace=True)
    assert "trend" in ms.strategy_names()
    ms.unregister_strategy("trend")
    assert "trend" not in ms.strategy_names()
    with pytest.raises(UnknownNameError, match="unknown strategy 'trend'"):
        ms.unregister_strategy("trend")
    with pytest.raises(ArgumentError, match="'simple' is built in"):
        ms.unregister_strategy("simple")

    class Simple(Trend):
        name = "simple"

    with pytest.raises(ArgumentError, match="'simple' exists: choose another name"):
        ms.register_strategy(Simple(), replace=True)
