"""What the orders of a strategy earned on each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from marketsim.arguments import as_flag, as_numbers
from marketsim.errors import ArgumentError
from marketsim.kernels import rules
from marketsim.kernels.offsets import best_offsets
from marketsim.kernels.profit import fills
from marketsim.kernels.types import Bounds
from marketsim.strategies import Hold, LimitOrders, Orders, TakeProfit
from marketsim.walkforward.inputs import MarketDays

Floats = npt.NDArray[np.float64]
f32 = np.float32


@dataclass(frozen=True)
class Rulebook:
    """How orders are filled and charged.

    Attributes:
        fill: fill policy.
        cost: fraction charged, see `Costs.rate`.
        long_only: shorts are not possible.
        offset_window, bounds: how many days offsets are fitted on, and within what.
        device: where they are fitted.
    """

    fill: str
    cost: float
    long_only: bool
    offset_window: int
    bounds: Bounds
    device: str = "cpu"


@dataclass(frozen=True)
class StrategyDays:
    """Outcome of one strategy on each day [day]; moves and returns are fractions.

    Attributes:
        position: size and direction; 0 for a long and a short at once.
        high_offset, low_offset: offsets that were fitted before the day; 0 where none are.
        high_level, low_level: moves against the close before at which a sell and a buy order lay;
            NaN without.
        flags: bits of `marketsim.kernels.rules`.
        active: whether the strategy was in the market.
        entries: how many positions were opened.
        gross, fee, net: return before costs, costs, and after.
        net_optimistic, net_pessimistic: net of the same orders under these fill policies.
        in_sample: mean net a day of the offsets on the days they were fitted on; NaN without.
    """

    position: Floats
    high_offset: Floats
    low_offset: Floats
    high_level: Floats
    low_level: Floats
    flags: npt.NDArray[np.uint8]
    active: npt.NDArray[np.bool_]
    entries: npt.NDArray[np.int64]
    gross: Floats
    fee: Floats
    net: Floats
    net_optimistic: Floats
    net_pessimistic: Floats
    in_sample: Floats


def evaluate(orders: Orders, days: MarketDays, first_day: int, book: Rulebook) -> StrategyDays:
    """Outcome of orders on the days from row `first_day` of the bars on.

    `days` starts earlier for fitted orders, by the days that offsets are fitted on.

    Raises:
        ArgumentError: orders for another number of days, a position beyond 10, or a short where
            shorts are not possible.
    """
    orders = _checked(orders, len(days.close), book)
    if isinstance(orders, Hold):
        return _evaluate_hold(orders, days, book)
    if isinstance(orders, TakeProfit):
        return _evaluate_take_profit(orders, days, book)
    return _evaluate_limits(orders, days, first_day, book)


def _checked(orders: Orders, count: int, book: Rulebook) -> Orders:
    """The orders with all arrays as float64 [day]."""
    if not isinstance(orders, (Hold, TakeProfit, LimitOrders)):
        raise ArgumentError(
            f"decide must return Hold, TakeProfit or LimitOrders: got {type(orders).__name__}"
        )
    arrays: dict[str, Any] = {}
    for field in fields(orders):
        value = getattr(orders, field.name)
        if field.name in _FLAGS:
            as_flag(field.name, value)
            continue
        array = arrays[field.name] = as_numbers(field.name, value, np.float64)
        if array.shape != (count,):
            raise ArgumentError(
                f"{field.name} must have one value for each of {count} days: got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ArgumentError(f"{field.name} must be finite")
    position = arrays["position"]
    if (np.abs(position) > 10.0).any():
        raise ArgumentError(
            f"a position must lie in [-10, 10]: got {float(np.abs(position).max())}"
        )
    if isinstance(orders, LimitOrders) and orders.always_on and orders.exit_at_close:
        raise ArgumentError("always_on and exit_at_close cannot be combined: choose one")
    if book.long_only and (position < 0.0).any():
        raise ArgumentError("a short position was ordered where shorts are not possible")
    return replace(orders, **arrays)


_FLAGS = ("fitted", "always_on", "exit_at_close")


def joined(parts: Sequence[StrategyDays]) -> StrategyDays:
    """The outcomes of several stretches of days, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return StrategyDays(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(StrategyDays)
        }
    )


