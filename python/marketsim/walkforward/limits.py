"""Limit orders: levels, offsets fitted on the bars before, and fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.kernels import rules
from marketsim.kernels.profit import fills
from marketsim.kernels.types import Bounds
from marketsim.kernels.windows import LimitDays, LimitRules, fit_windows
from marketsim.strategies import LimitOrders
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import MarketDays
from marketsim.walkforward.outcome import Flags, Floats, StrategyDays

f32 = np.float32
Levels = npt.NDArray[np.float32]

LONG, SHORT = (rules.LONG_ENTERED, rules.LONG_EXITED), (rules.SHORT_ENTERED, rules.SHORT_EXITED)
BOUNDS = ("optimistic", "open_aware")
"""Fill policies that bound the net where a bar leaves the order of fills open."""


@dataclass(frozen=True)
class Rulebook:
    """Rules of a run: fill policy, costs and the fit of offsets.

    Attributes:
        fill: fill policy.
        costs: rates.
        long_only: whether shorts are excluded.
        offset_window: bars that offsets are fitted on.
        bounds: bounds of the offsets.
        device: device that fits them.
    """

    fill: str
    costs: Costs
    long_only: bool
    offset_window: int
    bounds: Bounds
    device: str = "cpu"


class Fit(NamedTuple):
    """Fitted offsets of each bar, and their mean net on the bars of the fit."""

    high: Levels
    low: Levels
    in_sample: Floats

    def part(self, first: int, stop: int) -> Fit:
        """Slice bars first .. stop - 1; views."""
        return Fit(self.high[first:stop], self.low[first:stop], self.in_sample[first:stop])

    def at(self, places: npt.NDArray[np.int64]) -> Fit:
        """Copy the offsets of some bars, by their places."""
        return Fit(self.high[places], self.low[places], self.in_sample[places])

    @classmethod
    def none(cls, count: int) -> Fit:
        """Return offsets of 0, for orders that are not fitted."""
        zeros = np.zeros(count, dtype=f32)
        return cls(zeros, zeros, np.full(count, np.nan))


class LimitProblem(NamedTuple):
    """Limit orders in the kernels' layout: levels [bar] and one position [bar] per side."""

    high: Levels
    low: Levels
    sides: list[Floats]


def policy_of(orders: LimitOrders, fill: str) -> str:
    """Return the fill policy of limit orders: `close_only` if they exit at the close."""
    return "close_only" if orders.exit_at_close else fill


def limit_problem(orders: LimitOrders, long_only: bool) -> LimitProblem:
    """Return the levels and sides of limit orders, before offsets; see `policy_of`."""
    high, low = orders.high.astype(f32), orders.low.astype(f32)
    position = orders.position
    if not orders.always_on:
        return LimitProblem(high, low, [position])
    ones = (position != 0.0).astype(np.float64)
    return LimitProblem(high, low, [ones] if long_only else [ones, -ones])


def fit_offsets(
    orders: LimitOrders, days: MarketDays, count: int, book: Rulebook, most: Floats | None
) -> Fit:
    """Fit the offsets of each of the last `count` bars, each on its own fit window.

    Window j begins with bar j: it ends `purge` bars before bar j of the last `count`.
    """
    high, low, sides = limit_problem(orders, book.long_only)
    position = sides[0]
    if most is not None:
        position = np.where(most > 0.0, position, 0.0)
    if orders.always_on:  # the kernel trades both sides unless the position is not finite
        position = np.where(position == 0.0, np.nan, position)
    columns = (days.close, days.high, days.low, high, low, position, days.open)
    traded = LimitDays(*(np.ascontiguousarray(values, dtype=f32) for values in columns))
    rules = LimitRules(
        policy_of(orders, book.fill), orders.always_on, book.long_only, book.costs.rates,
        book.bounds,
    )  # fmt: skip
    found = fit_windows(traded, rules, np.arange(count), book.offset_window, book.device)
    return Fit(found.high, found.low, found.profit / book.offset_window)


