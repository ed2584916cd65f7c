"""What a strategy sees before a day, and what it can order for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.models import Distribution

Floats = npt.NDArray[np.float64]


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

    def __len__(self) -> int:
        return len(self.dates)

    def allowed(self, position: Floats) -> Floats:
        """`position` with shorts set to 0 where they are not possible."""
        return np.maximum(position, 0.0) if self.long_only else np.asarray(position)


@dataclass(frozen=True)
class Hold:
    """Hold a position from the close of the day before to the close of the day.

    Attributes:
        position: [day], as a fraction of the capital; negative is short.
    """

    position: Floats


@dataclass(frozen=True)
class TakeProfit:
    """Enter at the close of the day before, leave at a limit if the day reaches it.

    A position that does not leave is carried into the next day.

    Attributes:
        position: [day], as in `Hold`.
        high, low: [day], moves at which a long and a short leave.
    """

    position: Floats
    high: Floats
    low: Floats


@dataclass(frozen=True)
class LimitOrders:
    """Enter at a limit during the day and leave at another limit or at the close.

    A long buys at the low level and sells at the high one, a short the other way round; see
    `marketsim.kernels.rules`.

    Attributes:
        position: [day], as in `Hold`; with `always_on` its sign does not matter.
        high, low: [day], forecast moves that set the levels, before offsets.
        fitted: add offsets that are fitted on the days before each day.
        always_on: trade a long and a short on each day (only the long where shorts are not
            possible).
        exit_at_close: leave at the close, never at a limit.
    """

    position: Floats
    high: Floats
    low: Floats
    fitted: bool = False
    always_on: bool = False
    exit_at_close: bool = False


Orders: TypeAlias = Hold | TakeProfit | LimitOrders


@runtime_checkable
class Strategy(Protocol):
    """Turns what is known before each day into orders for it.

    Attributes:
        name: lower-case letters, digits and underscores.
        targets: the forecasts it decides by, of open, high, low, close: its forecast skill is
            reported beside its performance.
        fitted: whether its orders are `LimitOrders(fitted=True)`: then it decides for the days
            that offsets are fitted on as well.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The forecasts that it decides by."""
        ...

    @property
    def fitted(self) -> bool:
        """Whether its offsets are fitted."""
        ...

    def decide(self, view: DecisionView) -> Orders:
        """Orders for all days of the view; those of day t may use elements 0 .. t of its arrays."""
        ...
