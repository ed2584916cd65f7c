"""Strategies that enter or leave at limits set by the forecasts of high and low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from marketsim.strategies.orders import LimitOrders, TakeProfit
from marketsim.strategies.views import DecisionView


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
        side = np.where(np.abs(view.high) > np.abs(view.low), 1.0, -1.0)
        position = view.allowed(np.where(view.low < view.high, side, 0.0))
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
        both = ((view.high != 0.0) | (view.low != 0.0)).astype(np.float64)
        return LimitOrders(both, high=view.high, low=view.low, fitted=True, always_on=True)
