"""What a strategy writes its orders with, in compiled and in plain Python alike.

Each function takes the `orders` that `on_bar` was given and returns the ticket of the new order.
Orders work from the next bar on. A price that does not belong to an order is left out (NaN).

    from marketsim.replay import orders as o

    def on_bar(state, bar, features, orders):
        if state.position == 0 and features.fast > features.slow:
            entry = o.buy(orders, 1.0, o.EQUITY)
            o.exit_stop(orders, entry, 0.95)    # 5 % below the price at which it fills
        elif state.position > 0 and features.fast < features.slow:
            o.close_position(orders)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from marketsim.replay.records import REQUEST_ROOM, OrderKind, SizeUnit

UNITS = int(SizeUnit.UNITS)
EQUITY = int(SizeUnit.EQUITY)
CASH = int(SizeUnit.CASH)
_MARKET, _LIMIT, _STOP = int(OrderKind.MARKET), int(OrderKind.LIMIT), int(OrderKind.STOP)
_STOP_LIMIT, _TRAILING = int(OrderKind.STOP_LIMIT), int(OrderKind.TRAILING_STOP)
_TARGET_UNITS, _TARGET_EQUITY = int(SizeUnit.TARGET_UNITS), int(SizeUnit.TARGET_EQUITY)
_CANCEL, _CANCEL_ALL, _AMEND, _BAD_QUANTITY = 1, 2, 3, 4
# Beyond any position: a reduce-only order of this size closes all that is held.
_ALL = float(np.finfo(np.float64).max)
_NAN = float("nan")


@register_jitable
def _next(orders: Any) -> int:
    """The place of one more request of this bar."""
    count = orders[0].action + 1
    if count > REQUEST_ROOM:
        raise ValueError("more than 64 orders after one bar")
    orders[0].action = count
    return int(count)


@register_jitable
def _place(
    orders: Any,
    side: float,
    quantity: float,
    size: int,
    limit: float,
    stop: float,
    bars: int,
    group: int,
    at_close: int,
) -> int:
    """Write a new order. Its quantity is above 0 and gets the sign of `side`; of 0 it has its own.

    It lies in the last place, orders[orders[0].action], for what else it is to have.
    """
    request = orders[_next(orders)]
    ticket = orders[0].ticket
    orders[0].ticket = ticket + 1
    request.ticket = ticket
    if side == 0.0:
        request.action, request.quantity = 0, quantity
    elif quantity <= 0.0:  # refused as it was given
        request.action, request.quantity = _BAD_QUANTITY, quantity
    else:
        request.action, request.quantity = 0, side * quantity
    if limit != limit:
        request.kind = _MARKET if stop != stop else _STOP
    else:
        request.kind = _LIMIT if stop != stop else _STOP_LIMIT
    request.size = size
    request.limit = limit
    request.stop = stop
    request.trail = _NAN
    request.trail_part = _NAN
    request.bars = bars
    request.group = group
    request.parent = 0
    request.reduce_only = 0
    request.at_close = at_close
    request.relative = 0
    return int(ticket)


@register_jitable
def _place_exit(
    orders: Any,
    entry: int,
    quantity: float,
    limit: float,
    stop: float,
    at_close: int,
    relative: int,
) -> int:
    """Write an order that closes what `entry` opens, once it has filled."""
    side = -1.0 if _quantity_of(orders, entry) > 0.0 else 1.0
    ticket = _place(orders, side, quantity, UNITS, limit, stop, 0, 0, at_close)
    request = orders[orders[0].action]
    request.parent = entry
    request.reduce_only = 1
    request.relative = relative
    return ticket


@register_jitable
def buy(
    orders: Any,
    quantity: float,
    size: int = UNITS,
    limit: float = _NAN,
    stop: float = _NAN,
    bars: int = 0,
    group: int = 0,
    at_close: int = 0,
) -> int:
    """Buy `quantity`: at the market, or with a limit, a stop, or both (a stop-limit).

    Args:
        orders: what `on_bar` was given.
        quantity: above 0, in the unit of `size`.
        size: UNITS, EQUITY (fraction of the equity when it fills) or CASH.
        limit: highest price to pay.
        stop: price from which on it buys.
        bars: how many bars it works for; 0 until cancelled.
        group: orders of one group above 0 cancel one another when one fills.
        at_close: 1 fills at the close of the next bar.
    """
    return _place(orders, 1.0, quantity, size, limit, stop, bars, group, at_close)


@register_jitable
def sell(
    orders: Any,
    quantity: float,
    size: int = UNITS,
    limit: float = _NAN,
    stop: float = _NAN,
    bars: int = 0,
    group: int = 0,
    at_close: int = 0,
) -> int:
    """Sell `quantity`, also below zero (a short position); arguments as for `buy`."""
    return _place(orders, -1.0, quantity, size, limit, stop, bars, group, at_close)


@register_jitable
def target(orders: Any, quantity: float, of_equity: bool = False, at_close: int = 0) -> int:
    """Trade to a position: units, or with `of_equity` a fraction of the equity; at the market.

    Args:
        orders: what `on_bar` was given.
        quantity: what is to be held; below 0 is short.
        of_equity: `quantity` is a fraction of the equity.
        at_close: 1 trades at the close of the next bar.
    """
    size = _TARGET_EQUITY if of_equity else _TARGET_UNITS
    return _place(orders, 0.0, quantity, size, _NAN, _NAN, 0, 0, at_close)


@register_jitable
def reduce(
    orders: Any,
    quantity: float,
    limit: float = _NAN,
    stop: float = _NAN,
    bars: int = 0,
    group: int = 0,
    at_close: int = 0,
) -> int:
    """Close a part of what is held, at the market, a limit or a stop; never more than is held.

    Args:
        orders: what `on_bar` was given.
        quantity: units; below 0 sells out of a long position, above 0 buys back a short one.
        limit, stop, bars, group, at_close: as for `buy`.
    """
    ticket = _place(orders, 0.0, quantity, UNITS, limit, stop, bars, group, at_close)
    orders[orders[0].action].reduce_only = 1
    return ticket


@register_jitable
def close_position(orders: Any) -> int:
    """Close all that is held, at the market."""
    return target(orders, 0.0)


@register_jitable
def exit_limit(orders: Any, entry: int, factor: float, quantity: float = _ALL) -> int:
    """Take profit at `factor` times the price at which `entry` fills, long or short.

    Args:
        orders: what `on_bar` was given.
        entry: the ticket of an order of this bar; the exit starts when it fills.
        factor: above 1 for a long position, below 1 for a short one.
        quantity: units to close; everything by default.
    """
    ticket = _place_exit(orders, entry, quantity, factor, _NAN, 0, 1)
    orders[orders[0].action].kind = _LIMIT  # also where the factor is NaN: refused
    return ticket


@register_jitable
def exit_stop(orders: Any, entry: int, factor: float, quantity: float = _ALL) -> int:
    """Stop a loss at `factor` times the price at which `entry` fills; see `exit_limit`."""
    ticket = _place_exit(orders, entry, quantity, _NAN, factor, 0, 1)
    orders[orders[0].action].kind = _STOP  # also where the factor is NaN: refused
    return ticket


@register_jitable
def exit_at(
    orders: Any,
    entry: int,
    limit: float = _NAN,
    stop: float = _NAN,
    quantity: float = _ALL,
    at_close: int = 0,
) -> int:
    """Close what `entry` opened at a price, or with neither limit nor stop at the market.

    Args:
        orders: what `on_bar` was given.
        entry: the ticket of an order of this bar; the exit starts when it fills.
        limit, stop: prices, as for `buy`.
        quantity: units to close; everything by default.
        at_close: 1 closes at the close of the bar in which the entry fills, or of a later one that
            has passed the limit.
    """
    return _place_exit(orders, entry, quantity, limit, stop, at_close, 0)


@register_jitable
def exit_trailing(
    orders: Any, entry: int, distance: float = _NAN, fraction: float = _NAN, quantity: float = _ALL
) -> int:
    """Trail a stop behind the best price since `entry` filled, by a distance or a fraction of it.

    The level moves after each bar, by that bar's high (of a long position) or low, and never back.
    With neither, the distance is that of `trailing_distance=` at each bar, such as 3 times the ATR.
    """
    ticket = _place_exit(orders, entry, quantity, _NAN, _NAN, 0, 0)
    request = orders[orders[0].action]
    request.kind = _TRAILING
    request.trail = distance
    request.trail_part = fraction
    return ticket


@register_jitable
def _quantity_of(orders: Any, ticket: int) -> float:
    for i in range(1, orders[0].action + 1):
        if orders[i].ticket == ticket and orders[i].action == 0:
            return float(orders[i].quantity)
    raise ValueError("the entry of an exit must be an order of the same bar")


@register_jitable
def amend(
    orders: Any,
    ticket: int,
    limit: float = _NAN,
    stop: float = _NAN,
    quantity: float = _NAN,
    distance: float = _NAN,
    fraction: float = _NAN,
) -> None:
    """Change an order that works or waits; nothing happens if it is done already.

    Args:
        orders: what `on_bar` was given.
        ticket: of the order.
        limit, stop: new prices (of an exit by a factor whose entry has not filled: factors).
        quantity: what is left to fill, with the sign of the order: below 0 sells.
        distance, fraction: of a trailing stop; its level keeps what it has reached.
    """
    request = orders[_next(orders)]
    request.action = _AMEND
    request.ticket = ticket
    request.quantity = quantity
    request.limit = limit
    request.stop = stop
    request.trail = distance
    request.trail_part = fraction


@register_jitable
def cancel(orders: Any, ticket: int) -> None:
    """Cancel an order; nothing happens if it is done already."""
    request = orders[_next(orders)]
    request.action = _CANCEL
    request.ticket = ticket


@register_jitable
def cancel_all(orders: Any) -> None:
    """Cancel every order that works or waits."""
    orders[_next(orders)].action = _CANCEL_ALL
