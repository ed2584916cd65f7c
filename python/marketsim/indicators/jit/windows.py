"""Numba forms of what the last rows alone decide."""

from __future__ import annotations

import math

import numpy as np

from marketsim.indicators.jit.base import (
    State,
    all_equal,
    compiled,
    largest_of,
    mean_of,
    push,
    smallest_of,
    variance_of,
)


@compiled
def sma_update(state: State, value: float) -> float:
    """The mean of the last rows, NaN until there are enough."""
    return mean_of(state) if push(state, value) else np.nan


@compiled
def wma_update(state: State, value: float) -> float:
    """The mean of the last rows with weights 1 .. n, NaN until there are enough."""
    if not push(state, value):
        return np.nan
    total = 0.0
    for i in range(2, int(state[0]) + 2):
        total += state[i] * (i - 1.0)
    return float(total / (state[0] * (state[0] + 1.0) / 2.0))


@compiled
def rolling_max_update(state: State, value: float) -> float:
    """The largest of the last rows, NaN until there are enough or while one is NaN."""
    return largest_of(state) if push(state, value) else np.nan


@compiled
def rolling_min_update(state: State, value: float) -> float:
    """The smallest of the last rows, NaN until there are enough or while one is NaN."""
    return smallest_of(state) if push(state, value) else np.nan


@compiled
def rolling_std_update(state: State, value: float, ddof: float = 0.0) -> float:
    """The deviation of the last rows, NaN until there are enough."""
    if not push(state, value):
        return np.nan
    return math.sqrt(variance_of(state, mean_of(state), ddof))


@compiled
def zscore_update(state: State, value: float, ddof: float = 0.0) -> float:
    """This value in deviations from the mean of the last rows, NaN where all are equal."""
    if not push(state, value):
        return np.nan
    mean = mean_of(state)
    deviation = math.sqrt(variance_of(state, mean, ddof))
    return np.nan if deviation == 0.0 else (value - mean) / deviation


@compiled
def rolling_quantile_update(state: State, value: float, level: float) -> float:
    """The quantile of the last rows, linear between order statistics."""
    if not push(state, value):
        return np.nan
    window = state[2:]
    for x in window:
        if x != x:
            return np.nan
    ordered = np.sort(window)
    at = level * (len(window) - 1)
    below = int(at)
    if below + 1 >= len(window):
        return float(ordered[-1])
    part = at - below
    if part == 0.0:
        return float(ordered[below])
    return float(ordered[below] + (ordered[below + 1] - ordered[below]) * part)


@compiled
def bollinger_update(state: State, value: float, multiple: float) -> tuple[float, float, float]:
    """(middle, upper, lower) of the last rows, NaN until there are enough."""
    if not push(state, value):
        return np.nan, np.nan, np.nan
    mean = mean_of(state)
    reach = multiple * math.sqrt(variance_of(state, mean, 0.0))
    return mean, mean + reach, mean - reach


@compiled
def pair_state(window: int) -> State:
    """State of the functions of the last rows of two series: correlation, donchian."""
    state = np.zeros(2 * (window + 2))
    state[0] = state[window + 2] = window
    return state


@compiled
def correlation_update(state: State, x: float, y: float) -> float:
    """Pearson's correlation of the last rows, NaN where one series does not move."""
    half = len(state) // 2
    xs, ys = state[:half], state[half:]
    push(xs, x)
    if not push(ys, y):
        return np.nan
    x_mean, y_mean = mean_of(xs), mean_of(ys)
    xy = xx = yy = 0.0
    for i in range(2, half):
        a, b = xs[i] - x_mean, ys[i] - y_mean
        xy += a * b
        xx += a * a
        yy += b * b
    scale = math.sqrt(xx) * math.sqrt(yy)
    if scale == 0.0 or all_equal(xs) or all_equal(ys):
        return np.nan
    share = xy / scale
    return -1.0 if share < -1.0 else 1.0 if share > 1.0 else share


