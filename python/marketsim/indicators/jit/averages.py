"""Numba forms of what carries on from the value before."""

from __future__ import annotations

import numpy as np

from marketsim.indicators.jit.base import State, compiled, larger

# An average's state: window, rate, rest, value, seen, from_mean.
_AVERAGE = 6
_NEUTRAL, _TALIB = 3, 2


@compiled
def _average_step(state: State, x: float, wilder: bool) -> float:
    """The next value; `wilder`: from the first number it moves by rate * (x - value)."""
    window, rate, rest, value = state[0], state[1], state[2], state[3]
    state[4] += 1.0
    moved = x * rate + value * rest
    if wilder and state[5] == 0.0:
        moved = value + rate * (x - value)
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


@compiled
def _average_state(window: int, wilder: bool, from_mean: bool) -> State:
    state = np.zeros(_AVERAGE)
    state[0] = window
    state[1] = 1.0 / window if wilder else 2.0 / (window + 1.0)
    state[2] = 1.0 - state[1]
    state[5] = 1.0 if from_mean else 0.0
    return state


@compiled
def ema_state(window: int, from_mean: bool = True) -> State:
    """State of `ema`; from_mean: seed "mean", else "first"."""
    return _average_state(window, False, from_mean)


@compiled
def ema_update(state: State, value: float) -> float:
    """The exponential moving average at this bar."""
    return _average_step(state, value, False)


@compiled
def wilder_state(window: int, from_mean: bool = True) -> State:
    """State of `wilder`; from_mean: seed "mean", else "first"."""
    return _average_state(window, True, from_mean)


@compiled
def wilder_update(state: State, value: float) -> float:
    """Wilder's average at this bar."""
    return _average_step(state, value, True)


@compiled
def true_range_state(needs_previous: bool = False) -> State:
    """State of `true_range`; needs_previous: first "nan", else "range"."""
    state = np.zeros(3)
    state[2] = 1.0 if needs_previous else 0.0
    return state


@compiled
def true_range_update(state: State, high: float, low: float, close: float) -> float:
    """The true range at this bar."""
    first = state[1] == 0.0
    before = close if first else state[0]
    state[0], state[1] = close, 1.0
    if first and state[2] != 0.0:
        return np.nan
    return larger(larger(high - low, abs(high - before)), abs(low - before))


@compiled
def atr_state(window: int, from_mean: bool = True) -> State:
    """State of `atr`; from_mean: seed "mean", else "first"."""
    state = np.zeros(_AVERAGE + 3)
    state[:_AVERAGE] = _average_state(window, True, from_mean)
    return state


@compiled
def atr_update(state: State, high: float, low: float, close: float) -> float:
    """The average true range at this bar."""
    first = state[_AVERAGE + 1] == 0.0
    wide = true_range_update(state[_AVERAGE:], high, low, close)
    if first and state[5] != 0.0:
        return np.nan
    return _average_step(state[:_AVERAGE], wide, True)


@compiled
def rsi_state(window: int, convention: int = 1) -> State:
    """State of `rsi`; convention: 1 "wilder", 2 "talib", 3 "neutral"."""
    state = np.zeros(2 * _AVERAGE + 3)
    state[:_AVERAGE] = _average_state(window, True, True)
    state[_AVERAGE : 2 * _AVERAGE] = state[:_AVERAGE]
    state[14] = convention
    return state


@compiled
def _divided_step(state: State, x: float) -> float:
    """As `_average_step` from a mean, by (value * (n - 1) + x) / n."""
    state[4] += 1.0
    if state[4] > state[0]:
        state[3] = (state[3] * (state[0] - 1.0) + x) / state[0]
    else:
        state[3] += x
        if state[4] < state[0]:
            return np.nan
        state[3] /= state[0]
    return float(state[3])


@compiled
def rsi_update(state: State, close: float) -> float:
    """The relative strength index at this bar; NaN, or 50 by "neutral", in the first rows."""
    move = close - state[12]
    first, convention = state[13] == 0.0, state[14]
    state[12], state[13] = close, 1.0
    early = 50.0 if convention == _NEUTRAL else np.nan
    if first:
        return early
    back = 0.0 - move
    gain, loss = 0.0 if move < 0.0 else move, 0.0 if back < 0.0 else back
    if convention == _NEUTRAL:
        up, down = _divided_step(state[:6], gain), _divided_step(state[6:12], loss)
    else:
        up, down = _average_step(state[:6], gain, True), _average_step(state[6:12], loss, True)
    if state[4] < state[0]:
        return early
    if down == 0.0 and up == up:
        return 0.0 if convention == _TALIB and up == 0.0 else 100.0
    if convention == _NEUTRAL:
        return 100.0 - 100.0 / (1.0 + up / down)
    return 100.0 * (up / (up + down))


@compiled
def macd_state(fast: int, slow: int, signal: int, from_mean: bool = False) -> State:
    """State of `macd`; from_mean: seed "mean", else "first"."""
    state = np.zeros(3 * _AVERAGE)
    state[:6] = _average_state(fast, False, from_mean)
    state[6:12] = _average_state(slow, False, from_mean)
    state[12:] = _average_state(signal, False, from_mean)
    return state


