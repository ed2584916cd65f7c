"""Columns of splits that say nothing of a step of the price."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars


def falling(factor=4.0, row=20, count=40):
    """Quiet daily bars whose prices fall to a part at one row."""
    close = 100 + np.sin(np.arange(count))
    frame = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=count).strftime("%Y-%m-%d"),
         "open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 10.0}
    )  # fmt: skip
    frame.loc[row:, ["open", "high", "low", "close"]] /= factor
    return frame


@pytest.mark.parametrize("name", ["Stock Splits", "splitFactor", "split_ratio"])
@pytest.mark.parametrize("usual", [0.0, 1.0])
@pytest.mark.parametrize("other", [None, 5, 19, 21])
def test_a_column_that_does_not_explain_the_step_hides_nothing(find, name, usual, other):
    frame = falling()
    frame[name] = usual
    if other is not None:
        frame.loc[other, name] = 4.0
    assert find(frame)["unadjusted_split"].rows == (20,)
    bars = read_bars(frame, splits="adjust")
    assert bars.close.max() < 1.1 * bars.close.min()
    assert "4:1" in bars.repairs[0]
    assert len(read_bars(frame, splits="ignore")) == 40


def test_the_column_wins_where_it_explains_the_step(find):
    frame = falling(7.0).assign(split_factor=1.0)
    frame.loc[20, "split_factor"] = 7.0
    defect = find(frame)["unadjusted_split"]
    assert defect.rows == (20,) and "the column of splits names it" in defect.message
