"""Fit the limit orders of a walk-forward run on windows of bars, and sum their profits.

`marketsim.kernels.cuda.windows` does the same in one launch on a GPU, with the same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32
from numpy.lib.stride_tricks import sliding_window_view

from marketsim.kernels.offsets import best_offsets
from marketsim.kernels.profit import fills
from marketsim.kernels.rules import FillCosts
from marketsim.kernels.sums import sums_in_order
from marketsim.kernels.types import Bounds, FloatArray, ProfitSums

Rows = npt.NDArray[np.int64]
# Windows whose bars are in memory at a time.
_AT_ONCE = 4096


class LimitDays(NamedTuple):
    """Bars with the limit orders of one strategy; float32 [bar], as in `marketsim.best_offsets`."""

    close: FloatArray
    high: FloatArray
    low: FloatArray
    high_pred: FloatArray
    low_pred: FloatArray
    position: FloatArray
    open: FloatArray

    def at(self, rows: Rows) -> LimitDays:
        """Select rows, of any shape."""
        return LimitDays(*(values[rows] for values in self))

    def windows(self, starts: Rows, length: int) -> LimitDays:
        """Return the bars of each window [window, length]; views for consecutive windows."""
        slid = (sliding_window_view(values, length) for values in self)
        if starts[-1] - starts[0] + 1 == len(starts):  # they ascend
            return LimitDays(*(of[starts[0] : starts[-1] + 1] for of in slid))
        return LimitDays(*(of[starts] for of in slid))


class LimitRules(NamedTuple):
    """Rules of fits and fills, as in `marketsim.best_offsets`."""

    fill: str
    always_on: bool
    long_only: bool
    costs: FillCosts
    bounds: Bounds


class FittedWindows(NamedTuple):
    """Offsets of each window, high and low in float32, and their profit in it, float64."""

    high: FloatArray
    low: FloatArray
    profit: npt.NDArray[np.float64]


def fit_windows(
    days: LimitDays, rules: LimitRules, starts: Rows, length: int, device: str = "cpu"
) -> FittedWindows:
    """Fit the best offsets of each window, and return them with their total profit in it.

    Args:
        days, rules: bars with orders, and rules of fills.
        starts: first bar of each window, ascending.
        length: bars per window.
        device: as in `marketsim.best_offsets`.
    """
    if not len(starts):
        return FittedWindows(np.empty(0, f32), np.empty(0, f32), np.empty(0))
    options: dict[str, Any] = rules._asdict() | {"device": device}
    found = []
    for at in range(0, len(starts), _AT_ONCE):
        seen = days.windows(starts[at : at + _AT_ONCE], length)
        found.append(best_offsets(**seen._asdict(), **options))
    if len(found) == 1:
        return FittedWindows(*map(np.asarray, found[0]))
    return FittedWindows(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def net_of_days(
    days: LimitDays, high: FloatArray, low: FloatArray, rules: LimitRules
) -> FloatArray:
    """Compute the profit of each bar under its own offsets, float32; sides are added in float32.

    Equal bit for bit to the GPU's kernel, which fits and applies offsets in one launch.
    """
    sides = [np.maximum(days.position, f32(0)) if rules.long_only else days.position]
    if rules.always_on:
        long = np.where(np.isfinite(days.position), f32(1), f32(np.nan))
        sides = [long] if rules.long_only else [long, -long]
    net = np.zeros(len(high), dtype=f32)
    for side in sides:
        part = fills(
            days.close, days.high, days.low, days.high_pred + high, days.low_pred + low, side,
            costs=rules.costs, fill=rules.fill, open=days.open,
        )  # fmt: skip
        net += part.gross - part.fee
    return net


def sum_windows_on_cpu(values: FloatArray, starts: Rows, length: int) -> ProfitSums:
    """Sum profits [bar] over windows; see `marketsim.kernels.cuda.windows.sum_windows`."""
    rows = values[starts[:, None] + np.arange(length)]
    exact = rows.astype(np.float64)
    wins, trades = (np.count_nonzero(of, axis=1).astype(np.int32) for of in (rows > 0, rows != 0))
    return ProfitSums(sums_in_order(exact), sums_in_order(exact * exact), wins, trades, length)