class SideFills(NamedTuple):
    """Fills of one side of each bar's orders: the long or the short.

    Attributes:
        direction: 1 where a long entered, -1 where a short did, else 0.
        size: absolute position entered.
        gross, fee: return before costs, and costs.
        entry_move, exit_move: fill prices as moves against the previous close; NaN without a fill.
        at_open: whether the entry filled at the open.
        exit_kind: "limit", "stop" or "close".
        flags: bits of `marketsim.kernels.rules`.
    """

    direction: npt.NDArray[np.int64]
    size: Floats
    gross: Floats
    fee: Floats
    entry_move: Floats
    exit_move: Floats
    at_open: Flags
    exit_kind: npt.NDArray[np.str_]
    flags: npt.NDArray[np.uint8]


class _Outcome(NamedTuple):
    """Outcome of all sides, added."""

    gross: Floats
    fee: Floats
    exposure: Floats
    flags: npt.NDArray[np.uint8]

    @property
    def net(self) -> Floats:
        return self.gross - self.fee


class _Levels(NamedTuple):
    """Orders as placed: levels with offsets, sides capped by the volume limit."""

    high: Levels
    low: Levels
    sides: list[Floats]
    stop: Levels | None


def _placed_levels(orders: LimitOrders, fit: Fit, book: Rulebook, most: Floats | None) -> _Levels:
    high, low, sides = limit_problem(orders, book.long_only)
    if most is not None:
        sides = [np.clip(side, -most, most) for side in sides]
    stop = None if orders.stop is None else orders.stop.astype(f32)
    return _Levels(high + fit.high, low + fit.low, sides, stop)  # one float32 rounding each


def limit_days(
    orders: LimitOrders, fit: Fit, days: MarketDays, book: Rulebook, most: Floats | None
) -> StrategyDays:
    """Compute the outcome of limit orders with their offsets.

    Args:
        orders, fit, days: orders, offsets and market moves of the same bars.
        book: fill policy and costs.
        most: largest value that can be filled on each bar; None for no limit.
    """
    laid = _placed_levels(orders, fit, book, most)
    found = {
        fill: _fill_sides(days, laid, policy_of(orders, fill), book.costs)
        for fill in {book.fill, *BOUNDS}
    }
    outcome, best, worst = (found[fill] for fill in (book.fill, *BOUNDS))
    entries = sum((outcome.flags & bit > 0).astype(np.int64) for bit, _ in (LONG, SHORT))
    ordered = orders.position != 0.0
    sells = ordered & ~(orders.exit_at_close & (orders.position > 0.0))
    buys = ordered & ~(orders.exit_at_close & (orders.position < 0.0))
    return StrategyDays(
        position=np.sum(laid.sides, axis=0),
        high_offset=fit.high.astype(np.float64),
        low_offset=fit.low.astype(np.float64),
        high_level=np.where(sells, laid.high.astype(np.float64), np.nan),
        low_level=np.where(buys, laid.low.astype(np.float64), np.nan),
        flags=outcome.flags,
        active=np.greater(entries, 0),
        entries=np.asarray(entries),
        exposure=outcome.exposure,
        traded=2.0 * outcome.exposure,
        gross=outcome.gross,
        fee=outcome.fee,
        carry=np.zeros(len(laid.high)),
        net=outcome.net,
        net_optimistic=best.net,
        net_open_aware=worst.net,
        in_sample=fit.in_sample,
    )


def _fill_sides(days: MarketDays, laid: _Levels, fill: str, costs: Costs) -> _Outcome:
    """Add the outcomes of a long and a short on the same bars."""
    gross, fee, exposure = np.zeros((3, len(laid.high)))
    flags = np.zeros(len(laid.high), dtype=np.uint8)
    for side in laid.sides:
        earned, bits = _filled(days, laid, side, fill)
        size, paid = _charged(side, bits, costs)
        gross += earned
        fee += paid
        exposure += size
        flags |= bits
    return _Outcome(gross, fee, exposure, flags)


