"""Plans of forecasts: each bar, horizon and target once, however many simulations use it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import is_whole
from marketsim.bars import TARGETS, Bars, bar_returns, close_moves
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.inputs import ModelInputs
from marketsim.models.protocol import Model
from marketsim.models.traits import TARGET_KINDS, ModelTraits, traits_of

LEAST_CONTEXT = 10  # fewest returns before the first forecast
MOST_STEPS = (1 << 16) - 1  # a record holds its horizon in 16 bits


@dataclass(frozen=True)
class ForecastPlan:
    """Plan of the forecasts for bars first .. stop - 1, all four targets and some horizons.

    Bars are row numbers; the forecasts of bar t are made from the rows before t. Horizon 1 is of
    bar t itself, horizon h of bar t + h - 1.

    Attributes:
        first: first bar to forecast, at least 2 (one return must precede it).
        stop: one past the last bar.
        simulations, window: size of the run, to count the forecasts saved by sharing.
        horizons: steps ahead, ascending, at least 1.
    """

    first: int
    stop: int
    simulations: int
    window: int
    horizons: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        steps = self.horizons
        ascending = all(a < b for a, b in itertools.pairwise(steps))
        if not steps or not all(map(is_whole, steps)) or steps[0] < 1 or not ascending:
            raise ArgumentError(
                "horizons must be whole numbers of at least 1 in ascending order: got "
                f"{', '.join(map(str, steps)) or 'none'}"
            )
        if steps[-1] > MOST_STEPS:
            raise ArgumentError(f"horizons must be at most {MOST_STEPS:,}: got {steps[-1]:,}")

    @classmethod
    def of_rows(
        cls, count: int, start: int | None, stop: int | None, horizons: tuple[int, ...] = (1,)
    ) -> ForecastPlan:
        """Plan rows start .. stop - 1 of `count` rows.

        Args:
            count: number of rows.
            start: first row, at least 2; None for 11, the first of `marketsim forecast --all-days`.
            stop: one past the last row; None for `count`.
            horizons: steps ahead.

        Raises:
            ArgumentError: rows out of range, or an empty range.
        """
        first = 1 + LEAST_CONTEXT if start is None else start
        last = count if stop is None else stop
        whole = is_whole(first) and is_whole(last)
        if not whole or not 2 <= first < last <= count:
            raise ArgumentError(
                f"start and stop must be rows with 2 <= start < stop <= {count} (the forecast for "
                f"a row needs a return before it): got start={first!r}, stop={last!r}"
            )
        number = int(last - first)
        return cls(int(first), int(last), simulations=number, window=1, horizons=horizons)

    @property
    def days(self) -> int:
        """Number of bars."""
        return self.stop - self.first

    @property
    def forecasts(self) -> int:
        """Number of forecasts: bars times horizons times targets."""
        return self.days * len(self.horizons) * len(TARGETS)

    @property
    def without_sharing(self) -> int:
        """Number of forecasts that the simulations would make without sharing them."""
        return self.simulations * self.window * len(TARGETS)


@dataclass(frozen=True)
class ReturnTable:
    """Moves of one symbol, the input and target of forecasts.

    Made from `Bars`, or directly for rows that cannot be `Bars`, such as a frame with missing
    prices whose moves are known.

    Attributes:
        symbol: name of the symbol.
        timestamps: int64 [row], nanoseconds since 1970; the forecast of row t has the as-of time of
            row t - 1.
        returns: float64 [target, row - 1], finite, in the order of `marketsim.bars.TARGETS`; column
            i is the move at row i + 1.
        targets: kind of moves: "own" for each column's own returns, x[t]/x[t-1] - 1, "close" for
            log(x[t]/close[t-1]).
    """

    symbol: str
    timestamps: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]
    targets: str = "own"
    bars: Bars | None = None

    @classmethod
    def of(cls, bars: Bars | ReturnTable, targets: str) -> ReturnTable:
        """Compute the moves of bars; a `ReturnTable` is returned unchanged.

        Raises:
            UnknownNameError: an unknown kind of targets.
        """
        if isinstance(bars, ReturnTable):
            return bars
        if targets not in TARGET_KINDS:
            raise UnknownNameError("targets", str(targets), TARGET_KINDS)
        moves = bar_returns(bars) if targets == "own" else close_moves(bars)
        return cls(bars.symbol, bars.timestamps.astype(np.int64), moves, targets, bars)

    @classmethod
    def for_model(
        cls, bars: Bars | ReturnTable, model: Model, targets: str | None = None
    ) -> ReturnTable:
        """Compute the moves that a model forecasts; a `ReturnTable` is returned unchanged.

        Args:
            bars: bars of one symbol.
            model: the model.
            targets: "close" or "own"; None for "close", or "own" if the model states only that.

        Raises:
            UnknownNameError: an unknown kind of targets.
        """
        return cls.of(bars, traits_of(model).kind if targets is None else targets)

    def inputs(self, traits: ModelTraits, targets: slice) -> ModelInputs:
        """Return the inputs of a model with these traits for some targets."""
        seen = slice(0, len(TARGETS)) if traits.joint else targets
        ends = np.full(1, -1, dtype=np.int64)
        values, columns, zone = self.returns[seen], tuple(TARGETS)[seen], "UTC"
        if traits.bars:
            # Row i is bar i + 1, as of moves: the first bar, which has no move, is not seen.
            values, columns = self._columns(traits), traits.columns
            zone = str(pd.DatetimeIndex(self.bars.frame.index[:1]).tz) if self.bars else zone
        return ModelInputs(
            self.symbol,
            columns,
            values,
            self.timestamps[1:],
            np.concatenate((self.timestamps[1:], ends)),
            traits.timestamps,
            zone,
        )

    def _columns(self, traits: ModelTraits) -> npt.NDArray[np.float64]:
        """Return the columns [column, row - 1] of the bars, for a model of whole bars."""
        if self.bars is None or "amount" in traits.columns:
            lacking = "bars" if self.bars is None else "amounts"
            raise ArgumentError(
                f"a model of whole bars reads {', '.join(traits.columns)}: there are no {lacking}, "
                "only moves of their prices; forecast from Bars"
            )
        return np.stack([getattr(self.bars, name)[1:] for name in traits.columns])
