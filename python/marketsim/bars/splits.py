"""Stock splits: those that a column names, and steps of the price that look like one."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.clock import DAY, HOUR

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FACTORS = (2.0, 3.0, 4.0, 5.0, 10.0)
"""Factors that are looked for where no column names a split; their inverses, too."""

_CLOSE_TO = 0.02  # of the factor
_BEFORE = 10  # bars before that must be quiet
_QUIET = 1.15  # largest ratio of the prices of a quiet bar, and of closes that follow


def split_factors(column: pd.Series, values: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Factors [row] of a column of splits: 4 for 4:1, 1 where there is none."""
    text = np.isnan(values) & column.notna().to_numpy(np.bool_)
    factors = np.where(np.isfinite(values) & (values > 0), values, 1.0)
    for row in np.flatnonzero(text):
        match = re.fullmatch(
            r"\s*(\d+(?:\.\d+)?)\s*(?::|/|for|-for-)\s*(\d+(?:\.\d+)?)\s*", str(column.iloc[row])
        )
        if match and float(match[2]) > 0 and float(match[1]) > 0:
            factors[row] = float(match[1]) / float(match[2])
            text[row] = False
    return factors, text


def named_splits(factors: FloatArray, open_: FloatArray, close: FloatArray) -> BoolArray:
    """Rows whose price really steps by the factor that the file names, [row].

    Where the prices are adjusted already, they go on without a step.
    """
    result = np.zeros(len(factors), np.bool_)
    rows = np.flatnonzero((factors != 1.0) & (np.arange(len(factors)) > 0))
    for row in rows:
        step = np.log(close[row - 1] / open_[row])
        whole = np.log(factors[row])
        result[row] = abs(step - whole) < abs(step)
    return result


def suspected_splits(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray
) -> dict[int, float]:
    """Find rows whose open is a usual split factor below or above the previous close.

    A suspect is within 2 % of 2, 3, 4, 5 or 10 (or the inverse), has volume, and is quiet: the bar
    itself and the ten bars before it each move by less than 15 %. News move a price by
    other amounts, and leave the bar restless. Only the bar and those before it count, so that no
    later row changes the answer.

    Returns:
        Row to factor: 4.0 where the price falls to a quarter.

    """
    if len(close) <= _BEFORE:
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        step = close[:-1] / open_[1:]
    found: dict[int, float] = {}
    for row in np.flatnonzero((step > 1.9) | (step < 0.53)) + 1:
        ratio = float(step[row - 1])
        factor = min((*FACTORS, *(1 / f for f in FACTORS)), key=lambda f: abs(ratio / f - 1.0))
        if abs(ratio / factor - 1.0) > _CLOSE_TO or not volume[row] > 0 or row < _BEFORE:
            continue
        if not low[row] <= open_[row] <= high[row]:  # a defect of its own
            continue
        first = row - _BEFORE
        before = close[first:row]
        calm = np.maximum(before[1:] / before[:-1], before[:-1] / before[1:]) < _QUIET
        if calm.all() and (high[first : row + 1] < _QUIET * low[first : row + 1]).all():
            found[int(row)] = factor
    return found


def may_split(close: FloatArray, after: FloatArray) -> bool:
    """Whether some open is far enough from the close before it; quick.

    Args:
        close: [row].
        after: the open of the next bar [row].

    """
    return bool(((close > 1.9 * after) | (close < 0.53 * after)).any())


def is_overnight(times: npt.NDArray[np.int64], row: int) -> bool:
    """Whether a market was closed before a row: bars of days, or a pause on another date."""
    near = times[max(0, row - 1000) : row]
    usual = np.median(np.diff(near)) if len(near) > 1 else 0.0
    pause = times[row] - times[row - 1]
    return bool(usual >= 0.95 * DAY or pause >= max(2 * usual, HOUR))


def adjust(
    factors: FloatArray, prices: dict[str, FloatArray], volume: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Divide the prices before each split by its factor, and multiply their volume by it."""
    later = np.append(np.cumprod(factors[::-1])[::-1][1:], 1.0)  # of all splits after each row
    return {name: column / later for name, column in prices.items()}, volume * later