@compiled
def macd_update(state: State, close: float) -> tuple[float, float, float]:
    """(macd, signal, histogram) at this bar."""
    fast, slow, signal = state[:6], state[6:12], state[12:]
    if state[5] != 0.0 and slow[4] < slow[0] - fast[0]:
        # The fast average starts with its numbers up to the row of the slow one's first value.
        _average_step(slow, close, False)
        return np.nan, np.nan, np.nan
    quick = _average_step(fast, close, False)
    line = quick - _average_step(slow, close, False)
    if state[5] != 0.0 and slow[4] < slow[0]:
        return np.nan, np.nan, np.nan
    smooth = _average_step(signal, line, False)
    if smooth != smooth:
        return np.nan, smooth, np.nan
    return line, smooth, line - smooth


@compiled
def adx_state(window: int, first_bar: bool = False) -> State:
    """State of `adx`; first_bar: convention "first_bar", else "wilder"."""
    state = np.zeros(11)
    state[0] = window
    state[10] = 1.0 if first_bar else 0.0
    return state


@compiled
def adx_update(state: State, high: float, low: float, close: float) -> tuple[float, float, float]:
    """(adx, plus_di, minus_di) at this bar."""
    window, rows, counts_first = state[0], state[1], state[10] != 0.0
    up, down, before = high - state[2], state[3] - low, state[4]
    state[1], state[2], state[3], state[4] = rows + 1.0, high, low, close
    early = 0.0 if counts_first else np.nan
    added = rows + 1.0 if counts_first else rows
    if added < 1.0:
        return early, early, early
    if rows == 0.0:
        moves = (high - low, 0.0, 0.0)
    else:
        wide = larger(larger(high - low, abs(high - before)), abs(low - before))
        plus_move = up if up > down and up > 0.0 else 0.0
        moves = (wide, plus_move, down if down > up and down > 0.0 else 0.0)
    rate = 1.0 / window
    for i in range(3):
        if added <= (window if counts_first else window - 1.0):
            state[5 + i] += moves[i]
        elif counts_first:
            state[5 + i] = state[5 + i] - state[5 + i] / window + moves[i]
        else:
            state[5 + i] = state[5 + i] - state[5 + i] * rate + moves[i]
    if added < window:
        return early, early, early
    plus, minus = _share(state[6], state[5]), _share(state[7], state[5])
    total = plus + minus
    direction = 0.0 if total == 0.0 else 100.0 * abs(plus - minus) / total
    count = added - window + 1.0
    if count <= window:
        state[8] += direction
        state[9] = state[8] / window
        return (early if count < window else state[9]), plus, minus
    if counts_first:
        state[9] = (state[9] * (window - 1.0) + direction) / window
    elif total != 0.0:
        state[9] = direction * rate + state[9] * (1.0 - rate)
    return state[9], plus, minus


@compiled
def _share(part: float, whole: float) -> float:
    return 0.0 if whole <= 0.0 and part == part else 100.0 * (part / whole)


@compiled
def keltner_state(window: int, atr_window: int, from_mean: bool = True) -> State:
    """State of `keltner`; from_mean: seed "mean", else "first"."""
    state = np.zeros(2 * _AVERAGE + 3)
    state[:_AVERAGE] = _average_state(window, False, from_mean)
    state[_AVERAGE:] = atr_state(atr_window, from_mean)
    return state


@compiled
def keltner_update(
    state: State, high: float, low: float, close: float, multiple: float
) -> tuple[float, float, float]:
    """(middle, upper, lower) at this bar."""
    middle = _average_step(state[:_AVERAGE], close, False)
    reach = multiple * atr_update(state[_AVERAGE:], high, low, close)
    return middle, middle + reach, middle - reach


@compiled
def volatility_ratio_state(short: int, long: int, from_mean: bool = True) -> State:
    """State of `volatility_ratio`; from_mean: seed "mean", else "first"."""
    state = np.zeros(2 * _AVERAGE + 6)
    state[: _AVERAGE + 3] = atr_state(short, from_mean)
    state[_AVERAGE + 3 :] = atr_state(long, from_mean)
    return state


@compiled
def volatility_ratio_update(state: State, high: float, low: float, close: float) -> float:
    """The short ATR over the long one at this bar, 1 where the long one is not above 0."""
    above = atr_update(state[: _AVERAGE + 3], high, low, close)
    below = atr_update(state[_AVERAGE + 3 :], high, low, close)
    return 1.0 if below <= 0.0 and above == above else above / below


@compiled
def obv_state() -> State:
    """State of `obv`."""
    return np.zeros(3)


@compiled
def obv_update(state: State, close: float, volume: float) -> float:
    """On-balance volume at this bar."""
    if state[2] == 0.0:
        state[1] = volume
    elif close > state[0]:
        state[1] += volume
    elif close < state[0]:
        state[1] -= volume
    else:
        state[1] += close - state[0]  # 0, or NaN
    state[0], state[2] = close, 1.0
    return float(state[1])


@compiled
def vwap_state() -> State:
    """State of `vwap`."""
    return np.zeros(4)


@compiled
def vwap_update(
    state: State, high: float, low: float, close: float, volume: float, session: float
) -> float:
    """The volume-weighted average price of the session so far; `session` is its number."""
    if state[3] == 0.0 or session != state[2]:
        state[0] = state[1] = 0.0
    state[0] += (high + low + close) / 3.0 * volume
    state[1] += volume
    state[2], state[3] = session, 1.0
    return float(state[0] / state[1])