def _evaluate_hold(orders: Hold, days: MarketDays, book: Rulebook) -> StrategyDays:
    position = orders.position
    before = np.concatenate(([0.0], position[:-1]))
    gross = position * days.close
    fee = np.abs(position - before) * book.cost
    entered = (position != 0.0) & (np.sign(position) != np.sign(before))
    return _without_doubt(position, _entry_flags(position, entered), entered, gross, fee)


def _evaluate_take_profit(orders: TakeProfit, days: MarketDays, book: Rulebook) -> StrategyDays:
    position = orders.position
    is_long, size = position > 0.0, np.abs(position)
    sell = np.clip(orders.high.astype(f32), f32(0), f32(10))
    buy = np.clip(orders.low.astype(f32), f32(-1), f32(0))
    level = np.where(is_long, sell, buy)
    # The position is open before the day begins, so the order of its prices is no question.
    reached = np.where(is_long, sell <= days.high.astype(f32), buy >= days.low.astype(f32))
    exits = reached & (position != 0.0) & (book.fill != "close_only")
    if book.fill == "open_aware":  # a limit already better than the open fills there
        at_open = days.open.astype(f32)
        level = np.where(is_long, np.maximum(level, at_open), np.minimum(level, at_open))
    gross = position * np.where(exits, level.astype(np.float64), days.close)
    carried = np.concatenate(([0.0], np.where(exits, 0.0, position)[:-1]))
    fee = (np.abs(position - carried) + np.where(exits, size, 0.0)) * book.cost
    entered = (position != 0.0) & (np.sign(position) != np.sign(carried))
    flags = _entry_flags(position, entered)
    flags |= np.where(exits & is_long, rules.LONG_EXITED, 0).astype(np.uint8)
    flags |= np.where(exits & ~is_long, rules.SHORT_EXITED, 0).astype(np.uint8)
    nothing = np.full(len(position), np.nan)
    return _without_doubt(
        position, flags, entered, gross, fee,
        high=np.where(is_long, sell.astype(np.float64), nothing),
        low=np.where(position < 0.0, buy.astype(np.float64), nothing),
    )  # fmt: skip


