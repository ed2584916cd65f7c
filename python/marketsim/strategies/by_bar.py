"""Adapt strategies that decide bar by bar to the interface that decides all bars at once."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, StrategyError
from marketsim.strategies.orders import BarStrategy, Hold, LimitOrders, Orders, TakeProfit
from marketsim.strategies.views import DecisionView

_NUMBERS = ("position", "high", "low", "stop")


@dataclass(frozen=True)
class ByBar:
    """Adapter that calls a `BarStrategy` for each bar and joins its orders.

    Attributes:
        strategy: the strategy; each run of bars uses a fresh copy, so no state is carried over.
    """

    strategy: BarStrategy

    @property
    def name(self) -> str:
        """Name of the strategy."""
        return self.strategy.name

    @property
    def targets(self) -> tuple[str, ...]:
        """Forecast targets that the strategy uses."""
        return self.strategy.targets

    @property
    def fitted(self) -> bool:
        """Whether the strategy's offsets are fitted."""
        return self.strategy.fitted

    def decide(self, view: DecisionView) -> Orders:
        """Return the orders of all bars.

        Raises:
            StrategyError: `decide_bar` fails; names the bar.
            ArgumentError: the kind of orders changes between bars, or a value is not a number.
        """
        strategy = copy.deepcopy(self.strategy)
        found: list[Orders] = []
        for i in range(len(view)):
            try:
                found.append(strategy.decide_bar(view.bar(i)))
            except Exception as error:
                raise StrategyError(
                    f"strategy {self.name!r} failed in decide_bar at the bar "
                    f"{str(view.dates[i])[:19]}: {type(error).__name__}: {error}"
                ) from error
        return _together(found, view)


def _together(found: list[Orders], view: DecisionView) -> Orders:
    first = found[0]
    columns: dict[str, list[float]] = {}
    for i, orders in enumerate(found):
        date = str(view.dates[i])[:19]
        if not isinstance(orders, (Hold, TakeProfit, LimitOrders)):
            raise ArgumentError(
                f"decide_bar must return Hold, TakeProfit or LimitOrders: got "
                f"{type(orders).__name__} for the bar {date}"
            )
        if type(orders) is not type(first) or _options(orders) != _options(first):
            raise ArgumentError(
                f"decide_bar must return one kind of orders with the same options for all bars: "
                f"got {orders!r} for the bar {date} after {first!r}"
            )
        for name, value in _numbers(orders).items():
            columns.setdefault(name, []).append(
                as_number(name, value, f"a number for the bar {date}")
            )
    arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items()}
    return replace(first, **arrays)


def _numbers(orders: Orders) -> dict[str, Any]:
    found = {f.name: getattr(orders, f.name) for f in fields(orders) if f.name in _NUMBERS}
    return {name: value for name, value in found.items() if value is not None}


def _options(orders: Orders) -> dict[str, Any]:
    found = {f.name: getattr(orders, f.name) for f in fields(orders) if f.name not in _NUMBERS}
    return found | {"stop": getattr(orders, "stop", None) is not None}
