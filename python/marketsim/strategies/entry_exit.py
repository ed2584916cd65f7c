"""Strategies that enter or exit at limits set by the forecasts of high and low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from marketsim.strategies.orders import LimitOrders, TakeProfit
from marketsim.strategies.views import DecisionView


def farther_side(arrays: Any, high: Any, low: Any) -> Any:
    """Return 1 where the forecast high is farther from the previous close than the low, else -1.

    0 where the forecast low is not below the forecast high.

    Args:
        arrays: array module, numpy or torch.
        high, low: forecast moves from the previous close [bar].
    """
    side = arrays.where(abs(high) > abs(low), 1.0, -1.0)
    return arrays.where(low < high, side, 0.0)


def forecasts_move(high: Any, low: Any) -> Any:
    """Whether the forecast high or low differs from the previous close [bar]."""
    return (high != 0.0) | (low != 0.0)


@dataclass(frozen=True)
class EntryTakeProfit:
    """Enter at the previous close by the sign of the forecast, exit at the forecast high or low."""

    name: str = "entry_takeprofit"
    targets: tuple[str, ...] = ("high", "low", "close")
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> TakeProfit:
        """Return the position and exit levels of each bar."""
        position = view.allowed(np.sign(view.close))
        return TakeProfit(position, high=view.high, low=view.low)


@dataclass(frozen=True)
class HighLow:
    """Buy at the forecast low or short at the forecast high, exit at the close."""

    name: str = "high_low"
    targets: tuple[str, ...] = ("high", "low", "close")
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Return the position and entry levels of each bar."""
        position = view.allowed(np.sign(view.close))
        return LimitOrders(position, high=view.high, low=view.low, exit_at_close=True)


@dataclass(frozen=True)
class MaxDiff:
    """Trade between fitted limits: long if the forecast high is farther than the low, else short.

    Buys at the forecast low and sells at the forecast high, both shifted by the offsets that earned
    most on the bars before. No position where the forecast low is not below the forecast high.
    """

    name: str = "maxdiff"
    targets: tuple[str, ...] = ("high", "low")
    fitted: bool = True
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Return the position and levels of each bar."""
        position = view.allowed(farther_side(np, view.high, view.low))
        return LimitOrders(position, high=view.high, low=view.low, fitted=True)


@dataclass(frozen=True)
class MaxDiffAlwaysOn:
    """Trade as `MaxDiff`, but long and (where shorts are allowed) short in every bar.

    No orders in bars whose forecast high and low both equal the previous close.
    """

    name: str = "maxdiff_always_on"
    targets: tuple[str, ...] = ("high", "low")
    fitted: bool = True
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Return the levels of each bar."""
        both = forecasts_move(view.high, view.low).astype(np.float64)
        return LimitOrders(both, high=view.high, low=view.low, fitted=True, always_on=True)
