"""What a strategy can order for a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.strategies.views import BarView, DecisionView

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hold:
    """Hold a position, traded once a bar: what differs from the target is bought or sold.

    Attributes:
        position: [day], as a fraction of the equity; negative is short.
        execution: "close": traded at the close of the day before and held to the close of the day;
            "next_open": traded at the open of the day and held to the open of the next one.
    """

    position: Floats
    execution: Literal["close", "next_open"] = "close"


@dataclass(frozen=True)
class TakeProfit:
    """Enter at the close of the day before, leave at a limit if the day reaches it.

    A position that does not leave is carried into the next day. A level that is no better than the
    entry takes no profit: no order is laid.

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
        stop: [day], moves at which a position leaves at the market, at a loss; None for no stop.
            Offsets are fitted without it.
    """

    position: Floats
    high: Floats
    low: Floats
    fitted: bool = False
    always_on: bool = False
    exit_at_close: bool = False
    stop: Floats | None = None


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
        """Its name in tables and on the command line."""
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


@runtime_checkable
class BarStrategy(Protocol):
    """A strategy that decides bar by bar: the simple form, which cannot look ahead.

    Its `decide_bar` is handed what is known before one bar and gives the orders for it, with plain
    numbers: `Hold(1.0)`, `LimitOrders(1.0, high=0.01, low=-0.01)`. It may keep a state in `self`:
    each run of bars begins with a fresh copy of the object. Pass it where a `Strategy` is taken.
    """

    @property
    def name(self) -> str:
        """Its name in tables and on the command line."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The forecasts that it decides by."""
        ...

    @property
    def fitted(self) -> bool:
        """Whether its offsets are fitted."""
        ...

    def decide_bar(self, view: BarView) -> Orders:
        """Orders for the bar of the view."""
        ...