@compiled
def donchian_update(state: State, high: float, low: float) -> tuple[float, float, float]:
    """(upper, lower, middle) of the last rows, NaN until there are enough."""
    half = len(state) // 2
    push(state[:half], high)
    if not push(state[half:], low):
        return np.nan, np.nan, np.nan
    upper, lower = largest_of(state[:half]), smallest_of(state[half:])
    return upper, lower, (upper + lower) / 2.0


@compiled
def stochastic_state(window: int, slow: int, signal: int) -> State:
    """State of `stochastic`."""
    state = np.zeros(4 + 2 * (window + 2) + slow + 2 + signal + 2)
    state[0], state[1], state[2] = window, slow, signal
    half = 4 + window + 2
    state[4] = state[half] = window
    rest = half + window + 2
    state[rest] = slow
    state[rest + slow + 2] = signal
    return state


@compiled
def stochastic_update(state: State, high: float, low: float, close: float) -> tuple[float, float]:
    """(k, d) at this bar, NaN until there are rows for both."""
    window, slow = int(state[0]), int(state[1])
    half = 4 + window + 2
    rest = half + window + 2
    highs, lows = state[4:half], state[half:rest]
    raws, ks = state[rest : rest + slow + 2], state[rest + slow + 2 :]
    push(highs, high)
    if not push(lows, low):
        return np.nan, np.nan
    top, bottom = largest_of(highs), smallest_of(lows)
    reach = top - bottom
    if not push(raws, 0.0 if reach == 0.0 else 100.0 * (close - bottom) / reach):
        return np.nan, np.nan
    k = mean_of(raws)
    return (k, mean_of(ks)) if push(ks, k) else (np.nan, np.nan)


@compiled
def close_volatility_state(window: int) -> State:
    """State of `close_volatility`."""
    state = np.zeros(window + 3)
    state[0] = window
    return state


@compiled
def close_volatility_update(state: State, close: float) -> float:
    """The sample deviation of the last log returns of the close."""
    rows, before = state[:-1], state[-1]
    state[-1] = close
    move = np.nan if before == 0.0 else math.log(close / before)
    if not push(rows, move):
        return np.nan
    return math.sqrt(variance_of(rows, mean_of(rows), 1.0))


@compiled
def parkinson_volatility_update(state: State, high: float, low: float) -> float:
    """Volatility from high and low of the last rows; state: `window_state`."""
    wide = math.log(high / low)
    if not push(state, wide * wide):
        return np.nan
    return math.sqrt(mean_of(state) / 2.772588722239781)


@compiled
def garman_klass_volatility_update(
    state: State, opened: float, high: float, low: float, close: float
) -> float:
    """Volatility from open, high, low and close of the last rows; state: `window_state`."""
    wide, body = math.log(high / low), math.log(close / opened)
    if not push(state, 0.5 * wide * wide - 0.3862943611198906 * body * body):
        return np.nan
    mean = mean_of(state)
    return math.sqrt(mean) if mean >= 0.0 else np.nan


@compiled
def yang_zhang_volatility_state(window: int) -> State:
    """State of `yang_zhang_volatility`."""
    state = np.zeros(3 * (window + 2) + 1)
    for i in range(3):
        state[i * (window + 2)] = window
    return state


@compiled
def yang_zhang_volatility_update(
    state: State, opened: float, high: float, low: float, close: float
) -> float:
    """Volatility from the moves overnight, within the bars, and their ranges."""
    size = len(state) // 3
    nights, days, inside = state[:size], state[size : 2 * size], state[2 * size : 3 * size]
    before = state[-1]
    state[-1] = close
    up, down = math.log(high / opened), math.log(low / opened)
    body = math.log(close / opened)
    push(nights, np.nan if before == 0.0 else math.log(opened / before))
    push(days, body)
    if not push(inside, up * (up - body) + down * (down - body)):
        return np.nan
    n = state[0]
    k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    night = variance_of(nights, mean_of(nights), 1.0)
    day = variance_of(days, mean_of(days), 1.0)
    value = night + k * day + (1.0 - k) * mean_of(inside)
    return math.sqrt(value) if value >= 0.0 else np.nan
