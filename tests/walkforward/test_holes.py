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
