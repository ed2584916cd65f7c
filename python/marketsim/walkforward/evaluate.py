"""Check the orders of a strategy and compute their outcome on each bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_flag, as_numbers
from marketsim.errors import ArgumentError
from marketsim.strategies import Hold, LimitOrders, Orders, TakeProfit
from marketsim.walkforward.held import (
    MostTraded,
    account_days,
    hold_account,
    take_profit_account,
)
from marketsim.walkforward.inputs import MarketDays
from marketsim.walkforward.limits import BOUNDS, Fit, Rulebook, limit_days
from marketsim.walkforward.outcome import StrategyDays, end_at_ruin
from marketsim.walkforward.settings import VolumeCap, most_value

_FLAGS = ("fitted", "always_on", "exit_at_close")


def evaluate(
    orders: Orders,
    fit: Fit,
    days: MarketDays,
    book: Rulebook,
    *,
    accounts: Sequence[int] = (0,),
    cap: VolumeCap | None = None,
) -> StrategyDays:
    """Compute the outcome of checked orders.

    Args:
        orders, fit, days: orders, offsets and market moves of the same bars.
        book: fill policy and costs.
        accounts: first bar of each account; a ruin ends the rest of that account.
        cap: limit on the traded share of a bar's volume.
    """
    if isinstance(orders, LimitOrders):
        outcome = limit_days(orders, fit, days, book, most_value(days.value, cap))
    elif isinstance(orders, Hold):
        at = days.value_before if orders.execution == "close" else days.value
        account = hold_account(orders, days, book.costs, most_value(at, cap))
        outcome = account_days(account, book.costs)
    else:
        most = MostTraded(most_value(days.value_before, cap), most_value(days.value, cap))
        outcome = _take_profit_days(orders, days, book, most)
    return end_at_ruin(outcome, accounts)


def _take_profit_days(
    orders: TakeProfit, days: MarketDays, book: Rulebook, most: MostTraded
) -> StrategyDays:
    costs = book.costs
    account, fills = take_profit_account(orders, days, costs, book.fill, most)
    outcome = account_days(account, costs, fills.flags, fills.high, fills.low)
    if book.fill != "close_only":  # all other policies agree: the bar begins after the entry
        return outcome
    known, _ = take_profit_account(orders, days, costs, BOUNDS[0], most)
    other = account_days(known, costs).net
    return replace(outcome, net_optimistic=other, net_open_aware=other)


def checked_orders(orders: object, dates: npt.NDArray[np.datetime64], long_only: bool) -> Orders:
    """Validate orders and convert their arrays to float64 [bar].

    Raises:
        ArgumentError: another type, another number of bars, values that are not finite, a position
            beyond 10, a short where shorts are not allowed, or a level at or below a price of 0.
    """
    if not isinstance(orders, (Hold, TakeProfit, LimitOrders)):
        raise ArgumentError(
            f"decide must return Hold, TakeProfit or LimitOrders: got {type(orders).__name__}"
        )
    arrays: dict[str, Any] = {}
    for field in fields(orders):
        value = getattr(orders, field.name)
        if field.name in _FLAGS:
            as_flag(field.name, value)
        elif field.name == "execution":
            if value not in ("close", "next_open"):
                raise ArgumentError(f"execution must be 'close' or 'next_open': got {value!r}")
        elif field.name != "stop" or value is not None:
            arrays[field.name] = _checked_array(field.name, value, dates)
    position = arrays["position"]
    if (np.abs(position) > 10.0).any():
        raise ArgumentError(
            f"a position must lie in [-10, 10]: got {float(position[np.abs(position).argmax()])}"
        )
    if isinstance(orders, LimitOrders):
        if orders.always_on and orders.exit_at_close:
            raise ArgumentError("always_on and exit_at_close cannot be combined: choose one")
        if orders.always_on and orders.stop is not None:
            raise ArgumentError("always_on and stop cannot be combined: order one side at a time")
    if long_only and (position < 0.0).any():
        raise ArgumentError("a short position was ordered where shorts are not possible")
    return replace(orders, **arrays)


def _checked_array(
    name: str, value: object, dates: npt.NDArray[np.datetime64]
) -> npt.NDArray[np.float64]:
    array = as_numbers(name, value, np.float64)
    if array.shape != dates.shape:
        raise ArgumentError(
            f"{name} must have one value for each of {len(dates)} bars: got {array.shape}"
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise ArgumentError(
            f"{name} must be finite: got {array[wrong[0]]} for the bar "
            f"{str(dates[wrong[0]])[:19]} ({wrong.size} of {len(array)})"
        )
    if name in ("high", "low", "stop"):
        wrong = np.flatnonzero(array <= -1.0)
        if wrong.size:
            raise ArgumentError(
                f"{name} must be a move above -1 against the close before: got "
                f"{array[wrong[0]]} for the bar {str(dates[wrong[0]])[:19]}, a price of 0 or less"
            )
    return array


def part_of_orders(orders: Orders, first: int, stop: int) -> Orders:
    """Slice the orders of bars first .. stop - 1; views."""
    return replace(orders, **{name: array[first:stop] for name, array in _arrays(orders).items()})


def orders_at(orders: Orders, places: npt.NDArray[np.int64]) -> Orders:
    """Copy the orders of some bars, by their places."""
    return replace(orders, **{name: array[places] for name, array in _arrays(orders).items()})


def joined_orders(parts: Sequence[Orders]) -> Orders:
    """Concatenate the orders of several stretches of bars.

    Raises:
        ArgumentError: their kinds or options differ.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if type(part) is not type(first) or _kind(part) != _kind(first):
            raise ArgumentError(
                "decide must return one kind of orders with the same options for all stretches of "
                f"bars: got {type(first).__name__} {_kind(first)} and {type(part).__name__} "
                f"{_kind(part)}"
            )
    columns = [_arrays(part) for part in parts]
    joined: dict[str, Any] = {
        name: np.concatenate([c[name] for c in columns]) for name in columns[0]
    }
    return replace(first, **joined)


def same_orders(one: Orders, other: Orders) -> bool:
    """Whether both orders are of one kind, with equal options and arrays."""
    if type(one) is not type(other) or _kind(one) != _kind(other):
        return False
    first, second = _arrays(one), _arrays(other)
    return all(np.array_equal(first[name], second[name]) for name in first)


def _arrays(orders: Orders) -> dict[str, Any]:
    return {name: value for name, value in vars(orders).items() if isinstance(value, np.ndarray)}


def _kind(orders: Orders) -> dict[str, Any]:
    return {
        name: None if isinstance(value, np.ndarray) else value
        for name, value in vars(orders).items()
    }
