"""What a strategy sees before each bar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from marketsim.arguments import check_whole
from marketsim.errors import ArgumentError, UnknownNameError, UnsupportedTypeError
from marketsim.models import (
    Distribution,
    QuantileDistribution,
    SampleDistribution,
    StudentTMixture,
)

if TYPE_CHECKING:
    from marketsim.bars import Bars

Floats = npt.NDArray[np.float64]

COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class PastBars:
    """The bars before those that are decided; read-only arrays [row], in prices.

    What is known before element i of a view are the rows below `first` + i.

    Attributes:
        first: row of the first bar that is decided.
        timestamps: datetime64[ns], UTC.
        open, high, low, close, volume: float64.
    """

    first: int
    timestamps: npt.NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, bars: Bars, start: int, stop: int) -> PastBars:
        """What is known before the bars of rows start .. stop - 1."""
        columns = (getattr(bars, name)[: stop - 1] for name in ("timestamps", *COLUMNS))
        return cls(start, *columns)

    def window(self, column: str, length: int) -> Floats:
        """The `length` values before each bar, [bar, length], newest last; a view, no copy.

        Raises:
            UnknownNameError: no such column.
            ArgumentError: fewer bars lie before the first one.
        """
        if column not in COLUMNS:
            raise UnknownNameError("column", column, COLUMNS)
        length = check_whole("length", length, 1)
        if length > self.first:
            raise ArgumentError(
                f"past({column!r}, {length}) needs {length} bars before the first one that is "
                f"decided, and there are {self.first}: ask for fewer, or evaluate from a later "
                "start="
            )
        return sliding_window_view(getattr(self, column), length)[self.first - length :]


@dataclass(frozen=True)
class DecisionView:
    """Everything known before each day; element t of every array comes from rows before day t.

    All moves are returns against the close of the day before. The days follow one another.

    Attributes:
        dates: datetime64[ns] [day], UTC.
        open, high, low, close: point forecasts of the day's moves [day].
        band: distance of the 40 % and the 60 % quantile of the close forecast [day], at least 0.
        last_return: close-to-close return of the day before [day].
        returns: point forecasts of the one-bar return of each column against itself (the high
            against the high of the day before) [day, target], targets open, high, low, close.
        distribution: the distributions that `returns` are points of, [day, target].
        long_only: short positions are not possible.
        bars: the bars before each day; None in a view that was built without.
    """

    dates: npt.NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    band: Floats
    last_return: Floats
    returns: Floats
    distribution: Distribution
    long_only: bool
    bars: PastBars | None = None

    def __len__(self) -> int:
        return len(self.dates)

    def allowed(self, position: Floats) -> Floats:
        """`position` with shorts set to 0 where they are not possible."""
        return np.maximum(position, 0.0) if self.long_only else np.asarray(position)

    def past(self, column: str, length: int) -> Floats:
        """The last `length` values of a column of the bars before each day, [day, length].

        Element [t, -1] is that of the bar before day t. A view into the bars, no copy: read-only.

        Args:
            column: open, high, low, close (prices) or volume.
            length: how many bars.

        Raises:
            UnknownNameError: no such column.
            ArgumentError: fewer bars lie before the first day.

        Example:
            >>> import marketsim as ms
            >>> class Trend:
            ...     name, targets, fitted = "trend", (), False
            ...     def decide(self, view):
            ...         close = view.past("close", 50)
            ...         return ms.Hold(view.allowed(np.sign(close[:, -1] - close.mean(axis=1))))
        """
        if self.bars is None:
            raise ArgumentError("this view was built without bars: pass bars=PastBars.of(...)")
        return self.bars.window(column, length)

    def part(self, first: int, stop: int) -> DecisionView:
        """The view of days first .. stop - 1 of these; views, no copies."""
        if (first, stop) == (0, len(self)):
            return self
        return _PartialView(self, first, stop)

    def bar(self, i: int) -> BarView:
        """What is known before day `i`, and nothing of later days."""
        return BarView(self, i)


class _PartialView(DecisionView):
    """A slice of a view; its distribution is sliced at first use."""

    def __init__(self, whole: DecisionView, first: int, stop: int) -> None:
        own: dict[str, Any] = {"_whole": whole, "_days": slice(first, stop)}
        for name in _ARRAYS:
            own[name] = getattr(whole, name)[first:stop]
        own["long_only"], own["bars"] = whole.long_only, None
        if (bars := whole.bars) is not None:
            start = bars.first + first
            stops = start + stop - first - 1
            columns = (getattr(bars, name)[:stops] for name in ("timestamps", *COLUMNS))
            own["bars"] = PastBars(start, *columns)
        self.__dict__.update(own)

    @cached_property
    def distribution(self) -> Distribution:
        """The distributions that `returns` are points of."""
        return _days_of(self.__dict__["_whole"].distribution, self.__dict__["_days"])


_ARRAYS = ("dates", "open", "high", "low", "close", "band", "last_return", "returns")


def _days_of(distribution: Distribution, days: slice) -> Distribution:
    """The forecasts of some days, of one of the kinds that are stored."""
    if isinstance(distribution, QuantileDistribution):
        return QuantileDistribution(
            distribution.levels,
            distribution.quantiles[days],
            mean=distribution.mean[days],
            std=distribution.std[days],
        )
    if isinstance(distribution, SampleDistribution):
        return SampleDistribution(distribution.samples[:, days])
    if isinstance(distribution, StudentTMixture):
        parts = (distribution.df, distribution.loc, distribution.scale, distribution.weights)
        return StudentTMixture(*(part[days] for part in parts))
    raise UnsupportedTypeError(
        f"the days of a {type(distribution).__name__} cannot be taken apart: expected "
        "QuantileDistribution, SampleDistribution or StudentTMixture"
    )


class BarView:
    """What is known before one bar: the same names as `DecisionView`, one number each.

    It holds nothing of later bars, so that what decides by it cannot look ahead.
    """

    def __init__(self, view: DecisionView, i: int) -> None:
        self.date: np.datetime64 = view.dates[i]
        self.open, self.high, self.low = (
            float(view.open[i]),
            float(view.high[i]),
            float(view.low[i]),
        )
        self.close, self.band = float(view.close[i]), float(view.band[i])
        self.last_return = float(view.last_return[i])
        self.returns: Floats = view.returns[i].copy()
        self.long_only = view.long_only
        self._view = view.part(i, i + 1)

    @property
    def distribution(self) -> Distribution:
        """The forecast distributions of the bar, [1, target]."""
        return self._view.distribution

    def past(self, column: str, length: int) -> Floats:
        """The last `length` values of a column before the bar, [length], newest last."""
        values: Floats = self._view.past(column, length)[0]
        return values

    def allowed(self, position: float) -> float:
        """`position`, or 0 for a short where shorts are not possible."""
        return max(position, 0.0) if self.long_only else float(position)
