"""Views of what is known before each bar, the input of strategies."""

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
    """Bars before those to be decided; read-only arrays [row], in prices.

    Element i of a view may read the rows below `first` + i.

    Attributes:
        first: row of the first bar to be decided.
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
        """Slice the bars known before rows start .. stop - 1."""
        columns = (getattr(bars, name)[: stop - 1] for name in ("timestamps", *COLUMNS))
        return cls(start, *columns)

    def window(self, column: str, length: int) -> Floats:
        """Return the `length` values before each bar, [bar, length], newest last; a view.

        Raises:
            UnknownNameError: an unknown column.
            ArgumentError: fewer than `length` bars before the first one.
        """
        if column not in COLUMNS:
            raise UnknownNameError("column", column, COLUMNS)
        length = check_whole("length", length, 1)
        if length > self.first:
            raise ArgumentError(
                f"past({column!r}, {length}) needs {length} bars before the first bar to be "
                f"decided: got {self.first}; reduce the length, or evaluate from a later start="
            )
        return sliding_window_view(getattr(self, column), length)[self.first - length :]


@dataclass(frozen=True)
class DecisionView:
    """Information known before each bar; element t of every array comes from rows before bar t.

    All moves are returns against the previous close. The bars are consecutive.

    Attributes:
        dates: datetime64[ns] [bar], UTC.
        open, high, low, close: point forecasts of the bar's moves [bar].
        band: distance between the 40 % and 60 % quantiles of the close forecast [bar], at least 0.
        last_return: close-to-close return of the previous bar [bar].
        returns: point forecasts of each column's own one-bar return (the high against the previous
            high) [bar, target], targets open, high, low, close.
        distribution: forecast distributions of what `targets` says, [bar, target].
        long_only: whether shorts are excluded.
        bars: past bars of each bar; None in a view built without them.
        targets: what `distribution` is of: "close" for log moves against the previous close, "own"
            for each column's own one-bar returns.
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
    targets: str = "own"

    def __len__(self) -> int:
        return len(self.dates)

    def allowed(self, position: Floats) -> Floats:
        """Return `position` with shorts set to 0 if the view is long-only."""
        return np.maximum(position, 0.0) if self.long_only else np.asarray(position)

    def past(self, column: str, length: int) -> Floats:
        """Return the `length` values of a column before each bar, [bar, length].

        Element [t, -1] is that of bar t - 1. A read-only view, no copy.

        Args:
            column: open, high, low, close (prices) or volume.
            length: number of past bars.

        Raises:
            UnknownNameError: an unknown column.
            ArgumentError: fewer than `length` bars before the first one.

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
        """Slice the view to its bars first .. stop - 1, without copies."""
        if (first, stop) == (0, len(self)):
            return self
        return _PartialView(self, first, stop)

    def bar(self, i: int) -> BarView:
        """Return the view of bar `i` alone, without later bars."""
        return BarView(self, i)


class _PartialView(DecisionView):
    """A slice of a view; its distribution is sliced at first use."""

    def __init__(self, whole: DecisionView, first: int, stop: int) -> None:
        own: dict[str, Any] = {"_whole": whole, "_days": slice(first, stop)}
        for name in _ARRAYS:
            own[name] = getattr(whole, name)[first:stop]
        own["long_only"], own["bars"], own["targets"] = whole.long_only, None, whole.targets
        if (bars := whole.bars) is not None:
            start = bars.first + first
            stops = start + stop - first - 1
            columns = (getattr(bars, name)[:stops] for name in ("timestamps", *COLUMNS))
            own["bars"] = PastBars(start, *columns)
        self.__dict__.update(own)

    @cached_property
    def distribution(self) -> Distribution:
        """Forecast distributions, [bar, target]."""
        return _days_of(self.__dict__["_whole"].distribution, self.__dict__["_days"])


_ARRAYS = ("dates", "open", "high", "low", "close", "band", "last_return", "returns")


def _days_of(distribution: Distribution, days: slice) -> Distribution:
    """Slice a distribution [bar, target] to some bars."""
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
        f"a {type(distribution).__name__} cannot be sliced by bar: expected "
        "QuantileDistribution, SampleDistribution or StudentTMixture"
    )


class BarView:
    """Information known before one bar: the fields of `DecisionView` as single numbers.

    It holds no data of later bars, so a strategy that reads only this cannot look ahead.
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
        self.long_only, self.targets = view.long_only, view.targets
        self._view = view.part(i, i + 1)

    @property
    def distribution(self) -> Distribution:
        """Forecast distributions of the bar, [1, target]."""
        return self._view.distribution

    def past(self, column: str, length: int) -> Floats:
        """Return the `length` values of a column before the bar, [length], newest last."""
        values: Floats = self._view.past(column, length)[0]
        return values

    def allowed(self, position: float) -> float:
        """Return `position`, or 0 for a short if the view is long-only."""
        return max(position, 0.0) if self.long_only else float(position)
