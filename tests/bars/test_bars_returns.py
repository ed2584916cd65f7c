from __future__ import annotations

import numpy as np

from marketsim.bars import TARGETS, bar_returns, read_bars


def test_rows_are_targets_and_columns_are_bars(make_frame):
    frame = make_frame(50)
    returns = bar_returns(read_bars(frame))
    assert TARGETS == ("open", "high", "low", "close")
    assert returns.shape == (4, 49)
    assert returns.dtype == np.float64
    for row, name in enumerate(TARGETS):
        for t in range(1, 50):
            assert returns[row, t - 1] == frame[name][t] / frame[name][t - 1] - 1


def test_known_values(frame):
    frame[["open", "high", "low", "close"]] = 10.0
    frame.loc[5, ["high", "close"]] = [12.0, 11.0]
    returns = bar_returns(read_bars(frame))
    np.testing.assert_array_equal(returns[0], 0)
    np.testing.assert_array_equal(returns[2], 0)
    np.testing.assert_allclose(returns[1, 3:6], [0, 0.2, 10 / 12 - 1])
    np.testing.assert_allclose(returns[3, 3:6], [0, 0.1, 10 / 11 - 1])


def test_one_bar_has_no_return(frame):
    assert bar_returns(read_bars(frame.iloc[:1], min_bars=1)).shape == (4, 0)


def test_a_return_depends_on_two_bars_only(frame):
    before = bar_returns(read_bars(frame))
    frame.loc[7, ["open", "high", "low", "close"]] *= 1.3
    after = bar_returns(read_bars(frame))
    changed = np.flatnonzero((before != after).any(axis=0))
    assert changed.tolist() == [6, 7]
