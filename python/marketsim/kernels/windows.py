"""A walk-forward run's limit orders on the CPU; `marketsim.kernels.cuda.windows` is that on a GPU.

The same windows, the same answers to the last bit, in arrays of NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim.kernels.offsets import best_offsets
from marketsim.kernels.profit import fills
from marketsim.kernels.rules import FillCosts
from marketsim.kernels.sums import sums_in_order
from marketsim.kernels.types import Bounds, FloatArray, ProfitSums

Rows = npt.NDArray[np.int64]
# Windows whose days are copied at a time.
_AT_ONCE = 4096


class CpuDays(NamedTuple):
    """What one strategy asks of the days; float32 [day], as in `marketsim.best_offsets`."""

    close: FloatArray
    high: FloatArray
    low: FloatArray
    high_pred: FloatArray
    low_pred: FloatArray
    position: FloatArray
    open: FloatArray

    def at(self, rows: Rows) -> CpuDays:
        """The days of these rows, of any shape."""
        return CpuDays(*(values[rows] for values in self))


class CpuRules(NamedTuple):
    """How orders are fitted and filled; as in `marketsim.best_offsets`."""

    fill: str
    always_on: bool
    long_only: bool
    costs: FillCosts
    bounds: Bounds


class CpuFitted(NamedTuple):
    """The offsets of each window and what they earn; see `marketsim.kernels.cuda.windows.Fitted`.

    Attributes:
        high, low: float32 [window].
        profit: float64 [window].
        net: float32 [window], the profit of the day `behind` days after the window.
    """

    high: FloatArray
    low: FloatArray
    profit: npt.NDArray[np.float64]
    net: FloatArray


def fit_windows_on_cpu(
    days: CpuDays, rules: CpuRules, starts: Rows, length: int, behind: int
) -> CpuFitted:
    """The best offsets of each window, applied to the `behind`-th day behind it.

    Args:
        days, rules: what is traded, and how.
        starts: first day of each window.
        length: days a window.
        behind: at least 1.
    """
    if not len(starts):
        nothing = np.empty(0, f32)
        return CpuFitted(nothing, nothing, np.empty(0), nothing)
    found = []
    for at in range(0, len(starts), _AT_ONCE):
        first = starts[at : at + _AT_ONCE]
        seen = days.at(first[:, None] + np.arange(length))
        found.append(
            best_offsets(
                **seen._asdict(), bounds=rules.bounds, costs=rules.costs, fill=rules.fill,
                always_on=rules.always_on, long_only=rules.long_only,
            )
        )  # fmt: skip
    high, low, profit = (np.concatenate(parts) for parts in zip(*found, strict=True))
    traded = days.at(starts + (length + behind - 1))
    return CpuFitted(high, low, profit, _net(traded, high, low, rules))


def _net(days: CpuDays, high: FloatArray, low: FloatArray, rules: CpuRules) -> FloatArray:
    """Profit of each day under its own offsets; of a long and a short the float32 sum."""
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
    """Sums over windows of profits [day]; see `marketsim.kernels.cuda.windows.sum_windows`."""
    rows = values[starts[:, None] + np.arange(length)]
    exact = rows.astype(np.float64)
    wins, trades = (np.count_nonzero(of, axis=1).astype(np.int32) for of in (rows > 0, rows != 0))
    return ProfitSums(sums_in_order(exact), sums_in_order(exact * exact), wins, trades, length)
