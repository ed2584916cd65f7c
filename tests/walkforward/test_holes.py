"""A hole in the evaluated bars is named, and its time counts in an annual return."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim import read_bars, walk_forward


def run(index):
    price = 100 * 1.002 ** np.arange(len(index))
    frame = pd.DataFrame(
        {"open": price, "high": price, "low": price, "close": price, "volume": 1.0}, index
    )
    return walk_forward(
        read_bars(frame), "ewma", simulations=30, progress=False, store=False
    ).summary()


def test_ten_months_without_bars_are_not_one_day():
    index = pd.bdate_range("2011-07-29", periods=150)
    holed = run(index.append(pd.bdate_range("2012-12-17", periods=20)))
    assert any("no bars from 2012-02-23 to 2012-12-17 (298 days)" in note for note in holed.notes)
    figures = holed.strategies.loc["buy_and_hold"]
    years = 36 / 252 + 298 / 365.25
    expected = (1 + figures["total_return"]) ** (1 / years) - 1
    assert figures["annual_return"] == pytest.approx(expected, rel=1e-12)
    whole = run(pd.bdate_range("2011-07-29", periods=170))
    assert whole.notes == ()
    assert whole.strategies.loc["buy_and_hold", "annual_return"] > 0.5


def test_a_hole_before_the_evaluated_bars_changes_nothing():
    index = pd.bdate_range("2010-07-29", periods=20)
    assert run(index.append(pd.bdate_range("2011-07-29", periods=150))).notes == ()


def test_sessions_of_a_named_calendar_without_a_bar_are_named():
    index = pd.bdate_range("2011-07-29", periods=150)
    price = np.full(150, 100.0)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), price), index)
    frame["volume"] = 1.0
    options = {"simulations": 10, "progress": False, "store": False, "strategies": ["simple"]}

    def notes(frame: pd.DataFrame, calendar: str) -> tuple[str, ...]:
        result = walk_forward(read_bars(frame), "ewma", calendar=calendar, **options)
        return tuple(note for note in result.summary().notes if "calendar" in note)

    assert notes(frame, "24/5") == ()
    holed = notes(frame.drop(index[[20, 120]]), "24/5")
    assert holed == (
        f"calendar 24/5: 2 sessions between the first and the last bar without a bar, "
        f"{index[20]:%Y-%m-%d}, {index[120]:%Y-%m-%d}: the next bar's return spans them",
    )
    (weekends,) = notes(frame, "24/7")
    assert "24/7: 60 sessions" in weekends
    assert "2011-07-30, 2011-07-31" in weekends and "and 55 more" in weekends
