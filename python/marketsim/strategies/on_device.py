"""Orders of strategies for a whole universe at once, as tensors; equal to their `decide`."""

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
    """What `LimitOrders(fitted=True)` holds besides the levels; see there.

    Attributes:
        position: float32 tensor [day].
        always_on: as there.
    """

    position: torch.Tensor
    always_on: bool


def device_orders(
    strategy: Strategy, high: torch.Tensor, low: torch.Tensor, long_only: torch.Tensor
) -> DeviceOrders:
    """The orders of a strategy that `fitted_strategies` lets through.

    Args:
        strategy: who decides.
        high, low: float64 [day], forecast moves against the close of the day before.
        long_only: bool [day], whether shorts are not possible.
    """
    import torch

    if type(strategy) is MaxDiffAlwaysOn:
        nothing = float("nan")  # with always_on, what is not finite does not trade
        moves = forecasts_move(high, low)
        return DeviceOrders(torch.where(moves, 1.0, nothing).float(), always_on=True)
    position = farther_side(torch, high, low).float()
    return DeviceOrders(torch.where(long_only, position.clamp(min=0.0), position), always_on=False)


def fitted_strategies(wanted: Iterable[str | Strategy] | str) -> tuple[Strategy, ...]:
    """The strategies of these names or objects, if `device_orders` knows them.

    Raises:
        UnknownNameError, ArgumentError: as `select_strategies`, or one that decides in NumPy alone.
    """
    chosen = select_strategies(wanted)
    for strategy in chosen:
        if type(strategy) not in (MaxDiff, MaxDiffAlwaysOn):
            raise ArgumentError(
                f"strategy {strategy.name!r} does not run on a whole universe at once: those that "
                "do are maxdiff and maxdiff_always_on; run it symbol by symbol, by walk_forward"
            )
    return chosen
