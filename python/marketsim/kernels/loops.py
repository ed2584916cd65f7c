"""Compiled loops over days: the windows of a walk-forward run, and positions with a memory.

Numba compiles each function at its first use on a machine and keeps the result on disk. As Python
they are their own readable reference: `function.py_func` is what the tests compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    # Plain IEEE arithmetic: division by zero gives inf or NaN as in NumPy, nothing is reordered.
    try:
        kept = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        return cast(Function, kept)
    except RuntimeError:  # no writable cache folder: compile in each process instead
        return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


@_compiled
def window_sums(values: Floats, starts: npt.NDArray[np.int64], length: int) -> Floats:
    """Sums over each window: values [field, strategy, day] to [window, strategy, field].

    NaN counts as 0. Each window is added from its first day to its last, so a window's sum does not
    depend on the windows beside it.
    """
    result = np.zeros((len(starts), values.shape[1], values.shape[0]))
    for i in range(len(starts)):
        for s in range(values.shape[1]):
            for f in range(values.shape[0]):
                total = 0.0
                for t in range(starts[i], starts[i] + length):
                    if not np.isnan(values[f, s, t]):
                        total += values[f, s, t]
                result[i, s, f] = total
    return result


@_compiled
def shutdown_positions(forecast: Floats, last_return: Floats, long_only: bool) -> Floats:
    """Positions that pause after a loss.

    The first day is long. After a day whose direction was right the position follows the sign of
    the forecast; after a wrong one it is 0; from 0 it opens by the sign. A forecast of exactly 0 is
    no position, on the first day too.

    Args:
        forecast: [day], forecast return of the day.
        last_return: [day], return of the day before: what is known when the day is decided.
        long_only: a negative sign means 0.
    """
    result = np.empty(len(forecast))
    held = 1.0
    for t in range(len(forecast)):
        wrong = t > 0 and held != 0.0 and held * last_return[t] <= 0.0
        if wrong or forecast[t] == 0.0:
            held = 0.0
        elif t > 0:
            held = 1.0 if forecast[t] > 0.0 else 0.0 if long_only else -1.0
        result[t] = held
    return result