def _entry_flags(position: Floats, entered: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    side = np.where(position > 0.0, rules.LONG_ENTERED, rules.SHORT_ENTERED)
    return np.where(entered, side, 0).astype(np.uint8)


def _without_doubt(
    position: Floats,
    flags: npt.NDArray[np.uint8],
    entered: npt.NDArray[np.bool_],
    gross: Floats,
    fee: Floats,
    high: Floats | None = None,
    low: Floats | None = None,
) -> StrategyDays:
    """Outcome of orders whose fills are the same under every policy."""
    zeros, nothing = np.zeros(len(position)), np.full(len(position), np.nan)
    net = gross - fee
    return StrategyDays(
        position=position,
        high_offset=zeros,
        low_offset=zeros,
        high_level=nothing if high is None else high,
        low_level=nothing if low is None else low,
        flags=flags,
        active=position != 0.0,
        entries=entered.astype(np.int64),
        gross=gross,
        fee=fee,
        net=net,
        net_optimistic=net,
        net_pessimistic=net,
        in_sample=nothing,
    )


def _evaluate_limits(
    orders: LimitOrders, days: MarketDays, first_day: int, book: Rulebook
) -> StrategyDays:
    skip = first_day - days.first
    high, low, sides = limit_problem(orders, book.long_only)
    high, low, sides = high[skip:], low[skip:], [side[skip:] for side in sides]
    high_offset, low_offset = np.zeros((2, len(high)), dtype=f32)
    in_sample = np.full(len(high), np.nan)
    if orders.fitted:
        high_offset, low_offset, in_sample = _fit_offsets(orders, days, len(high), book)
    high, low = high + high_offset, low + low_offset  # one float32 rounding each

    traded = days.slice(first_day)
    outcome, best, worst = (
        _fill_sides(traded, high, low, sides, policy_of(orders, fill), book)
        for fill in (book.fill, "optimistic", "open_aware")
    )
    entries = sum((outcome.flags & bit > 0).astype(np.int64) for bit in _ENTERED)
    position = orders.position[skip:]
    sells = (position != 0.0) & ~(orders.exit_at_close & (position > 0.0))
    buys = (position != 0.0) & ~(orders.exit_at_close & (position < 0.0))
    return StrategyDays(
        position=np.sum(sides, axis=0),
        high_offset=high_offset.astype(np.float64),
        low_offset=low_offset.astype(np.float64),
        high_level=np.where(sells, high.astype(np.float64), np.nan),
        low_level=np.where(buys, low.astype(np.float64), np.nan),
        flags=outcome.flags,
        active=np.greater(entries, 0),
        entries=np.asarray(entries),
        gross=outcome.gross,
        fee=outcome.fee,
        net=outcome.gross - outcome.fee,
        net_optimistic=best.gross - best.fee,
        net_pessimistic=worst.gross - worst.fee,
        in_sample=in_sample,
    )


_ENTERED = (rules.LONG_ENTERED, rules.SHORT_ENTERED)


class _Outcome(NamedTuple):
    gross: Floats
    fee: Floats
    flags: npt.NDArray[np.uint8]


class LimitProblem(NamedTuple):
    """Limit orders in the form of the kernels: levels [day], and one position [day] a side."""

    high: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    sides: list[Floats]


def policy_of(orders: LimitOrders, fill: str) -> str:
    """The policy of limit orders in a run under `fill`; those that leave at the close do so."""
    return "close_only" if orders.exit_at_close else fill


def limit_problem(orders: LimitOrders, long_only: bool) -> LimitProblem:
    """The levels and sides of limit orders, before offsets; see `policy_of`."""
    high, low = orders.high.astype(f32), orders.low.astype(f32)
    position = orders.position
    if not orders.always_on:
        return LimitProblem(high, low, [position])
    ones = (position != 0.0).astype(np.float64)
    return LimitProblem(high, low, [ones] if long_only else [ones, -ones])


def _fill_sides(
    days: MarketDays,
    high: npt.NDArray[np.float32],
    low: npt.NDArray[np.float32],
    sides: list[Floats],
    fill: str,
    book: Rulebook,
) -> _Outcome:
    """The outcome of a long and a short on the same days, added."""
    gross, fee = np.zeros((2, len(high)))
    flags = np.zeros(len(high), dtype=np.uint8)
    for side in sides:
        part = fills(
            days.close, days.high, days.low, high, low, side,
            fee=book.cost, fill=fill, open=days.open,
        )  # fmt: skip
        gross += part.gross
        fee += part.fee
        flags |= part.flags
    return _Outcome(gross, fee, flags)


def _fit_offsets(
    orders: LimitOrders, days: MarketDays, count: int, book: Rulebook
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], Floats]:
    """Offsets for each of the last `count` days, and their mean net on the days fitted on."""

    def problems(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        # Row j: the days that end `purge` days before day j of the last `count`; a view, no copy.
        return sliding_window_view(np.ascontiguousarray(values, dtype=f32), book.offset_window)[
            :count
        ]

    high, low, sides = limit_problem(orders, book.long_only)
    position = sides[0]
    if orders.always_on:  # there, only what is not finite does not trade
        position = np.where(position == 0.0, np.nan, position)
    found = best_offsets(
        problems(days.close),
        problems(days.high),
        problems(days.low),
        problems(high),
        problems(low),
        problems(position),
        bounds=book.bounds,
        fee=book.cost,
        fill=policy_of(orders, book.fill),
        always_on=orders.always_on,
        long_only=book.long_only,
        open=problems(days.open),
        device=book.device,
    )
    return (
        np.asarray(found.high),
        np.asarray(found.low),
        np.asarray(found.profit) / book.offset_window,
    )
