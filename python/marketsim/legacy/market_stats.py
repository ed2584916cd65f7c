"""What a simulation reports of the market: range, turnover, and how forecasts relate to returns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.legacy.price_frame import Prices

Array = npt.NDArray[np.float64]

ATR_DAYS = 14
VOLUME_DAYS = 20


class MarketStats:
    """Figures of the last days of simulations; what they need of each row is computed once.

    Args:
        prices: of all rows.
        fewest: how many of them the simulation sees that sees the fewest.
    """

    def __init__(self, prices: Prices, fewest: int) -> None:
        self._first = max(fewest - VOLUME_DAYS, 0)  # rows before it count in no simulation
        self._close = prices["Close"][self._first :]
        self._ranges = _true_ranges(prices, self._first)
        volume = prices.volume
        with np.errstate(all="ignore"):
            self._dollars = None if volume is None else self._close * volume[self._first :]

    def dollar_volume(self, rows: int) -> float | None:
        """The mean of close times volume over the last 20 days; None where nothing is known."""
        if self._dollars is None:
            return None
        end = rows - self._first
        days = self._dollars[max(end - VOLUME_DAYS, 0) : end]
        known = ~np.isnan(days)
        number = int(np.count_nonzero(known))
        return float(np.add.reduce(np.where(known, days, 0.0)) / number) if number else None

    def atr_percent(self, rows: int) -> float | None:
        """The mean true range of the last 14 days in percent of the last close.

        None for fewer than 15 rows, where a range is missing, or without a positive close.
        """
        if rows < ATR_DAYS + 1:
            return None
        end = rows - self._first
        mean = float(np.add.reduce(self._ranges[end - ATR_DAYS : end])) / ATR_DAYS
        last = float(self._close[end - 1])
        return None if math.isnan(mean) or last <= 0 else mean / last * 100.0


def _true_ranges(prices: Prices, first: int) -> Array:
    """The largest distance between high, low and the close before, [row], from row `first` on."""
    high, low = prices["High"][first:], prices["Low"][first:]
    before = np.full(len(high), np.nan)  # no close comes before row 0
    if first:
        before[:] = prices["Close"][first - 1 : -1]
    else:
        before[1:] = prices["Close"][:-1]
    with np.errstate(all="ignore"):
        spans = (high - low, np.abs(high - before), np.abs(low - before))
        ranges: Array = np.fmax(np.fmax(spans[0], spans[1]), spans[2])
    return ranges


def last_returns(close: Array, end: int, days: int) -> Array:
    """The returns of the `days` days before row `end`, without those that are not known.

    A missing close counts as unchanged, as it did for the old code's version of pandas.
    """
    window = close[end - days - 1 : end]
    missing = np.isnan(window)
    if missing.any():
        known = np.maximum.accumulate(np.where(missing, 0, np.arange(len(window))))
        window = window[known]
    with np.errstate(all="ignore"):
        returns = window[1:] / window[:-1] - 1
    return returns[~np.isnan(returns)]


def calibrate_signal(predictions: Any, actual_returns: Any) -> tuple[float, float]:
    """The line through forecasts and returns by least squares.

    Args:
        predictions: [day].
        actual_returns: [day]. Where lengths differ the first days count.

    Returns:
        (slope, intercept); (1, 0) for fewer than two days. Where all forecasts are the same the
        line is not determined, and the shortest of the solutions, in units of the forecasts' size,
        is meant. Both are NaN where a return is not finite.

    Example:
        >>> slope, intercept = calibrate_signal([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
        >>> round(slope, 9), round(intercept, 9)
        (2.0, 1.0)
    """
    x, y = np.asarray(predictions), np.asarray(actual_returns, dtype=np.float64)
    days = min(len(x), len(y))
    if days < 2:
        return 1.0, 0.0
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    table = np.ones((days, 2))
    table[:, 0] = x[:days]
    if not (np.isfinite(table).all() and np.isfinite(y[:days]).all()):
        return float("nan"), float("nan")
    size = np.sqrt(np.add.reduce(table * table, axis=0))
    if size[0] == 0.0:
        size[0] = 1.0
    # Smaller singular values are noise of the forecasts' own precision.
    noise = days * float(np.finfo(kind).eps)
    solution = np.linalg.lstsq(table / size, y[:days], noise)[0] / size
    return float(solution[0]), float(solution[1])
