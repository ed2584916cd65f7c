"""Indicators that take one bar at a time: the same names and parameters as the batch functions.

`update` takes one number for each array of the batch function, in its order, and gives the value at
that bar: a float, or a tuple where the indicator has several results. The values equal the batch
form's, bit for bit. A stream can be copied (`copy()`, `copy.copy`) and pickled.
"""

from __future__ import annotations

from collections.abc import Sequence

from marketsim._core import IndicatorStream, indicator_kinds
from marketsim.errors import ArgumentError
from marketsim.indicators.specs import Call, power_of, prepare

__all__ = [
    "IndicatorStream",
    "adx",
    "atr",
    "bollinger",
    "close_volatility",
    "correlation",
    "donchian",
    "ema",
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
    "swings",
    "true_range",
    "volatility_ratio",
    "vwap",
    "wilder",
    "windowed",
    "wma",
    "yang_zhang_volatility",
    "zscore",
]


MOST_ROWS = 2**24  # that a stream keeps


def check_kept_rows(call: Call, lookback: int = 0) -> None:
    """Refuse a window that a stream would fill the memory with."""
    kept = lookback
    if call.spec.name == "swings":
        kept = max(kept, int(call.parameters[0][0]))
    elif not indicator_kinds()[call.spec.name][2]:  # its value follows from a window of rows
        kept = max(kept, call.rows)
    if kept > MOST_ROWS:
        raise ArgumentError(
            f"{call.spec.name}: a stream keeps the rows of its window: expected at most "
            f"{MOST_ROWS:,}, got {kept:,}"
        )


def start(call: Call, lookback: int = 0, lags: Sequence[int] = ()) -> IndicatorStream:
    """A stream of an indicator with one parameter set.

    lookback and lags: those of the windowed form; `update` then gives the lags of each result one
    after the other. It keeps the rows and runs over them at each: O(lookback).
    """
    if call.shape:
        raise ArgumentError(
            f"stream.{call.spec.name}: expected one number a parameter, got arrays of shape "
            f"{call.shape}: keep one stream for each"
        )
    check_kept_rows(call, lookback)
    numbers = [float(x) for x in call.parameters[0]]
    return IndicatorStream(call.spec.name, numbers, call.option, call.longest, lookback, lags)


def sma(window: int) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("sma", window=window))


def ema(window: int, *, seed: str = "mean") -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("ema", seed, window=window))


def wma(window: int) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("wma", window=window))


def wilder(window: int, *, seed: str = "mean") -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("wilder", seed, window=window))


def rolling_std(window: int, ddof: int = 0) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("rolling_std", window=window, ddof=ddof))


def zscore(window: int, ddof: int = 0) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("zscore", window=window, ddof=ddof))


def rolling_min(window: int) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("rolling_min", window=window))


def rolling_max(window: int) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("rolling_max", window=window))


def rolling_quantile(window: int, level: float = 0.5) -> IndicatorStream:
    """`update(values)`."""
    return start(prepare("rolling_quantile", window=window, level=level))


def correlation(window: int) -> IndicatorStream:
    """`update(x, y)`."""
    return start(prepare("correlation", window=window))


def true_range(*, first: str = "range") -> IndicatorStream:
    """`update(high, low, close)`."""
    return start(prepare("true_range", first))


def atr(window: int = 14, *, seed: str = "mean") -> IndicatorStream:
    """`update(high, low, close)`."""
    return start(prepare("atr", seed, window=window))


def adx(window: int = 14, *, convention: str = "wilder") -> IndicatorStream:
    """`update(high, low, close)` -> (adx, plus_di, minus_di)."""
    return start(prepare("adx", convention, window=window))


def donchian(window: int = 20) -> IndicatorStream:
    """`update(high, low)` -> (upper, lower, middle)."""
    return start(prepare("donchian", window=window))


def keltner(
    window: int = 20, atr_window: int = 10, multiple: float = 2.0, *, seed: str = "mean"
) -> IndicatorStream:
    """`update(high, low, close)` -> (middle, upper, lower)."""
    return start(prepare("keltner", seed, window=window, atr_window=atr_window, multiple=multiple))


def volatility_ratio(short: int = 14, long: int = 50, *, seed: str = "mean") -> IndicatorStream:
    """`update(high, low, close)`."""
    return start(prepare("volatility_ratio", seed, short=short, long=long))


def rsi(window: int = 14, *, convention: str = "wilder") -> IndicatorStream:
    """`update(close)`."""
    return start(prepare("rsi", convention, window=window))


def macd(fast: int = 12, slow: int = 26, signal: int = 9, *, seed: str = "mean") -> IndicatorStream:
    """`update(close)` -> (macd, signal, histogram)."""
    return start(prepare("macd", seed, fast=fast, slow=slow, signal=signal))


def bollinger(window: int = 20, multiple: float = 2.0, *, root: str = "sqrt") -> IndicatorStream:
    """`update(close)` -> (middle, upper, lower, deviation, width, position)."""
    return start(prepare("bollinger", window=window, multiple=multiple, power=power_of(root)))


def stochastic(window: int = 14, slow: int = 3, signal: int = 3) -> IndicatorStream:
    """`update(high, low, close)` -> (k, d)."""
    return start(prepare("stochastic", window=window, slow=slow, signal=signal))


def close_volatility(window: int = 20) -> IndicatorStream:
    """`update(close)`."""
    return start(prepare("close_volatility", window=window))


def parkinson_volatility(window: int = 20) -> IndicatorStream:
    """`update(high, low)`."""
    return start(prepare("parkinson_volatility", window=window))


def garman_klass_volatility(window: int = 20) -> IndicatorStream:
    """`update(open, high, low, close)`."""
    return start(prepare("garman_klass_volatility", window=window))


def yang_zhang_volatility(window: int = 20) -> IndicatorStream:
    """`update(open, high, low, close)`."""
    return start(prepare("yang_zhang_volatility", window=window))


def obv() -> IndicatorStream:
    """`update(close, volume)`."""
    return start(prepare("obv"))


def vwap() -> IndicatorStream:
    """`update(high, low, close, volume, session)`."""
    return start(prepare("vwap"))


def windowed(
    name: str, lookback: int, *, lags: Sequence[int] = (0,), choice: str = "", **parameters: float
) -> IndicatorStream:
    """The windowed form of any indicator, bar by bar: seeded anew `lookback` rows before each.

    choice: the indicator's seed or convention. `update` gives the lags of each result one after the
    other. O(lookback) a bar.

    Example:
        >>> live = windowed("ema", 3, window=2, choice="first")
        >>> [live.update(x) for x in (1.0, 2.0, 4.0)]
        [1.0, 1.6666666666666665, 3.2222222222222223]

    """
    if lookback < 1 or not lags or not all(0 <= lag < lookback for lag in lags):
        raise ArgumentError(f"lookback must be above every lag: got {lookback}, lags={list(lags)}")
    return start(prepare(name, choice, **parameters), lookback, list(lags))


def swings(
    *,
    depth: int = 6,
    most: int = 8,
    reach: int = 250,
    spacing: int = 10,
    threshold: float = 1.1,
    least: float = 0.45,
    step: float = 0.2,
) -> IndicatorStream:
    """`update(high, low, close)` -> the eight results of `marketsim.indicators.Swings`."""
    return start(
        prepare(
            "swings",
            depth=depth,
            most=most,
            reach=reach,
            spacing=spacing,
            threshold=threshold,
            least=least,
            step=step,
        )
    )
