"""Orders of a strategy, and the interfaces of strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.strategies.views import BarView, DecisionView

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hold:
    """Target position of each bar; the difference to the current position is traded once.

    Attributes:
        position: [bar], as a fraction of the equity; negative is short.
        execution: "close": traded at the previous close and held to the close of the bar;
            "next_open": traded at the open of the bar and held to the open of the next one.
    """

    position: Floats
    execution: Literal["close", "next_open"] = "close"


@dataclass(frozen=True)
class TakeProfit:
    """Entry at the previous close, exit at a limit if the bar reaches it.

    A position without an exit is carried into the next bar. A level that is no better than the
    entry takes no profit: no order is placed.

    Attributes:
        position: [bar], as in `Hold`.
        high, low: [bar], exit limits of a long and of a short, as moves from the previous close.
    """

    position: Floats
    high: Floats
    low: Floats


@dataclass(frozen=True)
class LimitOrders:
    """Entry at a limit during the bar, exit at another limit or at the close.

    A long buys at the low level and sells at the high one, a short the other way round; see
    `marketsim.kernels.rules`.

    Attributes:
        position: [bar], as in `Hold`; with `always_on` its sign does not matter.
        high, low: [bar], forecast moves that set the levels, before offsets.
        fitted: whether to add offsets fitted on the bars before each bar.
        always_on: whether to trade a long and a short in each bar (only the long where shorts are
            excluded).
        exit_at_close: whether to exit at the close instead of the limit.
        stop: [bar], moves at which a losing position exits at the market; None for no stop.
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
    """Interface of a strategy: orders for each bar from what is known before it.

    Attributes:
        name: lower-case letters, digits and underscores.
        targets: forecasts that it uses, of open, high, low, close; their skill is reported beside
            its performance.
        fitted: whether its orders are `LimitOrders(fitted=True)`; it then decides for the bars of
            the fit windows as well.
    """

    @property
    def name(self) -> str:
        """Name in tables and on the command line."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Forecast targets that the strategy uses."""
        ...

    @property
    def fitted(self) -> bool:
        """Whether offsets of its limit orders are fitted."""
        ...

    def decide(self, view: DecisionView) -> Orders:
        """Return orders for all bars; those of bar t may use elements 0 .. t of the arrays."""
        ...


@runtime_checkable
class BarStrategy(Protocol):
    """Interface of a strategy that decides bar by bar and cannot look ahead.

    `decide_bar` receives what is known before one bar and returns its orders with plain numbers:
    `Hold(1.0)`, `LimitOrders(1.0, high=0.01, low=-0.01)`. It may keep state in `self`: each run of
    bars begins with a fresh copy of the object. Accepted wherever a `Strategy` is.
    """

    @property
    def name(self) -> str:
        """Name in tables and on the command line."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Forecast targets that the strategy uses."""
        ...

    @property
    def fitted(self) -> bool:
        """Whether offsets of its limit orders are fitted."""
        ...

    def decide_bar(self, view: BarView) -> Orders:
        """Return the orders for the bar of the view."""
        ...
