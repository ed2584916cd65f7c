"""The fifteen features of the recorded live system, declared once."""

from __future__ import annotations

from marketsim.features import Value, column, indicator, where

RATIOS, WEIGHTS = (0.382, 0.5, 0.618, 0.786), (0.6, 1.0, 1.0, 0.7)


def fifteen(lookback: int | None, slope: tuple[int, int] = (20, 5)) -> dict[str, Value]:
    def back(name: str, lag: int = 0, **settings: object) -> Value:
        if lookback is None:
            return indicator(name, **settings).lag(lag) if lag else indicator(name, **settings)
        return indicator(name, lookback=lookback, lag=lag, **settings)

    price = column("close")
    atr = back("atr", window=14, seed="first")
    rsi = [(back("rsi", lag, window=14, convention="neutral") - 50) / 50 for lag in (0, 1)]
    ratio = [back("volatility_ratio", lag, seed="first") for lag in (0, 1, 2)]
    inside = [1 - back("bollinger", lag, output="position", root="power") for lag in (0, 1, 2)]
    adx = back("adx", output="adx", convention="first_bar")
    top, bottom = (back("swings", output=side, depth=3) for side in ("high", "low"))
    levels = [top - r * (top - bottom) for r in RATIOS]
    away = [abs(price - level) for level in levels]
    nearest, signed = away[0], price - levels[0]
    for far, level in zip(away[1:], levels[1:], strict=True):
        signed = where(nearest > far, price - level, signed)
        nearest = nearest.minimum(far)
    near = [(-far / (0.6 * atr)).exp() for far in away]
    score = WEIGHTS[0] * near[0]
    for weight, one in zip(WEIGHTS[1:], near[1:], strict=True):
        score = score + weight * one
    score = score / sum(WEIGHTS)
    window, k = slope
    ema = [
        indicator("ema", price, window=window, seed="first", lookback=lookback, lag=lag)
        if lookback
        else indicator("ema", price, window=window, seed="first").lag(lag)
        for lag in (0, k)
    ]

    def pure(value: Value, low: float, high: float) -> Value:
        return where(atr, value.clip(low, high), 0.0)

    fib05, fib_score = pure(near[1], 0, 1), pure(score, 0, 1)
    steep = ((ema[0] - ema[1]) / ema[1]).clip(-0.1, 0.1)
    return {
        "rsi_inv_lag1": rsi[1].clip(-1, 1),
        "volatility_shift_ma3": ((ratio[2] + ratio[1] + ratio[0]) / 3).clip(0.5, 2),
        "bb_position_inv_ma3": ((inside[2] + inside[1] + inside[0]) / 3).clip(0, 1),
        "rsi_vol_interaction": (rsi[0] * ratio[0].clip(0.5, 2)).clip(-2, 2),
        "vol_regime": ratio[0] > 1,
        "atr_14": atr,
        "fib_dist_min_atr": pure(nearest / atr, 0, 10),
        "fib_dist_signed_atr": pure(signed / atr, -10, 10),
        "fib_prox_score": fib_score,
        "fib0618_prox_atr": pure(near[2], 0, 1),
        "fib05_prox_atr": fib05,
        "swing_retrace_depth": pure(where(top > bottom, (top - price) / (top - bottom), 0.0), 0, 1),
        "fib05_x_ema_slope": (fib05 * steep).clip(-0.1, 0.1),
        "fib_prox_x_adx": (fib_score * adx / 100).clip(0, 1),
        "fib05_x_rsi_inv": (fib05 * -rsi[0]).clip(-1, 1),
    }
