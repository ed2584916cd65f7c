"""Stock splits: those that a column names, and steps of the price that look like one."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.clock import DAY, HOUR
from marketsim.bars.layouts import fold
from marketsim.bars.layouts.names import SPLITS

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FACTORS = (
    1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0,
    100.0, 1000.0,
)  # fmt: skip
"""Factors that are looked for where no column names a split; from 2 on their inverses, too."""
_CANDIDATES = (*FACTORS, *(1 / factor for factor in FACTORS if factor >= 2.0))
_UNITS = (100.0, 1000.0)  # pence to a pound, and thousands

_CLOSE_TO = 0.02  # of the factor, for a half and a third, which news take, too
_NEAR = 0.04  # for others
_BEFORE = 10  # bars before that must be quiet
_FEW = 3  # bars before that a factor of 2 needs
_QUIET = 1.15  # largest ratio of the prices of a quiet bar, and of closes that follow
_QUIET_HALF = 1.08  # for 3:2, which restless prices lose by themselves
_QUIET_WEEK, _QUIET_MONTH = 1.35, 1.8
_USUAL_GAP = 1.1  # largest ratio of a close and the next open, where bars are longer than a day


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
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    times: npt.NDArray[np.int64] | None = None,
) -> dict[int, float]:
    """Find rows whose open is a usual split factor below or above the previous close.

    A suspect is within 4 % of one of `FACTORS` (2 % up to 2; from 2 on its inverse, too), has
    volume, and is quiet: the bar itself and up to ten bars before it each move by less than 15 %,
    or more where they are of weeks or months. News move a price by other amounts, and leave the
    bar restless; a third is lost by news, too, but then far more is traded. Only the bar and those
    before it count, so that no later row changes the answer.

    Args:
        open_: [row], as are high, low, close and volume.
        times: ns [row]; None for bars of days or less.

    Returns:
        Row to factor: 4.0 where the price falls to a quarter.

    """
    with np.errstate(divide="ignore", invalid="ignore"):
        step = close[:-1] / open_[1:]
    found: dict[int, float] = {}
    for row in (np.flatnonzero((step > 1.46) | (step < 0.52)) + 1).tolist():
        ratio = float(step[row - 1])
        factor = min(_CANDIDATES, key=lambda f: abs(ratio / f - 1.0))
        near = _NEAR if max(factor, 1 / factor) > 2.5 else _CLOSE_TO
        if abs(ratio / factor - 1.0) > near or not volume[row] > 0:
            continue
        if not low[row] <= open_[row] <= high[row]:  # a defect of its own
            continue
        if row < _FEW and max(factor, 1 / factor) < 2.5:
            continue
        first = max(0, row - _BEFORE)
        if factor == 1.5 and not (row - first > 2 and volume[row] <= 2.0 * volume[first:row].max()):
            continue
        quiet = _QUIET if times is None else _quiet(times, row)
        if factor == 1.5:
            quiet = min(quiet, _QUIET_HALF)
        before, gaps = close[first:row], step[first : row - 1]
        calm = np.maximum(before[1:] / before[:-1], before[:-1] / before[1:]) < quiet
        if quiet > _QUIET:  # bars longer than a day
            calm &= np.maximum(gaps, 1 / gaps) < _USUAL_GAP
        if calm.all() and (high[first : row + 1] < quiet * low[first : row + 1]).all():
            found[row] = factor
    return found


def _quiet(times: npt.NDArray[np.int64], row: int) -> float:
    """The largest ratio of the prices of a quiet bar, by the time that bars before a row cover."""
    near = times[max(0, row - _BEFORE) : row + 1]
    usual = float(np.median(np.diff(near)))
    return _QUIET_MONTH if usual > 20 * DAY else _QUIET_WEEK if usual > 5 * DAY else _QUIET


def unit_changes(factors: FloatArray, volume: FloatArray) -> BoolArray:
    """Rows whose factor is one between units such as pence and pounds, [row].

    In a split the volume follows the price; where the unit changes, it stays as it was.
    """
    result = np.zeros(len(factors), np.bool_)
    for row in np.flatnonzero(factors != 1.0):
        factor = float(factors[row])
        if factor not in _UNITS and 1 / factor not in _UNITS:
            continue
        before = volume[max(0, row - _BEFORE) : row]
        follows = volume[row] / max(float(np.median(before)), 1.0)
        result[row] = follows < 10.0 if factor > 1.0 else follows > 0.1
    return result


def may_split(close: FloatArray, after: FloatArray) -> bool:
    """Whether some open is far enough from the close before it; quick.

    Args:
        close: [row].
        after: the open of the next bar [row].

    """
    return bool(((close > 1.46 * after) | (close < 0.52 * after)).any())


def is_overnight(times: npt.NDArray[np.int64], row: int) -> bool:
    """Whether a market was closed before a row: bars of days, or a pause on another date."""
    near = times[max(0, row - 1000) : row]
    usual = np.median(np.diff(near)) if len(near) > 1 else 0.0
    pause = times[row] - times[row - 1]
    return bool(usual >= 0.95 * DAY or pause >= max(2 * usual, HOUR))


def adjust(
    factors: FloatArray, prices: dict[str, FloatArray], volume: FloatArray
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Divide the prices before each split by its factor, and multiply their volume by it.

    Where the unit of the prices changes, the volume stays.
    """
    shares = np.where(unit_changes(factors, volume), 1.0, factors)
    later, more = (  # of all splits after each row
        np.append(np.cumprod(part[::-1])[::-1][1:], 1.0) for part in (factors, shares)
    )
    return {name: column / later for name, column in prices.items()}, volume * more


def name_splits(frame: pd.DataFrame, roles: list[str], mapped: Mapping[str, str]) -> None:
    """A column "split" is one of splits where numbers or ratios stand in it, in place."""
    if "split" in roles:
        return
    for i, name in enumerate(frame.columns):
        if roles[i] or fold(name) in mapped or fold(name) not in SPLITS:
            continue
        first = frame.iloc[:, i].dropna().head(1).astype(str).str.strip()
        if first.str.match(r"\d").all():
            roles[i] = "split"
            return
