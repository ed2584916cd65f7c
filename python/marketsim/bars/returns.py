"""What is forecast: moves of each price against the close, or the same price, of the bar before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from marketsim import _core
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
    columns = (np.ascontiguousarray(getattr(bars, target)) for target in TARGETS)
    return _core.close_moves(*columns)


_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")
_LOG2_E = float.fromhex("0x1.71547652b82fep0")
_ROUND = 6755399441055744.0  # 1.5 * 2**52: added and taken away, it rounds to a whole number
_TERMS = tuple(1.0 / math.factorial(n) for n in range(14, 1, -1))
_MOST = 700.0  # log moves beyond this leave the range of float64


def simple_moves(logs: Any) -> Any:
    """Return moves as fractions, ``exp(logs) - 1``, of log moves.

    By additions and multiplications of float64 alone, so the bits are the same for arrays of NumPy
    and tensors of torch, on every processor and on a GPU; within 2 units in the last place.

    Args:
        logs: float64 array or tensor of any shape. Above 700 gives infinity, below -700 gives -1.

    Example:
        >>> simple_moves(np.array([0.0, np.log(1.25)])).round(12).tolist()
        [0.0, 0.25]

    """
    known: Any = logs == logs  # no NaN
    held: Any = logs.clip(-_MOST, _MOST)
    held = np.where(known, held, 0.0) if isinstance(logs, np.ndarray) else held.where(known, 0.0)
    power = (held * _LOG2_E + _ROUND) - _ROUND
    rest = (held - power * _LN2_HIGH) - power * _LN2_LOW
    series = rest * _TERMS[0] + _TERMS[1]
    for term in _TERMS[2:]:
        series = series * rest + term
    small = rest + rest * rest * series  # exp(rest) - 1
    if isinstance(logs, np.ndarray):
        bits = (power.astype(np.int64) + 1023) << 52
        scale = bits.view(np.float64)
        found = scale * small + (scale - 1.0)
        found = np.where(logs > _MOST, np.inf, np.where(logs < -_MOST, -1.0, found))
        return np.where(known, found, np.nan)
    import torch

    scale = ((power.long() + 1023) << 52).view(torch.float64)
    found = scale * small + (scale - 1.0)
    found = found.masked_fill(logs > _MOST, math.inf).masked_fill(logs < -_MOST, -1.0)
    return found.masked_fill(~known, math.nan)
