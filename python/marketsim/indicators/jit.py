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

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

State = npt.NDArray[np.float64]
_Function = TypeVar("_Function", bound=Callable[..., object])


def _compiled(function: _Function) -> _Function:
    """Compile; typed as the function that it is."""
    made: object = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast("_Function", made)


# An average's state: window, rate, rest, value, seen, from_mean.
_AVERAGE = 6


@_compiled
def _average_step(state: State, x: float, wilder: int) -> float:
    """Wilder 0: exponential; 1: value + (x - value) / n; 2: (value * (n - 1) + x) / n."""
    window, rate, rest, value = state[0], state[1], state[2], state[3]
    state[4] += 1.0
    if wilder == 0:
        moved = x * rate + value * rest
    elif wilder == 1:
        moved = value + rate * (x - value)
    else:
        moved = (value * (window - 1.0) + x) / window
    if state[5] == 0.0:
        state[3] = x if state[4] == 1.0 else moved
        return float(state[3])
    if state[4] > window:
        state[3] = moved
        return float(moved)
    state[3] = value + x
    if state[4] < window:
        return np.nan
    state[3] /= window
    return float(state[3])


@_compiled
def _average_state(window: int, wilder: bool, from_mean: bool) -> State:
    state = np.zeros(_AVERAGE)
    state[0] = window
    state[1] = 1.0 / window if wilder else 2.0 / (window + 1.0)
    state[2] = 1.0 - state[1]
    state[5] = 1.0 if from_mean else 0.0
    return state


@_compiled
def ema_state(window: int, from_mean: bool = True) -> State:
    """State of `ema`; from_mean: seed "mean", else "first"."""
    return _average_state(window, False, from_mean)


@_compiled
def ema_update(state: State, value: float) -> float:
    """The exponential moving average at this bar."""
    return _average_step(state, value, 0)


@_compiled
def window_state(window: int) -> State:
    """State of the functions of the last rows: sma, bollinger, rolling_max, rolling_min."""
    state = np.zeros(window + 2)
    state[0] = window
    return state


@_compiled
def _push(state: State, value: float) -> bool:
    """Keep a value; True where the window is full. Oldest first from state[2]."""
    window = int(state[0])
    if state[1] < window:
        state[2 + int(state[1])] = value
        state[1] += 1.0
    else:
        for i in range(2, window + 1):
            state[i] = state[i + 1]
        state[window + 1] = value
    return bool(state[1] == window)


@_compiled
def sma_update(state: State, value: float) -> float:
    """The mean of the last rows, NaN until there are enough."""
    if not _push(state, value):
        return np.nan
    total = 0.0
    for i in range(2, int(state[0]) + 2):
        total += state[i]
    return float(total / state[0])


@_compiled
def rolling_max_update(state: State, value: float) -> float:
    """The largest of the last rows, NaN until there are enough or while one is NaN."""
    if not _push(state, value):
        return np.nan
    top = state[2]
    for i in range(3, int(state[0]) + 2):
        if state[i] > top or state[i] != state[i]:
            top = state[i]
    return float(top)


@_compiled
def rolling_min_update(state: State, value: float) -> float:
    """The smallest of the last rows, NaN until there are enough or while one is NaN."""
    if not _push(state, value):
        return np.nan
    least = state[2]
    for i in range(3, int(state[0]) + 2):
        if state[i] < least or state[i] != state[i]:
            least = state[i]
    return float(least)


@_compiled
def bollinger_update(state: State, value: float, multiple: float) -> tuple[float, float, float]:
    """(middle, upper, lower) of the last rows, NaN until there are enough."""
    mean = sma_update(state, value)
    if state[1] < state[0]:
        return np.nan, np.nan, np.nan
    total = 0.0
    for i in range(2, int(state[0]) + 2):
        apart = state[i] - mean
        total += apart * apart
    reach = multiple * math.sqrt(total / state[0])
    return mean, mean + reach, mean - reach