def _filled(
    days: MarketDays, laid: _Levels, side: Floats, fill: str
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Return (gross return, flags) of one side."""
    part = fills(
        days.close, days.high, days.low, laid.high, laid.low, side, fill=fill, open=days.open
    )
    gross = part.gross.astype(np.float64)
    if laid.stop is None:
        return gross, part.flags
    return _stopped(days, laid.high, laid.low, side, laid.stop, fill, gross, part.flags)


def _charged(side: Floats, flags: npt.NDArray[np.uint8], costs: Costs) -> tuple[Floats, Floats]:
    """Return (absolute position entered, costs) of one side; limit and market fills differ."""
    size = np.where(flags & _ENTERED > 0, np.abs(side), 0.0)
    exit_rate = np.where(flags & _EXITED > 0, costs.limit_exit, costs.close_exit)
    return size, size * (costs.entry + exit_rate)


_ENTERED = LONG[0] | SHORT[0]
_EXITED = LONG[1] | SHORT[1]


def side_fills(
    orders: LimitOrders, fit: Fit, days: MarketDays, book: Rulebook, most: Floats | None
) -> list[SideFills]:
    """Return the fills of each side with their prices; arguments as in `limit_days`."""
    laid = _placed_levels(orders, fit, book, most)
    opened = days.open.astype(f32)
    found = []
    for side in laid.sides:
        gross, flags = _filled(days, laid, side, policy_of(orders, book.fill))
        size, fee = _charged(side, flags, book.costs)
        is_long = side > 0.0
        entered, left = flags & _ENTERED > 0, flags & _EXITED > 0
        entry = np.where(is_long, np.minimum(laid.low, opened), np.maximum(laid.high, opened))
        at_open = entered & np.where(is_long, opened < laid.low, opened > laid.high)
        beyond = np.where(is_long, np.maximum(laid.high, opened), np.minimum(laid.low, opened))
        at_limit = np.where(at_open, beyond, np.where(is_long, laid.high, laid.low))
        exit_move = np.where(left, at_limit.astype(np.float64), days.close)
        kind = np.where(left, "limit", "close")
        if laid.stop is not None:
            stopped = flags & rules.STOPPED > 0
            at = np.where(is_long, np.minimum(laid.stop, entry), np.maximum(laid.stop, entry))
            exit_move = np.where(stopped, at.astype(np.float64), exit_move)
            kind = np.where(stopped, "stop", kind)
        direction = np.where(entered, np.sign(side), 0.0).astype(np.int64)
        found.append(
            SideFills(
                direction, size, gross, fee, entry.astype(np.float64), exit_move, at_open, kind,
                flags,
            )
        )  # fmt: skip
    return found


def _stopped(
    days: MarketDays,
    high: Levels,
    low: Levels,
    side: Floats,
    stop: Levels,
    fill: str,
    gross: Floats,
    flags: npt.NDArray[np.uint8],
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Apply a stop: exit at the market once the price reaches it; returns (gross, flags).

    After an entry at the open the whole bar counts. After an entry inside the bar the price comes
    from beyond the entry, so a price beyond the stop came after it. If the bar reaches both the
    stop and the exit limit, `optimistic` fills the limit, every other policy the stop. If the
    price is beyond the stop at the entry, the position exits at the entry price under every policy.
    """
    opened, highest, lowest = (v.astype(f32) for v in (days.open, days.high, days.low))
    is_long = side > 0.0
    entry = np.where(is_long, np.minimum(low, opened), np.maximum(high, opened))
    entered = flags & (rules.LONG_ENTERED | rules.SHORT_ENTERED) > 0
    reached: Flags = entered & np.where(is_long, lowest <= stop, highest >= stop)
    at = np.where(is_long, np.minimum(stop, entry), np.maximum(stop, entry))
    loss = side * (at.astype(np.float64) - entry.astype(np.float64))
    limit = np.where(is_long, highest > high, lowest < low) & (fill != "close_only")
    at_once = np.where(is_long, entry <= stop, entry >= stop)
    unknown = reached & limit & ~at_once
    first = reached & ~unknown if fill == "optimistic" else reached
    exits = np.uint8(rules.LONG_EXITED | rules.SHORT_EXITED)
    changed = np.where(first, flags & ~exits | np.uint8(rules.STOPPED), flags).astype(np.uint8)
    if fill == "optimistic":
        at_limit = side * (np.where(is_long, high, low).astype(np.float64) - entry)
        gross = np.where(unknown, np.maximum(at_limit, loss), gross)
        side_exit = np.where(is_long, rules.LONG_EXITED, rules.SHORT_EXITED).astype(np.uint8)
        changed = np.where(unknown, changed | side_exit, changed).astype(np.uint8)
    changed = np.where(unknown, changed | np.uint8(rules.AMBIGUOUS), changed).astype(np.uint8)
    return np.where(first, loss, gross), changed
