"""Names and codes that the kernels and the old dictionaries share."""

from __future__ import annotations

FEATURES = (
    "rsi_inv_lag1",
    "volatility_shift_ma3",
    "bb_position_inv_ma3",
    "rsi_vol_interaction",
    "vol_regime",
    "atr_14",
    "fib_dist_min_atr",
    "fib_dist_signed_atr",
    "fib_prox_score",
    "fib0618_prox_atr",
    "fib05_prox_atr",
    "swing_retrace_depth",
    "fib05_x_ema_slope",
    "fib_prox_x_adx",
    "fib05_x_rsi_inv",
)
PERIODS = (14, 28, 56)
REGIMES = ("bear", "bull", "ranging", "balanced")
ZONES = ("base", "low", "mid", "high")
WINDOW = 200  # rows that the engine hands to the pipeline at each bar
LEAST_ROWS = 51  # rows up to the as-of row without which there are no features
HIGHER_RATIOS = (0.382, 0.5, 0.618, 0.786)
LOWER_RATIOS = (0.0, 0.382, 0.5, 0.618, 0.786, 1.0)
WITH_LEVELS = ("1h", "30m", "6h", "15m")  # timeframes that have Fibonacci contexts
