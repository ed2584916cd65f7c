"""Indicators: whole series, bar by bar, and from a short history; equal bit for bit.

    import marketsim as ms

    rsi = ms.indicators.rsi(close, 14)                     # [row]
    many = ms.indicators.ema(closes, [10, 20, 50])         # [window, symbol, row] of [symbol, row]
    live = ms.indicators.stream.rsi(14); live.update(101.5)
    short = ms.indicators.rsi(close, 14, lookback=200)     # each value from 200 rows alone

Arrays are float64 [..., row] (others are converted), ascending in time; a value at row t uses rows
up to and including t. Parameters may be arrays: their shape comes first in the result. A value that
the rows do not give is NaN: before a window is full, where a NaN is in it, and for indicators that
carry on from the value before, after any NaN. A window longer than the series gives NaN and a
`ShortSeriesWarning`.

- lookback=n: each value sees its own row and the n - 1 before it alone, and starts anew there, as a
  program that is handed the last n bars does. Near the start it sees the rows there are.
- lag=k (with lookback): the value k rows earlier, as seen from this row's n rows; an array of lags
  adds an axis before the rows.
- out: float64 arrays that take the results, one or a tuple.

`stream` holds the forms that take one bar at a time, `jit` those for your own Numba code.
"""

from __future__ import annotations

from marketsim.indicators import stream
from marketsim.indicators.averages import ema, sma, wilder, wma
from marketsim.indicators.momentum import (
    Bollinger,
    Macd,
    Stochastic,
    bollinger,
    macd,
    rsi,
    stochastic,
)
from marketsim.indicators.ranges import (
    Adx,
    Bands,
    Donchian,
    adx,
    atr,
    donchian,
    keltner,
    true_range,
    volatility_ratio,
)
from marketsim.indicators.realised import (
    close_volatility,
    garman_klass_volatility,
    parkinson_volatility,
    yang_zhang_volatility,
)
from marketsim.indicators.rolling import (
    correlation,
    rolling_max,
    rolling_min,
    rolling_quantile,
    rolling_std,
    zscore,
)
from marketsim.indicators.swings import (
    Swings,
    fibonacci_distances,
    fibonacci_levels,
    swings,
)
from marketsim.indicators.volume import obv, vwap

__all__ = [
    "Adx",
    "Bands",
    "Bollinger",
    "Donchian",
    "Macd",
    "Stochastic",
    "Swings",
    "adx",
    "atr",
    "bollinger",
    "close_volatility",
    "correlation",
    "donchian",
    "ema",
    "fibonacci_distances",
    "fibonacci_levels",
    "garman_klass_volatility",
    "keltner",
    "macd",
    "obv",
    "parkinson_volatility",
    "rolling_max",
    "rolling_min",
    "rolling_quantile",
    "rolling_std",
    "rsi",
    "sma",
    "stochastic",
    "stream",
    "swings",
    "true_range",
    "volatility_ratio",
    "vwap",
    "wilder",
    "wma",
    "yang_zhang_volatility",
    "zscore",
]
