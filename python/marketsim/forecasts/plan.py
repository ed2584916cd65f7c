"""Which forecasts a run needs: each pair of target and day once, however often it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars, bar_returns
from marketsim.errors import ArgumentError
from marketsim.models.contexts import is_whole

# Returns that a first forecast must at least be made from.
LEAST_CONTEXT = 10


@dataclass(frozen=True)
class ForecastPlan:
    """The days first .. stop - 1, for all four targets.

    Days are row numbers of the bars; the forecast for day t uses the rows before t.

    Attributes:
        first: the first day to forecast, at least 2 (one return must lie before it).
        stop: one past the last day.
        simulations, window: the run that it is for, to say what it saves.
    """

    first: int
    stop: int
    simulations: int
    window: int

    @classmethod
    def of_rows(cls, count: int, start: int | None, stop: int | None) -> ForecastPlan:
        """Every row from `start` to before `stop` of `count` rows.

        Args:
            count: how many rows there are.
            start: at least 2; None for the first row that `marketsim forecast --all-days` makes.
            stop: at most `count`, which None stands for.

        Raises:
            ArgumentError: other rows, or none.
        """
        first = 1 + LEAST_CONTEXT if start is None else start
        last = count if stop is None else stop
        whole = is_whole(first) and is_whole(last)
        if not whole or not 2 <= first < last <= count:
            raise ArgumentError(
                f"start and stop must be rows with 2 <= start < stop <= {count} (the forecast for "
                f"a row needs a return before it): got start={first!r}, stop={last!r}"
            )
        return cls(int(first), int(last), simulations=int(last - first), window=1)

    @property
    def days(self) -> int:
        """How many days are forecast."""
        return self.stop - self.first

    @property
    def forecasts(self) -> int:
        """How many forecasts are made: pairs of target and day."""
        return self.days * len(TARGETS)

    @property
    def without_sharing(self) -> int:
        """How many forecasts the simulations would make one by one, for their windows alone."""
        return self.simulations * self.window * len(TARGETS)


@dataclass(frozen=True)
class ReturnTable:
    """The one-bar returns that forecasts are made of and from, where there are no `Bars`.

    Bars are checked rows; a table may also stand for rows that are not, such as a frame with
    missing prices of which the returns are known all the same.

    Attributes:
        symbol: the name of what is traded.
        timestamps: int64 [row], nanoseconds since 1970; the forecast for row t carries that of row
            t - 1.
        returns: float64 [target, row - 1], finite, in the order of `marketsim.bars.TARGETS`; column
            i is the return at row i + 1.
    """

    symbol: str
    timestamps: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]

    @classmethod
    def of(cls, bars: Bars | ReturnTable) -> ReturnTable:
        """The returns of bars; a table stays what it is."""
        if isinstance(bars, ReturnTable):
            return bars
        return cls(bars.symbol, bars.timestamps.astype(np.int64), bar_returns(bars))
