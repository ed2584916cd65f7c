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

# Columns of `window_metrics`.
METRICS = (
    "total_return",
    "mean_return",
    "std_return",
    "sharpe",
    "sharpe_error",
    "max_drawdown",
    "hit_rate",
    "active_days",
)


def _compiled(function: Function) -> Function:
    # Plain IEEE arithmetic: division by zero gives inf or NaN as in NumPy, nothing is reordered.
    try:
        kept = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        return cast(Function, kept)
    except RuntimeError:  # no folder can be written to: compile in each process instead
        return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


@_compiled
def window_metrics(
    net: Floats, active: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64], length: int
) -> Floats:
    """Performance of each window of days, for each strategy.

    Args:
        net: [strategy, day], net return of each day as a fraction of the capital.
        active: [strategy, day], whether the strategy was in the market.
        starts: [window], first day of each window.
        length: days a window, at least 1.

    Returns:
        [window, strategy, metric] in the order of METRICS, per day and not annualised. NaN where
        a figure has no meaning: std and Sharpe of one day, Sharpe without variation, hit rate
        without an active day.
    """
    result = np.empty((len(starts), net.shape[0], 8))
    for i in range(len(starts)):
        start = starts[i]
        for s in range(net.shape[0]):
            equity = 1.0
            peak = 1.0
            drawdown = 0.0
            total = 0.0
            hits = 0
            days = 0
            for t in range(start, start + length):
                total += net[s, t]
                equity = max(equity * (1.0 + net[s, t]), 0.0)  # a lost capital stays lost
                peak = max(peak, equity)
                drawdown = max(drawdown, 1.0 - equity / peak)
                if active[s, t]:
                    days += 1
                    if net[s, t] > 0.0:
                        hits += 1
            mean = total / length
            m2 = 0.0
            m3 = 0.0
            m4 = 0.0
            for t in range(start, start + length):
                d = net[s, t] - mean
                m2 += d * d
                m3 += d * d * d
                m4 += d * d * d * d
            # Rounding leaves a trace of variation in constant returns; it is none.
            varies = m2 > 1e-24 * length * max(mean * mean, 1e-300)
            std = np.sqrt(m2 / (length - 1)) if length > 1 else np.nan
            sharpe = mean / std if length > 1 and varies else np.nan
            # Standard error of the Sharpe ratio of returns that need not be normal (Mertens, 2002).
            error = np.nan
            if length > 1 and varies:
                skew = (m3 / length) / (m2 / length) ** 1.5
                kurtosis = (m4 / length) / (m2 / length) ** 2
                spread = 1.0 + 0.5 * sharpe**2 - skew * sharpe + (kurtosis - 3.0) / 4.0 * sharpe**2
                error = np.sqrt(max(spread, 0.0) / length)
            result[i, s, 0] = equity - 1.0
            result[i, s, 1] = mean
            result[i, s, 2] = std
            result[i, s, 3] = sharpe
            result[i, s, 4] = error
            result[i, s, 5] = drawdown
            result[i, s, 6] = hits / days if days > 0 else np.nan
            result[i, s, 7] = days
    return result


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
    the forecast; after a wrong one it is 0; from 0 it opens by the sign.

    Args:
        forecast: [day], forecast return of the day.
        last_return: [day], return of the day before: what is known when the day is decided.
        long_only: a negative sign means 0.
    """
    result = np.empty(len(forecast))
    held = 1.0
    for t in range(len(forecast)):
        if t > 0:
            wrong = held != 0.0 and held * last_return[t] <= 0.0
            if wrong:
                held = 0.0
            elif forecast[t] > 0.0:
                held = 1.0
            else:
                held = 0.0 if long_only else -1.0
        result[t] = held
    return result
