"""What is forecast: moves of each price against the close, or the same price, of the bar before."""

from __future__ import annotations

import numpy as np

from marketsim.bars.bars import Bars
from marketsim.bars.table import FloatArray

TARGETS = ("open", "high", "low", "close")
"""The prices of which returns are forecast, in the order of the rows of `bar_returns`."""


def bar_returns(bars: Bars) -> FloatArray:
    """Return the one-bar returns ``x[t] / x[t-1] - 1`` of open, high, low and close.

    Returns:
        float64 [target, T-1] in the order of `TARGETS`: column i is the return at bar i + 1, as
        a fraction (0.01 is 1 %). It is known when bar i + 1 is complete.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": [4, 5], "high": [5, 6], "low": [4, 4], "close": [4, 6], "volume": [0, 0]},
        ...     index=pd.to_datetime(["2020-01-02", "2020-01-03"]),
        ... )
        >>> bar_returns(read_bars(frame))
        array([[0.25],
               [0.2 ],
               [0.  ],
               [0.5 ]])

    """
    prices = np.stack([getattr(bars, target) for target in TARGETS])
    result: FloatArray = prices[:, 1:] / prices[:, :-1] - 1.0
    return result


def close_moves(bars: Bars) -> FloatArray:
    """Return the log moves ``log(x[t] / close[t-1])`` of open, high, low and close.

    Returns:
        float64 [target, T-1] in the order of `TARGETS`: column i is the move at bar i + 1, known
        when that bar is complete. Of a bar low <= open, close <= high holds for its moves, too.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": [4, 5], "high": [5, 6], "low": [4, 4], "close": [4, 6], "volume": [0, 0]},
        ...     index=pd.to_datetime(["2020-01-02", "2020-01-03"]),
        ... )
        >>> close_moves(read_bars(frame)).round(3).tolist()
        [[0.223], [0.405], [0.0], [0.405]]

    """
    prices = np.stack([getattr(bars, target) for target in TARGETS])
    result: FloatArray = np.log(prices[:, 1:] / bars.close[:-1])
    return result
