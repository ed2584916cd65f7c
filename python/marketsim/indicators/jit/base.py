"""What the Numba forms share: compiling, and a window of the last rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

State = npt.NDArray[np.float64]
_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile; typed as the function that it is."""
    made: object = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast("_Function", made)


@compiled
def window_state(window: int) -> State:
    """State of the functions of the last rows: sma, wma, bollinger, rolling_max and so on."""
    state = np.zeros(window + 2)
    state[0] = window
    return state


@compiled
def push(state: State, value: float) -> bool:
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


@compiled
def mean_of(state: State) -> float:
    """The mean of a full window."""
    total = 0.0
    for i in range(2, int(state[0]) + 2):
        total += state[i]
    return float(total / state[0])


@compiled
def all_equal(state: State) -> bool:
    """Whether all numbers of a full window are equal: their rounded mean may lie beside them."""
    same = True
    for i in range(2, int(state[0]) + 2):
        same = same and state[i] == state[2]
    return same


@compiled
def variance_of(state: State, mean: float, ddof: float) -> float:
    """The variance of a full window, 0 where all its numbers are equal."""
    total = 0.0
    for i in range(2, int(state[0]) + 2):
        apart = state[i] - mean
        total += apart * apart
    if all_equal(state):
        total = 0.0
    return float(total / (state[0] - ddof))


@compiled
def largest_of(state: State) -> float:
    """The largest number of a full window, NaN if one is."""
    top = state[2]
    for i in range(3, int(state[0]) + 2):
        if state[i] > top or state[i] != state[i]:
            top = state[i]
    return float(top)


@compiled
def smallest_of(state: State) -> float:
    """The smallest number of a full window, NaN if one is."""
    least = state[2]
    for i in range(3, int(state[0]) + 2):
        if state[i] < least or state[i] != state[i]:
            least = state[i]
    return float(least)


@compiled
def larger(x: float, y: float) -> float:
    """The larger number, NaN if one is."""
    return y if y > x or y != y else x
