"""Strategies that enter or leave at limits set by the forecasts of high and low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from marketsim.strategies.orders import LimitOrders, TakeProfit
from marketsim.strategies.views import DecisionView


def farther_side(arrays: Any, high: Any, low: Any) -> Any:
    """1 where the forecast high lies farther from the close before than the low, else -1.

    0 where the forecast low is not below the forecast high.

    Args:
        arrays: the module of the arrays, numpy or torch.
        high, low: forecast moves from the close before [day].
    """
    side = arrays.where(abs(high) > abs(low), 1.0, -1.0)
    return arrays.where(low < high, side, 0.0)


def forecasts_move(high: Any, low: Any) -> Any:
    """Whether the high or the low is forecast at anything but the close before [day]."""
    return (high != 0.0) | (low != 0.0)


@dataclass(frozen=True)
class EntryTakeProfit:
    """By the sign of the close forecast from the close before, out at the forecast high or low."""

    name: str = "entry_takeprofit"
    targets: tuple[str, ...] = ("high", "low", "close")
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> TakeProfit:
        """Position and exit levels of each day."""
        position = view.allowed(np.sign(view.close))
        return TakeProfit(position, high=view.high, low=view.low)


@dataclass(frozen=True)
class HighLow:
    """From the forecast low long or from the high short, by the close forecast, to the close."""

    name: str = "high_low"
    targets: tuple[str, ...] = ("high", "low", "close")
    fitted: bool = False
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Position and entry levels of each day."""
        position = view.allowed(np.sign(view.close))
        return LimitOrders(position, high=view.high, low=view.low, exit_at_close=True)


@dataclass(frozen=True)
class MaxDiff:
    """Buys at the low and sells at the high where the forecast high lies farther away, else shorts.

    Both levels are shifted by offsets that would have earned most on the days before. No position
    where the forecast low is not below the forecast high.
    """

    name: str = "maxdiff"
    targets: tuple[str, ...] = ("high", "low")
    fitted: bool = True
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Position and levels of each day."""
        position = view.allowed(farther_side(np, view.high, view.low))
        return LimitOrders(position, high=view.high, low=view.low, fitted=True)


@dataclass(frozen=True)
class MaxDiffAlwaysOn:
    """As `MaxDiff`, but a long and, where shorts are possible, a short on every day.

    None on days whose high and low are forecast at exactly the close before.
    """

    name: str = "maxdiff_always_on"
    targets: tuple[str, ...] = ("high", "low")
    fitted: bool = True
    elementwise: ClassVar[bool] = True

    def decide(self, view: DecisionView) -> LimitOrders:
        """Levels of each day."""
        both = forecasts_move(view.high, view.low).astype(np.float64)
        return LimitOrders(both, high=view.high, low=view.low, fitted=True, always_on=True)