@_compiled
def atr_state(window: int, from_mean: bool = True) -> State:
    """State of `atr`; from_mean: seed "mean", else "first"."""
    state = np.zeros(_AVERAGE + 2)
    state[:_AVERAGE] = _average_state(window, True, from_mean)
    return state


@_compiled
def atr_update(state: State, high: float, low: float, close: float) -> float:
    """The average true range at this bar."""
    first = state[7] == 0.0
    before = close if first else state[6]
    state[6], state[7] = close, 1.0
    if first and state[5] != 0.0:
        return np.nan
    wide = _larger(_larger(high - low, abs(high - before)), abs(low - before))
    return _average_step(state, wide, 1)


@_compiled
def _larger(x: float, y: float) -> float:
    return y if y > x or y != y else x


@_compiled
def rsi_state(window: int) -> State:
    """State of `rsi` with convention "wilder"."""
    state = np.zeros(2 * _AVERAGE + 2)
    state[:_AVERAGE] = _average_state(window, True, True)
    state[_AVERAGE : 2 * _AVERAGE] = state[:_AVERAGE]
    return state


@_compiled
def rsi_update(state: State, close: float) -> float:
    """The relative strength index at this bar, NaN in the first `window` rows."""
    move = close - state[12]
    first = state[13] == 0.0
    state[12], state[13] = close, 1.0
    if first:
        return np.nan
    up = _average_step(state[:6], 0.0 if move <= 0.0 else move, 2)
    down = _average_step(state[6:12], 0.0 if move >= 0.0 else 0.0 - move, 2)
    if down == 0.0 and up == up:
        return 100.0
    return 100.0 - 100.0 / (1.0 + up / down)


@_compiled
def macd_state(fast: int, slow: int, signal: int) -> State:
    """State of `macd` with seed "first"."""
    state = np.zeros(3 * _AVERAGE)
    state[:6] = _average_state(fast, False, False)
    state[6:12] = _average_state(slow, False, False)
    state[12:] = _average_state(signal, False, False)
    return state


@_compiled
def macd_update(state: State, close: float) -> tuple[float, float, float]:
    """(macd, signal, histogram) at this bar."""
    fast = _average_step(state[:6], close, 0)
    line = fast - _average_step(state[6:12], close, 0)
    signal = _average_step(state[12:], line, 0)
    return line, signal, line - signal


@_compiled
def adx_state(window: int) -> State:
    """State of `adx` with convention "wilder"."""
    state = np.zeros(10)
    state[0] = window
    return state


@_compiled
def adx_update(state: State, high: float, low: float, close: float) -> tuple[float, float, float]:
    """(adx, plus_di, minus_di) at this bar: DI from row `window`, ADX from row 2 * window - 1."""
    window, rows = state[0], state[1]
    up, down, before = high - state[2], state[3] - low, state[4]
    state[1], state[2], state[3], state[4] = rows + 1.0, high, low, close
    if rows == 0.0:
        return np.nan, np.nan, np.nan
    wide = _larger(_larger(high - low, abs(high - before)), abs(low - before))
    moves = (wide, up if up > down and up > 0.0 else 0.0, down if down > up and down > 0.0 else 0.0)
    for i in range(3):
        if rows < window:
            state[5 + i] += moves[i]
        else:
            state[5 + i] = state[5 + i] - state[5 + i] / window + moves[i]
    if rows < window:
        return np.nan, np.nan, np.nan
    plus, minus = _share(state[6], state[5]), _share(state[7], state[5])
    total = plus + minus
    direction = 0.0 if total == 0.0 else 100.0 * abs(plus - minus) / total
    count = rows - window + 1.0
    if count <= window:
        state[8] += direction
        state[9] = state[8] / window
        return (np.nan if count < window else state[9]), plus, minus
    if total != 0.0:
        state[9] = (state[9] * (window - 1.0) + direction) / window
    return state[9], plus, minus


@_compiled
def _share(part: float, whole: float) -> float:
    return 0.0 if whole <= 0.0 and part == part else 100.0 * (part / whole)
