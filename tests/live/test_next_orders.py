"""Tomorrow's orders are those that a backtest gives the next day, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.bars import Bars
from marketsim.live import ORDER_COLUMNS, next_orders

FIRST, STOP = 1250, 1500
FEW = ("maxdiff", "maxdiff_always_on", "unprofit_shutdown", "entry_takeprofit")


class Trend:
    """Carries a state, has a stop, and fits nothing."""

    name, targets, fitted = "trend", (), False

    def __init__(self) -> None:
        self.bars = 0

    def decide_bar(self, view: Any) -> ms.LimitOrders:
        self.bars += 1
        side = 1.0 if self.bars % 3 else -1.0
        stop = view.low - 0.02 if side > 0 else view.high + 0.02
        return ms.LimitOrders(side, high=view.high + 0.004, low=view.low - 0.001, stop=stop)


class NextOpen:
    """Trades at the open of the bar."""

    name, targets, fitted = "next_open", ("close",), False

    def decide(self, view: Any) -> ms.Hold:
        return ms.Hold(np.sign(view.past("close", 20)[:, -1] - view.past("close", 20).mean(axis=1)),
                       execution="next_open")  # fmt: skip


def cut(bars: Bars, stop: int) -> Bars:
    return Bars(bars.frame.iloc[:stop], bars.symbol, calendar=bars.calendar)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return cut(ms.demo_bars(), STOP)


def test_orders_of_250_evenings_are_those_of_the_backtest(bars: Bars) -> None:
    store = ms.MemoryStore()
    strategies = [*ms.strategy_names()[:9], Trend(), NextOpen()]
    start = bars.frame.index[FIRST]
    days = ms.walk_forward(
        bars, "ewma", strategies=strategies, start=start, store=store, progress=False, check=False
    ).days
    days = days.set_index(["date", "strategy"]).sort_index()
    compared = 0
    for stop in range(FIRST, STOP):
        asked = strategies if stop % 5 == 0 else FEW
        found = next_orders(
            cut(bars, stop), "ewma", asked, start=start, store=store, progress=False,
            check=False,
        )  # fmt: skip
        assert tuple(found.columns) == ORDER_COLUMNS
        assert (found["last_close"] == bars.close[stop - 1]).all()
        for name, rows in found.groupby("strategy", sort=False):
            expected = days.loc[(bars.frame.index[stop], name)]
            first = rows.iloc[0]
            # A long and a short at once add up to no position in the table of days.
            target = rows["position"].sum()
            if name == "next_open":  # what the table shows is traded at the open, from what drifted
                assert target == pytest.approx(expected["position"], abs=1e-12)
            else:
                assert target == expected["position"], (stop, name)
            for column in ("sell_limit", "buy_limit"):
                np.testing.assert_array_equal(first[column], expected[column], err_msg=name)
            for column in ("high_offset", "low_offset"):
                got = 0.0 if math.isnan(first[column]) else first[column]
                assert got == expected[column], (stop, name, column)
            compared += 1
    assert compared == 50 * 11 + 200 * len(FEW)


def test_a_revised_last_bar_changes_the_orders(bars: Bars) -> None:
    frame = bars.frame
    one = next_orders(bars, "ewma", progress=False, store=False)
    frame.iloc[-1, :4] *= 1.01
    other = next_orders(Bars(frame, bars.symbol), "ewma", progress=False, store=False)
    assert not one["buy_limit"].equals(other["buy_limit"])


def test_forecasts_are_those_that_tomorrows_backtest_finds(bars: Bars) -> None:
    store = ms.MemoryStore()
    next_orders(cut(bars, STOP - 1), "ewma", "maxdiff", store=store, progress=False)
    made = len(store)
    assert made == 62 * 4  # the next bar, the last one, and 60 to fit offsets on
    result = ms.walk_forward(
        bars, "ewma", simulations=1, window=1, strategies="maxdiff", store=store, progress=False
    )
    assert result.days["date"].iloc[-1] == bars.frame.index[-1]
    assert len(store) == made


def test_prices_are_rounded_so_that_no_fill_is_worse(bars: Bars) -> None:
    exact = next_orders(bars, "ewma", [*ms.strategy_names()[:9], Trend()], progress=False)
    for tick in (0.01, 0.05, 1.0, 0.1 + 0.2):
        rounded = next_orders(
            bars, "ewma", [*ms.strategy_names()[:9], Trend()], tick=tick, progress=False
        )
        for before, after in zip(exact.to_dict("records"), rounded.to_dict("records"), strict=True):
            for column in ("entry_limit", "take_profit", "stop"):
                if math.isnan(before[column]):
                    assert math.isnan(after[column])
                    continue
                steps = after[column] / tick
                assert abs(steps - round(steps)) < 1e-6
                assert abs(after[column] - before[column]) < tick
                # A stop is rounded towards the market, so that its loss is not larger.
                buys = (before["position"] > 0) == (column == "entry_limit")
                worse = after[column] > before[column] if buys else after[column] < before[column]
                assert not worse, (column, before, after)
    on_grid = Bars(bars.frame.round(2), bars.symbol)
    same = next_orders(on_grid, "ewma", "simple", tick=0.01, progress=False)
    assert same["entry_limit"].isna().all()


def test_quantities(bars: Bars) -> None:
    whole = next_orders(bars, "ewma", "maxdiff", equity=10_000.0, progress=False)
    lots = next_orders(bars, "ewma", "maxdiff", equity=10_000.0, lot=1.0, progress=False)
    assert whole["quantity"].iloc[0] == 10_000.0 / bars.close[-1]
    assert lots["quantity"].iloc[0] == math.floor(10_000.0 / bars.close[-1])
    assert math.isnan(next_orders(bars, "ewma", "maxdiff", progress=False)["quantity"].iloc[0])


def test_a_held_position_trades_the_difference(bars: Bars) -> None:
    always = next_orders(bars, "ewma", "buy_and_hold", progress=False).iloc[0]
    assert (always["order"], always["position"], always["change"]) == ("none", 1.0, 0.0)

    class Half:
        name, targets, fitted, elementwise = "half", (), False, True

        def decide(self, view: Any) -> ms.Hold:
            return ms.Hold(np.full(len(view), -0.5))

    row = next_orders(bars, "ewma", [Half()], progress=False).iloc[0]
    move = bars.close[-1] / bars.close[-2] - 1.0
    carried = -0.5 * (1.0 + move) / (1.0 - 0.5 * move)
    assert row["change"] == pytest.approx(-0.5 - carried, abs=1e-15)
    assert row["side"] == ("sell" if row["change"] < 0 else "buy")


def test_several_symbols_and_errors(bars: Bars) -> None:
    short = Bars(bars.frame.iloc[:30], "SHORT")
    with pytest.raises(ms.NotEnoughBarsError, match="SHORT: too few bars .* got 30, need 72"):
        next_orders([bars, short], "ewma", progress=False)
    errors: dict[str, str] = {}
    found = next_orders([bars, short], "ewma", "maxdiff", progress=False, errors=errors)
    assert list(errors) == ["SHORT"] and set(found["symbol"]) == {bars.symbol}
    alone = next_orders(bars, "ewma", "maxdiff", progress=False)
    pd.testing.assert_frame_equal(found, alone)
    with pytest.raises(ms.ArgumentError, match="given twice"):
        next_orders([bars, bars], "ewma", progress=False)
    with pytest.raises(ms.ArgumentError, match="no bars given"):
        next_orders([], "ewma", progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"equity": 0.0}, "equity must be"),
        ({"equity": math.inf}, "equity must be"),
        ({"tick": -0.01}, "tick must be"),
        ({"lot": 0.0}, "lot must be"),
        ({"offset_window": 0}, "offset_window"),
        ({"fill": "best"}, "fill"),
        ({"strategies": "nothing"}, "strategy"),
    ],
)
def test_wrong_arguments(bars: Bars, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ms.ArgumentError if "must" in message else ValueError, match=message):
        next_orders(bars, "ewma", progress=False, **arguments)


def test_what_is_assumed_is_said(bars: Bars) -> None:
    notes = next_orders(bars, "ewma", "unprofit_shutdown", progress=False).attrs["notes"]
    assert any("next bar" in text and "calendar=" in text for text in notes)
    assert any("unprofit_shutdown carry state" in text for text in notes)
    assert any("tick=" in text for text in notes)
    stated = next_orders(bars, "range", "maxdiff", calendar="24/5", tick=0.01, progress=False)
    assert stated.attrs["notes"] == []


def test_forecasts_that_cross_are_noted() -> None:
    bars = ms.demo_bars()
    notes = ms.next_orders(bars, "ewma", progress=False, store=False).attrs["notes"]
    (note,) = [text for text in notes if "crossed" in text]
    assert note.startswith(f"{bars.symbol}: ewma forecasts the four prices independently")
    notes = ms.next_orders(bars, "range", progress=False, store=False).attrs["notes"]
    assert not any("crossed" in text for text in notes)
