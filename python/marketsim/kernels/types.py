"""Arguments and results of the kernels, on every device."""

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
    """Fills of each bar: float32 gross profit and fee, and flag bits of `rules`."""

    gross: FloatArray
    fee: FloatArray
    flags: npt.NDArray[np.uint8]


class Offsets(NamedTuple):
    """Offsets of the forecast high and low, and their total profit.

    Floats for one problem; arrays [problem] for a batch: float32 offsets, float64 profit.
    """

    high: float | npt.NDArray[np.float32]
    low: float | npt.NDArray[np.float32]
    profit: float | npt.NDArray[np.float64]


class ProfitSums(NamedTuple):
    """Sums of profits over the bars, one value per candidate (and problem).

    Attributes:
        total: float64, sum of the bars' float32 profits, added in the order of the bars.
        squares: float64, sum of their squares, likewise.
        wins: int32, number of bars with a profit above 0.
        trades: int32, number of bars with an entry.
        days: number of bars summed.
    """

    total: Any
    squares: Any
    wins: Any
    trades: Any
    days: int

    def each(self, change: Callable[[Any], Any]) -> ProfitSums:
        """Apply a function to each array of the sums."""
        total, squares, wins, trades, days = self
        return ProfitSums(change(total), change(squares), change(wins), change(trades), days)

    @property
    def mean(self) -> Any:
        """Mean profit per bar; NaN without bars."""
        return self.total / self._beside(self.days) if self.days else self.total * np.nan

    @property
    def variance(self) -> Any:
        """Sample variance of the profit per bar (divisor bars - 1); NaN for fewer than two bars.

        Computed from the sums: a mean that is large against the spread loses digits.
        """
        if self.days < 2:
            return self.total * np.nan
        spread = self.squares - self.total * self.total / self._beside(self.days)
        # Rounding may leave a negative value.
        return spread * (spread > 0.0) / self._beside(self.days - 1)

    def _beside(self, number: int) -> Any:
        """Make a divisor; on a GPU torch multiplies by the inverse of a Python number."""
        return self.total.new_full((), number) if hasattr(self.total, "new_full") else number

    @property
    def hit_rate(self) -> Any:
        """Share of the bars with an entry that had a profit; NaN without entries."""
        wins = self.wins.double() if hasattr(self.wins, "double") else self.wins
        with np.errstate(divide="ignore", invalid="ignore"):
            return wins / self.trades


def inward(low: float, high: float) -> tuple[float, float]:
    """Round bounds inward to float32: the outermost values within them."""
    low32, high32 = np.float32(low), np.float32(high)
    if float(low32) < low:
        low32 = np.nextafter(low32, np.float32(np.inf))
    if float(high32) > high:
        high32 = np.nextafter(high32, np.float32(-np.inf))
    return float(low32) + 0.0, float(high32) + 0.0


def check_bounds(bounds: Bounds) -> Bounds:
    """Return `bounds` as floats; raise ArgumentError unless ordered and within [-1, 1]."""
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
