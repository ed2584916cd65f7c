"""Numba form of confirmed swings."""

from __future__ import annotations

import numpy as np

from marketsim.indicators.jit.base import State, compiled, larger

_Swing = tuple[float, float, float, float]  # price, row, known_at, how many

# Settings: depth, most, reach, spacing, threshold, least, step. Then rounds, room, seen, range,
# close; the extremes so far (price, row of the top, of the bottom); what is known (a swing of the
# tops, of the bottoms); how many pivots of either side; three rings; pivots (row, price, round).
_ROUNDS, _ROOM, _SEEN, _RANGE, _CLOSE, _EXTREMES, _KNOWN, _COUNTS, _RINGS = (
    7, 8, 9, 10, 11, 12, 16, 24, 26,
)  # fmt: skip
_NEVER = 1 << 20


@compiled
def swings_state(
    depth: int = 6,
    most: int = 8,
    reach: int = 250,
    spacing: int = 10,
    threshold: float = 1.1,
    least: float = 0.45,
    step: float = 0.2,
) -> State:
    """State of `swings`, with the parameters of the batch function."""
    rounds, at = 1, threshold
    while step > 0.0 and at > least and rounds < 1000:
        at = max(at - step, least)
        rounds += 1
    # Pivots of a side lie more than `depth` rows apart; those that can matter lie within `reach`
    # rows of the newest of some round.
    room = rounds * (reach // (depth + 1) + 2) + 1
    state = np.zeros(_RINGS + 3 * (2 * depth + 1) + 6 * room)
    state[0], state[1], state[2], state[3] = depth, most, reach, spacing
    state[4], state[5], state[6] = threshold, least, step
    state[_ROUNDS], state[_ROOM] = rounds, room
    state[_EXTREMES] = state[_EXTREMES + 2] = np.nan
    return state


@compiled
def swings_update(
    state: State, high: float, low: float, close: float
) -> tuple[float, float, float, float, float, float, float, float]:
    """The eight results of `marketsim.indicators.Swings` at this bar."""
    seen, span, rate = int(state[_SEEN]), 2 * int(state[0]) + 1, 1.0 / 14.0
    if seen:
        before = state[_CLOSE]
        wide = larger(larger(high - low, abs(high - before)), abs(low - before))
        state[_RANGE] = (1.0 - rate) * state[_RANGE] + rate * wide
    else:
        state[_RANGE] = high - low
    state[_CLOSE], state[_SEEN] = close, seen + 1.0
    slot = _RINGS + seen % span
    state[slot], state[slot + span], state[slot + 2 * span] = high, low, state[_RANGE]
    extremes = state[_EXTREMES:_KNOWN]
    if high == high and not high <= extremes[0]:
        extremes[0], extremes[1] = high, seen
    if low == low and not low >= extremes[2]:
        extremes[2], extremes[3] = low, seen
    if seen + 1 >= span:
        _look_for_pivot(state, seen - int(state[0]), span)
    if state[_RANGE] != state[_RANGE]:
        nan = np.nan
        return nan, nan, nan, nan, nan, nan, nan, nan
    top, bottom = _known(state, 0), _known(state, 1)
    return top[0], top[1], top[2], top[3], bottom[0], bottom[1], bottom[2], bottom[3]


@compiled
def _known(state: State, side: int) -> _Swing:
    known = state[_KNOWN + 4 * side : _KNOWN + 4 * side + 4]
    if known[3] > 0.0:
        return known[0], known[1], known[2], known[3]
    price, row = state[_EXTREMES + 2 * side], state[_EXTREMES + 2 * side + 1]
    row = np.nan if price != price else row
    return price, row, row, 0.0


@compiled
def _look_for_pivot(state: State, row: int, span: int) -> None:
    middle = row % span
    highs, lows = state[_RINGS : _RINGS + span], state[_RINGS + span : _RINGS + 2 * span]
    top = bottom = True
    for i in range(span):
        if i != middle:
            top = top and highs[i] < highs[middle]
            bottom = bottom and lows[i] > lows[middle]
    if not (top or bottom):
        return
    height, wide = highs[middle] - lows[middle], state[_RINGS + 2 * span + middle]
    at, number = state[4], 0
    while not height >= at * wide:
        number += 1
        if number >= state[_ROUNDS]:
            return
        at = max(at - state[6], state[5])
    first, room = _RINGS + 3 * span, 3 * int(state[_ROOM])
    tops, bottoms = state[first : first + room], state[first + room : first + 2 * room]
    if top:
        state[_COUNTS] = _add(tops, int(state[_COUNTS]), row, highs[middle], number, state[2])
    if bottom:
        count = int(state[_COUNTS + 1])
        state[_COUNTS + 1] = _add(bottoms, count, row, lows[middle], number, state[2])
    last = state[_ROUNDS] - 1.0
    high_count, low_count = int(state[_COUNTS]), int(state[_COUNTS + 1])
    last = min(last, max(_least_round(tops, high_count), _least_round(bottoms, low_count)))
    _find(state, tops, high_count, last, state[_KNOWN : _KNOWN + 4])
    _find(state, bottoms, low_count, last, state[_KNOWN + 4 : _KNOWN + 8])


@compiled
def _add(pivots: State, count: int, row: int, price: float, number: int, reach: float) -> int:
    """Keep a pivot; how many are kept. An older one that a newer always thins away goes."""
    at = 3 * count
    pivots[at], pivots[at + 1], pivots[at + 2] = row, price, number
    kept = 0
    for i in range(count + 1):
        matters = True
        for j in range(i + 1, count + 1):
            if pivots[3 * j] > pivots[3 * i] + reach and pivots[3 * j + 2] <= pivots[3 * i + 2]:
                matters = False
        if matters:
            for k in range(3):
                pivots[3 * kept + k] = pivots[3 * i + k]
            kept += 1
    return kept


@compiled
def _least_round(pivots: State, count: int) -> float:
    least = float(_NEVER)
    for i in range(count):
        least = min(least, pivots[3 * i + 2])
    return least


@compiled
def _find(state: State, pivots: State, count: int, last: float, known: State) -> None:
    """The newest swing of a side in the round where the search ends, from thinned pivots."""
    end = count
    while end > 0 and pivots[3 * end - 1] > last:
        end -= 1
    if end == 0:
        known[3] = 0.0
        return
    begin, newest = end, pivots[3 * end - 3]
    while begin > 0 and pivots[3 * begin - 3] + state[2] >= newest:
        begin -= 1
    kept, number = -1, 0.0
    for i in range(begin, end):
        if pivots[3 * i + 2] > last:
            continue
        if kept >= 0 and pivots[3 * i] - pivots[3 * kept] <= state[3]:
            continue
        kept = i
        number += 1.0
    known[0], known[1] = pivots[3 * kept + 1], pivots[3 * kept]
    known[2], known[3] = known[1] + state[0], min(number, state[1])
