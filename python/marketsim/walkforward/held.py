"""Accounts of positions held from bar to bar: returns, traded value, costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.kernels import rules
from marketsim.strategies import Hold, TakeProfit
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import MarketDays
from marketsim.walkforward.outcome import Flags, Floats, StrategyDays

_DAYS_A_YEAR = 365.0


class Account(NamedTuple):
    """Account of a held position on each bar, as fractions of the equity.

    Attributes:
        position: position held through the bar (`next_open`: from its open on).
        gross: return before costs.
        market: value traded at the market.
        limit: value traded at a limit.
        carry: borrow and financing costs.
        entered: whether a position was opened in the bar.
        active: whether a position was held in the bar.
        after: position at the close, drifted.
    """

    position: Floats
    gross: Floats
    market: Floats
    limit: Floats
    carry: Floats
    entered: Flags
    active: Flags
    after: Floats


def drifted(position: Floats, move: Floats) -> Floats:
    """Return a position after its drift, as a fraction of the equity: s (1 + r) / (1 + s r).

    0 where the equity is lost.
    """
    left = 1.0 + position * move
    return np.where(left > 0.0, position * (1.0 + move) / np.where(left > 0.0, left, 1.0), 0.0)


def _opening_position(after: Floats, breaks: Flags) -> Floats:
    """Return the position at the start of each bar: the previous bar's last; 0 after a gap."""
    before = np.empty_like(after)
    before[0], before[1:] = 0.0, after[:-1]
    before[breaks] = 0.0
    return before


def _ends(breaks: Flags) -> Flags:
    """Mark the bars at whose end the position is sold: the last one and each one before a gap."""
    ends = np.empty_like(breaks)
    ends[:-1], ends[-1] = breaks[1:], True
    return ends


def _carry(position: Floats, days: MarketDays, costs: Costs) -> Floats:
    """Return borrow costs of shorts and financing beyond 1, for the time up to each bar's close."""
    if not costs.borrow_bps and not costs.financing_bps:
        return np.zeros(len(position))
    yearly = np.maximum(-position, 0.0) * costs.borrow_bps
    yearly += np.maximum(position - 1.0, 0.0) * costs.financing_bps
    return yearly * (1e-4 / _DAYS_A_YEAR) * days.elapsed


def hold_account(
    orders: Hold, days: MarketDays, costs: Costs, most: Floats | None = None
) -> Account:
    """Compute the account of `Hold` orders.

    Args:
        orders: target positions.
        days: market moves of the same bars.
        costs: borrow and financing rates.
        most: largest value that can be traded on each bar; None for no limit.
    """
    if orders.execution == "next_open":
        return _hold_from_open(orders.position, days, costs, most)
    position = orders.position
    if most is not None:
        position = _limited(position, days.close, days.breaks, most)
    after = drifted(position, days.close)
    before = _opening_position(after, days.breaks)
    traded = np.abs(position - before) + np.where(_ends(days.breaks), np.abs(after), 0.0)
    held = position != 0.0
    return Account(
        position=position,
        gross=position * days.close,
        market=traded,
        limit=np.zeros(len(position)),
        carry=_carry(position, days, costs),
        entered=held & (np.sign(position) != np.sign(before)),
        active=held,
        after=after,
    )


