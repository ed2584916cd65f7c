"""`core.indicators.{ema, rsi, atr, adx, bollinger, macd}`: lists as long as their input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from marketsim import indicators
from marketsim.errors import ArgumentError, ShortSeriesWarning
from marketsim.legacy.genesis.candles import Array

_BANDS = ("middle", "upper", "lower", "width", "position")


def _array(values: Iterable[float]) -> Array:
    if not isinstance(values, (np.ndarray, list, tuple)):
        values = list(values)
    return np.ascontiguousarray(values, dtype=np.float64)


def _period(period: float) -> int:
    rows = int(period)
    if rows <= 0:
        raise ArgumentError(f"period must be > 0: got {period}")
    return rows


def _same(*arrays: Array) -> None:
    if len({len(array) for array in arrays}) > 1:
        raise ArgumentError(
            f"highs/lows/closes must have same length: got {[len(array) for array in arrays]}"
        )


def _quietly(call: Callable[[], Any]) -> Any:
    """A short series is no warning here: the old functions have a value for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortSeriesWarning)
        return call()


def calculate_ema(values: Iterable[float], period: int) -> list[float]:
    """Exponential average that starts at the first value."""
    array, rows = _array(values), _period(period)
    return indicators.ema(array, rows, seed="first").tolist() if len(array) else []


def calculate_rsi(values: Iterable[float], period: int = 14) -> list[float]:
    """Relative strength index, Wilder's averages; 50 in the first `period` rows."""
    array, rows = _array(values), _period(period)
    if not len(array):
        return []
    return list(_quietly(lambda: indicators.rsi(array, rows, convention="neutral")).tolist())


def calculate_atr(
    highs: Iterable[float], lows: Iterable[float], closes: Iterable[float], period: int
) -> list[float]:
    """Average true range that starts at the first bar's range."""
    high, low, close, rows = _array(highs), _array(lows), _array(closes), _period(period)
    _same(high, low, close)
    return indicators.atr(high, low, close, rows, seed="first").tolist() if len(close) else []


def calculate_adx(
    highs: Iterable[float],
    lows: Iterable[float],
    closes: Iterable[float],
    period: int = 14,
) -> list[float]:
    """Average directional index; 0 before row 2 * period - 2."""
    high, low, close, rows = _array(highs), _array(lows), _array(closes), _period(period)
    _same(high, low, close)
    if not len(close):
        return []
    if rows == 1:
        raise ArgumentError("period must be at least 2: got 1")
    found = _quietly(lambda: indicators.adx(high, low, close, rows, convention="first_bar"))
    return list(found.adx.tolist())


def calculate_sma(values: Sequence[float], period: int) -> list[float]:
    """Plain average, NaN before `period` rows; [] for no values or a period below 1."""
    if len(values) == 0 or period <= 0:
        return []
    array = _array(values)
    return list(_quietly(lambda: indicators.sma(array, period)).tolist())


def calculate_std_dev(values: Sequence[float], period: int, sma: Sequence[float]) -> list[float]:
    """Population deviation of each window about the given averages."""
    if len(values) == 0 or period <= 0 or len(values) != len(sma):
        return []
    out = []
    for row, mean in enumerate(sma):
        if row < period - 1 or mean != mean:
            out.append(float("nan"))
            continue
        total = 0.0
        for value in values[row - period + 1 : row + 1]:
            total += (value - mean) ** 2
        out.append((total / period) ** 0.5)
    return out


def bollinger_bands(
    close: Sequence[float], period: int = 20, std_dev: float = 2.0
) -> dict[str, list[float]]:
    """Bands of mean and deviation: middle, upper, lower, width, position; [] when too short."""
    if len(close) == 0 or period <= 0 or len(close) < period:
        return {name: [] for name in _BANDS}
    found = indicators.bollinger(_array(close), period, std_dev, root="power")
    return {name: getattr(found, name).tolist() for name in _BANDS}


def bb_squeeze(bb_width: Sequence[float], lookback: int = 20) -> list[bool]:
    """Whether the width is the smallest of its last `lookback` rows; NaN rows do not count."""
    if len(bb_width) == 0 or lookback <= 0:
        return []
    out = []
    for row, width in enumerate(bb_width):
        window = [x for x in bb_width[max(row - lookback + 1, 0) : row + 1] if x == x]
        out.append(row >= lookback - 1 and width == width and width == min(window))
    return out


def calculate_macd(
    closes: Sequence[float],
    fast_period: int = 12,
    slow_period: int = 26,
    signal_period: int = 9,
) -> dict[str, list[float]]:
    """Difference of two averages, its average, and the rest; zeros below `slow_period` rows."""
    if len(closes) < slow_period:
        return {name: [0.0] * len(closes) for name in ("macd", "signal", "histogram")}
    array = _array(closes)
    fast, slow = _period(fast_period), _period(slow_period)
    macd = indicators.ema(array, fast, seed="first") - indicators.ema(array, slow, seed="first")
    signal = indicators.ema(macd, _period(signal_period), seed="first")
    return {
        "macd": macd.tolist(),
        "signal": signal.tolist(),
        "histogram": (macd - signal).tolist(),
    }
