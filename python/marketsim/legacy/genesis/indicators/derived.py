"""`core.indicators.derived_features`: shipped and tested, though no pipeline used them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def _zscore(values: pd.Series[float], window: int) -> list[float]:
    rolling = values.rolling(window, min_periods=10)
    deviation = rolling.std()
    score = (values - rolling.mean()) / deviation.where(deviation > 0, 1.0)
    return score.fillna(0.0).tolist()


def _ranges(atr_values: Sequence[float], rows: int) -> pd.Series[float]:
    import pandas as pd

    given = list(atr_values) if len(atr_values) else [1.0] * rows
    series = pd.Series(given + [1.0] * (rows - len(given)), dtype=float)
    return series.where(series > 0, 1.0)


def calculate_momentum_displacement_z(
    closes: Sequence[float], atr_values: Sequence[float], period: int = 3, window: int = 240
) -> list[float]:
    """The move over `period` rows in average ranges, as a rolling z-score; 0 when too short."""
    import pandas as pd

    if len(closes) < period + 1:
        return [0.0] * len(closes)
    moved = pd.Series(closes, dtype=float).diff(period)
    return _zscore(moved / _ranges(atr_values, len(closes)), window)


def calculate_price_stretch_z(
    closes: Sequence[float],
    ema_values: Sequence[float],
    atr_values: Sequence[float],
    window: int = 240,
) -> list[float]:
    """The distance from an average in average ranges, as a rolling z-score."""
    import pandas as pd

    if len(closes) != len(ema_values):
        return [0.0] * len(closes)
    apart = pd.Series(closes, dtype=float) - pd.Series(ema_values, dtype=float)
    return _zscore(apart / _ranges(atr_values, len(closes)), window)


def calculate_volume_anomaly_z(volumes: Sequence[float], window: int = 240) -> list[float]:
    """Rolling z-score of the volume."""
    import pandas as pd

    return _zscore(pd.Series(volumes, dtype=float), window)


def calculate_trend_confluence(
    ema_fast: Sequence[float], ema_slow: Sequence[float], window: int = 20
) -> list[float]:
    """Ten times the smaller slope of two averages that rise (fall) together, within -1..1."""
    if len(ema_fast) != len(ema_slow) or len(ema_fast) < window + 1:
        return [0.0] * len(ema_fast)
    fast, slow = np.asarray(ema_fast, float), np.asarray(ema_slow, float)
    out = np.zeros(len(fast))
    start_fast, start_slow = fast[:-window], slow[:-window]
    known = (start_fast != 0) & (start_slow != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = (fast[window:] - start_fast) / start_fast
        down = (slow[window:] - start_slow) / start_slow
    least = np.minimum(np.abs(up), np.abs(down))
    both = np.where((up > 0) & (down > 0), least, np.where((up < 0) & (down < 0), -least, 0.0))
    out[window:] = np.where(known, np.clip(both * 10, -1.0, 1.0), 0.0)
    return out.tolist()


def calculate_volatility_shift(
    atr_short: Sequence[float], atr_long: Sequence[float]
) -> list[float]:
    """A short average range over a long one, 1 where that is not above 0."""
    if len(atr_short) != len(atr_long):
        return [0.0] * min(len(atr_short), len(atr_long))
    short, long = np.asarray(atr_short, float), np.asarray(atr_long, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return list(np.where(long > 0, short / long, 1.0).tolist())


def calculate_regime_persistence(ema_values: Sequence[float], window: int = 24) -> list[float]:
    """Rolling mean of the signs of an average's moves; 0 when too short."""
    import pandas as pd

    if len(ema_values) < window + 1:
        return [0.0] * len(ema_values)
    slope = pd.Series(ema_values, dtype=float).pct_change()
    signs = pd.Series(np.where(slope > 0, 1.0, np.where(slope < 0, -1.0, 0.0)))
    return signs.rolling(window, min_periods=window).mean().fillna(0.0).tolist()


def calculate_price_reversion_potential(price_stretch_z: Sequence[float]) -> list[float]:
    """The negative size of a stretch."""
    return [-abs(x) for x in price_stretch_z]