def _hold_from_open(target: Floats, days: MarketDays, costs: Costs, most: Floats | None) -> Account:
    """Compute the account of positions decided at the previous close and traded at the open.

    The previous position earns the move from close to open, the new one the move from open to
    close; the two compound.
    """
    rest = (1.0 + days.close) / (1.0 + days.open) - 1.0
    position = np.empty(len(target))
    night, at_open = np.empty(len(target)), np.empty(len(target))
    held = 0.0
    for t in range(len(target)):  # sequential: a limited trade changes the next bar's position
        night[t] = 0.0 if days.breaks[t] else held
        grown = 1.0 + night[t] * days.open[t]
        at_open[t] = night[t] * (1.0 + days.open[t]) / grown if grown > 0.0 else 0.0
        trade = target[t] - at_open[t]
        position[t] = at_open[t] + (trade if most is None else np.clip(trade, -most[t], most[t]))
        left = 1.0 + position[t] * rest[t]
        held = position[t] * (1.0 + rest[t]) / left if left > 0.0 else 0.0
    grown = 1.0 + night * days.open
    after = drifted(position, rest)
    traded = grown * np.abs(position - at_open)
    traded += np.where(_ends(days.breaks), np.abs(after), 0.0)
    return Account(
        position=position,
        gross=grown * (1.0 + position * rest) - 1.0,
        market=traded,
        limit=np.zeros(len(position)),
        carry=_carry(night, days, costs),
        entered=(position != 0.0) & (np.sign(position) != np.sign(at_open)),
        active=(position != 0.0) | (night != 0.0),
        after=after,
    )


def _limited(target: Floats, move: Floats, breaks: Flags, most: Floats) -> Floats:
    """Return positions that move towards their targets by at most `most` a bar."""
    position = np.empty(len(target))
    held = 0.0
    for t in range(len(target)):
        before = 0.0 if breaks[t] else held
        position[t] = before + np.clip(target[t] - before, -most[t], most[t])
        left = 1.0 + position[t] * move[t]
        held = position[t] * (1.0 + move[t]) / left if left > 0.0 else 0.0
    return position


class TakeProfitFills(NamedTuple):
    """Take-profit exits: sizes, fill moves, flags and the limit levels of each bar.

    Attributes:
        sold: absolute position that left at the limit; 0 without an exit.
        move: price of the exit as a move from the previous close; the close without an exit.
        flags: bits of `marketsim.kernels.rules`.
        high, low: exit limits of a long and of a short; NaN where none was placed.
    """

    sold: Floats
    move: Floats
    flags: npt.NDArray[np.uint8]
    high: Floats
    low: Floats


def take_profit_fills(
    position: Floats, orders: TakeProfit, days: MarketDays, fill: str, most: Floats | None
) -> TakeProfitFills:
    """Compute the take-profit exits of positions that are open before the bar begins.

    The whole bar comes after the entry, so every policy but `close_only` gives the same fill: at
    the limit if the price trades through it, at the open if the bar opens beyond it. A limit that
    is no better than the entry takes no profit: no order is placed.

    Args:
        position: positions held into the bars.
        orders: levels.
        days: market moves of the same bars.
        fill: fill policy.
        most: largest value that can be filled on each bar; None for no limit.
    """
    f32 = np.float32
    is_long, is_short = position > 0.0, position < 0.0
    sell, buy = orders.high.astype(f32), orders.low.astype(f32)
    sells, buys = is_long & (sell > 0.0), is_short & (buy < 0.0)
    at_open = days.open.astype(f32)
    up = sells & (sell < days.high.astype(f32))
    down = buys & (buy > days.low.astype(f32))
    reached = np.zeros(len(sell), dtype=np.bool_) if fill == "close_only" else up | down
    sold = np.where(reached, np.abs(position), 0.0)
    if most is not None:
        sold = np.minimum(sold, most)
    exits = sold > 0.0
    level = np.where(is_long, np.maximum(sell, at_open), np.minimum(buy, at_open))
    flags = np.where(exits & is_long, rules.LONG_EXITED, 0).astype(np.uint8)
    flags |= np.where(exits & is_short, rules.SHORT_EXITED, 0).astype(np.uint8)
    return TakeProfitFills(
        sold,
        np.where(exits, level.astype(np.float64), days.close),
        flags,
        np.where(sells, sell.astype(np.float64), np.nan),
        np.where(buys, buy.astype(np.float64), np.nan),
    )


class MostTraded(NamedTuple):
    """Largest tradable values, [bar]: at the close before the bar, and in it; None: no limit."""

    before: Floats | None
    within: Floats | None


