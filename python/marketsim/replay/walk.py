"""Replay a strategy of a walk-forward run: the same decisions as orders of one account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.replay.account import Account
from marketsim.replay.entry import replay_strategy
from marketsim.replay.orders import buy, exit_at, reduce, sell, target
from marketsim.replay.result import ReplayResult
from marketsim.strategies import Hold, LimitOrders, TakeProfit

if TYPE_CHECKING:
    from marketsim.walkforward import WalkForwardResult

Floats = npt.NDArray[np.float64]
f32 = np.float32
_ALL = float(np.finfo(np.float64).max)  # more than any position: all that is held


def replay_walk_forward(
    result: WalkForwardResult, strategy: str | None = None, *, account: Account | None = None
) -> ReplayResult:
    """Replay one strategy of a walk-forward run, its decisions laid as orders of one account.

    Every day enters and leaves as it does in the run: each limit becomes the one price that
    separates the prices beyond it from the others by the run's own comparison. What differs:

    - costs are charged on the value of each fill, in the run on the position;
    - a limit to leave that is worse than the limit to enter fills at the entry's price, in the run
      at its own;
    - a short that has moved against the account may be refused by its leverage; the run refuses
      none, and the account that this function makes has leverage enough.

    Args:
        result: of `walk_forward`.
        strategy: its name; None where the run has one alone.
        account: None for 10,000 in cash with the run's costs, fill policy and periods a year. One
            that is given must fill at the time that the orders ask for.

    Raises:
        UnknownNameError: no such strategy.
        ArgumentError: a strategy that holds a long and a short at once (one account holds one net
            position); `close_only` for orders that have an exit limit.
        OrderError: a stop beyond the limit to enter.

    Example:
        >>> import marketsim as ms
        >>> from marketsim.replay import replay_walk_forward
        >>> walk = ms.walk_forward(ms.demo_bars(), "ewma", simulations=5)  # doctest: +SKIP
        >>> replay_walk_forward(walk, "high_low").trades  # doctest: +SKIP
    """
    names = list(result.runs)
    if strategy is None and len(names) == 1:
        strategy = names[0]
    if strategy is None or strategy not in result.runs:
        raise UnknownNameError("strategy", strategy, names)
    run = result.runs[strategy]
    rows = result.windows.days
    first, last = int(rows[0]) - 1, int(rows[-1])
    bars = Bars(result.bars.frame.iloc[first : last + 1], result.bars.symbol)
    orders = run.orders
    if isinstance(orders, LimitOrders):
        features, on_bar = _limits(result, orders, run.fit.high, run.fit.low), _limit_bar
        fill = "next_open"
    else:
        features, on_bar = _held(result, orders), _held_bar
        at_open = isinstance(orders, Hold) and orders.execution == "next_open"
        fill = "next_open" if at_open else "same_close"
    wanted = _account(result, account, fill)
    laid = {name: np.full(len(bars), np.nan) for name in features}
    for name, values in features.items():  # decided after the bar before
        laid[name][rows - 1 - first] = values
    if not isinstance(orders, LimitOrders):
        _end_positions(laid, rows - first, at_open=fill == "next_open")
    return replay_strategy(bars, on_bar, laid, account=wanted, jit=False)


def _account(result: WalkForwardResult, account: Account | None, fill: str) -> Account:
    if account is not None:
        if account.fill != fill:
            raise ArgumentError(
                f'these orders need an account with fill="{fill}": got "{account.fill}"'
            )
        return account
    settings = result.settings
    costs = settings.costs
    return Account(
        fee_bps=costs.entry * 1e4,
        slippage_bps=(costs.close_exit - costs.entry) * 1e4,
        borrow=costs.borrow_bps * 1e-4,
        financing=costs.financing_bps * 1e-4,
        leverage=1e6,
        fill=fill,  # type: ignore[arg-type]
        policy="optimistic" if settings.fill == "optimistic" else "open_aware",
        periods_per_year=settings.market.periods_per_year,
    )


def _limits(
    result: WalkForwardResult, orders: LimitOrders, high: npt.ArrayLike, low: npt.ArrayLike
) -> dict[str, Floats]:
    """Position, limits to enter and to leave, and stop of each day."""
    if orders.always_on and not result.settings.long_only:
        raise ArgumentError(
            "a strategy that is always on holds a long and a short at once, and one account holds "
            "their sum: run walk_forward with long_only=True, or replay another strategy"
        )
    leaves_at_limit = not orders.exit_at_close
    if leaves_at_limit and result.settings.fill == "close_only":
        raise ArgumentError(
            "under fill='close_only' the run lays no limit to leave: order "
            "LimitOrders(exit_at_close=True), or run it under another policy"
        )
    previous = result.market.previous_close
    position = np.clip(orders.position, -10.0, 10.0)
    if orders.always_on:
        position = (position != 0.0).astype(np.float64)
    is_long = position > 0.0
    buy = limit_price(previous, orders.low.astype(f32) + np.asarray(low, f32), buys=True)
    sell = limit_price(previous, orders.high.astype(f32) + np.asarray(high, f32), buys=False)
    none = np.full(len(previous), np.nan)
    stop = none
    if orders.stop is not None:  # a touch counts: the comparison of a limit on the other side
        level = orders.stop.astype(f32)
        below = limit_price(previous, level, buys=False)
        stop = np.where(is_long, below, limit_price(previous, level, buys=True))
    return {
        "position": position,
        "enter": np.where(is_long, buy, sell),
        "leave": np.where(is_long, sell, buy) if leaves_at_limit else none,
        "stop": stop,
    }


def limit_price(previous: Floats, level: npt.NDArray[np.float32], *, buys: bool) -> Floats:
    """The price of a limit whose comparison with prices is that of moves in float32.

    The move of a price is float32(price / previous - 1). A buy limit is the lowest price whose move
    is not below the level, so that exactly the prices below it have a move below the level; a sell
    limit is the highest price whose move is not above.

    Args:
        previous: close of the bar before [day].
        level: [day], moves.
        buys: a buy limit, else a sell limit.
    """

    def beyond(price: Floats) -> npt.NDArray[np.bool_]:
        move = (price / previous - 1.0).astype(f32)
        return move < level if buys else move > level

    away, back = (np.inf, -np.inf) if buys else (-np.inf, np.inf)
    near = np.nextafter(level, f32(back)).astype(np.float64)
    price = previous * (1.0 + (level.astype(np.float64) + near) / 2.0)
    known = np.isfinite(price)
    while (move := beyond(price) & known).any():
        price = np.where(move, np.nextafter(price, away), price)
    while (move := ~beyond(np.nextafter(price, back)) & known).any():
        price = np.where(move, np.nextafter(price, back), price)
    return price


def _limit_bar(state: Any, bar: Any, features: Any, orders: Any) -> None:
    # A position is a fraction of the equity at the close before, not at the limit.
    quantity = features.position * state.equity / bar.close
    if not abs(quantity) > 0.0:
        return
    if quantity > 0.0:
        entry = buy(orders, quantity, limit=features.enter, bars=1)
    else:
        entry = sell(orders, -quantity, limit=features.enter, bars=1)
    if not np.isnan(features.leave):
        exit_at(orders, entry, limit=features.leave)
    if not np.isnan(features.stop):
        exit_at(orders, entry, stop=features.stop)
    exit_at(orders, entry, at_close=1)


def _held(result: WalkForwardResult, orders: Hold | TakeProfit) -> dict[str, Floats]:
    """Target of each day, its limit to leave, and whether all is sold at its close."""
    count = len(result.dates)
    found = {name: np.full(count, np.nan) for name in ("target", "leave", "last")}
    found["target"] = orders.position.copy()
    if isinstance(orders, TakeProfit) and result.settings.fill != "close_only":
        previous = result.market.previous_close
        sell, buy = orders.high.astype(f32), orders.low.astype(f32)
        is_long, is_short = orders.position > 0.0, orders.position < 0.0
        up, down = limit_price(previous, sell, buys=False), limit_price(previous, buy, buys=True)
        leave = np.where(is_long & (sell > 0.0), up, np.nan)
        found["leave"] = np.where(is_short & (buy < 0.0), down, leave)
    return found


def _end_positions(laid: dict[str, Floats], days: npt.NDArray[np.int64], *, at_open: bool) -> None:
    """Sell what is held at the close of the last day, and of a day before a gap."""
    ends = days[np.r_[np.diff(days) != 1, True]]
    if at_open:
        laid["last"][ends - 1] = 1.0
    else:
        laid["target"][ends] = 0.0


def _held_bar(state: Any, bar: Any, features: Any, orders: Any) -> None:
    wanted = features.target
    if not np.isnan(wanted):
        target(orders, wanted, True)
    if not np.isnan(features.leave):
        reduce(orders, -np.sign(wanted) * _ALL, limit=features.leave, bars=1)
    if features.last == 1.0:
        target(orders, 0.0, at_close=1)
