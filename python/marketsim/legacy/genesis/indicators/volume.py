"""`core.indicators.volume`: volume against its own averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def _mean(volume: Sequence[float], period: int) -> Any:
    import pandas as pd

    # The running sums of pandas: their last bits are part of what is reproduced.
    return pd.Series(volume, dtype=float).rolling(period, min_periods=period).mean().to_numpy()


def calculate_volume_sma(volume: Sequence[float], period: int) -> list[float]:
    """Plain average, NaN before `period` rows."""
    if len(volume) == 0 or period <= 0:
        return []
    return list(_mean(volume, period).tolist())


def calculate_volume_ema(volume: Sequence[float], period: int) -> list[float]:
    """Exponential average, NaN before `period` rows."""
    import pandas as pd

    if len(volume) == 0 or period <= 0:
        return []
    out = pd.Series(volume, dtype=float).ewm(span=period, adjust=False).mean().to_numpy().copy()
    out[: period - 1] = np.nan
    return list(out.tolist())


def volume_change(volume: Sequence[float], period: int = 20) -> list[float]:
    """Volume against its average, minus 1; [] when too short."""
    if len(volume) == 0 or period <= 0 or len(volume) < period:
        return []
    mean = _mean(volume, period)
    with np.errstate(divide="ignore", invalid="ignore"):
        return list(((np.asarray(volume, float) - mean) / mean).tolist())


def volume_spike(volume: Sequence[float], period: int = 20, threshold: float = 2.0) -> list[bool]:
    """Whether the volume exceeds so many times its average."""
    if len(volume) == 0 or period <= 0 or threshold <= 0:
        return []
    return list((np.asarray(volume, float) > threshold * _mean(volume, period)).tolist())


def volume_trend(
    volume: Sequence[float], fast_period: int = 10, slow_period: int = 50
) -> list[float]:
    """A fast average over a slow one; NaN where there is none, or the slow one is 0."""
    if len(volume) == 0 or fast_period <= 0 or slow_period <= 0:
        return []
    if len(volume) < slow_period:
        return [float("nan")] * len(volume)
    fast = np.asarray(calculate_volume_ema(volume, fast_period))
    slow = np.asarray(calculate_volume_ema(volume, slow_period))
    with np.errstate(divide="ignore", invalid="ignore"):
        return list(np.where(slow == 0, np.nan, fast / slow).tolist())


def volume_price_divergence(
    close: Sequence[float], volume: Sequence[float], lookback: int = 14
) -> list[float]:
    """Product of the trends of price and volume where they point apart: up where price falls."""
    if len(close) == 0 or len(close) != len(volume) or lookback <= 0 or len(close) < lookback:
        return []
    price, size = _trend(close, lookback), _trend(volume, lookback)
    product = np.abs(price * size)
    out = np.zeros(len(close))
    out[(price < 0) & (size > 0)] = product[(price < 0) & (size > 0)]
    out[(price > 0) & (size < 0)] = -product[(price > 0) & (size < 0)]
    out[: lookback - 1] = np.nan
    return list(out.tolist())


def _trend(values: Sequence[float], rows: int) -> Any:
    array = np.asarray(values, float)
    start = np.full(len(array), np.nan)
    start[rows - 1 :] = array[: len(array) - rows + 1]
    return (array - start) / np.where(start == 0, 1.0, start)


def obv(close: Sequence[float], volume: Sequence[float]) -> list[float]:
    """On-balance volume: the running sum of volumes, signed by the move; starts at the first."""
    if len(close) == 0 or len(close) != len(volume):
        return []
    signed = np.asarray(volume).copy()
    moves = np.diff(np.asarray(close, float))
    signed[1:] = np.where(moves > 0, signed[1:], np.where(moves < 0, -signed[1:], 0))
    return list(signed.cumsum().tolist())
