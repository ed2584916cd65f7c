"""The records that the kernels take and give, on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError

FloatArray = npt.NDArray[np.float32]
DayArrays: TypeAlias = tuple[
    FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray | None
]
Bounds = tuple[tuple[float, float], tuple[float, float]]
DEFAULT_BOUNDS: Bounds = ((-0.03, 0.03), (-0.03, 0.03))


class Fills(NamedTuple):
    """What happened on each day: float32 gross profit and fee, and bits of `rules`."""

    gross: FloatArray
    fee: FloatArray
    flags: npt.NDArray[np.uint8]


class Offsets(NamedTuple):
    """Offsets of the forecast high and low, and the total profit they give.

    Floats for one problem; for a batch arrays [problem]: float32 offsets, float64 profit.
    """

    high: float | npt.NDArray[np.float32]
    low: float | npt.NDArray[np.float32]
    profit: float | npt.NDArray[np.float64]


class ProfitSums(NamedTuple):
    """Sums over the days, each an array of one value for each candidate (and problem).

    Attributes:
        total: float64, of the days' float32 profits, added in the order of the days.
        squares: float64, of their squares, likewise.
        wins: int32, days with a profit above 0.
        trades: int32, days that entered.
        days: days summed, one number.
    """

    total: Any
    squares: Any
    wins: Any
    trades: Any
    days: int

    def each(self, change: Callable[[Any], Any]) -> ProfitSums:
        """The sums with each of their arrays changed."""
        total, squares, wins, trades, days = self
        return ProfitSums(change(total), change(squares), change(wins), change(trades), days)

    @property
    def mean(self) -> Any:
        """Mean profit of a day; NaN without days."""
        return self.total / self._beside(self.days) if self.days else self.total * np.nan

    @property
    def variance(self) -> Any:
        """Variance of the profit of a day, with days - 1 below; NaN for fewer than two days.

        From the sums: of a mean that is large against the spread, digits are lost.
        """
        if self.days < 2:
            return self.total * np.nan
        spread = self.squares - self.total * self.total / self._beside(self.days)
        # Rounding may leave less than nothing.
        return spread * (spread > 0.0) / self._beside(self.days - 1)

    def _beside(self, number: int) -> Any:
        """A divisor: on a GPU torch multiplies by the inverse of a plain number."""
        return self.total.new_full((), number) if hasattr(self.total, "new_full") else number

    @property
    def hit_rate(self) -> Any:
        """Days with a profit among those that entered; NaN where none did."""
        wins = self.wins.double() if hasattr(self.wins, "double") else self.wins
        with np.errstate(divide="ignore", invalid="ignore"):
            return wins / self.trades


def inward(low: float, high: float) -> tuple[float, float]:
    """The outermost float32 values that do not lie beyond the bounds."""
    low32, high32 = np.float32(low), np.float32(high)
    if float(low32) < low:
        low32 = np.nextafter(low32, np.float32(np.inf))
    if float(high32) > high:
        high32 = np.nextafter(high32, np.float32(-np.inf))
    return float(low32) + 0.0, float(high32) + 0.0


def check_bounds(bounds: Bounds) -> Bounds:
    """`bounds` as floats if they are ordered and within [-1, 1]; raises ArgumentError otherwise."""
    try:
        (high_min, high_max), (low_min, low_max) = bounds
        ordered = -1.0 <= high_min <= high_max <= 1.0 and -1.0 <= low_min <= low_max <= 1.0
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ArgumentError(
            "bounds must be ((min, max) of the high offset, (min, max) of the low offset) "
            f"with -1 <= min <= max <= 1: got {bounds!r}"
        )
    return (float(high_min), float(high_max)), (float(low_min), float(low_max))
