"""Indicators for your own Numba code: a state array and a function that takes one bar.

    import numba
    from marketsim.indicators import jit

    @numba.njit
    def last_cross(close):
        fast, slow = jit.ema_state(10), jit.ema_state(50)
        for price in close:
            up = jit.ema_update(fast, price) > jit.ema_update(slow, price)
        return up

States are float64 arrays; `.copy()` copies one. The values are those of the batch functions with
the same parameters, bit for bit. Compiled code is cached on disk by Numba.
"""

from __future__ import annotations

from marketsim.indicators.jit.averages import (
    adx_state,
    adx_update,
    atr_state,
    atr_update,
    ema_state,
    ema_update,
    keltner_state,
    keltner_update,
    macd_state,
    macd_update,
    obv_state,
    obv_update,
    rsi_state,
    rsi_update,
    true_range_state,
    true_range_update,
    volatility_ratio_state,
    volatility_ratio_update,
    vwap_state,
    vwap_update,
    wilder_state,
    wilder_update,
)
from marketsim.indicators.jit.base import (
    window_state,
)
from marketsim.indicators.jit.swings import swings_state, swings_update
from marketsim.indicators.jit.windows import (
    bollinger_update,
    close_volatility_state,
    close_volatility_update,
    correlation_update,
    donchian_update,
    garman_klass_volatility_update,
    pair_state,
    parkinson_volatility_update,
    rolling_max_update,
    rolling_min_update,
    rolling_quantile_update,
    rolling_std_update,
    sma_update,
    stochastic_state,
    stochastic_update,
    wma_update,
    yang_zhang_volatility_state,
    yang_zhang_volatility_update,
    zscore_update,
)

__all__ = [
    "adx_state",
    "adx_update",
    "atr_state",
    "atr_update",
    "bollinger_update",
    "close_volatility_state",
    "close_volatility_update",
    "correlation_update",
    "donchian_update",
    "ema_state",
    "ema_update",
    "garman_klass_volatility_update",
    "keltner_state",
    "keltner_update",
    "macd_state",
    "macd_update",
    "obv_state",
    "obv_update",
    "pair_state",
    "parkinson_volatility_update",
    "rolling_max_update",
    "rolling_min_update",
    "rolling_quantile_update",
    "rolling_std_update",
    "rsi_state",
    "rsi_update",
    "sma_update",
    "stochastic_state",
    "stochastic_update",
    "swings_state",
    "swings_update",
    "true_range_state",
    "true_range_update",
    "volatility_ratio_state",
    "volatility_ratio_update",
    "vwap_state",
    "vwap_update",
    "wilder_state",
    "wilder_update",
    "window_state",
    "wma_update",
    "yang_zhang_volatility_state",
    "yang_zhang_volatility_update",
    "zscore_update",
]
