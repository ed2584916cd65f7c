"""`core.strategy.regime_unified` and `core.strategy.regime`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from marketsim.legacy.genesis.columns import regimes
from marketsim.legacy.genesis.indicators.averages import (
    calculate_adx,
    calculate_atr,
    calculate_ema,
)
from marketsim.legacy.genesis.names import REGIMES


def detect_regime_unified(candles: Mapping[str, Any], ema_period: int = 50) -> str:
    """The last close against its exponential average: beyond 2 % bull or bear, else ranging."""
    close = candles.get("close")
    if close is None or len(close) < ema_period:
        return "balanced"
    array = np.ascontiguousarray(close, dtype=np.float64)
    if ema_period == 50:
        return REGIMES[regimes(array, None)[-1]]
    average = calculate_ema(array, ema_period)[-1]
    if average == 0:
        return "balanced"
    trend = (float(array[-1]) - average) / average
    return "bull" if trend > 0.02 else "bear" if trend < -0.02 else "ranging"


def detect_volatility_regime(candles: Mapping[str, Any], atr_period: int = 14) -> str:
    """High volatility ("highvol") where the average range is above the median of its last 50."""
    close = candles.get("close")
    if close is None or len(close) < atr_period + 50:
        return "lowvol"
    ranges = calculate_atr(candles.get("high", ()), candles.get("low", ()), close, atr_period)
    return "highvol" if ranges[-1] > sorted(ranges[-50:])[25] else "lowvol"


def classify_regime(
    htf_features: Mapping[str, float],
    *,
    prev_state: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Regime by trend strength with hysteresis; the pipeline does not use it."""
    names = ("adx", "ema_slope", "price_vs_ema", "volatility")
    given = {name: float(htf_features.get(name, 0.0)) for name in names}
    steps_needed = int(((config or {}).get("gates") or {}).get("hysteresis_steps") or 2)
    candidate = _candidate(**given)
    before = dict(prev_state or {})
    regime, steps = before.get("regime", "balanced"), int(before.get("steps", 0))
    steps = 0 if candidate == regime else steps + 1
    if steps >= steps_needed:
        regime, steps = candidate, 0
    return regime, {"regime": regime, "steps": steps, "candidate": candidate, "features": given}


def _candidate(adx: float, ema_slope: float, price_vs_ema: float, volatility: float) -> str:
    if adx > 25.0 and (price_vs_ema > 0 or ema_slope > 0.001):
        return "bull"
    if adx > 25.0 and (price_vs_ema < 0 or ema_slope < -0.001):
        return "bear"
    return "ranging" if adx < 20.0 and volatility < 0.05 else "balanced"


def detect_regime_from_candles(
    candles: Mapping[str, Any], ema_period: int = 50, adx_period: int = 14
) -> str:
    """`classify_regime` of the last candle, without a state."""
    close = candles.get("close", ())
    if len(close) < max(ema_period, adx_period, 1):
        return "balanced"
    high, low = candles.get("high", ()), candles.get("low", ())
    average = calculate_ema(close, ema_period)
    price, now = float(close[-1]), average[-1]
    start = average[-5] if len(average) >= 5 else 0.0
    features = {
        "adx": calculate_adx(high, low, close, adx_period)[-1],
        "ema_slope": (now - start) / start if start > 0 else 0.0,
        "price_vs_ema": (price - now) / now if now > 0 else 0.0,
        "volatility": calculate_atr(high, low, close, adx_period)[-1] / price if price > 0 else 0.0,
    }
    return classify_regime(features)[0]
