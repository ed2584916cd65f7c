"""Orders of strategies for a universe as tensors, equal to those of their `decide`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from marketsim.errors import ArgumentError
from marketsim.strategies.entry_exit import (
    MaxDiff,
    MaxDiffAlwaysOn,
    farther_side,
    forecasts_move,
)
from marketsim.strategies.orders import Strategy
from marketsim.strategies.registry import select_strategies

if TYPE_CHECKING:
    import torch


class DeviceOrders(NamedTuple):
    """Fields of `LimitOrders(fitted=True)` other than the levels.

    Attributes:
        position: float32 tensor [bar].
        always_on: as in `LimitOrders`.
    """

    position: torch.Tensor
    always_on: bool


def device_orders(
    strategy: Strategy, high: torch.Tensor, low: torch.Tensor, long_only: torch.Tensor
) -> DeviceOrders:
    """Compute the orders of a strategy that `fitted_strategies` accepts.

    Args:
        strategy: the strategy.
        high, low: float64 [bar], forecast moves against the previous close.
        long_only: bool [bar], whether shorts are excluded.
    """
    import torch

    if type(strategy) is MaxDiffAlwaysOn:
        nothing = float("nan")  # with always_on, a position that is not finite does not trade
        moves = forecasts_move(high, low)
        return DeviceOrders(torch.where(moves, 1.0, nothing).float(), always_on=True)
    position = farther_side(torch, high, low).float()
    return DeviceOrders(torch.where(long_only, position.clamp(min=0.0), position), always_on=False)


def fitted_strategies(strategies: Iterable[str | Strategy] | str) -> tuple[Strategy, ...]:
    """Select strategies by name or object; all must be supported by `device_orders`.

    Raises:
        UnknownNameError, ArgumentError: as `select_strategies`, or a strategy without device code.
    """
    chosen = select_strategies(strategies)
    for strategy in chosen:
        if type(strategy) not in (MaxDiff, MaxDiffAlwaysOn):
            raise ArgumentError(
                f"strategy {strategy.name!r} does not run on a universe: expected maxdiff or "
                "maxdiff_always_on; run it symbol by symbol with walk_forward"
            )
    return chosen
