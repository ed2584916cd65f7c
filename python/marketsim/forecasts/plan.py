"""Which forecasts a run needs: each pair of target and day once, however often it is used."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketsim.arguments import is_whole
from marketsim.bars import TARGETS, Bars, bar_returns, close_moves
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.inputs import ModelInputs
from marketsim.models.traits import TARGET_KINDS, ModelTraits

# Returns that a first forecast must at least be made from.
LEAST_CONTEXT = 10
MOST_STEPS = (1 << 16) - 1  # a record holds its horizon in 16 bits


@dataclass(frozen=True)
class ForecastPlan:
    """The bars first .. stop - 1, for all four targets and some horizons.

    Bars are row numbers; the forecasts of bar t are made from the rows before t. That of horizon 1
    is of bar t itself, that of horizon h of bar t + h - 1.

    Attributes:
        first: the first day to forecast, at least 2 (one return must lie before it).
        stop: one past the last day.
        simulations, window: the run that it is for, to say what it saves.
        horizons: steps ahead, ascending from at least 1.
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
        """Every row from `start` to before `stop` of `count` rows.

        Args:
            count: how many rows there are.
            start: at least 2; None for the first row that `marketsim forecast --all-days` makes.
            stop: at most `count`, which None stands for.
            horizons: steps ahead.

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
        number = int(last - first)
        return cls(int(first), int(last), simulations=number, window=1, horizons=horizons)

    @property
    def days(self) -> int:
        """How many bars are forecast."""
        return self.stop - self.first

    @property
    def forecasts(self) -> int:
        """How many forecasts are made: one for each bar, horizon and target."""
        return self.days * len(self.horizons) * len(TARGETS)

    @property
    def without_sharing(self) -> int:
        """How many forecasts the simulations would make one by one, for their windows alone."""
        return self.simulations * self.window * len(TARGETS)


@dataclass(frozen=True)
class ReturnTable:
    """The moves that forecasts are made of and from, where there are no `Bars`.

    Bars are checked rows; a table may also stand for rows that are not, such as a frame with
    missing prices whose moves are known all the same.

    Attributes:
        symbol: the name of what is traded.
        timestamps: int64 [row], nanoseconds since 1970; the forecast for row t carries that of row
            t - 1.
        returns: float64 [target, row - 1], finite, in the order of `marketsim.bars.TARGETS`; column
            i is the move at row i + 1.
        targets: what the moves are: "own" for each column's own returns, x[t]/x[t-1] - 1, "close"
            for log(x[t]/close[t-1]).
    """

    symbol: str
    timestamps: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]
    targets: str = "own"

    @classmethod
    def of(cls, bars: Bars | ReturnTable, targets: str = "own") -> ReturnTable:
        """The moves of bars of that kind; a table stays what it is.

        Raises:
            UnknownNameError: no such kind of targets.
        """
        if isinstance(bars, ReturnTable):
            return bars
        if targets not in TARGET_KINDS:
            raise UnknownNameError("targets", str(targets), TARGET_KINDS)
        moves = bar_returns(bars) if targets == "own" else close_moves(bars)
        return cls(bars.symbol, bars.timestamps.astype(np.int64), moves, targets)

    def inputs(self, traits: ModelTraits, targets: slice) -> ModelInputs:
        """What a model of these traits may see to forecast these targets."""
        seen = slice(0, len(TARGETS)) if traits.joint else targets
        ends = np.full(1, -1, dtype=np.int64)
        return ModelInputs(
            self.symbol,
            tuple(TARGETS)[seen],
            self.returns[seen],
            self.timestamps[1:],
            np.concatenate((self.timestamps[1:], ends)),
            traits.timestamps,
        )