def take_profit_account(
    orders: TakeProfit, days: MarketDays, costs: Costs, fill: str, most: MostTraded
) -> tuple[Account, TakeProfitFills]:
    """Compute the account of `TakeProfit` orders; what does not exit is carried over.

    Args:
        orders: target positions and levels.
        days: market moves of the same bars.
        costs: borrow and financing rates.
        fill: fill policy.
        most: limits on what can be traded.
    """
    position = orders.position
    if most.before is not None:
        position = _limited_take_profit(orders, days, fill, most.before, most.within)
    fills = take_profit_fills(position, orders, days, fill, most.within)
    kept = np.sign(position) * (np.abs(position) - fills.sold)
    gross = position * days.close + np.sign(position) * fills.sold * (fills.move - days.close)
    whole = fills.sold == np.abs(position)
    gross = np.where(whole, position * fills.move, gross)
    left = 1.0 + gross
    after = np.where(left > 0.0, kept * (1.0 + days.close) / np.where(left > 0.0, left, 1.0), 0.0)
    before = _opening_position(after, days.breaks)
    held = position != 0.0
    account = Account(
        position=position,
        gross=gross,
        market=np.abs(position - before) + np.where(_ends(days.breaks), np.abs(after), 0.0),
        limit=fills.sold,
        carry=_carry(position, days, costs),
        entered=held & (np.sign(position) != np.sign(before)),
        active=held,
        after=after,
    )
    return account, fills


def _limited_take_profit(
    orders: TakeProfit, days: MarketDays, fill: str, before: Floats, within: Floats | None
) -> Floats:
    """Return positions that move towards their targets by at most `before` a bar."""
    count = len(orders.position)
    ones = np.ones(count)
    longs, shorts = (take_profit_fills(x, orders, days, fill, None) for x in (ones, -ones))
    most = np.full(count, np.inf) if within is None else within
    position = np.empty(count)
    held = 0.0
    for t in range(count):  # sequential: what a bar does not fill is in the next bar's position
        start = 0.0 if days.breaks[t] else held
        position[t] = start + np.clip(orders.position[t] - start, -before[t], before[t])
        side = np.sign(position[t])
        fills = longs if side > 0.0 else shorts
        size = abs(position[t])
        sold = min(size, most[t]) if fills.sold[t] else 0.0
        kept = side * (size - sold)
        left = 1.0 + kept * days.close[t] + side * sold * fills.move[t]
        held = kept * (1.0 + days.close[t]) / left if left > 0.0 else 0.0
    return position


def account_days(
    account: Account,
    costs: Costs,
    flags: npt.NDArray[np.uint8] | None = None,
    high: Floats | None = None,
    low: Floats | None = None,
    other: tuple[Floats, Floats] | None = None,
) -> StrategyDays:
    """Charge an account: fees of every fill by its kind, borrow and financing.

    Args:
        account: positions and traded values.
        costs: rates.
        flags: exit flags; entry flags are added.
        high, low: levels of limit orders.
        other: net of the same orders under the optimistic and the open_aware policy; None if the
            result does not depend on the policy.
    """
    position = account.position
    zeros, nothing = np.zeros(len(position)), np.full(len(position), np.nan)
    fee = account.market * costs.close_exit + account.limit * costs.limit_exit + account.carry
    net = account.gross - fee
    side = np.where(position > 0.0, rules.LONG_ENTERED, rules.SHORT_ENTERED)
    entered = np.where(account.entered, side, 0).astype(np.uint8)
    optimistic, open_aware = (net, net) if other is None else other
    return StrategyDays(
        position=position,
        high_offset=zeros,
        low_offset=zeros,
        high_level=nothing if high is None else high,
        low_level=nothing if low is None else low,
        flags=entered if flags is None else flags | entered,
        active=account.active,
        entries=account.entered.astype(np.int64),
        exposure=np.abs(position),
        traded=account.market + account.limit,
        gross=account.gross,
        fee=fee,
        carry=account.carry,
        net=net,
        net_optimistic=optimistic,
        net_open_aware=open_aware,
        in_sample=nothing,
    )
